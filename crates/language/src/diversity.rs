//! How varied texts are, how much they repeat themselves, and whether they quote.
//!
//! All counts are of tokens, so figures compare only under one tokeniser. The measures are those that work on open-ended generation reports
//! (Carlsson et al. 2025, arXiv 2412.04318, for greedy decoding that loops):
//!
//! - [`type_token_ratio`] over the last tokens: it falls with length, so windows of one size alone compare;
//! - [`distinct`] n-grams over all texts (Li et al. 2016, arXiv 1510.03055);
//! - [`self_bleu`](fn@self_bleu), BLEU of each text against all others (Zhu et al. 2018, arXiv 1802.01886): low where texts differ;
//! - [`repetition`], the share of a text's n-grams that it has had before (seq-rep-n, Welleck et al. 2020, arXiv 1908.04319), and the
//!   [`cycle`] that it ends in;
//! - [`sharpness`]: how undecided the model is, and how often it is sure;
//! - [`Sources`]: the longest passage that a text shares with others, those that a model was trained on.

mod bleu;
mod quotes;

pub use bleu::self_bleu;
pub use quotes::{Quote, Sources};

use crate::{LanguageModel, softmax};
use quadrat_core::{Error, Result};
use std::collections::HashSet;

/// Different tokens over tokens, among the last `window` of them; of what there is where there are fewer. NaN for none.
pub fn type_token_ratio(tokens: &[u32], window: usize) -> f64 {
    let last = &tokens[tokens.len().saturating_sub(window)..];
    last.iter().collect::<HashSet<_>>().len() as f64 / last.len() as f64
}

/// Different n-grams of all texts over their number. NaN where there is none.
pub fn distinct(texts: &[Vec<u32>], n: usize) -> f64 {
    let grams = || texts.iter().flat_map(|text| n_grams(text, n));
    grams().collect::<HashSet<_>>().len() as f64 / grams().count() as f64
}

/// Share of a text's n-grams that are there before in it: 0 for one that never repeats itself. NaN where there is none.
pub fn repetition(tokens: &[u32], n: usize) -> f64 {
    let different = n_grams(tokens, n).collect::<HashSet<_>>().len();
    1.0 - different as f64 / n_grams(tokens, n).count() as f64
}

/// The n-grams of a text; none of length 0.
fn n_grams(tokens: &[u32], n: usize) -> impl Iterator<Item = &[u32]> {
    tokens.windows(n.max(1)).filter(move |_| n > 0)
}

/// Tokens at the end of a text that come again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cycle {
    /// Tokens after which they come again.
    pub period: usize,
    /// All tokens at the end that repeat so, at least two periods.
    pub tokens: usize,
}

/// The longest end of a text that repeats itself, with the shortest period it has; none where the last tokens come once.
pub fn cycle(tokens: &[u32]) -> Option<Cycle> {
    let n = tokens.len();
    let back = |i: usize| tokens[n - 1 - i];
    // From the end backwards: how many tokens agree with those `period` earlier (the Z function, in linear time).
    let mut agree = vec![0; n];
    let (mut left, mut right) = (0, 0);
    let mut best: Option<Cycle> = None;
    for period in 1..n {
        let mut k = if period < right { agree[period - left].min(right - period) } else { 0 };
        while period + k < n && back(k) == back(period + k) {
            k += 1;
        }
        if period + k > right {
            (left, right) = (period, period + k);
        }
        agree[period] = k;
        if k >= period && best.is_none_or(|best| period + k > best.tokens) {
            best = Some(Cycle { period, tokens: period + k });
        }
    }
    best
}

/// What a model thinks of the next token, over the positions of some texts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sharpness {
    /// Mean entropy, in nats.
    pub entropy: f64,
    /// Share of positions whose likeliest token has more than 0.9.
    pub sure: f64,
    /// Positions.
    pub positions: usize,
}

/// Entropy of a model's predictions after each token of the texts but the last (0 ln 0 is 0), and how often one token has nearly all.
///
/// # Errors
/// No text of two tokens; a token that is none of the model's, or more of them than it takes.
pub fn sharpness(model: &dyn LanguageModel, texts: &[Vec<u32>]) -> Result<Sharpness> {
    let (mut scores, mut p) = (vec![0.0; model.vocabulary()], Vec::new());
    let (mut entropy, mut sure, mut positions) = (0.0, 0_u32, 0);
    for text in texts {
        let mut state = model.begin();
        for token in &text[..text.len().saturating_sub(1)] {
            state.push(&[*token])?;
            state.scores(&mut scores)?;
            softmax(&scores, &mut p);
            entropy -= p.iter().filter(|p| **p > 0.0).map(|p| p * p.ln()).sum::<f64>();
            sure += u32::from(p.iter().any(|p| *p > 0.9));
            positions += 1;
        }
    }
    if positions == 0 {
        return Err(Error::input("texts", "none of two tokens", "one at least"));
    }
    Ok(Sharpness { entropy: entropy / positions as f64, sure: f64::from(sure) / positions as f64, positions })
}

#[cfg(test)]
mod tests;
