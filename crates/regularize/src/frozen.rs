//! A network that stays as it is while something small is trained in it or beside it.

use quadrat_core::Result;
use quadrat_nn::{Parameters, Role};

/// What training must not move, and which parameters it may train again afterwards.
#[derive(Debug, Clone, Default)]
pub(crate) struct Frozen {
    trainable: Vec<String>,
    /// Running statistics follow every batch, trained or not: their values before.
    statistics: Vec<(String, Vec<f32>)>,
}

impl Frozen {
    /// Freeze all parameters there are.
    pub fn freeze(parameters: &mut Parameters) -> Self {
        let trainable = parameters.iter().filter(|p| p.trainable).map(|p| p.name.clone()).collect();
        let statistics = parameters.iter().filter(|p| p.role == Role::Statistic);
        let statistics = statistics.map(|p| (p.name.clone(), p.values())).collect();
        parameters.iter_mut().for_each(|p| p.trainable = false);
        Frozen { trainable, statistics }
    }

    /// Put running statistics back, after a step.
    pub fn hold(&self, parameters: &mut Parameters) -> Result<()> {
        self.statistics.iter().try_for_each(|(name, values)| parameters.get_mut(name)?.set(values))
    }

    /// Let train again what could be trained before.
    pub fn release(&self, parameters: &mut Parameters) {
        parameters.iter_mut().for_each(|p| p.trainable = self.trainable.contains(&p.name));
    }
}
