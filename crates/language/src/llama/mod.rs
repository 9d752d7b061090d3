//! Models of Llama's family: Touvron et al., "LLaMA: Open and Efficient Foundation Language Models", 2023 (arXiv 2302.13971), with grouped
//! queries as in its second version (arXiv 2307.09288).
//!
//! A block normalises by the root mean square (RMSNorm), looks back with rotated queries and keys (RoPE), normalises again and passes a gated
//! layer (SwiGLU); each half is added to what came in. Computed on plain rows in single precision: what is asked and not trained needs no
//! tensors. Weights stay in the file, in its format ([`Matrix`]); activations are not quantised, so that scores are those of the weights
//! as the file's format defines them, within the rounding of single precision (llama.cpp rounds the inputs of quantised products to 8 bits).
//!
//! Everything that is computed for a token depends on the token and on those it sees, in their order, and on nothing that happens to be
//! computed in the same call. Hence a text has the same bits whether it came token by token, at once, or as a path of a tree.

mod attention;
mod config;
mod forward;
mod rotation;
mod state;
#[cfg(test)]
pub(crate) mod tests;
mod weights;

use crate::gguf::Gguf;
use crate::matrix::Matrix;
use crate::model::{BoxedState, LanguageModel};
use crate::safetensors::Folder;
use config::Config;
use quadrat_core::Result;
use state::Text;
use std::path::Path;
use weights::{GGUF, HUGGING_FACE, Weights};

/// A model of Llama's family.
pub struct Llama {
    config: Config,
    embedding: Matrix,
    layers: Vec<Layer>,
    norm: Vec<f32>,
    /// `None`: the embedding is the head too.
    head: Option<Matrix>,
}

/// The weights of a block.
struct Layer {
    attention_norm: Vec<f32>,
    query: Matrix,
    key: Matrix,
    value: Matrix,
    join: Matrix,
    feed_norm: Vec<f32>,
    gate: Matrix,
    up: Matrix,
    down: Matrix,
}

impl Llama {
    /// The model of a GGUF file.
    ///
    /// # Errors
    /// Another architecture, settings that are missing or do not fit each other, tensors that are missing, left over or of another shape,
    /// each by its name.
    pub fn from_gguf(file: &Gguf) -> Result<Llama> {
        let config = Config::of_gguf(file)?;
        Llama::assemble(config, Weights::new(file, &GGUF))
    }

    /// The model of a folder as transformers writes it: `config.json` and `model.safetensors` (or its parts and their index), in 16 or 32 bits.
    ///
    /// # Errors
    /// As [`from_gguf`](Llama::from_gguf).
    pub fn from_folder(folder: &Path) -> Result<Llama> {
        let config = Config::of_folder(folder)?;
        Llama::assemble(config, Weights::new(&Folder::open(folder)?, &HUGGING_FACE))
    }

    fn assemble(config: Config, mut weights: Weights) -> Result<Llama> {
        let Config { vocabulary, width, units, .. } = config;
        let (queries, keys) = (config.heads * config.head, config.groups * config.head);
        let names = weights.names;
        let embedding = weights.matrix(names.embedding, [vocabulary, width])?;
        let norm = weights.vector(names.norm, width)?;
        let head = if config.tied == Some(true) || (config.tied.is_none() && !weights.has(names.head)) {
            weights.leave(names.head);
            None
        } else {
            Some(weights.matrix(names.head, [vocabulary, width])?)
        };
        let mut layers = Vec::new();
        for layer in 0..config.layers {
            weights.within(layer);
            layers.push(Layer {
                attention_norm: weights.vector(names.attention_norm, width)?,
                query: weights.matrix(names.query, [queries, width])?,
                key: weights.matrix(names.key, [keys, width])?,
                value: weights.matrix(names.value, [keys, width])?,
                join: weights.matrix(names.join, [width, queries])?,
                feed_norm: weights.vector(names.feed_norm, width)?,
                gate: weights.matrix(names.gate, [units, width])?,
                up: weights.matrix(names.up, [units, width])?,
                down: weights.matrix(names.down, [width, units])?,
            });
        }
        weights.finish()?;
        Ok(Llama { config, embedding, layers, norm, head })
    }

    /// Parameters of all matrices and norms.
    pub fn parameters(&self) -> usize {
        let count = |matrix: &Matrix| matrix.shape().iter().product::<usize>();
        let layer = |layer: &Layer| {
            let Layer { query, key, value, join, gate, up, down, .. } = layer;
            [query, key, value, join, gate, up, down].into_iter().map(count).sum::<usize>() + 2 * self.config.width
        };
        let head = self.head.as_ref().map_or(0, count);
        count(&self.embedding) + head + self.layers.iter().map(layer).sum::<usize>() + self.config.width
    }
}

impl LanguageModel for Llama {
    fn vocabulary(&self) -> usize {
        self.config.vocabulary
    }

    fn context(&self) -> Option<usize> {
        Some(self.config.context)
    }

    fn ends(&self) -> &[u32] {
        &self.config.ends
    }

    fn begin(&self) -> BoxedState<'_> {
        Box::new(Text::new(self))
    }
}
