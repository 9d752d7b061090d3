"""Writes the golden files beside it: inputs and outputs of imbalanced-learn 0.14.2 (numpy 2.4.6, scikit-learn 1.9.1).

    pip install imbalanced-learn==0.14.2 numpy==2.4.6 scikit-learn==1.9.1
    python make.py

Each file is one data set with the cases run on it. A set is used with a method only when no two neighbours that could
change the outcome are equally far (checked here), because the order of such neighbours is left open by the peer.
Numbers are written with all digits of a double. The 20 x 2 set is the one that imbalanced-learn's own tests use.
"""

import json
from pathlib import Path

import numpy as np
from imblearn.combine import SMOTEENN, SMOTETomek
from imblearn.over_sampling import ADASYN, SMOTE, SMOTEN, SMOTENC, BorderlineSMOTE, RandomOverSampler
from imblearn.under_sampling import EditedNearestNeighbours, RandomUnderSampler, TomekLinks
from sklearn.neighbors import NearestNeighbors

HERE = Path(__file__).parent


def case(name, params, sampler, x, y):
    """What the sampler made of (x, y): the rows it kept by number, those it added, or all rows where it does both."""
    x_new, y_new = sampler.fit_resample(x, y)
    out = {"method": name, "params": params, "y": np.asarray(y_new).tolist()}
    indices = getattr(sampler, "sample_indices_", None)
    if indices is not None:
        out["kept"] = np.asarray(indices).tolist()
    elif name in ("smote-tomek", "smote-enn"):
        out["all"] = np.asarray(x_new, dtype=float).tolist()
    else:
        assert (np.asarray(x_new, dtype=float)[: len(x)] == x).all()
        out["added"] = np.asarray(x_new, dtype=float)[len(x) :].tolist()
    return out


def write(name, x, y, categorical, cases):
    content = {"x": x.tolist(), "y": y.tolist(), "categorical": categorical, "cases": cases}
    (HERE / f"{name}.json").write_text(json.dumps(content) + "\n")
    print(name, x.shape, np.bincount(y), [f"{c['method']} {len(c['y'])}" for c in cases])


def assert_no_ties(x, k):
    k = min(k + 2, len(x))
    distance, _ = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(x).kneighbors(x)
    assert (np.diff(distance, axis=1) > 1e-9).all(), "two neighbours are equally far"


def numeric_cases(x, y, seeds, two_classes):
    assert_no_ties(x, 11)
    cases = []
    for seed in seeds:
        for k in (3, 5):
            cases.append(case("smote", {"k": k, "seed": seed}, SMOTE(random_state=seed, k_neighbors=k), x, y))
            cases.append(case("adasyn", {"k": k, "seed": seed}, ADASYN(random_state=seed, n_neighbors=k), x, y))
            for kind in (1, 2):
                sampler = BorderlineSMOTE(random_state=seed, k_neighbors=k, m_neighbors=8, kind=f"borderline-{kind}")
                cases.append(case("borderline-smote", {"k": k, "m": 8, "kind": kind, "seed": seed}, sampler, x, y))
        cases.append(case("random-over-sampling", {"seed": seed}, RandomOverSampler(random_state=seed), x, y))
        cases.append(case("random-under-sampling", {"seed": seed}, RandomUnderSampler(random_state=seed), x, y))
        sampler = RandomUnderSampler(random_state=seed, sampling_strategy="all")
        cases.append(case("random-under-sampling", {"strategy": "all", "seed": seed}, sampler, x, y))
        cases.append(case("smote-tomek", {"seed": seed}, SMOTETomek(random_state=seed), x, y))
        cases.append(case("smote-enn", {"seed": seed}, SMOTEENN(random_state=seed), x, y))
    if two_classes:
        params = {"ratio": 0.8, "seed": seeds[0]}
        cases.append(case("smote", params, SMOTE(random_state=seeds[0], sampling_strategy=0.8), x, y))
        sampler = RandomUnderSampler(random_state=seeds[0], sampling_strategy=0.8)
        cases.append(case("random-under-sampling", params, sampler, x, y))
    else:
        largest = int(np.bincount(y).max())
        params = {"counts": f"0={largest},2={largest + 3}", "seed": seeds[0]}
        strategy = {0: largest, 2: largest + 3}
        cases.append(case("smote", params, SMOTE(random_state=seeds[0], sampling_strategy=strategy), x, y))
    for strategy in ("auto", "all", "not majority"):
        name = strategy.replace(" ", "-")
        cases.append(case("tomek-links", {"strategy": name}, TomekLinks(sampling_strategy=strategy), x, y))
        for agree, kind in (("all", "all"), ("most", "mode")):
            sampler = EditedNearestNeighbours(sampling_strategy=strategy, kind_sel=kind)
            params = {"strategy": name, "agree": agree}
            cases.append(case("edited-nearest-neighbours", params, sampler, x, y))
    return cases


def twenty():
    """The 20 x 2 set of imbalanced-learn's tests."""
    x = np.array(
        [[0.11622591, -0.0317206], [0.77481731, 0.60935141], [1.25192108, -0.22367336], [0.53366841, -0.30312976],
         [1.52091956, -0.49283504], [-0.28162401, -2.10400981], [0.83680821, 1.72827342], [0.3084254, 0.33299982],
         [0.70472253, -0.73309052], [0.28893132, -0.38761769], [1.15514042, 0.0129463], [0.88407872, 0.35454207],
         [1.31301027, -0.92648734], [-1.11515198, -0.93689695], [-0.18410027, -0.45194484], [0.9281014, 0.53085498],
         [-0.14374509, 0.27370049], [-0.41635887, -0.38299653], [0.08711622, 0.93259929], [1.70580611, -0.11219234]]
    )  # fmt: skip
    y = np.array([0, 1, 0, 0, 0, 1, 1, 1, 1, 1, 1, 0, 0, 1, 1, 1, 1, 0, 1, 0])
    write("twenty", x, y, [], numeric_cases(x, y, (0, 42), True))


def overlapping():
    """Three overlapping normal classes of 14, 40 and 22 rows in 3 columns, in mixed order."""
    rng = np.random.default_rng(1)
    y = rng.permutation(np.repeat([0, 1, 2], [14, 40, 22]))
    x = rng.normal(size=(len(y), 3)) + 0.7 * y[:, None]
    write("overlapping", x, y, [], numeric_cases(x, y, (0, 7), False))


def wide():
    """Two classes of 60 and 25 rows in 16 columns with a common offset: the peer searches by brute force."""
    rng = np.random.default_rng(2)
    y = np.repeat([0, 1], [60, 25])
    x = rng.normal(size=(len(y), 16)) + 0.4 * y[:, None] + 100.0
    write("wide", x, y, [], numeric_cases(x, y, (3,), True))


def mixed():
    """Continuous and nominal columns, two over-sampled classes; many votes are tied."""
    rng = np.random.default_rng(3)
    y = rng.permutation(np.repeat([0, 1, 2], [18, 45, 27]))
    numbers = rng.normal(size=(len(y), 3)) * [1.0, 5.0, 0.3]
    codes = np.column_stack([rng.integers(0, 3, len(y)), rng.integers(10, 16, len(y))])
    x = np.column_stack([numbers[:, 0], codes[:, 0], numbers[:, 1:], codes[:, 1]])
    cases = []
    for seed in (0, 11):
        for k in (2, 4, 5):
            sampler = SMOTENC(categorical_features=[1, 4], random_state=seed, k_neighbors=k)
            cases.append(case("smote-nc", {"k": k, "seed": seed}, sampler, x, y))
    write("mixed", x, y, [1, 4], cases)


def nominal():
    """Nominal columns whose values are frequent enough to differ in their classes, rows far enough apart to order."""
    rng = np.random.default_rng(4)
    y = np.repeat([0, 1, 2], [60, 15, 24])
    x = np.column_stack([rng.integers(0, 5 + 3 * c, len(y)) + (y > 0) * rng.integers(0, 3, len(y)) for c in range(6)])
    cases = []
    for seed in (0, 5):
        for k in (2, 3, 5):
            sampler = SMOTEN(random_state=seed, k_neighbors=k)
            cases.append(case("smote-n", {"k": k, "seed": seed}, sampler, x, y))
    from imblearn.metrics.pairwise import ValueDifferenceMetric

    categories = [np.unique(column) for column in x.T]
    codes = np.column_stack([np.searchsorted(c, column) for c, column in zip(categories, x.T)])
    metric = ValueDifferenceMetric(n_categories=[len(c) for c in categories]).fit(codes, y)
    for label in (1, 2):
        distance = np.sort(metric.pairwise(codes[y == label]), axis=1)
        assert (np.diff(distance[:, :8], axis=1) > 1e-12).all(), "two neighbours are equally far"
    write("nominal", x.astype(float), y, list(range(6)), cases)


def draws():
    """The legacy generator itself, ranges beyond 32 bits included."""
    out = []
    for seed in (0, 1, 42, 2**32 - 1):
        rng = np.random.RandomState(seed)
        below = [[n, rng.randint(0, n, size=5).tolist()] for n in (1, 2, 40, 1000, 2**31, 2**32, 2**33, 10**12)]
        uniform = rng.uniform(size=5).tolist()
        permutation = rng.permutation(12).tolist()
        out.append({"seed": seed, "below": below, "uniform": uniform, "permutation": permutation})
    (HERE / "draws.json").write_text(json.dumps(out) + "\n")


draws()
twenty()
overlapping()
wide()
mixed()
nominal()
