//! What goes with resampling when it is judged: ROC curves swept over sampling levels, their area, the convex hull that
//! says which settings can be best, and the correction of probabilities for the shares of the classes.
//!
//! Source: Chawla and others, JAIR 16 (2002), sections 3 and 5; the hull and iso-performance lines after Provost and
//! Fawcett, Machine Learning 42 (2001). Rates are shares (0 to 1) where the paper has per cent.

mod hull;
mod pipeline;
mod priors;
mod roc_sweep;
#[cfg(test)]
mod tests;

pub use hull::{Hull, Vertex, iso_performance_slope, roc_convex_hull};
pub use pipeline::Pipeline;
pub use priors::correct_priors;
pub use roc_sweep::{Family, RocSweep, Setting, SweepCurve, SweepPoint};
