"""Row scores side by side with numpy 2 and scipy's HiGHS.

    pip install numpy scipy
    cargo build --release -p quadrat-bench
    python bench/sensitivity.py [--only NAME ...] [--repeats N]

Every workload runs in fresh processes, ours and the peer's in turn, on two threads; what is measured is the call alone,
from the matrix in memory to all scores. Medians of seconds and of peak memory (data included) go to
bench/results/sensitivity.json.

leverage: numpy's QR and the squared row norms of Q. lewis: the same fixed-point iteration (same start, tolerance and
number of steps) in numpy. l1: no package computes sensitivities, so the peer solves the linear programme of some rows
with scipy.optimize.linprog (HiGHS) and its time is extrapolated to all rows.
"""

import argparse
import json
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path

import side_by_side

RESULTS = side_by_side.ROOT / "bench" / "results" / "sensitivity.json"
LP_ROWS = 4

# name: our workload, rows, columns, repeats
WORKLOADS = {
    "leverage 1,000,000 x 50": ("leverage-scores", 1_000_000, 50, 3),
    "lewis p=1 1,000,000 x 20": ("lewis-weights", 1_000_000, 20, 3),
    "l1 sensitivities 20,000 x 10": ("l1-sensitivities", 20_000, 10, 1),
}


def make(path, rows, columns):
    """Gaussian rows with heavy-tailed lengths, so that scores differ."""
    import numpy as np

    rng = np.random.default_rng(rows + columns)
    lengths = 1.0 + rng.pareto(2.5, size=(rows, 1))
    np.save(path, lengths * rng.normal(size=(rows, columns)))


def peer(path, workload):
    """Runs in a process of its own: prints one JSON line."""
    import numpy as np

    a = np.load(path)
    n, d = a.shape
    every = max(n // 20, 1)
    start = time.perf_counter()
    figures = {}
    if workload == "leverage-scores":
        q = np.linalg.qr(a)[0]
        scores = np.einsum("ij,ij->i", q, q)
    elif workload == "lewis-weights":
        w = np.full(n, d / n)
        for step in range(500):
            gram = a.T @ (a * (1.0 / w)[:, None])
            root = np.linalg.inv(np.linalg.cholesky(gram)).T
            image = a @ root
            scores = np.sqrt(np.einsum("ij,ij->i", image, image))
            change = np.abs(np.log(scores / w)).max()
            w = scores
            if change < 1e-8:
                break
        figures["steps"] = step + 1
    else:
        import scipy.sparse as sp
        from scipy.optimize import linprog

        # min sum t  s.t.  -t <= A x <= t, a_i x = 1
        eye = sp.identity(n, format="csc")
        block = sp.csc_matrix(a)
        inequalities = sp.vstack([sp.hstack([block, -eye]), sp.hstack([-block, -eye])], format="csc")
        cost = np.concatenate([np.zeros(d), np.ones(n)])
        bounds = [(None, None)] * d + [(0, None)] * n
        chosen = range(0, n, n // LP_ROWS)
        start = time.perf_counter()
        scores = {}
        for i in chosen:
            equality = sp.hstack([block[i], sp.csc_matrix((1, n))])
            best = linprog(cost, inequalities, np.zeros(2 * n), equality, [1.0], bounds, method="highs")
            scores[i] = 1.0 / best.fun
        seconds = (time.perf_counter() - start) / len(scores)
        figures |= {"seconds": seconds * n, "extrapolated from rows": len(scores), "seconds a row": seconds}
        figures["some"] = [scores[i] for i in sorted(scores)]
    if "seconds" not in figures:
        figures["seconds"] = time.perf_counter() - start
        figures["sum"] = float(scores.sum())
        figures["some"] = scores[::every].tolist()
    figures["peak_bytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps(figures))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--peer", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--repeats", type=int)
    options = parser.parse_args()
    if options.peer:
        return peer(*options.peer)

    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    results["machine"] = side_by_side.machine("numpy", "scipy")
    for name, (workload, rows, columns, repeats) in WORKLOADS.items():
        if options.only and not any(word in name for word in options.only):
            continue
        with tempfile.TemporaryDirectory() as folder:
            path = str(Path(folder) / "rows.npy")
            make(path, rows, columns)
            ours, theirs = [], []
            for _ in range(options.repeats or repeats):
                ours.append(side_by_side.ours(workload, f"in={path}"))
                theirs.append(side_by_side.run([sys.executable, __file__, "--peer", path, workload]))
        median = lambda runs, key: statistics.median(r[key] for r in runs)
        if "extrapolated from rows" in theirs[0]:
            step, every = rows // LP_ROWS, rows // 20
            pairs = [(ours[0]["some"][i * step // every], v) for i, v in enumerate(theirs[0]["some"])
                     if i * step % every == 0]
        else:
            pairs = list(zip(ours[0]["some"], theirs[0]["some"]))
        results[name] = {
            "ours": {"seconds": median(ours, "seconds"), "peak_bytes": median(ours, "peak_bytes"),
                     "extra_bytes": median(ours, "extra_bytes"), "notes": ours[0]["notes"], "sum": ours[0]["sum"]},
            "peer": {k: v for k, v in theirs[0].items() if k != "some"}
            | {"seconds": median(theirs, "seconds"), "peak_bytes": median(theirs, "peak_bytes")},
            "speedup": median(theirs, "seconds") / median(ours, "seconds"),
            "memory ratio": median(theirs, "peak_bytes") / median(ours, "peak_bytes"),
            "largest relative difference of compared scores": max(abs(a / b - 1) for a, b in pairs),
            "scores compared": len(pairs),
            "repeats": len(ours),
        }
        print(name, json.dumps(results[name]), flush=True)
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
