"""Measures of rankings beside pytrec_eval, and exact search among vectors beside faiss, on two threads.

    pip install pytrec_eval-terrier faiss-cpu numpy
    cargo build --release -p quadrat-bench
    python bench/retrieval.py [--only NAME ...] [--repeats N]

`rankings`: 1,000 queries x 1,000 documents, 50 judgements a query, four measures; `reading_seconds` is both files, and `both_seconds`
the sum. `dense-*`: the best 200 of 117,000 or a million rows of 384 values and length 1, ten batches of 32 queries; `best_seconds`
is the quickest batch. faiss has IndexFlatIP, also beside rows coded in a byte a value, where our list is the same. The wheel
of faiss-cpu 1.15.1 brings OpenBLAS 0.3.15 of 2021, which does not know newer processors: `dense-117k-numpy` has numpy's matrix
product, by a newer one, and argpartition.
"""

import random
import time

import side_by_side

QUERIES, DOCUMENTS, JUDGED = 1000, 1000, 50
COLUMNS, BATCH, K, BATCHES = 384, 32, 200, 10


def write_rankings(folder):
    random.seed(1)
    ids = [f"D{n:07d}" for n in random.sample(range(10_000_000), 200_000)]
    with open(f"{folder}/run.trec", "w") as run, open(f"{folder}/qrels.txt", "w") as qrels:
        for q in range(QUERIES):
            found = random.sample(ids, DOCUMENTS)
            scores = sorted((round(random.gauss(12, 3), 4) for _ in found), reverse=True)
            run.writelines(f"q{q} Q0 {d} {r} {s} bench\n" for r, (d, s) in enumerate(zip(found, scores), 1))
            judged = dict.fromkeys(random.sample(found, JUDGED // 2) + random.sample(ids, JUDGED // 2))
            qrels.writelines(f"q{q} 0 {d} {random.choice([0, 0, 0, 1, 2])}\n" for d in judged)


def rankings(folder):
    import pytrec_eval

    start = time.perf_counter()
    with open(f"{folder}/qrels.txt") as qrels, open(f"{folder}/run.trec") as run:
        qrels, run = pytrec_eval.parse_qrel(qrels), pytrec_eval.parse_run(run)
    reading = time.perf_counter() - start
    start = time.perf_counter()
    measures = {"ndcg_cut.10", "map", "recip_rank", "recall.100"}
    found = pytrec_eval.RelevanceEvaluator(qrels, measures).evaluate(run)
    names = {"ndcg@10": "ndcg_cut_10", "map": "map", "mrr": "recip_rank", "recall@100": "recall_100"}
    means = {name: sum(of[theirs] for of in found.values()) / len(found) for name, theirs in names.items()}
    seconds = time.perf_counter() - start
    return seconds, {"reading_seconds": reading, "both_seconds": reading + seconds} | means


def dense(rows, library):
    import numpy as np

    rng = np.random.default_rng(1)

    def vectors(n):
        x = rng.standard_normal((n, COLUMNS), dtype=np.float32)
        return x / np.linalg.norm(x, axis=1, keepdims=True)

    rows = vectors(int(rows))
    if library == "faiss":
        import faiss

        faiss.omp_set_num_threads(side_by_side.THREADS)
        index = faiss.IndexFlatIP(COLUMNS)
        index.add(rows)

    def search(queries):
        if library == "faiss":
            return index.search(queries, K)
        scores = queries @ rows.T
        best = np.argpartition(scores, -K, axis=1)[:, -K:]
        found = np.take_along_axis(scores, best, axis=1)
        order = np.argsort(-found, axis=1, kind="stable")
        return np.take_along_axis(found, order, axis=1), np.take_along_axis(best, order, axis=1)

    seconds, scores = [], 0.0
    for queries in [vectors(BATCH) for _ in range(BATCHES)]:
        start = time.perf_counter()
        found, _ = search(queries)
        seconds.append(time.perf_counter() - start)
        scores += found.mean()
    return sum(seconds), {"best_seconds": min(seconds), "mean_score": float(scores) / BATCHES}


def peer(name, *words):
    return rankings(*words) if name == "rankings" else dense(*words)


if __name__ == "__main__":
    cases = {"rankings": (["rankings", "folder={folder}"], ["rankings", "{folder}"], {"peer": "pytrec_eval"})}
    for rows, name in [(117_000, "117k"), (1_000_000, "1M")]:
        for how in ["single", "half", "int8"]:
            words = ["dense", f"how={how}", f"rows={rows}", f"columns={COLUMNS}", f"queries={BATCH}", f"k={K}",
                     f"batches={BATCHES}"]
            theirs = None if how == "half" else ["dense", str(rows), "faiss"]
            cases[f"dense-{name}-{how}"] = (words, theirs, {"peer": "faiss IndexFlatIP"})
    words = cases["dense-117k-single"][0]
    cases["dense-117k-numpy"] = (words, ["dense", "117000", "numpy"], {"peer": "numpy argpartition"})
    side_by_side.pairs(__file__, ["pytrec_eval-terrier", "faiss-cpu", "numpy"], cases, peer, write_rankings)
