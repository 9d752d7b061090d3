//! Splits that tell interpolation from extrapolation.
//!
//! A random test set mostly repeats its training set: a score on it says how well a model does *near* what it has seen.
//! Here the rows' similarity decides. Test rows near the training rows measure interpolation, test rows far from all of
//! them extrapolation, and a model is reported by both scores and the gap between them ([`regime_summary`]).
//!
//! | protocol | what is given | what it makes |
//! |---|---|---|
//! | [`ReSTrain`] | training rows and a small test set | training sets of equal size, near the test rows and far from them |
//! | [`ReSTTest`] | training rows and a large test set | folds: train outside a bucket, test outside it and inside it |
//! | [`SimilarityKFold`] | one set of rows | the same folds, with a random part of the other buckets as interpolation test |
//!
//! Beside them the audit that shows whether there is a problem at all: [`nn_similarity`] and [`overlap_report`].
//!
//! Source: J. Zhan, X. Xie, J. Mao, Y. Liu, J. Guo, M. Zhang and S. Ma, "Evaluating Interpolation and Extrapolation
//! Performance of Neural Retrieval Models", CIKM 2022 (arXiv 2204.11447). Theirs: queries, cosine of a dense encoder's
//! embeddings, K = 5. Ours: exact equality of sizes, balanced buckets, purging, folds of one set, Euclidean rows; and
//! dissimilar training rows are drawn at random unless asked for the farthest, which the paper leaves open.
//!
//! Two cautions. Do not split by the embeddings of a model under test: that favours or hurts it. And check the gap with
//! embeddings that mean nothing: it must vanish ([`regime_summary`] gives the interval).
//!
//! What the claim found: all learners fall far from their training rows, and folds by embeddings that mean nothing show no
//! gap; that models of one vector a query fall further than models that match words was not shown on glosses.
//!
//! Random draws do not see the order of the rows: they are made from the rows in lexicographic order of their values, so
//! that a shuffled file gives the same splits.

mod buckets;
mod overlap;
mod restrain;
mod resttest;
mod summary;

pub use buckets::Buckets;
pub use overlap::{OverlapReport, Qrel, nn_similarity, overlap_report};
pub use restrain::{Far, ReSTrain, Resampled, Sizes, TrainingSets};
pub use resttest::{ReSTTest, SimilarityKFold};
pub use summary::{Averages, FoldScores, RegimeSummary, regime_contrast, regime_summary};

use ndarray::{ArrayView1, ArrayView2};
use quadrat_core::{Area, Card, Error, Method, Result, Settings};
use quadrat_numeric::Metric;
use rayon::prelude::*;
use std::cmp::Ordering;

/// How rows are split: what `quadrat split` takes.
#[derive(Debug, Clone, PartialEq, Settings)]
#[param(name = "protocol", default = Extrapolation)]
pub enum SplitProtocol {
    /// Cluster folds.
    Extrapolation {
        /// The folds.
        #[param(flatten)]
        folds: SimilarityKFold,
    },
    /// Training sets near and far from the rows of --test.
    Resample {
        /// The training sets.
        #[param(flatten)]
        sets: ReSTrain,
    },
}

impl Method for SplitProtocol {
    const CARD: Card = Card {
        slug: "interp-extrap-split",
        aliases: &["restrain", "resttest"],
        title: "ReSTrain and ReSTTest: splits for interpolation and extrapolation",
        paper: "Zhan, Xie, Mao, Liu, Guo, Zhang, Ma: Evaluating Interpolation and Extrapolation Performance of Neural \
                Retrieval Models. CIKM 2022, arXiv 2204.11447",
        area: Area::Select,
        verbs: &["split"],
        summary: "Train and test sets cut by similarity: test rows near the training rows measure interpolation, test \
                  rows far from all of them extrapolation. Two models are then compared on both, at equal sizes.",
        useful_when: "the test set repeats the training set, leakage, near-duplicates between train and test, how well \
                      a model generalises to new topics or unseen inputs, out-of-distribution evaluation, honest \
                      cross-validation, cluster folds, group k-fold without groups",
        cost: "extrapolation: k-means, O(rows x columns x folds) an iteration at most, times restarts; the report and \
               purging look at every pair of training and test rows. resample: every pair too, once or a few times",
        params: Self::PARAMS,
    };
}

/// One fold. All row numbers ascend; the test sets share no row with each other nor, when they come from the same rows,
/// with the training set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// The bucket that is extrapolated to, from 0.
    pub fold: usize,
    /// Rows to train on: none of the bucket.
    pub train: Vec<usize>,
    /// Test rows outside the bucket.
    pub interpolation: Vec<usize>,
    /// Test rows in the bucket; none if the bucket has no test rows.
    pub extrapolation: Vec<usize>,
}

/// Nearness as a number that is 1 for rows that coincide: the cosine itself, or 1 / (1 + distance). `distance` is what
/// the neighbours report: 1 - cos, or the squared distance.
fn similarity(distance: f64, metric: Metric) -> f64 {
    match metric {
        Metric::Cosine => 1.0 - distance,
        Metric::Euclidean => 1.0 / (1.0 + distance.sqrt()),
    }
}

/// That there are rows and columns of finite values, and under the cosine no row without a direction.
fn check(what: &str, x: ArrayView2<f32>, metric: Metric) -> Result<()> {
    let (rows, columns) = x.dim();
    if rows == 0 || columns == 0 {
        let got = format!("{rows} rows, {columns} columns");
        return Err(Error::input(what, got, "there must be at least one row and one column"));
    }
    for (row, values) in x.outer_iter().enumerate() {
        if let Some((column, bad)) = values.iter().enumerate().find(|(_, v)| !v.is_finite()) {
            let what = format!("{what}, row {row}, column {column}");
            return Err(Error::input(what, bad, "values must be finite; remove the row or fill the value in"));
        }
        if metric == Metric::Cosine && values.iter().all(|v| *v == 0.0) {
            let want = "a row of zeros has a cosine with no other: remove it, or use the Euclidean distance";
            return Err(Error::input(format!("{what}, row {row}"), "zeros only", want));
        }
    }
    Ok(())
}

/// [`check`] of both, and that they have the same columns.
fn check_both(train: ArrayView2<f32>, test: ArrayView2<f32>, metric: Metric) -> Result<()> {
    check("training rows", train, metric)?;
    check("test rows", test, metric)?;
    if train.ncols() != test.ncols() {
        let want = format!("the training rows have {}", train.ncols());
        return Err(Error::input("test rows", format!("{} columns", test.ncols()), want));
    }
    Ok(())
}

/// The rows' numbers in lexicographic order of their values, equal rows by number.
fn lexicographic(rows: &[ArrayView1<f32>]) -> Vec<usize> {
    let by_value = |a: &usize, b: &usize| {
        let mut pairs = rows[*a].iter().zip(rows[*b]).map(|(a, b)| a.total_cmp(b));
        pairs.find(|order| *order != Ordering::Equal).unwrap_or_else(|| a.cmp(b))
    };
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.par_sort_unstable_by(by_value);
    order
}
