"""The inertia of one start of k-means, ours and scikit-learn's, over many seeds.

    python3 -m venv .venv && .venv/bin/pip install numpy scikit-learn
    cargo build --release -p quadrat-bench
    .venv/bin/python bench/seeding.py [--seeds 40] [--binary target/release/quadrat-bench]

Both go on until no row moves. Prints, for each set, the mean inertia over scikit-learn's mean, with the standard error of
that ratio: with greedy seeding (our default) and with plain k-means++.
"""

import argparse
import json
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from sklearn.cluster import KMeans
from sklearn.datasets import load_breast_cancer, load_digits, load_wine, make_blobs
from sklearn.preprocessing import StandardScaler

HERE = Path(__file__).resolve().parent

SETS = {
    "digits": (lambda: load_digits().data, 10),
    "digits, 50 clusters": (lambda: load_digits().data, 50),
    "wine, standardised": (lambda: StandardScaler().fit_transform(load_wine().data), 3),
    "breast cancer, standardised": (lambda: StandardScaler().fit_transform(load_breast_cancer().data), 8),
    "30 blobs": (lambda: make_blobs(3000, 8, centers=30, cluster_std=0.5, random_state=1)[0], 30),
    "noise": (lambda: np.random.default_rng(1).standard_normal((2000, 16)), 20),
}


def ours(binary, file, k, init, seed):
    command = [binary, "kmeans", f"in={file}", f"init={init}", f"k={k}", "iterations=1000", f"seed={seed}"]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return json.loads(out.strip().splitlines()[-1])["inertia"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=40)
    parser.add_argument("--binary", default=str(HERE.parent / "target" / "release" / "quadrat-bench"))
    arguments = parser.parse_args()
    seeds = range(arguments.seeds)
    with tempfile.TemporaryDirectory() as folder:
        for name, (make, k) in SETS.items():
            x = make().astype(np.float32)
            file = f"{folder}/x.npy"
            np.save(file, x)
            theirs = np.array([KMeans(k, n_init=1, max_iter=1000, tol=0, random_state=s).fit(x).inertia_ for s in seeds])
            line = {"set": name, "k": k}
            for init in ("greedy", "plusplus"):
                own = np.array([ours(arguments.binary, file, k, init, s) for s in seeds])
                error = np.hypot(own.std() / own.mean(), theirs.std() / theirs.mean()) / len(seeds) ** 0.5
                line[init] = f"{own.mean() / theirs.mean():.4f} +- {error:.4f}"
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
