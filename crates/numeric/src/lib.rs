//! Plain functions on arrays, shared by all areas of Quadrat.
//!
//! Nothing here knows where rows come from or which paper wants them. Arrays are `ndarray` with one row a sample;
//! `f32` where rows are embeddings and there are many (clusters, neighbours), `f64` where precision is the point
//! (decompositions, learners). All results are independent of the number of threads.

pub mod average_precision;
pub mod bits;
pub mod calibration;
mod decompose;
pub mod elementary;
pub mod factors;
mod gemm;
pub mod image_quality;
pub mod impute;
pub mod kmeans;
pub mod lasso;
pub mod layers;
pub mod learners;
pub mod linalg;
pub mod low_discrepancy;
pub mod metrics;
pub mod mixture;
pub mod neighbours;
pub mod normals;
pub mod operator;
mod otsu;
pub mod outliers;
pub mod particles;
pub mod points;
mod prepare;
pub mod products;
pub mod rand_augment;
pub mod simplex;
pub mod sparse;
pub mod special;
pub mod splits;
mod text;
pub mod transport;
mod tree;

pub use gemm::vectorised;
pub use kmeans::{Clustering, Init, KMeans};
pub use lasso::Lasso;
pub use mixture::GaussianMixture;
pub use neighbours::{Metric, Neighbours};
pub use otsu::otsu;
pub use points::{Points, RowMajor, by_rows, filled, matrix};
pub use prepare::check_finite;
pub use sparse::Csr;
pub use text::{Encoded, TextEncoder};
