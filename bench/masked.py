"""Texts drawn from a masked model, side by side with the loop that programs in PyTorch have, written in numpy.

    pip install numpy
    cargo build --release -p quadrat-bench
    python bench/masked.py [--only NAME ...] [--repeats N]

No package draws from masked models on a processor without its own network, so both sides have a model that costs nothing: a row of a
small table, copied. What is left is the sampler: for first-hitting a uniform place and one draw of 50,257 tokens a call, in double
precision (numpy: `cumsum` and `searchsorted`, as `torch.multinomial` does; 0.13 ms); for the ancestral sampler, as published, one draw of
50,258 classes for every hidden place in each step, by Gumbel noise. That takes minutes a text: fewer steps, places and texts are run, and the
seconds are said for those. Every run is a fresh process, ours and the peer's in turn.
"""

import time

import side_by_side

VOCABULARY = 50_257

# name: our workload, length, steps, texts
WORKLOADS = {
    "First-hitting, 1,024 places": ("masked-first-hitting", 1024, 0, 8),
    "Ancestral, 64 places, 200 steps": ("masked-ancestral", 64, 200, 1),
}


def peer(workload, length, steps, texts):
    length, steps, texts = int(length), int(steps), int(texts)
    import numpy as np

    rng = np.random.default_rng(1)
    rows = np.exp(3 * rng.standard_normal((8, VOCABULARY)))
    rows /= rows.sum(1, keepdims=True)
    start = time.perf_counter()
    for _ in range(texts):
        x = np.full(length, VOCABULARY)
        if workload == "masked-first-hitting":
            for _ in range(length):
                place = rng.choice(np.flatnonzero(x == VOCABULARY))
                cumulative = rows[place % 8].copy().cumsum()
                x[place] = np.searchsorted(cumulative, rng.random() * cumulative[-1], side="right")
        else:
            for step in range(steps, 0, -1):
                for place in np.flatnonzero(x == VOCABULARY):
                    weights = np.append(rows[place % 8] / step, (step - 1) / step)
                    x[place] = np.argmax(weights / rng.standard_exponential(VOCABULARY + 1))
    return time.perf_counter() - start, {}


if __name__ == "__main__":
    cases = {
        name: (
            [workload, f"length={length}", f"steps={steps}", f"texts={texts}"],
            [workload, str(length), str(steps), str(texts)],
            {},
        )
        for name, (workload, length, steps, texts) in WORKLOADS.items()
    }
    side_by_side.pairs(__file__, ["numpy"], cases, peer)
