//! Confidence-ordered decoding: what the model is surest of first. A heuristic.
//!
//! Chang et al., MaskGIT, CVPR 2022; Nie et al., LLaDA, 2025. At each call every hidden place gets a token drawn from its row, and the
//! places whose tokens are likeliest keep them. The result looks tidy and is not drawn from the model: the order depends on what is
//! drawn, so likely tokens come too often. The published programs add noise to the confidence that fades over the calls; here there is
//! none, and of equally likely tokens those further left stay.

use super::first_hitting::groups;
use super::{Asked, Draw, MaskedSampler, Sample};
use quadrat_core::{Result, Rng};

/// The most confident places first: not the model's law.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Confidence {
    /// Calls of the model, each of which uncovers as many places; `None`: one a place.
    pub calls: Option<usize>,
}

impl MaskedSampler for Confidence {
    fn uncover(&self, asked: &mut Asked, sample: &mut Sample, places: &[usize], rng: &mut Rng) -> Result<()> {
        let mut hidden = places.to_vec();
        for group in groups(places.len(), self.calls.unwrap_or(places.len()))? {
            asked.ask(sample, &hidden)?;
            sample.draws += hidden.len();
            let mut drawn: Vec<(f64, usize, usize)> = Vec::with_capacity(hidden.len());
            for (i, &place) in hidden.iter().enumerate() {
                let token = Draw::TwoStage.token(asked.row(i), rng);
                drawn.push((asked.row(i)[token], place, token));
            }
            drawn.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            for (_, place, token) in drawn.drain(..group.len()) {
                sample.tokens[place] = token as u32;
                sample.order.push(place);
            }
            hidden = drawn.into_iter().map(|(_, place, _)| place).collect();
            hidden.sort_unstable();
        }
        Ok(())
    }
}
