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

import time

import side_by_side

ROWS, COLUMNS = 10_000, 1000

# name: our workload, questions
WORKLOADS = {
    "Gaussian answers, 1,000,000 questions about 10,000 rows": ("holdout-gaussian", 1_000_000),
    "Thresholdout, 100,000 questions about 10,000 + 10,000 rows": ("holdout-thresholdout", 100_000),
    "Thresholdout on disk: 1,000 questions, each answer flushed": ("holdout-ledger", 1000),
}


def peer(workload, questions):
    questions = int(questions)
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
    return seconds, {"mean": total / questions}


if __name__ == "__main__":
    alone = lambda workload: workload == "holdout-ledger"
    cases = {
        name: ([workload, f"questions={questions}"], None if alone(workload) else [workload, str(questions)], {})
        for name, (workload, questions) in WORKLOADS.items()
    }
    side_by_side.pairs(__file__, ["numpy"], cases, peer)
