"""MGUR's loss with its derivatives beside PyTorch, which computes the same with automatic differentiation.

    pip install torch
    cargo build --release -p quadrat-bench
    python bench/composed.py [--only NAME ...] [--repeats N]

A step is the noise of a batch of 256 pairs of 512 values, the loss, and the derivatives by both; 100 steps in a process, on one thread
and on two. `best_seconds` is the quickest step, which says more than the sum on a machine with other work; `mean_loss` of both sides
must agree to what the noise leaves.
"""

import time

import side_by_side

ROWS, COLUMNS, STEPS = 256, 512, 100


def info_nce(torch, queries, targets):
    return torch.nn.functional.cross_entropy(queries @ targets.T, torch.arange(len(queries)))


def peer(threads):
    import torch

    torch.set_num_threads(int(threads))
    torch.manual_seed(1)
    pairs = [4 * torch.nn.functional.normalize(torch.randn(ROWS, COLUMNS)) for _ in range(2)]
    queries, targets = (pair.requires_grad_() for pair in pairs)

    def step(gamma=0.7):
        mean, deviation = targets.mean(1, keepdim=True).detach(), targets.std(1, keepdim=True).detach()
        alpha = 1 + deviation * torch.randn(ROWS, COLUMNS)
        beta = mean + deviation * torch.randn(ROWS, COLUMNS)
        blurred = alpha * torch.nn.functional.instance_norm(targets[None], eps=1e-5)[0] + beta
        sigma = blurred.std()
        coarse = 0.5 * (torch.exp(-sigma) * info_nce(torch, queries, blurred) + sigma)
        loss = gamma * coarse + (1 - gamma) * info_nce(torch, queries, targets)
        torch.autograd.grad(loss, [queries, targets])
        return loss.item()

    step()
    seconds, losses = [], []
    for _ in range(STEPS):
        start = time.perf_counter()
        losses.append(step())
        seconds.append(time.perf_counter() - start)
    return sum(seconds), {"best_seconds": min(seconds), "mean_loss": sum(losses) / STEPS}


if __name__ == "__main__":
    size = [f"rows={ROWS}", f"columns={COLUMNS}", f"steps={STEPS}"]
    cases = {
        f"mgur-{threads}": (["mgur", *size, f"workers={threads}"], [str(threads)], {"peer": "torch"}) for threads in (1, 2)
    }
    side_by_side.pairs(__file__, ["torch"], cases, peer)
