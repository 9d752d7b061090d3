//! Designs: points and weights drawn by any of the samplers, redrawn, boosted and pruned.

use super::projection::{features_at, projection_dpp};
use super::{PoolDesign, Sampler};
use crate::FeatureSpace;
use crate::weighted_fit::gram_eigenvalues;
use ndarray::{Array2, ArrayView1, Axis, s};
use quadrat_core::{Error, Progress, Result, Rng, Seed, checkpoint};
use rayon::prelude::*;
use std::collections::HashSet;

/// Draws designs.
///
/// ```
/// use quadrat_core::{Seed, Silent};
/// use quadrat_select::{Basis, Design, DesignSampler, Family, FeatureSpace, WeightedFit};
/// // Ten functions of degree up to 9, forty evaluations of an expensive f on [-1, 1].
/// let space = Basis::total_degree(Family::Legendre, 1, 9)?;
/// let design = DesignSampler::default().design(&space, 40, Seed(1), &Silent)?;
/// let y: Vec<f64> = design.points.column(0).iter().map(|x| x.exp()).collect();
/// let fit = WeightedFit::new(design.features(&space).view(), &design.weights, &y)?;
/// assert!(fit.error < 1e-6);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DesignSampler {
    /// How the points are drawn.
    pub sampler: Sampler,
    /// Redraw until lambda_min(G) >= 1 - delta, with delta in (0, 1). Without it independent designs have no finite
    /// mean squared error: it is part of the method.
    pub condition: Option<f64>,
    /// How often to draw before giving up on the condition.
    pub max_tries: usize,
    /// Candidates in each draw, of which the one with the smallest ||G - I|| is kept: 1 is no choice at all. The choice
    /// costs unbiasedness.
    pub boost: usize,
    /// Whether to leave out points afterwards, each time the one without which ||G - I|| is smallest, as long as the
    /// condition holds (none: nothing is left out). Time O(n^2 m^3).
    pub prune: bool,
    /// Go on drawing beyond the points asked for until so many of them differ: on a pool whose leverage sits in a few
    /// rows these come again and again.
    pub distinct: Option<usize>,
}

impl Default for DesignSampler {
    fn default() -> Self {
        let PoolDesign { sampler, max_tries, boost, prune, .. } = PoolDesign::default();
        DesignSampler { sampler, condition: Some(0.5), max_tries, boost, prune, distinct: None }
    }
}

/// Points and weights for a weighted least-squares fit.
#[derive(Debug, Clone, PartialEq)]
pub struct Design {
    /// n x dims; of a [`FinitePool`](crate::FinitePool), row numbers (a row may come more than once).
    pub points: Array2<f64>,
    /// w(x_i), n of them; 1/n sum w f estimates the mean of f under mu for the samplers with w*.
    pub weights: Vec<f64>,
    /// Smallest eigenvalue of G; the fit is stable when it is near 1.
    pub lambda_min: f64,
    /// Draws that were made until the condition held, each of as many candidates as boosting takes.
    pub tries: usize,
}

/// max |lambda - 1| over the eigenvalues of G, largest first: ||G - I|| in the operator norm.
pub(super) fn distance(eigenvalues: &[f64]) -> f64 {
    eigenvalues.iter().map(|lambda| (lambda - 1.0).abs()).fold(0.0, f64::max)
}

impl Design {
    /// The features at the points, n x m.
    pub fn features(&self, space: &dyn FeatureSpace) -> Array2<f64> {
        features_at(space, self.points.view())
    }
}

impl DesignSampler {
    /// A design of `n` points for `space`.
    ///
    /// # Errors
    /// Fewer points than functions, a delta outside (0, 1), no design within `max_tries` that meets the condition
    /// (the best eigenvalue is named), or the user's stop.
    pub fn design(&self, space: &dyn FeatureSpace, n: usize, seed: Seed, progress: &dyn Progress) -> Result<Design> {
        let design = self.best(space, n, seed, progress)?;
        let short = |delta: &f64| design.lambda_min < 1.0 - delta;
        if self.condition.as_ref().is_some_and(short) {
            let why = format!(
                "{} designs of {n} points for {} functions, the best with smallest eigenvalue {:.3}: use more points, a \
                 condition closer to 1, or none",
                design.tries,
                space.len(),
                design.lambda_min
            );
            return Err(Error::numeric("stability condition", why));
        }
        Ok(design)
    }

    /// [`DesignSampler::design`], with the best of the draws where none meets the condition: `lambda_min` tells.
    ///
    /// # Errors
    /// Fewer points than functions, a delta outside (0, 1), too few points that differ, or the user's stop.
    pub fn best(&self, space: &dyn FeatureSpace, n: usize, seed: Seed, progress: &dyn Progress) -> Result<Design> {
        let m = space.len();
        if n < m {
            return Err(Error::input("points", n, format!("a fit of {m} functions needs at least {m} points")));
        }
        if let Some(delta) = self.condition.filter(|d| !(*d > 0.0 && *d < 1.0)) {
            return Err(Error::input("condition", delta, "use a number between 0 and 1, or none"));
        }
        progress.begin("drawing designs", None);
        let mut best: Option<Design> = None;
        for attempt in 0..self.max_tries.max(1) {
            let mut nearest: Option<(f64, Design)> = None;
            for candidate in 0..self.boost.max(1) {
                checkpoint(progress)?;
                let item = attempt * self.boost.max(1) + candidate;
                let points = self.draw(space, n, seed.stream("design").rng(item as u64), progress)?;
                let phi = features_at(space, points.view());
                let weights = self.weights(&phi);
                let eigenvalues = gram_eigenvalues(phi.view(), &weights)?;
                if nearest.as_ref().is_none_or(|(least, _)| distance(&eigenvalues) < *least) {
                    let design = Design { points, weights, lambda_min: eigenvalues[m - 1], tries: attempt + 1 };
                    nearest = Some((distance(&eigenvalues), design));
                }
            }
            let Some((_, design)) = nearest else { break };
            if self.condition.is_none_or(|delta| design.lambda_min >= 1.0 - delta) {
                return match self.condition.filter(|_| self.prune) {
                    Some(delta) => pruned(design, space, delta, progress),
                    None => Ok(design),
                };
            }
            if best.as_ref().is_none_or(|best| design.lambda_min > best.lambda_min) {
                best = Some(design);
            }
            progress.advance(1);
        }
        let tries = self.max_tries.max(1);
        best.map(|best| Design { tries, ..best })
            .ok_or_else(|| Error::numeric("stability condition", "no design has a smallest eigenvalue"))
    }

    /// One sample, unconditioned.
    fn draw(&self, space: &dyn FeatureSpace, n: usize, mut rng: Rng, progress: &dyn Progress) -> Result<Array2<f64>> {
        let m = space.len();
        let determinantal = match self.sampler {
            Sampler::MonteCarlo | Sampler::Christoffel => 0,
            Sampler::Volume | Sampler::VolumeChristoffel => 1,
            Sampler::RepeatedDpp => n / m,
        };
        let mut points = Array2::zeros((n, space.dims()));
        for block in 0..determinantal {
            projection_dpp(space, &mut rng, points.slice_mut(s![block * m..(block + 1) * m, ..]), progress)?;
        }
        let mut x = vec![0.0; space.dims()];
        for mut point in points.outer_iter_mut().skip(determinantal * m) {
            self.draw_alone(space, &mut rng, &mut x);
            point.assign(&ArrayView1::from(&x));
        }
        match self.distinct {
            Some(wanted) => self.until_distinct(space, points, wanted, &mut rng, progress),
            None => Ok(points),
        }
    }

    /// A point by itself: from mu or the Christoffel density.
    fn draw_alone(&self, space: &dyn FeatureSpace, rng: &mut Rng, x: &mut [f64]) {
        match self.sampler {
            Sampler::MonteCarlo | Sampler::Volume => space.sample_mu(rng, x),
            _ => space.sample_christoffel(rng, x),
        }
    }

    /// The points and as many more as it takes until `wanted` of them differ: further determinantal draws where these
    /// repeat, else points by themselves.
    fn until_distinct(
        &self,
        space: &dyn FeatureSpace,
        points: Array2<f64>,
        wanted: usize,
        rng: &mut Rng,
        progress: &dyn Progress,
    ) -> Result<Array2<f64>> {
        // Coupons of equal chance need about ln(wanted) + 1 draws each; rows that have hardly any chance are not waited for.
        let most = 1000 * wanted.max(1) + points.nrows();
        let dims = space.dims();
        let bits = |x: ArrayView1<f64>| x.iter().map(|v| v.to_bits()).collect::<Vec<u64>>();
        let mut seen: HashSet<Vec<u64>> = points.outer_iter().map(bits).collect();
        let mut all = points.iter().copied().collect::<Vec<f64>>();
        let mut block = Array2::zeros((if self.sampler == Sampler::RepeatedDpp { space.len() } else { 1 }, dims));
        let mut x = vec![0.0; dims];
        while seen.len() < wanted {
            checkpoint(progress)?;
            if all.len() / dims > most {
                let got = format!("{} different points in {} draws", seen.len(), all.len() / dims);
                let want = format!("{wanted} will not come: the other rows hardly matter to this fit; ask for fewer");
                return Err(Error::input("distinct", got, want));
            }
            if self.sampler == Sampler::RepeatedDpp {
                projection_dpp(space, rng, block.view_mut(), progress)?;
            } else {
                self.draw_alone(space, rng, &mut x);
                block.row_mut(0).assign(&ArrayView1::from(&x));
            }
            for x in block.outer_iter() {
                if seen.len() < wanted {
                    seen.insert(bits(x));
                    all.extend(x);
                }
            }
        }
        let shape = (all.len() / dims, dims);
        Array2::from_shape_vec(shape, all).map_err(|e| Error::numeric("design", e.to_string()))
    }

    /// w at each point: 1, or w* = m / |phi|^2.
    fn weights(&self, phi: &Array2<f64>) -> Vec<f64> {
        let m = phi.ncols() as f64;
        let optimal = !matches!(self.sampler, Sampler::MonteCarlo | Sampler::Volume);
        phi.outer_iter().map(|row| if optimal { m / row.dot(&row) } else { 1.0 }).collect()
    }
}

/// The design without the points that lambda_min >= 1 - delta does not need, left out greedily.
fn pruned(mut design: Design, space: &dyn FeatureSpace, delta: f64, progress: &dyn Progress) -> Result<Design> {
    let phi = design.features(space);
    let mut kept: Vec<usize> = (0..design.weights.len()).collect();
    while kept.len() > space.len() {
        checkpoint(progress)?;
        let without = |left_out: usize| {
            let rest: Vec<usize> = kept.iter().copied().filter(|row| *row != left_out).collect();
            let weights: Vec<f64> = rest.iter().map(|row| design.weights[*row]).collect();
            let eigenvalues = gram_eigenvalues(phi.select(Axis(0), &rest).view(), &weights)?;
            Ok((distance(&eigenvalues), eigenvalues[space.len() - 1], left_out))
        };
        let choices = kept.par_iter().map(|row| without(*row)).collect::<Result<Vec<(f64, f64, usize)>>>()?;
        // The first of those that tie.
        let Some(&(_, lambda_min, left_out)) = choices.iter().min_by(|a, b| a.0.total_cmp(&b.0)) else { break };
        if lambda_min < 1.0 - delta {
            break;
        }
        kept.retain(|row| *row != left_out);
        design.lambda_min = lambda_min;
    }
    design.points = design.points.select(Axis(0), &kept);
    design.weights = kept.iter().map(|row| design.weights[*row]).collect();
    Ok(design)
}
