"""Required inductive bias side by side with numpy and scipy.

    pip install numpy scipy
    cargo build --release -p quadrat-bench
    python bench/bias.py [--only NAME ...] [--repeats N]

The exact curve: 50 test errors at 2,000 training and 1,000 test rows, one Cholesky factor and one eigendecomposition; the
peer is the same route in numpy and scipy (the authors' code solves the systems by hours of Adam instead). The fit: a
scaled non-central chi-square to 10,000 errors; the peer is scipy's ncx2.fit from scipy's own start. Every run is a fresh
process, ours and the peer's in turn, on two threads.
"""

import time

import side_by_side

# name: our workload
WORKLOADS = {
    "exact curve, 50 errors, 2,000 x 1,000 rows": "bias-curve",
    "non-central chi-square fit to 10,000 errors": "bias-fit",
}


def curve(folder):
    import numpy as np
    from scipy.linalg import cho_factor, cho_solve, eigh
    from scipy.optimize import brentq
    from scipy.special import log_ndtr

    x, y, xt, yt, eps = (np.load(f"{folder}/{name}.npy") for name in ("x", "y", "xt", "yt", "eps"))
    eps = eps.ravel()
    start = time.perf_counter()
    lengths = lambda a: (a * a).sum(1)
    kernel = lambda a, b: np.exp(-0.5 * np.maximum(lengths(a)[:, None] + lengths(b)[None] - 2 * a @ b.T, 0))
    k = kernel(x, x)
    k[np.diag_indices_from(k)] += 1e-8
    factor = cho_factor(k, lower=True)
    across = kernel(x, xt)
    solved = cho_solve(factor, across)
    mean = solved.T @ y
    values, vectors = eigh(kernel(xt, xt) - across.T @ solved)
    misses = ((vectors.T @ (mean - yt)) ** 2).sum(1)
    keep = values > values.max() * len(values) * 2.2e-16
    a, c, offset = values[keep] / yt.size, misses[keep] / yt.size, misses[~keep].sum() / yt.size
    limit = 0.5 / a.max()
    first = lambda t: (a / (1 - 2 * a * t) + c / (1 - 2 * a * t) ** 2).sum()
    out = []
    for e in eps:
        target = e - offset
        low, high = -limit, limit * (1 - 1e-12)
        while first(low) > target:
            low *= 4
        t = brentq(lambda t: first(t) - target, low, high, xtol=1e-12 * limit, rtol=1e-14)
        v = 2 * a * t
        generating = (-0.5 * np.log1p(-v) + c * t / (1 - v)).sum()
        second = (2 * a * a / (1 - v) ** 2 + 4 * a * c / (1 - v) ** 3).sum()
        w = np.sign(t) * np.sqrt(2 * (t * target - generating))
        u = t * np.sqrt(second)
        out.append(-log_ndtr(w + np.log(u / w) / w))
    return time.perf_counter() - start, out[0]


def fit(folder):
    import numpy as np
    from scipy.stats import ncx2

    losses = np.load(f"{folder}/losses.npy").ravel()
    start = time.perf_counter()
    found = ncx2.fit(losses, floc=0)
    seconds = time.perf_counter() - start
    return seconds, float(ncx2.logpdf(losses, *found).sum())


def peer(workload, folder):
    seconds, figure = {"bias-curve": curve, "bias-fit": fit}[workload](folder)
    return seconds, {"figure": float(figure)}


def write_data(folder):
    import numpy as np

    rng = np.random.default_rng(1)
    x, xt = rng.normal(size=(2000, 6)), rng.normal(size=(1000, 6))
    target = lambda a: np.sin(a.sum(1))[:, None]
    for name, value in {"x": x, "y": target(x), "xt": xt, "yt": target(xt), "eps": np.linspace(0.02, 1.0, 50)[:, None]}.items():
        np.save(f"{folder}/{name}.npy", value)
    np.save(f"{folder}/losses.npy", 0.03 * rng.noncentral_chisquare(12.0, 20.0, size=(10_000, 1)))


if __name__ == "__main__":
    words = lambda workload: ([workload, "in={folder}"], [workload, "{folder}"], {})
    cases = {name: words(workload) for name, workload in WORKLOADS.items()}
    side_by_side.pairs(__file__, ["numpy", "scipy"], cases, peer, write_data)
