//! A law fitted to sampled test errors (step 3 of the paper), and its lower tail.

mod likelihood;
#[cfg(test)]
mod tests;

use super::{Bias, Means, Unit, check_eps};
use likelihood::Sample;
use quadrat_core::{Choice, Error, Result, Seed, stats};
use quadrat_numeric::special::{log_noncentral_chi_square_cdf, log_normal_cdf};
use rayon::prelude::*;
use serde::Serialize;

/// Which law is fitted to the sampled errors, and how its tail is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Choice)]
pub enum Fit {
    /// A scaled non-central chi-square, by maximum likelihood. The error is a quadratic form in Gaussians.
    #[default]
    Ncx2,
    /// The same, its tail by Sankaran's normal approximation, -ln Phi(z).
    Sankaran,
    /// The same, but z^2/2, as the authors' code returns where the distribution function underflows. It lacks the
    /// factor before the exponential.
    SankaranHalfSquare,
    /// A gamma law, by maximum likelihood. The case without non-centrality.
    Gamma,
    /// A normal law.
    Normal,
    /// No law: the share of errors that are small enough. Infinite bits when none is.
    Empirical,
}

/// A fitted law of errors.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(tag = "law", rename_all = "kebab-case")]
pub enum Law {
    /// `scale` times a non-central chi-square; a gamma law where `nc` is 0.
    Ncx2 {
        /// Degrees of freedom.
        df: f64,
        /// Non-centrality.
        nc: f64,
        /// Scale.
        scale: f64,
    },
    /// A normal law.
    Normal {
        /// Mean.
        mean: f64,
        /// Standard deviation.
        deviation: f64,
    },
    /// The sample itself.
    Empirical {
        /// How many errors.
        samples: usize,
        /// How many of them were small enough.
        hits: usize,
    },
}

impl Law {
    /// The scaled non-central chi-square of greatest likelihood, without an interval: milliseconds for 10,000 errors.
    ///
    /// # Errors
    /// As [`required_bias`].
    pub fn noncentral(losses: &[f64]) -> Result<Law> {
        check(losses)?;
        let sample = Sample::new(losses);
        Ok(sample.likelihood(&sample.all()).fit(false).law(sample.unit))
    }

    /// ln P(e <= `eps`).
    pub fn log_cdf(self, eps: f64) -> f64 {
        match self {
            Law::Ncx2 { df, nc, scale } => log_noncentral_chi_square_cdf(eps / scale, df, nc),
            Law::Normal { mean, deviation } => log_normal_cdf((eps - mean) / deviation),
            Law::Empirical { samples, hits } => (hits as f64 / samples as f64).ln(),
        }
    }
}

/// Fewest errors a law is fitted to.
pub const FEWEST: usize = 50;
/// Resamples behind an interval.
const RESAMPLES: u64 = 200;

/// The information needed to reach a test error of `eps`, from sampled test errors of hypotheses that fit the training
/// rows: -ln of the fitted law's distribution function. The interval is the central 95% of 200 bootstrap resamples of
/// the errors (exact, by Clopper and Pearson, for the share of the sample): it has the sampling in it, not the misfit,
/// so see `ks_distance` and `extrapolated`.
///
/// Cost: a fit to 10,000 errors takes milliseconds, the interval some hundred of them.
///
/// # Errors
/// Fewer than 50 errors, an error that is negative, 0 or not finite, errors that are all alike; `eps` not above 0.
///
/// ```
/// use quadrat_core::Seed;
/// use quadrat_estimate::inductive_bias::{Fit, Unit, required_bias};
/// let mut rng = Seed(1).rng(0);
/// let losses: Vec<f64> = (0..500).map(|_| (0..4).map(|_| rng.normal().powi(2)).sum()).collect();
/// let bias = required_bias(&losses, 0.5, Fit::Ncx2, Unit::Nats, Seed(1))?;
/// assert!((bias.value - 3.62).abs() < 0.5); // P(chi-square with 4 df <= 0.5) = 0.0265
/// # Ok::<(), quadrat_core::Error>(())
/// ```
pub fn required_bias(losses: &[f64], eps: f64, fit: Fit, unit: Unit, seed: Seed) -> Result<Bias> {
    check_eps(eps)?;
    check(losses)?;
    let least = losses.iter().copied().fold(f64::INFINITY, f64::min);
    let (law, interval) = match fit {
        Fit::Empirical => share(losses, eps),
        _ => fitted(losses, eps, fit, seed),
    };
    let nats = -log_tail(law, fit, eps);
    let (low, high) = interval;
    Ok(Bias {
        eps,
        value: unit.of_nats(nats),
        unit,
        interval: Some((unit.of_nats(low), unit.of_nats(high))),
        means: Means::Fit(law),
        ks_distance: (fit != Fit::Empirical).then(|| ks_distance(losses, law)),
        extrapolated: eps < least,
        above_median: nats < std::f64::consts::LN_2,
    })
}

fn check(losses: &[f64]) -> Result<()> {
    if losses.len() < FEWEST {
        return Err(Error::input("losses", losses.len(), format!("a law is fitted to {FEWEST} or more")));
    }
    if let Some((at, loss)) = losses.iter().enumerate().find(|(_, l)| !(**l > 0.0 && l.is_finite())) {
        return Err(Error::input(format!("loss {at}"), loss, "losses must be finite and above 0"));
    }
    let (low, high) = losses.iter().fold((f64::INFINITY, 0.0_f64), |(l, h), v| (l.min(*v), h.max(*v)));
    if high - low <= 1e-9 * high {
        return Err(Error::input("losses", format!("all {low}"), "they must differ: give hypotheses other seeds"));
    }
    Ok(())
}

/// ln P(e <= eps) in the way that the fit asks for.
fn log_tail(law: Law, fit: Fit, eps: f64) -> f64 {
    match (fit, law) {
        (Fit::Sankaran, Law::Ncx2 { df, nc, scale }) => log_normal_cdf(sankaran(eps / scale, df, nc)),
        (Fit::SankaranHalfSquare, Law::Ncx2 { df, nc, scale }) => {
            let z = sankaran(eps / scale, df, nc);
            if z < 0.0 { -0.5 * z * z } else { log_normal_cdf(z) }
        }
        _ => law.log_cdf(eps),
    }
}

/// The normal deviate of `x` under the non-central chi-square with `k` degrees of freedom and non-centrality `l`, by
/// Sankaran's approximation (1963): (x / (k + l))^h is nearly normal.
pub fn sankaran(x: f64, k: f64, l: f64) -> f64 {
    let h = 1.0 - 2.0 * (k + l) * (k + 3.0 * l) / (3.0 * (k + 2.0 * l).powi(2));
    let p = (k + 2.0 * l) / (k + l).powi(2);
    let m = (h - 1.0) * (1.0 - 3.0 * h);
    let centre = 1.0 + h * p * (h - 1.0 - 0.5 * (2.0 - h) * m * p);
    ((x / (k + l)).powf(h) - centre) / (h * (2.0 * p).sqrt() * (1.0 + 0.5 * m * p))
}

/// The law of the given kind, and the bootstrap interval of its nats.
fn fitted(losses: &[f64], eps: f64, fit: Fit, seed: Seed) -> (Law, (f64, f64)) {
    if fit == Fit::Normal {
        let of =
            |losses: &[f64]| Law::Normal { mean: stats::mean(losses), deviation: stats::standard_deviation(losses) };
        let interval = bootstrap(seed, |rows| {
            let drawn: Vec<f64> = rows(losses.len()).into_iter().map(|row| losses[row]).collect();
            -log_tail(of(&drawn), fit, eps)
        });
        return (of(losses), interval);
    }
    let sample = Sample::new(losses);
    let central = fit == Fit::Gamma;
    let whole = sample.likelihood(&sample.all());
    let shape = whole.fit(central);
    let interval = bootstrap(seed, |rows| {
        let drawn = sample.likelihood(&sample.sums(&rows(losses.len())));
        -log_tail(drawn.refit(shape).law(sample.unit), fit, eps)
    });
    (shape.law(sample.unit), interval)
}

/// The central 95% of a figure over resamples; the figure gets a function that draws so many row numbers.
fn bootstrap(seed: Seed, figure: impl Fn(&mut dyn FnMut(usize) -> Vec<usize>) -> f64 + Sync) -> (f64, f64) {
    let stream = seed.stream("bootstrap of losses");
    let one = |resample| {
        let mut rng = stream.rng(resample);
        figure(&mut |n| (0..n).map(|_| rng.below(n)).collect())
    };
    let figures: Vec<f64> = (0..RESAMPLES).into_par_iter().map(one).collect();
    (stats::quantile(&figures, 0.025), stats::quantile(&figures, 0.975))
}

/// The share of errors up to `eps`, with its exact interval.
fn share(losses: &[f64], eps: f64) -> (Law, (f64, f64)) {
    let (samples, hits) = (losses.len(), losses.iter().filter(|l| **l <= eps).count());
    let (low, high) = stats::clopper_pearson(hits, samples, 0.95);
    (Law::Empirical { samples, hits }, (-high.ln(), -low.ln()))
}

/// The largest difference between the sample's distribution function and the law's.
fn ks_distance(losses: &[f64], law: Law) -> f64 {
    let mut sorted = losses.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let n = sorted.len() as f64;
    let gap = |(i, e): (usize, &f64)| {
        let p = law.log_cdf(*e).exp();
        (p - i as f64 / n).max((i + 1) as f64 / n - p)
    };
    sorted.par_iter().enumerate().map(gap).reduce(|| 0.0, f64::max)
}
