//! The playground's page.

use super::act::Picture;
use super::limits;
use super::tools::Act;
use crate::App;
use crate::field::parameter;
use crate::layout::{self, Place};
use crate::problem::Answer;
use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::IntoResponse;
use maud::{Markup, html};
use quadrat::Card;
use std::sync::Arc;

/// Ready pictures: their names for the script, and for people.
const PICTURES: [(&str, &str); 4] = [
    ("blobs", "Three clouds, one rare"),
    ("moons", "Two moons"),
    ("rings", "Two rings"),
    ("line", "A line with outliers"),
];
const CLASSES: [&str; limits::MOST_CLASSES] = ["a, round", "b, square", "c, triangle", "d, diamond", "e, cross"];

/// `/play`.
pub async fn page(State(app): State<Arc<App>>) -> Markup {
    let body = html! {
        h1 { "Play" }
        p.lead { "Draw points and watch a method act on them. Every change is answered at once by the library itself." }
        div.play {
            div.picture { (picture()) (legend()) (drawing()) }
            form #tool autocomplete="off" { (choosing()) @for (_, name, _) in Act::ALL { (methods(name)) } }
        }
        h2 { "The same on the command line" }
        p { "Save the picture, and this line does the same to it:" }
        pre #command tabindex="0" { " " }
        p { button type="button" id="save" { "Save points.csv" } }
    };
    layout::page(&app, Place::Play, "Play", &["play.js"], body)
}

/// `/api/play`.
pub async fn answer(body: Bytes) -> Answer<impl IntoResponse> {
    limits::in_turn(&body, |picture: Picture| Ok(picture.act()?)).await.map(Json)
}

fn picture() -> Markup {
    html! {
        canvas #canvas tabindex="0" role="application" aria-label="Picture" aria-describedby="keys" {}
        p #keys .hint {
            "Click to draw. Keys: arrows move the cross, Enter draws there, Delete takes the nearest point away, 1 to 5 choose the \
             class, plus and minus zoom. Drag with Shift to move the picture."
        }
        p #said role="status" aria-live="polite" {}
        p #wrong role="alert" {}
    }
}

fn legend() -> Markup {
    html! {
        details {
            summary { "What the marks mean" }
            ul {
                li { "The shape and the colour of a point are its class." }
                li { "Chosen points have a ring; points that are not chosen or not kept are faint." }
                li { "New points are small." }
            }
        }
    }
}

fn drawing() -> Markup {
    html! {
        fieldset {
            legend { "Points" }
            div.row {
                label for="ready" { "Take" }
                select #ready {
                    @for (name, words) in PICTURES { option value=(name) { (words) } }
                    option value="" { "an empty plane" }
                }
                label for="class" { "Draw class" }
                select #class { @for (i, name) in CLASSES.iter().enumerate() { option value=(i) { (name) } } }
                button type="button" id="more" { "Add 30 at the cross" }
                button type="button" id="back" { "Take back" }
            }
        }
    }
}

fn choosing() -> Markup {
    html! {
        fieldset {
            legend { "What to do" }
            @for (i, (_, name, words)) in Act::ALL.iter().enumerate() {
                label.choice { input type="radio" name="act" value=(name) checked[i == 0]; (words) }
            }
        }
        div.field {
            label for="seed" { "Seed" }
            div.row {
                input #seed type="text" inputmode="numeric" value="1" size="6";
                button type="button" id="again" { "Another" }
            }
        }
    }
}

/// The methods of an act, with their fields; the script shows those of the chosen one.
fn methods(act: &str) -> Markup {
    let cards: Vec<&Card> =
        Act::ALL.iter().filter(|known| known.1 == act).flat_map(|known| known.0.methods()).collect();
    html! {
        div.act data-act=(act) hidden[act != Act::ALL[0].1] {
            div.field {
                label for=(format!("method-{act}")) { "Method" }
                select id=(format!("method-{act}")) data-method {
                    @for card in &cards { option value=(card.slug) selected[first(card)] { (card.title) } }
                }
            }
            @if act == "select" {
                div.field {
                    label for="budget" { "Points to choose" }
                    input #budget type="text" inputmode="numeric" value="20";
                }
            }
            @for card in &cards {
                fieldset data-card=(card.slug) hidden {
                    legend { (card.title) }
                    p.hint {
                        (card.summary) " "
                        @if !card.paper.is_empty() { a href=(format!("/method/{}", card.slug)) { "Read more" } }
                    }
                    @for param in card.params { (parameter(&format!("{act}-{}", card.slug), param, None)) }
                }
            }
        }
    }
}

/// The methods that are chosen at first.
fn first(card: &Card) -> bool {
    ["k-center", "smote", "kernel"].contains(&card.slug)
}
