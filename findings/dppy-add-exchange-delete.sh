#!/usr/bin/env bash
# DPPy 0.3.3: the default Markov chain of a finite DPP draws from another law than the DPP's.
#
# `FiniteDPP.sample_mcmc()` runs the add-exchange-delete chain ("AED") unless told otherwise. It accepts a deletion with
# det(S - s) / det(S) * k / (N - (k - 1)), k the size of S. Detailed balance with its own additions, which it proposes with
# chance (1 - k/N)^2 / (N - k) and accepts with det(S + t) / det(S) * (k + 1) / (N - k), asks for the inverse of the last
# factor. Too many items are kept, however long the chain. The add-delete chain ("AD") of the same package is right.
#
# Whoever takes AED as the reference for a sampler of his own will look for an error where there is none.
#
# Seen on Python 3.11 with numpy 2.4.6: six items, a kernel whose DPP has 2.361 items on average; 40 chains of 2,000 steps
# give 2.362 by AD, 2.532 by AED (standard errors 0.007).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install dppy==0.3.3 numpy==2.4.6 scipy==1.17.1

"$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
from dppy.finite_dpps import FiniteDPP

rng = np.random.RandomState(0)
factor = rng.randn(6, 3)
likelihood = factor @ factor.T
values = np.linalg.eigvalsh(likelihood)
expected = (values / (1 + values)).sum()
dpp = FiniteDPP("likelihood", L=likelihood)


def mean_size(mode, chains=40, steps=2000, burn=100):
    """Mean number of items over chains after a burn-in, and its standard error between chains."""
    means = []
    for _ in range(chains):
        dpp.flush_samples()
        dpp.sample_mcmc(mode, nb_iter=steps, random_state=rng)
        means.append(np.mean([len(s) for s in dpp.list_of_samples[-1][burn:]]))
    return np.mean(means), np.std(means, ddof=1) / np.sqrt(chains)


right, wrong = mean_size("AD"), mean_size("AED")
print(f"items expected {expected:.3f}; AD {right[0]:.3f} +- {right[1]:.3f}; AED, the default, {wrong[0]:.3f} +- {wrong[1]:.3f}")
assert abs(right[0] - expected) < 4 * right[1], "AD has changed"
assert wrong[0] - expected > 5 * wrong[1], "AED draws from the DPP now"
PYTHON
