//! Problems and programs as tokens: words, and numbers digit by digit, so that a number never met can be read and written.

use super::executor::tokens;
use quadrat_core::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The tokens of problems and their programs.
///
/// The first four are: a word that was never met, the end of a program, the end of a statement, and the line between problem and
/// program. The others are the words, digits and signs of the texts that it was made of, in alphabetical order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Words {
    words: Vec<String>,
}

/// Token numbers of the first four.
const UNKNOWN: u32 = 0;
/// The end of a program.
pub(crate) const END: u32 = 1;
const LINE: u32 = 2;
const PROGRAM: u32 = 3;
const FIRST: [&str; 4] = ["<unknown>", "<end>", "\n", "<program>"];

/// The pieces of a line: words without their digits, digits, and signs one by one.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let single = |c: char| c.is_ascii_digit() || c == '.' || c == '*';
    tokens(text).into_iter().flat_map(move |token| {
        let mut left = token;
        std::iter::from_fn(move || {
            let first = left.chars().next()?;
            let end = if single(first) { first.len_utf8() } else { left.find(single).unwrap_or(left.len()) };
            let (piece, rest) = left.split_at(end);
            left = rest;
            Some(piece)
        })
    })
}

impl Words {
    /// The words of some texts.
    pub fn of<'t>(texts: impl IntoIterator<Item = &'t str>) -> Self {
        let all: BTreeSet<&str> = texts.into_iter().flat_map(str::lines).flat_map(pieces).collect();
        Words { words: FIRST.into_iter().chain(all).map(str::to_owned).collect() }
    }

    /// How many tokens there are.
    pub fn len(&self) -> usize {
        self.words.len()
    }

    /// Whether there are none, which is never.
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    fn token(&self, piece: &str) -> u32 {
        let at = self.words[FIRST.len()..].binary_search_by(|word| word.as_str().cmp(piece));
        at.map_or(UNKNOWN, |at| (at + FIRST.len()) as u32)
    }

    /// A problem, up to where its program begins.
    pub fn problem(&self, text: &str) -> Vec<u32> {
        text.lines().flat_map(pieces).map(|piece| self.token(piece)).chain([PROGRAM]).collect()
    }

    /// Statements, each with its end; after the last one that of the program, if it is whole.
    ///
    /// # Errors
    /// A statement with a word that the vocabulary has not.
    pub fn program(&self, statements: &[String], whole: bool) -> Result<Vec<u32>> {
        let mut all = Vec::new();
        for statement in statements {
            all.extend(pieces(statement).map(|piece| self.token(piece)).chain([LINE]));
        }
        if all.contains(&UNKNOWN) {
            return Err(Error::input("program", statements.join("; "), "words of the vocabulary"));
        }
        all.extend(whole.then_some(END));
        Ok(all)
    }

    /// The text of a program's tokens.
    pub fn text(&self, tokens: &[u32]) -> String {
        let mut text = String::new();
        for &token in tokens.iter().filter(|token| **token != END) {
            let word = self.words.get(token as usize).map_or("<unknown>", String::as_str);
            // Digits stick to what they follow; two words would run into one.
            let part = |c: char| c.is_alphanumeric() || c == '_';
            if text.ends_with(part) && word.starts_with(|c: char| part(c) && !c.is_ascii_digit()) {
                text.push(' ');
            }
            text.push_str(word);
        }
        text
    }
}
