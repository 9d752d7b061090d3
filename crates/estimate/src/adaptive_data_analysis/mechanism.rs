//! Any of the mechanisms, as a value that can be written down.

use super::{
    Answer, Guarantee, Ladder, Naive, NoiseAddition, Pmw, Query, QueryMechanism, Reading, Split, Thresholdout,
};
use quadrat_core::{Result, Rng};
use serde::{Deserialize, Serialize};

/// A mechanism with its settings and its state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mechanism {
    /// Training rows answer until the hold-out rows disagree.
    Thresholdout(Thresholdout),
    /// Noise on every answer.
    NoiseAddition(NoiseAddition),
    /// A leaderboard.
    Ladder(Ladder),
    /// Many questions over a finite domain.
    Pmw(Pmw),
    /// No protection.
    Naive(Naive),
    /// Fresh rows for every question.
    Split(Split),
}

impl Mechanism {
    fn inner(&self) -> &dyn QueryMechanism {
        match self {
            Mechanism::Thresholdout(m) => m,
            Mechanism::NoiseAddition(m) => m,
            Mechanism::Ladder(m) => m,
            Mechanism::Pmw(m) => m,
            Mechanism::Naive(m) => m,
            Mechanism::Split(m) => m,
        }
    }

    fn inner_mut(&mut self) -> &mut dyn QueryMechanism {
        match self {
            Mechanism::Thresholdout(m) => m,
            Mechanism::NoiseAddition(m) => m,
            Mechanism::Ladder(m) => m,
            Mechanism::Pmw(m) => m,
            Mechanism::Naive(m) => m,
            Mechanism::Split(m) => m,
        }
    }
}

impl QueryMechanism for Mechanism {
    fn name(&self) -> &'static str {
        self.inner().name()
    }

    fn rows(&self) -> usize {
        self.inner().rows()
    }

    fn read(&self, query: &dyn Query) -> Result<Reading> {
        self.inner().read(query)
    }

    fn step(&mut self, reading: &Reading, rng: &mut Rng) -> Result<Answer> {
        self.inner_mut().step(reading, rng)
    }

    fn remaining(&self) -> Option<u64> {
        self.inner().remaining()
    }

    fn guarantee(&self) -> Guarantee {
        self.inner().guarantee()
    }
}

impl From<Thresholdout> for Mechanism {
    fn from(m: Thresholdout) -> Self {
        Mechanism::Thresholdout(m)
    }
}

impl From<NoiseAddition> for Mechanism {
    fn from(m: NoiseAddition) -> Self {
        Mechanism::NoiseAddition(m)
    }
}

impl From<Ladder> for Mechanism {
    fn from(m: Ladder) -> Self {
        Mechanism::Ladder(m)
    }
}

impl From<Pmw> for Mechanism {
    fn from(m: Pmw) -> Self {
        Mechanism::Pmw(m)
    }
}

impl From<Naive> for Mechanism {
    fn from(m: Naive) -> Self {
        Mechanism::Naive(m)
    }
}

impl From<Split> for Mechanism {
    fn from(m: Split) -> Self {
        Mechanism::Split(m)
    }
}
