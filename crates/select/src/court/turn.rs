//! One selector's turn: it chooses, and a network is trained on its choice.

use super::sides::Split;
use super::{Case, Court, FRESH, Outcome};
use crate::{AskTell, Pool, RoundDraw, Rounds, Selection, Selector};
use ndarray::Axis;
use quadrat_core::{Error, Progress, Result, Seed};
use quadrat_numeric::learners::{Classifier, Learner, Mlp};
use std::time::Instant;

/// A choice on its way to the network.
pub(super) struct Turn<'a> {
    pub method: &'a str,
    pub select_seconds: f64,
    pub choice: Choice,
}

pub(super) enum Choice {
    Rows(Selection),
    Fresh,
    Refused(String),
}

/// Passes on that the job is to stop, but keeps a selector's own progress from the court's.
struct Hushed<'a>(&'a dyn Progress);

impl Progress for Hushed<'_> {
    fn cancelled(&self) -> bool {
        self.0.cancelled()
    }
}

impl Court {
    pub(super) fn choose<'a>(
        &self,
        selector: &'a dyn Selector,
        case: &Case,
        budget: usize,
        seed: Seed,
        progress: &dyn Progress,
    ) -> Result<Turn<'a>> {
        let raw = case.raw.as_ref().filter(|_| selector.needs().raw);
        let own = raw.map(|raw| Pool { points: Some(raw.clone()), ..case.pool.clone() });
        let method = selector.card().slug;
        let started = Instant::now();
        let pool = own.as_ref().unwrap_or(&case.pool);
        let choice = match selector.select(pool, budget, seed.stream(method), &Hushed(progress)) {
            Ok(selection) => Choice::Rows(selection),
            Err(Error::Cancelled) => return Err(Error::Cancelled),
            Err(reason) => Choice::Refused(reason.to_string()),
        };
        Ok(Turn { method, select_seconds: started.elapsed().as_secs_f64(), choice })
    }

    pub(super) fn train(&self, turn: Turn, split: &Split, budget: usize, seed: Seed) -> Result<Outcome> {
        let started = Instant::now();
        let network = Mlp { epochs: (self.visits / budget).max(1), ..self.network };
        let seed = seed.stream("network");
        let classifier: Box<dyn Classifier> = match turn.choice {
            Choice::Refused(reason) => return Ok(Outcome::Refused(reason)),
            Choice::Rows(Selection { indices, weights, .. }) => {
                let x = split.x.select(Axis(0), &indices);
                let y: Vec<u32> = indices.iter().map(|row| split.y[*row]).collect();
                network.fit(x.view(), &y, split.classes, weights.as_deref(), seed)?
            }
            Choice::Fresh => {
                let mut rounds = Rounds::new(split.y.len(), RoundDraw::WithoutReplacement, None, seed.stream(FRESH))?;
                let mut round = |_| rounds.ask(budget);
                network.fit_rounds(split.x.view(), &split.y, split.classes, &mut round, seed)?
            }
        };
        let train_seconds = started.elapsed().as_secs_f64();
        let found = classifier.predict(split.test_x.view()).iter().zip(&split.test_y).filter(|(a, b)| a == b).count();
        let accuracy = found as f64 / split.test_y.len() as f64;
        Ok(Outcome::Trained { accuracy, select_seconds: turn.select_seconds, train_seconds })
    }
}
