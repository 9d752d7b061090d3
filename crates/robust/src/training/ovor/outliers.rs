//! Virtual outliers around the features of some classes.
//!
//! Tao, Du, Zhu, Li: "Non-Parametric Outlier Synthesis", ICLR 2023 (arXiv 2303.02966), as OVOR uses it. Features are brought to
//! length 1. The rows whose k-th neighbour (the row itself counts as the first) is farthest lie at the boundary; noise is added
//! to each, and of all such candidates those are kept whose k-th neighbour among the features is farthest. They are given back at
//! their boundary row's own length.
//!
//! The paper's program computes the boundary rows but does not add them, so that its candidates lie around the origin, and
//! searches neighbours of candidates that are not of length 1 among features that are. What is written here is the described
//! method; `origin` has what that program draws.

use ndarray::{Array2, ArrayView2, Axis};
use quadrat_core::{Choice, Error, Result, Seed, Settings, Silent};
use quadrat_numeric::neighbours::{Metric, nearest_f32};

/// How outliers are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Settings)]
pub struct Outliers {
    /// Where they lie.
    #[param(default = Around::Boundary)]
    pub around: Around,
    /// Which neighbour's distance says how far out a row lies; lowered to the number of rows.
    #[param(default = 50, from = 2)]
    pub k: usize,
    /// Boundary rows.
    #[param(default = 50, from = 1)]
    pub boundary: usize,
    /// Draws of noise, each added to all boundary rows.
    #[param(default = 600, from = 1)]
    pub draws: usize,
    /// Standard deviation of the noise in each direction, features having length 1.
    #[param(default = 0.1, above = 0)]
    pub noise: f32,
    /// Outliers that are kept for each class.
    #[param(default = 40, from = 1)]
    pub per_class: usize,
}

/// Where outliers lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Choice)]
pub enum Around {
    /// Around the rows that lie farthest out.
    Boundary,
    /// Around 0, as the paper's program draws them.
    Origin,
}

impl Outliers {
    /// Outliers around these features, a row each, the farthest first.
    ///
    /// # Errors
    /// More outliers than candidates; features that are not finite.
    pub fn sample(&self, features: ArrayView2<f32>, classes: usize, seed: Seed) -> Result<Array2<f32>> {
        let (n, d) = features.dim();
        let (wanted, from) = (self.per_class * classes, self.draws * self.boundary.min(n));
        let from = if self.around == Around::Origin { self.draws } else { from };
        if wanted > from || n < 2 {
            let got = format!("{wanted} of {from} candidates around {n} rows");
            return Err(Error::input("outliers", got, "two rows, and more draws or fewer outliers for each class"));
        }
        let lengths: Vec<f32> = features.outer_iter().map(|z| z.dot(&z).sqrt().max(f32::MIN_POSITIVE)).collect();
        let mut unit = features.to_owned();
        unit.outer_iter_mut().zip(&lengths).for_each(|(mut z, length)| z /= *length);
        let k = self.k.clamp(2, n);
        let own: Vec<usize> = (0..n).collect();
        let near = nearest_f32(unit.view(), unit.view(), Some(&own), k - 1, Metric::Euclidean, &Silent)?;
        let edge = farthest(&near.squared, k - 1, self.boundary);

        let mut rng = seed.rng(0);
        let noise = Array2::from_shape_simple_fn((self.draws, d), || self.noise * rng.normal() as f32);
        let mean = lengths.iter().map(|l| f64::from(*l)).sum::<f64>() / n as f64;
        let mut candidates = Vec::with_capacity(from * d);
        let mut scales = Vec::with_capacity(from);
        match self.around {
            Around::Boundary => {
                for &row in &edge {
                    noise.outer_iter().for_each(|e| candidates.extend(unit.row(row).iter().zip(e).map(|(z, e)| z + e)));
                    scales.extend(std::iter::repeat_n(lengths[row], self.draws));
                }
            }
            Around::Origin => {
                candidates.extend(noise.iter());
                scales.resize(self.draws, mean as f32);
            }
        }
        let candidates = quadrat_numeric::matrix((scales.len(), d), candidates)?;
        let near = nearest_f32(unit.view(), candidates.view(), None, k, Metric::Euclidean, &Silent)?;
        let kept = farthest(&near.squared, k, wanted);
        let mut outliers = candidates.select(Axis(0), &kept);
        outliers.outer_iter_mut().zip(&kept).for_each(|(mut v, row)| v *= scales[*row]);
        Ok(outliers)
    }
}

/// The rows whose last of `k` distances is largest, the lower row first where these tie.
fn farthest(squared: &[f64], k: usize, count: usize) -> Vec<usize> {
    let last: Vec<f64> = squared.chunks_exact(k).map(|row| row[k - 1]).collect();
    let mut order: Vec<usize> = (0..last.len()).collect();
    order.sort_by(|a, b| last[*b].total_cmp(&last[*a]).then(a.cmp(b)));
    order.truncate(count);
    order
}
