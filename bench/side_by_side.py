"""What the scripts of this folder share: runs in fresh processes, ours and the peer's in turn, medians, one JSON file."""

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OURS = ROOT / "target" / "release" / "quadrat-bench"
THREADS = 2


def run(command):
    """The JSON of the last line that a process prints. Peers' linear algebra picks its own kernels and block sizes, on as
    many threads as ours."""
    env = {k: v for k, v in os.environ.items() if k not in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")}
    env |= {"OPENBLAS_NUM_THREADS": str(THREADS), "OMP_NUM_THREADS": str(THREADS)}
    done = subprocess.run(command, capture_output=True, text=True, env=env)
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def ours(*words):
    return run([str(OURS), *words, f"threads={THREADS}"])


def machine(*packages):
    cpu = next((l.split(":")[1].strip() for l in open("/proc/cpuinfo") if l.startswith("model name")), "unknown")
    peers = ", ".join(f"{package} {version(package)}" for package in packages)
    return (f"{cpu}, {os.cpu_count()} cores, {platform.system()} {platform.machine()}; {THREADS} threads; "
            f"{peers}, python {platform.python_version()}")


def median(runs):
    """Of every number that all runs give."""
    keys = [key for key, value in runs[0].items() if isinstance(value, (int, float)) and all(key in run for run in runs)]
    return {key: statistics.median(run[key] for run in runs) for key in keys}


def pairs(script, packages, cases, peer, write_data=None, repeats=3):
    """Runs each case and writes results/NAME.json.

    `cases`: name -> (words for ours, words for the peer or None, and what else the peer's row says). In words, {folder} is
    where `write_data` has put the data, once. `peer` gets its words in a process of its own and returns seconds and a
    dictionary of figures.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--peer", nargs="+", help=argparse.SUPPRESS)
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--repeats", type=int, default=repeats)
    options = parser.parse_args()
    if options.peer:
        seconds, figures = peer(*options.peer)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        print(json.dumps({"seconds": seconds, "peak_bytes": peak} | figures))
        return
    path = ROOT / "bench" / "results" / f"{Path(script).stem}.json"
    results = json.loads(path.read_text()) if path.exists() else {}
    results["machine"] = machine(*packages)
    with tempfile.TemporaryDirectory() as folder:
        if write_data:
            write_data(folder)
        for name, (words, peer_words, more) in cases.items():
            if options.only and not any(word in name for word in options.only):
                continue
            placed = lambda words: [word.format(folder=folder) for word in words]
            mine, theirs = [], []
            for _ in range(options.repeats):
                mine.append(ours(*placed(words)))
                if peer_words is not None:
                    theirs.append(run([sys.executable, script, "--peer", *placed(peer_words)]))
            results[name] = {"ours": median(mine), "repeats": options.repeats}
            if theirs:
                results[name]["peer"] = median(theirs) | more
            print(name, json.dumps(results[name]), flush=True)
            path.parent.mkdir(exist_ok=True)
            path.write_text(json.dumps(results, indent=1) + "\n")
