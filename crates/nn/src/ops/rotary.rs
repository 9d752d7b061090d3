//! Positions as rotations (Su et al. 2021, arXiv 2104.09864).
//!
//! Two numbers of a head are a point of the plane; at position p the i-th of its pairs is turned by p θᵢ, θᵢ = base^(−2i/d).
//! The product of a query and a key then depends on how far apart their positions are, and on nothing else of them.

use burn_tensor::{Device, Tensor, TensorData};
use serde::{Deserialize, Serialize};

/// Which two of a head's d numbers make a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pairing {
    /// i and i + d / 2, as Llama's checkpoints have it.
    #[default]
    Halves,
    /// 2i and 2i + 1, as in the paper and GPT-J.
    Neighbours,
}

/// Rotations of queries and keys by their positions.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Rotary {
    /// What the slowest pair's frequency comes from: 10,000 in the paper, more for long contexts.
    pub base: f64,
    /// Which numbers make pairs.
    #[serde(default)]
    pub pairing: Pairing,
}

impl Default for Rotary {
    fn default() -> Self {
        Rotary { base: 1e4, pairing: Pairing::Halves }
    }
}

impl Rotary {
    /// The rotations of `length` positions, of which the first is `first`, in heads of `d` numbers, an even number.
    pub fn at(self, first: usize, length: usize, d: usize, device: &Device) -> Turn {
        let half = d / 2;
        // Angles in double precision: at position 100,000 single precision knows the first pair's only to a hundredth.
        let rates: Vec<f64> = (0..half).map(|pair| self.base.powf(-2.0 * pair as f64 / d as f64)).collect();
        let turns = (first..first + length).flat_map(|p| rates.iter().map(move |rate| (p as f64 * rate).sin_cos()));
        let turns: Vec<(f64, f64)> = turns.collect();
        let table = |of: fn(&(f64, f64)) -> f64| {
            let pair = |at: usize| match self.pairing {
                Pairing::Halves => at / d * half + at % half,
                Pairing::Neighbours => at / 2,
            };
            let values: Vec<f32> = (0..length * d).map(|at| of(&turns[pair(at)]) as f32).collect();
            Tensor::from_data(TensorData::new(values, [1, 1, length, d]), device)
        };
        Turn { sin: table(|turn| turn.0), cos: table(|turn| turn.1), pairing: self.pairing }
    }
}

/// Rotations of some positions, for all heads and layers.
#[derive(Debug, Clone)]
pub struct Turn {
    sin: Tensor<4>,
    cos: Tensor<4>,
    pairing: Pairing,
}

impl Turn {
    /// Heads (n x heads x positions x d) turned by their positions, in a few passes over them.
    pub fn turn(&self, x: Tensor<4>) -> Tensor<4> {
        let [n, heads, length, d] = x.dims();
        let half = d / 2;
        let quarter_turn = match self.pairing {
            Pairing::Halves => {
                let part = |from: usize| x.clone().slice([0..n, 0..heads, 0..length, from..from + half]);
                Tensor::cat(vec![part(half).neg(), part(0)], 3)
            }
            Pairing::Neighbours => {
                let pairs = x.clone().reshape([n, heads, length, half, 2]);
                let part = |i: usize| pairs.clone().slice([0..n, 0..heads, 0..length, 0..half, i..i + 1]);
                Tensor::cat(vec![part(1).neg(), part(0)], 4).reshape([n, heads, length, d])
            }
        };
        x * self.cos.clone() + quarter_turn * self.sin.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::{distance, flat, noise, numbers};
    use super::*;

    /// Complex numbers times e^(i p θ), one by one.
    fn plain(x: &[f32], heads: usize, length: usize, d: usize, first: usize, pairing: Pairing) -> Vec<f32> {
        let mut y = x.to_vec();
        for (place, row) in x.chunks_exact(d).enumerate() {
            for i in 0..d / 2 {
                let (a, b) = if pairing == Pairing::Halves { (i, i + d / 2) } else { (2 * i, 2 * i + 1) };
                let (sin, cos) = ((first + place % length) as f64 * 100f64.powf(-2.0 * i as f64 / d as f64)).sin_cos();
                let (re, im) = (f64::from(row[a]), f64::from(row[b]));
                y[place * d + a] = (re * cos - im * sin) as f32;
                y[place * d + b] = (re * sin + im * cos) as f32;
            }
        }
        assert_eq!(x.len() % (heads * length * d), 0);
        y
    }

    #[test]
    fn both_pairings_turn_their_pairs() {
        for pairing in [Pairing::Halves, Pairing::Neighbours] {
            let rotary = Rotary { base: 100.0, pairing };
            let x = noise(2 * 3 * 5 * 6, 1);
            let device = Device::flex();
            let turned = rotary.at(4, 5, 6, &device).turn(flat(&x, &device).reshape([2, 3, 5, 6]));
            assert!(distance(&numbers(turned), &plain(&x, 3, 5, 6, 4, pairing)) < 1e-6);
        }
    }

    /// q at p and k at r have the product that they have at p + s and r + s.
    #[test]
    fn products_depend_on_distances_alone() {
        let part = |seed: usize| flat(&noise(8, seed), &Device::flex()).reshape([1, 1, 1, 8]);
        for pairing in [Pairing::Halves, Pairing::Neighbours] {
            let rotary = Rotary { base: 1e4, pairing };
            let product = |p: usize, r: usize| {
                let turned = |seed: usize, at: usize| rotary.at(at, 1, 8, &Device::flex()).turn(part(seed));
                numbers((turned(1, p) * turned(2, r)).flatten::<1>(0, 3)).iter().sum::<f32>()
            };
            assert!((product(7, 3) - product(1007, 1003)).abs() < 1e-4);
            assert!((product(7, 3) - product(7, 4)).abs() > 1e-3);
        }
    }
}
