//! Learn from imbalanced and imperfect samples.
//!
//! Resampling methods are structs of parameters with defaults that implement [`Resampler`]: one verb takes a
//! [`Labelled`] table and returns [`Resampled`] rows, each with its origin. [`Strategy`] says how many rows each class
//! shall have, [`build`] makes a method from its name and parameters as text.
//!
//! # Agreement with imbalanced-learn
//!
//! With [`Generator::NumpyLegacy`] and the same seed, results are those of imbalanced-learn 0.14.2 bit for bit, save for
//! three choices of ours:
//! - **Ties.** Of neighbours at exactly equal distances (rows on a grid, duplicates) ours are those of the lowest row
//!   numbers, so that results depend on nothing but the table. There the choice is that of a partial sort, and another
//!   neighbour of the same distance may be taken (SMOTE, ADASYN).
//! - **Order of rows.** Kept rows stay in the table's order. There, edited nearest neighbours (and SMOTE-ENN) return them
//!   class by class; the rows are the same.
//! - **Whole numbers.** New values are interpolated in double precision and only rounded, to the nearest, where they are
//!   written into a column of whole numbers. There an integer table cuts them towards zero, which pulls every new row
//!   towards 0.
//!
//! Distances are measured between the numbers as they are, in both; [`Scaled`] puts columns on one scale.
//!
//! Resample training rows only: rows made from a test row, or a test row's copies, would leak it into training.

mod adasyn;
mod audit;
mod borderline_smote;
mod chain;
pub mod detection;
mod draws;
mod edited_nearest_neighbours;
mod evaluate;
mod labelled;
mod numpy_legacy;
mod random_over_sampling;
mod random_under_sampling;
mod rcal;
mod registry;
mod scale;
#[cfg(feature = "networks")]
pub mod series;
mod smote;
mod smote_n;
mod smote_nc;
mod steps;
mod strategy;
mod tomek_links;
#[cfg(feature = "networks")]
pub mod training;
mod votes;

pub use adasyn::Adasyn;
pub use audit::{
    Audit, Cells, FEW, Field, Finding, Floor, LEAST_WRONG, NO_NAME, RATIO, Records, Suspect, Suspects, Trouble, audit,
    floor, suspects,
};
pub use borderline_smote::{BorderlineSmote, Kind};
pub use chain::{Chain, SmoteEnn, SmoteTomek};
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
pub use rcal::{Calibrated, ClassLaw, Lenders, Rcal};
pub use registry::{build, cards};
pub use scale::{Scale, Scaled};
pub use smote::{Gap, Smote};
pub use smote_n::SmoteN;
pub use smote_nc::SmoteNc;
pub use strategy::Strategy;
pub use tomek_links::TomekLinks;
