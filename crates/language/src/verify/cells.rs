//! Beginnings of texts that are counted, and their probabilities.

use super::enumerate::next;
use crate::LanguageModel;
use crate::decode::{Decoder, Law};
use quadrat_core::{Progress, Result, checkpoint};
use std::collections::HashMap;

/// Sets of texts of which each text falls into one, with their probabilities under the target: the most probable beginnings, and for
/// each of them all that goes on otherwise.
///
/// Made from the whole by opening the most probable beginning again and again: its most probable next tokens become beginnings of
/// their own. What is opened and how far depends on the target alone, not on what is drawn.
#[derive(Debug, Clone)]
pub struct Cells {
    /// Beginnings that were opened: the cell of all that goes on otherwise, and the beginnings that go on one token further.
    opened: HashMap<Vec<u32>, usize>,
    closed: HashMap<Vec<u32>, usize>,
    probabilities: Vec<f64>,
    tokens: usize,
}

impl Cells {
    /// About `most` cells of texts of up to `tokens` tokens after `prompt`.
    ///
    /// # Errors
    /// What the target says; cancelling.
    pub fn of(
        target: &dyn LanguageModel,
        decoder: &Decoder,
        prompt: &[u32],
        tokens: usize,
        most: usize,
        progress: &dyn Progress,
    ) -> Result<Cells> {
        let mut ends: Vec<(Vec<u32>, f64)> = vec![(Vec::new(), 1.0)];
        let mut cells = Cells { opened: HashMap::new(), closed: HashMap::new(), probabilities: Vec::new(), tokens };
        let mut law = Law::default();
        while ends.len() + cells.probabilities.len() < most {
            checkpoint(progress)?;
            let can_grow =
                |text: &[u32]| text.len() < tokens && !text.last().is_some_and(|t| target.ends().contains(t));
            let growing = (0..ends.len()).filter(|&at| can_grow(&ends[at].0));
            // Of equal ones the first: `max_by` would take the last.
            let best = growing.reduce(|best, at| if ends[at].1 > ends[best].1 { at } else { best });
            let Some(best) = best else { break };
            let (text, mass) = ends.swap_remove(best);
            next(target, decoder, &[prompt, &text].concat(), &mut law)?;
            let mut after: Vec<(f64, u32)> =
                law.tokens().iter().map(|&token| (law.probability(token), token)).collect();
            after.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            // A beginning takes a few cells, not all that are left.
            let few = (most / 4).max(2);
            let kept = after.len().min(few);
            let rest: f64 = after[kept..].iter().map(|(p, _)| mass * p).sum();
            ends.extend(after[..kept].iter().map(|&(p, token)| ([&text[..], &[token]].concat(), mass * p)));
            cells.opened.insert(text, cells.probabilities.len());
            cells.probabilities.push(rest);
        }
        for (text, mass) in ends {
            cells.closed.insert(text, cells.probabilities.len());
            cells.probabilities.push(mass);
        }
        Ok(cells)
    }

    /// The cell that a text falls into: that of its shortest beginning that was not opened, or of all that goes on otherwise than
    /// the target's most probable.
    pub fn find(&self, text: &[u32]) -> usize {
        let text = &text[..text.len().min(self.tokens)];
        let mut otherwise = 0;
        for length in 0..=text.len() {
            if let Some(&cell) = self.closed.get(&text[..length]) {
                return cell;
            }
            match self.opened.get(&text[..length]) {
                Some(&cell) => otherwise = cell,
                None => break,
            }
        }
        otherwise
    }

    /// The probabilities of the cells; they sum to 1.
    pub fn probabilities(&self) -> &[f64] {
        &self.probabilities
    }

    /// The longest text that is told apart.
    pub fn tokens(&self) -> usize {
        self.tokens
    }
}
