//! K-SEQ: drafts are accepted one after the other, each a little less willingly than if it were alone.

use super::laws::{beside, check, fill, sums};
use super::{DraftSelector, Selection};
use crate::Chance;
use quadrat_core::{Error, Result};

/// The paper's rule (its Algorithm 3). Accepts X_i with probability min(1, q(X_i) / (rho p(X_i))), the first that is accepted is Y;
/// if none is, Y ~ what is left of q.
///
/// With beta(rho) = sum min(p, q / rho), which is how often one draft is accepted, rho is the root of
/// 1 - (1 - beta)^k = rho beta ([`k_seq_rho`]). The acceptance 1 - (1 - beta)^k is at least 1 - (1 - 1/k)^k of the best possible. One
/// draft: rho = 1, the maximal coupling.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KSeq;

impl DraftSelector for KSeq {
    fn select(
        &self,
        p: &[f64],
        q: &[f64],
        drafts: &[u32],
        chance: &mut dyn Chance,
        room: &mut Vec<f64>,
    ) -> Result<Selection> {
        check(p, q, drafts)?;
        let k = drafts.len();
        let rho = root(p, q, k)?;
        for (i, &draft) in drafts.iter().enumerate() {
            let x = draft as usize;
            if chance.happens((q[x] / (rho * p[x])).min(1.0)) {
                return Ok(Selection { token: draft, accepted: Some(i) });
            }
        }
        residual(p, q, k, rho, room);
        Ok(beside(room, q, chance))
    }

    fn acceptance(&self, p: &[f64], q: &[f64], k: usize) -> Result<f64> {
        check(p, q, &[])?;
        Ok(any_of(beta(p, q, root(p, q, k)?), k))
    }
}

/// The smallest rho in [1, k] for which K-SEQ keeps the target's law; all larger ones do so too, and accept less.
///
/// A few passes over the vocabulary: between two neighbouring ratios q / p, beta is A + B / rho for two sums A and B, so each pass
/// gives an equation in rho alone, whose root is where the next pass looks, until no ratio is crossed any more. The upper end of the
/// bracket is returned, since a rho that is too small leaves a negative residual.
///
/// # Errors
/// Laws that are none; no draft.
pub fn k_seq_rho(p: &[f64], q: &[f64], k: usize) -> Result<f64> {
    check(p, q, &[])?;
    root(p, q, k)
}

fn root(p: &[f64], q: &[f64], k: usize) -> Result<f64> {
    if k == 0 {
        return Err(Error::input("drafts", 0, "at least 1"));
    }
    let (mut low, mut high) = (1.0, k as f64);
    let mut rho = low;
    // Ratios are crossed a few times only; the bound is for safety, bisection alone would need as many.
    for _ in 0..64 {
        let (a, b) = parts(p, q, rho);
        if excess(rho, a + b / rho, k) >= 0.0 {
            high = rho;
        } else {
            low = rho;
        }
        if high - low <= 1e-13 * high {
            break;
        }
        let next = upper_root(low, high, |rho| excess(rho, (a + b / rho).min(1.0), k));
        if (next - rho).abs() <= 1e-13 * rho {
            high = high.min(next.max(rho));
            break;
        }
        rho = if next > low && next < high { next } else { 0.5 * (low + high) };
    }
    Ok(high)
}

/// P(p <= q / rho) and Q(p > q / rho): beta is the first and 1 / rho of the second.
fn parts(p: &[f64], q: &[f64], rho: f64) -> (f64, f64) {
    sums(p, q, |p, q| if rho * p <= q { (p, 0.0) } else { (0.0, q) })
}

fn beta(p: &[f64], q: &[f64], rho: f64) -> f64 {
    let (a, b) = parts(p, q, rho);
    (a + b / rho).min(1.0)
}

/// The probability that one of k happens, each with probability `beta`; with small ones too.
fn any_of(beta: f64, k: usize) -> f64 {
    -(k as f64 * (-beta).ln_1p()).exp_m1()
}

/// How far rho beta is above the acceptance: it does not fall with rho.
fn excess(rho: f64, beta: f64, k: usize) -> f64 {
    rho * beta - any_of(beta, k)
}

/// The upper end of a bracket around a root, of width 0 but for rounding; `high` where there is none.
fn upper_root(mut low: f64, mut high: f64, f: impl Fn(f64) -> f64) -> f64 {
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if f(middle) >= 0.0 {
            high = middle;
        } else {
            low = middle;
        }
    }
    high
}

/// What is left of q when no draft was accepted, times a constant: right for every valid rho, not the root alone. Rounding may leave
/// an entry below 0, which is 0.
pub(super) fn residual(p: &[f64], q: &[f64], k: usize, rho: f64, out: &mut Vec<f64>) {
    let beta = beta(p, q, rho);
    // Disjoint laws: every draft is rejected.
    let share = if beta > 0.0 { any_of(beta, k) / beta } else { 0.0 };
    fill(p, q, out, |p, q| (q - p.min(q / rho) * share).max(0.0));
}
