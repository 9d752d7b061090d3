//! Pieces of a batch side by side.
//!
//! Burn's operations on the processor use threads badly on small tensors. Each piece of a batch therefore runs on a pool
//! of one thread, where everything inside it is serial, and the results are taken in the pieces' order: the same bits
//! for any number of workers.

use quadrat_core::{Error, Result};
use rayon::ThreadPool;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Pools of one thread each, kept for a whole training.
pub(crate) struct Workers(Vec<ThreadPool>);

impl Workers {
    /// As many workers as the current pool has threads, but no more than `pieces`.
    pub fn new(pieces: usize) -> Result<Self> {
        let n = rayon::current_num_threads().min(pieces).max(1);
        let pool = |_| rayon::ThreadPoolBuilder::new().num_threads(1).build();
        let pools: std::result::Result<Vec<_>, _> = (0..n).map(pool).collect();
        pools.map(Workers).map_err(|e| Error::numeric("threads", format!("cannot be started: {e}")))
    }

    /// `work(0)`, `work(1)`, … `work(n − 1)`, in that order, whoever computed them.
    /// A single piece runs where the caller is, and its operations share the threads there.
    pub fn map<T: Send>(&self, n: usize, work: &(impl Fn(usize) -> Result<T> + Sync)) -> Result<Vec<T>> {
        if n == 1 {
            return Ok(vec![work(0)?]);
        }
        let next = AtomicUsize::new(0);
        let done: Vec<Mutex<Option<Result<T>>>> = (0..n).map(|_| Mutex::new(None)).collect();
        let labour = || {
            loop {
                let i = next.fetch_add(1, Ordering::Relaxed);
                let Some(slot) = done.get(i) else { break };
                let result = work(i);
                if let Ok(mut slot) = slot.lock() {
                    *slot = Some(result);
                }
            }
        };
        spread(&self.0, &labour);
        let missing = || Err(Error::numeric("training", "a worker stopped before its piece was done"));
        done.into_iter().map(|slot| slot.into_inner().ok().flatten().unwrap_or_else(missing)).collect()
    }
}

/// Run `labour` once on every pool and wait.
fn spread(pools: &[ThreadPool], labour: &(impl Fn() + Sync)) {
    if let Some((first, rest)) = pools.split_first() {
        first.in_place_scope(|scope| {
            scope.spawn(|_| labour());
            spread(rest, labour);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_order_and_errors_come_through() {
        let workers = Workers::new(3).expect("threads");
        assert_eq!(workers.map(10, &|i| Ok(i * i)).expect("squares"), (0..10).map(|i| i * i).collect::<Vec<_>>());
        let failed = workers.map(3, &|i| if i == 1 { Err(Error::Cancelled) } else { Ok(i) });
        assert!(matches!(failed, Err(Error::Cancelled)));
    }
}
