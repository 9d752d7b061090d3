//! Gaussian mixtures by the EM algorithm (Dempster, Laird and Rubin 1977).
//!
//! A round passes over the rows once: a block of them is weighed (E step) and its sums are added (M step) while it is in
//! the cache, so responsibilities of all rows are never stored. Blocks are added in a fixed order.

mod densities;
#[cfg(test)]
mod tests;

use crate::linalg::cholesky;
use crate::{Init, KMeans, linalg, prepare};
use densities::{Densities, Sums, to_shares};
use ndarray::{Array1, Array2, ArrayView2, s};
use quadrat_core::{Error, Progress, Result, Rng, Seed, Silent, checkpoint};
use rayon::prelude::*;

/// What the components' covariances may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Covariance {
    /// The identity: known, nothing to estimate.
    Identity,
    /// A multiple of the identity, one a component.
    #[default]
    Spherical,
    /// A variance for each column, of each component.
    Diagonal,
    /// One matrix for all components.
    Shared,
    /// A matrix of its own for each component.
    Full,
}

/// Fits a mixture of `k` normal laws.
///
/// ```
/// use ndarray::array;
/// use quadrat_core::{Seed, Silent};
/// use quadrat_numeric::GaussianMixture;
/// let x = array![[0.0], [0.1], [0.3], [9.0], [9.2], [9.3]];
/// let fit = GaussianMixture::new(2).fit(x.view(), Seed(1), &Silent)?;
/// let shares = fit.mixture.responsibilities(x.view())?;
/// assert!((shares[[0, 0]] - shares[[1, 0]]).abs() < 1e-6 && (shares[[0, 0]] - shares[[5, 0]]).abs() > 0.99);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct GaussianMixture {
    /// Number of components, from 1 to the number of rows.
    pub k: usize,
    /// What the covariances may be. Default spherical.
    pub covariance: Covariance,
    /// Whether all components weigh the same, 1 / k, instead of being estimated. Default false.
    pub equal_weights: bool,
    /// How often to start anew; the best likelihood is kept. Default 10.
    pub starts: usize,
    /// Most rounds of a start. Default 200.
    pub rounds: usize,
    /// Stop when a round adds less to the mean log likelihood of a row. Default 1e-6.
    pub tolerance: f64,
}

/// The components' covariances.
#[derive(Debug, Clone, PartialEq)]
pub enum Covariances {
    /// Variances, one a component.
    Spherical(Array1<f64>),
    /// Variances, components x columns.
    Diagonal(Array2<f64>),
    /// The matrix of all components.
    Shared(Array2<f64>),
    /// One matrix a component.
    Full(Vec<Array2<f64>>),
}

/// A mixture of normal laws.
#[derive(Debug, Clone, PartialEq)]
pub struct Mixture {
    /// One a component; they sum to 1.
    pub weights: Array1<f64>,
    /// Components x columns.
    pub means: Array2<f64>,
    /// Covariances about the means.
    pub covariances: Covariances,
}

/// What [`GaussianMixture::fit`] found.
#[derive(Debug, Clone, PartialEq)]
pub struct FittedMixture {
    /// The mixture.
    pub mixture: Mixture,
    /// Mean log likelihood of a row before each round and after the last; never falls.
    pub path: Vec<f64>,
    /// Whether it stopped before the last round.
    pub converged: bool,
}

/// Rows weighed at a time, and groups of them whose sums are kept apart: the most threads that one round can use.
const BLOCK: usize = 256;
const PARTS: usize = 16;
/// Rounds of k-means behind a start.
const START_ROUNDS: usize = 10;
/// A variance below this share of the mean variance of a column counts as 0: the component has collapsed.
const COLLAPSED: f64 = 1e-9;

impl GaussianMixture {
    /// `k` spherical components with weights of their own, 10 starts, at most 200 rounds, tolerance 1e-6.
    pub fn new(k: usize) -> Self {
        GaussianMixture {
            k,
            covariance: Covariance::default(),
            equal_weights: false,
            starts: 10,
            rounds: 200,
            tolerance: 1e-6,
        }
    }

    /// The best of all starts, each from k-means++ and a few rounds of k-means.
    ///
    /// Cost of a round: rows x k x columns, twice that for diagonal, columns times that for full covariances. Memory:
    /// a copy of `x` in single precision for each start that runs, no matrix of rows x k.
    ///
    /// # Errors
    /// Rows that are absent, not finite, all alike, or of a size whose square leaves double precision; `k` outside
    /// 1..=rows; no starts; a component whose covariance is singular in every start; the user's cancelling.
    pub fn fit(&self, x: ArrayView2<f64>, seed: Seed, progress: &dyn Progress) -> Result<FittedMixture> {
        self.check(x)?;
        let centre = Array1::from(prepare::column_means(x));
        let centred = &x - &centre;
        progress.begin("mixture", Some(self.starts as u64));
        let stream = seed.stream("mixture");
        let start = |start: u64| {
            let fit = self.start(centred.view(), Seed(stream.rng(start).next_u64()));
            let fit = fit.and_then(|first| self.rounds_from(first, centred.view(), progress));
            progress.advance(1);
            fit
        };
        let fits: Vec<Result<FittedMixture>> = (0..self.starts as u64).into_par_iter().map(start).collect();
        checkpoint(progress)?;
        let (mut best, mut failure): (Option<FittedMixture>, Option<Error>) = (None, None);
        for fit in fits {
            match fit {
                Ok(fit) if best.as_ref().is_none_or(|best| fit.path.last() > best.path.last()) => best = Some(fit),
                Ok(_) => {}
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        match (best, failure) {
            (Some(mut best), _) => {
                best.mixture.means += &centre;
                Ok(best)
            }
            (None, Some(failure)) => Err(failure),
            (None, None) => Err(Error::input("starts", 0, "use at least 1")),
        }
    }

    /// EM from a given mixture, whose covariances must be of the kind asked for.
    ///
    /// # Errors
    /// As [`fit`](Self::fit); a mixture of another shape.
    pub fn refine(&self, mut from: Mixture, x: ArrayView2<f64>, progress: &dyn Progress) -> Result<FittedMixture> {
        self.check(x)?;
        if from.means.dim() != (self.k, x.ncols()) || from.weights.len() != self.k {
            let got = format!("{} weights and {:?} means", from.weights.len(), from.means.dim());
            return Err(Error::input("mixture", got, format!("give {} components of {} columns", self.k, x.ncols())));
        }
        let centre = Array1::from(prepare::column_means(x));
        from.means -= &centre;
        let mut fit = self.rounds_from(from, (&x - &centre).view(), progress)?;
        fit.mixture.means += &centre;
        Ok(fit)
    }

    /// Free parameters of a mixture of this kind in `d` columns.
    pub fn parameters(&self, d: usize) -> usize {
        let covariance = match self.covariance {
            Covariance::Identity => 0,
            Covariance::Spherical => self.k,
            Covariance::Diagonal => self.k * d,
            Covariance::Shared => d * (d + 1) / 2,
            Covariance::Full => self.k * d * (d + 1) / 2,
        };
        self.k * d + covariance + if self.equal_weights { 0 } else { self.k.saturating_sub(1) }
    }

    fn check(&self, x: ArrayView2<f64>) -> Result<()> {
        prepare::check_spread("rows", x)?;
        if self.k == 0 || self.k > x.nrows() {
            return Err(Error::input("k", self.k, format!("use 1 to {}, the number of rows", x.nrows())));
        }
        Ok(())
    }

    /// Means and weights of k-means clusters, and for all components the covariance of rows about their centre.
    fn start(&self, x: ArrayView2<f64>, seed: Seed) -> Result<Mixture> {
        let kmeans = KMeans { init: Init::PlusPlus, max_iter: START_ROUNDS, ..KMeans::new(self.k) };
        let single = x.mapv(|v| v as f32);
        let clusters = kmeans.fit(single.view(), seed, &Silent)?;
        let (n, d) = x.dim();
        let mut means = Array2::<f64>::zeros((self.k, d));
        let mut weights = Array1::<f64>::zeros(self.k);
        for (row, &cluster) in x.outer_iter().zip(&clusters.assignment) {
            weights[cluster as usize] += 1.0;
            means.row_mut(cluster as usize).scaled_add(1.0, &row);
        }
        for (k, (mut mean, weight)) in means.outer_iter_mut().zip(&weights).enumerate() {
            if *weight == 0.0 {
                // Fewer different rows than clusters.
                return Err(singular(k, "no row is near it"));
            }
            mean /= *weight;
        }
        weights /= n as f64;
        if self.equal_weights {
            weights.fill(1.0 / self.k as f64);
        }
        let mut about = x.to_owned();
        about.outer_iter_mut().zip(&clusters.assignment).for_each(|(mut row, c)| row -= &means.row(*c as usize));
        let mut within = linalg::gram(about.view(), None)? / n as f64;
        // Clusters of one row each must not begin without width.
        let level = x.iter().map(|v| v * v).sum::<f64>() / (n * d) as f64;
        within.diag_mut().iter_mut().for_each(|v| *v += 1e-3 * level);
        let columns = within.diag().to_owned();
        let covariances = match self.covariance {
            Covariance::Identity => Covariances::Spherical(Array1::ones(self.k)),
            Covariance::Spherical => Covariances::Spherical(Array1::from_elem(self.k, columns.sum() / d as f64)),
            Covariance::Diagonal => {
                Covariances::Diagonal(Array2::from_shape_fn((self.k, d), |(_, column)| columns[column]))
            }
            Covariance::Shared => Covariances::Shared(within),
            Covariance::Full => Covariances::Full(vec![within; self.k]),
        };
        Ok(Mixture { weights, means, covariances })
    }

    /// EM on rows whose mean is 0.
    fn rounds_from(&self, mut mixture: Mixture, x: ArrayView2<f64>, progress: &dyn Progress) -> Result<FittedMixture> {
        let (n, d) = x.dim();
        let total = (self.covariance == Covariance::Shared).then(|| linalg::gram(x, None)).transpose()?;
        let level = x.iter().map(|v| v * v).sum::<f64>() / (n * d) as f64;
        let (mut path, mut converged) = (Vec::new(), false);
        loop {
            checkpoint(progress)?;
            let sums = Densities::new(&mixture)?.sums(x, self.covariance);
            path.push(sums.log_likelihood / n as f64);
            let gained = path.len().checked_sub(2).map_or(f64::INFINITY, |last| path[last + 1] - path[last]);
            converged = converged || gained < self.tolerance;
            if converged || path.len() > self.rounds {
                return Ok(FittedMixture { mixture, path, converged });
            }
            mixture = self.maximised(&mixture, sums, n, total.as_ref(), COLLAPSED * level)?;
        }
    }

    /// The M step.
    fn maximised(
        &self,
        before: &Mixture,
        sums: Sums,
        n: usize,
        total: Option<&Array2<f64>>,
        floor: f64,
    ) -> Result<Mixture> {
        let counts = &sums.counts;
        if let Some(k) = counts.iter().position(|count| *count < 1e-8) {
            return Err(singular(k, "no row is near it"));
        }
        let (k, d) = (self.k, before.means.ncols());
        let mut means = sums.firsts.slice(s![.., ..d]).to_owned();
        means.outer_iter_mut().zip(counts).for_each(|(mut mean, count)| mean /= *count);
        let covariances = match &before.covariances {
            Covariances::Spherical(v) if self.covariance == Covariance::Identity => Covariances::Spherical(v.clone()),
            Covariances::Spherical(_) => {
                let variance = |k: usize| {
                    let square = means.row(k).dot(&means.row(k));
                    (sums.squares[k] / counts[k] - square) / d as f64
                };
                Covariances::Spherical(Array1::from_shape_fn(k, variance))
            }
            Covariances::Diagonal(_) => {
                let variance = |(k, j): (usize, usize)| sums.firsts[[k, d + j]] / counts[k] - means[[k, j]].powi(2);
                Covariances::Diagonal(Array2::from_shape_fn((k, d), variance))
            }
            Covariances::Shared(before) => {
                let mut weighed = means.clone();
                weighed.outer_iter_mut().zip(counts).for_each(|(mut mean, count)| mean *= *count);
                let total = total.cloned().unwrap_or_else(|| before * n as f64);
                Covariances::Shared((total - weighed.t().dot(&means)) / n as f64)
            }
            Covariances::Full(_) => {
                let of = |(k, seconds): (usize, Vec<f64>)| {
                    let moved = &means.row(k) - &before.means.row(k);
                    Array2::from_shape_fn((d, d), |(i, j)| {
                        seconds[i.max(j) * d + i.min(j)] / counts[k] - moved[i] * moved[j]
                    })
                };
                Covariances::Full(sums.seconds.into_iter().enumerate().map(of).collect())
            }
        };
        check_width(&covariances, floor)?;
        let weights = if self.equal_weights { Array1::from_elem(k, 1.0 / k as f64) } else { counts / n as f64 };
        Ok(Mixture { weights, means, covariances })
    }
}

fn singular(component: usize, why: &str) -> Error {
    let cure = "use fewer components or a simpler covariance, or leave out constant columns";
    Error::numeric("mixture", format!("the covariance of component {component} is singular ({why}); {cure}"))
}

/// That no covariance has lost a direction.
fn check_width(covariances: &Covariances, floor: f64) -> Result<()> {
    let narrow = |variance: &f64| variance.is_nan() || *variance <= floor;
    let lost = |matrix: &Array2<f64>| {
        let mut lifted = matrix.clone();
        lifted.diag_mut().iter_mut().for_each(|v| *v -= floor);
        cholesky(lifted.view()).is_err()
    };
    let collapsed = match covariances {
        Covariances::Spherical(variances) => variances.iter().position(narrow),
        Covariances::Diagonal(variances) => variances.outer_iter().position(|row| row.iter().any(narrow)),
        Covariances::Shared(matrix) => lost(matrix).then_some(0),
        Covariances::Full(matrices) => matrices.iter().position(lost),
    };
    match (collapsed, covariances) {
        (None, _) => Ok(()),
        (Some(_), Covariances::Shared(_)) => Err(singular(0, "the one that all components share")),
        (Some(k), _) => Err(singular(k, "its rows do not vary in some direction")),
    }
}

impl Mixture {
    /// P(component | row): rows x components; each row sums to 1.
    ///
    /// # Errors
    /// Rows of another width, a singular covariance.
    pub fn responsibilities(&self, x: ArrayView2<f64>) -> Result<Array2<f64>> {
        self.check_rows(x)?;
        let densities = Densities::new(self)?;
        let k = self.weights.len();
        let mut out = Array2::zeros((x.nrows(), k));
        let blocks: Vec<Array2<f64>> = (0..x.nrows().div_ceil(BLOCK))
            .into_par_iter()
            .map(|block| {
                let rows = x.slice(s![block * BLOCK..x.nrows().min((block + 1) * BLOCK), ..]);
                let mut logs = densities.log_joint(rows);
                logs.outer_iter_mut().for_each(|row| {
                    to_shares(row);
                });
                logs
            })
            .collect();
        for (block, shares) in blocks.into_iter().enumerate() {
            out.slice_mut(s![block * BLOCK..block * BLOCK + shares.nrows(), ..]).assign(&shares);
        }
        Ok(out)
    }

    /// ln p(x) of each row, in nats.
    ///
    /// # Errors
    /// Rows of another width, a singular covariance.
    pub fn log_densities(&self, x: ArrayView2<f64>) -> Result<Vec<f64>> {
        self.check_rows(x)?;
        let densities = Densities::new(self)?;
        let of_block = |block: usize| {
            let rows = x.slice(s![block * BLOCK..x.nrows().min((block + 1) * BLOCK), ..]);
            densities.log_joint(rows).outer_iter_mut().map(to_shares).collect::<Vec<f64>>()
        };
        let blocks: Vec<Vec<f64>> = (0..x.nrows().div_ceil(BLOCK)).into_par_iter().map(of_block).collect();
        Ok(blocks.concat())
    }

    /// Mean over rows of ln p(x), in nats.
    ///
    /// # Errors
    /// Rows of another width, a singular covariance.
    pub fn log_likelihood(&self, x: ArrayView2<f64>) -> Result<f64> {
        let logs = self.log_densities(x)?;
        // Block by block, so that the sum does not depend on how rows come.
        Ok(logs.chunks(BLOCK).map(|block| block.iter().sum::<f64>()).sum::<f64>() / x.nrows() as f64)
    }

    /// `n` independent draws: n x columns.
    ///
    /// # Errors
    /// A covariance that is not positive definite.
    pub fn sample(&self, n: usize, rng: &mut Rng) -> Result<Array2<f64>> {
        let (k, d) = self.means.dim();
        // L with C = L L' for each component.
        let roots = match &self.covariances {
            Covariances::Spherical(v) => v.iter().map(|v| Array2::eye(d) * v.sqrt()).collect(),
            Covariances::Diagonal(v) => v.outer_iter().map(|v| Array2::from_diag(&v.mapv(f64::sqrt))).collect(),
            Covariances::Shared(c) => vec![cholesky(c.view())?; k],
            Covariances::Full(all) => all.iter().map(|c| cholesky(c.view())).collect::<Result<Vec<_>>>()?,
        };
        let weights = self.weights.to_vec();
        let mut rows = Array2::zeros((n, d));
        for mut row in rows.outer_iter_mut() {
            let component = rng.weighted(&weights);
            let e = Array1::from_shape_simple_fn(d, || rng.normal());
            row.assign(&(&self.means.row(component) + &roots[component].dot(&e)));
        }
        Ok(rows)
    }

    fn check_rows(&self, x: ArrayView2<f64>) -> Result<()> {
        if x.ncols() != self.means.ncols() {
            let want = format!("the mixture was fitted to {} columns", self.means.ncols());
            return Err(Error::input("rows", format!("{} columns", x.ncols()), want));
        }
        Ok(())
    }
}
