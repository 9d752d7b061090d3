//! What is done without a mechanism: the plain mean again and again, and fresh rows for every question.

use super::{Answer, Guarantee, Query, QueryMechanism, Reading, Source, answered, plan};
use quadrat_core::{Result, Rng};
use serde::{Deserialize, Serialize};

/// The hold-out set as it is mostly used: a = q(S), as often as you like. Valid for questions that were fixed before the
/// first answer; once a question depends on an answer, nothing is promised.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Naive {
    rows: usize,
}

impl Naive {
    /// The plain mean over `rows` rows.
    pub fn new(rows: usize) -> Self {
        Naive { rows }
    }
}

impl QueryMechanism for Naive {
    fn name(&self) -> &'static str {
        "naive"
    }

    fn rows(&self) -> usize {
        self.rows
    }

    fn read(&self, query: &dyn Query) -> Result<Reading> {
        Ok(Reading::of(query.mean(0..self.rows)?))
    }

    fn step(&mut self, reading: &Reading, _: &mut Rng) -> Result<Answer> {
        Ok(Answer { value: reading.mean, source: Source::Holdout, spent: false, guarantee: Guarantee::None })
    }

    fn remaining(&self) -> Option<u64> {
        None
    }

    fn guarantee(&self) -> Guarantee {
        Guarantee::None
    }
}

/// Sample splitting: question t is answered on rows that no other question saw, floor(n/k) of them. Certified by
/// Hoeffding's inequality and a union bound, whatever the analyst does; the width grows with the square root of k.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Split {
    rows: usize,
    queries: u64,
    guarantee: Guarantee,
    asked: u64,
}

impl Split {
    /// `queries` answers over `rows` rows, all valid together with probability 1 - `beta`. Rows are taken in order:
    /// they must be in random order.
    ///
    /// # Errors
    /// As [`plan`](super::plan()); more questions than rows.
    pub fn new(rows: usize, queries: u64, beta: f64) -> Result<Self> {
        plan::check(rows, queries, beta)?;
        if queries > rows as u64 {
            let want = format!("with {rows} rows use at most {rows}: each question needs a fresh one");
            return Err(quadrat_core::Error::input("questions", queries, want));
        }
        let half_width = plan::split_width(rows as f64, queries as f64, beta);
        let guarantee = Guarantee::Certified { half_width, confidence: 1.0 - beta };
        Ok(Split { rows, queries, guarantee, asked: 0 })
    }
}

impl QueryMechanism for Split {
    fn name(&self) -> &'static str {
        "split"
    }

    fn rows(&self) -> usize {
        self.rows
    }

    fn read(&self, query: &dyn Query) -> Result<Reading> {
        let each = self.rows / self.queries as usize;
        // Past the last question there is nothing to read; the step refuses.
        let turn = self.asked.min(self.queries - 1) as usize;
        Ok(Reading::of(query.mean(turn * each..(turn + 1) * each)?))
    }

    fn step(&mut self, reading: &Reading, _: &mut Rng) -> Result<Answer> {
        if self.asked >= self.queries {
            return Err(answered(self.name(), self.asked, "the parts into which the rows were split"));
        }
        self.asked += 1;
        Ok(Answer { value: reading.mean, source: Source::Holdout, spent: true, guarantee: self.guarantee })
    }

    fn remaining(&self) -> Option<u64> {
        Some(self.queries - self.asked)
    }

    fn guarantee(&self) -> Guarantee {
        self.guarantee
    }
}
