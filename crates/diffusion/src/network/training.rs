//! The course of a training.

use super::noising::Noised;
use super::{NetworkDenoiser, Noising, average};
use quadrat_core::{Error, Progress, Result, Seed, stats};
use quadrat_nn::{Epoch, Loss, Optimizer, Source, Trainer, Training, pieces_that_pay};
use std::path::Path;

/// How a denoiser is trained: denoising score matching, (F - F*)² of the [`Parametrisation`](super::Parametrisation), one level a row and
/// epoch.
///
/// What is kept is a moving average of the parameters, whose memory (half-life) is a twentieth of the steps.
#[derive(Debug, Clone, PartialEq)]
pub struct Denoising {
    /// How often all rows are visited.
    pub epochs: usize,
    /// Rows in a step.
    pub batch: usize,
    /// The first learning rate of Adam, which falls along half a cosine.
    pub rate: f64,
}

impl Default for Denoising {
    fn default() -> Self {
        Denoising { epochs: 200, batch: 128, rate: 1e-3 }
    }
}

impl Denoising {
    /// Trains; the network learns the data's standard deviation as well. With a `checkpoint` the state after each epoch is kept there,
    /// and a run that finds one goes on from it, with the same bits.
    ///
    /// Cost: about three forward passes a row and epoch; memory for the parameters five times, and the activations of one batch.
    ///
    /// # Errors
    /// Rows that do not fit the network, are not finite or all the same; noise on a row so large that no level lies above it; a loss that
    /// is not finite; a checkpoint of another run; cancelled.
    pub fn fit(
        &self,
        denoiser: &mut NetworkDenoiser,
        data: Noising,
        checkpoint: Option<&Path>,
        seed: Seed,
        progress: &dyn Progress,
    ) -> Result<Vec<Epoch>> {
        data.check(denoiser)?;
        denoiser.purpose.deviation = deviation(&data)?;
        denoiser.purpose.least = data.least();
        let untrained = denoiser.clone();
        let source = Noised { rows: data, denoiser: &untrained, seed: seed.stream("noise") };
        let steps = source.len().div_ceil(self.batch.max(1));
        let trainer = Trainer {
            epochs: self.epochs,
            batch: self.batch,
            rate: self.rate,
            optimizer: Optimizer::adamw(0.0),
            loss: Loss::SquaredError,
            clip: Some(1.0),
            average: Some(average(self.epochs * steps)),
            pieces: pieces_that_pay(&untrained.network, self.batch),
            seed,
            ..Trainer::default()
        };
        let mut methods = [];
        let parameters = untrained.parameters.clone();
        let mut training = Training::begin(&trainer, &untrained.network, parameters, &source, &mut methods)?;
        if let Some(path) = checkpoint.filter(|path| path.exists()) {
            training.restore(path)?;
        }
        progress.begin("training", Some((self.epochs * steps) as u64));
        progress.advance((training.epochs_done() * steps) as u64);
        while !training.is_done() {
            training.epoch(None, progress)?;
            if let Some(path) = checkpoint {
                training.save(path)?;
            }
        }
        let fit = training.finish()?;
        denoiser.parameters = fit.parameters;
        Ok(fit.curve)
    }
}

/// The standard deviation of clean data over all rows and columns: what is found, less the noise that rows have.
fn deviation(data: &Noising) -> Result<f64> {
    let values: Vec<f64> = data.rows.iter().copied().collect();
    let found = stats::standard_deviation(&values).powi(2);
    let squares: Vec<f64> = data.noise.into_iter().flatten().map(|s| s * s).collect();
    let noise = if squares.is_empty() { 0.0 } else { stats::mean(&squares) };
    // Much noise can hide the data's own spread in rounding: a tenth of what is seen is assumed at the least.
    let variance = (found - noise).max(0.01 * found);
    if values.is_empty() || variance.is_nan() || variance <= 0.0 {
        return Err(Error::input("rows", "none, or all of one value", "rows that differ"));
    }
    Ok(variance.sqrt())
}
