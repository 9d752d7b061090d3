//! Monotone functions of one coordinate each: on \[−50, 50\] the slope is linear between 33 knots, which lie the denser the nearer
//! to 0, and 1 at the ends and beyond. Its knots' heights are learnt; that the function maps the interval onto itself scales them.

use crate::pde::field::plain;
use ndarray::Array2;
use quadrat_core::{Error, Result};
use quadrat_nn::{Init, Jet, Role, Spec, Tensor, tensor_of};

pub(super) struct Monotone;

/// Half the interval.
const REACH: f64 = 50.0;
/// Bins on each side of 0, each so many times as wide as the one before it.
const HALF: usize = 16;
const RATIO: f64 = 1.2;
const BINS: usize = 2 * HALF;

/// The knots, ascending.
fn knots() -> Vec<f64> {
    let first = REACH * (RATIO - 1.0) / (RATIO.powi(HALF as i32) - 1.0);
    let side = |i: usize| first * (RATIO.powi(i as i32) - 1.0) / (RATIO - 1.0);
    (0..=BINS).map(|i| if i < HALF { -side(HALF - i) } else { side(i - HALF) }).collect()
}

/// The bin that a number is in; none outside the interval.
fn bin(knots: &[f64], v: f64) -> Option<usize> {
    let inside = v > knots[0] && v < knots[BINS];
    inside.then(|| knots.partition_point(|knot| *knot <= v) - 1)
}

impl Monotone {
    /// Logarithms of the inner knots' heights, a row a coordinate; all 0 is the identity.
    pub fn spec(name: &str, dims: usize) -> Spec {
        Spec::new(name, &[dims, BINS - 1], Role::Other, Init::Constant(0.0))
    }

    /// The functions of z's columns, and the sums of the logarithms of their slopes.
    pub fn apply(heights: Tensor<2>, z: Jet) -> Result<(Jet, Jet)> {
        let knots = knots();
        let value = plain(&z.value())?;
        let (n, d) = value.dim();
        let tracked = z.value().is_autodiff();
        let table = table(heights, &knots)?;
        // The last row of the table is the identity, for what is outside.
        let bins = value.indexed_iter().map(|((_, k), v)| (k, bin(&knots, f64::from(*v))));
        let bins: Vec<(usize, Option<usize>)> = bins.collect();
        let rows = bins.iter().map(|(k, bin)| bin.map_or(d * BINS, |bin| k * BINS + bin) as f32).collect();
        let left = bins.iter().map(|(_, bin)| bin.map_or(0.0, |bin| -knots[bin] as f32)).collect();
        let numbers = |shape, values| Ok(tensor_of(quadrat_numeric::matrix(shape, values)?.view(), tracked));
        let rows = table.select(0, numbers((n * d, 1), rows)?.reshape([n * d]).int());
        let column = |c: usize| rows.clone().slice([0..n * d, c..c + 1]).reshape([n, d]);
        let (start, height, tilt) = (column(0), column(1), column(2));
        let t = z.shifted(numbers((n, d), left)?);
        let along = t.value();
        let slope = height.clone() + tilt.clone() * along.clone();
        let y = start + height * along.clone() + tilt.clone() * along.clone().square() * 0.5;
        let none = along.zeros_like();
        let ln_slope = t.clone().through(slope.clone().log(), tilt / slope.clone(), none.clone());
        Ok((t.through(y, slope, none), ln_slope.turned(|x| x.sum_dim(1))))
    }

    /// The number that the function with these heights (logarithms) takes to `y`.
    pub fn inverse(heights: &[f32], y: f64) -> f64 {
        let knots = knots();
        let slopes = slopes(heights, &knots);
        let mut start = -REACH;
        if y <= start {
            return y;
        }
        for i in 0..BINS {
            let width = knots[i + 1] - knots[i];
            let next = start + 0.5 * (slopes[i] + slopes[i + 1]) * width;
            if y < next {
                let (tilt, over) = ((slopes[i + 1] - slopes[i]) / width, y - start);
                // The root of h t + k t²/2 = over, in the form without cancellation.
                let root = (slopes[i] * slopes[i] + 2.0 * tilt * over).max(0.0).sqrt();
                return knots[i] + 2.0 * over / (slopes[i] + root);
            }
            start = next;
        }
        y
    }
}

/// What a knot's height counts for in the function's range: half the bins beside it.
fn shares(knots: &[f64]) -> Vec<f64> {
    (1..BINS).map(|i| 0.5 * (knots[i + 1] - knots[i - 1])).collect()
}

/// What the inner knots have to share: the interval without the halves of the outer bins that the ends' heights of 1 fill.
fn left_over(knots: &[f64]) -> f64 {
    2.0 * REACH - 0.5 * (knots[1] - knots[0]) - 0.5 * (knots[BINS] - knots[BINS - 1])
}

/// Slopes at all knots, in plain numbers.
fn slopes(heights: &[f32], knots: &[f64]) -> Vec<f64> {
    let raw: Vec<f64> = heights.iter().map(|h| f64::from(*h).exp()).collect();
    let sum: f64 = raw.iter().zip(shares(knots)).map(|(raw, share)| raw * share).sum();
    let inner = raw.iter().map(|raw| raw * left_over(knots) / sum);
    std::iter::once(1.0).chain(inner).chain([1.0]).collect()
}

/// For each coordinate and bin the value at its left knot, the slope there, and the slope's own slope; then a row of the identity.
fn table(heights: Tensor<2>, knots: &[f64]) -> Result<Tensor<2>> {
    let [d, inner] = heights.dims();
    if inner != BINS - 1 {
        return Err(Error::input("heights", inner, format!("{} for each coordinate", BINS - 1)));
    }
    let (tracked, device) = (heights.is_autodiff(), heights.device());
    let constant = |rows: usize, cols: usize, f: &dyn Fn(usize, usize) -> f64| {
        tensor_of(Array2::from_shape_fn((rows, cols), |(i, j)| f(i, j) as f32).view(), tracked)
    };
    let share = shares(knots);
    let raw = heights.exp();
    let sums = raw.clone().matmul(constant(inner, 1, &|i, _| share[i]));
    let scaled = raw * (sums.recip() * left_over(knots) as f32);
    let ends = Tensor::ones([d, 1], &device);
    let slopes = Tensor::cat(vec![ends.clone(), scaled, ends], 1);
    let left = slopes.clone().slice([0..d, 0..BINS]);
    let width = |i: usize| knots[i + 1] - knots[i];
    // Each is a product with a constant matrix: differences over the width, and areas of the bins before.
    let tilt = slopes.clone().matmul(constant(BINS + 1, BINS, &|i, j| {
        let sign = f64::from(u8::from(i == j + 1)) - f64::from(u8::from(i == j));
        sign / width(j)
    }));
    let start = slopes.matmul(constant(BINS + 1, BINS, &|i, j| {
        let half = |bin: usize| if bin < j { 0.5 * width(bin) } else { 0.0 };
        (if i < BINS { half(i) } else { 0.0 }) + if i > 0 { half(i - 1) } else { 0.0 }
    })) - REACH as f32;
    let flat = |t: Tensor<2>| t.reshape([d * BINS, 1]);
    let rows = Tensor::cat(vec![flat(start), flat(left), flat(tilt)], 1);
    let identity = constant(1, 3, &|_, j| f64::from(u8::from(j == 1)));
    Ok(Tensor::cat(vec![rows, identity], 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knots_fill_the_interval_and_grow() {
        let knots = knots();
        assert_eq!((knots.len(), knots[HALF]), (BINS + 1, 0.0));
        assert!((knots[0] + REACH).abs() < 1e-9 && (knots[BINS] - REACH).abs() < 1e-9);
        for i in HALF..BINS - 1 {
            let ratio = (knots[i + 2] - knots[i + 1]) / (knots[i + 1] - knots[i]);
            assert!((ratio - RATIO).abs() < 1e-9);
        }
        assert_eq!((bin(&knots, 0.1), bin(&knots, -0.1), bin(&knots, 50.5)), (Some(HALF), Some(HALF - 1), None));
    }
}
