"""Projection DPPs side by side with DPPy.

    pip install numpy dppy
    cargo build --release -p quadrat-bench
    python bench/designs.py [--only NAME ...] [--repeats N]

Both start from the same feature matrix and end with the rows drawn: a QR decomposition for orthonormal columns, then
one draw (DPPy: FiniteDPP in "GS" mode on the orthonormal rows). Every run is a fresh process, ours and the peer's in
turn, on two threads. The repeated design has no peer: its time alone is recorded.
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
RESULTS = ROOT / "bench" / "results" / "designs.json"
THREADS = 2

# name: our workload, rows, features, whether the peer can do it
WORKLOADS = {
    "projection DPP 100,000 x 100": ("projection-dpp", 100_000, 100, True),
    "100 repeated DPPs 1,000,000 x 100": ("repeated-design", 1_000_000, 100, False),
}


def peer(path):
    """Runs in a process of its own: prints one JSON line."""
    import numpy as np
    from dppy.finite_dpps import FiniteDPP

    features = np.load(path)
    start = time.perf_counter()
    q = np.linalg.qr(features)[0]
    dpp = FiniteDPP("correlation", projection=True, K_eig_dec=(np.ones(q.shape[1]), q))
    rows = dpp.sample_exact(mode="GS", random_state=np.random.RandomState(1))
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"seconds": seconds, "points": len(rows), "peak_bytes": peak}))


def run(command, env=None):
    done = subprocess.run(command, capture_output=True, text=True, env=env)
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def machine():
    cpu = next((l.split(":")[1].strip() for l in open("/proc/cpuinfo") if l.startswith("model name")), "unknown")
    from importlib.metadata import version

    return (f"{cpu}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}; {THREADS} threads; "
            f"numpy {version('numpy')}, dppy {version('dppy')}, python {platform.python_version()}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--peer", help=argparse.SUPPRESS)
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    if options.peer:
        return peer(options.peer)
    import numpy as np

    # The peer's linear algebra picks its own kernels and block sizes, on as many threads as ours.
    env = {k: v for k, v in os.environ.items() if k not in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")}
    env |= {"OPENBLAS_NUM_THREADS": str(THREADS), "OMP_NUM_THREADS": str(THREADS)}
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    results["machine"] = machine()
    for name, (workload, rows, columns, has_peer) in WORKLOADS.items():
        if options.only and not any(word in name for word in options.only):
            continue
        with tempfile.TemporaryDirectory() as folder:
            path = str(Path(folder) / "features.npy")
            np.save(path, np.random.default_rng(rows).normal(size=(rows, columns)))
            ours, theirs = [], []
            for _ in range(options.repeats):
                ours.append(run([str(OURS), workload, f"in={path}", f"threads={THREADS}"]))
                if has_peer:
                    theirs.append(run([sys.executable, __file__, "--peer", path], env))
        median = lambda runs, key: statistics.median(r[key] for r in runs)
        results[name] = {"ours": {k: median(ours, k) for k in ("seconds", "peak_bytes", "points")}, "repeats": len(ours)}
        if theirs:
            results[name] |= {
                "peer": {k: median(theirs, k) for k in ("seconds", "peak_bytes", "points")},
                "speedup": median(theirs, "seconds") / median(ours, "seconds"),
                "memory ratio": median(theirs, "peak_bytes") / median(ours, "peak_bytes"),
            }
        print(name, json.dumps(results[name]), flush=True)
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
