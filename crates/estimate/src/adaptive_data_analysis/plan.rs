//! What can be promised before anything is asked.
//!
//! Widths are honest and therefore wide: below some ten thousand rows, and for few questions at any size, fresh rows for
//! each question (sample splitting) are often the better answer. [`plan`] puts the widths beside each other.

use super::noise::Noise;
use super::privacy::{Privacy, certified_width, minimise};
use quadrat_core::{Error, Result};
use serde::Serialize;

/// A half-width of 1/2 or more promises nothing: the answer 1/2 is that near to every mean in [0, 1].
pub const VACUOUS: f64 = 0.5;

/// The fewest rows that a mechanism takes.
pub(super) const FEWEST_ROWS: usize = 30;

/// Noise addition at its best scale.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct NoisePlan {
    /// The noise's scale: standard deviation, or b of Laplace noise.
    pub scale: f64,
    /// The certified half-width, at most 1.
    pub half_width: f64,
}

/// Certified half-widths for `k` adaptive questions about means in [0, 1].
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Plan {
    /// Rows of the hold-out set.
    pub n: usize,
    /// Questions.
    pub k: u64,
    /// How often any of the intervals may fail.
    pub beta: f64,
    /// Gaussian noise.
    pub gaussian: NoisePlan,
    /// Laplace noise.
    pub laplace: NoisePlan,
    /// Fresh rows for each question (Hoeffding's inequality): at most 1, which it is where k > n.
    pub split: f64,
    /// The narrowest: `gaussian`, `laplace` or `split`.
    pub best: &'static str,
    /// Whether even the narrowest promises nothing.
    pub vacuous: bool,
    /// Rows from which on the narrowest promises something (to about 1%).
    pub rows_needed: f64,
}

/// Certified half-widths of noise addition and of sample splitting for `k` adaptive questions on `n` rows, valid for all
/// answers together with probability 1 - `beta`. Takes a few milliseconds.
///
/// ```
/// let plan = quadrat_estimate::adaptive_data_analysis::plan(100_000, 1000, 0.05)?;
/// assert!(plan.best == "gaussian" && plan.gaussian.half_width < 0.2 && plan.split > 0.22);
/// assert_eq!(quadrat_estimate::adaptive_data_analysis::plan(1000, 3, 0.05)?.best, "split");
/// # Ok::<(), quadrat_core::Error>(())
/// ```
///
/// # Errors
/// Fewer than 30 rows, no questions, `beta` outside (0, 1).
pub fn plan(n: usize, k: u64, beta: f64) -> Result<Plan> {
    check(n, k, beta)?;
    let widths = |n: f64| {
        let k = k as f64;
        (noise_plan(Noise::Gaussian, n, k, beta), noise_plan(Noise::Laplace, n, k, beta), split_width(n, k, beta))
    };
    let (gaussian, laplace, split) = widths(n as f64);
    let ranked = [("split", split), ("gaussian", gaussian.half_width), ("laplace", laplace.half_width)];
    let (best, width) = ranked.into_iter().fold(("split", f64::INFINITY), |a, b| if b.1 < a.1 { b } else { a });
    let rows_needed = smallest_rows(|n| {
        let (gaussian, laplace, split) = widths(n);
        gaussian.half_width.min(laplace.half_width).min(split) < VACUOUS
    });
    Ok(Plan { n, k, beta, gaussian, laplace, split, best, vacuous: width >= VACUOUS, rows_needed })
}

/// That there is something to plan.
pub(super) fn check(n: usize, k: u64, beta: f64) -> Result<()> {
    if n < FEWEST_ROWS {
        return Err(Error::input("hold-out rows", n, format!("use at least {FEWEST_ROWS}")));
    }
    if k == 0 {
        return Err(Error::input("questions", 0, "plan for at least 1"));
    }
    if !(beta > 0.0 && beta < 1.0) {
        return Err(Error::input("beta", beta, "use a probability of failure between 0 and 1, such as 0.05"));
    }
    Ok(())
}

/// The number of rows from which on `enough` is true, to 1%; infinite where 10^15 are not enough.
pub(super) fn smallest_rows(enough: impl Fn(f64) -> bool) -> f64 {
    let (mut low, mut high) = ((FEWEST_ROWS as f64).ln(), 1e15f64.ln());
    if enough(low.exp()) {
        return FEWEST_ROWS as f64;
    }
    if !enough(high.exp()) {
        return f64::INFINITY;
    }
    while high - low > 0.01 {
        let middle = 0.5 * (low + high);
        if enough(middle.exp()) { high = middle } else { low = middle }
    }
    high.exp().ceil()
}

/// Noise of the scale that gives the narrowest certified width.
pub(super) fn noise_plan(noise: Noise, n: f64, k: f64, beta: f64) -> NoisePlan {
    let width = |scale: f64| noise_width(noise, n, k, scale, beta);
    let (scale, half_width) = minimise(1e-9, 2.0, width);
    NoisePlan { scale, half_width: half_width.min(1.0) }
}

/// The certified width of noise addition at a given scale.
pub(super) fn noise_width(noise: Noise, n: f64, k: f64, scale: f64, beta: f64) -> f64 {
    let privacy = match noise {
        Noise::Laplace => Privacy::laplace(n, k, scale),
        Noise::Gaussian => Privacy::gaussian(n, k, scale),
    };
    certified_width(privacy, beta, |risk| noise.bound(scale, k, risk))
}

/// Hoeffding's half-width for the means of floor(n/k) fresh rows each.
pub(super) fn split_width(n: f64, k: f64, beta: f64) -> f64 {
    let rows = (n / k).floor();
    if rows < 1.0 { 1.0 } else { ((2.0 * k / beta).ln() / (2.0 * rows)).sqrt().min(1.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_plans_are_refused() {
        for (n, k, beta, part) in [
            (29, 5, 0.05, "at least 30"),
            (0, 5, 0.05, "at least 30"),
            (100, 0, 0.05, "at least 1"),
            (100, 1, 0.0, "beta"),
            (100, 1, 1.0, "beta"),
            (100, 1, f64::NAN, "beta"),
        ] {
            let error = plan(n, k, beta).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn widths_shrink_with_rows_and_grow_with_questions() {
        let at = |n, k| plan(n, k, 0.05).unwrap();
        let mut last = 2.0;
        for n in [1000, 10_000, 100_000, 1_000_000, 10_000_000] {
            let width = at(n, 1000).gaussian.half_width;
            assert!(width < last || width == 1.0, "{n}: {width}");
            last = width;
        }
        assert!(last < 0.03, "{last}");
        assert!(at(1_000_000, 100).gaussian.half_width < at(1_000_000, 10_000).gaussian.half_width);
        // The point of it all: k grows a hundredfold, the width by 100^(1/4) or so, not by 10 as that of splitting.
        let (few, many) = (at(1_000_000, 100), at(1_000_000, 10_000));
        assert!(many.gaussian.half_width / few.gaussian.half_width < 4.0);
        assert!(many.split / few.split > 9.0);
        let huge = at(usize::MAX >> 12, u64::MAX);
        assert!(huge.split == 1.0 && huge.gaussian.half_width <= 1.0);
    }

    #[test]
    fn the_best_scale_is_best() {
        let (n, k, beta) = (50_000.0, 500.0, 0.05);
        for noise in [Noise::Laplace, Noise::Gaussian] {
            let best = noise_plan(noise, n, k, beta);
            for factor in [0.5, 0.8, 0.95, 1.05, 1.25, 2.0] {
                let other = noise_width(noise, n, k, factor * best.scale, beta);
                assert!(other >= best.half_width - 1e-6, "{noise:?} {factor}: {other} {best:?}");
            }
        }
    }

    #[test]
    fn the_rows_needed_are_the_border() {
        let plan_at = plan(500, 2000, 0.05).unwrap();
        assert!(plan_at.vacuous);
        let needed = plan_at.rows_needed;
        assert!(!plan((1.02 * needed) as usize, 2000, 0.05).unwrap().vacuous, "{needed}");
        assert!(plan((0.98 * needed) as usize, 2000, 0.05).unwrap().vacuous, "{needed}");
    }
}
