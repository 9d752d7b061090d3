//! Sentences from tags, where there is nobody to write them.
//!
//! A tagger says of each item some words by category (genre: rock; mood: happy, calm). ViML (McKee and others 2023, arXiv 2306.09327)
//! lets a language model continue an analogy, tags : sentence :: tags : ?, after a few pairs that people wrote, and compares with two
//! simpler ways. All are a [`DescriptionSynth`]:
//!
//! - [`TagList`]: the tags as they are;
//! - [`Template`]: a sentence of a fixed form (data to text);
//! - [`Analogy`]: the nearest of the people's sentences with the words exchanged, without any model (ours);
//! - [`PromptAnalogy`]: the paper's, with any [`TextCompleter`].

mod analogy;
mod prompt;

pub use analogy::Analogy;
pub use prompt::{PromptAnalogy, TextCompleter};

use quadrat_core::{Choice, Error, Result, Seed};

/// What a tagger says of an item: tags by category, in its order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TagSet {
    categories: Vec<(String, Vec<String>)>,
}

impl TagSet {
    /// Of categories and their tags; spaces around words, empty tags and repetitions are dropped, and so are categories without a tag.
    pub fn new(categories: impl IntoIterator<Item = (String, Vec<String>)>) -> TagSet {
        let mut kept: Vec<(String, Vec<String>)> = Vec::new();
        for (category, tags) in categories {
            let mut own: Vec<String> = Vec::new();
            for tag in tags.iter().map(|tag| tag.trim()).filter(|tag| !tag.is_empty()) {
                if !own.iter().any(|known| known == tag) {
                    own.push(tag.to_owned());
                }
            }
            if !own.is_empty() {
                kept.push((category.trim().to_owned(), own));
            }
        }
        TagSet { categories: kept }
    }

    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        self.categories.is_empty()
    }

    /// Each category with its tags.
    pub fn categories(&self) -> &[(String, Vec<String>)] {
        &self.categories
    }

    /// The tags of a category, none if nothing is said of it.
    pub fn of(&self, category: &str) -> &[String] {
        self.categories.iter().find(|(name, _)| name == category).map_or(&[], |(_, tags)| tags)
    }

    /// `genre: rock; mood: happy, calm`.
    fn list(&self) -> String {
        let parts = self.categories.iter().map(|(category, tags)| format!("{category}: {}", tags.join(", ")));
        parts.collect::<Vec<_>>().join("; ")
    }
}

/// Tags with the sentence that somebody wrote for them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    /// The tags.
    pub tags: TagSet,
    /// The sentence.
    pub text: String,
}

/// A way from tags to a sentence.
pub trait DescriptionSynth: Send + Sync {
    /// The sentence; the same for the same tags and seed. No tags give an empty one, which is the missing sentence.
    ///
    /// # Errors
    /// What a language model says.
    fn describe(&self, tags: &TagSet, seed: Seed) -> Result<String>;
}

/// The ways that need no language model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Choice)]
pub enum Describe {
    /// The tags as they are.
    Tags,
    /// A sentence of a fixed form.
    Template,
    /// The nearest example with the words exchanged.
    Analogy,
}

impl Describe {
    /// The way, with the examples that it needs.
    ///
    /// # Errors
    /// No examples for analogies.
    pub fn with(self, examples: Vec<Example>) -> Result<Box<dyn DescriptionSynth>> {
        Ok(match self {
            Describe::Tags => Box::new(TagList),
            Describe::Template => Box::new(Template),
            Describe::Analogy => Box::new(Analogy::new(examples)?),
        })
    }
}

/// The tags as they are: `genre: rock; mood: happy, calm`.
#[derive(Debug, Clone, Copy)]
pub struct TagList;

impl DescriptionSynth for TagList {
    fn describe(&self, tags: &TagSet, _seed: Seed) -> Result<String> {
        Ok(tags.list())
    }
}

/// A sentence of a fixed form: `The genre is rock and the mood is happy and calm.`
#[derive(Debug, Clone, Copy)]
pub struct Template;

impl DescriptionSynth for Template {
    fn describe(&self, tags: &TagSet, _seed: Seed) -> Result<String> {
        if tags.is_empty() {
            return Ok(String::new());
        }
        let parts = tags.categories.iter().map(|(category, tags)| format!("the {category} is {}", and(tags)));
        Ok(capitalised(&and(&parts.collect::<Vec<_>>())) + ".")
    }
}

/// `a`, `a and b`, `a, b and c`.
fn and(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// Where `word` stands in `text` as a whole word, in small letters or large (of the English alphabet), from `from` on.
fn find_word(text: &str, word: &str, from: usize) -> Option<usize> {
    let (text, word) = (text.to_ascii_lowercase(), word.to_ascii_lowercase());
    let letter = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
    let whole =
        |at: &usize| !letter(text[..*at].chars().next_back()) && !letter(text[at + word.len()..].chars().next());
    text.match_indices(&word).map(|(at, _)| at).filter(|at| *at >= from).find(whole)
}

fn check_examples(examples: &[Example]) -> Result<()> {
    if examples.is_empty() {
        return Err(Error::input("examples", "none", "analogy prompting needs at least one (tags, sentence) pair"));
    }
    match examples.iter().position(|example| example.tags.is_empty() || example.text.trim().is_empty()) {
        Some(at) => Err(Error::input(format!("example {at} (from 0)"), "no tags or no sentence", "each needs both")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
