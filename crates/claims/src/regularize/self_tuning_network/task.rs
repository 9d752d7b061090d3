//! One split, and what trains on it.

use super::{BATCH, GRID, OURS, RANDOM, RATES, RUNS, SITES};
use quadrat_core::{Result, Rng, Silent};
use quadrat_nn::{At, EpochEnd, Mlp, Parameters, Samples, TrainMethod, Trainer, mean_loss, predict};
use quadrat_regularize::{Hyper, SelfTuningNetwork, Strength, Strengths, Validation};

/// Rows, and how a network trains on them.
pub(super) struct Task {
    pub(super) train: Samples,
    pub(super) validation: Samples,
    pub(super) test: Samples,
    pub(super) network: Mlp,
    pub(super) trainer: Trainer,
}

/// Lowest validation loss, and the test loss at that epoch.
pub(super) type Losses = [f64; 2];

impl Task {
    fn test_loss(&self, parameters: &Parameters) -> Result<f64> {
        let scores = predict(&self.network, parameters, self.test.inputs.view(), &[])?;
        Ok(mean_loss(self.trainer.loss, &scores, &self.test))
    }

    /// Trains with given strengths.
    pub(super) fn with(&self, mut strengths: Strengths) -> Result<Losses> {
        let mut keep = KeepBest { validation: &self.validation, best: None };
        let mut methods: [&mut dyn TrainMethod; 2] = [&mut strengths, &mut keep];
        let fit = self.trainer.fit(&self.network, &self.train, None, &mut methods, &Silent)?;
        Ok([keep.best.map_or(f64::NAN, |best| best.0), self.test_loss(&fit.parameters)?])
    }

    /// Trains with tuned strengths, from the method's own start or from another.
    pub(super) fn tuned(&self, start: Option<[f64; 4]>) -> Result<(Losses, SelfTuningNetwork)> {
        let mut hypers: Vec<Hyper> = SITES.map(Hyper::dropout).into();
        hypers.push(Hyper::input_noise());
        hypers.iter_mut().zip(start.into_iter().flatten()).for_each(|(hyper, value)| hyper.value = value);
        let validation = Validation::Rows(self.validation.clone());
        let mut method = SelfTuningNetwork { hypers, validation, batch: BATCH, ..SelfTuningNetwork::default() };
        let fit = self.trainer.fit(&self.network, &self.train, None, &mut [&mut method], &Silent)?;
        let reached = method.tuned.best().map_or(f64::NAN, |best| best.loss);
        Ok(([reached, self.test_loss(&fit.parameters)?], method))
    }

    pub(super) fn rng(&self) -> Rng {
        self.trainer.seed.stream("search").rng(0)
    }

    /// What random search tries: three rates and the noise.
    pub(super) fn draw(&self, rng: &mut Rng) -> [f64; 4] {
        let [a, b, c] = [0; 3].map(|_| 0.9 * rng.uniform());
        [a, b, c, 0.01 * 100f64.powf(rng.uniform())]
    }

    /// What an arm that is tuned reaches: a search, the best of its runs.
    pub(super) fn arm(&self, arm: &str) -> Result<Losses> {
        let mut rng = self.rng();
        match arm {
            OURS => Ok(self.tuned(None)?.0),
            RANDOM => best_of((0..RUNS).map(|_| self.with(strengths(self.draw(&mut rng))))),
            GRID => best_of(RATES.iter().map(|&rate| self.with(strengths([rate, rate, rate, 0.0])))),
            _ => self.with(strengths([0.0; 4])),
        }
    }
}

/// Three rates and the noise, the same throughout.
pub(super) fn strengths([a, b, c, noise]: [f64; 4]) -> Strengths {
    let dropouts = SITES.into_iter().zip([a, b, c]).map(|(site, rate)| (Strength::Dropout(site.into()), rate));
    Strengths::constant(dropouts.chain([(Strength::InputNoise, noise)]))
}

/// The run with the lowest validation loss.
fn best_of(runs: impl Iterator<Item = Result<Losses>>) -> Result<Losses> {
    let runs = runs.collect::<Result<Vec<_>>>()?;
    Ok(runs.into_iter().min_by(|a, b| a[0].total_cmp(&b[0])).unwrap_or([f64::NAN; 2]))
}

/// Returns the parameters of the epoch with the lowest validation loss, as the self-tuning network does.
struct KeepBest<'a> {
    validation: &'a Samples,
    best: Option<(f64, Vec<Vec<f32>>)>,
}

impl TrainMethod for KeepBest<'_> {
    fn name(&self) -> &str {
        "keep-best"
    }

    fn end_epoch(&mut self, epoch: usize, model: &mut dyn EpochEnd) -> Result<()> {
        let rows: Vec<u32> = (0..self.validation.len() as u32).collect();
        let batch = self.validation.batch(At { epoch, step: 0 }, &rows);
        let loss = model.loss(&batch)?;
        if self.best.as_ref().is_none_or(|best| loss < best.0) {
            self.best = Some((loss, model.parameters().iter().map(|p| p.values()).collect()));
        }
        Ok(())
    }

    fn finish(&mut self, parameters: &mut Parameters) -> Result<()> {
        let best = self.best.iter().flat_map(|best| &best.1);
        parameters.iter_mut().zip(best).try_for_each(|(parameter, values)| parameter.set(values))
    }
}
