//! k-center greedy: no row far from a chosen one.
//!
//! Gonzalez 1985: start anywhere, then always take the row farthest from those taken. The largest distance left is at
//! most twice the best possible. Known in active learning as the core-set method (Sener and Savarese, ICLR 2018).

use crate::rows::{self, BLOCK, Rows, first_largest};
use crate::{Cost, Needs, Pool, Selection, Selector};
use quadrat_core::{Area, Card, Method, Progress, Result, Seed, Settings, checkpoint};
use quadrat_numeric::neighbours::squared_distance;
use rayon::prelude::*;

/// Farthest-first choice, starting from a random row.
///
/// A row's score is its distance to the nearest row chosen before it (infinite for the first). Of equal distances the
/// first row; once all rows coincide with chosen ones, the rest follow in order.
///
/// ```
/// use ndarray::array;
/// use quadrat_core::{Seed, Silent};
/// use quadrat_numeric::Points;
/// use quadrat_select::{KCenter, Pool, Selector};
/// let pool = Pool::of_points(Points::F64(array![[0.0], [1.0], [2.0], [9.0]]));
/// let chosen = KCenter.select(&pool, 2, Seed(1), &Silent)?;
/// assert!(chosen.indices.contains(&3));
/// # Ok::<(), quadrat_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Settings)]
pub struct KCenter;

impl Method for KCenter {
    const CARD: Card = Card {
        slug: "k-center",
        aliases: &["farthest-first", "k-center-greedy"],
        title: "k-center greedy (farthest first)",
        paper: "Gonzalez, Theoretical Computer Science 1985; as core-set: Sener and Savarese, ICLR 2018",
        area: Area::Select,
        verbs: &["select"],
        summary: "Always the row farthest from those chosen so far, so that no row of the pool is far from a chosen \
                  one. Finds outliers and rare cases early.",
        useful_when: "cover every corner of the data, rare and extreme cases must be in, spread-out examples, core-set",
        cost: "time O(rows x budget x features), less where the pool has clusters; memory 12 bytes a row and one copy \
               of the features in single precision",
        params: Self::PARAMS,
    };
}

impl Selector for KCenter {
    fn card(&self) -> &'static Card {
        &Self::CARD
    }

    fn needs(&self) -> Needs {
        Needs { points: true, ..Needs::default() }
    }

    fn cost(&self, rows: usize, cols: usize, budget: usize) -> Cost {
        let (n, d) = (rows as f64, cols as f64);
        Cost { operations: 3.0 * n * d * budget as f64, bytes: n * (12.0 + 4.0 * d) }
    }

    fn select(&self, pool: &Pool, budget: usize, seed: Seed, progress: &dyn Progress) -> Result<Selection> {
        pool.check(budget, self.needs())?;
        let rows = Rows::centred(rows::points(pool)?)?;
        let mut chosen = vec![seed.stream("k-center").rng(0).below(pool.rows)];
        let mut distances = vec![f64::INFINITY];
        // Squared distance to the nearest chosen row, and which of the chosen that is; -1 for chosen rows themselves.
        let mut squared = vec![f64::INFINITY; pool.rows];
        let mut owner = vec![0_u32; pool.rows];
        progress.begin("choosing rows", Some(budget as u64));
        loop {
            checkpoint(progress)?;
            progress.advance(1);
            let new = chosen.len() - 1;
            let centre = rows.row(chosen[new]);
            squared[chosen[new]] = -1.0;
            if chosen.len() == budget {
                break;
            }
            // A row at most half as far from its owner as the owner is from the new centre cannot be nearer to the
            // latter (0.249 is a quarter, less what rounding may take).
            let reach: Vec<f64> = chosen.iter().map(|c| 0.249 * squared_distance(rows.row(*c), centre)).collect();
            squared.par_chunks_mut(BLOCK).zip(owner.par_chunks_mut(BLOCK)).enumerate().for_each(
                |(block, (squared, owner))| {
                    for (j, (s, owner)) in squared.iter_mut().zip(owner).enumerate() {
                        if *s > reach[*owner as usize] {
                            let distance = squared_distance(rows.row(block * BLOCK + j), centre);
                            if distance < *s {
                                (*s, *owner) = (distance, new as u32);
                            }
                        }
                    }
                },
            );
            let Some(farthest) = first_largest(&squared) else { break };
            distances.push(squared[farthest].sqrt());
            chosen.push(farthest);
        }
        let left = squared.iter().copied().fold(0.0, f64::max).sqrt();
        let notes = vec![("largest distance before the last pick".to_owned(), format!("{left:.6}"))];
        Ok(Selection { indices: chosen, weights: None, scores: Some(distances), notes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;
    use quadrat_core::Silent;
    use quadrat_numeric::Points;

    fn pool(rows: usize, seed: u64) -> (Pool, Array2<f64>) {
        let mut rng = Seed(seed).stream("k-center test").rng(0);
        let points = Array2::from_shape_simple_fn((rows, 3), || rng.below(6) as f64);
        // Single precision: the values are used as they are, so that a plain loop sees the same ties.
        (Pool::of_points(Points::F32(points.mapv(|v| v as f32))), points)
    }

    fn radius(points: &Array2<f64>, chosen: &[usize]) -> f64 {
        let squared = |i: usize, j: usize| (&points.row(i) - &points.row(j)).mapv(|v| v * v).sum();
        (0..points.nrows())
            .map(|i| chosen.iter().map(|j| squared(i, *j)).fold(f64::INFINITY, f64::min))
            .fold(0.0, f64::max)
            .sqrt()
    }

    #[test]
    fn every_pick_is_the_farthest_row() {
        for seed in 0..30 {
            let (pool, points) = pool(60, seed);
            let chosen = KCenter.select(&pool, 60, Seed(seed), &Silent).unwrap();
            for t in 1..60 {
                let before = &chosen.indices[..t];
                let far = |i: usize| {
                    let to = |j: &usize| (&points.row(i) - &points.row(*j)).mapv(|v| v * v).sum();
                    before.iter().map(to).fold(f64::INFINITY, f64::min)
                };
                let rest = (0..60).filter(|i| !before.contains(i)).map(|i| (i, far(i)));
                let best = rest.reduce(|a, b| if b.1 > a.1 { b } else { a }).unwrap();
                assert_eq!((chosen.indices[t], chosen.scores.as_ref().unwrap()[t]), (best.0, best.1.sqrt()));
            }
        }
    }

    #[test]
    fn the_radius_is_at_most_twice_the_best() {
        for seed in 0..20 {
            let (pool, points) = pool(12, seed);
            let reached = radius(&points, &KCenter.select(&pool, 3, Seed(seed), &Silent).unwrap().indices);
            let best = (0_u32..1 << 12)
                .filter(|set| set.count_ones() == 3)
                .map(|set| radius(&points, &(0..12).filter(|j| set >> j & 1 == 1).collect::<Vec<_>>()))
                .fold(f64::INFINITY, f64::min);
            assert!(reached <= 2.0 * best + 1e-9, "{reached} {best}");
        }
    }
}
