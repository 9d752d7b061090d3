//! Mixtures of normals: the stand-ins for the ideal densities, fitted to weighted points by cross-entropy.

use super::{Covariance, Family};
use crate::laws::lower_inverse;
use ndarray::{Array2, ArrayView2};
use quadrat_core::Rng;
use quadrat_numeric::RowMajor;
use rayon::prelude::*;

/// Share of the input's own variance that is added to every fitted variance, so that no fit collapses.
const RIDGE: f64 = 1e-6;
/// Rounds of the EM algorithm at most, and the relative change of the likelihood at which it stops.
const EM_ROUNDS: usize = 500;
const EM_CHANGE: f64 = 1e-5;
/// Points that are handled together, so that the inner loops run over contiguous numbers.
const BLOCK: usize = 128;

/// A mixture of normals on R^d.
#[derive(Debug, Clone)]
pub struct NormalMixture {
    components: Vec<Normal>,
}

#[derive(Debug, Clone)]
struct Normal {
    weight: f64,
    mean: Vec<f64>,
    /// L with L L^T the covariance.
    factor: Array2<f64>,
    inverse: Array2<f64>,
    /// The logarithm of weight / (sqrt(2 pi)^d det L).
    ln_height: f64,
}

impl Normal {
    /// The normal with the weighted mean and covariance of the points; `None` where the weights vanish.
    fn fit(x: ArrayView2<f64>, c: &[f64], covariance: Covariance, ridge: &[f64]) -> Option<Normal> {
        let d = x.ncols();
        let total: f64 = c.iter().sum();
        if !(total > 0.0 && total.is_finite()) {
            return None;
        }
        let mut mean = vec![0.0; d];
        let mut squares = 0.0;
        for (row, c) in x.rows().into_iter().zip(c) {
            squares += (c / total).powi(2);
            mean.iter_mut().zip(row).for_each(|(m, x)| *m += c / total * x);
        }
        let mut cov = Array2::<f64>::zeros((d, d));
        let mut off = vec![0.0; d];
        for (row, c) in x.rows().into_iter().zip(c).filter(|(_, c)| **c > 0.0) {
            off.iter_mut().zip(row).zip(&mean).for_each(|((o, x), m)| *o = x - m);
            for (i, mut line) in cov.rows_mut().into_iter().enumerate() {
                let scaled = c / total * off[i];
                line.iter_mut().zip(&off[..=i]).for_each(|(s, o)| *s += scaled * o);
            }
        }
        cov.diag_mut().iter_mut().zip(ridge).for_each(|(v, ridge)| *v += ridge);
        // Fewer effective points than a covariance has directions would leave directions to chance.
        let few = 1.0 / squares < 2.0 * d as f64;
        let full = covariance == Covariance::Full && !few;
        let factor = full.then(|| cholesky(&cov)).flatten();
        let factor = factor.unwrap_or_else(|| Array2::from_diag(&cov.diag().mapv(f64::sqrt)));
        let inverse = lower_inverse(&factor);
        let ln_det: f64 = factor.diag().iter().map(|v| v.ln()).sum();
        let ln_height = -ln_det - 0.5 * d as f64 * (2.0 * std::f64::consts::PI).ln();
        Some(Normal { weight: 1.0, mean, factor, inverse, ln_height })
    }

    fn weighted(mut self, weight: f64) -> Normal {
        self.ln_height += (weight / self.weight).ln();
        self.weight = weight;
        self
    }

    /// Adds exp of the logarithm of the density at a block of points, given transposed, to `ln` by log-sum-exp.
    fn ln_pdf_block(&self, transposed: &[f64], n: usize, scratch: &mut [f64; BLOCK], ln: &mut [f64]) {
        ln.fill(0.0);
        for i in 0..self.mean.len() {
            let score = &mut scratch[..n];
            score.fill(0.0);
            for k in 0..=i {
                let (scale, mean) = (self.inverse[[i, k]], self.mean[k]);
                if scale != 0.0 {
                    let x = &transposed[k * n..(k + 1) * n];
                    score.iter_mut().zip(x).for_each(|(s, x)| *s += scale * (x - mean));
                }
            }
            ln.iter_mut().zip(&*score).for_each(|(ln, s)| *ln -= 0.5 * s * s);
        }
        ln.iter_mut().for_each(|ln| *ln += self.ln_height);
    }
}

/// L with L L^T = A, for the small matrices that are factored thousands of times; `None` unless positive definite.
fn cholesky(a: &Array2<f64>) -> Option<Array2<f64>> {
    let d = a.nrows();
    let mut l = Array2::<f64>::zeros((d, d));
    for i in 0..d {
        for k in 0..=i {
            let dot: f64 = (0..k).map(|m| l[[i, m]] * l[[k, m]]).sum();
            let left = a[[i, k]] - dot;
            l[[i, k]] = if i == k { left.sqrt() } else { left / l[[k, k]] };
        }
        // NaN for a negative pivot, 0 for a vanishing one.
        if l[[i, i]].is_nan() || l[[i, i]] <= 1e-8 * a[[i, i]].sqrt() {
            return None;
        }
    }
    Some(l)
}

impl NormalMixture {
    /// One normal.
    ///
    /// # Panics
    /// Never: a covariance that is not positive definite keeps its diagonal only.
    pub fn normal(mean: Vec<f64>, covariance: &Array2<f64>) -> NormalMixture {
        let factor = cholesky(covariance).unwrap_or_else(|| Array2::from_diag(&covariance.diag().mapv(f64::sqrt)));
        let inverse = lower_inverse(&factor);
        let ln_det: f64 = factor.diag().iter().map(|v| v.ln()).sum();
        let ln_height = -ln_det - 0.5 * mean.len() as f64 * (2.0 * std::f64::consts::PI).ln();
        NormalMixture { components: vec![Normal { weight: 1.0, mean, factor, inverse, ln_height }] }
    }

    /// The mixture that minimises the cross-entropy to the weighted points (n x d): weighted moments for one normal,
    /// weighted EM for several. `scales` are the variances of the inputs, `rng` starts EM. `None` where the weights
    /// vanish.
    pub(super) fn fit(
        x: ArrayView2<f64>,
        c: &[f64],
        family: Family,
        covariance: Covariance,
        scales: &[f64],
        rng: &mut Rng,
    ) -> Option<NormalMixture> {
        let ridge: Vec<f64> = scales.iter().map(|v| RIDGE * v).collect();
        match family {
            Family::Single => Some(NormalMixture { components: vec![Normal::fit(x, c, covariance, &ridge)?] }),
            Family::Mixture(k) => em(x, c, k, covariance, scales, &ridge, rng),
        }
    }

    /// A draw into `x`.
    pub fn draw(&self, rng: &mut Rng, x: &mut [f64]) {
        let weights: Vec<f64> = self.components.iter().map(|c| c.weight).collect();
        let Normal { mean, factor, .. } = &self.components[rng.weighted(&weights)];
        x.iter_mut().for_each(|x| *x = rng.normal());
        for i in (0..x.len()).rev() {
            x[i] = mean[i] + (0..=i).map(|k| factor[[i, k]] * x[k]).sum::<f64>();
        }
    }
}

/// ln g_j at every row of `x`: n x J. Cost: n x d^2 / 2 for each component.
pub fn ln_densities(mixtures: &[NormalMixture], x: ArrayView2<f64>) -> Array2<f64> {
    let (n, d) = x.dim();
    let j = mixtures.len();
    let mut out = vec![0.0; n * j];
    let x = RowMajor::of(x);
    out.par_chunks_mut(BLOCK * j.max(1)).zip(x.values().par_chunks(BLOCK * d)).for_each(|(out, x)| {
        let n = x.len() / d;
        let mut transposed = vec![0.0; x.len()];
        for (i, row) in x.chunks_exact(d).enumerate() {
            row.iter().enumerate().for_each(|(k, v)| transposed[k * n + i] = *v);
        }
        let (mut scratch, mut ln, mut sum) = ([0.0; BLOCK], [0.0; BLOCK], [0.0; BLOCK]);
        for (target, mixture) in mixtures.iter().enumerate() {
            let (first, others) = mixture.components.split_first().map_or((None, &[][..]), |(f, o)| (Some(f), o));
            if let Some(first) = first {
                first.ln_pdf_block(&transposed, n, &mut scratch, &mut sum[..n]);
            }
            for other in others {
                other.ln_pdf_block(&transposed, n, &mut scratch, &mut ln[..n]);
                sum[..n].iter_mut().zip(&ln).for_each(|(s, ln)| *s = ln_add(*s, *ln));
            }
            out.iter_mut().skip(target).step_by(j).zip(&sum).for_each(|(out, s)| *out = *s);
        }
    });
    Array2::from_shape_fn((n, j), |(i, target)| out[i * j + target])
}

/// ln(e^a + e^b).
pub(super) fn ln_add(a: f64, b: f64) -> f64 {
    let (low, high) = if a < b { (a, b) } else { (b, a) };
    if low == f64::NEG_INFINITY { high } else { high + (low - high).exp().ln_1p() }
}

/// Weighted EM from labels by the nearest of k points, drawn by weight.
fn em(
    x: ArrayView2<f64>,
    c: &[f64],
    k: usize,
    covariance: Covariance,
    scales: &[f64],
    ridge: &[f64],
    rng: &mut Rng,
) -> Option<NormalMixture> {
    let total: f64 = c.iter().sum();
    let centres = rng.weighted_sample(c, k);
    let distance = |row: usize, centre: usize| -> f64 {
        x.row(row).iter().zip(x.row(centre)).zip(scales).map(|((a, b), scale)| (a - b).powi(2) / scale).sum()
    };
    let mut shares = Array2::<f64>::zeros((centres.len(), x.nrows()));
    for row in 0..x.nrows() {
        let distances: Vec<f64> = centres.iter().map(|centre| distance(row, *centre)).collect();
        let nearest = (0..distances.len()).min_by(|a, b| distances[*a].total_cmp(&distances[*b]))?;
        shares[[nearest, row]] = c[row];
    }
    let mut before = f64::NEG_INFINITY;
    let mut fitted = None;
    for _ in 0..EM_ROUNDS {
        let components: Vec<Normal> = shares
            .rows()
            .into_iter()
            .filter_map(|share| {
                let share = share.to_vec();
                let weight = share.iter().sum::<f64>() / total;
                // Empty components drop out.
                (weight > 1e-12).then(|| Normal::fit(x, &share, covariance, ridge))?.map(|n| n.weighted(weight))
            })
            .collect();
        let singles: Vec<NormalMixture> =
            components.iter().map(|c| NormalMixture { components: vec![c.clone()] }).collect();
        let ln = ln_densities(&singles, x);
        shares = Array2::zeros((components.len(), x.nrows()));
        let mut likelihood = 0.0;
        for (row, ln) in ln.rows().into_iter().enumerate() {
            let sum = ln.iter().fold(f64::NEG_INFINITY, |sum, ln| ln_add(sum, *ln));
            likelihood += c[row] / total * sum;
            for (component, ln) in ln.iter().enumerate() {
                shares[[component, row]] = c[row] * (ln - sum).exp();
            }
        }
        let still = (likelihood - before).abs() < EM_CHANGE * likelihood.abs().max(1e-300);
        fitted = (!components.is_empty()).then_some(NormalMixture { components });
        if still || fitted.is_none() {
            break;
        }
        before = likelihood;
    }
    fitted
}
