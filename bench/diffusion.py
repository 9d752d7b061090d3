"""Diffusion side by side with k-diffusion, diffusers, numpy and PyTorch.

    pip install numpy torch k-diffusion diffusers
    cargo build --release -p quadrat-bench
    python bench/diffusion.py [--only NAME ...] [--repeats N]

Solvers run over a model that is one product, so that what is left is their own time: DPM-Solver++ 2M on 50 Karras levels from 10 to 0.02,
a hundred times over. k-diffusion counts its progress bar unless it is told not to, which it is here; diffusers has its levels and tables
made beforehand, and its step called in a loop. Particles draw the third power of a law of three modes in the plane with annealed scores and
weights, resampled systematically below half of the effective size: numpy has the same sums in whole-array operations. Training steps are
those of a multilayer perceptron of 3 x 512 units with Karras et al.'s loss, batches of 512 rows of 64 numbers, Adam, gradients of at most
length 1 and a moving average on both sides. MMD is
unbiased, of a cubic kernel, in double precision on both sides. Minority scores are those of a network of 2 x 256 units. Every run is a fresh process, ours and the peer's in turn.
"""

import time

import side_by_side

# name: our words, the peer and its words
WORKLOADS = {
    "Solver, 64 x 64, 50 steps, k-diffusion": (["diffusion-solver", "rows=64", "dims=64"], ["k", "64", "64"]),
    "Solver, 1 x 3,072, 50 steps, k-diffusion": (["diffusion-solver", "rows=1", "dims=3072"], ["k", "1", "3072"]),
    "Solver, 64 x 64, 50 steps, diffusers": (["diffusion-solver", "rows=64", "dims=64"], ["d", "64", "64"]),
    "Solver, 1 x 3,072, 50 steps, diffusers": (["diffusion-solver", "rows=1", "dims=3072"], ["d", "1", "3072"]),
    "Particles, 16,384, 100 steps, numpy": (["diffusion-particles"], ["particles", "16384", "100"]),
    "Training, 3 x 512, batch 512, 50 steps, PyTorch": (["diffusion-train"], ["train", "50"]),
    "MMD and gradient, 1,024 x 2,048, ten times, PyTorch": (["diffusion-mmd"], ["mmd", "1024", "2048"]),
    "Minority scores, 60,000 x 784, five noises, PyTorch": (["diffusion-score"], ["score", "60000"]),
}


def solver(kind, rows, dims, times=100):
    import torch

    torch.set_num_threads(side_by_side.THREADS)
    torch.manual_seed(1)
    steps = 50
    rho = torch.linspace(0, 1, steps, dtype=torch.float64)
    sigmas = (10 ** (1 / 7) + rho * (0.02 ** (1 / 7) - 10 ** (1 / 7))) ** 7
    sigmas = torch.cat([sigmas, torch.zeros(1, dtype=torch.float64)])
    start = 10 * torch.randn(rows, dims, dtype=torch.float64)
    if kind == "k":
        from k_diffusion.sampling import sample_dpmpp_2m

        def once():
            model = lambda x, sigma, **_: x / (1 + sigma.reshape(-1, 1) ** 2)
            return sample_dpmpp_2m(model, start, sigmas, disable=True)
    else:
        from diffusers import EDMDPMSolverMultistepScheduler

        scheduler = EDMDPMSolverMultistepScheduler(sigma_min=0.02, sigma_max=10.0, sigma_data=1.0, rho=7.0)

        def once():
            scheduler.set_timesteps(steps)
            x = start
            for i, t in enumerate(scheduler.timesteps):
                sigma = scheduler.sigmas[i]
                data = x / (1 + sigma**2)
                # The scheduler takes the network's raw answer F; D = c_skip x + c_out F.
                answer = (data - x / (sigma**2 + 1)) / (sigma / (sigma**2 + 1) ** 0.5)
                x = scheduler.step(answer, t, x).prev_sample
            return x

    once()
    begun = time.perf_counter()
    for _ in range(times):
        end = once()
    seconds = time.perf_counter() - begun
    return seconds, {"mean_shrinkage": float((end / start).abs().mean())}


def particles(n, steps):
    import numpy as np

    rng = np.random.default_rng(1)
    weights, means, variances = np.array([0.5, 0.3, 0.2]), np.array([[-3.0, 0], [3.0, 0], [0, 4.0]]), np.array([0.5, 0.7, 0.4])
    power = 3.0
    rho = np.linspace(0, 1, steps + 1)
    sigmas = (20 ** (1 / 7) + rho * (0.02 ** (1 / 7) - 20 ** (1 / 7))) ** 7
    x, logs = 20 / np.sqrt(power) * rng.standard_normal((n, 2)), np.zeros(n)
    begun = time.perf_counter()
    for high, low in zip(sigmas[:-1], sigmas[1:]):
        spread = variances + high**2
        off = means[None] - x[:, None]
        log = np.log(weights) - np.log(spread) - (off**2).sum(2) / (2 * spread)
        share = np.exp(log - log.max(1, keepdims=True))
        share /= share.sum(1, keepdims=True)
        score = (share[:, :, None] * off / spread[None, :, None]).sum(1)
        step = high**2 - low**2
        # dx = g² b s dt + g dW beside d ln w = g²/2 b (b - 1) |s|² dt, time running backwards.
        logs += 0.5 * step * power * (power - 1) * (score**2).sum(1)
        x = x + step * power * score + np.sqrt(step) * rng.standard_normal((n, 2))
        shares = np.exp(logs - logs.max())
        shares /= shares.sum()
        if 1 / (shares**2).sum() < 0.5 * n:
            x = x[np.searchsorted(np.cumsum(shares), (rng.random() + np.arange(n)) / n).clip(max=n - 1)]
            logs = np.zeros(n)
    seconds = time.perf_counter() - begun
    return seconds, {"particle_steps_a_second": n * steps / seconds}


def train(steps, units=512, batch=512, dims=64):
    import torch
    from torch import nn

    torch.set_num_threads(side_by_side.THREADS)
    torch.manual_seed(1)
    layers, width = [], dims + 9
    for _ in range(3):
        layers += [nn.Linear(width, units), nn.SiLU()]
        width = units
    net = nn.Sequential(*layers, nn.Linear(width, dims))
    average = [p.detach().clone() for p in net.parameters()]
    optimiser = torch.optim.Adam(net.parameters(), lr=1e-3)
    rows = torch.randn(batch, dims)
    octaves = torch.pi * 2.0 ** torch.arange(4)
    begun = time.perf_counter()
    for _ in range(steps):
        sigma = (1.2 * torch.randn(batch, 1) - 0.5069).exp()
        z = rows + sigma * torch.randn(batch, dims)
        scale = (sigma**2 + 1) ** 0.5
        told = sigma.log() / 4
        answer = net(torch.cat([z / scale, told, (told * octaves).sin(), (told * octaves).cos()], 1))
        loss = (answer - (rows - z / scale**2) / (sigma / scale)).square().mean()
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        with torch.no_grad():
            torch._foreach_lerp_(average, list(net.parameters()), 0.1)
    return time.perf_counter() - begun, {"loss": float(loss)}


def mmd(rows, columns, times=10):
    import torch

    torch.set_num_threads(side_by_side.THREADS)
    torch.manual_seed(1)
    x = torch.randn(rows, columns, dtype=torch.float64, requires_grad=True)
    y = 0.1 + torch.randn(rows, columns, dtype=torch.float64)
    kernel = lambda a, b: (a @ b.T / columns + 1) ** 3
    off = 1 - torch.eye(rows, dtype=torch.float64)
    begun = time.perf_counter()
    for _ in range(times):
        value = ((kernel(x, x) + kernel(y, y)) * off).sum() / (rows * (rows - 1)) - 2 * kernel(x, y).mean()
        (gradient,) = torch.autograd.grad(value, x)
    return time.perf_counter() - begun, {"value": float(value)}


def score(rows, dims=784, batch=1000):
    import torch
    from torch import nn

    torch.set_num_threads(side_by_side.THREADS)
    torch.manual_seed(1)
    net = nn.Sequential(nn.Linear(dims + 9, 256), nn.SiLU(), nn.Linear(256, 256), nn.SiLU(), nn.Linear(256, dims))
    x = torch.randn(rows, dims)
    alpha, sigma = 0.66**0.5, 0.34**0.5
    ratio = torch.tensor(sigma / alpha)
    told = ratio.log() / 4
    octaves = torch.pi * 2.0 ** torch.arange(4)
    told = torch.cat([told[None], (told * octaves).sin(), (told * octaves).cos()])
    all_scores = []
    begun = time.perf_counter()
    with torch.inference_mode():
        for part in x.split(batch):
            total = torch.zeros(len(part))
            for _ in range(5):
                z = part + ratio * torch.randn_like(part)
                scale = (ratio**2 + 1) ** 0.5
                answer = net(torch.cat([z / scale, told.expand(len(part), -1)], 1))
                total += (z / scale**2 + ratio / scale * answer - part).norm(dim=1)
            all_scores.append(total / 5)
    return time.perf_counter() - begun, {"mean_score": float(torch.cat(all_scores).mean())}


def peer(kind, *words):
    numbers = [int(word) for word in words]
    if kind in ("k", "d"):
        return solver(kind, *numbers)
    return {"particles": particles, "train": train, "mmd": mmd, "score": score}[kind](*numbers)


if __name__ == "__main__":
    library = lambda name: {"library": name.rsplit(", ", 1)[1]}
    cases = {name: (ours, theirs, library(name)) for name, (ours, theirs) in WORKLOADS.items()}
    side_by_side.pairs(__file__, ["numpy", "torch", "k-diffusion", "diffusers"], cases, peer)
