//! Styles and scripts, compiled in.

use crate::App;
use crate::problem::{Answer, Problem};
use axum::Router;
use axum::extract::Path;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;
use std::sync::Arc;

const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Name, media type, content. Reports have the first stylesheet as well.
const ASSETS: &[(&str, &str, &str)] = &[
    ("style.css", CSS, crate::STYLE),
    ("page.css", CSS, include_str!("../assets/page.css")),
    ("mark.svg", "image/svg+xml", include_str!("../assets/mark.svg")),
    ("call.js", SCRIPT, include_str!("../assets/call.js")),
    ("find.js", SCRIPT, include_str!("../assets/find.js")),
    ("form.js", SCRIPT, include_str!("../assets/form.js")),
    ("run.js", SCRIPT, include_str!("../assets/run.js")),
    ("map.js", SCRIPT, include_str!("../assets/map.js")),
    ("pictures.js", SCRIPT, include_str!("../assets/pictures.js")),
    ("play.js", SCRIPT, include_str!("../assets/play.js")),
    ("ask.js", SCRIPT, include_str!("../assets/ask.js")),
];

/// `/assets/NAME`.
pub fn routes() -> Router<Arc<App>> {
    Router::new().route("/assets/{name}", get(asset))
}

async fn asset(Path(name): Path<String>) -> Answer<impl IntoResponse> {
    let found = ASSETS.iter().find(|(known, ..)| *known == name).ok_or_else(|| Problem::missing(&name))?;
    Ok(([(header::CONTENT_TYPE, found.1), (header::CACHE_CONTROL, "no-cache")], found.2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assets_are_light() {
        let weight: usize = ASSETS.iter().map(|(_, _, content)| content.len()).sum();
        assert!(weight < 300_000, "{weight} bytes");
    }
}
