#!/usr/bin/env bash
# pycocotools 2.0.11: an annotation whose id is 0 can never be found, so a perfect detector has an average precision of 0.
#
# Its matcher keeps the id of the annotation that a detection was matched with, and takes 0 for "none". Ids that count from 0, as
# programs write them, thus cost one object in each file: with one object all of it. Nothing is said. With the same file and the id 1
# the average precision is 1. Quadrat matches by place, and refuses ids that occur twice.
#
# Seen on Python 3.11 with numpy 2.4.6.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install pycocotools==2.0.11 numpy==2.4.6

"$folder/venv/bin/python" - "$folder" <<'PYTHON'
import contextlib
import io
import json
import sys

from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

folder = sys.argv[1]
box = [4, 4, 20, 20]
found = {}
for first in (0, 1):
    truth = {
        "images": [{"id": 7, "width": 32, "height": 32, "file_name": "a.png"}],
        "categories": [{"id": 1, "name": "cup"}],
        "annotations": [{"id": first, "image_id": 7, "category_id": 1, "bbox": box, "area": 400, "iscrowd": 0}],
    }
    json.dump(truth, open(f"{folder}/truth.json", "w"))
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(f"{folder}/truth.json")
        said = coco.loadRes([{"image_id": 7, "category_id": 1, "bbox": box, "score": 0.9}])
        judged = COCOeval(coco, said, "bbox")
        judged.evaluate()
        judged.accumulate()
        judged.summarize()
    found[first] = float(judged.stats[0])
print("average precision of one perfect box by the id of its annotation:", found)
assert found[0] == 0.0 and abs(found[1] - 1.0) < 1e-9, "pycocotools has come to match annotations of id 0"
PYTHON
