//! Random search over anything that can be drawn and scored.

use quadrat_core::{Error, Progress, Result, Rng, Seed, checkpoint};
use rayon::prelude::*;

/// How a search went.
#[derive(Debug, Clone, PartialEq)]
pub struct SearchReport {
    /// Which trial won.
    pub best: usize,
    /// The score of each trial; NaN or infinite where it could not be computed.
    pub scores: Vec<f64>,
}

impl SearchReport {
    /// How many trials had no finite score.
    pub fn failed(&self) -> usize {
        self.scores.iter().filter(|score| !score.is_finite()).count()
    }
}

/// Draw `trials` configurations, score them side by side, and return the one with the lowest score (the first of equals).
/// Trial i draws from stream i, so the result does not depend on threads.
///
/// # Errors
/// No trials, no finite score, an error of `score`, cancelled.
///
/// ```
/// use quadrat_core::{Seed, Silent};
/// use quadrat_regularize::random_search;
/// let (x, report) = random_search(50, Seed(1), |rng| rng.uniform(), |x| Ok((x - 0.3).abs()), &Silent)?;
/// assert!((x - 0.3).abs() < 0.2 && report.scores.len() == 50);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
pub fn random_search<C: Send>(
    trials: usize,
    seed: Seed,
    draw: impl Fn(&mut Rng) -> C + Sync,
    score: impl Fn(&C) -> Result<f64> + Sync,
    progress: &dyn Progress,
) -> Result<(C, SearchReport)> {
    if trials == 0 {
        return Err(Error::input("trials", 0, "at least 1"));
    }
    progress.begin("searching", Some(trials as u64));
    let trial = |i: usize| draw(&mut seed.stream("trial").rng(i as u64));
    let scores: Vec<f64> = (0..trials)
        .into_par_iter()
        .map(|i| {
            checkpoint(progress)?;
            let score = score(&trial(i))?;
            progress.advance(1);
            Ok(score)
        })
        .collect::<Result<_>>()?;
    let finite = scores.iter().enumerate().filter(|(_, score)| score.is_finite());
    let best = finite.min_by(|a, b| a.1.total_cmp(b.1)).map(|(i, _)| i).ok_or_else(|| {
        Error::numeric("search", format!("none of {trials} trials has a finite score: look at the network's inputs"))
    })?;
    Ok((trial(best), SearchReport { best, scores }))
}
