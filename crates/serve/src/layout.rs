//! The frame of every page: head, places to go, what stands in the middle.

use crate::App;
use maud::{DOCTYPE, Markup, html};

/// Where a page belongs in the list of places at its top.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Search and read.
    Find,
    /// Runs and their comparison.
    Runs,
    /// The playground.
    Play,
    /// Twenty questions.
    Ask,
}

const PLACES: [(Place, &str, &str); 4] = [
    (Place::Find, "/", "Find"),
    (Place::Runs, "/runs", "Runs"),
    (Place::Play, "/play", "Play"),
    (Place::Ask, "/ask", "Ask"),
];

/// A page for those who hold the secret. `scripts` are modules among the assets.
pub fn page(app: &App, place: Place, title: &str, scripts: &[&str], body: Markup) -> Markup {
    let head = html! {
        meta name="quadrat-key" content=(app.guard.key());
        @for script in scripts {
            script type="module" src=(format!("/assets/{script}")) {}
        }
    };
    let places = html! {
        nav aria-label="Places" {
            @for (at, address, name) in PLACES {
                a href=(address) aria-current=[(at == place).then_some("page")] { (name) }
            }
        }
    };
    frame(title, head, places, body)
}

/// A page that says one thing and holds no secret.
pub fn bare(title: &str, body: Markup) -> Markup {
    frame(title, html! {}, html! {}, html! { h1 { (title) } (body) })
}

fn frame(title: &str, head: Markup, places: Markup, body: Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) " · Quadrat" }
                link rel="icon" href="/assets/mark.svg" type="image/svg+xml";
                link rel="stylesheet" href="/assets/style.css";
                link rel="stylesheet" href="/assets/page.css";
                (head)
            }
            body {
                a.skip href="#main" { "To the content" }
                header.top { a.mark href="/" { "quadrat" } (places) }
                main id="main" { (body) }
            }
        }
    }
}
