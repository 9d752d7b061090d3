//! One draft: the maximal coupling.

use super::laws::{beside, check, common, fill};
use super::{DraftSelector, Selection};
use crate::Chance;
use quadrat_core::{Error, Result};

/// Accepts the draft X with probability min(1, q(X) / p(X)); else Y ~ (q - p)+ (Leviathan, Kalman and Matias 2023; Chen et al. 2023).
/// No rule accepts one draft more often: 1 less the total variation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MaximalCoupling;

impl DraftSelector for MaximalCoupling {
    fn select(
        &self,
        p: &[f64],
        q: &[f64],
        drafts: &[u32],
        chance: &mut dyn Chance,
        room: &mut Vec<f64>,
    ) -> Result<Selection> {
        check(p, q, drafts)?;
        let &[draft] = drafts else { return Err(Error::input("drafts", drafts.len(), ONE)) };
        let x = draft as usize;
        if chance.happens((q[x] / p[x]).min(1.0)) {
            return Ok(Selection { token: draft, accepted: Some(0) });
        }
        fill(p, q, room, |p, q| (q - p).max(0.0));
        Ok(beside(room, q, chance))
    }

    fn acceptance(&self, p: &[f64], q: &[f64], k: usize) -> Result<f64> {
        check(p, q, &[])?;
        if k == 1 { Ok(common(p, q)) } else { Err(Error::input("drafts", k, ONE)) }
    }

    fn most(&self) -> usize {
        1
    }
}

const ONE: &str = "1: this rule knows one draft; take k-seq for more";
