"""Strengths of regularisation: one self-tuning run beside Optuna's search over runs of the same trainer, on two threads.

    pip install optuna
    cargo build --release -p quadrat-bench
    python bench/tuning.py [--only NAME ...]

784-256-256-10 on 3,000 of `fashion-mnist`, 1,000 to tune on, 2,000 to test, drawn anew for each seed; 30 epochs of Adam at
0.001, batches of 128. Tuned: dropout of the inputs and of both hidden layers (0 to 0.9) and the deviation of input noise
(for Optuna log-uniform on 0.01 to 1). Optuna's TPE runs 50 trials with its defaults; a trial's loss is the lowest validation
loss of its epochs. `validation` is the best loss found, `test` the test loss of that network at that epoch. Optuna's seconds
are those of the trainings alone, without its own work and without loading data.
"""

import side_by_side

TRIALS = 50
SEEDS = (1, 2, 3)


def peer(seed):
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    spent, peak = [], []

    def run(numbers, *more):
        text = ",".join(f"{number:.6g}" for number in numbers)
        found = side_by_side.ours("tune-trial", f"seed={seed}", f"strengths={text}", *more)
        spent.append(found["seconds"])
        peak.append(found["peak_bytes"])
        return found

    def objective(trial):
        numbers = [trial.suggest_float(site, 0, 0.9) for site in ("input", "fc1", "fc2")]
        numbers.append(trial.suggest_float("noise", 0.01, 1, log=True))
        found = run(numbers)
        trial.set_user_attr("epoch", found["epoch"])
        return found["validation"]

    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=int(seed)))
    study.optimize(objective, n_trials=TRIALS)
    seconds = sum(spent)
    best = study.best_trial
    # The rate is constant: the first epochs of a run are a shorter run.
    again = run(best.params.values(), f"epochs={best.user_attrs['epoch']}")
    return seconds, {"peak_bytes": max(peak), "validation": best.value, "test": again["test"]}


if __name__ == "__main__":
    cases = {f"four strengths, seed {seed}": (["tune", f"seed={seed}"], [str(seed)], {"peer": f"Optuna TPE, {TRIALS} trials"})
             for seed in SEEDS}
    side_by_side.pairs(__file__, ["optuna"], cases, peer, repeats=1)
