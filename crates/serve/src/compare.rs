//! `/compare?run=1&run=2`: finished runs side by side, with their rows on one map.

use crate::App;
use crate::files::aside;
use crate::layout::{self, Place};
use crate::problem::{Answer, Problem};
use crate::runs::{Record, State as Far, figures, title};
use axum::extract::{Query, State};
use axum::http::StatusCode;
use maud::{Markup, PreEscaped, html};
use quadrat::data::{Missing, Table};
use quadrat::numeric::Csr;
use quadrat::numeric::linalg::truncated_svd;
use quadrat::{Result, Seed};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

/// Runs that are compared at a time, at most.
const MOST: usize = 6;
/// Rows of a file that are drawn, at most.
const DRAWN: usize = 1500;

/// The page.
pub async fn page(State(app): State<Arc<App>>, Query(pairs): Query<Vec<(String, String)>>) -> Answer<Markup> {
    let ids = pairs.into_iter().filter(|(name, _)| matches!(name.as_str(), "run" | "a" | "b")).map(|(_, id)| id);
    let runs: Vec<Record> = ids.take(MOST).map(|id| app.run(&id)).collect::<Answer<_>>()?;
    if let Some(open) = runs.iter().find(|run| run.state != Far::Done) {
        let text = format!("run {} is not done: only runs that ended well are compared", open.id);
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, text));
    }
    aside(move || Ok(show(&app, &runs))).await
}

fn show(app: &App, runs: &[Record]) -> Markup {
    let said: Vec<Value> = runs.iter().map(|run| said(app, run)).collect();
    let inputs: BTreeSet<_> =
        runs.iter().map(|run| (&run.input, run.content.as_ref().map(|content| &content.sha256))).collect();
    let body = html! {
        h1 { "Compare" }
        @if runs.len() < 2 {
            p.lead { "Mark two or more finished runs in the " a href="/runs" { "list of runs" } "." }
        } @else {
            @if inputs.len() > 1 {
                p.wrong { "These runs are not of one file with one content: what differs may be the file." }
            }
            div.wide tabindex="0" { table {
                thead { tr {
                    td {}
                    @for run in runs { th { a href=(format!("/runs/{}", run.id)) { "Run " (run.id) } br; (title(run)) } }
                } }
                tbody { @for (name, values) in rows(&said) {
                    tr { th scope="row" { (name) } @for value in values { td { (value) } } }
                } }
            } }
            (classes(runs, &said))
            (map(app, runs))
        }
    };
    layout::page(app, Place::Runs, "Compare", &[], body)
}

fn said(app: &App, run: &Record) -> Value {
    let text = std::fs::read(app.runs.place(run.id).join("stdout.json")).unwrap_or_default();
    serde_json::from_slice(&text).unwrap_or_default()
}

/// Each figure that some run has, with every run's value.
fn rows(said: &[Value]) -> Vec<(String, Vec<String>)> {
    let told: Vec<Vec<(String, String)>> = said.iter().map(figures).collect();
    let mut names: Vec<&String> = Vec::new();
    for (name, _) in told.iter().flatten() {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let of = |name: &String, told: &[(String, String)]| {
        told.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone()).unwrap_or_default()
    };
    names.into_iter().map(|name| (name.clone(), told.iter().map(|told| of(name, told)).collect())).collect()
}

fn classes(runs: &[Record], said: &[Value]) -> Markup {
    let names: BTreeSet<&String> =
        said.iter().filter_map(|said| said["classes"].as_object()).flat_map(|c| c.keys()).collect();
    html! {
        @if !names.is_empty() {
            h2 { "Rows of each class" }
            div.wide tabindex="0" { table {
                thead { tr { th { "Class" } th.n { "Before" } @for run in runs { th.n { "Run " (run.id) } } } }
                tbody { @for name in names { tr {
                    th scope="row" { (name) }
                    td.n { @if let Some(count) = said.iter().find_map(|said| counted(said, name, "before")) { (count) } }
                    @for said in said { td.n { @if let Some(count) = counted(said, name, "after") { (count) } } }
                } } }
            } }
        }
    }
}

fn counted(said: &Value, class: &str, when: &str) -> Option<u64> {
    said["classes"][class][when].as_u64()
}

/// The rows of the input and of each output, in the directions in which the input varies most.
fn map(app: &App, runs: &[Record]) -> Markup {
    let drawn = runs.first().and_then(|run| run.input.as_deref()).and_then(|input| app.table(input).ok());
    let drawn = drawn.and_then(|input| draw(app, runs, &input).ok().flatten());
    html! {
        @if let Some(svg) = drawn {
            h2 { "On one map" }
            figure {
                div.legend {
                    span { (key(DOT)) "the file" }
                    @for (i, run) in runs.iter().enumerate() { span { (key(&mark(i, 5.0, 5.0, 4.0))) "run " (run.id) } }
                }
                (PreEscaped(svg))
                figcaption {
                    "The two directions in which the numbers of the file vary most, each number on a scale of its own. At \
                     most " (DRAWN) " rows of each are drawn."
                }
            }
        }
    }
}

/// A mark of the legend.
fn key(mark: &str) -> Markup {
    html! { svg.key viewBox="0 0 10 10" aria-hidden="true" { (PreEscaped(mark)) } }
}

const DOT: &str = "<circle cx=\"5\" cy=\"5\" r=\"3\" fill=\"var(--c0)\"/>";

fn draw(app: &App, runs: &[Record], input: &Table) -> Result<Option<String>> {
    let mut outputs = Vec::new();
    for run in runs {
        let Some(out) = &run.out else { return Ok(None) };
        outputs.push(Table::open(&app.runs.place(run.id).join(out).display().to_string(), &[])?);
    }
    let shared =
        |name: &&str| outputs.iter().all(|output| output.column(name).is_ok_and(|column| column.kind.is_numeric()));
    let names: Vec<&str> = input.numeric_columns().into_iter().filter(shared).collect();
    if names.is_empty() {
        return Ok(None);
    }
    let tables: Vec<&Table> = std::iter::once(input).chain(&outputs).collect();
    let mut rows: Vec<Vec<Vec<f64>>> = Vec::new();
    for table in tables {
        let x = table.numeric(&names, Missing::Keep)?;
        let step = x.nrows().div_ceil(DRAWN).max(1);
        let whole = |row: &Vec<f64>| row.iter().all(|v| v.is_finite());
        rows.push(x.rows().into_iter().step_by(step).map(|row| row.to_vec()).filter(whole).collect());
    }
    let places = flatten(&rows, names.len())?;
    Ok(Some(picture(&places)))
}

/// Rows in two dimensions: scaled as the first table's are, then along its two strongest directions.
fn flatten(rows: &[Vec<Vec<f64>>], columns: usize) -> Result<Vec<Vec<[f64; 2]>>> {
    let first = &rows[0];
    let n = first.len().max(1) as f64;
    let mean: Vec<f64> = (0..columns).map(|c| first.iter().map(|row| row[c]).sum::<f64>() / n).collect();
    let spread = |c: usize| (first.iter().map(|row| (row[c] - mean[c]).powi(2)).sum::<f64>() / n).sqrt();
    let scale: Vec<f64> = (0..columns).map(spread).map(|s| if s > 0.0 { 1.0 / s } else { 1.0 }).collect();
    let mut matrix = Csr::new(columns);
    for row in rows.iter().flatten() {
        matrix.push_row(row.iter().enumerate().map(|(c, v)| (c as u32, ((v - mean[c]) * scale[c]) as f32)));
    }
    let found = truncated_svd(&matrix, columns.min(2), Seed(0).stream("map"))?.coordinates;
    let mut places = found.rows().into_iter().map(|row| [f64::from(row[0]), row.get(1).map_or(0.0, |v| f64::from(*v))]);
    Ok(rows.iter().map(|part| places.by_ref().take(part.len()).collect()).collect())
}

fn picture(places: &[Vec<[f64; 2]>]) -> String {
    let ends = |axis: usize| {
        let (low, high) =
            places.iter().flatten().fold((f64::MAX, f64::MIN), |(l, h), p| (l.min(p[axis]), h.max(p[axis])));
        (low, (high - low).max(1e-9))
    };
    let (x, y) = (ends(0), ends(1));
    let at = |p: &[f64; 2]| (10.0 + 780.0 * (p[0] - x.0) / x.1, 490.0 - 480.0 * (p[1] - y.0) / y.1);
    let mut svg = String::from("<svg viewBox=\"0 0 800 500\" role=\"img\" aria-label=\"Map of the rows\">");
    for (layer, places) in places.iter().enumerate() {
        for (x, y) in places.iter().map(at) {
            if layer == 0 {
                let _ = write!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2\" fill=\"var(--c0)\"/>");
            } else {
                svg.push_str(&mark(layer - 1, x, y, 4.0));
            }
        }
    }
    svg + "</svg>"
}

/// A run's mark: told by its shape as well as by its colour.
fn mark(run: usize, x: f64, y: f64, r: f64) -> String {
    let colour = format!("fill=\"none\" stroke-width=\"1.5\" stroke=\"var(--c{})\"", 1 + run % 7);
    let (l, t, d, b) = (x - r, y - r, x + r, y + r);
    match run % 4 {
        0 => format!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{r}\" {colour}/>"),
        1 => format!("<path d=\"M{l:.1} {t:.1}H{d:.1}V{b:.1}H{l:.1}Z\" {colour}/>"),
        2 => format!("<path d=\"M{l:.1} {t:.1}L{d:.1} {b:.1}M{d:.1} {t:.1}L{l:.1} {b:.1}\" {colour}/>"),
        _ => format!("<path d=\"M{x:.1} {t:.1}L{d:.1} {b:.1}H{l:.1}Z\" {colour}/>"),
    }
}
