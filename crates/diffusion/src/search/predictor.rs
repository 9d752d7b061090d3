//! A guess of a plan's score from its decisions: kernel ridge regression on the scores so far.

use super::Scored;
use crate::{Corrector, First, Form, Plan, Relaxation};
use ndarray::{Array1, Array2};
use quadrat_core::stats;
use quadrat_numeric::linalg::{cholesky, solve_lower};

/// Most plans it is fitted to, the best ones: costs the cube of it.
const MOST: usize = 400;
/// Ridges tried, and widths of the kernel as multiples of the median distance between plans.
const RIDGES: [f64; 3] = [1e-3, 1e-2, 1e-1];
const WIDTHS: [f64; 3] = [0.5, 1.0, 2.0];

/// The regression: ln score = mean + Σ weightᵢ exp(-|features - featuresᵢ|² / 2 width²).
pub(super) struct Predictor {
    features: Vec<Vec<f64>>,
    weights: Array1<f64>,
    mean: f64,
    width: f64,
}

impl Predictor {
    /// Fitted to the scores, its width and ridge chosen by leaving each plan out in turn; `None` where there are too few or all alike.
    pub fn fit(scored: &[Scored]) -> Option<Self> {
        let mut known: Vec<&Scored> = scored.iter().filter(|s| s.score.is_finite() && s.score > 0.0).collect();
        known.sort_by(|a, b| a.score.total_cmp(&b.score));
        known.truncate(MOST);
        if known.len() < 10 {
            return None;
        }
        let logs: Vec<f64> = known.iter().map(|s| s.score.ln()).collect();
        let mean = stats::mean(&logs);
        let target: Array1<f64> = logs.iter().map(|log| log - mean).collect();
        let features: Vec<Vec<f64>> = known.iter().map(|s| features(&s.plan)).collect();
        let n = features.len();
        let squared = Array2::from_shape_fn((n, n), |(i, j)| distance(&features[i], &features[j]));
        let mut lengths: Vec<f64> = squared.iter().copied().filter(|d| *d > 0.0).collect();
        if lengths.is_empty() {
            return None;
        }
        let middle = lengths.len() / 2;
        let median = lengths.select_nth_unstable_by(middle, f64::total_cmp).1.sqrt();
        let mut best: Option<(f64, f64, Array1<f64>)> = None;
        for width in WIDTHS.map(|w| w * median) {
            let kernel = squared.mapv(|d| (-0.5 * d / (width * width)).exp());
            for ridge in RIDGES {
                let Some((weights, error)) = left_out(&kernel, ridge, &target) else { continue };
                if best.as_ref().is_none_or(|(least, ..)| error < *least) {
                    best = Some((error, width, weights));
                }
            }
        }
        let (_, width, weights) = best?;
        Some(Predictor { features, weights, mean, width })
    }

    /// The guess of ln score.
    pub fn score(&self, plan: &Plan) -> f64 {
        let features = features(plan);
        let near = |known: &Vec<f64>| (-0.5 * distance(known, &features) / (self.width * self.width)).exp();
        self.mean + self.features.iter().zip(&self.weights).map(|(known, weight)| weight * near(known)).sum::<f64>()
    }
}

/// The weights, and the mean squared error of each plan's guess by the others: (weight / diagonal of the inverse)².
fn left_out(kernel: &Array2<f64>, ridge: f64, target: &Array1<f64>) -> Option<(Array1<f64>, f64)> {
    let n = target.len();
    let lower = cholesky((kernel + &(ridge * Array2::<f64>::eye(n))).view()).ok()?;
    let half = solve_lower(lower.view(), Array2::eye(n).view()).ok()?;
    let inverse = half.t().dot(&half);
    let weights = inverse.dot(target);
    let errors: Vec<f64> = weights.iter().zip(inverse.diag()).map(|(w, d)| (w / d).powi(2)).collect();
    Some((weights, stats::mean(&errors)))
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    // Plans with and without a call saved differ in their number of steps: what one lacks counts as 0.
    let (short, long) = if a.len() < b.len() { (a, b) } else { (b, a) };
    let shared: f64 = short.iter().zip(long).map(|(a, b)| (a - b) * (a - b)).sum();
    shared + long[short.len()..].iter().map(|v| v * v).sum::<f64>()
}

/// The decisions as numbers, about 1 where they differ much.
fn features(plan: &Plan) -> Vec<f64> {
    let flag = |b: bool| f64::from(u8::from(b));
    let lambdas: Vec<f64> = plan.levels().iter().map(|level| level.lambda()).collect();
    let finite = |l: f64| if l.is_finite() { l } else { lambdas[lambdas.len() - 2] + 1.0 };
    let mut all = vec![flag(plan.first == First::Noise), flag(matches!(plan.first, First::Mean(_)))];
    for (k, step) in plan.steps.iter().enumerate() {
        let (from, to) = (finite(lambdas[k]), finite(lambdas[k + 1]));
        all.extend([0.5 * to, (to - from).max(1e-9).ln()]);
        all.extend([flag(step.form == Form::Noise), flag(step.corrector == Corrector::Pseudo)]);
        all.extend([flag(step.corrector == Corrector::Implicit), 0.5 * step.back as f64]);
        all.extend([0.7 * step.order as f64, 0.4 * step.points as f64]);
        all.extend([flag(step.relaxation == Relaxation::Bh1), flag(step.relaxation == Relaxation::Bh2)]);
        all.push(if let Relaxation::Linear(c) = step.relaxation { 10.0 * c } else { 0.0 });
    }
    all
}
