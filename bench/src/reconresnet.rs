//! Networks that restore images (peer: `bench/reconresnet.py`).

use crate::{Figures, Settings, Workload, measure};
use ndarray::Array2;
use quadrat_core::{Error, Result, Seed};
use quadrat_inverse::reconresnet::{Architecture, Consistency, Model};
use quadrat_nn::initialise;
use serde_json::json;
use std::time::Instant;

/// The workloads of reconstruction by networks.
pub fn workloads() -> Vec<Workload> {
    vec![("reconresnet", reconresnet)]
}

/// `features=N down=N blocks=N side=N rounds=N workers=N`: one image through the network, so many times.
fn reconresnet(settings: &Settings) -> Result<Figures> {
    let (features, down) = (settings.number("features", 64)?, settings.number("down", 2)?);
    let (blocks, side) = (settings.number("blocks", 14)?, settings.number("side", 256)?);
    let (rounds, workers) = (settings.number("rounds", 5)?, settings.number("workers", 2)?);
    let architecture = Architecture::Residual { features, down, blocks, dropout: 0.2 };
    let mut parameters = initialise(&*architecture.at([side; 2])?, Seed(1))?;
    for (p, parameter) in parameters.iter_mut().enumerate() {
        let value = |i: usize| (0.02 * (1.0 + 0.7 * p as f64 + 1.9 * i as f64).sin()) as f32;
        let values: Vec<f32> = (0..parameter.len()).map(value).collect();
        parameter.set(&values)?;
    }
    let model = Model { architecture, parameters, consistency: Consistency::Off };
    // The largest number is 1, so that both sides see the same.
    let image = Array2::from_shape_fn((side, side), |(i, j)| ((7 * i + 3 * j) % 17) as f32 / 16.0);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(workers).build();
    let pool = pool.map_err(|e| Error::input("workers", workers, e.to_string()))?;
    let mut best = f64::INFINITY;
    let (mean, mut figures) = measure(|| {
        pool.install(|| {
            let mut mean = 0.0;
            for _ in 0..rounds {
                let start = Instant::now();
                let answer = model.enhance(image.view())?;
                best = best.min(start.elapsed().as_secs_f64());
                mean = answer.iter().map(|v| f64::from(*v)).sum::<f64>() / answer.len() as f64;
            }
            Ok(mean)
        })
    })?;
    figures.insert("best_seconds".into(), json!(best));
    figures.insert("mean_answer".into(), json!(mean));
    Ok(figures)
}
