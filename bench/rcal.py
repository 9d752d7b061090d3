"""RCAL's calibration side by side with scikit-learn: 50,000 rows of 64 features in 100 classes, on two threads.

    pip install scikit-learn numpy
    cargo build --release -p quadrat-bench
    python bench/rcal.py [--only NAME ...] [--repeats N]

Of each class the local outlier factor of every row (20 neighbours), then mean and covariance of the rows below 1.5. The peer does it with
`LocalOutlierFactor(n_jobs=2)` class by class and numpy; `kept` must be the same on both sides. `draw` has besides the rows
that balance the classes, for which no peer is timed.
"""

import time
from pathlib import Path

import side_by_side

ROWS, COLUMNS, CLASSES = 50_000, 64, 100


def write_data(folder):
    import numpy as np

    rng = np.random.default_rng(5)
    share = 0.97 ** np.arange(CLASSES)
    y = rng.choice(CLASSES, ROWS, p=share / share.sum())
    far = np.where(rng.random(ROWS) < 0.1, 2.0, 1.0)
    x = rng.normal(size=(CLASSES, COLUMNS))[y] + rng.normal(size=(ROWS, COLUMNS)) * far[:, None]
    np.save(Path(folder) / "features.npy", np.column_stack([x, y]))


def peer(path):
    import numpy as np
    from sklearn.neighbors import LocalOutlierFactor

    table = np.load(path)
    x, y = np.ascontiguousarray(table[:, :-1]), table[:, -1].astype(int)
    start, kept, total = time.perf_counter(), 0, 0.0
    for c in range(CLASSES):
        own = x[y == c]
        lof = LocalOutlierFactor(n_neighbors=min(20, len(own) - 1), n_jobs=side_by_side.THREADS).fit(own)
        inside = own[-lof.negative_outlier_factor_ <= 1.5]
        kept += len(inside)
        total += inside.mean(0).sum() + np.cov(inside, rowvar=False).trace()
    return time.perf_counter() - start, {"kept": kept, "trace": total}


if __name__ == "__main__":
    data = "{folder}/features.npy"
    cases = {
        "calibrate": (["rcal", f"in={data}"], [data], {"peer": "scikit-learn"}),
        "draw": (["resample", "method=rcal", f"in={data}"], None, {}),
    }
    side_by_side.pairs(__file__, ["scikit-learn", "numpy"], cases, peer, write_data)
