//! Tests of the area as its users see it.

#![allow(clippy::panic, clippy::unwrap_used)] // Helpers of tests may panic, as tests may.

mod audit;
mod checklist;
mod golden;
mod properties;
mod suspects;
