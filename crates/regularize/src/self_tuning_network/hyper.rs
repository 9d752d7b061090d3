//! Strengths that can be tuned, their ranges, and how they act on a batch.

use quadrat_core::{Error, Result, Rng};
use quadrat_nn::{Batch, Loss, Run};
use std::fmt;

/// A way to regularise whose strength is a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Strength {
    /// Dropout rate at a site of the network (`input`, `fc1`, …); `*` stands for every site it has.
    Dropout(String),
    /// Standard deviation of normal noise added to the inputs.
    InputNoise,
    /// ε: share of every target that goes to all classes alike.
    LabelSmoothing,
    /// λ of a penalty λ/2 ‖W‖² on the kernels.
    WeightDecay,
}

impl fmt::Display for Strength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Strength::Dropout(site) => write!(f, "dropout {site}"),
            Strength::InputNoise => f.write_str("input noise"),
            Strength::LabelSmoothing => f.write_str("label smoothing"),
            Strength::WeightDecay => f.write_str("weight decay"),
        }
    }
}

impl Strength {
    /// Whether all rows of a batch share one value.
    pub fn is_per_batch(&self) -> bool {
        *self == Strength::WeightDecay
    }

    /// Check that a run can have it; `sites` are where its network drops out.
    ///
    /// # Errors
    /// A site that the network does not have, label smoothing without classes, noise on tokens.
    pub(super) fn check(&self, run: &Run<'_>, sites: &[String]) -> Result<()> {
        match self {
            Strength::Dropout(site) if !sites.contains(site) => {
                let want = format!("the network drops out at: {}", sites.join(", "));
                Err(Error::input("dropout", format!("site `{site}`"), want))
            }
            Strength::LabelSmoothing if !run.loss.is_classification() => Err(Error::input(
                "label smoothing",
                format!("loss {:?}", run.loss),
                "it softens the targets of classes",
            )),
            Strength::InputNoise if matches!(run.loss, Loss::Tokens { .. }) => {
                Err(Error::input("input noise", "tokens", "inputs must be quantities"))
            }
            _ => Ok(()),
        }
    }

    /// Change a batch as this strength says, with `values[i]` for row i. A weight decay changes no batch.
    pub(crate) fn apply(&self, batch: &mut Batch, values: &[f32], rng: &mut Rng) {
        match self {
            Strength::Dropout(site) => {
                batch.tuning.get_or_insert_default().dropout.push((site.clone(), values.to_vec()));
            }
            Strength::InputNoise => {
                for (mut row, value) in batch.inputs.outer_iter_mut().zip(values) {
                    row.mapv_inplace(|x| x + value * rng.normal() as f32);
                }
            }
            Strength::LabelSmoothing => {
                let share = 1.0 / batch.targets.ncols() as f32;
                for (mut row, value) in batch.targets.outer_iter_mut().zip(values) {
                    row.mapv_inplace(|s| (1.0 - value) * s + value * share);
                }
            }
            Strength::WeightDecay => {}
        }
    }
}

/// Hyperparameters with `*` replaced by those of the network's dropout sites that are not named.
///
/// # Errors
/// None, or one twice.
pub(super) fn expand(given: &[Hyper], sites: &[String]) -> Result<Vec<Hyper>> {
    let named = |strength: &Strength| given.iter().any(|hyper| hyper.strength == *strength);
    let mut all = Vec::new();
    for hyper in given {
        hyper.check()?;
        if hyper.strength == Strength::Dropout("*".to_owned()) {
            let each = sites.iter().map(|site| Strength::Dropout(site.clone())).filter(|one| !named(one));
            all.extend(each.map(|strength| Hyper { strength, ..hyper.clone() }));
        } else {
            all.push(hyper.clone());
        }
    }
    if all.is_empty() {
        let want =
            "name at least one that this network has: a dropout site, input noise, label smoothing, weight decay";
        return Err(Error::input("hyperparameters", "none", want));
    }
    match (1..all.len()).find(|&i| all[..i].iter().any(|earlier| earlier.strength == all[i].strength)) {
        Some(i) => Err(Error::input("hyperparameters", format!("{} twice", all[i].strength), "each at most once")),
        None => Ok(all),
    }
}

/// A strength to be tuned.
#[derive(Debug, Clone, PartialEq)]
pub struct Hyper {
    /// What is tuned.
    pub strength: Strength,
    /// Where it starts, inside the range.
    pub value: f64,
    /// Between what it stays, ends excluded; the upper end may be infinite.
    pub range: (f64, f64),
    /// Standard deviation of the perturbation of its free coordinate at the start.
    pub scale: f64,
}

impl Hyper {
    /// Dropout at a site (`*`: at every site) between 0 and 0.9, from 0.05.
    pub fn dropout(site: &str) -> Self {
        Hyper { strength: Strength::Dropout(site.to_owned()), value: 0.05, range: (0.0, 0.9), scale: 0.5 }
    }

    /// Input noise above 0, from 0.05.
    pub fn input_noise() -> Self {
        Hyper { strength: Strength::InputNoise, value: 0.05, range: (0.0, f64::INFINITY), scale: 0.5 }
    }

    /// Label smoothing between 0 and 0.9, from 0.02.
    pub fn label_smoothing() -> Self {
        Hyper { strength: Strength::LabelSmoothing, value: 0.02, range: (0.0, 0.9), scale: 0.5 }
    }

    /// Weight decay above 0, from 1e-4.
    pub fn weight_decay() -> Self {
        Hyper { strength: Strength::WeightDecay, value: 1e-4, range: (0.0, f64::INFINITY), scale: 0.5 }
    }

    /// From text: `dropout`, `dropout:SITE`, `noise`, `smoothing` or `decay`, with `=VALUE` to start elsewhere.
    ///
    /// # Errors
    /// Something else.
    pub fn parse(text: &str) -> Result<Self> {
        let (name, value) = text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value)));
        let unknown = || {
            let want = "dropout, dropout:SITE, noise, smoothing or decay, each with =VALUE to start elsewhere";
            Error::input("tune", format!("`{text}`"), want)
        };
        let hyper = match name.trim() {
            "dropout" => Hyper::dropout("*"),
            "noise" => Hyper::input_noise(),
            "smoothing" => Hyper::label_smoothing(),
            "decay" => Hyper::weight_decay(),
            other => Hyper::dropout(other.strip_prefix("dropout:").ok_or_else(unknown)?),
        };
        let value = match value {
            Some(value) => value.trim().parse().map_err(|_| unknown())?,
            None => hyper.value,
        };
        let hyper = Hyper { value, ..hyper };
        hyper.check()?;
        Ok(hyper)
    }

    /// Check start, range and scale.
    ///
    /// # Errors
    /// A range that is none or begins below 0 (above 1 in dropout and smoothing), a start outside or at its end, a scale
    /// that is not positive.
    pub fn check(&self) -> Result<()> {
        let (low, high) = self.range;
        let most = match self.strength {
            Strength::Dropout(_) | Strength::LabelSmoothing => 1.0,
            Strength::InputNoise | Strength::WeightDecay => f64::INFINITY,
        };
        if !(0.0 <= low && low < high && high <= most && low.is_finite()) {
            let want = format!("a lower end of 0 or more and an upper end above it, at most {most}");
            return Err(Error::input(format!("range of {}", self.strength), format!("({low}, {high})"), want));
        }
        if self.value == low || self.value == high {
            let got = format!("{}, the end of ({low}, {high})", self.value);
            let inside = if high.is_finite() { low + 0.05 * (high - low) } else { low + 0.05 };
            return Err(Error::input(
                self.strength.to_string(),
                got,
                format!("start inside, at {inside:.3} for example"),
            ));
        }
        if !(low < self.value && self.value < high) {
            let want = format!("start between {low} and {high}");
            return Err(Error::input(self.strength.to_string(), self.value, want));
        }
        if !(self.scale.is_finite() && self.scale > 0.0) {
            let what = format!("scale of {}", self.strength);
            return Err(Error::input(what, self.scale, "a positive number, 0.5 for example"));
        }
        Ok(())
    }

    /// The value at a free coordinate: low + (high − low) σ(u), or low + softplus(u) without an upper end.
    pub fn at(&self, u: f64) -> f64 {
        let (low, high) = self.range;
        if high.is_finite() { low + (high - low) / (1.0 + (-u).exp()) } else { low + softplus(u) }
    }

    /// The free coordinate of a value inside the range.
    pub fn free(&self, value: f64) -> f64 {
        let (low, high) = self.range;
        if high.is_finite() { ((value - low) / (high - value)).ln() } else { softplus_inverse(value - low) }
    }
}

/// ln(1 + eˣ).
pub(super) fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// The x whose softplus is y > 0; exp(y) is never formed, it overflows.
pub(super) fn softplus_inverse(y: f64) -> f64 {
    y + (-(-y).exp_m1()).ln()
}
