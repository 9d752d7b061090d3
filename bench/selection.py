"""Selection by coverage side by side with apricot-select 0.6.1 and submodlib-py 0.0.3.

    pip install "numpy<2" apricot-select==0.6.1 submodlib-py==0.0.3
    cargo build --release -p quadrat-bench
    python bench/selection.py [--only NAME ...] [--repeats N]

Every run is a fresh process, ours and the peers' in turn, on two threads; measured is the call alone, from data in
memory to the picks. Medians of seconds and of peak memory (data included) go to bench/results/select.json, with what
part of the picks is the same wherever both sides maximise the same function.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OURS = ROOT / "target" / "release" / "quadrat-bench"
RESULTS = ROOT / "bench" / "results" / "select.json"
THREADS = 2


def points(path, rows, columns):
    """Positive rows in fifty clusters: no cosine is negative, so clipped and plain cosines agree."""
    import numpy as np

    rng = np.random.default_rng(rows)
    centres = rng.random((50, columns))
    np.save(path, np.abs(centres[rng.integers(0, 50, rows)] + 0.2 * rng.normal(size=(rows, columns))))


def tags(path, rows, labels):
    """Three different labels a row and a score that single precision holds exactly."""
    import numpy as np

    rng = np.random.default_rng(rows)
    table = np.empty((rows, 4))
    table[:, :3] = np.sort(np.argsort(rng.random((rows, 16)), axis=1)[:, :3] * (labels // 16), axis=1)
    table[:, :3] += rng.integers(0, labels // 16, (rows, 3))
    table[:, 3] = rng.integers(1, 2**20, rows) / 2**20
    np.save(path, table)


def features(table, labels):
    import numpy as np
    from scipy.sparse import csr_matrix

    rows = len(table)
    indptr = np.arange(0, 3 * rows + 1, 3)
    return csr_matrix((np.repeat(table[:, 3], 3), table[:, :3].astype(int).ravel(), indptr), shape=(rows, labels))


def cosines(x):
    import numpy as np

    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    return unit @ unit.T


def peer(which, path, size, budget):
    """Runs in a process of its own: prints one JSON line."""
    import numpy as np

    table = np.load(path)
    work = {
        "apricot-facility": lambda: apricot_facility(table, budget),
        "submodlib-facility": lambda: submodlib_facility(table, budget, None),
        "submodlib-facility-sparse": lambda: submodlib_facility(table, budget, size),
        "apricot-features": lambda: apricot_features(features(table, size), budget),
        "submodlib-features": lambda: submodlib_features(features(table, size), budget),
        "every-gain": lambda: every_gain(table, size, budget),
    }[which]
    if which.startswith("apricot"):
        import apricot  # noqa: F401  compiles its loops on import
    elif which.startswith("submodlib"):
        import submodlib  # noqa: F401
    Path("/proc/self/clear_refs").write_text("5")
    start = time.perf_counter()
    picks = work()
    seconds = time.perf_counter() - start
    status = Path("/proc/self/status").read_text()
    peak = next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))
    print(json.dumps({"seconds": seconds, "peak_bytes": peak, "picks": [int(i) for i in picks]}))


def apricot_facility(x, budget):
    from apricot import FacilityLocationSelection

    # Its own "cosine" squares the correlation, so the plain similarities are given.
    return FacilityLocationSelection(budget, metric="precomputed", optimizer="lazy").fit(cosines(x)).ranking


def submodlib_facility(x, budget, neighbours):
    from submodlib import FacilityLocationFunction

    if neighbours is None:
        f = FacilityLocationFunction(n=len(x), mode="dense", data=x, metric="cosine")
    else:
        f = FacilityLocationFunction(n=len(x), mode="sparse", data=x, metric="cosine", num_neighbors=neighbours)
    return [i for i, _ in f.maximize(budget=budget, optimizer="LazyGreedy", show_progress=False)]


def apricot_features(x, budget):
    from apricot import FeatureBasedSelection

    return FeatureBasedSelection(budget, concave_func="sqrt", optimizer="lazy").fit(x).ranking


def submodlib_features(x, budget):
    from submodlib import FeatureBasedFunction
    from submodlib_cpp import FeatureBased

    f = FeatureBasedFunction(
        n=x.shape[0], features=x.toarray().tolist(), numFeatures=x.shape[1], sparse=False, mode=FeatureBased.squareRoot
    )
    return [i for i, _ in f.maximize(budget=budget, optimizer="LazyGreedy", show_progress=False)]


def every_gain(table, labels, budget):
    """MIG's definition without edges: all gains before every pick."""
    import numpy as np

    own = table[:, :3].astype(int)
    p = (table[:, 3] / 3).astype(np.float32).astype(float)
    z, left = np.zeros(labels), np.ones(len(table), bool)
    picks = []
    for _ in range(budget):
        g = 0.8 * (z + 1e-6) ** (0.8 - 1.0)
        gains = (g[own[:, 0]] * p + g[own[:, 1]] * p) + g[own[:, 2]] * p
        best = int(np.argmax(np.where(left, gains, -1.0)))
        picks.append(best)
        left[best] = False
        z[own[best]] += p[best]
    return picks


def run(command):
    environment = {k: v for k, v in os.environ.items() if k not in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")}
    environment |= {name: str(THREADS) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        return {"error": (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1][:200]}
    return json.loads(done.stdout.strip().splitlines()[-1])


# name: ours (workload and settings), data (maker and its arguments), peers (name, size), budget, repeats, and whether
# both sides maximise the same function, so that picks can be compared.
WORKLOADS = {
    "mig-1m": (["mig", "rows=1000000", "labels=5000", "each=3"], None, [], 50_000, 3),
    "mig-every-gain": (["mig"], (tags, 100_000, 800), [("every-gain", 800, True)], 2_000, 1),
    "features": (["feature-based"], (tags, 100_000, 4_992), [("apricot-features", 4_992, True)], 5_000, 3),
    # submodlib rescales every feature to 0..1, so its function is another one; it needs dense Python lists.
    "features-10k": (
        ["feature-based"],
        (tags, 10_000, 496),
        [("apricot-features", 496, True), ("submodlib-features", 496, False)],
        500,
        3,
    ),
    "facility-all-pairs-2k": (
        ["facility-location", "neighbours=2000"],
        (points, 2_000, 50),
        [("apricot-facility", 0, True), ("submodlib-facility", 0, True)],
        100,
        3,
    ),
    "facility-all-pairs-10k": (
        ["facility-location", "neighbours=10000"],
        (points, 10_000, 50),
        [("apricot-facility", 0, True), ("submodlib-facility", 0, True)],
        500,
        1,
    ),
    # 50 neighbours and the row itself: submodlib counts the row among its neighbours.
    "facility-50-neighbours-10k": (
        ["facility-location", "neighbours=50"],
        (points, 10_000, 50),
        [("submodlib-facility-sparse", 51, True), ("apricot-facility", 0, False)],
        500,
        1,
    ),
}


def machine():
    model = next((s.split(":")[1].strip() for s in open("/proc/cpuinfo") if s.startswith("model name")), "unknown")
    return f"{model}, {os.cpu_count()} cores, {platform.system()} {platform.release()}"


def value(path, picks):
    """The dense facility-location objective of a set of picks."""
    import numpy as np

    return float(cosines(np.load(path))[:, picks].max(axis=1).sum())


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", nargs="*", default=list(WORKLOADS))
    parser.add_argument("--repeats", type=int)
    arguments = parser.parse_args()
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"workloads": {}}
    results |= {"machine": machine(), "threads": THREADS, "peers": ["apricot-select 0.6.1", "submodlib-py 0.0.3"]}
    for name in arguments.only:
        command, data, peers, budget, repeats = WORKLOADS[name]
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "data.npy")
            if data:
                maker, *sizes = data
                maker(path, *sizes)
                command = [*command, f"in={path}"]
            command = [str(OURS), *command, f"budget={budget}"]
            ours, theirs = [], {peer_name: [] for peer_name, _, _ in peers}
            for _ in range(arguments.repeats or repeats):
                ours.append(run([*command, f"threads={THREADS}"]))
                for peer_name, size, _ in peers:
                    theirs[peer_name].append(run([sys.executable, __file__, "--peer", peer_name, path, str(size), str(budget)]))
            if "error" in ours[0]:
                raise SystemExit(f"{name}: {ours[0]['error']}")
            seconds = statistics.median(r["seconds"] for r in ours)
            peak = statistics.median(r["peak_bytes"] for r in ours)
            record = {
                "budget": budget,
                "repeats": len(ours),
                "seconds": round(seconds, 3),
                "seconds_one_thread": round(run([*command, "threads=1"])["seconds"], 3),
                "peak_mib": round(peak / 2**20),
                "peers": {},
            }
            for peer_name, _, same_function in peers:
                runs = theirs[peer_name]
                if "error" in runs[0]:
                    record["peers"][peer_name] = runs[0]
                    continue
                entry = {
                    "seconds": round(statistics.median(r["seconds"] for r in runs), 3),
                    "times_faster": round(statistics.median(t["seconds"] / o["seconds"] for o, t in zip(ours, runs)), 2),
                    "peak_mib": round(statistics.median(r["peak_bytes"] for r in runs) / 2**20),
                }
                mine, other = ours[0]["picks"], runs[0]["picks"]
                if same_function:
                    entry["same_picks"] = len(set(mine) & set(other)) / budget
                    entry["same_place"] = sum(a == b for a, b in zip(mine, other)) / budget
                if name.startswith("facility"):
                    entry["value_over_peer"] = round(value(path, mine) / value(path, other), 6)
                record["peers"][peer_name] = entry
        results["workloads"][name] = record
        print(name, json.dumps(record), flush=True)
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--peer"]:
        peer(sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
    else:
        main()
