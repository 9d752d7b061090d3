//! How much the server computes for a page that waits.

use crate::files::aside;
use crate::problem::{Answer, Problem};
use axum::http::StatusCode;
use quadrat::{Error, Progress};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// Points of a picture, at most.
pub const MOST_POINTS: usize = 5_000;
/// Classes of a picture, at most.
pub const MOST_CLASSES: usize = 5;
/// Rows that a method may make, at most.
pub const MOST_MADE: usize = 20_000;
/// Comparisons between the items of a game, at most: pairs of items times questions. `quadrat ask` has no such limit.
pub const MOST_COMPARISONS: usize = 5_000_000;

/// How long a page waits.
const LONGEST: Duration = Duration::from_secs(5);
/// Computations at a time; the others wait for their turn.
static TURNS: Semaphore = Semaphore::const_new(2);

/// Stops a computation after a while.
pub struct Patience {
    end: Instant,
}

impl Patience {
    /// From now on.
    pub fn new() -> Self {
        Patience { end: Instant::now() + LONGEST }
    }
}

impl Progress for Patience {
    fn cancelled(&self) -> bool {
        Instant::now() > self.end
    }
}

/// An error that says why a computation was stopped.
pub fn told(error: Error) -> Error {
    match error {
        Error::Cancelled => {
            let want = "take fewer points or a cheaper setting; on the command line it may take as long as it needs";
            Error::input("time", format!("more than {} seconds", LONGEST.as_secs()), want)
        }
        other => other,
    }
}

/// Computes what a script asks for, when its turn comes.
pub async fn in_turn<T, R>(body: &[u8], work: impl FnOnce(T) -> Answer<R> + Send + 'static) -> Answer<R>
where
    T: serde::de::DeserializeOwned + Send + 'static,
    R: Send + 'static,
{
    let asked: T = serde_json::from_slice(body).map_err(|e| Problem::new(StatusCode::BAD_REQUEST, e.to_string()))?;
    let closed = |_| Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the server is going down");
    let _turn = TURNS.acquire().await.map_err(closed)?;
    aside(move || work(asked)).await
}
