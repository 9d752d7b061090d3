"""Makes coco.annotations.json, coco.detections.json and coco.figures.json: what pycocotools 2.0.11 says of random boxes.

    pip install pycocotools
    python coco.py

Among them are crowds, objects of every size (some on the borders 32^2 and 96^2), equal scores, images without objects or without
detections, a class without objects, more than 100 detections of one class in an image, and images not in the order of their ids.
"""

import json
import random

from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

random.seed(1)
images = [{"id": i, "file_name": f"{i}.png", "width": 200, "height": 160} for i in random.sample(range(1, 40), 12)]
categories = [{"id": i, "name": name} for i, name in [(7, "cat"), (3, "dog"), (12, "owl"), (20, "yak")]]
annotations, detections = [], []


def box(side):
    w, h = [max(2, round(random.gauss(side, side / 4))) for _ in "wh"]
    w, h = min(w, 200), min(h, 160)
    return [random.randint(0, 200 - w), random.randint(0, 160 - h), w, h]


for n, image in enumerate(images):
    for _ in range(0 if n == 3 else random.randint(1, 9)):
        b = random.choice([box(12), box(60), box(110), [5, 5, 32, 32], [5, 5, 96, 96]])
        category = random.choice([7, 7, 3, 12])
        area = round(b[2] * b[3] * random.choice([1, 1, 0.6]), 1)
        annotations.append({"id": len(annotations) + 1, "image_id": image["id"], "category_id": category, "bbox": b,
                            "area": area, "iscrowd": int(random.random() < 0.12)})
        for _ in range(0 if n == 5 else random.choice([0, 1, 1, 2, 3])):
            moved = [max(0, v + random.choice([0, 0, 1, -1, 3, -6])) for v in b]
            detections.append({"image_id": image["id"], "category_id": random.choice([category, category, 7]),
                               "bbox": moved, "score": round(random.random(), 1)})
    for _ in range(140 if n == 1 else 4):
        detections.append({"image_id": image["id"], "category_id": random.choice([7, 7, 7, 7, 20] if n == 1 else [3, 20]),
                           "bbox": box(random.choice([10, 70])), "score": round(random.random(), 2)})
random.shuffle(detections)
lines = lambda rows: "[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]"
with open("coco.annotations.json", "w") as f:
    parts = {"images": images, "categories": categories, "annotations": annotations}
    f.write("{" + ",\n".join(f'"{name}": {lines(rows)}' for name, rows in parts.items()) + "}\n")
with open("coco.detections.json", "w") as f:
    f.write(lines(detections) + "\n")
truth = COCO("coco.annotations.json")
result = COCOeval(truth, truth.loadRes("coco.detections.json"), "bbox")
result.evaluate()
result.accumulate()
result.summarize()
by_class = {}
for k, id in enumerate(result.params.catIds):
    p = result.eval["precision"][:, :, k, 0, 2]
    by_class[int(id)] = float(p.mean()) if (p > -1).any() else None
names = ["AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl"]
with open("coco.figures.json", "w") as f:
    json.dump({"figures": dict(zip(names, map(float, result.stats))), "classes": by_class}, f)
    f.write("\n")
