//! The exact denoiser of data whose law is a mixture of normal laws.
//!
//! Noise turns a mixture into a mixture, so everything is a formula: what a noised sample was, the score, its Jacobian, the density, the
//! law given linear measurements. It generates from a small table without training (a normal around each of the user's rows), and is
//! what solvers, guidance and particles are tested against.

use crate::Level;
use crate::denoiser::{Denoiser, Differentiable, Prediction, check_dims};
use crate::solve::noise_rows;
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, ArrayViewMut1, Axis};
use quadrat_core::{Error, Result, Seed};
use quadrat_numeric::linalg::solve;
use quadrat_numeric::mixture::{Covariances, Mixture};
use rayon::prelude::*;

/// The exact denoiser of a mixture.
///
/// ```
/// use ndarray::array;
/// use quadrat_core::Seed;
/// use quadrat_diffusion::{MixtureDenoiser, Schedule, data_prediction};
/// // Two points, each with a normal of standard deviation 0.1 around it.
/// let two = MixtureDenoiser::kernel(array![[-1.0], [1.0]].view(), 0.1)?;
/// let level = Schedule::edm().level(0.5);
/// // Near 1 the sample was near 1.
/// let was = data_prediction(&two, array![[0.9]].view(), &level)?[[0, 0]];
/// assert!((was - 0.98).abs() < 0.02);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct MixtureDenoiser {
    mixture: Mixture,
}

impl MixtureDenoiser {
    /// The denoiser of a mixture.
    ///
    /// # Errors
    /// Shapes that do not belong together, values that are not finite, weights below 0 or without a sum, covariances that are not
    /// positive definite.
    pub fn new(mut mixture: Mixture) -> Result<Self> {
        let (k, d) = mixture.means.dim();
        if k == 0 || d == 0 || mixture.weights.len() != k {
            let got = format!("{} weights, means of shape {:?}", mixture.weights.len(), mixture.means.dim());
            return Err(Error::input("mixture", got, "at least one component and column, a weight for each component"));
        }
        if let Some(wrong) = mixture.weights.iter().find(|w| !(w.is_finite() && **w >= 0.0)) {
            return Err(Error::input("weights of a mixture", wrong, "finite numbers, not below 0"));
        }
        let total = mixture.weights.sum();
        if total <= 0.0 || mixture.means.iter().any(|v| !v.is_finite()) {
            return Err(Error::input(
                "mixture",
                "weights of 0 or means that are not finite",
                "some weight, finite means",
            ));
        }
        mixture.weights /= total;
        // Whatever else is wrong with the covariances shows when a row is weighed.
        let first = mixture.means.row(0).insert_axis(Axis(0)).to_owned();
        mixture.responsibilities(first.view())?;
        Ok(MixtureDenoiser { mixture })
    }

    /// A normal of standard deviation `bandwidth` around each row, all of one weight: the kernel density estimate of rows.
    ///
    /// # Errors
    /// No row, values that are not finite, a bandwidth not above 0.
    pub fn kernel(rows: ArrayView2<f64>, bandwidth: f64) -> Result<Self> {
        if !(bandwidth > 0.0 && bandwidth.is_finite()) {
            return Err(Error::input("bandwidth", bandwidth, "a finite number above 0"));
        }
        let n = rows.nrows();
        MixtureDenoiser::new(Mixture {
            weights: Array1::ones(n),
            means: rows.to_owned(),
            covariances: Covariances::Spherical(Array1::from_elem(n, bandwidth * bandwidth)),
        })
    }

    /// The law of the data.
    pub fn mixture(&self) -> &Mixture {
        &self.mixture
    }

    /// The law of noised samples at a level.
    pub fn noised(&self, at: &Level) -> Mixture {
        let Mixture { weights, means, covariances } = &self.mixture;
        let (a, s) = (at.alpha * at.alpha, at.sigma * at.sigma);
        let lifted = |matrix: &Array2<f64>| a * matrix + s * Array2::<f64>::eye(matrix.nrows());
        let covariances = match covariances {
            Covariances::Spherical(v) => Covariances::Spherical(a * v + s),
            Covariances::Diagonal(v) => Covariances::Diagonal(a * v + s),
            Covariances::Shared(matrix) => Covariances::Shared(lifted(matrix)),
            Covariances::Full(all) => Covariances::Full(all.iter().map(lifted).collect()),
        };
        Mixture { weights: weights.clone(), means: at.alpha * means, covariances }
    }

    /// ln of the density of noised samples, for each row.
    ///
    /// # Errors
    /// Rows of another width.
    pub fn log_density(&self, x: ArrayView2<f64>, at: &Level) -> Result<Vec<f64>> {
        self.noised(at).log_densities(x)
    }

    /// `n` noised samples at a level: sample i from `seed.stream("data").rng(i)` and `seed.stream("noise").rng(i)`.
    ///
    /// # Errors
    /// None that [`new`](Self::new) has not found.
    pub fn sample(&self, n: usize, at: &Level, seed: Seed) -> Result<Array2<f64>> {
        let stream = seed.stream("data");
        let mut x = Array2::zeros((n, self.dims()));
        for (i, mut row) in x.outer_iter_mut().enumerate() {
            row.assign(&self.mixture.sample(1, &mut stream.rng(i as u64))?.row(0));
        }
        x *= at.alpha;
        x += &noise_rows(n, self.dims(), at.sigma, seed);
        Ok(x)
    }

    /// The law of the data given that `matrix` x₀ + noise was `measured`, with independent noise of standard deviation `noise`: again a
    /// mixture.
    ///
    /// # Errors
    /// Shapes that do not belong together, noise not above 0.
    pub fn given(&self, matrix: ArrayView2<f64>, measured: ArrayView1<f64>, noise: f64) -> Result<MixtureDenoiser> {
        let (rows, d) = matrix.dim();
        if d != self.dims() || measured.len() != rows {
            let got = format!("a matrix of {rows} x {d} and {} measurements", measured.len());
            return Err(Error::input(
                "measurement",
                got,
                format!("{} columns, a row for each measurement", self.dims()),
            ));
        }
        if !(noise > 0.0 && noise.is_finite()) {
            return Err(Error::input("noise", noise, "a finite number above 0"));
        }
        let k = self.mixture.weights.len();
        let (mut means, mut matrices, mut logs) =
            (self.mixture.means.clone(), Vec::with_capacity(k), Vec::with_capacity(k));
        for component in 0..k {
            let covariance = self.covariance(component);
            let across = matrix.dot(&covariance);
            // S = A C A' + noise² I, gain G = C A' S⁻¹.
            let spread = across.dot(&matrix.t()) + noise * noise * Array2::<f64>::eye(rows);
            let gain = solve(spread.view(), across.view())?.reversed_axes();
            let off = &measured - &matrix.dot(&self.mixture.means.row(component));
            means.row_mut(component).scaled_add(1.0, &gain.dot(&off));
            let left = &covariance - &gain.dot(&across);
            matrices.push(0.5 * (&left + &left.t()));
            let seen = Mixture {
                weights: Array1::ones(1),
                means: Array2::zeros((1, rows)),
                covariances: Covariances::Shared(spread),
            };
            logs.push(self.mixture.weights[component].ln() + seen.log_densities(off.insert_axis(Axis(0)).view())?[0]);
        }
        let top = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let weights = logs.iter().map(|log| (log - top).exp()).collect();
        MixtureDenoiser::new(Mixture { weights, means, covariances: Covariances::Full(matrices) })
    }

    /// A component's covariance as a matrix.
    fn covariance(&self, component: usize) -> Array2<f64> {
        match &self.mixture.covariances {
            Covariances::Spherical(v) => Array2::eye(self.dims()) * v[component],
            Covariances::Diagonal(v) => Array2::from_diag(&v.row(component)),
            Covariances::Shared(matrix) => matrix.clone(),
            Covariances::Full(all) => all[component].clone(),
        }
    }

    /// What each component says a sample was, E\[x₀ | x, component\], is offset + x · gain: the gains, and offsets as rows.
    fn regressions(&self, at: &Level) -> Result<(Gains, Array2<f64>)> {
        let Level { alpha, sigma, .. } = *at;
        let variance = |v: f64| alpha * v / (alpha * alpha * v + sigma * sigma);
        let means = &self.mixture.means;
        let numbers = |gains: Array2<f64>| {
            let offsets = means * &gains.mapv(|g| 1.0 - alpha * g);
            (Gains::Numbers(gains), offsets)
        };
        Ok(match &self.mixture.covariances {
            Covariances::Spherical(v) => numbers(v.mapv(variance).insert_axis(Axis(1))),
            Covariances::Diagonal(v) => numbers(v.mapv(variance)),
            Covariances::Shared(_) | Covariances::Full(_) => {
                let mut offsets = means.clone();
                let mut gains = Vec::new();
                for component in 0..means.nrows() {
                    let covariance = self.covariance(component);
                    let noised = alpha * alpha * &covariance + sigma * sigma * Array2::<f64>::eye(self.dims());
                    let gain = solve(noised.view(), (alpha * covariance).view())?;
                    let off = gain.t().dot(&means.row(component));
                    offsets.row_mut(component).scaled_add(-alpha, &off);
                    gains.push(gain);
                }
                (Gains::Matrices(gains), offsets)
            }
        })
    }

    /// Shares of the components (rows x components), and what each says: Σ over components is the data prediction.
    fn look(&self, x: ArrayView2<f64>, at: &Level) -> Result<Look> {
        check_dims(self.dims(), x)?;
        let shares = self.noised(at).responsibilities(x)?;
        let (gains, offsets) = self.regressions(at)?;
        let mut data = shares.dot(&offsets);
        match &gains {
            Gains::Numbers(each) => data += &(&x * &shares.dot(each)),
            Gains::Matrices(each) => {
                for (gain, share) in each.iter().zip(shares.axis_iter(Axis(1))) {
                    data += &(x.dot(gain) * share.insert_axis(Axis(1)));
                }
            }
        }
        Ok(Look { shares, gains, offsets, data })
    }

    /// For each row, the posterior covariance of the data given the noised sample, times a vector: Cov(x₀ | x) u. The Jacobian of
    /// the data prediction is α/σ² times it.
    ///
    /// # Errors
    /// Rows of another width.
    pub fn covariance_times(&self, x: ArrayView2<f64>, at: &Level, u: ArrayView2<f64>) -> Result<Array2<f64>> {
        let look = self.look(x, at)?;
        Ok(self.jacobian_times(x, at, &look, u) * (at.sigma * at.sigma / at.alpha))
    }

    /// J u, where J = Σ shareₖ Gₖ + α/σ² Σ shareₖ (dₖ - d)(dₖ - d)' of a row is symmetric: within components and between them.
    fn jacobian_times(&self, x: ArrayView2<f64>, at: &Level, look: &Look, u: ArrayView2<f64>) -> Array2<f64> {
        let mut product = Array2::zeros(x.raw_dim());
        let scale = at.alpha / (at.sigma * at.sigma);
        let rows = product.as_slice_mut().unwrap_or_default().par_chunks_mut(self.dims());
        rows.enumerate().for_each(|(i, out)| {
            let (row, u, mean, mut out) = (x.row(i), u.row(i), look.data.row(i), ArrayViewMut1::from(out));
            for (k, share) in look.shares.row(i).iter().enumerate().filter(|(_, share)| **share > 0.0) {
                let off = &look.offsets.row(k) + &look.gains.times(k, row) - mean;
                out.scaled_add(share * scale * off.dot(&u), &off);
                out.scaled_add(*share, &look.gains.times(k, u));
            }
        });
        product
    }
}

/// What a look at samples found.
struct Look {
    shares: Array2<f64>,
    gains: Gains,
    offsets: Array2<f64>,
    data: Array2<f64>,
}

/// What a sample is multiplied with by each component.
enum Gains {
    /// Components x columns, or x 1 where all columns are alike.
    Numbers(Array2<f64>),
    /// Symmetric matrices.
    Matrices(Vec<Array2<f64>>),
}

impl Gains {
    fn times(&self, k: usize, v: ArrayView1<f64>) -> Array1<f64> {
        match self {
            Gains::Numbers(each) => &v * &each.row(k),
            Gains::Matrices(each) => each[k].dot(&v),
        }
    }
}

impl Denoiser for MixtureDenoiser {
    fn dims(&self) -> usize {
        self.mixture.means.ncols()
    }

    fn prediction(&self) -> Prediction {
        Prediction::Data
    }

    fn predict(&self, x: ArrayView2<f64>, at: &Level) -> Result<Array2<f64>> {
        if at.sigma == 0.0 {
            return Ok(&x / at.alpha);
        }
        Ok(self.look(x, at)?.data)
    }
}

impl Differentiable for MixtureDenoiser {
    fn pull_back(
        &self,
        x: ArrayView2<f64>,
        at: &Level,
        cotangent: &mut dyn FnMut(&Array2<f64>) -> Result<Array2<f64>>,
    ) -> Result<(Array2<f64>, Array2<f64>)> {
        let look = self.look(x, at)?;
        let u = cotangent(&look.data)?;
        let product = self.jacobian_times(x, at, &look, u.view());
        Ok((look.data, product))
    }
}

#[cfg(test)]
mod tests;
