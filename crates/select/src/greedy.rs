//! Greedy maximisation of a monotone submodular function with a lazy queue (Minoux 1978).
//!
//! The greedy set has at least 1 - 1/e of the best set's value (Nemhauser, Wolsey and Fisher 1978). Because a row's gain
//! never grows as rows are added, a gain computed earlier is an upper bound: a row whose fresh gain stays on top of all
//! the stored ones is the arg-max, and the others need not be looked at.

use quadrat_core::{Error, Progress, Result, checkpoint};
use rayon::prelude::*;
use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;

/// A set function over rows that grows as rows are added, each row's gain never growing as others join it.
pub trait Objective: Sync {
    /// How much the function grows when `row` joins the rows added so far; finite, and never larger than it was before,
    /// rounding included.
    fn gain(&self, row: usize) -> f64;
    /// Adds `row`.
    fn add(&mut self, row: usize);
}

/// Picks `budget` of `candidates` (all when there are fewer), each time the one with the largest gain, the first of
/// equals; returns rows and gains in order. The sequence is the same as that of computing every gain before every pick.
///
/// The queue holds only the most promising rows, so that it stays in the processor's cache; once none of them is sure to
/// be ahead of the rows outside, all gains are computed anew, in parallel. O(candidates) gains to start with and at each
/// of those times, usually some dozens; between them as many as the queue asks for. 7 bytes a
/// candidate.
///
/// # Errors
/// `Cancelled`, and `Input` for rows that do not fit in 32 bits.
pub fn lazy_greedy(
    objective: &mut impl Objective,
    candidates: impl IntoIterator<Item = usize>,
    budget: usize,
    progress: &dyn Progress,
) -> Result<(Vec<usize>, Vec<f64>)> {
    let short = |row: usize| {
        let want = || format!("use at most {}; split the pool", u32::MAX);
        u32::try_from(row).map_err(|_| Error::input("row number", row, want()))
    };
    let mut left: Vec<u32> = candidates.into_iter().map(short).collect::<Result<_>>()?;
    let budget = budget.min(left.len());
    let mut taken = vec![false; left.iter().max().map_or(0, |row| *row as usize + 1)];
    let (mut rows, mut gains) = (Vec::with_capacity(budget), Vec::with_capacity(budget));
    progress.begin("choosing rows", Some(budget as u64));
    while rows.len() < budget {
        checkpoint(progress)?;
        let (round, before) = (rows.len() as u32, rows.len());
        left.retain(|row| !taken[*row as usize]);
        let fresh = |&row: &u32| Entry { gain: objective.gain(row as usize), row, round };
        let (mut queue, outside) = most_promising(&left, fresh, QUEUE.max(left.len() / 16));
        while let Some(mut top) = queue.peek_mut().filter(|_| rows.len() < budget) {
            let round = rows.len() as u32;
            if top.round < round {
                // Changing the top in place sinks it to where its fresh gain belongs.
                top.gain = objective.gain(top.row as usize);
                top.round = round;
            } else if outside.is_some_and(|outside| *top < outside) {
                break;
            } else {
                let Entry { gain, row, .. } = PeekMut::pop(top);
                objective.add(row as usize);
                taken[row as usize] = true;
                rows.push(row as usize);
                gains.push(gain);
            }
        }
        progress.advance((rows.len() - before) as u64);
    }
    Ok((rows, gains))
}

/// Least size of the queue.
const QUEUE: usize = 4096;

/// The first `size` of the rows' entries as a queue, and the first of those left outside, which is ahead of all others
/// there. They are made some at a time: all together would be the largest thing in memory.
fn most_promising(
    rows: &[u32],
    entry: impl Fn(&u32) -> Entry + Sync,
    size: usize,
) -> (BinaryHeap<Entry>, Option<Entry>) {
    let mut outside = None;
    let mut entries: Vec<Entry> = Vec::new();
    for rows in rows.chunks(size.max(1)) {
        entries.par_extend(rows.par_iter().map(&entry));
        if size < entries.len() {
            outside = outside.max(Some(*entries.select_nth_unstable_by(size, |a, b| b.cmp(a)).1));
            entries.truncate(size);
        }
    }
    (BinaryHeap::from(entries), outside)
}

/// A row in the queue: its gain as of the given round, an upper bound ever after.
#[derive(Clone, Copy)]
struct Entry {
    gain: f64,
    row: u32,
    round: u32,
}

/// The largest gain first; of equal ones the lowest row.
impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        self.gain.total_cmp(&other.gain).then(other.row.cmp(&self.row))
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Entry {}

/// The definition that [`lazy_greedy`] must reproduce bit for bit: every gain before every pick.
#[cfg(test)]
pub(crate) fn dense_greedy(objective: &mut impl Objective, rows: usize, budget: usize) -> (Vec<usize>, Vec<f64>) {
    let (mut chosen, mut gains) = (Vec::new(), Vec::new());
    while chosen.len() < budget.min(rows) {
        let left = (0..rows).filter(|row| !chosen.contains(row));
        let all: Vec<(f64, usize)> = left.map(|row| (objective.gain(row), row)).collect();
        let best = all.iter().copied().reduce(|a, b| if b.0 > a.0 { b } else { a }).unwrap();
        objective.add(best.1);
        chosen.push(best.1);
        gains.push(best.0);
    }
    (chosen, gains)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use quadrat_core::Silent;

    /// How many points of a ground set are covered: the classical example, full of ties.
    struct Cover {
        sets: Vec<Vec<usize>>,
        covered: [bool; 12],
    }

    impl Objective for Cover {
        fn gain(&self, row: usize) -> f64 {
            self.sets[row].iter().filter(|point| !self.covered[**point]).count() as f64
        }
        fn add(&mut self, row: usize) {
            self.sets[row].iter().for_each(|point| self.covered[*point] = true);
        }
    }

    /// Enough rows that most stay outside the queue; few distinct gains, which saturate at different speeds.
    #[test]
    fn rows_outside_the_queue_are_not_forgotten() {
        struct Saturating {
            group: Vec<usize>,
            worth: Vec<f64>,
            count: [f64; 7],
        }
        impl Objective for Saturating {
            fn gain(&self, row: usize) -> f64 {
                self.worth[row] / (1.0 + self.count[self.group[row]])
            }
            fn add(&mut self, row: usize) {
                self.count[self.group[row]] += 1.0;
            }
        }
        let rows = 2 * QUEUE + 500;
        let mut rng = quadrat_core::Seed(8).rng(0);
        let group: Vec<usize> = (0..rows).map(|_| rng.below(7)).collect();
        let worth: Vec<f64> = group.iter().map(|g| (1 + g * g + rng.below(3)) as f64).collect();
        let start = || Saturating { group: group.clone(), worth: worth.clone(), count: [0.0; 7] };
        let lazy = lazy_greedy(&mut start(), 0..rows, 400, &Silent).unwrap();
        assert_eq!(lazy, dense_greedy(&mut start(), rows, 400));
        assert!(lazy.0.iter().map(|row| group[*row]).collect::<std::collections::HashSet<_>>().len() > 3);
    }

    proptest! {
        #[test]
        fn lazy_equals_dense_with_ties(
            sets in prop::collection::vec(prop::collection::btree_set(0_usize..12, 0..5), 1..30),
            budget in 0_usize..32,
        ) {
            let sets: Vec<Vec<usize>> = sets.into_iter().map(|set| set.into_iter().collect()).collect();
            let cover = || Cover { sets: sets.clone(), covered: [false; 12] };
            let lazy = lazy_greedy(&mut cover(), 0..sets.len(), budget, &Silent).unwrap();
            prop_assert_eq!(lazy, dense_greedy(&mut cover(), sets.len(), budget));
        }
    }
}
