//! A classifier of noised rows: a multilayer perceptron that is told how much noise there is.

use crate::denoiser::check_dims;
use crate::guidance::{NoisyClassifier, check_class};
use crate::network::{TOLD, sum_of, told_of};
use crate::{Level, Schedule};
use ndarray::{Array2, ArrayView2, Axis, s};
use quadrat_core::{Error, Progress, Result, Seed, stats};
use quadrat_nn::{
    Activation, At, Batch, Epoch, Loss, Mlp, Optimizer, Parameters, Source, Trainer, pieces_that_pay, pull_back,
};
use quadrat_numeric::splits::stratified;

/// How a classifier of noised rows is taught: cross-entropy on rows with noise, λ uniform between the schedule's ends, one level a row and
/// epoch; AdamW with a rate that falls along a line. The parameters are those of the epoch that did best on rows held back, a twentieth of
/// each class.
#[derive(Debug, Clone, PartialEq)]
pub struct Teaching {
    /// Units of each hidden layer.
    pub hidden: Vec<usize>,
    /// How often all rows are visited.
    pub epochs: usize,
    /// Rows in a step.
    pub batch: usize,
    /// The first learning rate.
    pub rate: f64,
}

impl Default for Teaching {
    fn default() -> Self {
        Teaching { hidden: vec![256, 256], epochs: 100, batch: 256, rate: 1e-3 }
    }
}

/// AdamW's decay, the authors' value, and the share of rows held back.
const DECAY: f64 = 0.05;
const HELD_BACK: f64 = 0.05;

/// A classifier of noised rows.
#[derive(Debug, Clone)]
pub struct NoisyMlp {
    network: Mlp,
    parameters: Parameters,
    dims: usize,
    deviation: f64,
    /// How the teaching went.
    pub curve: Vec<Epoch>,
}

impl Teaching {
    /// Teaches the classes of rows, labels and how many classes there are. Noise of row i in epoch e is from
    /// `seed.stream("noise").stream("e").rng(i)`.
    ///
    /// Cost: about three forward passes a row and epoch.
    ///
    /// # Errors
    /// Fewer than two rows or classes, another number of labels than rows, a label that is no class, rows that are not finite or all of one
    /// value, layers without units; a loss that is not finite; cancelled.
    pub fn teach(
        &self,
        schedule: &Schedule,
        rows: ArrayView2<f64>,
        (labels, classes): (&[u32], usize),
        seed: Seed,
        progress: &dyn Progress,
    ) -> Result<NoisyMlp> {
        schedule.check()?;
        let (n, dims) = rows.dim();
        if n < 2 || dims == 0 || labels.len() != n {
            let got = format!("{n} rows of {dims} numbers, {} labels", labels.len());
            return Err(Error::input("rows", got, "at least two rows and one column, a label for each row"));
        }
        if let Some(row) = rows.outer_iter().position(|row| row.iter().any(|v| !v.is_finite())) {
            return Err(Error::input(format!("row {row}"), "a value that is not finite", "finite numbers"));
        }
        if classes < 2 || self.hidden.contains(&0) {
            let got = format!("{classes} classes, layers of {:?} units", self.hidden);
            return Err(Error::input("classifier", got, "at least two classes, one unit in a layer"));
        }
        if let Some(row) = labels.iter().position(|label| *label as usize >= classes) {
            return Err(Error::input(format!("label of row {row}"), labels[row], format!("0 to {}", classes - 1)));
        }
        let deviation = stats::standard_deviation(&rows.iter().copied().collect::<Vec<f64>>());
        if deviation.is_nan() || deviation <= 0.0 {
            return Err(Error::input("rows", "all of one value", "rows that differ"));
        }
        let split = stratified(labels, HELD_BACK, seed.stream("held back"))?;
        let part = |some: &[usize], fixed| Labelled {
            rows: rows.select(Axis(0), some),
            labels: some.iter().map(|row| labels[*row]).collect(),
            classes,
            lambdas: schedule.times().map(|time| schedule.level(time).lambda()),
            deviation,
            seed: seed.stream(if fixed { "held-back noise" } else { "noise" }),
            fixed,
        };
        let network = Mlp { activation: Activation::Silu, ..Mlp::new(dims + TOLD, &self.hidden, classes) };
        let trainer = Trainer {
            epochs: self.epochs,
            batch: self.batch,
            rate: self.rate,
            schedule: quadrat_nn::Schedule::Linear,
            optimizer: Optimizer::adamw(DECAY),
            loss: Loss::CrossEntropy,
            clip: Some(1.0),
            patience: Some(self.epochs.max(1)),
            pieces: pieces_that_pay(&network, self.batch),
            seed,
            ..Trainer::default()
        };
        let (train, held) = (part(&split.train, false), part(&split.test, true));
        let fit = trainer.fit(&network, &train, Some(&held), &mut [], progress)?;
        Ok(NoisyMlp { network, parameters: fit.parameters, dims, deviation, curve: fit.curve })
    }
}

impl NoisyClassifier for NoisyMlp {
    fn classes(&self) -> usize {
        self.network.outputs
    }

    fn log_prob_grad(&self, x: ArrayView2<f64>, at: &Level, class: u32) -> Result<(Vec<f64>, Array2<f64>)> {
        check_dims(self.dims, x)?;
        check_class(self, class)?;
        if at.sigma <= 0.0 {
            return Err(Error::input("level", "clean data", "noised samples: σ above 0"));
        }
        let scale = scale(at.ratio(), self.deviation) / at.alpha;
        let mut inputs = Array2::zeros((x.nrows(), self.dims + TOLD));
        for (mut input, x) in inputs.outer_iter_mut().zip(x.outer_iter()) {
            input.iter_mut().zip(x).for_each(|(input, x)| *input = (scale * x) as f32);
            input.slice_mut(s![self.dims..]).iter_mut().zip(told_of(at.ratio())).for_each(|(to, v)| *to = v);
        }
        let mut logs = Vec::with_capacity(x.nrows());
        // Of ln softmax(z) at the class: 1 at the class, less the shares.
        let mut cotangent = |scores: &Array2<f32>| {
            let mut along = Array2::zeros(scores.raw_dim());
            for (mut along, scores) in along.outer_iter_mut().zip(scores.outer_iter()) {
                let most = f64::from(scores.fold(f32::NEG_INFINITY, |a, b| a.max(*b)));
                let total = scores.iter().map(|v| (f64::from(*v) - most).exp()).sum::<f64>().ln() + most;
                along.iter_mut().zip(scores).for_each(|(to, v)| *to = -(f64::from(*v) - total).exp() as f32);
                along[class as usize] += 1.0;
                logs.push(f64::from(scores[class as usize]) - total);
            }
            Ok(along)
        };
        let (_, gradient) = pull_back(&self.network, &self.parameters, inputs.view(), &mut cotangent)?;
        Ok((logs, gradient.slice(s![.., ..self.dims]).mapv(|v| scale * f64::from(v))))
    }
}

/// What brings z = x/α to a variance of about 1.
fn scale(ratio: f64, deviation: f64) -> f64 {
    1.0 / (ratio * ratio + deviation * deviation).sqrt()
}

/// Rows with noise, and their classes.
struct Labelled {
    rows: Array2<f64>,
    labels: Vec<u32>,
    classes: usize,
    lambdas: [f64; 2],
    deviation: f64,
    seed: Seed,
    /// Whether every epoch has the same noise.
    fixed: bool,
}

impl Source for Labelled {
    fn len(&self) -> usize {
        self.rows.nrows()
    }

    fn outputs(&self) -> usize {
        self.classes
    }

    fn labels(&self) -> Option<&[u32]> {
        Some(&self.labels)
    }

    fn batch(&self, at: At, rows: &[u32]) -> Result<Batch> {
        let dims = self.rows.ncols();
        let stream = self.seed.stream(&(if self.fixed { 0 } else { at.epoch }).to_string());
        let mut inputs = Array2::zeros((rows.len(), dims + TOLD));
        let mut targets = Array2::zeros((rows.len(), self.classes));
        for (i, row) in rows.iter().enumerate() {
            let mut rng = stream.rng(u64::from(*row));
            let [low, high] = self.lambdas;
            let ratio = (-(low + (high - low) * rng.uniform())).exp();
            let scale = scale(ratio, self.deviation);
            for (j, v) in self.rows.row(*row as usize).iter().enumerate() {
                inputs[[i, j]] = (scale * (v + ratio * rng.normal())) as f32;
            }
            told_of(ratio).into_iter().enumerate().for_each(|(j, v)| inputs[[i, dims + j]] = v);
            targets[[i, self.labels[*row as usize] as usize]] = 1.0;
        }
        Ok(Batch::new(at, rows, inputs, targets))
    }

    fn told(&self) -> String {
        let sum = sum_of(&self.rows);
        let classes = self.labels.iter().fold(0u64, |sum, v| sum.rotate_left(5) ^ u64::from(*v));
        format!("{} labelled rows with the sums {sum:x} and {classes:x}, noise from {}", self.len(), self.seed.0)
    }
}
