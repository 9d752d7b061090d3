//! Layers of units.

use crate::forward::{Activation, Forward};
use crate::{Inputs, Jet, Network, Spec};
use burn_tensor::Tensor;
use quadrat_core::Result;
use serde::{Deserialize, Serialize};

/// A multilayer perceptron: linear layers `fc1`, `fc2`, … with an activation and dropout after all but the last.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mlp {
    /// Numbers in a row.
    pub inputs: usize,
    /// Units of each hidden layer.
    pub hidden: Vec<usize>,
    /// Outputs.
    pub outputs: usize,
    /// After each hidden layer.
    pub activation: Activation,
    /// Dropout rate of the inputs (site `input`).
    pub input_dropout: f32,
    /// Dropout rate after hidden layers (sites `fc1`, `fc2`, …).
    pub dropout: f32,
}

impl Mlp {
    /// Rectified units, no dropout.
    pub fn new(inputs: usize, hidden: &[usize], outputs: usize) -> Self {
        let hidden = hidden.to_vec();
        Mlp { inputs, hidden, outputs, activation: Activation::Relu, input_dropout: 0.0, dropout: 0.0 }
    }

    /// The outputs with the derivatives that `jet` carries of the inputs ([`Jet::of_inputs`], or some of them), without
    /// dropout. Costs a pass for the values, each direction and each sum.
    ///
    /// # Errors
    /// An activation that is not smooth, or a kernel of which only a part is stored.
    pub fn jet(&self, forward: &Forward, mut jet: Jet) -> Result<Jet> {
        let last = self.hidden.len() + 1;
        for i in 1..=last {
            let vars = forward.vars();
            jet = jet.linear(&vars.get(&format!("fc{i}.weight"))?, Some(&vars.flat(&format!("fc{i}.bias"))?));
            jet = if i < last { jet.activate(self.activation)? } else { jet };
        }
        Ok(jet)
    }
}

impl Network for Mlp {
    fn inputs(&self) -> usize {
        self.inputs
    }

    fn outputs(&self) -> usize {
        self.outputs
    }

    fn parameters(&self) -> Vec<Spec> {
        let mut widths = vec![self.inputs];
        widths.extend(&self.hidden);
        widths.push(self.outputs);
        let last = widths.len() - 2;
        // Half of what rectifiers and their like are given is lost.
        let halves = matches!(self.activation, Activation::Relu | Activation::Gelu | Activation::Silu);
        let gain = |i| if i < last && halves { std::f32::consts::SQRT_2 } else { 1.0 };
        let layer = |i: usize| Spec::linear(&format!("fc{}", i + 1), widths[i], widths[i + 1], gain(i));
        (0..=last).flat_map(layer).collect()
    }

    fn forward(&self, forward: &mut Forward, inputs: &Inputs) -> Result<Tensor<2>> {
        let mut x = forward.dropout("input", inputs.numbers(), self.input_dropout);
        for i in 1..=self.hidden.len() {
            let name = format!("fc{i}");
            x = self.activation.apply(forward.linear(&name, x)?);
            x = forward.dropout(&name, x, self.dropout);
        }
        forward.head(&format!("fc{}", self.hidden.len() + 1), x)
    }
}
