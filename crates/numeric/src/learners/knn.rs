//! Nearest-neighbour classification.

use super::{Classifier, Learner, Standard, check};
use crate::neighbours::nearest;
use ndarray::{Array2, ArrayView2, Axis};
use quadrat_core::{Error, Result, Seed, Silent};

/// The (weighted) shares of the classes among the `k` nearest rows, by Euclidean distance of standardised columns.
///
/// Of rows at equal distance the lower number is nearer; with fewer rows than `k` all of them vote. Rows of weight 0
/// are not there. The seed is not used. Fitting keeps the rows; predicting is an exact search among them
/// ([`nearest`]).
///
/// ```
/// use ndarray::array;
/// use quadrat_numeric::learners::{Classifier, KNearest, Learner};
/// let x = array![[0.0], [1.0], [8.0], [9.0]];
/// let model = KNearest { k: 3 }.fit(x.view(), &[0, 0, 1, 1], 2, None, quadrat_core::Seed(0))?;
/// assert_eq!(model.predict(array![[2.0], [7.0]].view()), [0, 1]);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KNearest {
    /// How many neighbours vote, at least 1. Default 5.
    pub k: usize,
}

impl Default for KNearest {
    fn default() -> Self {
        KNearest { k: 5 }
    }
}

struct Fitted {
    k: usize,
    classes: usize,
    standard: Standard,
    rows: Array2<f64>,
    y: Vec<u32>,
    weights: Vec<f64>,
}

impl Learner for KNearest {
    fn name(&self) -> &'static str {
        "k nearest"
    }

    fn fit(
        &self,
        x: ArrayView2<f64>,
        y: &[u32],
        classes: usize,
        weights: Option<&[f64]>,
        _seed: Seed,
    ) -> Result<Box<dyn Classifier>> {
        let weights = check(x, y, classes, weights)?;
        if self.k == 0 {
            return Err(Error::input("k", 0, "at least one neighbour must vote"));
        }
        let standard = Standard::fit(x, &weights);
        let counted: Vec<usize> = (0..weights.len()).filter(|i| weights[*i] > 0.0).collect();
        Ok(Box::new(Fitted {
            k: self.k.min(counted.len()),
            classes,
            rows: standard.apply(x.select(Axis(0), &counted).view()),
            standard,
            y: counted.iter().map(|i| y[*i]).collect(),
            weights: counted.iter().map(|i| weights[*i]).collect(),
        }))
    }
}

impl Classifier for Fitted {
    fn probabilities(&self, x: ArrayView2<f64>) -> Array2<f64> {
        let z = self.standard.apply(x);
        // A row with NaN has no neighbours: its probabilities stay NaN.
        let known: Vec<usize> = (0..z.nrows()).filter(|i| z.row(*i).iter().all(|v| v.is_finite())).collect();
        let mut p = Array2::from_elem((z.nrows(), self.classes), f64::NAN);
        let queries = z.select(Axis(0), &known);
        let Ok(near) = nearest(self.rows.view(), queries.view(), None, self.k, &Silent) else { return p };
        for (query, &row) in known.iter().enumerate() {
            let mut votes = p.row_mut(row);
            votes.fill(0.0);
            for &neighbour in near.of(query).0 {
                votes[self.y[neighbour as usize] as usize] += self.weights[neighbour as usize];
            }
            let total = votes.sum();
            votes /= total;
        }
        p
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::golden_table;
    use super::*;

    #[test]
    fn agrees_with_scikit_learn() {
        let (x, y) = golden_table();
        let p = KNearest { k: 4 }.fit(x.view(), &y, 3, None, Seed(0)).unwrap().probabilities(x.view());
        // make_pipeline(StandardScaler(), KNeighborsClassifier(4)).fit(x, y).predict_proba(x), scikit-learn 1.9.
        for (row, expected) in GOLDEN.iter().enumerate() {
            for (class, value) in expected.iter().enumerate() {
                assert_eq!(p[[row, class]], *value, "{row} {class}");
            }
        }
    }
    const GOLDEN: [[f64; 3]; 12] = [
        [0.75, 0.25, 0.0],
        [0.75, 0.0, 0.25],
        [0.0, 0.75, 0.25],
        [0.75, 0.0, 0.25],
        [0.0, 0.75, 0.25],
        [0.25, 0.25, 0.5],
        [0.0, 1.0, 0.0],
        [0.25, 0.5, 0.25],
        [0.0, 0.5, 0.5],
        [0.5, 0.25, 0.25],
        [0.0, 0.25, 0.75],
        [0.0, 0.75, 0.25],
    ];

    #[test]
    fn weights_vote_ties_go_to_the_first_and_k_may_exceed_the_rows() {
        let x = ndarray::array![[0.0], [2.0], [1.0]];
        let p = |k: usize, weights: &[f64]| {
            let model = KNearest { k }.fit(x.view(), &[0, 1, 1], 2, Some(weights), Seed(0)).unwrap();
            model.probabilities(ndarray::array![[1.0]].view())[[0, 0]]
        };
        assert_eq!(p(1, &[1.0, 1.0, 0.0]), 1.0);
        assert_eq!(p(9, &[1.0, 2.0, 1.0]), 0.25);
        assert!(KNearest { k: 0 }.fit(x.view(), &[0, 1, 1], 2, None, Seed(0)).is_err());
    }
}
