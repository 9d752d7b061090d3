"""Makes the files beside it: small tables as pandas 3.1.1, pyarrow 26.0.0, numpy 2.4.6 and DuckDB 2.0.1 write them."""

import datetime as dt
import decimal
import os

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq

os.chdir(os.path.dirname(os.path.abspath(__file__)))
levels = ["low", "mid", "high", "never"]
frame = pd.DataFrame({
    "x": np.arange(12) / 8,
    "grade": pd.Categorical(["high", "low", "mid"] * 4, levels, ordered=True),
    "kind": pd.Categorical(["b", "a", None] * 4, ["b", "a"]),
    "month": pd.period_range("2024-01", periods=12, freq="M"),
    "user": [2**53 + 1 + 2 * i for i in range(12)],
    "berlin": pd.date_range("2024-03-31", periods=12, freq="h", tz="Europe/Berlin").as_unit("us"),
    "took": pd.to_timedelta(np.arange(12) * 90, unit="s").as_unit("us"),
})
frame.to_parquet("pandas.parquet")
frame.drop(columns="month").to_feather("pandas.feather")

table = pa.table({
    "date64": pa.array([86400000 * i for i in range(6)], pa.date64()),
    "time": [dt.time(9, 30, i) for i in range(6)],
    "price": pa.array([decimal.Decimal(i) / 4 for i in range(6)], pa.decimal128(9, 2)),
    "half": pa.array(np.arange(6, dtype="f2") / 3),
    "big": pa.array([2**64 - 1 - i for i in range(6)], pa.uint64()),
    "tags": [["a", "b"][: i % 3] for i in range(6)],
}).replace_schema_metadata({"geo": "{}"})
pq.write_table(table, "brotli.parquet", compression="brotli")
feather.write_feather(table, "zstd.feather", compression="zstd")
with pa.ipc.new_stream("stream.arrows", table.schema) as stream:
    for batch in table.to_batches(max_chunksize=4):
        stream.write_batch(batch)

duckdb.sql("copy (select ('00000000-0000-4000-8000-' || lpad(r::varchar, 12, '0'))::uuid u, r from range(5) t(r)) to 'uuid.parquet'")

np.save("structured.npy", np.array(
    [(1, 0.5, "a", [1, 2], "2024-02-29"), (2, -1.5, "bß", [3, 4], "NaT")],
    dtype=np.dtype([("id", ">i8"), ("x", "<f2"), ("name", "U2"), ("pair", "<i4", (2,)), ("day", "M8[D]")], align=True)))
np.save("fortran.npy", np.asfortranarray([[1, 2, 3], [4, 5, 6]], dtype=">i2"))
np.savez_compressed("features.npz", X=np.arange(6.0).reshape(3, 2), y=np.array([1, 0, 1], "u1"), when=np.arange(3).astype("M8[s]"))
np.save("objects.npy", np.array([1, "a", None], dtype=object), allow_pickle=True)
np.save("complex.npy", np.array([1 + 2j]))
