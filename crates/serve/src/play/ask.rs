//! The page of twenty questions.

use super::game::Played;
use super::limits;
use crate::App;
use crate::layout::{self, Place};
use crate::problem::Answer;
use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::IntoResponse;
use maud::{Markup, html};
use std::sync::Arc;

/// `/ask`.
pub async fn page(State(app): State<Arc<App>>) -> Markup {
    let body = html! {
        h1 { "Ask" }
        p.lead {
            "Think of one of the items. The page asks about it, each time what tells most, and forgives a wrong answer now and then."
        }
        (settings())
        section aria-labelledby="question" {
            h2 { span #question role="status" aria-live="polite" { "…" } }
            div.row {
                button type="button" data-reply="1" { "Yes" }
                button type="button" data-reply="0" { "No" }
                button type="button" data-reply="" { "Don't know" }
                button type="button" id="undo" { "Take back" }
                button type="button" id="anew" { "Begin anew" }
            }
            p.hint { "Keys: y, n, ? and u." }
            p #wrong role="alert" {}
        }
        div.play {
            section aria-labelledby="likely" { h2 #likely { "Likeliest now" } div.bars #best {} }
            section aria-labelledby="answered" { h2 #answered { "So far" } ol #asked {} }
        }
        h2 { "The same on the command line" }
        pre #command tabindex="0" { " " }
    };
    layout::page(&app, Place::Ask, "Ask", &["ask.js"], body)
}

fn settings() -> Markup {
    html! {
        form #game.row autocomplete="off" {
            label for="input" { "Items" }
            input #input type="text" value="builtin:zoo" spellcheck="false" aria-describedby="input-hint";
            label for="noise" { "Share of wrong answers" }
            input #noise type="text" inputmode="decimal" value="0.05" size="6";
            button { "Play" }
            p #input-hint.hint { "A built-in set, or a file below the folder: one item a row, columns of few values to ask about." }
        }
    }
}

/// `/api/ask`.
pub async fn answer(State(app): State<Arc<App>>, body: Bytes) -> Answer<impl IntoResponse> {
    limits::in_turn(&body, move |played: Played| Ok(played.go_on(&app.table(&played.input)?)?)).await.map(Json)
}
