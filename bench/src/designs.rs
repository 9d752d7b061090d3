//! Determinantal designs; peer and data: `bench/designs.py`.

use crate::{Figures, Settings, Workload, measure, npy};
use quadrat_core::{Result, Seed, Silent};
use quadrat_select::{DesignSampler, FeatureSpace, FinitePool};
use serde_json::json;

/// The workloads of designs.
pub fn workloads() -> Vec<Workload> {
    vec![("projection-dpp", projection), ("repeated-design", repeated)]
}

/// `in=FILE` (features, one row a point): one draw of the projection DPP that they span, orthonormalisation included.
fn projection(settings: &Settings) -> Result<Figures> {
    draw(settings, 1)
}

/// `in=FILE repetitions=N`: N independent draws, orthonormalisation included.
fn repeated(settings: &Settings) -> Result<Figures> {
    draw(settings, settings.number("repetitions", 100)?)
}

fn draw(settings: &Settings, repetitions: usize) -> Result<Figures> {
    let features = npy::read(settings.text("in", "features.npy"))?.to_f64().into_owned();
    let seed = Seed(settings.number("seed", 1)? as u64);
    let sampler = DesignSampler { condition: None, ..DesignSampler::default() };
    let (design, mut figures) = measure(|| {
        let pool = FinitePool::new(features.view(), None)?;
        sampler.design(&pool, repetitions * pool.len(), seed, &Silent)
    })?;
    figures.insert("points".into(), json!(design.weights.len()));
    figures.insert("lambda_min".into(), json!(design.lambda_min));
    Ok(figures)
}
