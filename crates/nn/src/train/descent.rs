//! Steps along the gradient of any loss: for what alternates between networks, or draws its rows anew as it goes, and so has no
//! place in a [`Trainer`](crate::Trainer)'s loop.

use super::evaluate::{checked, shaped};
use super::passes::pieces;
use crate::Network;
use crate::forward::{Forward, Vars};
use crate::inputs::Rows;
use crate::optimizer::{self, Moments, Optimizer};
use crate::parameters::Parameters;
use crate::tensors::values_of;
use crate::workers::Workers;
use burn_tensor::Tensor;
use ndarray::Array2;
use quadrat_core::{Result, Seed};
use std::ops::Range;

/// An optimiser with what it remembers, and the threads that it works on.
///
/// ```
/// use ndarray::array;
/// use quadrat_core::Seed;
/// use quadrat_nn::{Descent, Mlp, Optimizer, initialise, predict};
/// // A line through (0, 1) and (1, 3).
/// let (network, x) = (Mlp::new(1, &[], 1), array![[0.0f32], [1.0]]);
/// let mut parameters = initialise(&network, Seed(1))?;
/// let wanted = quadrat_nn::tensor_of(array![[1.0f32], [3.0]].view(), true);
/// let mut descent = Descent::new(Optimizer::adamw(0.0))?;
/// for _ in 0..600 {
///     descent.step(&network, &mut parameters, x.view(), 0.03, &|rows, y| {
///         Ok((y.clone() - wanted.clone().slice([rows, 0..1])).square().sum_dim(1).squeeze_dim(1))
///     })?;
/// }
/// assert!((predict(&network, &parameters, x.view(), &[])?[[1, 0]] - 3.0).abs() < 1e-2);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
pub struct Descent {
    optimizer: Optimizer,
    moments: Moments,
    workers: Workers,
}

/// The loss of each row of a piece, from the rows' places in the batch and the outputs for them.
pub type RowLosses<'a> = &'a (dyn Fn(Range<usize>, &Tensor<2>) -> Result<Tensor<1>> + Sync);

impl Descent {
    /// An optimiser that has taken no step yet, on as many threads as the current pool has.
    ///
    /// # Errors
    /// Threads that cannot be started.
    pub fn new(optimizer: Optimizer) -> Result<Self> {
        let workers = Workers::new(rayon::current_num_threads())?;
        Ok(Descent { optimizer, moments: Moments::default(), workers })
    }

    /// One step of the parameters along the gradient of the mean of `losses` over the rows; the mean and the outputs are those
    /// before it. No step is taken where the mean is not finite. Pieces of a batch have about [`Network::grain`] rows, whatever
    /// the number of threads.
    ///
    /// # Errors
    /// Rows that the network does not take, its own and the losses' errors.
    pub fn step<'a>(
        &mut self,
        network: &dyn Network,
        parameters: &mut Parameters,
        rows: impl Into<Rows<'a>>,
        rate: f64,
        losses: RowLosses,
    ) -> Result<(f64, Array2<f32>)> {
        let rows = checked(network, rows)?;
        let n = rows.len();
        let parts = pieces(n, (n / network.grain().max(1)).clamp(1, 64));
        let passes = self.workers.map(parts.len(), &|i| {
            let vars = Vars::new(parameters, true);
            let mut forward = Forward::training(&vars, Seed(0), i as u64, None);
            let outputs = network.forward(&mut forward, &rows.part(parts[i].clone()).tensors(network, true)?)?;
            let mean = losses(parts[i].clone(), &outputs)?.sum() / n as f32;
            let loss = f64::from(values_of(mean.clone().inner()).first().copied().unwrap_or(f32::NAN));
            let mut found = mean.backward();
            let gradients = vars.tensors().iter().map(|leaf| leaf.grad_remove(&mut found).map(values_of));
            Ok((loss, values_of(outputs.inner().reshape([-1])), gradients.collect::<Vec<_>>()))
        })?;
        let (mut loss, mut outputs) = (0.0, Vec::with_capacity(n * network.outputs()));
        let mut gradients = vec![Vec::new(); parameters.len()];
        for (share, some, found) in passes {
            loss += share;
            outputs.extend(some);
            for (sum, part) in gradients.iter_mut().zip(found) {
                match part {
                    Some(part) if sum.is_empty() => *sum = part,
                    Some(part) => sum.iter_mut().zip(part).for_each(|(sum, part)| *sum += part),
                    None => (),
                }
            }
        }
        if loss.is_finite() {
            optimizer::apply(self.optimizer, rate, parameters, &gradients, &mut self.moments);
        }
        Ok((loss, shaped(n, network, outputs)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Activation, At, Batch, Loss, Mlp, initialise, tensor_of};

    /// The first step of Adam has the gradient's sign and the rate's length; its loss is that of a plain pass, in pieces and on
    /// threads of any number.
    #[test]
    fn a_step_is_one_along_the_gradient_whatever_the_threads() {
        let network = Mlp { activation: Activation::Tanh, ..Mlp::new(3, &[8, 8], 2) };
        let mut rng = Seed(1).rng(0);
        let x = Array2::from_shape_fn((300, 3), |_| rng.normal() as f32);
        let y = Array2::from_shape_fn((300, 2), |_| rng.normal() as f32);
        let before = initialise(&network, Seed(2)).unwrap();
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let (mut after, wanted) = (before.clone(), tensor_of(y.view(), true));
                let mut descent = Descent::new(Optimizer::adamw(0.0)).unwrap();
                let losses: RowLosses = &|rows, outputs| {
                    Ok((outputs.clone() - wanted.clone().slice([rows, 0..2])).square().mean_dim(1).squeeze_dim(1))
                };
                let (loss, outputs) = descent.step(&network, &mut after, x.view(), 1e-3, losses).unwrap();
                assert_eq!(outputs.dim(), (300, 2));
                (loss, after)
            })
        };
        let (loss, after) = run(1);
        let (same, also) = run(2);
        assert_eq!((loss, after.fingerprint()), (same, also.fingerprint()));
        let rows: Vec<u32> = (0..300).collect();
        let batch = Batch::new(At { epoch: 0, step: 0 }, &rows, x.clone(), y.clone());
        let (wanted, gradients) = crate::gradients(&network, &before, Loss::SquaredError, &batch, Seed(0)).unwrap();
        assert!((loss - wanted).abs() < 1e-6, "{loss} {wanted}");
        for ((new, old), gradient) in after.iter().zip(before.iter()).zip(gradients) {
            for ((new, old), g) in new.values().iter().zip(old.values()).zip(gradient) {
                assert!(((old - new) - 1e-3 * g.signum()).abs() < 1e-5 || g.abs() < 1e-5, "{old} {new} {g}");
            }
        }
    }

    #[test]
    fn nothing_moves_where_the_loss_is_not_finite() {
        let network = Mlp::new(1, &[], 1);
        let mut parameters = initialise(&network, Seed(2)).unwrap();
        let before = parameters.fingerprint();
        let mut descent = Descent::new(Optimizer::adamw(0.0)).unwrap();
        let nan: RowLosses = &|_, y| Ok((y.clone() * f32::NAN).squeeze_dim(1));
        let (loss, _) = descent.step(&network, &mut parameters, ndarray::array![[1.0]].view(), 0.1, nan).unwrap();
        assert!(loss.is_nan() && parameters.fingerprint() == before);
    }
}
