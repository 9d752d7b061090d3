//! Stratified choice: every class gets its share.

use crate::sensitivity::systematic;
use crate::{Cost, Needs, Pool, Selection, Selector};
use quadrat_core::{Area, Card, Choice, Method, Progress, Result, Rng, Seed, Settings};

/// How the budget is shared among classes, or clusters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Choice)]
pub enum Allocation {
    /// In proportion to their rows. Rounded by largest remainder (of equal remainders the first class) where that gives
    /// every class a row, and else at random.
    Proportional,
    /// The same for all; what a small one cannot fill goes to the others.
    Equal,
}

/// A uniform draw inside each class.
///
/// Sums of weights over the choice estimate sums over the pool without bias, whatever the budget: a class that cannot
/// have a row of its own for certain has one with probability its share of the budget, and the weight of that row is
/// divided by that probability.
///
/// ```
/// use quadrat_core::{Seed, Silent};
/// use quadrat_select::{Pool, Selector, Stratified};
/// let pool = Pool::of_rows(9).with_classes(vec![0, 0, 0, 0, 0, 0, 1, 1, 1]);
/// let chosen = Stratified::default().select(&pool, 3, Seed(1), &Silent)?;
/// assert_eq!(chosen.indices.iter().filter(|i| **i < 6).count(), 2);
/// assert_eq!(chosen.weights, Some(vec![3.0; 3]));
/// # Ok::<(), quadrat_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Settings)]
pub struct Stratified {
    /// How the budget is shared.
    #[param(default = Allocation::Proportional)]
    pub allocation: Allocation,
}

impl Method for Stratified {
    const CARD: Card = Card {
        slug: "stratified",
        aliases: &[],
        title: "Stratified random choice",
        paper: "textbook stratified sampling (Neyman, JRSS 1934); largest remainders for the rounding",
        area: Area::Select,
        verbs: &["select"],
        summary: "Each class gets its share of the budget, in proportion to its rows or equally; inside a class rows \
                  are drawn uniformly. A row's weight is the number of rows of its class that it stands for. Where the \
                  budget has less than one row for a class, chance decides which of these classes are in, and weights \
                  allow for it.",
        useful_when: "keep class proportions in a subsample, the same number of rows of every class, a smaller but \
                      representative table",
        cost: "time O(rows), memory O(rows)",
        params: Self::PARAMS,
    };
}

impl Selector for Stratified {
    fn card(&self) -> &'static Card {
        &Self::CARD
    }

    fn needs(&self) -> Needs {
        Needs { classes: true, ..Needs::default() }
    }

    fn weighs(&self) -> bool {
        true
    }

    fn cost(&self, rows: usize, _cols: usize, _budget: usize) -> Cost {
        Cost { operations: 2.0 * rows as f64, bytes: 8.0 * rows as f64 }
    }

    fn select(&self, pool: &Pool, budget: usize, seed: Seed, _progress: &dyn Progress) -> Result<Selection> {
        pool.check(budget, self.needs())?;
        let mut strata: Vec<(u32, Vec<usize>)> = Vec::new();
        let mut places = std::collections::HashMap::new();
        for (row, &class) in pool.classes.iter().flatten().enumerate() {
            let place = *places.entry(class).or_insert_with(|| {
                strata.push((class, Vec::new()));
                strata.len() - 1
            });
            strata[place].1.push(row);
        }
        strata.sort_unstable_by_key(|(class, _)| *class);
        let sizes: Vec<usize> = strata.iter().map(|(_, rows)| rows.len()).collect();
        let seed = seed.stream("stratified");
        let (shares, expected) = self.shares(&sizes, budget, &mut seed.stream("classes").rng(0));
        let (mut indices, mut weights) = (Vec::with_capacity(budget), Vec::with_capacity(budget));
        for (((class, rows), &share), expected) in strata.iter().zip(&shares).zip(expected) {
            let drawn = seed.rng(u64::from(*class)).sample(rows.len(), share);
            indices.extend(drawn.into_iter().map(|i| rows[i]));
            // A class that has a row for certain stands for itself; another also for the times when it has none.
            let rows_for = if expected < 1.0 { expected } else { share as f64 };
            weights.extend(std::iter::repeat_n(rows.len() as f64 / rows_for, share));
        }
        let left_out = shares.iter().filter(|share| **share == 0).count();
        let mut notes = vec![
            ("classes".to_owned(), sizes.len().to_string()),
            ("classes without a row".to_owned(), left_out.to_string()),
        ];
        if left_out > 0 {
            let why =
                "the budget has less than one row for some: chance decided which are in, and weights allow for it";
            notes.push(("classes drawn".to_owned(), why.to_owned()));
        }
        Ok(Selection { indices, weights: Some(weights), scores: None, notes })
    }
}

impl Stratified {
    /// Rows of each class, and how many it gets on average over all draws.
    fn shares(&self, sizes: &[usize], budget: usize, rng: &mut Rng) -> (Vec<usize>, Vec<f64>) {
        let fixed = match self.allocation {
            Allocation::Proportional => proportional(sizes, budget),
            Allocation::Equal => equal(sizes, budget),
        };
        if fixed.iter().all(|share| *share > 0) {
            let expected = fixed.iter().map(|share| *share as f64).collect();
            return (fixed, expected);
        }
        // Equal shares of less than a row are below 1 for all, so no class is too small for its own.
        let total = sizes.iter().sum::<usize>() as f64;
        let quota = |size: &usize| match self.allocation {
            Allocation::Proportional => budget as f64 * *size as f64 / total,
            Allocation::Equal => budget as f64 / sizes.len() as f64,
        };
        let expected: Vec<f64> = sizes.iter().map(quota).collect();
        // A quota a hair below a whole number is that number: it is a rounded quotient.
        let mut shares: Vec<usize> = expected.iter().map(|quota| (quota + 1e-9).floor() as usize).collect();
        let rest: Vec<f64> = expected.iter().zip(&shares).map(|(q, share)| (q - *share as f64).max(0.0)).collect();
        for class in systematic(&rest, budget - shares.iter().sum::<usize>(), rng) {
            shares[class] += 1;
        }
        (shares, expected)
    }
}

/// `budget` in proportion to `sizes` (whose sum it must not exceed), rounded by largest remainder.
pub(crate) fn proportional(sizes: &[usize], budget: usize) -> Vec<usize> {
    // In whole numbers, so that equal remainders are equal: budget * size = share * total + remainder.
    let total = sizes.iter().sum::<usize>() as u128;
    let exact = |size: usize| budget as u128 * size as u128;
    let mut shares: Vec<usize> = sizes.iter().map(|&size| (exact(size) / total) as usize).collect();
    let mut order: Vec<usize> = (0..sizes.len()).collect();
    order.sort_by_key(|&class| (std::cmp::Reverse(exact(sizes[class]) % total), class));
    let left = budget - shares.iter().sum::<usize>();
    order.iter().take(left).for_each(|&class| shares[class] += 1);
    shares
}

/// The same share of `budget` for everybody, nobody more than its size; what is left over goes to the first.
pub(crate) fn equal(sizes: &[usize], budget: usize) -> Vec<usize> {
    let mut shares = vec![0; sizes.len()];
    let mut left = budget;
    while left > 0 {
        let open: Vec<usize> = (0..sizes.len()).filter(|&class| shares[class] < sizes[class]).collect();
        let each = (left / open.len()).max(1);
        for class in open {
            let more = each.min(sizes[class] - shares[class]).min(left);
            shares[class] += more;
            left -= more;
        }
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use quadrat_core::{Silent, stats};

    #[test]
    fn shares_by_hand() {
        for (sizes, budget, by_size, alike) in [
            (vec![6, 3], 3, vec![2, 1], vec![2, 1]),
            (vec![1, 1, 1], 2, vec![1, 1, 0], vec![1, 1, 0]),
            (vec![50, 30, 20], 7, vec![4, 2, 1], vec![3, 2, 2]),
            (vec![100, 1], 10, vec![10, 0], vec![9, 1]),
            (vec![4], 4, vec![4], vec![4]),
        ] {
            assert_eq!(proportional(&sizes, budget), by_size, "{sizes:?} {budget}");
            assert_eq!(equal(&sizes, budget), alike, "{sizes:?} {budget}");
        }
    }

    /// Ten equal classes and a budget of 3: over 3,000 seeds every class is in alike (Pearson, level 1e-6, each class a
    /// binomial count thinned by drawing 3 of 10 without replacement), and weights always stand for all rows.
    #[test]
    fn below_a_row_a_class_chance_decides_which_are_in() {
        let pool = Pool::of_rows(100).with_classes((0..100).map(|row| row / 10).collect());
        for allocation in [Allocation::Proportional, Allocation::Equal] {
            let mut counts = [0.0; 10];
            for seed in 0..3000 {
                let chosen = Stratified { allocation }.select(&pool, 3, Seed(seed), &Silent).unwrap();
                chosen.indices.iter().for_each(|row| counts[row / 10] += 1.0);
                let sum: f64 = chosen.weights.unwrap().iter().sum();
                assert!((sum - 100.0).abs() < 1e-9, "{sum}");
                assert!(chosen.notes.iter().any(|(name, _)| name == "classes drawn"));
            }
            let variance = 3000.0 * 0.3 * 0.7 * 10.0 / 9.0;
            let statistic: f64 = counts.iter().map(|c| (c - 900.0_f64).powi(2) / variance).sum();
            assert!(stats::chi_square_tail(statistic, 9.0) > 1e-6, "{allocation:?} {counts:?}");
        }
    }

    /// Weighted counts of each class are those of the pool on average: 4,000 seeds, within five standard errors, so a
    /// false alarm once in about 100,000 runs of this test.
    #[test]
    fn weights_are_right_for_every_class_at_any_budget() {
        let sizes = [60, 25, 9, 4, 2];
        let classes: Vec<u32> = sizes.iter().zip(0..).flat_map(|(size, class)| vec![class; *size]).collect();
        let pool = Pool::of_rows(100).with_classes(classes.clone());
        for (allocation, budget) in [
            (Allocation::Proportional, 1),
            (Allocation::Proportional, 7),
            (Allocation::Proportional, 30),
            (Allocation::Equal, 3),
            (Allocation::Equal, 20),
        ] {
            let mut sums = vec![Vec::new(); sizes.len()];
            for seed in 0..4000 {
                let chosen = Stratified { allocation }.select(&pool, budget, Seed(seed), &Silent).unwrap();
                assert_eq!(chosen.indices.len(), budget);
                let mut of_class = [0.0; 5];
                for (row, w) in chosen.indices.iter().zip(chosen.weights.unwrap()) {
                    of_class[classes[*row] as usize] += w;
                }
                sums.iter_mut().zip(of_class).for_each(|(all, sum)| all.push(sum));
            }
            for (sums, size) in sums.iter().zip(sizes) {
                let error = (stats::variance(sums) / 4000.0).sqrt();
                let off = (stats::mean(sums) - size as f64).abs();
                assert!(off <= 5.0 * error + 1e-9, "{allocation:?} {budget}: {off} for {size}, {error}");
            }
        }
    }

    proptest! {
        #[test]
        fn shares_add_up_and_stay_within_one_of_the_quota(
            sizes in prop::collection::vec(1_usize..60, 1..12), part in 0.0_f64..1.0,
        ) {
            let total: usize = sizes.iter().sum();
            let budget = 1 + (part * (total - 1) as f64) as usize;
            let shares = proportional(&sizes, budget);
            prop_assert_eq!(shares.iter().sum::<usize>(), budget);
            for (share, size) in shares.iter().zip(&sizes) {
                let quota = budget as f64 * *size as f64 / total as f64;
                prop_assert!(share <= size && (*share as f64 - quota).abs() < 1.0);
            }
            let shares = equal(&sizes, budget);
            prop_assert_eq!(shares.iter().sum::<usize>(), budget);
            let largest = *shares.iter().max().unwrap();
            prop_assert!(shares.iter().zip(&sizes).all(|(share, size)| share == size || share + 1 >= largest));
        }
    }
}
