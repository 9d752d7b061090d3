//! Rows to learn from and rows to judge by: drawn, stratified, by groups, or by time.
//!
//! All of them hold back about a share of the rows, leave at least one on either side, and depend on the seed alone.

use crate::metrics::Split;
use quadrat_core::{Error, Result, Seed};
use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;

/// `round(share * rows)` rows held back, any of them.
///
/// # Errors
/// A share that leaves one side without a row.
pub fn drawn(rows: usize, share: f64, seed: Seed) -> Result<Split> {
    let held = wanted(rows, share)?;
    let mut order: Vec<usize> = (0..rows).collect();
    seed.rng(0).shuffle(&mut order);
    Ok(split(rows, order.into_iter().take(held)))
}

/// About `share` of each class's rows held back. Of a class of two rows or more at least one is on either side; a single
/// row is learnt from. So with many rare classes more rows are held back than `share` says.
///
/// ```
/// use quadrat_numeric::splits::stratified;
/// let classes = [vec![0; 296], vec![1; 4]].concat();
/// let split = stratified(&classes, 0.1, quadrat_core::Seed(1))?;
/// assert_eq!(split.test.len(), 31);
/// assert_eq!(split.test.iter().filter(|row| **row >= 296).count(), 1);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
///
/// # Errors
/// A share that leaves one side without a row.
pub fn stratified(classes: &[u32], share: f64, seed: Seed) -> Result<Split> {
    let held = wanted(classes.len(), share)?;
    let mut members = BTreeMap::<u32, Vec<usize>>::new();
    for (row, class) in classes.iter().enumerate() {
        members.entry(*class).or_default().push(row);
    }
    // Whole shares first, then a row each to the largest remainders (the lower class where they tie).
    let exact: Vec<f64> = members.values().map(|m| held as f64 * m.len() as f64 / classes.len() as f64).collect();
    let mut take: Vec<usize> = exact.iter().map(|e| e.floor() as usize).collect();
    let mut by_remainder: Vec<usize> = (0..exact.len()).collect();
    by_remainder.sort_by(|a, b| exact[*b].fract().total_cmp(&exact[*a].fract()));
    let missing = held.saturating_sub(take.iter().sum());
    by_remainder.into_iter().take(missing).for_each(|class| take[class] += 1);
    let mut test = Vec::with_capacity(held);
    for ((class, mut rows), take) in members.into_iter().zip(take) {
        seed.rng(u64::from(class)).shuffle(&mut rows);
        let take = if rows.len() > 1 { take.clamp(1, rows.len() - 1) } else { 0 };
        test.extend(rows.into_iter().take(take));
    }
    if test.is_empty() {
        // Every row is a class of its own.
        return drawn(classes.len(), share, seed);
    }
    Ok(split(classes.len(), test))
}

/// Whole groups held back, in random order, until about `share` of the rows is: no group is on both sides.
///
/// # Errors
/// A share that leaves one side without a row; one group only.
pub fn by_groups(groups: &[u32], share: f64, seed: Seed) -> Result<Split> {
    let held = wanted(groups.len(), share)?;
    let mut sizes = BTreeMap::<u32, usize>::new();
    groups.iter().for_each(|group| *sizes.entry(*group).or_default() += 1);
    if sizes.len() < 2 {
        return Err(Error::input("groups", "one group", "at least two: a group is on one side only"));
    }
    let mut order: Vec<(u32, usize)> = sizes.into_iter().collect();
    seed.rng(0).shuffle(&mut order);
    let (mut taken, mut rows) = (vec![], 0_usize);
    for (group, size) in &order {
        if (rows + size).abs_diff(held) < rows.abs_diff(held) && taken.len() + 1 < order.len() {
            taken.push(*group);
            rows += size;
        }
    }
    if taken.is_empty() {
        // Every group is more than twice the share: the smallest is nearest to it.
        taken.extend(order.iter().min_by_key(|(_, size)| *size).map(|(group, _)| *group));
    }
    taken.sort_unstable();
    let is_taken = |row: &usize| taken.binary_search(&groups[*row]).is_ok();
    Ok(split(groups.len(), (0..groups.len()).filter(is_taken)))
}

/// The latest rows held back, about `share` of them: every one of them is later than every row to learn from, so rows of
/// one time stay together.
///
/// # Errors
/// A share that leaves one side without a row; a time that is not a number; one time only.
pub fn by_time(times: &[f64], share: f64) -> Result<Split> {
    let held = wanted(times.len(), share)?;
    if let Some(row) = times.iter().position(|time| time.is_nan()) {
        return Err(Error::input("time", format!("none in row {row}"), "every row needs one"));
    }
    let mut sorted = times.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let n = sorted.len();
    // The cut that is nearest to the share among those between two different times.
    let cuts = (1..n).filter(|first| sorted[first - 1] < sorted[*first]);
    let cut = cuts.min_by_key(|first| (n - first).abs_diff(held));
    let cut = cut.ok_or_else(|| Error::input("time", "one time in all rows", "at least two different times"))?;
    Ok(split(n, (0..n).filter(|row| times[*row] >= sorted[cut])))
}

/// The rows held back that have an exact copy among the rows to learn from, with the first such row of these: places
/// within both, given what each row is told by.
pub fn copies<K: Hash + Eq>(
    train: impl IntoIterator<Item = K>,
    held: impl IntoIterator<Item = K>,
) -> Vec<(usize, usize)> {
    // The rows held back are fewer: they are what is remembered.
    let mut known: HashMap<K, (Vec<usize>, Option<usize>)> = HashMap::new();
    for (row, key) in held.into_iter().enumerate() {
        known.entry(key).or_default().0.push(row);
    }
    for (row, key) in train.into_iter().enumerate() {
        if let Some((_, twin)) = known.get_mut(&key) {
            twin.get_or_insert(row);
        }
    }
    let found = known.into_values().filter_map(|(held, twin)| twin.map(|twin| (held, twin)));
    let mut pairs: Vec<(usize, usize)> =
        found.flat_map(|(held, twin)| held.into_iter().map(move |row| (row, twin))).collect();
    pairs.sort_unstable();
    pairs
}

/// The classes (of `classes`, numbered from 0) of which no row is among `rows`.
pub fn absent(labels: &[u32], rows: &[usize], classes: usize) -> Vec<u32> {
    let mut seen = vec![false; classes];
    rows.iter().for_each(|row| seen[labels[*row] as usize] = true);
    (0..classes as u32).filter(|class| !seen[*class as usize]).collect()
}

/// Rows to hold back, at least one and not all.
fn wanted(rows: usize, share: f64) -> Result<usize> {
    if !(share > 0.0 && share < 1.0) {
        return Err(Error::input("share held back", share, "above 0 and below 1"));
    }
    if rows < 2 {
        return Err(Error::input("rows", rows, "at least 2, one to learn from and one to judge by"));
    }
    Ok(((share * rows as f64).round() as usize).clamp(1, rows - 1))
}

/// Both sides, ascending.
fn split(rows: usize, test: impl IntoIterator<Item = usize>) -> Split {
    let mut held = vec![false; rows];
    test.into_iter().for_each(|row| held[row] = true);
    let (test, train) = (0..rows).partition(|row| held[*row]);
    Split { train, test }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn whole(split: &Split, rows: usize) {
        let mut all = [split.train.clone(), split.test.clone()].concat();
        all.sort_unstable();
        assert_eq!(all, (0..rows).collect::<Vec<_>>());
        assert!(!split.train.is_empty() && !split.test.is_empty());
        assert!(split.train.is_sorted() && split.test.is_sorted());
    }

    proptest! {
        #[test]
        fn both_sides_have_every_class_of_two_rows(
            classes in prop::collection::vec(0u32..6, 2..120), share in 0.01f64..0.99, seed in 0u64..5,
        ) {
            let split = stratified(&classes, share, Seed(seed)).unwrap();
            whole(&split, classes.len());
            for class in 0..6 {
                let rows = classes.iter().filter(|c| **c == class).count();
                let held = split.test.iter().filter(|row| classes[**row] == class).count();
                if rows > 1 {
                    prop_assert!(held > 0 && held < rows);
                    let exact = share * rows as f64;
                    prop_assert!((held as f64 - exact).abs() <= 2.0, "{held} for {exact}");
                }
            }
            prop_assert_eq!(split, stratified(&classes, share, Seed(seed)).unwrap());
        }

        #[test]
        fn no_group_is_on_both_sides(
            groups in prop::collection::vec(0u32..9, 2..80), share in 0.01f64..0.99, seed in 0u64..5,
        ) {
            prop_assume!(groups.iter().any(|g| *g != groups[0]));
            let split = by_groups(&groups, share, Seed(seed)).unwrap();
            whole(&split, groups.len());
            let held: Vec<u32> = split.test.iter().map(|row| groups[*row]).collect();
            prop_assert!(split.train.iter().all(|row| !held.contains(&groups[*row])));
        }

        #[test]
        fn what_is_held_back_is_later(
            times in prop::collection::vec(-4i8..9, 2..80), share in 0.01f64..0.99,
        ) {
            prop_assume!(times.iter().any(|t| *t != times[0]));
            let times: Vec<f64> = times.into_iter().map(f64::from).collect();
            let split = by_time(&times, share).unwrap();
            whole(&split, times.len());
            let latest = split.train.iter().map(|row| times[*row]).fold(f64::NEG_INFINITY, f64::max);
            prop_assert!(split.test.iter().all(|row| times[*row] > latest));
        }
    }

    #[test]
    fn shares_are_kept_where_groups_and_times_allow() {
        let groups: Vec<u32> = (0..1000).map(|i| i / 5).collect();
        assert_eq!(by_groups(&groups, 0.2, Seed(3)).unwrap().test.len(), 200);
        let times: Vec<f64> = (0..100).map(|i| f64::from(i * 37 % 100)).collect();
        assert_eq!(by_time(&times, 0.1).unwrap().test.len(), 10);
        assert_eq!(drawn(100, 0.25, Seed(1)).unwrap().test.len(), 25);
        assert_eq!(stratified(&[0, 1, 2, 3], 0.25, Seed(1)).unwrap().test.len(), 1, "single rows only");
    }

    #[test]
    fn copies_are_found_and_named() {
        assert_eq!(copies(["a", "b", "b"], ["c", "b", "a", "d", "b"]), [(1, 1), (2, 0), (4, 1)]);
        assert_eq!(copies([1, 2], [3]), []);
        assert_eq!(absent(&[0, 2, 0], &[0, 2], 3), [1, 2]);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for share in [0.0, 1.0, -0.1, f64::NAN] {
            assert!(drawn(10, share, Seed(0)).is_err() && stratified(&[0, 1], share, Seed(0)).is_err());
            assert!(by_time(&[0.0, 1.0], share).is_err() && by_groups(&[0, 1], share, Seed(0)).is_err());
        }
        assert!(drawn(1, 0.5, Seed(0)).is_err() && stratified(&[], 0.5, Seed(0)).is_err());
        assert!(by_groups(&[3, 3, 3], 0.5, Seed(0)).is_err());
        assert!(by_time(&[3.0, 3.0], 0.5).is_err() && by_time(&[3.0, f64::NAN], 0.5).is_err());
    }
}
