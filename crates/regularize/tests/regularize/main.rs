//! Tests of the area as its users see it.

#![allow(clippy::panic, clippy::unwrap_used)] // Helpers of tests may panic, as tests may.

mod checklist;
