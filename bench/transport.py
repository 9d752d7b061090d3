"""Wasserstein distances side by side with POT.

    pip install numpy scipy POT
    cargo build --release -p quadrat-bench
    python bench/transport.py [--only NAME ...] [--repeats N]

Exact W1, costs included, between 2,000 and 2,000 rows: uniform on a square, normal in 20 columns, and two normals far
apart; and between 2,000 and 1,500 rows. The peer is `ot.emd2` on `ot.dist(a, b, "euclidean")`. Sliced W1 over 500 random
directions; the peer is `ot.sliced_wasserstein_distance`. Every run is a fresh process, ours and the peer's in turn, on two
threads. The distances of both sides are recorded: the exact ones must agree.
"""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OURS = ROOT / "target" / "release" / "quadrat-bench"
RESULTS = ROOT / "bench" / "results" / "transport.json"
THREADS = 2

# name: our workload and the data
WORKLOADS = {
    "exact W1, 2,000 x 2,000 rows on a square": ("transport-exact", "square"),
    "exact W1, 2,000 x 2,000 normal rows, 20 columns": ("transport-exact", "normal"),
    "exact W1, 2,000 x 2,000 rows, clouds apart": ("transport-exact", "apart"),
    "exact W1, 2,000 x 1,500 rows": ("transport-exact", "unequal"),
    "sliced W1, 500 directions, 2,000 x 2,000 rows, 20 columns": ("transport-sliced", "normal"),
}


def peer(workload, data, folder):
    import numpy as np
    import ot

    a, b = (np.load(f"{folder}/{data}-{side}.npy") for side in "ab")
    start, cpu = time.perf_counter(), time.process_time()
    if workload == "transport-exact":
        distance = ot.emd2([], [], ot.dist(a, b, "euclidean"), numItermax=10**7)
    else:
        distance = ot.sliced_wasserstein_distance(a, b, n_projections=500, p=1, seed=1)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"seconds": seconds, "cpu_seconds": cpu, "figure": float(distance), "peak_bytes": peak}))


def write_data(folder):
    import numpy as np

    rng = np.random.default_rng(1)
    pairs = {
        "square": (rng.random((2000, 2)), rng.random((2000, 2))),
        "normal": (rng.normal(size=(2000, 20)), rng.normal(size=(2000, 20))),
        "apart": (rng.normal(size=(2000, 2)), 0.5 * rng.normal(size=(2000, 2)) + 2),
        "unequal": (rng.normal(size=(2000, 2)), rng.normal(size=(1500, 2))),
    }
    for name, sides in pairs.items():
        for side, value in zip("ab", sides):
            np.save(f"{folder}/{name}-{side}.npy", value)


def run(command, env=None):
    done = subprocess.run(command, capture_output=True, text=True, env=env)
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def machine():
    cpu = next((l.split(":")[1].strip() for l in open("/proc/cpuinfo") if l.startswith("model name")), "unknown")
    from importlib.metadata import version

    return (f"{cpu}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}; {THREADS} threads; "
            f"POT {version('POT')}, numpy {version('numpy')}, python {platform.python_version()}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--peer", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    if options.peer:
        return peer(*options.peer)
    env = {k: v for k, v in os.environ.items() if k not in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")}
    env |= {"OPENBLAS_NUM_THREADS": str(THREADS), "OMP_NUM_THREADS": str(THREADS)}
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    results["machine"] = machine()
    with tempfile.TemporaryDirectory() as folder:
        write_data(folder)
        for name, (workload, data) in WORKLOADS.items():
            if options.only and not any(word in name for word in options.only):
                continue
            ours, theirs = [], []
            for _ in range(options.repeats):
                ours.append(run([str(OURS), workload, f"in={folder}", f"data={data}", f"threads={THREADS}"]))
                theirs.append(run([sys.executable, __file__, "--peer", workload, data, folder], env))
            median = lambda runs, key: statistics.median(r[key] for r in runs)
            keys = ("seconds", "cpu_seconds", "peak_bytes", "figure")
            results[name] = {
                "ours": {k: median(ours, k) for k in keys},
                "peer": {k: median(theirs, k) for k in keys},
                "speedup": median(theirs, "seconds") / median(ours, "seconds"),
                "repeats": len(ours),
            }
            if workload == "transport-exact" and abs(ours[0]["figure"] / theirs[0]["figure"] - 1) > 1e-9:
                sys.exit(f"{name}: {ours[0]['figure']} is not {theirs[0]['figure']}")
            print(name, json.dumps(results[name]), flush=True)
            RESULTS.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
