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

mod choices;
mod enlarger;
mod images;
mod networks;
mod quantizers;
mod space;
#[cfg(test)]
mod tests;

pub use enlarger::Enlarger;
pub use images::{psnr_y, resize};
pub use networks::Mode;
pub use quantizers::{Noise, hwgq, lsq};
pub use space::{Choice, Genotype, Op, Place, Space};

use choices::Choices;
use networks::{Layers, Net, start_steps};
use quadrat_core::{Area, Card, Error, Method, Progress, Result, Seed, Settings};
use quadrat_nn::{Loss, Optimizer, Samples, Schedule, TrainMethod, Trainer, Training, initialise};
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
        let (weights, images) = halves(pairs, seed)?;
        let [height, width] = self.size;
        let net = Net { space: &self.space, layers: Layers::Mixed(self.mode), height, width };
        let mut parameters = initialise(&net, seed.stream("parameters"))?;
        start_steps(&self.space, &mut parameters)?;
        let trainer = Trainer { epochs: self.epochs, rate: 1e-3, clip: Some(5.0), ..self.trainer(seed) };
        let mut choices = Choices::new(self, &net, &images, seed);
        let (mut trace, mut best, mut last) = (Vec::with_capacity(self.epochs), None, None);
        let (started, steps) = (Instant::now(), self.epochs * weights.len().div_ceil(self.batch));
        progress.begin("training", Some(steps as u64));
        // A step of the weights on their half of the images, a step of α on the other half (the hook of `choices`), and so on
        // through an epoch; then a look at where the search stands.
        let mut methods: [&mut dyn TrainMethod; 1] = [&mut choices];
        let mut training = Training::begin(&trainer, &net, parameters, &weights, &mut methods)?;
        for epoch in 0..self.epochs {
            training.epoch(None, progress)?;
            let (now, genotype) = self.look(&net, training.parameters(), &images)?;
            let score = if epoch >= self.warmup { now.loss } else { f64::INFINITY };
            if now.loss.is_finite() && best.as_ref().is_none_or(|(least, _)| score < *least) {
                best = Some((score, genotype.clone()));
            }
            trace.push(now);
            last = Some(genotype);
        }
        let seconds_per_step = started.elapsed().as_secs_f64() / steps as f64;
        let (Some((_, best)), Some(last)) = (best, last) else {
            return Err(Error::numeric("search", "no epoch had a finite loss"));
        };
        Ok(QuantReport { best, last, trace, seconds_per_step })
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
