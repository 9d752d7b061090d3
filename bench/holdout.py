"""Questions to a hold-out set, side by side with numpy.

    pip install numpy
    cargo build --release -p quadrat-bench
    python bench/holdout.py [--only NAME ...] [--repeats N]

No maintained package answers adaptive questions, so the peer is the mechanism written in numpy as a practitioner would:
one question after the other, since each depends on the answer before. Both sides draw their own 0/1 data outside the
timed part: 1,000 columns of predictions and one of labels over 10,000 rows, as contiguous columns. A question is the
agreement of a column with the labels; which column comes next depends on the last answer. numpy counts with
`count_nonzero(column == labels)` on booleans, the fastest of three ways tried (5 us of processor time a question; packed
bits with `bitwise_count` take 9, `mean()` takes 23). Every run is a fresh process, ours and the peer's in turn.
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
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OURS = ROOT / "target" / "release" / "quadrat-bench"
RESULTS = ROOT / "bench" / "results" / "holdout.json"
THREADS = 2
ROWS, COLUMNS = 10_000, 1000

# name: our workload, questions
WORKLOADS = {
    "Gaussian answers, 1,000,000 questions about 10,000 rows": ("holdout-gaussian", 1_000_000),
    "Thresholdout, 100,000 questions about 10,000 + 10,000 rows": ("holdout-thresholdout", 100_000),
    "Thresholdout on disk: 1,000 questions, each answer flushed": ("holdout-ledger", 1000),
}


def peer(workload, questions):
    """Runs in a process of its own: prints one JSON line."""
    import numpy as np

    rng = np.random.default_rng(1)
    rows = ROWS if workload == "holdout-gaussian" else 2 * ROWS
    columns = rng.integers(0, 2, size=(COLUMNS, rows)).astype(bool)
    labels = rng.integers(0, 2, size=rows).astype(bool)
    count, at, total = np.count_nonzero, 0, 0.0
    start = time.perf_counter()
    if workload == "holdout-gaussian":
        for _ in range(questions):
            answer = count(columns[at] == labels) / ROWS + 0.01 * rng.standard_normal()
            answer = min(max(answer, 0.0), 1.0)
            total += answer
            at = (7 * at + 1 + (answer > 0.5)) % COLUMNS
    else:
        threshold, sigma = 4 / ROWS**0.5, 1 / ROWS**0.5
        for _ in range(questions):
            right = columns[at] == labels
            train, holdout = count(right[:ROWS]) / ROWS, count(right[ROWS:]) / ROWS
            answer = train
            if abs(train - holdout) > threshold + sigma * rng.standard_normal():
                answer = holdout + sigma * rng.standard_normal()
            total += answer
            at = (7 * at + 1 + (answer > 0.5)) % COLUMNS
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"seconds": seconds, "mean": total / questions, "peak_bytes": peak}))


def run(command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def machine():
    cpu = next((l.split(":")[1].strip() for l in open("/proc/cpuinfo") if l.startswith("model name")), "unknown")
    from importlib.metadata import version

    return (f"{cpu}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}; both sides on one thread; "
            f"numpy {version('numpy')}, python {platform.python_version()}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--peer", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    if options.peer:
        return peer(options.peer[0], int(options.peer[1]))
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    results["machine"] = machine()
    for name, (workload, questions) in WORKLOADS.items():
        if options.only and not any(word in name for word in options.only):
            continue
        ours, theirs = [], []
        for _ in range(options.repeats):
            ours.append(run([str(OURS), workload, f"questions={questions}", f"threads={THREADS}"]))
            if workload != "holdout-ledger":
                theirs.append(run([sys.executable, __file__, "--peer", workload, str(questions)]))
        median = lambda runs, key: statistics.median(r[key] for r in runs)
        results[name] = {"ours": {k: median(ours, k) for k in ("seconds", "peak_bytes", "mean")}, "repeats": len(ours)}
        if theirs:
            results[name] |= {
                "peer": {k: median(theirs, k) for k in ("seconds", "peak_bytes", "mean")},
                "speedup": median(theirs, "seconds") / median(ours, "seconds"),
                "memory ratio": median(theirs, "peak_bytes") / median(ours, "peak_bytes"),
            }
        print(name, json.dumps(results[name]), flush=True)
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
