//! BLEU of each text against all others.

use super::n_grams;
use quadrat_core::{Error, Result};
use rayon::prelude::*;
use std::collections::HashMap;

/// n-grams up to this length count.
const N: usize = 4;

/// Self-BLEU: the mean over texts of BLEU-4 against all others as references (Papineni et al. 2002: clipped precisions, geometric mean,
/// brevity penalty against the reference of the nearest length, of equally near ones the shorter). For n of 2 and more the counts are
/// smoothed by adding one above and below (Lin and Och 2004); without a common token a text has 0. The values are nltk's with
/// `SmoothingFunction().method2`.
///
/// How often an n-gram may count is the most that any other text has of it. So the most and the second most over all texts are enough, and
/// the time is linear in the tokens where the definition is quadratic in the texts.
///
/// # Errors
/// Fewer than two texts.
pub fn self_bleu(texts: &[Vec<u32>]) -> Result<f64> {
    if texts.len() < 2 {
        return Err(Error::input("texts", texts.len(), "at least 2: each is compared with the others"));
    }
    let matches: Vec<Vec<u32>> = (1..=N).into_par_iter().map(|n| clipped_matches(texts, n)).collect();
    let mut lengths: Vec<usize> = texts.iter().map(Vec::len).collect();
    lengths.sort_unstable();
    let bleu = |(i, text): (usize, &Vec<u32>)| {
        let mut log_precision = 0.0;
        for (n, matches) in (1..=N).zip(&matches) {
            let all = (text.len() + 1).saturating_sub(n).max(1);
            let more = u32::from(n > 1);
            log_precision += (f64::from(matches[i] + more) / (all as f64 + f64::from(more))).ln() / N as f64;
        }
        log_precision.exp() * brevity_penalty(text.len(), &lengths)
    };
    Ok(texts.iter().enumerate().map(bleu).sum::<f64>() / texts.len() as f64)
}

/// Of one n-gram the most that a text has, that text, and the most that any other has.
#[derive(Default)]
struct Peak {
    most: u32,
    text: usize,
    second: u32,
}

/// For each text the n-grams of it that others have too, each as often as another has it at most.
fn clipped_matches(texts: &[Vec<u32>], n: usize) -> Vec<u32> {
    let counts: Vec<HashMap<&[u32], u32>> = texts.par_iter().map(|text| counts(text, n)).collect();
    let mut peaks: HashMap<&[u32], Peak> = HashMap::new();
    for (text, counts) in counts.iter().enumerate() {
        for (gram, &count) in counts {
            let peak = peaks.entry(gram).or_default();
            if count > peak.most {
                *peak = Peak { most: count, text, second: peak.most };
            } else {
                peak.second = peak.second.max(count);
            }
        }
    }
    let clipped = |(text, counts): (usize, &HashMap<&[u32], u32>)| {
        let of = |(gram, count): (&&[u32], &u32)| {
            let peak = &peaks[gram];
            *count.min(if peak.text == text { &peak.second } else { &peak.most })
        };
        counts.iter().map(of).sum()
    };
    counts.par_iter().enumerate().map(clipped).collect()
}

fn counts(text: &[u32], n: usize) -> HashMap<&[u32], u32> {
    let mut counts = HashMap::new();
    n_grams(text, n).for_each(|gram| *counts.entry(gram).or_default() += 1);
    counts
}

/// For a text among others whose lengths are sorted, its own among them.
fn brevity_penalty(length: usize, lengths: &[usize]) -> f64 {
    let own = lengths.partition_point(|other| *other < length);
    // Another of its own length, the next shorter one, or the next longer one.
    let others = [own.checked_sub(1), Some(own + 1)].into_iter().flatten().filter_map(|at| lengths.get(at));
    let nearest = others.min_by_key(|other| (other.abs_diff(length), **other)).copied().unwrap_or(length);
    match length {
        0 => 0.0,
        length if length >= nearest => 1.0,
        length => (1.0 - nearest as f64 / length as f64).exp(),
    }
}
