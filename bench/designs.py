"""Projection DPPs side by side with DPPy.

    pip install numpy dppy
    cargo build --release -p quadrat-bench
    python bench/designs.py [--only NAME ...] [--repeats N]

Both start from the same feature matrix and end with the rows drawn: a QR decomposition for orthonormal columns, then
one draw (DPPy: FiniteDPP in "GS" mode on the orthonormal rows). Every run is a fresh process, ours and the peer's in
turn, on two threads. The repeated design has no peer: its time alone is recorded.
"""

import time

import side_by_side

# name: our workload, rows, features, whether the peer can do it
WORKLOADS = {
    "projection DPP 100,000 x 100": ("projection-dpp", 100_000, 100, True),
    "100 repeated DPPs 1,000,000 x 100": ("repeated-design", 1_000_000, 100, False),
}


def peer(path):
    import numpy as np
    from dppy.finite_dpps import FiniteDPP

    features = np.load(path)
    start = time.perf_counter()
    q = np.linalg.qr(features)[0]
    dpp = FiniteDPP("correlation", projection=True, K_eig_dec=(np.ones(q.shape[1]), q))
    rows = dpp.sample_exact(mode="GS", random_state=np.random.RandomState(1))
    seconds = time.perf_counter() - start
    return seconds, {"points": len(rows)}


def write_data(folder):
    import numpy as np

    for _, rows, columns, _ in WORKLOADS.values():
        np.save(f"{folder}/{rows}.npy", np.random.default_rng(rows).normal(size=(rows, columns)))


if __name__ == "__main__":
    place = "{folder}/%d.npy"
    cases = {
        name: ([workload, f"in={place % rows}"], [place % rows] if has_peer else None, {})
        for name, (workload, rows, _, has_peer) in WORKLOADS.items()
    }
    side_by_side.pairs(__file__, ["numpy", "dppy"], cases, peer, write_data)
