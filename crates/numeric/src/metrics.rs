//! How good predictions are, and the splits on which that is measured.
//!
//! Classes are numbers from 0. Every function that compares two lists refuses lists of different lengths and empty ones.

mod by_class;
mod regression;

pub use by_class::{ClassFigures, by_class, confusion, log_odds, majority_share, one_against_rest};
pub use regression::{mean_absolute_error, pinball, r2, root_mean_squared_error};

use ndarray::{ArrayView2, Axis};
use quadrat_core::{Error, Result, Seed};

/// Share of rows whose class was predicted.
///
/// ```
/// use quadrat_numeric::metrics::accuracy;
/// assert_eq!(accuracy(&[0, 1, 1, 0], &[0, 1, 0, 0])?, 0.75);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
pub fn accuracy(truth: &[u32], predicted: &[u32]) -> Result<f64> {
    same_length(truth.len(), predicted.len())?;
    let right = truth.iter().zip(predicted).filter(|(t, p)| t == p).count();
    Ok(right as f64 / truth.len() as f64)
}

/// Mean over the classes present in `truth` of the share of their rows that was predicted right.
pub fn balanced_accuracy(truth: &[u32], predicted: &[u32]) -> Result<f64> {
    let tallies = tally(truth, predicted)?;
    let recalls: Vec<f64> = tallies.iter().filter(|t| t.rows > 0).map(|t| t.right as f64 / t.rows as f64).collect();
    Ok(recalls.iter().sum::<f64>() / recalls.len() as f64)
}

/// Mean over the classes present in `truth` or `predicted` of F1 = 2 right / (rows + predictions).
pub fn macro_f1(truth: &[u32], predicted: &[u32]) -> Result<f64> {
    let tallies = tally(truth, predicted)?;
    let scores: Vec<f64> = tallies
        .iter()
        .filter(|t| t.rows + t.predictions > 0)
        .map(|t| 2.0 * t.right as f64 / (t.rows + t.predictions) as f64)
        .collect();
    Ok(scores.iter().sum::<f64>() / scores.len() as f64)
}

/// Mean of -ln p(true class), in nats; probabilities are held at least 2.2e-16 away from 0, so that one certain error
/// costs 36 and not infinity. One row of `probabilities` a row of `truth`, one column a class.
pub fn log_loss(truth: &[u32], probabilities: ArrayView2<f64>) -> Result<f64> {
    mean_over_rows(truth, probabilities, |p, class| -p[class].max(f64::EPSILON).ln())
}

/// Brier's score: mean over rows of the squared distance between the probabilities and the truth, summed over all
/// classes (0 to 2). Two classes give twice the squared error of one class's probability.
pub fn brier(truth: &[u32], probabilities: ArrayView2<f64>) -> Result<f64> {
    mean_over_rows(truth, probabilities, |p, class| {
        p.iter().enumerate().map(|(c, p)| (p - f64::from(u8::from(c == class))).powi(2)).sum()
    })
}

/// Shares of the negative and of the positive rows that were called positive: a classifier's point in ROC space. Needs
/// rows of both kinds.
pub fn roc_rates(positive: &[bool], called: &[bool]) -> Result<(f64, f64)> {
    same_length(positive.len(), called.len())?;
    let (positives, negatives) = kinds(positive)?;
    let share =
        |kind: bool, rows: f64| positive.iter().zip(called).filter(|(p, c)| **p == kind && **c).count() as f64 / rows;
    Ok((share(false, negatives), share(true, positives)))
}

/// A point of a ROC curve.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RocPoint {
    /// Share of negative rows called positive, 0 to 1.
    pub false_positive: f64,
    /// Share of positive rows called positive, 0 to 1.
    pub true_positive: f64,
    /// Rows with at least this score are called positive.
    pub threshold: f64,
}

/// The ROC curve from (0, 0), where nothing is called positive (an infinite threshold), to (1, 1), one point for each
/// distinct score, descending. Needs rows of both kinds; scores may be infinite but not NaN.
pub fn roc_curve(positive: &[bool], scores: &[f64]) -> Result<Vec<RocPoint>> {
    check_scores(positive, scores)?;
    let (positives, negatives) = kinds(positive)?;
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_unstable_by(|a, b| scores[*b].total_cmp(&scores[*a]));
    let mut curve = vec![RocPoint { false_positive: 0.0, true_positive: 0.0, threshold: f64::INFINITY }];
    let (mut hits, mut alarms) = (0.0, 0.0);
    for tied in order.chunk_by(|a, b| scores[*a] == scores[*b]) {
        for &row in tied {
            if positive[row] { hits += 1.0 } else { alarms += 1.0 }
        }
        curve.push(RocPoint {
            false_positive: alarms / negatives,
            true_positive: hits / positives,
            threshold: scores[tied[0]],
        });
    }
    Ok(curve)
}

/// Area under the ROC curve: the share of pairs of a positive and a negative row in which the positive one has the
/// higher score, ties counting half (Mann and Whitney's U, from ranks). Same conditions as [`roc_curve`].
///
/// ```
/// use quadrat_numeric::metrics::auc;
/// assert_eq!(auc(&[false, false, true, true], &[0.1, 0.4, 0.35, 0.8])?, 0.75);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
pub fn auc(positive: &[bool], scores: &[f64]) -> Result<f64> {
    check_scores(positive, scores)?;
    let (positives, negatives) = kinds(positive)?;
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_unstable_by(|a, b| scores[*a].total_cmp(&scores[*b]));
    let (mut below, mut rank_sum) = (0.0, 0.0);
    for tied in order.chunk_by(|a, b| scores[*a] == scores[*b]) {
        let middle_rank = below + 0.5 * (tied.len() as f64 + 1.0);
        rank_sum += middle_rank * tied.iter().filter(|row| positive[**row]).count() as f64;
        below += tied.len() as f64;
    }
    Ok((rank_sum - 0.5 * positives * (positives + 1.0)) / (positives * negatives))
}

/// Average precision: the mean over positive rows of the precision at their score, Σ (Rₙ − Rₙ₋₁) Pₙ over distinct scores
/// descending, without interpolation. A model without any skill has the share of positive rows. Same conditions as
/// [`roc_curve`].
///
/// ```
/// use quadrat_numeric::metrics::average_precision;
/// let found = average_precision(&[false, false, true, true], &[0.1, 0.4, 0.35, 0.8])?;
/// assert!((found - 5.0 / 6.0).abs() < 1e-12);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
pub fn average_precision(positive: &[bool], scores: &[f64]) -> Result<f64> {
    check_scores(positive, scores)?;
    let (positives, _) = kinds(positive)?;
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_unstable_by(|a, b| scores[*b].total_cmp(&scores[*a]));
    let (mut called, mut hits, mut sum) = (0.0, 0.0, 0.0);
    for tied in order.chunk_by(|a, b| scores[*a] == scores[*b]) {
        let new = tied.iter().filter(|row| positive[**row]).count() as f64;
        called += tied.len() as f64;
        hits += new;
        sum += new * hits / called;
    }
    Ok(sum / positives)
}

/// Rows to learn from and rows to measure on, both ascending.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// Rows to learn from.
    pub train: Vec<usize>,
    /// Rows to measure on.
    pub test: Vec<usize>,
}

/// `folds` splits in which every row is tested once. The folds' sizes differ by at most one row, and so do the numbers
/// of rows that each class has in them; a class with fewer rows than folds is absent from some tests.
///
/// ```
/// use quadrat_numeric::metrics::stratified_folds;
/// let folds = stratified_folds(&[0, 0, 0, 0, 1, 1], 2, quadrat_core::Seed(1))?;
/// assert!(folds.iter().all(|f| f.test.len() == 3 && f.test.iter().filter(|i| **i >= 4).count() == 1));
/// # Ok::<(), quadrat_core::Error>(())
/// ```
pub fn stratified_folds(classes: &[u32], folds: usize, seed: Seed) -> Result<Vec<Split>> {
    if folds < 2 || folds > classes.len() {
        return Err(Error::input("folds", folds, format!("use 2 to {}, the number of rows", classes.len())));
    }
    // Shuffled rows, class after class, are dealt like cards.
    let mut fold_of = vec![0; classes.len()];
    for (place, row) in shuffled_by_class(classes, seed.stream("folds")).into_iter().flatten().enumerate() {
        fold_of[row] = place % folds;
    }
    let split = |fold| {
        let (test, train) = (0..classes.len()).partition(|row| fold_of[*row] == fold);
        Split { train, test }
    };
    Ok((0..folds).map(split).collect())
}

/// One split with `round(test_share * rows)` rows to test, as evenly from all classes as whole rows allow.
pub fn stratified_split(classes: &[u32], test_share: f64, seed: Seed) -> Result<Split> {
    let wanted = (test_share * classes.len() as f64).round();
    if !(wanted >= 1.0 && wanted < classes.len() as f64) {
        let want = format!("of {} rows at least one must remain on either side", classes.len());
        return Err(Error::input("test share", test_share, want));
    }
    let groups = shuffled_by_class(classes, seed.stream("split"));
    // Whole shares first, then a row each to the largest remainders (the lower class where they tie).
    let exact = |group: &Vec<usize>| wanted * group.len() as f64 / classes.len() as f64;
    let mut take: Vec<usize> = groups.iter().map(|g| exact(g).floor() as usize).collect();
    let mut by_remainder: Vec<usize> = (0..groups.len()).collect();
    by_remainder.sort_by(|a, b| exact(&groups[*b]).fract().total_cmp(&exact(&groups[*a]).fract()));
    let missing = wanted as usize - take.iter().sum::<usize>();
    by_remainder.iter().take(missing).for_each(|class| take[*class] += 1);
    let mut split = Split { train: Vec::new(), test: Vec::new() };
    for (group, take) in groups.iter().zip(take) {
        split.test.extend(&group[..take]);
        split.train.extend(&group[take..]);
    }
    split.train.sort_unstable();
    split.test.sort_unstable();
    Ok(split)
}

/// The rows of each class in random order. A class's order does not depend on the others.
fn shuffled_by_class(classes: &[u32], seed: Seed) -> Vec<Vec<usize>> {
    let mut groups = std::collections::BTreeMap::<u32, Vec<usize>>::new();
    for (row, class) in classes.iter().enumerate() {
        groups.entry(*class).or_default().push(row);
    }
    for (class, rows) in &mut groups {
        seed.rng(u64::from(*class)).shuffle(rows);
    }
    groups.into_values().collect()
}

/// What happened to a class.
#[derive(Clone, Copy, Default)]
struct Tally {
    rows: usize,
    predictions: usize,
    right: usize,
}

fn tally(truth: &[u32], predicted: &[u32]) -> Result<Vec<Tally>> {
    same_length(truth.len(), predicted.len())?;
    let classes = truth.iter().chain(predicted).max().map_or(0, |m| *m as usize + 1);
    let mut tallies = vec![Tally::default(); classes];
    for (&t, &p) in truth.iter().zip(predicted) {
        tallies[t as usize].rows += 1;
        tallies[p as usize].predictions += 1;
        tallies[t as usize].right += usize::from(t == p);
    }
    Ok(tallies)
}

fn mean_over_rows(
    truth: &[u32],
    probabilities: ArrayView2<f64>,
    loss: impl Fn(ndarray::ArrayView1<f64>, usize) -> f64,
) -> Result<f64> {
    same_length(truth.len(), probabilities.nrows())?;
    let classes = probabilities.ncols();
    if let Some((row, class)) = truth.iter().enumerate().find(|(_, c)| **c as usize >= classes) {
        return Err(Error::input(
            format!("class of row {row}"),
            class,
            format!("there are {classes} columns of probabilities"),
        ));
    }
    let total: f64 = probabilities.axis_iter(Axis(0)).zip(truth).map(|(p, c)| loss(p, *c as usize)).sum();
    Ok(total / truth.len() as f64)
}

fn same_length(truth: usize, given: usize) -> Result<()> {
    if truth == 0 || truth != given {
        return Err(Error::input(
            "predictions",
            given,
            format!("there are {truth} rows; give one each for at least one"),
        ));
    }
    Ok(())
}

fn check_scores(positive: &[bool], scores: &[f64]) -> Result<()> {
    same_length(positive.len(), scores.len())?;
    match scores.iter().enumerate().find(|(_, s)| s.is_nan()) {
        Some((row, bad)) => Err(Error::input(format!("score of row {row}"), bad, "scores must be numbers")),
        None => Ok(()),
    }
}

/// Numbers of positive and negative rows, neither of them 0.
fn kinds(positive: &[bool]) -> Result<(f64, f64)> {
    let positives = positive.iter().filter(|p| **p).count();
    if positives == 0 || positives == positive.len() {
        let got = format!("{positives} positive of {} rows", positive.len());
        return Err(Error::input("ROC curve", got, "there must be rows of both kinds"));
    }
    Ok((positives as f64, (positive.len() - positives) as f64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;
    use proptest::prelude::*;

    const TRUTH: [u32; 10] = [0, 0, 0, 0, 0, 1, 1, 1, 2, 2];
    const PREDICTED: [u32; 10] = [0, 0, 0, 1, 2, 1, 1, 1, 2, 0];

    #[test]
    fn scores_agree_with_scikit_learn() {
        // accuracy_score, balanced_accuracy_score, f1_score(average="macro"), log_loss and
        // brier_score_loss(scale_by_half=False) of scikit-learn 1.9.
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-9, "{a} {b}");
        near(accuracy(&TRUTH, &PREDICTED).unwrap(), 0.7);
        near(balanced_accuracy(&TRUTH, &PREDICTED).unwrap(), 0.7);
        near(macro_f1(&TRUTH, &PREDICTED).unwrap(), 0.674603175);
        let p = array![[0.7, 0.2, 0.1], [0.2, 0.5, 0.3], [0.1, 0.1, 0.8], [0.3, 0.4, 0.3]];
        near(log_loss(&[0, 1, 2, 0], p.view()).unwrap(), 0.619234620);
        near(brier(&[0, 1, 2, 0], p.view()).unwrap(), 0.33);
        // A class that is predicted but absent counts in F1 and not in balanced accuracy.
        near(macro_f1(&[0, 0], &[0, 1]).unwrap(), 1.0 / 3.0);
        near(balanced_accuracy(&[0, 0], &[0, 1]).unwrap(), 0.5);
        let certain = array![[0.0, 1.0]];
        near(log_loss(&[0], certain.view()).unwrap(), -f64::EPSILON.ln());
    }

    #[test]
    fn ties_share_a_point_of_the_curve() {
        // roc_curve(drop_intermediate=False) and roc_auc_score of scikit-learn 1.9.
        let positive = [false, true, false, true, true, false, true];
        let scores = [0.1, 0.4, 0.4, 0.4, 0.8, 0.8, 0.9];
        let curve = roc_curve(&positive, &scores).unwrap();
        let got: Vec<(f64, f64, f64)> =
            curve.iter().map(|p| (p.false_positive, p.true_positive, p.threshold)).collect();
        let third = 1.0 / 3.0;
        assert_eq!(
            got,
            [(0.0, 0.0, f64::INFINITY), (0.0, 0.25, 0.9), (third, 0.5, 0.8), (2.0 * third, 1.0, 0.4), (1.0, 1.0, 0.1)]
        );
        assert!((auc(&positive, &scores).unwrap() - 0.708333333).abs() < 1e-9);
        assert_eq!(auc(&[true, false], &[f64::INFINITY, f64::NEG_INFINITY]).unwrap(), 1.0);
        let called: Vec<bool> = scores.iter().map(|s| *s >= 0.8).collect();
        assert_eq!(roc_rates(&positive, &called).unwrap(), (third, 0.5), "the third point");
        // average_precision_score of scikit-learn 1.9.
        assert!((average_precision(&positive, &scores).unwrap() - 0.75).abs() < 1e-9);
        assert!((average_precision(&[true, false, true], &[0.5; 3]).unwrap() - 2.0 / 3.0).abs() < 1e-12, "no skill");
        // Zero and minus zero are one score.
        assert_eq!(auc(&[true, false], &[-0.0, 0.0]).unwrap(), 0.5);
    }

    #[test]
    fn bad_input_is_refused() {
        assert!(accuracy(&[], &[]).is_err() && accuracy(&[0], &[0, 1]).is_err());
        assert!(macro_f1(&[], &[]).is_err() && balanced_accuracy(&[0], &[]).is_err());
        assert!(log_loss(&[2], array![[0.5, 0.5]].view()).is_err());
        assert!(brier(&[0, 0], array![[0.5, 0.5]].view()).is_err());
        assert!(auc(&[true, true], &[0.1, 0.2]).is_err() && roc_curve(&[false], &[0.1]).is_err());
        assert!(auc(&[true, false], &[0.1, f64::NAN]).is_err());
        assert!(average_precision(&[true, true], &[0.1, 0.2]).is_err());
        assert!(roc_rates(&[true, true], &[true, false]).is_err() && roc_rates(&[true, false], &[true]).is_err());
        for folds in [0, 1, 4] {
            assert!(stratified_folds(&[0, 1, 0], folds, Seed(0)).is_err());
        }
        for share in [0.0, 1.0, -1.0, f64::NAN, 0.1] {
            assert!(stratified_split(&[0, 1, 0], share, Seed(0)).is_err(), "{share}");
        }
    }

    proptest! {
        /// The rank form is the trapezoid rule on the curve.
        #[test]
        fn area_from_ranks_is_the_area_under_the_curve(rows in prop::collection::vec((any::<bool>(), 0u8..6), 2..40)) {
            let (positive, scores): (Vec<bool>, Vec<f64>) = rows.iter().map(|(p, s)| (*p, f64::from(*s))).unzip();
            prop_assume!(positive.iter().any(|p| *p) && !positive.iter().all(|p| *p));
            let curve = roc_curve(&positive, &scores).unwrap();
            let area: f64 = curve
                .windows(2)
                .map(|w| 0.5 * (w[1].false_positive - w[0].false_positive) * (w[1].true_positive + w[0].true_positive))
                .sum();
            prop_assert!((area - auc(&positive, &scores).unwrap()).abs() < 1e-12);
        }

        #[test]
        fn folds_partition_evenly(classes in prop::collection::vec(0u32..4, 2..60), folds in 2usize..8, seed: u64) {
            prop_assume!(folds <= classes.len());
            let splits = stratified_folds(&classes, folds, Seed(seed)).unwrap();
            prop_assert_eq!(&splits, &stratified_folds(&classes, folds, Seed(seed)).unwrap());
            let mut tested: Vec<usize> = splits.iter().flat_map(|s| s.test.clone()).collect();
            tested.sort_unstable();
            prop_assert_eq!(tested, (0..classes.len()).collect::<Vec<_>>());
            let even = |sizes: Vec<usize>| sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= 1;
            prop_assert!(even(splits.iter().map(|s| s.test.len()).collect()));
            for class in 0..4 {
                let count = |s: &Split| s.test.iter().filter(|i| classes[**i] == class).count();
                prop_assert!(even(splits.iter().map(count).collect()));
            }
            for s in &splits {
                prop_assert_eq!(s.train.len() + s.test.len(), classes.len());
            }
        }

        #[test]
        fn a_split_takes_its_share_of_each_class(classes in prop::collection::vec(0u32..4, 4..60), seed: u64) {
            let split = stratified_split(&classes, 0.3, Seed(seed)).unwrap();
            prop_assert_eq!(split.test.len(), (0.3 * classes.len() as f64).round() as usize);
            let mut all = [split.train.clone(), split.test.clone()].concat();
            all.sort_unstable();
            prop_assert_eq!(all, (0..classes.len()).collect::<Vec<_>>());
            for class in 0..4 {
                let share = split.test.len() as f64 / classes.len() as f64;
                let (rows, tested) = (
                    classes.iter().filter(|c| **c == class).count() as f64,
                    split.test.iter().filter(|i| classes[**i] == class).count() as f64,
                );
                prop_assert!((tested - share * rows).abs() < 1.0);
            }
        }
    }

    #[test]
    fn every_row_is_as_likely_to_be_tested() {
        // 4,000 splits of 10 rows at 30%: each row's count is binomial(4000, 0.3), sd 29; five deviations err once in
        // about 170,000 runs of ten rows.
        let classes = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let mut counts = [0i32; 10];
        for seed in 0..4000 {
            stratified_split(&classes, 0.3, Seed(seed)).unwrap().test.iter().for_each(|i| counts[*i] += 1);
        }
        assert!(counts.iter().all(|c| (c - 1200).abs() < 145), "{counts:?}");
    }
}
