//! One file a verb: open, build, run, write, report.

pub mod balance;
pub mod check;
pub mod compare;
pub mod data;
pub mod estimate;
pub mod list;
pub mod order;
pub mod select;
pub mod show;
pub mod split;
mod work;
