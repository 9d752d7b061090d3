//! Claims of the methods for imbalanced and imperfect samples.

pub mod smote;
