"""Methods for wrong and rare labels, side by side with PyTorch on two threads.

    pip install torch numpy
    cargo build --release -p quadrat-bench
    python bench/labels.py [--only NAME ...] [--repeats N]

`elr`: loss and gradient at the scores of early-learning regularisation, 4,096 rows of 1,000 classes: cross-entropy, the running
means and the term. PyTorch computes it as the authors' program does, without the network. `batchformer-N-C`: the layer over a
batch of N rows of C features, forward and backward by all parameters and the features, against torch's own encoder
layer (C features, 4 heads, feed-forward C, dropout 0.5). `step-...`: our own training steps of a small network of
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


def peer(name, *numbers):
    import torch

    torch.set_num_threads(side_by_side.THREADS)
    step = elr(torch) if name == "elr" else batchformer(torch, *map(int, numbers))
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
    for method in ["plain", "elr", "batchformer", "logit-adjustment"]:
        named = [] if method == "plain" else [f"method={method}"]
        cases[f"step-{method}"] = (["nn-train", "net=convnet", f"steps={3 * STEPS}", *named], None, {})
    side_by_side.pairs(__file__, ["torch", "numpy"], cases, peer)
