//! `/run/NAME`: a form made of what the verb and the method declare.

use crate::command::Passed;
use crate::field::{self, parameter};
use crate::layout::{self, Place};
use crate::problem::{Answer, Problem};
use crate::{App, Verb, VerbOption};
use axum::extract::{Path, Query, State};
use maud::{Markup, html};
use quadrat::data::builtin;
use quadrat::{Card, catalogue};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Options that stand in sight although a verb runs without them.
const IN_SIGHT: [&str; 14] = [
    "in",
    "target",
    "text",
    "images",
    "model",
    "kspace",
    "trajectory",
    "problem",
    "rows",
    "epochs",
    "hold-out",
    "budget",
    "read-results",
    "command",
];

/// Options with a place of their own in the form.
const PLACED: [&str; 3] = ["in", "out", "method"];

/// What stands behind the question mark.
#[derive(Deserialize, Default)]
pub struct Wanted {
    verb: Option<String>,
    from: Option<u64>,
}

/// The form of a method or a verb.
pub async fn page(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Answer<Markup> {
    let cards = catalogue();
    let before = wanted.from.and_then(|id| app.runs.find(id)).map(|run| run.form);
    let asked = wanted.verb.or_else(|| before.as_ref().map(|form| form.verb.clone()));
    let verbs: Vec<&Verb> = match cards.iter().find(|card| card.is_called(&name)) {
        Some(card) => app.verbs_of(card),
        None => app.verbs.iter().filter(|verb| verb.name == name || verb.name.replace(' ', "-") == name).collect(),
    };
    let card = cards.iter().find(|card| card.is_called(&name)).copied();
    let verb = asked.and_then(|asked| verbs.iter().find(|verb| verb.name == asked)).or_else(|| verbs.first());
    let verb = app.runnable(verb.map_or(name.as_str(), |verb| verb.name.as_str())).map_err(|problem| match card {
        Some(card) => Problem::missing(format!("a form for `{}`, which the command line runs;", card.slug)),
        None => problem,
    })?;
    let values = before.map(|form| form.values).unwrap_or_default();
    let filled = Filled { app: &app, verb, verbs: &verbs, card, values };
    Ok(filled.page())
}

impl App {
    /// The verbs that run a method and that have a form; of a verb with verbs below it, those.
    pub(crate) fn verbs_of(&self, card: &Card) -> Vec<&Verb> {
        let named = |verb: &Verb| {
            card.verbs.iter().any(|name| verb.name == *name || verb.name.starts_with(&format!("{name} ")))
        };
        self.verbs.iter().filter(|verb| named(verb) && self.runnable(&verb.name).is_ok()).collect()
    }
}

/// A form with what stands in it.
struct Filled<'a> {
    app: &'a App,
    verb: &'a Verb,
    verbs: &'a [&'a Verb],
    card: Option<&'static Card>,
    values: BTreeMap<String, String>,
}

impl Filled<'_> {
    fn page(&self) -> Markup {
        let title = match self.card {
            Some(card) => format!("Run {}", card.title),
            None => format!("Run {}", self.verb.name),
        };
        let (sight, more): (Vec<&VerbOption>, Vec<&VerbOption>) =
            self.options().partition(|option| option.required || IN_SIGHT.contains(&option.name.as_str()));
        let data = self.verb.option("in");
        let body = html! {
            h1 { (title) }
            p.lead {
                (self.verb.about)
                @if let Some(card) = self.card { " (" a href=(format!("/method/{}", card.slug)) { "what it does" } ")" }
            }
            (self.ways())
            form #run data-verb=(self.verb.name) autocomplete="off" {
                @if let Some(option) = data {
                    fieldset {
                        legend { "File" }
                        (field::file(option, self.value(option), true))
                        p #described.hint role="status" {}
                    }
                }
                fieldset { legend { "What it needs" }
                    (self.method())
                    @for option in &sight { (field::option(option, self.value(option))) }
                    @if self.verb.option("out").is_some() { (self.out()) }
                }
                (self.parameters())
                @if !more.is_empty() { details { summary { "More" } (self.grouped(&more)) } }
                section aria-label="Before it starts" {
                    pre #command tabindex="0" aria-label="Command line" { "quadrat " (self.verb.name) " …" }
                    p #cost.hint role="status" aria-live="polite" { }
                    p #wrong.wrong role="alert" {}
                    button.main type="submit" { "Start" }
                }
            }
            datalist id="files" {
                @for file in self.app.folder.data_files() { option value=(file) {} }
                @for set in builtin::list() { option value=(format!("builtin:{}", set.name)) { (set.about) } }
            }
        };
        layout::page(self.app, Place::Find, &title, &["call.js", "form.js"], body)
    }

    /// Other verbs of the same method.
    fn ways(&self) -> Markup {
        html! {
            @if self.verbs.len() > 1 {
                nav.ways aria-label="Ways to run it" {
                    @for verb in self.verbs {
                        @let current = (verb.name == self.verb.name).then_some("page");
                        a href=(format!("?verb={}", verb.name.replace(' ', "+"))) aria-current=[current] { (verb.name) }
                    }
                }
            }
        }
    }

    fn options(&self) -> impl Iterator<Item = &VerbOption> {
        let programs = self.app.options.allow_programs;
        self.verb
            .options
            .iter()
            .filter(move |option| option.is_offered(programs) && !PLACED.contains(&option.name.as_str()))
    }

    fn value(&self, option: &VerbOption) -> String {
        self.values.get(&option.name).cloned().or_else(|| option.default.clone()).unwrap_or_default()
    }

    fn grouped(&self, options: &[&VerbOption]) -> Markup {
        let mut headings: Vec<Option<&str>> = Vec::new();
        for option in options {
            if !headings.contains(&option.heading.as_deref()) {
                headings.push(option.heading.as_deref());
            }
        }
        html! {
            @for heading in headings {
                fieldset {
                    legend { (heading.unwrap_or("Options")) }
                    @for option in options.iter().filter(|option| option.heading.as_deref() == heading) {
                        (field::option(option, self.value(option)))
                    }
                }
            }
        }
    }

    /// The method: given by the address, or one of those that the verb runs.
    fn method(&self) -> Markup {
        let Some(option) = self.verb.option("method") else { return html! {} };
        if let Some(card) = self.card.filter(|_| self.verb.passed() != Passed::Not) {
            return html! { input type="hidden" name="method" value=(card.slug); };
        }
        if self.verb.passed() == Passed::Not && !option.choices.is_empty() {
            return field::option(option, self.value(option));
        }
        let cards: Vec<&Card> =
            catalogue().into_iter().filter(|card| card.verbs.contains(&self.verb.name.as_str())).collect();
        let given = self
            .values
            .get("method")
            .map(String::as_str)
            .or(self.card.map(|card| card.slug))
            .or(option.default.as_deref());
        html! {
            @if cards.is_empty() { (field::option(option, self.value(option))) } @else {
                div.field {
                    label for="o-method" { "method" }
                    select id="o-method" name="method" aria-describedby="o-method-hint" {
                        @if !option.required { option value="" { "(usual)" } }
                        @for card in cards { option value=(card.slug) selected[given == Some(card.slug)] { (card.title) } }
                    }
                    p.hint id="o-method-hint" { (option.help) }
                }
            }
        }
    }

    fn parameters(&self) -> Markup {
        let params = self.verb.parameters(self.card);
        html! {
            @if !params.is_empty() {
                fieldset {
                    legend { "Parameters" }
                    @for param in params { (parameter("p", param, self.values.get(param.name).map(String::as_str))) }
                }
            }
        }
    }

    fn out(&self) -> Markup {
        html! {
            div.field {
                label for="o-out" { "output file" }
                @let given = self.values.get("out").map_or("", String::as_str);
                input id="o-out" name="out" type="text" value=(given) spellcheck="false" aria-describedby="o-out-hint";
                p.hint id="o-out-hint" { "A name, whose ending chooses the format; empty takes a usual one." }
            }
        }
    }
}
