"""Reconstruction side by side with FINUFFT, SigPy and torchkbnufft.

    pip install numpy finufft sigpy torch torchkbnufft
    cargo build --release -p quadrat-bench
    python bench/recon.py [--only NAME ...] [--repeats N]

Transforms of 256 x 256 images at golden-angle spokes of 512 points: one forward transform and one adjoint, ten times over, in single
precision, with plans, tables and compilation done and one run of each before the clock starts. Kernels are those that come nearest to the
tolerance: FINUFFT is told it; SigPy has width 4 (2.7e-4) and 6 (2.5e-6) on a grid twice as fine (its own defaults are coarser: 3.3e-3);
torchkbnufft has its defaults. Total variation is SigPy's primal-dual solver of anisotropic edges with as many steps; ours has isotropic ones.
Every run is a fresh process, ours and the peer's in turn.
"""

import time

import side_by_side

SPOKES = (60, 405)
COILS = (1, 15)
DIGITS = (3, 6)

WORKLOADS = {}
for spokes in SPOKES:
    for coils in COILS:
        for digits in DIGITS:
            words = ["recon-nufft", f"spokes={spokes}", f"coils={coils}", f"digits={digits}"]
            for peer in ("finufft", "sigpy", "torchkbnufft"):
                name = f"NUFFT, {spokes} x 512, {coils} coil{'s' if coils > 1 else ''}, 1e-{digits}, {peer}"
                WORKLOADS[name] = (words, [peer, str(spokes), str(coils), str(digits)])
WORKLOADS["Total variation, 128 x 128, 200 steps, sigpy"] = (["recon-tv"], ["tv"])
WORKLOADS["Compensation, Toeplitz and 20 CG rounds, 256 x 256, 60 spokes"] = (["recon-cg"], None)


def trajectory(spokes):
    import numpy as np

    radius = np.arange(512) / 512 - 0.5
    angle = np.deg2rad(np.arange(spokes) * 111.24611797498107)
    return np.stack([np.outer(np.sin(angle), radius), np.outer(np.cos(angle), radius)], -1).reshape(-1, 2) * 256


def repeated(forward, adjoint, times=10):
    adjoint(forward())
    there = back = 0.0
    for _ in range(times):
        begun = time.perf_counter()
        samples = forward()
        between = time.perf_counter()
        adjoint(samples)
        there, back = there + between - begun, back + time.perf_counter() - between
    return there + back, {"forward_seconds": there / times, "adjoint_seconds": back / times}


def transform(kind, spokes, coils, digits):
    import numpy as np

    rng = np.random.default_rng(1)
    images = (rng.standard_normal((coils, 256, 256)) + 1j * rng.standard_normal((coils, 256, 256))).astype(np.complex64)
    k = trajectory(spokes)
    if kind == "finufft":
        import finufft

        options = dict(n_trans=coils, eps=10.0**-digits, dtype="complex64", nthreads=side_by_side.THREADS)
        begun = time.perf_counter()
        radians = (k * 2 * np.pi / 256).astype(np.float32)
        plans = [finufft.Plan(which, (256, 256), isign=sign, **options) for which, sign in ((2, -1), (1, 1))]
        for plan in plans:
            plan.setpts(np.ascontiguousarray(radians[:, 0]), np.ascontiguousarray(radians[:, 1]))
        planned = time.perf_counter() - begun
        images = images if coils > 1 else images[0]
        seconds, figures = repeated(lambda: plans[0].execute(images), lambda y: plans[1].execute(y))
        return seconds, figures | {"plan_seconds": planned}
    if kind == "sigpy":
        import numba
        import sigpy

        numba.set_num_threads(side_by_side.THREADS)
        k = k.astype(np.float32)
        how = dict(oversamp=2, width=4 if digits == 3 else 6)
        return repeated(lambda: sigpy.nufft(images, k, **how), lambda y: sigpy.nufft_adjoint(y, k, images.shape, **how))
    import torch
    import torchkbnufft

    torch.set_num_threads(side_by_side.THREADS)
    omega = torch.tensor((k * 2 * np.pi / 256).T.astype(np.float32))
    there = torchkbnufft.KbNufft(im_size=(256, 256))
    back = torchkbnufft.KbNufftAdjoint(im_size=(256, 256))
    x = torch.tensor(images)[None]
    with torch.no_grad():
        return repeated(lambda: there(x, omega), lambda y: back(y, omega))


def total_variation():
    import numba
    import numpy as np
    import sigpy.mri.app

    numba.set_num_threads(side_by_side.THREADS)
    rng = np.random.default_rng(1)
    kept = rng.random((128, 128)) < 0.3
    samples = (kept * (rng.standard_normal((128, 128)) + 1j * rng.standard_normal((128, 128)))).astype(np.complex64)[None]
    maps = np.ones((1, 128, 128), np.complex64)
    app = lambda steps: sigpy.mri.app.TotalVariationRecon(samples, maps, 0.005, weights=kept[None], max_iter=steps, show_pbar=False)
    app(2).run()
    begun = time.perf_counter()
    app(200).run()
    return time.perf_counter() - begun, {}


def peer(kind, *words):
    return total_variation() if kind == "tv" else transform(kind, *map(int, words))


if __name__ == "__main__":
    packages = ("numpy", "finufft", "sigpy", "torch", "torchkbnufft")
    cases = {name: (mine, theirs, {}) for name, (mine, theirs) in WORKLOADS.items()}
    side_by_side.pairs(__file__, packages, cases, peer, repeats=3)
