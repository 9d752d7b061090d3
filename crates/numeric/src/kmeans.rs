//! k-means: Lloyd's iteration, with as little work as its exactness allows.
//!
//! Most of an assignment step proves that nothing changed. So each row keeps one lower bound on its distance to every
//! *group* of centroids (Yinyang, Ding et al. 2015; with one group this is Hamerly's bound), lowered by how far the
//! group's centroids moved. Only (row, group) pairs whose bound undercuts the row's distance to its own centroid are
//! computed again: the rows of a block that need a group are gathered and multiplied with the group's centroids, so the
//! work that is left still runs at the speed of a matrix product. Where the bounds rule out little (the first steps, or
//! data without clusters) the whole block is multiplied at once.
//!
//! Matrix products round. Each one here is turned into a *lower bound* of the squared distance by subtracting the worst
//! rounding error, and every centroid that the bound cannot exclude is measured directly. The result is therefore the
//! nearest centroid by directly computed distances, lowest number first among ties, exactly as the plain double loop
//! would find.

mod seeds;

pub use seeds::plus_plus;

use crate::gemm::{rows_times_rows, squared_distance, vectorised};
use crate::neighbours::Metric;
use crate::prepare;
use ndarray::{Array2, ArrayView2};
use quadrat_core::{Error, Progress, Result, Seed, checkpoint};
use rayon::prelude::*;
use seeds::{greedy_rows, parallel_rows, plus_plus_rows};

/// How the first centroids are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Init {
    /// Greedy k-means++, as the authors of k-means++ ran it: each time 2 + ln k rows are drawn, and the one stays that
    /// leaves the least sum of squared distances. About 2 + ln k times the work of drawing one, and a lower inertia.
    #[default]
    Greedy,
    /// k-means++ (Arthur and Vassilvitskii 2007): one row after the other, with probability proportional to the squared
    /// distance to those already drawn.
    PlusPlus,
    /// k-means|| (Bahmani et al. 2012): five rounds that draw about 2k rows each, then k-means++ among those, weighted
    /// by how many rows they stand for.
    Parallel,
    /// k distinct rows, uniformly.
    Random,
}

/// k-means clustering.
///
/// ```
/// use ndarray::array;
/// use quadrat_core::{Seed, Silent};
/// use quadrat_numeric::KMeans;
/// let x = array![[0.0, 0.1], [9.0, 9.1], [0.1, 0.0], [9.1, 9.0]];
/// let clusters = KMeans::new(2).fit(x.mapv(|v| v as f32).view(), Seed(1), &Silent)?;
/// assert_eq!(clusters.assignment[0], clusters.assignment[2]);
/// assert_ne!(clusters.assignment[0], clusters.assignment[1]);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct KMeans {
    /// Number of clusters, from 1 to the number of rows.
    pub k: usize,
    /// How the first centroids are found.
    pub init: Init,
    /// Euclidean, or cosine: spherical k-means (Dhillon and Modha 2001), where rows and centroids have length 1.
    pub metric: Metric,
    /// How often to start anew; the best result is kept. At least 1.
    pub restarts: usize,
    /// Most iterations of each start. At least 1. With mini-batches, most batches.
    pub max_iter: usize,
    /// Stop when an iteration lowers the inertia by less than this share of it. 0 goes on until no row moves.
    pub tol: f64,
    /// Rows a mini-batch (Sculley 2010); `None` uses all rows in each iteration.
    pub batch: Option<usize>,
}

/// What k-means found.
#[derive(Debug, Clone, PartialEq)]
pub struct Clustering {
    /// One centroid a row: `k` x columns.
    pub centroids: Array2<f32>,
    /// Each row's nearest centroid.
    pub assignment: Vec<u32>,
    /// Each row's squared distance to it (cosine: 1 - cos, and 1 for a row of zeros).
    pub squared: Vec<f32>,
    /// The sum of `squared`.
    pub inertia: f64,
    /// Iterations of the start that won.
    pub iterations: usize,
    /// Whether it stopped before `max_iter`.
    pub converged: bool,
}

impl Clustering {
    /// The rows of each cluster, ascending.
    pub fn members(&self) -> Vec<Vec<usize>> {
        let mut members: Vec<Vec<usize>> = self.sizes().into_iter().map(Vec::with_capacity).collect();
        for (row, &cluster) in self.assignment.iter().enumerate() {
            members[cluster as usize].push(row);
        }
        members
    }

    /// Number of rows of each cluster.
    pub fn sizes(&self) -> Vec<usize> {
        let mut sizes = vec![0; self.centroids.nrows()];
        for &cluster in &self.assignment {
            sizes[cluster as usize] += 1;
        }
        sizes
    }
}

impl KMeans {
    /// `k` clusters: greedy k-means++, Euclidean, one start, at most 300 iterations, tolerance 1e-4, all rows each time.
    pub fn new(k: usize) -> Self {
        KMeans {
            k,
            init: Init::default(),
            metric: Metric::Euclidean,
            restarts: 1,
            max_iter: 300,
            tol: 1e-4,
            batch: None,
        }
    }

    /// Clusters the rows of `x`.
    ///
    /// An empty cluster takes the row farthest from its centroid; with fewer than `k` distinct rows some clusters stay
    /// empty. Squared distances beyond single precision are reported as its largest number.
    ///
    /// Cost: at most O(rows x k x columns) an iteration, and typically a small part of it after the first few. Memory:
    /// a copy of `x` and at most 72 bytes a row.
    ///
    /// # Errors
    /// `x` without rows or columns or with a value that is not finite; `k` outside 1..=rows; `restarts`, `max_iter` or
    /// `batch` of 0; a negative or NaN `tol`; the user's cancelling.
    pub fn fit(&self, x: ArrayView2<f32>, seed: Seed, progress: &dyn Progress) -> Result<Clustering> {
        let rows = Rows::prepare(x, self.metric)?;
        check_k(self.k, rows.len())?;
        for (what, value) in
            [("restarts", self.restarts), ("max_iter", self.max_iter), ("batch", self.batch.unwrap_or(1))]
        {
            if value == 0 {
                return Err(Error::input(what, value, "use at least 1"));
            }
        }
        if self.tol.is_nan() || self.tol < 0.0 {
            return Err(Error::input("tol", self.tol, "use 0 or a small share such as 1e-4"));
        }
        progress.begin("k-means", Some((self.restarts * self.max_iter) as u64));
        let mut best: Option<State> = None;
        for restart in 0..self.restarts {
            let seed = Seed(seed.stream("k-means").rng(restart as u64).next_u64());
            let state = self.start(&rows, seed, progress)?;
            if best.as_ref().is_none_or(|b| state.inertia < b.inertia) {
                best = Some(state);
            }
        }
        best.map(|state| rows.clustering(state)).ok_or_else(|| Error::input("restarts", 0, "use at least 1"))
    }

    fn start(&self, rows: &Rows, seed: Seed, progress: &dyn Progress) -> Result<State> {
        let first = match self.init {
            Init::Greedy => greedy_rows(rows, self.k, &mut seed.stream("seeds").rng(0), progress)?,
            Init::PlusPlus => plus_plus_rows(rows, None, self.k, &mut seed.stream("seeds").rng(0), progress)?,
            Init::Parallel => parallel_rows(rows, self.k, seed.stream("seeds"), progress)?,
            Init::Random => seed.stream("seeds").rng(0).sample(rows.len(), self.k),
        };
        let centroids = rows.gather(&first);
        match self.batch {
            Some(batch) if batch < rows.len() => self.mini_batch(rows, centroids, batch, seed, progress),
            _ => self.lloyd(rows, centroids, progress),
        }
    }

    fn lloyd(&self, rows: &Rows, centroids: Vec<f32>, progress: &dyn Progress) -> Result<State> {
        let mut state = State::new(rows, centroids);
        let mut moved = state.assign(rows, progress)?;
        while state.iterations < self.max_iter {
            let refilled = state.refill();
            if moved == 0 && refilled == 0 && state.iterations > 0 {
                state.converged = true;
                break;
            }
            let before = state.inertia;
            state.update(rows);
            moved = state.assign(rows, progress)?;
            state.iterations += 1;
            progress.advance(1);
            if refilled == 0 && before - state.inertia < self.tol * before {
                state.converged = true;
                break;
            }
        }
        Ok(state)
    }

    /// Each batch moves the centroids of its rows by 1 / (rows seen by that centroid so far). Stops when the smoothed
    /// inertia of a batch has not improved by `tol` over ten batches.
    fn mini_batch(
        &self,
        rows: &Rows,
        mut centroids: Vec<f32>,
        batch: usize,
        seed: Seed,
        progress: &dyn Progress,
    ) -> Result<State> {
        let d = rows.d;
        let mut seen = vec![0.0_f32; self.k];
        let (mut smoothed, mut best, mut stale) = (f64::NAN, f64::INFINITY, 0);
        let (mut iterations, mut converged) = (0, false);
        let share = (2.0 * batch as f64 / (rows.len() + 1) as f64).min(1.0);
        while iterations < self.max_iter && !converged {
            let drawn = seed.stream("batch").rng(iterations as u64).sample(rows.len(), batch);
            let part = rows.subset(&drawn);
            let mut state = State::new(&part, centroids);
            state.assign(&part, progress)?;
            centroids = state.centroids.values;
            for (x, &cluster) in part.values.chunks_exact(d).zip(&state.assignment) {
                let cluster = cluster as usize;
                seen[cluster] += 1.0;
                let rate = 1.0 / seen[cluster];
                let centroid = &mut centroids[cluster * d..][..d];
                centroid.iter_mut().zip(x).for_each(|(c, x)| *c += rate * (x - *c));
            }
            if rows.unit {
                centroids.chunks_exact_mut(d).for_each(to_unit_length);
            }
            smoothed = if smoothed.is_nan() { state.inertia } else { smoothed + share * (state.inertia - smoothed) };
            stale = if smoothed < best * (1.0 - self.tol) { 0 } else { stale + 1 };
            best = best.min(smoothed);
            iterations += 1;
            converged = stale >= 10;
            progress.advance(1);
        }
        let mut state = State::new(rows, centroids);
        state.assign(rows, progress)?;
        Ok(State { iterations, converged, ..state })
    }
}

fn check_k(k: usize, rows: usize) -> Result<()> {
    if k == 0 || k > rows {
        return Err(Error::input("number of clusters", k, format!("use 1 to {rows}, the number of rows")));
    }
    Ok(())
}

/// Rows a block of the loops below: fixed, so that sums do not depend on the number of threads.
const BLOCK: usize = 512;

/// The rows, made fit for single-precision products: centred on their mean and scaled by a power of two into -1..1
/// (cosine: scaled to length 1 each).
struct Rows {
    values: Vec<f32>,
    /// |x|^2 of each row, a little less than true.
    norms: Vec<f32>,
    d: usize,
    mean: Vec<f64>,
    scale: f64,
    unit: bool,
}

impl Rows {
    fn prepare(x: ArrayView2<f32>, metric: Metric) -> Result<Rows> {
        prepare::check("points", x)?;
        let (n, d) = x.dim();
        let unit = metric == Metric::Cosine;
        let mean = if unit { vec![0.0; d] } else { prepare::column_means(x) };
        let scale = prepare::scale_to_one(prepare::largest(x, &mean));
        let mut values = vec![0.0_f32; n * d];
        values.par_chunks_exact_mut(d).enumerate().for_each(|(i, to)| {
            to.iter_mut().zip(x.row(i)).zip(&mean).for_each(|((to, v), m)| *to = ((f64::from(*v) - m) * scale) as f32);
            if unit {
                to_unit_length(to);
            }
        });
        let norms = values.par_chunks_exact(d).map(lowered_norm).collect();
        Ok(Rows { values, norms, d, mean, scale, unit })
    }

    fn len(&self) -> usize {
        self.norms.len()
    }

    fn row(&self, i: usize) -> &[f32] {
        &self.values[i * self.d..][..self.d]
    }

    fn gather(&self, rows: &[usize]) -> Vec<f32> {
        rows.iter().flat_map(|&i| self.row(i)).copied().collect()
    }

    fn subset(&self, rows: &[usize]) -> Rows {
        let norms = rows.iter().map(|&i| self.norms[i]).collect();
        Rows { values: self.gather(rows), norms, d: self.d, mean: Vec::new(), scale: self.scale, unit: self.unit }
    }

    /// Back to the user's place and scale.
    fn clustering(&self, state: State) -> Clustering {
        let d = self.d;
        let k = state.centroids.values.len() / d;
        let scale = if self.unit { 1.0 } else { self.scale };
        let centroids = Array2::from_shape_fn((k, d), |(i, j)| {
            (f64::from(state.centroids.values[i * d + j]) / scale + self.mean[j]) as f32
        });
        let report = |i: usize| {
            let squared = f64::from(state.squared[i]);
            match self.unit {
                false => squared / scale / scale,
                true if self.norms[i] <= 0.0 => 1.0,
                true => 0.5 * squared,
            }
        };
        let all: Vec<f64> = (0..self.len()).map(report).collect();
        Clustering {
            centroids,
            squared: all.iter().map(|s| s.min(f64::from(f32::MAX)) as f32).collect(),
            inertia: all.iter().sum(),
            assignment: state.assignment,
            iterations: state.iterations,
            converged: state.converged,
        }
    }
}

fn to_unit_length(row: &mut [f32]) {
    let length = row.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
    if length > 0.0 {
        row.iter_mut().for_each(|v| *v = (f64::from(*v) / length) as f32);
    }
}

/// |x|^2 less the share of it that rounding may cost a product of rows, see [`Centroids`].
fn lowered_norm(row: &[f32]) -> f32 {
    let norm: f64 = row.iter().map(|v| f64::from(*v).powi(2)).sum();
    (norm * (1.0 - rounding(row.len()))) as f32
}

/// Bound on the error of a squared distance of rows of `d` values, as a share of |x|^2 + |c|^2.
///
/// With u = 2^-24, a product of rows is off by at most 1.01 d u |x||c| in whatever order it is added up, and |x|^2 +
/// |c|^2 - 2 x.c by three roundings more, each at most 2u (|x|^2 + |c|^2): together below (1.01 d + 7) u (|x|^2 + |c|^2).
/// A directly computed distance has d / 16 + 19 additions in a row, so is off by less than (d / 16 + 22) u of itself,
/// and itself is at most 2 (|x|^2 + |c|^2).
fn rounding(d: usize) -> f64 {
    (1.25 * d as f64 + 60.0) / f64::from(1 << 24)
}

/// Bound on what gradual underflow may cost the same, for values in -1..1.
fn underflow(d: usize) -> f32 {
    d as f32 * f32::MIN_POSITIVE
}

/// Centroids in groups of consecutive numbers.
struct Centroids {
    values: Vec<f32>,
    /// -2 c, so that norm + product needs no multiplication.
    doubled: Vec<f32>,
    /// Lowered |c|^2: `rows.norms[i] + norms[c] + x_i . (-2 c)` is a lower bound of |x_i - c|^2.
    norms: Vec<f32>,
    group: usize,
}

impl Centroids {
    fn new(values: Vec<f32>, d: usize) -> Self {
        let k = values.len() / d;
        let doubled = values.iter().map(|v| -2.0 * v).collect();
        let norms = values.chunks_exact(d).map(|c| lowered_norm(c) - underflow(d)).collect();
        Centroids { values, doubled, norms, group: k.div_ceil(MOST_GROUPS).next_multiple_of(32).min(k) }
    }

    fn groups(&self) -> usize {
        self.norms.len().div_ceil(self.group)
    }
}

/// More groups sharpen the bounds, and cost 4 bytes each a row and narrower products. At 100,000 x 384 with 512 clusters
/// groups of 32 took the least time of 16, 32, 48 and 96.
const MOST_GROUPS: usize = 16;

/// The iteration's memory.
struct State {
    centroids: Centroids,
    d: usize,
    assignment: Vec<u32>,
    squared: Vec<f32>,
    /// Rows x groups: lower bounds of the distance to every centroid of the group other than the row's own.
    lower: Vec<f32>,
    /// How far the farthest-moving centroid of each group has moved since the last assignment, rounded up.
    drift: Vec<f32>,
    inertia: f64,
    iterations: usize,
    converged: bool,
}

impl State {
    fn new(rows: &Rows, centroids: Vec<f32>) -> Self {
        let centroids = Centroids::new(centroids, rows.d);
        let groups = centroids.groups();
        State {
            d: rows.d,
            assignment: vec![0; rows.len()],
            squared: vec![f32::INFINITY; rows.len()],
            lower: vec![0.0; rows.len() * groups],
            drift: vec![0.0; groups],
            centroids,
            inertia: f64::INFINITY,
            iterations: 0,
            converged: false,
        }
    }

    /// Gives every row its nearest centroid; returns how many rows changed theirs.
    fn assign(&mut self, rows: &Rows, progress: &dyn Progress) -> Result<usize> {
        let (centroids, drift, groups) = (&self.centroids, &self.drift, self.centroids.groups());
        let sums: Vec<(usize, f64)> = self
            .assignment
            .par_chunks_mut(BLOCK)
            .zip(self.squared.par_chunks_mut(BLOCK))
            .zip(self.lower.par_chunks_mut(BLOCK * groups))
            .enumerate()
            .map_init(Scratch::default, |scratch, (block, ((assignment, squared), lower))| {
                checkpoint(progress)?;
                let mut block = Block { rows, first: block * BLOCK, centroids, assignment, squared, lower };
                Ok(vectorised(
                    #[inline(always)]
                    || block.assign(drift, scratch),
                ))
            })
            .collect::<Result<_>>()?;
        self.inertia = sums.iter().map(|(_, sum)| sum).sum();
        Ok(sums.iter().map(|(moved, _)| moved).sum())
    }

    /// Hands each empty cluster the row farthest from its centroid, lowest number first among equals; returns how many
    /// clusters got one.
    fn refill(&mut self) -> usize {
        let mut sizes = vec![0_usize; self.centroids.norms.len()];
        self.assignment.iter().for_each(|&c| sizes[c as usize] += 1);
        let empty: Vec<usize> = (0..sizes.len()).filter(|c| sizes[*c] == 0).collect();
        if empty.is_empty() {
            return 0;
        }
        let mut far: Vec<usize> = (0..self.squared.len()).filter(|i| self.squared[*i] > 0.0).collect();
        far.sort_unstable_by(|a, b| self.squared[*b].total_cmp(&self.squared[*a]).then(a.cmp(b)));
        let mut far = far.into_iter();
        let mut refilled = 0;
        for cluster in empty {
            let Some(row) = far.by_ref().find(|i| sizes[self.assignment[*i] as usize] > 1) else { break };
            let old = self.assignment[row] as usize;
            let bound = &mut self.lower[row * self.centroids.groups() + old / self.centroids.group];
            *bound = bound.min(shortened(self.squared[row], self.d));
            sizes[old] -= 1;
            self.assignment[row] = cluster as u32;
            refilled += 1;
        }
        refilled
    }

    /// Moves each centroid to the mean of its rows, summed in double precision in the order of the rows.
    fn update(&mut self, rows: &Rows) {
        let (d, k) = (self.d, self.centroids.norms.len());
        let mut starts = vec![0; k + 1];
        self.assignment.iter().for_each(|&c| starts[c as usize + 1] += 1);
        (0..k).for_each(|c| starts[c + 1] += starts[c]);
        let mut next = starts.clone();
        let mut members = vec![0; rows.len()];
        for (row, &c) in self.assignment.iter().enumerate() {
            members[next[c as usize]] = row;
            next[c as usize] += 1;
        }
        let mut values = self.centroids.values.clone();
        let moved: Vec<f32> = values
            .par_chunks_exact_mut(d)
            .enumerate()
            .map_init(
                || vec![0.0_f64; d],
                |sum, (c, centroid)| {
                    let members = &members[starts[c]..starts[c + 1]];
                    if members.is_empty() {
                        return 0.0;
                    }
                    sum.fill(0.0);
                    vectorised(
                        #[inline(always)]
                        || {
                            members
                                .iter()
                                .for_each(|&i| sum.iter_mut().zip(rows.row(i)).for_each(|(s, x)| *s += f64::from(*x)))
                        },
                    );
                    let length = match rows.unit {
                        true => sum.iter().map(|s| s * s).sum::<f64>().sqrt(),
                        false => members.len() as f64,
                    };
                    if length > 0.0 {
                        centroid.iter_mut().zip(sum).for_each(|(c, s)| *c = (*s / length) as f32);
                    }
                    let old = &self.centroids.values[c * d..][..d];
                    let squared: f64 =
                        old.iter().zip(&*centroid).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum();
                    (squared.sqrt() * (1.0 + 1e-6)) as f32
                },
            )
            .collect();
        self.centroids = Centroids::new(values, d);
        let group = self.centroids.group;
        self.drift = moved.chunks(group).map(|moved| moved.iter().copied().fold(0.0, f32::max)).collect();
    }
}

/// A lower bound of the true distance whose square was computed as `squared`.
#[inline(always)]
fn shortened(squared: f32, d: usize) -> f32 {
    (squared - underflow(d)).max(0.0).sqrt() * (1.0 - rounding(d) as f32)
}

#[derive(Default)]
struct Scratch {
    products: Vec<f32>,
    gathered: Vec<f32>,
    wanting: Vec<u32>,
}

/// Consecutive rows and their share of the state.
struct Block<'a> {
    rows: &'a Rows,
    first: usize,
    centroids: &'a Centroids,
    assignment: &'a mut [u32],
    squared: &'a mut [f32],
    lower: &'a mut [f32],
}

impl Block<'_> {
    /// Returns how many rows changed their centroid, and the sum of squared distances.
    #[inline(always)]
    fn assign(&mut self, drift: &[f32], scratch: &mut Scratch) -> (usize, f64) {
        let (d, groups, group) = (self.rows.d, self.centroids.groups(), self.centroids.group);
        let (n, k) = (self.squared.len(), self.centroids.norms.len());
        let before = self.assignment.to_vec();
        let mut wanted = 0;
        for i in 0..n {
            let own = self.assignment[i] as usize;
            self.squared[i] = squared_distance(self.rows.row(self.first + i), &self.centroids.values[own * d..][..d]);
            for (lower, drift) in self.lower[i * groups..][..groups].iter_mut().zip(drift) {
                *lower = (*lower - drift).max(0.0) * (1.0 - 4.0 * f32::EPSILON);
                wanted += usize::from(!excludes(*lower, self.squared[i], d));
            }
        }
        // A matrix product of all with all costs less a pair than gathering does.
        if wanted * 2 > n * groups {
            let x = &self.rows.values[self.first * d..][..n * d];
            scratch.products.resize(BLOCK * k, 0.0);
            rows_times_rows(x, &self.centroids.doubled, d, &mut scratch.products);
            for i in 0..n {
                for g in 0..groups {
                    let span = g * group..k.min((g + 1) * group);
                    self.settle(i, g, &scratch.products[i * k..][span]);
                }
            }
        } else if wanted > 0 {
            scratch.products.resize(BLOCK * group.max(k), 0.0);
            for g in 0..groups {
                let span = g * group..k.min((g + 1) * group);
                let width = span.len();
                scratch.wanting.clear();
                scratch.gathered.clear();
                for i in 0..n {
                    if !excludes(self.lower[i * groups + g], self.squared[i], d) {
                        scratch.wanting.push(i as u32);
                        scratch.gathered.extend_from_slice(self.rows.row(self.first + i));
                    }
                }
                if scratch.wanting.is_empty() {
                    continue;
                }
                let doubled = &self.centroids.doubled[span.start * d..span.end * d];
                rows_times_rows(&scratch.gathered, doubled, d, &mut scratch.products);
                for (at, &i) in scratch.wanting.iter().enumerate() {
                    self.settle(i as usize, g, &scratch.products[at * width..][..width]);
                }
            }
        }
        let moved = before.iter().zip(&*self.assignment).filter(|(a, b)| a != b).count();
        (moved, self.squared.iter().map(|s| f64::from(*s)).sum())
    }

    /// Looks at the products of row `i` with the centroids of group `g`: measures those that may be nearer than the
    /// row's own, and sets the group's bound from the others.
    #[inline(always)]
    fn settle(&mut self, i: usize, g: usize, products: &[f32]) {
        let (d, groups, group) = (self.rows.d, self.centroids.groups(), self.centroids.group);
        let first = g * group;
        let x = self.rows.row(self.first + i);
        let norm = self.rows.norms[self.first + i];
        let norms = &self.centroids.norms[first..first + products.len()];
        let bound = |j: usize| norm + (norms[j] + products[j]);
        let mut nearest = f32::INFINITY;
        for (n, p) in norms.iter().zip(products) {
            nearest = nearest.min(n + p);
        }
        let mut own = self.assignment[i] as usize;
        if norm + nearest <= self.squared[i] {
            let measure = |j: usize| squared_distance(x, &self.centroids.values[(first + j) * d..][..d]);
            let (old, old_squared) = (own, self.squared[i]);
            // The likeliest first: it usually excludes the others.
            let likeliest = (0..products.len()).find(|j| norms[*j] + products[*j] == nearest);
            for j in likeliest.into_iter().chain(0..products.len()) {
                if bound(j) <= self.squared[i] && first + j != own {
                    let squared = measure(j);
                    if squared < self.squared[i] || squared == self.squared[i] && first + j < own {
                        (self.squared[i], own) = (squared, first + j);
                    }
                }
            }
            self.assignment[i] = own as u32;
            if old != own && old / group != g {
                let lower = &mut self.lower[i * groups + old / group];
                *lower = lower.min(shortened(old_squared, d));
            }
        }
        let others = if own / group == g {
            (0..products.len()).filter(|j| first + j != own).map(bound).fold(f32::INFINITY, f32::min)
        } else {
            norm + nearest
        };
        self.lower[i * groups + g] = others.max(0.0).sqrt();
    }
}

/// Whether a centroid at least `lower` away is farther by direct computation than `squared`.
#[inline(always)]
fn excludes(lower: f32, squared: f32, d: usize) -> bool {
    lower * lower * (1.0 - 2.0 * rounding(d) as f32) - underflow(d) > squared
}

/// The simplified silhouette (Hruschka et al. 2004): the mean over rows of (b - a) / b, where a and b are the distances
/// to the nearest and the second nearest centroid; 0 for a row with b = 0. With fewer than two centroids it is 0.
///
/// # Errors
/// As [`crate::neighbours::nearest_f32`] of the rows among the centroids.
pub fn simplified_silhouette(
    x: ArrayView2<f32>,
    centroids: ArrayView2<f32>,
    metric: Metric,
    progress: &dyn Progress,
) -> Result<f64> {
    if centroids.nrows() < 2 {
        return Ok(0.0);
    }
    let near = crate::neighbours::nearest_f32(centroids, x, None, 2, metric, progress)?;
    let distance = |squared: f64| if metric == Metric::Cosine { squared } else { squared.sqrt() };
    let of = |two: &[f64]| if two[1] > 0.0 { 1.0 - distance(two[0]) / distance(two[1]) } else { 0.0 };
    Ok(near.squared.chunks_exact(2).map(of).sum::<f64>() / near.len() as f64)
}
