//! Gaussian mixtures by the EM algorithm (Dempster, Laird and Rubin 1977).
//!
//! A round passes over the rows once: a block of them is weighed (E step) and its sums are added (M step) while it is in
//! the cache, so responsibilities of all rows are never stored. Blocks are added in a fixed order.

use crate::linalg::{cholesky, solve_lower};
use crate::{Init, KMeans, linalg, prepare};
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, ArrayViewMut1, Axis, s};
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

    /// Mean over rows of ln p(x), in nats.
    ///
    /// # Errors
    /// Rows of another width, a singular covariance.
    pub fn log_likelihood(&self, x: ArrayView2<f64>) -> Result<f64> {
        self.check_rows(x)?;
        let densities = Densities::new(self)?;
        let of_block = |block: usize| {
            let rows = x.slice(s![block * BLOCK..x.nrows().min((block + 1) * BLOCK), ..]);
            densities.log_joint(rows).outer_iter_mut().map(to_shares).sum::<f64>()
        };
        let blocks: Vec<f64> = (0..x.nrows().div_ceil(BLOCK)).into_par_iter().map(of_block).collect();
        Ok(blocks.iter().sum::<f64>() / x.nrows() as f64)
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

/// Turns logarithms of joint densities into shares, and returns the logarithm of their sum (log-sum-exp).
fn to_shares(mut row: ArrayViewMut1<f64>) -> f64 {
    let top = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    // What is e^-40 of the largest is below its rounding.
    row.mapv_inplace(|v| if v - top < -40.0 { 0.0 } else { (v - top).exp() });
    let sum = row.sum();
    row /= sum;
    top + sum.ln()
}

/// A mixture in the form that rows are weighed with: ln (weight x density) = constant - |white row - white mean|^2 / 2.
struct Densities<'a> {
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
    fn new(mixture: &'a Mixture) -> Result<Self> {
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
    fn log_joint(&self, rows: ArrayView2<f64>) -> Array2<f64> {
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
    fn sums(&self, x: ArrayView2<f64>, covariance: Covariance) -> Sums {
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
struct Sums {
    log_likelihood: f64,
    /// Rows of each component.
    counts: Array1<f64>,
    /// Sums of rows (k x columns), and for diagonal covariances of their squares behind (k x 2 columns).
    firsts: Array2<f64>,
    /// Sums of squared lengths.
    squares: Array1<f64>,
    /// For full covariances, sums of products about the component's mean: lower triangles.
    seconds: Vec<Vec<f64>>,
}

impl Sums {
    fn zeros(k: usize, d: usize, covariance: Covariance) -> Self {
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

    fn add(&mut self, rows: ArrayView2<f64>, shares: &Array2<f64>, means: &Array2<f64>, covariance: Covariance) {
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

    fn merge(&mut self, other: &Sums) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    const KINDS: [Covariance; 5] =
        [Covariance::Identity, Covariance::Spherical, Covariance::Diagonal, Covariance::Shared, Covariance::Full];

    /// `k` clouds of unit width in `d` columns, centres of standard deviation `apart`.
    fn clouds(n: usize, d: usize, k: usize, apart: f64, seed: u64) -> Array2<f64> {
        let mut rng = Seed(seed).rng(0);
        let centres = Array2::from_shape_simple_fn((k, d), || apart * rng.normal());
        Array2::from_shape_fn((n, d), |(i, j)| centres[[i % k, j]] + rng.normal())
    }

    /// ln p by the definition, with dense covariances.
    fn dense(mixture: &Mixture, row: ArrayView1<f64>) -> f64 {
        let d = row.len();
        let covariance = |k: usize| match &mixture.covariances {
            Covariances::Spherical(v) => Array2::eye(d) * v[k],
            Covariances::Diagonal(v) => Array2::from_diag(&v.row(k)),
            Covariances::Shared(matrix) => matrix.clone(),
            Covariances::Full(matrices) => matrices[k].clone(),
        };
        let density = |k: usize| {
            let lower = cholesky(covariance(k).view()).unwrap();
            let moved = (&row - &mixture.means.row(k)).insert_axis(Axis(1));
            let white = solve_lower(lower.view(), moved.view()).unwrap();
            let log = -0.5 * (white.iter().map(|v| v * v).sum::<f64>() + d as f64 * std::f64::consts::TAU.ln());
            mixture.weights[k] * (log - lower.diag().mapv(f64::ln).sum()).exp()
        };
        (0..mixture.weights.len()).map(density).sum::<f64>().ln()
    }

    #[test]
    fn likelihoods_never_fall_and_are_those_of_the_definition() {
        let x = clouds(600, 4, 3, 2.0, 1);
        for covariance in KINDS {
            for equal_weights in [false, true] {
                let method = GaussianMixture { covariance, equal_weights, ..GaussianMixture::new(3) };
                let fit = method.fit(x.view(), Seed(2), &Silent).unwrap();
                for pair in fit.path.windows(2) {
                    assert!(pair[1] >= pair[0] - 1e-10, "{covariance:?} {pair:?}");
                }
                let direct = x.outer_iter().map(|row| dense(&fit.mixture, row)).sum::<f64>() / 600.0;
                let ours = fit.mixture.log_likelihood(x.view()).unwrap();
                assert!((ours - fit.path.last().unwrap()).abs() < 1e-9, "{covariance:?}");
                assert!((ours - direct).abs() < 1e-9, "{covariance:?} {ours} {direct}");
                let shares = fit.mixture.responsibilities(x.view()).unwrap();
                assert!(shares.outer_iter().all(|row| (row.sum() - 1.0).abs() < 1e-12));
                let mean = shares.mean_axis(Axis(0)).unwrap();
                assert!(equal_weights || (&mean - &fit.mixture.weights).iter().all(|v| v.abs() < 1e-3));
            }
        }
    }

    /// scikit-learn 1.9.1: five rounds of `GaussianMixture(2, tol=0, max_iter=5, reg_covar=0)` from equal weights, the
    /// means of both groups of rows and unit precisions, for x_ij = sin(0.7 i j) + 0.5 cos(0.3 i^2 + j) + (2 for odd j
    /// where 3 divides i), i to 40, j to 6, counted from 1: `score(x)`, the first weight, `predict_proba(x)[[0, 1, 7], 0]`.
    #[test]
    fn scikit_learn_takes_the_same_rounds() {
        let x = Array2::from_shape_fn((40, 6), |(i, j)| {
            let (i, j) = (i as f64 + 1.0, j as f64 + 1.0);
            let extra = if i % 3.0 == 0.0 { 2.0 * (j % 2.0) } else { 0.0 };
            (0.7 * i * j).sin() + 0.5 * (0.3 * i * i + j).cos() + extra
        });
        let group = |third: bool| {
            let rows: Vec<usize> = (0..40).filter(|i| ((i + 1) % 3 == 0) == third).collect();
            x.select(Axis(0), &rows).mean_axis(Axis(0)).unwrap()
        };
        let means = ndarray::stack![Axis(0), group(true), group(false)];
        for (covariance, covariances, score, weight, shares) in [
            (
                Covariance::Spherical,
                Covariances::Spherical(Array1::ones(2)),
                -7.676669156034687,
                0.32506550408440876,
                [0.000194651664269478, 4.121988606374705e-06, 1.0490285753100283e-10],
            ),
            (
                Covariance::Diagonal,
                Covariances::Diagonal(Array2::ones((2, 6))),
                -7.462290066861618,
                0.3249313247774559,
                [1.476223176901857e-07, 3.954131307466058e-18, 4.903157435427251e-24],
            ),
            (Covariance::Shared, Covariances::Shared(Array2::eye(6)), -5.4615436078660435, 0.325, [0.0; 3]),
            (Covariance::Full, Covariances::Full(vec![Array2::eye(6); 2]), -2.1585738052567254, 0.325, [0.0; 3]),
        ] {
            let method = GaussianMixture { covariance, rounds: 5, tolerance: 0.0, ..GaussianMixture::new(2) };
            let start = Mixture { weights: array![0.5, 0.5], means: means.clone(), covariances };
            let fit = method.refine(start, x.view(), &Silent).unwrap().mixture;
            let found = fit.log_likelihood(x.view()).unwrap();
            assert!((found - score).abs() < 1e-8 * score.abs(), "{covariance:?} {found}");
            assert!((fit.weights[0] - weight).abs() < 1e-10, "{covariance:?}");
            let all = fit.responsibilities(x.view()).unwrap();
            for (row, share) in [0, 1, 7].into_iter().zip(shares) {
                assert!((all[[row, 0]] - share).abs() < 1e-8 * share.max(1e-6), "{covariance:?} {row}");
            }
        }
    }

    /// At a maximum of the likelihood every parameter equals its own update.
    #[test]
    fn the_end_is_a_fixed_point() {
        let x = clouds(400, 3, 2, 3.0, 5);
        for covariance in KINDS {
            let method =
                GaussianMixture { covariance, starts: 1, tolerance: 0.0, rounds: 500, ..GaussianMixture::new(2) };
            let fit = method.fit(x.view(), Seed(3), &Silent).unwrap();
            let again = GaussianMixture { rounds: 1, ..method }.refine(fit.mixture.clone(), x.view(), &Silent).unwrap();
            let moved = &again.mixture.means - &fit.mixture.means;
            assert!(moved.iter().all(|v| v.abs() < 1e-6), "{covariance:?} {moved}");
        }
    }

    #[test]
    fn the_clouds_are_found() {
        let x = clouds(900, 10, 5, 3.0, 4);
        for covariance in KINDS {
            let fit =
                GaussianMixture { covariance, ..GaussianMixture::new(5) }.fit(x.view(), Seed(1), &Silent).unwrap();
            let shares = fit.mixture.responsibilities(x.view()).unwrap();
            let label = |i: usize| (0..5).max_by(|a, b| shares[[i, *a]].total_cmp(&shares[[i, *b]])).unwrap();
            let right = (5..900).filter(|i| label(*i) == label(i % 5)).count();
            assert!(right > 885, "{covariance:?} {right}");
        }
    }

    /// Draws of every kind have the mixture's mean and covariance, to five standard errors of theirs (once in a million).
    #[test]
    fn draws_have_the_moments_of_the_mixture() {
        let matrix = |off: f64| array![[1.0, off], [off, 2.0]];
        let n = 20_000;
        for covariances in [
            Covariances::Spherical(array![0.5, 2.0]),
            Covariances::Diagonal(array![[1.0, 3.0], [0.2, 0.5]]),
            Covariances::Shared(matrix(0.7)),
            Covariances::Full(vec![matrix(0.7), matrix(-0.9)]),
        ] {
            let of = |k: usize| match &covariances {
                Covariances::Spherical(v) => Array2::eye(2) * v[k],
                Covariances::Diagonal(v) => Array2::from_diag(&v.row(k)),
                Covariances::Shared(c) => c.clone(),
                Covariances::Full(all) => all[k].clone(),
            };
            let (weights, means) = (array![0.3, 0.7], array![[-1.0, 0.0], [2.0, 1.0]]);
            let centre = weights.dot(&means);
            let expected = (0..2).fold(Array2::<f64>::zeros((2, 2)), |sum, k| {
                let off = (&means.row(k) - &centre).insert_axis(Axis(1));
                sum + (of(k) + off.dot(&off.t())) * weights[k]
            });
            let mixture = Mixture { weights, means, covariances: covariances.clone() };
            let x = mixture.sample(n, &mut Seed(9).rng(0)).unwrap();
            let off = &x - &centre;
            for i in 0..2 {
                let error = (expected[[i, i]] / n as f64).sqrt();
                assert!(off.column(i).mean().unwrap().abs() < 5.0 * error, "{covariances:?}");
                for j in 0..2 {
                    let products = &off.column(i) * &off.column(j);
                    let error = products.std(1.0) / (n as f64).sqrt();
                    let found = products.mean().unwrap();
                    assert!((found - expected[[i, j]]).abs() < 5.0 * error, "{covariances:?} {i} {j} {found}");
                }
            }
        }
        let flat =
            Mixture { weights: array![1.0], means: array![[0.0, 0.0]], covariances: Covariances::Shared(matrix(9.0)) };
        assert!(flat.sample(1, &mut Seed(0).rng(0)).is_err());
    }

    #[test]
    fn results_do_not_depend_on_threads_or_on_where_the_rows_lie() {
        let x = clouds(700, 3, 3, 2.0, 6);
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let method = GaussianMixture { covariance: Covariance::Full, ..GaussianMixture::new(3) };
            pool.install(|| method.fit(x.view(), Seed(7), &Silent).unwrap())
        };
        assert_eq!(run(1), run(2));
        let near = GaussianMixture::new(3).fit(x.view(), Seed(7), &Silent).unwrap();
        let far = GaussianMixture::new(3).fit((&x + 1e6).view(), Seed(7), &Silent).unwrap();
        assert!((near.path.last().unwrap() - far.path.last().unwrap()).abs() < 1e-6);
    }

    #[test]
    fn bad_input_is_an_error_that_names_the_component() {
        let x = clouds(60, 3, 2, 2.0, 8);
        let full = GaussianMixture { covariance: Covariance::Full, ..GaussianMixture::new(2) };
        let mut constant = x.clone();
        constant.column_mut(1).fill(4.0);
        let message = full.fit(constant.view(), Seed(1), &Silent).unwrap_err().to_string();
        assert!(message.contains("component") && message.contains("singular"), "{message}");
        assert!(GaussianMixture::new(2).fit(constant.view(), Seed(1), &Silent).is_ok());
        let pairs = array![[0.0, 0.0], [0.0, 0.0], [1.0, 1.0], [1.0, 1.0]];
        assert!(GaussianMixture::new(2).fit(pairs.view(), Seed(1), &Silent).is_err());
        assert!(GaussianMixture::new(3).fit(pairs.view(), Seed(1), &Silent).is_err());
        let one = GaussianMixture { covariance: Covariance::Identity, ..GaussianMixture::new(1) };
        assert!(one.fit(pairs.view(), Seed(1), &Silent).is_ok());
        for (x, k) in [
            (x.clone(), 0),
            (x.clone(), 61),
            (&x * f64::NAN, 2),
            (&x * f64::INFINITY, 2),
            (&x * 1e200, 2),
            (&x * 1e-200, 2),
            (&x * 0.0, 1),
            (x.slice(s![..1, ..]).to_owned(), 1),
            (x.slice(s![..0, ..]).to_owned(), 1),
        ] {
            assert!(GaussianMixture::new(k).fit(x.view(), Seed(1), &Silent).is_err(), "{k}");
        }
        let fit = GaussianMixture::new(2).fit(x.view(), Seed(1), &Silent).unwrap();
        assert!(fit.mixture.responsibilities(x.slice(s![.., ..2])).is_err());
        assert!(GaussianMixture::new(3).refine(fit.mixture, x.view(), &Silent).is_err());
        assert!(GaussianMixture { starts: 0, ..GaussianMixture::new(2) }.fit(x.view(), Seed(1), &Silent).is_err());
        struct Stopped;
        impl Progress for Stopped {
            fn cancelled(&self) -> bool {
                true
            }
        }
        assert!(matches!(GaussianMixture::new(2).fit(x.view(), Seed(1), &Stopped), Err(Error::Cancelled)));
    }
}
