//! The scaled non-central chi-square of greatest likelihood.

use super::Law;
use quadrat_core::stats;
use quadrat_numeric::simplex::nelder_mead;
use quadrat_numeric::special::log_noncentral_chi_square_pdf;
use rayon::prelude::*;

/// Squared mean over variance beyond which a sample is narrow.
const NARROW: f64 = 1e5;

/// Errors as their logarithms see them.
///
/// The log density of the law is smooth in ln e, so its sum over ten thousand errors is that of its Chebyshev
/// interpolant in ln e: a weighted sum over some thirty nodes, exact to about ten digits. The weights depend on the
/// errors alone. That makes a likelihood a hundred times cheaper, and a bootstrap resample a sum of rows.
pub(super) struct Sample {
    /// Errors are in units of this, their mean.
    pub unit: f64,
    /// Nodes, as errors.
    nodes: Vec<f64>,
    /// What each error adds to each node's weight, and first and second powers of the error: errors x (nodes + 2).
    basis: Vec<f64>,
}

impl Sample {
    pub fn new(losses: &[f64]) -> Sample {
        let unit = stats::mean(losses);
        let logs: Vec<f64> = losses.iter().map(|l| (l / unit).ln()).collect();
        let (low, high) = logs.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(*v), h.max(*v)));
        let (middle, reach) = (0.5 * (low + high), 0.5 * (high - low));
        // The nearest singularity is pi away from the axis, so a wider range needs more nodes for the same ten digits.
        let count = (18.0 + 10.0 * reach).min(256.0) as usize;
        let places: Vec<f64> =
            (0..count).map(|k| (std::f64::consts::PI * k as f64 / (count - 1) as f64).cos()).collect();
        let width = count + 2;
        let mut basis = vec![0.0; losses.len() * width];
        basis.par_chunks_mut(width).zip(logs.par_iter().zip(losses)).for_each(|(row, (log, loss))| {
            let at = ((log - middle) / reach).clamp(-1.0, 1.0);
            let (row, powers) = row.split_at_mut(count);
            barycentric(&places, at, row);
            powers[0] = loss / unit;
            powers[1] = (loss / unit).powi(2);
        });
        let nodes = places.iter().map(|place| (middle + reach * place).exp()).collect();
        Sample { unit, nodes, basis }
    }

    fn width(&self) -> usize {
        self.nodes.len() + 2
    }

    /// Means of the basis over the rows given.
    pub fn sums(&self, rows: &[usize]) -> Vec<f64> {
        let width = self.width();
        let mut sums = vec![0.0; width];
        for row in rows {
            sums.iter_mut().zip(&self.basis[row * width..][..width]).for_each(|(s, v)| *s += v);
        }
        sums.iter_mut().for_each(|s| *s /= rows.len() as f64);
        sums
    }

    pub fn all(&self) -> Vec<f64> {
        self.sums(&(0..self.basis.len() / self.width()).collect::<Vec<_>>())
    }

    pub fn likelihood(&self, sums: &[f64]) -> Likelihood<'_> {
        let (weights, powers) = sums.split_at(self.nodes.len());
        Likelihood { nodes: &self.nodes, weights: weights.to_vec(), mean: powers[0], square: powers[1] }
    }
}

/// The value at `at` of each Lagrange polynomial through Chebyshev's extreme points (Berrut and Trefethen 2004).
fn barycentric(places: &[f64], at: f64, out: &mut [f64]) {
    let last = places.len() - 1;
    if let Some(hit) = places.iter().position(|place| *place == at) {
        out.fill(0.0);
        out[hit] = 1.0;
        return;
    }
    let mut total = 0.0;
    for (k, (out, place)) in out.iter_mut().zip(places).enumerate() {
        let sign = if k % 2 == 0 { 1.0 } else { -1.0 };
        *out = sign * if k == 0 || k == last { 0.5 } else { 1.0 } / (at - place);
        total += *out;
    }
    out.iter_mut().for_each(|out| *out /= total);
}

/// The mean log likelihood of a (re)sample.
pub(super) struct Likelihood<'a> {
    nodes: &'a [f64],
    weights: Vec<f64>,
    /// Means of e and of e^2.
    mean: f64,
    square: f64,
}

/// A law by its mean, its variance and how much of df + nc is non-centrality: coordinates along which df, nc and scale
/// do not trade off.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    pub log_mean: f64,
    pub log_variance: f64,
    /// nc / (df + nc) on the logistic scale; minus infinity for a gamma law.
    pub logit: f64,
}

impl Shape {
    /// Degrees of freedom, non-centrality and scale: scale (df + nc) is the mean, 2 scale^2 (df + 2 nc) the variance.
    pub fn parameters(self) -> (f64, f64, f64) {
        let share = 1.0 / (1.0 + (-self.logit).exp());
        let scale = (self.log_variance - self.log_mean).exp() / (2.0 * (1.0 + share));
        let total = self.log_mean.exp() / scale;
        (total * (1.0 - share), total * share, scale)
    }

    pub fn law(self, unit: f64) -> Law {
        let (df, nc, scale) = self.parameters();
        Law::Ncx2 { df, nc, scale: scale * unit }
    }
}

impl Likelihood<'_> {
    pub fn mean_log(&self, shape: Shape) -> f64 {
        let (df, nc, scale) = shape.parameters();
        let log = |e: f64| log_noncentral_chi_square_pdf(e / scale, df, nc);
        self.nodes.iter().zip(&self.weights).map(|(e, w)| w * log(*e)).sum::<f64>() - scale.ln()
    }

    /// The law of greatest likelihood: the best of searches from several shares of non-centrality, each started at the
    /// sample's mean and variance, and of the gamma law at the edge. Of a sample that varies by less than a third of a per
    /// cent it is the gamma law: all are normal there, and the series of the others grow long.
    pub fn fit(&self, central: bool) -> Shape {
        const TOLERANCE: f64 = 1e-10;
        let start = Shape {
            log_mean: self.mean.ln(),
            log_variance: (self.square - self.mean * self.mean).max(f64::MIN_POSITIVE).ln(),
            logit: f64::NEG_INFINITY,
        };
        let mut best = self.search(start, 0.1, TOLERANCE);
        let narrow = 2.0 * start.log_mean - start.log_variance > NARROW.ln();
        if central || narrow {
            return best.1;
        }
        for logit in [-3.0, 0.0, 3.0] {
            let next = self.search(Shape { logit, ..start }, 0.2, TOLERANCE);
            // At equal likelihood the simpler law is kept.
            if next.0 < best.0 - TOLERANCE {
                best = next;
            }
        }
        best.1
    }

    /// The law for a resample whose whole sample has the law `near`. To a thousandth of what the likelihood of ten
    /// thousand errors varies by.
    pub fn refit(&self, near: Shape) -> Shape {
        self.search(near, 0.05, 1e-7).1
    }

    /// Minus the mean log likelihood, and the law, at the end of a search from `start`. A gamma law stays one.
    fn search(&self, start: Shape, step: f64, tolerance: f64) -> (f64, Shape) {
        // Beyond e^9 the smaller part of df + nc no longer shows.
        let of = |p: &[f64]| Shape {
            log_mean: p[0],
            log_variance: p[1],
            logit: p.get(2).map_or(f64::NEG_INFINITY, |logit| logit.clamp(-9.0, 9.0)),
        };
        let from = [start.log_mean, start.log_variance, start.logit];
        let free = if start.logit.is_finite() { 3 } else { 2 };
        let found = nelder_mead(|p| -self.mean_log(of(p)), &from[..free], step, tolerance, 400);
        (found.value, of(&found.at))
    }
}
