//! QuantNAS: choose operations and bit widths together, against noise that stands for rounding.
//!
//! Shvetsov, Osin et al., "QuantNAS for super resolution: searching for efficient quantization-friendly architectures
//! against quantization noise", IEEE Access 2024 (arXiv 2208.14839). A supernet holds, for every layer, all operations at
//! all bit widths, mixed by p = softmax(α). Rounding is stood for by noise of its size (mode `Noise`), blended over bit
//! widths before one convolution an operation. Weights learn on one half of the images, α on the other, with a growing
//! penalty on the entropy of p and one on the expected bit operations; the network of the largest α is then trained with
//! real rounding: learned steps for weights (LSQ), half-wave Gaussian steps for activations.
//!
//! Where this departs from the authors' program: blends are normalised to 1 and gradients pass through the noisy copies
//! (theirs stop them); search and final count use the same cost, multiplications times bits squared (theirs searches
//! with bits); the best genotype is that of the best epoch, ties and negative scores included. The blocks of the network
//! are simpler than theirs (see [`Space`]), and the image goes around them by interpolation: layers learn what it lacks,
//! where theirs must carry the image itself through rounding. The paper's body could not be read.

mod images;
mod networks;
mod quantizers;
mod space;

pub use images::{psnr_y, resize};
pub use networks::Mode;
pub use quantizers::{Noise, hwgq, lsq};
pub use space::{Choice, Genotype, Op, Place, Space};

use ndarray::{Array2, ArrayView2};
use networks::{Layers, Net, alpha, entropy, expected_cost, start_steps};
use quadrat_core::{Area, Card, Error, Method, Progress, Result, Seed, Settings};
use quadrat_nn::{
    At, EpochEnd, Loss, Optimizer, Parameters, Run, Samples, Schedule, TrainMethod, Trainer, gradients, initialise,
    load_parameters, mean_loss, ops::step, predict, save_parameters,
};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::time::Instant;

/// Search for a small quantised network that enlarges images.
#[derive(Debug, Clone, PartialEq, Settings)]
pub struct QuantNas {
    /// What there is to choose from.
    pub space: Space,
    /// Height and width of the small images.
    #[param(fixed = [24, 24])]
    pub size: [usize; 2],
    /// What stands for rounding.
    #[param(fixed = Mode::Noise(Noise::Gaussian))]
    pub mode: Mode,
    /// Weight of the expected bit operations, relative to those at equal chances.
    #[param(default = 1e-3, from = 0)]
    pub eta: f64,
    /// Weight of the entropy at the end of the search (0: no penalty).
    #[param(default = 1e-3, from = 0)]
    pub entropy: f64,
    /// Epochs of the search.
    #[param(default = 20, from = 1)]
    pub epochs: usize,
    /// Epochs before α learns.
    #[param(default = 9)]
    pub warmup: usize,
    /// Images in a batch.
    #[param(fixed = 8)]
    pub batch: usize,
    /// Learning rate of α. Adam moves α by at most this a step: short searches need more than the authors' 3e-4.
    #[param(fixed = 1e-2)]
    pub alpha_rate: f64,
}

/// One epoch of a search.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct SearchEpoch {
    /// Mean loss of the supernet on the half that α learns from, without noise.
    pub loss: f64,
    /// Mean of the largest p of the layers.
    pub sure: f64,
    /// Expected bit operations over those at equal chances.
    pub cost: f64,
}

/// How a search went.
#[derive(Debug, Clone, PartialEq)]
pub struct QuantReport {
    /// The network of the epoch with the lowest loss after the warm-up.
    pub best: Genotype,
    /// The network of the last epoch.
    pub last: Genotype,
    /// One entry an epoch.
    pub trace: Vec<SearchEpoch>,
    /// Seconds a step took, both halves together.
    pub seconds_per_step: f64,
}

/// A network of the space, trained with real rounding.
#[derive(Debug, Clone)]
pub struct Enlarger {
    /// Which network.
    pub genotype: Genotype,
    /// Its parameters.
    pub parameters: Parameters,
    space: Space,
    size: [usize; 2],
}

/// What a file says of an enlarger beside its weights.
#[derive(Serialize, Deserialize)]
struct About {
    space: Space,
    size: [usize; 2],
    genotype: Genotype,
}

impl Enlarger {
    /// Images (rows of 3 x height x width, from 0 to 1) as rows of images [`Enlarger::scale`] times as large. The size
    /// may be another than that of the training images: the layers are convolutions.
    ///
    /// Memory: some 400 bytes for each pixel of an image.
    ///
    /// # Errors
    /// Rows of another length.
    pub fn enlarge(&self, images: ArrayView2<f32>, [height, width]: [usize; 2]) -> Result<Array2<f32>> {
        let net = Net { space: &self.space, layers: Layers::Chosen(&self.genotype), height, width };
        predict(&net, &self.parameters, images, &[])
    }

    /// How many times as large images become on each side.
    pub fn scale(&self) -> usize {
        self.space.scale
    }

    /// Write it to a safetensors file, with the space and the choices in the header.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        let about = About { space: self.space.clone(), size: self.size, genotype: self.genotype.clone() };
        let notes = serde_json::to_value(about).map_err(|e| Error::numeric("enlarger", e.to_string()))?;
        save_parameters(path, &self.parameters, &notes)
    }

    /// Read what [`Enlarger::save`] wrote.
    ///
    /// # Errors
    /// No such file, or none of an enlarger.
    pub fn load(path: &Path) -> Result<Enlarger> {
        let mut about = None;
        let (parameters, _) = load_parameters(path, |notes| {
            let wrong =
                |e: serde_json::Error| Error::data(path.display().to_string(), None, format!("no enlarger: {e}"));
            let About { space, size, genotype } = about.insert(About::deserialize(notes).map_err(wrong)?);
            space.check()?;
            space.bit_ops(genotype, size[0], size[1])?;
            let net = Net { space, layers: Layers::Chosen(genotype), height: size[0], width: size[1] };
            initialise(&net, Seed(0))
        })?;
        let About { space, size, genotype } = about.ok_or_else(|| Error::numeric("enlarger", "an empty file"))?;
        Ok(Enlarger { genotype, parameters, space, size })
    }

    /// Bit operations for one image.
    ///
    /// # Errors
    /// None for a network that [`QuantNas::train`] made.
    pub fn bit_ops(&self) -> Result<f64> {
        self.space.bit_ops(&self.genotype, self.size[0], self.size[1])
    }
}

impl Method for QuantNas {
    const CARD: Card = Card {
        slug: "quantnas",
        aliases: &["quant-nas"],
        title: "QuantNAS: quantisation-aware architecture search",
        paper: "Shvetsov, Osin et al., IEEE Access 2024, arXiv 2208.14839",
        area: Area::Regularize,
        verbs: &["quantise"],
        summary: "Chooses operations and bit widths of a small super-resolution network together, with noise standing \
                  for rounding, under a budget of bit operations; then trains the choice with real rounding.",
        useful_when: "a small quantised network for a device; mixed precision; which layers need eight bits; enlarge \
                      images with few operations",
        cost: "a step costs one convolution an operation and layer, twice (weights and choices)",
        params: Self::PARAMS,
    };
}

impl QuantNas {
    /// Search with small images and the large ones they should become (rows of 3 x h x w in [0, 1]).
    ///
    /// # Errors
    /// A space or settings that do not fit, fewer than two images, or a loss that is not finite.
    pub fn search(&self, pairs: &Samples, seed: Seed, progress: &dyn Progress) -> Result<QuantReport> {
        self.check(pairs)?;
        let (weights, choices) = halves(pairs, seed)?;
        let [height, width] = self.size;
        let net = Net { space: &self.space, layers: Layers::Mixed(self.mode), height, width };
        let mut parameters = initialise(&net, seed.stream("parameters"))?;
        start_steps(&self.space, &mut parameters)?;
        let trainer = Trainer { epochs: self.epochs, rate: 1e-3, clip: Some(5.0), ..self.trainer(seed) };
        let mut learner = Choices {
            search: self,
            net: &net,
            data: &choices,
            seed,
            moments: Vec::new(),
            trace: Vec::new(),
            best: None,
            steps: 0,
        };
        let started = Instant::now();
        trainer.fit_from(&net, parameters, &weights, None, &mut [&mut learner], progress)?;
        let steps = self.epochs * weights.len().div_ceil(self.batch);
        let seconds_per_step = started.elapsed().as_secs_f64() / steps as f64;
        let (_, best, last) = learner.best.ok_or_else(|| Error::numeric("search", "no epoch had a finite loss"))?;
        Ok(QuantReport { best, last, trace: learner.trace, seconds_per_step })
    }

    /// Train a network of the space from scratch with real rounding.
    ///
    /// # Errors
    /// As [`QuantNas::search`], or a genotype of another space.
    pub fn train(
        &self,
        genotype: &Genotype,
        pairs: &Samples,
        epochs: usize,
        seed: Seed,
        progress: &dyn Progress,
    ) -> Result<Enlarger> {
        self.check(pairs)?;
        self.space.bit_ops(genotype, self.size[0], self.size[1])?;
        let [height, width] = self.size;
        let net = Net { space: &self.space, layers: Layers::Chosen(genotype), height, width };
        let mut parameters = initialise(&net, seed.stream("parameters"))?;
        start_steps(&self.space, &mut parameters)?;
        let trainer = Trainer { epochs, rate: 2e-3, clip: Some(5.0), ..self.trainer(seed) };
        let fit = trainer.fit_from(&net, parameters, pairs, None, &mut [], progress)?;
        Ok(Enlarger {
            genotype: genotype.clone(),
            parameters: fit.parameters,
            space: self.space.clone(),
            size: self.size,
        })
    }

    fn trainer(&self, seed: Seed) -> Trainer {
        Trainer {
            batch: self.batch,
            schedule: Schedule::Cosine,
            optimizer: Optimizer::adamw(0.0),
            loss: Loss::AbsoluteError,
            seed,
            ..Trainer::default()
        }
    }

    fn check(&self, pairs: &Samples) -> Result<()> {
        self.space.check()?;
        if self.warmup >= self.epochs {
            return Err(Error::input("warmup", self.warmup, format!("less than the {} epochs", self.epochs)));
        }
        for (what, v) in [("eta", self.eta), ("entropy", self.entropy), ("alpha_rate", self.alpha_rate)] {
            if !(v.is_finite() && v >= 0.0) {
                return Err(Error::input(what, v, "0 or more"));
            }
        }
        let inputs = 3 * self.size[0] * self.size[1];
        let outputs = inputs * self.space.scale * self.space.scale;
        if pairs.inputs.ncols() != inputs || pairs.outputs() != outputs || pairs.labels().is_some() {
            let got = format!("rows of {} and {}", pairs.inputs.ncols(), pairs.outputs());
            return Err(Error::input(
                "pairs",
                got,
                format!("small images of {inputs} numbers, large ones of {outputs}"),
            ));
        }
        Ok(())
    }

    /// Weight of the entropy in an epoch (from 0): nothing until a quarter of the way after the warm-up, then growing
    /// with the epoch and a logarithm.
    pub fn entropy_weight(&self, epoch: usize) -> f64 {
        let (e, w, all) = (epoch as f64, self.warmup as f64, self.epochs as f64);
        let quiet = ((all - w) / 4.0).floor();
        if epoch < self.warmup || e - w < quiet || all - 1.0 <= w {
            return 0.0;
        }
        let growth = (e - quiet - w + 2.0).ln() / (all - quiet - w + 1.0).ln();
        self.entropy * (e - w) / (all - 1.0 - w) * growth
    }
}

fn halves(pairs: &Samples, seed: Seed) -> Result<(Samples, Samples)> {
    let n = pairs.len();
    if n < 2 {
        return Err(Error::input("pairs", n, "at least 2: weights and choices learn from different images"));
    }
    let mut rows: Vec<u32> = (0..n as u32).collect();
    seed.stream("halves").rng(0).shuffle(&mut rows);
    let (a, b) = rows.split_at(n.div_ceil(2));
    Ok((pairs.select(a), pairs.select(b)))
}

/// Learns α after each step of the weights, from images of its own.
struct Choices<'a> {
    search: &'a QuantNas,
    net: &'a Net<'a>,
    data: &'a Samples,
    seed: Seed,
    /// Adam's moments of each searched layer.
    moments: Vec<(Vec<f32>, Vec<f32>)>,
    trace: Vec<SearchEpoch>,
    /// Loss and genotype of the best epoch, and the last genotype.
    best: Option<(f64, Genotype, Genotype)>,
    steps: u64,
}

impl Choices<'_> {
    fn searched(&self) -> Vec<Place> {
        self.search.space.places().into_iter().filter(|place| place.fixed.is_none()).collect()
    }

    /// Expected bit operations and their gradients, layer by layer, relative to those at equal chances.
    fn cost(&self, parameters: &Parameters) -> Result<(f64, Vec<Vec<f64>>)> {
        let ([h, w], space) = (self.search.size, &self.search.space);
        let (mut now, mut start, mut slopes) = (0.0, 0.0, Vec::new());
        for place in self.searched() {
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
        let mut scores = Vec::new();
        for place in self.searched() {
            let a = parameters.get(&alpha(&place.name))?.values();
            if let Some(v) = a.iter().find(|v| !v.is_finite()) {
                return Err(Error::numeric("search", format!("a score of `{}` is {v}", place.name)));
            }
            scores.push(a);
        }
        let bits = &self.search.space.bits;
        let mut scores = scores.into_iter();
        Ok(self.search.space.genotype(|_, _| {
            let a = scores.next().unwrap_or_default();
            let top = (0..a.len()).fold(0, |top, i| if a[i] > a[top] { i } else { top });
            (top / bits.len(), bits[top % bits.len()])
        }))
    }
}

impl TrainMethod for Choices<'_> {
    fn name(&self) -> &str {
        "quantnas"
    }

    fn begin(&mut self, _: &Run<'_>, parameters: &mut Parameters) -> Result<()> {
        for place in self.searched() {
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
        let (_, costs) = self.cost(parameters)?;
        let pull = self.search.entropy_weight(at.epoch);
        self.steps += 1;
        for (l, place) in self.searched().iter().enumerate() {
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

    fn end_epoch(&mut self, epoch: usize, model: &mut dyn EpochEnd) -> Result<()> {
        let parameters = model.parameters();
        let outputs = predict(self.net, parameters, self.data.inputs.view(), &[])?;
        let loss = mean_loss(Loss::AbsoluteError, &outputs, self.data);
        let (cost, _) = self.cost(parameters)?;
        let mut sure = Vec::new();
        for place in self.searched() {
            let p = networks::softmax(&parameters.get(&alpha(&place.name))?.values());
            sure.push(p.into_iter().fold(0.0, f64::max));
        }
        let sure = sure.iter().sum::<f64>() / sure.len().max(1) as f64;
        self.trace.push(SearchEpoch { loss, sure, cost });
        let now = self.genotype(parameters)?;
        let better = epoch >= self.search.warmup && self.best.as_ref().is_none_or(|(best, ..)| loss < *best);
        self.best = match self.best.take() {
            Some((best, genotype, _)) if !better => Some((best, genotype, now)),
            _ if loss.is_finite() => {
                let best = if epoch >= self.search.warmup { loss } else { f64::INFINITY };
                Some((best, now.clone(), now))
            }
            kept => kept,
        };
        Ok(())
    }
}

#[cfg(test)]
mod tests;
