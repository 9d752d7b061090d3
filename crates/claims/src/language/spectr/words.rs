//! Novels as words, and models of them.

use quadrat_core::{Progress, Result, Seed};
use quadrat_data::builtin;
use quadrat_language::{KneserNey, LanguageModel};
use std::collections::HashMap;

/// Models of two novels, and the paragraphs of a third.
pub struct Words {
    /// The 5-gram.
    pub target: KneserNey,
    /// The bigram.
    pub bigram: KneserNey,
    held_out: Vec<Vec<u32>>,
}

/// The word that stands for all that came once, or never, where the models learnt.
const RARE: u32 = 0;
/// Words that are measured of a paragraph, and paragraphs of a measurement.
const LONG: usize = 40;
const MEASURED: usize = 20;

impl Words {
    /// Learns from up to `paragraphs` paragraphs of each of two novels.
    pub fn new(paragraphs: usize, progress: &dyn Progress) -> Result<Words> {
        let table = builtin::find("austen")?.table(&[])?;
        let (texts, novels) = (table.strings("text")?, table.strings("label")?);
        let of = |novel: &str| {
            let own = texts.iter().zip(&novels).filter(|(_, of)| *of == novel);
            own.map(|(text, _)| split(text)).take(paragraphs).collect::<Vec<_>>()
        };
        let known = [of("prideprejudice"), of("emma")].concat();
        let numbers = numbers(&known);
        let number =
            |words: &Vec<String>| words.iter().map(|word| numbers.get(word).copied().unwrap_or(RARE)).collect();
        let learnt: Vec<Vec<u32>> = known.iter().map(number).collect();
        let held_out: Vec<Vec<u32>> =
            of("persuasion").iter().map(number).filter(|text: &Vec<u32>| text.len() >= LONG).collect();
        let vocabulary = numbers.len() + 1;
        Ok(Words {
            target: KneserNey::fit(&learnt, vocabulary, 5, progress)?,
            bigram: KneserNey::fit(&learnt, vocabulary, 2, progress)?,
            held_out,
        })
    }

    /// The first `length` words of some held-out paragraphs.
    pub fn prompts(&self, count: usize, length: usize, seed: Seed) -> Vec<Vec<u32>> {
        let chosen = seed.rng(0).sample(self.held_out.len(), count);
        chosen.into_iter().map(|at| self.held_out[at][..length].to_vec()).collect()
    }

    /// The mean of -log2 of the probabilities of the words of some held-out paragraphs.
    pub fn bits(&self, model: &KneserNey, seed: Seed) -> Result<f64> {
        let chosen = seed.rng(0).sample(self.held_out.len(), MEASURED);
        let (mut bits, mut words) = (0.0, 0.0);
        let mut scores = vec![0.0; model.vocabulary()];
        for text in chosen.into_iter().map(|at| &self.held_out[at]) {
            let mut state = model.begin();
            for &word in text {
                state.scores(&mut scores)?;
                bits -= f64::from(scores[word as usize]) / std::f64::consts::LN_2;
                words += 1.0;
                state.push(&[word])?;
            }
        }
        Ok(bits / words)
    }
}

/// Words in small letters, and every other mark by itself.
fn split(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut within = false;
    for letter in text.to_lowercase().chars() {
        let belongs = letter.is_alphanumeric() || letter == '\'';
        match words.last_mut().filter(|_| belongs && within) {
            Some(word) => word.push(letter),
            None if letter.is_whitespace() => {}
            None => words.push(letter.to_string()),
        }
        within = belongs;
    }
    words
}

/// Numbers of the words that come more than once, from 1, in order of appearance.
fn numbers(texts: &[Vec<String>]) -> HashMap<String, u32> {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    texts.iter().flatten().for_each(|word| *counts.entry(word).or_default() += 1);
    let mut numbers = HashMap::new();
    for word in texts.iter().flatten().filter(|word| counts[word.as_str()] > 1) {
        let next = numbers.len() as u32 + 1;
        numbers.entry(word.clone()).or_insert(next);
    }
    numbers
}
