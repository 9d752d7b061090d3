//! Small classical learners behind one trait: what claims compare with and what users train on a resampled table.
//!
//! | learner | probabilities | row weights | reads columns |
//! |---|---|---|---|
//! | [`Softmax`] | multinomial logistic model | weigh the loss | standardised |
//! | [`Tree`] | class shares of a leaf | weigh counts | as they are |
//! | [`Forest`] | mean over trees | weigh counts | as they are |
//! | [`KNearest`] | class shares of the neighbours | weigh votes | standardised |
//! | [`Mlp`] | softmax of one hidden layer | weigh the loss | standardised |
//!
//! [`MlpRegressor`] and [`Ridge`] stand apart: a network and a linear map for numbers, on the squared error.
//!
//! All classifiers share these rules:
//! - A row of weight 2 counts as two rows, a row of weight 0 as none; no weights means weight 1 for every row.
//! - A class without (weighted) rows gets probability 0, except from a tree that smooths its leaves; a table of one
//!   class gives a classifier that always says so.
//! - Constant columns are allowed and carry nothing. Values must be finite; an empty table, labels out of range,
//!   unusable weights and weights that are all zero are errors.
//! - Same rows and seed give the same classifier, bit for bit, whatever the number of threads.
//! - A classifier must be given rows with the columns it was fitted on; NaN in them gives NaN or a defined branch,
//!   never a panic.
//!
//! # Why no library
//!
//! Two well-kept crates were weighed. linfa 0.8.1 stands on ndarray 0.16, brings some seventy crates with it (two
//! versions of `rand`, argmin), has no class probabilities from its trees, and no row weights outside them.
//! smartcore 0.7.0 is on ndarray 0.17 and thin, but takes no row weights anywhere, has no gain ratio and no pruning,
//! no probabilities from logistic regression, and draws from its own random numbers. Both lack what the
//! comparisons rest on (weights, leaf shares, C4.5's pruning, our seeds), so each learner is a short file here.

mod forest;
mod knn;
mod mlp;
mod regressor;
mod ridge;
mod softmax;
mod standard;
mod tree;

pub use forest::Forest;
pub use knn::KNearest;
pub use mlp::{Mlp, cosine};
pub use regressor::{FittedRegressor, MlpRegressor};
pub use ridge::{Linear, Penalty, Ridge};
pub use softmax::Softmax;
pub use standard::Standard;
pub use tree::{Criterion, Tree};

use ndarray::{Array2, ArrayView2, ArrayViewMut1, Axis};
use quadrat_core::{Error, Result, Seed};

/// A way to learn classes from rows.
pub trait Learner: Send + Sync {
    /// Its name, as in tables and legends.
    fn name(&self) -> &'static str;

    /// Learns from rows `x` of classes `y` (each below `classes`), each row counting as often as its weight says.
    ///
    /// Errors on an empty table, on values that are not finite, on labels or weights that do not fit, and on parameters
    /// out of range; see the [module](self) for the rules all learners share.
    fn fit(
        &self,
        x: ArrayView2<f64>,
        y: &[u32],
        classes: usize,
        weights: Option<&[f64]>,
        seed: Seed,
    ) -> Result<Box<dyn Classifier>>;
}

/// What a [`Learner`] learnt.
pub trait Classifier: Send + Sync {
    /// One row a row of `x`, one column a class; each row sums to 1. Rows must have the columns of the fitted table:
    /// fewer are an error of the caller's and panic like any index.
    fn probabilities(&self, x: ArrayView2<f64>) -> Array2<f64>;

    /// The most probable class of each row; the lowest number of those that tie.
    fn predict(&self, x: ArrayView2<f64>) -> Vec<u32> {
        self.probabilities(x).axis_iter(Axis(0)).map(|p| argmax(p.iter().copied())).collect()
    }
}

/// The place of the largest value, the first of those that tie.
fn argmax(values: impl Iterator<Item = f64>) -> u32 {
    let best = |(at, top): (u32, f64), (i, v): (usize, f64)| if v > top { (i as u32, v) } else { (at, top) };
    values.enumerate().fold((0, f64::NEG_INFINITY), best).0
}

/// Turns one row of logits into probabilities in place and returns the logarithm of what they were divided by: the
/// logit of a class minus it is the logarithm of its probability. At least one logit must be finite.
fn softmax(mut logits: ArrayViewMut1<f64>) -> f64 {
    let top = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    logits.mapv_inplace(|z| (z - top).exp());
    let total = logits.sum();
    logits /= total;
    top + total.ln()
}

/// Checks what every learner is given and returns the rows' weights (all 1 when none are given).
fn check(x: ArrayView2<f64>, y: &[u32], classes: usize, weights: Option<&[f64]>) -> Result<Vec<f64>> {
    let (rows, columns) = x.dim();
    if rows == 0 || columns == 0 {
        let got = format!("{rows} rows, {columns} columns");
        return Err(Error::input("training table", got, "there must be at least one row and one column"));
    }
    if y.len() != rows {
        return Err(Error::input("labels", y.len(), format!("the training table has {rows} rows")));
    }
    if let Some((row, class)) = y.iter().enumerate().find(|(_, c)| **c as usize >= classes) {
        return Err(Error::input(format!("label of row {row}"), class, format!("there are {classes} classes")));
    }
    for (row, values) in x.axis_iter(Axis(0)).enumerate() {
        if let Some((column, bad)) = values.iter().enumerate().find(|(_, v)| !v.is_finite()) {
            let what = format!("training table, row {row}, column {column}");
            return Err(Error::input(what, bad, "values must be finite; remove the row or fill the value in"));
        }
    }
    let Some(weights) = weights else { return Ok(vec![1.0; rows]) };
    if weights.len() != rows {
        return Err(Error::input("row weights", weights.len(), format!("the training table has {rows} rows")));
    }
    if let Some((row, bad)) = weights.iter().enumerate().find(|(_, w)| !(w.is_finite() && **w >= 0.0)) {
        return Err(Error::input(format!("weight of row {row}"), bad, "weights must be finite and at least 0"));
    }
    let total: f64 = weights.iter().sum();
    if !(total > 0.0 && total.is_finite()) {
        return Err(Error::input("row weights", format!("a sum of {total}"), "their sum must be finite and above 0"));
    }
    Ok(weights.to_vec())
}

/// The weighted number of rows of each class.
fn class_weights(y: &[u32], weights: &[f64], classes: usize) -> Vec<f64> {
    let mut totals = vec![0.0; classes];
    for (&class, &weight) in y.iter().zip(weights) {
        totals[class as usize] += weight;
    }
    totals
}

/// Logarithms of the classes' shares; minus infinity for a class without rows.
fn log_shares(y: &[u32], weights: &[f64], classes: usize) -> Vec<f64> {
    let totals = class_weights(y, weights, classes);
    let all: f64 = totals.iter().sum();
    totals.iter().map(|t| (t / all).ln()).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use ndarray::array;
    use proptest::prelude::*;

    fn all() -> Vec<Box<dyn Learner>> {
        vec![
            Box::new(Softmax::default()),
            Box::new(Tree::default()),
            Box::new(Tree::cart()),
            Box::new(Forest { trees: 8, ..Forest::default() }),
            Box::new(KNearest::default()),
            Box::new(Mlp { epochs: 40, ..Mlp::default() }),
        ]
    }

    /// Twelve overlapping rows of three classes, on which golden values of scikit-learn were computed.
    pub(crate) fn golden_table() -> (Array2<f64>, Vec<u32>) {
        let x = array![
            [0.1, 2.3],
            [1.4, 0.2],
            [2.2, 3.1],
            [0.9, 1.1],
            [3.3, 2.4],
            [2.8, 0.7],
            [4.1, 3.6],
            [1.9, 4.2],
            [3.7, 1.5],
            [0.4, 3.9],
            [5.2, 0.3],
            [2.6, 2.9]
        ];
        (x, vec![0, 0, 1, 0, 1, 2, 1, 2, 2, 0, 2, 1])
    }

    /// Three normal clouds at the corners of a triangle.
    fn clouds(rows: usize, spread: f64, seed: u64) -> (Array2<f64>, Vec<u32>) {
        let mut rng = Seed(seed).stream("clouds").rng(0);
        let y: Vec<u32> = (0..rows).map(|i| (i % 3) as u32).collect();
        let centres = [[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]];
        let x = Array2::from_shape_fn((rows, 2), |(i, j)| centres[i % 3][j] + spread * rng.normal());
        (x, y)
    }

    #[test]
    fn every_learner_separates_clouds_and_gives_probabilities() {
        let (x, y) = clouds(150, 0.5, 1);
        let (unseen, truth) = clouds(150, 0.5, 2);
        for learner in all() {
            let model = learner.fit(x.view(), &y, 3, None, Seed(1)).unwrap();
            let right = model.predict(unseen.view()).iter().zip(&truth).filter(|(a, b)| a == b).count();
            assert!(right >= 140, "{}: {right} of 150", learner.name());
            for p in model.probabilities(unseen.view()).axis_iter(Axis(0)) {
                assert!((p.sum() - 1.0).abs() < 1e-12 && p.iter().all(|p| *p >= 0.0), "{}", learner.name());
            }
        }
    }

    #[test]
    fn same_seed_same_bits_at_any_number_of_threads() {
        let (x, y) = clouds(90, 2.0, 3);
        for learner in all() {
            let run = |threads| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| learner.fit(x.view(), &y, 3, None, Seed(5)).unwrap().probabilities(x.view()))
            };
            assert_eq!(run(1), run(3), "{}", learner.name());
        }
    }

    #[test]
    fn bad_tables_are_errors_that_say_why() {
        let x = array![[0.0, 1.0], [1.0, 0.0], [2.0, 2.0]];
        let nan = array![[0.0, 1.0], [1.0, f64::NAN], [2.0, 2.0]];
        let empty = Array2::<f64>::zeros((0, 2));
        let no_columns = Array2::<f64>::zeros((3, 0));
        type Case<'a> = (&'a Array2<f64>, &'a [u32], Option<&'a [f64]>, &'a str);
        let cases: [Case; 9] = [
            (&empty, &[], None, "training table: got 0 rows, 2 columns"),
            (&no_columns, &[0, 1, 0], None, "training table: got 3 rows, 0 columns"),
            (&x, &[0, 1], None, "labels: got 2; the training table has 3 rows"),
            (&x, &[0, 1, 2], None, "label of row 2: got 2; there are 2 classes"),
            (&nan, &[0, 1, 0], None, "training table, row 1, column 1: got NaN"),
            (&x, &[0, 1, 0], Some(&[1.0]), "row weights: got 1;"),
            (&x, &[0, 1, 0], Some(&[1.0, -1.0, 1.0]), "weight of row 1: got -1;"),
            (&x, &[0, 1, 0], Some(&[1.0, f64::INFINITY, 1.0]), "weight of row 1: got inf;"),
            (&x, &[0, 1, 0], Some(&[0.0; 3]), "row weights: got a sum of 0;"),
        ];
        for learner in all() {
            for (x, y, weights, message) in &cases {
                let error = learner.fit(x.view(), y, 2, *weights, Seed(0)).err().unwrap().to_string();
                assert!(error.starts_with(message), "{}: {error}", learner.name());
            }
        }
    }

    #[test]
    fn odd_tables_have_defined_answers() {
        let (x, y) = clouds(60, 1.0, 4);
        let flat = Array2::from_elem((60, 2), 7.0);
        let huge = x.mapv(|v| v * 1e307);
        let tiny = x.mapv(|v| v * 1e-307);
        let one_class = vec![1; 60];
        let one_row = x.select(Axis(0), &[0]);
        let only_first: Vec<f64> = y.iter().map(|c| f64::from(u8::from(*c == 0))).collect();
        for learner in all() {
            let name = learner.name();
            let fit = |x: &Array2<f64>, y: &[u32], weights: Option<&[f64]>| {
                learner.fit(x.view(), y, 3, weights, Seed(2)).unwrap().probabilities(x.view())
            };
            let certain = |p: Array2<f64>, class: usize| p.axis_iter(Axis(0)).all(|p| p[class] == 1.0);
            assert!(certain(fit(&x, &one_class, None), 1), "{name}: one class");
            assert!(certain(fit(&one_row, &[2], None), 2), "{name}: one row");
            assert!(certain(fit(&x, &y, Some(&only_first)), 0), "{name}: other classes weigh nothing");
            let two: Vec<u32> = y.iter().map(|c| c % 2).collect();
            assert!(fit(&x, &two, None).column(2).iter().all(|p| *p == 0.0), "{name}: a class without rows");
            for (table, what) in [(&flat, "constant"), (&huge, "huge"), (&tiny, "tiny")] {
                let p = fit(table, &y, None);
                assert!(p.iter().all(|p| p.is_finite()), "{name}: {what}");
            }
            // Classes of equal size that no column tells apart are equally likely.
            let p = fit(&flat, &y, None);
            let worst = p.iter().map(|p| (p - 1.0 / 3.0).abs()).fold(0.0, f64::max);
            assert!(worst < 0.2, "{name}: {worst}");
        }
    }

    #[test]
    fn whole_weights_count_as_repeated_rows() {
        let (x, y) = clouds(30, 2.0, 6);
        let weights: Vec<f64> = (0..30).map(|i| f64::from(i % 4)).collect();
        let repeated: Vec<usize> = (0..30).flat_map(|i| std::iter::repeat_n(i, i % 4)).collect();
        let y_repeated: Vec<u32> = repeated.iter().map(|i| y[*i]).collect();
        let x_repeated = x.select(Axis(0), &repeated);
        let learners: [&dyn Learner; 3] = [&Softmax::default(), &Tree::default(), &Tree::cart()];
        for learner in learners {
            let a = learner.fit(x.view(), &y, 3, Some(&weights), Seed(0)).unwrap().probabilities(x.view());
            let b = learner.fit(x_repeated.view(), &y_repeated, 3, None, Seed(0)).unwrap().probabilities(x.view());
            let worst = a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(worst < 1e-5, "{}: {worst}", learner.name());
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        /// Whatever the (finite) numbers and labels: probabilities, or an error, never a panic.
        #[test]
        fn probabilities_are_probabilities(
            cells in prop::collection::vec(prop_oneof![-1e3..1e3_f64, Just(0.0), -1e300..1e300_f64], 24),
            y in prop::collection::vec(0u32..3, 12),
            weights in prop::collection::vec(prop_oneof![Just(0.0), 0.1..5.0_f64], 12),
        ) {
            let x = Array2::from_shape_vec((12, 2), cells).unwrap();
            for learner in all() {
                match learner.fit(x.view(), &y, 3, Some(&weights), Seed(9)) {
                    Ok(model) => {
                        for p in model.probabilities(x.view()).axis_iter(Axis(0)) {
                            prop_assert!((p.sum() - 1.0).abs() < 1e-9, "{}: {p}", learner.name());
                            prop_assert!(p.iter().all(|p| (0.0..=1.0).contains(p)), "{}: {p}", learner.name());
                        }
                    }
                    Err(_) => prop_assert!(weights.iter().all(|w| *w == 0.0)),
                }
            }
        }
    }
}
