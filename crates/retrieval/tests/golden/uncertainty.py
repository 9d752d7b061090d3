"""MGUR's loss as its paper's equations and its authors' program have it (an instance normalisation of each row, torch.std for both deviations,
noise that is sampled without a gradient), written anew with PyTorch 2, which differentiates it. The noise is given. What it prints stands in
src/composed/tests.rs."""

import torch

torch.set_default_dtype(torch.float64)
Q = [[1.5, -0.5, 0.25, 2.0], [0.75, 1.25, -1.0, 0.5], [-0.25, 1.0, 2.0, -1.5]]
T = [[1.0, 0.5, -0.25, 1.75], [0.5, 2.0, -0.5, 0.25], [0.0, 0.75, 1.5, -2.0]]
A = [[0.5, -1.25, 0.25, 1.0], [-0.75, 0.125, 1.5, -0.5], [2.0, -0.25, -1.0, 0.375]]
B = [[-0.5, 0.75, 1.25, -1.5], [1.0, -0.125, 0.25, -2.0], [0.625, -0.875, 0.5, 1.75]]


def info_nce(q, t):
    return torch.nn.functional.cross_entropy(q @ t.T, torch.arange(len(q)))


def mgur(q, t, gamma, alpha_scale, beta_scale):
    mean, deviation = t.mean(1, keepdim=True), t.std(1, keepdim=True)
    alpha = (1 + deviation * torch.tensor(A)).detach() * alpha_scale
    beta = (mean + deviation * torch.tensor(B)).detach() * beta_scale
    white = torch.nn.functional.instance_norm(t[None], eps=1e-5)[0]
    blurred = alpha * white + beta
    sigma = blurred.std()
    coarse = 0.5 * (torch.exp(-sigma) * info_nce(q, blurred) + sigma)
    fine = info_nce(q, t)
    return gamma * coarse + (1 - gamma) * fine, coarse, fine, sigma


for gamma, alpha_scale, beta_scale in [(0.6, 1.0, 1.0), (1.0, 0.5, 1.5)]:
    q, t = torch.tensor(Q, requires_grad=True), torch.tensor(T, requires_grad=True)
    parts = mgur(q, t, gamma, alpha_scale, beta_scale)
    parts[0].backward()
    print(gamma, [p.item() for p in parts])
    for grad in (q.grad, t.grad):
        print([[round(v, 8) for v in row] for row in grad.tolist()])
