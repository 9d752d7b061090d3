//! Samples that fit a measurement: y = A x + noise, and a diffusion model of x.
//!
//! Rout, Chen, Kumar, Caramanis, Shakkottai, Chu, "Beyond First-Order Tweedie: Solving Inverse Problems using Latent Diffusion", CVPR 2024
//! (arXiv 2312.00852), is [`Stsl`]; with it on one engine, for any plan, in pixels or behind a [`Codec`]:
//!
//! - [`Way::Dps`] (Chung et al. 2023, arXiv 2209.14687): after each step down the gradient of the residual's length, not its square;
//! - [`Way::Psld`] (Rout et al. 2023, arXiv 2307.00619): as DPS, and the latent code is glued to what its image would be with the measured
//!   part put in;
//! - [`Way::Covariance`]: the data prediction is replaced by its mean given y, with the exact covariance Cov(x₀ | x) (as in Song et al.
//!   2023 and Boys et al. 2023). It takes as many products with the Jacobian a step as there are measurements: for small A, and the
//!   second-order reference that the others are measured by. It is exact where the data are normal. The Jacobian of a network is not
//!   symmetric and may be no covariance at all: samples then go astray.
//!
//! None but the last is a sampler of the posterior law. They end near the measurement, often nearer than its noise (look at the last of
//! [`Solved::residuals`], which is about 1 for a posterior sample), and guidance through a model that clips is 0 where it clips.

mod after;
mod codec;
mod covariance;
mod stsl;

pub use codec::{Codec, Identity, LinearCodec};
pub use stsl::{Stsl, Trace};

use crate::denoiser::{check_dims, check_finite, data_prediction};
use crate::{Denoiser, Differentiable, Level, Path, Plan, Prediction, noise};
use ndarray::{Array2, ArrayView2};
use quadrat_core::{Error, Progress, Result, Seed, checkpoint};
use quadrat_numeric::operator::{LinearOp, adjoint, check_operator, forward, lengths};
use std::sync::atomic::{AtomicUsize, Ordering};

/// y = A x + noise.
#[derive(Clone, Copy)]
pub struct Measurement<'a> {
    /// A.
    pub op: &'a dyn LinearOp,
    /// y.
    pub y: &'a [f64],
    /// Standard deviation of each number's noise, above 0.
    pub noise: f64,
}

/// How samples are led to the measurement.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Way {
    /// Not at all.
    Unguided,
    /// After each step x -= ζ ∇|y - A x̂₀|: the length, not squared.
    Dps {
        /// ζ; 0.3 to 1 in the authors' settings.
        zeta: f64,
    },
    /// After each step z -= ∇(ω |y - A D(z̄)| + γ |E(A⁺y + (I - A⁺A) D(z̄)) - z̄|), all lengths. The authors have Aᵀ for A⁺, which is the same
    /// for masks.
    Psld {
        /// ω; 1 by the authors.
        omega: f64,
        /// γ; 0.1 by the authors.
        gamma: f64,
    },
    /// Second-order Tweedie.
    Stsl(Stsl),
    /// The mean given y with the exact covariance.
    Covariance,
}

/// A measurement, the model of what was measured, and how it is sampled.
#[derive(Clone, Copy)]
pub struct Inverse<'a> {
    /// What was measured.
    pub measurement: Measurement<'a>,
    /// The model, of samples or of their codes.
    pub denoiser: &'a dyn Differentiable,
    /// From codes to samples and back: [`Identity`] where the model is one of samples.
    pub codec: &'a dyn Codec,
    /// The solver.
    pub plan: &'a Plan,
}

/// What [`Inverse::solve`] found.
#[derive(Debug, Clone, PartialEq)]
pub struct Solved {
    /// Samples, one a row.
    pub samples: Array2<f64>,
    /// The mean over samples of |y - A x̂|/(noise √m), for the data prediction of each step and at the end for the samples.
    pub residuals: Vec<f64>,
    /// Calls of the model, each for all samples.
    pub denoiser_calls: usize,
    /// Calls of the model and products with its Jacobian, each for all samples: beside `denoiser_calls`.
    pub pullback_calls: usize,
}

impl Inverse<'_> {
    /// `n` samples. Sample i starts from `seed.stream("noise").rng(i)`, draws the noise of steps from `seed.stream("steps").rng(i)` and its
    /// probes from `seed.stream("probes").rng(i)`.
    ///
    /// # Errors
    /// Shapes that do not belong together, an operator that is not linear or whose adjoint is not its own, y that is not finite, noise not
    /// above 0, no sample, settings out of their ranges, a plan that cannot be run, a gradient that is not finite (with the step), what
    /// model, codec and operator say, a cancelled run.
    ///
    /// ```
    /// use ndarray::array;
    /// use quadrat_core::{Seed, Silent};
    /// use quadrat_diffusion::inverse::{Identity, Inverse, Measurement, Stsl, Way};
    /// use quadrat_numeric::operator::Mask;
    /// use quadrat_diffusion::{Grid, MixtureDenoiser, Schedule, Solver};
    /// // Two clusters; what is seen of a sample is that its first number is about 1.
    /// let denoiser = MixtureDenoiser::kernel(array![[-1.0, -1.0], [1.0, 1.0]].view(), 0.2)?;
    /// let op = Mask::new(2, vec![0])?;
    /// let plan = Solver::Ddim.plan(Schedule::linear(), &Grid::LogSnr, 20)?;
    /// let measurement = Measurement { op: &op, y: &[1.0], noise: 0.1 };
    /// let problem = Inverse { measurement, denoiser: &denoiser, codec: &Identity { dims: 2 }, plan: &plan };
    /// let found = problem.solve(&Way::Stsl(Stsl::default()), 10, Seed(1), &Silent)?;
    /// assert!(found.samples.column(1).iter().filter(|v| **v > 0.0).count() > 7);
    /// # Ok::<(), quadrat_core::Error>(())
    /// ```
    pub fn solve(&self, way: &Way, n: usize, seed: Seed, progress: &dyn Progress) -> Result<Solved> {
        self.check(way, n)?;
        let run = Run::new(*self)?;
        let x = match way {
            Way::Stsl(_) => stsl::start(&run, n, seed)?,
            _ => noise(self.plan, n, self.denoiser.dims(), seed),
        };
        let mut path = Path::start(self.plan, x, seed)?;
        let mut probes: Vec<_> = (0..n as u64).map(|i| seed.stream("probes").rng(i)).collect();
        let mut residuals = Vec::with_capacity(self.plan.steps.len() + 1);
        progress.begin("steps", Some(self.plan.steps.len() as u64));
        while let Some(&level) = path.level() {
            checkpoint(progress)?;
            let at = Place { step: residuals.len() + 1, level };
            let data = match way {
                Way::Unguided => path.step(&run)?.clone(),
                Way::Dps { zeta } => after::step(&run, &mut path, &at, [*zeta, 0.0])?,
                Way::Psld { omega, gamma } => after::step(&run, &mut path, &at, [*omega, *gamma])?,
                Way::Stsl(stsl) => {
                    stsl.descend(&run, path.state_mut(), &at, &mut probes)?;
                    path.step(&run)?.clone()
                }
                Way::Covariance => path.step(&covariance::Given { run: &run, at })?.clone(),
            };
            residuals.push(run.residual(data.view())?);
            progress.advance(1);
        }
        let end = path.end();
        residuals.push(run.residual(end.view())?);
        let [denoiser_calls, pullback_calls] = [&run.calls, &run.pulls].map(|calls| calls.load(Ordering::Relaxed));
        Ok(Solved { samples: self.codec.decode(end.view())?, residuals, denoiser_calls, pullback_calls })
    }

    fn check(&self, way: &Way, n: usize) -> Result<()> {
        let Measurement { op, y, noise } = self.measurement;
        check_operator(op)?;
        if self.codec.codes() != self.denoiser.dims() {
            let got = format!("codes of {} numbers", self.codec.codes());
            return Err(Error::input("codec", got, format!("{}, as the model", self.denoiser.dims())));
        }
        if self.codec.dims() != op.inputs() {
            let got = format!("one of {} inputs", op.inputs());
            return Err(Error::input("operator", got, format!("{}, as a sample has numbers", self.codec.dims())));
        }
        if y.len() != op.outputs() || y.iter().any(|v| !v.is_finite()) {
            let got = format!("{} numbers, {} of them finite", y.len(), y.iter().filter(|v| v.is_finite()).count());
            return Err(Error::input(
                "measurement",
                got,
                format!("{} finite numbers, as the operator gives", op.outputs()),
            ));
        }
        if !(noise > 0.0 && noise.is_finite()) {
            return Err(Error::input("noise", noise, "a finite number above 0: the measurement's standard deviation"));
        }
        if n == 0 {
            return Err(Error::input("samples", 0, "at least 1"));
        }
        let settings: &[(&str, f64)] = match way {
            Way::Unguided | Way::Covariance => &[],
            Way::Dps { zeta } => &[("zeta", *zeta)],
            Way::Psld { omega, gamma } => &[("omega", *omega), ("gamma", *gamma)],
            Way::Stsl(stsl) => return stsl.check(),
        };
        match settings.iter().find(|(_, value)| !(*value >= 0.0 && value.is_finite())) {
            None => Ok(()),
            Some((name, value)) => Err(Error::input(*name, value, "a finite number of at least 0")),
        }
    }
}

/// Where a run is: the step, from 1, and the level that it starts from.
#[derive(Clone, Copy)]
struct Place {
    step: usize,
    level: Level,
}

/// A problem with what is counted, and what is needed again and again.
struct Run<'a> {
    problem: Inverse<'a>,
    /// y as a row.
    y: Array2<f64>,
    /// |A|.
    norm: f64,
    calls: AtomicUsize,
    pulls: AtomicUsize,
}

impl<'a> Run<'a> {
    fn new(problem: Inverse<'a>) -> Result<Self> {
        let Measurement { op, y, .. } = problem.measurement;
        let norm = op.norm()?;
        if !(norm > 0.0 && norm.is_finite()) {
            return Err(Error::input("operator", format!("one of norm {norm}"), "one that sees something of a sample"));
        }
        let y = Array2::from_shape_fn((1, y.len()), |(_, j)| y[j]);
        Ok(Run { problem, y, norm, calls: AtomicUsize::new(0), pulls: AtomicUsize::new(0) })
    }

    fn op(&self) -> &dyn LinearOp {
        self.problem.measurement.op
    }

    /// y - A D(z) of each code.
    fn left(&self, codes: ArrayView2<f64>) -> Result<Array2<f64>> {
        Ok(&self.y - &forward(self.op(), self.problem.codec.decode(codes)?.view())?)
    }

    /// The mean of |y - A D(z)|/(noise √m).
    fn residual(&self, codes: ArrayView2<f64>) -> Result<f64> {
        let unit = self.problem.measurement.noise * (self.y.len() as f64).sqrt();
        Ok(lengths(self.left(codes)?.view()).sum() / (codes.nrows() as f64 * unit))
    }

    /// The derivative of u(y - A D(z)) in z, where u are cotangents of the residual.
    fn slope(&self, codes: ArrayView2<f64>, u: ArrayView2<f64>) -> Result<Array2<f64>> {
        Ok(-self.problem.codec.decode_pull(codes, adjoint(self.op(), u)?.view())?)
    }

    /// The model's data prediction and its product with a cotangent, counted and looked at.
    fn pull(
        &self,
        codes: ArrayView2<f64>,
        at: &Place,
        cotangent: &mut dyn FnMut(&Array2<f64>) -> Result<Array2<f64>>,
    ) -> Result<(Array2<f64>, Array2<f64>)> {
        check_dims(self.problem.denoiser.dims(), codes)?;
        self.pulls.fetch_add(1, Ordering::Relaxed);
        let (data, gradient) = self.problem.denoiser.pull_back(codes, &at.level, cotangent)?;
        if data.dim() != codes.dim() || gradient.dim() != codes.dim() {
            let got = format!("a prediction of shape {:?}, a product of {:?}", data.dim(), gradient.dim());
            return Err(Error::input("denoiser", got, format!("{:?} for both", codes.dim())));
        }
        check_finite(&data, "what the denoiser says", &at.level)?;
        if let Some(sample) = gradient.outer_iter().position(|row| !row.iter().all(|v| v.is_finite())) {
            let Place { step, level } = at;
            let why = format!(
                "the gradient of sample {sample} at step {step} (time {}, σ {}) is not finite: try a smaller step",
                level.time, level.sigma
            );
            return Err(Error::numeric("inverse problem", why));
        }
        Ok((data, gradient))
    }
}

/// The model, counted.
impl Denoiser for Run<'_> {
    fn dims(&self) -> usize {
        self.problem.denoiser.dims()
    }

    fn prediction(&self) -> Prediction {
        Prediction::Data
    }

    fn predict(&self, x: ArrayView2<f64>, at: &Level) -> Result<Array2<f64>> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        data_prediction(self.problem.denoiser, x, at)
    }
}

#[cfg(test)]
mod tests;
