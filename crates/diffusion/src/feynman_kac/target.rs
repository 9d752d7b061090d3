//! What is to be sampled, and what models and reward say of it at a level.

use super::at;
use super::island::copies;
use crate::denoiser::data_prediction;
use crate::{Denoiser, Level};
use ndarray::{Array2, ArrayView2};
use quadrat_core::{Error, Result};
use rayon::prelude::*;
use std::f64::consts::TAU;

/// A reward of samples, one a row, with its gradient: a number and a row for each.
pub type Reward<'a> = dyn Fn(ArrayView2<f64>) -> Result<(Vec<f64>, Array2<f64>)> + Sync + 'a;

/// A law that is stated: Π qᵢ^bᵢ exp(r), of models' laws qᵢ.
pub struct Target<'a> {
    terms: Vec<(&'a dyn Denoiser, f64)>,
    reward: Option<(&'a Reward<'a>, f64)>,
}

impl<'a> Target<'a> {
    /// Models with their exponents. Models were trained with one schedule, and are told of its levels.
    pub fn new(terms: Vec<(&'a dyn Denoiser, f64)>) -> Self {
        Target { terms, reward: None }
    }

    /// q^b: colder for b above 1, hotter below.
    pub fn annealing(model: &'a dyn Denoiser, exponent: f64) -> Self {
        Target::new(vec![(model, exponent)])
    }

    /// (Π qᵢ)^b: what all models agree on.
    pub fn product(models: &[&'a dyn Denoiser], exponent: f64) -> Self {
        Target::new(models.iter().map(|model| (*model, exponent)).collect())
    }

    /// q₁^(1-w) q₂^w, of a model without and one with the condition: classifier-free guidance of scale w.
    pub fn guidance(without: &'a dyn Denoiser, with: &'a dyn Denoiser, scale: f64) -> Self {
        Target::new(vec![(without, 1.0 - scale), (with, scale)])
    }

    /// The same, tilted by exp(r). The reward counts by half where the noise ρ is of this `width`, and less above: a width at which r
    /// changes by about 1 keeps it from pulling at samples that are still far away.
    pub fn rewarded(self, reward: &'a Reward<'a>, width: f64) -> Self {
        Target { reward: Some((reward, width)), ..self }
    }

    pub(super) fn check(&self) -> Result<()> {
        if self.terms.is_empty() {
            return Err(Error::input("models", "none", "at least one, with its exponent"));
        }
        if let Some((_, wrong)) = self.terms.iter().find(|(_, exponent)| !exponent.is_finite()) {
            return Err(Error::input("exponent", wrong, "a finite number"));
        }
        let sum = self.exponent();
        if sum <= 0.0 {
            let want = "a sum above 0 (the law of pure noise, to this power, must have a finite integral)";
            return Err(Error::input("exponents", format!("a sum of {sum}"), want));
        }
        let dims = self.dims();
        if let Some((model, _)) = self.terms.iter().find(|(model, _)| model.dims() != dims || dims == 0) {
            let got = format!("one of {} numbers beside one of {dims}", model.dims());
            return Err(Error::input("models", got, "models of one width, at least 1"));
        }
        match self.reward {
            Some((_, width)) if !(width > 0.0 && width.is_finite()) => {
                Err(Error::input("width of the reward's noise", width, "a finite number above 0"))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn dims(&self) -> usize {
        self.terms.first().map_or(0, |(model, _)| model.dims())
    }

    pub(super) fn terms(&self) -> usize {
        self.terms.len()
    }

    /// Σ bᵢ.
    pub(super) fn exponent(&self) -> f64 {
        self.terms.iter().map(|(_, exponent)| exponent).sum()
    }

    /// ln ∫ Π qᵢ^bᵢ where all is noise.
    pub(super) fn log_start(&self, level: &Level) -> f64 {
        let (sum, v) = (self.exponent(), level.ratio().powi(2));
        0.5 * self.dims() as f64 * ((1.0 - sum) * (TAU * v).ln() - sum.ln())
    }

    /// How much of the reward counts at a level, from 0 at the start to 1 at the end.
    pub(super) fn share(&self, level: &Level, [start, end]: [&Level; 2]) -> f64 {
        let Some((_, width)) = self.reward else { return 0.0 };
        let [now, first, last] = [level, start, end].map(|level| 1.0 / (1.0 + (level.ratio() / width).powi(2)));
        (now - first) / (last - first)
    }

    /// Asks models and reward about samples y.
    pub(super) fn look(&self, y: &Array2<f64>, level: &Level, share: f64) -> Result<Look> {
        let (n, d) = y.dim();
        let x = y * level.alpha;
        let ask = |(i, (model, _)): (usize, &(&dyn Denoiser, f64))| {
            data_prediction(*model, x.view(), level).map_err(|e| at(&format!("term {i}"), e))
        };
        let answers = self.terms.iter().enumerate().map(ask).collect::<Result<Vec<_>>>()?;
        let terms: Vec<(&[f64], f64)> =
            answers.iter().zip(&self.terms).map(|(data, (_, b))| (data.as_slice().unwrap_or_default(), *b)).collect();
        let reward = self.reward.map(|(reward, _)| seen(reward, y)).transpose()?;
        let gradient = reward.as_ref().and_then(|(_, gradient)| gradient.as_slice());
        let (v, sum, y) = (level.ratio().powi(2), self.exponent(), y.as_slice().unwrap_or_default());
        let (mut towards, mut rate) = (Array2::zeros((n, d)), vec![0.0; n]);
        let blocks = towards.as_slice_mut().unwrap_or_default().par_chunks_mut(super::BLOCK * d);
        blocks.zip(rate.par_chunks_mut(super::BLOCK)).enumerate().for_each(|(block, (towards, rate))| {
            let first = block * super::BLOCK * d;
            for (row, (towards, rate)) in towards.chunks_mut(d).zip(rate).enumerate() {
                let (mut squares, mut along) = (0.0, 0.0);
                for (j, towards) in towards.iter_mut().enumerate() {
                    let place = first + row * d + j;
                    // v S, and v² (S² - Σ bᵢ sᵢ²).
                    let mut pull = 0.0;
                    for (data, exponent) in &terms {
                        let off = data[place] - y[place];
                        pull += exponent * off;
                        squares -= exponent * off * off;
                    }
                    squares += pull * pull;
                    along += gradient.map_or(0.0, |gradient| pull * gradient[place]);
                    *towards = y[place] + pull / sum;
                }
                *rate = 0.5 * (squares / v + share * along) / v;
            }
        });
        Ok(Look { towards, rate, reward, share })
    }
}

/// Rewards and gradients, once it is clear that they are.
fn seen(reward: &Reward, y: &Array2<f64>) -> Result<(Vec<f64>, Array2<f64>)> {
    let (values, gradient) = reward(y.view())?;
    if values.len() != y.nrows() || gradient.dim() != y.dim() {
        let got = format!("{} values and gradients of shape {:?}", values.len(), gradient.dim());
        return Err(Error::input("reward", got, format!("a value for each of {} rows, and {:?}", y.nrows(), y.dim())));
    }
    let whole = |i: &usize| values[*i].is_finite() && gradient.row(*i).iter().all(|g| g.is_finite());
    match (0..y.nrows()).find(|i| !whole(i)) {
        Some(i) => Err(Error::numeric("reward", format!("it or its gradient is not finite for sample {i}"))),
        None => Ok((values, gradient.as_standard_layout().into_owned())),
    }
}

/// What models and reward say of each sample at a level.
pub(super) struct Look {
    /// Σ bᵢ Dᵢ / Σ bᵢ: where the added scores point.
    pub towards: Array2<f64>,
    /// d ln w / dv without the rise of the reward's share.
    pub rate: Vec<f64>,
    /// Rewards and gradients.
    pub reward: Option<(Vec<f64>, Array2<f64>)>,
    /// How much of them counts.
    pub share: f64,
}

impl Look {
    /// That of the particles' copies.
    pub fn select(&mut self, ancestors: &[usize]) {
        self.towards = copies(&self.towards, ancestors);
        self.rate = ancestors.iter().map(|i| self.rate[*i]).collect();
        if let Some((values, gradient)) = &mut self.reward {
            *values = ancestors.iter().map(|i| values[*i]).collect();
            *gradient = copies(gradient, ancestors);
        }
    }
}
