//! Predictions of classes, class by class.

use super::{kinds, same_length, tally};
use ndarray::{Array1, Array2, ArrayView1, ArrayView2};
use quadrat_core::{Error, Result};

/// How well one class was predicted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClassFigures {
    /// Share of the rows that were taken for the class and are of it; 0 where none was taken for it.
    pub precision: f64,
    /// Share of the class's rows that were taken for it; 0 where the class has none.
    pub recall: f64,
    /// 2 right / (rows + predictions), the harmonic mean of both; 0 where the class is in neither list.
    pub f1: f64,
    /// Rows of the class.
    pub support: usize,
    /// Rows that were taken for it.
    pub predicted: usize,
}

/// Figures for each of `classes` classes, those without a row included.
///
/// # Errors
/// Lists of different lengths, empty ones, or a class that is not below `classes`.
pub fn by_class(truth: &[u32], predicted: &[u32], classes: usize) -> Result<Vec<ClassFigures>> {
    below(truth, predicted, classes)?;
    let mut tallies = tally(truth, predicted)?;
    tallies.resize(classes, super::Tally::default());
    let share = |part: usize, of: usize| if of > 0 { part as f64 / of as f64 } else { 0.0 };
    Ok(tallies
        .into_iter()
        .map(|t| ClassFigures {
            precision: share(t.right, t.predictions),
            recall: share(t.right, t.rows),
            f1: share(2 * t.right, t.rows + t.predictions),
            support: t.rows,
            predicted: t.predictions,
        })
        .collect())
}

/// How many rows of each class (down) were taken for each class (across).
///
/// # Errors
/// As [`by_class`].
pub fn confusion(truth: &[u32], predicted: &[u32], classes: usize) -> Result<Array2<usize>> {
    same_length(truth.len(), predicted.len())?;
    below(truth, predicted, classes)?;
    let mut counts = Array2::zeros((classes, classes));
    truth.iter().zip(predicted).for_each(|(t, p)| counts[[*t as usize, *p as usize]] += 1);
    Ok(counts)
}

/// Share of the rows that have the most frequent class: the accuracy of always naming it.
///
/// # Errors
/// No row.
pub fn majority_share(truth: &[u32]) -> Result<f64> {
    let most = tally(truth, truth)?.iter().map(|t| t.rows).max().unwrap_or(0);
    Ok(most as f64 / truth.len() as f64)
}

/// ln(p / (1 − p)) of each class's probability p = softmax(scores), from the scores themselves: a ranking by it is one by
/// p, but has no ties where p is so near to 0 or 1 that it is rounded to that.
pub fn log_odds(scores: ArrayView2<f32>) -> Array2<f64> {
    let mut odds = Array2::zeros(scores.dim());
    for (scores, mut odds) in scores.outer_iter().zip(odds.outer_iter_mut()) {
        for k in 0..scores.len() {
            let others = || scores.iter().enumerate().filter(|(j, _)| *j != k).map(|(_, z)| f64::from(*z));
            let top = others().fold(f64::NEG_INFINITY, f64::max);
            let rest = others().map(|z| (z - top).exp()).sum::<f64>().ln() + top;
            odds[k] = f64::from(scores[k]) - rest;
        }
    }
    odds
}

/// A measure of a ranking ([`auc`](super::auc), [`average_precision`](super::average_precision)) of each class against
/// all others, by the class's column of `scores`. A class of which there is no row, or no other, has none; the mean over
/// those that have one is the macro average.
///
/// # Errors
/// Lists of different lengths, a class without a column, or a score that is NaN.
pub fn one_against_rest(
    truth: &[u32],
    scores: ArrayView2<f64>,
    measure: impl Fn(&[bool], &[f64]) -> Result<f64>,
) -> Result<Vec<Option<f64>>> {
    same_length(truth.len(), scores.nrows())?;
    below(truth, &[], scores.ncols())?;
    let one = |(class, scores): (usize, ArrayView1<f64>)| {
        let positive: Vec<bool> = truth.iter().map(|t| *t as usize == class).collect();
        if kinds(&positive).is_err() {
            return Ok(None);
        }
        let column: Array1<f64> = scores.to_owned();
        measure(&positive, &column.to_vec()).map(Some)
    };
    scores.columns().into_iter().enumerate().map(one).collect()
}

fn below(truth: &[u32], predicted: &[u32], classes: usize) -> Result<()> {
    match truth.iter().chain(predicted).find(|class| **class as usize >= classes) {
        Some(class) => Err(Error::input("class", class, format!("there are {classes} classes, from 0"))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{auc, average_precision, macro_f1};
    use super::*;
    use ndarray::array;
    use proptest::prelude::*;

    const TRUTH: [u32; 12] = [0, 0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 0];
    /// Scores with ties within and between classes.
    const SCORES: [[f32; 3]; 12] = [
        [2.0, 0.5, 0.0],
        [1.0, 1.0, 0.0],
        [0.0, 2.0, 1.0],
        [2.0, 0.5, 0.0],
        [0.5, 0.0, 0.5],
        [0.0, 1.5, 0.0],
        [1.0, 1.0, 0.0],
        [0.0, 2.0, 1.0],
        [0.5, 0.0, 0.5],
        [0.0, 0.0, 3.0],
        [2.0, 0.5, 0.0],
        [0.0, 0.0, 3.0],
    ];

    fn said() -> Vec<u32> {
        // The first of the largest, as argmax says.
        let first = |row: &[f32; 3]| (0..3).fold(0, |best, k| if row[k] > row[best] { k } else { best }) as u32;
        SCORES.iter().map(first).collect()
    }

    #[test]
    fn each_class_has_the_figures_of_scikit_learn() {
        // precision_recall_fscore_support(zero_division=0), confusion_matrix of scikit-learn 1.9.
        let said = said();
        let figures = by_class(&TRUTH, &said, 4).unwrap();
        let golden = [
            (0.571428571, 0.666666667, 0.615384615, 6),
            (0.666666667, 0.666666667, 0.666666667, 3),
            (0.5, 0.333333333, 0.4, 3),
        ];
        for (figures, (precision, recall, f1, support)) in figures.iter().zip(golden) {
            let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-9, "{a} {b}");
            near(figures.precision, precision);
            near(figures.recall, recall);
            near(figures.f1, f1);
            assert_eq!(figures.support, support);
        }
        assert_eq!(figures[3], ClassFigures { precision: 0.0, recall: 0.0, f1: 0.0, support: 0, predicted: 0 });
        let counts = confusion(&TRUTH, &said, 3).unwrap();
        assert_eq!(counts, array![[4, 1, 1], [1, 2, 0], [2, 0, 1]]);
        assert_eq!(majority_share(&TRUTH).unwrap(), 0.5);
    }

    #[test]
    fn rankings_against_the_rest_are_those_of_scikit_learn() {
        // roc_auc_score(multi_class="ovr", average=None) and average_precision_score(average=None) of scikit-learn 1.9
        // on the probabilities.
        let odds = log_odds(ndarray::arr2(&SCORES).view());
        for (measure, golden) in [
            (auc as fn(&[bool], &[f64]) -> Result<f64>, [0.583333333, 0.925925926, 0.62962963]),
            (average_precision, [0.584126984, 0.755555556, 0.416666667]),
        ] {
            let found = one_against_rest(&TRUTH, odds.view(), measure).unwrap();
            for (a, b) in found.iter().zip(golden) {
                assert!((a.unwrap() - b).abs() < 1e-9, "{found:?} {golden:?}");
            }
        }
    }

    #[test]
    fn odds_do_not_tie_where_probabilities_do() {
        let odds = log_odds(array![[200.0f32, 0.0, 0.0], [300.0, 0.0, 0.0]].view());
        assert!(odds[[0, 0]] < odds[[1, 0]] && odds[[0, 1]] > odds[[1, 1]], "{odds}");
        let two = log_odds(array![[1.0f32, 3.0]].view());
        assert_eq!(two, array![[-2.0, 2.0]]);
    }

    #[test]
    fn what_cannot_be_measured_is_none_and_bad_input_is_refused() {
        let scores = array![[0.1, 0.9, 0.0], [0.2, 0.8, 0.0]];
        assert_eq!(one_against_rest(&[0, 1], scores.view(), auc).unwrap(), [Some(0.0), Some(0.0), None]);
        assert_eq!(one_against_rest(&[1, 1], scores.view(), auc).unwrap(), [None, None, None], "no other class");
        assert!(one_against_rest(&[0, 3], scores.view(), auc).is_err());
        assert!(one_against_rest(&[0], scores.view(), auc).is_err());
        assert!(by_class(&[0, 2], &[0, 1], 2).is_err() && confusion(&[0, 1], &[0, 2], 2).is_err());
        assert!(by_class(&[], &[], 2).is_err() && confusion(&[0], &[], 2).is_err() && majority_share(&[]).is_err());
    }

    proptest! {
        #[test]
        fn counts_add_up(rows in prop::collection::vec((0u32..4, 0u32..4), 1..50)) {
            let (truth, said): (Vec<u32>, Vec<u32>) = rows.into_iter().unzip();
            let counts = confusion(&truth, &said, 4).unwrap();
            let figures = by_class(&truth, &said, 4).unwrap();
            prop_assert_eq!(counts.sum(), truth.len());
            for (k, f) in figures.iter().enumerate() {
                prop_assert_eq!((counts.row(k).sum(), counts.column(k).sum()), (f.support, f.predicted));
            }
            let present: Vec<f64> = figures.iter().filter(|f| f.support + f.predicted > 0).map(|f| f.f1).collect();
            let mean = present.iter().sum::<f64>() / present.len() as f64;
            prop_assert!((mean - macro_f1(&truth, &said).unwrap()).abs() < 1e-12);
        }
    }
}
