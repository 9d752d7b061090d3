//! What a model's scores on both sides say: the gap, and how sure it is.

use quadrat_core::stats::{self, Interval};
use quadrat_core::{Error, Result, Seed};
use rayon::prelude::*;
use std::collections::BTreeMap;

/// A model's scores in one fold: test row and score, larger is better.
///
/// Of [`ReSTTest`](super::ReSTTest) and [`SimilarityKFold`](super::SimilarityKFold) one entry a split; of
/// [`ReSTrain`](super::ReSTrain) one entry a pair of training sets, in which both sides score all test rows.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FoldScores {
    /// Scores of the interpolation test.
    pub interpolation: Vec<(usize, f64)>,
    /// Scores of the extrapolation test.
    pub extrapolation: Vec<(usize, f64)>,
}

/// A mean, in two ways.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Averages {
    /// Of the folds' means, each fold counting once: the paper's.
    pub by_fold: f64,
    /// Of all scores, each row of each fold counting once.
    pub by_row: f64,
}

/// A model (or the difference of two) in both regimes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RegimeSummary {
    /// I: the mean score near the training rows.
    pub interpolation: Averages,
    /// E: the mean score far from them.
    pub extrapolation: Averages,
    /// I - E, averaged by fold, with its 95% percentile bootstrap interval over test rows: a row that is drawn twice
    /// counts twice in every fold and in both regimes.
    pub gap: Interval,
    /// The same with the interval over folds, which are few: expect it to be rough.
    pub gap_over_folds: Interval,
    /// gap / I; NaN when I is 0.
    pub relative_drop: f64,
}

/// The summary of a model's scores. Folds without rows of a regime do not count in that regime's mean.
///
/// The paper's comparisons use `resamples` = 10,000. Cost: O(resamples x scores).
///
/// # Errors
/// No scores of a regime, a score that is not finite, fewer than 2 resamples.
///
/// ```
/// use quadrat_core::Seed;
/// use quadrat_select::{FoldScores, regime_summary};
/// let fold = FoldScores { interpolation: vec![(0, 0.9), (1, 0.7)], extrapolation: vec![(2, 0.5), (3, 0.3)] };
/// let summary = regime_summary(&[fold], 1000, Seed(1))?;
/// assert!((summary.gap.mean - 0.4).abs() < 1e-12 && (summary.relative_drop - 0.5).abs() < 1e-12);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
pub fn regime_summary(folds: &[FoldScores], resamples: usize, seed: Seed) -> Result<RegimeSummary> {
    if resamples < 2 {
        return Err(Error::input("resamples", resamples, "use at least 2, better 10,000"));
    }
    // Test rows as numbers from 0 on, so that a resample is a list of counts.
    let scores = || folds.iter().flat_map(|fold| fold.interpolation.iter().chain(&fold.extrapolation));
    if let Some((row, bad)) = scores().find(|(_, score)| !score.is_finite()) {
        return Err(Error::input(format!("score of row {row}"), bad, "scores must be finite"));
    }
    let rows: BTreeMap<usize, usize> = scores().map(|(row, _)| (*row, 0)).collect();
    let rows: BTreeMap<usize, usize> = rows.into_keys().enumerate().map(|(place, row)| (row, place)).collect();
    let side = |of: fn(&FoldScores) -> &Vec<(usize, f64)>| -> Vec<Vec<(usize, f64)>> {
        folds.iter().map(|fold| of(fold).iter().map(|(row, score)| (rows[row], *score)).collect()).collect()
    };
    let near = side(|fold| &fold.interpolation);
    let far = side(|fold| &fold.extrapolation);
    for (regime, side) in [("interpolation", &near), ("extrapolation", &far)] {
        if side.iter().all(Vec::is_empty) {
            return Err(Error::input(format!("scores of {regime}"), "none", "give at least one"));
        }
    }
    let once = vec![1; rows.len()];
    let averages = |side: &[Vec<(usize, f64)>]| {
        let all: Vec<f64> = side.iter().flatten().map(|(_, score)| *score).collect();
        Averages { by_fold: mean_of_folds(side, &once), by_row: stats::mean(&all) }
    };
    let (interpolation, extrapolation) = (averages(&near), averages(&far));
    let gap = interpolation.by_fold - extrapolation.by_fold;

    let seeds = seed.stream("rows");
    let resampled = (0..resamples).into_par_iter().map_init(
        || vec![0_u32; rows.len()],
        |counts, resample| {
            let mut rng = seeds.rng(resample as u64);
            counts.fill(0);
            (0..rows.len()).for_each(|_| counts[rng.below(rows.len())] += 1);
            mean_of_folds(&near, counts) - mean_of_folds(&far, counts)
        },
    );
    // Few rows may leave a regime out of a resample altogether: such a one says nothing.
    let mut gaps: Vec<f64> = resampled.collect();
    gaps.retain(|gap| gap.is_finite());
    let by_fold: Vec<f64> = near
        .iter()
        .zip(&far)
        .map(|(near, far)| fold_mean(near, &once) - fold_mean(far, &once))
        .filter(|gap| gap.is_finite())
        .collect();
    Ok(RegimeSummary {
        interpolation,
        extrapolation,
        gap: Interval {
            mean: gap,
            se: stats::standard_deviation(&gaps),
            low: stats::quantile(&gaps, 0.025),
            high: stats::quantile(&gaps, 0.975),
        },
        gap_over_folds: stats::bootstrap_interval(&by_fold, 0.95, resamples, seed.stream("folds")),
        relative_drop: if interpolation.by_fold == 0.0 { f64::NAN } else { gap / interpolation.by_fold },
    })
}

/// The interaction of two models and the regimes: [`regime_summary`] of their differences row by row, so that the gap is
/// (I_a - I_b) - (E_a - E_b). Above 0, `a` owes more of its lead to interpolation than to extrapolation.
///
/// # Errors
/// As [`regime_summary`]; scores of other rows, or in another order.
pub fn regime_contrast(a: &[FoldScores], b: &[FoldScores], resamples: usize, seed: Seed) -> Result<RegimeSummary> {
    let less = |a: &[(usize, f64)], b: &[(usize, f64)]| -> Option<Vec<(usize, f64)>> {
        let pair = |((row, a), (other, b)): (&(usize, f64), &(usize, f64))| (row == other).then_some((*row, a - b));
        if a.len() == b.len() { a.iter().zip(b).map(pair).collect() } else { None }
    };
    let folds = a.iter().zip(b).map(|(a, b)| {
        Some(FoldScores {
            interpolation: less(&a.interpolation, &b.interpolation)?,
            extrapolation: less(&a.extrapolation, &b.extrapolation)?,
        })
    });
    match folds.collect::<Option<Vec<_>>>().filter(|_| a.len() == b.len()) {
        Some(differences) => regime_summary(&differences, resamples, seed),
        None => {
            Err(Error::input("scores of the second model", "other rows", "score both on the same rows, in one order"))
        }
    }
}

/// The mean of a fold in which row `i` counts `counts[i]` times; NaN when none counts.
fn fold_mean(fold: &[(usize, f64)], counts: &[u32]) -> f64 {
    let (mut total, mut weight) = (0.0, 0.0);
    for (row, score) in fold {
        let count = f64::from(counts[*row]);
        total += count * score;
        weight += count;
    }
    total / weight
}

/// The mean of the folds' means, of those folds that have one.
fn mean_of_folds(folds: &[Vec<(usize, f64)>], counts: &[u32]) -> f64 {
    let means = folds.iter().map(|fold| fold_mean(fold, counts)).filter(|mean| mean.is_finite());
    let (total, folds) = means.fold((0.0, 0.0), |(total, folds), mean| (total + mean, folds + 1.0));
    total / folds
}
