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

mod assignment;
mod rows;
mod seeds;

pub use seeds::plus_plus;

use crate::neighbours::Metric;
use assignment::State;
use ndarray::{Array2, ArrayView2};
use quadrat_core::{Error, Progress, Result, Seed};
use rows::{Rows, to_unit_length};
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
