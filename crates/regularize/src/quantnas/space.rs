//! What can be chosen, what was chosen, and what it costs.

use super::quantizers::check_bits;
use quadrat_core::{Error, Result, Rng};
use serde::{Deserialize, Serialize};

/// A convolution that a layer may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Op {
    /// Side of the kernel: odd.
    pub kernel: usize,
    /// Groups of channels that do not see each other.
    pub groups: usize,
}

/// Where a layer of the network stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Its name.
    pub name: String,
    /// Input channels.
    pub from: usize,
    /// Output channels.
    pub to: usize,
    /// How much larger its images are than the small ones.
    pub scale: usize,
    /// The bits of a layer that is not searched.
    pub fixed: Option<u8>,
}

/// The networks to choose from: an image is repeated to `channels`, goes through `cells` of `body` residual layers each,
/// the cells' outputs are joined by a 1x1 layer at 8 bits, added to the repeated image, widened to 3 scale² channels,
/// shuffled to the larger size, added to the image enlarged by bicubic interpolation (whose few multiplications at full
/// precision are not counted), and corrected by a last residual layer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Space {
    /// What a layer may be.
    pub ops: Vec<Op>,
    /// Bits of weights and activations that it may have.
    pub bits: Vec<u8>,
    /// Channels, a multiple of 3.
    pub channels: usize,
    /// Cells.
    pub cells: usize,
    /// Layers in a cell.
    pub body: usize,
    /// Times larger.
    pub scale: usize,
    /// Normalise residual layers and give back the scale that this takes away.
    pub adq: bool,
}

impl Default for Space {
    fn default() -> Self {
        let op = |kernel, groups| Op { kernel, groups };
        Space {
            ops: vec![op(1, 1), op(3, 1), op(5, 1), op(3, 2)],
            bits: vec![4, 8],
            channels: 12,
            cells: 2,
            body: 3,
            scale: 2,
            adq: true,
        }
    }
}

/// What a layer is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// The layer.
    pub layer: String,
    /// The convolution.
    pub op: Op,
    /// Its bits.
    pub bits: u8,
}

/// One network of a space.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Genotype {
    /// One choice for each searched layer, in order.
    pub choices: Vec<Choice>,
}

impl Space {
    /// # Errors
    /// Nothing to choose from, channels that are no multiple of 3 or of an op's groups, an even kernel, unknown bits.
    pub fn check(&self) -> Result<()> {
        self.bits.iter().try_for_each(|bits| check_bits(*bits))?;
        if self.ops.is_empty() || self.bits.is_empty() || self.cells * self.body == 0 || self.scale == 0 {
            return Err(Error::input(
                "space",
                "nothing to choose",
                "at least one op, bit width, cell, layer and scale 1",
            ));
        }
        if self.channels == 0 || !self.channels.is_multiple_of(3) {
            return Err(Error::input("channels", self.channels, "a positive multiple of 3"));
        }
        let wrong =
            |op: &&Op| op.kernel.is_multiple_of(2) || op.groups == 0 || !self.channels.is_multiple_of(op.groups);
        if let Some(op) = self.ops.iter().find(wrong) {
            let want = format!("odd kernels, groups that divide {}", self.channels);
            return Err(Error::input("op", format!("kernel {}, groups {}", op.kernel, op.groups), want));
        }
        Ok(())
    }

    /// All layers in order.
    pub fn places(&self) -> Vec<Place> {
        let c = self.channels;
        let place = |name: String, from, to, scale, fixed| Place { name, from, to, scale, fixed };
        let mut places = Vec::new();
        for cell in 1..=self.cells {
            for layer in 1..=self.body {
                places.push(place(format!("cell{cell}.{layer}"), c, c, 1, None));
            }
        }
        places.push(place("join".into(), c * self.cells, c, 1, Some(8)));
        places.push(place("widen".into(), c, 3 * self.scale * self.scale, 1, None));
        places.push(place("tail".into(), 3, 3, self.scale, None));
        places
    }

    /// The ops that fit a layer: groups must divide its channels.
    pub fn ops_of(&self, place: &Place) -> Vec<Op> {
        if place.fixed.is_some() {
            return vec![Op { kernel: 1, groups: 1 }];
        }
        let fits = |op: &Op| place.from.is_multiple_of(op.groups) && place.to.is_multiple_of(op.groups);
        self.ops.iter().copied().filter(fits).collect()
    }

    /// The bits that a layer may have.
    pub fn bits_of(&self, place: &Place) -> Vec<u8> {
        place.fixed.map_or_else(|| self.bits.clone(), |bits| vec![bits])
    }

    /// The network whose layers all are the same op (or the first that fits) at the same bits.
    pub fn uniform(&self, op: Op, bits: u8) -> Genotype {
        self.genotype(|ops| (ops.iter().position(|o| *o == op).unwrap_or(0), bits))
    }

    /// A network drawn uniformly.
    pub fn draw(&self, rng: &mut Rng) -> Genotype {
        self.genotype(|ops| (rng.below(ops.len()), self.bits[rng.below(self.bits.len())]))
    }

    /// The network that `choose` makes of each searched layer: an index into its ops, and bits.
    fn genotype(&self, mut choose: impl FnMut(&[Op]) -> (usize, u8)) -> Genotype {
        let choices = self.searched().map(|place| {
            let (op, bits) = choose(&self.ops_of(&place));
            self.choice(place, op, bits)
        });
        Genotype { choices: choices.collect() }
    }

    /// The layers that there is a choice for.
    pub(super) fn searched(&self) -> impl Iterator<Item = Place> {
        self.places().into_iter().filter(|place| place.fixed.is_none())
    }

    /// What a layer does with the op of this index among its own (the last where there are fewer), and bits.
    pub(super) fn choice(&self, place: Place, op: usize, bits: u8) -> Choice {
        let ops = self.ops_of(&place);
        Choice { layer: place.name, op: ops[op.min(ops.len() - 1)], bits }
    }

    /// What a genotype says of a layer.
    ///
    /// # Errors
    /// It says nothing of it, or an op that does not fit.
    pub fn chosen(&self, genotype: &Genotype, place: &Place) -> Result<(Op, u8)> {
        if let Some(bits) = place.fixed {
            return Ok((Op { kernel: 1, groups: 1 }, bits));
        }
        let choice = genotype.choices.iter().find(|choice| choice.layer == place.name);
        let choice = choice.ok_or_else(|| Error::input("genotype", "too short", format!("needs `{}`", place.name)))?;
        check_bits(choice.bits)?;
        if !self.ops_of(place).contains(&choice.op) {
            return Err(Error::input(
                &place.name,
                format!("kernel {}, groups {}", choice.op.kernel, choice.op.groups),
                "an op of the space that fits the layer",
            ));
        }
        Ok((choice.op, choice.bits))
    }

    /// Bit operations for a small image of h x w: Σ multiplications · bits², weights and activations having the same;
    /// fixed layers included, biases not. 32 bits count as 32.
    ///
    /// # Errors
    /// As [`Space::chosen`].
    pub fn bit_ops(&self, genotype: &Genotype, h: usize, w: usize) -> Result<f64> {
        let cost = |place: Place| {
            let (op, bits) = self.chosen(genotype, &place)?;
            Ok(multiplications(&place, op, h, w) * f64::from(bits).powi(2))
        };
        self.places().into_iter().map(cost).sum()
    }
}

/// Multiplications of a convolution on a small image of h x w.
pub(crate) fn multiplications(place: &Place, op: Op, h: usize, w: usize) -> f64 {
    let pixels = (h * w * place.scale * place.scale) as f64;
    pixels * (op.kernel * op.kernel * place.from * place.to / op.groups) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use quadrat_core::Seed;

    #[test]
    fn costs_are_multiplications_by_bits_squared() {
        let space = Space::default();
        let three = Op { kernel: 3, groups: 1 };
        let at = |bits| space.bit_ops(&space.uniform(three, bits), 10, 10).unwrap();
        let joined = 100.0 * 24.0 * 12.0 * 64.0;
        assert_eq!((at(8) - joined) / (at(4) - joined), 4.0);
        let layers = 100.0 * 9.0 * (6.0 * 144.0 + 144.0 + 4.0 * 9.0);
        assert_eq!(at(4), joined + layers * 16.0);
        let grouped = space.uniform(Op { kernel: 3, groups: 2 }, 4);
        assert_eq!(grouped.choices.last().unwrap().op.groups, 1, "three channels have no two groups");
    }

    #[test]
    fn genotypes_survive_json_and_are_checked() {
        let space = Space::default();
        let drawn = space.draw(&mut Seed(1).rng(0));
        let text = serde_json::to_string(&drawn).unwrap();
        assert_eq!(serde_json::from_str::<Genotype>(&text).unwrap(), drawn);
        assert_eq!(drawn.choices.len(), 8);
        let mut wrong = drawn.clone();
        wrong.choices[0].bits = 5;
        assert!(space.bit_ops(&wrong, 8, 8).is_err());
        wrong.choices.clear();
        assert!(space.bit_ops(&wrong, 8, 8).is_err());
        for space in [
            Space { channels: 10, ..Space::default() },
            Space { bits: vec![5], ..Space::default() },
            Space { ops: vec![], ..Space::default() },
            Space { ops: vec![Op { kernel: 2, groups: 1 }], ..Space::default() },
            Space { ops: vec![Op { kernel: 3, groups: 5 }], ..Space::default() },
        ] {
            assert!(space.check().is_err(), "{space:?}");
        }
    }
}
