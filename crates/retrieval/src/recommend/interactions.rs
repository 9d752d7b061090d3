//! Who liked what.

use super::Features;
use quadrat_core::{Error, Lists, Result, Seed};

/// Pairs of a user and an item that the user liked, each once; users and items are numbered from 0.
#[derive(Debug, Clone, PartialEq)]
pub struct Interactions {
    pairs: Vec<(u32, u32)>,
    times: Option<Vec<f64>>,
    by_user: Lists,
    items: usize,
}

impl Interactions {
    /// Of `pairs` of a user below `users` and an item below `items`, and the time of each where it is known. A pair that comes again
    /// counts once, at its first time.
    ///
    /// # Errors
    /// No pairs; a user or item that is not there; times of another number than pairs, or one that is not finite.
    pub fn new(users: usize, items: usize, pairs: Vec<(u32, u32)>, times: Option<Vec<f64>>) -> Result<Interactions> {
        if pairs.is_empty() {
            return Err(Error::input("interactions", "none", "at least one is needed"));
        }
        if let Some((user, item)) = pairs.iter().find(|(user, item)| *user as usize >= users || *item as usize >= items)
        {
            let want = format!("there are {users} users and {items} items, numbered from 0");
            return Err(Error::input("interaction", format!("user {user} with item {item}"), want));
        }
        if let Some(times) = &times {
            if times.len() != pairs.len() {
                return Err(Error::input("times", times.len(), format!("one for each of {} pairs", pairs.len())));
            }
            if let Some(time) = times.iter().find(|time| !time.is_finite()) {
                return Err(Error::input("time", time, "use finite numbers"));
            }
        }
        let mut order: Vec<usize> = (0..pairs.len()).collect();
        let time = |row: usize| times.as_ref().map_or(0.0, |times| times[row]);
        order.sort_by(|a, b| pairs[*a].cmp(&pairs[*b]).then(time(*a).total_cmp(&time(*b))));
        order.dedup_by_key(|row| pairs[*row]);
        // Back to the order in which they were given.
        order.sort_unstable();
        let times = times.as_ref().map(|times| order.iter().map(|row| times[*row]).collect());
        let pairs: Vec<(u32, u32)> = order.into_iter().map(|row| pairs[row]).collect();
        let mut lists = vec![Vec::new(); users];
        pairs.iter().for_each(|(user, item)| lists[*user as usize].push(*item));
        lists.iter_mut().for_each(|list| list.sort_unstable());
        Ok(Interactions { pairs, times, by_user: lists.into_iter().collect(), items })
    }

    /// Number of users.
    pub fn users(&self) -> usize {
        self.by_user.len()
    }

    /// Number of items.
    pub fn items(&self) -> usize {
        self.items
    }

    /// All pairs of user and item.
    pub fn pairs(&self) -> &[(u32, u32)] {
        &self.pairs
    }

    /// The items of each user, ascending.
    pub fn by_user(&self) -> &Lists {
        &self.by_user
    }

    /// The users of each item, ascending.
    pub fn by_item(&self) -> Lists {
        let mut lists = vec![Vec::new(); self.items];
        for (user, items) in (0_u32..).zip(self.by_user.iter()) {
            items.iter().for_each(|item| lists[*item as usize].push(user));
        }
        lists.into_iter().collect()
    }

    /// How many users liked each item.
    pub fn popularity(&self) -> Vec<u32> {
        let mut counts = vec![0; self.items];
        self.pairs.iter().for_each(|(_, item)| counts[*item as usize] += 1);
        counts
    }

    /// The pairs for which `keep` says so, of the same users and items.
    ///
    /// # Errors
    /// None is left.
    pub fn filtered(&self, mut keep: impl FnMut(u32, u32) -> bool) -> Result<Interactions> {
        let rows: Vec<usize> =
            (0..self.pairs.len()).filter(|row| keep(self.pairs[*row].0, self.pairs[*row].1)).collect();
        self.rows(&rows)
    }

    fn rows(&self, rows: &[usize]) -> Result<Interactions> {
        let times = self.times.as_ref().map(|times| rows.iter().map(|row| times[*row]).collect());
        Interactions::new(self.users(), self.items, rows.iter().map(|row| self.pairs[*row]).collect(), times)
    }

    /// That features are of as many rows as there are items or users.
    pub(super) fn check(&self, items: Option<&Features>, users: Option<&Features>) -> Result<()> {
        for (what, found, wanted) in [("items", items, self.items), ("users", users, self.users())] {
            if let Some(features) = found.filter(|features| features.rows() != wanted) {
                let want = format!("the interactions are of {wanted}");
                return Err(Error::input(format!("{what} with features"), features.rows(), want));
            }
        }
        Ok(())
    }
}

/// Interactions to learn from and interactions to judge by: of each user about `share` of them, the latest where times are known and
/// any of them otherwise. Each user keeps one at least; users with few of them have none held back.
///
/// # Errors
/// A share that is not above 0 and below 1, or one that leaves nothing to judge by.
pub fn hold_out(all: &Interactions, share: f64, seed: Seed) -> Result<(Interactions, Interactions)> {
    if !(share > 0.0 && share < 1.0) {
        return Err(Error::input("share held back", share, "use a number above 0 and below 1, such as 0.1"));
    }
    let mut rows_of = vec![Vec::new(); all.users()];
    all.pairs.iter().enumerate().for_each(|(row, (user, _))| rows_of[*user as usize].push(row));
    let (mut train, mut test) = (Vec::new(), Vec::new());
    for (user, mut rows) in rows_of.into_iter().enumerate() {
        match &all.times {
            Some(times) => rows.sort_by(|a, b| times[*a].total_cmp(&times[*b])),
            None => seed.rng(user as u64).shuffle(&mut rows),
        }
        let held = ((share * rows.len() as f64).round() as usize).min(rows.len().saturating_sub(1));
        let first = rows.len() - held;
        train.extend_from_slice(&rows[..first]);
        test.extend_from_slice(&rows[first..]);
    }
    if test.is_empty() {
        let want = "every user has too few interactions for that: hold back more, or nothing";
        return Err(Error::input("share held back", share, want));
    }
    train.sort_unstable();
    test.sort_unstable();
    Ok((all.rows(&train)?, all.rows(&test)?))
}
