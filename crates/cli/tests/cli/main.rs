//! The real binary, run as a user runs it.

mod common;
mod errors;
mod lines;
mod output;
