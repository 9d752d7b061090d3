//! Draw samples by diffusion: from noise, through a model that says what noised samples were, to data.
//!
//! It is one system of few parts. A [`Schedule`] says how much noise there is at a time. A [`Denoiser`] says what a noised sample was: a
//! closure ([`denoiser_fn`]), a network, or [`MixtureDenoiser`], which is exact for data whose law is known and needs no training. A
//! [`Plan`] is a solver as data: any of the named ones ([`Solver`]) on any [`Grid`], or one that was searched. [`integrate`] brings noise
//! to data by a plan; [`Path`] is the same, step by step.

#[cfg(feature = "networks")]
mod ambient;
pub mod boundary;
pub mod certify;
mod coefficients;
mod denoiser;
pub mod feynman_kac;
pub mod forward_models;
mod grid;
pub mod guidance;
pub mod inverse;
mod kernel;
pub mod minority;
mod mixture;
pub mod mmd;
#[cfg(feature = "networks")]
mod network;
mod plan;
mod registry;
mod schedule;
mod search;
mod solve;
mod solver;
pub mod svdd;

#[cfg(feature = "networks")]
pub use ambient::{AmbientDiffusion, noise_price};
pub use boundary::BoundarySearch;
pub use denoiser::{Denoiser, Differentiable, FromFn, Prediction, data_prediction, denoiser_fn};
pub use feynman_kac::{FeynmanKac, Target};
pub use grid::Grid;
pub use kernel::{AncestralKernel, MaskedKernel, Reveal, ReverseKernel, on_rows, stack};
pub use minority::MinorityGuidance;
pub use mixture::MixtureDenoiser;
#[cfg(feature = "networks")]
pub use network::{Denoising, NetworkDenoiser, Noising, Parametrisation, Purpose};
pub use plan::{Corrector, First, Form, MOST_ORDER, Plan, Relaxation, Step};
pub use registry::cards;
pub use schedule::{Level, Schedule};
pub use search::{EndPoints, Found, Scored, SolverSearch, named_plans};
pub use solve::{Path, integrate, noise};
pub use solver::Solver;
