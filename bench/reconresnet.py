"""The network of ReconResNet beside PyTorch: one image of 256 x 256 pixels through the authors' size (17.26 million parameters).

    pip install numpy torch
    cargo build --release -p quadrat-bench
    python bench/reconresnet.py [--only NAME ...] [--repeats N]

The same weights and image on both sides, without gradients, five times in a process, on one thread and on two. `best_seconds` is the
quickest pass, which says more than the sum on a machine with other work; `mean_answer` of both sides must agree.
"""

import time

import side_by_side

ROUNDS = 5


def peer(threads, features, down, blocks, side):
    import numpy as np
    import torch
    from torch import nn

    threads, f, down, blocks, side = map(int, (threads, features, down, blocks, side))
    torch.set_num_threads(threads)
    order = []

    def conv(layer, *more):
        order.append(layer.weight)
        for slope in more:
            order.append(slope.weight)
        return layer

    class Block(nn.Module):
        def __init__(self, f):
            super().__init__()
            slope = nn.PReLU()
            one = conv(nn.Conv2d(f, f, 3, bias=False), slope)
            two = conv(nn.Conv2d(f, f, 3, bias=False))
            norm = nn.InstanceNorm2d
            self.way = nn.Sequential(nn.ReflectionPad2d(1), one, norm(f), slope, nn.ReflectionPad2d(1), two, norm(f))

        def forward(self, x):
            return x + self.way(x)

    slope = nn.PReLU()
    layers = [nn.ReflectionPad2d(3), conv(nn.Conv2d(1, f, 7, bias=False), slope), nn.InstanceNorm2d(f), slope]
    for _ in range(down):
        slope = nn.PReLU()
        layers += [conv(nn.Conv2d(f, 2 * f, 3, 2, 1, bias=False), slope), nn.InstanceNorm2d(2 * f), slope]
        f *= 2
    layers += [Block(f) for _ in range(blocks)]
    for _ in range(down):
        slope = nn.PReLU()
        up = conv(nn.ConvTranspose2d(f, f // 2, 3, 2, 1, 1, bias=False), slope)
        layers += [up, nn.InstanceNorm2d(f // 2), slope]
        f //= 2
    last = nn.Conv2d(f, 1, 7)
    order += [last.weight, last.bias]
    network = nn.Sequential(*layers, nn.ReflectionPad2d(3), last, nn.Sigmoid()).eval()
    seconds = []
    with torch.inference_mode():
        for p, weight in enumerate(order):
            values = 0.02 * np.sin(1 + 0.7 * p + 1.9 * np.arange(weight.numel()))
            weight.copy_(torch.from_numpy(values.astype(np.float32)).reshape(weight.shape))
        i, j = np.indices((side, side))
        image = torch.from_numpy(((7 * i + 3 * j) % 17 / 16).astype(np.float32))[None, None]
        network(image)
        for _ in range(ROUNDS):
            start = time.perf_counter()
            answer = network(image)
            seconds.append(time.perf_counter() - start)
    return sum(seconds), {"best_seconds": min(seconds), "mean_answer": answer.double().mean().item()}


if __name__ == "__main__":
    sizes = {"official-256": (64, 2, 14, 256), "small-64": (16, 1, 4, 64)}
    cases = {}
    for name, size in sizes.items():
        words = [f"{key}={value}" for key, value in zip(("features", "down", "blocks", "side"), size)]
        for threads in (1, 2):
            ours = ["reconresnet", *words, f"rounds={ROUNDS}", f"workers={threads}"]
            cases[f"{name}, {threads} threads"] = (ours, [str(threads), *map(str, size)], {"peer": "torch"})
    side_by_side.pairs(__file__, ["torch"], cases, peer)
