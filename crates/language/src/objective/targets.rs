//! Likelihood of one target or of many: MLE, MLE-Aug, MML, β-MML (Ni et al., ICLR 2023, arXiv 2205.14318).

use super::{Group, Pull, SequenceObjective, log_sum_exp};
use quadrat_core::{Error, Result, Settings};

/// How the likelihoods lᵢ = ln π(yᵢ) of several targets become one loss. The first target is the reference.
///
/// MLE-Aug teaches every target alike. MML, the likelihood that any of them is written, teaches most what the model writes
/// already, wᵢ = −softmax(l)ᵢ: the rich get richer. β-MML, wᵢ = −softmax(β l)ᵢ, lies between them: β = 1 is MML, and as β falls
/// to 0 the weights become those of the mean of MLE-Aug. (The authors' program also multiplies the MLE-Aug part of a mixture by
/// β; that is not done here.)
#[derive(Debug, Clone, Copy, PartialEq, Settings)]
#[param(name = "objective", default = MleAug)]
pub enum Targets {
    /// −l of the reference alone.
    Mle,
    /// −Σᵢ lᵢ: all targets alike.
    MleAug {
        /// The mean over targets in place of the sum, so that a task counts alike however many it has.
        #[param(default = false)]
        mean: bool,
    },
    /// −ln Σᵢ exp lᵢ: the probability that any target is written.
    Mml,
    /// −(1/β) ln Σᵢ exp(β lᵢ): between MML and the mean.
    BetaMml {
        /// The exponent β, of which 1 is MML.
        #[param(default = 0.25, above = 0, to = 1)]
        beta: f64,
    },
    /// A weighed sum of β-MML and MLE-Aug.
    Mixed {
        /// Weight of β-MML.
        #[param(default = 0.5, from = 0)]
        mml: f64,
        /// Weight of MLE-Aug.
        #[param(default = 0.5, from = 0)]
        mle: f64,
        /// The exponent β of β-MML in the sum.
        #[param(default = 1.0, above = 0, to = 1)]
        power: f64,
    },
}

impl SequenceObjective for Targets {
    fn pull(&self, group: &Group<'_>) -> Result<Pull> {
        group.check()?;
        let l = group.policy;
        match *self {
            Targets::Mle => {
                let mut weights = vec![0.0; l.len()];
                weights[0] = -1.0;
                Ok(Pull { loss: -l[0], weights })
            }
            Targets::MleAug { mean } => {
                let share = if mean { 1.0 / l.len() as f64 } else { 1.0 };
                Ok(Pull { loss: -share * l.iter().sum::<f64>(), weights: vec![-share; l.len()] })
            }
            Targets::Mml => marginal(l, 1.0),
            Targets::BetaMml { beta } => marginal(l, beta),
            Targets::Mixed { mml, mle, power } => {
                let all = marginal(l, power)?;
                let loss = mml * all.loss - mle * l.iter().sum::<f64>();
                Ok(Pull { loss, weights: all.weights.iter().map(|w| mml * w - mle).collect() })
            }
        }
    }
}

impl Targets {
    /// Whether the weights depend on the likelihoods, so that these must be known beforehand.
    pub fn reads_likelihoods(&self) -> bool {
        !matches!(self, Targets::Mle | Targets::MleAug { .. })
    }
}

/// −(1/β) ln Σᵢ exp(β lᵢ).
fn marginal(l: &[f64], beta: f64) -> Result<Pull> {
    if !(beta > 0.0 && beta <= 1.0) {
        return Err(Error::input("beta", beta, "above 0 and at most 1"));
    }
    let whole = log_sum_exp(l.iter().map(|l| beta * l));
    Ok(Pull { loss: -whole / beta, weights: l.iter().map(|l| -(beta * l - whole).exp()).collect() })
}
