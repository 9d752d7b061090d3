//! What becomes of the samples that were measured, once the network has answered.

use crate::Complex;
use quadrat_core::Settings;
use serde::{Deserialize, Serialize};

/// What becomes of the measured samples.
#[derive(Debug, Clone, Copy, PartialEq, Settings, Serialize, Deserialize)]
#[serde(tag = "consistency", rename_all = "lowercase")]
#[param(name = "consistency", default = Hard)]
pub enum Consistency {
    /// They take the place of the network's.
    Hard,
    /// They are mixed with the network's, for noisy samples.
    Soft {
        /// How often a measured sample counts against the network's.
        #[param(default = 4.0, above = 0)]
        lambda: f32,
    },
    /// The network's answer stays as it is.
    Off,
}

impl Consistency {
    /// How far the network's sample goes towards the measured one: 1, λ / (1 + λ) or 0.
    pub fn share(self) -> f32 {
        match self {
            Consistency::Hard => 1.0,
            Consistency::Soft { lambda } => lambda / (1.0 + lambda),
            Consistency::Off => 0.0,
        }
    }

    /// A sample of both.
    pub(super) fn of(self, measured: Complex<f32>, answered: Complex<f32>) -> Complex<f32> {
        match self {
            // To the bit.
            Consistency::Hard => measured,
            _ => answered + (measured - answered).scale(self.share()),
        }
    }
}
