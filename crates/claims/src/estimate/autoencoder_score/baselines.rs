//! Densities that people fit to rows: a normal law, mixtures of them, kernels.

use ndarray::{Array1, Array2, ArrayView2, Axis, s};
use quadrat_core::{Result, Rng, Seed, Silent};
use quadrat_estimate::score::IsotropicMixture;
use quadrat_numeric::KMeans;
use quadrat_numeric::linalg::{cholesky, solve_lower};

/// Normal laws with full covariances, each with its weight.
pub struct NormalMixture {
    weights: Vec<f64>,
    means: Vec<Array1<f64>>,
    roots: Vec<Array2<f64>>,
}

/// Added to the diagonals of covariances, as scikit-learn does.
const FLOOR: f64 = 1e-6;

impl NormalMixture {
    /// One normal law.
    pub fn normal(x: ArrayView2<f64>) -> Result<Self> {
        let whole = Array2::ones((x.nrows(), 1));
        Self::weighted(x, &whole)
    }

    /// Expectation maximisation from k-means, with the number of components in 1..=`most` that the Bayesian information
    /// criterion likes best.
    pub fn by_bic(x: ArrayView2<f64>, most: usize, seed: Seed) -> Result<Self> {
        let (n, d) = x.dim();
        let mut best: Option<(f64, NormalMixture)> = None;
        for k in 1..=most {
            let (mixture, log_likelihood) = Self::fit(x, k, seed)?;
            let free = (k * (1 + d + d * (d + 1) / 2) - 1) as f64;
            let bic = free * (n as f64).ln() - 2.0 * log_likelihood;
            if best.as_ref().is_none_or(|(least, _)| bic < *least) {
                best = Some((bic, mixture));
            }
        }
        best.map_or_else(|| Self::normal(x), |(_, mixture)| Ok(mixture))
    }

    fn fit(x: ArrayView2<f64>, k: usize, seed: Seed) -> Result<(Self, f64)> {
        let clusters = KMeans::new(k).fit(x.mapv(|v| v as f32).view(), seed, &Silent)?;
        let mut shares = Array2::zeros((x.nrows(), k));
        for (cluster, members) in clusters.members().iter().enumerate() {
            members.iter().for_each(|row| shares[[*row, cluster]] = 1.0);
        }
        let mut before = f64::NEG_INFINITY;
        let mut mixture = Self::weighted(x, &shares)?;
        for _ in 0..100 {
            let mut terms = mixture.terms(x)?;
            let mut log_likelihood = 0.0;
            for mut row in terms.rows_mut() {
                let largest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let sum: f64 = row.iter().map(|v| (v - largest).exp()).sum();
                log_likelihood += largest + sum.ln();
                row.mapv_inplace(|v| (v - largest).exp() / sum);
            }
            if log_likelihood - before < 1e-3 * x.nrows() as f64 * 1e-2 {
                return Ok((mixture, log_likelihood));
            }
            before = log_likelihood;
            mixture = Self::weighted(x, &terms)?;
        }
        Ok((mixture, before))
    }

    /// The laws of rows that count as much as `shares` (rows x components) says.
    fn weighted(x: ArrayView2<f64>, shares: &Array2<f64>) -> Result<Self> {
        let mut mixture = NormalMixture { weights: Vec::new(), means: Vec::new(), roots: Vec::new() };
        for share in shares.columns() {
            let total = share.sum().max(1e-10);
            let mean = x.t().dot(&share) / total;
            let centred = &x - &mean;
            let mut covariance = centred.t().dot(&(&centred * &share.insert_axis(Axis(1)))) / total;
            covariance.diag_mut().mapv_inplace(|v| v + FLOOR);
            mixture.weights.push(total / x.nrows() as f64);
            mixture.means.push(mean);
            mixture.roots.push(cholesky(covariance.view())?);
        }
        Ok(mixture)
    }

    /// ln of weight times density, rows x components.
    fn terms(&self, x: ArrayView2<f64>) -> Result<Array2<f64>> {
        let mut terms = Array2::zeros((x.nrows(), self.weights.len()));
        let constant = 0.5 * x.ncols() as f64 * std::f64::consts::TAU.ln();
        for (component, mut column) in terms.columns_mut().into_iter().enumerate() {
            let root = &self.roots[component];
            let white = solve_lower(root.view(), (&x - &self.means[component]).t())?;
            let determinant: f64 = root.diag().iter().map(|v| v.ln()).sum();
            let squares = white.mapv(|v| v * v).sum_axis(Axis(0));
            column.assign(&squares.mapv(|q| self.weights[component].ln() - 0.5 * q - determinant - constant));
        }
        Ok(terms)
    }

    /// Independent draws.
    pub fn sample(&self, n: usize, rng: &mut Rng) -> Array2<f64> {
        let d = self.means[0].len();
        let mut rows = Array2::zeros((n, d));
        for mut row in rows.rows_mut() {
            let component = rng.weighted(&self.weights);
            let e = Array1::from_shape_simple_fn(d, || rng.normal());
            row.assign(&(&self.means[component] + &self.roots[component].dot(&e)));
        }
        rows
    }
}

/// A kernel density estimate whose bandwidth, one of a geometric grid of ten, has the highest log-likelihood on a fifth of
/// the rows that was left out; then fitted to all rows.
pub fn kernels(x: ArrayView2<f64>, seed: Seed) -> Result<IsotropicMixture> {
    let mut rows: Vec<usize> = (0..x.nrows()).collect();
    seed.stream("bandwidth").rng(0).shuffle(&mut rows);
    let shuffled = x.select(Axis(0), &rows);
    let (held, train) = shuffled.view().split_at(Axis(0), x.nrows() / 5);
    let held = held.slice(s![..held.nrows().min(400), ..]);
    let (mut best, mut bandwidth) = (f64::NEG_INFINITY, 0.3);
    for i in 0..10 {
        let width = 0.03 * 1.45_f64.powi(i);
        let fit: f64 = IsotropicMixture::equal(train.to_owned(), width)?.log_density(held).iter().sum();
        if fit > best {
            (best, bandwidth) = (fit, width);
        }
    }
    IsotropicMixture::equal(x.to_owned(), bandwidth)
}
