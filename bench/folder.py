"""Peak memory of choosing rows of 10 GB of Parquet in a folder.

    pip install pyarrow numpy
    cargo build --release -p quadrat-cli
    python bench/folder.py [--quadrat BINARY] [--folder FOLDER]

Twenty files of 970,000 rows (64 doubles, a score and one of 500 labels; row groups of 97,000 rows, nothing compressed) are
made in FOLDER and removed afterwards. `quadrat select` chooses 1,000 of their 19.4 million rows on two threads and writes
them with all columns. Seconds and peaks go to bench/results/folder.json.
"""

import argparse
import json
import os
import shutil
import tempfile
import time
from pathlib import Path

from data import ROOT, machine

RESULTS = ROOT / "bench" / "results" / "folder.json"
METHODS = {"random": [], "mig": ["--labels", "label", "--score", "score"]}


def make(folder, files=20, rows=970_000):
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(4)
    names = [f"topic {i}" for i in range(500)]
    for file in range(files):
        columns = {f"f{i}": rng.random(rows) for i in range(64)} | {"score": rng.random(rows)}
        codes = pa.array(rng.integers(0, 500, rows).astype("int32"))
        columns["label"] = pa.DictionaryArray.from_arrays(codes, names)
        path = os.path.join(folder, f"part-{file:02}.parquet")
        pq.write_table(pa.table(columns), path, row_group_size=97_000, use_dictionary=["label"], compression="NONE")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--quadrat", default=str(ROOT / "target" / "release" / "quadrat"))
    parser.add_argument("--folder")
    arguments = parser.parse_args()
    folder = tempfile.mkdtemp(dir=arguments.folder)
    results = {"machine": machine()}
    try:
        make(folder)
        for method, options in METHODS.items():
            command = [arguments.quadrat, "select", "--in", folder, "--method", method, "--budget", "1000", *options]
            start = time.perf_counter()
            child = os.spawnv(os.P_NOWAIT, command[0], [*command, "--threads", "2", "--out", f"{folder}.parquet"])
            _, status, usage = os.wait4(child, 0)
            if status != 0:
                raise SystemExit(f"{command} failed")
            ours = {"seconds": round(time.perf_counter() - start, 2), "peak_bytes": usage.ru_maxrss * 1024}
            results[f"{method}, 1,000 of 19,400,000 rows"] = {"ours": ours}
            print(method, ours, flush=True)
    finally:
        shutil.rmtree(folder)
        Path(f"{folder}.parquet").unlink(missing_ok=True)
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
