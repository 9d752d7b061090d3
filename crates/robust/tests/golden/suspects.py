"""Writes suspects.json beside it: what cleanlab 2.9.0 (numpy 2.4.6) makes of sixty rows of three classes.

    pip install cleanlab==2.9.0
    python suspects.py

Probabilities have four digits, so that a tie would show; twelve labels were changed. `calibrated` is
the confident joint brought to the labels' counts and rounded, `issues` the rows of find_label_issues
(prune by class).
"""

import json
from pathlib import Path

import numpy as np
from cleanlab.count import compute_confident_joint
from cleanlab.filter import find_label_issues

rng = np.random.default_rng(7)
n, k = 60, 3
y = rng.integers(0, k, n)
p = np.eye(k)[y] * 2 + rng.gamma(1.0, 1.0, (n, k))
p /= p.sum(1, keepdims=True)
labels = y.copy()
wrong = rng.choice(n, 12, False)
labels[wrong] = (labels[wrong] + 1 + rng.integers(0, 2, 12)) % k
p = np.round(p, 4)
p[:, 2] = np.round(1 - p[:, 0] - p[:, 1], 4)
issues = find_label_issues(
    labels, p, filter_by="prune_by_class", return_indices_ranked_by="self_confidence", n_jobs=1
)
golden = {
    "probabilities": p.tolist(),
    "labels": labels.tolist(),
    "thresholds": [p[labels == c, c].mean() for c in range(k)],
    "calibrated": compute_confident_joint(labels, p, calibrate=True).tolist(),
    "issues": issues.tolist(),
}
(Path(__file__).parent / "suspects.json").write_text(json.dumps(golden) + "\n")
