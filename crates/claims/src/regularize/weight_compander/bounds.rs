//! What weights look like, and the rival that has the compander's bound but not its bending.

use quadrat_core::Result;
use quadrat_nn::{At, Parameters, Role, Run, TrainMethod};
use quadrat_regularize::Compander;

/// Mean over kernels of: largest weight over root mean square, kurtosis, share within a tenth of the root mean square.
pub(super) fn structure(parameters: &Parameters) -> Result<[(&'static str, f64); 3]> {
    let mut sums = [0.0; 3];
    let kernels = ["fc1.weight", "fc2.weight", "fc3.weight"];
    for name in kernels {
        let w: Vec<f64> = parameters.get(name)?.values().into_iter().map(f64::from).collect();
        let n = w.len() as f64;
        let square = w.iter().map(|w| w * w).sum::<f64>() / n;
        let fourth = w.iter().map(|w| w.powi(4)).sum::<f64>() / n;
        let top = w.iter().fold(0.0f64, |top, w| top.max(w.abs()));
        let small = w.iter().filter(|w| w.abs() < 0.1 * square.sqrt()).count() as f64 / n;
        for (sum, value) in sums.iter_mut().zip([top / square.sqrt(), fourth / (square * square), small]) {
            *sum += value / kernels.len() as f64;
        }
    }
    Ok([("max over rms", sums[0]), ("kurtosis", sums[1]), ("near zero", sums[2])])
}

/// Weights clipped to the compander's bound after every step: the bound without the bending.
pub(super) struct Clip {
    pub(super) scale: f32,
    pub(super) bounds: Vec<(String, f32)>,
}

impl TrainMethod for Clip {
    fn name(&self) -> &str {
        "clip"
    }

    fn begin(&mut self, _: &Run<'_>, parameters: &mut Parameters) -> Result<()> {
        for parameter in parameters.iter().filter(|p| p.role == Role::Weight) {
            let w = parameter.values();
            let rms = (w.iter().map(|w| w * w).sum::<f32>() / w.len() as f32).sqrt();
            self.bounds.push((parameter.name.clone(), self.scale * rms * Compander::Arctan.bound()));
        }
        Ok(())
    }

    fn after_step(&mut self, _: At, parameters: &mut Parameters) -> Result<()> {
        for (name, bound) in &self.bounds {
            parameters.get_mut(name)?.update(|w| w.iter_mut().for_each(|w| *w = w.clamp(-bound, *bound)));
        }
        Ok(())
    }
}
