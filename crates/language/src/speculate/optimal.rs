//! The best that any rule can do: its acceptance for every vocabulary, and the rule itself for small ones.
//!
//! Drafts matter as the set S of those that differ. Mass w(S, y) flows from sets to tokens in them; sets hold what they are drawn
//! with, tokens what the target gives them, and the acceptance is the largest flow (the linear program of the paper's section 3, which
//! is exponential in k). What the largest flow is worth follows from the smallest cut: a cut is a set T of tokens that are cut off from
//! their target's mass, which costs q(T) and all sets that are not within T: q(T) + 1 - p(T)^k. For a given p(T) the least q(T) is a
//! threshold on q / p, and between two of those the cost is concave. So the least is found by sorting once.

use super::laws::{beside, check};
use super::{DraftSelector, Selection};
use crate::Chance;
use quadrat_core::{Error, Result};

/// The largest probability with which any rule can make Y one of k drafts: min over prefixes T of the tokens in ascending order of
/// q / p of q(T) + 1 - p(T)^k. O(V log V).
///
/// The closed form is not in the paper; it is checked against the flow.
///
/// # Errors
/// Laws that are none; no draft.
///
/// ```
/// use quadrat_language::speculate::optimal_acceptance;
/// let (p, q) = ([0.5, 0.3, 0.2], [0.2, 0.3, 0.5]);
/// assert!((optimal_acceptance(&p, &q, 2)? - 0.86).abs() < 1e-12);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
pub fn optimal_acceptance(p: &[f64], q: &[f64], k: usize) -> Result<f64> {
    check(p, q, &[])?;
    if k == 0 {
        return Err(Error::input("drafts", 0, "at least 1"));
    }
    let mut order: Vec<(f64, f64, f64)> =
        p.iter().zip(q).filter(|(p, _)| **p > 0.0).map(|(&p, &q)| (q / p, p, q)).collect();
    order.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let (mut in_p, mut in_q, mut least) = (0.0_f64, 0.0, 1.0_f64);
    for (_, p, q) in order {
        in_p += p;
        in_q += q;
        least = least.min(in_q + 1.0 - in_p.min(1.0).powf(k as f64));
    }
    Ok(least)
}

/// The best rule, by a largest flow from sets of drafts to tokens: up to 16 tokens and 4 drafts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OtmExact;

/// Tokens, and drafts.
const MOST: (usize, usize) = (16, 4);

impl DraftSelector for OtmExact {
    fn select(
        &self,
        p: &[f64],
        q: &[f64],
        drafts: &[u32],
        chance: &mut dyn Chance,
        room: &mut Vec<f64>,
    ) -> Result<Selection> {
        check(p, q, drafts)?;
        let flow = Flow::largest(p, q, drafts.len())?;
        let drawn = drafts.iter().fold(0, |set, &draft| set | 1 << draft);
        // Y given the set, and with what probability none of it.
        room.clear();
        if let Some(set) = flow.sets.iter().find(|set| set.tokens == drawn) {
            room.extend((0..q.len()).map(|y| set.flow[y]));
            room.push((set.mass - room.iter().sum::<f64>()).max(0.0));
        }
        let y = if room.iter().any(|&weight| weight > 0.0) { chance.pick(room) } else { q.len() };
        match drafts.iter().position(|&draft| draft as usize == y) {
            Some(accepted) => Ok(Selection { token: y as u32, accepted: Some(accepted) }),
            None => Ok(beside(&flow.left, q, chance)),
        }
    }

    fn acceptance(&self, p: &[f64], q: &[f64], k: usize) -> Result<f64> {
        check(p, q, &[])?;
        Ok(1.0 - Flow::largest(p, q, k)?.left.iter().sum::<f64>())
    }

    fn most(&self) -> usize {
        MOST.1
    }
}

/// A set of tokens, as bits, that can be drafted.
struct Set {
    tokens: usize,
    /// The probability that it is what is drafted, and how much of it flows to each token.
    mass: f64,
    flow: Vec<f64>,
}

struct Flow {
    sets: Vec<Set>,
    /// What the tokens have not got.
    left: Vec<f64>,
}

/// Less is no capacity, but rounding.
const NOTHING: f64 = 1e-16;

impl Flow {
    fn largest(p: &[f64], q: &[f64], k: usize) -> Result<Flow> {
        if p.len() > MOST.0 || k > MOST.1 || k == 0 {
            let want = format!("at most {} tokens and 1 to {} drafts; k-seq takes any", MOST.0, MOST.1);
            return Err(Error::input("size of the transport", format!("{} tokens, {k} drafts", p.len()), want));
        }
        let mass_within =
            |set: usize| (0..p.len()).filter(|x| set >> x & 1 == 1).map(|x| p[x]).sum::<f64>().powi(k as i32);
        let possible = (1..1_usize << p.len()).filter(|set| set.count_ones() as usize <= k);
        let possible = possible.filter(|set| (0..p.len()).all(|x| set >> x & 1 == 0 || p[x] > 0.0));
        let sets = possible.map(|tokens| {
            // All k fall into the set and none of its tokens is missed: inclusion and exclusion over its subsets.
            let subsets = std::iter::successors(Some(tokens), |&part| (part > 0).then(|| (part - 1) & tokens));
            let signed = |part: usize| {
                if (tokens ^ part).count_ones().is_multiple_of(2) { mass_within(part) } else { -mass_within(part) }
            };
            let mass: f64 = subsets.map(signed).sum::<f64>().max(0.0);
            Set { tokens, mass, flow: vec![0.0; p.len()] }
        });
        let mut flow = Flow { sets: sets.collect(), left: q.to_vec() };
        for set in 0..flow.sets.len() {
            while flow.push(set) {}
        }
        Ok(flow)
    }

    /// Sends more of a set's mass along a shortest path, on which other sets may give way; false where there is none.
    fn push(&mut self, from: usize) -> bool {
        let open = self.sets[from].mass - self.sets[from].flow.iter().sum::<f64>();
        if open <= NOTHING {
            return false;
        }
        // Breadth first: how each token was reached (from which set), and each set (from which token, whose flow gives way).
        let mut by_set: Vec<Option<usize>> = vec![None; self.left.len()];
        let mut by_token: Vec<Option<usize>> = vec![None; self.sets.len()];
        let mut queue = std::collections::VecDeque::from([from]);
        while let Some(set) = queue.pop_front() {
            for y in (0..self.left.len()).filter(|y| self.sets[set].tokens >> y & 1 == 1) {
                if by_set[y].is_some() {
                    continue;
                }
                by_set[y] = Some(set);
                if self.left[y] > NOTHING {
                    self.send(from, y, open, &by_set, &by_token);
                    return true;
                }
                for (other, given) in self.sets.iter().enumerate() {
                    if other != from && by_token[other].is_none() && given.flow[y] > NOTHING {
                        by_token[other] = Some(y);
                        queue.push_back(other);
                    }
                }
            }
        }
        false
    }

    /// Sends what the path that ends at token `last` can take.
    fn send(&mut self, from: usize, last: usize, open: f64, by_set: &[Option<usize>], by_token: &[Option<usize>]) {
        let mut path = Vec::new();
        let mut y = last;
        while let Some(set) = by_set[y] {
            path.push((set, y));
            match by_token[set].filter(|_| set != from) {
                Some(before) => y = before,
                None => break,
            }
        }
        // Every set but the first gives way at the token that the set before it on the path takes.
        let gives = path.windows(2).map(|pair| (pair[0].0, pair[1].1));
        let most = gives.clone().map(|(set, y)| self.sets[set].flow[y]).fold(open.min(self.left[last]), f64::min);
        let gives: Vec<(usize, usize)> = gives.collect();
        path.iter().for_each(|&(set, y)| self.sets[set].flow[y] += most);
        gives.into_iter().for_each(|(set, y)| self.sets[set].flow[y] -= most);
        self.left[last] -= most;
    }
}
