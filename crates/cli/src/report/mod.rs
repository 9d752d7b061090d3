//! A run as one self-contained HTML page: no script, no font, no picture from elsewhere.
//!
//! A command fills a [`Page`] with [`Block`]s; [`html`] knows how a block looks and [`svg`] draws the figures.

pub mod coverage;
pub mod html;
pub mod map;
pub mod sheet;
pub mod svg;

use quadrat::{Card, Environment, Result, write_atomic_bytes};
use std::path::Path;

/// A report.
#[derive(Debug, Default)]
pub struct Page {
    /// The headline.
    pub title: String,
    /// One sentence under it.
    pub lead: String,
    /// The content, from top to bottom.
    pub blocks: Vec<Block>,
}

/// A piece of a report.
#[derive(Debug)]
pub enum Block {
    /// A heading.
    Heading(String),
    /// A paragraph.
    Text(String),
    /// Names with values.
    Facts(Vec<(String, String)>),
    /// Texts side by side, each under its name.
    Beside(Vec<(String, String)>),
    /// A table; the first row is the head, `right` tells which columns are numbers.
    Table { rows: Vec<Vec<String>>, right: Vec<usize> },
    /// Bars: for each row a name, and a value with its text for each of the series.
    Bars { series: Vec<String>, rows: Vec<(String, Vec<(f64, String)>)> },
    /// A drawing with its caption.
    Figure { drawing: svg::Drawing, caption: String },
    /// A PNG image with its caption.
    Picture { png: Vec<u8>, caption: String },
    /// Text to copy.
    Code(String),
    /// A word set off by colour: good, bad or neither.
    Verdict { word: String, good: Option<bool> },
}

impl Page {
    /// A page with a headline and a sentence under it.
    pub fn new(title: impl Into<String>, lead: impl Into<String>) -> Self {
        Page { title: title.into(), lead: lead.into(), blocks: Vec::new() }
    }

    /// Adds a heading with what stands under it; nothing when there is nothing.
    pub fn section(&mut self, heading: &str, blocks: impl IntoIterator<Item = Block>) {
        let mut blocks = blocks.into_iter().peekable();
        if blocks.peek().is_some() {
            self.blocks.push(Block::Heading(heading.to_owned()));
            self.blocks.extend(blocks);
        }
    }

    /// Ends the page with the command that repeats the run, the paper and the machine, and writes it.
    pub fn finish(mut self, path: &Path, card: Option<&Card>) -> Result<()> {
        self.section("Repeat it", [Block::Code(repeat(std::env::args().skip(1)))]);
        if let Some(card) = card.filter(|card| !card.paper.is_empty()) {
            self.section("Paper", [Block::Text(card.paper.to_owned())]);
        }
        self.section("Made on", [Block::Text(Environment::here().to_string())]);
        write_atomic_bytes(path, html::render(&self).as_bytes())
    }
}

/// The command line that was typed, quoted for a shell.
fn repeat(arguments: impl Iterator<Item = String>) -> String {
    let words: Vec<String> = std::iter::once("quadrat".to_owned()).chain(arguments.map(|word| quoted(&word))).collect();
    words.join(" ")
}

/// A word as a shell takes it.
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./,:=%+@".contains(c);
    let needed = word.is_empty() || !word.chars().all(plain);
    if needed { format!("'{}'", word.replace('\'', "'\\''")) } else { word.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_is_quoted_for_a_shell() {
        let words = ["select", "--in", "my file.csv", "--budget", "2%", "it's"].map(str::to_owned);
        assert_eq!(repeat(words.into_iter()), r"quadrat select --in 'my file.csv' --budget 2% 'it'\''s'");
    }

    #[test]
    fn sections_without_content_vanish() {
        let mut page = Page::new("t", "l");
        page.section("empty", []);
        page.section("full", [Block::Text("x".into())]);
        assert_eq!(page.blocks.len(), 2);
    }
}
