//! The best-scored rows: quality without any thought of coverage.

use crate::{Cost, Needs, Pool, Selection, Selector};
use quadrat_core::{Area, Card, Method, Progress, Result, Seed, Settings};

/// The rows with the highest scores.
///
/// ```
/// use quadrat_core::{Seed, Silent};
/// use quadrat_select::{Pool, Selector, TopScore};
/// let pool = Pool::of_rows(4).with_scores(vec![0.1, 0.9, 0.5, 0.9]);
/// assert_eq!(TopScore.select(&pool, 3, Seed(1), &Silent)?.indices, [1, 3, 2]);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Settings)]
pub struct TopScore;

impl Method for TopScore {
    const CARD: Card = Card {
        slug: "top-score",
        aliases: &["top"],
        title: "Highest scores",
        paper: "textbook ranking",
        area: Area::Select,
        verbs: &["select"],
        summary: "The rows with the highest scores, best first; of equal scores the first row.",
        useful_when: "keep the best examples by a quality score, rank rows and cut",
        cost: "time O(rows + budget log budget), memory O(rows)",
        params: Self::PARAMS,
    };
}

impl Selector for TopScore {
    fn card(&self) -> &'static Card {
        &Self::CARD
    }

    fn needs(&self) -> Needs {
        Needs { scores: true, ..Needs::default() }
    }

    fn cost(&self, rows: usize, _cols: usize, budget: usize) -> Cost {
        let (n, b) = (rows as f64, budget as f64);
        Cost { operations: 4.0 * n + b * b.log2().max(1.0), bytes: 8.0 * n }
    }

    fn select(&self, pool: &Pool, budget: usize, _seed: Seed, _progress: &dyn Progress) -> Result<Selection> {
        pool.check(budget, self.needs())?;
        let scores = crate::rows::scores(pool)?;
        let indices = best_first(scores, budget);
        let scores = indices.iter().map(|&i| scores[i]).collect();
        Ok(Selection { indices, scores: Some(scores), ..Selection::default() })
    }
}

/// The `count` rows with the highest scores, best first, of equals the lowest.
pub(crate) fn best_first(scores: &[f64], count: usize) -> Vec<usize> {
    let mut rows: Vec<usize> = (0..scores.len()).collect();
    // Adding 0 turns -0 into 0: the two are equal, and `total_cmp` would tell them apart.
    let order = |a: &usize, b: &usize| (scores[*b] + 0.0).total_cmp(&(scores[*a] + 0.0)).then(a.cmp(b));
    if count < rows.len() {
        rows.select_nth_unstable_by(count, order);
        rows.truncate(count);
    }
    rows.sort_unstable_by(order);
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_cut_is_the_head_of_the_stable_ranking(scores in prop::collection::vec(-3_i8..3, 1..40), count in 0_usize..40) {
            let scores: Vec<f64> = scores.into_iter().map(f64::from).collect();
            let mut ranking: Vec<usize> = (0..scores.len()).collect();
            ranking.sort_by(|a, b| scores[*b].partial_cmp(&scores[*a]).unwrap());
            ranking.truncate(count);
            prop_assert_eq!(best_first(&scores, count), ranking);
        }
    }

    #[test]
    fn zeros_of_both_signs_are_equal() {
        assert_eq!(best_first(&[-0.0, 0.0, -0.0], 3), [0, 1, 2]);
    }
}
