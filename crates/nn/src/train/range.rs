//! A learning rate from a short range test.
//!
//! Smith, "Cyclical learning rates for training neural networks", WACV 2017 (arXiv 1506.01186): the rate grows from
//! far too small to far too large over a few dozen steps, and the loss shows where learning begins and where it breaks.

use super::{Trainer, Training};
use crate::Network;
use crate::optimizer::Optimizer;
use crate::parameters::Parameters;
use crate::source::Source;
use quadrat_core::{Error, Progress, Result, checkpoint};

/// What a range test found.
#[derive(Debug, Clone, PartialEq)]
pub struct RateTest {
    /// The rate to train with; none where the loss never fell.
    pub rate: Option<f64>,
    /// Rate and smoothed loss, step by step.
    pub points: Vec<(f64, f64)>,
}

/// Steps of a test.
const STEPS: usize = 64;
/// Weight of earlier losses in the smoothed one.
const SMOOTH: f64 = 0.8;
/// The test ends where the smoothed loss is so many times its least.
const BROKEN: f64 = 3.0;
/// The chosen rate is so many times below the one of the least loss, where steps are already too long.
const BELOW: f64 = 10.0;

impl Trainer {
    /// Find a learning rate for this network and these rows: `STEPS` (64) steps from `parameters`, which stay as they
    /// are, with the trainer's optimiser, loss and batches, but without methods, while the rate grows geometrically from
    /// 1e-6 to 0.1 (Adam) or from 1e-5 to 1 (descent). A tenth of the rate at the least smoothed loss is chosen.
    ///
    /// # Errors
    /// As [`Trainer::fit`]; steps that are too long only end the test.
    pub fn find_rate(
        &self,
        network: &dyn Network,
        parameters: &Parameters,
        data: &dyn Source,
        progress: &dyn Progress,
    ) -> Result<RateTest> {
        let (low, high): (f64, f64) = match self.optimizer {
            Optimizer::AdamW { .. } => (1e-6, 0.1),
            Optimizer::Sgd { .. } => (1e-5, 1.0),
        };
        let trainer = Trainer { average: None, patience: None, seed: self.seed.stream("range test"), ..self.clone() };
        let mut training = Training::begin(&trainer, network, parameters.clone(), data, &mut [])?;
        let mut order: Vec<u32> = (0..data.len() as u32).collect();
        progress.begin("finding a learning rate", Some(STEPS as u64));
        let (mut points, mut smooth, mut weight, mut least) = (Vec::with_capacity(STEPS), 0.0, 0.0, f64::INFINITY);
        let in_epoch = data.len().div_ceil(self.batch);
        for step in 0..STEPS {
            checkpoint(progress)?;
            if step % in_epoch == 0 {
                trainer.seed.stream("order").rng((step / in_epoch) as u64).shuffle(&mut order);
            }
            let rows = order.chunks(self.batch).nth(step % in_epoch).unwrap_or_default();
            let rate = low * (high / low).powf(step as f64 / (STEPS - 1) as f64);
            let loss = match training.step(rows, rate) {
                Ok(loss) => loss,
                Err(Error::Numeric { .. }) => break,
                Err(other) => return Err(other),
            };
            (smooth, weight) = (SMOOTH * smooth + (1.0 - SMOOTH) * loss, SMOOTH * weight + 1.0 - SMOOTH);
            points.push((rate, smooth / weight));
            if smooth / weight > BROKEN * least {
                break;
            }
            least = least.min(smooth / weight);
            progress.advance(1);
        }
        Ok(RateTest { rate: choose(&points), points })
    }
}

/// A tenth of the rate of the least loss, if the loss fell at all: by a hundredth of where it began.
fn choose(points: &[(f64, f64)]) -> Option<f64> {
    let (_, first) = points.first()?;
    let (rate, least) = points.iter().min_by(|a, b| a.1.total_cmp(&b.1))?;
    (*least < 0.99 * first).then_some(rate / BELOW)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Mlp, Samples, initialise};
    use ndarray::Array2;
    use quadrat_core::{Seed, Silent};

    #[test]
    fn the_rate_is_below_the_least_loss_and_none_where_nothing_is_learnt() {
        assert_eq!(choose(&[(1e-4, 1.0), (1e-3, 0.9), (1e-2, 0.5), (0.1, 4.0)]), Some(1e-3));
        assert_eq!(choose(&[(1e-4, 1.0), (1e-3, 1.1)]), None);
        assert_eq!(choose(&[]), None);
    }

    #[test]
    fn a_test_leaves_parameters_alone_and_its_rate_learns() {
        let mut rng = Seed(3).rng(0);
        let labels: Vec<u32> = (0..200).map(|i| i % 2).collect();
        let inputs = Array2::from_shape_fn((200, 3), |(i, _)| f32::from(labels[i] as u8) + 0.5 * rng.normal() as f32);
        let samples = Samples::classes(inputs, labels, 2).unwrap();
        let network = Mlp::new(3, &[16], 2);
        let start = initialise(&network, Seed(1)).unwrap();
        let before = start.fingerprint();
        for optimizer in [Optimizer::adamw(0.01), Optimizer::sgd(1e-4)] {
            let trainer = Trainer { epochs: 10, batch: 32, optimizer, ..Trainer::default() };
            let test = trainer.find_rate(&network, &start, &samples, &Silent).unwrap();
            assert_eq!(test, trainer.find_rate(&network, &start, &samples, &Silent).unwrap());
            assert_eq!(start.fingerprint(), before);
            let rate = test.rate.unwrap();
            assert!((1e-4..1.0).contains(&rate), "{rate}");
            let fit = Trainer { rate, ..trainer }
                .fit_from(&network, start.clone(), &samples, Some(&samples), &mut [], &Silent)
                .unwrap();
            assert!(fit.curve.last().unwrap().validation_accuracy.unwrap() > 0.85);
        }
    }
}
