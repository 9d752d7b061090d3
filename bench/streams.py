"""Streams of rows side by side with numpy, and the neighbours behind splits by similarity side by side with faiss.

    pip install numpy faiss-cpu
    cargo build --release -p quadrat-bench
    python bench/streams.py [--only NAME ...] [--repeats N]

A stream: rounds of 100,000 out of 10,000,000 row numbers. Without replacement numpy shuffles all rows once for every
hundred rounds and hands out slices; drawing each round independently numpy uses Generator.choice without replacement,
which is Floyd's method at this share. Neighbours: the 10 of 500,000 training rows most similar to each of 500 test rows,
384 float32 values a row, against faiss IndexFlatIP. Every run is a fresh process, ours and the peer's in turn, on two
threads; reading and making data is not counted.
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
RESULTS = ROOT / "bench" / "results" / "streams.json"
THREADS = 2
ROWS, TAKE, ROUNDS = 10_000_000, 100_000, 1000
TRAIN, TEST, WIDTH, NEIGHBOURS = 500_000, 500, 384, 10

# name: our workload and settings, the peer
WORKLOADS = {
    "1,000 rounds without replacement": (["rounds", "draw=without-replacement"], "numpy"),
    "1,000 independent rounds": (["rounds", "draw=with-replacement"], "numpy"),
    "first round without replacement": (["rounds", "draw=without-replacement", "rounds=1"], "numpy"),
    "first independent round": (["rounds", "draw=with-replacement", "rounds=1"], "numpy"),
    "10 neighbours of 500 in 500,000 x 384": (["split-neighbours", f"neighbours={NEIGHBOURS}"], "faiss"),
}


def peer(name, folder):
    """Runs in a process of its own: prints one JSON line."""
    import numpy as np

    if "neighbours" in name:
        import faiss

        faiss.omp_set_num_threads(THREADS)
        train, test = np.load(f"{folder}/train.npy"), np.load(f"{folder}/test.npy")
        start = time.perf_counter()
        index = faiss.IndexFlatIP(WIDTH)
        index.add(train)
        similarity, _ = index.search(test, NEIGHBOURS)
        seconds, figure = time.perf_counter() - start, float((1 - similarity.astype(float)).sum())
    else:
        rng = np.random.default_rng(1)
        rounds = 1 if "first" in name else ROUNDS
        total = 0
        start = time.perf_counter()
        if "independent" in name:
            for _ in range(rounds):
                total += int(rng.choice(ROWS, TAKE, replace=False).sum())
        else:
            for done in range(0, rounds, ROWS // TAKE):
                order = rng.permutation(ROWS)
                for at in range(0, min(rounds - done, ROWS // TAKE)):
                    total += int(order[at * TAKE:(at + 1) * TAKE].sum())
        seconds, figure = time.perf_counter() - start, total / rounds / TAKE
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"seconds": seconds, "figure": figure, "peak_bytes": peak}))


def run(command, env=None):
    done = subprocess.run(command, capture_output=True, text=True, env=env)
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def machine():
    cpu = next((l.split(":")[1].strip() for l in open("/proc/cpuinfo") if l.startswith("model name")), "unknown")
    from importlib.metadata import version

    return (f"{cpu}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}; {THREADS} threads; "
            f"numpy {version('numpy')}, faiss {version('faiss-cpu')}, python {platform.python_version()}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--peer", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    if options.peer:
        return peer(*options.peer)
    import numpy as np

    # The peers' linear algebra picks its own kernels and block sizes, on as many threads as ours.
    env = {k: v for k, v in os.environ.items() if k not in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")}
    env |= {"OPENBLAS_NUM_THREADS": str(THREADS), "OMP_NUM_THREADS": str(THREADS)}
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    results["machine"] = machine()
    with tempfile.TemporaryDirectory() as folder:
        rng = np.random.default_rng(3)
        for part, rows in (("train", TRAIN), ("test", TEST)):
            x = rng.normal(size=(rows, WIDTH)).astype(np.float32)
            np.save(f"{folder}/{part}.npy", x / np.linalg.norm(x, axis=1, keepdims=True))
        for name, (words, library) in WORKLOADS.items():
            if options.only and not any(word in name for word in options.only):
                continue
            files = [f"{part}={folder}/{part}.npy" for part in ("train", "test")]
            ours, theirs = [], []
            for _ in range(options.repeats):
                ours.append(run([str(OURS), *words, *files, f"threads={THREADS}"]))
                theirs.append(run([sys.executable, __file__, "--peer", name, folder], env))
            median = lambda runs, key: statistics.median(r[key] for r in runs)
            results[name] = {
                "ours": {k: median(ours, k) for k in ("seconds", "peak_bytes")},
                "peer": {k: median(theirs, k) for k in ("seconds", "peak_bytes")} | {"library": library},
                "figures": [ours[0].get("mean row", ours[0].get("sum of squared distances")), theirs[0]["figure"]],
                "repeats": len(ours),
            }
            print(name, json.dumps(results[name]), flush=True)
            RESULTS.parent.mkdir(exist_ok=True)
            RESULTS.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
