//! Input noise: each visit of a row sees it with normal noise of its own.

use crate::Strength;
use quadrat_core::{Area, Card, Error, Method, Result, Seed, Settings};
use quadrat_nn::{Batch, Parameters, Run, TrainMethod};

/// Normal noise on the inputs (Bishop 1995): for small noise a penalty on the slope of the outputs.
#[derive(Debug, Clone, Copy, PartialEq, Settings)]
pub struct InputNoise {
    /// Its standard deviation.
    #[param(default = 0.1, from = 0, to = 1e6)]
    pub deviation: f32,
    /// What is drawn from: a run sets it.
    pub seed: Seed,
}

impl Method for InputNoise {
    const CARD: Card = Card {
        slug: "input-noise",
        aliases: &["noise"],
        title: "Input noise",
        paper: "Bishop, Neural Computation 7 (1995) 108-116",
        area: Area::Regularize,
        verbs: &["train"],
        summary: "Adds normal noise to the inputs, anew at each visit.",
        useful_when: "a simple way against overfitting for rows of numbers; inputs are measured with error",
        cost: "a normal number for each input and visit",
        params: Self::PARAMS,
    };
}

impl TrainMethod for InputNoise {
    fn name(&self) -> &str {
        "input-noise"
    }

    fn settings(&self) -> String {
        format!("deviation={}", self.deviation)
    }

    fn begin(&mut self, run: &Run<'_>, _: &mut Parameters) -> Result<()> {
        if !(self.deviation.is_finite() && self.deviation >= 0.0) {
            return Err(Error::input("deviation", self.deviation, "a number of 0 or more"));
        }
        run.takes_numbers("input-noise")?;
        self.seed = run.seed;
        Ok(())
    }

    fn prepare(&mut self, batch: &mut Batch) -> Result<()> {
        let mut rng = self.seed.rng(batch.at.step as u64);
        Strength::InputNoise.apply(batch, &vec![self.deviation; batch.rows.len()], &mut rng)
    }
}
