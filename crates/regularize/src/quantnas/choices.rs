//! The half of the search that learns α: one step after each step of the weights, from images of its own.

use super::networks::{Net, alpha, entropy, expected_cost, softmax};
use super::{Genotype, Place, QuantNas, SearchEpoch};
use quadrat_core::{Error, Result, Seed};
use quadrat_nn::{At, Loss, Parameters, Run, Samples, TrainMethod, gradients, mean_loss, ops::step, predict};

/// The half of the search that learns α.
pub(super) struct Choices<'a> {
    search: &'a QuantNas,
    net: &'a Net<'a>,
    data: &'a Samples,
    seed: Seed,
    /// Adam's moments of each searched layer.
    moments: Vec<(Vec<f32>, Vec<f32>)>,
    steps: u64,
}

impl<'a> Choices<'a> {
    /// α and its half of the images, before the first step.
    pub fn new(search: &'a QuantNas, net: &'a Net<'a>, data: &'a Samples, seed: Seed) -> Self {
        Choices { search, net, data, seed, moments: Vec::new(), steps: 0 }
    }
}

impl QuantNas {
    /// How far the search is: figures of the epoch, on the images that α learns from, and the network of the largest scores.
    pub(super) fn look(&self, net: &Net, parameters: &Parameters, images: &Samples) -> Result<(SearchEpoch, Genotype)> {
        let outputs = predict(net, parameters, images.inputs.view(), &[])?;
        let loss = mean_loss(Loss::AbsoluteError, &outputs, images);
        let (cost, _) = self.cost(parameters)?;
        let mut sure = Vec::new();
        for place in self.space.searched() {
            let p = softmax(&parameters.get(&alpha(&place.name))?.values());
            sure.push(p.into_iter().fold(0.0, f64::max));
        }
        let sure = sure.iter().sum::<f64>() / sure.len().max(1) as f64;
        Ok((SearchEpoch { loss, sure, cost }, self.genotype(parameters)?))
    }

    /// Expected bit operations and their gradients, layer by layer, relative to those at equal chances.
    fn cost(&self, parameters: &Parameters) -> Result<(f64, Vec<Vec<f64>>)> {
        let ([h, w], space) = (self.size, &self.space);
        let (mut now, mut start, mut slopes) = (0.0, 0.0, Vec::new());
        for place in self.space.searched() {
            let scores = parameters.get(&alpha(&place.name))?.values();
            let (cost, gradient) = expected_cost(space, &place, &scores, h, w);
            now += cost;
            start += expected_cost(space, &place, &vec![0.0; scores.len()], h, w).0;
            slopes.push(gradient);
        }
        let relative = |slopes: Vec<f64>| slopes.into_iter().map(|g| g / start).collect();
        Ok((now / start, slopes.into_iter().map(relative).collect()))
    }

    /// The network of the largest scores.
    fn genotype(&self, parameters: &Parameters) -> Result<Genotype> {
        let bits = &self.space.bits;
        let choice = |place: Place| {
            let a = parameters.get(&alpha(&place.name))?.values();
            if let Some(v) = a.iter().find(|v| !v.is_finite()) {
                return Err(Error::numeric("search", format!("a score of `{}` is {v}", place.name)));
            }
            let top = (0..a.len()).fold(0, |top, i| if a[i] > a[top] { i } else { top });
            Ok(self.space.choice(place, top / bits.len(), bits[top % bits.len()]))
        };
        Ok(Genotype { choices: self.space.searched().map(choice).collect::<Result<_>>()? })
    }
}

impl TrainMethod for Choices<'_> {
    fn name(&self) -> &str {
        "quantnas"
    }

    fn begin(&mut self, _: &Run<'_>, parameters: &mut Parameters) -> Result<()> {
        for place in self.search.space.searched() {
            let scores = parameters.get_mut(&alpha(&place.name))?;
            scores.trainable = false;
            self.moments.push((vec![0.0; scores.len()], vec![0.0; scores.len()]));
        }
        Ok(())
    }

    fn after_step(&mut self, at: At, parameters: &mut Parameters) -> Result<()> {
        if at.epoch < self.search.warmup {
            return Ok(());
        }
        let mut only = parameters.clone();
        only.iter_mut().for_each(|p| p.trainable = p.name.ends_with(".alpha"));
        let batch = self.search.batch.min(self.data.len());
        let rows = self.seed.stream("choices").rng(at.step as u64).sample(self.data.len(), batch);
        let rows: Vec<u32> = rows.into_iter().map(|row| row as u32).collect();
        let seed = self.seed.stream("choices' noise").stream(&at.step.to_string());
        let (_, slopes) = gradients(self.net, &only, Loss::AbsoluteError, &self.data.batch(at, &rows), seed)?;
        let (_, costs) = self.search.cost(parameters)?;
        let pull = self.search.entropy_weight(at.epoch);
        self.steps += 1;
        for (l, place) in self.search.space.searched().enumerate() {
            let i = parameters.position(&alpha(&place.name))?;
            let (first, second) = &mut self.moments[l];
            let scores = parameters.get_mut(&alpha(&place.name))?;
            let (_, spread) = entropy(&scores.values());
            let total = |k: usize| {
                f64::from(slopes[i].get(k).copied().unwrap_or(0.0)) + pull * spread[k] + self.search.eta * costs[l][k]
            };
            let slope: Vec<f32> = (0..spread.len()).map(|k| total(k) as f32).collect();
            let rate = self.search.alpha_rate;
            scores.update(|a| step::adamw(a, &slope, first, second, self.steps, rate, 0.5, 0.999, 1e-8, 0.0));
        }
        Ok(())
    }
}
