//! Games of preference in tables: exact equilibria, and how far a policy is from one.
//!
//! Two policies answer; the payoff of π against π′ is (step 4 of the paper's argument)
//!
//! > P_τ(π ≻ π′) = p(π ≻ π′) − τ KL(π ‖ μ) + τ KL(π′ ‖ μ),
//!
//! p(π ≻ π′) = Σ π(y) p(y ≻ y′) π′(y′). It is strictly concave in π and the game is symmetric, so there is one equilibrium, at which
//! π* ∝ μ exp(p(· ≻ π*)/τ): the policy that is its own best response.

use crate::objective::{check_tau, log_sum_exp};
use ndarray::{Array2, ArrayView1};
use quadrat_core::{Error, Result};

/// A game of preference with K answers.
///
/// ```
/// use ndarray::array;
/// use quadrat_language::align::RegularisedGame;
/// // Rock, paper, scissors: the judge's preferences are a cycle.
/// let cycle = array![[0.5, 0.0, 1.0], [1.0, 0.5, 0.0], [0.0, 1.0, 0.5]];
/// let game = RegularisedGame::new(cycle, vec![0.5, 0.3, 0.2], 0.01)?;
/// let nash = game.nash(1e-12)?;
/// assert!(nash.iter().all(|p| (p - 1.0 / 3.0).abs() < 0.02) && game.duality_gap(&nash)? < 1e-12);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct RegularisedGame {
    preferences: Array2<f64>,
    anchor: Vec<f64>,
    log_anchor: Vec<f64>,
    tau: f64,
}

/// What p(y ≻ y′) + p(y′ ≻ y) may miss 1 by, and a law's sum.
const SLACK: f64 = 1e-9;
/// Most steps to an equilibrium.
const STEPS: usize = 10_000_000;

impl RegularisedGame {
    /// The game of `preferences`, p(y ≻ y′) in row y and column y′, with the anchor μ and the strength τ.
    ///
    /// # Errors
    /// No square of probabilities with p(y ≻ y′) + p(y′ ≻ y) = 1, no law as an anchor, or a τ that is not positive.
    pub fn new(preferences: Array2<f64>, anchor: Vec<f64>, tau: f64) -> Result<Self> {
        check_tau(tau)?;
        let (k, columns) = preferences.dim();
        if k == 0 || columns != k || anchor.len() != k {
            let got = format!("{k} x {columns}, anchor of {}", anchor.len());
            return Err(Error::input("preferences", got, "a square with a row for each answer of the anchor"));
        }
        for ((y, z), &p) in preferences.indexed_iter() {
            let sum = p + preferences[[z, y]];
            if !(0.0..=1.0).contains(&p) || (sum - 1.0).abs() > SLACK {
                let what = format!("preference of answer {} to answer {}", y + 1, z + 1);
                return Err(Error::input(
                    what,
                    p,
                    format!("0 to 1, and 1 with its opposite (together they are {sum})"),
                ));
            }
        }
        check_law("anchor", &anchor)?;
        let log_anchor = anchor.iter().map(|p| p.ln()).collect();
        Ok(RegularisedGame { preferences, anchor, log_anchor, tau })
    }

    /// Number of answers.
    pub fn answers(&self) -> usize {
        self.anchor.len()
    }

    /// p(y ≻ y′) in row y and column y′.
    pub fn preferences(&self) -> &Array2<f64> {
        &self.preferences
    }

    /// μ.
    pub fn anchor(&self) -> &[f64] {
        &self.anchor
    }

    /// τ.
    pub fn tau(&self) -> f64 {
        self.tau
    }

    /// p(y ≻ π) of every answer y.
    ///
    /// # Errors
    /// A policy that is no law over the answers.
    pub fn against(&self, policy: &[f64]) -> Result<Vec<f64>> {
        self.check(policy)?;
        Ok(self.wins(policy))
    }

    fn wins(&self, policy: &[f64]) -> Vec<f64> {
        self.preferences.dot(&ArrayView1::from(policy)).to_vec()
    }

    /// The best response to `rival`, μ exp(p(· ≻ rival)/τ)/Z. Offline IPO on pairs of draws from a law ends there, whatever it
    /// could have met since: a best response to its data, not to itself.
    ///
    /// # Errors
    /// As [`RegularisedGame::against`].
    pub fn respond(&self, rival: &[f64]) -> Result<Vec<f64>> {
        let wins = self.against(rival)?;
        Ok(normalised(self.log_anchor.iter().zip(wins).map(|(m, p)| m + p / self.tau).collect()))
    }

    /// G(π) = 2 (τ ln Σ μ exp(p(· ≻ π)/τ) + τ KL(π ‖ μ)) − 1: what a best response gains against π, twice. 0 at the equilibrium
    /// alone; infinite where π writes what the anchor never does.
    ///
    /// # Errors
    /// As [`RegularisedGame::against`].
    pub fn duality_gap(&self, policy: &[f64]) -> Result<f64> {
        let wins = self.against(policy)?;
        let best = log_sum_exp(self.log_anchor.iter().zip(&wins).map(|(m, p)| m + p / self.tau));
        Ok((2.0 * self.tau * (best + divergence(policy, &self.anchor)) - 1.0).max(0.0))
    }

    /// KL(π* ‖ π) from the equilibrium.
    ///
    /// # Errors
    /// As [`RegularisedGame::against`], [`RegularisedGame::nash`].
    pub fn kl_to_nash(&self, policy: &[f64]) -> Result<f64> {
        self.check(policy)?;
        Ok(divergence(&self.nash(1e-12)?, policy))
    }

    /// The equilibrium π*, until no probability differs from that of its best response by more than `tolerance`.
    ///
    /// By extragradient steps of constant size η (Cen, Wei and Chi 2021), which look half a step ahead, so that cycles do not
    /// hold them up, and come nearer by a factor 1 − ητ/2 each: about 60/τ steps of K² for twelve digits.
    ///
    /// # Errors
    /// A tolerance that is not positive or out of reach.
    pub fn nash(&self, tolerance: f64) -> Result<Vec<f64>> {
        if !(tolerance.is_finite() && tolerance > 0.0) {
            return Err(Error::input("tolerance", tolerance, "a positive number, such as 1e-10"));
        }
        let eta = (1.0 / (2.0 * self.tau + 1.0)).min(0.5);
        let mut policy = self.anchor.clone();
        for _ in 0..STEPS {
            let ahead = self.step(&policy, &self.wins(&policy), eta);
            policy = self.step(&policy, &self.wins(&ahead), eta);
            let best = self.respond(&policy)?;
            if policy.iter().zip(&best).all(|(p, q)| (p - q).abs() <= tolerance) {
                return Ok(policy);
            }
        }
        let why = format!("no equilibrium to {tolerance} after {STEPS} steps at tau {}: raise either", self.tau);
        Err(Error::numeric("equilibrium", why))
    }

    /// π^(1 − ητ) μ^(ητ) exp(η wins)/Z.
    fn step(&self, policy: &[f64], wins: &[f64], eta: f64) -> Vec<f64> {
        let kept = 1.0 - eta * self.tau;
        let own = policy.iter().zip(&self.log_anchor).zip(wins);
        normalised(own.map(|((p, m), w)| mixed(kept, p.ln(), *m) + eta * w).collect())
    }

    /// π^(1 − β) μ^β/Z, the geometric mixture with the anchor.
    ///
    /// # Errors
    /// As [`RegularisedGame::against`], or β outside 0..1.
    pub fn mixture(&self, policy: &[f64], beta: f64) -> Result<Vec<f64>> {
        self.check(policy)?;
        check_beta(beta)?;
        Ok(self.mix(policy, beta))
    }

    fn mix(&self, policy: &[f64], beta: f64) -> Vec<f64> {
        normalised(policy.iter().zip(&self.log_anchor).map(|(p, m)| mixed(1.0 - beta, p.ln(), *m)).collect())
    }

    /// A step of Nash-MD (Munos et al. 2023): with m ∝ π^(1 − ητ) μ^(ητ), the policy m exp(η p(· ≻ m))/Z. With η = 2/(τ (t + 2)),
    /// KL(π* ‖ π_T) ≤ 8/(τ² (T + 1)) (from the one-step bound; not compared with the paper's text).
    ///
    /// # Errors
    /// As [`RegularisedGame::against`], or η outside 0 to 1/τ.
    pub fn nash_md(&self, policy: &[f64], eta: f64) -> Result<Vec<f64>> {
        self.check(policy)?;
        if !(0.0..=1.0 / self.tau).contains(&eta) {
            return Err(Error::input("eta", eta, format!("0 to {}, which is 1/tau", 1.0 / self.tau)));
        }
        let m = self.mix(policy, eta * self.tau);
        let wins = self.wins(&m);
        Ok(normalised(m.iter().zip(wins).map(|(m, w)| m.ln() + eta * w).collect()))
    }

    /// Where IPO-MD and Nash-MD's policy gradient stand still at a constant β: π = μ exp(p(· ≻ π_β)/τ)/Z with the mixture π_β,
    /// which is the equilibrium at τ/(1 − β). So π is the equilibrium at τ only for β = 0; for β = 1 it is the best response to
    /// the anchor. (Derived here, not from the paper.)
    ///
    /// # Errors
    /// β outside 0..1, or as [`RegularisedGame::nash`].
    pub fn mixture_point(&self, beta: f64, tolerance: f64) -> Result<Vec<f64>> {
        check_beta(beta)?;
        if beta == 1.0 {
            return self.respond(&self.anchor);
        }
        let softer = RegularisedGame { tau: self.tau / (1.0 - beta), ..self.clone() };
        self.respond(&softer.nash(tolerance)?)
    }

    fn check(&self, policy: &[f64]) -> Result<()> {
        if policy.len() != self.answers() {
            let got = format!("{} probabilities", policy.len());
            return Err(Error::input("policy", got, format!("{}, one an answer", self.answers())));
        }
        check_law("policy", policy)
    }
}

/// kept · a + (1 − kept) · b of logarithms, where 0 · −∞ is 0.
fn mixed(kept: f64, a: f64, b: f64) -> f64 {
    if kept == 0.0 {
        b
    } else if kept == 1.0 {
        a
    } else {
        kept * a + (1.0 - kept) * b
    }
}

/// That β is a share.
pub(super) fn check_beta(beta: f64) -> Result<()> {
    match (0.0..=1.0).contains(&beta) {
        true => Ok(()),
        false => Err(Error::input("beta", beta, "0 (the policy alone) to 1 (the anchor alone)")),
    }
}

fn check_law(what: &str, law: &[f64]) -> Result<()> {
    let sum: f64 = law.iter().sum();
    match law.iter().all(|p| *p >= 0.0) && (sum - 1.0).abs() <= SLACK {
        true => Ok(()),
        false => Err(Error::input(what, format!("{law:?} with the sum {sum}"), "probabilities from 0 that sum to 1")),
    }
}

/// Probabilities of their logarithms up to a constant.
pub(super) fn normalised(mut logs: Vec<f64>) -> Vec<f64> {
    let whole = log_sum_exp(logs.iter().copied());
    logs.iter_mut().for_each(|v| *v = (*v - whole).exp());
    logs
}

/// KL(p ‖ q).
pub(super) fn divergence(p: &[f64], q: &[f64]) -> f64 {
    p.iter().zip(q).filter(|(p, _)| **p > 0.0).map(|(p, q)| p * (p / q).ln()).sum()
}
