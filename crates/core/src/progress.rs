//! How a long job says how far it is, and how it is stopped.

use crate::{Error, Result};

/// Where a long job reports. Implementations must be cheap: hot loops call [`Progress::advance`] once per block.
pub trait Progress: Sync {
    /// A phase called `what` starts, with `total` steps when they can be counted.
    fn begin(&self, _what: &str, _total: Option<u64>) {}
    /// `n` more steps of the phase are done.
    fn advance(&self, _n: u64) {}
    /// How the phase goes, in a few words that replace the last ones: "epoch 3, loss 0.412".
    fn note(&self, _how: &str) {}
    /// Whether the user wants the job to stop.
    fn cancelled(&self) -> bool {
        false
    }
}

/// Reports nothing and never stops.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {}

/// A part of a longer job, which says itself how far it is: reports nothing, and stops with the whole.
pub struct Within<'a>(pub &'a dyn Progress);

impl Progress for Within<'_> {
    fn cancelled(&self) -> bool {
        self.0.cancelled()
    }
}

/// `Err(Cancelled)` once the user wants the job to stop: call it between blocks of work.
pub fn checkpoint(progress: &dyn Progress) -> Result<()> {
    if progress.cancelled() { Err(Error::Cancelled) } else { Ok(()) }
}
