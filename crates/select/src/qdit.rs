//! QDIT: quality and diversity, weighed against each other.
//!
//! Bukharin, Li, Wang, Yang, Wang, Xu, Zhao and Zhao, "Data Diversity Matters for Robust Instruction Tuning", Findings of
//! EMNLP 2024, arXiv 2311.14736: greedy on (1 - alpha) d(a | A) + alpha q(a), where d is facility location and q the
//! quality. The paper's scaling of the two terms was not verified; here both lie between 0 and 1, so that alpha means the
//! same for every pool: gains are divided by the largest first gain, scores are shifted and divided by their range.

use crate::facility_location::{FacilityLocation, Represented, cost};
use crate::greedy::{Objective, lazy_greedy};
use crate::{Cost, Needs, Pool, Selection, Selector};
use quadrat_core::{Area, Card, Error, Method, Progress, Result, Seed, Settings};
use rayon::prelude::*;

/// Facility location weighed against quality: parameters.
///
/// A row's score in the selection is what the greedy step maximised.
///
/// ```
/// use ndarray::array;
/// use quadrat_core::{Seed, Silent};
/// use quadrat_numeric::Points;
/// use quadrat_select::{Pool, Qdit, Selector};
/// let points = Points::F64(array![[0.0], [0.1], [9.0]]);
/// let pool = Pool::of_points(points).with_scores(vec![1.0, 0.9, 0.8]);
/// let chosen = |alpha| Qdit { alpha, ..Qdit::default() }.select(&pool, 2, Seed(1), &Silent);
/// assert_eq!(chosen(1.0)?.indices, [0, 1]);
/// assert_eq!(chosen(0.1)?.indices, [0, 2]);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Settings)]
pub struct Qdit {
    /// Weight of quality; diversity has the rest.
    #[param(default = 0.7, from = 0, to = 1)]
    pub alpha: f64,
    /// The diversity: how rows represent each other.
    #[param(flatten)]
    pub diversity: FacilityLocation,
}

impl Qdit {
    fn objective(&self, pool: &Pool, progress: &dyn Progress) -> Result<Weighed> {
        if !(0.0..=1.0).contains(&self.alpha) {
            return Err(Error::input("alpha", self.alpha, "use 0 (all diversity) to 1 (all quality)"));
        }
        let Qdit { alpha, diversity } = *self;
        let represented = diversity.objective(pool, progress)?;
        let first = (0..pool.rows).into_par_iter().map(|row| represented.gain(row)).reduce(|| 0.0, f64::max);
        let scores = crate::rows::scores(pool)?;
        let low = scores.iter().copied().fold(f64::INFINITY, f64::min);
        let high = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        // Halves, so that the range of the largest numbers does not overflow; equal scores say nothing.
        let range = 0.5 * high - 0.5 * low;
        let scaled = |score: f64| if range > 0.0 { (0.5 * score - 0.5 * low) / range } else { 0.0 };
        let quality = scores.iter().map(|score| alpha * scaled(*score)).collect();
        // A row represents itself, so the first gain is at least 1.
        Ok(Weighed { represented, diversity: (1.0 - alpha) / first, quality })
    }
}

impl Method for Qdit {
    const CARD: Card = Card {
        slug: "qdit",
        aliases: &["quality-diversity"],
        title: "QDIT: quality-diversity instruction tuning",
        paper: "Bukharin et al., Data Diversity Matters for Robust Instruction Tuning, Findings of EMNLP 2024, arXiv \
                2311.14736",
        area: Area::Select,
        verbs: &["select"],
        summary: "Facility location and a quality score, weighed by alpha: 0 is all diversity, 1 is all quality.",
        useful_when: "quality scores and embeddings, trade quality against diversity, instruction tuning data",
        cost: "time O(rows^2 x features) for the exact neighbours, then O(rows x neighbours) and some dozens of gains \
               a pick; memory 8 x rows x neighbours bytes, twice while it is built; with as many neighbours as rows, 4 \
               x rows^2",
        params: Self::PARAMS,
    };
}

/// (1 - alpha) d / d_max + alpha q.
struct Weighed {
    represented: Represented,
    diversity: f64,
    quality: Vec<f64>,
}

impl Objective for Weighed {
    fn gain(&self, row: usize) -> f64 {
        self.diversity * self.represented.gain(row) + self.quality[row]
    }

    fn add(&mut self, row: usize) {
        self.represented.add(row);
    }
}

impl Selector for Qdit {
    fn card(&self) -> &'static Card {
        &Self::CARD
    }

    fn needs(&self) -> Needs {
        Needs { points: true, scores: true, ..Needs::default() }
    }

    fn cost(&self, rows: usize, cols: usize, budget: usize) -> Cost {
        cost(rows, cols, budget, self.diversity.neighbours)
    }

    fn select(&self, pool: &Pool, budget: usize, _seed: Seed, progress: &dyn Progress) -> Result<Selection> {
        pool.check(budget, self.needs())?;
        let (indices, gains) = lazy_greedy(&mut self.objective(pool, progress)?, 0..pool.rows, budget, progress)?;
        Ok(Selection { indices, scores: Some(gains), ..Selection::default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TopScore;
    use crate::greedy::dense_greedy;
    use ndarray::Array2;
    use quadrat_core::Silent;
    use quadrat_numeric::Points;

    fn pool(seed: u64) -> Pool {
        let mut rng = Seed(seed).stream("qdit test").rng(0);
        let points = Array2::from_shape_simple_fn((40, 2), || rng.below(5) as f64);
        Pool::of_points(Points::F64(points)).with_scores((0..40).map(|_| rng.below(6) as f64 - 2.0).collect())
    }

    #[test]
    fn the_ends_of_alpha_are_facility_location_and_top_score() {
        for seed in 0..20 {
            let pool = pool(seed);
            let chosen = |alpha| Qdit { alpha, ..Qdit::default() }.select(&pool, 15, Seed(0), &Silent).unwrap().indices;
            assert_eq!(chosen(0.0), FacilityLocation::default().select(&pool, 15, Seed(0), &Silent).unwrap().indices);
            assert_eq!(chosen(1.0), TopScore.select(&pool, 15, Seed(0), &Silent).unwrap().indices);
        }
    }

    #[test]
    fn greedy_is_the_definition() {
        for seed in 0..20 {
            let pool = pool(seed);
            let diversity = FacilityLocation { neighbours: 7, ..FacilityLocation::default() };
            let method = Qdit { alpha: 0.4, diversity };
            let chosen = method.select(&pool, 40, Seed(0), &Silent).unwrap();
            let naive = dense_greedy(&mut method.objective(&pool, &Silent).unwrap(), 40, 40);
            assert_eq!((chosen.indices, chosen.scores.unwrap()), naive);
        }
    }

    #[test]
    fn scores_of_any_size_are_scaled() {
        let pool = pool(1);
        let chosen =
            |scores| Qdit::default().select(&pool.clone().with_scores(scores), 9, Seed(0), &Silent).unwrap().indices;
        let scores = pool.scores.clone().unwrap();
        let huge = scores.iter().map(|s| s * 5e307).collect();
        assert_eq!(chosen(huge), chosen(scores));
        assert_eq!(
            chosen(vec![3.0; 40]),
            FacilityLocation::default().select(&pool, 9, Seed(0), &Silent).unwrap().indices
        );
    }
}
