//! `/`: the catalogue, searched in one's own words.

use crate::App;
use crate::layout::{self, Place};
use axum::extract::{Query, State};
use maud::{Markup, html};
use quadrat::{Area, Card, catalogue, search};
use quadrat_claims::Summary;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What the recorded claims say, by method; the largest scale first.
pub type Recorded = BTreeMap<String, Vec<Summary>>;

const AREAS: [Area; 8] = [
    Area::Select,
    Area::Robust,
    Area::Regularize,
    Area::Language,
    Area::Diffusion,
    Area::Retrieval,
    Area::Estimate,
    Area::Inverse,
];

/// What a method reads, by the first word of its verbs.
const FORMS: [(&str, &[&str]); 7] = [
    (
        "table",
        &[
            "select", "order", "balance", "split", "sample", "allocate", "train", "diffuse", "estimate", "ask",
            "tickets", "quantise",
        ],
    ),
    ("text", &["language", "retrieve"]),
    ("image", &["denoise", "diffuse"]),
    ("k-space", &["reconstruct"]),
    ("equation", &["solve"]),
    ("series", &["impute"]),
    ("answers", &["holdout", "levels"]),
];

/// Verbs that need no method.
const ALONE: [&str; 5] = ["audit", "split", "compare", "predict", "eval"];

const VERDICTS: [&str; 4] = ["holds", "does not hold", "inconclusive", "not recorded"];

/// What is asked for.
#[derive(Default)]
struct Asked {
    words: String,
    areas: Vec<String>,
    forms: Vec<String>,
    verdicts: Vec<String>,
}

impl Asked {
    fn of(pairs: Vec<(String, String)>) -> Self {
        let mut asked = Asked::default();
        for (name, value) in pairs {
            match name.as_str() {
                "q" => asked.words = value.chars().take(400).collect(),
                "area" => asked.areas.push(value),
                "form" => asked.forms.push(value),
                "verdict" => asked.verdicts.push(value),
                _ => {}
            }
        }
        asked
    }

    fn fits(&self, card: &Card, recorded: &Recorded) -> bool {
        let among = |wanted: &[String], has: &dyn Fn(&str) -> bool| wanted.is_empty() || wanted.iter().any(|w| has(w));
        among(&self.areas, &|area| card.area.to_string() == area)
            && among(&self.forms, &|form| forms(card).any(|known| known == form))
            && among(&self.verdicts, &|word| verdict(recorded, card.slug) == word)
    }
}

/// The forms of files that a method reads.
fn forms(card: &Card) -> impl Iterator<Item = &'static str> {
    let first = |verb: &str| verb.split(' ').next().unwrap_or_default().to_owned();
    let verbs: Vec<String> = card.verbs.iter().map(|verb| first(verb)).collect();
    FORMS
        .iter()
        .filter(move |(_, reads)| verbs.iter().any(|verb| reads.contains(&verb.as_str())))
        .map(|(form, _)| *form)
}

/// The verdict of a method's largest recorded run that has one.
pub fn verdict(recorded: &Recorded, slug: &str) -> String {
    let found = recorded.get(slug).into_iter().flatten().find_map(|claim| claim.verdict);
    found.map_or_else(|| "not recorded".to_owned(), |verdict| verdict.to_string())
}

/// A verdict as a word in its colour.
pub fn badge(verdict: &str) -> Markup {
    let class = match verdict {
        "holds" => "good",
        "does not hold" => "bad",
        _ => "open",
    };
    html! { span class=(format!("verdict small {class}")) { (verdict) } }
}

/// The start page.
pub async fn page(State(app): State<Arc<App>>, Query(pairs): Query<Vec<(String, String)>>) -> Markup {
    let asked = Asked::of(pairs);
    let all = catalogue();
    let found = if asked.words.trim().is_empty() { all.clone() } else { search(&all, &asked.words) };
    let found: Vec<&Card> = found.into_iter().filter(|card| asked.fits(card, &app.recorded)).collect();
    let body = html! {
        h1 { "What is the trouble?" }
        form #find role="search" {
            div.search {
                label.hidden for="q" { "Your trouble, in your own words" }
                input id="q" name="q" type="search" value=(asked.words) placeholder="too few examples of one class"
                    autocomplete="off";
                button.main { "Find" }
            }
            details open[!asked.areas.is_empty() || !asked.forms.is_empty() || !asked.verdicts.is_empty()] {
                summary { "Filters" }
                div.filters {
                    (filter("Area", "area", &AREAS.map(|area| area.to_string()), &asked.areas))
                    (filter("File", "form", &FORMS.map(|(form, _)| form.to_owned()), &asked.forms))
                    (filter("Claim", "verdict", &VERDICTS.map(str::to_owned), &asked.verdicts))
                }
            }
        }
        section #found aria-live="polite" aria-label="Methods" { (results(&app, &asked, &found, all.len())) }
        h2 { "Without a method" }
        p.row {
            @for name in ALONE.iter().filter(|name| app.runnable(name).is_ok()) {
                a.button href=(format!("/run/{name}")) { (name) }
            }
        }
    };
    layout::page(&app, Place::Find, "Find", &["call.js", "find.js"], body)
}

fn filter(title: &str, name: &str, values: &[String], chosen: &[String]) -> Markup {
    html! {
        fieldset {
            legend { (title) }
            @for value in values {
                label.check { input type="checkbox" name=(name) value=(value) checked[chosen.contains(value)]; " " (value) }
            }
        }
    }
}

fn results(app: &App, asked: &Asked, found: &[&Card], of: usize) -> Markup {
    let searched = !asked.words.trim().is_empty();
    html! {
        p.hint {
            @if found.is_empty() { "No method fits. Use other words, or fewer filters." }
            @else if searched {
                (found.len()) " of " (of) " methods, those first whose cards have most of your words; rare words count more, and \
                 what users say of their trouble counts twice."
            }
            @else { (found.len()) " of " (of) " methods, by area." }
        }
        ol.cards {
            @for card in found {
                li {
                    h2 { a href=(format!("/method/{}", card.slug)) { (card.title) } }
                    p.meta {
                        (card.area) " · " code { (card.slug) } " · claim " (badge(&verdict(&app.recorded, card.slug)))
                    }
                    p { (card.summary) }
                    @if searched { @if let Some(why) = why(card, &asked.words) { p.hint { (why) } } }
                }
            }
        }
    }
}

/// Which of the words stand where in a card.
fn why(card: &Card, words: &str) -> Option<String> {
    let mut asked = Vec::new();
    quadrat::words(words, |word| asked.push(word.to_owned()));
    let names = format!("{} {} {}", card.slug, card.aliases.join(" "), card.title);
    let parts = [("its name", names.as_str()), ("when it is useful", card.useful_when), ("what it does", card.summary)];
    let told: Vec<String> = parts
        .into_iter()
        .filter_map(|(place, text)| {
            let mut there = Vec::new();
            quadrat::words(text, |word| there.push(word.to_owned()));
            let mut hits: Vec<&str> = Vec::new();
            for word in asked.iter().filter(|word| word.len() > 3 || word.chars().any(|c| !c.is_alphabetic())) {
                if there.iter().any(|other| alike(word, other)) && !hits.contains(&word.as_str()) {
                    hits.push(word);
                }
            }
            (!hits.is_empty()).then(|| format!("{place}: {}", hits.join(", ")))
        })
        .collect();
    (!told.is_empty()).then(|| format!("Here because of {}.", told.join("; ")))
}

/// Whether two words begin alike: `class` and `classes`, `imbalance` and `imbalanced`.
fn alike(a: &str, b: &str) -> bool {
    let same = a.chars().zip(b.chars()).take_while(|(a, b)| a == b).count();
    let (a, b) = (a.chars().count(), b.chars().count());
    same >= 3 && same + 2 >= a && same + 3 >= b
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_alike_by_their_beginnings() {
        for (a, b, same) in [
            ("class", "classes", true),
            ("imbalanced", "imbalance", true),
            ("label", "labels", true),
            ("rare", "area", false),
            ("few", "fewest", true),
            ("sample", "sea", false),
        ] {
            assert_eq!(alike(a, b), same, "{a} {b}");
        }
    }

    #[test]
    fn every_method_with_a_verb_has_a_form() {
        for card in catalogue().into_iter().filter(|card| !card.verbs.is_empty()) {
            assert!(forms(card).next().is_some(), "{}: {:?}", card.slug, card.verbs);
        }
    }
}
