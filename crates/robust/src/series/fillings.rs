//! Series whose holes are filled once, before a classifier sees them: what most people do.

use super::given::Given;
use super::layers::Temporal;
use super::scale::Shape;
use quadrat_core::{Area, Card, Result, Settings};
use quadrat_nn::{Forward, Spec, Tensor};
use serde::{Deserialize, Serialize};

/// What a hole gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fill {
    /// The number 0 in the file's units.
    Zero,
    /// The channel's mean over what was observed in training.
    Mean,
    /// The channel's last value; its mean before the first.
    Forward,
    /// The same, and the classifier is told what was observed.
    ForwardMask,
}

/// The classifier of a filling: the one that supnotMIWAE has.
#[derive(Debug, Clone, PartialEq, Settings, Serialize, Deserialize)]
pub struct Filled {
    /// Width of the network.
    #[param(default = 32, from = 1)]
    pub width: usize,
    /// Layers of the network; n of them see 2ⁿ − 1 steps before and after.
    #[param(default = 4, from = 1, to = 12)]
    pub layers: usize,
}

const fn card(slug: &'static str, title: &'static str, summary: &'static str) -> Card {
    Card {
        slug,
        aliases: &[],
        title,
        paper: "a textbook rule; here as a companion of supnotmiwae (arXiv 2308.06738)",
        area: Area::Robust,
        verbs: &["train", "impute"],
        summary,
        useful_when: "time series with missing values, a quick classifier; a simple companion to compare with",
        cost: "memory batch x times x width x 20 numbers; a prediction is one pass",
        params: Filled::PARAMS,
    }
}

pub(super) const ZERO: Card =
    card("zero-fill", "Zero filling", "Classifies series whose missing values are taken for 0.");
pub(super) const MEAN: Card =
    card("mean-fill", "Mean filling", "Classifies series whose missing values are taken for their channel's mean.");
pub(super) const FORWARD: Card = card(
    "forward-fill",
    "Forward filling",
    "Classifies series whose missing values are taken for the last value before them.",
);
pub(super) const FORWARD_MASK: Card = card(
    "forward-fill-mask",
    "Forward filling with a mask",
    "Classifies series whose missing values are taken for the last value before them, and tells the classifier which they are.",
);

impl Fill {
    /// The given series without holes: series x times x channels.
    pub(super) fn fill(self, given: &Given, shape: &Shape) -> Vec<f32> {
        let last = match self {
            Fill::Forward | Fill::ForwardMask => given.all_kept().last,
            Fill::Zero | Fill::Mean => Vec::new(),
        };
        let hole = |at: usize| match self {
            Fill::Zero => shape.zeros[at % shape.channels],
            Fill::Mean => 0.0,
            Fill::Forward | Fill::ForwardMask => last[at],
        };
        (0..given.values.len()).map(|at| if given.mask[at] == 1.0 { given.values[at] } else { hole(at) }).collect()
    }
}

impl Filled {
    fn classifier(&self, fill: Fill, shape: &Shape) -> Temporal {
        let inputs = if fill == Fill::ForwardMask { 2 * shape.channels } else { shape.channels };
        Temporal { name: "classifier", inputs, width: self.width, layers: self.layers, outputs: shape.classes }
    }

    pub(super) fn parameters(&self, fill: Fill, shape: &Shape) -> Vec<Spec> {
        self.classifier(fill, shape).specs()
    }

    pub(super) fn scores(&self, fill: Fill, forward: &mut Forward, given: &Given, shape: &Shape) -> Result<Tensor<2>> {
        let filled = given.tensor(&fill.fill(given, shape), given.size)?;
        let x = match fill {
            Fill::ForwardMask => Tensor::cat(vec![filled, given.tensor(&given.mask, given.size)?], 2),
            _ => filled,
        };
        self.classifier(fill, shape).whole(forward, given, 1, x)
    }
}
