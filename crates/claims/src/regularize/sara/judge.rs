//! What is compared: a model that has learnt digits, and a judge of images that are drawn from it.

use super::diffusion::{Noising, denoiser, rows_of, sample};
use super::{CLASSES, PIXELS, Plan, SIDE, STYLED, Style};
use crate::networks::{resized, split};
use ndarray::{Array2, Axis, concatenate};
use quadrat_core::{Error, Evidence, Result, Seed, Silent};
use quadrat_nn::{Loss, Mlp, Optimizer, Parameters, Samples, Trainer, features, predict};
use quadrat_numeric::linalg;
use quadrat_regularize::classes_of;

/// What a repetition starts from.
pub(super) struct Setting {
    pub seed: Seed,
    /// Images of 28 x 28 pixels: those the model learnt first, those styles are made of, those for comparison.
    pub train: Samples,
    pub styled: Samples,
    pub reference: Samples,
    pub base: Parameters,
}

pub(super) fn is_styled(label: u32) -> bool {
    label.is_multiple_of(2)
}

impl Setting {
    pub fn new(plan: &Plan, seed: Seed) -> Result<Setting> {
        let (train, rest) = split("mnist", plan.train, plan.reference + 4 * STYLED, seed)?;
        let rows = |from: usize, to: usize| (from as u32..to as u32).collect::<Vec<_>>();
        let labels = classes_of(&rest)?;
        let styled = rows(plan.reference, rest.len()).into_iter().filter(|row| is_styled(labels[*row as usize]));
        let styled: Vec<u32> = styled.take(STYLED).collect();
        let (styled, reference) = (rest.select(&styled), rest.select(&rows(0, plan.reference)));
        let data = rows_of(&resized(&train.inputs, 2 * SIDE, SIDE)?, classes_of(&train)?)?;
        let trainer = Trainer {
            epochs: plan.epochs,
            rate: 2e-3,
            optimizer: Optimizer::adamw(0.0),
            loss: Loss::SquaredError,
            seed,
            ..Trainer::default()
        };
        let base = trainer.fit(&denoiser(), &data, None, &mut [&mut Noising { seed }], &Silent)?.parameters;
        Ok(Setting { seed, train, styled, reference, base })
    }
}

/// A classifier of plain and styled digits: its classes, and the distance of sets in its last hidden layer.
pub(super) struct Judge {
    pub network: Mlp,
    pub parameters: Parameters,
}

/// What the judge says of a model.
pub(super) struct Figures {
    /// Of samples of the styled classes to styled images.
    pub style: f64,
    /// Of samples of the other classes to plain images.
    pub others: f64,
    /// Share of samples that are what was asked for: of all classes, and of those without styled images.
    pub accuracy: f64,
    pub accuracy_of_others: f64,
}

impl Judge {
    pub fn new(plan: &Plan, setting: &Setting) -> Result<Judge> {
        let network = Mlp::new(PIXELS, &[128, 64], CLASSES);
        let small = |images: &Array2<f32>| resized(images, 2 * SIDE, SIDE);
        let plain = &setting.train.inputs;
        let sets = [small(plain)?, small(&Style::Inverted.of(plain))?, small(&Style::Thick.of(plain))?];
        let views: Vec<_> = sets.iter().map(|set| set.view()).collect();
        let inputs = concatenate(Axis(0), &views).map_err(|e| Error::numeric("images", e.to_string()))?;
        let labels = classes_of(&setting.train)?.repeat(3);
        let data = Samples::classes(inputs, labels, CLASSES)?;
        let trainer = Trainer { epochs: plan.epochs.min(10), seed: setting.seed.stream("judge"), ..Trainer::default() };
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
        let part = |images: &Array2<f32>, labels: &[u32], styled: bool| {
            let rows: Vec<usize> = (0..labels.len()).filter(|&row| is_styled(labels[row]) == styled).collect();
            let chosen: Vec<u32> = rows.iter().map(|&row| labels[row]).collect();
            (images.select(Axis(0), &rows), chosen)
        };
        let of_reference = classes_of(&setting.reference)?;
        let (drawn, _) = part(&setting.reference.inputs, of_reference, true);
        let (plain, _) = part(&setting.reference.inputs, of_reference, false);
        let (others, others_labels) = part(&images, &labels, false);
        Ok(Figures {
            style: self.distance(&part(&images, &labels, true).0, &resized(&style.of(&drawn), 2 * SIDE, SIDE)?)?,
            others: self.distance(&others, &resized(&plain, 2 * SIDE, SIDE)?)?,
            accuracy: self.accuracy(&images, &labels)?,
            accuracy_of_others: self.accuracy(&others, &others_labels)?,
        })
    }
}

impl Figures {
    /// The share of the distance to the style that was closed, plus the share of the accuracy that was kept.
    pub fn joint(&self, none: &Figures) -> f64 {
        1.0 - self.style / none.style + self.accuracy / none.accuracy
    }

    pub fn record(&self, none: &Figures, arm: &str, style: Style, repeat: u64, evidence: &mut Evidence) {
        for (metric, value) in [
            ("distance to the style", self.style),
            ("distance of other classes to plain", self.others),
            ("accuracy", self.accuracy),
            ("accuracy of other classes", self.accuracy_of_others),
            ("joint score", self.joint(none)),
        ] {
            evidence.measure(arm, &format!("{metric}/{}", style.name()), repeat, value);
        }
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
