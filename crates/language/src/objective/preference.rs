//! Losses of judged pairs: IPO, DPO, SLiC, and the policy gradient of Nash-MD (Calandriello et al., ICML 2024, arXiv
//! 2403.08635; Munos et al. 2023).

use super::{Group, Judged, Pull, SequenceObjective};
use quadrat_core::{Choice, Error, Result};

/// A loss of h = d(y) − d(y′), d = ln π − ln μ, and of p = p(y ≻ y′).
///
/// With a verdict (p = 1) these are the losses as published; with a known p each is the expectation over verdicts, IPO less a
/// constant, so that gradients agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Choice)]
pub enum PreferenceLoss {
    /// (h − (p − 1/2)/τ)²: stays finite where one always wins.
    Ipo,
    /// −p ln σ(τh) − (1 − p) ln σ(−τh): right where preferences come from a score.
    Dpo,
    /// p max(0, 1 − τh) + (1 − p) max(0, 1 + τh): a hinge.
    Slic,
}

impl PreferenceLoss {
    /// The loss of one pair and its slope in h.
    pub fn of(self, h: f64, p: f64, tau: f64) -> (f64, f64) {
        match self {
            PreferenceLoss::Ipo => {
                let off = h - (p - 0.5) / tau;
                (off * off, 2.0 * off)
            }
            PreferenceLoss::Dpo => {
                let z = tau * h;
                (p * softplus(-z) + (1.0 - p) * softplus(z), tau * (sigmoid(z) - p))
            }
            PreferenceLoss::Slic => {
                let z = tau * h;
                let loss = p * (1.0 - z).max(0.0) + (1.0 - p) * (1.0 + z).max(0.0);
                let slope = if z > -1.0 { 1.0 - p } else { 0.0 } - if z < 1.0 { p } else { 0.0 };
                (loss, tau * slope)
            }
        }
    }
}

/// Mean of a [`PreferenceLoss`] over a group's judged pairs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Preferred {
    /// The loss of a pair.
    pub loss: PreferenceLoss,
    /// τ > 0: how strongly the policy is held to the anchor.
    pub tau: f64,
}

impl SequenceObjective for Preferred {
    fn pull(&self, group: &Group<'_>) -> Result<Pull> {
        check_tau(self.tau)?;
        group.check_judged()?;
        let share = 1.0 / group.judged.len() as f64;
        let mut pull = Pull { loss: 0.0, weights: vec![0.0; group.policy.len()] };
        for &Judged { first, second, preference } in group.judged {
            let h = group.log_ratio(first) - group.log_ratio(second);
            let (loss, slope) = self.loss.of(h, preference, self.tau);
            pull.loss += share * loss;
            pull.weights[first] += share * slope;
            pull.weights[second] -= share * slope;
        }
        Ok(pull)
    }
}

/// The policy gradient of Nash-MD: the first of each pair comes from the policy, the second from its mixture with the anchor, and
/// ln π(first) is pulled up by p − 1/2 − τ d(first), of which 1/2 is a baseline.
///
/// The loss is the mean of −(p − 1/2 − τ d). The weights are its gradient where the sampling is differentiated, an expectation,
/// not where the sequences are held.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NashMdPg {
    /// τ > 0: how strongly the policy is held to the anchor.
    pub tau: f64,
}

impl SequenceObjective for NashMdPg {
    fn pull(&self, group: &Group<'_>) -> Result<Pull> {
        check_tau(self.tau)?;
        group.check_judged()?;
        let share = 1.0 / group.judged.len() as f64;
        let mut pull = Pull { loss: 0.0, weights: vec![0.0; group.policy.len()] };
        for &Judged { first, preference, .. } in group.judged {
            let gain = share * (preference - 0.5 - self.tau * group.log_ratio(first));
            pull.loss -= gain;
            pull.weights[first] -= gain;
        }
        Ok(pull)
    }
}

/// All pairs of `k` sequences, judged: k (k − 1)/2 comparisons of k draws.
///
/// # Errors
/// Fewer than two sequences, or the judge's own.
pub fn all_pairs(k: usize, mut prefer: impl FnMut(usize, usize) -> Result<f64>) -> Result<Vec<Judged>> {
    if k < 2 {
        return Err(Error::input("completions", k, "at least 2 of a prompt, to be compared"));
    }
    let pairs = (0..k).flat_map(|first| (first + 1..k).map(move |second| (first, second)));
    pairs.map(|(first, second)| Ok(Judged { first, second, preference: prefer(first, second)? })).collect()
}

/// That τ is a positive number.
pub(crate) fn check_tau(tau: f64) -> Result<()> {
    match tau.is_finite() && tau > 0.0 {
        true => Ok(()),
        false => Err(Error::input("tau", tau, "a positive number")),
    }
}

/// σ(z).
fn sigmoid(z: f64) -> f64 {
    if z >= 0.0 { 1.0 / (1.0 + (-z).exp()) } else { z.exp() / (1.0 + z.exp()) }
}

/// ln(1 + e^z) = −ln σ(−z).
fn softplus(z: f64) -> f64 {
    z.max(0.0) + (-z.abs()).exp().ln_1p()
}
