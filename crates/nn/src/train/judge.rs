//! An epoch as the validation rows see it.

use super::evaluate::{EVALUATED, in_blocks, mean, outputs_of, shaped, share_right};
use super::{Epoch, Training};
use crate::Rows;
use crate::forward::tensor_of;
use crate::method::{At, TrainMethod};
use crate::source::Source;
use crate::tensors::values_of;
use quadrat_core::{Error, Result};
use quadrat_numeric::{calibration, metrics};

/// The part of a run's identity that is known at its first epoch.
pub(crate) const VALIDATION: &str = "validation rows";

/// One block of rows, judged.
struct Judged {
    losses: Vec<f32>,
    weights: Option<Vec<f32>>,
    /// The likeliest classes, where rows have one.
    said: Vec<u32>,
    /// What methods lose on the block as a whole.
    together: f64,
}

impl Training<'_, '_> {
    /// Figures of the validation rows, for the parameters that would be returned now; keeps these if they are the best.
    pub(super) fn judge(&mut self, rows: &dyn Source, now: &mut Epoch) -> Result<()> {
        self.check_validation(rows)?;
        let shown = self.returned()?;
        let methods: Vec<&dyn TrainMethod> = self.methods.iter().map(|method| &**method).collect();
        // A loss of a whole batch must see batches as in training.
        let whole = methods.iter().any(|method| method.batch_loss().is_some());
        let size = if whole { self.trainer.batch } else { EVALUATED };
        let judged = in_blocks(&self.workers, rows.len(), size, &|some| {
            let places: Vec<u32> = some.map(|row| row as u32).collect();
            let batch = rows.batch(At { epoch: now.epoch, step: 0 }, &places)?;
            let outputs = outputs_of(self.network, &shown, Rows::from(&batch), &methods)?;
            let outputs = shaped(batch.rows.len(), self.network, outputs)?;
            let tensor = tensor_of(outputs.view(), false);
            let losses = values_of(self.trainer.loss.rows(tensor.clone(), tensor_of(batch.targets.view(), false)));
            let mut together = 0.0;
            for loss in methods.iter().filter_map(|method| method.batch_loss()) {
                together += values_of(loss.of(&batch, tensor.clone())?).iter().map(|v| f64::from(*v)).sum::<f64>();
            }
            let said = if rows.labels().is_some() { calibration::likeliest(outputs.view()) } else { Vec::new() };
            Ok(Judged { together: together * places.len() as f64, losses, weights: batch.weights, said })
        })?;
        let losses: Vec<f32> = judged.iter().flat_map(|block| &block.losses).copied().collect();
        let weights: Vec<f32> = judged.iter().flat_map(|block| block.weights.iter().flatten()).copied().collect();
        let together = judged.iter().map(|block| block.together).sum::<f64>() / rows.len().max(1) as f64;
        let loss = mean(&losses, (!weights.is_empty()).then_some(&weights)) + together;
        now.validation_loss = Some(loss);
        if let Some(labels) = rows.labels() {
            let said: Vec<u32> = judged.into_iter().flat_map(|block| block.said).collect();
            now.validation_accuracy = Some(share_right(&said, labels));
            now.validation_balanced_accuracy = Some(metrics::balanced_accuracy(labels, &said)?);
        }
        self.keep_best(shown, loss);
        Ok(())
    }

    /// That these are the validation rows of the earlier epochs: curves and the best epoch compare them.
    fn check_validation(&mut self, rows: &dyn Source) -> Result<()> {
        let now = rows.told();
        if let Some(then) = self.identity.get(VALIDATION).filter(|then| **then != now) {
            return Err(Error::input(VALIDATION, now, format!("the earlier epochs had {then}")));
        }
        self.identity.insert(VALIDATION.to_owned(), now);
        Ok(())
    }
}
