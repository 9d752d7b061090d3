//! Tests of what the areas make together.

#![allow(clippy::panic, clippy::unwrap_used)] // Helpers of tests may panic, as tests may.

mod training;
