//! Claims of the selection methods.

pub mod diversify_conquer;
pub mod dpp_least_squares;
pub mod interp_extrap_split;
pub mod lasso_mtrl;
pub mod learned_active;
pub mod mig;
pub mod rs2;
pub mod sensitivity_sampling;

use quadrat_core::{Evidence, Result, Seed, Trial};
use rayon::prelude::*;

/// Runs all repetitions side by side, each from a seed of its own, and puts their figures (arm, metric and value) on
/// record.
fn repetitions<A: AsRef<str> + Send>(
    trial: &Trial,
    evidence: &mut Evidence,
    (name, repeats): (&str, u64),
    one: impl Fn(Seed) -> Result<Vec<(A, String, f64)>> + Sync,
) -> Result<()> {
    trial.progress.begin("repetitions", Some(repeats));
    let seeded = |repeat: u64| {
        let found = one(trial.seed.stream(name).stream(&repeat.to_string()));
        trial.progress.advance(1);
        found
    };
    let outcomes = (0..repeats).into_par_iter().map(seeded).collect::<Result<Vec<_>>>()?;
    for (repeat, outcome) in (0..).zip(&outcomes) {
        for (arm, metric, value) in outcome {
            evidence.measure(arm.as_ref(), metric, repeat, *value);
        }
    }
    Ok(())
}
