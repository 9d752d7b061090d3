"""Writes bench/RESULTS.md from the JSON files under bench/results that the scripts beside this one leave.

    python bench/table.py
"""

import json
from pathlib import Path

HERE = Path(__file__).resolve().parent

HEAD = """# Side by side

Written by `bench/table.py`; do not edit. Each row is one run of a script under `bench/`: Quadrat and the peer on the same
data, in turn, in processes of their own, on two threads; medians. *Times faster* is the peer's wall-clock time over ours
(below 1 the peer is faster). Absolute times are there to show the size of the work only: the machine was not idle, and
both sides were slowed alike. For networks (nn_ops, nn_train, labels) and losses of detectors the time is the quickest step's, and single operations run on
one thread. Memory is the process's peak, data included, unless the row says *extra*, which counts
what the call adds to it.

Repeat a part with `cargo build --release -p quadrat-bench` and the script's own instructions (its first lines name the
packages to install into an environment of their own).
"""


def mib(bytes_):
    return f"{bytes_ / 2**20:,.0f} MiB"


def seconds(value):
    return f"{value:.3g} s" if value < 1000 else f"{value:,.0f} s"


def line(workload, ours, memory="", peer="-", peer_seconds=None, peer_memory=""):
    """One row; the ratio is computed here and nowhere else."""
    if peer_seconds is None:
        return f"| {workload} | {seconds(ours)} | {memory} | - | | | |"
    return (f"| {workload} | {seconds(ours)} | {memory} | {peer} | {seconds(peer_seconds)} | {peer_memory} "
            f"| **{peer_seconds / ours:.3g}** |")


def with_peers(results, name):
    """Files whose cases hold one run of ours and any number of peers: numeric."""
    for case, found in results["cases"].items():
        ours = found["ours"]
        extra = lambda run: f"{mib(run['extra_bytes'])} extra" if "extra_bytes" in run else ""
        if not found["peers"]:
            yield line(case, ours["seconds"], extra(ours))
        for peer, run in found["peers"].items():
            yield line(case, ours["seconds"], extra(ours), peer, run["seconds"], extra(run))


def flat(results, name):
    """robust, data: one peer, figures side by side."""
    for case, run in results["workloads"].items():
        yield line(case, run["seconds"], f"{run['peak_mib']} MiB", results["peer"], run["peer_seconds"],
                   f"{run['peer_peak_mib']} MiB")


def listed(results, name):
    """select: any number of peers, each with its own figures."""
    for case, run in results["workloads"].items():
        if not run["peers"]:
            yield line(case, run["seconds"], f"{run['peak_mib']} MiB")
        for peer, theirs in run["peers"].items():
            yield line(case, run["seconds"], f"{run['peak_mib']} MiB", peer, theirs["seconds"], f"{theirs['peak_mib']} MiB")


def pairs(results, name):
    """The other scripts: ours and at most one peer a case, named by the case where it differs."""
    peers = {"sensitivity": "numpy / scipy", "designs": "DPPy", "holdout": "numpy", "bias": "numpy / scipy",
             "score": "numpy", "transport": "POT", "pretrain": "scikit-learn"}
    for case, run in results.items():
        if case in ("machine", "notes"):
            continue
        theirs = run.get("peer")
        if not theirs:
            yield line(case, run["ours"]["seconds"], mib(run["ours"]["peak_bytes"]))
            continue
        peer = theirs.get("library") or peers[name]
        guess = f", extrapolated from {theirs['extrapolated from rows']} rows" if "extrapolated from rows" in theirs else ""
        yield line(case, run["ours"]["seconds"], mib(run["ours"]["peak_bytes"]), peer + guess, theirs["seconds"],
                   mib(theirs["peak_bytes"]))


def steps(results, name):
    """nn_ops, nn_train, labels: the quickest step of each side."""
    for case, run in results.items():
        if case != "machine":
            ours, theirs = run["ours"], run.get("peer")
            more = (theirs["peer"], theirs["best_seconds"], mib(theirs["peak_bytes"])) if theirs else ()
            yield line(case, ours["best_seconds"], mib(ours["peak_bytes"]), *more)


def steps_and_runs(results, name):
    """detection, rcal, retrieval, words: the quickest step of each side, or the whole run where there are no steps."""
    took = lambda side: side.get("best_seconds", side["seconds"])
    for case, run in results.items():
        if case != "machine":
            ours, theirs = run["ours"], run.get("peer")
            more = (theirs["peer"], took(theirs), mib(theirs["peak_bytes"])) if theirs else ()
            yield line(case, took(ours), mib(ours["peak_bytes"]), *more)


def accuracies(results, name):
    """nn_fit: accuracy beside memory."""
    told = lambda side: f"accuracy {side['accuracy']:.4f}, {mib(side['peak_bytes'])}"
    for case, run in results.items():
        if case != "machine":
            ours, theirs = run["ours"], run.get("peer")
            more = (theirs["peer"], theirs["seconds"], told(theirs)) if theirs else ()
            yield line(case, ours["seconds"], told(ours), *more)


def losses(results, name):
    """tuning: validation and test loss in the place of memory."""
    told = lambda side: f"losses {side['validation']:.4f} and {side['test']:.4f}"
    for case, run in results.items():
        if case != "machine":
            ours, theirs = run["ours"], run["peer"]
            yield line(case, ours["seconds"], told(ours), theirs["peer"], theirs["seconds"], told(theirs))


def sobol(results, name):
    """sobol: our two methods and three peers a case, with the error beside the time."""
    error = lambda side: f"error {side['rmse']:.2g}, {mib(side['peak_bytes'])}"
    for case, sides in results["cases"].items():
        for peer in (side for side in sides if side not in ("saltelli", "iscv", "repeats")):
            ours, theirs = sides["saltelli"], sides[peer]
            yield line(f"{case}, 20 analyses", ours["seconds"], error(ours), peer, theirs["seconds"], error(theirs))
        yield line(f"{case}, 20 analyses, adaptive", sides["iscv"]["seconds"], error(sides["iscv"]))


def tasks(results, name):
    """tasks: any number of peers a case, time only."""
    for case, run in results["workloads"].items():
        for peer, theirs in run["peers"].items():
            yield line(case, run["seconds"], mib(run["peak_bytes"]), peer, theirs["seconds"], mib(theirs["peak_bytes"]))


SHAPES = {
    "numeric": with_peers,
    "encoder": with_peers,
    "data": flat,
    "folder": pairs,
    "robust": flat,
    "select": listed,
    "sensitivity": pairs,
    "designs": pairs,
    "streams": pairs,
    "asking": pairs,
    "holdout": pairs,
    "bias": pairs,
    "calibration": pairs,
    "nn_fit": accuracies,
    "nn_ops": steps,
    "nn_train": steps,
    "labels": steps,
    "detection": steps_and_runs,
    "retrieval": steps_and_runs,
    "words": steps_and_runs,
    "rcal": steps_and_runs,
    "sobol": sobol,
    "score": pairs,
    "pretrain": pairs,
    "tasks": tasks,
    "transport": pairs,
    "tuning": losses,
    "diffusion": pairs,
    "levels": pairs,
    "pde": pairs,
}


def main():
    text = HEAD
    for name, rows in SHAPES.items():
        path = HERE / "results" / f"{name}.json"
        if not path.exists():
            continue
        results = json.loads(path.read_text())
        script = "selection" if name == "select" else name
        text += f"\n## {name} (`bench/{script}.py`)\n\n{results['machine']}\n\n"
        text += "| workload | Quadrat | memory | peer | peer's time | peer's memory | times faster |\n|---|---|---|---|---|---|---|\n"
        text += "".join(row + "\n" for row in rows(results, name))
        for note in results.get("notes", []):
            text += f"\n{note}\n"
    (HERE / "RESULTS.md").write_text(text)


if __name__ == "__main__":
    main()
