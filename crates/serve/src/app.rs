//! What all pages share, and which address leads to which page.

use crate::files::Kept;
use crate::find::Recorded;
use crate::folder::Folder;
use crate::guard::{self, Guard};
use crate::runs::Runs;
use crate::{Options, Verb, assets, compare, files, find, form, method, play, runs};
use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::get;
use quadrat::{Error, Result};
use quadrat_claims::Summary;
use std::sync::Arc;

/// What all pages share.
pub struct App {
    /// How the page is served.
    pub(crate) options: Options,
    /// What the command line can do.
    pub(crate) verbs: Vec<Verb>,
    /// Who may come in.
    pub(crate) guard: Guard,
    /// Which files may be touched.
    pub(crate) folder: Folder,
    /// What was run.
    pub(crate) runs: Arc<Runs>,
    /// What is in files that were looked at.
    pub(crate) described: Kept,
    /// What the claims of papers measured.
    pub(crate) recorded: Recorded,
}

impl App {
    /// The state of a fresh server; the port is the one it listens on.
    ///
    /// # Errors
    /// A folder that is not there.
    pub fn new(options: Options, verbs: Vec<Verb>) -> Result<Self> {
        let guard = Guard::new(options.host, options.port)?;
        let folder = Folder::open(&options.folder, &options.runs)?;
        let runs = Arc::new(Runs::open(&folder, &options.program)?);
        Ok(App { verbs, guard, runs, folder, options, described: Kept::default(), recorded: recorded()? })
    }
}

fn recorded() -> Result<Recorded> {
    let wrong = |e: serde_json::Error| Error::data("results/summary.json", None, e.to_string());
    let mut all: Vec<Summary> = serde_json::from_str(quadrat_results::SUMMARY).map_err(wrong)?;
    all.sort_by_key(|claim| std::cmp::Reverse(claim.scale));
    let mut recorded = Recorded::new();
    for claim in all {
        recorded.entry(claim.slug.clone()).or_default().push(claim);
    }
    Ok(recorded)
}

/// The pages.
pub fn router(app: Arc<App>) -> Router {
    let open = Router::new().merge(assets::routes());
    let closed = Router::new()
        .route("/", get(find::page))
        .route("/method/{slug}", get(method::page))
        .route("/run/{name}", get(form::page))
        .route("/compare", get(compare::page))
        .merge(files::routes())
        .merge(runs::routes())
        .merge(play::routes())
        .layer(from_fn_with_state(Arc::clone(&app), guard::holders));
    open.merge(closed)
        .layer(from_fn(crate::problem::shown))
        .layer(from_fn_with_state(Arc::clone(&app), guard::neighbours))
        .with_state(app)
}
