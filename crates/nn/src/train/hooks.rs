//! What methods can ask for at the end of a step or an epoch.

use super::Trainer;
use super::evaluate::{EVALUATED, in_blocks, outputs_of, shaped};
use super::passes::pieces;
use crate::forward::Vars;
use crate::inputs::Rows;
use crate::method::{At, Batch, EpochEnd, StepEnd, TrainMethod};
use crate::parameters::Parameters;
use crate::source::Source;
use crate::tensors::values_of;
use crate::workers::Workers;
use crate::{Network, gates};
use ndarray::Array2;
use quadrat_core::{Error, Result};

/// The network at the end of a step or an epoch.
pub(super) struct Model<'a> {
    pub workers: &'a Workers,
    pub trainer: &'a Trainer,
    pub network: &'a dyn Network,
    pub parameters: &'a mut Parameters,
    pub data: &'a dyn Source,
    pub at: At,
    pub methods: Vec<&'a dyn TrainMethod>,
}

impl Model<'_> {
    /// Mean loss of a batch in so many pieces, and its gradient at the gates if asked for.
    fn evaluated(&self, batch: &Batch, parts: usize, tracked: bool) -> Result<(f64, Vec<f32>)> {
        let pieces = pieces(batch.rows.len(), parts);
        let loss = self.trainer.loss;
        let found = self.workers.map(pieces.len(), &|i| {
            gates::pass(self.network, self.parameters, &self.methods, loss, batch, pieces[i].clone(), tracked)
        })?;
        let (losses, gradients): (Vec<f64>, Vec<Vec<f32>>) = found.into_iter().unzip();
        Ok((losses.iter().sum(), gradients.concat()))
    }
}

impl StepEnd for Model<'_> {
    fn gate_gradients(&mut self, batch: &Batch) -> Result<(f64, Array2<f32>)> {
        let (loss, gradients) = self.evaluated(batch, self.trainer.pieces, true)?;
        let rows = batch.rows.len();
        let wrong = |e| Error::numeric("gates", format!("{e}"));
        let gradients = Array2::from_shape_vec((rows, gradients.len() / rows.max(1)), gradients).map_err(wrong)?;
        Ok((loss, gradients))
    }

    fn loss(&mut self, batch: &Batch) -> Result<f64> {
        Ok(self.evaluated(batch, batch.rows.len().div_ceil(EVALUATED), false)?.0)
    }

    fn in_effect(&mut self) -> Result<Parameters> {
        let mut parameters = self.parameters.clone();
        if self.methods.is_empty() {
            return Ok(parameters);
        }
        let mut vars = Vars::new(self.parameters, false);
        for method in &self.methods {
            method.reparametrise(&mut vars)?;
        }
        for (parameter, value) in parameters.iter_mut().zip(vars.tensors()) {
            parameter.set(&values_of(value.clone()))?;
        }
        Ok(parameters)
    }
}

impl EpochEnd for Model<'_> {
    fn training_outputs(&mut self) -> Result<Array2<f32>> {
        let outputs = in_blocks(self.workers, self.data.len(), EVALUATED, &|some| {
            let rows: Vec<u32> = some.map(|row| row as u32).collect();
            let batch = self.data.batch(self.at, &rows)?;
            outputs_of(self.network, self.parameters, Rows::from(&batch).part(0..rows.len()), &self.methods)
        })?;
        shaped(self.data.len(), self.network, outputs.concat())
    }

    fn parameters(&mut self) -> &mut Parameters {
        self.parameters
    }
}
