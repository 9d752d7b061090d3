//! The chain from scores to a law.

use super::filters;
use super::{Blocker, NoRepeat};
use crate::chance::{Chance, sum};
use quadrat_core::{Error, Result, Settings};
use quadrat_numeric::elementary::exp_f64;
use quadrat_numeric::vectorised;
use std::sync::Arc;

/// How scores become a law.
///
/// The order is fixed: penalties, temperature, top-k, typical, top-p, min-p, forbidden n-grams, draw. Each filter sees the law that
/// the one before it left, made whole again. Of equal scores the lower token comes first, everywhere. A temperature of 0 takes the
/// best token that is not forbidden, whatever the filters say.
///
/// Penalties look at the whole text, the prompt included: Keskar et al. 2019 (CTRL) for the repetition penalty. Filters: Fan et al. 2018
/// (top-k), Holtzman et al. 2020 (top-p: the fewest tokens whose probabilities reach p, so always one), Meister et al. 2023 (typical:
/// the same, those first whose surprise is nearest to the entropy), Nguyen et al. 2024 (min-p: a share of the largest probability).
///
/// ```
/// use quadrat_core::Seed;
/// use quadrat_language::decode::{Chain, Decoder, Law};
/// let decoder = Decoder::from(Chain { temperature: 0.5, top_k: Some(2), ..Chain::default() });
/// let mut law = Law::default();
/// decoder.law(&[], &[2.0, 1.0, 3.0], &mut law)?;
/// assert_eq!(law.tokens(), [0, 2]);
/// let (token, log_probability) = law.draw(&mut Seed(1).rng(0));
/// assert!(token != 1 && log_probability < 0.0);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Settings)]
pub struct Chain {
    /// Divides the positive scores of tokens that came before and multiplies the negative ones.
    #[param(default = 1.0, above = 0)]
    pub repetition_penalty: f64,
    /// Taken from the score of a token that came before.
    #[param(default = 0.0)]
    pub presence_penalty: f64,
    /// Taken from a token's score for each time that it came before.
    #[param(default = 0.0)]
    pub frequency_penalty: f64,
    /// The last tokens that the penalties look at.
    #[param(none = "all", from = 1)]
    pub penalty_window: Option<usize>,
    /// Divides the scores; 0 takes the best token.
    #[param(default = 1.0, from = 0)]
    pub temperature: f64,
    /// Keeps this many of the best tokens.
    #[param(none = "all", from = 1)]
    pub top_k: Option<usize>,
    /// Keeps the tokens of the most usual surprise up to this probability.
    #[param(default = 1.0, above = 0, to = 1)]
    pub typical: f64,
    /// Keeps the most probable tokens up to this probability.
    #[param(default = 1.0, above = 0, to = 1)]
    pub top_p: f64,
    /// Keeps tokens with at least this share of the largest probability.
    #[param(default = 0.0, from = 0, below = 1)]
    pub min_p: f64,
    /// Lets no run of this many tokens come twice.
    #[param(none = "none", from = 1)]
    pub no_repeat: Option<usize>,
}

/// A chain, and what may not be said beside.
#[derive(Clone, Default)]
pub struct Decoder {
    /// The chain.
    pub chain: Chain,
    /// What is forbidden beyond what the chain forbids.
    pub blockers: Vec<Arc<dyn Blocker>>,
}

impl From<Chain> for Decoder {
    fn from(chain: Chain) -> Self {
        Decoder { chain, blockers: Vec::new() }
    }
}

/// The law of the next token as a decoder leaves it, and the room it was made in: keep one for many steps.
#[derive(Debug, Clone, Default)]
pub struct Law {
    pub(super) tokens: Vec<u32>,
    pub(super) weights: Vec<f64>,
    total: f64,
    forced: bool,
    penalised: Vec<f32>,
    forbidden: Vec<u32>,
    pub(super) room: filters::Room,
}

impl Law {
    /// The tokens that can come, in ascending order.
    pub fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// The probability of a token.
    pub fn probability(&self, token: u32) -> f64 {
        self.tokens.binary_search(&token).map_or(0.0, |at| self.weights[at] / self.total)
    }

    /// Whether all that was left was forbidden, so that the best of it is taken all the same.
    pub fn forced(&self) -> bool {
        self.forced
    }

    /// A token, and the natural logarithm of its probability.
    pub fn draw(&self, chance: &mut dyn Chance) -> (u32, f64) {
        let at = chance.pick(&self.weights);
        (self.tokens[at], (self.weights[at] / self.total).ln())
    }

    /// The probabilities of all tokens of a vocabulary.
    pub fn fill(&self, vocabulary: usize, out: &mut Vec<f64>) {
        out.clear();
        out.resize(vocabulary, 0.0);
        self.tokens.iter().zip(&self.weights).for_each(|(&token, weight)| out[token as usize] = weight / self.total);
    }
}

impl Decoder {
    /// Makes the law of the token after `history` from a model's scores (vocabulary).
    ///
    /// O(vocabulary); 50,257 scores take well below 100 microseconds in most settings.
    ///
    /// # Errors
    /// A score that is NaN or +inf, or none above -inf.
    pub fn law(&self, history: &[u32], scores: &[f32], law: &mut Law) -> Result<()> {
        check(scores)?;
        let mut penalised = std::mem::take(&mut law.penalised);
        let scores = self.chain.penalise(history, scores, &mut penalised);
        let mut forbidden = std::mem::take(&mut law.forbidden);
        self.forbid(history, &mut forbidden);
        let done = self.chain.filter(scores, &forbidden, law);
        (law.penalised, law.forbidden) = (penalised, forbidden);
        done
    }

    /// The tokens that are forbidden after `history`, in ascending order.
    fn forbid(&self, history: &[u32], out: &mut Vec<u32>) {
        out.clear();
        if let Some(n) = self.chain.no_repeat {
            NoRepeat { n }.forbid(history, out);
        }
        self.blockers.iter().for_each(|blocker| blocker.forbid(history, out));
        out.sort_unstable();
    }
}

fn check(scores: &[f32]) -> Result<()> {
    let sound = vectorised(
        #[inline(always)]
        || scores.iter().fold(true, |sound, &score| sound & (score < f32::INFINITY)),
    );
    if sound {
        return Ok(());
    }
    let bad = scores.iter().position(|&score| score.is_nan() || score == f32::INFINITY).unwrap_or(0);
    let why = format!("token {bad} has the score {}; scores are numbers or -inf", scores[bad]);
    Err(Error::numeric("the model", why))
}

fn largest(scores: &[f32]) -> f32 {
    vectorised(
        #[inline(always)]
        || {
            let (chunks, rest) = scores.as_chunks::<16>();
            let mut most = [f32::NEG_INFINITY; 16];
            for chunk in chunks {
                for lane in 0..16 {
                    most[lane] = most[lane].max(chunk[lane]);
                }
            }
            most.iter().chain(rest).copied().fold(f32::NEG_INFINITY, f32::max)
        },
    )
}

impl Chain {
    /// The scores after the penalties: those given where there are none.
    fn penalise<'a>(&self, history: &[u32], scores: &'a [f32], out: &'a mut Vec<f32>) -> &'a [f32] {
        let [repetition, presence, frequency] =
            [self.repetition_penalty, self.presence_penalty, self.frequency_penalty].map(|penalty| penalty as f32);
        if (repetition, presence, frequency) == (1.0, 0.0, 0.0) {
            return scores;
        }
        out.clear();
        out.extend_from_slice(scores);
        let window = self.penalty_window.map_or(0, |window| history.len().saturating_sub(window));
        let mut seen = history[window..].to_vec();
        seen.sort_unstable();
        for same in seen.chunk_by(|a, b| a == b) {
            let Some(score) = out.get_mut(same[0] as usize) else { continue };
            *score = if *score > 0.0 { *score / repetition } else { *score * repetition };
            *score -= presence + frequency * same.len() as f32;
        }
        out
    }

    /// All that follows the penalties, but for the draw.
    fn filter(&self, scores: &[f32], forbidden: &[u32], law: &mut Law) -> Result<()> {
        let most = largest(scores);
        if most == f32::NEG_INFINITY {
            return Err(Error::numeric("the model", "no token has a score above -inf, so nothing can come next"));
        }
        law.forced = false;
        if self.temperature == 0.0 {
            law.take_best(scores, forbidden);
            return Ok(());
        }
        law.begin(scores, self.top_k);
        law.weigh(scores, most, self.temperature);
        if law.weights.contains(&0.0) {
            law.retain(|_, weight| weight > 0.0);
        }
        if self.typical < 1.0 {
            law.keep_typical(scores, self.temperature, self.typical);
        }
        if self.top_p < 1.0 {
            law.keep_nucleus(scores, self.temperature, self.top_p);
        }
        if self.min_p > 0.0 {
            law.keep_share(self.min_p);
        }
        if !forbidden.is_empty() {
            law.leave_out(scores, forbidden);
        }
        law.total = sum(&law.weights);
        Ok(())
    }
}

impl Law {
    /// All tokens that can come, or the `k` best of them.
    fn begin(&mut self, scores: &[f32], k: Option<usize>) {
        match k.filter(|&k| k < scores.len()) {
            Some(k) => filters::top_k(scores, k, &mut self.tokens, &mut self.room),
            // Ascending tokens up to the last, as many as there are, are all of them: from the step before.
            None if self.tokens.len() == scores.len() && self.tokens.last() == Some(&(scores.len() as u32 - 1)) => {}
            None => {
                self.tokens.clear();
                self.tokens.extend(0..scores.len() as u32);
            }
        }
    }

    /// Probabilities of the tokens, as multiples of the best one's.
    fn weigh(&mut self, scores: &[f32], most: f32, temperature: f64) {
        let (most, inverse) = (f64::from(most), temperature.recip());
        let (tokens, weights) = (&self.tokens, &mut self.weights);
        weights.resize(tokens.len(), 0.0);
        let all = tokens.len() == scores.len();
        vectorised(
            #[inline(always)]
            || {
                let weight = |score: f32| exp_f64((f64::from(score) - most) * inverse);
                if all {
                    weights.iter_mut().zip(scores).for_each(|(w, &score)| *w = weight(score));
                } else {
                    weights.iter_mut().zip(tokens).for_each(|(w, &token)| *w = weight(scores[token as usize]));
                }
            },
        );
    }

    /// The best token that is not forbidden, for certain.
    fn take_best(&mut self, scores: &[f32], forbidden: &[u32]) {
        let best = |but: &[u32]| {
            let mut best: Option<(f32, u32)> = None;
            for (token, &score) in (0..).zip(scores) {
                let better = score > best.map_or(f32::NEG_INFINITY, |(score, _)| score);
                if better && but.binary_search(&token).is_err() {
                    best = Some((score, token));
                }
            }
            best.map(|(_, token)| token)
        };
        let allowed = best(forbidden);
        self.forced = allowed.is_none();
        self.certain(allowed.or_else(|| best(&[])).unwrap_or(0));
    }

    fn certain(&mut self, token: u32) {
        self.tokens.clear();
        self.weights.clear();
        self.tokens.push(token);
        self.weights.push(1.0);
        self.total = 1.0;
    }

    /// Leaves out what is forbidden; where that is all, the best is taken.
    fn leave_out(&mut self, scores: &[f32], forbidden: &[u32]) {
        let better = |a: &u32, b: &u32| scores[*a as usize].total_cmp(&scores[*b as usize]).then(b.cmp(a));
        let best = self.tokens.iter().copied().max_by(better);
        self.retain(|token, _| forbidden.binary_search(&token).is_err());
        if let (true, Some(best)) = (self.tokens.is_empty(), best) {
            self.forced = true;
            self.certain(best);
        }
    }

    /// Keeps the tokens whose weight is at least `least`, where most have less: blocks that have none are passed over.
    pub(super) fn retain_from(&mut self, least: f64) {
        let mut kept = 0;
        for start in (0..self.tokens.len()).step_by(32) {
            let block = start..(start + 32).min(self.tokens.len());
            if self.weights[block.clone()].iter().fold(false, |any, &weight| any | (weight >= least)) {
                for at in block {
                    let (token, weight) = (self.tokens[at], self.weights[at]);
                    self.tokens[kept] = token;
                    self.weights[kept] = weight;
                    kept += usize::from(weight >= least);
                }
            }
        }
        self.tokens.truncate(kept);
        self.weights.truncate(kept);
    }

    /// Keeps the tokens of which `keep` says so.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(u32, f64) -> bool) {
        let mut kept = 0;
        for at in 0..self.tokens.len() {
            let (token, weight) = (self.tokens[at], self.weights[at]);
            // Written in any case: a branch that is hard to foresee costs more.
            self.tokens[kept] = token;
            self.weights[kept] = weight;
            kept += usize::from(keep(token, weight));
        }
        self.tokens.truncate(kept);
        self.weights.truncate(kept);
    }
}

#[cfg(test)]
mod tests;
