//! Facility location: rows that represent the whole pool.
//!
//! f(S) = sum_i max_{j in S} s(i, j): every row of the pool counts with its similarity to the nearest row chosen
//! (Cornuejols, Fisher and Nemhauser 1977). Similarities are kept for each row's nearest rows and are 0 for all others.

use crate::greedy::{Objective, lazy_greedy};
use crate::similarity::{Similarity, transposed};
use crate::{Cost, Needs, Pool, Selection, Selector, rows};
use quadrat_core::{Area, Card, Error, Method, Progress, Result, Seed, Settings};
use quadrat_numeric::Csr;

/// Facility location on exact nearest neighbours: parameters.
///
/// Deterministic: of equal gains the first row. A row's score is its gain, the growth of f.
///
/// ```
/// use ndarray::array;
/// use quadrat_core::{Seed, Silent};
/// use quadrat_numeric::Points;
/// use quadrat_select::{FacilityLocation, Pool, Selector};
/// // The middle of the larger group represents most rows, then comes the smaller group.
/// let pool = Pool::of_points(Points::F64(array![[0.0], [1.0], [2.0], [50.0], [51.0]]));
/// let chosen = FacilityLocation { neighbours: 1, ..Default::default() }.select(&pool, 2, Seed(1), &Silent)?;
/// assert_eq!(chosen.indices, [1, 3]);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Settings)]
pub struct FacilityLocation {
    /// By how many nearest rows each row can be represented, beside itself; more is slower and closer to all pairs,
    /// which as many as there are rows asks for. All pairs take 4 x rows^2 bytes.
    #[param(default = 50, from = 1)]
    pub neighbours: usize,
    /// What similar means.
    #[param(flatten)]
    pub similarity: Similarity,
}

impl FacilityLocation {
    /// The objective for a pool, nothing chosen yet.
    pub(crate) fn objective(&self, pool: &Pool, progress: &dyn Progress) -> Result<Represented> {
        if self.neighbours == 0 {
            return Err(Error::input("neighbours", 0, "use at least 1"));
        }
        if let Similarity::Rbf { bandwidth: Some(h) } = self.similarity
            && !(h > 0.0 && h.is_finite())
        {
            return Err(Error::input("bandwidth", h, "use a finite number above 0"));
        }
        let points = rows::points(pool)?;
        let by = if self.neighbours < pool.rows {
            Similar::Nearest(transposed(&self.similarity.to_nearest(points, self.neighbours, progress)?))
        } else {
            Similar::All(self.similarity.of_all(points, progress)?)
        };
        Ok(Represented { by, best: vec![0.0; pool.rows] })
    }
}

impl Method for FacilityLocation {
    const CARD: Card = Card {
        slug: "facility-location",
        aliases: &["facility"],
        title: "Facility location",
        paper: "Cornuejols, Fisher, Nemhauser, Management Science 1977; lazy greedy by Minoux 1978; as a choice of \
                training data: Lin and Bilmes, ACL 2009",
        area: Area::Select,
        verbs: &["select"],
        summary: "Rows such that every row of the pool has a similar one among them, chosen greedily (at least 63% of \
                  the best possible value). Dense regions get more rows, outliers few.",
        useful_when: "representative examples, exemplars, summarise a data set, prototypes that stand for all rows",
        cost: "time O(rows^2 x features) for the exact neighbours, then O(rows x neighbours) and some dozens of gains \
               a pick; memory 8 x rows x neighbours bytes, twice while it is built; with as many neighbours as rows, 4 \
               x rows^2",
        params: Self::PARAMS,
    };
}

/// Which rows each row represents.
enum Similar {
    Nearest(Csr),
    /// Rows x rows.
    All(Vec<f32>),
}

/// Which rows each row represents, and how well every row is represented so far.
pub(crate) struct Represented {
    by: Similar,
    best: Vec<f32>,
}

impl Objective for Represented {
    fn gain(&self, row: usize) -> f64 {
        let growth = |s: f32, best: f32| (f64::from(s) - f64::from(best)).max(0.0);
        match &self.by {
            Similar::Nearest(similar) => {
                let (rows, similarity) = similar.row(row);
                rows.iter().zip(similarity).map(|(i, s)| growth(*s, self.best[*i as usize])).sum()
            }
            Similar::All(similar) => {
                similar[row * self.best.len()..].iter().zip(&self.best).map(|(s, best)| growth(*s, *best)).sum()
            }
        }
    }

    fn add(&mut self, row: usize) {
        match &self.by {
            Similar::Nearest(similar) => {
                let (rows, similarity) = similar.row(row);
                for (&i, &s) in rows.iter().zip(similarity) {
                    self.best[i as usize] = self.best[i as usize].max(s);
                }
            }
            Similar::All(similar) => {
                similar[row * self.best.len()..].iter().zip(&mut self.best).for_each(|(s, best)| *best = best.max(*s));
            }
        }
    }
}

/// Cost of the neighbours and the queue, shared with QDIT.
pub(crate) fn cost(rows: usize, cols: usize, budget: usize, neighbours: usize) -> Cost {
    let (n, k) = (rows as f64, neighbours.min(rows) as f64);
    let operations = 2.0 * n * n * cols as f64 + 4.0 * n * k + 50.0 * k * budget as f64;
    let bytes_a_neighbour = if neighbours < rows { 28.0 } else { 4.0 };
    Cost { operations, bytes: n * (bytes_a_neighbour * k + 8.0 * cols as f64) }
}

impl Selector for FacilityLocation {
    fn card(&self) -> &'static Card {
        &Self::CARD
    }

    fn needs(&self) -> Needs {
        Needs { points: true, ..Needs::default() }
    }

    fn cost(&self, rows: usize, cols: usize, budget: usize) -> Cost {
        cost(rows, cols, budget, self.neighbours)
    }

    fn select(&self, pool: &Pool, budget: usize, _seed: Seed, progress: &dyn Progress) -> Result<Selection> {
        pool.check(budget, self.needs())?;
        let mut represented = self.objective(pool, progress)?;
        let (indices, gains) = lazy_greedy(&mut represented, 0..pool.rows, budget, progress)?;
        let mean = represented.best.iter().map(|s| f64::from(*s)).sum::<f64>() / pool.rows as f64;
        let notes = vec![("mean similarity to the nearest chosen row".to_owned(), format!("{mean:.6}"))];
        Ok(Selection { indices, weights: None, scores: Some(gains), notes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::greedy::dense_greedy;
    use ndarray::Array2;
    use quadrat_core::Silent;
    use quadrat_numeric::Points;

    fn random_points(n: usize, d: usize, seed: u64) -> Pool {
        let mut rng = Seed(seed).stream("facility test").rng(0);
        // On a coarse grid: equal rows and equal gains occur.
        Pool::of_points(Points::F64(Array2::from_shape_simple_fn((n, d), || rng.below(4) as f64)))
    }

    #[test]
    fn greedy_is_the_definition() {
        for seed in 0..30 {
            let pool = random_points(40, 2, seed);
            for (neighbours, similarity) in [
                (5, Similarity::default()),
                (39, Similarity::default()),
                (40, Similarity::Cosine),
                (8, Similarity::Cosine),
            ] {
                let method = FacilityLocation { neighbours, similarity };
                let chosen = method.select(&pool, 40, Seed(0), &Silent).unwrap();
                let naive = dense_greedy(&mut method.objective(&pool, &Silent).unwrap(), 40, 40);
                assert_eq!((chosen.indices, chosen.scores.unwrap()), naive);
            }
        }
    }

    /// Against every subset of four of twelve rows, with similarities written out here again.
    #[test]
    fn greedy_keeps_its_bound_against_enumeration() {
        for seed in 0..20 {
            let pool = random_points(12, 3, 100 + seed);
            let points = pool.points.as_ref().unwrap().to_f64().into_owned();
            let similarity = |i: usize, j: usize| {
                let d = &points.row(i) - &points.row(j);
                (-d.dot(&d) / 4.0).exp()
            };
            let value = |set: &[usize]| -> f64 {
                (0..12).map(|i| set.iter().map(|j| similarity(i, *j)).fold(0.0, f64::max)).sum()
            };
            let best = (0_u32..1 << 12)
                .filter(|set| set.count_ones() == 4)
                .map(|set| value(&(0..12).filter(|j| set >> j & 1 == 1).collect::<Vec<_>>()))
                .fold(0.0, f64::max);
            let method = FacilityLocation { neighbours: 12, similarity: Similarity::Rbf { bandwidth: Some(2.0) } };
            let chosen = method.select(&pool, 4, Seed(0), &Silent).unwrap();
            let reached = value(&chosen.indices);
            assert!(
                (chosen.scores.unwrap().iter().sum::<f64>() - reached).abs() < 1e-6,
                "single-precision similarities"
            );
            assert!(reached >= (1.0 - (-1.0_f64).exp()) * best && reached <= best + 1e-12, "{reached} of {best}");
        }
    }

    #[test]
    fn all_pairs_as_apricot_ranks_them() {
        let golden: serde_json::Value = serde_json::from_str(include_str!("../tests/golden/apricot.json")).unwrap();
        let golden = &golden["facility_location"];
        let points: Vec<[f64; 4]> = serde_json::from_value(golden["points"].clone()).unwrap();
        let picks: Vec<usize> = serde_json::from_value(golden["picks"].clone()).unwrap();
        let gains: Vec<f64> = serde_json::from_value(golden["gains"].clone()).unwrap();
        let pool = Pool::of_points(Points::F64(Array2::from(points)));
        let method = FacilityLocation { neighbours: pool.rows, similarity: Similarity::Cosine };
        let chosen = method.select(&pool, picks.len(), Seed(0), &Silent).unwrap();
        assert_eq!(chosen.indices, picks);
        for (got, want) in chosen.scores.unwrap().iter().zip(gains) {
            // Fifty similarities in single precision (6e-8 each) against apricot's double precision.
            assert!((got - want).abs() < 50.0 * 6e-8, "{got} {want}");
        }
    }
}
