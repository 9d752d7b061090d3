//! The same regularisers at given values: fixed, or along a schedule that a self-tuning network recorded.

use super::hyper::Strength;
use quadrat_core::{Error, Result, Seed};
use quadrat_nn::{Batch, Forward, Parameters, Piece, Role, Run, Tensor, TrainMethod};

/// Strengths over a run; as a training method, what tuning found without the tuning.
///
/// ```
/// use quadrat_core::{Seed, Silent};
/// use quadrat_nn::{Mlp, Samples, Trainer};
/// use quadrat_regularize::{Strength, Strengths};
/// let inputs = ndarray::Array2::from_shape_fn((40, 2), |(i, j)| ((i * (j + 1)) % 7) as f32);
/// let samples = Samples::classes(inputs, (0..40).map(|i| (i % 7 > 3) as u32).collect(), 2)?;
/// let mut method = Strengths::constant([(Strength::Dropout("fc1".into()), 0.3), (Strength::InputNoise, 0.1)]);
/// let trainer = Trainer { epochs: 5, seed: Seed(1), ..Trainer::default() };
/// trainer.fit(&Mlp::new(2, &[16], 2), &samples, None, &mut [&mut method], &Silent)?;
/// # Ok::<(), quadrat_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Strengths {
    /// The strengths.
    pub names: Vec<Strength>,
    /// From which step on each row of values holds, ascending; the first row holds before that too.
    pub steps: Vec<usize>,
    /// One row a step, one column a strength.
    pub values: Vec<Vec<f32>>,
    /// Kernels that a weight decay acts on, and where noise is drawn from: known in a run.
    run: (Vec<String>, Seed),
}

impl Strengths {
    /// The same values throughout.
    pub fn constant(strengths: impl IntoIterator<Item = (Strength, f64)>) -> Self {
        let (names, values) = strengths.into_iter().map(|(s, v)| (s, v as f32)).unzip();
        Strengths { values: vec![values], steps: vec![0], ..Strengths::of(names) }
    }

    /// No values yet.
    pub(super) fn of(names: Vec<Strength>) -> Self {
        Strengths { names, steps: Vec::new(), values: Vec::new(), run: (Vec::new(), Seed(0)) }
    }

    /// The values at a step.
    pub fn at(&self, step: usize) -> &[f32] {
        let i = self.steps.partition_point(|&s| s <= step).saturating_sub(1);
        self.values.get(i).map_or(&[], |values| values)
    }

    /// The last values with their names.
    pub fn last(&self) -> Vec<(Strength, f64)> {
        let values = self.values.last().into_iter().flatten().map(|&v| f64::from(v));
        self.names.iter().cloned().zip(values).collect()
    }
}

impl TrainMethod for Strengths {
    fn name(&self) -> &str {
        "strengths"
    }

    fn settings(&self) -> String {
        format!("{:?} {:?} {:?}", self.names, self.steps, self.values)
    }

    fn begin(&mut self, run: &Run<'_>, parameters: &mut Parameters) -> Result<()> {
        let sites = run.dropout_sites(parameters)?;
        self.names.iter().try_for_each(|strength| strength.check(run, &sites))?;
        let fits = |values: &Vec<f32>| values.len() == self.names.len() && values.iter().all(|v| *v >= 0.0);
        if self.values.is_empty() || self.values.len() != self.steps.len() || !self.values.iter().all(fits) {
            let got = format!("{} rows of values for {} steps", self.values.len(), self.steps.len());
            return Err(Error::input("strengths", got, "one row a step, one value of 0 or more a strength"));
        }
        let kernels = parameters.iter().filter(|p| p.role == Role::Weight);
        self.run = (kernels.map(|p| p.name.clone()).collect(), run.seed);
        Ok(())
    }

    fn prepare(&mut self, batch: &mut Batch) -> Result<()> {
        let (values, rows) = (self.at(batch.at.step), batch.rows.len());
        let mut rng = self.run.1.rng(batch.at.step as u64);
        self.names.iter().zip(values).try_for_each(|(name, value)| name.apply(batch, &vec![*value; rows], &mut rng))
    }

    fn loss(&self, forward: &mut Forward, piece: &Piece, _: &Tensor<2>, mut rows: Tensor<1>) -> Result<Tensor<1>> {
        let values = self.at(piece.batch.at.step);
        let decay = self.names.iter().zip(values).find(|(name, _)| **name == Strength::WeightDecay);
        let Some((_, decay)) = decay.filter(|(_, decay)| **decay > 0.0) else { return Ok(rows) };
        for kernel in &self.run.0 {
            rows = rows + forward.vars().flat(kernel)?.square().sum() * (0.5 * decay);
        }
        Ok(rows)
    }
}
