"""`quadrat audit` on generated files, and its list of suspect labels side by side with cleanlab 2.9.0.

    pip install cleanlab==2.9.0
    cargo build --release -p quadrat-bench -p quadrat-cli
    python bench/audit.py [--only suspects files large] [--files N]

Three parts. `suspects`: 1,000,000 rows of ten classes, a tenth of the labels changed, the probabilities those of a model that is
right about the others; ours and the peer's in turn, in fresh processes, on two threads; the peer's call is
find_label_issues with its defaults, ranked by self-confidence. `files`: sound files of ten kinds and files with one of five
troubles in them, through the command; a file is named rightly if its trouble is the only finding. `large`: 60,000 rows of 50
columns. Results go to bench/results/audit.json.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from side_by_side import ROOT, THREADS, machine, median, ours, run

COMMAND = ROOT / "target" / "release" / "quadrat"
RESULTS = ROOT / "bench" / "results" / "audit.json"
REPEATS = 3


def probabilities(path, rows=1_000_000, classes=10):
    import numpy as np

    rng = np.random.default_rng(1)
    truth = rng.integers(0, classes, rows)
    logits = rng.normal(size=(rows, classes)) * 1.5 + 4.0 * np.eye(classes)[truth]
    p = np.exp(logits)
    p /= p.sum(1, keepdims=True)
    wrong = rng.random(rows) < 0.1
    labels = np.where(wrong, (truth + rng.integers(1, classes, rows)) % classes, truth)
    np.save(path, np.column_stack([p, labels, wrong]))


def peer(path):
    """Runs in a process of its own: prints one JSON line."""
    import numpy as np
    from cleanlab.filter import find_label_issues

    table = np.load(path)
    p, labels, wrong = np.ascontiguousarray(table[:, :-2]), table[:, -2].astype(int), table[:, -1] > 0
    start = time.perf_counter()
    found = find_label_issues(labels, p, return_indices_ranked_by="self_confidence", n_jobs=THREADS)
    seconds = time.perf_counter() - start
    hit = wrong[found]
    precision = (np.cumsum(hit) / np.arange(1, len(hit) + 1))[hit].sum() / wrong.sum()
    print(json.dumps({"seconds": seconds, "suspects": len(found), "average_precision": precision}))


def suspects():
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "table.npy")
        probabilities(path)
        mine, theirs = [], []
        for _ in range(REPEATS):
            mine.append(ours("suspects", f"in={path}"))
            theirs.append(run([sys.executable, __file__, "--peer", path]))
    mine, theirs = median(mine), median(theirs)
    return {"ours": mine, "peer": theirs, "times_faster": round(theirs["seconds"] / mine["seconds"], 1)}


KINDS = 10
TROUBLES = ["wrong-labels", "imbalance", "holes-by-class", "copies-across-labels", "leak"]


def sound(kind, rng):
    """A table without trouble: columns of numbers or names, and a class a row."""
    import numpy as np

    rows, columns = int(rng.choice([500, 1000, 2000, 4000])), int(rng.integers(5, 21))
    x = rng.normal(size=(rows, columns))

    def curve(z):
        return (rng.random(rows) < 1 / (1 + np.exp(-z))).astype(int)

    if kind in (0, 1, 2):  # clouds: three to five far apart, two near, two far apart
        classes = int(rng.integers(3, 6)) if kind == 0 else 2
        apart = [3 + 3 * rng.random(), 1.5 + rng.random(), 4 + 2 * rng.random()][kind] / np.sqrt(2 * columns)
        y = rng.integers(0, classes, rows)
        x += (rng.normal(size=(classes, columns)) * apart)[y]
    elif kind == 3:  # a logistic curve
        slopes = rng.normal(size=columns)
        y = curve(x @ slopes * (2 + 4 * rng.random()) / np.linalg.norm(slopes))
    elif kind == 4:  # the same with heavy tails: log-normal and t with three degrees of freedom
        x = np.where(rng.random(columns) < 0.5, np.exp(x), rng.standard_t(3, size=x.shape))
        z = (x - np.median(x, 0)) @ rng.normal(size=columns)
        y = curve(z * 4 / z.std())
    elif kind == 5:  # a circle among noise
        x = x[:, :6]
        y = (np.hypot(x[:, 0], x[:, 1]) > 1.2).astype(int)
    elif kind == 6:  # exclusive or
        x = x[:, :5]
        y = ((x[:, 0] > 0) ^ (x[:, 1] > 0)).astype(int)
    elif kind == 7:  # two clusters a class on the corners of a cube, mixtures of its columns, noise
        corners = rng.choice(8, 4, False)
        y = rng.integers(0, 2, rows)
        corner = corners[2 * y + rng.integers(0, 2, rows)]
        z = rng.normal(size=(rows, 3)) + 1.5 * (2 * ((corner[:, None] >> np.arange(3)) & 1) - 1)
        x = np.column_stack([z, z @ rng.normal(size=(3, 3)), x[:, 6:]])
    elif kind == 8:  # whole numbers and names among numbers
        y = curve(2 * x[:, :4] @ rng.normal(size=4))
        x = x.astype(object)
        x[:, 0] = np.round(3 * x[:, 0].astype(float)).astype(int)
        x[:, 1] = np.array(["low", "middle", "high"])[np.digitize(x[:, 1].astype(float), [-0.5, 0.5])]
    else:  # unequal classes, one in five
        y = (rng.random(rows) < 0.2).astype(int)
        x[:, :3] += 1.5 * y[:, None]
    return x.astype(object), y


def spoil(trouble, x, y, rng):
    import numpy as np

    rows, classes = len(y), y.max() + 1
    other = lambda y: (y + rng.integers(1, classes, len(y))) % classes
    if trouble == "wrong-labels":
        some = rng.choice(rows, rows // 5, False)
        y[some] = other(y[some])
    elif trouble == "imbalance":
        few = np.flatnonzero(y == 1)
        stay = np.ones(rows, bool)
        stay[few[max(2, (y == 0).sum() // 100):]] = False
        x, y = x[stay], y[stay]
    elif trouble == "holes-by-class":
        x[(y == 0) & (rng.random(rows) < 0.5), int(rng.integers(0, x.shape[1]))] = ""
    elif trouble == "copies-across-labels":
        some = rng.choice(rows, rows // 10, False)
        x, y = np.vstack([x, x[some]]), np.concatenate([y, other(y[some])])
    else:
        x = np.column_stack([x, y + 0.05 * rng.normal(size=rows)]).astype(object)
    return x, y


def write(path, x, y):
    with open(path, "w") as file:
        file.write(",".join(f"x{i}" for i in range(x.shape[1])) + ",y\n")
        for row, label in zip(x, y):
            file.write(",".join(f"{v:.5g}" if isinstance(v, float) else str(v) for v in row) + f",c{label}\n")


def audit(path):
    command = [COMMAND, "audit", "--in", path, "--target", "y", "--json", "--threads", str(THREADS)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout)


def files(count):
    import numpy as np

    alarms, named, missed = [], 0, []
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "file.csv")
        for i in range(count):
            rng = np.random.default_rng([1, i])
            write(path, *sound(i % KINDS, rng))
            found = [finding["trouble"] for finding in audit(path)["findings"]]
            alarms += [(i % KINDS, found)] if found else []
        for i in range(count):
            rng = np.random.default_rng([2, i])
            trouble = TROUBLES[i % len(TROUBLES)]
            write(path, *spoil(trouble, *sound(i // len(TROUBLES) % KINDS, rng), rng))
            found = [finding["trouble"] for finding in audit(path)["findings"]]
            named += found == [trouble]
            missed += [(i // len(TROUBLES) % KINDS, trouble, found)] if found != [trouble] else []
    return {"files": count, "false_alarms": len(alarms), "alarms": alarms, "named_rightly": named, "not": missed}


def large():
    import numpy as np

    rng = np.random.default_rng(3)
    rows, columns, classes = 60_000, 50, 10
    y = rng.integers(0, classes, rows)
    x = rng.normal(size=(rows, columns)) + (rng.normal(size=(classes, columns)) * 0.5)[y]
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "file.csv")
        write(path, x.astype(object), y)
        start = time.perf_counter()
        said = audit(path)
    seconds = round(time.perf_counter() - start, 1)
    return {"rows": rows, "columns": columns, "classes": classes, "seconds": seconds, "found": len(said["findings"])}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", nargs="*", default=["suspects", "files", "large"])
    parser.add_argument("--files", type=int, default=100)
    options = parser.parse_args()
    parts = {"suspects": suspects, "files": lambda: files(options.files), "large": large}
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for part in options.only:
        results[part] = parts[part]()
        print(part, json.dumps(results[part]), flush=True)
        results["machine"] = machine("cleanlab", "numpy")
        RESULTS.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--peer"]:
        peer(sys.argv[2])
    else:
        main()
