//! Row scores of the selection area; peers and data: `bench/sensitivity.py`.

use crate::{Figures, Settings, Workload, measure, npy};
use quadrat_core::{Result, Seed, Silent};
use quadrat_select::{Leverage, LewisWeights, RowScores, Sensitivity, SensitivityMode};
use serde_json::json;

/// The workloads of row scores.
pub fn workloads() -> Vec<Workload> {
    vec![("leverage-scores", leverage), ("lewis-weights", lewis), ("l1-sensitivities", l1)]
}

/// `in=FILE`
fn leverage(settings: &Settings) -> Result<Figures> {
    score(settings, &Leverage::default())
}

/// `in=FILE`: p = 1.
fn lewis(settings: &Settings) -> Result<Figures> {
    score(settings, &LewisWeights::default())
}

/// `in=FILE`: exact, p = 1.
fn l1(settings: &Settings) -> Result<Figures> {
    score(settings, &Sensitivity { mode: SensitivityMode::Exact, ..Sensitivity::default() })
}

/// The sum and every so many-th score, for a comparison with the peer's.
fn score(settings: &Settings, scorer: &dyn RowScores) -> Result<Figures> {
    let a = npy::read(settings.text("in", "rows.npy"))?.to_f64().into_owned();
    let (scores, mut figures) = measure(|| scorer.scores(a.view(), Seed(1), &Silent))?;
    let every = (scores.values.len() / 20).max(1);
    figures.insert("sum".into(), json!(scores.total()));
    figures.insert("some".into(), json!(scores.values.iter().step_by(every).collect::<Vec<_>>()));
    figures.insert("notes".into(), json!(scores.notes));
    Ok(figures)
}
