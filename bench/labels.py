"""Methods for wrong and rare labels, side by side with PyTorch on two threads.

    pip install torch numpy pillow
    cargo build --release -p quadrat-bench
    python bench/labels.py [--only NAME ...] [--repeats N]

`elr`: loss and gradient at the scores of early-learning regularisation, 4,096 rows of 1,000 classes: cross-entropy, the running
means and the term. PyTorch computes it as the authors' program does, without the network. `batchformer-N-C`: the layer over a
batch of N rows of C features, forward and backward by all parameters and the features, against torch's own encoder
layer (C features, 4 heads, feed-forward C, dropout 0.5). `shrink`: ShrinkMatch's loss and gradient of 448 rows of 1,000 classes,
against whole-array PyTorch. `rand-augment`: 1,000 colour images of 32 x 32 pixels, three operations and a covered part, one
thread on both sides, against Pillow. `step-...`: our own training steps of a small network of
convolutions with and without a method, for what the method adds. `best_seconds` is the quickest step.
"""

import time

import side_by_side

STEPS = 20


def elr(torch):
    torch.manual_seed(1)
    rows, classes, beta, strength = 4096, 1000, 0.7, 3.0
    scores = (3 * torch.randn(rows, classes)).requires_grad_()
    labels, index = torch.arange(rows) % classes, torch.arange(rows)
    table = torch.zeros(rows, classes)

    def step():
        scores.grad = None
        p = torch.softmax(scores, 1).clamp(1e-4, 1 - 1e-4)
        said = p.detach()
        table[index] = beta * table[index] + (1 - beta) * said / said.sum(1, keepdim=True)
        term = torch.log(1 - (table[index] * p).sum(1)).mean()
        loss = torch.nn.functional.cross_entropy(scores, labels) + strength * term
        loss.backward()
        return loss.item()

    return step


def batchformer(torch, rows, width):
    torch.manual_seed(1)
    layer = torch.nn.TransformerEncoderLayer(width, 4, width, 0.5)
    x = torch.randn(rows, width, requires_grad=True)

    def step():
        x.grad = None
        layer.zero_grad()
        loss = layer(x.unsqueeze(1)).sum()
        loss.backward()
        return loss.item()

    return step


def shrink(torch):
    """The paper's loss for rows that are not sure, in whole arrays instead of the authors' loop over rows."""
    torch.manual_seed(1)
    rows, classes, tau = 448, 1000, 0.95
    p = torch.softmax(2 * torch.randn(rows, classes), 1)
    scores = torch.randn(rows, classes, requires_grad=True)

    def step():
        scores.grad = None
        sorted_p, order = p.sort(1, descending=True)
        rest = sorted_p.flip(1).cumsum(1).flip(1)
        sure = sorted_p[:, :1] / (sorted_p[:, :1] + rest[:, 2:])
        first = 2 + (sure >= tau).float().argmax(1)
        first = torch.where((sure >= tau).any(1), first, torch.tensor(classes - 1))
        rank = torch.arange(classes)
        kept = (rank[None] == 0) | (rank[None] >= first[:, None])
        ranked = scores.gather(1, order).masked_fill(~kept, -torch.inf)
        loss = (torch.logsumexp(ranked, 1) - ranked[:, 0]).mean()
        loss.backward()
        return loss.item()

    return step


def rand_augment(count=1000):
    """RandAugment as PyTorch programs of semi-supervised learning do it: Pillow, image by image."""
    import numpy as np
    from PIL import Image, ImageDraw, ImageEnhance, ImageOps

    rng = np.random.default_rng(1)
    images = [Image.fromarray(a) for a in rng.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)]
    u = rng.uniform
    move = lambda i, *m: i.transform(i.size, Image.Transform.AFFINE, m)
    operations = [
        ImageOps.autocontrast, ImageOps.equalize, lambda i: i,
        lambda i: ImageEnhance.Brightness(i).enhance(u(0.05, 0.95)), lambda i: ImageEnhance.Color(i).enhance(u(0.05, 0.95)),
        lambda i: ImageEnhance.Contrast(i).enhance(u(0.05, 0.95)), lambda i: ImageEnhance.Sharpness(i).enhance(u(0.05, 0.95)),
        lambda i: ImageOps.posterize(i, int(rng.integers(4, 9))), lambda i: ImageOps.solarize(i, int(rng.integers(0, 257))),
        lambda i: i.rotate(u(-30, 30)), lambda i: move(i, 1, u(-0.3, 0.3), 0, 0, 1, 0),
        lambda i: move(i, 1, 0, 0, u(-0.3, 0.3), 1, 0), lambda i: move(i, 1, 0, u(-0.3, 0.3) * 32, 0, 1, 0),
        lambda i: move(i, 1, 0, 0, 0, 1, u(-0.3, 0.3) * 32),
    ]

    def step():
        for image in images:
            for k in rng.integers(0, 14, 3):
                image = operations[k](image)
            side, x, y = u(0, 0.5) * 32, u(0, 32), u(0, 32)
            image = image.copy()
            ImageDraw.Draw(image).rectangle([x - side / 2, y - side / 2, x + side / 2, y + side / 2], (127, 127, 127))
        return float(np.asarray(image)[0, 0, 0])

    return step


def peer(name, *numbers):
    import torch

    torch.set_num_threads(side_by_side.THREADS)
    steps = {"elr": lambda: elr(torch), "shrink": lambda: shrink(torch), "rand-augment": rand_augment,
             "batchformer": lambda: batchformer(torch, *map(int, numbers))}
    step = steps[name]()
    for _ in range(3):
        step()
    times, last = [], None
    for _ in range(STEPS):
        start = time.perf_counter()
        last = step()
        times.append(time.perf_counter() - start)
    return sum(times), {"best_seconds": min(times), "steps": STEPS, "loss": last}


if __name__ == "__main__":
    torch = {"peer": "PyTorch"}
    cases = {"elr": (["elr", f"steps={STEPS}"], ["elr"], torch)}
    for rows, width in [(128, 64), (1024, 64), (128, 512), (1024, 512)]:
        words = ["batchformer", f"rows={rows}", f"width={width}", f"steps={STEPS}"]
        cases[f"batchformer-{rows}-{width}"] = (words, ["batchformer", str(rows), str(width)], torch)
    cases["shrink"] = (["shrink", f"steps={STEPS}"], ["shrink"], torch)
    cases["rand-augment"] = (["rand-augment", "images=1000", f"steps={STEPS}"], ["rand-augment"], {"peer": "Pillow"})
    for method in ["plain", "elr", "batchformer", "logit-adjustment"]:
        named = [] if method == "plain" else [f"method={method}"]
        cases[f"step-{method}"] = (["nn-train", "net=convnet", f"steps={3 * STEPS}", *named], None, {})
    side_by_side.pairs(__file__, ["torch", "numpy", "pillow"], cases, peer)
