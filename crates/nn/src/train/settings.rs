//! How a network is trained, said once and checked before the first step.

use super::{Fit, Training};
use crate::Network;
use crate::loss::Loss;
use crate::method::{At, TrainMethod};
use crate::optimizer::{Optimizer, Schedule};
use crate::parameters::Parameters;
use crate::source::Source;
use quadrat_core::{Error, Progress, Result, Seed};

/// How a network is trained.
///
/// Cost: for each row and epoch about three forward passes; memory for the parameters, their gradients, one (momentum)
/// or two (Adam) moments, and the activations of one batch.
#[derive(Debug, Clone, PartialEq)]
pub struct Trainer {
    /// How often all rows are visited.
    pub epochs: usize,
    /// Rows in a batch; the last batch of an epoch may be smaller.
    pub batch: usize,
    /// The first learning rate.
    pub rate: f64,
    /// How it changes.
    pub schedule: Schedule,
    /// How gradients become steps.
    pub optimizer: Optimizer,
    /// What is made small.
    pub loss: Loss,
    /// The longest gradient (Euclidean norm over all parameters) that is not shortened.
    pub clip: Option<f32>,
    /// Keep an exponential moving average of the parameters with this decay, and return it instead of the last ones.
    /// It has no bias towards the beginning, so that it is right in a short run too.
    pub average: Option<f32>,
    /// With validation rows: return the parameters of the epoch in which their loss was least, and stop after so many
    /// epochs without a lower one. `None` goes to the end and returns what is there then.
    pub patience: Option<usize>,
    /// Pieces of a batch that run side by side, each on a thread of its own if there are enough
    /// ([`pieces_that_pay`](crate::pieces_that_pay)). Another number gives other rounding errors; the number of threads does
    /// not.
    pub pieces: usize,
    /// Everything random comes from it.
    pub seed: Seed,
}

impl Default for Trainer {
    /// 30 epochs of batches of 128, AdamW with a rate of 0.001 along a cosine, decay 0.01, two pieces, to the end.
    fn default() -> Self {
        Trainer {
            epochs: 30,
            batch: 128,
            rate: 1e-3,
            schedule: Schedule::Cosine,
            optimizer: Optimizer::adamw(0.01),
            loss: Loss::CrossEntropy,
            clip: None,
            average: None,
            patience: None,
            pieces: 2,
            seed: Seed(0),
        }
    }
}

impl Trainer {
    /// Train from fresh parameters.
    ///
    /// # Errors
    /// Settings, samples or methods that do not fit together; a loss that is not finite; cancelled.
    ///
    /// ```
    /// use ndarray::array;
    /// use quadrat_core::{Seed, Silent};
    /// use quadrat_nn::{Mlp, Samples, Trainer, predict};
    /// let xor = Samples::classes(array![[0., 0.], [0., 1.], [1., 0.], [1., 1.]], vec![0, 1, 1, 0], 2)?;
    /// let network = Mlp::new(2, &[32], 2);
    /// let trainer = Trainer { epochs: 200, rate: 0.02, seed: Seed(1), ..Trainer::default() };
    /// let fit = trainer.fit(&network, &xor, None, &mut [], &Silent)?;
    /// let scores = predict(&network, &fit.parameters, xor.inputs.view(), &[])?;
    /// assert!((0..4).all(|i| (scores[[i, 1]] > scores[[i, 0]]) == (xor.labels().unwrap()[i] == 1)));
    /// # Ok::<(), quadrat_core::Error>(())
    /// ```
    pub fn fit(
        &self,
        network: &dyn Network,
        train: &dyn Source,
        validation: Option<&dyn Source>,
        methods: &mut [&mut dyn TrainMethod],
        progress: &dyn Progress,
    ) -> Result<Fit> {
        let parameters = Parameters::new(network.parameters(), self.seed.stream("parameters"))?;
        self.fit_from(network, parameters, train, validation, methods, progress)
    }

    /// Train on from `parameters`.
    ///
    /// # Errors
    /// As [`Trainer::fit`].
    pub fn fit_from(
        &self,
        network: &dyn Network,
        parameters: Parameters,
        train: &dyn Source,
        validation: Option<&dyn Source>,
        methods: &mut [&mut dyn TrainMethod],
        progress: &dyn Progress,
    ) -> Result<Fit> {
        let mut training = Training::begin(self, network, parameters, train, methods)?;
        progress.begin("training", Some((self.epochs * training.steps) as u64));
        while !training.is_done() {
            training.epoch(validation, progress)?;
        }
        training.finish()
    }
}

impl Trainer {
    /// That the settings are in their ranges and fit the network and the rows.
    pub(super) fn check(&self, network: &dyn Network, data: &dyn Source) -> Result<()> {
        let positive = |what: &str, n: usize| match n {
            0 => Err(Error::input(what, 0, "at least 1")),
            _ => Ok(()),
        };
        positive("epochs", self.epochs)?;
        positive("batch", self.batch)?;
        positive("pieces", self.pieces)?;
        if !(self.rate.is_finite() && self.rate > 0.0) {
            return Err(Error::input("learning rate", self.rate, "a positive number"));
        }
        if let Some(longest) = self.clip.filter(|longest| longest.is_nan() || *longest <= 0.0) {
            return Err(Error::input("clip", longest, "a positive length"));
        }
        if let Some(decay) = self.average.filter(|decay| !(0.0..1.0).contains(decay)) {
            return Err(Error::input("average", decay, "a decay of 0 to below 1"));
        }
        if self.patience == Some(0) {
            return Err(Error::input("patience", 0, "at least 1 epoch"));
        }
        self.loss.check()?;
        self.schedule.check()?;
        if data.is_empty() {
            return Err(Error::input("training rows", "none", "at least one"));
        }
        data.batch(At { epoch: 0, step: 0 }, &[0])?.part(&(0..1)).check_kind(network)?;
        data.check(self.loss)?;
        let outputs = match self.loss {
            Loss::Tokens { vocabulary } => data.outputs() * vocabulary,
            // No target is read.
            Loss::Nothing => network.outputs(),
            _ => data.outputs(),
        };
        if network.outputs() != outputs {
            let got = format!("a network with {} outputs", network.outputs());
            return Err(Error::input("outputs", got, format!("the samples need {outputs}")));
        }
        Ok(())
    }
}
