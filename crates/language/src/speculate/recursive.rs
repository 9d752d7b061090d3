//! Recursive rejection: each draft is tried against what the ones before it left of the target.

use super::laws::{beside, check, common, sums};
use super::{DraftSelector, Selection};
use crate::Chance;
use quadrat_core::{Error, Result};

/// With r = q: accepts X_i with probability min(1, r(X_i) / p(X_i)), else r becomes (r - p)+, made whole; after the last, Y ~ r
/// (SpecInfer, Miao et al. 2024). Without replacement p loses each draft that was tried, and is made whole (Sequoia, Chen et al.
/// 2024): then few tokens of the draft's law are enough to be sure of a target that lives on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recursive {
    /// Whether a token may be drafted twice.
    pub replacement: bool,
}

impl DraftSelector for Recursive {
    fn select(
        &self,
        p: &[f64],
        q: &[f64],
        drafts: &[u32],
        chance: &mut dyn Chance,
        room: &mut Vec<f64>,
    ) -> Result<Selection> {
        check(p, q, drafts)?;
        room.clear();
        room.extend_from_slice(q);
        // What drafts are still drawn from, where that changes.
        let mut own = (!self.replacement).then(|| p.to_vec());
        for (i, &draft) in drafts.iter().enumerate() {
            let (x, left) = (draft as usize, own.as_deref().unwrap_or(p));
            if left[x] == 0.0 {
                let want = "a token that was not drafted before: this rule draws without replacement";
                return Err(Error::input("draft", format!("token {draft}"), want));
            }
            if chance.happens((room[x] / left[x]).min(1.0)) {
                return Ok(Selection { token: draft, accepted: Some(i) });
            }
            subtract(left, room);
            if let Some(own) = &mut own {
                own[x] = 0.0;
                make_whole(own);
            }
        }
        Ok(beside(room, q, chance))
    }

    /// Without replacement all orders of drafts are gone through: small vocabularies only.
    fn acceptance(&self, p: &[f64], q: &[f64], k: usize) -> Result<f64> {
        check(p, q, &[])?;
        if self.replacement {
            let (mut r, mut missed) = (q.to_vec(), 1.0);
            for _ in 0..k {
                missed *= 1.0 - common(p, &r).min(1.0);
                subtract(p, &mut r);
            }
            return Ok(1.0 - missed);
        }
        let orders = (p.len() as f64).powi(k as i32);
        if orders > 1e6 {
            let want = "at most a million orders of drafts (vocabulary to the power of drafts): all are gone through";
            return Err(Error::input("orders of drafts", format!("{orders:.0}"), want));
        }
        Ok(without_replacement(p, q, k))
    }

    fn replaces(&self) -> bool {
        self.replacement
    }
}

/// The acceptance over all orders of drafts.
fn without_replacement(p: &[f64], r: &[f64], k: usize) -> f64 {
    if k == 0 {
        return 0.0;
    }
    let mut after = r.to_vec();
    subtract(p, &mut after);
    let tried = p.iter().zip(r).enumerate().filter(|(_, (p, _))| **p > 0.0);
    tried
        .map(|(x, (&px, &rx))| {
            let rejected = (px - rx).max(0.0);
            let mut left = p.to_vec();
            left[x] = 0.0;
            let later =
                if rejected > 0.0 && make_whole(&mut left) { without_replacement(&left, &after, k - 1) } else { 0.0 };
            px.min(rx) + rejected * later
        })
        .sum()
}

/// r becomes (r - p)+, made whole; it stays where nothing is left, which is where the draft is accepted for certain.
pub(super) fn subtract(p: &[f64], r: &mut [f64]) {
    let left = sums(p, r, |p, r| ((r - p).max(0.0), 0.0)).0;
    if left > 0.0 {
        r.iter_mut().zip(p).for_each(|(r, p)| *r = (*r - p).max(0.0) / left);
    }
}

/// Makes a law of weights, or says that there are none.
fn make_whole(weights: &mut [f64]) -> bool {
    let sum = crate::chance::sum(weights);
    if sum > 0.0 {
        weights.iter_mut().for_each(|weight| *weight /= sum);
    }
    sum > 0.0
}
