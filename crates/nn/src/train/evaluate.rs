//! What a network says of rows, and how good that is.

use crate::Network;
use crate::forward::{Forward, Vars, tensor_of};
use crate::loss::Loss;
use crate::method::TrainMethod;
use crate::parameters::Parameters;
use crate::samples::Samples;
use crate::tensors::values_of;
use crate::workers::Workers;
use ndarray::{Array2, ArrayView2, s};
use quadrat_core::{Error, Result};
use quadrat_numeric::{calibration, check_finite};

/// Outputs (scores, rows x outputs) of a network in evaluation mode, with methods that are not folded in yet.
///
/// # Errors
/// Inputs of another width or that are not finite, or the network's own.
pub fn predict(
    network: &dyn Network,
    parameters: &Parameters,
    inputs: ArrayView2<f32>,
    methods: &[&dyn TrainMethod],
) -> Result<Array2<f32>> {
    if inputs.ncols() != network.inputs() {
        return Err(wrong_width(network, inputs.ncols()));
    }
    check_finite("inputs", inputs)?;
    predict_on(&Workers::new(rayon::current_num_threads())?, network, parameters, inputs, methods)
}

/// Outputs of plain parameters for all rows in one pass on this thread: for many small networks side by side.
///
/// # Errors
/// As [`predict`].
pub fn evaluate(network: &dyn Network, parameters: &Parameters, inputs: ArrayView2<f32>) -> Result<Array2<f32>> {
    if inputs.ncols() != network.inputs() {
        return Err(wrong_width(network, inputs.ncols()));
    }
    let vars = Vars::new(parameters, false);
    let outputs = network.forward(&mut Forward::evaluation(&vars, None), tensor_of(inputs, false))?;
    shaped(inputs.nrows(), network, values_of(outputs.reshape([-1])))
}

/// The network's last hidden representation of all rows (what it taps as `features`), rows x width.
///
/// # Errors
/// As [`predict`], or a network that taps none.
pub fn features(network: &dyn Network, parameters: &Parameters, inputs: ArrayView2<f32>) -> Result<Array2<f32>> {
    if inputs.ncols() != network.inputs() {
        return Err(wrong_width(network, inputs.ncols()));
    }
    let workers = Workers::new(rayon::current_num_threads())?;
    let all = in_blocks(&workers, inputs, &|rows| {
        let vars = Vars::new(parameters, false);
        let mut forward = Forward::evaluation(&vars, None);
        network.forward(&mut forward, tensor_of(rows, false))?;
        let none = || Error::input("network", "no features", "its forward pass must tap `features`");
        Ok(values_of(forward.tapped("features").ok_or_else(none)?.reshape([-1])))
    })?;
    let width = all.len() / inputs.nrows().max(1);
    let wrong = |e| Error::numeric("features", format!("{e}"));
    Array2::from_shape_vec((inputs.nrows(), width), all).map_err(wrong)
}

pub(super) fn wrong_width(network: &dyn Network, got: usize) -> Error {
    Error::input("inputs", format!("rows of {got} numbers"), format!("the network takes {}", network.inputs()))
}

pub(super) fn shaped(rows: usize, network: &dyn Network, outputs: Vec<f32>) -> Result<Array2<f32>> {
    let wrong = |e| Error::numeric("network", format!("its outputs do not have the size it says: {e}"));
    Array2::from_shape_vec((rows, network.outputs()), outputs).map_err(wrong)
}

/// Rows that are evaluated at a time.
pub(super) const EVALUATED: usize = 256;

pub(super) fn predict_on(
    workers: &Workers,
    network: &dyn Network,
    parameters: &Parameters,
    inputs: ArrayView2<f32>,
    methods: &[&dyn TrainMethod],
) -> Result<Array2<f32>> {
    let outputs = in_blocks(workers, inputs, &|rows| {
        let mut vars = Vars::new(parameters, false);
        for method in methods {
            method.reparametrise(&mut vars)?;
        }
        let mut forward = Forward::evaluation(&vars, None);
        Ok(values_of(network.forward(&mut forward, tensor_of(rows, false))?.reshape([-1])))
    })?;
    shaped(inputs.nrows(), network, outputs)
}

/// What `work` makes of blocks of rows, side by side, joined in order.
fn in_blocks(
    workers: &Workers,
    inputs: ArrayView2<f32>,
    work: &(impl Fn(ArrayView2<f32>) -> Result<Vec<f32>> + Sync),
) -> Result<Vec<f32>> {
    let n = inputs.nrows();
    let block = |i: usize| work(inputs.slice(s![i * EVALUATED..((i + 1) * EVALUATED).min(n), ..]));
    Ok(workers.map(n.div_ceil(EVALUATED), &block)?.concat())
}

/// Mean loss of outputs against the samples' targets; rows count by their weights, if they have any.
pub fn mean_loss(loss: Loss, outputs: &Array2<f32>, samples: &Samples) -> f64 {
    let rows: Vec<u32> = (0..samples.len() as u32).collect();
    let losses = loss.rows(tensor_of(outputs.view(), false), tensor_of(samples.wanted(&rows).view(), false));
    let losses = values_of(losses);
    let Some(weights) = &samples.weights else {
        return losses.iter().map(|&v| f64::from(v)).sum::<f64>() / losses.len().max(1) as f64;
    };
    let weighed = losses.iter().zip(weights).map(|(loss, weight)| f64::from(*loss) * f64::from(*weight));
    weighed.sum::<f64>() / weights.iter().map(|weight| f64::from(*weight)).sum::<f64>()
}

/// Share of rows whose largest output is the one wanted.
pub fn accuracy(outputs: &Array2<f32>, labels: &[u32]) -> f64 {
    let right = calibration::likeliest(outputs.view()).into_iter().zip(labels).filter(|(said, label)| said == *label);
    right.count() as f64 / labels.len().max(1) as f64
}
