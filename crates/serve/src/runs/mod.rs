//! Runs: a folder each, a queue, and what is known of them after a restart.
//!
//! A run is a command line, started as a program of its own. All that is known of it is in its folder, so that the page can be
//! reloaded, the server ended and started again, and whoever needs no page finds the files where they are:
//!
//! | file | content |
//! |---|---|
//! | `run.json` | the form, the command line, the state, times, exit code, the input's size and digest |
//! | `stdout.json` | what the command said |
//! | `stderr.txt` | its notes and errors |
//! | `report.html`, the output | what it wrote |
//!
//! Each is written under another name first, so that none is ever half there.

mod api;
mod child;
mod queue;
mod record;
mod view;

pub use api::routes;
pub use queue::Runs;
pub use record::{Record, State};
pub use view::{figures, title};

/// Files of a run that an output cannot be called.
pub const OWN: [&str; 4] = ["run.json", "stdout.json", "stderr.txt", "report.html"];
