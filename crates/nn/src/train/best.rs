//! The epoch that the validation rows found best, and when to stop looking for a better one.

use super::Training;
use crate::method::MethodState;
use crate::parameters::Parameters;
use quadrat_core::Result;

/// The best epoch so far.
#[derive(Debug, Clone)]
pub(crate) struct Best {
    /// From 1.
    pub epoch: usize,
    /// Its mean loss of the validation rows.
    pub loss: f64,
    /// The parameters that would have been returned then.
    pub parameters: Parameters,
    /// The methods as they were then, by name.
    pub methods: Vec<(String, MethodState)>,
}

impl Training<'_, '_> {
    /// Keep this epoch if no earlier one was as good, where the trainer looks for the best.
    pub(super) fn keep_best(&mut self, shown: Parameters, loss: f64) {
        let better = self.best.as_ref().is_none_or(|best| loss < best.loss);
        if self.trainer.patience.is_some() && better && loss.is_finite() {
            let methods = self.method_states();
            self.best = Some(Best { epoch: self.at.epoch, loss, parameters: shown, methods });
        }
    }

    /// Whether so many epochs have passed without a better one that no more will be tried.
    pub(super) fn is_out_of_patience(&self) -> bool {
        let waited = self.best.as_ref().map(|best| self.at.epoch - best.epoch);
        self.trainer.patience.zip(waited).is_some_and(|(patience, waited)| waited >= patience)
    }

    /// Go back to the best epoch, if one was kept, and say which it was.
    pub(super) fn return_to_best(&mut self) -> Result<Option<usize>> {
        let Some(best) = self.best.take() else { return Ok(None) };
        self.parameters = best.parameters;
        self.restore_methods(|name| {
            Ok(best.methods.iter().find(|(n, _)| n == name).map(|(_, state)| state.clone()).unwrap_or_default())
        })?;
        Ok(Some(best.epoch))
    }
}
