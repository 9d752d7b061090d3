//! Scores from auto-encoders and chains on them; peer and data: `bench/score.py`.

use crate::{Figures, Settings, Workload, measure, npy};
use ndarray::{Array2, s};
use quadrat_core::{Result, Seed, Silent};
use quadrat_estimate::autoencoder_score::{AutoencoderScore, ScoreAutoencoder};
use quadrat_estimate::chains::Chains;
use quadrat_estimate::score::ScoreModel;
use serde_json::json;

/// The workloads of learnt scores.
pub fn workloads() -> Vec<Workload> {
    vec![("score-train", train), ("score-rows", rows), ("score-chains", chains), ("score-effective", effective)]
}

/// `in=FOLDER`: x.npy, ten standardised columns.
fn read(settings: &Settings) -> Result<Array2<f64>> {
    Ok(npy::read(&format!("{}/x.npy", settings.text("in", ".")))?.to_f64().into_owned())
}

fn learner(steps: usize) -> ScoreAutoencoder {
    ScoreAutoencoder { noise: vec![0.3], steps, ..ScoreAutoencoder::default() }
}

fn model(x: &Array2<f64>, steps: usize) -> Result<AutoencoderScore> {
    learner(steps).fit(x.view(), Seed(1), &Silent)
}

/// 5,000 steps of 128 rows; the figure is the last loss.
fn train(settings: &Settings) -> Result<Figures> {
    let x = read(settings)?;
    let (model, mut figures) = measure(|| model(&x, 5000))?;
    figures.insert("figure".into(), json!(model.losses().last()));
    Ok(figures)
}

/// The score of a million rows; the figure is the mean square of a value.
fn rows(settings: &Settings) -> Result<Figures> {
    let x = read(settings)?;
    let model = model(&x, 200)?;
    let many = Array2::from_shape_fn((1_000_000, x.ncols()), |(i, j)| x[[i % x.nrows(), j]]);
    let (score, mut figures) = measure(|| Ok(model.score(many.view())))?;
    figures.insert("figure".into(), json!(score.iter().map(|v| v * v).sum::<f64>() / score.len() as f64));
    Ok(figures)
}

/// 100 chains, 10,000 steps of a fixed length; the figure is the acceptance.
fn chains(settings: &Settings) -> Result<Figures> {
    let x = read(settings)?;
    let model = model(&x, 2000)?;
    let chains = Chains { step: Some(0.4), burn_in: 0, ..Chains::default() };
    let start = x.slice(s![..100, ..]);
    let (draws, mut figures) = measure(|| chains.run(&model, start, 1000, Seed(2), &Silent))?;
    figures.insert("figure".into(), json!(draws.acceptance));
    Ok(figures)
}

/// Seconds (tuning included, training not) a thousand effective draws take; the figure is the effective sample size.
fn effective(settings: &Settings) -> Result<Figures> {
    let x = read(settings)?;
    let model = model(&x, 2000)?;
    let start = x.slice(s![..100, ..]);
    let (draws, mut figures) = measure(|| Chains::default().run(&model, start, 400, Seed(2), &Silent))?;
    let seconds = figures.get("seconds").and_then(|v| v.as_f64()).unwrap_or(f64::NAN);
    figures.insert("seconds".into(), json!(seconds * 1000.0 / draws.least_effective()));
    figures.insert("figure".into(), json!(draws.least_effective()));
    Ok(figures)
}
