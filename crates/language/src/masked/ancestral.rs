//! The ancestral sampler: the reverse process in small steps of time.
//!
//! Steps 1 and 2 of masked diffusion (Austin et al. 2021; Sahoo et al., MDLM, NeurIPS 2024). From time t down to s < t a hidden place
//! stays hidden with probability (1 - α_s) / (1 - α_t); if it does not, its token is drawn from the model's row. Places uncovered in
//! the same step are drawn without knowledge of each other: the error, which falls as 1 / N in the number of steps.
//!
//! The model is only asked again after a place has changed, so that N steps make N (1 - (1 - 1/N)^L) calls of it on average with the
//! linear schedule, and never more than L, the number of places. The draws remain: in every step one a hidden place, N L / 2 in all,
//! over the whole vocabulary, unless [`Draw::TwoStage`] decides first whether there is something to draw.
//!
//! Programs often stop at a time of 1e-3 rather than 0, which leaves a thousandth of the places hidden; here the last step ends at 0.

use super::schedule::shares_hidden;
use super::{Asked, Draw, MaskedSampler, Sample, Schedule, Step, Usual};
use quadrat_core::{Result, Rng};

/// The reverse process in steps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ancestral<S = Usual> {
    /// Steps of time, equally long.
    pub steps: usize,
    /// The schedule.
    pub schedule: S,
    /// How a place is uncovered and its token drawn.
    pub draw: Draw,
}

impl<S: Schedule> MaskedSampler for Ancestral<S> {
    fn uncover(&self, asked: &mut Asked, sample: &mut Sample, places: &[usize], rng: &mut Rng) -> Result<()> {
        let mut hidden = places.to_vec();
        // Whether the model was asked since a place last changed.
        let mut known = false;
        for stays in self.stays()? {
            if hidden.is_empty() {
                break;
            }
            let before = hidden.len();
            if self.draw == Draw::TwoStage {
                let (leaving, staying) = hidden.iter().partition(|_| rng.uniform() >= stays);
                hidden = staying;
                uncover_all(asked, sample, leaving, rng)?;
                continue;
            }
            if !known {
                asked.ask(sample, &hidden)?;
            }
            sample.draws += before;
            let mut i = 0..;
            hidden.retain(|&place| {
                let drawn = i.next().and_then(|i| self.draw.draw(asked.row(i), stays, rng));
                if let Some(token) = drawn {
                    sample.tokens[place] = token as u32;
                    sample.order.push(place);
                }
                drawn.is_none()
            });
            known = hidden.len() == before;
        }
        Ok(())
    }
}

impl<S: Schedule> Ancestral<S> {
    /// With which probability a hidden place stays hidden in each step.
    fn stays(&self) -> Result<Vec<f64>> {
        let shares = shares_hidden(&self.schedule, self.steps)?;
        Ok((0..self.steps).rev().map(|step| shares[step] / shares[step + 1]).collect())
    }

    /// Its steps, for [`exact_law`](super::exact_law).
    ///
    /// # Errors
    /// As in sampling.
    pub fn steps(&self) -> Result<Vec<Step>> {
        Ok(self.stays()?.into_iter().map(|stays| Step::Each(1.0 - stays)).collect())
    }
}

/// Draws the tokens of places that leave together.
fn uncover_all(asked: &mut Asked, sample: &mut Sample, leaving: Vec<usize>, rng: &mut Rng) -> Result<()> {
    if leaving.is_empty() {
        return Ok(());
    }
    asked.ask(sample, &leaving)?;
    sample.draws += leaving.len();
    for (i, &place) in leaving.iter().enumerate() {
        sample.tokens[place] = Draw::TwoStage.token(asked.row(i), rng) as u32;
    }
    sample.order.extend(leaving);
    Ok(())
}
