//! One assignment step: every row gets its nearest centroid, with as little work as exactness allows.
//!
//! Each row keeps one lower bound on its distance to every *group* of centroids (Yinyang, Ding et al. 2015; with one group
//! this is Hamerly's bound), lowered by how far the group's centroids moved. Only (row, group) pairs whose bound undercuts
//! the row's distance to its own centroid are computed again.

use super::BLOCK;
use super::rows::Rows;
use crate::gemm::{rows_times_rows, squared_distance, vectorised};
use quadrat_core::{Progress, Result, checkpoint};
use rayon::prelude::*;

/// |x|^2 less the share of it that rounding may cost a product of rows, see [`Centroids`].
pub(super) fn lowered_norm(row: &[f32]) -> f32 {
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
pub(super) struct Centroids {
    pub values: Vec<f32>,
    /// -2 c, so that norm + product needs no multiplication.
    pub doubled: Vec<f32>,
    /// Lowered |c|^2: `rows.norms[i] + norms[c] + x_i . (-2 c)` is a lower bound of |x_i - c|^2.
    pub norms: Vec<f32>,
    pub group: usize,
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
pub(super) struct State {
    pub centroids: Centroids,
    pub d: usize,
    pub assignment: Vec<u32>,
    pub squared: Vec<f32>,
    /// Rows x groups: lower bounds of the distance to every centroid of the group other than the row's own.
    pub lower: Vec<f32>,
    /// How far the farthest-moving centroid of each group has moved since the last assignment, rounded up.
    pub drift: Vec<f32>,
    pub inertia: f64,
    pub iterations: usize,
    pub converged: bool,
}

impl State {
    pub fn new(rows: &Rows, centroids: Vec<f32>) -> Self {
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
    pub fn assign(&mut self, rows: &Rows, progress: &dyn Progress) -> Result<usize> {
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
    pub fn refill(&mut self) -> usize {
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
    pub fn update(&mut self, rows: &Rows) {
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
