//! What a network says of rows, and how good that is.

use crate::Network;
use crate::forward::{Forward, Vars, tensor_of};
use crate::inputs::Rows;
use crate::loss::Loss;
use crate::method::TrainMethod;
use crate::parameters::Parameters;
use crate::samples::Samples;
use crate::tensors::values_of;
use crate::workers::Workers;
use ndarray::Array2;
use quadrat_core::{Error, Result};
use quadrat_numeric::calibration;
use std::ops::Range;

/// Outputs (scores, rows x outputs) of a network in evaluation mode, with methods that are not folded in yet. Rows are a
/// view of an array, `&samples`, or [`Rows`] with names.
///
/// # Errors
/// Inputs that are not those the network takes or not finite, or the network's own.
pub fn predict<'a>(
    network: &dyn Network,
    parameters: &Parameters,
    rows: impl Into<Rows<'a>>,
    methods: &[&dyn TrainMethod],
) -> Result<Array2<f32>> {
    let rows = checked(network, rows)?;
    let workers = Workers::new(rayon::current_num_threads())?;
    let outputs =
        in_blocks(&workers, rows.len(), EVALUATED, &|some| outputs_of(network, parameters, rows.part(some), methods))?;
    shaped(rows.len(), network, outputs.concat())
}

/// Outputs of plain parameters for all rows in one pass on this thread: for many small networks side by side.
///
/// # Errors
/// As [`predict`].
pub fn evaluate<'a>(network: &dyn Network, parameters: &Parameters, rows: impl Into<Rows<'a>>) -> Result<Array2<f32>> {
    let rows = rows.into();
    shaped(rows.len(), network, outputs_of(network, parameters, rows, &[])?)
}

/// The network's last hidden representation of all rows (what it taps as `features`), rows x width.
///
/// # Errors
/// As [`predict`], or a network that taps none.
pub fn features<'a>(network: &dyn Network, parameters: &Parameters, rows: impl Into<Rows<'a>>) -> Result<Array2<f32>> {
    let rows = checked(network, rows)?;
    let workers = Workers::new(rayon::current_num_threads())?;
    let all = in_blocks(&workers, rows.len(), EVALUATED, &|some| {
        let vars = Vars::new(parameters, false);
        let mut forward = Forward::evaluation(&vars, None);
        network.forward(&mut forward, &rows.part(some).tensors(network, false)?)?;
        let none = || Error::input("network", "no features", "its forward pass must tap `features`");
        Ok(values_of(forward.tapped("features").ok_or_else(none)?.reshape([-1])))
    })?
    .concat();
    let width = all.len() / rows.len().max(1);
    let wrong = |e| Error::numeric("features", format!("{e}"));
    Array2::from_shape_vec((rows.len(), width), all).map_err(wrong)
}

pub(super) fn checked<'a>(network: &dyn Network, rows: impl Into<Rows<'a>>) -> Result<Rows<'a>> {
    let rows = rows.into();
    rows.check_kind(network)?;
    rows.check_finite()?;
    Ok(rows)
}

pub(super) fn shaped(rows: usize, network: &dyn Network, outputs: Vec<f32>) -> Result<Array2<f32>> {
    let wrong = |e| Error::numeric("network", format!("its outputs do not have the size it says: {e}"));
    Array2::from_shape_vec((rows, network.outputs()), outputs).map_err(wrong)
}

/// Rows that are evaluated at a time.
pub(super) const EVALUATED: usize = 256;

/// What `work` makes of blocks of at most `size` of `n` rows, side by side, in order.
pub(super) fn in_blocks<T: Send>(
    workers: &Workers,
    n: usize,
    size: usize,
    work: &(impl Fn(Range<usize>) -> Result<T> + Sync),
) -> Result<Vec<T>> {
    workers.map(n.div_ceil(size), &|i| work(i * size..((i + 1) * size).min(n)))
}

/// The outputs of one pass in evaluation mode, flat.
pub(super) fn outputs_of(
    network: &dyn Network,
    parameters: &Parameters,
    rows: Rows<'_>,
    methods: &[&dyn TrainMethod],
) -> Result<Vec<f32>> {
    let mut vars = Vars::new(parameters, false);
    for method in methods {
        method.reparametrise(&mut vars)?;
    }
    let mut forward = Forward::evaluation(&vars, None);
    Ok(values_of(network.forward(&mut forward, &rows.tensors(network, false)?)?.reshape([-1])))
}

/// Mean loss of outputs against the samples' targets; rows count by their weights, if they have any.
pub fn mean_loss(loss: Loss, outputs: &Array2<f32>, samples: &Samples) -> f64 {
    let rows: Vec<u32> = (0..samples.len() as u32).collect();
    let losses = loss.rows(tensor_of(outputs.view(), false), tensor_of(samples.wanted(&rows).view(), false));
    mean(&values_of(losses), samples.weights.as_deref())
}

/// The mean of losses, by weights if there are any.
pub(super) fn mean(losses: &[f32], weights: Option<&[f32]>) -> f64 {
    let Some(weights) = weights else {
        return losses.iter().map(|&v| f64::from(v)).sum::<f64>() / losses.len().max(1) as f64;
    };
    let weighed = losses.iter().zip(weights).map(|(loss, weight)| f64::from(*loss) * f64::from(*weight));
    weighed.sum::<f64>() / weights.iter().map(|weight| f64::from(*weight)).sum::<f64>()
}

/// Share of rows whose largest output is the one wanted.
pub fn accuracy(outputs: &Array2<f32>, labels: &[u32]) -> f64 {
    share_right(&calibration::likeliest(outputs.view()), labels)
}

pub(super) fn share_right(said: &[u32], labels: &[u32]) -> f64 {
    said.iter().zip(labels).filter(|(said, label)| said == label).count() as f64 / labels.len().max(1) as f64
}
