//! One file a verb: open, build, run, write, report.

pub mod allocate;
pub mod ask;
pub mod balance;
pub mod check;
pub mod compare;
pub mod data;
pub mod enlarge;
pub mod estimate;
pub mod finetune;
mod held_back;
pub mod holdout;
pub mod judgement;
pub mod learned;
pub mod list;
pub mod order;
pub mod predict;
pub mod quantise;
mod roles;
pub mod sample;
pub mod select;
pub mod show;
pub mod split;
pub mod tickets;
pub mod train;
mod work;
