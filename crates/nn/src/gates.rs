//! The network at given gates in evaluation mode: what tuning a hyperparameter by its gradient needs.

use crate::Network;
use crate::forward::{Forward, Vars, tensor_of};
use crate::loss::Loss;
use crate::method::{At, Batch, Run, TrainMethod};
use crate::parameters::Parameters;
use crate::tensors::values_of;
use quadrat_core::{Error, Result};
use std::ops::Range;

/// The share of the batch's mean loss that these rows have, and its gradient at their gates (flat) if `tracked`.
pub(crate) fn pass(
    network: &dyn Network,
    parameters: &Parameters,
    methods: &[&dyn TrainMethod],
    loss: Loss,
    batch: &Batch,
    rows: Range<usize>,
    tracked: bool,
) -> Result<(f64, Vec<f32>)> {
    let mut vars = if tracked { Vars::constants(parameters) } else { Vars::new(parameters, false) };
    for method in methods {
        method.reparametrise(&mut vars)?;
    }
    let mut tuning = batch.tuning_of(&rows, tracked);
    let gates = match &mut tuning {
        Some(tuning) if tracked => {
            tuning.gates = tuning.gates.take().map(|gates| gates.require_grad());
            tuning.gates.clone()
        }
        _ => None,
    };
    let mut forward = Forward::evaluation(&vars, tuning.as_ref());
    let outputs = network.forward(&mut forward, &batch.part(&rows).tensors(network, tracked)?)?;
    let targets = tensor_of(batch.targets.slice(ndarray::s![rows.clone(), ..]), tracked);
    let losses = batch.weigh(loss.rows(outputs, targets), &rows, tracked);
    let mean = losses.sum() / batch.rows.len() as f32;
    let value = |mean| f64::from(values_of(mean).first().copied().unwrap_or(f32::NAN));
    if !tracked {
        return Ok((value(mean), Vec::new()));
    }
    let none =
        || Error::input("gates", "none that a layer uses", "a batch with gates, a network with structured layers");
    let gates = gates.ok_or_else(none)?;
    let gradient = gates.grad_remove(&mut mean.backward()).ok_or_else(none)?;
    Ok((value(mean.inner()), values_of(gradient.reshape([-1]))))
}

impl Run<'_> {
    /// The sites where the network drops out, in the order in which a forward pass meets them.
    ///
    /// # Errors
    /// The network's own.
    pub fn dropout_sites(&self, parameters: &Parameters) -> Result<Vec<String>> {
        self.probe(parameters, |forward| forward.into_sites())
    }

    /// What `look` finds in an evaluation pass of one row.
    ///
    /// # Errors
    /// The network's own.
    pub fn probe<T>(&self, parameters: &Parameters, look: impl FnOnce(Forward<'_>) -> T) -> Result<T> {
        let vars = Vars::new(parameters, false);
        let mut forward = Forward::evaluation(&vars, None);
        let batch = self.data.batch(At { epoch: 0, step: 0 }, &[0])?;
        self.network.forward(&mut forward, &batch.part(&(0..1)).tensors(self.network, false)?)?;
        Ok(look(forward))
    }
}
