//! Perturbed likelihood: a generator for rows that lie on a thin set, by adding noise before maximising the likelihood.
//!
//! Rows on a curve, a surface or a manifold of images have no density. A model with one, p(x) = E N(x; f(Z), s^2 I), can
//! raise its likelihood without bound by letting s fall to 0, whatever f does along the set: the likelihood no longer says
//! how the law of Z is to be laid out. Known noise N(0, t^2 I) added to the rows bounds the likelihood and makes it an
//! honest distance between laws; the generator then leaves its own noise s out.
//!
//! Source: M. Chae, D. Kim, Y. Kim and L. Lin, "A likelihood approach to nonparametric estimation of a singular
//! distribution using deep generative models", JMLR 24, 2023 (arXiv 2105.04046). In its order:
//! 1. perturb the rows, x~ = x + t e ([`InstanceNoise`]);
//! 2. maximise sum ln p(x~) over the decoder f and s, or a bound on it ([`Bound`]);
//! 3. generate f(Z), without s ([`GenerativeModel::sample`](crate::GenerativeModel::sample));
//! 4. choose t by the Wasserstein distance from generated rows to rows held out ([`Noise`]), never by the likelihood,
//!    which is not comparable across t.
//!
//! For a smoothness b of f and an intrinsic dimension d the theory wants t of order n^(-b / (2 (b + d))), and promises W1 of
//! the same order up to logarithms, whatever the number of columns (the exponent is quoted from the paper's front matter).
//!
//! Choices of ours:
//! - Rows are centred and divided by one number, the root of the columns' mean variance, so that noise stays the same in all
//!   directions. Columns of different units are the caller's to standardise beforehand.
//! - ln s takes steps ten times the networks': at the same rate 3,000 steps of Adam could not bring s below a twentieth of
//!   its start. It keeps its start for the first tenth of the steps, for before the networks have learned anything the rows'
//!   whole spread looks like noise, and a fit whose s follows stays collapsed. It never falls below 1e-4 of the rows' scale.
//!   [`Fitted::divergences`] near 0 show a collapse, which noise far too large still brings about.
//! - Fresh noise every epoch (`redraw`) is the practice and a regulariser of its own; one draw is what the theory treats.
//! - The generator that was validated is the one returned: it has not seen the rows held out (a fifth, at most 1,000).
//! - A connected law of Z cannot become two separate pieces under a continuous f: a thin bridge of rows remains.
//!
//! What its claim measured, on a circle and a spiral: the chosen noise beats one fit without noise, but hardly as many
//! starts without noise to choose from, and a kernel density is nearer still.
//!
//! ```
//! use ndarray::Array2;
//! use quadrat_core::{Seed, Silent};
//! use quadrat_estimate::GenerativeModel;
//! use quadrat_estimate::perturbed_likelihood::{Noise, PerturbedMle};
//! let mut rng = Seed(1).rng(0);
//! let angles: Vec<f64> = (0..200).map(|_| 6.283 * rng.uniform()).collect();
//! let circle = Array2::from_shape_fn((200, 2), |(i, k)| if k == 0 { angles[i].cos() } else { angles[i].sin() });
//! let method = PerturbedMle { noise: Noise::Fixed(0.1), steps: 50, ..PerturbedMle::default() };
//! let generator = method.fit(circle.view(), Seed(2), &Silent)?;
//! assert_eq!(generator.sample(30, Seed(3)).dim(), (30, 2));
//! # Ok::<(), quadrat_core::Error>(())
//! ```

mod fitted;
mod quadrature;
mod training;
mod variational;

#[cfg(test)]
mod tests;

pub use fitted::Fitted;

use ndarray::{Array1, Array2, ArrayView2, Axis};
use quadrat_core::{Area, Card, Choice, Error, Kind, Method, Progress, Result, Rng, Seed, Settings};
use quadrat_numeric::check_finite;
use quadrat_numeric::transport::wasserstein1;
use rayon::prelude::*;
use std::ops::Bound::{Included, Unbounded};

/// Rows that a fit needs.
pub const FEWEST: usize = 50;
/// Most latent dimensions that quadrature points still cover.
pub const MOST_QUADRATURE: usize = 3;
/// Noise levels that [`Noise::Auto`] tries, in units of the rows' scale.
pub const LEVELS: [f64; 8] = [0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5];

/// The law of Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Choice)]
pub enum Prior {
    /// Independent standard normals.
    Normal,
    /// Uniform on the cube from -1 to 1, with quadrature only.
    Uniform,
}

impl Prior {
    fn draw(self, rng: &mut Rng) -> f64 {
        match self {
            Prior::Normal => rng.normal(),
            Prior::Uniform => 2.0 * rng.uniform() - 1.0,
        }
    }
}

/// What is maximised in the likelihood's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// The evidence lower bound with a Gaussian encoder and its divergence in closed form: a variational autoencoder.
    Elbo,
    /// The importance-weighted bound of Burda et al. (2016) with `k` draws a row.
    Iwae {
        /// Draws, at least 1.
        k: usize,
    },
    /// The likelihood itself, with Z on `m` fixed Sobol' points: a mixture of `m` Gaussians that share a decoder.
    Quadrature {
        /// Points, at least 2.
        m: usize,
    },
}

/// The noise added to rows, as a standard deviation t in the rows' units.
#[derive(Debug, Clone, PartialEq)]
pub enum Noise {
    /// This t, all rows in training.
    Fixed(f64),
    /// The best of these by exact W1 to rows held out.
    Grid(Vec<f64>),
    /// The best of [`LEVELS`] times the rows' scale.
    Auto,
}

/// The decoder's own noise s.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Sigma {
    /// Learned, from half the rows' scale (and t) on, and never below `floor` (in the rows' units). A floor of t is a shortcut to
    /// good values: rows with noise t cannot call for less.
    Learned {
        /// Lower end; 0 for none but the numerical one.
        floor: f64,
    },
    /// This, in the rows' units.
    Fixed(f64),
}

/// Known noise for training rows, also for training loops elsewhere.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct InstanceNoise {
    /// Standard deviation, in the rows' units.
    pub t: f64,
    /// Whether every epoch has a draw of its own.
    pub redraw: bool,
}

impl InstanceNoise {
    /// The rows with the noise of an epoch.
    ///
    /// # Errors
    /// A `t` that is negative or not finite.
    pub fn perturb(&self, x: ArrayView2<f64>, epoch: u64, seed: Seed) -> Result<Array2<f64>> {
        check_level(self.t)?;
        let mut rng = seed.stream("instance noise").rng(if self.redraw { epoch } else { 0 });
        Ok(x.mapv(|value| value + self.t * rng.normal()))
    }
}

/// The method: a decoder of `hidden` layers of leaky rectified units, the bound, the noise and the training.
#[derive(Debug, Clone, PartialEq, Settings)]
pub struct PerturbedMle {
    /// Dimensions of Z, at most the number of columns.
    #[param(default = 2, from = 1)]
    pub latent: usize,
    /// Law of Z.
    #[param(default = Prior::Normal)]
    pub prior: Prior,
    /// What is maximised: elbo, iwae:K or quadrature:M (an exact mixture, latent at most 3).
    #[param(default = Bound::Elbo, text = "elbo", parse = parse_bound)]
    pub bound: Bound,
    /// Noise added to rows, a standard deviation in the columns' units; auto is chosen by the distance to rows held
    /// out.
    #[param(
        default = Noise::Auto,
        text = "auto",
        parse = parse_noise,
        kind = Kind::Number { range: (Included(0.0), Unbounded), or: Some("auto") }
    )]
    pub noise: Noise,
    /// Whether noise is drawn afresh every epoch.
    #[param(default = true)]
    pub redraw: bool,
    /// Units of each of the two hidden layers. Of each hidden layer, of decoder and encoder; none for linear ones.
    #[param(
        default = vec![64, 64],
        text = "64",
        parse = two_layers,
        kind = Kind::Whole { range: (Included(1), Unbounded), or: None }
    )]
    pub hidden: Vec<usize>,
    /// The decoder's noise. Default learned.
    #[param(fixed = Sigma::Learned { floor: 0.0 })]
    pub sigma: Sigma,
    /// Steps of Adam.
    #[param(default = 3000, from = 1)]
    pub steps: usize,
    /// Rows of a step.
    #[param(default = 100, from = 1)]
    pub batch: usize,
    /// Adam's step size.
    #[param(default = 0.001, above = 0)]
    pub rate: f64,
}

impl Method for PerturbedMle {
    const CARD: Card = Card {
        slug: "perturbed-likelihood",
        aliases: &["perturbed-mle"],
        title: "Perturbed-likelihood generator",
        paper: "Chae, Kim, Kim, Lin: A likelihood approach to nonparametric estimation of a singular distribution \
                using deep generative models. JMLR 24, 2023, arXiv 2105.04046",
        area: Area::Estimate,
        verbs: &["sample"],
        summary: "A generator for rows on or near a thin set (a curve, a manifold, images): a variational autoencoder \
                  or an exact mixture, fitted to rows with known noise and sampled without it, the noise chosen by \
                  Wasserstein distance to rows held out.",
        useful_when: "make new rows like mine, generative model of data on a manifold, VAE samples are noisy or \
                      collapse, synthetic data, likelihood diverges, how much noise to add to training data",
        cost: "steps times batch rows through two networks for each noise level (a few seconds for 3,000 steps of 100 \
               rows), plus one exact Wasserstein distance a level",
        params: Self::PARAMS,
    };
}

impl PerturbedMle {
    /// Fits a generator to the rows of `x`: one fit for each noise level, in parallel. Reports a step of training at a time.
    ///
    /// # Errors
    /// Fewer than [`FEWEST`] rows, fewer columns than latent dimensions, a constant column, values that are not finite or
    /// too far apart to be scaled, settings out of range, training that diverges, and [`Error::Cancelled`].
    pub fn fit(&self, x: ArrayView2<f64>, seed: Seed, progress: &dyn Progress) -> Result<Fitted> {
        self.check(x)?;
        let scaling = Scaling::of(x)?;
        let levels = match &self.noise {
            Noise::Fixed(t) => {
                progress.begin("training", Some(self.steps as u64));
                return training::fit(self, x, &scaling, *t, seed, progress);
            }
            Noise::Grid(levels) => levels.clone(),
            Noise::Auto => LEVELS.iter().map(|level| level * scaling.scale).collect(),
        };
        let mut order: Vec<usize> = (0..x.nrows()).collect();
        seed.stream("rows held out").rng(0).shuffle(&mut order);
        let (held_out, rest) = order.split_at((x.nrows() / 5).min(1000));
        let (held_out, rest) = (x.select(Axis(0), held_out), x.select(Axis(0), rest));
        progress.begin("training", Some((self.steps * levels.len()) as u64));
        let one = |t: &f64| {
            let generator = training::fit(self, rest.view(), &scaling, *t, seed, progress)?;
            let made = generator.generate(held_out.nrows(), seed.stream("validation"));
            Ok((wasserstein1(made.view(), held_out.view())?, generator))
        };
        let mut fits = levels.par_iter().map(one).collect::<Result<Vec<_>>>()?;
        let validation: Vec<(f64, f64)> = levels.iter().zip(&fits).map(|(t, (w1, _))| (*t, *w1)).collect();
        let mut generator = fits.swap_remove(choose(&validation)).1;
        generator.validation = validation;
        Ok(generator)
    }

    fn check(&self, x: ArrayView2<f64>) -> Result<()> {
        let (n, columns) = x.dim();
        if n < FEWEST {
            return Err(Error::input("rows", n, format!("a generator needs at least {FEWEST}")));
        }
        if self.latent == 0 || self.latent > columns {
            let want = format!("use 1 to {columns}, the number of columns");
            return Err(Error::input("latent dimensions", self.latent, want));
        }
        check_finite("rows", x)?;
        match self.bound {
            Bound::Elbo | Bound::Iwae { .. } if self.prior == Prior::Uniform => {
                let want = "a Gaussian encoder leaves its cube; use a normal prior, or quadrature";
                return Err(Error::input("prior", "uniform", want));
            }
            Bound::Iwae { k: 0 } => return Err(Error::input("draws of the bound", 0, "use at least 1")),
            Bound::Quadrature { m } if m < 2 => {
                return Err(Error::input("quadrature points", m, "use at least 2; 256 do on a curve"));
            }
            Bound::Quadrature { .. } if self.latent > MOST_QUADRATURE => {
                let want = format!("fixed points cover at most {MOST_QUADRATURE}; use elbo or iwae");
                return Err(Error::input("latent dimensions", self.latent, want));
            }
            _ => {}
        }
        match &self.noise {
            Noise::Fixed(t) => check_level(*t)?,
            Noise::Grid(levels) if levels.is_empty() => {
                return Err(Error::input("noise levels", 0, "give at least one"));
            }
            Noise::Grid(levels) => levels.iter().try_for_each(|t| check_level(*t))?,
            Noise::Auto => {}
        }
        match self.sigma {
            Sigma::Learned { floor } if !(floor >= 0.0 && floor.is_finite()) => {
                return Err(Error::input("floor of sigma", floor, "use a finite number of at least 0"));
            }
            Sigma::Fixed(s) if !(s > 0.0 && s.is_finite()) => {
                return Err(Error::input("sigma", s, "use a finite number above 0"));
            }
            _ => {}
        }
        if self.hidden.contains(&0) {
            return Err(Error::input("units of a hidden layer", 0, "use at least 1, or leave the layer out"));
        }
        for (what, value) in [("steps", self.steps), ("batch", self.batch)] {
            if value == 0 {
                return Err(Error::input(what, 0, "use at least 1"));
            }
        }
        if !(self.rate > 0.0 && self.rate.is_finite()) {
            return Err(Error::input("rate", self.rate, "use a finite number above 0; 0.001 is usual"));
        }
        Ok(())
    }
}

fn parse_bound(text: &str) -> Result<Bound> {
    let unfit = || Error::input("bound", format!("`{text}`"), "use elbo, iwae:K or quadrature:M, such as iwae:10");
    let number = |word: &str| word.parse().map_err(|_| unfit());
    match text.split_once(':') {
        None if text == "elbo" => Ok(Bound::Elbo),
        Some(("iwae", k)) => Ok(Bound::Iwae { k: number(k)? }),
        Some(("quadrature", m)) => Ok(Bound::Quadrature { m: number(m)? }),
        _ => Err(unfit()),
    }
}

fn parse_noise(text: &str) -> Result<Noise> {
    let level = text.parse().ok().filter(|level: &f64| level.is_finite() && *level >= 0.0);
    let want = || Error::input("noise", format!("`{text}`"), "use `auto` or a number, at least 0");
    level.map(Noise::Fixed).ok_or_else(want)
}

fn two_layers(text: &str) -> Result<Vec<usize>> {
    let units = text.parse().ok().filter(|units| *units > 0);
    let want = || Error::input("hidden", format!("`{text}`"), "use a whole number, at least 1");
    units.map(|units| vec![units, units]).ok_or_else(want)
}

/// The place of the noise level with the least distance; among levels within 1% of it the largest, since noise costs
/// nothing where it does not matter and more of it keeps the likelihood in bounds. 0 for none.
pub fn choose(validation: &[(f64, f64)]) -> usize {
    let least = validation.iter().map(|(_, w1)| *w1).fold(f64::INFINITY, f64::min);
    let good = validation.iter().enumerate().filter(|(_, (_, w1))| *w1 <= 1.01 * least);
    good.max_by(|a, b| a.1.0.total_cmp(&b.1.0)).map_or(0, |(at, _)| at)
}

fn check_level(t: f64) -> Result<()> {
    if !(t >= 0.0 && t.is_finite()) {
        return Err(Error::input("noise level", t, "use a finite number of at least 0"));
    }
    Ok(())
}

/// Between the rows' units and the networks': centred columns of mean variance 1.
#[derive(Debug, Clone, PartialEq)]
struct Scaling {
    centre: Array1<f64>,
    scale: f64,
}

impl Scaling {
    fn of(x: ArrayView2<f64>) -> Result<Scaling> {
        let n = x.nrows() as f64;
        let centre = x.map_axis(Axis(0), |column| column.iter().map(|v| v / n).sum::<f64>());
        let mut variances = Vec::with_capacity(x.ncols());
        for (at, column) in x.columns().into_iter().enumerate() {
            if column.iter().all(|v| *v == column[0]) {
                let want = "a constant column has no scale; drop it, and add it to the generated rows";
                return Err(Error::input(format!("column {at}"), format!("{} in every row", column[0]), want));
            }
            variances.push(column.iter().map(|v| (v - centre[at]).powi(2) / n).sum::<f64>());
        }
        let scale = (variances.iter().sum::<f64>() / variances.len() as f64).sqrt();
        if !(scale.is_normal() && (1.0 / scale).is_finite()) {
            let want = "squares must neither overflow nor vanish; change the columns' units";
            return Err(Error::input("spread of the columns", scale, want));
        }
        Ok(Scaling { centre, scale })
    }

    fn to_networks(&self, x: ArrayView2<f64>) -> Array2<f64> {
        (&x - &self.centre) / self.scale
    }

    fn to_rows(&self, x: Array2<f32>) -> Array2<f64> {
        x.mapv(f64::from) * self.scale + &self.centre
    }
}
