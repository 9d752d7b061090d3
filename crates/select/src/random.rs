//! Uniform random choice: the baseline that every method has to beat.

use crate::{Cost, Needs, Pool, Selection, Selector};
use quadrat_core::{Area, Card, Method, Progress, Result, Seed, Settings};

/// Rows drawn uniformly without replacement, in random order; every weight is rows / budget.
///
/// ```
/// use quadrat_core::{Seed, Silent};
/// use quadrat_select::{Pool, Random, Selector};
/// let chosen = Random.select(&Pool::of_rows(100), 10, Seed(1), &Silent)?;
/// assert_eq!(chosen.indices.len(), 10);
/// assert_eq!(chosen.weights, Some(vec![10.0; 10]));
/// # Ok::<(), quadrat_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Settings)]
pub struct Random;

impl Method for Random {
    const CARD: Card = Card {
        slug: "random",
        aliases: &["uniform"],
        title: "Uniform random choice",
        paper: "textbook simple random sampling; Horvitz and Thompson, JASA 1952, for the weights",
        area: Area::Select,
        verbs: &["select"],
        summary: "Every subset of the given size is equally likely. Each row stands for the same number of rows of the \
                  pool.",
        useful_when: "a plain random subsample, a fair baseline, fewer rows quickly, shrink a file without any bias",
        cost: "time O(budget), memory O(budget)",
        params: Self::PARAMS,
    };
}

impl Selector for Random {
    fn card(&self) -> &'static Card {
        &Self::CARD
    }

    fn needs(&self) -> Needs {
        Needs::default()
    }

    fn weighs(&self) -> bool {
        true
    }

    fn cost(&self, _rows: usize, _cols: usize, budget: usize) -> Cost {
        Cost { operations: budget as f64, bytes: 64.0 * budget as f64 }
    }

    fn select(&self, pool: &Pool, budget: usize, seed: Seed, _progress: &dyn Progress) -> Result<Selection> {
        pool.check(budget, self.needs())?;
        let indices = seed.stream("random").rng(0).sample(pool.rows, budget);
        let weights = Some(vec![pool.rows as f64 / budget as f64; budget]);
        Ok(Selection { indices, weights, ..Selection::default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quadrat_core::{Silent, stats};

    /// Weighted sums over the choice estimate the pool's sum without bias: the mean of 4,000 estimates lies within five
    /// standard errors (one false alarm in about two million seeds).
    #[test]
    fn weights_make_sums_unbiased() {
        let pool = Pool::of_rows(50);
        let estimates: Vec<f64> = (0..4000)
            .map(|seed| {
                let chosen = Random.select(&pool, 7, Seed(seed), &Silent).unwrap();
                chosen.indices.iter().zip(chosen.weights.unwrap()).map(|(i, w)| w * (i * i) as f64).sum()
            })
            .collect();
        let total: f64 = (0..50).map(|i| (i * i) as f64).sum();
        let error = (stats::mean(&estimates) - total).abs();
        assert!(error < 5.0 * stats::standard_deviation(&estimates) / 4000_f64.sqrt(), "{error}");
    }
}
