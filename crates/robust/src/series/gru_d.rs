//! GRU-D: a gated recurrent unit whose inputs and state decay while nothing is observed.
//!
//! Che, Purushotham, Cho, Sontag and Liu, "Recurrent Neural Networks for Multivariate Time Series with Missing Values", Scientific
//! Reports 8, 2018 (arXiv 1606.01865). With the time δ since a channel was observed (eq. 10 to 12):
//!
//! > x̂ = m x + (1 − m) (γₓ x_last + (1 − γₓ) mean),  h ← γₕ h,  γ = exp(−max(0, W δ + b)),  W diagonal for γₓ,
//!
//! and the gates of the unit see x̂, the mask m and h. On the model's scale the mean is 0. Without dropout and batch normalisation.

use super::given::Given;
use super::layers::linear;
use super::scale::Shape;
use super::supnotmiwae::decay;
use quadrat_core::{Area, Card, Method, Result, Settings};
use quadrat_nn::{Forward, Init, Role, Spec, Tensor, ops, sigmoid};
use serde::{Deserialize, Serialize};

/// GRU-D.
#[derive(Debug, Clone, PartialEq, Settings, Serialize, Deserialize)]
pub struct GruD {
    /// Numbers in the state.
    #[param(default = 32, from = 1)]
    pub width: usize,
}

impl Method for GruD {
    const CARD: Card = Card {
        slug: "gru-d",
        aliases: &["grud"],
        title: "GRU-D",
        paper: "Che, Purushotham, Cho, Sontag and Liu, Scientific Reports 8, 2018, arXiv 1606.01865",
        area: Area::Robust,
        verbs: &["train", "impute"],
        summary: "Classifies series with holes by a recurrent network in which what was seen fades while nothing is observed.",
        useful_when: "time series with missing values, irregular measurements whose pattern itself tells something",
        cost: "times one after the other: batch x width x (channels + width) x 6 operations each; a prediction is one pass",
        params: Self::PARAMS,
    };
}

impl GruD {
    pub(super) fn parameters(&self, shape: &Shape) -> Vec<Spec> {
        let (d, h) = (shape.channels, self.width);
        let mut specs = vec![
            Spec::new("input.weight", &[d], Role::Other, Init::Constant(0.0)),
            Spec::new("input.bias", &[d], Role::Other, Init::Constant(0.05)),
        ];
        specs.extend(Spec::linear("state", d, h, 0.1));
        specs.extend(Spec::linear("gates.x", 2 * d, 3 * h, 1.0));
        specs.extend(Spec::linear("gates.h", h, 2 * h, 1.0));
        specs.extend(Spec::linear("candidate.h", h, h, 1.0));
        specs.extend(Spec::linear("out", h, shape.classes, 1.0));
        specs
    }

    /// x̂: what was observed, and what has faded of it in holes.
    pub(super) fn filled(&self, forward: &mut Forward, given: &Given) -> Result<Tensor<3>> {
        let kept = given.all_kept();
        let [x, m] = given.observed(1)?;
        let gamma = decay(forward, "input", given.tensor(&kept.since, given.size)?)?;
        Ok(m.clone() * x + (m.neg() + 1.0) * gamma * given.tensor(&kept.last, given.size)?)
    }

    pub(super) fn scores(&self, forward: &mut Forward, given: &Given) -> Result<Tensor<2>> {
        let ([n, t, _], h) = (given.size, self.width);
        let filled = self.filled(forward, given)?;
        let [_, m] = given.observed(1)?;
        let since = given.tensor(&given.all_kept().since, given.size)?;
        let fades = linear(forward, "state", since)?.clamp_min(0.0).neg().exp();
        let inputs = linear(forward, "gates.x", Tensor::cat(vec![filled, m], 2))?;
        let valid = given.valid(1)?;
        let at = |all: &Tensor<3>, time: usize, from: usize, width: usize| -> Tensor<2> {
            all.clone().slice([0..n, time..time + 1, from..from + width]).reshape([n, width])
        };
        let mut state = at(&fades, 0, 0, h) * 0.0;
        for time in 0..t {
            let before = state.clone();
            let faded = at(&fades, time, 0, h) * state;
            let gates = sigmoid(at(&inputs, time, 0, 2 * h) + forward.linear("gates.h", faded.clone())?);
            let update = gates.clone().slice([0..n, 0..h]);
            let reset = gates.slice([0..n, h..2 * h]);
            let new = ops::tanh(at(&inputs, time, 2 * h, h) + forward.linear("candidate.h", reset * faded.clone())?);
            let after = (update.clone().neg() + 1.0) * faded + update * new;
            // Padding leaves the state as it is.
            let there = at(&valid, time, 0, 1);
            state = there.clone() * after + (there.neg() + 1.0) * before;
        }
        forward.head("out", state)
    }
}
