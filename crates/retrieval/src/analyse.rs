//! From a text to the words that an index counts.

use quadrat_core::{Choice, Settings, words};
use serde::{Deserialize, Serialize};

/// How texts become words: [`words`], less the stop words. Queries are read as the documents were.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Settings, Serialize, Deserialize)]
pub struct Analyser {
    /// Words that are not counted.
    #[param(default = StopWords::None)]
    pub stop_words: StopWords,
}

/// Words that say nothing about what a text is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Choice, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StopWords {
    /// None: that a word is common shows in its weight.
    None,
    /// The 33 of Lucene's English list.
    English,
}

const ENGLISH: [&str; 33] = [
    "a", "an", "and", "are", "as", "at", "be", "but", "by", "for", "if", "in", "into", "is", "it", "no", "not", "of",
    "on", "or", "such", "that", "the", "their", "then", "there", "these", "they", "this", "to", "was", "will", "with",
];

impl Analyser {
    /// Calls `found` with each word that counts, in the text's order.
    pub fn words(&self, text: &str, mut found: impl FnMut(&str)) {
        words(text, |word| {
            let stop = self.stop_words == StopWords::English && word.len() <= 5 && ENGLISH.binary_search(&word).is_ok();
            if !stop {
                found(word);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stop_words_are_left_out() {
        let words = |stop_words| {
            let mut all = Vec::new();
            Analyser { stop_words }.words("The cat's on THEIR mat", |word| all.push(word.to_owned()));
            all
        };
        assert_eq!(words(StopWords::None), ["the", "cat", "s", "on", "their", "mat"]);
        assert_eq!(words(StopWords::English), ["cat", "s", "mat"]);
        assert!(ENGLISH.is_sorted());
    }
}
