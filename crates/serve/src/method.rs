//! `/method/SLUG`: a method's card, what its claim measured, and what else there is.

use crate::App;
use crate::find::{badge, verdict};
use crate::layout::{self, Place};
use crate::problem::{Answer, Problem};
use axum::extract::{Path, State};
use maud::{Markup, html};
use quadrat::{Card, catalogue, search};
use quadrat_claims::Summary;
use std::sync::Arc;

/// Neighbours that are shown.
const NEIGHBOURS: usize = 4;

/// The page of a method.
pub async fn page(State(app): State<Arc<App>>, Path(slug): Path<String>) -> Answer<Markup> {
    let cards = catalogue();
    let card = cards.iter().find(|card| card.is_called(&slug)).copied();
    let card = card.ok_or_else(|| Problem::missing(format!("method `{slug}`")))?;
    let claims = app.recorded.get(card.slug).map_or(&[][..], Vec::as_slice);
    let body = html! {
        h1 { (card.title) }
        p.lead { (card.summary) }
        p.meta {
            (card.area) " · " code { (card.slug) }
            @for alias in card.aliases { ", " code { (alias) } }
            " · claim " (badge(&verdict(&app.recorded, card.slug)))
        }
        (runs(&app, card))
        h2 { "Useful when" } p { (card.useful_when) "." }
        h2 { "Cost" } p { (card.cost) }
        (parameters(card))
        (recorded(claims))
        @if !card.paper.is_empty() { h2 { "Paper" } p { (card.paper) } }
        (neighbours(&app, card, &cards))
    };
    Ok(layout::page(&app, Place::Find, card.title, &[], body))
}

/// How it is run: from here, or by command lines.
fn runs(app: &App, card: &Card) -> Markup {
    let here = app.verbs_of(card);
    let named =
        |line: &&String| line.split_whitespace().any(|word| word.split([':', ',']).any(|part| card.is_called(part)));
    let below = |verb: &str| card.verbs.iter().any(|name| verb == *name || verb.starts_with(&format!("{name} ")));
    let lines: Vec<&String> =
        app.verbs.iter().filter(|verb| below(&verb.name)).flat_map(|verb| &verb.examples).filter(named).collect();
    html! {
        @if !here.is_empty() {
            p.row {
                @for verb in &here {
                    @let form = format!("/run/{}?verb={}", card.slug, verb.name.replace(' ', "+"));
                    a.button href=(form) { "Run it: " (verb.name) }
                }
            }
        } @else if card.verbs.is_empty() {
            p { "It is called from the library." }
        } @else {
            p { "It is run from the command line: " code { "quadrat " (card.verbs.join(", quadrat ")) } "." }
        }
        @if !lines.is_empty() {
            pre tabindex="0" aria-label="Command lines" { code { @for line in lines { (line) "\n" } } }
        }
    }
}

fn parameters(card: &Card) -> Markup {
    html! {
        @if !card.params.is_empty() {
            h2 { "Parameters" }
            div.wide tabindex="0" { table {
                thead { tr { th { "Name" } th { "Usual" } th { "What it does" } } }
                tbody { @for param in card.params {
                    tr { td { code { (param.name) } } td { code { (param.default) } } td { (param.help()) } }
                } }
            } }
        }
    }
}

fn recorded(claims: &[Summary]) -> Markup {
    html! {
        h2 { "The paper's claim, run again" }
        @if claims.is_empty() { p { "No run of its claim is recorded." } }
        @for claim in claims {
            h3 { (format!("{} scale", claim.scale)) }
            p {
                @let verdict = claim.verdict.map(|verdict| verdict.to_string());
                (badge(verdict.as_deref().unwrap_or("no verdict at this scale")))
                @let (others, same) = claim.replications;
                @if others > 0 { " " (same) " of " (others) " runs from other seeds say the same." }
            }
            ul { @for finding in &claim.findings { li { (finding) } } }
            p.hint { "Took " (format!("{:.0} s", claim.seconds)) " on " (claim.environment) "." }
        }
    }
}

/// Others that mend the same trouble.
fn neighbours(app: &App, card: &Card, cards: &[&'static Card]) -> Markup {
    let near = search(cards, card.useful_when);
    let near: Vec<&&Card> = near.iter().filter(|other| other.slug != card.slug).take(NEIGHBOURS).collect();
    html! {
        @if !near.is_empty() {
            h2 { "If not this, then rather" }
            dl.beside { @for other in near {
                div {
                    dt {
                        a href=(format!("/method/{}", other.slug)) { (other.title) } " "
                        (badge(&verdict(&app.recorded, other.slug)))
                    }
                    dd { "when: " (other.useful_when) }
                }
            } }
        }
    }
}
