//! A hold-out set behind a mechanism, in memory.

use super::{Answer, Fingerprint, Guarantee, Mechanism, Query, QueryMechanism};
use quadrat_core::{Result, Seed};
use std::collections::HashMap;

/// A mechanism with its stream of noise: answer number i draws from the i-th generator of the seed.
///
/// Nothing is kept between runs of a program; for a budget that lasts, use a [`Ledger`](super::Ledger).
#[derive(Debug, Clone)]
pub struct Holdout {
    mechanism: Mechanism,
    noise: Seed,
    answered: u64,
    given: Option<HashMap<Fingerprint, Answer>>,
}

impl Holdout {
    /// A hold-out set that answers by `mechanism`. The analyst must not know the seed.
    pub fn new(mechanism: impl Into<Mechanism>, seed: Seed) -> Self {
        Holdout { mechanism: mechanism.into(), noise: noise(seed), answered: 0, given: None }
    }

    /// Gives the same answer to the same query again, free of charge. Costs a hash of the query's values each time.
    pub fn remembering(self) -> Self {
        Holdout { given: Some(HashMap::new()), ..self }
    }

    /// Answers a query, in the query's own range.
    ///
    /// # Errors
    /// A query that does not fit; [`Error::Exhausted`](quadrat_core::Error::Exhausted).
    pub fn ask(&mut self, query: &dyn Query) -> Result<Answer> {
        let fingerprint = match &self.given {
            Some(given) => {
                let fingerprint = query.fingerprint()?;
                if let Some(answer) = given.get(&fingerprint) {
                    return Ok(*answer);
                }
                Some(fingerprint)
            }
            None => None,
        };
        let answer = self.mechanism.answer(query, &mut self.noise.rng(self.answered))?.in_range(query.range());
        self.answered += 1;
        if let (Some(given), Some(fingerprint)) = (&mut self.given, fingerprint) {
            given.insert(fingerprint, answer);
        }
        Ok(answer)
    }

    /// How many queries were answered.
    pub fn answered(&self) -> u64 {
        self.answered
    }

    /// How many more answers are certain to be given; `None` where there is no limit.
    pub fn remaining(&self) -> Option<u64> {
        self.mechanism.remaining()
    }

    /// What every answer guarantees, for values in [0, 1].
    pub fn guarantee(&self) -> Guarantee {
        self.mechanism.guarantee()
    }

    /// The mechanism in its present state.
    pub fn mechanism(&self) -> &Mechanism {
        &self.mechanism
    }
}

/// The stream that answers draw from.
pub(super) fn noise(seed: Seed) -> Seed {
    seed.stream("holdout answers")
}
