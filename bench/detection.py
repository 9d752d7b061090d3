"""Losses of dense detectors beside PyTorch, and COCO's figures beside pycocotools, on two threads.

    pip install torch torchvision numpy pycocotools
    cargo build --release -p quadrat-bench
    python bench/detection.py [--only NAME ...] [--repeats N]

`loss-NAME`: loss and gradient at 200,000 anchors x 80 classes, one anchor in a thousand foreground, with a box loss on both sides.
PyTorch has torchvision's focal loss, and gradient harmonising and hard example mining in whole arrays. `best_seconds` is the
quickest step. `average-precision`: 5,000 images, 80 classes, about 36,000 objects and 250,000 detections; evaluate and accumulate, reading apart.
"""

import time

import side_by_side

PLACES, CLASSES, STEPS = 200_000, 80, 10


def loss(name):
    import torch
    from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy
    from torch.nn.functional import smooth_l1_loss
    from torchvision.ops import sigmoid_focal_loss

    torch.set_num_threads(side_by_side.THREADS)
    torch.manual_seed(1)
    logits = (2 * torch.randn(PLACES, CLASSES) - 3).requires_grad_()
    boxes = torch.randn(PLACES, 4, requires_grad=True)
    places = torch.arange(0, PLACES, 1000)
    targets = torch.zeros(PLACES, CLASSES)
    targets[places, places // 1000 % CLASSES] = 1
    foreground, counts = len(places), torch.zeros(30)

    def focal():
        return sigmoid_focal_loss(logits, targets, 0.25, 2, reduction="sum") / foreground

    def ghm():
        length = (logits.detach().sigmoid() - targets).abs()
        bins = (length * 30).long().clamp_(max=29)
        now = torch.bincount(bins.flatten(), minlength=30).float()
        filled = now > 0
        counts[filled] = 0.75 * counts[filled] + 0.25 * now[filled]
        weight = torch.where(counts > 0, 1 / (counts * filled.sum()), 0.0)
        return cross_entropy(logits, targets, weight[bins], reduction="sum")

    def ohem():
        each = cross_entropy(logits, targets, reduction="none").sum(1)
        background = each.detach().clone()
        background[places] = -1
        hard = background.topk(3 * foreground).indices
        return (each[places].sum() + each[hard].sum()) / foreground

    def plain():
        return cross_entropy(logits, targets, reduction="sum") / (foreground + 1)

    classes = {"focal": focal, "ghm": ghm, "ohem": ohem, "sampling-free": plain}[name]

    def step():
        logits.grad = boxes.grad = None
        cls = classes()
        reg = smooth_l1_loss(boxes[places], torch.zeros(foreground, 4), beta=0.11)
        total = reg + (reg.detach() / cls.detach() * cls if name == "sampling-free" else cls)
        total.backward()
        return cls.item()

    for _ in range(2):
        step()
    times = []
    for _ in range(STEPS):
        start = time.perf_counter()
        last = step()
        times.append(time.perf_counter() - start)
    return sum(times), {"best_seconds": min(times), "steps": STEPS, "loss": last}


def average_precision(folder):
    import contextlib
    import io

    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        start = time.perf_counter()
        truth = COCO(f"{folder}/annotations.json")
        found = truth.loadRes(f"{folder}/detections.json")
        reading = time.perf_counter() - start
        start = time.perf_counter()
        result = COCOeval(truth, found, "bbox")
        result.evaluate()
        result.accumulate()
        took = time.perf_counter() - start
        result.summarize()
    return took, {"reading_seconds": reading, "AP": float(result.stats[0])}


def write_scenes(folder, images=5000):
    """Objects and detections near them and anywhere, about as many as a detector leaves on COCO's validation images."""
    import json
    import random

    random.seed(1)

    def box():
        w, h = random.uniform(10, 250), random.uniform(10, 250)
        return [round(v, 2) for v in (random.uniform(0, 640 - w), random.uniform(0, 480 - h), w, h)]

    objects, found = [], []
    for image in range(1, images + 1):
        for _ in range(random.randint(2, 12)):
            category, b = random.randint(1, 80), box()
            objects.append({"id": len(objects) + 1, "image_id": image, "category_id": category, "bbox": b,
                            "area": b[2] * b[3], "iscrowd": int(random.random() < 0.02)})
            for _ in range(3):
                near = [round(max(0.0, v + random.gauss(0, 8)), 2) for v in b]
                found.append({"image_id": image, "category_id": category, "bbox": near, "score": round(random.random(), 4)})
        for _ in range(30):
            found.append({"image_id": image, "category_id": random.randint(1, 80), "bbox": box(),
                          "score": round(random.random() ** 2, 4)})
    listed = [{"id": i, "file_name": f"{i}.jpg", "width": 640, "height": 480} for i in range(1, images + 1)]
    categories = [{"id": i, "name": str(i)} for i in range(1, 81)]
    with open(f"{folder}/annotations.json", "w") as f:
        json.dump({"images": listed, "categories": categories, "annotations": objects}, f)
    with open(f"{folder}/detections.json", "w") as f:
        json.dump(found, f)


def peer(name, *words):
    return average_precision(*words) if name == "average-precision" else loss(name)


if __name__ == "__main__":
    cases = {}
    for method in ["focal", "ghm", "ohem", "sampling-free"]:
        words = ["dense-loss", f"method={method}", f"places={PLACES}", f"classes={CLASSES}", f"steps={STEPS}"]
        cases[f"loss-{method}"] = (words, [method], {"peer": "PyTorch"})
    folder = ["average-precision", "folder={folder}"]
    cases["average-precision"] = (folder, ["average-precision", "{folder}"], {"peer": "pycocotools"})
    side_by_side.pairs(__file__, ["torch", "torchvision", "pycocotools"], cases, peer, write_scenes)
