//! Required inductive bias: how much must be known beyond the training set to generalise.
//!
//! A space of hypotheses (functions of a kernel, networks) has many members that fit the training rows; most of them fail
//! on the test rows. The rarer those that succeed, the more information singles them out:
//!
//! I(eps) = -ln P( test error <= eps | the hypothesis fits the training rows ).
//!
//! That is a property of the task, the space and eps. On one task and at one eps, the difference between two spaces is
//! what one space's prior knows more than the other's.
//!
//! Source: A. Boopathy, W. Yue, J. Hwang, A. Iyer and I. Fiete, "Towards Exact Computation of Inductive Bias", IJCAI 2024
//! (arXiv 2406.15941), whose route is: draw hypotheses that fit ([`HypothesisSampler`]), take their test errors, fit a
//! scaled non-central chi-square to them and read off its tail ([`required_bias`]). Two samplers: a Gaussian process
//! conditioned on the training rows ([`GpPosterior`]), and networks trained from other starts ([`Retrain`], any closure
//! from a seed to a test error).
//!
//! For the kernel space sampling is not needed. The error of a Gaussian function is a weighted sum of non-central
//! chi-squares whose weights are the eigenvalues of the posterior covariance at the test rows, and the saddlepoint gives
//! its tail to about a hundredth however rare the event ([`GpPosterior::required_bias_exact`]). The fitted law is off by
//! tens of per cent there: it has three parameters for a whole spectrum. The exact route is the default; the fit remains
//! for networks, and for comparison.
//!
//! Choices of ours, where the paper leaves one or its code has an accident:
//! - K^-1 comes from a Cholesky factor (jitter from 1e-8 of the mean diagonal upwards until it succeeds), not from Adam
//!   on the squared error.
//! - Where no function of the space fits the training rows (linear functions of few columns), "fits" needs a width:
//!   `noise`, the variance of what the outputs have beyond the function. With 0, `training_error` says how far the space
//!   is from fitting.
//! - Functions too smooth for the target, made to go through all training rows, are certain and wrong between them: their
//!   information runs into millions and depends on the jitter. Such a figure says that the space does not suit the task,
//!   not how hard the task is; allow for `noise`, or take a shorter length scale.
//! - Errors are true means over rows and outputs. The authors' network code divides a sum of batch means by the number of
//!   rows, which makes its scale depend on the batch.
//! - The base distribution is part of the definition: results depend on the kernel's length scale and on the inputs'
//!   scaling. Standardise inputs, and say which length scale was used ([`median_distance`] is the habit).
//!
//! ```
//! use ndarray::{Array2, Axis};
//! use quadrat_core::Seed;
//! use quadrat_estimate::inductive_bias::{GpPosterior, Kernel, Rows, Unit};
//! let mut rng = Seed(1).rng(0);
//! let x = Array2::from_shape_simple_fn((150, 2), || rng.normal());
//! let y = x.sum_axis(Axis(1)).mapv(f64::sin).insert_axis(Axis(1));
//! let (train_x, test_x) = x.view().split_at(Axis(0), 100);
//! let (train_y, test_y) = y.view().split_at(Axis(0), 100);
//! let (train, test) = (Rows { x: train_x, y: train_y }, Rows { x: test_x, y: test_y });
//! let space = GpPosterior::new(Kernel::Rbf { sigma: 1.0 }, 0.0, train, test)?;
//! let easy = space.required_bias_exact(0.1, Unit::Bits)?;
//! let hard = space.required_bias_exact(0.001, Unit::Bits)?;
//! assert!(hard.value > easy.value);
//! # Ok::<(), quadrat_core::Error>(())
//! ```

mod fits;
mod posterior;
mod quadratic_form;
mod reference;

pub use fits::{FEWEST, Fit, Law, required_bias, sankaran};
pub use posterior::{GpPosterior, Kernel, MOST_ROWS, Rows, median_distance, residual_variance};
pub use quadratic_form::QuadraticForm;
pub use reference::reference_error;

use quadrat_core::{Area, Card, Choice, Error, Kind, Named, Progress, Result, Seed, Settings, checkpoint};
use quadrat_numeric::check_finite;
use rayon::prelude::*;
use serde::Serialize;

pub(crate) static CARD: Card = Card {
    slug: "inductive-bias",
    aliases: &["required-bias"],
    title: "Required inductive bias",
    paper: "Boopathy, Yue, Hwang, Iyer, Fiete: Towards Exact Computation of Inductive Bias. IJCAI 2024, arXiv 2406.15941",
    area: Area::Estimate,
    verbs: &["estimate"],
    summary: "How many bits beyond the training set it takes to generalise on a task, within a space of hypotheses: \
              minus the logarithm of the share of those that fit the training rows which also reach a given test error. \
              Exact for kernel spaces, from retrained networks otherwise.",
    useful_when: "how hard is my task, how much does an architecture already know, compare model families by their prior, \
                  is there enough training data, kernel against network, inductive bias in bits",
    cost: "kernel spaces: n^3/3 + n^2 t + n t^2 + 9 t^3 operations for n training and t test rows, 8 (n + t)^2 bytes; \
           networks: as many trainings as samples",
    params: Question::PARAMS,
};

const FITS: [(&str, &str); 7] = {
    let [ncx2, sankaran, half_square, gamma, normal, empirical] = Named::names(Fit::CHOICES);
    [("exact", "the law itself: kernels"), ncx2, sankaran, half_square, gamma, normal, empirical]
};

/// What is asked: of which space, at which errors, by which route.
#[derive(Debug, Clone, PartialEq, Settings)]
pub struct Question {
    /// The space of hypotheses: `kernel:rbf`, `kernel:linear`, or `network[:width[,depth]]`.
    #[param(default = Space::Rbf, text = "kernel:rbf", parse = Space::parse)]
    pub space: Space,
    /// Target test errors (mean squared error, in the target's units), with commas; auto is the error of ridge on random
    /// features.
    #[param(none = "auto")]
    pub eps: Option<Vec<f64>>,
    /// What information is counted in.
    #[param(default = Unit::Bits)]
    pub unit: Unit,
    /// Length scale of kernel:rbf, in standard deviations of the inputs; median is the median distance between rows.
    #[param(none = "median", above = 0)]
    pub sigma: Option<f64>,
    /// Of kernels: variance of the outputs beyond the function; auto is 0, so that functions go through the training
    /// rows, and for kernel:linear what least squares leaves.
    #[param(none = "auto", from = 0)]
    pub noise: Option<f64>,
    /// Where the law of the test error comes from; for networks ncx2 where nothing is said. `None` is the exact route.
    #[param(none = "exact", parse = fit, kind = Kind::Choice(&FITS))]
    pub fit: Option<Fit>,
}

fn fit(text: &str) -> Result<Fit> {
    let fit = Fit::CHOICES.iter().find(|fit| fit.name == text);
    fit.map(|fit| fit.value).ok_or_else(|| {
        let names: Vec<&str> = FITS.iter().map(|(name, _)| *name).collect();
        Error::input("fit", format!("`{text}`"), format!("use {}", names.join(", ")))
    })
}

/// A space of hypotheses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Space {
    /// Functions of a Gaussian kernel.
    Rbf,
    /// Linear functions.
    Linear,
    /// Networks of rectifiers.
    Network {
        /// Units of the first hidden layer.
        width: usize,
        /// Hidden layers after it.
        depth: usize,
    },
}

impl Space {
    fn parse(text: &str) -> Result<Space> {
        let want = "use kernel:rbf, kernel:linear or network[:WIDTH[,DEPTH]], of at most 100000 units and 100 layers";
        let wrong = || Error::input("space", format!("`{text}`"), want);
        match text {
            "kernel:rbf" => return Ok(Space::Rbf),
            "kernel:linear" => return Ok(Space::Linear),
            "network" => return Ok(Space::Network { width: 64, depth: 0 }),
            _ => {}
        }
        let sizes = text.strip_prefix("network:").ok_or_else(wrong)?;
        let (width, depth) = sizes.split_once(',').unwrap_or((sizes, "0"));
        let (width, depth) = (width.trim().parse().map_err(|_| wrong())?, depth.trim().parse().map_err(|_| wrong())?);
        if width == 0 || width > 100_000 || depth > 100 {
            return Err(wrong());
        }
        Ok(Space::Network { width, depth })
    }
}

/// What information is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Choice, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Unit {
    /// Logarithms to base 2.
    #[default]
    Bits,
    /// Natural logarithms.
    Nats,
}

impl Unit {
    /// So many bits in this unit.
    pub fn of_bits(self, bits: f64) -> f64 {
        self.of_nats(bits * std::f64::consts::LN_2)
    }

    fn of_nats(self, nats: f64) -> f64 {
        // No information is 0, not -0.
        let nats = if nats == 0.0 { 0.0 } else { nats };
        match self {
            Unit::Nats => nats,
            Unit::Bits => nats / std::f64::consts::LN_2,
        }
    }
}

/// How a figure was come by.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Means {
    /// From the law of the error itself.
    Saddlepoint,
    /// From a law fitted to samples.
    Fit(Law),
}

/// The information needed to reach a test error.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Bias {
    /// The test error: mean square over rows and outputs.
    pub eps: f64,
    /// The information; infinite when no hypothesis reaches the error.
    pub value: f64,
    /// What it is counted in.
    pub unit: Unit,
    /// Its 95% interval over the samples; none when nothing was sampled.
    pub interval: Option<(f64, f64)>,
    /// How it was come by.
    pub means: Means,
    /// Largest difference between the fitted law's distribution function and the sample's.
    pub ks_distance: Option<f64>,
    /// Whether `eps` is below every sampled error, so that the fitted law alone speaks.
    pub extrapolated: bool,
    /// Whether more than half of the hypotheses reach the error: then little is to be known.
    pub above_median: bool,
}

/// A way to draw hypotheses that fit the training rows.
pub trait HypothesisSampler {
    /// Test errors of `n` hypotheses, each from a stream of its own.
    ///
    /// # Errors
    /// What the sampler says; [`Error::Cancelled`].
    fn sample_losses(&self, n: usize, seed: Seed, progress: &dyn Progress) -> Result<Vec<f64>>;
}

/// Hypotheses by training again: a closure that trains a model from a seed (its start, the order of its rows) and
/// returns its error on the test rows.
///
/// ```
/// use quadrat_core::{Seed, Silent};
/// use quadrat_estimate::inductive_bias::{HypothesisSampler, Retrain};
/// let family = Retrain(|seed: Seed| Ok(0.1 + seed.rng(0).uniform()));
/// assert_eq!(family.sample_losses(60, Seed(1), &Silent)?.len(), 60);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
pub struct Retrain<F>(
    /// Trains and measures.
    pub F,
);

impl<F: Fn(Seed) -> Result<f64> + Sync> HypothesisSampler for Retrain<F> {
    fn sample_losses(&self, n: usize, seed: Seed, progress: &dyn Progress) -> Result<Vec<f64>> {
        let stream = seed.stream("retraining");
        progress.begin("training again", Some(n as u64));
        (0..n as u64)
            .into_par_iter()
            .map(|trial| {
                checkpoint(progress)?;
                let loss = (self.0)(Seed(stream.rng(trial).next_u64()))?;
                progress.advance(1);
                Ok(loss)
            })
            .collect()
    }
}

fn check_eps(eps: f64) -> Result<()> {
    if !(eps > 0.0 && eps.is_finite()) {
        return Err(Error::input("eps", eps, "the target error must be finite and above 0"));
    }
    Ok(())
}

/// That inputs and outputs belong together and are finite.
fn check_rows(part: &str, rows: Rows) -> Result<()> {
    if rows.y.nrows() != rows.x.nrows() {
        let want = format!("there are {} rows of inputs", rows.x.nrows());
        return Err(Error::input(format!("{part} outputs"), rows.y.nrows(), want));
    }
    if rows.x.ncols() == 0 || rows.y.ncols() == 0 {
        let got = format!("{} inputs and {} outputs a row", rows.x.ncols(), rows.y.ncols());
        return Err(Error::input(format!("{part} rows"), got, "give at least one of each"));
    }
    check_finite(&format!("{part} inputs"), rows.x)?;
    check_finite(&format!("{part} outputs"), rows.y)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, Axis};
    use quadrat_core::{Params, Silent};

    #[test]
    fn questions_are_read() {
        let read = |name: &str, value: &str| Question::from_params(&Params::from([(name, value)]));
        for (text, expected) in [
            ("kernel:rbf", Some(Space::Rbf)),
            ("kernel:linear", Some(Space::Linear)),
            ("network", Some(Space::Network { width: 64, depth: 0 })),
            ("network:32", Some(Space::Network { width: 32, depth: 0 })),
            ("network:128,2", Some(Space::Network { width: 128, depth: 2 })),
            ("network:0", None),
            ("network:", None),
            ("network:a,b", None),
            ("kernel", None),
            ("", None),
        ] {
            assert_eq!(read("space", text).map(|question| question.space).ok(), expected, "{text}");
        }
        assert_eq!(read("fit", "exact").unwrap().fit, None);
        assert_eq!(read("fit", "gamma").unwrap().fit, Some(Fit::Gamma));
        assert_eq!(read("eps", "0.1,0.05").unwrap().eps, Some(vec![0.1, 0.05]));
        assert!(read("fit", "beta").unwrap_err().to_string().contains("use exact, ncx2"));
        assert_eq!(Question::default(), Question::from_params(&Params::none()).unwrap());
    }

    #[test]
    fn a_closure_is_a_family_and_can_be_stopped() {
        struct Stopped;
        impl Progress for Stopped {
            fn cancelled(&self) -> bool {
                true
            }
        }
        let family = Retrain(|seed: Seed| Ok((0..5).map(|i| seed.rng(i).normal().powi(2)).sum()));
        let losses = family.sample_losses(200, Seed(3), &Silent).unwrap();
        assert_eq!(losses, family.sample_losses(200, Seed(3), &Silent).unwrap());
        assert!(required_bias(&losses, 1.0, Fit::Ncx2, Unit::Bits, Seed(0)).unwrap().value > 1.0);
        assert!(matches!(family.sample_losses(5, Seed(3), &Stopped), Err(Error::Cancelled)));
        let failing = Retrain(|_| Err(Error::numeric("training", "it diverged")));
        assert!(failing.sample_losses(5, Seed(3), &Silent).is_err());
    }

    /// The sheet's comparison: RBF of length 1, 200 training and 100 test rows, y = sin(sum x). Where samples reach, the
    /// saddlepoint agrees with their share to its standard error (four of them: once in 16,000); the fit is off.
    #[test]
    fn the_exact_route_agrees_with_samples_where_they_reach() {
        for d in [2, 6] {
            let mut rng = Seed(d).rng(0);
            let x = Array2::from_shape_simple_fn((300, d as usize), || rng.normal());
            let y = x.sum_axis(Axis(1)).mapv(f64::sin).insert_axis(Axis(1));
            let (train_x, test_x) = x.view().split_at(Axis(0), 200);
            let (train_y, test_y) = y.view().split_at(Axis(0), 200);
            let (train, test) = (Rows { x: train_x, y: train_y }, Rows { x: test_x, y: test_y });
            let gp = GpPosterior::new(Kernel::Rbf { sigma: 1.0 }, 0.0, train, test).unwrap();
            let losses = gp.sample_losses(40_000, Seed(9), &Silent).unwrap();
            let eps = quadrat_core::stats::quantile(&losses, 0.01);
            let exact = gp.required_bias_exact(eps, Unit::Nats).unwrap().value;
            let sampled = required_bias(&losses, eps, Fit::Empirical, Unit::Nats, Seed(0)).unwrap();
            assert!((exact - sampled.value).abs() < 4.0 * 0.05 + 0.01 * exact, "{d}: {exact} {sampled:?}");
            let inverted = -gp.law().log_cdf_by_inversion(eps);
            assert!((exact - inverted).abs() < 0.01 * exact, "{d}: {exact} {inverted}");
        }
    }

    #[test]
    fn results_do_not_depend_on_the_number_of_threads() {
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let mut rng = Seed(4).rng(0);
                let x = Array2::from_shape_simple_fn((80, 3), || rng.normal());
                let y = x.sum_axis(Axis(1)).mapv(f64::cos).insert_axis(Axis(1));
                let rows = Rows { x: x.view(), y: y.view() };
                let gp = GpPosterior::new(Kernel::Rbf { sigma: 1.0 }, 0.1, rows, rows).unwrap();
                let losses = gp.sample_losses(300, Seed(5), &Silent).unwrap();
                (gp.clone(), required_bias(&losses, 0.05, Fit::Ncx2, Unit::Nats, Seed(6)).unwrap(), losses)
            })
        };
        assert_eq!(run(1), run(2));
    }
}
