//! What the arms lower.

use ndarray::Array2;
use quadrat_core::Result;
use quadrat_retrieval::composed::{Batch, Noise, Schedule, Step, Uncertainty};
use quadrat_retrieval::losses::in_batch;

/// What a step lowers.
#[derive(Clone, Copy)]
pub enum Kind {
    /// InfoNCE with smoothed labels, and with values of the targets' vectors left out; 0 and 0 are InfoNCE itself.
    Plain { smoothing: f64, dropout: f64 },
    /// MGUR.
    Blurred(Schedule),
}

/// InfoNCE itself.
pub const INFONCE: Kind = Kind::Plain { smoothing: 0.0, dropout: 0.0 };
/// MGUR as published.
pub const COARSE_TO_FINE: Kind = Kind::Blurred(Schedule::CoarseToFine { gamma0: 1.0 });

impl Kind {
    /// The loss of a batch whose vectors have a length, with its derivatives.
    pub fn step(self, batch: &Batch, scale: f64, epochs: usize) -> Result<Step> {
        let length = scale as f32;
        let (queries, targets) = (&batch.queries * length, &batch.targets * length);
        let (value, [to_queries, to_targets]) = match self {
            Kind::Blurred(schedule) => {
                let of = Uncertainty { schedule, ..Uncertainty::default() };
                let noise = Noise::draw(batch.rows, targets.ncols(), batch.seed);
                let found = of.loss(queries.view(), targets.view(), schedule.gamma(batch.epoch, epochs), &noise)?;
                (found.value, [found.to_queries, found.to_targets])
            }
            Kind::Plain { smoothing, dropout } => {
                let mut rng = batch.seed.stream("dropout").rng(0);
                let mut keep = || if rng.uniform() < dropout { 0.0 } else { 1.0 / (1.0 - dropout) as f32 };
                let mask = if dropout > 0.0 {
                    Array2::from_shape_simple_fn(targets.dim(), &mut keep)
                } else {
                    Array2::ones(targets.dim())
                };
                let seen = &targets * &mask;
                let scores = queries.dot(&seen.t());
                let mut loss = in_batch(scores.view(), 1.0)?;
                smooth(&mut loss.value, &mut loss.slope, &scores, smoothing);
                (loss.value, [loss.slope.dot(&seen), loss.slope.t().dot(&queries) * &mask])
            }
        };
        Ok((value, [to_queries * length, to_targets * length]))
    }
}

/// Turns InfoNCE into that with a share of each label spread over the batch.
fn smooth(value: &mut f64, slope: &mut Array2<f32>, scores: &Array2<f32>, share: f64) {
    let n = scores.nrows() as f64;
    let (own, all) = (scores.diag().mapv(f64::from).sum() / n, scores.mapv(f64::from).sum() / (n * n));
    *value += share * (own - all);
    *slope -= (share / (n * n)) as f32;
    slope.diag_mut().mapv_inplace(|v| v + (share / n) as f32);
}
