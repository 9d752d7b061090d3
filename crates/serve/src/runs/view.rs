//! The list of runs, and the page of one.

use super::record::{Record, State, now};
use crate::App;
use crate::layout::{self, Place};
use crate::line::typed;
use axum::extract::State as Shared;
use maud::{Markup, html};
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;

/// Files of a run that are listed, at most.
const MOST_FILES: usize = 200;

/// `/runs`.
pub async fn list(Shared(app): Shared<Arc<App>>) -> Markup {
    let runs = app.runs.all();
    let body = html! {
        h1 { "Runs" }
        p.lead {
            "Each is a command line with a folder of its own below " code { (app.folder.typed(app.folder.runs())) } "."
        }
        @if runs.is_empty() {
            p { "Nothing has been run yet. " a href="/" { "Find a method" } " and run it on a file." }
        } @else {
            form action="/compare" {
                div.wide tabindex="0" { table {
                    thead { tr {
                        th { "Compare" } th { "Run" } th { "What" } th { "Input" } th { "State" } th.n { "Time" } th.n { "Asked for" }
                    } }
                    tbody { @for run in &runs { (row(run)) } }
                } }
                p { button { "Compare the marked runs" } }
            }
        }
    };
    layout::page(&app, Place::Runs, "Runs", &[], body)
}

fn row(run: &Record) -> Markup {
    html! {
        tr data-state=(run.state.word()) {
            td { @if run.state == State::Done {
                input type="checkbox" name="run" value=(run.id) aria-label=(format!("Compare run {}", run.id));
            } }
            td { a href=(format!("/runs/{}", run.id)) { (run.id) } }
            td { (title(run)) }
            td { (run.input.as_deref().unwrap_or("")) }
            td { (badge(run.state)) }
            td.n { @if let Some(seconds) = run.seconds() { (duration(seconds)) } }
            td.n { (ago(run.queued)) }
        }
    }
}

/// What a run does.
pub fn title(run: &Record) -> String {
    match &run.method {
        Some(method) => format!("{} by {method}", run.form.verb),
        None => run.form.verb.clone(),
    }
}

fn badge(state: State) -> Markup {
    let class = match state {
        State::Done => "good",
        State::Failed | State::Interrupted => "bad",
        _ => "open",
    };
    html! { span class=(format!("verdict {class}")) { (state.word()) } }
}

fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 60.0 => format!("{s:.1} s"),
        s if s < 3600.0 => format!("{:.0} min {:.0} s", (s / 60.0).floor(), s % 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}

fn ago(then: u64) -> String {
    match now().saturating_sub(then) / 1000 {
        s if s < 60 => "just now".to_owned(),
        s if s < 3600 => format!("{} min ago", s / 60),
        s if s < 172_800 => format!("{} h ago", s / 3600),
        s => format!("{} days ago", s / 86_400),
    }
}

/// `/runs/ID`.
pub fn page(app: &App, run: &Record) -> Markup {
    let place = app.runs.place(run.id);
    let said: Option<Value> =
        std::fs::read(place.join("stdout.json")).ok().and_then(|text| serde_json::from_slice(&text).ok());
    let notes = std::fs::read_to_string(place.join("stderr.txt")).unwrap_or_default();
    let name = format!("Run {}: {}", run.id, title(run));
    let again =
        format!("/run/{}?from={}", run.method.clone().unwrap_or_else(|| run.form.verb.replace(' ', "-")), run.id);
    let body = html! {
        h1 { (name) }
        p.lead { @if let Some(input) = &run.input { "On " code { (input) } "." } }
        @if run.state.is_over() {
            p { (badge(run.state)) @if let Some(seconds) = run.seconds() { " after " (duration(seconds)) } }
        } @else {
            (progress(run))
        }
        @if let Some(error) = &run.error { p.wrong role="alert" { (error) } }
        @if run.state == State::Interrupted {
            p { "The server ended before this run did. Nothing of it was kept; run it again." }
        }
        @if run.state.is_over() { p { a.button href=(again) { "Run it again" } } }
        @if let Some(said) = &said { (summary(said)) }
        @if run.state.is_over() { (files(run, &place)) }
        (told(&notes))
        h2 { "The same on the command line" }
        pre tabindex="0" aria-label="Command line" { code { (typed(&run.words)) } }
        @if place.join("report.html").is_file() {
            h2 { "Report" }
            iframe.report sandbox title="Report" src=(format!("/runs/{}/files/report.html", run.id)) {}
        }
    };
    layout::page(app, Place::Runs, &name, &["call.js", "run.js"], body)
}

fn progress(run: &Record) -> Markup {
    html! {
        section #progress data-run=(run.id) aria-labelledby="how-far" {
            p { span #how-far role="status" aria-live="polite" { (run.state.word()) } }
            progress #bar aria-labelledby="how-far" {}
            p #note.hint { }
            p { button type="button" id="cancel" { "Cancel" } }
            p #wrong role="alert" {}
        }
    }
}

/// The figures of what the command said.
fn summary(said: &Value) -> Markup {
    let facts = figures(said);
    html! {
        h2 { "Result" }
        @if !facts.is_empty() { dl { @for (name, value) in &facts { div { dt { (name) } dd { (value) } } } } }
        @if let Some(classes) = said["classes"].as_object() {
            div.wide tabindex="0" { table {
                thead { tr { th { "Class" } th.n { "Before" } th.n { "After" } } }
                tbody { @for (name, counts) in classes {
                    tr { td { (name) } td.n { (counts["before"]) } td.n { (counts["after"]) } }
                } }
            } }
        }
        @if let Some(warnings) = said["warnings"].as_array().filter(|warnings| !warnings.is_empty()) {
            h3 { "Worth knowing" }
            ul { @for warning in warnings { li { (warning.as_str().unwrap_or_default()) } } }
        }
    }
}

/// What a command said that is one figure or word, names and values for people.
pub fn figures(said: &Value) -> Vec<(String, String)> {
    let dull = ["out", "report", "input", "json", "seed"];
    let top = said.as_object().into_iter().flatten().filter(|(name, _)| !dull.contains(&name.as_str()));
    let notes = said["notes"].as_object().into_iter().flatten();
    let told = top.chain(notes).filter_map(|(name, value)| {
        let value = match value {
            Value::String(text) if text.len() <= 120 => text.clone(),
            Value::Number(number) => number.as_f64().map_or_else(|| number.to_string(), figure),
            Value::Bool(yes) => (if *yes { "yes" } else { "no" }).to_owned(),
            _ => return None,
        };
        Some((name.replace('_', " "), value))
    });
    told.collect()
}

/// A figure with four digits, or all of them where it is whole.
fn figure(value: f64) -> String {
    if value.fract() == 0.0 && value.abs() < 1e15 {
        return format!("{value:.0}");
    }
    let digits = (3 - value.abs().log10().floor() as i32).clamp(0, 9) as usize;
    let text = format!("{value:.digits$}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn files(run: &Record, place: &Path) -> Markup {
    let mut names = Vec::new();
    collect(place, "", &mut names);
    let own = |name: &&String| matches!(name.as_str(), "run.json" | "stderr.txt");
    html! {
        @if names.iter().any(|name| !own(&name)) {
            h2 { "Files" }
            ul {
                @for name in names.iter().filter(|name| !own(name)) {
                    li { a href=(format!("/runs/{}/files/{}", run.id, encoded(name))) download { (name) }
                        @if run.out.as_deref() == Some(name) { " — the output" }
                        @if name == "stdout.json" { " — what the command said" } }
                }
            }
        }
    }
}

fn collect(folder: &Path, above: &str, names: &mut Vec<String>) {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut entries: Vec<_> =
        entries.map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry.path())).collect();
    entries.sort();
    for (name, path) in entries {
        if names.len() >= MOST_FILES {
            return;
        }
        if path.is_dir() && !path.is_symlink() {
            collect(&path, &format!("{above}{name}/"), names);
        } else if !name.ends_with(".part") {
            names.push(format!("{above}{name}"));
        }
    }
}

/// A path as part of an address.
fn encoded(name: &str) -> String {
    let keep = |b: u8| b.is_ascii_alphanumeric() || b"-._~/".contains(&b);
    name.bytes().map(|b| if keep(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

/// The command's notes and errors.
fn told(notes: &str) -> Markup {
    html! {
        @if !notes.trim().is_empty() {
            details { summary { "What the command said on the way" } pre tabindex="0" { (notes) } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_for_people() {
        let said = serde_json::json!({
            "rows": 150, "seconds": 0.000258935, "out": "x", "classes": {}, "weighted": false, "notes": {"sum": 12.3456},
        });
        let told: Vec<String> = figures(&said).into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(told, ["rows=150", "seconds=0.0002589", "weighted=no", "sum=12.35"]);
        assert_eq!(encoded("a b/ü.csv"), "a%20b/%C3%BC.csv");
    }
}
