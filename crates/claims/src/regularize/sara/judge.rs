//! What is compared: a model that has learnt digits, and a judge of images that are drawn from it.

use super::arms::{Arm, Style};
use super::diffusion::{Noising, denoiser, rows_of, sample};
use super::{CLASSES, PIXELS, Plan, STYLED};
use crate::networks::parts;
use ndarray::{Array2, Axis, concatenate};
use quadrat_core::{Error, Result, Seed, Silent};
use quadrat_nn::{Loss, Mlp, Optimizer, Parameters, Samples, Schedule, TrainMethod, Trainer, features, predict};
use quadrat_numeric::linalg;
use quadrat_regularize::classes_of;

/// What a repetition starts from.
pub(super) struct Setting {
    pub seed: Seed,
    /// Images that the model learnt first, those that styles are made of, and those for comparison.
    pub train: Samples,
    pub styled: Samples,
    pub reference: Samples,
    pub base: Parameters,
}

fn is_styled(label: u32) -> bool {
    label.is_multiple_of(2)
}

/// Rows of the classes with styled images, or those of the others.
fn some(images: &Array2<f32>, labels: &[u32], styled: bool) -> (Array2<f32>, Vec<u32>) {
    let rows: Vec<usize> = (0..labels.len()).filter(|&row| is_styled(labels[row]) == styled).collect();
    (images.select(Axis(0), &rows), rows.iter().map(|&row| labels[row]).collect())
}

impl Setting {
    pub fn new(plan: &Plan, digits: &Samples, seed: Seed) -> Result<Setting> {
        let [train, rest, reference] = parts(digits, [plan.train, 4 * STYLED, plan.reference], seed);
        let labels = classes_of(&rest)?;
        let styled = (0..rest.len() as u32).filter(|row| is_styled(labels[*row as usize]));
        let styled = rest.select(&styled.take(STYLED).collect::<Vec<_>>());
        let data = rows_of(&train.inputs, classes_of(&train)?)?;
        let trainer = Trainer {
            epochs: plan.epochs,
            rate: 2e-3,
            optimizer: Optimizer::adamw(0.0),
            loss: Loss::SquaredError,
            average: Some(0.995),
            pieces: 1,
            seed,
            ..Trainer::default()
        };
        let base = trainer.fit(&denoiser(), &data, None, &mut [&mut Noising { seed }], &Silent)?.parameters;
        Ok(Setting { seed, train, styled, reference, base })
    }

    /// The model after fine-tuning.
    pub fn tune(&self, steps: usize, arm: Arm, style: Style, rate: f64) -> Result<Parameters> {
        let data = rows_of(&style.of(&self.styled.inputs), classes_of(&self.styled)?)?;
        let trainer = Trainer {
            epochs: steps,
            batch: STYLED,
            rate,
            schedule: Schedule::Constant,
            optimizer: Optimizer::adamw(0.01),
            loss: Loss::SquaredError,
            pieces: 1,
            seed: self.seed.stream("fine-tuning").stream(style.name()),
            ..Trainer::default()
        };
        let (mut noising, mut own) = (Noising { seed: self.seed }, arm.method(&self.base));
        let mut methods: Vec<&mut dyn TrainMethod> = vec![&mut noising];
        if let Some(own) = &mut own {
            methods.push(&mut **own);
        }
        Ok(trainer.fit_from(&denoiser(), self.base.clone(), &data, None, &mut methods, &Silent)?.parameters)
    }
}

/// A classifier of plain and styled digits: its classes, and the distance of sets in its last hidden layer.
pub(super) struct Judge {
    network: Mlp,
    parameters: Parameters,
}

/// What the judge says of a model.
#[derive(Debug, Clone, Copy)]
pub(super) struct Figures {
    /// Distance of samples of the styled classes to styled images.
    pub style: f64,
    /// Share of samples of the other classes that are what was asked for.
    pub kept: f64,
}

impl Judge {
    pub fn new(setting: &Setting, styles: &[Style]) -> Result<Judge> {
        let network = Mlp::new(PIXELS, &[128, 64], CLASSES);
        let plain = &setting.train.inputs;
        let sets: Vec<Array2<f32>> =
            std::iter::once(plain.clone()).chain(styles.iter().map(|style| style.of(plain))).collect();
        let views: Vec<_> = sets.iter().map(|set| set.view()).collect();
        let inputs = concatenate(Axis(0), &views).map_err(|e| Error::numeric("images", e.to_string()))?;
        let data = Samples::classes(inputs, classes_of(&setting.train)?.repeat(sets.len()), CLASSES)?;
        let trainer = Trainer { epochs: 40, pieces: 1, seed: setting.seed.stream("judge"), ..Trainer::default() };
        let parameters = trainer.fit(&network, &data, None, &mut [], &Silent)?.parameters;
        Ok(Judge { network, parameters })
    }

    /// The Fréchet distance between two sets of images.
    pub fn distance(&self, a: &Array2<f32>, b: &Array2<f32>) -> Result<f64> {
        let hidden = |x: &Array2<f32>| features(&self.network, &self.parameters, x.view());
        frechet(&hidden(a)?.mapv(f64::from), &hidden(b)?.mapv(f64::from))
    }

    pub fn accuracy(&self, images: &Array2<f32>, labels: &[u32]) -> Result<f64> {
        Ok(quadrat_nn::accuracy(&predict(&self.network, &self.parameters, images.view(), &[])?, labels))
    }

    pub fn figures(&self, plan: &Plan, setting: &Setting, model: &Parameters, style: Style) -> Result<Figures> {
        let (images, labels) = sample(model, plan.samples, setting.seed.stream("samples"))?;
        let wanted = style.of(&some(&setting.reference.inputs, classes_of(&setting.reference)?, true).0);
        let (others, asked) = some(&images, &labels, false);
        Ok(Figures {
            style: self.distance(&some(&images, &labels, true).0, &wanted)?,
            kept: self.accuracy(&others, &asked)?,
        })
    }
}

/// |μ₁ − μ₂|² + tr(C₁ + C₂ − 2 (C₁^½ C₂ C₁^½)^½) of the rows' means and covariances.
pub(super) fn frechet(a: &Array2<f64>, b: &Array2<f64>) -> Result<f64> {
    let moments = |x: &Array2<f64>| -> Result<_> {
        let mean = x.sum_axis(Axis(0)) / x.nrows() as f64;
        let covariance = linalg::gram((x - &mean).view(), None)? / (x.nrows() as f64 - 1.0).max(1.0);
        Ok((mean, covariance))
    };
    let ((mean_a, a), (mean_b, b)) = (moments(a)?, moments(b)?);
    let (values, axes) = linalg::symmetric_eigen(a.view())?;
    let mut scaled = axes.clone();
    for (mut axis, value) in scaled.columns_mut().into_iter().zip(&values) {
        axis *= value.max(0.0).sqrt();
    }
    let root = linalg::product(scaled.view(), axes.t())?;
    let between = linalg::product(linalg::product(root.view(), b.view())?.view(), root.view())?;
    let (squares, _) = linalg::symmetric_eigen(between.view())?;
    let shared: f64 = squares.iter().map(|v| v.max(0.0).sqrt()).sum();
    let apart = (&mean_a - &mean_b).mapv(|d| d * d).sum();
    Ok((apart + a.diag().sum() + b.diag().sum() - 2.0 * shared).max(0.0))
}
