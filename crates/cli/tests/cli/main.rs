//! The real binary, run as a user runs it.

// Clippy knows tests by their attribute; the helpers here are part of them.
#![allow(clippy::unwrap_used)]

mod align;
mod allocate;
mod ask;
mod audit;
mod certify;
mod choose;
mod columns;
mod common;
mod composed;
mod denoise;
mod detection;
mod diffuse;
mod encoder;
mod errors;
mod examples;
mod expect;
mod guide;
mod holdout;
mod inductive_bias;
mod labels;
mod levels;
mod lines;
mod masked;
mod models;
mod output;
mod pretrain_plan;
mod reading;
mod recommend;
mod reconstruct;
mod reconstruct_train;
mod retrieve;
mod retriever;
mod rounds;
mod sample;
mod search;
mod series;
mod serve;
mod sobol;
mod solve;
mod split;
mod train;
mod types;
