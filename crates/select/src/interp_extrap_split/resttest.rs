//! ReSTTest and its form for one set of rows: train outside a bucket, test outside and inside it.

use super::buckets::Part;
use super::{Buckets, Split, check, check_both, similarity};
use ndarray::{ArrayView2, Axis};
use quadrat_core::{Error, Progress, Result, Seed, Settings, checkpoint};
use quadrat_numeric::neighbours::nearest_f32;

/// Folds of a training set and a large test set, clustered together (the paper's section on resampling test queries).
///
/// In fold k the training rows outside bucket k are trained on, the test rows outside it are the interpolation test,
/// the test rows inside it the extrapolation test: every test row is extrapolated to once and interpolated K - 1 times.
///
/// ```
/// use ndarray::Array2;
/// use quadrat_core::{Seed, Silent};
/// use quadrat_select::{Buckets, ReSTTest};
/// let angle = |i: usize| (i % 3) as f32 * 2.0 + i as f32 * 0.001;
/// let rows = Array2::from_shape_fn((90, 2), |(i, c)| if c == 0 { angle(i).cos() } else { angle(i).sin() });
/// let (train, test) = rows.view().split_at(ndarray::Axis(0), 60);
/// let folds = ReSTTest { buckets: Buckets { k: 3, ..Buckets::default() }, purge: None };
/// let splits = folds.split(train, test, Seed(1), &Silent)?;
/// assert!(splits.iter().all(|s| (s.train.len(), s.interpolation.len(), s.extrapolation.len()) == (40, 20, 10)));
/// # Ok::<(), quadrat_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ReSTTest {
    /// How rows are cut.
    pub buckets: Buckets,
    /// Leave out training rows that are at least this similar to an extrapolation test row of the fold (the cosine, or
    /// 1 / (1 + Euclidean distance)): a boundary between buckets may part near-duplicates. Default: none.
    pub purge: Option<f64>,
}

/// [`ReSTTest`] for one set of rows, such as a table for cross-validation.
///
/// In fold k bucket k is the extrapolation test; as many rows, at random from the other buckets, are the interpolation
/// test; the rest is trained on. A bucket that holds more than a third of all rows is too large for that: then half of
/// the other rows are the interpolation test, and as many of the bucket's, at random, the extrapolation test.
#[derive(Debug, Clone, Copy, PartialEq, Settings)]
pub struct SimilarityKFold {
    /// How rows are cut.
    #[param(flatten)]
    pub buckets: Buckets,
    /// Leave out training rows that are at least this similar to an extrapolation test row. As in [`ReSTTest`].
    #[param(none = "none", from = -1, to = 1)]
    pub purge: Option<f64>,
}

impl ReSTTest {
    /// One split a bucket, rows of `train` (n x d) and of `test` (m x d). A bucket without test rows gives an empty
    /// extrapolation test.
    ///
    /// Cost: k-means on n + m rows. Memory: two copies of them. Purging: O(n m d) over all folds.
    ///
    /// # Errors
    /// No rows, widths that differ, values that are not finite, a row of zeros under the cosine; K below 2 or beyond the
    /// number of training or test rows, or of different values; no restarts; a similarity that is none; a fold without
    /// training rows; the user's cancelling.
    pub fn split(
        &self,
        train: ArrayView2<f32>,
        test: ArrayView2<f32>,
        seed: Seed,
        progress: &dyn Progress,
    ) -> Result<Vec<Split>> {
        check_both(train, test, self.buckets.metric)?;
        check_options(&self.buckets, self.purge, train.nrows().min(test.nrows()))?;
        let [train_part, test_part] = self.buckets.cut([train, test], seed, progress)?;
        let splits = (0..self.buckets.k).map(|fold| {
            let (extrapolation, interpolation) = test_part.inside_and_outside(fold);
            Split { fold, train: train_part.inside_and_outside(fold).1, interpolation, extrapolation }
        });
        finish(splits.collect(), train, test, &self.buckets, self.purge, seed, progress)
    }
}

impl SimilarityKFold {
    /// One split a bucket of the rows `x` (n x d).
    ///
    /// Cost: k-means on n rows. Memory: two copies of them. Purging: O(n^2 d) over all folds.
    ///
    /// # Errors
    /// As [`ReSTTest::split`]; a bucket beside which fewer than two rows are left.
    pub fn split(&self, x: ArrayView2<f32>, seed: Seed, progress: &dyn Progress) -> Result<Vec<Split>> {
        check("rows", x, self.buckets.metric)?;
        check_options(&self.buckets, self.purge, x.nrows())?;
        let [part] = self.buckets.cut([x], seed, progress)?;
        let splits = (0..self.buckets.k).map(|fold| {
            let (mut inside, mut outside) = part.inside_and_outside(fold);
            let size = inside.len().min(outside.len() / 2);
            if size == 0 {
                let got = format!("{} of {} rows", inside.len(), x.nrows());
                return Err(Error::input(
                    format!("bucket {}", fold + 1),
                    got,
                    "leave two rows outside: use fewer folds",
                ));
            }
            let mut rng = seed.stream("tests").rng(fold as u64);
            if size < inside.len() {
                rng.shuffle(&mut inside);
            }
            rng.shuffle(&mut outside);
            let train = outside.split_off(size);
            inside.truncate(size);
            Ok(Split { fold, train, interpolation: outside, extrapolation: inside })
        });
        finish(splits.collect::<Result<_>>()?, x, x, &self.buckets, self.purge, seed, progress)
    }
}

impl Part {
    /// The rows in the bucket and the others, both in lexicographic order.
    fn inside_and_outside(&self, bucket: usize) -> (Vec<usize>, Vec<usize>) {
        self.order.iter().partition(|row| self.bucket[**row] as usize == bucket)
    }
}

fn check_options(buckets: &Buckets, purge: Option<f64>, rows: usize) -> Result<()> {
    if buckets.k < 2 || buckets.k > rows {
        let want = if rows < 2 { "give more rows".into() } else { format!("use 2 to {rows}, the number of rows") };
        return Err(Error::input("folds", buckets.k, want));
    }
    if let Some(purge) = purge.filter(|p| !(-1.0..=1.0).contains(p)) {
        return Err(Error::input("purge", purge, "use a similarity such as 0.9, at most 1"));
    }
    Ok(())
}

/// Purges, makes training sets equal if buckets are, and puts rows into ascending order.
fn finish(
    mut splits: Vec<Split>,
    train: ArrayView2<f32>,
    test: ArrayView2<f32>,
    buckets: &Buckets,
    purge: Option<f64>,
    seed: Seed,
    progress: &dyn Progress,
) -> Result<Vec<Split>> {
    for split in &mut splits {
        checkpoint(progress)?;
        if let Some(limit) = purge.filter(|_| !split.train.is_empty() && !split.extrapolation.is_empty()) {
            let (base, queries) = (test.select(Axis(0), &split.extrapolation), train.select(Axis(0), &split.train));
            let near = nearest_f32(base.view(), queries.view(), None, 1, buckets.metric, progress)?;
            let mut distances = near.squared.iter();
            split.train.retain(|_| distances.next().is_none_or(|d| similarity(*d, buckets.metric) < limit));
        }
        if split.train.is_empty() {
            let want = "use fewer folds, balanced ones, or a higher similarity to purge at";
            return Err(Error::input(format!("training rows of fold {}", split.fold + 1), "none", want));
        }
    }
    let smallest = splits.iter().map(|split| split.train.len()).min().unwrap_or(0);
    for split in &mut splits {
        if buckets.balanced && split.train.len() > smallest {
            seed.stream("equal training sets").rng(split.fold as u64).shuffle(&mut split.train);
            split.train.truncate(smallest);
        }
        for rows in [&mut split.train, &mut split.interpolation, &mut split.extrapolation] {
            rows.sort_unstable();
        }
    }
    Ok(splits)
}
