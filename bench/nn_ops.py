"""Operations of networks, forward and backward by all inputs, side by side with PyTorch on one thread.

    pip install torch numpy
    cargo build --release -p quadrat-bench
    python bench/nn_ops.py [--only NAME ...] [--repeats N]

Batches of 64 images of 32 x 28 x 28 (activations, group norm of 8 groups, batch norm), convolutions of 64 images (sparse:
with 5% of the weights, PyTorch dense), layer norm of 2048 rows of 128, cross entropy of 4096 rows and 100 classes with
soft targets, causal attention weights of 16 x 4 heads of 128 x 128 scores, linear layers of 1024 to 1024 at a batch of
128, dense or with 5% of the weights alive (PyTorch: dense), optimiser steps on 1,000,000 numbers. The gradient is that of
the sum, for attention of the sum of squares. Every run is a fresh process, ours and the peer's in turn: three unmeasured
steps, then STEPS measured; `best_seconds` is the quickest step, which says most on a busy machine.
"""

import time

import side_by_side
side_by_side.THREADS = 1
STEPS = 20
OPS = ["tanh", "silu", "gelu", "atan", "conv-32", "conv-64", "conv-1x1", "sparse-conv-64:51", "group-norm", "batch-norm",
       "layer-norm", "cross-entropy", "attention", "linear:1", "sparse:51", "patterned:51", "adamw", "sgd"]


def prepare(name):
    import torch
    from torch.nn import functional as f

    torch.set_num_threads(side_by_side.THREADS)
    torch.manual_seed(1)

    def leaf(*shape):
        return (torch.rand(*shape) * 2 - 1).requires_grad_()

    def back(leaves, output):
        def step():
            for each in leaves:
                each.grad = None
            output().sum().backward()
        return step

    images = leaf(64, 32, 28, 28)
    if name in ("tanh", "silu", "gelu", "atan"):
        function = {"tanh": torch.tanh, "silu": f.silu, "gelu": f.gelu, "atan": torch.atan}[name]
        return back([images], lambda: function(images))
    name = name.removeprefix("sparse-").split(":")[0] if "conv" in name else name
    if name.startswith("conv"):
        channels, size, kernel = {"conv-32": (32, 28, 3), "conv-64": (64, 14, 3), "conv-1x1": (64, 14, 1)}[name]
        x, w, b = leaf(64, channels, size, size), leaf(channels, channels, kernel, kernel), leaf(channels)
        return back([x, w, b], lambda: f.conv2d(x, w, b, padding=kernel // 2))
    if name in ("group-norm", "batch-norm"):
        w, b = leaf(32), leaf(32)
        if name == "group-norm":
            return back([images, w, b], lambda: f.group_norm(images, 8, w, b))
        return back([images, w, b], lambda: f.batch_norm(images, None, None, w, b, True))
    if name == "layer-norm":
        x, w, b = leaf(2048, 128), leaf(128), leaf(128)
        return back([x, w, b], lambda: f.layer_norm(x, (128,), w, b))
    if name == "cross-entropy":
        logits, targets = leaf(4096, 100), leaf(4096, 100).detach()
        return back([logits], lambda: f.cross_entropy(logits, targets, reduction="none"))
    if name == "attention":
        scores, later = leaf(16, 4, 128, 128), torch.ones(128, 128, dtype=torch.bool).triu(1)
        shares = lambda: (scores * 0.2).masked_fill(later, -torch.inf).softmax(-1)
        return back([scores], lambda: shares().square())
    if name in ("adamw", "sgd"):
        params = leaf(1_000_000)
        params.grad = leaf(1_000_000).detach()
        if name == "adamw":
            return torch.optim.AdamW([params], fused=True).step
        return torch.optim.SGD([params], lr=1e-3, momentum=0.9, nesterov=True, weight_decay=1e-4, fused=True).step
    x, w, b = leaf(128, 1024), leaf(1024, 1024), leaf(1024)
    return back([x, w, b], lambda: f.linear(x, w, b))


def peer(name):
    step = prepare(name)
    for _ in range(3):
        step()
    times = []
    for _ in range(STEPS):
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    return sum(times), {"best_seconds": min(times), "steps": STEPS}


if __name__ == "__main__":
    words = lambda name: ["nn-op", f"op={name}", f"steps={STEPS}"]
    cases = {name: (words(name), [name], {"peer": "PyTorch"}) for name in OPS}
    side_by_side.pairs(__file__, ["torch", "numpy"], cases, peer)
