//! Find samples: exact indexes over texts and vectors, measures of what they return, and training of what ranks.

pub mod dense;
pub mod measures;
