"""Writes apricot.json: rankings of apricot-select 0.6.1 (numpy 1.26) on small dense instances.

Run in a throw-away environment: pip install "numpy<2" apricot-select==0.6.1; python make_apricot.py > apricot.json
"""

import json

import numpy
from apricot import FacilityLocationSelection, FeatureBasedSelection

rng = numpy.random.default_rng(7)

# Feature-based: a row has its score (a multiple of 1/64, exact in single precision) at each of its labels.
n, labels = 60, 12
rows = [sorted(rng.choice(labels, rng.integers(1, 5), replace=False).tolist()) for _ in range(n)]
scores = (rng.permutation(1000)[:n] + 1) / 64
features = numpy.zeros((n, labels))
for i, row in enumerate(rows):
    features[i, row] = scores[i]
feature_based = FeatureBasedSelection(25, concave_func="sqrt", optimizer="naive").fit(features)

# Facility location on all pairs: cosine similarities of positive points.
points = numpy.round(rng.random((50, 4)), 3).astype("float32")
unit = points.astype(float) / numpy.linalg.norm(points.astype(float), axis=1, keepdims=True)
facility = FacilityLocationSelection(15, metric="precomputed", optimizer="naive").fit(unit @ unit.T)

print(json.dumps({
    "feature_based": {
        "scores": scores.tolist(), "labels": rows,
        "picks": feature_based.ranking.tolist(), "gains": numpy.asarray(feature_based.gains).tolist(),
    },
    "facility_location": {
        "points": points.astype(float).tolist(),
        "picks": facility.ranking.tolist(), "gains": numpy.asarray(facility.gains).tolist(),
    },
}))
