//! STSL: steps down a bound that knows the curvature, at each level before the solver goes on.

use super::{Place, Run};
use crate::Level;
use crate::solve::noise_rows;
use ndarray::{Array2, ArrayView2};
use quadrat_core::{Area, Card, Choice, Error, Method, Result, Rng, Seed, Settings};
use quadrat_numeric::operator::{least_squares, lengths};

/// Second-order Tweedie sampling from a surrogate loss.
///
/// The mean of ln p(y | x₀) given a noised sample is below ln p(y | z), and is -(|y - A D(z̄)|² + tr(A C A'))/(2 noise²) but for a constant,
/// with C = σ²/α² (I + σ² H) and H = ∇² ln p(z). The trace is at most |A|² σ²/α² (d + σ² tr H). At each level z goes down
///
/// ½ |y - A D(z̄)|²/|A|² + w tr H
///
/// `inner` times; no step moves a sample by more than half of its length. The trace's gradient comes from one random probe e and two
/// products with the Jacobian: ∇ tr H ≈ (H(z + h e) - H(z)) e/h.
#[derive(Debug, Clone, Copy, PartialEq, Settings)]
pub struct Stsl {
    /// Length of a step down, in units of the noised sample. The noise level of the measurement does not enter it.
    #[param(default = 0.5, above = 0)]
    pub step: f64,
    /// Steps down at each level (K).
    #[param(default = 5, from = 1)]
    pub inner: usize,
    /// Weight of the trace.
    #[param(default = Trace::Constant)]
    pub trace: Trace,
    /// Factor on the trace. 0 leaves the trace out, which is the first order and costs half.
    #[param(default = 0.02, from = 0)]
    pub eta: f64,
}

/// How the trace of the Hessian is weighed against ½ |y - A D(z̄)|²/|A|².
#[derive(Debug, Clone, Copy, PartialEq, Eq, Choice)]
pub enum Trace {
    /// By eta σ²/d: the paper's constant, where the Hessian is measured in units of the noise.
    Constant,
    /// By eta σ⁴/(2 α²): with eta 1 the bound itself. It counts what the measurement does not see, so that 0.1 can be too much.
    Bound,
    /// By eta noise²/(2 d |A|²), with probes of length 1 at all levels: the loss as it is printed, with λ = 1/noise².
    Literal,
}

impl Method for Stsl {
    const CARD: Card = Card {
        slug: "stsl-second-order-tweedie",
        aliases: &["stsl", "second-order-tweedie"],
        title: "STSL: inverse problems with second-order Tweedie",
        paper: "Rout, Chen, Kumar, Caramanis, Shakkottai, Chu, Beyond First-Order Tweedie: Solving Inverse Problems using Latent \
                Diffusion, CVPR 2024, arXiv 2312.00852",
        area: Area::Diffusion,
        verbs: &["diffuse"],
        summary: "Samples that fit a linear measurement with noise (blur, fewer pixels, gaps, a projection), from a diffusion model of \
                  samples or codes, in few steps and with a correction for curvature; with DPS, PSLD and exact covariances beside it.",
        useful_when: "inverse problem, deblurring, super-resolution, inpainting, fill missing values given a diffusion model, reconstruct \
                      from projections, compressed sensing, posterior samples, DPS, PSLD",
        cost: "steps x (1 + 2 inner) calls of the model, 2 inner of them with a product with its Jacobian; half without the trace",
        params: Self::PARAMS,
    };
}

/// The most that one step may move a sample, as a share of its length.
const CAP: f64 = 0.5;

/// What the measurement says of the code, noised to the first level.
pub(super) fn start(run: &Run, n: usize, seed: Seed) -> Result<Array2<f64>> {
    let (problem, first) = (&run.problem, run.problem.plan.levels()[0]);
    // No nearer than the measurement's noise: A⁺ of a blur would multiply that.
    let misfit = problem.measurement.noise * (run.y.len() as f64).sqrt();
    let clean = problem.codec.encode(least_squares(run.op(), run.y.view(), misfit)?.view())?;
    Ok(noise_rows(n, clean.ncols(), first.sigma, seed) + first.alpha * clean)
}

impl Stsl {
    pub(super) fn check(&self) -> Result<()> {
        if !(self.step > 0.0 && self.step.is_finite()) {
            return Err(Error::input("step", self.step, "a finite number above 0"));
        }
        if self.inner == 0 {
            return Err(Error::input("inner", 0, "at least 1 step down at each level"));
        }
        if !(self.eta >= 0.0 && self.eta.is_finite()) {
            return Err(Error::input("eta", self.eta, "a finite number of at least 0"));
        }
        Ok(())
    }

    /// The steps down at a level. Row i draws its probes from `probes[i]`.
    pub(super) fn descend(&self, run: &Run, z: &mut Array2<f64>, at: &Place, probes: &mut [Rng]) -> Result<()> {
        for _ in 0..self.inner {
            let mut probe = Array2::zeros(z.raw_dim());
            if self.eta > 0.0 {
                let rows = probe.outer_iter_mut().zip(probes.iter_mut());
                rows.for_each(|(mut row, rng)| row.iter_mut().for_each(|e| *e = rng.normal()));
            }
            let gradient = self.gradient(run, z.view(), at, &probe)?;
            let most = CAP * lengths(z.view());
            let length = self.step * lengths(gradient.view());
            for (i, mut row) in z.outer_iter_mut().enumerate() {
                let share = if length[i] > most[i] { most[i] / length[i] } else { 1.0 };
                row.scaled_add(-self.step * share, &gradient.row(i));
            }
        }
        Ok(())
    }

    /// ∇(½ |y - A D(z̄)|²/|A|² + w tr H), the trace by the probe: with H = (α J - I)/σ², the product of J at z with what the residual
    /// says less the probe's share, and of J at z + h e with that share.
    pub(super) fn gradient(
        &self,
        run: &Run,
        z: ArrayView2<f64>,
        at: &Place,
        probe: &Array2<f64>,
    ) -> Result<Array2<f64>> {
        let (weight, reach) = self.weight(run, &at.level);
        let share = weight * at.level.alpha / (at.level.sigma.powi(2) * reach);
        let (_, mut gradient) = run.pull(z, at, &mut |data| {
            let left = run.left(data.view())? / run.norm.powi(2);
            Ok(run.slope(data.view(), left.view())? - share * probe)
        })?;
        if self.eta > 0.0 {
            let (_, beside) = run.pull((&z + &(reach * probe)).view(), at, &mut |_| Ok(probe.clone()))?;
            gradient.scaled_add(share, &beside);
        }
        Ok(gradient)
    }

    /// The weight of tr H, and the length of the probe.
    fn weight(&self, run: &Run, at: &Level) -> (f64, f64) {
        let (d, square) = (run.problem.denoiser.dims() as f64, at.sigma * at.sigma);
        match self.trace {
            Trace::Bound => (self.eta * square * square / (2.0 * at.alpha * at.alpha), at.sigma),
            Trace::Constant => (self.eta * square / d, at.sigma),
            Trace::Literal => {
                let unit = run.problem.measurement.noise / run.norm;
                (self.eta * unit * unit / (2.0 * d), 1.0)
            }
        }
    }
}
