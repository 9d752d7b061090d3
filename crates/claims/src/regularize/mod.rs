//! Claims of `quadrat-regularize`, and the data and figures that they share.

pub mod ps_kd;
pub mod quantnas;
pub mod random_pruning;
pub mod random_sparse_search;
pub mod sara;
pub mod self_tuning_network;
pub mod ticket_reprogramming;
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

/// Square images of `from` pixels a side (one a row) at `to` pixels a side: each new pixel is the mean of the old ones
/// under it, by area.
fn resized(images: &Array2<f32>, from: usize, to: usize) -> Array2<f32> {
    let share = |new: usize, old: usize| {
        let scale = from as f64 / to as f64;
        let (low, high) = (new as f64 * scale, (new + 1) as f64 * scale);
        ((high.min((old + 1) as f64) - low.max(old as f64)).max(0.0) / scale) as f32
    };
    let weights = Array2::from_shape_fn((to, from), |(new, old)| share(new, old));
    let mut all = Vec::with_capacity(images.nrows() * to * to);
    for image in images.outer_iter() {
        let square = Array2::from_shape_fn((from, from), |(y, x)| image[y * from + x]);
        all.extend(weights.dot(&square).dot(&weights.t()).iter());
    }
    Array2::from_shape_fn((images.nrows(), to * to), |(row, i)| all[row * to * to + i])
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn images_are_resized_by_area() {
        let small = array![[0.0, 1.0, 2.0, 3.0]];
        let doubled = resized(&small, 2, 4);
        assert_eq!(doubled.row(0).to_vec()[..8], [0., 0., 1., 1., 0., 0., 1., 1.]);
        assert_eq!(resized(&doubled, 4, 2), small);
        let shrunk = resized(&array![[0.0, 3.0, 6.0, 0.0, 3.0, 6.0, 0.0, 3.0, 6.0]], 3, 2);
        assert!(shrunk.iter().zip([1.0, 5.0, 1.0, 5.0]).all(|(a, b): (&f32, f32)| (a - b).abs() < 1e-6));
    }
}
