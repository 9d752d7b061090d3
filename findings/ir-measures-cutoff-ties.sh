#!/usr/bin/env bash
# ir-measures 0.4.3 with pytrec_eval-terrier 0.5.11: RR and RR@10 of one run of three documents are 0.33 and 1.
#
# A cut-off changes who computes: RR comes from pytrec_eval, which orders equal scores by document id, the highest first (as trec_eval
# does), RR@10 from another program, which orders them the other way. On a run whose scores tie, RR@10 can thus be above RR, which by their
# definitions it never is; and two papers that both say "ir-measures, default" differ by the measure's name alone. Quadrat has one order
# for all measures: trec_eval's.
#
# Seen on Python 3.11.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install ir-measures==0.4.3 pytrec_eval-terrier==0.5.11

"$folder/venv/bin/python" - <<'PYTHON'
import ir_measures
from ir_measures import RR, Qrel, ScoredDoc

judgements = [Qrel("q1", "a", 1), Qrel("q1", "b", 0)]
run = [ScoredDoc("q1", document, 1.0) for document in "abz"]
found = {str(measure): value for measure, value in ir_measures.calc_aggregate([RR, RR @ 10], judgements, run).items()}
print("three documents of equal score, the relevant one lowest by id:", found)
assert abs(found["RR"] - 1 / 3) < 1e-9 and found["RR@10"] == 1.0, "ir-measures has come to order ties alike"
PYTHON
