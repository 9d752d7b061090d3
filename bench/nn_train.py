"""Steps of training whole networks, side by side with PyTorch on two threads.

    pip install torch numpy
    cargo build --release -p quadrat-bench
    python bench/nn_train.py [--only NAME ...] [--repeats N]

mlp 784-512-512-10 at batch 128 (AdamW); cnn 3x3 convolutions of 32, 64 and 128 channels with batch norm on 64 images of 3
x 32 x 32 (momentum; PyTorch with channels last); convnet 3x3 convolutions of 16 and 32 channels with stride 2 and 128
units on 128 images of 28 x 28; small 2-128-128-1 with tanh at batch 4096, and laplacian a loss of that network's second
derivatives by its inputs (PyTorch: differentiated twice); transformer of 4 blocks, width 128, 4 heads, 16 sequences of
128 tokens of 512; unet of width 32 on 64 images of 28 x 28 with a time; wide 784-2048-2048-10 at batch 128, against it
sparse with 5% of its weights (PyTorch: dense with masks); deep four layers of 2048 x 2048 at batch 64 (AdamW), and sara
the same with the smallest 5% of the weights trained (PyTorch: all; no penalty). decode is the transformer writing 128
tokens of one sequence, one by one, keys and values kept. Data are noise. Every run is a fresh process, ours and the
peer's in turn: three unmeasured steps, then STEPS; `best_seconds` is the quickest step, which says most on a busy
machine.
"""

import math
import time

import side_by_side

STEPS = 20
NETS = ["mlp", "cnn", "convnet", "small", "laplacian", "transformer", "unet", "wide", "sparse", "deep", "sara", "decode"]


def prepare(name):
    import torch
    from torch import nn
    from torch.nn import functional as f

    torch.set_num_threads(side_by_side.THREADS)
    torch.manual_seed(1)

    def sgd(params):
        return torch.optim.SGD(params, lr=1e-3, momentum=0.9, nesterov=True, weight_decay=5e-4, fused=True)

    def adam(params):
        return torch.optim.AdamW(params, lr=1e-3, weight_decay=0.01, fused=True)

    def training(net, optimizer, x, y, loss, after=None):
        opt = optimizer(net.parameters())

        def step():
            opt.zero_grad(set_to_none=True)
            loss(net(x), y).backward()
            opt.step()
            if after:
                after()
        return step

    def mlp(*widths, act=nn.ReLU):
        layers = []
        for i, (a, b) in enumerate(zip(widths, widths[1:])):
            layers += [nn.Linear(a, b)] + ([act()] if i + 2 < len(widths) else [])
        return nn.Sequential(*layers)

    classes = lambda n: torch.randint(0, 10, (n,))
    if name == "mlp":
        return training(mlp(784, 512, 512, 10), adam, torch.randn(128, 784), classes(128), f.cross_entropy)
    if name in ("wide", "sparse"):
        net = mlp(784, 2048, 2048, 10)
        masks = [(layer.weight, (torch.rand_like(layer.weight) < 0.05).float()) for layer in net if isinstance(layer, nn.Linear)]

        @torch.no_grad()
        def mask():
            for weight, alive in masks:
                weight.mul_(alive)
        return training(net, sgd, torch.randn(128, 784), classes(128), f.cross_entropy, mask if name == "sparse" else None)
    if name in ("deep", "sara"):
        net = mlp(2048, 2048, 2048, 2048, 2048)
        return training(net, adam, torch.randn(64, 2048), torch.randn(64, 2048), f.mse_loss)
    if name == "unet":
        net = unet().to(memory_format=torch.channels_last)
        return training(net, adam, torch.randn(64, 785), torch.randn(64, 784), f.mse_loss)
    if name == "laplacian":
        net = mlp(2, 128, 128, 1, act=nn.Tanh)

        class Laplacian(nn.Module):
            parameters = net.parameters

            def forward(self, x):
                x = x.detach().requires_grad_()
                slopes = torch.autograd.grad(net(x).sum(), x, create_graph=True)[0]
                second = [torch.autograd.grad(slopes[:, i].sum(), x, create_graph=True)[0][:, i] for i in range(2)]
                return sum(second)[:, None]
        return training(Laplacian(), adam, torch.randn(4096, 2), torch.randn(4096, 1), f.mse_loss)
    if name == "small":
        net = mlp(2, 128, 128, 1, act=nn.Tanh)
        return training(net, adam, torch.randn(4096, 2), torch.randn(4096, 1), f.mse_loss)
    if name.startswith("cnn"):
        blocks = []
        for a, b, s in [(3, 32, 1), (32, 64, 2), (64, 128, 2)]:
            blocks += [nn.Conv2d(a, b, 3, s, 1, bias=False), nn.BatchNorm2d(b), nn.ReLU()]
        net = nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, 10))
        x = torch.randn(64, 3, 32, 32)
        net, x = net.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)
        return training(net, sgd, x, classes(64), f.cross_entropy)
    if name == "convnet":
        net = nn.Sequential(nn.Conv2d(1, 16, 3, 2, 1), nn.ReLU(), nn.Conv2d(16, 32, 3, 2, 1), nn.ReLU(), nn.Flatten(),
                            nn.Linear(1568, 128), nn.ReLU(), nn.Linear(128, 10))
        return training(net, sgd, torch.randn(128, 1, 28, 28), classes(128), f.cross_entropy)

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.n1, self.n2 = nn.LayerNorm(128), nn.LayerNorm(128)
            self.qkv, self.join = nn.Linear(128, 384), nn.Linear(128, 128)
            self.widen, self.narrow = nn.Linear(128, 512), nn.Linear(512, 128)

        def forward(self, x):
            b, t, _ = x.shape
            q, k, v = (p.view(b, t, 4, 32).transpose(1, 2) for p in self.qkv(self.n1(x)).chunk(3, -1))
            a = f.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(b, t, 128)
            x = x + self.join(a)
            return x + self.narrow(f.gelu(self.widen(self.n2(x))))

    class Transformer(nn.Module):
        def __init__(self):
            super().__init__()
            self.tokens, self.positions = nn.Embedding(512, 128), nn.Parameter(torch.randn(128, 128) * 0.02)
            self.blocks, self.norm, self.head = nn.Sequential(*[Block() for _ in range(4)]), nn.LayerNorm(128), nn.Linear(128, 512)

        def forward(self, ids):
            return self.head(self.norm(self.blocks(self.tokens(ids) + self.positions)))

    if name == "decode":
        return decoding(Transformer().eval())
    ids = torch.randint(0, 512, (16, 128))
    return training(Transformer(), adam, ids, ids, lambda z, y: f.cross_entropy(z.flatten(0, 1), y.flatten()))


def decoding(net):
    import torch
    from torch.nn import functional as f

    def block(layer, x, cache):
        q, k, v = (p.view(1, 1, 4, 32).transpose(1, 2) for p in layer.qkv(layer.n1(x)).chunk(3, -1))
        at = cache["n"]
        cache["k"][:, :, at:at + 1], cache["v"][:, :, at:at + 1] = k, v
        cache["n"] = at + 1
        a = f.scaled_dot_product_attention(q, cache["k"][:, :, :at + 1], cache["v"][:, :, :at + 1])
        x = x + layer.join(a.transpose(1, 2).reshape(1, 1, 128))
        return x + layer.narrow(f.gelu(layer.widen(layer.n2(x))))

    @torch.inference_mode()
    def sequence():
        caches = [{"k": torch.empty(1, 4, 128, 32), "v": torch.empty(1, 4, 128, 32), "n": 0} for _ in net.blocks]
        token = torch.zeros(1, 1, dtype=torch.long)
        for at in range(128):
            x = net.tokens(token) + net.positions[at]
            for layer, cache in zip(net.blocks, caches):
                x = block(layer, x, cache)
            token = net.head(net.norm(x)).argmax(-1)
    return sequence


def unet(width=32):
    import torch
    from torch import nn
    from torch.nn import functional as f

    class Block(nn.Module):
        def __init__(self, before, after):
            super().__init__()
            self.norm1, self.norm2 = nn.GroupNorm(8, before), nn.GroupNorm(8, after)
            self.conv1, self.conv2 = nn.Conv2d(before, after, 3, 1, 1), nn.Conv2d(after, after, 3, 1, 1)
            self.told = nn.Linear(4 * width, after)
            self.shortcut = nn.Conv2d(before, after, 1) if before != after else nn.Identity()

        def forward(self, x, told):
            h = self.conv1(f.silu(self.norm1(x))) + self.told(f.silu(told))[:, :, None, None]
            return self.shortcut(x) + self.conv2(f.silu(self.norm2(h)))

    class UNet(nn.Module):
        def __init__(self):
            super().__init__()
            w = width
            self.time1, self.time2 = nn.Linear(w, 4 * w), nn.Linear(4 * w, 4 * w)
            self.stem, self.last = nn.Conv2d(1, w, 3, 1, 1), nn.Conv2d(w, 1, 3, 1, 1)
            self.to_half, self.to_quarter = nn.Conv2d(w, w, 3, 2, 1), nn.Conv2d(2 * w, 2 * w, 3, 2, 1)
            self.down1, self.down2 = Block(w, w), Block(w, 2 * w)
            self.middle1, self.middle2 = Block(2 * w, 2 * w), Block(2 * w, 2 * w)
            self.up2, self.up1 = Block(4 * w, 2 * w), Block(3 * w, w)
            self.norm = nn.GroupNorm(8, w)
            self.register_buffer("rates", torch.exp(-math.log(1e4) * torch.arange(w // 2) / (w // 2)))

        def forward(self, rows):
            x = rows[:, :784].reshape(-1, 1, 28, 28).contiguous(memory_format=torch.channels_last)
            angles = rows[:, 784:] * 1000 * self.rates
            told = self.time2(f.silu(self.time1(torch.cat([angles.sin(), angles.cos()], 1))))
            doubled = lambda x: f.interpolate(x, scale_factor=2.0, mode="nearest")
            full = self.down1(self.stem(x), told)
            half = self.down2(self.to_half(full), told)
            x = self.middle2(self.middle1(self.to_quarter(half), told), told)
            x = self.up2(torch.cat([doubled(x), half], 1), told)
            x = self.up1(torch.cat([doubled(x), full], 1), told)
            return self.last(f.silu(self.norm(x))).flatten(1)

    return UNet()


def peer(name):
    step = prepare(name)
    for _ in range(3):
        step()
    times = []
    for _ in range(STEPS):
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    assert not math.isnan(sum(times))
    return sum(times), {"best_seconds": min(times), "steps": STEPS}


if __name__ == "__main__":
    words = lambda name: ["nn-decode" if name == "decode" else "nn-train", f"net={name}", f"steps={STEPS}"]
    cases = {name: (words(name), [name], {"peer": "PyTorch"}) for name in NETS}
    side_by_side.pairs(__file__, ["torch", "numpy"], cases, peer)
