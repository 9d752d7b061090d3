//! `quadrat list`: the catalogue.

use crate::output::{Reply, json, table, wrap};
use clap::Args;
use quadrat::{Card, Result, catalogue, search};
use std::fmt::Write as _;

#[derive(Args, Debug)]
pub struct List {
    /// Words to search for, such as "too few examples of one class"
    pub words: Vec<String>,
    /// Print one JSON array of cards
    #[arg(long)]
    pub json: bool,
    /// Print the table of methods for the README
    #[arg(long, conflicts_with = "json")]
    pub markdown: bool,
}

/// As many of the methods that fit are shown to people; JSON has them all.
const BEST: usize = 8;

/// Lists all methods, or those that fit the words.
pub fn run(args: &List) -> Result<Reply> {
    let all = catalogue();
    let words = args.words.join(" ");
    let found = if words.trim().is_empty() { all.clone() } else { search(&all, &words) };
    let text = if args.markdown {
        markdown(&found)
    } else if found.is_empty() {
        format!("No method fits `{words}`. `quadrat list` shows all {}.", all.len())
    } else if words.trim().is_empty() {
        by_area(&found)
    } else {
        found
            .iter()
            .take(BEST)
            .map(|card| format!("{}  {}\n{}\n", card.slug, card.title, wrap(card.summary, 4, 100)))
            .collect()
    };
    Ok(Reply::new(text, json(&found)?))
}

fn by_area(cards: &[&Card]) -> String {
    let mut text = String::new();
    let mut area = None;
    for card in cards {
        if area != Some(card.area) {
            area = Some(card.area);
            let rows: Vec<Vec<String>> = cards
                .iter()
                .filter(|other| other.area == card.area)
                .map(|card| vec![card.slug.to_owned(), card.title.to_owned()])
                .collect();
            let _ = write!(text, "{}\n{}\n", card.area, table(&rows, &[]));
        }
    }
    text + "`quadrat show METHOD` says more; `quadrat list WORDS` searches."
}

/// The README's table of methods, generated so that it cannot lag behind the cards.
fn markdown(cards: &[&Card]) -> String {
    let mut text = String::from("| method | area | what it is |\n|---|---|---|\n");
    for card in cards {
        let _ = writeln!(text, "| `{}` | {} | {} |", card.slug, card.area, card.title.replace('|', "\\|"));
    }
    text
}
