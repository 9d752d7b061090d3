//! Tests of the data layer as its users see it.

#![allow(clippy::panic, clippy::unwrap_used)] // Helpers of tests may panic, as tests may.

mod coco;
mod dialects;
mod disk;
mod formats;
mod malformed;
mod others;
mod pairs;
mod panics;
mod stopping;
