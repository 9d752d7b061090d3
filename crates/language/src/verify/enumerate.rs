//! All choices of a decoder, one after the other.

use crate::decode::{Decoder, Law};
use crate::{Chance, LanguageModel};
use quadrat_core::{Error, Progress, Result, checkpoint};
use serde::Serialize;
use std::collections::BTreeMap;

/// Answers choices as it was told to, and takes the first possible answer to those beyond.
#[derive(Default)]
struct Branch {
    /// The answers, each with the probabilities of all answers to the same question.
    answers: Vec<(usize, Vec<f64>)>,
    at: usize,
}

impl Chance for Branch {
    fn pick(&mut self, weights: &[f64]) -> usize {
        if self.at == self.answers.len() {
            let total: f64 = weights.iter().sum();
            let first = weights.iter().position(|&weight| weight > 0.0).unwrap_or(0);
            self.answers.push((first, weights.iter().map(|weight| weight / total).collect()));
        }
        self.at += 1;
        self.answers[self.at - 1].0
    }
}

impl Branch {
    fn probability(&self) -> f64 {
        self.answers.iter().map(|(answer, p)| p[*answer]).product()
    }

    /// The next branch: the last answer that can be another one is the next possible one. False after the last branch.
    fn next(&mut self) -> bool {
        self.at = 0;
        while let Some((answer, p)) = self.answers.last_mut() {
            if let Some(more) = p[*answer + 1..].iter().position(|&p| p > 0.0) {
                *answer += 1 + more;
                return true;
            }
            self.answers.pop();
        }
        false
    }
}

/// What a program with choices returns, with what probability: every outcome of every branch. The program is run once for each
/// branch, at most `most` times.
///
/// ```
/// use quadrat_language::Chance;
/// use quadrat_language::verify::branches;
/// let law = branches(100, |chance| Ok(chance.pick(&[1.0, 3.0]) + chance.pick(&[1.0, 1.0])))?;
/// assert_eq!(law, [(0, 0.125), (1, 0.5), (2, 0.375)].into());
/// # Ok::<(), quadrat_core::Error>(())
/// ```
///
/// # Errors
/// What the program says; more branches than `most`.
pub fn branches<T: Ord>(
    most: usize,
    mut program: impl FnMut(&mut dyn Chance) -> Result<T>,
) -> Result<BTreeMap<T, f64>> {
    let mut branch = Branch::default();
    let mut law = BTreeMap::new();
    for _ in 0..most {
        let outcome = program(&mut branch)?;
        *law.entry(outcome).or_insert(0.0) += branch.probability();
        if !branch.next() {
            return Ok(law);
        }
    }
    Err(Error::input(
        "branches",
        format!("more than {most}"),
        "a smaller model, fewer or shorter drafts, or a test by draws",
    ))
}

/// The outcome of a proof.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Proof {
    /// Tokens of a text.
    pub tokens: usize,
    /// Texts that the target or the decoder can give.
    pub texts: usize,
    /// The largest difference between the probabilities of a text.
    pub largest: f64,
    /// Half the sum of all differences: the total variation.
    pub variation: f64,
    /// The text with the largest difference, and its probability by the target and by the decoder.
    pub worst: (Vec<u32>, f64, f64),
}

impl Proof {
    /// Whether the laws are the same but for rounding.
    pub fn holds(&self) -> bool {
        self.largest <= 1e-12
    }
}

/// Branches of one step.
const MOST: usize = 10_000_000;

/// Compares the law of the first `tokens` tokens after `prompt`: what `step` gives, again and again, with what `decoder` makes of
/// `target`.
///
/// `step` is what a decoder does at once: given a text and the number of tokens that are still wanted, it returns one token or more,
/// by choices that it asks for. A decoder that carries something else from step to step than the text is not what is proved.
/// A text that the target can end ([`LanguageModel::ends`]) stays as it is.
///
/// # Errors
/// What a step or the target says; a step without a token; too many branches; cancelling.
pub fn prove(
    target: &dyn LanguageModel,
    decoder: &Decoder,
    prompt: &[u32],
    tokens: usize,
    progress: &dyn Progress,
    mut step: impl FnMut(&[u32], usize, &mut dyn Chance) -> Result<Vec<u32>>,
) -> Result<Proof> {
    let over = |text: &[u32]| text.len() >= tokens || text.last().is_some_and(|last| target.ends().contains(last));
    let mut law = Law::default();
    let wanted = grow(over, progress, |text| {
        next(target, decoder, &[prompt, text].concat(), &mut law)?;
        Ok(law.tokens().iter().map(|&token| (vec![token], law.probability(token))).collect())
    })?;
    let found = grow(over, progress, |text| {
        let context = [prompt, text].concat();
        let left = tokens - text.len();
        let outcomes = branches(MOST, |chance| step(&context, left, chance))?;
        if outcomes.keys().any(Vec::is_empty) {
            return Err(Error::input("step", "no token", "at least one token a step"));
        }
        Ok(outcomes.into_iter().collect())
    })?;
    Ok(compare(tokens, &wanted, &found))
}

/// The law of the token after a text.
pub(super) fn next(target: &dyn LanguageModel, decoder: &Decoder, text: &[u32], law: &mut Law) -> Result<()> {
    let mut scores = vec![0.0; target.vocabulary()];
    let mut state = target.begin();
    state.push(text)?;
    state.scores(&mut scores)?;
    decoder.law(text, &scores, law)
}

/// The law of whole texts: shorter ones grow by what comes after them, with its probability, until all are over.
fn grow(
    over: impl Fn(&[u32]) -> bool,
    progress: &dyn Progress,
    mut after: impl FnMut(&[u32]) -> Result<Vec<(Vec<u32>, f64)>>,
) -> Result<BTreeMap<Vec<u32>, f64>> {
    // By length: a text is finished with before the longer ones that it becomes.
    let mut growing = BTreeMap::from([((0, Vec::new()), 1.0)]);
    let mut whole = BTreeMap::new();
    while let Some(((_, text), mass)) = growing.pop_first() {
        if over(&text) {
            *whole.entry(text).or_insert(0.0) += mass;
            continue;
        }
        checkpoint(progress)?;
        for (more, p) in after(&text)? {
            // Nothing is behind the end of a text, whatever a step says.
            let mut longer = text.clone();
            more.into_iter().for_each(|token| {
                if !over(&longer) {
                    longer.push(token)
                }
            });
            *growing.entry((longer.len(), longer)).or_insert(0.0) += mass * p;
        }
    }
    Ok(whole)
}

fn compare(tokens: usize, wanted: &BTreeMap<Vec<u32>, f64>, found: &BTreeMap<Vec<u32>, f64>) -> Proof {
    let of = |law: &BTreeMap<Vec<u32>, f64>, text: &Vec<u32>| law.get(text).copied().unwrap_or(0.0);
    let mut proof = Proof { tokens, texts: 0, largest: 0.0, variation: 0.0, worst: (Vec::new(), 0.0, 0.0) };
    let only_found = found.keys().filter(|text| !wanted.contains_key(*text));
    for text in wanted.keys().chain(only_found) {
        let (want, got) = (of(wanted, text), of(found, text));
        let off = (want - got).abs();
        proof.texts += 1;
        proof.variation += 0.5 * off;
        if off > proof.largest {
            (proof.largest, proof.worst) = (off, (text.clone(), want, got));
        }
    }
    proof
}
