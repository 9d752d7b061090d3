//! Methods for series with holes; peer: `bench/series.py`.

use crate::{Figures, Settings, Workload, measure};
use ndarray::Array2;
use quadrat_core::{Params, Result, Seed, Silent};
use quadrat_nn::{Optimizer, Schedule, Trainer, pieces_that_pay};
use quadrat_robust::series::{Model, Scale, Series, Shape, build};
use serde_json::json;

/// The workloads of series.
pub fn workloads() -> Vec<Workload> {
    vec![("series", series)]
}

/// `method=NAME series=N times=N channels=N epochs=N`: epochs of training on random series of which half is missing, in batches
/// of 128. supnotmiwae has K = 5 and J = 1.
fn series(settings: &Settings) -> Result<Figures> {
    let [n, t, d] = [settings.number("series", 2000)?, settings.number("times", 48)?, settings.number("channels", 36)?];
    let (name, epochs) = (settings.text("method", "supnotmiwae"), settings.number("epochs", 1)?);
    let mut rng = Seed(1).rng(0);
    let hole = |v: f64| if v < 0.0 { f64::NAN } else { v };
    let values: Vec<Array2<f64>> =
        (0..n).map(|_| Array2::from_shape_simple_fn((t, d), || hole(rng.normal()))).collect();
    let times: Vec<f64> = (0..t).map(|t| t as f64).collect();
    let views: Vec<Series> = values.iter().map(|values| Series { times: &times, values: values.view() }).collect();
    let labels: Vec<u32> = (0..n as u32).map(|i| i % 2).collect();
    let scale = Scale::fit(&views, &(0..d).map(|c| c.to_string()).collect::<Vec<_>>())?;
    let samples = scale.samples(&views, Some((&labels, 2)))?;
    let params = if name == "supnotmiwae" { Params::from([("k", "5")]) } else { Params::none() };
    let model = Model::new(build(name, &params)?, Shape::of(&scale, 2, t));
    let (schedule, optimizer) = (Schedule::Constant, Optimizer::adamw(0.0));
    let pieces = pieces_that_pay(&model, 128);
    let trainer = Trainer { epochs, batch: 128, schedule, optimizer, pieces, ..Trainer::default() };
    let (fit, mut figures) = measure(|| model.fit(&trainer, &samples, None, &Silent))?;
    figures.insert("epochs".into(), json!(epochs));
    figures.insert("loss".into(), json!(fit.curve.last().map_or(f64::NAN, |epoch| epoch.train_loss)));
    Ok(figures)
}
