//! What scripts ask about runs, and the runs' pages and files.

use super::queue::Live;
use super::record::Record;
use super::view;
use crate::App;
use crate::command::Form;
use crate::files::aside;
use crate::line::typed;
use crate::memory::Estimate;
use crate::problem::{Answer, Problem};
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use futures_util::stream::{self, Stream};
use maud::Markup;
use quadrat::Error;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::fs::File;
use std::io::Read;
use std::sync::Arc;

/// Pages, files and events of runs.
pub fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/runs", get(view::list))
        .route("/runs/{id}", get(page))
        .route("/runs/{id}/files/{*name}", get(file))
        .route("/api/preview", post(preview))
        .route("/api/runs", get(all).post(start))
        .route("/api/runs/{id}", get(one))
        .route("/api/runs/{id}/cancel", post(cancel))
        .route("/api/runs/{id}/events", get(events))
}

impl App {
    /// The run of this number, as it stands in an address.
    pub(crate) fn run(&self, id: &str) -> Answer<Record> {
        let found = id.parse().ok().and_then(|id| self.runs.find(id));
        found.ok_or_else(|| Problem::missing(format!("run {id}")))
    }
}

async fn page(State(app): State<Arc<App>>, Path(id): Path<String>) -> Answer<Markup> {
    let record = app.run(&id)?;
    Ok(view::page(&app, &record))
}

fn form(body: &Bytes) -> Answer<Form> {
    let wrong = |e| Problem::new(StatusCode::BAD_REQUEST, format!("not a form: {e}"));
    serde_json::from_slice(body).map_err(wrong)
}

/// The command line and its cost, before anything is run.
async fn preview(State(app): State<Arc<App>>, body: Bytes) -> Answer<Json<Value>> {
    let form = form(&body)?;
    aside(move || {
        let plan = app.plan(&form, &app.runs.place(0).with_file_name("NEW"))?;
        Ok(Json(json!({ "command": typed(&plan.words), "cost": app.estimate(&form)? })))
    })
    .await
}

async fn start(State(app): State<Arc<App>>, body: Bytes) -> Answer<(StatusCode, Json<Value>)> {
    let form = form(&body)?;
    aside(move || {
        let Estimate { text, fits, .. } = app.estimate(&form)?;
        if !fits {
            let text = format!("this does not fit into memory, so it was not started. {text}");
            return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, text));
        }
        let id = app.runs.add(form.clone(), |place| app.plan(&form, place))?;
        Ok((StatusCode::CREATED, Json(json!({ "id": id, "page": format!("/runs/{id}") }))))
    })
    .await
}

async fn all(State(app): State<Arc<App>>) -> Json<Vec<Record>> {
    Json(app.runs.all())
}

async fn one(State(app): State<Arc<App>>, Path(id): Path<String>) -> Answer<Json<Record>> {
    app.run(&id).map(Json)
}

async fn cancel(State(app): State<Arc<App>>, Path(id): Path<String>) -> Answer<Json<Value>> {
    let record = app.run(&id)?;
    app.runs.cancel(record.id);
    Ok(Json(json!({ "id": record.id })))
}

/// How far a run is, told whenever it changes until it is over.
async fn events(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Answer<Sse<impl Stream<Item = Result<Event, Infallible>>>> {
    let record = app.run(&id)?;
    let follow = app.runs.follow(record.id).ok_or_else(|| Problem::missing(format!("run {id}")))?;
    let told = stream::unfold((follow, Told::Nothing), |(mut follow, told)| async move {
        match told {
            Told::End => return None,
            Told::Some => follow.changed().await.ok()?,
            Told::Nothing => {}
        }
        let live = follow.borrow_and_update().clone();
        let told = if live.state.is_over() { Told::End } else { Told::Some };
        Some((Ok(event(&live)), (follow, told)))
    });
    Ok(Sse::new(told).keep_alive(KeepAlive::default()))
}

enum Told {
    Nothing,
    Some,
    End,
}

fn event(live: &Live) -> Event {
    Event::default().data(serde_json::to_string(live).unwrap_or_default())
}

/// Bytes that are read at a time.
const BLOCK: usize = 1 << 16;

/// A file of a run: the report to be looked at in its frame, everything else to be kept.
async fn file(State(app): State<Arc<App>>, Path((id, name)): Path<(String, String)>) -> Answer<Response> {
    let record = app.run(&id)?;
    let place = app.runs.place(record.id);
    let path = place.join(&name);
    let whole = |path: &std::path::Path| path.canonicalize().ok();
    let real = whole(&path).zip(whole(&place)).filter(|(file, place)| file.starts_with(place) && file.is_file());
    let (real, _) = real.ok_or_else(|| Problem::missing(&name))?;
    let file = File::open(&real).map_err(|e| Error::io(&name, e))?;
    let size = file.metadata().map_err(|e| Error::io(&name, e))?.len();
    let shown = name == "report.html";
    let media = if shown { "text/html; charset=utf-8" } else { "application/octet-stream" };
    let last = real.file_name().map(|name| name.to_string_lossy().replace(['"', '\\'], "_")).unwrap_or_default();
    let plain: String = last.chars().map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '_' }).collect();
    let kept = if shown { "inline".to_owned() } else { format!("attachment; filename=\"{plain}\"") };
    // Whatever a file holds, it runs nothing and loads nothing.
    let policy = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'";
    let headers = [
        (header::CONTENT_TYPE, media.to_owned()),
        (header::CONTENT_LENGTH, size.to_string()),
        (header::CONTENT_DISPOSITION, kept),
        (header::CONTENT_SECURITY_POLICY, policy.to_owned()),
    ];
    Ok((headers, Body::from_stream(blocks(file))).into_response())
}

/// A file, block by block.
fn blocks(file: File) -> impl Stream<Item = std::io::Result<Vec<u8>>> {
    stream::try_unfold(file, |mut file| async move {
        let read = tokio::task::spawn_blocking(move || -> std::io::Result<(Vec<u8>, File)> {
            let mut block = vec![0; BLOCK];
            let read = file.read(&mut block)?;
            block.truncate(read);
            Ok((block, file))
        });
        let (block, file) = read.await.unwrap_or_else(|e| Err(std::io::Error::other(e)))?;
        Ok((!block.is_empty()).then_some((block, file)))
    })
}
