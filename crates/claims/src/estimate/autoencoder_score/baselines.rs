//! Densities that people fit to rows: a normal law, mixtures of them, kernels.

use ndarray::{ArrayView2, Axis, s};
use quadrat_core::{Error, Result, Seed, Silent};
use quadrat_estimate::score::IsotropicMixture;
use quadrat_numeric::mixture::{Covariance, GaussianMixture, Mixture};

/// Mixtures of `k` normal laws with full covariances.
pub fn normals(k: usize) -> GaussianMixture {
    GaussianMixture { covariance: Covariance::Full, ..GaussianMixture::new(k) }
}

/// The mixture of 1 to `most` normal laws that the Bayesian information criterion likes best.
pub fn by_bic(x: ArrayView2<f64>, most: usize, seed: Seed) -> Result<Mixture> {
    let n = x.nrows() as f64;
    let mut best = (f64::INFINITY, normals(1).fit(x, seed, &Silent)?.mixture);
    for k in 1..=most {
        let mixture = match normals(k).fit(x, seed, &Silent) {
            Ok(fit) => fit.mixture,
            // More laws than the rows can fill are merely no better.
            Err(Error::Numeric { .. }) => continue,
            Err(error) => return Err(error),
        };
        let bic = normals(k).parameters(x.ncols()) as f64 * n.ln() - 2.0 * n * mixture.log_likelihood(x)?;
        if bic < best.0 {
            best = (bic, mixture);
        }
    }
    Ok(best.1)
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
