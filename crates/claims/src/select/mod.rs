//! Claims of the selection methods.
