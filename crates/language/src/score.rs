//! How likely a text is to a model, token by token.

use crate::{LanguageModel, Tree, log_softmax};
use quadrat_core::{Error, Progress, Result, checkpoint};

/// A text as a model sees it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Scored {
    /// Natural logarithm of each token's probability, given those before it.
    pub log_probabilities: Vec<f64>,
    /// Entropy of what could have stood there, in nats.
    pub entropies: Vec<f64>,
}

impl Scored {
    /// Natural logarithm of the text's probability.
    pub fn log_probability(&self) -> f64 {
        self.log_probabilities.iter().sum()
    }

    /// exp of the mean negative logarithm of a token's probability; NaN of no tokens.
    pub fn perplexity(&self) -> f64 {
        (-self.log_probability() / self.log_probabilities.len() as f64).exp()
    }

    /// Mean entropy of a position in nats; NaN of no tokens.
    pub fn entropy(&self) -> f64 {
        self.entropies.iter().sum::<f64>() / self.entropies.len() as f64
    }
}

/// Tokens whose scores are held at a time.
const BLOCK: usize = 32;

/// Scores `text` after `before` (a prompt, or the token that texts begin with; none where the model scores the first token of a text).
/// Where the two are longer than the model's context, each token is scored after at least half a context of those before it.
///
/// Cost: one pass over the text; memory for the scores of 32 tokens.
///
/// # Errors
/// A token outside the vocabulary; nothing before the first token and a model that needs something; the user's cancelling.
///
/// ```
/// use quadrat_core::Silent;
/// use quadrat_language::{from_fn, score};
/// let even = from_fn(4, |_: &[u32], out: &mut [f32]| out.fill(0.0));
/// let scored = score(&even, &[], &[1, 2, 3], &Silent)?;
/// assert!((scored.perplexity() - 4.0).abs() < 1e-12 && (scored.entropy() - 4f64.ln()).abs() < 1e-12);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
pub fn score(model: &dyn LanguageModel, before: &[u32], text: &[u32], progress: &dyn Progress) -> Result<Scored> {
    let vocabulary = model.vocabulary();
    if let Some(token) = text.iter().chain(before).find(|&&token| token as usize >= vocabulary) {
        return Err(Error::input("token", token, format!("below {vocabulary}, the vocabulary's size")));
    }
    let context = model.context().unwrap_or(usize::MAX);
    let all = [before, text].concat();
    let mut scored = Scored::default();
    let (mut next, mut after, mut log_p) = (vec![0.0; vocabulary], Vec::new(), Vec::new());
    let mut state = model.begin();
    let mut at = before.len();
    state.push(&all[at.saturating_sub(context)..at])?;
    state.scores(&mut next)?;
    progress.begin("scoring", Some(text.len() as u64));
    while at < all.len() {
        checkpoint(progress)?;
        // A full context is begun anew with its second half.
        if state.len() >= context {
            state.truncate(0);
            state.push(&all[at - (context / 2).clamp(1, at)..at])?;
        }
        let path = Tree::chain(&all[at..all.len().min(at + BLOCK.min(context - state.len()))]);
        after.resize(vocabulary * path.len(), 0.0);
        state.tree(&path, &mut after)?;
        for (i, &token) in path.tokens().iter().enumerate() {
            let scores = if i == 0 { &next } else { &after[vocabulary * (i - 1)..vocabulary * i] };
            scored.add(scores, token, &mut log_p);
        }
        next.copy_from_slice(&after[vocabulary * (path.len() - 1)..]);
        state.keep(&(0..path.len()).collect::<Vec<_>>())?;
        at += path.len();
        progress.advance(path.len() as u64);
    }
    Ok(scored)
}

impl Scored {
    fn add(&mut self, scores: &[f32], token: u32, log_p: &mut Vec<f64>) {
        log_softmax(scores, log_p);
        self.log_probabilities.push(log_p[token as usize]);
        self.entropies.push(
            -log_p.iter().filter(|log_p| **log_p > f64::NEG_INFINITY).map(|log_p| log_p.exp() * log_p).sum::<f64>(),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BoxedState, PrefixState, from_fn};
    use quadrat_core::Silent;

    fn scores(prefix: &[u32], out: &mut [f32]) {
        let seen = prefix.iter().fold(7u32, |sum, token| sum.wrapping_mul(31).wrapping_add(*token));
        out.iter_mut().enumerate().for_each(|(i, score)| *score = ((seen >> i) % 5) as f32);
        out[0] = f32::NEG_INFINITY;
    }

    #[test]
    fn blocks_are_as_one_token_after_the_other() {
        let model = from_fn(5, scores);
        let text: Vec<u32> = (0..100).map(|i| 1 + i % 4).collect();
        let scored = score(&model, &[2, 0], &text, &Silent).unwrap();
        let all = [&[2, 0], &text[..]].concat();
        let (mut out, mut log_p) = ([0.0; 5], Vec::new());
        let mut wanted = Scored::default();
        for (i, &token) in text.iter().enumerate() {
            scores(&all[..i + 2], &mut out);
            wanted.add(&out, token, &mut log_p);
        }
        assert_eq!(scored, wanted);
        assert_eq!(score(&model, &[], &[0, 1], &Silent).unwrap().log_probability(), f64::NEG_INFINITY);
        assert!(score(&model, &[], &[], &Silent).unwrap().perplexity().is_nan());
        assert!(score(&model, &[], &[5], &Silent).unwrap_err().to_string().contains("below 5"));
    }

    /// A model of the last three tokens at most, which is all that it takes.
    struct Short;

    impl LanguageModel for Short {
        fn vocabulary(&self) -> usize {
            5
        }
        fn context(&self) -> Option<usize> {
            Some(6)
        }
        fn begin(&self) -> BoxedState<'_> {
            Box::new(PrefixState::new(5, |prefix: &[u32], out: &mut [f32]| {
                assert!(prefix.len() <= 6);
                scores(&prefix[prefix.len().saturating_sub(3)..], out);
            }))
        }
    }

    #[test]
    fn a_text_longer_than_the_context_is_scored_whole() {
        let text: Vec<u32> = (0..40).map(|i| 1 + i * i % 4).collect();
        let long = from_fn(5, |prefix: &[u32], out: &mut [f32]| scores(&prefix[prefix.len().saturating_sub(3)..], out));
        let wanted = score(&long, &[1], &text, &Silent).unwrap();
        assert_eq!(score(&Short, &[1], &text, &Silent).unwrap(), wanted);
        assert_eq!(score(&Short, &[2, 3, 4, 1, 2, 3, 4, 1], &[2], &Silent).unwrap().entropies.len(), 1);
    }
}
