"""Writes retrieval-run.txt, retrieval-qrels.txt and retrieval.json: a random run with many equal scores, graded and negative
judgements, unanswered and unjudged queries, and its figures.

Made with pytrec_eval-terrier 0.5.11 and ir-measures 0.4.3 (judged, success and ndcg with exponential gains; given the ranks
in place of the scores, since ir-measures orders equal scores otherwise).
"""

import json
import random

import ir_measures
import pytrec_eval
from ir_measures import Judged, Success, nDCG

random.seed(20261129)
run, qrels = {}, {}
for q in range(32):
    query = f"q{q}"
    documents = [f"{random.choice('abcXYZ')}{random.randint(0, 40)}" for _ in range(60)]
    documents = sorted(set(documents))
    random.shuffle(documents)
    if q not in (3, 17):
        kept = documents[: random.choice([1, 4, 12, 30])]
        run[query] = {d: random.choice([0.5, 1.0, 1.00000001, 2.5, -1.0, 1e-3]) for d in kept}
    if q not in (5, 21):
        levels = [0] if q == 8 else [-1, 0, 0, 0, 1, 1, 2, 3]
        qrels[query] = {d: random.choice(levels) for d in random.sample(documents, random.choice([3, 10, 25]))}

with open("retrieval-run.txt", "w") as f:
    lines = [f"{q} Q0 {d} 0 {s} golden\n" for q in run for d, s in run[q].items()]
    random.shuffle(lines)
    f.writelines(lines)
with open("retrieval-qrels.txt", "w") as f:
    f.writelines(f"{q} 0 {d} {level}\n" for q in qrels for d, level in qrels[q].items())

names = {"ndcg": "ndcg", "ndcg@5": "ndcg_cut_5", "ndcg@10": "ndcg_cut_10", "map": "map", "map@5": "map_cut_5", "mrr": "recip_rank",
         "recall@5": "recall_5", "recall@100": "recall_100", "precision@5": "P_5", "precision@10": "P_10",
         "rprec": "Rprec", "bpref": "bpref", "success@1": "success_1"}
evaluator = pytrec_eval.RelevanceEvaluator(
    qrels, {"ndcg", "ndcg_cut.5,10", "map", "map_cut.5", "recip_rank", "recall.5,100", "P.5,10", "Rprec", "bpref", "success.1"})
found = evaluator.evaluate(run)
per_query = {q: {ours: found.get(q, {}).get(theirs, 0.0) for ours, theirs in names.items()} for q in qrels}

# As a float holds them, equal scores by id from the highest.
single = lambda s: __import__("struct").unpack("f", __import__("struct").pack("f", s))[0]
ranks = {q: {d: -float(i) for i, (s, d) in enumerate(sorted(((single(s), d) for d, s in of.items()), reverse=True))}
         for q, of in run.items()}
for values in per_query.values():
    values |= {"judged@5": 0.0, "success@5": 0.0}
for metric in ir_measures.iter_calc([Judged @ 5, Success @ 5], qrels, ranks):
    per_query[metric.query_id][{"Judged@5": "judged@5", "Success@5": "success@5"}[str(metric.measure)]] = metric.value
gains = {level: 2 ** level - 1 for level in (1, 2, 3)}
for values in per_query.values():
    values["ndcg_exp@10"] = 0.0
for metric in ir_measures.iter_calc([nDCG(gains=gains) @ 10], qrels, ranks):
    per_query[metric.query_id]["ndcg_exp@10"] = metric.value
measures = list(next(iter(per_query.values())))
means = {m: sum(v[m] for v in per_query.values()) / len(per_query) for m in measures}
json.dump({"means": means, "per_query": per_query}, open("retrieval.json", "w"), indent=None)
print(means)
