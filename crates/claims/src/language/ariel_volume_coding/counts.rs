//! A model of words that counts: what followed the last words in the training sentences, mixed with what followed fewer of them.

use quadrat_language::{FromFn, from_fn};
use std::collections::HashMap;

/// What followed a context: how often each word did, and all together.
#[derive(Default)]
struct Followers {
    words: HashMap<u32, u32>,
    all: u32,
}

/// Interpolated n-grams of length `order` after Witten and Bell (1991): a context that was followed by t different words in c places leaves
/// a share of t / (c + t) to the next shorter one, and the empty one to all words alike. Sentences hold the token `end` at their end.
pub(super) fn counted(
    sentences: &[Vec<u32>],
    words: usize,
    order: usize,
    end: u32,
) -> FromFn<impl Fn(&[u32], &mut [f32]) + Send + Sync> {
    // Before a sentence stands what is no word.
    let begin = words as u32;
    let mut known: HashMap<Vec<u32>, Followers> = HashMap::new();
    for sentence in sentences {
        let text = [vec![begin; order - 1], sentence.clone()].concat();
        for at in order - 1..text.len() {
            for length in 0..order {
                let followers = known.entry(text[at - length..at].to_vec()).or_default();
                *followers.words.entry(text[at]).or_default() += 1;
                followers.all += 1;
            }
        }
    }
    let scores = move |prefix: &[u32], scores: &mut [f32]| {
        let text = [vec![begin; order - 1], prefix.to_vec()].concat();
        let mut p = vec![1.0 / scores.len() as f64; scores.len()];
        for length in 0..order {
            let Some(followers) = known.get(&text[text.len() - length..]) else { break };
            let (all, different) = (f64::from(followers.all), followers.words.len() as f64);
            p.iter_mut().for_each(|p| *p *= different / (all + different));
            for (word, count) in &followers.words {
                p[*word as usize] += f64::from(*count) / (all + different);
            }
        }
        scores.iter_mut().zip(p).for_each(|(score, p)| *score = p.ln() as f32);
    };
    from_fn(words, scores).ending(&[end])
}
