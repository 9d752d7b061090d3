//! The score that an auto-encoder learns.
//!
//! A network r that takes noise out of rows, or that reproduces rows while its Jacobian is kept small, moves every point
//! uphill in density: (r(x) - x) / s^2 estimates the gradient of the log-density of the rows.
//!
//! Source: G. Alain and Y. Bengio, "What Regularized Auto-Encoders Learn from the Data-Generating Distribution", JMLR 15
//! (2014) 3743-3773 (arXiv 1211.4246). Its two criteria, for noise of standard deviation s:
//!
//! - denoising: E |r(x + e) - x|^2, e ~ N(0, s^2 I);
//! - contractive: E |r(x) - x|^2 + s^2 |dr/dx|_F^2, the penalty on the whole of r and not on the encoder alone.
//!
//! Its theorem: for both, r(x) = x + s^2 grad ln p(x) + o(s^2) as s -> 0. The denoising optimum is known at every s: it is
//! the posterior mean, so (r(x) - x) / s^2 = grad ln p_s(x) exactly, where p_s is the law of x + e (Tweedie's formula).
//! **What is learnt is p_s, not p**: variances are larger by s^2, and a sampler that is driven by this score draws from
//! p_s. Log-density ratios are path integrals of the score ([`ScoreModel::log_ratio`]); [`crate::chains`] samples from it.
//!
//! The criteria differ by s^2 E (r - x) . Lap r to leading order. Where r = x + s^2 g(x), as at the optimum, both factors are
//! of second order, so they differ by s^6 only; for an arbitrary r they do not agree.
//!
//! What the reconstruction error |r(x) - x|^2 is not: an energy. It is the squared length of the score, small at every
//! stationary point of the density, saddles and minima included.
//!
//! Choices of ours:
//! - By default the network says how a point is to be moved, r(x) = x + s net(x): its outputs are of order 1 whatever s,
//!   and r(x) - x is no difference of nearly equal numbers. `skip: false` is the paper's r(x) = net(x).
//! - Noise comes in pairs, +e and -e on the same row: unbiased as before, while the part of the gradient that is odd in e,
//!   nearly all of its noise for small s, cancels.
//! - Adam's step size falls from 0.01 to 0 along half a cosine: division by s^2 enlarges whatever error is left. On eight
//!   modes in the plane with s = 0.05, the usual 0.001 leaves a relative error of 0.27 after 5,000 steps, 0.01 one of 0.10.
//! - Columns are standardised first; s counts in standard deviations of the columns. Weights are not tied.
//! - Several noises at once (to tame the far regions that narrow noise never visits): a row that was moved by noise t is
//!   to be taken back by the share (s / t)^2 of the way, s the smallest. Then (r(x) - x) / s^2 is the score of the equal
//!   mixture of the p_t. Plain targets would give a score of nothing in particular.
//! - [`choose_noise`] takes the s whose score fits best to rows that were held out, by Hyvärinen's objective. Too small an
//!   s drowns in the error of the fit, too large a one blurs.
//!
//! ```
//! use ndarray::{Array2, array};
//! use quadrat_core::{Seed, Silent};
//! use quadrat_estimate::autoencoder_score::ScoreAutoencoder;
//! use quadrat_estimate::score::{Quadrature, ScoreModel};
//! let mut rng = Seed(1).rng(0);
//! let x = Array2::from_shape_simple_fn((500, 2), || 3.0 + rng.normal());
//! let learner = ScoreAutoencoder { steps: 300, ..ScoreAutoencoder::default() };
//! let model = learner.fit(x.view(), Seed(2), &Silent)?;
//! let (centre, edge) = (array![[3.0, 3.0]], array![[5.0, 5.0]]);
//! assert!(model.score(edge.view())[[0, 0]] < 0.0);
//! assert!(model.log_ratio(centre.view(), edge.view(), Quadrature::default())?[0] < 0.0);
//! # Ok::<(), quadrat_core::Error>(())
//! ```

mod criterion;
mod generator;
#[cfg(test)]
mod tests;

pub use generator::{AutoencoderGenerator, Radius};

use crate::score::{ScoreModel, check_columns, score_matching_loss};
use criterion::Reconstruction;
use ndarray::{Array1, Array2, ArrayView2, Axis, Zip, s};
use quadrat_core::{Area, Card, Choice, Error, Method, Named, Param, Progress, Result, Rng, Seed};
use quadrat_core::{Settings, Silent, checkpoint};
use quadrat_numeric::layers::{Activation, Adam, Layers, Start};
use quadrat_numeric::learners::cosine;
use rayon::prelude::*;

impl Method for AutoencoderGenerator {
    const CARD: Card = Card {
        slug: "autoencoder-score",
        aliases: &["dae-score", "denoising-autoencoder"],
        title: "Score from an auto-encoder",
        paper: "Alain, Bengio: What Regularized Auto-Encoders Learn from the Data-Generating Distribution. JMLR 15 \
                (2014) 3743-3773, arXiv 1211.4246",
        area: Area::Estimate,
        verbs: &["sample"],
        summary: "The gradient of the data's log-density from a small denoising or contractive auto-encoder: \
                  log-density ratios between points, and new rows by Markov chains that the gradient drives.",
        useful_when: "more rows like mine, generate synthetic numeric data, sample from an unknown density, density \
                      ratio, score of the data, how likely is this point, mode finding, anomaly score",
        cost: "training: steps x batch x 6 hidden x columns operations; sampling: (burn-in + thin x draws) x chains x \
               5 passes through the network",
        params: &Param::pick(
            &[Self::PARAMS],
            [
                "noise",
                "criterion",
                "hidden",
                "steps",
                "skip",
                "sampler",
                "step",
                "quadrature",
                "chains",
                "burn-in",
                "thin",
                "guard",
            ],
        ),
    };
}

/// What is minimised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Criterion {
    /// E |r(x + e) - x|^2.
    Denoising,
    /// E |r(x) - x|^2 + s^2 |dr/dx|_F^2.
    Contractive(Penalty),
    /// E |r(x) - x|^2 + s^2 |dh/dx|_F^2, h the hidden layer: the older contractive auto-encoder (Rifai et al. 2011). The
    /// theorem does not hold for it; it is here for comparison. One hidden layer.
    ContractiveEncoder,
    /// E |r(x) - x|^2: learns nothing about the density; for comparison.
    Plain,
}

/// How the contractive penalty is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Penalty {
    /// In closed form, for one hidden layer; O(h^2) a row.
    Exact,
    /// By the Jacobian's product with one random direction a row, for any depth; O(h d) a row for one hidden layer.
    Hutchinson,
}

/// By hand: a variant has a field of its own that is part of the name.
impl Choice for Criterion {
    const CHOICES: &'static [Named<Self>] = &[
        Named { name: "denoising", value: Criterion::Denoising, help: "adds noise and takes it out" },
        Named {
            name: "contractive",
            value: Criterion::Contractive(Penalty::Exact),
            help: "punishes the Jacobian, for one hidden layer",
        },
        Named {
            name: "contractive-hutchinson",
            value: Criterion::Contractive(Penalty::Hutchinson),
            help: "the same by random directions, for any depth",
        },
        Named {
            name: "contractive-encoder",
            value: Criterion::ContractiveEncoder,
            help: "punishes the hidden layer's Jacobian alone: for comparison",
        },
        Named { name: "plain", value: Criterion::Plain, help: "no regularisation: for comparison" },
    ];
}

/// An auto-encoder to be trained for its score.
#[derive(Debug, Clone, PartialEq, Settings)]
pub struct ScoreAutoencoder {
    /// s, above 0; several are a mixture (denoising only). In standard deviations of the columns when `standardise`.
    #[param(fixed = vec![0.2])]
    pub noise: Vec<f64>,
    /// What is minimised.
    #[param(default = Criterion::Denoising)]
    pub criterion: Criterion,
    /// Units of each hidden layer of tanh, such as 128,128. None makes r linear.
    #[param(default = vec![100], text = "100")]
    pub hidden: Vec<usize>,
    /// Training steps of 128 rows. Adam's.
    #[param(default = 5000, from = 1)]
    pub steps: usize,
    /// Whether the network says how a row is to be moved, or the row itself. r(x) = x + s net(x); else r(x) = net(x).
    #[param(default = true)]
    pub skip: bool,
    /// Rows a step, drawn with replacement; at least 2. Denoising uses half as many rows, each with +e and -e.
    #[param(fixed = 128)]
    pub batch: usize,
    /// Adam's first step size, above 0.
    #[param(fixed = 1e-2)]
    pub learning_rate: f64,
    /// Whether columns are brought to mean 0 and standard deviation 1 inside.
    #[param(fixed = true)]
    pub standardise: bool,
}

/// Steps between looks at the progress, and in a figure of the loss.
const ROUND: usize = 100;
/// Rows scored together.
const BLOCK: usize = 512;

impl ScoreAutoencoder {
    /// Trains on the rows of `x`: O(steps * batch * weights), one thread.
    ///
    /// # Errors
    /// Parameters out of range, fewer than two rows, no column, values that are not finite, with `standardise` a constant
    /// column or one too large to have a variance, a criterion that does not go with the network or the noise, training
    /// that diverged, the user's cancelling.
    pub fn fit(&self, x: ArrayView2<f64>, seed: Seed, progress: &dyn Progress) -> Result<AutoencoderScore> {
        let noise = self.check(x)?;
        let (mean, scale) = if self.standardise { moments(x)? } else { identity(x.ncols()) };
        let z = standardised(x, &mean, &scale);

        let mut sizes = vec![x.ncols()];
        sizes.extend(&self.hidden);
        sizes.push(x.ncols());
        let net = Layers::random(&sizes, Activation::Tanh, Start::Uniform, &mut seed.stream("weights").rng(0));
        let (keep, gain) = if self.skip { (1.0, noise as f32) } else { (0.0, 1.0) };
        let mut r = Reconstruction { net, keep, gain };
        let (mut adam, mut slope) = (Adam::new(&r.net), r.net.zeros());
        let mut rng = seed.stream("batches").rng(0);
        let mut losses = Vec::new();
        let mut sum = 0.0;
        progress.begin("training the auto-encoder", Some(self.steps as u64));
        for step in 0..self.steps {
            sum += f64::from(self.loss(&r, &z, noise, &mut rng, &mut slope));
            adam.step(&mut r.net, &mut slope, cosine(step, self.steps, self.learning_rate, 0.0));
            if (step + 1) % ROUND == 0 || step + 1 == self.steps {
                losses.push(sum / (step % ROUND + 1) as f64);
                sum = 0.0;
                checkpoint(progress)?;
                progress.advance((step % ROUND + 1) as u64);
            }
        }
        if losses.iter().any(|loss| !loss.is_finite()) {
            return Err(Error::numeric(
                "training the auto-encoder",
                "the loss is not finite: use a smaller learning rate",
            ));
        }
        Ok(AutoencoderScore { r, mean, scale, noise, losses })
    }

    /// The criterion on a random batch; its derivatives are added to `slope`.
    fn loss(
        &self,
        r: &Reconstruction<f32>,
        z: &Array2<f32>,
        noise: f64,
        rng: &mut Rng,
        slope: &mut Layers<f32>,
    ) -> f32 {
        let rows = if self.criterion == Criterion::Denoising { self.batch / 2 } else { self.batch };
        let chosen: Vec<usize> = (0..rows).map(|_| rng.below(z.nrows())).collect();
        let x = z.select(Axis(0), &chosen);
        let variance = (noise * noise) as f32;
        match self.criterion {
            Criterion::Denoising => {
                let (noisy, target) = self.corrupted(x.view(), noise, rng);
                r.denoising(noisy, target.view(), slope)
            }
            Criterion::Contractive(Penalty::Exact) => r.contractive_exact(x, variance, false, slope),
            Criterion::ContractiveEncoder => r.contractive_exact(x, variance, true, slope),
            Criterion::Contractive(Penalty::Hutchinson) => {
                let directions = Array2::from_shape_simple_fn(x.raw_dim(), || rng.normal() as f32);
                r.contractive_hutchinson(x, variance, directions, slope)
            }
            Criterion::Plain => r.denoising(x.clone(), x.view(), slope),
        }
    }

    /// Rows with noise +e and -e, and what each is to become: x itself where the noise was the smallest, `noise`.
    fn corrupted(&self, x: ArrayView2<f32>, noise: f64, rng: &mut Rng) -> (Array2<f32>, Array2<f32>) {
        let (n, d) = x.dim();
        let mut noisy = Array2::zeros((2 * n, d));
        let mut target = Array2::zeros((2 * n, d));
        for (i, row) in x.rows().into_iter().enumerate() {
            let width = if self.noise.len() == 1 { noise } else { self.noise[rng.below(self.noise.len())] };
            let share = 1.0 - (noise / width).powi(2);
            for (j, &v) in row.iter().enumerate() {
                let e = (width * rng.normal()) as f32;
                for (at, e) in [(i, e), (n + i, -e)] {
                    noisy[[at, j]] = v + e;
                    target[[at, j]] = v + share as f32 * e;
                }
            }
        }
        (noisy, target)
    }

    /// The smallest noise, once all parameters and rows are known to be usable.
    fn check(&self, x: ArrayView2<f64>) -> Result<f64> {
        check_columns(x.ncols(), x)?;
        if x.nrows() < 2 || x.ncols() == 0 {
            let got = format!("{} rows, {} columns", x.nrows(), x.ncols());
            return Err(Error::input("training rows", got, "give at least two rows and one column"));
        }
        let positive = |v: f64| v > 0.0 && v.is_finite();
        if let Some(wrong) = self.noise.iter().find(|s| !positive(**s)) {
            return Err(Error::input("noise", wrong, "it must be finite and above 0"));
        }
        let Some(noise) = self.noise.iter().copied().reduce(f64::min) else {
            return Err(Error::input("noise", "none", "give at least one standard deviation"));
        };
        if !positive(self.learning_rate) {
            return Err(Error::input("learning rate", self.learning_rate, "it must be finite and above 0"));
        }
        for (what, value, least) in [("steps", self.steps, 1), ("batch", self.batch, 2)] {
            if value < least {
                return Err(Error::input(what, value, format!("it must be at least {least}")));
            }
        }
        if self.hidden.contains(&0) {
            return Err(Error::input("hidden", "a layer of 0 units", "give each layer at least 1"));
        }
        if self.noise.len() > 1 && self.criterion != Criterion::Denoising {
            return Err(Error::input("noise", format!("{:?}", self.noise), "only denoising takes several: give one"));
        }
        let closed = matches!(self.criterion, Criterion::Contractive(Penalty::Exact) | Criterion::ContractiveEncoder);
        if closed && self.hidden.len() != 1 {
            let got = format!("{} hidden layers", self.hidden.len());
            return Err(Error::input("hidden", got, "this penalty takes one hidden layer: use contractive-hutchinson"));
        }
        Ok(noise)
    }
}

fn identity(columns: usize) -> (Array1<f64>, Array1<f64>) {
    (Array1::zeros(columns), Array1::ones(columns))
}

/// Means and standard deviations of the columns, all above 0.
fn moments(x: ArrayView2<f64>) -> Result<(Array1<f64>, Array1<f64>)> {
    let n = x.nrows() as f64;
    let mean = x.columns().into_iter().map(|c| c.iter().map(|v| v / n).sum()).collect::<Array1<f64>>();
    let scale = Zip::from(x.columns()).and(&mean).map_collect(|c, m| {
        let largest = c.iter().fold(0.0_f64, |l, v| l.max((v - m).abs()));
        largest * (c.iter().map(|v| ((v - m) / largest).powi(2)).sum::<f64>() / n).sqrt()
    });
    for (column, deviation) in scale.iter().enumerate() {
        if !deviation.is_normal() {
            // A constant column gives 0 / 0.
            let got =
                if deviation.is_nan() { "a constant".to_owned() } else { format!("standard deviation {deviation}") };
            let want = "it must vary, within what double precision can hold: leave the column out or rescale it";
            return Err(Error::input(format!("column {column}"), got, want));
        }
        // A spread that is nothing but rounding of the mean.
        if *deviation < 1e-14 * mean[column].abs() {
            return Err(Error::input(format!("column {column}"), "a constant", "leave the column out"));
        }
    }
    Ok((mean, scale))
}

fn standardised(x: ArrayView2<f64>, mean: &Array1<f64>, scale: &Array1<f64>) -> Array2<f32> {
    let mut z = Array2::zeros(x.raw_dim());
    for (mut z, x) in z.rows_mut().into_iter().zip(x.rows()) {
        Zip::from(&mut z).and(&x).and(mean).and(scale).for_each(|z, x, m, s| *z = ((x - m) / s) as f32);
    }
    z
}

/// The score (r(x) - x) / s^2 of a trained auto-encoder, in the units of the rows it was given. Single precision inside.
#[derive(Debug, Clone, PartialEq)]
pub struct AutoencoderScore {
    r: Reconstruction<f32>,
    mean: Array1<f64>,
    scale: Array1<f64>,
    noise: f64,
    losses: Vec<f64>,
}

impl AutoencoderScore {
    /// The training criterion, averaged over each 100 steps; in standardised units.
    pub fn losses(&self) -> &[f64] {
        &self.losses
    }

    /// r(x), in the units of the rows.
    ///
    /// # Errors
    /// Other columns than were trained on, values that are not finite.
    pub fn reconstruct(&self, x: ArrayView2<f64>) -> Result<Array2<f64>> {
        check_columns(self.dims(), x)?;
        Ok(self.moved(x))
    }

    fn moved(&self, x: ArrayView2<f64>) -> Array2<f64> {
        // s^2 scale^2 times the score.
        &x + &(self.score(x) * &(&self.scale * &self.scale) * self.noise.powi(2))
    }

    /// |r(x) - x| / s of each row, in standardised units: s times the length of the score. A score of how unusual a
    /// row's surroundings pull, not of how unlikely it is: it is small at every mode, saddle and minimum of the density.
    ///
    /// # Errors
    /// As [`reconstruct`](Self::reconstruct).
    pub fn anomaly(&self, x: ArrayView2<f64>) -> Result<Vec<f64>> {
        check_columns(self.dims(), x)?;
        let pull = self.score(x) * &self.scale * self.noise;
        Ok(pull.rows().into_iter().map(|row| row.dot(&row).sqrt()).collect())
    }

    /// The fixed points of r that the rows of `x` lead to by x <- r(x), until a step is at most `tolerance` (in
    /// standardised units) or after `most` steps. Rows that did not come to rest are where the last step left them.
    ///
    /// # Errors
    /// As [`reconstruct`](Self::reconstruct); a tolerance that is not above 0.
    pub fn modes(&self, x: ArrayView2<f64>, tolerance: f64, most: usize) -> Result<Array2<f64>> {
        check_columns(self.dims(), x)?;
        if tolerance.is_nan() || tolerance <= 0.0 {
            return Err(Error::input("tolerance", tolerance, "it must be above 0"));
        }
        let mut at = x.to_owned();
        for _ in 0..most {
            let next = self.moved(at.view());
            let step = (&next - &at) / &self.scale;
            at = next;
            if step.rows().into_iter().all(|row| row.dot(&row).sqrt() <= tolerance) {
                break;
            }
        }
        Ok(at)
    }
}

impl ScoreModel for AutoencoderScore {
    fn dims(&self) -> usize {
        self.mean.len()
    }

    fn score(&self, x: ArrayView2<f64>) -> Array2<f64> {
        let factor = &self.scale.mapv(|s| 1.0 / (s * self.noise)) / self.noise;
        let mut out = Array2::zeros(x.raw_dim());
        let block = |(mut out, x): (ndarray::ArrayViewMut2<f64>, ArrayView2<f64>)| {
            let residual = self.r.residual(standardised(x, &self.mean, &self.scale).view());
            for (mut out, residual) in out.rows_mut().into_iter().zip(residual.rows()) {
                Zip::from(&mut out).and(&residual).and(&factor).for_each(|o, r, f| *o = f64::from(*r) * f);
            }
        };
        if x.nrows() <= BLOCK {
            block((out.view_mut(), x));
        } else {
            let blocks: Vec<_> =
                out.axis_chunks_iter_mut(Axis(0), BLOCK).zip(x.axis_chunks_iter(Axis(0), BLOCK)).collect();
            blocks.into_par_iter().for_each(block);
        }
        out
    }

    fn derivative(&self, x: ArrayView2<f64>, direction: ArrayView2<f64>) -> Array2<f64> {
        let z = standardised(x, &self.mean, &self.scale);
        // Of length 1, since a direction may be of any size and single precision is not.
        let scaled = &direction / &self.scale;
        let lengths = scaled.map_axis(Axis(1), |row| row.dot(&row).sqrt().max(1e-300)).insert_axis(Axis(1));
        let unit = (&scaled / &lengths).mapv(|v| v as f32);
        let tangent = self.r.residual_tangent(z.view(), unit.view()).mapv(f64::from);
        tangent * &lengths / &self.scale / self.noise.powi(2)
    }

    fn scale(&self) -> Array1<f64> {
        self.scale.clone()
    }

    fn noise(&self) -> f64 {
        self.noise
    }

    /// Five times the noise: between two rows this far apart r saw nothing.
    fn reach(&self) -> f64 {
        5.0 * self.noise
    }
}

/// The noise among `candidates` whose score fits held-out rows best: a random fifth of the rows is left out, `learner` is
/// trained on the others with each noise (in parallel), and [`score_matching_loss`] judges. Returns the noise and the
/// loss of each candidate.
///
/// # Errors
/// As [`ScoreAutoencoder::fit`]; no candidate; fewer than ten rows.
pub fn choose_noise(
    learner: &ScoreAutoencoder,
    x: ArrayView2<f64>,
    candidates: &[f64],
    seed: Seed,
    progress: &dyn Progress,
) -> Result<(f64, Vec<f64>)> {
    if x.nrows() < 10 {
        return Err(Error::input("rows", x.nrows(), "give the noise, or at least 10 rows to choose it by"));
    }
    let mut rows: Vec<usize> = (0..x.nrows()).collect();
    seed.stream("held out").rng(0).shuffle(&mut rows);
    let shuffled = x.select(Axis(0), &rows);
    let (held, train) = shuffled.view().split_at(Axis(0), x.nrows() / 5);
    // More rows would not change the choice.
    let held = held.slice(s![..held.nrows().min(2000), ..]);
    progress.begin("choosing the noise", Some(candidates.len() as u64));
    let loss = |noise: &f64| {
        checkpoint(progress)?;
        let model = ScoreAutoencoder { noise: vec![*noise], ..learner.clone() }.fit(train, seed, &Silent)?;
        progress.advance(1);
        score_matching_loss(&model, held)
    };
    let losses = candidates.par_iter().map(loss).collect::<Result<Vec<f64>>>()?;
    let best = candidates.iter().zip(&losses).min_by(|a, b| a.1.total_cmp(b.1));
    match best {
        Some((noise, _)) => Ok((*noise, losses)),
        None => Err(Error::input("noise to choose from", "none", "give at least one candidate")),
    }
}
