"""An epoch of training on series with holes, side by side with pypots on two threads.

    pip install pypots==1.5
    cargo build --release -p quadrat-bench
    python bench/series.py [--only NAME ...] [--repeats N]

2,000 series of 48 times and 36 channels, half of the values missing, two classes, batches of 128. `gru-d`: our own GRU-D (state of
32) against pypots' of the same width. `supnotmiwae`: K = 5 latent paths, networks of width 32, against pypots' SAITS classifier (two
layers of width 32), which learns imputation and classes together as well, with one filling a series: other models, so that the
ratio says what each costs a user and not which code is better. `seconds` is for one epoch on both sides (pypots: the second epoch
less the first, without its start).
"""

import time

import side_by_side

SERIES, TIMES, CHANNELS = 2000, 48, 36


def peer(name):
    import warnings

    import numpy as np
    import torch
    from pypots import classification

    warnings.filterwarnings("ignore")
    torch.set_num_threads(side_by_side.THREADS)
    rng = np.random.default_rng(1)
    x = rng.normal(size=(SERIES, TIMES, CHANNELS)).astype("float32")
    x[x < 0] = np.nan
    data = {"X": x, "y": np.arange(SERIES) % 2}
    shared = dict(n_steps=TIMES, n_features=CHANNELS, n_classes=2, batch_size=128, device="cpu", verbose=False)

    def seconds(epochs):
        torch.manual_seed(1)
        if name == "gru-d":
            model = classification.GRUD(rnn_hidden_size=32, epochs=epochs, **shared)
        else:
            model = classification.SAITS(n_layers=2, d_model=32, n_heads=2, d_k=16, d_v=16, d_ffn=32, epochs=epochs, **shared)
        start = time.perf_counter()
        model.fit(data)
        return time.perf_counter() - start

    one, two = seconds(1), seconds(2)
    return two - one, {"epochs": 1, "with_start": one}


if __name__ == "__main__":
    cases = {
        "gru-d": (["series", "method=gru-d"], ["gru-d"], {"peer": "pypots GRU-D"}),
        "supnotmiwae": (["series", "method=supnotmiwae"], ["saits"], {"peer": "pypots SAITS"}),
        "forward-fill-mask": (["series", "method=forward-fill-mask"], None, {}),
    }
    side_by_side.pairs(__file__, ["pypots", "torch", "numpy"], cases, peer)
