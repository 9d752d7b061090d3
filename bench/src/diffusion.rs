//! Samplers over models that cost next to nothing, particles, and a training step; recipe: `bench/diffusion.py`.

use crate::{Figures, Settings, Workload, measure};
use ndarray::{Array2, array};
use quadrat_core::{Result, Seed, Silent};
use quadrat_diffusion::minority::{Distance, Scoring};
use quadrat_diffusion::mmd::{Kernel, mmd2};
use quadrat_diffusion::{
    Denoising, FeynmanKac, Grid, Level, MixtureDenoiser, NetworkDenoiser, Noising, Prediction, Schedule, Solver,
    Target, denoiser_fn, integrate, noise,
};
use quadrat_numeric::mixture::{Covariances, Mixture};
use serde_json::json;

/// The workloads of diffusion.
pub fn workloads() -> Vec<Workload> {
    vec![
        ("diffusion-solver", solver),
        ("diffusion-particles", particles),
        ("diffusion-train", train),
        ("diffusion-mmd", mmd),
        ("diffusion-score", score),
    ]
}

/// A solver of so many calls over a model that is one product.
fn solver(settings: &Settings) -> Result<Figures> {
    let [rows, dims, calls, times] = [("rows", 64), ("dims", 64), ("calls", 50), ("times", 100)]
        .map(|(name, default)| settings.number(name, default));
    let (rows, dims, calls, times) = (rows?, dims?, calls?, times?);
    let model = denoiser_fn(dims, Prediction::Data, |x, at: &Level| {
        Ok(&x * (at.alpha / (at.alpha * at.alpha + at.sigma * at.sigma)))
    });
    let plan = Solver::Dpmpp2m.plan(Schedule::Exploding { sigma: [0.02, 10.0] }, &Grid::Karras, calls)?;
    let start = noise(&plan, rows, dims, Seed(1));
    let (end, mut figures) = measure(|| {
        (0..times).try_fold(None, |_, _| integrate(&plan, &model, start.clone(), Seed(1), &Silent).map(Some))
    })?;
    let sum = end.map_or(f64::NAN, |end| end.iter().zip(&start).map(|(end, start)| (end / start).abs()).sum::<f64>());
    figures.insert("mean_shrinkage".into(), json!(sum / (rows * dims) as f64));
    Ok(figures)
}

/// Weighted particles of the third power of a law of three modes.
fn particles(settings: &Settings) -> Result<Figures> {
    let (particles, steps) = (settings.number("particles", 16_384)?, settings.number("steps", 100)?);
    let islands = settings.number("islands", 4)?;
    let model = MixtureDenoiser::new(Mixture {
        weights: array![0.5, 0.3, 0.2],
        means: array![[-3.0, 0.0], [3.0, 0.0], [0.0, 4.0]],
        covariances: Covariances::Spherical(array![0.5, 0.7, 0.4]),
    })?;
    let method = FeynmanKac { particles, islands, steps, ..FeynmanKac::default() };
    let schedule = Schedule::Exploding { sigma: [0.02, 20.0] };
    let (found, mut figures) =
        measure(|| method.run(&Target::annealing(&model, 3.0), &schedule, &Grid::Karras, Seed(1), &Silent))?;
    let seconds = figures.get("seconds").and_then(serde_json::Value::as_f64).unwrap_or(f64::NAN);
    figures.insert("particle_steps_a_second".into(), json!((particles * steps) as f64 / seconds));
    figures.insert("log_z".into(), json!(found.log_z));
    Ok(figures)
}

/// Steps of a multilayer perceptron of three layers under the EDM loss.
fn train(settings: &Settings) -> Result<Figures> {
    let (units, batch, steps) =
        (settings.number("units", 512)?, settings.number("batch", 512)?, settings.number("steps", 50)?);
    let dims = settings.number("dims", 64)?;
    let mut rng = Seed(1).stream("bench diffusion").rng(0);
    let rows = Array2::from_shape_fn((batch, dims), |_| rng.normal());
    let mut model = NetworkDenoiser::mlp(dims, &[units; 3], Seed(1))?;
    let course = Denoising { epochs: steps, batch, rate: 1e-3 };
    let (curve, mut figures) = measure(|| course.fit(&mut model, Noising::of(rows.view()), None, Seed(1), &Silent))?;
    figures.insert("loss".into(), json!(curve.last().map_or(f64::NAN, |epoch| epoch.train_loss)));
    Ok(figures)
}

/// The unbiased MMD² of a cubic kernel and its gradient.
fn mmd(settings: &Settings) -> Result<Figures> {
    let (rows, columns, times) =
        (settings.number("rows", 1024)?, settings.number("columns", 2048)?, settings.number("times", 10)?);
    let mut rng = Seed(1).stream("bench diffusion").rng(1);
    let [x, y] = [0.0, 0.1].map(|by| Array2::from_shape_fn((rows, columns), |_| by + rng.normal()));
    let kernel = Kernel::poly(3, columns);
    let (found, mut figures) = measure(|| {
        (0..times).try_fold(0.0, |sum, _| {
            mmd2(x.view(), y.view(), &kernel).map(|(value, gradient)| sum + value + gradient[[0, 0]])
        })
    })?;
    figures.insert("value".into(), json!(found / times as f64));
    Ok(figures)
}

/// Minority scores of images by a small network.
fn score(settings: &Settings) -> Result<Figures> {
    let (rows, dims) = (settings.number("rows", 60_000)?, settings.number("dims", 784)?);
    let mut rng = Seed(1).stream("bench diffusion").rng(2);
    let x = Array2::from_shape_fn((rows, dims), |_| rng.normal());
    let model = NetworkDenoiser::mlp(dims, &[256, 256], Seed(1))?;
    let scoring = Scoring { abar: Some(0.66), draws: 5, distance: Distance::L2 };
    let (found, mut figures) = measure(|| scoring.score(&model, &Schedule::linear(), x.view(), Seed(1), &Silent))?;
    figures.insert("mean_score".into(), json!(found.scores.iter().sum::<f64>() / rows as f64));
    Ok(figures)
}
