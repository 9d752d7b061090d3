//! Handwritten digits: a law that is no factor model.

use super::LOGISTIC;
use crate::Figure;
use ndarray::{Array2, Axis, s};
use quadrat_core::{Result, Seed};
use quadrat_data::builtin;
use quadrat_estimate::pretrain_mle_erm::{Head, Latent, Ppca, Target};

pub(super) const OURS: &str = "principal factors";
/// Three tenths of the rows test; splits overlap.
pub(super) const OVERLAP: f64 = 3.0 / 7.0;
const FACTORS: usize = 16;

pub(super) fn metric(n: usize) -> String {
    format!("accuracy/digits, {n} labels")
}

/// A split: factors of all rows to learn from, a logistic head on the first n of them, accuracy on the others.
pub(super) fn accuracies(label_sizes: &[usize], seed: Seed) -> Result<Vec<Figure>> {
    let (pixels, y, _) = builtin::labelled("digits")?;
    let mut order: Vec<usize> = (0..y.len()).collect();
    seed.rng(0).shuffle(&mut order);
    let x: Array2<f64> = pixels.select(Axis(0), &order) / 16.0;
    let pool = y.len() * 7 / 10;
    let factors = Ppca { rank: FACTORS }.model(x.slice(s![..pool, ..]))?.transform(x.view())?;
    let target = |rows: &[usize]| Target::Classes { codes: rows.iter().map(|row| y[*row]).collect(), count: 10 };
    let mut found = Vec::new();
    for &n in label_sizes {
        for (arm, z) in [(LOGISTIC, &x), (OURS, &factors)] {
            let head = Head::Logistic(None).fit(z.slice(s![..n, ..]), &target(&order[..n]))?;
            let wrong = head.predict(z.slice(s![pool.., ..]))?.loss(&target(&order[pool..]))?;
            found.push((arm.to_owned(), metric(n), 1.0 - wrong));
        }
    }
    Ok(found)
}
