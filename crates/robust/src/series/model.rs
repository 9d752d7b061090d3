//! A method for series of one shape as a network: trained, asked for classes, for draws, for what it knows of the series.

use super::bound::{bound, effective_draws};
use super::fillings::{Fill, Filled};
use super::given::{Given, plain};
use super::gru_d::GruD;
use super::scale::Shape;
use super::supnotmiwae::SupNotMiwae;
use ndarray::{Array2, Array4, ArrayView2};
use quadrat_core::{Error, Progress, Result, Seed};
use quadrat_nn::{
    Fit, Forward, Input, Inputs, Loss, Network, Parameters, Piece, Samples, Source, Spec, Tensor, TrainMethod, Trainer,
    evaluate, tensor_of,
};
use quadrat_numeric::calibration;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// One of the methods.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SeriesMethod {
    /// Holes filled many times by a model that learns with the classifier.
    SupNotMiwae(SupNotMiwae),
    /// A recurrent network whose memory fades.
    GruD(GruD),
    /// Holes filled once.
    Filled(Fill, Filled),
}

/// A method for series of a shape.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Model {
    /// The method.
    pub method: SeriesMethod,
    /// The series.
    pub shape: Shape,
    /// Latent paths and completions where it does not train, and the seed of their draws.
    draws: [usize; 2],
    seed: u64,
}

/// Numbers in the largest array of a block of predictions.
const BLOCK: usize = 1 << 21;

impl Model {
    /// A fresh one.
    pub fn new(method: SeriesMethod, shape: Shape) -> Self {
        // Rows held back judge each epoch with as many draws as training has.
        let draws = if let SeriesMethod::SupNotMiwae(method) = &method { [method.k, method.j] } else { [1, 1] };
        Model { method, shape, draws, seed: 0 }
    }

    /// Trains it with the trainer's settings; what is made small is cross-entropy, or minus the bound.
    ///
    /// # Errors
    /// Parameters of the method outside their ranges; as [`Trainer::fit`].
    pub fn fit(
        &self,
        trainer: &Trainer,
        train: &Samples,
        held_back: Option<&Samples>,
        progress: &dyn Progress,
    ) -> Result<Fit> {
        let trainer = Trainer { loss: Loss::CrossEntropy, ..trainer.clone() };
        let held_back = held_back.map(|rows| rows as &dyn Source);
        match &self.method {
            SeriesMethod::SupNotMiwae(method) => {
                method.check()?;
                trainer.fit(self, train, held_back, &mut [&mut MinusBound], progress)
            }
            _ => trainer.fit(self, train, held_back, &mut [], progress),
        }
    }

    /// Probabilities of the classes, series x classes. What is said of a series depends on its `row` and the seed.
    ///
    /// # Errors
    /// Series of another shape.
    pub fn probabilities(&self, parameters: &Parameters, samples: &Samples, seed: Seed) -> Result<Array2<f32>> {
        let mut model = self.clone();
        model.seed = seed.stream("prediction").0;
        if let SeriesMethod::SupNotMiwae(method) = &self.method {
            model.draws = [method.test_k, method.test_j];
        }
        let scores = in_blocks(&model, parameters, samples, model.draws[0] * model.width())?;
        Ok(calibration::probabilities(scores.view(), 1.0))
    }

    /// Log-weights of K paths of each series, ln p(x_obs, zₖ) − ln q(zₖ | x_obs): their [`bound`] is a lower bound of the
    /// log-likelihood, and [`effective_draws`] says how many of them count. Nothing for methods that have none.
    ///
    /// # Errors
    /// Series of another shape.
    pub fn log_weights(&self, parameters: &Parameters, samples: &Samples, seed: Seed) -> Result<Option<Array2<f32>>> {
        let SeriesMethod::SupNotMiwae(method) = &self.method else { return Ok(None) };
        let weights = Weights { model: self, method, k: method.test_k, seed: seed.stream("weights") };
        Ok(Some(in_blocks(&weights, parameters, samples, method.test_k * self.width())?))
    }

    /// Mean over series of the bound and of the effective number of draws, if the method has any.
    ///
    /// # Errors
    /// Series of another shape.
    pub fn bound_and_draws(&self, parameters: &Parameters, samples: &Samples, seed: Seed) -> Result<Option<[f64; 2]>> {
        let Some(weights) = self.log_weights(parameters, samples, seed)? else { return Ok(None) };
        let bounds = plain(bound(tensor_of(weights.view(), false)));
        let mean = |values: &mut dyn Iterator<Item = f64>| values.sum::<f64>() / weights.nrows().max(1) as f64;
        let draws = effective_draws(weights.view());
        Ok(Some([mean(&mut bounds.iter().map(|v| f64::from(*v))), mean(&mut draws.into_iter())]))
    }

    /// Draws of each series without holes: draws x series x times x channels on the model's scale. Of `supnotmiwae` each is a draw
    /// of the decoder at a path that is drawn by its weight; those of the others are all alike.
    ///
    /// # Errors
    /// Series of another shape, 0 draws.
    pub fn impute(&self, parameters: &Parameters, samples: &Samples, draws: usize, seed: Seed) -> Result<Array4<f32>> {
        if draws == 0 {
            return Err(Error::input("draws", 0, "at least 1"));
        }
        let filled = Imputed { model: self, draws, seed: seed.stream("imputation") };
        let flat = in_blocks(&filled, parameters, samples, draws.max(20) * self.width())?;
        let (t, d) = (self.shape.length, self.shape.channels);
        let at = |(draw, i, time, c)| flat[[i, (draw * t + time) * d + c]];
        Ok(Array4::from_shape_fn((draws, samples.len(), t, d), at))
    }

    /// Numbers of a series in a layer.
    fn width(&self) -> usize {
        let width = match &self.method {
            SeriesMethod::SupNotMiwae(SupNotMiwae { width, .. }) => *width,
            SeriesMethod::GruD(GruD { width }) | SeriesMethod::Filled(_, Filled { width, .. }) => *width,
        };
        self.shape.length * width.max(self.shape.channels)
    }
}

/// What a network says of all rows, block by block, each of so many numbers a row.
fn in_blocks(network: &dyn Network, parameters: &Parameters, samples: &Samples, numbers: usize) -> Result<Array2<f32>> {
    let size = (BLOCK / numbers.max(1)).clamp(1, 256) as u32;
    let rows: Vec<u32> = (0..samples.len() as u32).collect();
    let blocks: Vec<&[u32]> = rows.chunks(size as usize).collect();
    let said = |rows: &&[u32]| evaluate(network, parameters, &samples.select(rows));
    let said: Vec<Array2<f32>> = blocks.par_iter().map(said).collect::<Result<_>>()?;
    let views: Vec<ArrayView2<f32>> = said.iter().map(|block| block.view()).collect();
    ndarray::concatenate(ndarray::Axis(0), &views).map_err(|e| Error::numeric("series", e.to_string()))
}

impl Network for Model {
    fn inputs(&self) -> usize {
        self.shape.length * self.shape.channels
    }

    fn others(&self) -> Vec<Input> {
        let Shape { channels, length, .. } = self.shape;
        vec![
            Input::numbers("mask", length * channels),
            Input::numbers("time", length),
            Input::whole("length", 1, length + 1),
            Input::whole("row", 1, 1 << 24),
        ]
    }

    fn outputs(&self) -> usize {
        self.shape.classes
    }

    fn parameters(&self) -> Vec<Spec> {
        match &self.method {
            SeriesMethod::SupNotMiwae(method) => method.parameters(&self.shape),
            SeriesMethod::GruD(method) => method.parameters(&self.shape),
            SeriesMethod::Filled(fill, method) => method.parameters(*fill, &self.shape),
        }
    }

    fn forward(&self, forward: &mut Forward, inputs: &Inputs) -> Result<Tensor<2>> {
        let given = Given::of(inputs, &self.shape)?;
        match &self.method {
            SeriesMethod::SupNotMiwae(method) => {
                let draws = if forward.is_training() { [method.k, method.j] } else { self.draws };
                method.scores(forward, &given, &self.shape, draws, Seed(self.seed))
            }
            SeriesMethod::GruD(method) => method.scores(forward, &given),
            SeriesMethod::Filled(fill, method) => method.scores(*fill, forward, &given, &self.shape),
        }
    }
}

/// The loss of supnotMIWAE: minus the bound of each series' own class. The network's scores are the bounds.
struct MinusBound;

impl TrainMethod for MinusBound {
    fn name(&self) -> &str {
        "supnotmiwae"
    }

    fn replaces_loss(&self) -> bool {
        true
    }

    fn row_losses(&self, piece: &Piece, outputs: &Tensor<2>) -> Result<Tensor<1>> {
        Ok(piece.weigh((outputs.clone() * piece.targets.clone()).sum_dim(1).neg().squeeze_dim::<1>(1)))
    }
}

/// The log-weights of K paths as outputs.
pub(super) struct Weights<'a> {
    pub model: &'a Model,
    pub method: &'a SupNotMiwae,
    pub k: usize,
    pub seed: Seed,
}

impl Network for Weights<'_> {
    fn inputs(&self) -> usize {
        self.model.inputs()
    }

    fn others(&self) -> Vec<Input> {
        self.model.others()
    }

    fn outputs(&self) -> usize {
        self.k
    }

    fn parameters(&self) -> Vec<Spec> {
        self.model.parameters()
    }

    fn forward(&self, forward: &mut Forward, inputs: &Inputs) -> Result<Tensor<2>> {
        let given = Given::of(inputs, &self.model.shape)?;
        let mut chance = given.chance(forward, self.seed);
        let latent = self.method.latent(forward, &given, &self.model.shape, self.k, &mut chance)?;
        Ok(latent.log_weight.reshape([inputs.rows(), self.k]))
    }
}

/// Series without holes as outputs.
struct Imputed<'a> {
    model: &'a Model,
    draws: usize,
    seed: Seed,
}

impl Imputed<'_> {
    /// Each series as often as there are draws.
    fn alike(&self, filled: &[f32]) -> Vec<f32> {
        filled.chunks(self.model.inputs()).flat_map(|one| one.repeat(self.draws)).collect()
    }
}

impl Network for Imputed<'_> {
    fn inputs(&self) -> usize {
        self.model.inputs()
    }

    fn others(&self) -> Vec<Input> {
        self.model.others()
    }

    fn outputs(&self) -> usize {
        self.draws * self.model.inputs()
    }

    fn parameters(&self) -> Vec<Spec> {
        self.model.parameters()
    }

    fn forward(&self, forward: &mut Forward, inputs: &Inputs) -> Result<Tensor<2>> {
        let (shape, n) = (&self.model.shape, inputs.rows());
        let given = Given::of(inputs, shape)?;
        let values = match &self.model.method {
            SeriesMethod::SupNotMiwae(method) => method.draws(forward, &given, shape, self.draws, self.seed)?,
            SeriesMethod::Filled(fill, _) => self.alike(&fill.fill(&given, shape)),
            SeriesMethod::GruD(method) => self.alike(&plain(method.filled(forward, &given)?)),
        };
        let rows = ArrayView2::from_shape((n, self.outputs()), &values)
            .map_err(|e| Error::numeric("series", e.to_string()))?;
        Ok(tensor_of(rows, false))
    }
}
