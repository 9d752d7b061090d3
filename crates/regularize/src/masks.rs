//! Patterns of dead weights during a training: what every pruner hands its choice to.

use quadrat_core::{Error, Result};
use quadrat_nn::ops::{Pattern, SPARSE_CONV_BELOW};
use quadrat_nn::{At, Parameters, Run, TrainMethod};
use std::sync::Arc;

/// Linear layers at or below this density are stored sparsely, and convolutions at or below
/// [`SPARSE_CONV_BELOW`](quadrat_nn::ops::SPARSE_CONV_BELOW): there a training step was measured to be faster.
pub const SPARSE_BELOW: f64 = quadrat_nn::ops::SPARSE_BELOW;

/// Train with a fixed pattern of dead weights.
#[derive(Debug, Clone, Default)]
pub struct FixedMask {
    /// For each kernel by name, which entries are alive; kernels without a mask are dense.
    pub masks: Vec<(String, Vec<bool>)>,
}

impl TrainMethod for FixedMask {
    fn name(&self) -> &str {
        "fixed-mask"
    }

    fn begin(&mut self, _: &Run<'_>, parameters: &mut Parameters) -> Result<()> {
        for (name, mask) in &self.masks {
            let n = parameters.get(name)?.len();
            if mask.len() != n {
                return Err(Error::input(name, format!("a mask of {}", mask.len()), format!("{n} weights")));
            }
        }
        impose(&self.masks, parameters, false)
    }

    fn gradients(&mut self, _: At, parameters: &Parameters, gradients: &mut [Vec<f32>]) -> Result<()> {
        mask_gradients(&self.masks, parameters, gradients)
    }

    fn after_step(&mut self, _: At, parameters: &mut Parameters) -> Result<()> {
        mask_weights(&self.masks, parameters)
    }

    fn finish(&mut self, parameters: &mut Parameters) -> Result<()> {
        release(&self.masks, parameters)
    }
}

/// Kill what the masks say is dead: sparse storage where that is faster, zeros elsewhere.
pub(crate) fn impose(masks: &[(String, Vec<bool>)], parameters: &mut Parameters, rescale: bool) -> Result<()> {
    for (name, mask) in masks {
        let parameter = parameters.get_mut(name)?;
        let density = mask.iter().filter(|alive| **alive).count() as f64 / mask.len() as f64;
        let scale = if rescale { (1.0 / density.sqrt()) as f32 } else { 1.0 };
        parameter.update(|w| w.iter_mut().zip(mask).for_each(|(w, alive)| *w *= if *alive { scale } else { 0.0 }));
        let below = if parameter.shape.len() == 2 { SPARSE_BELOW } else { SPARSE_CONV_BELOW };
        if density <= below {
            let rows = parameter.shape[0];
            parameter.restrict(Arc::new(Pattern::from_mask(mask, rows, mask.len() / rows)?), false)?;
        }
    }
    Ok(())
}

/// No gradient for dead weights of densely stored kernels.
pub(crate) fn mask_gradients(
    masks: &[(String, Vec<bool>)],
    parameters: &Parameters,
    gradients: &mut [Vec<f32>],
) -> Result<()> {
    for (name, mask) in masks {
        let gradient = &mut gradients[parameters.position(name)?];
        if gradient.len() == mask.len() {
            gradient.iter_mut().zip(mask).for_each(|(g, alive)| *g = if *alive { *g } else { 0.0 });
        }
    }
    Ok(())
}

/// Zeros for dead weights of densely stored kernels: momentum must not wake them.
pub(crate) fn mask_weights(masks: &[(String, Vec<bool>)], parameters: &mut Parameters) -> Result<()> {
    for (name, mask) in masks {
        let parameter = parameters.get_mut(name)?;
        if parameter.len() == mask.len() {
            parameter.update(|w| w.iter_mut().zip(mask).for_each(|(w, alive)| *w = if *alive { *w } else { 0.0 }));
        }
    }
    Ok(())
}

/// Store all weights again, dead ones as zeros.
pub(crate) fn release(masks: &[(String, Vec<bool>)], parameters: &mut Parameters) -> Result<()> {
    masks.iter().try_for_each(|(name, _)| parameters.get_mut(name).map(|parameter| parameter.relax()))
}
