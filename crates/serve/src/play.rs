//! The playground and twenty questions: methods that act on what is drawn or said, at once.
//!
//! Unlike runs these are computed by the server itself, since their answers take milliseconds. What keeps that harmless is in
//! [`limits`]: few points, few rows made, a time after which a computation is stopped, and two computations at a time.

mod act;
mod ask;
mod game;
mod kernel;
mod limits;
mod tools;
mod view;

use crate::App;
use axum::Router;
use axum::routing::{get, post};
use std::sync::Arc;

/// `/play`, `/ask` and what their scripts call.
pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/play", get(view::page))
        .route("/api/play", post(view::answer))
        .route("/ask", get(ask::page))
        .route("/api/ask", post(ask::answer))
}
