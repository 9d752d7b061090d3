//! What is wrong with a request, told as a page to people and as JSON to scripts.

use crate::layout;
use axum::Json;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use maud::html;
use quadrat::Error;
use serde_json::json;

/// Why a request is not answered as asked.
#[derive(Debug, Clone)]
pub struct Problem {
    /// The status.
    pub status: StatusCode,
    /// What is wrong and what to do.
    pub text: String,
}

/// What handlers return.
pub type Answer<T> = Result<T, Problem>;

impl Problem {
    /// A problem with this status.
    pub fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Problem { status, text: text.into() }
    }

    /// Nothing is at this address.
    pub fn missing(what: impl std::fmt::Display) -> Self {
        Problem::new(StatusCode::NOT_FOUND, format!("{what}: not found"))
    }
}

/// What the library refuses, the user can mend.
impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Problem::new(StatusCode::UNPROCESSABLE_ENTITY, error.to_string())
    }
}

/// The problem travels with the response, and [`shown`] writes it down.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// Writes a problem as JSON below `/api/`, as a page elsewhere.
pub async fn shown(request: Request, next: Next) -> Response {
    let script = request.uri().path().starts_with("/api/");
    let mut response = next.run(request).await;
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return response;
    }
    let text = match response.extensions_mut().remove::<Problem>() {
        Some(problem) => problem.text,
        None => status.canonical_reason().unwrap_or("this cannot be done").to_owned(),
    };
    let mut told = if script {
        (status, Json(json!({ "error": text }))).into_response()
    } else {
        (status, layout::bare("Not this way", html! { p.lead { (text) } p { a href="/" { "To the start page" } } }))
            .into_response()
    };
    told.headers_mut()
        .extend(response.headers().iter().filter(|(name, _)| *name == "allow").map(|(n, v)| (n.clone(), v.clone())));
    told
}
