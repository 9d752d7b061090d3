"""The Lasso's path and alternating least squares over many tasks, side by side with scikit-learn and numpy.

    pip install numpy scikit-learn
    cargo build --release -p quadrat-bench
    python bench/tasks.py [--only NAME ...] [--repeats N]

- lasso-path, 10 x 5,000: ours is the exact path down to basis pursuit; scikit-learn's `lars_path(method="lasso")` is the
  same path, `lasso_path` coordinate descent at 100 penalties down to a thousandth of the largest.
- lasso-descent: one penalty, a tenth of the largest, to a relative duality gap of 1e-8 on both sides.
- linear-mtl, 500 tasks of 200 rows, 200 columns, rank 10: three sweeps of alternating least squares from the same start
  (ridge regressions of all tasks, singular vectors), after which ours falls no more. No library does it; the peer is
  numpy as one would write it with care: all Gram matrices once, then in each sweep the heads' systems in one batch and the 2,000 equations of B by one
  matrix product and a direct solution. The residuals of both are recorded.

Every run is a fresh process, ours and the peer's in turn, on two threads.
"""

import argparse
import json
import resource
import sys
import tempfile
import time
from pathlib import Path

import side_by_side

RESULTS = side_by_side.ROOT / "bench" / "results" / "tasks.json"
TIMES = 20
SWEEPS = 3
TASKS, ROWS, COLUMNS, RANK = 500, 200, 200, 10

WORKLOADS = {
    "lasso-path": ["scikit-learn lars_path", "scikit-learn lasso_path"],
    "lasso-descent": ["scikit-learn Lasso"],
    "linear-mtl": ["numpy"],
}


def system():
    import numpy as np

    rng = np.random.default_rng(1)
    heads = rng.normal(size=(10, 5000))
    return np.column_stack([heads, rng.normal(size=10)])


def tasks():
    import numpy as np

    rng = np.random.default_rng(2)
    b = np.linalg.qr(rng.normal(size=(COLUMNS, RANK)))[0]
    x = rng.normal(size=(TASKS, ROWS, COLUMNS))
    w = rng.normal(size=(TASKS, RANK))
    y = np.einsum("mnd,md->mn", x, w @ b.T) + rng.normal(size=(TASKS, ROWS))
    return np.concatenate([x, y[:, :, None]], axis=2).reshape(TASKS * ROWS, COLUMNS + 1)


def als(x, y, ridge=1.0):
    """x: tasks x rows x columns; the same objective, start and ridge as ours."""
    import numpy as np

    m, n, d = x.shape
    gram = x.transpose(0, 2, 1) @ x
    right = (x.transpose(0, 2, 1) @ y[:, :, None])[:, :, 0]
    traces = np.trace(gram, axis1=1, axis2=2)
    theta = np.linalg.solve(gram + (traces / n)[:, None, None] * np.eye(d), right[:, :, None])[:, :, 0]
    b = np.linalg.eigh(theta.T @ theta)[1][:, -RANK:]

    def heads(b):
        g = b.T @ gram @ b
        penalty = ridge * np.trace(g, axis1=1, axis2=2) / (RANK * n)
        return np.linalg.solve(g + penalty[:, None, None] * np.eye(RANK), (right @ b)[:, :, None])[:, :, 0]

    flat = gram.reshape(m, d * d)
    for _ in range(SWEEPS):
        w = heads(b)
        pairs = (w[:, :, None] * w[:, None, :]).reshape(m, RANK * RANK)
        normal = (pairs.T @ flat).reshape(RANK, RANK, d, d).transpose(0, 2, 1, 3).reshape(RANK * d, RANK * d)
        b = np.linalg.solve(normal, (w.T @ right).reshape(RANK * d)).reshape(RANK, d).T
        b = np.linalg.qr(b)[0]
    w = heads(b)
    residual = y - (x @ (b @ w.T).T[:, :, None])[:, :, 0]
    return float((residual**2).mean())


def peer(name, path):
    """Runs in a process of its own: prints one JSON line."""
    import numpy as np

    data = np.load(path)
    figures = {}
    if name == "numpy":
        x = np.ascontiguousarray(data[:, :-1]).reshape(TASKS, ROWS, COLUMNS)
        y = data[:, -1].reshape(TASKS, ROWS).copy()
        start = time.perf_counter()
        figures["residual"] = als(x, y)
        seconds = time.perf_counter() - start
    else:
        from sklearn.linear_model import Lasso, lars_path, lasso_path

        a, b = np.asfortranarray(data[:, :-1]), data[:, -1].copy()
        n = len(b)
        alpha = 0.1 * np.abs(a.T @ b).max() / n
        run = {
            "scikit-learn lars_path": lambda: lars_path(a, b, method="lasso")[2][:, -1],
            "scikit-learn lasso_path": lambda: lasso_path(a, b, alphas=100, eps=1e-3)[1][:, -1],
            "scikit-learn Lasso": lambda: Lasso(alpha=alpha, fit_intercept=False, tol=0.5e-8, max_iter=10**6).fit(a, b).coef_,
        }[name]
        start = time.perf_counter()
        for _ in range(TIMES):
            end = run()
        seconds = time.perf_counter() - start
        figures["l1 norm at the end"] = float(np.abs(end).sum())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"seconds": seconds, "peak_bytes": peak} | figures))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--peer", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    if options.peer:
        return peer(*options.peer)
    import numpy as np

    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"workloads": {}}
    results["machine"] = side_by_side.machine("numpy", "scikit-learn")
    results["notes"] = [f"The two Lasso workloads are run {TIMES} times over; linear-mtl is {SWEEPS} sweeps."]
    for name, peers in WORKLOADS.items():
        if options.only and not any(word in name for word in options.only):
            continue
        with tempfile.TemporaryDirectory() as folder:
            path = str(Path(folder) / "data.npy")
            np.save(path, tasks() if name == "linear-mtl" else system())
            ours, theirs = [], {peer: [] for peer in peers}
            settings = [f"in={path}", f"times={TIMES}", f"tasks={TASKS}", f"rank={RANK}", f"sweeps={SWEEPS}"]
            for _ in range(options.repeats):
                ours.append(side_by_side.ours(name, *settings))
                for other in peers:
                    theirs[other].append(side_by_side.run([sys.executable, __file__, "--peer", other, path]))
        found = side_by_side.median(ours) | {"peers": {other: side_by_side.median(runs) for other, runs in theirs.items()}}
        found["times faster"] = {other: runs["seconds"] / found["seconds"] for other, runs in found["peers"].items()}
        results["workloads"][name] = found
        print(name, json.dumps(found), flush=True)
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
