//! The parts of a transformer on rows in memory, for models that are asked and not trained: no tensors, and nothing kept
//! for a gradient.
//!
//! One thread: callers share out whole texts. A row comes out with the same bits whatever rows lie beside it.

use super::attention::soften;
use super::norm::moments;
use super::scalar;
use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use quadrat_numeric::vectorised;

/// Inputs that are multiplied at a time. Where there are more at once, some processors' products cut sums at places that
/// depend on the number of rows.
const STRETCH: usize = 256;

/// Into the rows of `y`: the rows of `x` times `weight`, plus `bias`. Row-major; `weight` has a row for each input, as it
/// lies in memory where the product reads it: a third faster than a row for each output with few rows of `x`, and every
/// sum is added in one order for any number of rows from 2 on. One row alone is added in another.
pub(crate) fn affine(x: &[f32], weight: &[f32], bias: &[f32], y: &mut [f32]) {
    let outputs = bias.len().max(1);
    let (rows, inputs) = (y.len() / outputs, weight.len() / outputs);
    y.chunks_exact_mut(outputs).for_each(|y| y.copy_from_slice(bias));
    let x = MatRef::from_row_major_slice(x, rows, inputs);
    for (i, weight) in weight.chunks(STRETCH * outputs).enumerate() {
        let some = weight.len() / outputs;
        let to = MatMut::from_row_major_slice_mut(y, rows, outputs);
        let weight = MatRef::from_row_major_slice(weight, some, outputs);
        matmul(to, Accum::Add, x.subcols(i * STRETCH, some), weight, 1.0, Par::Seq);
    }
}

/// Adds `y` to `x` and normalises the rows: mean 0 and variance 1 (to which `eps` is added), then scale and shift.
pub(crate) fn add_and_normalise(x: &mut [f32], y: &[f32], [scale, shift]: [&[f32]; 2], eps: f32) {
    vectorised(
        #[inline(always)]
        || {
            let width = scale.len().max(1);
            for (x, y) in x.chunks_exact_mut(width).zip(y.chunks_exact(width)) {
                for (x, y) in x.iter_mut().zip(y) {
                    *x += y;
                }
                let (mean, variance) = moments(x);
                let inverse = 1.0 / (variance + eps).sqrt();
                for (x, (scale, shift)) in x.iter_mut().zip(scale.iter().zip(shift)) {
                    *x = (*x - mean) * inverse * scale + shift;
                }
            }
        },
    );
}

/// x times the normal distribution function of x.
pub(crate) fn gelu(x: &mut [f32]) {
    vectorised(
        #[inline(always)]
        || {
            // Not `for_each`: that may become a function of its own, compiled without the wide vectors.
            for x in x {
                *x = scalar::gelu(*x).0;
            }
        },
    );
}

/// The same with the hyperbolic tangent in the distribution function's place (Hendrycks and Gimpel 2016).
pub(crate) fn gelu_tanh(x: &mut [f32]) {
    const ROOT: f32 = 0.797_884_6; // sqrt(2 / pi)
    vectorised(
        #[inline(always)]
        || {
            for x in x {
                *x *= 0.5 * (1.0 + scalar::tanh(ROOT * (*x + 0.044_715 * *x * *x * *x)));
            }
        },
    );
}

/// What the positions of one text take from each other: `qkv` has a row for each, with the queries of all heads, then
/// their keys, then their values; a row of `mixed` has the mixtures of all heads. `distance` is added to the scores: for
/// each head, a number for every distance from -(n - 1) to n - 1, for texts of up to n positions. `scores` is room to work.
pub(crate) fn attend(
    qkv: &[f32],
    [length, heads, each]: [usize; 3],
    distance: Option<&[f32]>,
    scores: &mut Vec<f32>,
    mixed: &mut [f32],
) {
    let width = heads * each;
    let scale = 1.0 / (each as f32).sqrt();
    scores.resize(length * length, 0.0);
    let all = MatRef::from_row_major_slice(qkv, length, 3 * width);
    for head in 0..heads {
        let part = |part: usize| all.subcols(part * width + head * each, each);
        let to = MatMut::from_row_major_slice_mut(scores, length, length);
        matmul(to, Accum::Replace, part(0), part(1).transpose(), 1.0, Par::Seq);
        match distance {
            None => soften(scores, length, scale, |_| length),
            Some(distance) => {
                let own = &distance[head * (distance.len() / heads)..][..distance.len() / heads];
                add_distances(scores, length, scale, own);
                soften(scores, length, 1.0, |_| length);
            }
        }
        let to = MatMut::from_row_major_slice_mut(mixed, length, width).subcols_mut(head * each, each);
        matmul(to, Accum::Replace, MatRef::from_row_major_slice(scores, length, length), part(2), 1.0, Par::Seq);
    }
}

/// Scores times `scale`, plus the number that belongs to the distance from the row's position to the column's.
fn add_distances(scores: &mut [f32], length: usize, scale: f32, distance: &[f32]) {
    let none = distance.len() / 2;
    for (i, row) in scores.chunks_exact_mut(length).enumerate() {
        row.iter_mut().zip(&distance[none - i..]).for_each(|(score, add)| *score = *score * scale + add);
    }
}

#[cfg(test)]
mod tests {
    use super::super::check::noise;
    use super::*;

    /// The rows of `x` times `weight`, sum by sum in double precision.
    fn product(x: &[f32], weight: &[f32], bias: &[f32]) -> Vec<f64> {
        let (outputs, inputs) = (bias.len(), weight.len() / bias.len());
        let of = |row: &[f32], o: usize| -> f64 {
            let terms = row.iter().enumerate().map(|(i, x)| f64::from(*x) * f64::from(weight[i * outputs + o]));
            terms.sum::<f64>() + f64::from(bias[o])
        };
        x.chunks_exact(inputs).flat_map(|row| (0..outputs).map(move |o| of(row, o))).collect()
    }

    #[test]
    fn products_are_right_and_a_row_is_the_same_among_any_others() {
        for (inputs, outputs) in [(32, 96), (33, 40), (384, 50), (768, 100), (1536, 24), (3072, 17)] {
            let (weight, bias, row) = (noise(inputs * outputs, 1), noise(outputs, 2), noise(inputs, 3));
            let mut known: Option<Vec<f32>> = None;
            for rows in [2, 3, 8, 16, 29, 64, 104, 256, 512] {
                for place in [0, rows / 2, rows - 1] {
                    let mut x = noise(rows * inputs, rows);
                    x[place * inputs..][..inputs].copy_from_slice(&row);
                    let mut y = vec![0.0; rows * outputs];
                    affine(&x, &weight, &bias, &mut y);
                    let want = product(&x, &weight, &bias);
                    let error = want.iter().zip(&y).map(|(a, b)| (a - f64::from(*b)).abs());
                    assert!(error.fold(0.0, f64::max) < 2e-4, "{inputs} x {outputs}, {rows} rows");
                    let own = y[place * outputs..][..outputs].to_vec();
                    assert_eq!(known.get_or_insert_with(|| own.clone()), &own, "{rows} rows, place {place}");
                }
            }
        }
    }

    #[test]
    fn activations_are_those_of_their_formulas() {
        let points: Vec<f32> = (-800..=800).map(|i| i as f32 * 0.01).collect();
        let (mut exact, mut by_tanh) = (points.clone(), points.clone());
        gelu(&mut exact);
        gelu_tanh(&mut by_tanh);
        for (i, &x) in points.iter().enumerate() {
            let wide = f64::from(x);
            let want = 0.5 * wide * (1.0 + (0.797_884_560_802_865_4 * (wide + 0.044_715 * wide.powi(3))).tanh());
            assert!((f64::from(by_tanh[i]) - want).abs() < 2e-6, "{x}");
            // The two forms differ by less than this.
            assert!((by_tanh[i] - exact[i]).abs() < 5e-4, "{x}");
        }
    }

    #[test]
    fn attention_is_its_formula_with_and_without_distances() {
        let [length, heads, each] = [5, 2, 3];
        let qkv = noise(length * 3 * heads * each, 7);
        let distance = noise(heads * (2 * 9 - 1), 8);
        for table in [None, Some(&distance[..])] {
            let (mut scores, mut mixed) = (Vec::new(), vec![0.0; length * heads * each]);
            attend(&qkv, [length, heads, each], table, &mut scores, &mut mixed);
            let at = |part: usize, row: usize, head: usize, c: usize| {
                f64::from(qkv[row * 3 * heads * each + (part * heads + head) * each + c])
            };
            for head in 0..heads {
                for i in 0..length {
                    let weight = |j: usize| {
                        let score: f64 = (0..each).map(|c| at(0, i, head, c) * at(1, j, head, c)).sum();
                        let add = table.map_or(0.0, |table| f64::from(table[head * 17 + 8 + j - i]));
                        (score / (each as f64).sqrt() + add).exp()
                    };
                    let sum: f64 = (0..length).map(weight).sum();
                    for c in 0..each {
                        let want: f64 = (0..length).map(|j| weight(j) / sum * at(2, j, head, c)).sum();
                        let got = f64::from(mixed[i * heads * each + head * each + c]);
                        assert!((got - want).abs() < 1e-5, "head {head}, position {i}");
                    }
                }
            }
        }
    }
}
