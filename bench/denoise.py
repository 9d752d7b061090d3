"""Blind-spot networks and random sub-samples, side by side with PyTorch and with the official loop.

    pip install torch numpy
    cargo build --release -p quadrat-bench
    python bench/denoise.py [--only NAME ...] [--repeats N]

DBSNl (Lee et al. 2022, CVPR; the network of p1y2z3/SDAP and wooseoklee4/AP-BSN) is ported below; weights and inputs are sines of
their place, so that both sides compute the same, and each prints the sum of its answer. Inference is of one picture of
512 x 512 in colour by parts of stride 2, a batch of four, without enhancement; `official` has base 128 and 9 modules, `small` 32 and 4. Training is a forward
and a backward pass of the size `tiny` and `small` on 100 sub-images of 8 x 8, 20 of 16 x 16. Masks are those of a batch of 16 patches of 160 x 160, stride 5: the
official code shuffles 25 places in NumPy, cell by cell.

`python bench/denoise.py --golden` prints the values that the tests of the network and of non-local means hold on to (NumPy,
PyTorch, scikit-image and PyWavelets).
"""

import sys
import time

import numpy as np

import side_by_side

SIZES = {"tiny": (1, 16, 3), "small": (3, 32, 4), "official": (3, 128, 9)}


def dbsn(channels, base, modules):
    import torch
    from torch import nn

    class Masked(nn.Conv2d):
        def forward(self, x):
            mask = torch.ones_like(self.weight)
            mask[:, :, self.kernel_size[0] // 2, self.kernel_size[1] // 2] = 0
            return self._conv_forward(x, self.weight * mask, self.bias)

    class Module(nn.Module):
        def __init__(self, d):
            super().__init__()
            self.body = nn.Sequential(nn.Conv2d(base, base, 3, padding=d, dilation=d), nn.ReLU(), nn.Conv2d(base, base, 1))

        def forward(self, x):
            return x + self.body(x)

    def branch(d):
        mix = [nn.Conv2d(base, base, 1), nn.ReLU()]
        more = [nn.Conv2d(base, base, 1), nn.ReLU()]
        last = [nn.Conv2d(base, base, 1), nn.ReLU()]
        masked = Masked(base, base, 2 * d - 1, padding=d - 1)
        return nn.Sequential(masked, nn.ReLU(), *mix, *more, *[Module(d) for _ in range(modules)], *last)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = nn.Sequential(nn.Conv2d(channels, base, 1), nn.ReLU())
            self.two, self.three = branch(2), branch(3)
            half = base // 2
            self.tail = nn.Sequential(nn.Conv2d(2 * base, base, 1), nn.ReLU(), nn.Conv2d(base, half, 1), nn.ReLU(),
                                      nn.Conv2d(half, half, 1), nn.ReLU(), nn.Conv2d(half, channels, 1))

        def forward(self, x):
            x = self.head(x)
            return self.tail(torch.cat([self.two(x), self.three(x)], 1))

    net = Net()
    with torch.no_grad():
        fan = 1
        for k, p in enumerate(net.parameters()):
            if p.dim() == 4:
                fan = p[0].numel()
            values = np.sin(1.3 * np.arange(p.numel()) + k) / np.sqrt(fan)
            p.copy_(torch.from_numpy(values.astype(np.float32)).reshape(p.shape))
    return net


def picture(channels, height, width):
    return ((np.sin(0.7 * np.arange(channels * height * width)) + 1) / 2).astype(np.float32).reshape(channels, height, width)


def golden():
    import torch
    from skimage.restoration import denoise_nl_means, estimate_sigma

    net = dbsn(3, 4, 2)
    with torch.no_grad():
        y = net(torch.from_numpy(picture(3, 9, 11))[None])[0].numpy()
    print("network", y[0, 0, 0], y[1, 4, 5], y[2, 8, 10], y.astype(np.float64).sum(), np.abs(y).astype(np.float64).sum())
    grey = np.clip(np.outer(np.linspace(0, 1, 24), np.ones(21)) * 0.8 + 0.1 * np.sin(0.9 * np.arange(24 * 21) ** 2).reshape(24, 21), 0, 1)
    colour = np.clip(np.stack([grey, 1 - grey, 0.5 * grey + 0.2], -1), 0, 1)
    for image, axis in [(grey, None), (colour, -1)]:
        sigma = float(np.mean(estimate_sigma(image, channel_axis=axis)))
        options = dict(patch_size=5, patch_distance=6, fast_mode=True, channel_axis=axis)
        for image, sigma in [(image, sigma), (image.astype(np.float64), 0.05)]:
            out = denoise_nl_means(image, h=0.8 * sigma, sigma=sigma, **options)
            print("means", sigma, out[0, 0].ravel(), out[12, 10].ravel(), out[23, 20].ravel(), out.sum())


def masks(patches, side, p):
    """The official code's way: a shuffle for every cell."""
    cells = (side // p) ** 2
    for _ in range(patches):
        mask = np.zeros((p * p, cells), dtype=np.int64)
        for cell in range(cells):
            order = np.arange(p * p)
            np.random.shuffle(order)
            mask[:, cell] = order
    return mask


def peer(what, size="", *_):
    if what == "masks":
        start = time.perf_counter()
        masks(16, 160, 5)
        return time.perf_counter() - start, {}
    import torch

    torch.set_num_threads(side_by_side.THREADS)
    channels, base, modules = SIZES[size]
    net = dbsn(channels, base, modules)
    if what == "infer":
        x = torch.from_numpy(picture(channels, 512, 512))[None]
        parts = torch.pixel_unshuffle(x, 2).reshape(1, channels, 4, 256, 256).transpose(1, 2).reshape(4, channels, 256, 256)
        with torch.no_grad():
            start = time.perf_counter()
            y = net(parts).clamp(0, 1)
            seconds = time.perf_counter() - start
        return seconds, {"sum": float(y.double().sum())}
    n, side, steps = {"tiny": (100, 8, 50), "small": (20, 16, 50)}[size]
    x = torch.from_numpy(picture(n * channels, side, side)).reshape(n, channels, side, side)
    seconds = float("inf")
    for _ in range(steps):
        start = time.perf_counter()
        net.zero_grad()
        (net(x) - x).abs().mean().backward()
        seconds = min(seconds, time.perf_counter() - start)
    return seconds, {}


def cases():
    made = {}
    for size in ("small", "official"):
        made[f"inference, {size}, 512 x 512"] = (["denoise-infer", f"size={size}"], ["infer", size], {})
    for size in ("tiny", "small"):
        made[f"training pass, {size}"] = (["denoise-train", f"size={size}"], ["train", size], {})
    made["sub-sample masks, 16 x 160 x 160"] = (["denoise-masks"], ["masks"], {"peer_name": "official loop"})
    return made


if __name__ == "__main__":
    if sys.argv[1:] == ["--golden"]:
        golden()
    else:
        side_by_side.pairs(__file__, ["torch", "numpy"], cases(), peer)
