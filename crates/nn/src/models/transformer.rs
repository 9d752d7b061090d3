//! Sequences of tokens.

use super::attention::{Block, Sight, Style};
use super::{Feed, Norm};
use crate::forward::{Forward, Vars};
use crate::ops::{self, Cache, Rotary};
use crate::parameters::{Init, Parameters, Role};
use crate::tensors::values_of;
use crate::{Input, Inputs, Network, Spec};
use burn_tensor::{Device, Int, Tensor, TensorData};
use ndarray::Array2;
use quadrat_core::{Error, Result};
use serde::{Deserialize, Serialize};

/// What a row of a transformer's outputs is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Output {
    /// Position by position a score for every token of the vocabulary.
    #[default]
    Scores,
    /// The mean representation of the positions that count.
    Mean,
    /// The first position's representation.
    First,
}

/// A transformer over `context` tokens. Its input is called `tokens`, their numbers; a row of outputs is, position by position,
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
    /// What the blocks are made of. Without rotary positions each position has a learned vector of its own.
    #[serde(default)]
    pub style: Style,
    /// Whether scores are products with the tokens' own vectors, in place of a layer of their own.
    #[serde(default)]
    pub tied: bool,
    /// Whether an input `mask` says which tokens count: 1, or 0 for those that only fill the row up, which none sees.
    #[serde(default)]
    pub padded: bool,
    /// Types of tokens (first or second sentence, say), given by an input `types`; 0: none.
    #[serde(default)]
    pub types: usize,
    /// What a row of outputs is.
    #[serde(default)]
    pub output: Output,
}

impl Transformer {
    /// One that predicts the next token, of GPT-2's form.
    pub fn causal(vocabulary: usize, context: usize, width: usize, heads: usize, layers: usize) -> Self {
        Transformer {
            vocabulary,
            context,
            width,
            heads,
            layers,
            causal: true,
            style: Style::default(),
            tied: false,
            padded: false,
            types: 0,
            output: Output::Scores,
        }
    }

    /// One of Llama's form: rotary positions, root mean squares, SwiGLU of so many `units`, `groups` heads of keys and
    /// values, no biases. [`LLAMA`](crate::LLAMA) names the parameters of its checkpoints.
    pub fn llama(
        vocabulary: usize,
        context: usize,
        width: usize,
        [heads, groups]: [usize; 2],
        units: usize,
        layers: usize,
    ) -> Self {
        let style = Style {
            norm: Norm::Rms,
            feed: Feed::SwiGlu,
            units: Some(units),
            groups: Some(groups),
            bias: false,
            rotary: Some(Rotary::default()),
            ..Style::default()
        };
        Transformer { style, ..Transformer::causal(vocabulary, context, width, heads, layers) }
    }

    /// An encoder of BERT's form (Devlin et al. 2019): both directions, normalised after each part, two types of tokens, a
    /// mask; its output is the mean representation. [`BERT`](crate::BERT) names the parameters of its checkpoints.
    pub fn bert(vocabulary: usize, context: usize, width: usize, heads: usize, layers: usize) -> Self {
        let style = Style { after: true, epsilon: 1e-12, ..Style::default() };
        Transformer {
            causal: false,
            style,
            padded: true,
            types: 2,
            output: Output::Mean,
            ..Transformer::causal(vocabulary, context, width, heads, layers)
        }
    }

    fn block(&self) -> Block {
        Block { width: self.width, heads: self.heads, style: self.style }
    }

    /// Representations (n x length x width) of token ids that follow `first` earlier positions.
    fn represent(
        &self,
        forward: &mut Forward,
        ids: Tensor<2, Int>,
        types: Option<Tensor<2, Int>>,
        mask: Option<Tensor<2>>,
        (first, mut caches): (usize, Option<&mut [Cache]>),
    ) -> Result<Tensor<3>> {
        self.block().check()?;
        let length = ids.dims()[1];
        let mut x = forward.embedding("tokens", ids)?;
        if self.style.rotary.is_none() {
            let positions = forward.vars().get::<2>("positions")?.slice([first..first + length, 0..self.width]);
            x = x + positions.unsqueeze();
        }
        if let Some(types) = types {
            x = x + forward.embedding("types", types)?;
        }
        // One normalisation at the end where blocks begin with theirs, at the start where they end with it.
        if self.style.after {
            x = self.style.norm(forward, "norm", x)?;
        }
        let bias = mask.map(ops::padding);
        let turn = self.style.rotary.map(|rotary| rotary.at(first, length, self.block().each(), &x.device()));
        for i in 0..self.layers {
            let cache = caches.as_deref_mut().and_then(|caches| caches.get_mut(i));
            let sight = Sight { causal: self.causal, bias: bias.clone(), cache, turn: turn.as_ref() };
            x = self.block().apply(forward, &format!("block{}", i + 1), x, sight)?;
        }
        if self.style.after { Ok(x) } else { self.style.norm(forward, "norm", x) }
    }

    /// Scores (rows x vocabulary) of representations.
    fn scores(&self, forward: &mut Forward, x: Tensor<2>) -> Result<Tensor<2>> {
        match self.tied {
            true => Ok(ops::linear(x, forward.vars().get::<2>("tokens")?, None)),
            false => forward.linear("head", x),
        }
    }
}

impl Network for Transformer {
    fn inputs(&self) -> usize {
        0
    }

    fn others(&self) -> Vec<Input> {
        let mut others = vec![Input::whole("tokens", self.context, self.vocabulary)];
        others.extend(self.padded.then(|| Input::numbers("mask", self.context)));
        others.extend((self.types > 0).then(|| Input::whole("types", self.context, self.types)));
        others
    }

    fn outputs(&self) -> usize {
        match self.output {
            Output::Scores => self.context * self.vocabulary,
            Output::Mean | Output::First => self.width,
        }
    }

    fn parameters(&self) -> Vec<Spec> {
        let table = |name: &str, n| Spec::new(name, &[n, self.width], Role::Other, Init::Normal(0.02));
        let mut specs = vec![table("tokens", self.vocabulary)];
        specs.extend(self.style.rotary.is_none().then(|| table("positions", self.context)));
        specs.extend((self.types > 0).then(|| table("types", self.types)));
        for i in 1..=self.layers {
            specs.extend(self.block().specs(&format!("block{i}")));
        }
        specs.extend(self.style.norm_specs("norm", self.width));
        if self.output == Output::Scores && !self.tied {
            let head = Spec::linear("head", self.width, self.vocabulary, 1.0);
            specs.extend(head.into_iter().take(if self.style.bias { 2 } else { 1 }));
        }
        specs
    }

    fn grain(&self) -> usize {
        32
    }

    fn forward(&self, forward: &mut Forward, inputs: &Inputs) -> Result<Tensor<2>> {
        let types = if self.types > 0 { Some(inputs.whole("types")?) } else { None };
        let mask = if self.padded { Some(inputs.other("mask")?) } else { None };
        let x = self.represent(forward, inputs.whole("tokens")?, types, mask.clone(), (0, None))?;
        let [n, length, width] = x.dims();
        match self.output {
            Output::Scores => {
                let x = x.reshape([n * length, width]);
                forward.tap("features", &x);
                Ok(self.scores(forward, x)?.reshape([n, self.outputs()]))
            }
            Output::First => Ok(x.slice([0..n, 0..1, 0..width]).reshape([n, width])),
            Output::Mean => Ok(match mask {
                Some(mask) => {
                    let share = mask.clone() / mask.sum_dim(1).clamp_min(1.0);
                    share.reshape([n, 1, length]).matmul(x).reshape([n, width])
                }
                None => x.mean_dim(1).reshape([n, width]),
            }),
        }
    }
}

/// Token by token with a cache of keys and values: each step costs one position, not the whole prefix. The memory of the
/// whole context, 2 x layers x context x (width of keys and values) numbers a sequence, is taken at the first step.
pub struct Decoder<'a> {
    network: &'a Transformer,
    vars: Vars<'a>,
    caches: Vec<Cache>,
    sequences: usize,
    seen: usize,
}

impl<'a> Decoder<'a> {
    /// A decoder that has seen nothing.
    ///
    /// # Errors
    /// A network that is not causal, has no scores, or takes more than tokens.
    pub fn new(network: &'a Transformer, parameters: &'a Parameters) -> Result<Self> {
        if !network.causal || network.output != Output::Scores || network.padded || network.types > 0 {
            let want = "a causal one from tokens alone to scores: only that decodes token by token";
            return Err(Error::input("transformer", "another", want));
        }
        Ok(Decoder { network, vars: Vars::new(parameters, false), caches: Vec::new(), sequences: 0, seen: 0 })
    }

    /// Scores of the token after `tokens` (n sequences x new positions), which follow what was seen before.
    ///
    /// # Errors
    /// A token outside the vocabulary, no tokens, another number of sequences than before, or more positions than the context
    /// has.
    pub fn next(&mut self, tokens: &Array2<u32>) -> Result<Array2<f32>> {
        let (n, length) = tokens.dim();
        if let Some(token) = tokens.iter().find(|&&t| t as usize >= self.network.vocabulary) {
            return Err(Error::input("token", token, format!("below {}", self.network.vocabulary)));
        }
        if n * length == 0 || self.seen + length > self.network.context {
            let got = format!("{length} tokens after {}", self.seen);
            return Err(Error::input("tokens", got, format!("1 to {} in all", self.network.context)));
        }
        let block = self.network.block();
        block.check()?;
        if self.seen == 0 {
            let cache = |_| Cache::new(n, block.groups(), block.each(), self.network.context);
            (self.caches, self.sequences) = ((0..self.network.layers).map(cache).collect(), n);
        }
        if n != self.sequences {
            let got = format!("{n} after {}", self.sequences);
            return Err(Error::input("sequences", got, "the same ones at every step"));
        }
        let ids: Vec<i32> = tokens.iter().map(|&t| t as i32).collect();
        let ids = Tensor::from_data(TensorData::new(ids, [n, length]), &Device::flex());
        let mut forward = Forward::evaluation(&self.vars, None);
        let x = self.network.represent(&mut forward, ids, None, None, (self.seen, Some(&mut self.caches)))?;
        self.seen += length;
        let (width, vocabulary) = (self.network.width, self.network.vocabulary);
        let last = x.slice([0..n, length - 1..length, 0..width]).reshape([n, width]);
        let scores = values_of(self.network.scores(&mut forward, last)?.reshape([-1]));
        Array2::from_shape_vec((n, vocabulary), scores).map_err(|e| Error::numeric("transformer", format!("{e}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::Pairing;
    use crate::{Entries, Others, Rows, initialise, predict};
    use quadrat_core::Seed;

    type Matrix = Vec<Vec<f64>>;

    /// The same network on plain arrays in double precision, one position after the other.
    struct Plain<'a>(&'a Transformer, &'a Parameters);

    impl Plain<'_> {
        fn flat(&self, name: &str) -> Vec<f64> {
            self.1.get(name).unwrap().values().into_iter().map(f64::from).collect()
        }

        fn rows(&self, name: &str) -> Matrix {
            let width = self.1.get(name).unwrap().shape[1];
            self.flat(name).chunks(width).map(<[f64]>::to_vec).collect()
        }

        fn linear(&self, name: &str, x: &[f64]) -> Vec<f64> {
            let bias = format!("{name}.bias");
            let mut y: Vec<f64> = self.rows(&format!("{name}.weight")).iter().map(|w| dot(w, x)).collect();
            if self.1.has(&bias) {
                y.iter_mut().zip(self.flat(&bias)).for_each(|(y, b)| *y += b);
            }
            y
        }

        fn norm(&self, name: &str, x: &[f64]) -> Vec<f64> {
            let n = x.len() as f64;
            let (mean, scale) = (x.iter().sum::<f64>() / n, self.flat(&format!("{name}.scale")));
            let mean = if self.0.style.norm == Norm::Layer { mean } else { 0.0 };
            let size = (x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n + self.0.style.epsilon).sqrt();
            let shift = match self.0.style.norm {
                Norm::Layer => self.flat(&format!("{name}.shift")),
                Norm::Rms => vec![0.0; x.len()],
            };
            (0..x.len()).map(|i| (x[i] - mean) / size * scale[i] + shift[i]).collect()
        }

        fn turned(&self, x: &[f64], position: usize) -> Vec<f64> {
            let Some(rotary) = self.0.style.rotary else { return x.to_vec() };
            let (d, mut y) = (x.len(), x.to_vec());
            for i in 0..d / 2 {
                let (a, b) = if rotary.pairing == Pairing::Halves { (i, i + d / 2) } else { (2 * i, 2 * i + 1) };
                let (sin, cos) = (position as f64 * rotary.base.powf(-2.0 * i as f64 / d as f64)).sin_cos();
                (y[a], y[b]) = (x[a] * cos - x[b] * sin, x[a] * sin + x[b] * cos);
            }
            y
        }

        fn attention(&self, name: &str, x: &Matrix, mask: &[f64]) -> Matrix {
            let (heads, each) = (self.0.heads, self.0.width / self.0.heads);
            let groups = self.0.style.groups.unwrap_or(heads);
            let qkv: Matrix = x.iter().map(|x| self.linear(&format!("{name}.qkv"), x)).collect();
            let part = |i: usize, head: usize| &qkv[i][head * each..(head + 1) * each];
            let mixed = |i: usize| {
                let head = |h: usize| {
                    let (q, group) = (self.turned(part(i, h), i), heads + h / (heads / groups));
                    let seen = |j: &usize| mask[*j] > 0.0 && (!self.0.causal || *j <= i);
                    let weigh = |j: usize| (dot(&q, &self.turned(part(j, group), j)) / (each as f64).sqrt()).exp();
                    let weights: Vec<(usize, f64)> = (0..x.len()).filter(seen).map(|j| (j, weigh(j))).collect();
                    let all: f64 = weights.iter().map(|(_, w)| w).sum();
                    let sum =
                        |c: usize| weights.iter().map(|(j, w)| w * part(*j, group + groups)[c]).sum::<f64>() / all;
                    (0..each).map(sum).collect::<Vec<f64>>()
                };
                self.linear(&format!("{name}.join"), &(0..heads).flat_map(head).collect::<Vec<f64>>())
            };
            (0..x.len()).map(mixed).collect()
        }

        fn feed(&self, name: &str, x: &[f64]) -> Vec<f64> {
            let logistic = |x: f64| 1.0 / (1.0 + (-x).exp());
            let mut wide = self.linear(&format!("{name}.widen"), x);
            match self.0.style.feed {
                Feed::SwiGlu => {
                    let gate = self.linear(&format!("{name}.gate"), x);
                    wide.iter_mut().zip(gate).for_each(|(w, g)| *w *= g * logistic(g));
                }
                Feed::GeGlu => {
                    let gate = self.linear(&format!("{name}.gate"), x);
                    wide.iter_mut().zip(gate).for_each(|(w, g)| *w *= g * normal(g));
                }
                Feed::Gelu => wide.iter_mut().for_each(|w| *w *= normal(*w)),
            }
            self.linear(&format!("{name}.narrow"), &wide)
        }

        /// The outputs for one sequence.
        fn outputs(&self, tokens: &[u32], types: &[u32], mask: &[f64]) -> Vec<f64> {
            let table = |name: &str, i: u32| self.rows(name)[i as usize].clone();
            let after = self.0.style.after;
            let start = |(i, (token, kind)): (usize, (&u32, &u32))| {
                let mut x = table("tokens", *token);
                if self.1.has("positions") {
                    x = sum(&x, &table("positions", i as u32));
                }
                if self.1.has("types") {
                    x = sum(&x, &table("types", *kind));
                }
                if after { self.norm("norm", &x) } else { x }
            };
            let mut x: Matrix = tokens.iter().zip(types).enumerate().map(start).collect();
            for block in (1..=self.0.layers).map(|i| format!("block{i}")) {
                let [norm1, norm2] = ["norm1", "norm2"].map(|norm| format!("{block}.{norm}"));
                let before = |norm: &str, x: &[f64]| if after { x.to_vec() } else { self.norm(norm, x) };
                let behind = |norm: &str, x: Vec<f64>| if after { self.norm(norm, &x) } else { x };
                let h = self.attention(&block, &x.iter().map(|x| before(&norm1, x)).collect(), mask);
                x = x.iter().zip(&h).map(|(x, h)| behind(&norm1, sum(x, h))).collect();
                x = x.iter().map(|x| behind(&norm2, sum(x, &self.feed(&block, &before(&norm2, x))))).collect();
            }
            if !after {
                x = x.iter().map(|x| self.norm("norm", x)).collect();
            }
            match self.0.output {
                Output::Scores if self.0.tied => {
                    x.iter().flat_map(|x| self.rows("tokens").iter().map(|t| dot(t, x)).collect::<Vec<_>>()).collect()
                }
                Output::Scores => x.iter().flat_map(|x| self.linear("head", x)).collect(),
                Output::First => x.swap_remove(0),
                Output::Mean => {
                    let counted: f64 = mask.iter().sum();
                    (0..self.0.width)
                        .map(|c| x.iter().zip(mask).map(|(x, m)| x[c] * m).sum::<f64>() / counted)
                        .collect()
                }
            }
        }
    }

    fn dot(a: &[f64], b: &[f64]) -> f64 {
        a.iter().zip(b).map(|(a, b)| a * b).sum()
    }

    fn sum(a: &[f64], b: &[f64]) -> Vec<f64> {
        a.iter().zip(b).map(|(a, b)| a + b).collect()
    }

    /// The normal distribution function, by its series.
    fn normal(x: f64) -> f64 {
        let (mut term, mut series) = (x, x);
        for k in 1..200 {
            term *= x * x / f64::from(2 * k + 1);
            series += term;
        }
        0.5 + (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt() * series
    }

    #[test]
    fn every_form_is_that_of_plain_arrays() {
        let gpt = Transformer::causal(11, 6, 8, 2, 2);
        let llama = Transformer::llama(11, 6, 16, [4, 2], 12, 2);
        let neighbours = Rotary { pairing: Pairing::Neighbours, base: 50.0 };
        let turned = Style { rotary: Some(neighbours), feed: Feed::GeGlu, bias: true, groups: None, ..llama.style };
        let bert = Transformer::bert(11, 6, 8, 2, 2);
        for network in [
            Transformer { style: turned, tied: true, ..llama.clone() },
            Transformer { output: Output::First, ..bert.clone() },
            Transformer { output: Output::Scores, style: Style { after: true, ..gpt.style }, ..gpt.clone() },
            Transformer { padded: true, ..llama.clone() },
            gpt,
            llama,
            bert,
        ] {
            let mut parameters = initialise(&network, Seed(3)).unwrap();
            // Nothing stays at the zeros and ones where it would not show.
            for parameter in parameters.iter_mut() {
                let mut rng = Seed(4).stream(&parameter.name).rng(0);
                parameter.update(|values| values.iter_mut().for_each(|v| *v += 0.3 * rng.normal() as f32));
            }
            let tokens = Array2::from_shape_fn((3, 6), |(i, j)| (5 * i + 3 * j + i * j) as u32 % 11);
            let types = Array2::from_shape_fn((3, 6), |(i, j)| u32::from(j > 1 + i));
            let filled = |i: usize| if network.padded { 4 + i } else { 6 };
            let mask = Array2::from_shape_fn((3, 6), |(i, j)| f32::from(u8::from(j < filled(i))));
            let mut others = Others::from([("tokens".to_owned(), Entries::from(tokens.clone()))]);
            if network.padded {
                others.insert("mask".to_owned(), mask.clone().into());
            }
            if network.types > 0 {
                others.insert("types".to_owned(), types.clone().into());
            }
            let found = predict(&network, &parameters, Rows::new(Array2::zeros((3, 0)).view(), &others), &[]).unwrap();
            for i in 0..3 {
                let [tokens, types] = [&tokens, &types].map(|all| all.row(i).to_vec());
                let mask = mask.row(i).mapv(f64::from).to_vec();
                let wanted = Plain(&network, &parameters).outputs(&tokens, &types, &mask);
                for (found, wanted) in found.row(i).iter().zip(wanted) {
                    assert!(
                        (f64::from(*found) - wanted).abs() < 1e-4 * (1.0 + wanted.abs()),
                        "{found} for {wanted}: {network:?}"
                    );
                }
            }
        }
    }
}
