//! Reconstruct from what was measured: images from samples of their Fourier transform, clean photographs from noisy ones, solutions of
//! equations from the equations.

mod coils;
#[cfg(feature = "networks")]
pub mod denoise;
mod encoding;
mod fft;
mod masked;
pub mod masks;
pub mod nufft;
#[cfg(feature = "networks")]
pub mod pde;
mod radon;
mod real;
pub mod recon;
#[cfg(feature = "networks")]
pub mod reconresnet;
mod registry;
mod trajectory;

pub use coils::{Sense, root_sum_of_squares};
pub use encoding::Encoding;
pub use fft::Fft;
pub use masked::MaskedFft;
pub use nufft::{Gridding, Nufft};
pub use radon::Radon;
pub use real::Real;
pub use recon::Reconstructor;
pub use registry::{cards, reconstructor, reconstructors};
pub use rustfft::num_complex::Complex;
pub use trajectory::Units;
