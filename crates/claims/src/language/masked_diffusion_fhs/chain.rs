//! The chain of words that answers as a masked model.

use quadrat_core::Result;
use quadrat_data::builtin;
use quadrat_language::masked::{MarkovChain, MaskedModel};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// What a word that was never followed by others is taken to have been followed by any.
const WEIGHT: f64 = 5.0;

/// The chain of the most frequent words of the built-in novels; rarer ones are left out of the text.
pub(super) fn of_novels(vocabulary: usize) -> Result<MarkovChain> {
    let table = builtin::find("austen")?.table(&[])?;
    let words: Vec<String> = table.strings("text")?.iter().flat_map(|text| words(text)).collect();
    let mut counts: HashMap<&str, usize> = HashMap::new();
    words.iter().for_each(|word| *counts.entry(word).or_default() += 1);
    let mut ranked: Vec<(&str, usize)> = counts.into_iter().collect();
    ranked.sort_unstable_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    ranked.truncate(vocabulary);
    let numbers: HashMap<&str, u32> = ranked.iter().zip(0..).map(|((word, _), number)| (*word, number)).collect();
    let tokens: Vec<u32> = words.iter().filter_map(|word| numbers.get(word.as_str()).copied()).collect();
    MarkovChain::of_text(&tokens, ranked.len(), WEIGHT)
}

fn words(text: &str) -> Vec<String> {
    let word = |word: &&str| !word.is_empty();
    text.to_lowercase().split(|c: char| !c.is_alphabetic()).filter(word).map(str::to_owned).collect()
}

/// A chain that remembers its rows while one text is drawn: a place's row changes with the nearest words alone, and most stay.
pub(super) struct Remembering<'a> {
    chain: &'a MarkovChain,
    rows: Mutex<HashMap<Neighbours, Vec<f64>>>,
}

/// A place and the nearest words before and after it.
type Neighbours = (usize, [Option<usize>; 2]);

impl<'a> Remembering<'a> {
    pub fn new(chain: &'a MarkovChain) -> Self {
        Remembering { chain, rows: Mutex::default() }
    }
}

impl MaskedModel for Remembering<'_> {
    fn vocabulary(&self) -> usize {
        self.chain.vocabulary()
    }

    fn mask(&self) -> u32 {
        self.chain.mask()
    }

    /// Words that were uncovered stay, so that the places of the nearest ones tell which they are.
    fn predict(&self, tokens: &[u32], places: &[usize], rows: &mut [f64]) -> Result<()> {
        let known = |place: &usize| tokens[*place] != self.mask();
        let key = |place: usize| (place, [(0..place).rev().find(known), (place..tokens.len()).find(known)]);
        let mut kept = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        let new: Vec<usize> = places.iter().copied().filter(|place| !kept.contains_key(&key(*place))).collect();
        let mut found = vec![0.0; new.len() * self.vocabulary()];
        self.chain.predict(tokens, &new, &mut found)?;
        for (place, row) in new.iter().zip(found.chunks_exact(self.vocabulary())) {
            // A place has one row at a time.
            kept.retain(|(old, _), _| old != place);
            kept.insert(key(*place), row.to_vec());
        }
        for (place, row) in places.iter().zip(rows.chunks_exact_mut(self.vocabulary())) {
            if let Some(own) = kept.get(&key(*place)) {
                row.copy_from_slice(own);
            }
        }
        Ok(())
    }
}
