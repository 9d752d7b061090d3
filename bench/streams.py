"""Streams of rows side by side with numpy, and the neighbours behind splits by similarity side by side with faiss.

    pip install numpy faiss-cpu
    cargo build --release -p quadrat-bench
    python bench/streams.py [--only NAME ...] [--repeats N]

A stream: rounds of 100,000 out of 10,000,000 row numbers. Without replacement numpy shuffles all rows once for every
hundred rounds and hands out slices; drawing each round independently numpy uses Generator.choice without replacement,
which is Floyd's method at this share. Neighbours: the 10 of 500,000 training rows most similar to each of 500 test rows,
384 float32 values a row, against faiss IndexFlatIP. Every run is a fresh process, ours and the peer's in turn, on two
threads; reading and making data is not counted.
"""

import time

import side_by_side
ROWS, TAKE, ROUNDS = 10_000_000, 100_000, 1000
TRAIN, TEST, WIDTH, NEIGHBOURS = 500_000, 500, 384, 10

# name: our workload and settings, the peer
WORKLOADS = {
    "1,000 rounds without replacement": (["rounds", "draw=without-replacement"], "numpy"),
    "1,000 independent rounds": (["rounds", "draw=with-replacement"], "numpy"),
    "first round without replacement": (["rounds", "draw=without-replacement", "rounds=1"], "numpy"),
    "first independent round": (["rounds", "draw=with-replacement", "rounds=1"], "numpy"),
    "10 neighbours of 500 in 500,000 x 384": (["split-neighbours", f"neighbours={NEIGHBOURS}"], "faiss"),
}


def peer(name, folder):
    import numpy as np

    if "neighbours" in name:
        import faiss

        faiss.omp_set_num_threads(side_by_side.THREADS)
        train, test = np.load(f"{folder}/train.npy"), np.load(f"{folder}/test.npy")
        start = time.perf_counter()
        index = faiss.IndexFlatIP(WIDTH)
        index.add(train)
        similarity, _ = index.search(test, NEIGHBOURS)
        seconds, figure = time.perf_counter() - start, float((1 - similarity.astype(float)).sum())
    else:
        rng = np.random.default_rng(1)
        rounds = 1 if "first" in name else ROUNDS
        total = 0
        start = time.perf_counter()
        if "independent" in name:
            for _ in range(rounds):
                total += int(rng.choice(ROWS, TAKE, replace=False).sum())
        else:
            for done in range(0, rounds, ROWS // TAKE):
                order = rng.permutation(ROWS)
                for at in range(0, min(rounds - done, ROWS // TAKE)):
                    total += int(order[at * TAKE:(at + 1) * TAKE].sum())
        seconds, figure = time.perf_counter() - start, total / rounds / TAKE
    return seconds, {"figure": figure}


def write_data(folder):
    import numpy as np

    rng = np.random.default_rng(3)
    for part, rows in (("train", TRAIN), ("test", TEST)):
        x = rng.normal(size=(rows, WIDTH)).astype(np.float32)
        np.save(f"{folder}/{part}.npy", x / np.linalg.norm(x, axis=1, keepdims=True))


if __name__ == "__main__":
    files = ["train={folder}/train.npy", "test={folder}/test.npy"]
    row = lambda name, words, library: ([*words, *files], [name, "{folder}"], {"library": library})
    cases = {name: row(name, *workload) for name, workload in WORKLOADS.items()}
    side_by_side.pairs(__file__, ["numpy", "faiss-cpu"], cases, peer, write_data)
