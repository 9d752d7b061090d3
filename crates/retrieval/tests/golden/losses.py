"""The losses in the form that the authors' programs have (a log-softmax of pairs for STAR, both triangles of pairs for ADORE; InfoNCE as
a cross-entropy), written anew with PyTorch 2, which differentiates them. What it prints stands in src/losses/tests.rs."""

import torch

torch.set_default_dtype(torch.float64)
SCORES = [[2.5, 1.0, -0.5, 3.0, 0.25], [0.5, 1.5, 2.0, -1.0, 1.25], [4.0, 0.0, 1.0, 2.0, -3.0]]
NEGATIVE = torch.tensor([[0.0, 1, 1, 1, 0], [1, 0, 0, 1, 1], [1, 1, 0, 1, 1]])


def show(name, loss, scores):
    loss.backward()
    print(name, loss.item(), [[round(v, 8) for v in row] for row in scores.grad.tolist()])


# STAR: a log-softmax of two entries for each pair. Relevant documents stand on the diagonal.
scores = torch.tensor(SCORES, requires_grad=True)
relevant = scores.diagonal()[:, None].expand(3, 5)
logs = torch.log_softmax(torch.stack([relevant, scores], -1), -1)[..., 0]
show("star", (-logs * NEGATIVE).sum() / NEGATIVE.sum(), scores)

# ADORE: both triangles, each pair twice; gains of the first four ranks.
scores = torch.tensor([[3.0, 2.5, 1.0, 0.25, -2.0], [5.0, 4.0, 3.5, 3.25, 0.0]], requires_grad=True)
labels = torch.tensor([[0.0, 1, 0, 1, 0], [0, 0, 0, 0, 1]])
ranks = torch.arange(1, 6, dtype=torch.float64)
gains = torch.where(ranks <= 4, 1 / ranks, 0.0)
weights = (gains[:, None] - gains[None, :]).abs()
total = 0.0
for s, y in zip(scores, labels):
    sign, difference = y[:, None] - y[None, :], s[:, None] - s[None, :]
    loss = torch.where(sign != 0, weights * torch.log1p(torch.exp(-sign * difference)), 0.0)
    total = total + loss.sum() / (sign != 0).sum()
show("adore", total / 2, scores)

scores = torch.tensor(SCORES, requires_grad=True)
kept = (scores / 0.5).masked_fill(NEGATIVE + torch.eye(3, 5) == 0, float("-inf"))
show("info_nce", torch.nn.functional.cross_entropy(kept, torch.arange(3)), scores)
