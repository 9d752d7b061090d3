"""Resampling side by side with imbalanced-learn 0.14.2.

    pip install imbalanced-learn==0.14.2
    cargo build --release -p quadrat-bench
    python bench/robust.py [--only NAME ...] [--repeats N]

Every workload runs in fresh processes, ours and the peer's in turn; what is measured is the call alone, on two threads,
from the table in memory to the whole new table. Medians of seconds and of peak memory (data included) go to
bench/results/robust.json. The peer searches neighbours with n_jobs=2, its fastest setting.
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
RESULTS = ROOT / "bench" / "results" / "robust.json"
THREADS = 2

# name: method, rows, numeric columns, levels of a nominal column (0 for none), repeats
WORKLOADS = {
    "smote-100k": ("smote", 100_000, 30, 0, 5),
    "smote-1m": ("smote", 1_000_000, 30, 0, 3),
    "adasyn-100k": ("adasyn", 100_000, 30, 0, 5),
    "adasyn-1m": ("adasyn", 1_000_000, 30, 0, 1),
    "smote-nc-10k-levels": ("smote-nc", 20_000, 10, 10_000, 3),
    "smote-d200": ("smote", 50_000, 200, 0, 3),
    "borderline-100k": ("borderline-smote", 100_000, 30, 0, 3),
    "smote-3d": ("smote", 200_000, 3, 0, 3),
}


def make(path, rows, columns, levels):
    """Ten clusters on a low-dimensional sheet with noise; the minority, one row in ten, lies beside them."""
    import numpy as np

    rng = np.random.default_rng(rows + columns)
    y = (rng.random(rows) < 0.1).astype(float)
    latent = min(columns, 8)
    centres = rng.normal(size=(10, latent)) * 2.0
    z = centres[rng.integers(0, 10, rows)] + rng.normal(size=(rows, latent)) + 0.8 * y[:, None]
    table = np.empty((rows, columns + (levels > 0) + 1))
    table[:, :columns] = z @ rng.normal(size=(latent, columns)) + 0.3 * rng.normal(size=(rows, columns))
    if levels:
        table[:, columns] = rng.integers(0, levels, rows)
    table[:, -1] = y
    np.save(path, table)


def peer(path, method, nominal):
    """Runs in a process of its own: prints one JSON line."""
    import numpy as np
    from imblearn.over_sampling import ADASYN, SMOTE, SMOTENC, BorderlineSMOTE
    from sklearn.neighbors import NearestNeighbors

    table = np.load(path)
    x, y = np.ascontiguousarray(table[:, :-1]), table[:, -1].astype(int)
    del table

    def neighbours(k):
        return NearestNeighbors(n_neighbors=k + 1, n_jobs=THREADS)

    sampler = {
        "smote": lambda: SMOTE(random_state=1, k_neighbors=neighbours(5)),
        "adasyn": lambda: ADASYN(random_state=1, n_neighbors=neighbours(5)),
        "borderline-smote": lambda: BorderlineSMOTE(
            random_state=1, k_neighbors=neighbours(5), m_neighbors=neighbours(10)
        ),
        "smote-nc": lambda: SMOTENC([x.shape[1] - 1], random_state=1, k_neighbors=neighbours(5)),
    }[method]()
    assert (nominal > 0) == (method == "smote-nc")
    Path("/proc/self/clear_refs").write_text("5")
    start = time.perf_counter()
    _, y_new = sampler.fit_resample(x, y)
    seconds = time.perf_counter() - start
    status = Path("/proc/self/status").read_text()
    peak = next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))
    print(json.dumps({"seconds": seconds, "peak_bytes": peak, "rows": len(y_new)}))


def run(command):
    environment = {k: v for k, v in os.environ.items() if k not in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")}
    environment |= {"OMP_NUM_THREADS": str(THREADS), "OPENBLAS_NUM_THREADS": str(THREADS)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{command}: {done.stderr}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def machine():
    model = next((s.split(":")[1].strip() for s in open("/proc/cpuinfo") if s.startswith("model name")), "unknown")
    return f"{model}, {os.cpu_count()} cores, {platform.system()} {platform.release()}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", nargs="*", default=list(WORKLOADS))
    parser.add_argument("--repeats", type=int)
    arguments = parser.parse_args()
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"workloads": {}}
    results |= {"machine": machine(), "threads": THREADS, "peer": "imbalanced-learn 0.14.2"}
    for name in arguments.only:
        method, rows, columns, levels, repeats = WORKLOADS[name]
        nominal = int(levels > 0)
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "table.npy")
            make(path, rows, columns, levels)
            ours_command = [str(OURS), "resample", f"in={path}", f"method={method}", f"nominal={nominal}"]
            peer_command = [sys.executable, __file__, "--peer", path, method, str(nominal)]
            ours, theirs = [], []
            for _ in range(arguments.repeats or repeats):
                ours.append(run([*ours_command, f"threads={THREADS}"]))
                theirs.append(run(peer_command))
            single = run([*ours_command, "threads=1"])

        def median(runs, figure):
            return statistics.median(r[figure] for r in runs)

        seconds, peer_seconds = median(ours, "seconds"), median(theirs, "seconds")
        peak, peer_peak = median(ours, "peak_bytes"), median(theirs, "peak_bytes")
        results["workloads"][name] = {
            "method": method,
            "rows": rows,
            "columns": columns,
            "levels": levels,
            "rows_after": ours[0]["rows"],
            "peer_rows_after": theirs[0]["rows"],
            "repeats": len(ours),
            "seconds": round(seconds, 3),
            "seconds_one_thread": round(single["seconds"], 3),
            "peer_seconds": round(peer_seconds, 3),
            "times_faster": round(statistics.median(t["seconds"] / o["seconds"] for o, t in zip(ours, theirs)), 2),
            "peak_mib": round(peak / 2**20),
            "peer_peak_mib": round(peer_peak / 2**20),
        }
        print(name, json.dumps(results["workloads"][name]), flush=True)
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--peer"]:
        peer(sys.argv[2], sys.argv[3], int(sys.argv[4]))
    else:
        main()
