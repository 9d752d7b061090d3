//! Phase 1 for factors and clusters, and how large a model to fit.

use super::{Contrastive, Encoder, Latent, Representation};
use ndarray::{Array1, Array2, ArrayView2};
use quadrat_core::{Error, Progress, Result, Seed, checkpoint};
use quadrat_numeric::factors::{FactorAnalysis, FactorModel, check_rank};
use quadrat_numeric::linalg::Pca;
use quadrat_numeric::mixture::{GaussianMixture, Mixture};
use std::f64::consts::TAU;

/// Instance A of the paper: x = B z + mu + noise of one variance s2, z ~ N(0, I_r). The maximum of the likelihood is closed
/// (probabilistic principal components, Tipping and Bishop 1999): with the eigenpairs (l_i, v_i) of the sample
/// covariance, s2 = mean of the d - r smallest l and B = V_r (L_r - s2 I)^(1/2), up to a rotation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ppca {
    /// r, from 1 to below the number of rows and of columns.
    pub rank: usize,
}

/// Smallest noise variance, as a share of the mean variance of a column: rows that lie in r dimensions exactly would
/// have none, and a likelihood without bound.
const FLOOR: f64 = 1e-9;

impl Ppca {
    /// The model of greatest likelihood.
    ///
    /// Cost: rows x columns x min(rows, columns).
    ///
    /// # Errors
    /// As [`check_rank`].
    pub fn model(&self, x: ArrayView2<f64>) -> Result<FactorModel> {
        check_rank(x, self.rank)?;
        Ok(Self::of_components(&Pca::fit(x, self.rank)?, x.nrows()))
    }

    /// The same from the components of `rows` rows, whatever their precision: as many factors as components.
    pub fn of_components(pca: &Pca, rows: usize) -> FactorModel {
        let (d, r) = pca.components.dim();
        let per_row = (rows.max(2) - 1) as f64 / rows.max(1) as f64; // likelihood divides by rows, not rows - 1
        let l: Vec<f64> = pca.variances.iter().map(|v| v * per_row).collect();
        let total = pca.total_variance * per_row;
        let s2 = noise(total - l.iter().sum::<f64>(), total, d, r);
        let loadings = Array2::from_shape_fn((d, r), |(i, j)| pca.components[[i, j]] * (l[j] - s2).max(0.0).sqrt());
        FactorModel { mean: pca.mean.clone(), loadings, noise: vec![s2; d] }
    }
}

/// s2 from what r of d directions leave of the total variance.
fn noise(rest: f64, total: f64, d: usize, r: usize) -> f64 {
    (rest / (d - r).max(1) as f64).max(FLOOR * total / d as f64)
}

impl Latent for FactorModel {
    fn transform(&self, x: ArrayView2<f64>) -> Result<Array2<f64>> {
        self.posterior_mean(x)
    }
}

impl Latent for Mixture {
    fn transform(&self, x: ArrayView2<f64>) -> Result<Array2<f64>> {
        self.responsibilities(x)
    }
}

impl Latent for Encoder {
    fn transform(&self, x: ArrayView2<f64>) -> Result<Array2<f64>> {
        self.encode(x)
    }
}

impl Representation for Ppca {
    fn fit(&self, x: ArrayView2<f64>, _: Seed, progress: &dyn Progress) -> Result<Box<dyn Latent>> {
        checkpoint(progress)?;
        Ok(Box::new(self.model(x)?))
    }
}

impl Representation for FactorAnalysis {
    fn fit(&self, x: ArrayView2<f64>, _: Seed, progress: &dyn Progress) -> Result<Box<dyn Latent>> {
        Ok(Box::new(FactorAnalysis::fit(self, x, progress)?.model))
    }
}

impl Representation for GaussianMixture {
    fn fit(&self, x: ArrayView2<f64>, seed: Seed, progress: &dyn Progress) -> Result<Box<dyn Latent>> {
        Ok(Box::new(GaussianMixture::fit(self, x, seed, progress)?.mixture))
    }
}

impl Representation for Contrastive {
    fn fit(&self, x: ArrayView2<f64>, seed: Seed, progress: &dyn Progress) -> Result<Box<dyn Latent>> {
        Ok(Box::new(Contrastive::fit(self, x, seed, progress)?))
    }
}

/// The families by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, quadrat_core::Choice)]
pub enum Kind {
    /// Factors with a noise each column. [`FactorAnalysis`].
    Fa,
    /// Factors with one noise for all columns. [`Ppca`].
    Ppca,
    /// Clusters. [`GaussianMixture`] with spherical covariances.
    Gmm,
    /// An encoder that tells whether two corrupted views are of one row. [`Contrastive`], linear.
    Contrastive,
}

/// Most clusters, and most factors of factor analysis, that BIC tries.
const MOST: usize = 30;

impl Kind {
    /// The family with so many factors, clusters or outputs.
    pub fn of_size(self, size: usize) -> Box<dyn Representation> {
        match self {
            Kind::Ppca => Box::new(Ppca { rank: size }),
            Kind::Fa => Box::new(FactorAnalysis::new(size)),
            Kind::Gmm => Box::new(GaussianMixture::new(size)),
            Kind::Contrastive => Box::new(Contrastive::new(size)),
        }
    }

    /// The size of smallest Schwarz criterion (BIC) on unlabelled rows, or the criterion of the `given` one. Principal
    /// components answer for all ranks at once; the others try one size after the other, at most 30, and stop when two in
    /// a row were no better than the best. The contrastive encoder, which has no likelihood of x, gets the number of
    /// factors of factor analysis.
    ///
    /// # Errors
    /// As the family's fit of one factor or cluster, or of the given size; the user's cancelling.
    pub fn choose(
        self,
        x: ArrayView2<f64>,
        given: Option<usize>,
        seed: Seed,
        progress: &dyn Progress,
    ) -> Result<Choice> {
        check_rank(x, given.filter(|_| self != Kind::Gmm).unwrap_or(1))?;
        let (m, d) = x.dim();
        let bic = |log_likelihood: f64, parameters: usize| {
            -2.0 * m as f64 * log_likelihood + parameters as f64 * (m as f64).ln()
        };
        // A loading matrix counts without its rotations.
        let factors = |r: usize| d + d * r - r * (r - 1) / 2;
        let rank = m.min(d) - 1;
        match self {
            Kind::Ppca => {
                let pca = Pca::fit(x, given.unwrap_or(rank))?;
                let total = pca.total_variance;
                let of = |r: usize| {
                    let (kept, rest) = (&pca.variances[..r], total - pca.variances[..r].iter().sum::<f64>());
                    let logs: f64 = kept.iter().map(|l| l.max(FLOOR * total / d as f64).ln()).sum();
                    let noise = (d - r) as f64 * noise(rest, total, d, r).ln();
                    bic(-0.5 * (logs + noise + d as f64 * (1.0 + TAU.ln())), factors(r) + 1)
                };
                let sizes = given.map_or(1..=rank, |r| r..=r);
                let best = sizes.map(|r| (of(r), r)).min_by(|a, b| a.0.total_cmp(&b.0)).unwrap_or((f64::NAN, 1));
                Ok(Choice { criterion: best.0, size: best.1, most: rank })
            }
            Kind::Fa | Kind::Contrastive => first_minimum(given, rank.min(MOST), |r| {
                let fit = FactorAnalysis::new(r).fit(x, progress)?;
                Ok(bic(fit.path.last().copied().unwrap_or(f64::NAN), factors(r) + d))
            }),
            Kind::Gmm => first_minimum(given, MOST.min(m), |k| {
                let method = GaussianMixture::new(k);
                match method.fit(x, seed, progress) {
                    Ok(fit) => Ok(bic(fit.path.last().copied().unwrap_or(f64::NAN), method.parameters(d))),
                    // More clusters than the rows can fill are merely no better.
                    Err(Error::Numeric { .. }) if k > 1 && given.is_none() => Ok(f64::INFINITY),
                    Err(error) => Err(error),
                }
            }),
        }
    }
}

/// A size, and how it was found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Choice {
    /// Factors, clusters or outputs.
    pub size: usize,
    /// Schwarz's criterion of it: -2 ln likelihood of all rows + parameters ln rows. Smaller is better.
    pub criterion: f64,
    /// The largest size that could be chosen.
    pub most: usize,
}

impl Choice {
    /// Whether the size is within a tenth of the largest, where a criterion that means something seldom ends: the family
    /// rather lacks what these rows have.
    pub fn at_limit(&self) -> bool {
        self.most > 1 && self.size + self.size / 10 >= self.most
    }
}

/// A family that has one variance for all columns, on columns of another scale than those it is given.
///
/// One variance is a statement about the columns' units: standardising columns of like units whose loadings differ
/// destroys it, and BIC then takes a factor for almost every column.
pub struct Rescaled<'a> {
    /// The family.
    pub representation: &'a dyn Representation,
    /// What each column is multiplied by.
    pub factors: Array1<f64>,
}

struct RescaledLatent {
    latent: Box<dyn Latent>,
    factors: Array1<f64>,
}

impl Representation for Rescaled<'_> {
    fn fit(&self, x: ArrayView2<f64>, seed: Seed, progress: &dyn Progress) -> Result<Box<dyn Latent>> {
        check_columns(x, &self.factors)?;
        let latent = self.representation.fit((&x * &self.factors).view(), seed, progress)?;
        Ok(Box::new(RescaledLatent { latent, factors: self.factors.clone() }))
    }
}

impl Latent for RescaledLatent {
    fn transform(&self, x: ArrayView2<f64>) -> Result<Array2<f64>> {
        check_columns(x, &self.factors)?;
        self.latent.transform((&x * &self.factors).view())
    }
}

fn check_columns(x: ArrayView2<f64>, factors: &Array1<f64>) -> Result<()> {
    if x.ncols() == factors.len() {
        return Ok(());
    }
    Err(Error::input("rows", format!("{} columns", x.ncols()), format!("there are {} factors", factors.len())))
}

/// The size from 1 to `most` with the smallest criterion, given up after two in a row that are no better.
fn first_minimum(given: Option<usize>, most: usize, criterion: impl Fn(usize) -> Result<f64>) -> Result<Choice> {
    let first = given.unwrap_or(1);
    let mut best = (criterion(first)?, first);
    for size in first + 1..=given.unwrap_or(most) {
        let value = criterion(size)?;
        if value < best.0 {
            best = (value, size);
        } else if size >= best.1 + 2 {
            break;
        }
    }
    Ok(Choice { criterion: best.0, size: best.1, most })
}
