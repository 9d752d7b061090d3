"""Pretraining on unlabelled rows, side by side with scikit-learn.

    pip install numpy scikit-learn
    cargo build --release -p quadrat-bench
    python bench/pretrain.py [--only NAME ...] [--repeats N]

Principal components: 32 of 60,000 x 784 rows in single precision; the peer is `PCA(32)` with the solver it chooses itself.
Mixtures: 50 rounds of EM for 50 components on 60,000 x 32 rows, both sides from the same centres, equal weights and unit
covariances, so that the log likelihoods can be compared. The sweep: principal factors of 3 pool sizes, least squares on 5
numbers of labels and the risk on 1,000 rows, for 40 seeds; both sides draw their own data outside the timed part, so its
figures (the median risk at the largest sizes) agree only to sampling. Every run is a fresh process, ours and the peer's in
turn, on two threads.
"""

import statistics
import time
import warnings

import side_by_side

# name: our workload
WORKLOADS = {
    "32 components of 60,000 x 784 rows, single precision": "pretrain-pca",
    "mixture of 50, diagonal, 60,000 x 32 rows, 50 rounds": "pretrain-diagonal",
    "mixture of 50, full, 60,000 x 32 rows, 50 rounds": "pretrain-full",
    "sweep of 3 pool sizes x 5 numbers of labels x 40 seeds": "pretrain-sweep",
}


def pca(folder):
    import numpy as np
    from sklearn.decomposition import PCA

    x = np.load(f"{folder}/images.npy")
    start = time.perf_counter()
    fit = PCA(32).fit(x)
    return time.perf_counter() - start, fit.explained_variance_ratio_.sum()


def mixture(folder, kind):
    import numpy as np
    from sklearn.mixture import GaussianMixture

    x, means = np.load(f"{folder}/points.npy"), np.load(f"{folder}/start.npy")
    k, d = means.shape
    unit = np.ones((k, d)) if kind == "diag" else np.stack([np.eye(d)] * k)
    fit = GaussianMixture(k, covariance_type=kind, tol=0, max_iter=50, reg_covar=0, weights_init=np.full(k, 1 / k),
                          means_init=means, precisions_init=unit, init_params="random_from_data", random_state=0)
    start = time.perf_counter()
    fit.fit(x)
    return time.perf_counter() - start, fit.score(x)


def sweep(_):
    import numpy as np
    from sklearn.decomposition import PCA
    from sklearn.linear_model import LinearRegression

    seconds, risks = 0.0, []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        b = 0.6 * rng.normal(size=(100, 5))

        def rows(n):
            z = rng.normal(size=(n, 5))
            return z @ b.T + rng.normal(size=(n, 100)), z.sum(1) / 5**0.5 + 0.5 * rng.normal(size=n)

        (pool, _), (x, y), (test, truth) = rows(10_000), rows(1000), rows(1000)
        start = time.perf_counter()
        for m in (200, 1000, 10_000):
            fit = PCA(5).fit(pool[:m])
            variances = fit.explained_variance_ * (m - 1) / m
            noise = fit.noise_variance_ * (m - 1) / m
            map_ = fit.components_.T * (np.sqrt(variances - noise) / variances)
            factors = lambda a: (a - fit.mean_) @ map_
            for n in (30, 75, 150, 400, 1000):
                head = LinearRegression().fit(factors(x[:n]), y[:n])
                risk = ((head.predict(factors(test)) - truth) ** 2).mean()
        seconds += time.perf_counter() - start
        risks.append(risk)
    return seconds, statistics.median(risks)


PEERS = {
    "pretrain-pca": pca,
    "pretrain-diagonal": lambda folder: mixture(folder, "diag"),
    "pretrain-full": lambda folder: mixture(folder, "full"),
    "pretrain-sweep": sweep,
}


def peer(workload, folder):
    warnings.filterwarnings("ignore")  # fifty rounds are not meant to converge
    seconds, figure = PEERS[workload](folder)
    return seconds, {"figure": float(figure)}


def write_data(folder):
    import numpy as np

    rng = np.random.default_rng(1)
    loadings = rng.normal(size=(40, 784)) * np.linspace(3, 0.5, 40)[:, None]
    images = rng.normal(size=(60_000, 40)) @ loadings + rng.normal(size=(60_000, 784))
    np.save(f"{folder}/images.npy", images.astype(np.float32))
    centres = 1.5 * rng.normal(size=(50, 32))
    points = centres[rng.integers(50, size=60_000)] + rng.normal(size=(60_000, 32)) * rng.uniform(0.7, 1.3, size=32)
    np.save(f"{folder}/points.npy", points)
    np.save(f"{folder}/start.npy", centres + 0.5 * rng.normal(size=(50, 32)))


if __name__ == "__main__":
    words = lambda workload: ([workload, "in={folder}"], [workload, "{folder}"], {})
    cases = {name: words(workload) for name, workload in WORKLOADS.items()}
    side_by_side.pairs(__file__, ["numpy", "scikit-learn"], cases, peer, write_data)
