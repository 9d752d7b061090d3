//! Sequences of tokens.

use super::attention::{self, Cache};
use super::check_multiple;
use crate::forward::{Forward, Vars};
use crate::parameters::{Init, Parameters, Role};
use crate::tensors::values_of;
use crate::{Network, Spec};
use burn_tensor::{Device, Tensor, TensorData};
use ndarray::Array2;
use quadrat_core::{Error, Result};
use serde::{Deserialize, Serialize};

/// A transformer over `context` tokens. A row of inputs is the token numbers; a row of outputs is, position by position,
/// a score for every token of the vocabulary (train it with [`Loss::Tokens`](crate::Loss::Tokens)).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Transformer {
    /// How many different tokens there are.
    pub vocabulary: usize,
    /// Tokens in a sequence.
    pub context: usize,
    /// Width of a representation; a multiple of `heads`.
    pub width: usize,
    /// Attention heads.
    pub heads: usize,
    /// Blocks.
    pub layers: usize,
    /// Whether a position sees only itself and earlier ones.
    pub causal: bool,
}

impl Transformer {
    /// From token ids (n x length) that follow `before` earlier positions to scores (n·length x vocabulary).
    fn scores(
        &self,
        forward: &mut Forward,
        ids: Tensor<2>,
        before: usize,
        caches: Option<&mut [Cache]>,
    ) -> Result<Tensor<2>> {
        check_multiple("width", self.width, self.heads)?;
        let [n, length] = ids.dims();
        let positions = forward.vars().get::<2>("positions")?.slice([before..before + length, 0..self.width]);
        let mut x = forward.embedding("tokens", ids)? + positions.unsqueeze();
        match caches {
            Some(caches) => {
                for (i, cache) in caches.iter_mut().enumerate() {
                    x = attention::block(forward, &format!("block{}", i + 1), x, self.heads, self.causal, Some(cache))?;
                }
            }
            None => {
                for i in 1..=self.layers {
                    x = attention::block(forward, &format!("block{i}"), x, self.heads, self.causal, None)?;
                }
            }
        }
        let x = forward.layer_norm("norm", x)?.reshape([n * length, self.width]);
        forward.tap("features", &x);
        forward.linear("head", x)
    }
}

impl Network for Transformer {
    fn inputs(&self) -> usize {
        self.context
    }

    fn outputs(&self) -> usize {
        self.context * self.vocabulary
    }

    fn parameters(&self) -> Vec<Spec> {
        let table = |name: &str, n| Spec::new(name, &[n, self.width], Role::Other, Init::Normal(0.02));
        let mut specs = vec![table("tokens", self.vocabulary), table("positions", self.context)];
        for i in 1..=self.layers {
            specs.extend(attention::specs(&format!("block{i}"), self.width));
        }
        specs.extend(Spec::norm("norm", self.width));
        specs.extend(Spec::linear("head", self.width, self.vocabulary, 1.0));
        specs
    }

    fn grain(&self) -> usize {
        32
    }

    fn forward(&self, forward: &mut Forward, inputs: Tensor<2>) -> Result<Tensor<2>> {
        let n = inputs.dims()[0];
        Ok(self.scores(forward, inputs, 0, None)?.reshape([n, self.outputs()]))
    }
}

/// Token by token with a cache of keys and values: each step costs one position, not the whole prefix.
pub struct Decoder<'a> {
    network: &'a Transformer,
    vars: Vars<'a>,
    caches: Vec<Cache>,
    seen: usize,
}

impl<'a> Decoder<'a> {
    /// A decoder that has seen nothing.
    ///
    /// # Errors
    /// A network that is not causal.
    pub fn new(network: &'a Transformer, parameters: &'a Parameters) -> Result<Self> {
        if !network.causal {
            return Err(Error::input("transformer", "both directions", "only a causal one decodes token by token"));
        }
        let caches = (0..network.layers).map(|_| None).collect();
        Ok(Decoder { network, vars: Vars::new(parameters, false), caches, seen: 0 })
    }

    /// Scores of the token after `tokens` (n sequences x new positions), which follow what was seen before.
    ///
    /// # Errors
    /// A token outside the vocabulary, no tokens, or more positions than the context has.
    pub fn next(&mut self, tokens: &Array2<u32>) -> Result<Array2<f32>> {
        let (n, length) = tokens.dim();
        if let Some(token) = tokens.iter().find(|&&t| t as usize >= self.network.vocabulary) {
            return Err(Error::input("token", token, format!("below {}", self.network.vocabulary)));
        }
        if n * length == 0 || self.seen + length > self.network.context {
            let got = format!("{length} tokens after {}", self.seen);
            return Err(Error::input("tokens", got, format!("1 to {} in all", self.network.context)));
        }
        let ids: Vec<f32> = tokens.iter().map(|&t| t as f32).collect();
        let ids = Tensor::from_data(TensorData::new(ids, [n, length]), &Device::flex());
        let mut forward = Forward::evaluation(&self.vars, None);
        let scores = self.network.scores(&mut forward, ids, self.seen, Some(&mut self.caches))?;
        self.seen += length;
        let vocabulary = self.network.vocabulary;
        let last = scores.reshape([n, length, vocabulary]).slice([0..n, length - 1..length, 0..vocabulary]);
        let wrong = |e| Error::numeric("transformer", format!("{e}"));
        Array2::from_shape_vec((n, vocabulary), values_of(last.reshape([-1]))).map_err(wrong)
    }
}
