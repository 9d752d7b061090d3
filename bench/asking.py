"""Games of questions and live decisions side by side with a numpy simulator and with scikit-activeml.

    pip install numpy scikit-learn scikit-activeml
    cargo build --release -p quadrat-bench
    python bench/asking.py [--only NAME ...] [--repeats N]

The game: 101 thresholds, 100 yes-no questions, a tenth of the replies flipped, 20 questions. Games: 2,000 at each of ten
thresholds. The peer plays all games of a threshold at once in numpy, a question at a time, by the same rule (most
information about the threshold, ties at random); both sides report how many of the answers were right. A learned policy
has no counterpart: its row compares with the same simulator. Live decisions: one question and its reply in a session;
scikit-activeml chooses the next of 100 candidates by entropy with a Parzen window classifier, fitted anew on all replies
as its loop is documented. Every run is a fresh process, ours and the peer's in turn, on two threads.
"""

import time

import side_by_side

QUESTIONS, BUDGET, FLIP, GAMES, LIVE = 100, 20, 0.1, 2000, 200

# name: our workload and settings, the peer
WORKLOADS = {
    "400,000 decisions by information gain": (["games", "policy=information"], "numpy"),
    "400,000 decisions by a learned policy": (["games", "policy=learned"], "numpy, information gain"),
    "200 live decisions by information gain": (["decisions", "policy=information"], "scikit-activeml"),
    "200 live decisions by a learned policy": (["decisions", "policy=learned"], "scikit-activeml"),
}


def games():
    """All games of a threshold side by side: the belief is games x thresholds."""
    import numpy as np

    yes = np.where(np.arange(QUESTIONS)[None, :] >= np.arange(QUESTIONS + 1)[:, None], 1 - FLIP, FLIP)
    rng = np.random.default_rng(1)
    right = 0
    start = time.perf_counter()
    for threshold in range(0, QUESTIONS, QUESTIONS // 10):
        belief = np.full((GAMES, QUESTIONS + 1), 1 / (QUESTIONS + 1))
        for _ in range(BUDGET):
            p = belief @ yes
            # Replies of all thresholds are equally noisy, so the information differs from the entropy by a constant.
            entropy = -(p * np.log(p) + (1 - p) * np.log1p(-p))
            best = entropy.max(axis=1, keepdims=True)
            asked = np.where(entropy >= best - 1e-12, rng.random(entropy.shape), -1).argmax(axis=1)
            reply = rng.random(GAMES) < yes[threshold, asked]
            likelihood = yes[:, asked].T
            belief *= np.where(reply[:, None], likelihood, 1 - likelihood)
            belief /= belief.sum(axis=1, keepdims=True)
        # Answers tie often; always taking the first would favour thresholds at the low end.
        likely = belief >= (1 - 1e-9) * belief.max(axis=1, keepdims=True)
        right += int((np.where(likely, rng.random(belief.shape), -1).argmax(axis=1) == threshold).sum())
    return time.perf_counter() - start, {"share right": right / 10 / GAMES, "decisions": 10 * GAMES * BUDGET}


def live():
    import numpy as np
    from skactiveml.classifier import ParzenWindowClassifier
    from skactiveml.pool import UncertaintySampling
    from skactiveml.utils import MISSING_LABEL

    x = np.arange(QUESTIONS, dtype=float)[:, None]
    classifier = ParzenWindowClassifier(classes=[0, 1], metric_dict={"gamma": 0.1})
    query = UncertaintySampling(method="entropy", random_state=1)
    seconds, decisions = 0.0, 0
    for _ in range(LIVE // BUDGET):
        y = np.full(QUESTIONS, MISSING_LABEL)
        for _ in range(BUDGET):
            start = time.perf_counter()
            chosen = query.query(X=x, y=y, clf=classifier)[0]
            seconds += time.perf_counter() - start
            y[chosen] = float(chosen >= 37)
            decisions += 1
    return seconds, {"decisions": decisions}


def peer(name):
    return live() if "live" in name else games()


if __name__ == "__main__":
    sizes = [f"games={GAMES}", f"budget={BUDGET}", f"times={LIVE}"]
    cases = {name: ([*words, *sizes], [name], {"library": library}) for name, (words, library) in WORKLOADS.items()}
    side_by_side.pairs(__file__, ["numpy", "scikit-activeml"], cases, peer, repeats=5)
