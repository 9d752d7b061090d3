//! Inputs: what there is, what is in it, and how another is brought.

use crate::App;
use crate::folder::safe_name;
use crate::problem::{Answer, Problem};
use axum::body::Body;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use futures_util::StreamExt;
use quadrat::Error;
use quadrat::data::{ColumnType, Table, builtin};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

/// `/api/files` and `/api/describe`.
pub fn routes() -> Router<Arc<App>> {
    Router::new().route("/api/files", post(upload)).route("/api/describe", get(described))
}

/// What is asked of a file.
#[derive(Deserialize)]
struct Asked {
    name: String,
}

/// What a form needs to know of a file.
#[derive(Debug, Clone, Serialize)]
pub struct Described {
    /// Rows.
    pub rows: usize,
    /// Its format.
    pub format: String,
    /// Its columns.
    pub columns: Vec<Column>,
    /// The column that is probably to be predicted.
    pub target: Option<String>,
}

/// A column.
#[derive(Debug, Clone, Serialize)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: String,
    /// Whether it holds numbers.
    pub numeric: bool,
}

/// What was found in files, each with the time and the size that the file had then.
pub type Kept = Mutex<HashMap<String, ((SystemTime, u64), Described)>>;

/// Files of which that is kept, at most.
const MOST_KEPT: usize = 100;

/// Names that columns to be predicted usually have.
const TARGETS: [&str; 8] = ["class", "label", "target", "y", "labels", "category", "outcome", "diagnosis"];

impl App {
    /// Opens an input: a built-in set, or a file below the folder.
    pub(crate) fn table(&self, name: &str) -> Answer<Table> {
        let place = match name.starts_with("builtin:") {
            true => name.to_owned(),
            false => self.folder.input(name)?.display().to_string(),
        };
        // Errors name the file as it was typed.
        Table::open(&place, &[])
            .map_err(|e| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, e.to_string().replace(&place, name)))
    }

    /// What is in an input. A large file takes seconds to look through and a form asks often, so what was found is kept as
    /// long as the file stays as it is.
    pub(crate) fn describe(&self, name: &str) -> Answer<Described> {
        let now = std::fs::metadata(self.folder.root().join(name)).ok();
        let stamp = now.filter(|now| now.is_file()).and_then(|now| Some((now.modified().ok()?, now.len())));
        let Some(stamp) = stamp else { return self.look(name) };
        let kept = || self.described.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, described)) = kept().get(name).filter(|(known, _)| *known == stamp) {
            return Ok(described.clone());
        }
        let described = self.look(name)?;
        let mut kept = kept();
        if kept.len() >= MOST_KEPT {
            kept.clear();
        }
        kept.insert(name.to_owned(), (stamp, described.clone()));
        Ok(described)
    }

    fn look(&self, name: &str) -> Answer<Described> {
        let table = self.table(name)?;
        let columns = table.columns().iter().map(|column| Column {
            name: column.name.clone(),
            kind: column.kind.to_string(),
            numeric: column.kind.is_numeric(),
        });
        Ok(Described {
            rows: table.rows(),
            format: table.format().to_string(),
            columns: columns.collect(),
            target: target(&table, name),
        })
    }
}

fn target(table: &Table, name: &str) -> Option<String> {
    if let Some(set) = name.strip_prefix("builtin:") {
        return builtin::find(set).ok().map(|set| set.target.to_owned());
    }
    let names = table.column_names();
    let usual = TARGETS.iter().find_map(|usual| names.iter().find(|name| name.eq_ignore_ascii_case(usual)));
    let last =
        || table.columns().last().filter(|column| matches!(column.kind, ColumnType::Text | ColumnType::Category));
    usual.map(|name| (*name).to_owned()).or_else(|| last().map(|column| column.name.clone()))
}

async fn described(State(app): State<Arc<App>>, Query(asked): Query<Asked>) -> Answer<Json<Described>> {
    aside(move || app.describe(&asked.name)).await.map(Json)
}

/// Keeps an uploaded file in a folder of its own, under a safe form of its name.
async fn upload(State(app): State<Arc<App>>, Query(asked): Query<Asked>, body: Body) -> Answer<Json<Value>> {
    let uploads = app.folder.runs().join("uploads");
    let made = std::fs::create_dir_all(&uploads).and_then(|()| vacant(&uploads));
    let folder = made.map_err(|e| Error::io(&uploads, e))?;
    let path = folder.join(safe_name(&asked.name));
    let part = folder.join(".part");
    let result = receive(body, &part, app.options.upload).await;
    let kept = result.and_then(|()| std::fs::rename(&part, &path).map_err(|e| Error::io(&path, e).into()));
    if let Err(problem) = kept {
        let _ = std::fs::remove_dir_all(&folder);
        return Err(problem);
    }
    Ok(Json(json!({ "name": app.folder.typed(&path) })))
}

/// A folder that nothing is in yet.
fn vacant(uploads: &std::path::Path) -> std::io::Result<std::path::PathBuf> {
    let mut number = std::fs::read_dir(uploads)?.count() + 1;
    loop {
        let folder = uploads.join(number.to_string());
        match std::fs::create_dir(&folder) {
            Ok(()) => return Ok(folder),
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => number += 1,
            Err(e) => return Err(e),
        }
    }
}

/// Writes what arrives as it arrives: memory holds one piece at a time.
async fn receive(body: Body, path: &std::path::Path, most: u64) -> Answer<()> {
    let at = |e| Problem::from(Error::io(path, e));
    let mut file = std::fs::File::create(path).map_err(at)?;
    let mut arriving = body.into_data_stream();
    let mut bytes = 0;
    while let Some(piece) = arriving.next().await {
        let broken = |_| Problem::new(StatusCode::BAD_REQUEST, "the upload broke off: send it again");
        let piece = piece.map_err(broken)?;
        bytes += piece.len() as u64;
        if bytes > most {
            let text =
                format!("the file is larger than {most} bytes: serve with a larger --upload, or put it in the folder");
            return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, text));
        }
        file.write_all(&piece).map_err(at)?;
    }
    if bytes == 0 {
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "the file is empty"));
    }
    file.sync_all().map_err(at)
}

/// Work that blocks, away from the threads that answer.
pub async fn aside<T: Send + 'static>(work: impl FnOnce() -> Answer<T> + Send + 'static) -> Answer<T> {
    let broken = |_| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the server could not finish this");
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|e| Err(broken(e)))
}
