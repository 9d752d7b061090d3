//! Claims of the methods that reconstruct from what was measured.

#[cfg(feature = "networks")]
pub mod adversarial_adaptive_sampling;
#[cfg(feature = "networks")]
pub mod reconresnet;
#[cfg(feature = "networks")]
pub mod sdap;
