//! Claims of `quadrat-regularize`, and the data and figures that they share.

pub mod ps_kd;
pub mod quantnas;
pub mod random_pruning;
pub mod random_sparse_search;
pub mod self_tuning_network;
pub mod weight_compander;

use ndarray::{Array2, ArrayView2, Axis};
use quadrat_core::{Error, Result, Seed, Trial};
use quadrat_data::builtin;
use quadrat_nn::{Network, Parameters, Samples, predict};
use quadrat_numeric::calibration::{self, Scheme};

/// Rows to train on and rows to test on, drawn from a built-in set. Pixels go from 0 to 1; other columns are centred and
/// scaled by the training rows.
fn split(name: &str, train: usize, test: usize, seed: Seed) -> Result<(Samples, Samples)> {
    let (x, y, classes) = builtin::labelled(name)?;
    if train + test > y.len() {
        let want = format!("`{name}` has {} rows", y.len());
        return Err(Error::input("rows", format!("{train} and {test}"), want));
    }
    let mut rows: Vec<usize> = (0..y.len()).collect();
    seed.stream("split").rng(0).shuffle(&mut rows);
    let (train_rows, rest) = rows.split_at(train);
    let part = |rows: &[usize]| x.select(Axis(0), rows);
    let (mut a, mut b) = (part(train_rows), part(&rest[..test]));
    match name {
        "mnist" | "fashion-mnist" => [&mut a, &mut b].into_iter().for_each(|x| *x /= 255.0),
        "digits" => [&mut a, &mut b].into_iter().for_each(|x| *x /= 16.0),
        _ => {
            for (mut a, mut b) in a.columns_mut().into_iter().zip(b.columns_mut()) {
                let (mean, deviation) = (a.mean().unwrap_or(0.0), a.std(0.0).max(1e-12));
                a.mapv_inplace(|v| (v - mean) / deviation);
                b.mapv_inplace(|v| (v - mean) / deviation);
            }
        }
    }
    let samples = |x: Array2<f64>, rows: &[usize]| {
        let labels = rows.iter().map(|row| y[*row]).collect();
        Samples::classes(x.mapv(|v| v as f32), labels, classes.len())
    };
    Ok((samples(a, train_rows)?, samples(b, &rest[..test])?))
}

/// Rows of scores as probabilities, at a temperature.
fn probabilities(scores: ArrayView2<f32>, temperature: f64) -> Array2<f32> {
    let mut p = scores.mapv(|z| (f64::from(z) / temperature) as f32);
    for mut row in p.outer_iter_mut() {
        let top = row.fold(f32::MIN, |top, &z| top.max(z));
        row.mapv_inplace(|z| (z - top).exp());
        let sum = row.sum();
        row.mapv_inplace(|v| v / sum);
    }
    p
}

/// Share of wrong rows, NLL, ECE of 15 bins, AURC and its excess.
fn figures(p: &Array2<f32>, labels: &[u32]) -> Result<[(&'static str, f64); 5]> {
    let wrong = 1.0 - quadrat_nn::accuracy(p, labels);
    Ok([
        ("error", wrong),
        ("nll", calibration::nll(p.view(), labels)?),
        ("ece", calibration::ece(p.view(), labels, 15, Scheme::EqualWidth)?),
        ("aurc", calibration::aurc(p.view(), labels)?),
        ("excess aurc", calibration::excess_aurc(p.view(), labels)?),
    ])
}

/// Share of test rows whose class is right.
fn accuracy(network: &dyn Network, parameters: &Parameters, test: &Samples) -> Result<f64> {
    let scores = predict(network, parameters, test.inputs.view(), &[])?;
    Ok(quadrat_nn::accuracy(&scores, test.labels().unwrap_or_default()))
}

/// The claim's own progress is counted in repetitions; trainings only ask whether to stop.
struct Quiet<'a>(&'a Trial<'a>);

impl quadrat_core::Progress for Quiet<'_> {
    fn cancelled(&self) -> bool {
        self.0.progress.cancelled()
    }
}
