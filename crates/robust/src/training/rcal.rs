//! RCAL, whole: features without labels, Gaussians of the classes in them, and a network that stays near them.
//!
//! Zhang, Zhao, Yao, Yuan, Huang: "When Noisy Labels Meet Long Tail Dilemmas: A Representation Calibration Method", ICCV 2023
//! (arXiv 2211.10955). Before the first epoch the network's hidden layers learn by momentum contrast (`contrast`), which looks at
//! no label; z₀ are the features that they make of the training rows then. [`crate::Rcal`] calibrates a Gaussian for each class in
//! z₀ and draws rows that the rare classes lack. Then all layers are trained on
//!
//! > L = L_mix + β |f(x) − z₀|²,
//!
//! cross-entropy of mixtures of two rows (mixup) and the tie to the features of the first stage, of mixed rows to their equal
//! mixture. After each step the last layer alone takes one on drawn rows, by gradient descent with a rate and momentum of its
//! own.
//!
//! The paper trains features for 1,000 epochs with a queue of 4,096, the classifier with rates of 0.01 below and 1 in the last
//! layer, and drawn rows at 0.001; in our short runs drawn rows at 0.1 did best beside a rate of 0.001. It does not say the contrast's temperature and momentum, mixup's parameter and β (0.1 to 0.5
//! do alike): here 0.2, 0.99, 1 and 0.3; momentum is lower than for long runs, whose 0.999 would not move in a few hundred
//! steps.

mod contrast;

use super::few::Views;
use super::last_layer::LastLayer;
use crate::{Labelled, Resampler};
use contrast::contrast;
use ndarray::{Array2, Axis};
use quadrat_core::{Card, Error, Method, Progress, Result, Seed, Settings};
use quadrat_nn::{At, Batch, Forward, MethodState, Parameters, Piece, Run, Tensor, TrainMethod, features};
use quadrat_numeric::matrix;

/// RCAL as a training method.
#[derive(Debug, Clone, PartialEq, Settings)]
pub struct Rcal {
    /// Epochs of contrast before the first one; 0 takes the features of the network as it is, for one that was trained without
    /// labels elsewhere.
    #[param(default = 30)]
    pub contrast: usize,
    /// How rows are changed for the contrast.
    #[param(flatten)]
    pub views: Views,
    /// How the classes' Gaussians are calibrated.
    #[param(flatten)]
    pub calibration: crate::Rcal,
    /// Weight of the tie to the features of the first stage.
    #[param(default = 0.3, from = 0)]
    pub beta: f32,
    /// Both parameters of mixup's Beta law; 0 mixes nothing.
    #[param(default = 1.0, from = 0, to = 4)]
    pub mixup: f64,
    /// Learning rate of the last layer on drawn rows.
    #[param(default = 0.1, from = 0)]
    pub drawn_rate: f32,
    /// What a run knows.
    pub state: State,
}

/// What a run of [`Rcal`] knows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct State {
    seed: Seed,
    /// Name of the last layer.
    head: String,
    /// z₀, a row for each training row.
    bank: Array2<f32>,
    /// z₀ of the batch, mixed as its rows.
    wanted: Array2<f32>,
    drawn: Array2<f32>,
    drawn_labels: Vec<u32>,
    /// Of the last layer's steps on drawn rows.
    velocity: LastLayer,
}

impl Method for Rcal {
    const CARD: Card = Card {
        slug: "rcal-network",
        aliases: &[],
        title: "RCAL, whole: contrast, calibration, tied classifier",
        verbs: &["train"],
        summary: "Learns features without labels, balances the classes by draws from calibrated Gaussians, and trains a \
                  classifier that stays near those features.",
        useful_when: "labels are partly wrong and classes unequal in number, and a network is trained from scratch",
        cost: "before the first epoch momentum contrast: two passes over all rows in each of its epochs; memory rows x features",
        params: Self::PARAMS,
        ..crate::Rcal::CARD
    };
}

const NAME: &str = "rcal-network";

/// Drawn rows in a step.
const DRAWN: usize = 128;

/// Momentum of the steps on drawn rows.
const MOMENTUM: f32 = 0.9;

impl TrainMethod for Rcal {
    fn name(&self) -> &str {
        NAME
    }

    fn settings(&self) -> String {
        let Rcal { contrast, views, calibration, beta, mixup, drawn_rate, .. } = self;
        let views = views.told();
        format!("contrast={contrast} {views} {calibration:?} beta={beta} mixup={mixup} drawn_rate={drawn_rate}")
    }

    fn begin(&mut self, run: &Run<'_>, parameters: &mut Parameters) -> Result<()> {
        if !(self.beta >= 0.0 && self.beta.is_finite()) {
            return Err(Error::input("beta", self.beta, "0 or more"));
        }
        if !(0.0..=4.0).contains(&self.mixup) {
            return Err(Error::input("mixup", self.mixup, "0 to 4"));
        }
        run.labels(NAME)?;
        run.takes_numbers(NAME)?;
        run.samples(NAME)?;
        if let Some(other) = run.network.others().first() {
            let got = format!("a network that also takes `{}`", other.name);
            return Err(Error::input(NAME, got, "a network of rows of numbers alone: only these are changed"));
        }
        self.state = State { seed: run.seed, head: LastLayer::name(NAME, run, parameters)?, ..State::default() };
        self.views.begin(run)
    }

    fn learn_first(&mut self, run: &Run<'_>, parameters: &mut Parameters, progress: &dyn Progress) -> Result<()> {
        let (samples, labels) = (run.samples(NAME)?, run.labels(NAME)?);
        contrast(run, &self.state.head, self.contrast, &self.views, parameters, progress)?;
        let bank = features(run.network, parameters, samples)?;
        let data = Labelled::new(bank.mapv(f64::from), labels.to_vec());
        let made = self.calibration.resample(&data, self.state.seed, progress)?;
        self.state.drawn = made.synthetic.mapv(|v| v as f32);
        self.state.drawn_labels = made.y[labels.len()..].to_vec();
        self.state.bank = bank;
        Ok(())
    }

    fn prepare(&mut self, batch: &mut Batch) -> Result<()> {
        if batch.mixed {
            return Err(Error::input(
                NAME,
                "a batch of mixtures",
                "leave out the method that mixes rows: this one does",
            ));
        }
        let rows: Vec<usize> = batch.rows.iter().map(|row| *row as usize).collect();
        if rows.iter().any(|row| *row >= self.state.bank.nrows()) {
            return Err(Error::input(NAME, "rows without labels", "labelled rows alone"));
        }
        self.state.wanted = self.state.bank.select(Axis(0), &rows);
        if self.mixup > 0.0 {
            let mut rng = self.state.seed.stream("mixup").rng(batch.at.step as u64);
            batch.mix(self.mixup, &mut rng).of(&mut self.state.wanted);
        }
        Ok(())
    }

    fn loss(&self, forward: &mut Forward, piece: &Piece, _: &Tensor<2>, rows: Tensor<1>) -> Result<Tensor<1>> {
        let none = || Error::input(NAME, "a network without features", "one whose last layer is linear");
        let f = forward.tapped("features").ok_or_else(none)?;
        Ok(rows
            + piece.losses(&f, |row, f, gradient| {
                let mut sum = 0.0;
                for ((d, f), z) in gradient.iter_mut().zip(f).zip(self.state.wanted.row(row)) {
                    *d = 2.0 * self.beta * (f - z);
                    sum += (f - z) * (f - z);
                }
                self.beta * sum
            }))
    }

    fn after_step(&mut self, at: At, parameters: &mut Parameters) -> Result<()> {
        let State { seed, head, drawn, drawn_labels, velocity, .. } = &mut self.state;
        if drawn.nrows() == 0 || self.drawn_rate == 0.0 {
            return Ok(());
        }
        let mut rng = seed.stream("drawn").rng(at.step as u64);
        let some: Vec<usize> = (0..DRAWN).map(|_| rng.below(drawn.nrows())).collect();
        let labels: Vec<u32> = some.iter().map(|row| drawn_labels[*row]).collect();
        let mut layer = LastLayer::read(parameters, head)?;
        let gradient = layer.cross_entropy(drawn.select(Axis(0), &some).view(), &labels);
        if velocity.weight.dim() != layer.weight.dim() {
            *velocity = LastLayer { weight: &layer.weight * 0.0, bias: &layer.bias * 0.0 };
        }
        velocity.weight = &velocity.weight * MOMENTUM + gradient.weight;
        velocity.bias = &velocity.bias * MOMENTUM + gradient.bias;
        layer.weight.scaled_add(-self.drawn_rate, &velocity.weight);
        layer.bias.scaled_add(-self.drawn_rate, &velocity.bias);
        layer.write(parameters, head)
    }

    fn found(&self) -> Vec<(String, f64)> {
        vec![(format!("{NAME}: rows drawn for rare classes"), self.state.drawn.nrows() as f64)]
    }

    fn save(&self) -> MethodState {
        let State { bank, drawn, drawn_labels, velocity, .. } = &self.state;
        let flat = |rows: &Array2<f32>| rows.iter().copied().collect::<Vec<f32>>();
        let moving = [flat(&velocity.weight), velocity.bias.to_vec()].concat();
        let labels = drawn_labels.iter().map(|label| *label as f32).collect();
        let arrays = [("bank", flat(bank)), ("drawn", flat(drawn)), ("labels", labels), ("velocity", moving)];
        let width = [("width".to_owned(), bank.ncols() as f64)];
        MethodState { arrays: arrays.map(|(name, values)| (name.to_owned(), values)).into(), numbers: width.into() }
    }

    fn load(&mut self, mut state: MethodState, parameters: &mut Parameters) -> Result<()> {
        let width = state.numbers.get("width").map_or(0, |width| *width as usize);
        let mut take = |name: &str| state.arrays.remove(name).unwrap_or_default();
        let rows = |values: Vec<f32>| matrix((values.len() / width.max(1), width), values);
        self.state.bank = rows(take("bank"))?;
        self.state.drawn = rows(take("drawn"))?;
        self.state.drawn_labels = take("labels").into_iter().map(|label| label as u32).collect();
        let mut layer = LastLayer::read(parameters, &self.state.head)?;
        let moving = take("velocity");
        if moving.len() == layer.weight.len() + layer.bias.len() {
            let (weight, bias) = moving.split_at(layer.weight.len());
            layer.weight = matrix(layer.weight.dim(), weight.to_vec())?;
            layer.bias = bias.to_vec().into();
            self.state.velocity = layer;
        }
        if self.state.drawn_labels.len() != self.state.drawn.nrows() {
            let got = format!("{} drawn rows, {} labels", self.state.drawn.nrows(), self.state.drawn_labels.len());
            return Err(Error::input(format!("checkpoint of {NAME}"), got, "as many of both"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
