"""Calibration of class probabilities side by side with torchmetrics, netcal and NumPy.

    pip install numpy scipy torch torchmetrics netcal
    cargo build --release -p quadrat-bench
    python bench/calibration.py [--only NAME ...] [--repeats N]

A million rows of ten float32 probabilities, the softmax of normal logits with the label's raised. The calibration error
with 15 bins of equal width: the peers are `torchmetrics.functional.classification.multiclass_calibration_error` and
`netcal.metrics.ECE`. The area under the risk-coverage curve, alone and together with the calibration error: the peer is
NumPy (maximum, stable sort, running sums), as no library has it in one call. The temperature, on 100,000 rows: the peer is
SciPy's bounded search over ln T on NumPy's loss in double precision. Every run is a fresh process, ours and the peer's in
turn, on two threads. The figures of both sides are recorded: they must agree.
"""

import time

import side_by_side

ERROR = "calibration error, 15 bins, 1,000,000 x 10"


def numpy_area(np, p, y):
    order = np.argsort(-p.max(axis=1), kind="stable")
    wrong = (p.argmax(axis=1) != y)[order]
    return float(np.mean(np.cumsum(wrong) / np.arange(1, len(y) + 1)))


def numpy_error(np, p, y, bins=15):
    confidence = p.max(axis=1)
    right = p.argmax(axis=1) == y
    edges = (np.arange(1, bins + 1) / bins).astype(np.float32)
    place = np.searchsorted(edges[:-1], confidence, side="left")
    gaps = np.bincount(place, right, bins) - np.bincount(place, confidence, bins)
    return float(np.abs(gaps).sum() / len(y))


def peer(library, workload, folder):
    import numpy as np

    p, y = np.load(f"{folder}/{workload}-x.npy"), np.load(f"{folder}/{workload}-y.npy").ravel().astype(np.int64)
    if library == "torchmetrics":
        import torch
        from torchmetrics.functional.classification import multiclass_calibration_error

        torch.set_num_threads(side_by_side.THREADS)
        p, y = torch.from_numpy(p), torch.from_numpy(y)
        work = lambda: float(multiclass_calibration_error(p, y, num_classes=p.shape[1], n_bins=15))
    elif library == "netcal":
        from netcal.metrics import ECE

        work = lambda: float(ECE(15).measure(p, y))
    elif library == "numpy-area":
        work = lambda: numpy_area(np, p, y)
    elif library == "numpy-both":
        work = lambda: numpy_error(np, p, y) + numpy_area(np, p, y)
    else:
        from scipy.optimize import minimize_scalar

        z, rows = p.astype(np.float64), np.arange(len(y))

        def loss(log_t):
            scaled = z / np.exp(log_t)
            scaled -= scaled.max(axis=1, keepdims=True)
            return np.mean(np.log(np.exp(scaled).sum(axis=1)) - scaled[rows, y])

        work = lambda: float(np.exp(minimize_scalar(loss, bounds=(np.log(0.01), np.log(100)), options={"xatol": 1e-8}).x))
    start, cpu = time.perf_counter(), time.process_time()
    figure = work()
    return time.perf_counter() - start, {"cpu_seconds": time.process_time() - cpu, "figure": figure}


def write_data(folder):
    import numpy as np

    rng = np.random.default_rng(1)
    for name, rows in (("probabilities", 1_000_000), ("logits", 100_000)):
        y = rng.integers(0, 10, rows)
        z = 2 * rng.standard_normal((rows, 10), dtype=np.float32)
        z[np.arange(rows), y] += 3
        if name == "probabilities":
            z = np.exp(z - z.max(axis=1, keepdims=True))
            z /= z.sum(axis=1, keepdims=True)
        np.save(f"{folder}/{name}-x.npy", z)
        np.save(f"{folder}/{name}-y.npy", y.astype(np.float32)[:, None])


if __name__ == "__main__":
    words = lambda workload, peer, data, library: (
        [workload, "in={folder}", f"data={data}"], [peer, data, "{folder}"], {"library": library})
    cases = {
        ERROR: words("calibration-error", "torchmetrics", "probabilities", "torchmetrics"),
        f"{ERROR} (netcal)": words("calibration-error", "netcal", "probabilities", "netcal"),
        "risk-coverage area, 1,000,000 x 10": words("calibration-area", "numpy-area", "probabilities", "numpy"),
        "calibration error and risk-coverage area, 1,000,000 x 10":
            words("calibration-both", "numpy-both", "probabilities", "numpy"),
        "temperature, 100,000 x 10": words("calibration-temperature", "scipy", "logits", "numpy / scipy"),
    }
    side_by_side.pairs(__file__, ["torch", "torchmetrics", "netcal", "numpy", "scipy"], cases, peer, write_data)
