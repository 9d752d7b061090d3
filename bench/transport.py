"""Wasserstein distances side by side with POT.

    pip install numpy scipy POT
    cargo build --release -p quadrat-bench
    python bench/transport.py [--only NAME ...] [--repeats N]

Exact W1, costs included, between 2,000 and 2,000 rows: uniform on a square, normal in 20 columns, and two normals far
apart; and between 2,000 and 1,500 rows. The peer is `ot.emd2` on `ot.dist(a, b, "euclidean")`. Sliced W1 over 500 random
directions; the peer is `ot.sliced_wasserstein_distance`. Every run is a fresh process, ours and the peer's in turn, on two
threads. The distances of both sides are recorded: the exact ones must agree.
"""

import time

import side_by_side

# name: our workload and the data
WORKLOADS = {
    "exact W1, 2,000 x 2,000 rows on a square": ("transport-exact", "square"),
    "exact W1, 2,000 x 2,000 normal rows, 20 columns": ("transport-exact", "normal"),
    "exact W1, 2,000 x 2,000 rows, clouds apart": ("transport-exact", "apart"),
    "exact W1, 2,000 x 1,500 rows": ("transport-exact", "unequal"),
    "sliced W1, 500 directions, 2,000 x 2,000 rows, 20 columns": ("transport-sliced", "normal"),
}


def peer(workload, data, folder):
    import numpy as np
    import ot

    a, b = (np.load(f"{folder}/{data}-{side}.npy") for side in "ab")
    start, cpu = time.perf_counter(), time.process_time()
    if workload == "transport-exact":
        distance = ot.emd2([], [], ot.dist(a, b, "euclidean"), numItermax=10**7)
    else:
        distance = ot.sliced_wasserstein_distance(a, b, n_projections=500, p=1, seed=1)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    return seconds, {"cpu_seconds": cpu, "figure": float(distance)}


def write_data(folder):
    import numpy as np

    rng = np.random.default_rng(1)
    pairs = {
        "square": (rng.random((2000, 2)), rng.random((2000, 2))),
        "normal": (rng.normal(size=(2000, 20)), rng.normal(size=(2000, 20))),
        "apart": (rng.normal(size=(2000, 2)), 0.5 * rng.normal(size=(2000, 2)) + 2),
        "unequal": (rng.normal(size=(2000, 2)), rng.normal(size=(1500, 2))),
    }
    for name, sides in pairs.items():
        for side, value in zip("ab", sides):
            np.save(f"{folder}/{name}-{side}.npy", value)


if __name__ == "__main__":
    words = lambda workload, data: ([workload, "in={folder}", f"data={data}"], [workload, data, "{folder}"], {})
    cases = {name: words(*workload) for name, workload in WORKLOADS.items()}
    side_by_side.pairs(__file__, ["POT", "numpy"], cases, peer, write_data)
