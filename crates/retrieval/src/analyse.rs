//! From a text to the words that an index counts.

use frostem::{Algorithm, Stemmer};
use quadrat_core::{Choice, Settings, words};
use serde::{Deserialize, Serialize};

/// How texts become words: [`words`], less the stop words, cut to their stems. Queries are read as the documents were.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Settings, Serialize, Deserialize)]
pub struct Analyser {
    /// Words that are not counted.
    #[param(default = StopWords::None)]
    pub stop_words: StopWords,
    /// Language by whose rules (Snowball's) words are cut to stems, so that `engines` finds `engine`; none leaves them whole.
    #[param(default = Stem::None)]
    #[serde(default)]
    pub stem: Stem,
}

/// The language of stems, by the algorithms of Snowball (Porter 2001, snowballstem.org) as of October 2026. Texts of another language
/// come out cut wrongly: leave those whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Choice, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stem {
    /// Words stay whole.
    #[default]
    None,
    /// Dutch.
    Dutch,
    /// English, also known as Porter2.
    English,
    /// French.
    French,
    /// German.
    German,
    /// Italian.
    Italian,
    /// Portuguese.
    Portuguese,
    /// Russian.
    Russian,
    /// Spanish.
    Spanish,
}

impl Stem {
    fn stemmer(self) -> Option<Stemmer> {
        let algorithm = match self {
            Stem::None => return None,
            Stem::Dutch => Algorithm::Dutch,
            Stem::English => Algorithm::English,
            Stem::French => Algorithm::French,
            Stem::German => Algorithm::German,
            Stem::Italian => Algorithm::Italian,
            Stem::Portuguese => Algorithm::Portuguese,
            Stem::Russian => Algorithm::Russian,
            Stem::Spanish => Algorithm::Spanish,
        };
        Some(Stemmer::new(algorithm))
    }
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
        let stemmer = self.stem.stemmer();
        words(text, |word| {
            let stop = self.stop_words == StopWords::English && word.len() <= 5 && ENGLISH.binary_search(&word).is_ok();
            match &stemmer {
                _ if stop => {}
                None => found(word),
                Some(stemmer) => found(&stemmer.stem(word)),
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words_of(analyser: Analyser, text: &str) -> Vec<String> {
        let mut all = Vec::new();
        analyser.words(text, |word| all.push(word.to_owned()));
        all
    }

    #[test]
    fn stop_words_are_left_out() {
        let words = |stop_words| words_of(Analyser { stop_words, ..Analyser::default() }, "The cat's on THEIR mat");
        assert_eq!(words(StopWords::None), ["the", "cat", "s", "on", "their", "mat"]);
        assert_eq!(words(StopWords::English), ["cat", "s", "mat"]);
        assert!(ENGLISH.is_sorted());
    }

    /// As snowballstemmer 3.0.1 (PyPI) has them.
    #[test]
    fn words_are_cut_to_their_stems() {
        for (stem, text, stems) in [
            (Stem::None, "Engines running", "engines running"),
            (
                Stem::English,
                "Engines running consolations knightly GENEROUSLY skies",
                "engin run consol knight generous sky",
            ),
            (Stem::German, "Aufeinanderfolgende kategorischen häuser", "aufeinanderfolg kategor haus"),
            (Stem::French, "continuellement majestueusement", "continuel majestu"),
            (Stem::Spanish, "torneos chicharrones", "torne chicharron"),
            (Stem::Italian, "pronunziato abbandonavano", "pronunz abbandon"),
            (Stem::Portuguese, "boataria quilometricas", "boat quilometr"),
            (Stem::Russian, "важнейшими падаль", "важн падал"),
            (Stem::Dutch, "lichamelijkheden", "lichamelijk"),
        ] {
            let stems: Vec<&str> = stems.split(' ').collect();
            assert_eq!(words_of(Analyser { stem, ..Analyser::default() }, text), stems, "{stem:?}");
        }
    }

    #[test]
    fn an_index_from_before_stems_leaves_words_whole() {
        let analyser: Analyser = serde_json::from_str("{\"stop_words\": \"none\"}").unwrap();
        assert_eq!(analyser, Analyser::default());
    }
}
