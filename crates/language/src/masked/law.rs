//! What a sampler draws, exactly, for texts so short that all can be counted.
//!
//! A sampler goes from a text with hidden places to one with fewer in steps, and a step is: which places, by a law that does not look
//! at the model, and then a token for each from its row, independently. So the law over all texts follows by carrying the law over the
//! partly hidden ones from step to step. Tests and claims compare it with the law that a sampler should have; nothing is drawn.

use super::{MaskedModel, hidden};
use quadrat_core::{Error, Result};
use std::collections::BTreeMap;

/// Which places a step uncovers together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Step {
    /// So many, each set of so many hidden ones being as likely.
    Set(usize),
    /// Each hidden one with this probability, independently.
    Each(f64),
}

/// Most texts, hidden tokens counted as one more token, that are carried along.
const MOST: f64 = 1e5;

/// The probability of each text that `start` may become in these steps; those that cannot come are left out.
///
/// # Errors
/// More than a hundred thousand texts on the way, a prompt that does not fit, the model's own.
pub fn exact_law(model: &dyn MaskedModel, start: &[u32], steps: &[Step]) -> Result<BTreeMap<Vec<u32>, f64>> {
    let places = hidden(model, start)?.len();
    let texts = (model.vocabulary() as f64 + 1.0).powi(places as i32);
    if texts > MOST {
        return Err(Error::input("hidden places", places, format!("so few that at most {MOST} texts are on the way")));
    }
    let mut law = BTreeMap::from([(start.to_vec(), 1.0)]);
    for step in steps {
        let mut next = BTreeMap::new();
        for (text, chance) in &law {
            step.carry(model, text, *chance, &mut next)?;
        }
        law = next;
    }
    Ok(law)
}

impl Step {
    /// Adds what becomes of one text.
    fn carry(
        self,
        model: &dyn MaskedModel,
        text: &[u32],
        chance: f64,
        next: &mut BTreeMap<Vec<u32>, f64>,
    ) -> Result<()> {
        let places = hidden(model, text)?;
        let vocabulary = model.vocabulary();
        let mut rows = vec![0.0; places.len() * vocabulary];
        if !places.is_empty() {
            model.predict(text, &places, &mut rows)?;
        }
        for set in 0..1_u32 << places.len() {
            let chance = chance * self.chance(places.len(), set.count_ones() as usize);
            if chance == 0.0 {
                continue;
            }
            let mut texts = vec![(text.to_vec(), chance)];
            for (i, &place) in places.iter().enumerate().filter(|(i, _)| set >> i & 1 == 1) {
                let row = &rows[i * vocabulary..(i + 1) * vocabulary];
                let filled = texts.iter().flat_map(|(text, chance)| {
                    row.iter().enumerate().filter(|(_, p)| **p > 0.0).map(move |(token, p)| {
                        let mut text = text.clone();
                        text[place] = token as u32;
                        (text, chance * p)
                    })
                });
                texts = filled.collect();
            }
            texts.into_iter().for_each(|(text, chance)| *next.entry(text).or_insert(0.0) += chance);
        }
        Ok(())
    }

    /// The chance of one set of `size` of the `hidden` places.
    fn chance(self, hidden: usize, size: usize) -> f64 {
        match self {
            Step::Set(wanted) if size == wanted.min(hidden) => {
                let sets = (0..size).fold(1.0, |sets, i| sets * (hidden - i) as f64 / (i + 1) as f64);
                1.0 / sets
            }
            Step::Set(_) => 0.0,
            Step::Each(p) => p.powi(size as i32) * (1.0 - p).powi((hidden - size) as i32),
        }
    }
}
