//! Points without limit of precision: on each axis a range coder writes the tokens that cut it.

use super::{AriEl, Decoded, Walk};
use crate::coder::{BitString, RangeDecoder, RangeEncoder};
use ndarray::Array2;
use quadrat_core::{Choice, Error, Progress, Result, Seed, checkpoint};
use quadrat_numeric::low_discrepancy::Sobol;
use rayon::prelude::*;

/// A box as the binary fractions that begin in a certain way, one a dimension: all its points decode to the sentence.
#[derive(Debug, Clone, PartialEq)]
pub struct ExactBox {
    /// How the fractions begin; together at most 2 bits a dimension more than the sentence's probability asks for.
    pub bits: Vec<BitString>,
    /// Natural logarithm of the sentence's probability.
    pub log_volume: f64,
}

impl ExactBox {
    /// The point in its middle, and whether double precision is enough for it: if not, the nearest one below may decode to something else
    /// after some tokens.
    pub fn centre(&self) -> (Vec<f64>, bool) {
        let middles: Vec<(f64, bool)> = self.bits.iter().map(BitString::middle).collect();
        (middles.iter().map(|(z, _)| *z).collect(), middles.iter().all(|(_, exact)| *exact))
    }
}

/// Points to draw sentences by. Each of them is uniform in the cube, so that each sentence has the model's law; together they are as even
/// as their kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Choice)]
pub enum PointSet {
    /// Independent ones.
    Independent,
    /// Scrambled Sobol' points.
    Sobol,
    /// Equal steps from a random start: one dimension only.
    Lattice,
}

impl PointSet {
    /// Such points, one a row.
    ///
    /// # Errors
    /// No dimensions, a lattice of more than one, or more than Sobol' points have.
    pub fn points(self, n: usize, dims: usize, seed: Seed) -> Result<Array2<f64>> {
        match self {
            PointSet::Independent => {
                let mut points = Array2::zeros((n, dims));
                for (mut row, i) in points.outer_iter_mut().zip(0..) {
                    let mut rng = seed.rng(i);
                    row.iter_mut().for_each(|u| *u = rng.uniform());
                }
                Ok(points)
            }
            PointSet::Sobol => Sobol::scrambled(dims, seed)?.points(0, n),
            PointSet::Lattice if dims == 1 => {
                let start = seed.rng(0).uniform();
                Ok(Array2::from_shape_fn((n, 1), |(i, _)| (i as f64 + start) / n as f64))
            }
            PointSet::Lattice => Err(Error::input("dims", dims, "1 for a lattice; take Sobol' points for more")),
        }
    }
}

impl<'m> AriEl<'m> {
    /// As [`encode`](AriEl::encode), at any length.
    ///
    /// # Errors
    /// As there, but for a lack of precision.
    pub fn encode_exact(&self, sentence: &[u32]) -> Result<ExactBox> {
        let mut walk = self.walk()?;
        let mut axes = vec![RangeEncoder::new(); self.coding.dims];
        let mut log_volume = 0.0;
        for j in 0..sentence.len() {
            let piece = walk.piece(sentence, j)?;
            axes[j % self.coding.dims].push(piece);
            log_volume += piece.share().ln();
        }
        Ok(ExactBox { bits: axes.into_iter().map(RangeEncoder::finish).collect(), log_volume })
    }

    /// The sentence of the fractions that begin so, or its first `longest` tokens. What follows is taken for zeros.
    ///
    /// # Errors
    /// No dimensions, or another number of them.
    pub fn decode_exact(&self, bits: &[BitString]) -> Result<Decoded> {
        if bits.len() != self.coding.dims {
            let want = format!("{}, as coded", self.coding.dims);
            return Err(Error::input("point", format!("{} dimensions", bits.len()), want));
        }
        self.read(&mut self.walk()?, bits.iter().map(|bits| RangeDecoder::new(bits.chunks())).collect())
    }

    /// As [`decode_exact`](AriEl::decode_exact), for a point whose coordinates are double-precision numbers, taken as they are.
    ///
    /// # Errors
    /// A point of another number of dimensions, or with a coordinate that is no finite number.
    pub fn decode_point(&self, point: &[f64]) -> Result<Decoded> {
        let axes = self.inside(point)?.into_iter().map(|z| {
            // Scaling by a power of two is exact.
            let digits = (z * 2.0_f64.powi(128)) as u128;
            RangeDecoder::new((0..8).map(move |at| (digits >> (112 - 16 * at)) as u16))
        });
        self.read(&mut self.walk()?, axes.collect())
    }

    /// Draws `n` sentences by points of a kind. The points' first 48 binary digits choose, random ones follow, so that there is no limit
    /// to a sentence's length.
    ///
    /// # Errors
    /// As [`PointSet::points`] and [`decode_exact`](AriEl::decode_exact); cancelled.
    pub fn sample(&self, points: PointSet, n: usize, seed: Seed, progress: &dyn Progress) -> Result<Vec<Decoded>> {
        self.walk()?;
        let points = points.points(n, self.coding.dims, seed.stream("points"))?;
        progress.begin("sentences", Some(n as u64));
        let one = |walk: &mut Option<Walk<'m>>, i: usize| {
            checkpoint(progress)?;
            let walk = match walk {
                Some(walk) => walk,
                None => walk.insert(self.walk()?),
            };
            walk.again();
            let axes = points.row(i).into_iter().zip(0..).map(|(&u, axis)| {
                let digits = (u * 2.0_f64.powi(48)) as u64;
                let mut rng = seed.stream("digits").rng(i as u64 * self.coding.dims as u64 + axis);
                let after = std::iter::repeat_with(move || rng.next_u64() as u16);
                RangeDecoder::new((0..3).map(move |at| (digits >> (32 - 16 * at)) as u16).chain(after))
            });
            let decoded = self.read(walk, axes.collect());
            progress.advance(1);
            decoded
        };
        (0..n).into_par_iter().map_init(|| None, one).collect()
    }

    fn read<I: Iterator<Item = u16>>(&self, walk: &mut Walk, mut axes: Vec<RangeDecoder<I>>) -> Result<Decoded> {
        let mut decoded = Decoded::nothing();
        while !decoded.ended && decoded.tokens.len() < self.coding.longest {
            let axis = decoded.tokens.len() % axes.len();
            let table = walk.table(decoded.tokens.last())?;
            let token = axes[axis].pull(table);
            let piece = table.interval(token);
            decoded.add(token as u32, piece, walk.ends);
        }
        Ok(decoded)
    }
}
