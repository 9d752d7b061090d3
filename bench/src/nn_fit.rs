//! Networks trained to the end and judged on rows they have not seen; peer: `bench/nn_fit.py`.

use crate::{Figures, Settings, Workload, measure};
use ndarray::Axis;
use quadrat_core::{Error, Result, Seed, Silent};
use quadrat_data::builtin;
use quadrat_nn::{Mlp, Optimizer, Samples, Schedule, TrainMethod, Trainer, accuracy, predict};
use quadrat_regularize::RandomPruning;
use serde_json::json;

/// The workloads of whole trainings.
pub fn workloads() -> Vec<Workload> {
    vec![("nn-fit", fit)]
}

/// Each sixth of the rows is the test of one training.
const FOLDS: usize = 6;

/// The part that a row belongs to, scattered: neighbours in the file are not alike.
fn fold_of(row: usize) -> usize {
    ((row as u32).wrapping_mul(2_654_435_761) >> 16) as usize % FOLDS
}

/// `percent=N epochs=N`: 784-2048-2048-10 on `fashion-mnist` with N percent of its weights (ERK, random, rescaled), or
/// dense at 100; trained six times, each time without another sixth of the rows.
fn fit(settings: &Settings) -> Result<Figures> {
    let (percent, epochs) = (settings.number("percent", 5)?, settings.number("epochs", 15)?);
    let (pixels, y, classes) = builtin::labelled("fashion-mnist")?;
    let x = pixels.mapv(|v| (v / 255.0) as f32);
    drop(pixels);
    let part = |test: bool, fold: usize| {
        let rows: Vec<usize> = (0..y.len()).filter(|row| (fold_of(*row) == fold) == test).collect();
        let labels = rows.iter().map(|row| y[*row]).collect();
        Samples::classes(x.select(Axis(0), &rows), labels, classes.len())
    };
    let network = Mlp::new(784, &[2048, 2048], classes.len());
    let (right, mut figures) = measure(|| {
        let mut right = Vec::new();
        for fold in 0..FOLDS {
            let trainer = Trainer {
                epochs,
                rate: 0.1,
                schedule: Schedule::Cosine,
                optimizer: Optimizer::sgd(5e-4),
                seed: Seed(fold as u64),
                ..Trainer::default()
            };
            let density = percent as f64 / 100.0;
            let mut pruning = RandomPruning { density, rescale: true, ..RandomPruning::default() };
            let mut methods: Vec<&mut dyn TrainMethod> = Vec::new();
            if percent < 100 {
                methods.push(&mut pruning);
            }
            let test = part(true, fold)?;
            let fitted = trainer.fit(&network, &part(false, fold)?, None, &mut methods, &Silent)?;
            let scores = predict(&network, &fitted.parameters, test.inputs.view(), &[])?;
            let labels = test.labels().ok_or_else(|| Error::data("fashion-mnist", None, "no classes"))?;
            right.push(accuracy(&scores, labels));
        }
        Ok(right)
    })?;
    figures.insert("accuracy".into(), json!(right.iter().sum::<f64>() / FOLDS as f64));
    figures.insert("folds".into(), json!(right));
    Ok(figures)
}
