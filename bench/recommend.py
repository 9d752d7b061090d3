"""Recommenders beside implicit, a closed form in numpy, and LibRecommender, on MovieLens-100k and two threads.

    pip install "numpy<2" scipy pandas scikit-learn tqdm torch implicit LibRecommender==1.5.2 "tensorflow-cpu<2.16"
    pip download --no-deps recbole==1.2.1 && unzip recbole-1.2.1-*.whl 'recbole/dataset_example/*'
    cargo build --release -p quadrat-cli --no-default-features
    python bench/recommend.py --data recbole/dataset_example/ml-100k [--only ease item-knn ssl-item-recommendation]

Ratings of 4 and 5 count; of each user the latest tenth is held back, and Recall@20 among all films that the user has not rated so is the
mean over users. Seconds are those of training. Two towers: one pass over the log takes `seconds_an_epoch`; features of films are
their classes and the year, of users age, gender and occupation, and both sides have the same sizes of layers, batches and passes.
"""

import argparse
import csv
import json
import math
import os
import subprocess
import tempfile
import time
from collections import defaultdict
from pathlib import Path

THREADS = 2
for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
    os.environ[name] = str(THREADS)
QUADRAT = Path(__file__).resolve().parent.parent / "target" / "release" / "quadrat"
EPOCHS, BATCH, DIMS, RATE = 10, 256, 16, 0.002


def table(path):
    with open(path, encoding="utf-8") as lines:
        head = [name.split(":")[0] for name in next(lines).rstrip("\n").split("\t")]
        return [dict(zip(head, line.rstrip("\n").split("\t"))) for line in lines]


def split(data):
    """The log as Quadrat splits it: pairs to learn from, and what each user is to find."""
    rows = [r for r in table(f"{data}/ml-100k.inter") if float(r["rating"]) >= 4]
    of_user = defaultdict(list)
    for row in rows:
        of_user[row["user_id"]].append(row)
    train, held = [], {}
    for user, own in of_user.items():
        own.sort(key=lambda row: float(row["timestamp"]))
        n = min(math.floor(0.1 * len(own) + 0.5), len(own) - 1)
        train += [(user, row["item_id"]) for row in own[: len(own) - n]]
        if n:
            held[user] = {row["item_id"] for row in own[len(own) - n :]}
    return train, held


def recall(lists, held):
    return sum(len(held[user] & set(lists[user][:20])) / len(held[user]) for user in held) / len(held)


def ours(data, method):
    with tempfile.TemporaryDirectory() as folder:
        items = f"{folder}/items.csv"
        with open(items, "w", newline="") as out:
            writer = csv.writer(out)
            writer.writerow(["item_id", "class", "release_year"])
            for row in table(f"{data}/ml-100k.item"):
                writer.writerow([row["item_id"], row["class"].replace(" ", "|"), row["release_year"]])
        command = [QUADRAT, "retrieve", "train", "--interactions", f"{data}/ml-100k.inter", "--items", items, "--users",
                   f"{data}/ml-100k.user", "--weight", "rating", "--at-least", "4", "--time", "timestamp", "--method", method,
                   "--out", f"{folder}/model", "--threads", str(THREADS), "--json"]
        told = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    figures = told["quality"][-1][method.split(":")[0]]
    return {"seconds": told["seconds"], "recall@20": figures["recall@20"]}


def matrix(train):
    import numpy as np
    from scipy.sparse import csr_matrix

    users, items = (list(dict.fromkeys(pair[side] for pair in train)) for side in (0, 1))
    row, column = ({name: at for at, name in enumerate(names)} for names in (users, items))
    ones = np.ones(len(train), dtype=np.float64)
    x = csr_matrix((ones, ([row[u] for u, _ in train], [column[i] for _, i in train])), (len(users), len(items)))
    return users, items, x


def lists_of(scores, users, items, x):
    import numpy as np

    scores = np.array(scores, dtype=np.float64)
    scores[x.nonzero()] = -np.inf
    best = np.argsort(-scores, axis=1, kind="stable")[:, :20]
    return {user: [items[at] for at in row] for user, row in zip(users, best)}


def ease(data):
    import numpy as np

    train, held = split(data)
    users, items, x = matrix(train)
    start = time.perf_counter()
    gram = (x.T @ x).toarray()
    gram[np.diag_indices_from(gram)] += 250
    inverse = np.linalg.inv(gram)
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0)
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "recall@20": recall(lists_of(x @ weights, users, items, x), held)}


def item_knn(data):
    from implicit.nearest_neighbours import CosineRecommender

    train, held = split(data)
    users, items, x = matrix(train)
    # Each item is its own nearest neighbour there.
    model = CosineRecommender(K=51, num_threads=THREADS)
    start = time.perf_counter()
    model.fit(x, show_progress=False)
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "recall@20": recall(lists_of((x @ model.similarity.tocsr()).toarray(), users, items, x), held)}


def two_towers(data):
    import pandas as pd
    from libreco.algorithms import TwoTower
    from libreco.data import DatasetFeat

    train, held = split(data)
    films = {row["item_id"]: row for row in table(f"{data}/ml-100k.item")}
    people = {row["user_id"]: row for row in table(f"{data}/ml-100k.user")}
    classes = max(len(film["class"].split()) for film in films.values())
    columns = [f"class{at}" for at in range(classes)]

    def row(user, item):
        named = films[item]["class"].split()
        return [user, item, 1, *(named + ["missing"] * (classes - len(named))), films[item]["release_year"],
                *(people[user][name] for name in ("age", "gender", "occupation"))]

    frame = pd.DataFrame([row(*pair) for pair in train],
                         columns=["user", "item", "label", *columns, "year", "age", "gender", "occupation"])
    log, info = DatasetFeat.build_trainset(frame, user_col=["age", "gender", "occupation"], item_col=[*columns, "year"],
                                           sparse_col=["year", "age", "gender", "occupation"], multi_sparse_col=[columns],
                                           pad_val=["missing"])
    model = TwoTower("ranking", info, loss_type="softmax", embed_size=DIMS, norm_embed=True, n_epochs=EPOCHS, lr=RATE,
                     batch_size=BATCH, use_bn=False, hidden_units=(128, 64), temperature=0.1, ssl_pattern="cfm", alpha=0.2)
    start = time.perf_counter()
    model.fit(log, neg_sampling=True, verbose=0)
    seconds = time.perf_counter() - start
    found = model.recommend_user(user=list(held), n_rec=20, filter_consumed=True)
    return {"seconds": seconds, "recall@20": recall({user: list(items) for user, items in found.items()}, held)}


OURS = {"ease": "ease", "item-knn": "item-knn:shrinkage=0", "ssl-item-recommendation":
        f"ssl-item-recommendation:dims={DIMS},epochs={EPOCHS},batch={BATCH},rate={RATE}"}
PEERS = {"ease": ease, "item-knn": item_knn, "ssl-item-recommendation": two_towers}

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", required=True)
    parser.add_argument("--only", nargs="*", choices=PEERS, default=list(PEERS))
    options = parser.parse_args()
    for name in options.only:
        for who, found in (("quadrat", ours(options.data, OURS[name])), ("peer", PEERS[name](options.data))):
            if name == "ssl-item-recommendation":
                found["seconds_an_epoch"] = found["seconds"] / EPOCHS
            print(json.dumps({"case": name, "who": who} | found), flush=True)
