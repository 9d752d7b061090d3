//! Learn from imbalanced and imperfect samples.
//!
//! Resampling methods are structs of parameters with defaults that implement [`Resampler`]: one verb takes a
//! [`Labelled`] table and returns [`Resampled`] rows, each with its origin. [`Strategy`] says how many rows each class
//! shall have, [`build`] makes a method from its name and parameters as text.
//!
//! Resample training rows only: rows made from a test row, or a test row's copies, would leak it into training.

mod adasyn;
mod borderline_smote;
mod chain;
mod draws;
mod edited_nearest_neighbours;
mod evaluate;
mod labelled;
mod numpy_legacy;
mod params;
mod random_over_sampling;
mod random_under_sampling;
mod registry;
mod smote;
mod smote_n;
mod smote_nc;
mod steps;
mod strategy;
mod tomek_links;
mod votes;

pub use adasyn::Adasyn;
pub use borderline_smote::{BorderlineSmote, Kind};
pub use chain::Chain;
pub use draws::Generator;
pub use edited_nearest_neighbours::{Agree, EditedNearestNeighbours};
pub use evaluate::{
    Family, Hull, Pipeline, RocSweep, Setting, SweepCurve, SweepPoint, Vertex, correct_priors, iso_performance_slope,
    roc_convex_hull,
};
pub use labelled::{Labelled, Origin, Reads, Resampled, Resampler};
pub use numpy_legacy::NumpyLegacy;
pub use random_over_sampling::RandomOverSampling;
pub use random_under_sampling::RandomUnderSampling;
pub use registry::{build, cards};
pub use smote::{Gap, Smote};
pub use smote_n::SmoteN;
pub use smote_nc::SmoteNc;
pub use strategy::Strategy;
pub use tomek_links::TomekLinks;
