//! The first centroids of k-means: rows that are drawn far from each other.

#[cfg(doc)]
use super::KMeans;
use super::assignment::State;
use super::rows::Rows;
use super::{BLOCK, check_k};
use crate::gemm::{squared_distance, vectorised};
use crate::neighbours::Metric;
use ndarray::ArrayView2;
use quadrat_core::{Progress, Result, Rng, Seed, checkpoint};
use rayon::prelude::*;

/// The rows that k-means++ draws: the first uniformly, each other with probability proportional to the squared distance
/// to the nearest one drawn before. When all rows left coincide with drawn ones, the lowest row numbers not yet drawn
/// follow, so the result always has `k` distinct rows.
///
/// Cost: O(rows x k x columns), less where the triangle inequality shows that a new row is too far to matter.
///
/// # Errors
/// As [`KMeans::fit`].
pub fn plus_plus(x: ArrayView2<f32>, k: usize, seed: Seed, progress: &dyn Progress) -> Result<Vec<usize>> {
    let rows = Rows::prepare(x, Metric::Euclidean)?;
    check_k(k, rows.len())?;
    plus_plus_rows(&rows, None, k, &mut seed.stream("seeds").rng(0), progress)
}

/// Rows that were chosen and, up to `k`, the first of the others.
fn with_others(mut chosen: Vec<usize>, n: usize, k: usize) -> Vec<usize> {
    let mut taken = vec![false; n];
    chosen.iter().for_each(|&c| taken[c] = true);
    let missing = k - chosen.len();
    chosen.extend((0..n).filter(|i| !taken[*i]).take(missing));
    chosen
}

/// Where each row's nearest seed is.
struct Nearest<'a> {
    rows: &'a Rows,
    /// What each row counts for; without, all count alike.
    weights: Option<&'a [f64]>,
    /// Squared distance to the nearest seed, and which one that is.
    squared: Vec<f32>,
    owner: Vec<u32>,
    /// Weighted sums of the squared distances, block by block.
    masses: Vec<f64>,
}

impl<'a> Nearest<'a> {
    /// No seed yet.
    fn new(rows: &'a Rows, weights: Option<&'a [f64]>) -> Self {
        let n = rows.len();
        Nearest {
            rows,
            weights,
            squared: vec![f32::INFINITY; n],
            owner: vec![0; n],
            masses: vec![0.0; n.div_ceil(BLOCK)],
        }
    }

    /// Takes in the seeds from the `measured`-th on. A row is measured unless the triangle inequality shows that the new
    /// seed is too far away.
    fn take_in(&mut self, seeds: &[usize], measured: usize) {
        let Nearest { rows, weights, .. } = *self;
        let weight = |i: usize| weights.map_or(1.0, |w| w[i]);
        let reach: Vec<Vec<f32>> = seeds[measured..].par_iter().map(|&new| reach(rows, seeds, new)).collect();
        let blocks = self.squared.par_chunks_mut(BLOCK).zip(self.owner.par_chunks_mut(BLOCK)).zip(&mut self.masses);
        blocks.enumerate().for_each(|(block, ((squared, owner), mass))| {
            vectorised(
                #[inline(always)]
                || {
                    for (j, (s, owner)) in squared.iter_mut().zip(owner).enumerate() {
                        let x = rows.row(block * BLOCK + j);
                        for (new, reach) in (measured..).zip(&reach) {
                            if *s > reach[*owner as usize] {
                                let distance = squared_distance(x, rows.row(seeds[new]));
                                if distance < *s {
                                    (*s, *owner) = (distance, new as u32);
                                }
                            }
                        }
                    }
                },
            );
            *mass = squared.iter().enumerate().map(|(j, s)| f64::from(*s) * weight(block * BLOCK + j)).sum();
        });
    }

    /// Whether every row that counts lies on a seed.
    fn is_done(&self) -> bool {
        self.masses.iter().sum::<f64>() <= 0.0
    }

    /// A row, in proportion to its weight times its squared distance.
    fn draw(&self, rng: &mut Rng) -> usize {
        let weight = |i: usize| self.weights.map_or(1.0, |w| w[i]);
        let block = rng.weighted(&self.masses) * BLOCK;
        let inside = block..self.rows.len().min(block + BLOCK);
        let inside: Vec<f64> = inside.map(|i| f64::from(self.squared[i]) * weight(i)).collect();
        block + rng.weighted(&inside)
    }
}

/// Rows by greedy k-means++.
pub(super) fn greedy_rows(rows: &Rows, k: usize, rng: &mut Rng, progress: &dyn Progress) -> Result<Vec<usize>> {
    let n = rows.len();
    let tries = 2 + (k as f64).ln() as usize;
    let mut chosen: Vec<usize> = Vec::with_capacity(k);
    let mut near = Nearest::new(rows, None);
    let mut best = rng.below(n);
    loop {
        checkpoint(progress)?;
        chosen.push(best);
        near.take_in(&chosen, chosen.len() - 1);
        if chosen.len() == k {
            return Ok(chosen);
        }
        if near.is_done() {
            return Ok(with_others(chosen, n, k));
        }
        let candidates: Vec<usize> = (0..tries).map(|_| near.draw(rng)).collect();
        let reaches: Vec<Vec<f32>> = candidates.par_iter().map(|&c| reach(rows, &chosen, c)).collect();
        let nearest: Vec<f32> = (0..chosen.len())
            .map(|seed| reaches.iter().map(|reach| reach[seed]).fold(f32::INFINITY, f32::min))
            .collect();
        // What each candidate would take off the sum, block by block.
        let gains: Vec<Vec<f64>> = near
            .squared
            .par_chunks(BLOCK)
            .zip(near.owner.par_chunks(BLOCK))
            .enumerate()
            .map(|(block, (squared, owner))| {
                let mut gains = vec![0.0; tries];
                vectorised(
                    #[inline(always)]
                    || {
                        for (j, (s, owner)) in squared.iter().zip(owner).enumerate() {
                            if *s <= nearest[*owner as usize] {
                                continue;
                            }
                            let x = rows.row(block * BLOCK + j);
                            for ((gain, reach), &candidate) in gains.iter_mut().zip(&reaches).zip(&candidates) {
                                if *s > reach[*owner as usize] {
                                    let distance = squared_distance(x, rows.row(candidate));
                                    *gain += f64::from((*s - distance).max(0.0));
                                }
                            }
                        }
                    },
                );
                gains
            })
            .collect();
        let gain = |try_: usize| gains.iter().map(|block| block[try_]).sum::<f64>();
        let total: Vec<f64> = (0..tries).map(gain).collect();
        // The first of equally good ones.
        let better = |best: usize, other: usize| if total[other] > total[best] { other } else { best };
        best = candidates[(1..tries).fold(0, better)];
    }
}

/// For each seed, the squared distance up to which its rows cannot be nearer to a new one: a row whose own seed is more
/// than twice as far from the new one as the row is from it.
fn reach(rows: &Rows, seeds: &[usize], new: usize) -> Vec<f32> {
    seeds.iter().map(|&old| 0.249 * squared_distance(rows.row(old), rows.row(new))).collect()
}

/// Rows proposed at a time by k-means++.
const PROPOSALS: usize = 32;

/// D^2 sampling by rejection, so that one pass over the rows serves many draws: proposals are drawn in proportion to the
/// squared distances before the pass, and each is accepted with probability (its squared distance to the seeds accepted
/// by then) / (the one it was proposed by). An accepted row is thus drawn in proportion to its current distance.
pub(super) fn plus_plus_rows(
    rows: &Rows,
    weights: Option<&[f64]>,
    k: usize,
    rng: &mut Rng,
    progress: &dyn Progress,
) -> Result<Vec<usize>> {
    let n = rows.len();
    let first = match weights {
        Some(weights) => rng.weighted(weights),
        None => rng.below(n),
    };
    let mut chosen = vec![first];
    let mut near = Nearest::new(rows, weights);
    let mut measured = 0;
    loop {
        checkpoint(progress)?;
        near.take_in(&chosen, measured);
        measured = chosen.len();
        if measured == k {
            return Ok(chosen);
        }
        if near.is_done() {
            return Ok(with_others(chosen, n, k));
        }
        for _ in 0..PROPOSALS {
            let row = near.draw(rng);
            let since = chosen[measured..].iter().map(|&c| squared_distance(rows.row(c), rows.row(row)));
            let now = since.fold(near.squared[row], f32::min);
            if rng.uniform() * f64::from(near.squared[row]) < f64::from(now) && chosen.len() < k {
                chosen.push(row);
            }
        }
    }
}

/// k-means||: in each round every row is drawn on its own with probability 2k d^2 / sum of d^2.
pub(super) fn parallel_rows(rows: &Rows, k: usize, seed: Seed, progress: &dyn Progress) -> Result<Vec<usize>> {
    let n = rows.len();
    let mut chosen = vec![seed.stream("first").rng(0).below(n)];
    let mut squared = vec![f32::INFINITY; n];
    let mut owner = vec![0_u32; n];
    let mut added = 0;
    for round in 0..=5 {
        let mut state = State::new(rows, rows.gather(&chosen[added..]));
        state.assign(rows, progress)?;
        for i in 0..n {
            if state.squared[i] < squared[i] {
                (squared[i], owner[i]) = (state.squared[i], added as u32 + state.assignment[i]);
            }
        }
        let total: f64 = squared.iter().copied().map(f64::from).sum();
        if round == 5 || total == 0.0 {
            break;
        }
        added = chosen.len();
        let mut rng = seed.stream("round").rng(round);
        let share = 2.0 * k as f64 / total;
        chosen.extend((0..n).filter(|&i| rng.uniform() < share * f64::from(squared[i])));
        if chosen.len() == added {
            break;
        }
    }
    if chosen.len() <= k {
        // Fewer candidates than clusters: k-means++ over all rows fills up.
        return plus_plus_rows(rows, None, k, &mut seed.stream("fill").rng(0), progress);
    }
    let mut weights = vec![0.0; chosen.len()];
    owner.iter().for_each(|&o| weights[o as usize] += 1.0);
    let among = rows.subset(&chosen);
    let picked = plus_plus_rows(&among, Some(&weights), k, &mut seed.stream("reduce").rng(0), progress)?;
    Ok(picked.into_iter().map(|i| chosen[i]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;
    use quadrat_core::{Silent, stats};

    /// From row 0 the others are at squared distances 1 and 9. Of two that are drawn the far one stays, since it leaves
    /// a sum of 1 and the other one of 4: the near one is a seed if it is drawn twice.
    #[test]
    fn of_the_rows_drawn_the_one_stays_that_leaves_least() {
        let rows = Rows::prepare(array![[0.0_f32], [1.0], [3.0]].view(), Metric::Euclidean).unwrap();
        let mut counts = [0; 2];
        for s in 0..30_000 {
            let seeds = greedy_rows(&rows, 2, &mut Seed(s).rng(0), &Silent).unwrap();
            if seeds[0] == 0 {
                counts[seeds[1] - 1] += 1;
            }
        }
        // Pearson's test of 1 : 99, one false alarm in a million.
        let n = f64::from(counts[0] + counts[1]);
        let statistic: f64 =
            counts.iter().zip([0.01, 0.99]).map(|(c, p)| (f64::from(*c) - n * p).powi(2) / (n * p)).sum();
        assert!(n > 9000.0 && stats::chi_square_tail(statistic, 1.0) > 1e-6, "{counts:?}");
    }
}
