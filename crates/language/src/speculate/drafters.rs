//! Drafters that need no model: the text so far drafts its own continuation.

use crate::{LanguageModel, from_fn};

/// An n-gram model that knows the text so far, prompt and output, and nothing else: it learns with every token.
///
/// Counts of what came after the last 0, 1, ..., `order` - 1 tokens, each backed off to the shorter context by Witten and Bell's rule
/// (1991): P(w | h) = (c(h w) + d(h) P(w | h')) / (c(h) + d(h)), with d the number of different tokens that came after h; an unseen
/// token has what uniform draws are left. O(text x order + vocabulary) a token.
///
/// ```
/// use quadrat_language::{LanguageModel, speculate::recent};
/// let model = recent(5, 3);
/// let mut text = model.begin();
/// text.push(&[1, 2, 3, 1, 2])?;
/// let mut scores = [0.0; 5];
/// text.scores(&mut scores)?;
/// assert!((0..5).all(|token| scores[token] <= scores[3]));
/// # Ok::<(), quadrat_core::Error>(())
/// ```
pub fn recent(vocabulary: usize, order: usize) -> impl LanguageModel {
    from_fn(vocabulary, move |text: &[u32], out: &mut [f32]| {
        let mut unseen = 1.0 / out.len().max(1) as f32;
        out.fill(unseen);
        for length in 0..order.max(1) {
            let mut next = after(text, length);
            let count = next.len() as f32;
            next.sort_unstable();
            let different = next.chunk_by(|a, b| a == b).count() as f32;
            if next.is_empty() {
                break;
            }
            let (share, kept) = (1.0 / (count + different), different / (count + different));
            out.iter_mut().for_each(|p| *p *= kept);
            unseen *= kept;
            next.iter().for_each(|&token| out[token as usize] += share);
        }
        // Most tokens are unseen, and all of them have the same logarithm.
        let rest = unseen.ln();
        out.iter_mut().for_each(|p| *p = if *p == unseen { rest } else { p.ln() });
    })
}

/// What came after the earlier places of the last `length` tokens, the first place first.
fn after(text: &[u32], length: usize) -> Vec<u32> {
    match text.len().checked_sub(length) {
        Some(from) => {
            text.windows(length + 1).filter(|run| run[..length] == text[from..]).map(|run| run[length]).collect()
        }
        None => Vec::new(),
    }
}

/// Prompt look-up (Saxena 2023): what came after the last place where the text's last tokens stood, `longest` or as few as one of
/// them. For certain, so that one draft is as good as many; nothing where there is no such place.
pub fn lookup(vocabulary: usize, longest: usize) -> impl LanguageModel {
    from_fn(vocabulary, move |text: &[u32], out: &mut [f32]| {
        out.fill(f32::NEG_INFINITY);
        let found = (1..=longest.max(1)).rev().find_map(|length| after(text, length).pop());
        if let Some(token) = found {
            out[token as usize] = 0.0;
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scores(model: &dyn LanguageModel, text: &[u32]) -> Vec<f32> {
        let mut out = vec![0.0; model.vocabulary()];
        let mut state = model.begin();
        state.push(text).unwrap();
        state.scores(&mut out).unwrap();
        out
    }

    #[test]
    fn recent_text_is_backed_off_to_a_law() {
        for text in [vec![], vec![3], vec![0, 1, 0, 1, 0], vec![2; 40], (0..60).map(|i| i * i % 7).collect()] {
            let total: f64 = scores(&recent(7, 4), &text).iter().map(|s| f64::from(s.exp())).sum();
            assert!((total - 1.0).abs() < 1e-5, "{text:?}: {total}");
        }
        // By hand, order 2, of 4 tokens, after 0 1 0: unigrams (2 + 2/4) / 5, (1 + 2/4) / 5, (2/4) / 5; after 0 came 1 once.
        let p: Vec<f32> = scores(&recent(4, 2), &[0, 1, 0]).iter().map(|s| s.exp()).collect();
        for (p, want) in p.iter().zip([0.25, 0.65, 0.05, 0.05]) {
            assert!((p - want).abs() < 1e-6, "{p} for {want}");
        }
    }

    #[test]
    fn the_longest_match_that_is_nearest_is_looked_up() {
        let found = |longest, text: &[u32]| scores(&lookup(9, longest), text).iter().position(|s| *s == 0.0);
        assert_eq!(found(2, &[1, 2, 3, 5, 2, 4, 1, 2]), Some(3));
        assert_eq!(found(1, &[1, 2, 3, 5, 2, 4, 1, 2]), Some(4));
        assert_eq!(found(3, &[1, 2, 3]), None);
        assert_eq!(found(3, &[]), None);
    }
}
