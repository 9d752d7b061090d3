//! Texts as bags of words, and their vectors.

use ndarray::{Array2, ArrayView2};
use quadrat_core::{Error, Result, words};
use quadrat_numeric::Csr;
use quadrat_numeric::points::filled;
use rayon::prelude::*;
use std::collections::{BTreeMap, HashMap};

/// The words that an encoder knows, in the order of the alphabet, and what each weighs: its inverse document frequency,
/// ln((1 + texts) / (1 + those with the word)) + 1.
#[derive(Debug, Clone, Default)]
pub struct Vocabulary {
    words: Vec<(String, f64)>,
    numbers: HashMap<String, u32>,
}

impl Vocabulary {
    /// Learns the words that at least two of the texts use: a word of one text alone says nothing of any other. The texts are the
    /// documents and the queries to learn from, which may have words of their own.
    ///
    /// # Errors
    /// No such word.
    pub fn learn<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Vocabulary> {
        let mut frequencies: BTreeMap<String, u32> = BTreeMap::new();
        let mut count = 0;
        for text in texts {
            count += 1;
            for word in counts(text).into_keys() {
                *frequencies.entry(word).or_default() += 1;
            }
        }
        let weight = |df: u32| ((1.0 + f64::from(count)) / (1.0 + f64::from(df))).ln() + 1.0;
        let known = frequencies.into_iter().filter(|(_, df)| *df >= 2);
        let words: Vec<(String, f64)> = known.map(|(word, df)| (word, weight(df))).collect();
        if words.is_empty() {
            let got = format!("no word that two of {count} texts share");
            return Err(Error::input("texts", got, "more texts, or longer ones"));
        }
        Ok(Vocabulary::of(words))
    }

    /// Words that were learnt before, each once, in the order of the alphabet, with their weights.
    pub fn of(words: Vec<(String, f64)>) -> Vocabulary {
        let numbers = words.iter().zip(0..).map(|((word, _), number)| (word.clone(), number)).collect();
        Vocabulary { words, numbers }
    }

    /// Each word with its weight.
    pub fn words(&self) -> &[(String, f64)] {
        &self.words
    }

    /// Texts x words: a word that a text has c times weighs (1 + ln c) x its weight, and each text has length 1. Words that are
    /// not known are left out; a text without a known one is empty.
    pub fn bags(&self, texts: &[String]) -> Csr {
        let bag = |text: &String| -> Vec<(u32, f32)> {
            let known = counts(text).into_iter().filter_map(|(word, c)| Some((*self.numbers.get(&word)?, c)));
            let weighted = known.map(|(number, c)| (number, (1.0 + f64::from(c).ln()) * self.words[number as usize].1));
            let weighted: Vec<(u32, f64)> = weighted.collect();
            let length = weighted.iter().map(|(_, weight)| weight * weight).sum::<f64>().sqrt();
            weighted.into_iter().map(|(number, weight)| (number, (weight / length) as f32)).collect()
        };
        let mut bags = Csr::new(self.words.len());
        texts.par_iter().map(bag).collect::<Vec<_>>().into_iter().for_each(|bag| bags.push_row(bag));
        bags
    }
}

/// How often a text has each of its words, in the order of the alphabet.
pub(super) fn counts(text: &str) -> BTreeMap<String, u32> {
    let mut counts = BTreeMap::new();
    words(text, |word| *counts.entry(word.to_owned()).or_default() += 1);
    counts
}

/// The vectors of some texts: the sums of their words' rows of `table`.
pub(super) fn embed(table: ArrayView2<f32>, bags: &Csr, texts: &[u32]) -> Array2<f32> {
    filled((texts.len(), table.ncols()), |at, vector: &mut [f32]| {
        let (words, weights) = bags.row(texts[at] as usize);
        for (word, weight) in words.iter().zip(weights) {
            vector.iter_mut().zip(table.row(*word as usize)).for_each(|(sum, value)| *sum += weight * value);
        }
    })
}

/// The other way: adds each text's row, times the weight of a word in it, to the word's row of `table`. With derivatives by the
/// vectors of [`embed`] those by its table. One thread, in the texts' order.
pub(super) fn scatter(bags: &Csr, texts: &[u32], rows: ArrayView2<f32>, table: &mut Array2<f32>) {
    for (text, row) in texts.iter().zip(rows.outer_iter()) {
        let (words, weights) = bags.row(*text as usize);
        for (word, weight) in words.iter().zip(weights) {
            table.row_mut(*word as usize).scaled_add(*weight, &row);
        }
    }
}
