//! Weighted least squares from determinantal designs (Nouy and Michel, arXiv 2312.14057).
//!
//! A fit in an m-dimensional space needs points at which the features are as good as orthonormal: the empirical Gram
//! matrix G = 1/n sum w(x_i) phi(x_i) phi(x_i)^T must be near the identity. Independent points need n of order m log m
//! for that, even from the best density (the Christoffel density |phi|^2 / m, weight w* = m / |phi|^2). Points that
//! repel each other need fewer: a projection determinantal point process (DPP) gives m points of the same marginal
//! density that never crowd, and independent repetitions of it keep E G = I.
//!
//! What the paper leaves to the reader is decided so: a number of points that is no multiple of m is filled up with
//! independent draws of the Christoffel density (for m < n < 2m that is exactly volume-rescaled sampling with w*); the
//! constants of the paper's theorems were not used. Boosting (Haberstich, Nouy and Perrin, Mathematics of Computation
//! 2022), a rival of the repeated DPP, goes on top of any sampler: of several designs the one with G nearest to the
//! identity, and of its points only those that stability needs.

use crate::weighted_fit::gram_eigenvalues;
use crate::{Basis, Cost, Family, FeatureSpace, FinitePool, Needs, Pool, Selection, Selector};
use ndarray::{Array1, Array2, ArrayView1, ArrayView2, ArrayViewMut2, Axis, s};
use quadrat_core::{Area, Card, Choice, Error, Method, Progress, Result, Rng, Seed, Settings, checkpoint};
use rayon::prelude::*;

/// How the points are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Choice)]
pub enum Sampler {
    /// As many independent DPPs as fit, the rest from the Christoffel density. w = w*.
    RepeatedDpp,
    /// Independently from the Christoffel density. w = w*.
    Christoffel,
    /// One DPP, the rest uniformly. Volume-rescaled sampling with reference mu: m points of the DPP, the rest from mu,
    /// w = 1.
    Volume,
    /// One DPP, the rest from the Christoffel density. Volume-rescaled sampling with that density as reference, w = w*.
    VolumeChristoffel,
    /// Independently and uniformly: the baseline. From mu, w = 1.
    MonteCarlo,
}

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
    /// n x dims; of a [`FinitePool`], row numbers (a row may come more than once).
    pub points: Array2<f64>,
    /// w(x_i), n of them; 1/n sum w f estimates the mean of f under mu for the samplers with w*.
    pub weights: Vec<f64>,
    /// Smallest eigenvalue of G; the fit is stable when it is near 1.
    pub lambda_min: f64,
    /// Draws that were made until the condition held, each of as many candidates as boosting takes.
    pub tries: usize,
}

/// max |lambda - 1| over the eigenvalues of G, largest first: ||G - I|| in the operator norm.
fn distance(eigenvalues: &[f64]) -> f64 {
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
        let mut seen: std::collections::HashSet<Vec<u64>> = points.outer_iter().map(bits).collect();
        let mut all = points.iter().copied().collect::<Vec<f64>>();
        let mut block = Array2::zeros((if self.sampler == Sampler::RepeatedDpp { space.len() } else { 1 }, dims));
        while seen.len() < wanted {
            checkpoint(progress)?;
            if all.len() / dims > most {
                let got = format!("{} different points in {} draws", seen.len(), all.len() / dims);
                let want = format!("{wanted} will not come: the other rows hardly matter to this fit; ask for fewer");
                return Err(Error::input("distinct", got, want));
            }
            match block.as_slice_mut() {
                Some(x) if self.sampler != Sampler::RepeatedDpp => self.draw_alone(space, rng, x),
                _ => projection_dpp(space, rng, block.view_mut(), progress)?,
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

/// One draw of the projection DPP of `space`: m points with density det(phi_j(x_i))^2 / m! under mu^m, in order.
///
/// The chain rule with rejection: given points so far, x has density (|phi|^2 - |Q phi|^2) / (m - k), Q the projector on
/// their features; a draw from the Christoffel density is accepted with probability 1 - |Q phi|^2 / |phi|^2. That takes
/// m H_m draws in all and, on a pool of N rows, no work that grows with N.
fn projection_dpp(
    space: &dyn FeatureSpace,
    rng: &mut Rng,
    mut points: ArrayViewMut2<f64>,
    progress: &dyn Progress,
) -> Result<()> {
    let m = space.len();
    let mut q: Vec<Array1<f64>> = Vec::with_capacity(m);
    let mut x = vec![0.0; space.dims()];
    let mut phi = Array1::zeros(m);
    for mut point in points.outer_iter_mut() {
        checkpoint(progress)?;
        // Each draw is accepted with probability (m - k) / m >= 1/m: 1000 m failures in a row never happen (e^-1000).
        let mut left = 1000 * m;
        let residual = loop {
            space.sample_christoffel(rng, &mut x);
            if let Some(phi) = phi.as_slice_mut() {
                space.features(&x, phi);
            }
            let norm = phi.dot(&phi);
            let mut residual = phi.clone();
            // Projecting twice keeps the basis orthonormal to rounding also for hundreds of functions.
            for _ in 0..2 {
                for direction in &q {
                    let along = direction.dot(&residual);
                    residual.scaled_add(-along, direction);
                }
            }
            let rest = residual.dot(&residual);
            if rng.uniform() * norm < rest {
                break residual / rest.sqrt();
            }
            left -= 1;
            if left == 0 {
                return Err(Error::numeric(
                    "determinantal sampling",
                    "the features are not orthonormal under their law",
                ));
            }
        };
        q.push(residual);
        point.assign(&ArrayView1::from(&x));
    }
    Ok(())
}

/// The features of a space at each of the `points` (n x dims): n x m.
pub fn features_at(space: &dyn FeatureSpace, points: ArrayView2<f64>) -> Array2<f64> {
    let mut phi = Array2::zeros((points.nrows(), space.len()));
    for (x, mut out) in points.outer_iter().zip(phi.outer_iter_mut()) {
        let x = x.to_vec();
        if let Some(out) = out.as_slice_mut() {
            space.features(&x, out);
        }
    }
    phi
}

/// Which functions of a pool's features to fit in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoolBasis {
    /// The features as they are.
    Raw,
    /// A constant and the features.
    Linear,
    /// All polynomials of total degree up to this.
    Polynomial(usize),
    /// Polynomials of the hyperbolic cross of this degree.
    Hyperbolic(usize),
}

impl PoolBasis {
    fn parse(text: &str) -> Result<Self> {
        let (name, degree) = text.split_once(':').unwrap_or((text, ""));
        let degree = degree.parse().ok().filter(|d| (1..=50).contains(d));
        match (name, degree) {
            ("raw", None) => Ok(PoolBasis::Raw),
            ("linear", None) => Ok(PoolBasis::Linear),
            ("polynomial", Some(d)) => Ok(PoolBasis::Polynomial(d)),
            ("hyperbolic", Some(d)) => Ok(PoolBasis::Hyperbolic(d)),
            _ => Err(Error::input(
                "basis",
                format!("`{text}`"),
                "use linear, raw, polynomial:D or hyperbolic:D with D from 1 to 50",
            )),
        }
    }

    /// The values of the functions, N x m. Features are first brought to [-1, 1], where Legendre products of them are
    /// far from dependent; that changes nothing of the space they span. Constant features add nothing and are left out.
    ///
    /// # Errors
    /// A basis of more than 10,000 functions.
    pub fn features(self, x: &Array2<f64>) -> Result<Array2<f64>> {
        if self == PoolBasis::Raw {
            return Ok(x.clone());
        }
        let ranges: Vec<(usize, f64, f64)> = (0..x.ncols())
            .map(|j| {
                let column = x.column(j);
                let low = column.iter().copied().fold(f64::INFINITY, f64::min);
                let high = column.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                (j, 0.5 * low + 0.5 * high, 0.5 * high - 0.5 * low)
            })
            .filter(|(_, _, half)| *half > 0.0)
            .collect();
        if ranges.is_empty() {
            return Ok(Array2::ones((x.nrows(), 1)));
        }
        let scaled = |i: usize, k: usize| {
            let (j, middle, half) = ranges[k];
            ((x[[i, j]] - middle) / half).clamp(-1.0, 1.0)
        };
        let basis = match self {
            PoolBasis::Hyperbolic(degree) => Basis::hyperbolic_cross(Family::Legendre, ranges.len(), degree)?,
            PoolBasis::Polynomial(degree) => Basis::total_degree(Family::Legendre, ranges.len(), degree)?,
            // Degree 1 in the order of the index sets, without the products of thousands of ones.
            PoolBasis::Raw | PoolBasis::Linear => {
                let last = ranges.len();
                let value = |(i, f)| if f == 0 { 1.0 } else { 3.0_f64.sqrt() * scaled(i, last - f) };
                return Ok(Array2::from_shape_fn((x.nrows(), last + 1), value));
            }
        };
        let scaled = Array2::from_shape_fn((x.nrows(), ranges.len()), |(i, k)| scaled(i, k));
        Ok(features_at(&basis, scaled.view()))
    }
}

/// A design on the rows of a pool: the selector of this method.
#[derive(Debug, Clone, Copy, PartialEq, Settings)]
pub struct PoolDesign {
    /// Functions of the features to fit in: linear (with a constant), polynomial:D (total degree D), hyperbolic:D
    /// (fewer interactions) or raw (the features themselves).
    #[param(default = PoolBasis::Linear, text = "linear", parse = PoolBasis::parse)]
    pub basis: PoolBasis,
    /// How rows are drawn.
    #[param(default = Sampler::RepeatedDpp)]
    pub sampler: Sampler,
    /// Redraw until the smallest eigenvalue of the Gram matrix is at least 1 minus this number between 0 and 1; none
    /// for no condition; auto tries for 0.5 from four points a function on, and else takes the best of its draws. As in
    /// [`DesignSampler`]; `None` is automatic, with a note where no draw reaches 0.5.
    #[param(none = "auto", parse = condition)]
    pub condition: Option<Option<f64>>,
    /// Draws before giving up on the condition.
    #[param(default = 100, from = 1)]
    pub max_tries: usize,
    /// Go on drawing until so many different rows came: true for as many as the budget, or a number. Points of high
    /// leverage come again and again. `Some(None)` is as many as the budget.
    #[param(none = "false", parse = distinct)]
    pub distinct: Option<Option<usize>>,
    /// Candidate designs in each draw, of which the one with the Gram matrix nearest to the identity is kept.
    #[param(default = 1, from = 1)]
    pub boost: usize,
    /// Leave out points afterwards as long as the condition holds: fewer rows than the budget, as stable.
    #[param(default = false)]
    pub prune: bool,
}

/// Redraw until the smallest eigenvalue is at least 1 less this; `none` for no condition.
fn condition(text: &str) -> Result<Option<f64>> {
    let usable = |delta: &f64| (1e-6..=1.0 - 1e-6).contains(delta);
    match (text, text.parse().ok().filter(usable)) {
        ("none", _) => Ok(None),
        (_, Some(delta)) => Ok(Some(delta)),
        _ => Err(Error::input("condition", format!("`{text}`"), "use auto, none or a number between 0 and 1")),
    }
}

/// How many different rows; `true` for as many as the budget.
fn distinct(text: &str) -> Result<Option<usize>> {
    match (text, text.parse()) {
        ("true", _) => Ok(None),
        (_, Ok(count @ 1..)) => Ok(Some(count)),
        _ => Err(Error::input("distinct", format!("`{text}`"), "use true, false or a whole number, at least 1")),
    }
}

impl Method for PoolDesign {
    const CARD: Card = Card {
        slug: "dpp-least-squares",
        aliases: &["dpp", "design"],
        title: "Weighted least squares from determinantal designs",
        paper: "Nouy, Michel: Weighted least-squares approximation with determinantal point processes and generalized \
                volume sampling, 2023, arXiv 2312.14057",
        area: Area::Select,
        verbs: &["select"],
        summary: "Chooses which of many expensive experiments to run so that a weighted linear fit in given features \
                  is nearly as good as one on all of them; returns the weights of the fit.",
        useful_when: "choose which experiments, simulations or labels to buy, design of experiments, few measurements \
                      for a regression, optimal design, active learning for linear models, polynomial surrogate",
        cost: "time O(rows m^2 + tries m^3 log m) for m basis functions, memory O(rows m)",
        params: Self::PARAMS,
    };
}

impl Selector for PoolDesign {
    fn card(&self) -> &'static Card {
        &Self::CARD
    }

    fn needs(&self) -> Needs {
        Needs { points: true, raw: true, ..Needs::default() }
    }

    fn cost(&self, rows: usize, cols: usize, budget: usize) -> Cost {
        // The budget bounds the number of functions, and so the cost of any basis that will run.
        let (n, m) = (rows as f64, (cols as f64 + 1.0).max(1.0).min(budget as f64));
        Cost { operations: 8.0 * n * m * m + 10.0 * m.powi(3) * m.ln().max(1.0), bytes: 24.0 * n * m }
    }

    /// Functions that depend on others on these rows (the square of a yes/no column, say) add nothing to the space and
    /// are left out. The weights are those of the fit, scaled so that weighted sums over the selection estimate sums over the pool for the
    /// samplers with w*. A row that was drawn more than once comes once, with the sum of its weights, so fewer rows than
    /// the budget may come back.
    fn select(&self, pool: &Pool, budget: usize, seed: Seed, progress: &dyn Progress) -> Result<Selection> {
        pool.check(budget, self.needs())?;
        let Some(points) = &pool.points else { return Ok(Selection::default()) };
        let distinct = self.distinct.map(|wanted| wanted.unwrap_or(budget));
        if let Some(wanted) = distinct.filter(|wanted| *wanted > pool.rows) {
            return Err(Error::input("distinct", wanted, format!("use at most {}, the number of rows", pool.rows)));
        }
        let functions = self.basis.features(&points.to_f64())?;
        enough_for(budget, &functions, seed, progress)?;
        progress.begin("orthonormal functions", None);
        let space = FinitePool::span(functions.view(), None)?;
        checkpoint(progress)?;
        let automatic = (budget >= 4 * space.len()).then_some(0.5);
        let condition = self.condition.unwrap_or(automatic);
        let PoolDesign { sampler, max_tries, boost, prune, .. } = *self;
        let sampler = DesignSampler { sampler, condition, max_tries, boost, prune, distinct };
        let design = match self.condition {
            Some(_) => sampler.design(&space, budget, seed, progress)?,
            None => sampler.best(&space, budget, seed, progress)?,
        };
        let mut selection = Selection { weights: Some(Vec::new()), ..Selection::default() };
        let mut place = std::collections::HashMap::new();
        let weights = selection.weights.get_or_insert_default();
        for (row, w) in design.points.column(0).iter().zip(&design.weights) {
            let weight = w * pool.rows as f64 / design.weights.len() as f64;
            match place.entry(*row as usize) {
                std::collections::hash_map::Entry::Occupied(at) => weights[*at.get()] += weight,
                std::collections::hash_map::Entry::Vacant(at) => {
                    selection.indices.push(*at.key());
                    at.insert(weights.len());
                    weights.push(weight);
                }
            }
        }
        selection.notes = vec![
            ("functions".into(), space.len().to_string()),
            ("smallest eigenvalue of the Gram matrix".into(), format!("{:.3}", design.lambda_min)),
            ("draws".into(), design.tries.to_string()),
            ("distinct rows".into(), selection.indices.len().to_string()),
        ];
        if design.weights.len() > budget {
            selection.notes.push(("rows drawn until so many differed".into(), design.weights.len().to_string()));
        }
        if let Some(delta) = condition.filter(|delta| design.lambda_min < 1.0 - delta) {
            let why = format!(
                "the best of {} draws; none reached a smallest eigenvalue of {:.3}, from which a fit is called stable: \
                 more rows or a smaller basis would",
                design.tries,
                1.0 - delta
            );
            selection.notes.push(("condition".into(), why));
        }
        Ok(selection)
    }
}

/// That `budget` points are enough for the space that the columns of `functions` span, if that can be told before the
/// space is computed: more than `budget` rows that depend on no others mean more functions than that.
fn enough_for(budget: usize, functions: &Array2<f64>, seed: Seed, progress: &dyn Progress) -> Result<()> {
    let (n, m) = functions.dim();
    if m <= budget {
        return Ok(());
    }
    // What is left of a row of length 1 outside the others: far above rounding, so that nothing is refused by mistake.
    const CLEARLY: f64 = 1e-6;
    let mut basis: Vec<Array1<f64>> = Vec::with_capacity(budget + 1);
    for row in seed.stream("rank").rng(0).sample(n, n.min(4 * budget + 64)) {
        checkpoint(progress)?;
        let mut rest = functions.row(row).to_owned();
        let length = rest.dot(&rest).sqrt();
        for _ in 0..2 {
            for direction in &basis {
                let along = direction.dot(&rest);
                rest.scaled_add(-along, direction);
            }
        }
        let left = rest.dot(&rest).sqrt();
        if left > CLEARLY * length {
            basis.push(rest / left);
        }
        if basis.len() > budget {
            let got = format!("{budget} rows for a basis of {m} functions");
            let want = format!(
                "more than {budget} of them are independent on these rows (at most {}), and a fit needs a row for each: \
                 raise the budget, name fewer --features or choose a smaller --basis",
                m.min(n)
            );
            return Err(Error::input("budget", got, want));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::WeightedFit;
    use quadrat_core::{Silent, stats};
    use quadrat_numeric::Points;

    const ATOMS: usize = 6;

    /// Six atoms with unequal masses and two functions on them.
    fn space() -> (FinitePool, Vec<f64>) {
        let mu = vec![0.1, 0.25, 0.15, 0.2, 0.05, 0.25];
        let raw =
            Array2::from_shape_fn((ATOMS, 2), |(i, j)| if j == 0 { 1.0 } else { i as f64 + 0.3 * (i * i % 5) as f64 });
        (FinitePool::new(raw.view(), Some(&mu)).unwrap(), mu)
    }

    fn phi(space: &FinitePool, row: usize) -> [f64; 2] {
        let mut out = [0.0; 2];
        space.features(&[row as f64], &mut out);
        out
    }

    fn determinant(a: [f64; 2], b: [f64; 2]) -> f64 {
        a[0] * b[1] - a[1] * b[0]
    }

    /// Every tuple of `n` atoms.
    fn tuples(n: usize) -> impl Iterator<Item = Vec<usize>> {
        (0..ATOMS.pow(n as u32)).map(move |code| (0..n).map(|k| code / ATOMS.pow(k as u32) % ATOMS).collect())
    }

    /// 50,000 draws against the enumerated law det^2 / m! mu mu, false alarm one in a million; the marginal is the
    /// Christoffel law.
    #[test]
    fn draws_follow_the_determinantal_law() {
        let (space, mu) = space();
        let mut law = vec![0.0; ATOMS * ATOMS];
        for pair in tuples(2) {
            law[pair[0] * ATOMS + pair[1]] =
                determinant(phi(&space, pair[0]), phi(&space, pair[1])).powi(2) / 2.0 * mu[pair[0]] * mu[pair[1]];
        }
        assert!((law.iter().sum::<f64>() - 1.0).abs() < 1e-12, "the density adds up to 1");
        for row in 0..ATOMS {
            let marginal: f64 = (0..ATOMS).map(|other| law[row * ATOMS + other]).sum();
            let f = phi(&space, row);
            assert!((marginal - (f[0] * f[0] + f[1] * f[1]) / 2.0 * mu[row]).abs() < 1e-12);
        }
        let draws = 50_000;
        let mut counts = vec![0.0; ATOMS * ATOMS];
        let mut points = Array2::zeros((2, 1));
        for i in 0..draws {
            projection_dpp(&space, &mut Seed(3).rng(i), points.view_mut(), &Silent).unwrap();
            counts[points[[0, 0]] as usize * ATOMS + points[[1, 0]] as usize] += 1.0;
        }
        let cells = law.iter().zip(&counts).filter(|(p, _)| **p > 1e-12);
        let n = draws as f64;
        let (statistic, cells) = cells.fold((0.0, 0.0), |(s, k), (p, c)| (s + (c - n * p).powi(2) / (n * p), k + 1.0));
        assert!(stats::chi_square_tail(statistic, cells - 1.0) > 1e-6, "{statistic} on {cells} cells");
    }

    /// Least-squares coefficients of f on the given atoms with the given weights, by Cramer's rule.
    fn coefficients(space: &FinitePool, f: &[f64], rows: &[usize], w: &[f64]) -> [f64; 2] {
        let (mut a, mut b, mut d, mut u, mut v) = (0.0, 0.0, 0.0, 0.0, 0.0);
        for (&row, &w) in rows.iter().zip(w) {
            let p = phi(space, row);
            a += w * p[0] * p[0];
            b += w * p[0] * p[1];
            d += w * p[1] * p[1];
            u += w * p[0] * f[row];
            v += w * p[1] * f[row];
        }
        let det = a * d - b * b;
        [(d * u - b * v) / det, (a * v - b * u) / det]
    }

    /// E f_hat = P f and E |f_hat - P f|^2 = m |r|^2 for the DPP; E f_hat = P f for volume-rescaled sampling with any
    /// reference; "m from the DPP and n - m from nu, permuted" has the volume density. All by enumeration.
    #[test]
    fn fits_are_unbiased_and_their_variance_is_known() {
        let (space, mu) = space();
        let f = [0.3, -1.0, 2.0, 0.7, 1.5, -0.2];
        let exact: Vec<f64> = (0..2).map(|j| (0..ATOMS).map(|i| mu[i] * f[i] * phi(&space, i)[j]).sum()).collect();
        let rest: f64 = (0..ATOMS)
            .map(|i| mu[i] * (f[i] - exact[0] * phi(&space, i)[0] - exact[1] * phi(&space, i)[1]).powi(2))
            .sum();
        let christoffel: Vec<f64> = (0..ATOMS)
            .map(|i| {
                let p = phi(&space, i);
                2.0 / (p[0] * p[0] + p[1] * p[1])
            })
            .collect();
        let uneven: Vec<f64> = {
            // any positive w with sum mu / w = 1
            let raw = [1.0, 3.0, 0.5, 2.0, 1.5, 0.7];
            let total: f64 = mu.iter().zip(raw).map(|(m, w)| m / w).sum();
            raw.iter().map(|w| w * total).collect()
        };
        for (n, w) in
            [(2, vec![1.0; ATOMS]), (3, vec![1.0; ATOMS]), (3, christoffel.clone()), (3, uneven.clone()), (4, uneven)]
        {
            let factorials = (1..=n).product::<usize>() as f64 / (1..=n - 2).product::<usize>().max(1) as f64;
            let (mut total, mut mean, mut spread) = (0.0, [0.0; 2], 0.0);
            for rows in tuples(n) {
                let nu: f64 = rows.iter().map(|&i| mu[i] / w[i]).product();
                let weights: Vec<f64> = rows.iter().map(|&i| w[i]).collect();
                // det(sum w phi phi^T) by Cauchy and Binet, and the same law as a mixture over which pair came from the
                // DPP: both are computed and compared.
                let mut det = 0.0;
                let mut mixture = 0.0;
                for a in 0..n {
                    for b in a + 1..n {
                        let d = determinant(phi(&space, rows[a]), phi(&space, rows[b])).powi(2);
                        det += w[rows[a]] * w[rows[b]] * d;
                        let others: f64 =
                            (0..n).filter(|k| *k != a && *k != b).map(|k| mu[rows[k]] / w[rows[k]]).product();
                        mixture += d / 2.0 * mu[rows[a]] * mu[rows[b]] * others;
                    }
                }
                let probability = nu * det / factorials;
                mixture /= (n * (n - 1) / 2) as f64;
                assert!((probability - mixture).abs() < 1e-14);
                if probability > 1e-15 {
                    let c = coefficients(&space, &f, &rows, &weights);
                    total += probability;
                    (0..2).for_each(|j| mean[j] += probability * c[j]);
                    spread += probability * ((c[0] - exact[0]).powi(2) + (c[1] - exact[1]).powi(2));
                }
            }
            assert!((total - 1.0).abs() < 1e-12, "n = {n}: {total}");
            assert!((0..2).all(|j| (mean[j] - exact[j]).abs() < 1e-10), "n = {n}: {mean:?} {exact:?}");
            if n == 2 {
                assert!((spread - 2.0 * rest).abs() < 1e-10, "{spread} {rest}");
            }
        }
    }

    #[test]
    fn a_fit_recovers_what_lies_in_its_space() {
        let space = Basis::total_degree(Family::Legendre, 2, 3).unwrap();
        let design = DesignSampler::default().design(&space, 60, Seed(2), &Silent).unwrap();
        assert!(design.lambda_min >= 0.5);
        let phi = design.features(&space);
        let truth: Vec<f64> = (0..10).map(|j| j as f64 - 3.0).collect();
        let y: Vec<f64> = phi.outer_iter().map(|row| row.iter().zip(&truth).map(|(a, b)| a * b).sum()).collect();
        let fit = WeightedFit::new(phi.view(), &design.weights, &y).unwrap();
        assert!(fit.coefficients.iter().zip(&truth).all(|(a, b)| (a - b).abs() < 1e-10), "{fit:?}");
        assert!(fit.error < 1e-10 && (fit.lambda.0 - design.lambda_min).abs() < 1e-10);
        let exact =
            DesignSampler { condition: None, ..DesignSampler::default() }.design(&space, 10, Seed(2), &Silent).unwrap();
        let phi = exact.features(&space);
        assert!(WeightedFit::new(phi.view(), &exact.weights, &y[..10]).unwrap().error.is_nan());
    }

    /// The leave-one-out estimate against the true error, in mean squares over 200 designs. A repelling design that lost
    /// a point has a gap, so the estimate lies above the truth; it must not lie far above.
    #[test]
    fn the_error_estimate_means_what_it_says() {
        let space = Basis::total_degree(Family::Legendre, 1, 5).unwrap();
        let f = |x: f64| 1.0 / (1.0 + 25.0 * x * x);
        let (mut estimated, mut actual) = (0.0, 0.0);
        for i in 0..200 {
            let design = DesignSampler::default().design(&space, 24, Seed(i), &Silent).unwrap();
            let y: Vec<f64> = design.points.column(0).iter().map(|x| f(*x)).collect();
            let fit = WeightedFit::new(design.features(&space).view(), &design.weights, &y).unwrap();
            estimated += fit.error.powi(2);
            let mut phi = vec![0.0; 6];
            for k in 0..2000 {
                let x = -1.0 + (k as f64 + 0.5) / 1000.0;
                space.features(&[x], &mut phi);
                let value: f64 = phi.iter().zip(&fit.coefficients).map(|(a, b)| a * b).sum();
                actual += (f(x) - value).powi(2) / 2000.0;
            }
        }
        assert!((1.0..1.5).contains(&(estimated / actual)), "{}", estimated / actual);
    }

    /// Three features, polynomial:3 (20 functions): every budget from 20 on has a design; where the automatic condition
    /// fails the best of the draws comes with a note, and a condition that was asked for is an error.
    #[test]
    fn every_budget_has_a_design() {
        let mut rng = Seed(3).rng(0);
        let x = Array2::from_shape_simple_fn((300, 3), || rng.normal().exp());
        let pool = Pool::of_points(Points::F64(x));
        let method = PoolDesign { basis: PoolBasis::Polynomial(3), max_tries: 1, ..PoolDesign::default() };
        let mut noted = 0;
        for budget in [20, 21, 79, 80, 81, 90, 119, 120, 300] {
            for seed in 0..3 {
                let chosen = method.select(&pool, budget, Seed(seed), &Silent).unwrap();
                let note = |name: &str| chosen.notes.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
                let lambda: f64 = note("smallest eigenvalue of the Gram matrix").unwrap().parse().unwrap();
                assert_eq!(note("condition").is_some(), budget >= 80 && lambda < 0.4995, "{budget} {lambda}");
                noted += usize::from(note("condition").is_some());
                assert!(chosen.indices.len() <= budget);
            }
        }
        assert!(noted > 0, "some budget is too small for the condition in one draw");
        let strict = PoolDesign { condition: Some(Some(0.01)), ..method };
        assert!(matches!(strict.select(&pool, 80, Seed(0), &Silent), Err(Error::Numeric { .. })));
    }

    /// A few rows have nearly all the leverage: a budget of 24 draws them again and again, unless 24 different rows are
    /// wanted, and then weights still estimate the pool's total.
    #[test]
    fn drawing_goes_on_until_so_many_rows_differ() {
        let x = Array2::from_shape_fn((400, 2), |(i, j)| match (i, j) {
            (0..6, _) => 1e3 * ((i * 2 + j) as f64 - 5.3),
            _ => ((i * 7 + j * 3) % 11) as f64,
        });
        let pool = Pool::of_points(Points::F64(x));
        let select = |distinct, sampler| {
            let method = PoolDesign { distinct, sampler, ..PoolDesign::default() };
            method.select(&pool, 24, Seed(1), &Silent).unwrap()
        };
        assert!(select(None, Sampler::RepeatedDpp).indices.len() < 24);
        for sampler in [Sampler::RepeatedDpp, Sampler::Christoffel, Sampler::Volume] {
            let chosen = select(Some(None), sampler);
            assert_eq!(chosen.indices.len(), 24, "{sampler:?}");
            assert_eq!(select(Some(Some(40)), sampler).indices.len(), 40, "{sampler:?}");
            assert_eq!(select(Some(Some(3)), sampler), select(None, sampler), "{sampler:?}: there are more already");
        }
        let method = PoolDesign { distinct: Some(Some(401)), ..PoolDesign::default() };
        assert!(method.select(&pool, 24, Seed(1), &Silent).unwrap_err().to_string().contains("at most 400"));
        // Rows of zeros are never drawn by leverage.
        let mut empty = Array2::zeros((50, 1));
        empty.row_mut(3).fill(1.0);
        empty.row_mut(4).fill(2.0);
        let method = PoolDesign { basis: PoolBasis::Raw, distinct: Some(Some(3)), ..PoolDesign::default() };
        let error = method.select(&Pool::of_points(Points::F64(empty)), 2, Seed(1), &Silent).unwrap_err().to_string();
        assert!(error.contains("2 different points") && error.contains("ask for fewer"), "{error}");
    }

    #[test]
    fn a_budget_below_the_functions_is_refused_before_the_work() {
        let mut rng = Seed(4).rng(0);
        let wide = Pool::of_points(Points::F64(Array2::from_shape_simple_fn((120, 2000), || rng.uniform())));
        let started = std::time::Instant::now();
        let error = PoolDesign::default().select(&wide, 20, Seed(0), &Silent).unwrap_err().to_string();
        assert!(error.starts_with("budget: got 20 rows for a basis of 2001 functions"), "{error}");
        assert!(started.elapsed().as_secs_f64() < 2.0, "{:?}", started.elapsed());
        // As many columns, of rank 3 only: nothing is refused.
        let rank = Array2::from_shape_fn((120, 40), |(i, j)| match j % 3 {
            0 => i as f64,
            1 => (i * i % 17) as f64,
            _ => (i % 5) as f64,
        });
        let pool = Pool::of_points(Points::F64(rank));
        assert_eq!(PoolDesign::default().select(&pool, 20, Seed(0), &Silent).unwrap().notes[0].1, "4");
        // More functions than rows, all of them independent: every row is needed.
        let square = Pool::of_points(Points::F64(Array2::from_shape_simple_fn((12, 30), || rng.uniform())));
        let all = PoolDesign::default().select(&square, 12, Seed(0), &Silent).unwrap();
        assert_eq!(all.indices.len(), 12);
    }

    #[test]
    fn a_linear_basis_is_degree_one_of_the_polynomials() {
        let mut rng = Seed(8).rng(0);
        let x = Array2::from_shape_simple_fn((40, 3), || rng.normal());
        let (linear, polynomial) = (PoolBasis::Linear.features(&x), PoolBasis::Polynomial(1).features(&x));
        assert_eq!(linear.unwrap(), polynomial.unwrap());
    }

    #[test]
    fn what_cannot_be_designed_is_refused() {
        let space = Basis::total_degree(Family::Legendre, 1, 9).unwrap();
        let sampler = DesignSampler::default();
        assert!(sampler.design(&space, 9, Seed(1), &Silent).is_err());
        for delta in [0.0, 1.0, f64::NAN] {
            assert!(DesignSampler { condition: Some(delta), ..sampler }.design(&space, 20, Seed(1), &Silent).is_err());
        }
        let hopeless = DesignSampler { sampler: Sampler::MonteCarlo, condition: Some(0.01), max_tries: 3, ..sampler };
        let error = hopeless.design(&space, 10, Seed(1), &Silent).unwrap_err().to_string();
        assert!(error.contains("smallest eigenvalue"), "{error}");
        let one = Array2::ones((2, 1));
        assert!(WeightedFit::new(one.view(), &[1.0, 0.0], &[1.0, 1.0]).is_err());
        assert!(WeightedFit::new(one.view(), &[1.0], &[1.0, 1.0]).is_err());
    }

    /// Of 50 candidates the best is nearer to the identity than most; then no point can go without breaking the
    /// condition, and what is left still fits.
    #[test]
    fn boosting_chooses_and_prunes() {
        let space = Basis::total_degree(Family::Legendre, 1, 5).unwrap();
        let far =
            |design: &Design| distance(&gram_eigenvalues(design.features(&space).view(), &design.weights).unwrap());
        for sampler in [Sampler::Christoffel, Sampler::RepeatedDpp] {
            let plain = DesignSampler { sampler, condition: None, ..DesignSampler::default() };
            let boosted = DesignSampler { boost: 50, ..plain };
            let mut nearer = 0;
            for seed in 0..20 {
                let (one, best) =
                    (plain.design(&space, 24, Seed(seed), &Silent), boosted.design(&space, 24, Seed(seed), &Silent));
                nearer += usize::from(far(&best.unwrap()) <= far(&one.unwrap()));
            }
            // The first candidate of a boosted draw is the plain design, so the best is never farther.
            assert_eq!(nearer, 20, "{sampler:?}");
            let pruning = DesignSampler { condition: Some(0.5), prune: true, ..boosted };
            let design = pruning.design(&space, 24, Seed(1), &Silent).unwrap();
            assert!(design.weights.len() < 24 && design.weights.len() >= 6, "{}", design.weights.len());
            assert_eq!(design.points.nrows(), design.weights.len());
            let lambda = gram_eigenvalues(design.features(&space).view(), &design.weights).unwrap()[5];
            assert!(lambda >= 0.5 && (lambda - design.lambda_min).abs() < 1e-12);
        }
    }

    #[test]
    fn a_pool_design_estimates_the_pools_total() {
        let mut rng = Seed(9).rng(0);
        let x = Array2::from_shape_fn((500, 3), |_| rng.normal());
        let pool = Pool::of_points(Points::F64(x));
        let design = PoolDesign { basis: PoolBasis::Polynomial(2), condition: Some(None), ..PoolDesign::default() };
        // Weights are unbiased: the mean total weight over 400 designs is the number of rows, within five standard errors.
        let totals: Vec<f64> = (0..400)
            .map(|i| design.select(&pool, 30, Seed(i), &Silent).unwrap().weights.unwrap().iter().sum())
            .collect();
        let z = (stats::mean(&totals) - 500.0) / (stats::variance(&totals) / 400.0).sqrt();
        assert!(z.abs() < 5.0, "{z}");
    }
}
