//! Many expectations from one sample: adaptive importance sampling with control variates.
//!
//! Demange-Chryst, Bachoc, Morio, "Efficient estimation of multiple expectations with the same sample by adaptive
//! importance sampling and control variates", Statistics and Computing 2023 (arXiv 2212.00568).
//!
//! Wanted are I_j = E_{f_j}[phi_j(X)] for j = 1 .. J from N evaluations of all phi together. Were phi_j >= 0, the density
//! g_j* = phi_j f_j / I_j would give I_j from one point. A mixture g_a = sum_j a_j g_j* serves every target at once, and
//! since each g_j* / g_a has mean 1 it can be subtracted as a control variate with coefficient b_j = I_j:
//!
//! ```text
//! I_j ~ b_j + (1/N) sum_i [phi_j(X_i) f_j(X_i) - b_j g_j(X_i)] / g_a(X_i),   X_i from g_a
//! ```
//!
//! has then no variance at all, whatever the weights a. The true g_j* need the I_j, so normal stand-ins g_j, the weights
//! and the coefficients are learned in rounds on at most half of the budget; the rest is a fresh sample, for which they
//! are constants: the estimates are unbiased and their standard errors those of plain means.
//!
//! Choices of ours: the ridge of a fit is 1e-6 of the input's own variance (the authors add 1e-6, which depends on units);
//! the weights come from a multiplicative update with an optimality bound in place of SLSQP; a signed phi_j is fitted by
//! |phi_j|, or split into its two parts ([`Signed`]), where the published code takes the root of negative numbers; a share
//! of h_0 can be kept in every round against tails heavier than those of the normals (`defence`).
//!
//! What its claim measured: on the paper's beam, in twelve dimensions, 20,000 points leave a fourteenth of Monte Carlo's
//! squared error, and 5,000 hardly less than all of it: full covariances take many points to adapt.

mod normals;
mod points;
mod problem;
mod proposal;
pub(crate) mod standard;
mod terms;
mod weights;

#[cfg(test)]
mod tests;

pub use normals::{NormalMixture, ln_densities};
pub use problem::{Expectations, Problem, by_point};

use crate::sobol::SobolSettings;
use ndarray::{Array2, ArrayView1};
use normals::ln_add;
use points::{Part, evaluate};
use proposal::Proposal;
use quadrat_core::{Area, Card, Error, Param, Progress, Result, Seed, Settings, checkpoint, stats};
use rayon::prelude::*;
use terms::{Terms, joined};
use weights::{best_weights, dot};

pub(crate) static CARD: Card = Card {
    slug: "adaptive-iscv",
    aliases: &["iscv", "sobol"],
    title: "Many expectations from one sample by adaptive importance sampling with control variates",
    paper: "Demange-Chryst, Bachoc, Morio: Efficient estimation of multiple expectations with the same sample by adaptive \
            importance sampling and control variates, Statistics and Computing 2023 (arXiv 2212.00568)",
    area: Area::Estimate,
    verbs: &["estimate sobol", "estimate expect"],
    summary: "Estimates many expectations of an expensive model at once (Sobol' indices, moments, means under many input \
              laws) from one adaptive sample, unbiased and with a standard error for each. `estimate sobol` also offers \
              the usual Saltelli and Jansen estimators on scrambled Sobol' points, more accurate on smooth models with few \
              inputs; `estimate expect` gives means and probabilities.",
    useful_when: "sensitivity analysis of a simulator, which inputs matter, Sobol indices with error bars, variance \
                  reduction, importance sampling, uncertainty quantification, mean under many candidate distributions",
    cost: "N evaluations of the model for each point's targets; besides them time O(N J (d^2 + rounds)), memory O(N J), for \
           J targets in d dimensions",
    params: &Param::pick(&[Calls::PARAMS, SobolSettings::PARAMS], ["calls", "method", "resamples"]),
};

/// How long a model may be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Settings)]
pub struct Calls {
    /// Runs of the model in all.
    #[param(none = "none", from = 1)]
    pub calls: Option<usize>,
}

/// What stands in for an ideal density.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Family {
    /// One normal.
    #[default]
    Single,
    /// A mixture of this many normals.
    Mixture(usize),
}

/// Covariances of the normals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Covariance {
    /// All entries; only the diagonal where fewer than 2 d points carry the weight.
    #[default]
    Full,
    /// The diagonal.
    Diagonal,
}

/// How a phi_j with both signs is fitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Signed {
    /// By |phi_j|.
    #[default]
    Absolute,
    /// As two targets, its positive and its negative part, if the first round has seen both.
    Split,
}

/// The method and its parameters.
///
/// See [`Expectations`] for an example.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdaptiveIscv {
    /// N: points in all, at least 20.
    pub budget: usize,
    /// What stands in for an ideal density.
    pub family: Family,
    /// Covariances of the normals.
    pub covariance: Covariance,
    /// Share of the budget in each round of adaptation.
    pub batch_frac: f64,
    /// Share of the budget that adaptation may use.
    pub adapt_frac: f64,
    /// Whether to end with the round before the last where its variance was smaller (the published code never does).
    pub keep_best: bool,
    /// How a phi_j with both signs is fitted.
    pub signed: Signed,
    /// Share of every round that is drawn from h_0, 0 to below 1 (ours; the paper has none). Above 0 no point can weigh
    /// more than 1 / defence times what it would under h_0, which guards against targets with tails heavier than normal.
    pub defence: f64,
}

impl Default for AdaptiveIscv {
    fn default() -> Self {
        AdaptiveIscv {
            budget: 10_000,
            family: Family::Single,
            covariance: Covariance::Full,
            batch_frac: 0.1,
            adapt_frac: 0.5,
            keep_best: false,
            signed: Signed::Absolute,
            defence: 0.0,
        }
    }
}

/// Expectations with their errors.
#[derive(Debug, Clone)]
pub struct MultiEstimate {
    /// The estimates of I_1 .. I_J.
    pub value: Vec<f64>,
    /// Their standard errors.
    pub std_err: Vec<f64>,
    /// Their covariances, J x J.
    pub cov: Array2<f64>,
    /// One row for each point of the final sample, whose mean is `value`: for functions of several expectations.
    pub terms: Array2<f64>,
    /// The estimates of the same sample without control variates.
    pub raw: Vec<f64>,
    /// Points evaluated.
    pub n_evals: usize,
    /// Rounds of adaptation, the first sample included.
    pub rounds: usize,
    /// The densities g_j (one a target; two for a target that was split), or none if the first sample was kept.
    pub mixture: Vec<NormalMixture>,
    /// Their weights in g_a.
    pub a: Vec<f64>,
    /// The coefficients of the control variates.
    pub b: Vec<f64>,
    /// For each target the effective number of points of the final sample: (sum |t|)^2 / sum t^2 of its terms t before
    /// control.
    pub ess: Vec<f64>,
    /// What makes the result doubtful.
    pub warnings: Vec<String>,
}

/// A proposal with the coefficients of its control variates and the variance V_j of one term.
#[derive(Clone)]
struct Adapted {
    proposal: Proposal,
    b: Vec<f64>,
    variance: Vec<f64>,
}

impl AdaptiveIscv {
    /// Estimates all expectations, for the least sum of `weights[j]` times the variance of the j-th.
    ///
    /// # Errors
    /// Parameters out of range; weights of another number, negative, not finite or all zero; values that are not finite
    /// or of another shape; a target that is zero at every point of the first round.
    pub fn estimate(
        &self,
        problem: &dyn Problem,
        weights: &[f64],
        seed: Seed,
        progress: &dyn Progress,
    ) -> Result<MultiEstimate> {
        self.check(problem, weights)?;
        let batch = ((self.batch_frac * self.budget as f64).round() as usize).max(2);
        let adapt = (self.adapt_frac * self.budget as f64) as usize;
        progress.begin("adaptive sampling", Some(self.budget as u64));

        // 1. A first sample from h_0 gives I, V and a first b and a.
        let h0 = Proposal { g: Vec::new(), a: Vec::new(), defence: 1.0 };
        let first = evaluate(problem, h0.draw(problem, batch, seed.stream("round 1")))?;
        let parts = self.parts(&first.y);
        let m = parts.len();
        let w: Vec<f64> = parts.iter().map(|part| weights[part.target]).collect();
        let mut points = first.split(&parts);
        let scales: Vec<f64> = points.x.columns().into_iter().map(spread).collect();
        // ln of the sum over the rounds of (points drawn) x (density drawn from), at every point.
        let mut ln_sum: Vec<f64> = h0.ln_density(&points).iter().map(|ln| ln + (batch as f64).ln()).collect();
        let terms = Terms::of(&points, &h0);
        check_mass(problem, &terms.t, &parts)?;
        let mut now = Adapted { proposal: h0.clone(), b: terms.means(), variance: terms.variances() };
        now.proposal.a = simplex(now.b.iter().zip(&w).map(|(i, w)| w.sqrt() * i.abs()).collect());
        let mut past = vec![h0];
        progress.advance(batch as u64);

        loop {
            checkpoint(progress)?;
            let used = batch * past.len();
            let round = format!("round {}", past.len() + 1);
            let ln_h: Vec<f64> = ln_sum.iter().map(|ln| ln - (used as f64).ln()).collect();

            // 2. Each g_j is fitted to all points so far, with weights c_ij = W_ij Y_ij, by cross-entropy.
            let wy = points.ratios(&ln_h);
            let fits = seed.stream("fit").stream(&round);
            let g: Vec<NormalMixture> = (0..m)
                .into_par_iter()
                .map(|j| {
                    let mut c: Vec<f64> = wy.column(j).iter().map(|r| r.abs()).collect();
                    if c.iter().all(|c| *c == 0.0) {
                        // A target that has not been seen and may not exist: any g_j leaves it unbiased.
                        c.fill(1.0);
                    }
                    let rng = &mut fits.rng(j as u64);
                    let g = NormalMixture::fit(points.x.view(), &c, self.family, self.covariance, &scales, rng);
                    g.ok_or_else(|| {
                        Error::numeric(problem.name(parts[j].target), "its weights overflow; rescale its values")
                    })
                })
                .collect::<Result<_>>()?;

            // 3. The weights of the mixture: F's terms, relative to h.
            let ln_g = ln_densities(&g, points.x.view());
            let mut relative = ln_g.clone();
            relative.rows_mut().into_iter().zip(&ln_h).for_each(|(mut g, h)| g.mapv_inplace(|ln| (ln - h).exp()));
            let squares = |wy: ArrayView1<f64>, g: ArrayView1<f64>| -> f64 {
                (0..m).map(|j| w[j] * (wy[j] - now.b[j] * g[j]).powi(2)).sum()
            };
            let c: Vec<f64> = wy.rows().into_iter().zip(relative.rows()).map(|(wy, g)| squares(wy, g)).collect();
            let start = now.proposal.a.iter().map(|a| 0.5 * a + 0.5 / m as f64).collect();
            let a = best_weights(&c, &relative, start);
            let proposal = Proposal { g, a, defence: self.defence };

            // 4. New points from g_a; the old ones learn of the new density, the new ones of all.
            let new = evaluate(problem, proposal.draw(problem, batch, seed.stream(&round)))?.split(&parts);
            let ln_batch = (batch as f64).ln();
            for (sum, ln) in ln_sum.iter_mut().zip(proposal.ln_mixture(&ln_g, &points)) {
                *sum = ln_add(*sum, ln_batch + ln);
            }
            past.push(proposal.clone());
            let mut ln_new = vec![f64::NEG_INFINITY; batch];
            for density in &past {
                let ln = density.ln_density(&new);
                ln_new.iter_mut().zip(ln).for_each(|(sum, ln)| *sum = ln_add(*sum, ln_batch + ln));
            }
            ln_sum.extend(ln_new);
            points.append(&new)?;

            // 5. Coefficients and variances, on the new points only.
            let terms = Terms::of(&new, &proposal);
            let b = terms.coefficients();
            let next = Adapted { proposal, variance: terms.controlled(&b).variances(), b };
            progress.advance(batch as u64);

            // 6. Stop when the round cost more than it brought, or when adaptation has had its share.
            let total = |adapted: &Adapted| dot(&w, &adapted.variance);
            let (before, after) = (self.budget - used, self.budget - used - batch);
            let stop = total(&now) / before as f64 <= total(&next) / after as f64 || used + 2 * batch > adapt;
            if !(stop && self.keep_best && total(&now) < total(&next)) {
                now = next;
            }
            if stop {
                break;
            }
        }

        // 7. The rest of the budget is a fresh sample, for which a, b and g are constants.
        checkpoint(progress)?;
        let left = self.budget - batch * past.len();
        let fresh = evaluate(problem, now.proposal.draw(problem, left, seed.stream("final")))?.split(&parts);
        let terms = Terms::of(&fresh, &now.proposal);
        progress.advance(left as u64);
        let mut estimate = joined(problem.targets(), &parts, &terms, &now)?;
        estimate.n_evals = self.budget;
        estimate.rounds = past.len();
        estimate.warnings = self.warnings(problem, batch, &estimate);
        Ok(estimate)
    }

    fn check(&self, problem: &dyn Problem, weights: &[f64]) -> Result<()> {
        if self.budget < 20 {
            return Err(Error::input("budget", self.budget, "adaptive sampling needs at least 20 points"));
        }
        // Two rounds must fit, and the final sample must not starve.
        if !(self.batch_frac > 0.0 && 2.0 * self.batch_frac <= self.adapt_frac && self.adapt_frac <= 0.9) {
            let got = format!("batch {}, adaptation {}", self.batch_frac, self.adapt_frac);
            let want =
                "shares of the budget: the batch's above 0, the adaptation's at least twice that and at most 0.9";
            return Err(Error::input("adaptation", got, want));
        }
        if !(0.0..1.0).contains(&self.defence) {
            return Err(Error::input("defence", self.defence, "use a share of at least 0 and below 1"));
        }
        if self.family == Family::Mixture(0) {
            return Err(Error::input("family", "a mixture of 0 normals", "use at least 1"));
        }
        let (d, j) = (problem.dim(), problem.targets());
        if d == 0 || j == 0 {
            return Err(Error::input("problem", format!("{d} inputs, {j} targets"), "it needs at least one of each"));
        }
        if weights.len() != j {
            return Err(Error::input("weights", weights.len(), format!("give one for each of {j} targets")));
        }
        if let Some(w) = weights.iter().find(|w| !(w.is_finite() && **w >= 0.0)) {
            return Err(Error::input("weights", w, "they must be finite and at least 0"));
        }
        if weights.iter().all(|w| *w == 0.0) {
            return Err(Error::input("weights", "all zero", "give at least one target a positive weight"));
        }
        Ok(())
    }

    /// The columns to work with: a target that has shown both signs becomes two if they are to be split.
    fn parts(&self, y: &Array2<f64>) -> Vec<Part> {
        let part = |(target, y): (usize, ArrayView1<f64>)| {
            let both = y.iter().any(|v| *v > 0.0) && y.iter().any(|v| *v < 0.0);
            let signs: &[Option<f64>] =
                if self.signed == Signed::Split && both { &[Some(1.0), Some(-1.0)] } else { &[None] };
            signs.iter().map(move |sign| Part { target, sign: *sign })
        };
        y.columns().into_iter().enumerate().flat_map(part).collect()
    }

    fn warnings(&self, problem: &dyn Problem, batch: usize, estimate: &MultiEstimate) -> Vec<String> {
        let dim = problem.dim();
        let mut warnings = Vec::new();
        if batch < 10 * dim {
            let safer = (10.0 * dim as f64 / self.batch_frac).ceil();
            warnings.push(format!(
                "{batch} points a round are few to fit densities in {dim} dimensions; {safer} points in all would give \
                 10 a dimension"
            ));
        }
        let few = estimate.ess.iter().enumerate().filter(|(_, ess)| **ess > 0.0 && **ess < 30.0);
        let few: Vec<String> = few.map(|(j, _)| problem.name(j)).collect();
        if !few.is_empty() {
            let few = few.join(", ");
            warnings.push(format!("fewer than 30 effective points carry {few}: do not trust the standard error"));
        }
        warnings
    }
}

/// Every part must have been seen.
fn check_mass(problem: &dyn Problem, wy: &Array2<f64>, parts: &[Part]) -> Result<()> {
    for (part, column) in parts.iter().zip(wy.columns()) {
        let mass: f64 = column.iter().map(|r| r.abs()).sum();
        if mass == 0.0 && !problem.may_vanish(part.target) {
            let why = "never hit: it is zero at every point of the first round; widen the initial distribution, or give \
                       a larger budget";
            return Err(Error::numeric(problem.name(part.target), why));
        }
        if !mass.is_finite() {
            return Err(Error::numeric(
                problem.name(part.target),
                "its values overflow when they are summed; rescale them",
            ));
        }
    }
    Ok(())
}

/// `a` over its sum; even where that is zero.
fn simplex(mut a: Vec<f64>) -> Vec<f64> {
    let (sum, even) = (a.iter().sum::<f64>(), 1.0 / a.len() as f64);
    a.iter_mut().for_each(|a| *a = if sum > 0.0 { *a / sum } else { even });
    a
}

/// The variance of an input, 1 for one that does not vary.
fn spread(x: ArrayView1<f64>) -> f64 {
    let variance = stats::variance(&x.to_vec());
    if variance > 0.0 { variance } else { 1.0 }
}
