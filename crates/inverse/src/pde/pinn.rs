//! The solver: a network that is trained to satisfy the equation at points that keep moving.

use super::Pde;
use super::field::{Field, Residual, beside};
use super::sampler::{Collocation, Points, Sampler};
use super::solution::{Epoch, Solution};
use ndarray::{Array2, ArrayView2};
use quadrat_core::{Area, Card, Choice, Error, Method, Progress, Result, Seed, Settings, checkpoint};
use quadrat_nn::{Descent, Optimizer, Parameters, Rows, Schedule, initialise, predict};

/// A physics-informed network (Raissi et al. 2019) with any way to choose its points.
///
/// Tensors are of single precision: about six digits of the solution are the most that can be had. Residuals of any size are
/// met, since Adam's steps do not depend on the loss's unit.
#[derive(Debug, Clone, Copy, PartialEq, Settings)]
pub struct Pinn {
    /// How points are chosen.
    #[param(default = Sampler::Aas)]
    pub method: Sampler,
    /// Steps of the solver.
    #[param(default = 5000, from = 1)]
    pub steps: usize,
    /// Points of an epoch; methods that add points begin with these.
    #[param(default = 2000, from = 1)]
    pub points: usize,
    /// Points of a step; as many of the boundary stand beside them.
    #[param(default = 500, from = 1)]
    pub batch: usize,
    /// First learning rate, which falls along a cosine.
    #[param(default = 0.001, above = 0)]
    pub rate: f64,
    /// Weight of the boundary's conditions.
    #[param(default = 1.0, above = 0)]
    pub boundary: f64,
    /// Hidden layers.
    #[param(default = 6, from = 1)]
    pub depth: usize,
    /// Units of a hidden layer.
    #[param(default = 32, from = 1)]
    pub width: usize,
    /// Stop once the mean of the squared residual and its deviation are below this; 0 goes on to the last step.
    #[param(default = 1e-7, from = 0)]
    pub tolerance: f64,
    /// Weight of the density's steepness.
    #[param(none = "auto", above = 0, only = ("method", &["aas"]))]
    pub beta: Option<f64>,
    /// What beta is measured by.
    #[param(default = BetaScale::Mean, only = ("method", &["aas"]))]
    pub beta_scale: BetaScale,
    /// Learning rate of the density.
    #[param(default = 0.001, above = 0, only = ("method", &["aas", "das-r", "das-g"]))]
    pub flow_rate: f64,
    /// Stages, after each of which the density is fitted anew.
    #[param(default = 5, from = 1, only = ("method", &["das-r", "das-g"]))]
    pub stages: usize,
    /// Steps between two looks at candidates.
    #[param(default = 500, from = 1, only = ("method", &["rar", "rad"]))]
    pub period: usize,
    /// Candidates of a look, at least as many as points.
    #[param(default = 20000, from = 1, only = ("method", &["rar", "rad"]))]
    pub candidates: usize,
}

/// The unit of `beta`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Choice)]
pub enum BetaScale {
    /// The running mean of the squared residual (auto: 1).
    Mean,
    /// None, as in the paper (auto: 10).
    Raw,
}

impl Method for Pinn {
    const CARD: Card = Card {
        slug: "adversarial-adaptive-sampling",
        aliases: &["aas", "das-pinns", "das"],
        title: "AAS: adversarial adaptive sampling for equations",
        paper: "Tang, Zhai, Wan, Yang: Adversarial Adaptive Sampling: Unify PINN and Optimal Transport for the Approximation of PDEs. \
                ICLR 2024, arXiv 2305.18702; and Tang, Wan, Yang: DAS-PINNs. Journal of Computational Physics 476, 2023, arXiv 2112.14038",
        area: Area::Inverse,
        verbs: &["solve"],
        summary: "Solves a differential equation by a network, without a mesh and in many dimensions; a second network keeps moving the points \
                  where the equation is asked to hold to where it does not.",
        useful_when: "solve a PDE with a peak or a sharp layer, physics-informed neural network, PINN misses the solution, collocation \
                      points, high-dimensional partial differential equation, mesh-free, Poisson, Helmholtz, Burgers",
        cost: "steps x batch x (dimensions + 2) passes of the network, three times, and as much for the density; memory for one batch",
        params: Self::PARAMS,
    };
}

impl Pinn {
    /// β, where none was given the usual one of its unit.
    pub(super) fn beta(&self) -> f64 {
        self.beta.unwrap_or(if self.beta_scale == BetaScale::Mean { 1.0 } else { 10.0 })
    }

    fn check(&self) -> Result<()> {
        for (what, n) in [
            ("steps", self.steps),
            ("points", self.points),
            ("batch", self.batch),
            ("depth", self.depth),
            ("width", self.width),
            ("stages", self.stages),
            ("period", self.period),
        ] {
            if n == 0 {
                return Err(Error::input(what, 0, "at least 1"));
            }
        }
        for (what, v) in
            [("rate", self.rate), ("boundary", self.boundary), ("beta", self.beta()), ("flow-rate", self.flow_rate)]
        {
            if !(v.is_finite() && v > 0.0) {
                return Err(Error::input(what, v, "a positive number"));
            }
        }
        if self.candidates < self.points && matches!(self.method, Sampler::Rar | Sampler::Rad) {
            return Err(Error::input("candidates", self.candidates, format!("at least the {} points", self.points)));
        }
        Ok(())
    }

    /// Solves an equation.
    ///
    /// # Errors
    /// Parameters out of their ranges; more than 32 dimensions for a learnt density; a loss that is not finite (with the epoch and the
    /// worst point); the equation's own; cancelled.
    ///
    /// ```
    /// use ndarray::array;
    /// use quadrat_core::{Seed, Silent};
    /// use quadrat_inverse::pde::{Pinn, Problem, Sampler};
    /// // A quarter of a sine.
    /// let text = "equation = 'u_xx + u = 0'\n[domain]\nx = [0, 1.5707963]\n[boundary]\n'x = 0' = 'u = 0'\n'x = 1.5707963' = 'u = 1'";
    /// let net = Pinn { depth: 2, width: 16, rate: 5e-3, boundary: 10.0, ..Pinn::default() };
    /// let pinn = Pinn { method: Sampler::Sobol, steps: 1500, points: 64, batch: 64, ..net };
    /// let solution = pinn.solve(&Problem::read(text)?, Seed(1), &Silent)?;
    /// assert!((solution.eval(array![[0.5f32]].view())?[0] - 0.5f64.sin()).abs() < 0.02);
    /// # Ok::<(), quadrat_core::Error>(())
    /// ```
    pub fn solve(&self, pde: &dyn Pde, seed: Seed, progress: &dyn Progress) -> Result<Solution> {
        self.check()?;
        let mut collocation = self.collocation(pde.domain(), seed)?;
        self.solve_with(pde, &mut *collocation, seed, progress)
    }

    /// The same with points by any rule.
    ///
    /// # Errors
    /// As [`Pinn::solve`], and the rule's own.
    pub fn solve_with(
        &self,
        pde: &dyn Pde,
        collocation: &mut dyn Collocation,
        seed: Seed,
        progress: &dyn Progress,
    ) -> Result<Solution> {
        self.check()?;
        let field = Field::new(pde.domain(), self.depth, self.width);
        let residual = Residual { field: &field, pde, walls: true };
        let mut parameters = initialise(&field, seed.stream("field"))?;
        let mut descent = Descent::new(Optimizer::adamw(0.0))?;
        let (walls, order) = (seed.stream("boundary"), seed.stream("order"));
        let mut points = collocation.start()?;
        let (mut history, mut evaluations, mut step): (Vec<Epoch>, u64, usize) = (Vec::new(), 0, 0);
        progress.begin("solving", Some(self.steps as u64));
        loop {
            let mut rows: Vec<usize> = (0..points.len()).collect();
            order.rng(history.len() as u64).shuffle(&mut rows);
            rows.truncate(self.points);
            let mut squares = Vec::with_capacity(rows.len());
            let mut epoch = Epoch::default();
            for rows in rows.chunks(self.batch).take(self.steps - step) {
                checkpoint(progress)?;
                let batch = points.select(rows);
                let outside = beside(pde.boundary(rows.len(), &mut walls.rng(step as u64)));
                let rate = self.rate * Schedule::Cosine.at(step as f64 / self.steps as f64);
                let weight = self.boundary as f32;
                let both = Rows::new(batch.x.view(), &outside);
                let (loss, outputs) = descent.step(&residual, &mut parameters, both, rate, &|_, outputs| {
                    let n = outputs.dims()[0];
                    let square = |k: usize| outputs.clone().slice([0..n, k..k + 1]).square();
                    Ok((square(0) + square(1) * weight).reshape([n]))
                })?;
                if !loss.is_finite() {
                    return Err(lost(history.len() + 1, step, &batch, &outputs));
                }
                let squared = |k: usize| outputs.column(k).iter().map(|r| f64::from(*r).powi(2)).collect::<Vec<f64>>();
                let inside = squared(0);
                collocation.learn(&batch, &inside)?;
                epoch.loss += loss * rows.len() as f64;
                epoch.boundary += squared(1).iter().sum::<f64>();
                squares.extend(inside);
                step += 1;
                progress.advance(1);
            }
            evaluations += squares.len() as u64;
            let n = squares.len() as f64;
            epoch.loss /= n;
            epoch.boundary /= n;
            epoch.residual = squares.iter().sum::<f64>() / n;
            let variance = squares.iter().map(|square| (square - epoch.residual).powi(2)).sum::<f64>() / n;
            epoch.spread = variance / epoch.residual.powi(2).max(f64::MIN_POSITIVE);
            // What uniform points have is 0.
            let even = points.x.ncols() as f64 * std::f64::consts::LN_2;
            let ln = points.ln_density.iter().map(|ln| f64::from(*ln)).sum::<f64>() / points.len() as f64;
            epoch.entropy = -ln - even;
            epoch.step = step;
            let done = epoch.residual < self.tolerance && variance.sqrt() < self.tolerance;
            progress.note(&format!("step {step}, loss {:.3e}", epoch.loss));
            history.push(epoch);
            if step >= self.steps || done {
                break;
            }
            let mut asked = 0;
            points = collocation.next(step, points, &mut |x| {
                asked += x.nrows() as u64;
                squared_residuals(&field, &parameters, pde, x)
            })?;
            evaluations += asked;
            if let Some(epoch) = history.last_mut() {
                epoch.effective = collocation.effective();
            }
        }
        let density = collocation.density().map(|(flow, parameters)| (flow.clone(), parameters.clone()));
        Ok(Solution { domain: pde.domain().clone(), field, parameters, history, points, evaluations, density })
    }
}

/// Squared residuals of the equation at points.
pub(super) fn squared_residuals(
    field: &Field,
    parameters: &Parameters,
    pde: &dyn Pde,
    x: ArrayView2<f32>,
) -> Result<Vec<f64>> {
    let found = predict(&Residual { field, pde, walls: false }, parameters, x, &[])?;
    Ok(found.iter().map(|r| f64::from(*r).powi(2)).collect())
}

/// A loss that is not finite, with the point where the equation is furthest from holding.
fn lost(epoch: usize, step: usize, batch: &Points, outputs: &Array2<f32>) -> Error {
    let size = |r: f32| if r.is_nan() { f32::INFINITY } else { r.abs() };
    let worst = (0..outputs.nrows()).max_by(|a, b| size(outputs[[*a, 0]]).total_cmp(&size(outputs[[*b, 0]])));
    let point = worst.map(|row| batch.x.row(row).iter().map(f32::to_string).collect::<Vec<_>>().join(", "));
    let residual = worst.map_or(f32::NAN, |row| outputs[[row, 0]]);
    let why = format!(
        "the loss is no longer finite in epoch {epoch}, step {}; worst is the point ({}), where the residual is {residual}: lower the rate, \
         and see whether the equation has a value there",
        step + 1,
        point.unwrap_or_default()
    );
    Error::numeric("solving", why)
}
