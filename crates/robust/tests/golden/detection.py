"""Values of torchvision 0.29.2 (torch 2.15.0) for detection.json: python detection.py > detection.json"""

import json

import torch
from torchvision.ops import box_iou, generalized_box_iou, nms, sigmoid_focal_loss

torch.manual_seed(1)
round_all = lambda t, digits=6: json.loads(json.dumps(t.tolist()), parse_float=lambda v: round(float(v), digits))

logits = (3 * torch.randn(5, 3)).round(decimals=3).requires_grad_()
labels = [0, 2, 0, 1, 3]
targets = torch.zeros(5, 3)
for place, label in enumerate(labels):
    if label:
        targets[place, label - 1] = 1
focal = []
for alpha, gamma in [(0.25, 2.0), (0.6, 1.5)]:
    logits.grad = None
    loss = sigmoid_focal_loss(logits, targets, alpha, gamma, reduction="sum")
    loss.backward()
    focal.append({"alpha": alpha, "gamma": gamma, "loss": loss.item(), "gradient": round_all(logits.grad.flatten())})

corners = (40 * torch.rand(8, 2)).round(decimals=1)
boxes = torch.cat([corners, corners + 2 + (30 * torch.rand(8, 2)).round(decimals=1)], 1)
scores = torch.rand(8).round(decimals=2)
print(json.dumps({
    "logits": round_all(logits.detach().flatten(), 3), "labels": labels, "focal": focal,
    "boxes": round_all(boxes, 2), "scores": round_all(scores, 2),
    "iou": round_all(box_iou(boxes, boxes)), "generalised": round_all(generalized_box_iou(boxes, boxes)),
    "kept": {str(t): nms(boxes, scores, t).tolist() for t in [0.1, 0.3, 0.55]},
}))
