"""Scores from auto-encoders side by side with numpy and emcee.

    pip install numpy scikit-learn emcee
    cargo build --release -p quadrat-bench
    python bench/score.py [--only NAME ...] [--repeats N]

Ten columns, one hidden layer of 100. Training: 5,000 Adam steps of 64 rows with noise +e and -e; scores: a million rows;
chains: 100 side by side, 10,000 Metropolis steps with five Gauss nodes each. The peer is the same in numpy, single precision
where ours is. Effective draws: seconds for a thousand, by Metropolis on the learnt score against emcee's ensemble (100
walkers) on scikit-learn's kernel density estimate of the same rows; training and fitting not counted, each by its own
library's effective sample size. Every run is a fresh process, ours and the peer's in turn, on two threads.
"""

import time

import side_by_side

# name: our workload
WORKLOADS = {
    "training, 5,000 steps of 128 rows": "score-train",
    "scores of 1,000,000 rows": "score-rows",
    "Metropolis, 100 chains x 10,000 steps": "score-chains",
    "a thousand effective draws": "score-effective",
}
NOISE = 0.3


def fit(x, steps, np):
    """The network (r(x) - x) / s and its last loss, by Adam along half a cosine."""
    rng = np.random.default_rng(2)
    f = np.float32
    d, h = x.shape[1], 100
    shapes = [((d, h), d), ((h,), d), ((h, d), h), ((d,), h)]
    w = [rng.uniform(-1, 1, shape).astype(f) / f(np.sqrt(n)) for shape, n in shapes]
    m, v = [np.zeros_like(a) for a in w], [np.zeros_like(a) for a in w]
    losses = []
    for step in range(1, steps + 1):
        rows = x[rng.integers(0, len(x), 64)]
        e = f(NOISE) * rng.standard_normal(rows.shape, dtype=f)
        noisy, target = np.concatenate([rows + e, rows - e]), np.concatenate([rows, rows])
        hidden = np.tanh(noisy @ w[0] + w[1])
        error = noisy + f(NOISE) * (hidden @ w[2] + w[3]) - target
        losses.append((error * error).sum() / len(error))
        delta = error * f(2 * NOISE / len(error))
        back = (delta @ w[2].T) * (1 - hidden * hidden)
        slopes = [noisy.T @ back, back.sum(0), hidden.T @ delta, delta.sum(0)]
        rate = 0.5e-2 * (1 + np.cos(np.pi * (step - 1) / steps))
        for a, g, first, second in zip(w, slopes, m, v):
            first *= f(0.9); first += f(0.1) * g
            second *= f(0.999); second += f(0.001) * g * g
            a -= f(rate / (1 - 0.9**step)) * first / (np.sqrt(second * f(1 / (1 - 0.999**step))) + f(1e-8))
    return w, float(np.mean(losses[-100:]))


def score(w, x, np):
    z = x.astype(np.float32)
    return (np.tanh(z @ w[0] + w[1]) @ w[2] + w[3]).astype(np.float64) / NOISE


def train(folder):
    import numpy as np

    x = np.load(f"{folder}/x.npy").astype(np.float32)
    start = time.perf_counter()
    _, loss = fit(x, 5000, np)
    return time.perf_counter() - start, loss


def rows(folder):
    import numpy as np

    x = np.load(f"{folder}/x.npy")
    w, _ = fit(x.astype(np.float32), 200, np)
    many = np.resize(x, (1_000_000, x.shape[1]))
    start = time.perf_counter()
    out = np.concatenate([score(w, part, np) for part in np.array_split(many, 500)])
    return time.perf_counter() - start, (out**2).mean()


def chains(folder):
    import numpy as np

    x = np.load(f"{folder}/x.npy")
    w, _ = fit(x.astype(np.float32), 2000, np)
    rng = np.random.default_rng(3)
    nodes, weights = np.polynomial.legendre.leggauss(5)
    nodes, weights = 0.5 * (nodes + 1), 0.5 * weights
    start = time.perf_counter()
    at, accepted, kept = x[:100].copy(), 0, []
    for step in range(10_000):
        move = 0.4 * rng.standard_normal(at.shape)
        places = at + nodes[:, None, None] * move
        scores = score(w, places.reshape(-1, at.shape[1]), np).reshape(places.shape)
        gain = np.einsum("k,kij,ij->i", weights, scores, move)
        yes = np.log(rng.random(len(at))) < gain
        at[yes] += move[yes]
        accepted += yes.sum()
        if step % 10 == 9:
            kept.append(at.copy())
    return time.perf_counter() - start, accepted / 1e6


def effective(folder):
    import emcee
    import numpy as np
    from sklearn.neighbors import KernelDensity

    x = np.load(f"{folder}/x.npy")
    density = KernelDensity(bandwidth=NOISE).fit(x)
    sampler = emcee.EnsembleSampler(100, x.shape[1], density.score_samples, vectorize=True)
    start = time.perf_counter()
    state = sampler.run_mcmc(x[:100], 200)
    sampler.reset()
    sampler.run_mcmc(state, 1000)
    seconds = time.perf_counter() - start
    found = 100_000 / sampler.get_autocorr_time(quiet=True).max()
    return seconds * 1000 / found, found


def peer(workload, folder):
    seconds, figure = {"score-train": train, "score-rows": rows, "score-chains": chains, "score-effective": effective}[workload](folder)
    return seconds, {"figure": float(figure)}


def write_data(folder):
    import numpy as np

    rng = np.random.default_rng(1)
    u = rng.uniform(-1, 1, size=(2000, 2))
    x = np.sin(u @ rng.normal(size=(2, 10)) * 1.5 + rng.uniform(0, 6, 10)) + 0.2 * rng.normal(size=(2000, 10))
    np.save(f"{folder}/x.npy", (x - x.mean(0)) / x.std(0))


if __name__ == "__main__":
    words = lambda workload: ([workload, "in={folder}"], [workload, "{folder}"], {"library": "emcee"} if workload == "score-effective" else {})
    cases = {name: words(workload) for name, workload in WORKLOADS.items()}
    side_by_side.pairs(__file__, ["numpy", "scikit-learn", "emcee"], cases, peer, write_data)
