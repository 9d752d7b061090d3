//! What all rules do with two laws.

use super::Selection;
use crate::Chance;
use quadrat_core::{Error, Result};
use quadrat_numeric::vectorised;

/// That both are laws over the same tokens, and that every draft can come from `p`.
pub fn check(p: &[f64], q: &[f64], drafts: &[u32]) -> Result<()> {
    if p.len() != q.len() {
        let want = format!("{} as the target has: both need the same vocabulary", q.len());
        return Err(Error::input("vocabulary of the draft", format!("{} tokens", p.len()), want));
    }
    for (name, law) in [("law of the draft", p), ("law of the target", q)] {
        let (sum, absolute) = sums(law, law, |a, _| (a, a.abs()));
        // Not a number fails both.
        let sound = (sum - 1.0).abs() <= 1e-6 && absolute - sum <= 0.0;
        if !sound {
            let got = match law.iter().find(|&&a| a < 0.0) {
                Some(negative) => format!("{negative}"),
                None => format!("a sum of {sum}"),
            };
            return Err(Error::input(name, got, "probabilities of at least 0 whose sum is 1 within 1e-6"));
        }
    }
    match drafts.iter().find(|&&draft| p.get(draft as usize).is_none_or(|&p| p == 0.0)) {
        Some(draft) => {
            let want =
                "a token that can come: it has zero probability in the draft's law, so it was not sampled from that";
            Err(Error::input("draft", format!("token {draft}"), want))
        }
        None => Ok(()),
    }
}

/// Two sums over all tokens, each in an order that depends on the vocabulary alone.
#[inline(always)]
pub fn sums(p: &[f64], q: &[f64], term: impl Fn(f64, f64) -> (f64, f64)) -> (f64, f64) {
    vectorised(
        #[inline(always)]
        || {
            let (p, p_rest) = p.as_chunks::<8>();
            let (q, q_rest) = q.as_chunks::<8>();
            let (mut a, mut b) = ([0.0; 8], [0.0; 8]);
            for (p, q) in p.iter().zip(q) {
                for lane in 0..8 {
                    let terms = term(p[lane], q[lane]);
                    a[lane] += terms.0;
                    b[lane] += terms.1;
                }
            }
            let rest = p_rest.iter().zip(q_rest).map(|(&p, &q)| term(p, q));
            a.into_iter().zip(b).chain(rest).fold((0.0, 0.0), |sum, (a, b)| (sum.0 + a, sum.1 + b))
        },
    )
}

/// The mass that both laws have in common: 1 less their total variation.
pub fn common(p: &[f64], q: &[f64]) -> f64 {
    sums(p, q, |p, q| (p.min(q), 0.0)).0
}

/// Writes a weight for each token.
#[inline(always)]
pub fn fill(p: &[f64], q: &[f64], out: &mut Vec<f64>, weight: impl Fn(f64, f64) -> f64) {
    out.clear();
    out.resize(q.len(), 0.0);
    vectorised(
        #[inline(always)]
        || out.iter_mut().zip(p.iter().zip(q)).for_each(|(out, (&p, &q))| *out = weight(p, q)),
    );
}

/// A token that is drawn from what the drafts left of `q`; where rounding has left nothing, from `q`.
pub fn beside(left: &[f64], q: &[f64], chance: &mut dyn Chance) -> Selection {
    let law = if left.iter().any(|&weight| weight > 0.0) { left } else { q };
    Selection { token: chance.pick(law) as u32, accepted: None }
}
