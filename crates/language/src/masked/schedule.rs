//! How much of a text is still there at a time: α falls from 1 at time 0, where all is there, to 0 at time 1, where all is hidden.
//!
//! A masked model needs no time, and what is drawn in the limit of small steps does not depend on the
//! schedule. It decides how many places a step of [`Ancestral`](super::Ancestral) uncovers, and between which times
//! [`Order::Second`](super::Order) extrapolates.

use quadrat_core::{Choice, Error, Result};

/// The share of tokens that are not hidden at a time from 0 to 1. A closure is one.
pub trait Schedule: Sync {
    /// α at time `t`.
    fn alpha(&self, t: f64) -> f64;

    /// The time at which α is this, by bisection where a schedule knows no formula.
    fn time(&self, alpha: f64) -> f64 {
        let (mut low, mut high) = (0.0, 1.0);
        while high - low > 1e-15 {
            let middle = 0.5 * (low + high);
            if middle <= low || middle >= high {
                break;
            }
            if self.alpha(middle) > alpha { low = middle } else { high = middle }
        }
        0.5 * (low + high)
    }
}

impl<F: Fn(f64) -> f64 + Sync> Schedule for F {
    fn alpha(&self, t: f64) -> f64 {
        self(t)
    }
}

/// The usual schedules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Choice)]
pub enum Usual {
    /// 1 - t: as many places in each step.
    Linear,
    /// 1 - cos(π (1 - t) / 2), MaskGIT's: few places at first, many when most of the text is there.
    Cosine,
}

impl Schedule for Usual {
    fn alpha(&self, t: f64) -> f64 {
        match self {
            Usual::Linear => 1.0 - t,
            Usual::Cosine => 1.0 - (0.5 * std::f64::consts::PI * (1.0 - t)).cos(),
        }
    }

    fn time(&self, alpha: f64) -> f64 {
        match self {
            Usual::Linear => 1.0 - alpha,
            Usual::Cosine => 1.0 - (1.0 - alpha).clamp(0.0, 1.0).acos() / (0.5 * std::f64::consts::PI),
        }
    }
}

/// The shares hidden, 1 - α, at the times 0, 1/n, ..., 1, with the ends exact.
///
/// # Errors
/// No steps; a schedule that rises, or ends elsewhere than at 1 and 0 (within 1e-3): places would stay hidden.
pub(super) fn shares_hidden(schedule: &dyn Schedule, steps: usize) -> Result<Vec<f64>> {
    if steps == 0 {
        return Err(Error::input("steps", 0, "at least 1"));
    }
    let mut shares: Vec<f64> = (0..=steps).map(|k| 1.0 - schedule.alpha(k as f64 / steps as f64)).collect();
    let ends = [shares[0], shares[steps]];
    if !(ends[0].abs() <= 1e-3 && (ends[1] - 1.0).abs() <= 1e-3) {
        let got = format!("{} at time 0 and {} at time 1", 1.0 - ends[0], 1.0 - ends[1]);
        return Err(Error::input("schedule", got, "1 and 0 within 0.001: tokens would stay hidden at the end"));
    }
    (shares[0], shares[steps]) = (0.0, 1.0);
    if let Some(k) = (1..=steps).find(|&k| shares[k].is_nan() || shares[k] <= shares[k - 1]) {
        let got = format!("{} after {} in step {k} of {steps}", 1.0 - shares[k], 1.0 - shares[k - 1]);
        return Err(Error::input("schedule", got, "less and less of the text, the higher the time"));
    }
    Ok(shares)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_where_the_schedule_says() {
        let square = |t: f64| 1.0 - t * t;
        let schedules: [&dyn Schedule; 3] = [&Usual::Linear, &Usual::Cosine, &square];
        for schedule in schedules {
            for alpha in [0.0, 1e-3, 0.3, 0.999, 1.0] {
                assert!((schedule.alpha(schedule.time(alpha)) - alpha).abs() < 1e-12, "{alpha}");
            }
        }
        assert_eq!(shares_hidden(&Usual::Linear, 4).unwrap(), [0.0, 0.25, 0.5, 0.75, 1.0]);
    }

    #[test]
    fn schedules_that_would_leave_tokens_hidden_are_refused() {
        for (schedule, what) in [
            (&(|t: f64| 0.9 * (1.0 - t)) as &dyn Schedule, "0.9 at time 0"),
            (&|_: f64| f64::NAN, "NaN"),
            (&|t: f64| 1.0 - 0.9 * t, "at time 1"),
            (&|t: f64| if t < 0.5 { 1.0 } else { 1.0 - t }, "step 1"),
            (&|t: f64| 1.0 - t + 0.4 * (std::f64::consts::TAU * t).sin(), "less and less"),
        ] {
            let error = shares_hidden(schedule, 8).unwrap_err().to_string();
            assert!(error.contains(what), "{error}");
        }
        assert!(shares_hidden(&Usual::Linear, 0).is_err());
    }
}
