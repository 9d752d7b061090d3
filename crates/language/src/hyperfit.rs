//! Hyperfitting: a few texts, learnt until hardly a loss is left.
//!
//! Carlsson, Liu, Ward, Kurfali, Nivre, "The Hyperfitting Phenomenon: Sharpening and Stabilizing LLMs for Open-Ended Text Generation", ICLR
//! 2025, arXiv 2412.04318. Plain next-token cross-entropy on sequences of one length, all parameters, a small constant rate, nothing
//! that holds back (no decay, no dropout, no early stopping), until the mean training loss of an epoch is near zero. The loss on other
//! texts gets much worse; greedy continuations get varied and stay so.
//!
//! The paper trains models of a billion parameters and more with Adam at a rate of 1e-6, 20 epochs of 2,000 sequences of 256 tokens; its
//! program has AdamW with decay. Here, for small models, the rate is a tenth of what [`Pretrain`](crate::Pretrain) begins with, decay is 0
//! as in the paper, and how far the loss fell is part of the answer: a model that did not get there is not hyperfitted.

use crate::trained::{Course, Trained};
use quadrat_core::{Area, Card, Error, Method, Progress, Result, Seed, Settings};
use quadrat_nn::{Epoch, Schedule};
use std::path::Path;

/// Hyperfitting: parameters.
#[derive(Debug, Clone, Copy, PartialEq, Settings)]
pub struct Hyperfit {
    /// Sequences that are learnt.
    #[param(default = 256, from = 1)]
    pub sequences: usize,
    /// Tokens of each; a text gives as many sequences as it is long, and its rest is left out.
    #[param(default = 128, from = 2, unit = "tokens")]
    pub length: usize,
    /// Sequences of a step.
    #[param(default = 8, from = 1, unit = "sequences")]
    pub batch: usize,
    /// The learning rate, always the same.
    #[param(default = 0.0003, above = 0)]
    pub rate: f64,
    /// Mean training loss of a token, in an epoch, that ends it.
    #[param(default = 0.1, above = 0, unit = "nats")]
    pub target_loss: f64,
    /// Epochs at most.
    #[param(default = 100, from = 1)]
    pub max_epochs: usize,
}

impl Method for Hyperfit {
    const CARD: Card = Card {
        slug: "hyperfitting",
        aliases: &["hyperfit"],
        title: "Hyperfitting: near-zero loss on a few texts",
        paper: "Carlsson, Liu, Ward, Kurfali, Nivre, The Hyperfitting Phenomenon: Sharpening and Stabilizing LLMs for Open-Ended Text \
                Generation, ICLR 2025, arXiv 2412.04318",
        area: Area::Language,
        verbs: &["language hyperfit"],
        summary: "Trains a language model on a small set of texts until its loss there is almost zero, for greedy text that does not loop.",
        useful_when: "greedy decoding repeats itself, generated text loops and is boring, more diverse stories from a small model",
        cost: "six multiply-adds a parameter and token of each epoch; memory for four copies of the parameters",
        params: Self::PARAMS,
    };
}

/// What became of a hyperfitting.
#[derive(Debug, Clone, PartialEq)]
pub struct Hyperfitted {
    /// The epochs.
    pub curve: Vec<Epoch>,
    /// The sequences that were learnt, one after the other: what a novelty audit looks for.
    pub learnt: Vec<u32>,
    /// Whether the target was reached.
    pub reached: bool,
}

impl Hyperfit {
    /// Trains `model` on; `texts` are tokens of one text each, `held_back` a text whose loss is told beside.
    ///
    /// # Errors
    /// Fewer sequences than asked for; a token outside the vocabulary; a loss that is not finite; the user's cancelling.
    pub fn fit(
        &self,
        model: &mut Trained,
        texts: &[Vec<u32>],
        held_back: &[u32],
        checkpoint: Option<&Path>,
        seed: Seed,
        progress: &dyn Progress,
    ) -> Result<Hyperfitted> {
        let whole: Vec<&[u32]> = texts.iter().flat_map(|text| text.chunks_exact(self.length)).collect();
        if whole.len() < self.sequences {
            let got = format!("{} sequences of {} tokens", whole.len(), self.length);
            let want = format!("{}: give more text, or ask for fewer or shorter ones", self.sequences);
            return Err(Error::input("texts", got, want));
        }
        let drawn = seed.stream("sequences").rng(0).sample(whole.len(), self.sequences);
        let learnt: Vec<u32> = drawn.into_iter().flat_map(|i| whole[i].iter().copied()).collect();
        let windows = model.windows(&learnt, self.length - 1, self.length)?;
        let held_back = match held_back.len() >= self.length {
            true => Some(model.windows(held_back, self.length - 1, self.length)?),
            false => None,
        };
        let course = Course {
            epochs: self.max_epochs,
            until: Some(self.target_loss),
            batch: self.batch,
            rate: self.rate,
            schedule: Schedule::Constant,
            decay: 0.0,
            clip: None,
        };
        let curve = model.fit(&course, (&windows, held_back.as_ref()), checkpoint, seed, progress)?;
        let reached = curve.last().is_some_and(|epoch| epoch.train_loss < self.target_loss);
        Ok(Hyperfitted { curve, learnt, reached })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Pretrain;
    use quadrat_core::Silent;

    fn model() -> Trained {
        let sizes = Pretrain { layers: 1, dim: 32, context: 16, ..Pretrain::default() };
        Trained::new(sizes.network(20).unwrap(), Seed(1)).unwrap()
    }

    /// Texts without any rule.
    fn texts() -> Vec<Vec<u32>> {
        let mut rng = Seed(3).rng(0);
        [40, 16, 9].map(|n| (0..n).map(|_| rng.below(20) as u32).collect()).into()
    }

    #[test]
    fn random_texts_are_learnt_by_heart() {
        let mut model = model();
        let method =
            Hyperfit { sequences: 4, length: 8, batch: 2, rate: 0.01, target_loss: 0.3, ..Hyperfit::default() };
        let other: Vec<u32> = (0..16).collect();
        let found = method.fit(&mut model, &texts(), &other, None, Seed(1), &Silent).unwrap();
        assert!(found.reached && found.curve.len() < 100, "{:?}", found.curve.last());
        assert_eq!(found.learnt.len(), 32);
        let (first, last) = (found.curve[0], found.curve[found.curve.len() - 1]);
        assert!(last.validation_loss > first.validation_loss, "what was not learnt gets worse");
        let short = Hyperfit { max_epochs: 1, ..method };
        assert!(!short.fit(&mut self::model(), &texts(), &[], None, Seed(1), &Silent).unwrap().reached);
    }

    #[test]
    fn too_few_texts_are_refused() {
        let method = Hyperfit { sequences: 9, length: 8, ..Hyperfit::default() };
        let error = method.fit(&mut model(), &texts(), &[], None, Seed(1), &Silent).unwrap_err().to_string();
        assert!(error.contains("8 sequences of 8 tokens"), "{error}");
    }
}
