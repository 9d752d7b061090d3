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

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OURS = ROOT / "target" / "release" / "quadrat-bench"
RESULTS = ROOT / "bench" / "results" / "asking.json"
THREADS = 2
QUESTIONS, BUDGET, FLIP, GAMES, LIVE, LIVE_PEER = 100, 20, 0.1, 2000, 100_000, 200

# name: our workload and settings, the peer
WORKLOADS = {
    "400,000 decisions by information gain": (["games", "policy=information"], "numpy"),
    "400,000 decisions by a learned policy": (["games", "policy=learned"], "numpy, information gain"),
    "1,000 live decisions by information gain": (["decisions", "policy=information"], "scikit-activeml"),
    "1,000 live decisions by a learned policy": (["decisions", "policy=learned"], "scikit-activeml"),
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
    for _ in range(LIVE_PEER // BUDGET):
        y = np.full(QUESTIONS, MISSING_LABEL)
        for _ in range(BUDGET):
            start = time.perf_counter()
            chosen = query.query(X=x, y=y, clf=classifier)[0]
            seconds += time.perf_counter() - start
            y[chosen] = float(chosen >= 37)
            decisions += 1
    return seconds, {"decisions": decisions}


def peer(name):
    """Runs in a process of its own: prints one JSON line."""
    seconds, figures = games() if "live" not in name else live()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"seconds": seconds, "peak_bytes": peak} | figures))


def run(command, env=None):
    done = subprocess.run(command, capture_output=True, text=True, env=env)
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def machine():
    cpu = next((l.split(":")[1].strip() for l in open("/proc/cpuinfo") if l.startswith("model name")), "unknown")
    return (f"{cpu}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}; {THREADS} threads; "
            f"numpy {version('numpy')}, scikit-activeml {version('scikit-activeml')}, python {platform.python_version()}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--peer", help=argparse.SUPPRESS)
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    if options.peer:
        return peer(options.peer)
    env = {k: v for k, v in os.environ.items() if k not in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")}
    env |= {"OPENBLAS_NUM_THREADS": str(THREADS), "OMP_NUM_THREADS": str(THREADS)}
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    results["machine"] = machine()
    for name, (words, library) in WORKLOADS.items():
        if options.only and not any(word in name for word in options.only):
            continue
        ours, theirs = [], []
        for _ in range(options.repeats):
            ours.append(run([str(OURS), *words, f"games={GAMES}", f"budget={BUDGET}", f"times={LIVE}", f"threads={THREADS}"]))
            theirs.append(run([sys.executable, __file__, "--peer", name], env))
        # Live decisions are timed for as many as a side can make, and shown for a thousand.
        share = lambda r: 1000 / r["decisions"] if "live" in name else 1
        median = lambda runs, of: statistics.median(of(r) for r in runs)
        side = lambda runs: {
            "seconds": median(runs, lambda r: r["seconds"] * share(r)),
            "peak_bytes": median(runs, lambda r: r["peak_bytes"]),
        }
        results[name] = {
            "ours": side(ours),
            "peer": side(theirs) | {"library": library},
            "share right": [ours[0].get("share right"), theirs[0].get("share right")],
            "repeats": len(ours),
        }
        print(name, json.dumps(results[name]), flush=True)
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
