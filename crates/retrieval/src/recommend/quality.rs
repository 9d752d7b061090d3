//! How well interactions that were held back are found again.

use super::{Interactions, Model, recommend};
use crate::measures::Measure;
use quadrat_core::{Progress, Result, stats};
use std::collections::HashSet;

/// Means over the users who have something held back.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quality {
    /// Users in the means.
    pub users: usize,
    /// The share of a user's held-back items among the first 20.
    pub recall_at_20: f64,
    /// The same among the first 50.
    pub recall_at_50: f64,
    /// Discounted gain of the first 20, divided by that of the best order.
    pub ndcg_at_20: f64,
}

impl Quality {
    /// Ranks all items that users did not like in `known`, and looks for what they like in `held` among the items of each slice: for each
    /// slice what users find of it, and last over all items. NaN where no user has a held-back item of a slice.
    ///
    /// # Errors
    /// As [`recommend`].
    pub fn of(
        model: &Model,
        known: &Interactions,
        held: &Interactions,
        slices: &[Vec<u32>],
        progress: &dyn Progress,
    ) -> Result<Vec<Quality>> {
        let users: Vec<u32> =
            (0..held.users() as u32).filter(|user| !held.by_user()[*user as usize].is_empty()).collect();
        let found = recommend(model, known, &users, 50, progress)?;
        let measures =
            ["recall@20", "recall@50", "ndcg@20"].into_iter().map(Measure::parse).collect::<Result<Vec<_>>>()?;
        let mut all = Vec::with_capacity(slices.len() + 1);
        let whole = vec![(0..held.items() as u32).collect::<Vec<u32>>()];
        for slice in slices.iter().chain(&whole) {
            let slice: HashSet<u32> = slice.iter().copied().collect();
            let mut values: [Vec<f64>; 3] = Default::default();
            for (user, list) in users.iter().zip(&found) {
                let liked: HashSet<u32> =
                    held.by_user()[*user as usize].iter().copied().filter(|item| slice.contains(item)).collect();
                if liked.is_empty() {
                    continue;
                }
                let ranked: Vec<Option<i32>> = list.iter().map(|(item, _)| liked.contains(item).then_some(1)).collect();
                for (values, measure) in values.iter_mut().zip(&measures) {
                    // A sum of nothing is -0.
                    values.push(measure.of(&ranked, &vec![1; liked.len()]) + 0.0);
                }
            }
            let [recall_at_20, recall_at_50, ndcg_at_20] = values.each_ref().map(|values| stats::mean(values));
            all.push(Quality { users: values[0].len(), recall_at_20, recall_at_50, ndcg_at_20 });
        }
        Ok(all)
    }
}

/// The items in three slices that have a third of the interactions each, the most popular items first: a few that everybody knows, some,
/// and the long tail, which also holds what nobody liked yet.
pub fn slices(known: &Interactions) -> Vec<Vec<u32>> {
    let counts = known.popularity();
    let mut items: Vec<u32> = (0..counts.len() as u32).collect();
    items.sort_by_key(|item| std::cmp::Reverse(counts[*item as usize]));
    let mut thirds = vec![Vec::new(); 3];
    let (all, mut before) = (known.pairs().len(), 0);
    for item in items {
        thirds[(3 * before / all).min(2)].push(item);
        before += counts[item as usize] as usize;
    }
    thirds
}
