"""Makes training.json: what PyTorch 2.15 says of the BatchFormer's layer and of the early-learning loss.

    pip install torch numpy
    python training.py > training.json

The layer is torch.nn.TransformerEncoderLayer(8, 4, 8) without dropout over five rows as one sequence, with the gradients of
the mean of its squared outputs. The loss is written from the paper's equations with the authors' clamp, over three
batches of the same eight rows.
"""

import json

import torch

torch.manual_seed(1)
torch.set_default_dtype(torch.float64)


def numbers(x):
    return [float(f"{v:.9g}") for v in x.detach().reshape(-1).tolist()]


width, rows = 8, 5
layer = torch.nn.TransformerEncoderLayer(width, 4, width, dropout=0.0)
names = {
    "self_attn.in_proj_weight": "qkv.weight",
    "self_attn.in_proj_bias": "qkv.bias",
    "self_attn.out_proj.weight": "mixed.weight",
    "self_attn.out_proj.bias": "mixed.bias",
    "linear1.weight": "inner.weight",
    "linear1.bias": "inner.bias",
    "linear2.weight": "outer.weight",
    "linear2.bias": "outer.bias",
    "norm1.weight": "norm1.scale",
    "norm1.bias": "norm1.shift",
    "norm2.weight": "norm2.scale",
    "norm2.bias": "norm2.shift",
}
with torch.no_grad():
    for parameter in layer.parameters():
        parameter.copy_(parameter + 0.3 * torch.randn_like(parameter))
x = torch.randn(rows, width)
y = layer(x.unsqueeze(1)).squeeze(1)
y.square().mean().backward()
batchformer = {
    "x": numbers(x),
    "y": numbers(y),
    "values": {names[n]: numbers(p) for n, p in layer.named_parameters()},
    "gradients": {names[n]: numbers(p.grad) for n, p in layer.named_parameters()},
}

n, classes, beta, strength = 8, 4, 0.7, 3.0
table = torch.zeros(n, classes)
elr = []
for _ in range(3):
    scores = (4 * torch.randn(n, classes)).requires_grad_()
    p = torch.softmax(scores, 1).clamp(1e-4, 1 - 1e-4)
    said = p.detach()
    table = beta * table + (1 - beta) * said / said.sum(1, keepdim=True)
    term = strength * torch.log(1 - (table * p).sum(1))
    term.sum().backward()
    elr.append({"scores": numbers(scores), "term": numbers(term), "gradient": numbers(scores.grad), "table": numbers(table)})

print(json.dumps({"batchformer": batchformer, "elr": elr}))
