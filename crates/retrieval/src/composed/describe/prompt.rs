//! Analogies that a language model continues.

use super::{DescriptionSynth, Example, TagSet, Template, check_examples, find_word};
use quadrat_core::{Result, Seed};

/// Something that continues a text, such as a language model.
pub trait TextCompleter: Send + Sync {
    /// What comes after `prompt`: `max_tokens` at most, drawn at a `temperature`; the same for the same seed.
    ///
    /// # Errors
    /// Whatever keeps it from answering.
    fn complete(&self, prompt: &str, max_tokens: usize, temperature: f64, seed: Seed) -> Result<String>;
}

/// Prompt analogies: some examples, drawn anew for each item, as lines of tags and sentence, and a last line that ends after the item's
/// tags. The paper does not say how many examples, at what temperature, or what is done with a bad answer; chosen here are 8, 0.7, and
/// three more tries before [`Template`] speaks.
pub struct PromptAnalogy<'a> {
    examples: Vec<Example>,
    completer: &'a dyn TextCompleter,
}

/// Examples of a prompt.
const SHOTS: usize = 8;
/// Tries at an answer.
const TRIES: u64 = 4;
/// Words of the longest answer.
const WORDS: usize = 60;
const TOKENS: usize = 100;
const TEMPERATURE: f64 = 0.7;

impl<'a> PromptAnalogy<'a> {
    /// With sentences that people wrote, and what continues them.
    ///
    /// # Errors
    /// No example, or one without tags or without a sentence.
    pub fn new(examples: Vec<Example>, completer: &'a dyn TextCompleter) -> Result<Self> {
        check_examples(&examples)?;
        Ok(PromptAnalogy { examples, completer })
    }

    fn prompt(&self, tags: &TagSet, seed: Seed) -> String {
        let shots = seed.stream("examples").rng(0).sample(self.examples.len(), SHOTS);
        let lines = shots.into_iter().map(|shot| {
            let Example { tags, text } = &self.examples[shot];
            format!("{} -> {}\n", tags.list(), text.trim())
        });
        lines.collect::<String>() + &tags.list() + " ->"
    }

    /// Whether an answer may stand: not empty, no copy of an example, of no category of which nothing is said, and not too long.
    fn fits(&self, answer: &str, tags: &TagSet) -> bool {
        let foreign = |(category, own): &(String, Vec<String>)| {
            let known = tags.categories.iter().flat_map(|(_, tags)| tags);
            tags.of(category).is_empty()
                && own.iter().any(|tag| find_word(answer, tag, 0).is_some() && !known.clone().any(|known| known == tag))
        };
        !answer.is_empty()
            && answer.split_whitespace().count() <= WORDS
            && !self
                .examples
                .iter()
                .any(|example| example.text.trim() == answer || example.tags.categories.iter().any(foreign))
    }
}

impl DescriptionSynth for PromptAnalogy<'_> {
    fn describe(&self, tags: &TagSet, seed: Seed) -> Result<String> {
        if tags.is_empty() {
            return Ok(String::new());
        }
        for attempt in 0..TRIES {
            let seed = Seed(seed.stream("try").rng(attempt).next_u64());
            let answer = self.completer.complete(&self.prompt(tags, seed), TOKENS, TEMPERATURE, seed)?;
            let answer = answer.trim_start().lines().next().unwrap_or_default().trim().trim_matches(['"', '\'']);
            if self.fits(answer, tags) {
                return Ok(answer.to_owned());
            }
        }
        Template.describe(tags, seed)
    }
}
