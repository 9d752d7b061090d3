//! Forward and backward over a batch, in pieces.
//!
//! A loss of the whole batch needs the outputs of all pieces at once, whose graphs together would be as large as that of
//! one whole pass. It is therefore computed by gradient caching (Gao et al. 2021, arXiv 2101.06983): all outputs first,
//! without a graph; the loss's gradient at them; then each piece once more, its own graph pulled by its share of that
//! gradient. The chain rule makes this the same gradient for the memory of one piece and a second forward pass.

use super::evaluate::shaped;
use crate::Network;
use crate::forward::{Forward, Vars, tensor_of};
use crate::loss::Loss;
use crate::method::{Batch, Piece, TrainMethod};
use crate::parameters::Parameters;
use crate::tensors::values_of;
use crate::workers::Workers;
use burn_tensor::Tensor;
use ndarray::{Array2, ArrayView2, s};
use quadrat_core::{Error, Result, Seed};
use rayon::prelude::*;
use std::ops::Range;

/// A batch and what its passes need.
pub(super) struct Work<'a> {
    pub network: &'a dyn Network,
    pub parameters: &'a Parameters,
    pub methods: Vec<&'a dyn TrainMethod>,
    pub loss: Loss,
    pub batch: &'a Batch,
    /// Where the passes' chance comes from.
    pub seed: Seed,
}

/// What the passes of a batch leave, piece by piece.
pub(super) struct Done {
    /// The batch's loss.
    pub loss: f64,
    passes: Vec<Pass>,
}

/// What comes out of one pass.
struct Pass {
    /// The piece's share of the batch's mean loss.
    loss: f64,
    /// Empty unless somebody wants them.
    outputs: Vec<f32>,
    gradients: Vec<Option<Vec<f32>>>,
    statistics: Vec<(usize, Vec<f32>)>,
}

impl Work<'_> {
    /// All passes of the batch, side by side in at most so many pieces.
    pub fn run(&self, workers: &Workers, parts: usize) -> Result<Done> {
        let together = self.methods.iter().any(|method| method.whole_batch());
        let pieces = pieces(self.batch.rows.len(), if together { 1 } else { parts });
        let whole = self.whole(workers, &pieces)?;
        let passes = workers.map(pieces.len(), &|i| {
            let at_outputs = whole.as_ref().map(|(_, gradient)| gradient.slice(s![pieces[i].clone(), ..]));
            self.pass(pieces[i].clone(), i as u64, at_outputs)
        })?;
        let loss = whole.map_or(0.0, |(loss, _)| loss) + passes.iter().map(|pass| pass.loss).sum::<f64>();
        Ok(Done { loss, passes })
    }

    /// The methods' losses of the whole batch and their gradient at its outputs, if any method has one.
    fn whole(&self, workers: &Workers, pieces: &[Range<usize>]) -> Result<Option<(f64, Array2<f32>)>> {
        let losses: Vec<_> = self.methods.iter().filter_map(|method| method.batch_loss()).collect();
        if losses.is_empty() {
            return Ok(None);
        }
        let outputs = workers.map(pieces.len(), &|i| self.alone(pieces[i].clone(), i as u64))?;
        let outputs = shaped(self.batch.rows.len(), self.network, outputs.concat())?;
        let leaf = tensor_of(outputs.view(), true).require_grad();
        // burn panics where nothing is tracked, and a loss may not depend on the outputs.
        let mut total = leaf.clone().sum() * 0.0;
        for loss in losses {
            total = total + loss.of(self.batch, leaf.clone())?;
        }
        let gradient = leaf.grad_remove(&mut total.backward()).map(|g| values_of(g.reshape([-1]))).unwrap_or_default();
        let value = values_of(total.inner()).first().copied().unwrap_or(f32::NAN);
        Ok(Some((f64::from(value), shaped(outputs.nrows(), self.network, gradient)?)))
    }

    /// The outputs of a piece, as in training but without a graph.
    fn alone(&self, rows: Range<usize>, item: u64) -> Result<Vec<f32>> {
        let vars = self.reparametrised(Vars::without_graph(self.parameters))?;
        let tuning = self.batch.tuning_of(&rows, false);
        let mut forward = Forward::training(&vars, self.seed, item, tuning.as_ref());
        let inputs = self.batch.part(&rows).tensors(self.network, false)?;
        Ok(values_of(self.network.forward(&mut forward, &inputs)?.reshape([-1])))
    }

    /// Forward and backward over a piece, which also carries the gradient of the whole batch's loss at its outputs.
    fn pass(&self, rows: Range<usize>, item: u64, at_outputs: Option<ArrayView2<f32>>) -> Result<Pass> {
        let leaves = Vars::new(self.parameters, true);
        let vars = self.reparametrised(leaves.clone())?;
        let tuning = self.batch.tuning_of(&rows, true);
        let mut forward = Forward::training(&vars, self.seed, item, tuning.as_ref());
        let inputs = self.batch.part(&rows).tensors(self.network, true)?;
        let targets = tensor_of(self.batch.targets.slice(s![rows.clone(), ..]), true);
        let outputs = self.network.forward(&mut forward, &inputs)?;
        if outputs.dims() != [rows.len(), self.network.outputs()] {
            let want = format!("{:?}, as it says", [rows.len(), self.network.outputs()]);
            return Err(Error::input("outputs of the network", format!("{:?}", outputs.dims()), want));
        }
        let piece = Piece { batch: self.batch, rows, targets };
        let mut losses = self.losses(&mut forward, &piece, &outputs)?;
        for method in &self.methods {
            if let Some(second) = method.second_outputs(&mut forward, &piece)? {
                losses = (losses + self.losses(&mut forward, &piece, &second)?) * 0.5;
            }
        }
        let mean = losses.sum() / self.batch.rows.len() as f32;
        let loss = f64::from(values_of(mean.clone().inner()).first().copied().unwrap_or(f32::NAN));
        let pulled = match at_outputs {
            Some(gradient) => mean + (outputs.clone() * tensor_of(gradient, true)).sum(),
            None => mean,
        };
        // burn panics where nothing is tracked: a method may have frozen everything by now.
        let gradients = if self.parameters.iter().any(|p| p.trainable) {
            let mut gradients = pulled.backward();
            leaves.tensors().iter().map(|leaf| leaf.grad_remove(&mut gradients).map(values_of)).collect()
        } else {
            vec![None; self.parameters.len()]
        };
        let observed = self.methods.iter().any(|method| method.observes());
        let outputs = if observed { values_of(outputs.inner().reshape([-1])) } else { Vec::new() };
        Ok(Pass { loss, outputs, gradients, statistics: forward.into_statistics() })
    }

    /// The loss of each row of a piece with these outputs.
    fn losses(&self, forward: &mut Forward, piece: &Piece, outputs: &Tensor<2>) -> Result<Tensor<1>> {
        let mut losses = match self.methods.iter().find(|method| method.replaces_loss()) {
            Some(method) => method.row_losses(piece, outputs)?,
            None => piece.weigh(self.loss.rows(outputs.clone(), piece.targets.clone())),
        };
        for method in &self.methods {
            losses = method.loss(forward, piece, outputs, losses)?;
        }
        Ok(losses)
    }

    fn reparametrised<'v>(&self, mut vars: Vars<'v>) -> Result<Vars<'v>> {
        for method in &self.methods {
            method.reparametrise(&mut vars)?;
        }
        Ok(vars)
    }
}

impl Done {
    /// The outputs of all rows, where somebody wanted them.
    pub fn outputs(&mut self, rows: usize, network: &dyn Network) -> Result<Array2<f32>> {
        shaped(rows, network, self.passes.iter_mut().flat_map(|pass| std::mem::take(&mut pass.outputs)).collect())
    }

    /// Add the passes' gradients and average their statistics into the parameters, in order.
    pub fn merge(self, parameters: &mut Parameters, gradients: &mut Vec<Vec<f32>>) {
        let mut passes = self.passes;
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
    }
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
/// The network's own, or inputs that it does not take.
pub fn gradients(
    network: &dyn Network,
    parameters: &Parameters,
    loss: Loss,
    batch: &Batch,
    seed: Seed,
) -> Result<(f64, Vec<Vec<f32>>)> {
    let work = Work { network, parameters, methods: Vec::new(), loss, batch, seed };
    let done = work.run(&Workers::new(rayon::current_num_threads())?, 2)?;
    let (total, mut sums) = (done.loss, Vec::new());
    done.merge(&mut parameters.clone(), &mut sums);
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
