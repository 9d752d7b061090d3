//! The loss of composed retrieval with its derivatives (peer: `bench/composed.py`).

use crate::{Figures, Settings, Workload, measure};
use ndarray::Array2;
use quadrat_core::{Error, Result, Seed};
use quadrat_retrieval::composed::{Noise, Uncertainty};
use quadrat_retrieval::dense::normalise;
use serde_json::json;
use std::time::Instant;

/// The workloads of composed retrieval.
pub fn workloads() -> Vec<Workload> {
    vec![("mgur", mgur)]
}

/// `rows=N columns=N steps=N workers=N`: noise, loss and derivatives of a batch of pairs of length 4, so many times.
fn mgur(settings: &Settings) -> Result<Figures> {
    let (n, d) = (settings.number("rows", 256)?, settings.number("columns", 512)?);
    let (steps, workers) = (settings.number("steps", 100)?, settings.number("workers", 1)?);
    let vectors = |seed: u64| {
        let mut rng = Seed(seed).rng(0);
        let mut rows = Array2::from_shape_simple_fn((n, d), || rng.normal() as f32);
        normalise(rows.view_mut());
        rows * 4.0
    };
    let (queries, targets) = (vectors(1), vectors(2));
    let rows: Vec<u32> = (0..n as u32).collect();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(workers).build();
    let pool = pool.map_err(|e| Error::input("workers", workers, e.to_string()))?;
    let mut best = f64::INFINITY;
    let (mean, mut figures) = measure(|| {
        pool.install(|| {
            let mut sum = 0.0;
            for step in 0..steps {
                let start = Instant::now();
                let noise = Noise::draw(&rows, d, Seed(step as u64));
                sum += Uncertainty::default().loss(queries.view(), targets.view(), 0.7, &noise)?.value;
                best = best.min(start.elapsed().as_secs_f64());
            }
            Ok(sum / steps as f64)
        })
    })?;
    figures.insert("best_seconds".into(), json!(best));
    figures.insert("mean_loss".into(), json!(mean));
    Ok(figures)
}
