//! Heads that exist only in training.
//!
//! A second task (which way a picture was turned, which of two sentences came first) teaches the representation that the
//! network taps, through a layer that nobody needs afterwards: it is added when training begins and taken away when it ends.

use crate::forward::Forward;
use crate::method::Run;
use crate::parameters::{Parameters, Spec};
use burn_tensor::Tensor;
use quadrat_core::{Error, Result};

/// A linear layer on a tapped representation, for a [`TrainMethod`](crate::TrainMethod) that calls its three functions from
/// the hooks of the same names.
///
/// ```
/// use quadrat_core::{Result, Seed, Silent};
/// use quadrat_nn::{Forward, Loss, Mlp, Parameters, Piece, Run, Samples, Tensor, TrainMethod, Trainer, TrainingHead};
///
/// /// Learns to rebuild its inputs on the side.
/// struct Rebuild(TrainingHead);
///
/// impl TrainMethod for Rebuild {
///     fn name(&self) -> &str {
///         "rebuild"
///     }
///     fn begin(&mut self, run: &Run<'_>, parameters: &mut Parameters) -> Result<()> {
///         self.0.begin(run, parameters)
///     }
///     fn loss(&self, forward: &mut Forward, piece: &Piece, _: &Tensor<2>, rows: Tensor<1>) -> Result<Tensor<1>> {
///         let inputs = piece.batch.inputs.slice(ndarray::s![piece.rows.clone(), ..]);
///         let rebuilt = self.0.outputs(forward)?;
///         Ok(rows + Loss::SquaredError.rows(rebuilt, quadrat_nn::tensor_of(inputs, true)))
///     }
///     fn finish(&mut self, parameters: &mut Parameters) -> Result<()> {
///         self.0.finish(parameters);
///         Ok(())
///     }
/// }
///
/// let inputs = ndarray::Array2::from_shape_fn((20, 3), |(i, j)| ((i * (j + 1)) % 5) as f32);
/// let samples = Samples::classes(inputs, (0..20).map(|i| i % 2).collect(), 2)?;
/// let (network, mut rebuild) = (Mlp::new(3, &[8], 2), Rebuild(TrainingHead::new("rebuilt", "features", 3)));
/// let fit = Trainer { epochs: 2, ..Trainer::default() };
/// let fit = fit.fit(&network, &samples, None, &mut [&mut rebuild], &Silent)?;
/// assert!(!fit.parameters.has("rebuilt.weight"));
/// # Ok::<(), quadrat_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrainingHead {
    name: String,
    tap: String,
    outputs: usize,
}

impl TrainingHead {
    /// A layer called `name` from what the network taps as `tap` (`features`, say) to so many outputs.
    pub fn new(name: &str, tap: &str, outputs: usize) -> Self {
        TrainingHead { name: name.to_owned(), tap: tap.to_owned(), outputs }
    }

    /// Add its parameters.
    ///
    /// # Errors
    /// A network that taps nothing of the name, or has a layer of the head's name.
    pub fn begin(&self, run: &Run<'_>, parameters: &mut Parameters) -> Result<()> {
        let width = run.probe(parameters, |forward| forward.tapped(&self.tap).map(|features| features.dims()[1]))?;
        for spec in Spec::linear(&self.name, width.ok_or_else(|| self.untapped())?, self.outputs, 1.0) {
            parameters.add(spec, run.seed)?;
        }
        Ok(())
    }

    /// Its outputs in a pass that the network has been through, a row for each row tapped.
    ///
    /// # Errors
    /// The network has tapped nothing of the name.
    pub fn outputs(&self, forward: &mut Forward) -> Result<Tensor<2>> {
        let features = forward.tapped(&self.tap).ok_or_else(|| self.untapped())?;
        forward.linear(&self.name, features)
    }

    fn untapped(&self) -> Error {
        Error::input("network", format!("no `{}`", self.tap), "its forward pass must tap it")
    }

    /// Take its parameters away.
    pub fn finish(&self, parameters: &mut Parameters) {
        let own = Spec::linear(&self.name, 1, 1, 1.0).map(|spec| spec.name);
        parameters.remove(|name| own.iter().any(|own| own == name));
    }
}
