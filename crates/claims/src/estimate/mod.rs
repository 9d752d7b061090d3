//! Claims of the estimation methods.
