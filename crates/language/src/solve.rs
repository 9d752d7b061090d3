//! Learning to write programs from solutions that the model found itself, whole ones and good beginnings.
//!
//! Each task has one reference solution and a way to run programs. While it is trained the model samples solutions of its own; those
//! that reach the right answer, and beginnings whose state a known solution passes through, become targets too
//! ([`SolutionBuffer`]). More routes to the answer are learnt than the reference shows: what is asked for is pass@k.
//!
//! Ni, Inala, Wang, Polozov, Meek, Radev and Gao, "Learning Math Reasoning from Self-Sampled Correct and Partially-Correct Solutions",
//! ICLR 2023, arXiv 2205.14318; the filter and the buffers follow the authors' program, TraceCodegen, the paper's text was not at
//! hand.

mod buffer;
mod executor;
#[cfg(feature = "networks")]
mod sampling;
#[cfg(test)]
mod tests;
#[cfg(feature = "networks")]
mod words;

pub use buffer::{Counts, Outcome, SolutionBuffer};
pub use executor::{Executor, Step, Stopped, StraightLine};
#[cfg(feature = "networks")]
pub use sampling::{Learnt, SelfSampling, Solver, Task};
#[cfg(feature = "networks")]
pub use words::Words;

use quadrat_core::{Error, Result};

/// pass@k without bias from n samples of which c are right: 1 − C(n − c, k)/C(n, k), the probability that k of them, drawn
/// without replacement, hold a right one (Chen et al. 2021).
///
/// # Errors
/// k of 0 or above n, c above n.
///
/// ```
/// use quadrat_language::solve::pass_at_k;
/// assert!((pass_at_k(10, 3, 1)? - 0.3).abs() < 1e-15);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
pub fn pass_at_k(n: usize, c: usize, k: usize) -> Result<f64> {
    if k == 0 || k > n {
        return Err(Error::input("k", k, format!("1 to {n}, the number of samples")));
    }
    if c > n {
        return Err(Error::input("right samples", c, format!("at most {n}, the number of samples")));
    }
    if n - c < k {
        return Ok(1.0);
    }
    let missed: f64 = (n - c + 1..=n).map(|i| 1.0 - k as f64 / i as f64).product();
    Ok(1.0 - missed)
}
