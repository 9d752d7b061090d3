//! Layers of units.

use crate::forward::{Activation, Forward};
use crate::{Jet, Network, Spec};
use burn_tensor::Tensor;
use quadrat_core::{Error, Result};
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

    /// The outputs with their derivatives by the inputs, without dropout. Costs two more passes than there are inputs.
    ///
    /// # Errors
    /// Another activation than the hyperbolic tangent, or a kernel of which only a part is stored.
    pub fn jet(&self, forward: &Forward, inputs: Tensor<2>) -> Result<Jet> {
        if self.activation != Activation::Tanh {
            let got = format!("{:?}", self.activation);
            return Err(Error::input("activation", got, "Tanh: second derivatives are needed"));
        }
        let mut jet = Jet::of_inputs(inputs);
        let last = self.hidden.len() + 1;
        for i in 1..=last {
            let vars = forward.vars();
            jet = jet.linear(&vars.get(&format!("fc{i}.weight"))?, &vars.flat(&format!("fc{i}.bias"))?);
            jet = if i < last { jet.tanh() } else { jet };
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
        let gain = |i| if i == last || self.activation == Activation::Tanh { 1.0 } else { std::f32::consts::SQRT_2 };
        let layer = |i: usize| Spec::linear(&format!("fc{}", i + 1), widths[i], widths[i + 1], gain(i));
        (0..=last).flat_map(layer).collect()
    }

    fn forward(&self, forward: &mut Forward, inputs: Tensor<2>) -> Result<Tensor<2>> {
        let mut x = forward.dropout("input", inputs, self.input_dropout);
        for i in 1..=self.hidden.len() {
            let name = format!("fc{i}");
            x = self.activation.apply(forward.linear(&name, x)?);
            x = forward.dropout(&name, x, self.dropout);
        }
        forward.tap("features", &x);
        forward.linear(&format!("fc{}", self.hidden.len() + 1), x)
    }
}
