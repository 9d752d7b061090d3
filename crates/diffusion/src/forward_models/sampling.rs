//! From a model of signals to draws of them.

use super::{ForwardModel, check_width};
use crate::denoiser::check_finite;
use crate::{Denoiser, Level, Path, Plan, Prediction, noise};
use ndarray::{Array2, ArrayView2, Axis};
use quadrat_core::{Error, Progress, Result, Seed, checkpoint};

/// Observations of one place among the contexts: one row for all samples, or one for each.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// φ.
    pub parameters: Array2<f64>,
    /// What was observed with it.
    pub observed: Array2<f64>,
}

/// A model that says what a signal is, from a noised observation and others: a network, or a formula.
pub trait SignalModel: Sync {
    /// E\[S | x, context\] for each row of `x`, a noised observation with the parameters `phi` (one row for all, or one for each), given
    /// the context, which may be empty.
    ///
    /// # Errors
    /// The model's own.
    fn signals(&self, x: ArrayView2<f64>, at: &Level, phi: ArrayView2<f64>, context: &[Seen]) -> Result<Array2<f64>>;

    /// Whether it can do without any context, as guidance needs.
    fn knows_no_context(&self) -> bool {
        true
    }
}

/// The denoiser of observations with some parameters given others: the model's signal, measured. It goes wherever a [`Denoiser`] goes.
pub struct ForwardDenoiser<'a> {
    model: &'a dyn SignalModel,
    forward: &'a dyn ForwardModel,
    phi: ArrayView2<'a, f64>,
    context: &'a [Seen],
    guidance: f64,
}

impl<'a> ForwardDenoiser<'a> {
    /// The denoiser of the observation with the parameters `phi`: one row for all samples, or one for each. A guidance of 1 is the
    /// model's own; above, signals are moved further from what they would be without context (Ho and Salimans 2022).
    ///
    /// # Errors
    /// Parameters or context of other widths than the forward model's, or not finite; guidance by a model that knows no context's absence.
    pub fn new(
        model: &'a dyn SignalModel,
        forward: &'a dyn ForwardModel,
        phi: ArrayView2<'a, f64>,
        context: &'a [Seen],
        guidance: f64,
    ) -> Result<Self> {
        for (what, parameters, observed) in context
            .iter()
            .map(|seen| ("context", seen.parameters.view(), Some(seen.observed.view())))
            .chain([("target", phi, None)])
        {
            check_width(&format!("parameters of the {what}"), parameters.ncols(), forward.parameters())?;
            let mut values = parameters.iter().chain(observed.iter().flat_map(|rows| rows.iter()));
            if parameters.nrows() == 0 || !values.all(|v| v.is_finite()) {
                return Err(Error::input(
                    what,
                    "no row, or values that are not finite",
                    "finite numbers, one row or more",
                ));
            }
            if let Some(observed) = observed {
                check_width("observation", observed.ncols(), forward.observed())?;
            }
        }
        if !guidance.is_finite() || (guidance != 1.0 && !model.knows_no_context()) {
            let want = "1: the model was never trained without context, from which guidance leads away";
            return Err(Error::input("guidance", guidance, want));
        }
        Ok(ForwardDenoiser { model, forward, phi, context, guidance })
    }

    /// What the signals are.
    ///
    /// # Errors
    /// The model's own, signals of another shape or not finite.
    pub fn signals(&self, x: ArrayView2<f64>, at: &Level) -> Result<Array2<f64>> {
        let mut signals = self.model.signals(x, at, self.phi, self.context)?;
        if self.guidance != 1.0 {
            let without = self.model.signals(x, at, self.phi, &[])?;
            signals = self.guidance * &signals + (1.0 - self.guidance) * &without;
        }
        if signals.dim() != (x.nrows(), self.forward.signal()) {
            let want = format!("{:?}", (x.nrows(), self.forward.signal()));
            return Err(Error::input("model", format!("signals of shape {:?}", signals.dim()), want));
        }
        check_finite(&signals, "the signal", at)?;
        Ok(signals)
    }
}

impl Denoiser for ForwardDenoiser<'_> {
    fn dims(&self) -> usize {
        self.forward.observed()
    }

    fn prediction(&self) -> Prediction {
        Prediction::Data
    }

    fn predict(&self, x: ArrayView2<f64>, at: &Level) -> Result<Array2<f64>> {
        if ![1, x.nrows()].contains(&self.phi.nrows()) {
            let want = format!("one row, or one for each of {} samples", x.nrows());
            return Err(Error::input("parameters of the target", format!("{} rows", self.phi.nrows()), want));
        }
        let signals = self.signals(x, at)?;
        let mut observed = vec![0.0; x.len()];
        for (i, (signal, out)) in signals.outer_iter().zip(observed.chunks_exact_mut(self.dims().max(1))).enumerate() {
            let phi = self.phi.row(if self.phi.nrows() == 1 { 0 } else { i });
            self.forward.apply(&signal.to_vec(), &phi.to_vec(), out);
        }
        Array2::from_shape_vec(x.dim(), observed).map_err(|e| Error::numeric("forward model", e.to_string()))
    }
}

/// Signals that were drawn.
#[derive(Debug, Clone, PartialEq)]
pub struct Drawn {
    /// A signal a row.
    pub signals: Array2<f64>,
    /// The observations that were drawn on the way, one array for each target.
    pub observations: Vec<Array2<f64>>,
}

/// How signals are drawn.
pub struct SignalSampler<'a> {
    /// The model of signals.
    pub model: &'a dyn SignalModel,
    /// The forward model that it was trained with.
    pub forward: &'a dyn ForwardModel,
    /// The solver. One that draws no noise is enough.
    pub plan: &'a Plan,
    /// As in [`ForwardDenoiser::new`]; 1 for a faithful law.
    pub guidance: f64,
    /// What the noise at the start is multiplied with; 1 for a faithful law.
    pub temperature: f64,
}

impl SignalSampler<'_> {
    /// Draws `n` signals given a context: an observation at the first row of `targets`, which joins the context; then at the next row,
    /// and so on. One target is the paper's single mode, several its autoregressive one. A signal is the model's last answer.
    ///
    /// The noise of target k comes from `seed.stream(k)`. Costs the plan's calls and one more for each target.
    ///
    /// # Errors
    /// No sample, no target, what [`ForwardDenoiser::new`] and [`crate::integrate`] refuse, a temperature not above 0, cancelled.
    pub fn draw(
        &self,
        context: &[Seen],
        targets: ArrayView2<f64>,
        n: usize,
        seed: Seed,
        progress: &dyn Progress,
    ) -> Result<Drawn> {
        if n == 0 || targets.nrows() == 0 {
            let got = format!("{n} samples, {} targets", targets.nrows());
            return Err(Error::input("samples", got, "at least one of each"));
        }
        if !(self.temperature > 0.0 && self.temperature.is_finite()) {
            return Err(Error::input("temperature", self.temperature, "a finite number above 0"));
        }
        let mut context = context.to_vec();
        let (mut signals, mut observations) = (Array2::zeros((0, 0)), Vec::new());
        progress.begin("steps", Some((targets.nrows() * self.plan.steps.len()) as u64));
        for (k, phi) in targets.outer_iter().enumerate() {
            let phi = phi.insert_axis(Axis(0));
            let denoiser = ForwardDenoiser::new(self.model, self.forward, phi, &context, self.guidance)?;
            let seed = seed.stream(&k.to_string());
            let start = self.temperature * noise(self.plan, n, self.forward.observed(), seed);
            let mut path = Path::start(self.plan, start, seed)?;
            while let Some(at) = path.level().copied() {
                checkpoint(progress)?;
                let before = path.state().clone();
                path.step(&denoiser)?;
                if path.level().is_none() {
                    signals = denoiser.signals(before.view(), &at)?;
                }
                progress.advance(1);
            }
            let observed = path.end();
            context.push(Seen { parameters: phi.to_owned(), observed: observed.clone() });
            observations.push(observed);
        }
        Ok(Drawn { signals, observations })
    }
}
