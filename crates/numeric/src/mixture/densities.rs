//! The E step: rows weighed by the components, and the sums that the M step needs of them.

use super::{BLOCK, Covariance, Covariances, Mixture, PARTS, singular};
use crate::linalg::{cholesky, solve_lower};
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, ArrayViewMut1, Axis, s};
use quadrat_core::Result;
use rayon::prelude::*;

/// Turns logarithms of joint densities into shares, and returns the logarithm of their sum (log-sum-exp).
pub(super) fn to_shares(mut row: ArrayViewMut1<f64>) -> f64 {
    let top = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    // What is e^-40 of the largest is below its rounding.
    row.mapv_inplace(|v| if v - top < -40.0 { 0.0 } else { (v - top).exp() });
    let sum = row.sum();
    row /= sum;
    top + sum.ln()
}

/// A mixture in the form that rows are weighed with: ln (weight x density) = constant - |white row - white mean|^2 / 2.
pub(super) struct Densities<'a> {
    mixture: &'a Mixture,
    constants: Array1<f64>,
    /// What a row is multiplied with: the means over variances (columns x k; for diagonal covariances with minus half
    /// the inverse variances below, 2 columns x k).
    factors: Array2<f64>,
    /// For matrices, W with C^-1 = W W': one, or one a component.
    whitening: Vec<Array2<f64>>,
}

/// W with C^-1 = W W', and ln |C|.
fn whiten(component: usize, covariance: &Array2<f64>) -> Result<(Array2<f64>, f64)> {
    let lower = cholesky(covariance.view()).map_err(|_| singular(component, "it is not positive definite"))?;
    let inverse = solve_lower(lower.view(), Array2::eye(lower.nrows()).view())?;
    Ok((inverse.reversed_axes().as_standard_layout().to_owned(), 2.0 * lower.diag().mapv(f64::ln).sum()))
}

impl<'a> Densities<'a> {
    pub fn new(mixture: &'a Mixture) -> Result<Self> {
        let (k, d) = mixture.means.dim();
        let means = &mixture.means;
        let squares = |a: &Array2<f64>| a.map_axis(Axis(1), |row| row.dot(&row));
        let ln_weights = mixture.weights.mapv(f64::ln) - 0.5 * d as f64 * std::f64::consts::TAU.ln();
        let (determinants, lengths, factors, whitening) = match &mixture.covariances {
            Covariances::Spherical(v) => {
                let factors = Array2::from_shape_fn((d, k), |(j, k)| means[[k, j]] / v[k]);
                (v.mapv(|v| d as f64 * v.ln()), squares(means) / v, factors, Vec::new())
            }
            Covariances::Diagonal(v) => {
                let factors = Array2::from_shape_fn((2 * d, k), |(j, k)| {
                    if j < d { means[[k, j]] / v[[k, j]] } else { -0.5 / v[[k, j - d]] }
                });
                let determinants = v.map_axis(Axis(1), |row| row.mapv(f64::ln).sum());
                (determinants, (means * means / v).sum_axis(Axis(1)), factors, Vec::new())
            }
            Covariances::Shared(matrix) => {
                let (white, ln_determinant) = whiten(0, matrix)?;
                let moved = means.dot(&white);
                let lengths = squares(&moved);
                let factors = moved.reversed_axes().as_standard_layout().to_owned();
                (Array1::from_elem(k, ln_determinant), lengths, factors, vec![white])
            }
            Covariances::Full(matrices) => {
                let all = matrices.iter().enumerate().map(|(k, m)| whiten(k, m)).collect::<Result<Vec<_>>>()?;
                let (white, determinants): (Vec<_>, Vec<f64>) = all.into_iter().unzip();
                (Array1::from(determinants), Array1::zeros(k), Array2::zeros((0, k)), white)
            }
        };
        Ok(Densities { mixture, constants: ln_weights - 0.5 * (determinants + lengths), factors, whitening })
    }

    /// ln (weight x density): rows x components.
    pub fn log_joint(&self, rows: ArrayView2<f64>) -> Array2<f64> {
        let halves = |a: ArrayView2<f64>| a.map_axis(Axis(1), |row| 0.5 * row.dot(&row)).insert_axis(Axis(1));
        let mut logs = match &self.mixture.covariances {
            Covariances::Spherical(v) => {
                let inverse = v.mapv(|v| 1.0 / v).insert_axis(Axis(0));
                rows.dot(&self.factors) - halves(rows).dot(&inverse)
            }
            Covariances::Diagonal(_) => with_squares(rows).dot(&self.factors),
            Covariances::Shared(_) => {
                let white = rows.dot(&self.whitening[0]);
                white.dot(&self.factors) - halves(white.view())
            }
            Covariances::Full(_) => {
                let mut logs = Array2::zeros((rows.nrows(), self.whitening.len()));
                for (k, white) in self.whitening.iter().enumerate() {
                    let white = (&rows - &self.mixture.means.row(k)).dot(white);
                    logs.column_mut(k).assign(&white.map_axis(Axis(1), |row| -0.5 * row.dot(&row)));
                }
                logs
            }
        };
        logs += &self.constants;
        logs
    }

    /// The E step: sums over all rows, each counting for a component by its share.
    pub fn sums(&self, x: ArrayView2<f64>, covariance: Covariance) -> Sums {
        let (n, d) = x.dim();
        let blocks = n.div_ceil(BLOCK);
        let part = |part: usize| {
            let mut sums = Sums::zeros(self.mixture.weights.len(), d, covariance);
            for block in part * blocks / PARTS..(part + 1) * blocks / PARTS {
                let rows = x.slice(s![block * BLOCK..n.min((block + 1) * BLOCK), ..]);
                let mut shares = self.log_joint(rows);
                sums.log_likelihood += shares.outer_iter_mut().map(to_shares).sum::<f64>();
                sums.add(rows, &shares, &self.mixture.means, covariance);
            }
            sums
        };
        let parts: Vec<Sums> = (0..PARTS).into_par_iter().map(part).collect();
        let mut sums = Sums::zeros(self.mixture.weights.len(), d, covariance);
        parts.iter().for_each(|part| sums.merge(part));
        sums
    }
}

/// The rows with their squares behind them.
fn with_squares(rows: ArrayView2<f64>) -> Array2<f64> {
    let d = rows.ncols();
    let mut wide = Array2::zeros((rows.nrows(), 2 * d));
    for (mut wide, row) in wide.outer_iter_mut().zip(rows.outer_iter()) {
        let (mut values, mut squares) = wide.view_mut().split_at(Axis(0), d);
        values.assign(&row);
        squares.iter_mut().zip(row).for_each(|(to, v)| *to = v * v);
    }
    wide
}

/// What the M step needs of the rows.
pub(super) struct Sums {
    pub log_likelihood: f64,
    /// Rows of each component.
    pub counts: Array1<f64>,
    /// Sums of rows (k x columns), and for diagonal covariances of their squares behind (k x 2 columns).
    pub firsts: Array2<f64>,
    /// Sums of squared lengths.
    pub squares: Array1<f64>,
    /// For full covariances, sums of products about the component's mean: lower triangles.
    pub seconds: Vec<Vec<f64>>,
}

impl Sums {
    pub fn zeros(k: usize, d: usize, covariance: Covariance) -> Self {
        let width = if covariance == Covariance::Diagonal { 2 * d } else { d };
        let matrices = if covariance == Covariance::Full { k } else { 0 };
        Sums {
            log_likelihood: 0.0,
            counts: Array1::zeros(k),
            firsts: Array2::zeros((k, width)),
            squares: Array1::zeros(k),
            seconds: vec![vec![0.0; d * d]; matrices],
        }
    }

    pub fn add(&mut self, rows: ArrayView2<f64>, shares: &Array2<f64>, means: &Array2<f64>, covariance: Covariance) {
        self.counts += &shares.sum_axis(Axis(0));
        let wide = (covariance == Covariance::Diagonal).then(|| with_squares(rows));
        let table = wide.as_ref().map_or(rows, |wide| wide.view());
        ndarray::linalg::general_mat_mul(1.0, &shares.t(), &table, 1.0, &mut self.firsts);
        if covariance == Covariance::Spherical {
            let lengths = rows.map_axis(Axis(1), |row| row.dot(&row));
            self.squares += &shares.t().dot(&lengths);
        }
        for (k, sum) in self.seconds.iter_mut().enumerate() {
            let mut about = Vec::with_capacity(rows.len());
            for (row, share) in rows.outer_iter().zip(shares.column(k)).filter(|(_, share)| **share > 0.0) {
                about.extend(weighed(row, means.row(k), share.sqrt()));
            }
            crate::gemm::add_lower_gram(&about, rows.ncols(), sum);
        }
    }

    pub fn merge(&mut self, other: &Sums) {
        self.log_likelihood += other.log_likelihood;
        self.counts += &other.counts;
        self.firsts += &other.firsts;
        self.squares += &other.squares;
        for (sum, part) in self.seconds.iter_mut().zip(&other.seconds) {
            sum.iter_mut().zip(part).for_each(|(sum, v)| *sum += v);
        }
    }
}

fn weighed<'a>(row: ArrayView1<'a, f64>, mean: ArrayView1<'a, f64>, root: f64) -> impl Iterator<Item = f64> + use<'a> {
    row.into_iter().zip(mean).map(move |(v, m)| root * (v - m))
}
