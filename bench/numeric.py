"""Clustering, neighbours and leverage scores: ours and the peers in turn, on the same files, on two threads.

    python3 -m venv .venv && .venv/bin/pip install numpy scikit-learn faiss-cpu
    cargo build --release -p quadrat-bench
    .venv/bin/python bench/numeric.py [--repeat 2] [--only kmeans-mixture,smote] [--large]

Every measurement is a process of its own. The least of the repeats counts, by the clock and by processor time: the
latter says more on a machine that has other work. Peak memory is the process's highest resident size while the work ran
(Linux), above what the data and the imports took before. Writes bench/results/numeric.json.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
OURS = HERE.parent / "target" / "release" / "quadrat-bench"
THREADS = "2"


def mixture(rows, columns, seed):
    """Like embeddings: a mixture of 1,000 centres in 32 directions of many columns, and noise in all."""
    import numpy as np

    random = np.random.default_rng(seed)
    centres, turn = random.standard_normal((1000, 32)), random.standard_normal((32, columns)) / 32**0.5
    latent = centres[random.integers(0, 1000, rows)] + 0.5 * random.standard_normal((rows, 32))
    return (latent @ turn + 0.3 * random.standard_normal((rows, columns))).astype(np.float32)


def normal(rows, columns, seed, single=False):
    import numpy as np

    x = np.random.default_rng(seed).standard_normal((rows, columns))
    return x.astype(np.float32) if single else x


# File, and how to make it.
DATA = {
    "mixture": lambda: mixture(100_000, 384, 1),
    "noise": lambda: normal(100_000, 384, 2, single=True),
    "minority": lambda: normal(100_000, 30, 3),
    "few": lambda: normal(100_000, 5, 4),
    "all": lambda: normal(1_000_000, 30, 5),
    "tall": lambda: normal(1_000_000, 50, 6),
}

# Case: our command, and for each peer its function and data.
CASES = {
    "kmeans-mixture": ("kmeans in={mixture} init=random", {
        "scikit-learn lloyd": "lloyd {mixture}", "scikit-learn elkan": "elkan {mixture}", "faiss": "faiss {mixture}"}),
    "kmeans-noise": ("kmeans in={noise} init=random", {
        "scikit-learn lloyd": "lloyd {noise}", "faiss": "faiss {noise}"}),
    "smote": ("neighbours base={minority} k=5", {"scikit-learn brute": "brute {minority}"}),
    "smote-5-columns": ("neighbours base={few} k=5", {"scikit-learn kd_tree": "kd_tree {few}"}),
    "adasyn": ("neighbours base={all} queries={minority} k=5", {"scikit-learn brute": "brute {all} {minority}"}),
    "leverage": ("leverage in={tall}", {"numpy qr": "qr {tall}"}),
}
LARGE = {"adasyn"}


def peer(name, files):
    """Runs in a process of its own: loads the data, measures the work, prints one line."""
    import numpy as np

    arrays = [np.load(file) for file in files]
    x = arrays[0]
    if name in ("lloyd", "elkan"):
        from sklearn.cluster import KMeans

        means = KMeans(512, init="random", n_init=1, max_iter=25, tol=0, algorithm=name, random_state=1)
        work = lambda: {"inertia": float(means.fit(x).inertia_)}
    elif name == "faiss":
        import faiss

        faiss.omp_set_num_threads(int(THREADS))
        means = faiss.Kmeans(x.shape[1], 512, niter=25, max_points_per_centroid=10**9, seed=1)
        work = lambda: {"inertia": float(means.train(x))}
    elif name in ("brute", "kd_tree"):
        from sklearn.neighbors import NearestNeighbors

        def work():
            near = NearestNeighbors(n_neighbors=5, algorithm=name, n_jobs=int(THREADS)).fit(x)
            found = near.kneighbors(arrays[1]) if len(arrays) > 1 else near.kneighbors()
            return {"distances": float(found[0].sum())}
    elif name == "qr":
        def work():
            scores = (np.linalg.qr(x)[0] ** 2).sum(axis=1)
            return {"sum": float(scores.sum()), "largest": float(scores.max())}

    def status(field):
        line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field))
        return int(line.split()[1]) * 1024

    def cpu():
        used = resource.getrusage(resource.RUSAGE_SELF)
        return used.ru_utime + used.ru_stime

    Path("/proc/self/clear_refs").write_text("5")
    before, start, used = status("VmRSS:"), time.perf_counter(), cpu()
    figures = work()
    figures |= {"seconds": time.perf_counter() - start, "cpu_seconds": cpu() - used}
    print(json.dumps(figures | {"extra_bytes": max(0, status("VmHWM:") - before)}))


def run(command):
    # Settings that slow OpenBLAS down would handicap the peers.
    unfair = ("OPENBLAS_", "NVPL_", "MKL_", "OMP_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(unfair)}
    environment |= {name: THREADS for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
    out = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
    return json.loads(out.strip().splitlines()[-1])


def least(runs):
    best = dict(min(runs, key=lambda r: r["seconds"]))
    best["cpu_seconds"] = min(r["cpu_seconds"] for r in runs)
    return best


def machine():
    import numpy
    import sklearn
    import faiss

    cpu = next((l.split(":")[1].strip() for l in open("/proc/cpuinfo") if l.startswith("model name")), "unknown")
    versions = f"numpy {numpy.__version__}, scikit-learn {sklearn.__version__}, faiss {faiss.__version__}"
    return f"{cpu}, {os.cpu_count()} cores, {THREADS} threads used; {versions}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=2)
    parser.add_argument("--only", default="", help="cases, with commas between")
    parser.add_argument("--large", action="store_true", help="also the cases that take peers minutes")
    arguments = parser.parse_args()
    wanted = [c for c in CASES if c in arguments.only.split(",") or not arguments.only and (arguments.large or c not in LARGE)]
    target = HERE / "results" / "numeric.json"
    results = json.loads(target.read_text()) if target.exists() else {"cases": {}}
    results["machine"] = machine()
    with tempfile.TemporaryDirectory() as folder:
        import numpy

        files = {name: f"{folder}/{name}.npy" for name in DATA}
        for case in wanted:
            command, peers = CASES[case]
            for name in DATA:
                if "{" + name + "}" in command and not os.path.exists(files[name]):
                    numpy.save(files[name], DATA[name]())
            ours, theirs = [], {name: [] for name in peers}
            for _ in range(arguments.repeat):
                ours.append(run([str(OURS), *command.format(**files).split()]))
                for name, words in peers.items():
                    theirs[name].append(run([sys.executable, __file__, "--peer", *words.format(**files).split()]))
            entry = {"ours": least(ours), "peers": {name: least(runs) for name, runs in theirs.items()}}
            for one in entry["peers"].values():
                for unit in ("seconds", "cpu_seconds"):
                    one[f"{unit}_ratio"] = round(one[unit] / max(entry["ours"][unit], 1e-9), 2)
            results["cases"][case] = entry
            print(json.dumps({case: entry}), flush=True)
            target.parent.mkdir(exist_ok=True)
            target.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--peer"]:
        peer(sys.argv[2], sys.argv[3:])
    else:
        main()
