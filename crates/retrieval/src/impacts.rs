//! Impacts: what a word is worth in a document, as whoever made the documents' weights says it, in whole steps.
//!
//! A learned sparse retriever (Geng, Wang, Ru and Yang, "Towards Competitive Search Relevance For Inference-Free Learned Sparse
//! Retrievers", 2024, arXiv 2411.04403) gives each document a bag of words with weights once, when it comes into the index; a
//! question is only split into words. A document's score is the sum, over the question's words, of the word's weight there times
//! its impact, each word once however often it is asked.
//!
//! Weights become whole steps of one size, so that scores of different words keep their proportion; what is below half a step is
//! dropped. With 255 steps to the largest weight a posting needs a byte or less. Documents that come later may have larger ones.

use crate::Document;
use crate::index::{Bound, Weigh};
use quadrat_core::{Choice, Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// How weights become impacts, and what a word weighs that is asked.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Impacts {
    /// The weight that one step stands for, above 0.
    pub step: f32,
    /// What a word that is asked weighs.
    pub asked: Asked,
}

/// What a word that is asked weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Choice, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Asked {
    /// ln(1 + (n - d + 0.5) / (d + 0.5)) for a word of d of the n documents.
    Idf,
    /// 1: the documents' weights say it all.
    One,
}

/// A document to add, with its words' weights.
#[derive(Debug, Clone, PartialEq)]
pub struct WeighedDocument {
    /// Its name, and what is shown of it.
    pub document: Document,
    /// Words, each once, and what they weigh: 0 or more.
    pub weights: Vec<(String, f32)>,
}

/// Steps of the largest weight.
const STEPS: f32 = 255.0;
/// The most steps of an impact: beside a sum of a few hundred of these, single precision still tells one step.
const MOST: f32 = 65535.0;

impl Impacts {
    /// Steps of which the largest weight has 255.
    ///
    /// # Errors
    /// A largest weight that is not above 0 and finite.
    pub fn up_to(largest: f32, asked: Asked) -> Result<Impacts> {
        if !(largest > 0.0 && largest.is_finite()) {
            return Err(Error::input("largest weight", largest, "one word at least must have a weight above 0"));
        }
        Ok(Impacts { step: largest / STEPS, asked })
    }

    /// The impacts of a document's words, in their order; 0 for those below half a step.
    ///
    /// # Errors
    /// A word twice; a weight that is negative, not finite, or more than 257 times the largest one that the steps were made for.
    pub fn of(&self, document: &WeighedDocument) -> Result<Vec<u32>> {
        let mut seen = HashSet::with_capacity(document.weights.len());
        let mut impacts = Vec::with_capacity(document.weights.len());
        for (word, weight) in &document.weights {
            let what = || format!("weight of `{word}` in document `{}`", document.document.id);
            if !(*weight >= 0.0 && weight.is_finite()) {
                return Err(Error::input(what(), weight, "weights are 0 or more, and finite"));
            }
            if !seen.insert(word.as_str()) {
                return Err(Error::input(what(), "it twice", "each word has one weight"));
            }
            let steps = (weight / self.step).round();
            if steps > MOST {
                let want =
                    format!("at most {}: make the index anew, from documents such as this one", self.step * MOST);
                return Err(Error::input(what(), weight, want));
            }
            impacts.push(steps as u32);
        }
        Ok(impacts)
    }
}

impl Weigh for Impacts {
    const LIGHT: bool = true;

    #[inline]
    fn weigh(&self, weight: f32, value: u32, _: u32) -> f32 {
        weight * value as f32
    }

    fn most(&self, weight: f32, bound: Bound) -> f32 {
        weight * bound.most as f32
    }
}
