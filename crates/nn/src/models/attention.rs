//! The transformer block, for tokens and for patches (Vaswani et al. 2017), in the forms that are in use.

use crate::Spec;
use crate::forward::Forward;
use crate::ops::{self, Cache, Rotary, Turn};
use crate::parameters::{Init, Role};
use burn_tensor::Tensor;
use quadrat_core::{Error, Result};
use serde::{Deserialize, Serialize};

/// How rows are normalised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Norm {
    /// To mean 0 and variance 1 (Ba et al. 2016).
    #[default]
    Layer,
    /// By the root mean square (Zhang and Sennrich 2019).
    Rms,
}

/// The layer of units in a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Feed {
    /// narrow(gelu(widen(x))).
    #[default]
    Gelu,
    /// narrow(silu(gate(x)) ⊙ widen(x)) (Shazeer 2020).
    SwiGlu,
    /// narrow(gelu(gate(x)) ⊙ widen(x)).
    GeGlu,
}

/// What a block is made of, beside its width and heads. The default is GPT-2's: normalised before each part, biases, four
/// times as many units as the width.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Style {
    /// How rows are normalised.
    pub norm: Norm,
    /// Added to the variance or mean square.
    pub epsilon: f64,
    /// Normalise after each part and its input are added (as in the paper and BERT), not the part's input.
    pub after: bool,
    /// The layer of units.
    pub feed: Feed,
    /// Its units; none: four times the width.
    pub units: Option<usize>,
    /// Heads of keys and values, a divisor of the heads; none: as many.
    pub groups: Option<usize>,
    /// Whether linear layers have biases.
    pub bias: bool,
    /// Queries and keys turned by their positions.
    pub rotary: Option<Rotary>,
}

impl Default for Style {
    fn default() -> Self {
        Style {
            norm: Norm::Layer,
            epsilon: 1e-5,
            after: false,
            feed: Feed::Gelu,
            units: None,
            groups: None,
            bias: true,
            rotary: None,
        }
    }
}

impl Style {
    /// The parameters of a normalisation.
    pub(super) fn norm_specs(&self, name: &str, width: usize) -> Vec<Spec> {
        match self.norm {
            Norm::Layer => Spec::norm(name, width).into(),
            Norm::Rms => vec![Spec::new(format!("{name}.scale"), &[width], Role::Scale, Init::Constant(1.0))],
        }
    }

    /// Normalise the last axis.
    pub(super) fn norm<const D: usize>(&self, forward: &Forward, name: &str, x: Tensor<D>) -> Result<Tensor<D>> {
        let scale = forward.vars().flat(&format!("{name}.scale"))?;
        Ok(match self.norm {
            Norm::Layer => ops::layer_norm(x, scale, forward.vars().flat(&format!("{name}.shift"))?, self.epsilon),
            Norm::Rms => ops::rms_norm(x, scale, self.epsilon),
        })
    }
}

/// A block of a style.
#[derive(Debug, Clone, Copy)]
pub(super) struct Block {
    pub width: usize,
    pub heads: usize,
    pub style: Style,
}

/// What a block's positions may see.
pub(super) struct Sight<'a> {
    /// Themselves and earlier ones alone.
    pub causal: bool,
    /// Added to the scores.
    pub bias: Option<Tensor<4>>,
    /// Those before them, which they follow and join; they are causal then.
    pub cache: Option<&'a mut Cache>,
    /// Their rotations, in a style that has any.
    pub turn: Option<&'a Turn>,
}

impl Sight<'_> {
    /// A whole sequence.
    pub fn whole(causal: bool, bias: Option<Tensor<4>>) -> Self {
        Sight { causal, bias, cache: None, turn: None }
    }
}

impl Block {
    /// Heads of keys and values.
    pub fn groups(&self) -> usize {
        self.style.groups.unwrap_or(self.heads)
    }

    /// Width of a head.
    pub fn each(&self) -> usize {
        self.width / self.heads.max(1)
    }

    /// That the sizes divide each other.
    pub fn check(&self) -> Result<()> {
        super::check_multiple("width", self.width, self.heads)?;
        super::check_multiple("heads", self.heads, self.groups())?;
        if self.style.rotary.is_some() && self.each() % 2 == 1 {
            let got = format!("{} numbers a head", self.each());
            return Err(Error::input("rotary positions", got, "an even number: they are turned in pairs"));
        }
        Ok(())
    }

    /// The parameters of the block called `name`.
    pub fn specs(&self, name: &str) -> Vec<Spec> {
        let (width, units) = (self.width, self.style.units.unwrap_or(4 * self.width));
        let linear = |part: &str, from, to, gain| {
            let specs = Spec::linear(&format!("{name}.{part}"), from, to, gain);
            specs.into_iter().take(if self.style.bias { 2 } else { 1 })
        };
        let mut specs = self.style.norm_specs(&format!("{name}.norm1"), width);
        specs.extend(linear("qkv", width, width + 2 * self.groups() * self.each(), 1.0));
        specs.extend(linear("join", width, width, 0.5));
        specs.extend(self.style.norm_specs(&format!("{name}.norm2"), width));
        if self.style.feed != Feed::Gelu {
            specs.extend(linear("gate", width, units, std::f32::consts::SQRT_2));
        }
        specs.extend(linear("widen", width, units, std::f32::consts::SQRT_2));
        specs.extend(linear("narrow", units, width, 0.5));
        specs
    }

    /// Over n x positions x width: attention, then a layer of units, each added to its input and normalised before or after.
    pub fn apply(&self, forward: &mut Forward, name: &str, x: Tensor<3>, sight: Sight<'_>) -> Result<Tensor<3>> {
        let [norm1, norm2] = ["norm1", "norm2"].map(|norm| format!("{name}.{norm}"));
        let h = self.before(forward, &norm1, x.clone())?;
        let h = self.attend(forward, name, h, sight)?;
        let x = self.after(forward, &norm1, x + h)?;
        let h = self.before(forward, &norm2, x.clone())?;
        let h = self.feed(forward, name, h)?;
        self.after(forward, &norm2, x + h)
    }

    fn before(&self, forward: &Forward, norm: &str, x: Tensor<3>) -> Result<Tensor<3>> {
        if self.style.after { Ok(x) } else { self.style.norm(forward, norm, x) }
    }

    fn after(&self, forward: &Forward, norm: &str, x: Tensor<3>) -> Result<Tensor<3>> {
        if self.style.after { self.style.norm(forward, norm, x) } else { Ok(x) }
    }

    /// What each position takes from those it sees.
    fn attend(&self, forward: &mut Forward, name: &str, x: Tensor<3>, sight: Sight<'_>) -> Result<Tensor<3>> {
        let [n, length, width] = x.dims();
        let (heads, groups, each) = (self.heads, self.groups(), self.each());
        let qkv = forward.linear(&format!("{name}.qkv"), x.reshape([n * length, width]))?;
        let prefix = format!("{name}.{PREFIX}");
        let prefix =
            if forward.vars().parameters().has(&prefix) { Some(forward.vars().get::<2>(&prefix)?) } else { None };
        let plain = prefix.is_none()
            && groups == heads
            && sight.turn.is_none()
            && sight.bias.is_none()
            && sight.cache.is_none();
        let mixed = if plain {
            ops::self_attention(qkv, length, heads, sight.causal)
        } else {
            let [q, k, v] = ops::split_heads(qkv, length, [heads, groups, groups], each);
            let [q, k] = [q, k].map(|part| match sight.turn {
                Some(turn) => turn.turn(part),
                None => part,
            });
            let [k, v] = match prefix {
                Some(prefix) => before(prefix, [k, v]),
                None => [k, v],
            };
            match sight.cache {
                Some(cache) => cache.attend(q, k, v),
                None => ops::attention(q, k, v, sight.causal, sight.bias),
            }
        };
        Ok(forward.linear(&format!("{name}.join"), mixed)?.reshape([n, length, width]))
    }

    /// The layer of units, position by position.
    fn feed(&self, forward: &mut Forward, name: &str, x: Tensor<3>) -> Result<Tensor<3>> {
        let shape = x.dims();
        let x = x.reshape([shape[0] * shape[1], shape[2]]);
        let wide = forward.linear(&format!("{name}.widen"), x.clone())?;
        let gate = |forward: &mut Forward| forward.linear(&format!("{name}.gate"), x);
        let h = match self.style.feed {
            Feed::Gelu => ops::gelu(wide),
            Feed::SwiGlu => ops::silu(gate(forward)?) * wide,
            Feed::GeGlu => ops::gelu(gate(forward)?) * wide,
        };
        Ok(forward.linear(&format!("{name}.narrow"), h)?.reshape(shape))
    }
}

/// The name of a block's learnt keys and values within its parameters.
pub(super) const PREFIX: &str = "prefix";

/// Keys and values behind learnt ones, which are the rows of one array, keys first.
fn before(prefix: Tensor<2>, parts: [Tensor<4>; 2]) -> [Tensor<4>; 2] {
    let [rows, width] = prefix.dims();
    let mut first = 0;
    parts.map(|part| {
        let [n, heads, _, each] = part.dims();
        let own = prefix.clone().slice([first..first + rows / 2, 0..width]);
        first += rows / 2;
        let own = own.reshape([1, rows / 2, heads, each]).swap_dims(1, 2).expand([n, heads, rows / 2, each]);
        Tensor::cat(vec![own, part], 2)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn_tensor::{Device, TensorData};

    #[test]
    fn learnt_keys_and_values_stand_before_all_others_head_by_head() {
        let numbers = |n: usize, from: f32| (0..n).map(|i| from + i as f32).collect::<Vec<_>>();
        let tensor = |values: Vec<f32>, shape: [usize; 2]| {
            Tensor::<2>::from_data(TensorData::new(values, shape), &Device::flex())
        };
        // Two sequences of two positions, two heads of width 2; one learnt key and value.
        let part = |from| tensor(numbers(16, from), [1, 16]).reshape([2, 2, 2, 2]);
        let [k, v] = before(tensor(numbers(8, 100.0), [2, 4]), [part(0.0), part(50.0)]);
        let values = |t: Tensor<4>| t.into_data().try_to_vec::<f32>().unwrap();
        assert_eq!(k.dims(), [2, 2, 3, 2]);
        assert_eq!(values(k)[..12], [100., 101., 0., 1., 2., 3., 102., 103., 4., 5., 6., 7.]);
        assert_eq!(values(v)[12..], [104., 105., 58., 59., 60., 61., 106., 107., 62., 63., 64., 65.]);
    }
}
