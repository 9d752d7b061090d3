"""Sparse networks trained to the end beside dense ones of PyTorch: accuracy, time and memory, on two threads.

    pip install torch numpy zstandard
    cargo build --release -p quadrat-bench
    python bench/nn_fit.py [--only NAME ...] [--repeats N]

784-2048-2048-10 on the 6,000 clothes of data/fashion-mnist.csv.zst: 15 epochs of batches of 128, Nesterov momentum 0.9 from
0.1 along a cosine, decay 5e-4; six trainings, each judged on another sixth of the rows. Ours with 5% of the weights (random
positions, ERK densities, initial weights scaled up to match), for as many epochs and for 18, and with all; PyTorch dense.
`accuracy` is the mean of the six.
"""

import math
import time

import side_by_side

FOLDS, EPOCHS, BATCH = 6, 15, 128


def write_data(folder):
    import io

    import numpy as np
    import zstandard

    packed = (side_by_side.ROOT / "data" / "fashion-mnist.csv.zst").read_bytes()
    text = zstandard.ZstdDecompressor().decompressobj().decompress(packed).decode()
    header, body = text.split("\n", 1)
    names = header.split(",")
    label = next(i for i, name in enumerate(names) if name in ("class", "label"))
    pixels = [i for i, name in enumerate(names) if i != label and name != "split"]
    lines = [line.split(",") for line in io.StringIO(body) if line.strip()]
    classes = sorted({line[label] for line in lines})
    np.save(f"{folder}/x.npy", np.array([[float(line[i]) / 255 for i in pixels] for line in lines], "float32"))
    np.save(f"{folder}/y.npy", np.array([classes.index(line[label]) for line in lines]))


def peer(folder):
    import numpy as np
    import torch
    from torch import nn

    torch.set_num_threads(side_by_side.THREADS)
    x, y = (torch.from_numpy(np.load(f"{folder}/{name}.npy")) for name in "xy")
    start, right = time.perf_counter(), []
    for fold in range(FOLDS):
        torch.manual_seed(fold)
        test = (torch.arange(len(y)) * 2654435761 % 2**32 >> 16) % FOLDS == fold
        train_x, train_y = x[~test], y[~test]
        net = nn.Sequential(nn.Linear(784, 2048), nn.ReLU(), nn.Linear(2048, 2048), nn.ReLU(), nn.Linear(2048, 10))
        opt = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4, fused=True)
        steps = EPOCHS * math.ceil(len(train_y) / BATCH)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(opt, steps)
        for _ in range(EPOCHS):
            for rows in torch.randperm(len(train_y)).split(BATCH):
                opt.zero_grad(set_to_none=True)
                nn.functional.cross_entropy(net(train_x[rows]), train_y[rows]).backward()
                opt.step()
                schedule.step()
        with torch.inference_mode():
            right.append((net(x[test]).argmax(1) == y[test]).float().mean().item())
    return time.perf_counter() - start, {"accuracy": sum(right) / FOLDS, "folds": right}


if __name__ == "__main__":
    ours = lambda percent, epochs: ["nn-fit", f"percent={percent}", f"epochs={epochs}"]
    cases = {f"5% of the weights, {EPOCHS} epochs": (ours(5, EPOCHS), ["{folder}"], {"peer": f"PyTorch, dense, {EPOCHS} epochs"}),
             "5% of the weights, 18 epochs": (ours(5, 18), None, {}),
             f"all weights, {EPOCHS} epochs": (ours(100, EPOCHS), None, {})}
    side_by_side.pairs(__file__, ["torch", "numpy"], cases, peer, write_data, repeats=1)
