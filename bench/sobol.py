"""Sobol' indices side by side with SALib and OpenTURNS: error and time at equal numbers of model calls.

    pip install numpy SALib openturns
    cargo build --release -p quadrat-bench
    python bench/sobol.py [--only NAME ...] [--repeats N]

Ishigami's function (3 inputs) and Sobol's g-function (8 inputs), first and total order, N (d + 2) calls for N a power of
two. All sides draw from scrambled Sobol' points and give intervals from 100 bootstrap resamples; SALib: `sample.sobol`
(Saltelli's design, scrambled) and `analyze.sobol` in one process; OpenTURNS: `SobolIndicesExperiment` on a randomised
Sobol' sequence and `SaltelliSensitivityAlgorithm`, its default, and its estimators by Jansen. Ours: the fixed design and
the adaptive method. 300 analyses with different scrambles each: with 20, luck decides which side errs less. The root
mean squared error is over all indices and analyses, its 95% interval from 2,000 bootstrap resamples of the analyses. The
model is vectorised numpy for the peers (the design's rows in one call) and a Rust function for us, so that
times are of the whole analysis as a user sees it. Every run is a fresh process, ours and the peers' in turn, on two
threads.
"""

import argparse
import json
import resource
import sys
import time

import side_by_side

RESULTS = side_by_side.ROOT / "bench" / "results" / "sobol.json"
TIMES, RESAMPLES = 300, 100
DIMS = {"ishigami": 3, "g": 8}
A = [0, 1, 4.5, 9, 99, 99, 99, 99]
BASES = [256, 1024, 4096]
PEERS = ["SALib", "OpenTURNS Saltelli", "OpenTURNS Jansen"]


def ishigami(x):
    import numpy as np

    return np.sin(x[:, 0]) + 7 * np.sin(x[:, 1]) ** 2 + 0.1 * x[:, 2] ** 4 * np.sin(x[:, 0])


def g(x):
    import numpy as np

    a = np.array(A)
    return ((np.abs(4 * x - 2) + a) / (1 + a)).prod(axis=1)


def truth(model):
    import numpy as np

    if model == "ishigami":
        v1, v2 = 0.5 * (1 + 0.1 * np.pi**4 / 5) ** 2, 49 / 8
        v13 = 0.01 * np.pi**8 * (1 / 18 - 1 / 50)
        v = v1 + v2 + v13
        return np.array([v1, v2, 0, v1 + v13, v2, v13]) / v
    single = 1 / (3 * (1 + np.array(A)) ** 2)
    v = np.prod(1 + single) - 1
    total = single * np.prod(1 + single) / (1 + single)
    return np.concatenate([single, total]) / v


def salib(model, base):
    import numpy as np
    from SALib.analyze import sobol as analyze
    from SALib.sample import sobol as sample

    d = DIMS[model]
    bounds = [[-np.pi, np.pi]] * d if model == "ishigami" else [[0, 1]] * d
    problem = {"num_vars": d, "names": [f"x{i}" for i in range(d)], "bounds": bounds}
    function = ishigami if model == "ishigami" else g
    found = []
    start = time.perf_counter()
    for seed in range(TIMES):
        x = sample.sample(problem, base, calc_second_order=False, scramble=True, seed=seed)
        y = function(x)
        s = analyze.analyze(problem, y, calc_second_order=False, num_resamples=RESAMPLES, seed=seed)
        found.append(np.concatenate([s["S1"], s["ST"]]))
    return time.perf_counter() - start, found


def openturns(model, base, estimator):
    import numpy as np
    import openturns as ot

    d = DIMS[model]
    law = ot.Uniform(-np.pi, np.pi) if model == "ishigami" else ot.Uniform(0, 1)
    joint = ot.JointDistribution([law] * d)
    plain = ishigami if model == "ishigami" else g
    function = ot.PythonFunction(d, 1, func_sample=lambda x: plain(np.asarray(x)).reshape(-1, 1))
    algorithm = {"Saltelli": ot.SaltelliSensitivityAlgorithm, "Jansen": ot.JansenSensitivityAlgorithm}[estimator]
    found = []
    start = time.perf_counter()
    for seed in range(TIMES):
        ot.RandomGenerator.SetSeed(seed)
        sequence = ot.LowDiscrepancyExperiment(ot.SobolSequence(), joint, base)
        sequence.setRandomize(True)
        x = ot.SobolIndicesExperiment(sequence, False).generate()
        analysis = algorithm(x, function(x), base)
        analysis.setUseAsymptoticDistribution(False)
        analysis.setBootstrapSize(RESAMPLES)
        found.append(np.concatenate([analysis.getFirstOrderIndices(), analysis.getTotalOrderIndices()]))
        analysis.getFirstOrderIndicesInterval(), analysis.getTotalOrderIndicesInterval()
    return time.perf_counter() - start, found


def peer(name, model, base):
    """Runs in a process of its own: prints one JSON line."""
    import numpy as np

    seconds, found = salib(model, base) if name == "SALib" else openturns(model, base, name.split()[1])
    squares = np.mean((np.array(found) - truth(model)) ** 2, axis=1)
    picks = np.random.default_rng(0).integers(len(squares), size=(2000, len(squares)))
    low, high = np.quantile(np.sqrt(squares[picks].mean(axis=1)), [0.025, 0.975])
    error = np.sqrt(squares.mean())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"seconds": seconds, "peak_bytes": peak, "rmse": float(error), "rmse_low": float(low), "rmse_high": float(high)}))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--peer", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    if options.peer:
        return peer(options.peer[0], options.peer[1], int(options.peer[2]))
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"cases": {}}
    results["machine"] = side_by_side.machine("SALib", "openturns")
    for model, d in DIMS.items():
        for base in BASES:
            calls = base * (d + 2)
            name = f"{model}, {calls:,} calls"
            if options.only and not any(word in name for word in options.only):
                continue
            runs = {side: [] for side in ["saltelli", "iscv", *PEERS]}
            for _ in range(options.repeats):
                for side, done in runs.items():
                    if side in PEERS:
                        done.append(side_by_side.run([sys.executable, __file__, "--peer", side, model, str(base)]))
                    else:
                        words = [f"model={model}", f"method={side}", f"calls={calls}", f"times={TIMES}"]
                        done.append(side_by_side.ours("sobol", *words, f"resamples={RESAMPLES}"))
            results["cases"][name] = {side: side_by_side.median(done) for side, done in runs.items()} | {"repeats": options.repeats}
            print(name, json.dumps(results["cases"][name]), flush=True)
            RESULTS.parent.mkdir(exist_ok=True)
            RESULTS.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
