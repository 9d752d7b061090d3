//! DEITA's filter: the best rows that are not too close to better ones.
//!
//! Liu, Zeng, He, Jiang and He, "What Makes Good Data for Alignment?", ICLR 2024, arXiv 2312.15685: walk through the rows
//! by descending score and keep a row if its cosine distance to the nearest row kept is at least a threshold (a cosine
//! below 0.9 in the paper).

use crate::rows::{self, Rows};
use crate::top_score::best_first;
use crate::{Cost, Needs, Pool, Selection, Selector};
use quadrat_core::{Area, Card, Error, Method, Progress, Result, Seed, Settings, checkpoint};
use rayon::prelude::*;

/// Descending score with a least cosine distance: parameters.
///
/// When the pool has too few rows that far apart, the best of those skipped fill the budget; a note says how many. A
/// row of zeros has cosine distance 1 to every row. Of equal scores the first row.
///
/// ```
/// use ndarray::array;
/// use quadrat_core::{Seed, Silent};
/// use quadrat_numeric::Points;
/// use quadrat_select::{Deita, Pool, Selector};
/// let points = Points::F64(array![[1.0, 0.0], [0.99, 0.01], [0.0, 1.0]]);
/// let pool = Pool::of_points(points).with_scores(vec![0.9, 0.8, 0.1]);
/// assert_eq!(Deita::default().select(&pool, 2, Seed(1), &Silent)?.indices, [0, 2]);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Settings)]
pub struct Deita {
    /// Least cosine distance to the nearest row kept; 0 skips nothing.
    #[param(default = 0.1, from = 0, to = 2)]
    pub threshold: f64,
}

impl Method for Deita {
    const CARD: Card = Card {
        slug: "deita",
        aliases: &["deita-filter"],
        title: "DEITA's filter: score first, near-duplicates out",
        paper: "Liu, Zeng, He, Jiang, He, What Makes Good Data for Alignment?, ICLR 2024, arXiv 2312.15685",
        area: Area::Select,
        verbs: &["select"],
        summary: "The highest-scored rows, skipping every row whose embedding is too close to one already kept.",
        useful_when: "remove near-duplicates, deduplicate but keep the best version, quality scores and embeddings",
        cost: "time O(rows looked at x budget x features), usually little more than budget^2 x features; memory one \
               copy of the features in single precision",
        params: Self::PARAMS,
    };
}

impl Selector for Deita {
    fn card(&self) -> &'static Card {
        &Self::CARD
    }

    fn needs(&self) -> Needs {
        Needs { points: true, scores: true, ..Needs::default() }
    }

    fn cost(&self, rows: usize, cols: usize, budget: usize) -> Cost {
        let (n, d, b) = (rows as f64, cols as f64, budget as f64);
        Cost { operations: 20.0 * n + 2.0 * b * b * d, bytes: n * (12.0 * d + 8.0) }
    }

    fn select(&self, pool: &Pool, budget: usize, _seed: Seed, progress: &dyn Progress) -> Result<Selection> {
        pool.check(budget, self.needs())?;
        if !(0.0..=2.0).contains(&self.threshold) {
            return Err(Error::input("threshold", self.threshold, "use 0 to 2, a cosine distance"));
        }
        let unit = Rows::unit(rows::points(pool)?)?;
        let scores = rows::scores(pool)?;
        let order = best_first(scores, pool.rows);
        let close = |a: usize, b: &usize| 1.0 - cosine(unit.row(a), unit.row(*b)) < self.threshold;
        let (mut kept, mut skipped) = (Vec::with_capacity(budget), Vec::new());
        progress.begin("choosing rows", Some(budget as u64));
        // A block of rows is compared with all rows kept before it at once; only what is left needs to go one by one.
        const BLOCK: usize = 256;
        for block in order.chunks(BLOCK) {
            checkpoint(progress)?;
            let before = kept.len();
            if before == budget {
                break;
            }
            let close_before: Vec<bool> =
                block.par_iter().map(|row| kept[..before].iter().any(|other| close(*row, other))).collect();
            for (&row, close_before) in block.iter().zip(close_before) {
                if close_before || kept[before..].iter().any(|other| close(row, other)) {
                    skipped.push(row);
                } else if kept.len() < budget {
                    kept.push(row);
                }
            }
            progress.advance((kept.len() - before) as u64);
        }
        let far_apart = kept.len();
        kept.extend(skipped.into_iter().take(budget - far_apart));
        let notes = vec![(
            "rows closer than the threshold, taken to fill the budget".to_owned(),
            (budget - far_apart).to_string(),
        )];
        let scores = kept.iter().map(|row| scores[*row]).collect();
        Ok(Selection { indices: kept, weights: None, scores: Some(scores), notes })
    }
}

/// The dot product of unit rows, in double precision with four interleaved sums.
fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let mut sums = [0.0_f64; 4];
    let (a_blocks, a_rest) = a.as_chunks::<4>();
    let (b_blocks, b_rest) = b.as_chunks::<4>();
    for (a, b) in a_blocks.iter().zip(b_blocks) {
        for lane in 0..4 {
            sums[lane] += f64::from(a[lane]) * f64::from(b[lane]);
        }
    }
    sums.iter().sum::<f64>() + a_rest.iter().zip(b_rest).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;
    use quadrat_core::Silent;
    use quadrat_numeric::Points;

    /// The walk written as the paper says it, without blocks.
    #[test]
    fn the_filter_is_the_plain_walk() {
        for (seed, threshold) in (0..20).zip([0.0, 0.005, 0.05, 0.3, 1.9].into_iter().cycle()) {
            let mut rng = Seed(seed).stream("deita test").rng(0);
            let x = Array2::from_shape_simple_fn((700, 3), || rng.normal() as f32);
            let scores: Vec<f64> = (0..700).map(|_| rng.below(50) as f64).collect();
            let pool = Pool::of_points(Points::F32(x)).with_scores(scores.clone());
            let unit = Rows::unit(pool.points.as_ref().unwrap()).unwrap();
            let (mut kept, mut skipped) = (Vec::new(), Vec::new());
            let mut order: Vec<usize> = (0..700).collect();
            order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
            for row in order {
                let nearest =
                    kept.iter().map(|k: &usize| 1.0 - cosine(unit.row(row), unit.row(*k))).fold(9.0, f64::min);
                if nearest < threshold { &mut skipped } else { &mut kept }.push(row);
            }
            let far_apart = kept.len();
            kept.extend(skipped);
            for budget in [1, 5, 300, 700] {
                let chosen = Deita { threshold }.select(&pool, budget, Seed(0), &Silent).unwrap();
                assert_eq!(chosen.indices, kept[..budget], "{threshold} {budget}");
                assert_eq!(chosen.notes[0].1, budget.saturating_sub(far_apart).to_string());
            }
        }
    }
}
