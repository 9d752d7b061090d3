//! All ways to draw from a masked model, as the settings of one method.

use super::{
    Adjusted, Ancestral, Blocks, Confidence, Draw, FirstHitting, MaskedModel, MaskedSampler, Order, Sample, Usual,
};
use quadrat_core::{Area, Card, Choice, Method, Progress, Result, Seed, Settings, checkpoint};
use rayon::prelude::*;

/// How texts are drawn from a masked model. By default exactly, by the first-hitting sampler.
#[derive(Debug, Clone, Copy, PartialEq, Settings)]
pub struct MaskedDecoding {
    /// What decides which places are uncovered, and when.
    #[param(default = Sampler::FirstHitting)]
    pub sampler: Sampler,
    /// Calls of the model, in each block if there are blocks; each is one a place.
    #[param(none = "each", from = 1, only = ("sampler", &["first-hitting", "confidence"]))]
    pub calls: Option<usize>,
    /// How places that share a call see each other.
    #[param(default = Order::First, only = ("sampler", &["first-hitting"]))]
    pub order: Order,
    /// Steps of time.
    #[param(default = 1000, from = 1, only = ("sampler", &["ancestral"]))]
    pub steps: usize,
    /// How fast places are uncovered.
    #[param(default = Usual::Linear, only = ("sampler", &["ancestral"]))]
    pub schedule: Usual,
    /// How tokens are drawn.
    #[param(flatten)]
    pub draw: Draw,
    /// Places of a block, which are filled from left to right.
    #[param(none = "whole", from = 1, unit = "tokens")]
    pub block: Option<usize>,
    /// Temperature of the model's rows.
    #[param(default = 1.0, above = 0)]
    pub temperature: f64,
    /// Likeliest tokens that are kept, by their sum.
    #[param(default = 1.0, above = 0, to = 1)]
    pub top_p: f64,
}

/// What decides which places are uncovered, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Choice)]
pub enum Sampler {
    /// One after the other in a random order, exact.
    FirstHitting,
    /// Small steps of time, exact as they become many.
    Ancestral,
    /// What the model is surest of first, a heuristic.
    Confidence,
}

impl Method for MaskedDecoding {
    const CARD: Card = Card {
        slug: "masked-diffusion-fhs",
        aliases: &["first-hitting", "masked-diffusion"],
        title: "First-hitting sampling from masked diffusion models",
        paper: "Zheng, Chen, Mao, Liu, Zhu, Zhang, Masked Diffusion Models are Secretly Time-Agnostic Masked Models and Exploit \
                Inaccurate Categorical Sampling, ICLR 2025, arXiv 2409.02908",
        area: Area::Language,
        verbs: &["language generate"],
        summary: "Draws whole texts from a model that fills gaps, a token a call in a random order: the law of masked diffusion without \
                  its small steps of time, and with exact draws.",
        useful_when: "masked language model, BERT, MaskGIT, MDLM, LLaDA, diffusion language model, fill in gaps, infill a text, \
                      generate in any order, several tokens a call",
        cost: "one call of the model a token (fewer with calls), and time O(vocabulary) a token",
        params: Self::PARAMS,
    };
}

impl MaskedDecoding {
    /// The sampler of these settings. Temperature and top-p are the model's part: [`Adjusted`].
    pub fn sampler(&self) -> Box<dyn MaskedSampler> {
        let &MaskedDecoding { calls, order, steps, schedule, draw, .. } = self;
        let inner: Box<dyn MaskedSampler> = match self.sampler {
            Sampler::FirstHitting => Box::new(FirstHitting { calls, order, draw }),
            Sampler::Ancestral => Box::new(Ancestral { steps, schedule, draw }),
            Sampler::Confidence => Box::new(Confidence { calls }),
        };
        match self.block {
            Some(size) => Box::new(Blocks { size, inner }),
            None => inner,
        }
    }
}

/// `rows` texts drawn from `start`, side by side; row i depends on the seed and on i alone.
///
/// # Errors
/// As [`MaskedSampler::sample`]; the user's cancelling.
pub fn draw_rows(
    model: &dyn MaskedModel,
    decoding: &MaskedDecoding,
    start: &[u32],
    rows: usize,
    seed: Seed,
    progress: &dyn Progress,
) -> Result<Vec<Sample>> {
    let (sampler, seed) = (decoding.sampler(), seed.stream("masked-diffusion-fhs"));
    let adjusted = Adjusted::new(model, decoding.temperature, decoding.top_p)?;
    let plain = decoding.temperature == 1.0 && decoding.top_p == 1.0;
    let model = if plain { model } else { &adjusted };
    progress.begin("drawing texts", Some(rows as u64));
    let one = |row: usize| {
        checkpoint(progress)?;
        let sample = sampler.sample(model, start, &mut seed.rng(row as u64))?;
        progress.advance(1);
        Ok(sample)
    };
    (0..rows).into_par_iter().map(one).collect()
}
