//! D^2 sampling: the seeding of k-means++ as a selector.
//!
//! Arthur and Vassilvitskii, SODA 2007: each row is drawn with probability proportional to its squared distance to the
//! nearest row drawn before. Between uniform choice and farthest-first: spread out, but not chasing outliers.

use crate::rows::{self, Rows};
use crate::{Cost, Needs, Pool, Selection, Selector};
use quadrat_core::{Area, Card, Method, Progress, Result, Seed, Settings};
use quadrat_numeric::Metric;
use quadrat_numeric::kmeans::plus_plus;
use quadrat_numeric::neighbours::nearest_f32;

/// k-means++ draws; weights are the sizes of the rows' Voronoi cells and sum to the number of rows.
///
/// Such weights are exact for functions that are constant on cells; they are a coreset for clustering, not an unbiased
/// estimator of arbitrary sums. Of equal distances the row drawn first owns,
/// except that a chosen row always stands for itself.
///
/// ```
/// use ndarray::array;
/// use quadrat_core::{Seed, Silent};
/// use quadrat_numeric::Points;
/// use quadrat_select::{D2, Pool, Selector};
/// let pool = Pool::of_points(Points::F64(array![[0.0], [0.1], [0.2], [1000.0]]));
/// let chosen = D2.select(&pool, 2, Seed(1), &Silent)?;
/// let mut weights = chosen.weights.unwrap_or_default();
/// weights.sort_by(f64::total_cmp);
/// assert_eq!(weights, [1.0, 3.0]);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Settings)]
pub struct D2;

impl Method for D2 {
    const CARD: Card = Card {
        slug: "d2",
        aliases: &["d2-sampling", "k-means-plus-plus"],
        title: "D^2 sampling (k-means++)",
        paper: "Arthur and Vassilvitskii, SODA 2007",
        area: Area::Select,
        verbs: &["select"],
        summary: "Rows drawn one after the other, far ones more often. A row's weight is the number of rows of the \
                  pool nearest to it, so that the weighted subset clusters like the pool.",
        useful_when: "a diverse random subset, seeds for clustering, a coreset for k-means",
        cost: "time O(rows x budget x features); memory 20 bytes a row and one copy of the features in single \
               precision",
        params: Self::PARAMS,
    };
}

impl Selector for D2 {
    fn card(&self) -> &'static Card {
        &Self::CARD
    }

    fn needs(&self) -> Needs {
        Needs { points: true, ..Needs::default() }
    }

    fn weighs(&self) -> bool {
        true
    }

    fn cost(&self, rows: usize, cols: usize, budget: usize) -> Cost {
        let (n, d) = (rows as f64, cols as f64);
        Cost { operations: 5.0 * n * d * budget as f64, bytes: n * (20.0 + 8.0 * d) }
    }

    fn select(&self, pool: &Pool, budget: usize, seed: Seed, progress: &dyn Progress) -> Result<Selection> {
        pool.check(budget, self.needs())?;
        let rows = Rows::centred(rows::points(pool)?)?;
        let indices = plus_plus(rows.view()?, budget, seed.stream("d2"), progress)?;
        let chosen = rows.view()?.select(ndarray::Axis(0), &indices);
        let owners = nearest_f32(chosen.view(), rows.view()?, None, 1, Metric::Euclidean, progress)?;
        let mut weights = vec![0.0; budget];
        owners.index.iter().for_each(|owner| weights[*owner as usize] += 1.0);
        // A chosen row stands for itself, also where an equal row was drawn before it.
        for (place, &row) in indices.iter().enumerate() {
            weights[owners.index[row] as usize] -= 1.0;
            weights[place] += 1.0;
        }
        Ok(Selection { indices, weights: Some(weights), ..Selection::default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;
    use quadrat_core::{Silent, stats};
    use quadrat_numeric::Points;

    /// From rows at 0, 1 and 3 the pairs' probabilities are known; Pearson's statistic errs once in a million seeds.
    #[test]
    fn pairs_are_drawn_in_proportion_to_squared_distances() {
        let x = [0.0, 1.0, 3.0];
        let pool = Pool::of_points(Points::F64(array![[0.0], [1.0], [3.0]]));
        let mut counts = [[0.0; 3]; 3];
        let draws = 12_000;
        for seed in 0..draws {
            let chosen = D2.select(&pool, 2, Seed(seed), &Silent).unwrap().indices;
            counts[chosen[0]][chosen[1]] += 1.0;
        }
        let mut statistic = 0.0;
        for first in 0..3 {
            let squares: Vec<f64> = x.iter().map(|v| (v - x[first]) * (v - x[first])).collect();
            for second in (0..3).filter(|second| *second != first) {
                let expected = draws as f64 / 3.0 * squares[second] / squares.iter().sum::<f64>();
                statistic += (counts[first][second] - expected).powi(2) / expected;
            }
        }
        assert!(stats::chi_square_tail(statistic, 5.0) > 1e-6, "{statistic}");
    }

    #[test]
    fn weights_count_every_row_once_even_among_duplicates() {
        let pool = Pool::of_points(Points::F64(array![[1.0], [1.0], [1.0], [2.0], [2.0]]));
        let chosen = D2.select(&pool, 4, Seed(3), &Silent).unwrap();
        let weights = chosen.weights.unwrap();
        assert_eq!(weights.iter().sum::<f64>(), 5.0);
        assert!(weights.iter().all(|w| *w >= 1.0));
        let distinct: std::collections::HashSet<_> = chosen.indices.into_iter().collect();
        assert_eq!(distinct.len(), 4);
    }
}
