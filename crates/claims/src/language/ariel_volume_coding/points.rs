//! What evenly spread points are worth: frequencies of sentences, and what a few draws say of a reward.

use super::{INDEPENDENT, SOBOL};
use crate::Figure;
use quadrat_core::{Result, Seed, Silent, stats};
use quadrat_language::ariel::{AriEl, PointSet, VolumeCoding};
use quadrat_language::{LanguageModel, from_fn, softmax};
use std::collections::HashMap;

/// Draws that estimate a reward, attempts of which one must succeed, and how often both are done.
const FEW: usize = 64;
const ATTEMPTS: usize = 16;
/// Sentences whose frequencies are looked at, and the longest that are drawn.
const LIKELIEST: usize = 50;
const LONGEST: usize = 24;

pub(super) const FREQUENCIES: &str = "mean error of the 50 likeliest frequencies";
pub(super) const REWARD: &str = "variance/mean reward of 64";
pub(super) const PASS: &str = "variance/pass@16 of 64";
pub(super) const BIAS: &str = "bias/pass@16 of 64";

/// Four words, the first of which ends sentences, whose probabilities depend on the two words before and are drawn by `seed`.
fn model(seed: Seed) -> impl LanguageModel {
    let scores = move |prefix: &[u32], scores: &mut [f32]| {
        let [a, b] = [1, 2].map(|back| prefix.len().checked_sub(back).map_or(4, |at| prefix[at]));
        let mut rng = seed.rng(u64::from(5 * a + b));
        scores.iter_mut().for_each(|score| *score = rng.normal() as f32);
    };
    from_fn(4, scores).ending(&[0])
}

/// One repetition: a model of its own; `frequent` points for frequencies, `times` estimates of each kind.
pub(super) fn repetition(frequent: usize, times: usize, seed: Seed) -> Result<Vec<Figure>> {
    let model = model(seed.stream("model"));
    let coder = AriEl::new(&model, VolumeCoding { dims: 2, longest: LONGEST });
    let likeliest = likeliest(&model)?;
    // A reward for sentences that never say the third word twice in a row and end in time.
    let succeeds =
        |tokens: &[u32]| tokens.last() == Some(&0) && !tokens.windows(2).any(|pair| pair == [3, 3]) && tokens.len() > 4;
    let many = coder.sample(PointSet::Independent, 64 * frequent, seed.stream("many"), &Silent)?;
    let share = many.iter().filter(|decoded| succeeds(&decoded.tokens)).count() as f64 / many.len() as f64;
    let passes = 1.0 - (1.0 - share).powi(ATTEMPTS as i32);
    let mut found = Vec::new();
    for (arm, points) in [(SOBOL, PointSet::Sobol), (INDEPENDENT, PointSet::Independent)] {
        let mut record = |metric: &str, value: f64| found.push((arm.to_owned(), metric.to_owned(), value));
        let mut counts: HashMap<Vec<u32>, usize> = HashMap::new();
        for decoded in coder.sample(points, frequent, seed.stream("frequencies"), &Silent)? {
            *counts.entry(decoded.tokens).or_default() += 1;
        }
        let error = |(sentence, p): &(Vec<u32>, f64)| {
            (counts.get(sentence).copied().unwrap_or(0) as f64 / frequent as f64 - p).abs()
        };
        record(FREQUENCIES, stats::mean(&likeliest.iter().map(error).collect::<Vec<f64>>()));
        let mut estimates: [Vec<f64>; 2] = Default::default();
        for time in 0..times {
            let drawn = coder.sample(points, FEW, seed.stream("few").stream(&time.to_string()), &Silent)?;
            let right = drawn.iter().filter(|decoded| succeeds(&decoded.tokens)).count();
            estimates[0].push(right as f64 / FEW as f64);
            estimates[1].push(pass_at(right));
        }
        let variance = |values: &[f64]| stats::standard_deviation(values).powi(2);
        record(REWARD, variance(&estimates[0]));
        record(PASS, variance(&estimates[1]));
        record(BIAS, stats::mean(&estimates[1]) - passes);
    }
    Ok(found)
}

/// Chen et al. 2021 (arXiv 2107.03374): the share of draws of [`ATTEMPTS`] among [`FEW`] that hold a right one.
fn pass_at(right: usize) -> f64 {
    1.0 - (0..ATTEMPTS).map(|i| (FEW - i).saturating_sub(right) as f64 / (FEW - i) as f64).product::<f64>()
}

/// The likeliest sentences with their probabilities: prefixes are opened from the likeliest down.
fn likeliest(model: &dyn LanguageModel) -> Result<Vec<(Vec<u32>, f64)>> {
    let mut open: Vec<(Vec<u32>, f64)> = vec![(Vec::new(), 1.0)];
    let (mut found, mut scores, mut p) = (Vec::new(), vec![0.0; model.vocabulary()], Vec::new());
    while found.len() < LIKELIEST {
        let Some(at) = (0..open.len()).max_by(|a, b| open[*a].1.total_cmp(&open[*b].1)) else { break };
        let (prefix, probability) = open.swap_remove(at);
        if prefix.last() == Some(&0) {
            found.push((prefix, probability));
            continue;
        }
        let mut state = model.begin();
        state.push(&prefix)?;
        state.scores(&mut scores)?;
        softmax(&scores, &mut p);
        open.extend(p.iter().zip(0..).map(|(p, token)| ([prefix.clone(), vec![token]].concat(), p * probability)));
    }
    Ok(found)
}
