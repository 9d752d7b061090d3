//! A small transformer of the user's own text, from nothing.
//!
//! It has Llama's form: root mean squares, rotary positions, gated units, the head tied to the tokens' vectors. What a practitioner would
//! have to decide is decided by what works for texts of a few megabytes on a processor: a rate that warms up over a twentieth of the run and
//! falls along a cosine, decoupled decay of 0.1, gradients no longer than 1.

use crate::trained::{Course, Trained};
use quadrat_core::{Error, Progress, Result, Seed, Settings};
use quadrat_nn::{Epoch, Schedule, Transformer};
use std::path::Path;

/// A small transformer: sizes, and how it is trained.
#[derive(Debug, Clone, Copy, PartialEq, Settings)]
pub struct Pretrain {
    /// Blocks of attention and units.
    #[param(default = 4, from = 1)]
    pub layers: usize,
    /// Width of a token's representation; a multiple of twice the heads.
    #[param(default = 192, from = 2)]
    pub dim: usize,
    /// Attention heads: by default one for every 32 of the width.
    #[param(none = "auto", from = 1)]
    pub heads: Option<usize>,
    /// Tokens that the model looks back on.
    #[param(default = 128, from = 2, unit = "tokens")]
    pub context: usize,
    /// How often the whole text is read.
    #[param(default = 5, from = 1)]
    pub epochs: usize,
    /// Windows of a step, each as long as the context.
    #[param(default = 16, from = 1, unit = "windows")]
    pub batch: usize,
    /// The largest learning rate.
    #[param(default = 0.003, above = 0)]
    pub rate: f64,
}

impl Pretrain {
    /// The network for a vocabulary.
    ///
    /// # Errors
    /// A width that is no multiple of twice the heads.
    pub fn network(&self, vocabulary: usize) -> Result<Transformer> {
        let heads = self.heads.unwrap_or((self.dim / 32).max(1));
        if !self.dim.is_multiple_of(2 * heads) {
            let want = format!("a multiple of {}, twice the heads", 2 * heads);
            return Err(Error::input("dim", self.dim, want));
        }
        // Gated units have three matrices where plain ones have two: two thirds of four times the width.
        let units = (self.dim * 8).div_ceil(3).next_multiple_of(16);
        let network = Transformer::llama(vocabulary, self.context, self.dim, [heads, heads], units, self.layers);
        Ok(Transformer { tied: true, ..network })
    }

    /// Trains one on a text, with the loss on what is held back beside it, where that is a window; see [`Trained::fit`].
    ///
    /// # Errors
    /// As [`Pretrain::network`], [`Trained::windows`] and [`Trained::fit`].
    pub fn fit(
        &self,
        vocabulary: usize,
        [text, held_back]: [&[u32]; 2],
        checkpoint: Option<&Path>,
        seed: Seed,
        progress: &dyn Progress,
    ) -> Result<(Trained, Vec<Epoch>)> {
        let mut model = Trained::new(self.network(vocabulary)?, seed)?;
        let text = model.windows(text, self.context, self.context)?;
        let held_back = match held_back.len() > self.context {
            true => Some(model.windows(held_back, self.context, self.context)?),
            false => None,
        };
        let course = Course {
            epochs: self.epochs,
            until: None,
            batch: self.batch,
            rate: self.rate,
            schedule: Schedule::Cosine.warmed_up(0.05),
            decay: 0.1,
            clip: Some(1.0),
        };
        let curve = model.fit(&course, (&text, held_back.as_ref()), checkpoint, seed, progress)?;
        Ok((model, curve))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_follow_from_the_width() {
        let network = Pretrain::default().network(2000).unwrap();
        assert_eq!((network.heads, network.style.units, network.tied), (6, Some(512), true));
        let error = Pretrain { dim: 50, heads: Some(4), ..Pretrain::default() }.network(10).unwrap_err().to_string();
        assert!(error.contains("a multiple of 8"), "{error}");
        assert_eq!(Pretrain { dim: 2, ..Pretrain::default() }.network(10).unwrap().heads, 1);
    }
}
