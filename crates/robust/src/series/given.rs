//! What a pass is given: series as plain numbers, from which masks and last values are made, and as tensors.

use super::obs_dropout::Kept;
use super::scale::Shape;
use ndarray::ArrayView2;
use quadrat_core::{Error, Result, Rng, Seed};
use quadrat_nn::{Forward, Inputs, Tensor, tensor_of};
use std::f32::consts::TAU;

/// The series of one pass.
pub(super) struct Given {
    /// Series, times, channels.
    pub size: [usize; 3],
    /// Standardised values, 0 in holes: series x times x channels.
    pub values: Vec<f32>,
    /// 1 where observed.
    pub mask: Vec<f32>,
    /// Steps since each series began: series x times.
    pub times: Vec<f32>,
    /// Times of each series; the others are padding.
    pub lengths: Vec<usize>,
    rows: Vec<u64>,
    tracked: bool,
}

/// Periods of the time code, in steps.
const PERIODS: [f32; 4] = [4.0, 16.0, 64.0, 256.0];
/// Numbers that tell a time: a sine and a cosine for each period.
pub(super) const CODE: usize = 2 * PERIODS.len();

impl Given {
    /// The rows that [`Scale::samples`](super::Scale::samples) made.
    pub fn of(inputs: &Inputs, shape: &Shape) -> Result<Self> {
        let numbers = inputs.numbers();
        let whole = |name: &str| -> Result<Vec<f32>> { Ok(plain(inputs.whole(name)?.float())) };
        Ok(Given {
            size: [inputs.rows(), shape.length, shape.channels],
            tracked: numbers.is_autodiff(),
            mask: plain(inputs.other("mask")?),
            times: plain(inputs.other("time")?),
            lengths: whole("length")?.into_iter().map(|v| v as usize).collect(),
            rows: whole("row")?.into_iter().map(|v| v as u64).collect(),
            values: plain(numbers),
        })
    }

    /// Plain numbers as a tensor of this pass.
    pub fn tensor(&self, values: &[f32], shape: [usize; 3]) -> Result<Tensor<3>> {
        let rows = ArrayView2::from_shape((shape[0], shape[1] * shape[2]), values);
        let rows = rows.map_err(|e| Error::numeric("series", e.to_string()))?;
        Ok(tensor_of(rows, self.tracked).reshape(shape))
    }

    /// 1 for the times of each series and 0 for padding, each series `k` times: (k series) x times x 1.
    pub fn valid(&self, k: usize) -> Result<Tensor<3>> {
        let [n, t, _] = self.size;
        let valid: Vec<f32> = self.repeated(k, |i, out| out.extend((0..t).map(|t| f32::from(t < self.lengths[i]))));
        self.tensor(&valid, [n * k, t, 1])
    }

    /// The code of each time, each series `k` times: (k series) x times x [`CODE`].
    pub fn code(&self, k: usize) -> Result<Tensor<3>> {
        let [n, t, _] = self.size;
        let code = self.repeated(k, |i, out| {
            for time in &self.times[i * t..(i + 1) * t] {
                out.extend(
                    PERIODS.iter().flat_map(|period| [(TAU * time / period).sin(), (TAU * time / period).cos()]),
                );
            }
        });
        self.tensor(&code, [n * k, t, CODE])
    }

    /// Values of all observed entries, each series `k` times.
    pub fn observed(&self, k: usize) -> Result<[Tensor<3>; 2]> {
        let [n, t, d] = self.size;
        let each = |all: &[f32]| self.repeated(k, |i, out| out.extend(&all[i * t * d..(i + 1) * t * d]));
        let shape = [n * k, t, d];
        Ok([self.tensor(&each(&self.values), shape)?, self.tensor(&each(&self.mask), shape)?])
    }

    /// Everything that was observed, with the last values and the times since.
    pub fn all_kept(&self) -> Kept {
        let mut kept = Kept { mask: self.mask.clone(), ..Kept::default() };
        (0..self.size[0]).for_each(|i| kept.push_last(self, i, i));
        kept
    }

    /// What `one` makes of each series, k times.
    fn repeated(&self, k: usize, one: impl Fn(usize, &mut Vec<f32>)) -> Vec<f32> {
        let (mut out, mut each) = (Vec::new(), Vec::new());
        for i in 0..self.size[0] {
            each.clear();
            one(i, &mut each);
            (0..k).for_each(|_| out.extend_from_slice(&each));
        }
        out
    }

    /// Where the pass's chance comes from: its own stream in training, else one for each series, so that what is said of a series
    /// depends neither on its neighbours nor on the size of the blocks.
    pub fn chance(&self, forward: &mut Forward, seed: Seed) -> Chance {
        let rngs = match forward.is_training() {
            true => vec![Seed(forward.rng().next_u64()).rng(0)],
            false => self.rows.iter().map(|row| seed.stream("draws").rng(*row)).collect(),
        };
        Chance { rngs }
    }
}

/// Numbers of a tensor, which may be part of a graph.
pub(super) fn plain<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    let tensor = if tensor.is_autodiff() { tensor.inner() } else { tensor };
    tensor.into_data().try_into_vec().unwrap_or_default()
}

/// Streams of chance, one for all series or one each.
pub(super) struct Chance {
    rngs: Vec<Rng>,
}

impl Chance {
    /// The stream of series i.
    pub fn of(&mut self, i: usize) -> &mut Rng {
        let n = self.rngs.len();
        &mut self.rngs[i % n]
    }

    /// `each` standard normal numbers for each of n series.
    pub fn normals(&mut self, n: usize, each: usize) -> Vec<f32> {
        let mut out = Vec::with_capacity(n * each);
        for i in 0..n {
            let rng = self.of(i);
            out.extend((0..each).map(|_| rng.normal() as f32));
        }
        out
    }
}
