"""Reading large files side by side with polars 2.1.0.

    pip install polars==2.1.0 pyarrow numpy
    cargo build --release -p quadrat-bench
    python bench/data.py [--only NAME ...] [--repeats N] [--folder FOLDER]

A 1 GB Parquet file (384-float embedding, score, label, and a text nobody asks for), a 1 GB JSON Lines file (text,
score, label, and an id nobody asks for) and a 1 GB CSV file (an id, 20 numbers of six digits and a label) are read in
fresh processes, ours and the peer's in turn, on two threads, with
the file in the page cache. Both sides end with the same arrays in memory: the embedding or the numbers as one matrix, scores in double
precision, labels as category numbers, texts as texts. Medians of seconds and of peak memory go to
bench/results/data.json. Processor time, which other jobs on the machine disturb less, is recorded beside the
clock's.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OURS = ROOT / "target" / "release" / "quadrat-bench"
RESULTS = ROOT / "bench" / "results" / "data.json"
THREADS = 2
# What a profile (`perf record -e cpu-clock`, two threads) says of the rows below 1, and how they were measured.
NOTES = [
    "The rows `read-jsonl` and `read-csv` above are from before long texts stayed on disk. Since then, on the idle machine, "
    "medians of six runs (polars: three): CSV 2.3 s and 1,011 MB against polars' 2.3 s and 1,880 MB (0.98 of its speed, "
    "where 0.56 was; single runs 1.7 to 3.1 s and 1.9 to 2.3 s); JSON Lines 1.5 s and 1,245 MB against 0.89 s and 2,107 MB "
    "(0.6, where 0.51 was; 1.2 to 2.2 s and 0.8 to 1.0 s). With `MIMALLOC_ALLOW_THP=0`, medians of three: CSV 1.84 s, JSON "
    "Lines 1.20 s, with little spread. Processor time: CSV 7.2 s before, 3.6 s now, polars 3.9 s; JSON Lines 4.1 s, 2.5 s, "
    "1.6 s. What is left in JSON Lines is the kernel's first touches of memory, and that each question reads the file "
    "again.",
    "Texts: a part is read into one buffer a thread and forgotten, so that the file is no memory that has to be cleared; what "
    "is asked for again (a column, rows to write) is read again. polars maps the file. We do not: a file that another program "
    "cuts short while it is mapped ends the process. Every question reads the file once: JSON Lines, where the columns asked for "
    "are few and the lines long, spends a fifth of its time on that.",
    "CSV: every cell is looked at once before any is decoded, so that a type holds for the whole column; polars trusts the "
    "first 100 rows. In one row the end of a field must be known before the next is looked at, and the processor waits for it "
    "(6 ns a number of seven digits); 16 rows side by side, column by column, need not wait for each other (4 ns). To keep "
    "the numbers of the first look instead of parsing them again would double the memory, which costs as much as parsing.",
    "Large pages: the allocator asks for them by itself. On a machine whose memory is in pieces, as here after hours of builds, the "
    "kernel then moves and clears pages for longer than all else takes: 1 GB of JSON Lines took 2.6 s of the kernel's time, and "
    "1.2 s with MIMALLOC_ALLOW_THP=0; CSV 1.9 s and 0.9 s. On the same machine freshly started large pages were faster.",
]
WORKLOADS = {"read-parquet": "pool.parquet", "read-jsonl": "pool.jsonl", "read-csv": "pool.csv"}


def words(rng, count):
    letters = "etaoinshrdlucmfwypvbgk"
    return ["".join(letters[i] for i in rng.integers(0, len(letters), n)) for n in rng.integers(2, 11, count)]


def make_parquet(path, rows=640_000, width=384, group=64_000):
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(1)
    vocabulary = words(rng, 5000)
    item = pa.list_(pa.float32())
    schema = pa.schema([("text", pa.string()), ("embedding", item), ("score", pa.float64()), ("label", pa.string())])
    with pq.ParquetWriter(path, schema) as writer:
        for _ in range(0, rows, group):
            flat = rng.standard_normal(group * width, dtype=np.float32)
            columns = [
                [" ".join(vocabulary[i] for i in row) for row in rng.integers(0, 5000, (group, 20))],
                pa.ListArray.from_arrays(np.arange(0, group * width + 1, width, dtype=np.int32), flat),
                rng.random(group),
                [f"label {i}" for i in rng.integers(0, 200, group)],
            ]
            writer.write_table(pa.table(columns, schema=schema), row_group_size=group)


def make_jsonl(path, size=1_000_000_000):
    import numpy as np

    rng = np.random.default_rng(2)
    vocabulary = words(rng, 5000)
    written = row = 0
    with open(path, "w") as out:
        while written < size:
            text = " ".join(vocabulary[i] for i in rng.integers(0, 5000, rng.integers(40, 160)))
            if row % 3 == 0:
                text = text.replace(" ", "\n", 1) + ' "quoted"'
            score, label = float(rng.random()), f"label {rng.integers(0, 200)}"
            written += out.write(json.dumps({"id": row, "text": text, "score": score, "label": label}) + "\n")
            row += 1


def make_csv(path, rows=4_700_000):
    import numpy as np
    import polars as pl

    rng = np.random.default_rng(3)
    frame = pl.DataFrame({"id": np.arange(rows)} | {f"f{i}": np.round(rng.standard_normal(rows), 6) for i in range(20)})
    label = "label " + pl.Series("label", rng.integers(0, 200, rows)).cast(pl.String)
    frame.with_columns(label.alias("label")).write_csv(path)


def peer(workload, path):
    """Runs in a process of its own: prints one JSON line."""
    import polars as pl

    Path("/proc/self/clear_refs").write_text("5")
    start, cpu = time.perf_counter(), time.process_time()
    if workload == "read-parquet":
        frame = pl.read_parquet(path, columns=["embedding", "score", "label"])
        width = len(frame["embedding"][0])
        matrix = frame["embedding"].explode().to_numpy().reshape(-1, width)
        rest = None
    elif workload == "read-csv":
        frame = pl.read_csv(path)
        matrix, rest = frame.drop("label").to_numpy(), None
    else:
        frame = pl.scan_ndjson(path).select("text", "score", "label").collect()
        matrix, rest = None, frame["text"]
    score = frame["f0" if workload == "read-csv" else "score"].to_numpy()
    label = frame["label"].cast(pl.Categorical).to_physical().to_numpy()
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    status = Path("/proc/self/status").read_text()
    peak = next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))
    total = float(score.sum()) + (0.0 if matrix is None else float(matrix.sum(dtype="float64")))
    figures = {"seconds": seconds, "cpu_seconds": cpu, "peak_bytes": peak, "rows": len(label), "sum": total}
    if rest is not None:
        figures["bytes"] = int(rest.str.len_bytes().sum())
    print(json.dumps(figures))


def run(command):
    environment = os.environ | {"POLARS_MAX_THREADS": str(THREADS), "OMP_NUM_THREADS": str(THREADS)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{command}: {done.stderr}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def machine():
    model = next((s.split(":")[1].strip() for s in open("/proc/cpuinfo") if s.startswith("model name")), "unknown")
    return f"{model}, {os.cpu_count()} cores, {platform.system()} {platform.release()}"


def main():
    import polars

    parser = argparse.ArgumentParser()
    parser.add_argument("--only", nargs="*", default=list(WORKLOADS))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--folder", help="where the files are, or are made (default: a temporary folder)")
    arguments = parser.parse_args()
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"workloads": {}}
    results |= {"machine": machine(), "threads": THREADS, "peer": f"polars {polars.__version__}", "notes": NOTES}
    with tempfile.TemporaryDirectory() as temporary:
        for name in arguments.only:
            path = os.path.join(arguments.folder or temporary, WORKLOADS[name])
            if not os.path.exists(path):
                {"read-parquet": make_parquet, "read-jsonl": make_jsonl, "read-csv": make_csv}[name](path)
            ours, theirs = [], []
            for _ in range(arguments.repeats):
                ours.append(run([str(OURS), name, f"in={path}", f"threads={THREADS}"]))
                theirs.append(run([sys.executable, __file__, "--peer", name, path]))
            for figure in ("rows", "bytes", "sum"):
                mine, other = ours[0].get(figure, 0), theirs[0].get(figure, 0)
                if abs(mine - other) > 1e-9 * abs(other) + 1e-3:
                    raise SystemExit(f"{name}: {figure} is {mine} here and {other} there")

            def median(runs, figure):
                return statistics.median(r[figure] for r in runs)

            results["workloads"][name] = {
                "file_bytes": os.path.getsize(path),
                "rows": ours[0]["rows"],
                "repeats": len(ours),
                "seconds": round(median(ours, "seconds"), 3),
                "peer_seconds": round(median(theirs, "seconds"), 3),
                "times_faster": round(statistics.median(t["seconds"] / o["seconds"] for o, t in zip(ours, theirs)), 2),
                "cpu_seconds": round(median(ours, "cpu_seconds"), 3),
                "peer_cpu_seconds": round(median(theirs, "cpu_seconds"), 3),
                "peak_mib": round(median(ours, "peak_bytes") / 2**20),
                "peer_peak_mib": round(median(theirs, "peak_bytes") / 2**20),
            }
            print(name, json.dumps(results["workloads"][name]), flush=True)
            RESULTS.parent.mkdir(exist_ok=True)
            RESULTS.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--peer"]:
        peer(*sys.argv[2:])
    else:
        main()
