//! Forward and backward over a batch, in pieces.

use super::evaluate::shaped;
use crate::Network;
use crate::forward::{Forward, Vars, tensor_of};
use crate::loss::Loss;
use crate::method::{Batch, Piece, TrainMethod};
use crate::parameters::Parameters;
use crate::tensors::values_of;
use crate::workers::Workers;
use ndarray::{Array2, s};
use quadrat_core::{Result, Seed};
use rayon::prelude::*;
use std::ops::Range;

/// What comes out of one pass.
pub(super) struct Pass {
    /// The piece's share of the batch's mean loss.
    pub loss: f64,
    outputs: Vec<f32>,
    gradients: Vec<Option<Vec<f32>>>,
    statistics: Vec<(usize, Vec<f32>)>,
}

/// Forward and backward over the given rows of a batch.
#[allow(clippy::too_many_arguments)]
pub(super) fn pass(
    network: &dyn Network,
    parameters: &Parameters,
    methods: &[&dyn TrainMethod],
    loss: Loss,
    batch: &Batch,
    rows: Range<usize>,
    seed: Seed,
    item: u64,
) -> Result<Pass> {
    let leaves = Vars::new(parameters, true);
    let mut vars = leaves.clone();
    for method in methods {
        method.reparametrise(&mut vars)?;
    }
    let tuning = batch.tuning_of(&rows, true);
    let mut forward = Forward::training(&vars, seed, item, tuning.as_ref());
    let inputs = tensor_of(batch.inputs.slice(s![rows.clone(), ..]), true);
    let targets = tensor_of(batch.targets.slice(s![rows.clone(), ..]), true);
    let outputs = network.forward(&mut forward, inputs)?;
    let mut losses = batch.weigh(loss.rows(outputs.clone(), targets.clone()), &rows, true);
    let piece = Piece { batch, rows, targets };
    for method in methods {
        losses = method.loss(&mut forward, &piece, &outputs, losses)?;
    }
    let mean = losses.sum() / batch.rows.len() as f32;
    // burn panics where nothing is tracked: a method may have frozen everything by now.
    let gradients = if parameters.iter().any(|p| p.trainable) {
        let mut gradients = mean.backward();
        leaves.tensors().iter().map(|leaf| leaf.grad_remove(&mut gradients).map(values_of)).collect()
    } else {
        vec![None; parameters.len()]
    };
    let loss = f64::from(values_of(mean.inner()).first().copied().unwrap_or(f32::NAN));
    let outputs = values_of(outputs.inner().reshape([-1]));
    Ok(Pass { loss, outputs, gradients, statistics: forward.into_statistics() })
}

/// Add the passes' gradients and average their statistics into the parameters, in order; join their outputs.
pub(super) fn merge(
    parameters: &mut Parameters,
    gradients: &mut Vec<Vec<f32>>,
    mut passes: Vec<Pass>,
    rows: usize,
    network: &dyn Network,
) -> Result<Array2<f32>> {
    gradients.resize(parameters.len(), Vec::new());
    for (i, gradient) in gradients.iter_mut().enumerate() {
        let mut parts = passes.iter_mut().filter_map(|pass| pass.gradients[i].take());
        *gradient = parts.next().unwrap_or_default();
        for part in parts {
            gradient.par_chunks_mut(CHUNK).zip(part.par_chunks(CHUNK)).for_each(|(sum, part)| {
                sum.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
            });
        }
    }
    let momentum = STATISTICS_MOMENTUM / passes.len().max(1) as f32;
    let met = passes.first().map_or(0, |pass| pass.statistics.len());
    for j in 0..met {
        let place = passes[0].statistics[j].0;
        if let Some(parameter) = parameters.iter_mut().nth(place) {
            parameter.update(|running| {
                running.iter_mut().for_each(|r| *r *= 1.0 - STATISTICS_MOMENTUM);
                for pass in &passes {
                    running.iter_mut().zip(&pass.statistics[j].1).for_each(|(r, new)| *r += momentum * new);
                }
            });
        }
    }
    let joined: Vec<f32> = passes.into_iter().flat_map(|pass| pass.outputs).collect();
    shaped(rows, network, joined)
}

/// Weight of a new batch in running statistics.
const STATISTICS_MOMENTUM: f32 = 0.1;

/// Numbers that one thread adds at a time.
const CHUNK: usize = 1 << 16;

/// Shorten gradients that are longer than `longest`, all by one factor.
pub(super) fn shorten(gradients: &mut [Vec<f32>], longest: f32) {
    let square = |v: &f32| f64::from(*v) * f64::from(*v);
    let norm = gradients.iter().flatten().map(square).sum::<f64>().sqrt() as f32;
    if norm > longest {
        gradients.iter_mut().flatten().for_each(|v| *v *= longest / norm);
    }
}

/// Mean loss of a batch and its gradient with respect to every trainable parameter (one array each, empty where nothing
/// reaches it), in training mode and without methods: for methods that need a gradient of their own.
///
/// # Errors
/// The network's own.
pub fn gradients(
    network: &dyn Network,
    parameters: &Parameters,
    loss: Loss,
    batch: &Batch,
    seed: Seed,
) -> Result<(f64, Vec<Vec<f32>>)> {
    let workers = Workers::new(rayon::current_num_threads())?;
    let pieces = pieces(batch.rows.len(), 2);
    let passes = workers
        .map(pieces.len(), &|i| pass(network, parameters, &[], loss, batch, pieces[i].clone(), seed, i as u64))?;
    let total = passes.iter().map(|pass| pass.loss).sum();
    let mut sums = Vec::new();
    merge(&mut parameters.clone(), &mut sums, passes, batch.rows.len(), network)?;
    Ok((total, sums))
}

/// Pieces into which batches of so many rows of this network are worth splitting: two, and more where every piece has
/// [`Network::grain`] rows. They depend on nothing else, so that results are the same on any machine.
pub fn pieces_that_pay(network: &dyn Network, batch: usize) -> usize {
    (batch / network.grain().max(1)).clamp(2, 64)
}

/// `n` rows in at most `pieces` ranges of nearly equal length.
pub(super) fn pieces(n: usize, pieces: usize) -> Vec<Range<usize>> {
    let pieces = pieces.min(n).max(1);
    (0..pieces).map(|i| i * n / pieces..(i + 1) * n / pieces).collect()
}
