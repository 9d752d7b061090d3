//! Signals that are never seen, only measured: draws from the law of a signal given one measurement.
//!
//! Tewari, Yin, Cazenavette, Rezchikov, Tenenbaum, Durand, Freeman, Sitzmann, "Diffusion with Forward Models: Solving Stochastic Inverse
//! Problems Without Direct Supervision", NeurIPS 2023 (arXiv 2306.11719). Of each signal there are at least two observations
//! o = forward(s, φ) with known φ. The diffusion runs on one of them, the target, given others, the context; a network predicts the
//! *signal*, and the known [`ForwardModel`] makes of it the prediction of the target. Gradients pass through the forward model.
//!
//! So a draw is a draw of the target given the context, and then one answer for the signal given both, an average over what neither
//! tells. The signals' covariance is the true one less that of what remains: Cov(S | context) - E Cov(S | context, target). With
//! several targets, each becomes context for the next, and less remains to be averaged.

mod models;
#[cfg(feature = "networks")]
mod network;
mod sampling;

pub use models::{ForwardModel, Mask, Projection, covered, forward_fn};
#[cfg(feature = "networks")]
pub use network::{ForwardModels, Observations, SignalNetwork};
pub use sampling::{Drawn, ForwardDenoiser, Seen, SignalModel, SignalSampler};

use quadrat_core::{Error, Result};

/// That numbers have the width that a forward model takes.
fn check_width(what: &str, got: usize, want: usize) -> Result<()> {
    if got != want {
        return Err(Error::input(what, format!("{got} numbers"), format!("{want}, as the forward model")));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
