//! The page without a socket: who comes in ([`doors`]), what is refused ([`refused`]), and how runs live ([`lives`]).

mod doors;
mod lives;
mod refused;

use crate::runs::{Record, State};
use crate::{App, Options, Verb, VerbOption, router};
use axum::body::{Body, to_bytes};
use axum::http::{Method, Request, StatusCode, header};
use serde_json::{Value, json};
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tower::ServiceExt;

const HOST: &str = "127.0.0.1:4711";

/// A served folder with a file in it.
struct Served {
    folder: TempDir,
    app: Arc<App>,
}

struct Answer {
    status: StatusCode,
    headers: axum::http::HeaderMap,
    text: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {}", self.text))
    }
}

fn option(name: &str, value: Option<&str>, required: bool) -> VerbOption {
    VerbOption { name: name.into(), value: value.map(Into::into), required, ..VerbOption::default() }
}

fn verbs() -> Vec<Verb> {
    let options = vec![
        option("in", Some("FILE"), true),
        option("out", Some("FILE"), false),
        option("method", Some("METHOD"), true),
        option("target", Some("COLUMN"), true),
        option("features", Some("A,B,C"), false),
        option("reward", Some("COMMAND"), false),
        option("encoder", Some("FOLDER"), false),
        option("model", Some("FOLDER|kernel[:WIDTH]"), false),
        option("suspects", Some("FILE.csv"), false),
        option("report", Some("FILE"), false),
        option("state", Some("FILE"), false),
        option("classes", None, false),
        option("balanced", Some("true|false"), false),
        option("json", None, false),
    ];
    let examples = vec!["quadrat balance --in builtin:pima --target class --method smote --out balanced.csv".into()];
    let verb = |name: &str| Verb {
        name: name.into(),
        about: String::new(),
        examples: examples.clone(),
        options: options.clone(),
    };
    vec![verb("balance"), verb("serve")]
}

impl Served {
    fn new() -> Self {
        Served::with("exit 0", false)
    }

    /// Served with a shell script in the place of the program.
    fn with(script: &str, allow_programs: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("data.csv"), "a,b,class\n1,2,x\n3,4,y\n").unwrap();
        let app = app(folder.path(), script, allow_programs);
        Served { folder, app }
    }

    fn ask(&self, request: Request<Body>) -> Answer {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let response = router(Arc::clone(&self.app)).oneshot(request).await.unwrap();
            let (parts, body) = response.into_parts();
            let text = to_bytes(body, 1 << 24).await.unwrap();
            let text = String::from_utf8_lossy(&text).into_owned();
            Answer { status: parts.status, headers: parts.headers, text }
        })
    }

    /// A request of somebody who holds the key.
    fn request(&self, method: Method, path: &str) -> axum::http::request::Builder {
        let cookie = format!("other=1; quadrat_4711={}", self.app.guard.key());
        let asked = Request::builder().method(method).uri(path).header(header::HOST, HOST);
        asked.header(header::COOKIE, cookie).header("x-quadrat-key", self.app.guard.key())
    }

    fn get(&self, path: &str) -> Answer {
        self.ask(self.request(Method::GET, path).body(Body::empty()).unwrap())
    }

    fn post(&self, path: &str, body: &Value) -> Answer {
        self.ask(self.request(Method::POST, path).body(Body::from(body.to_string())).unwrap())
    }

    fn start(&self, more: &[(&str, &str)]) -> Answer {
        let usual = [("in", "data.csv"), ("target", "class"), ("method", "smote")];
        let values: serde_json::Map<String, Value> =
            usual.iter().chain(more).map(|(k, v)| ((*k).into(), json!(v))).collect();
        self.post("/api/runs", &json!({ "verb": "balance", "values": values }))
    }

    /// Waits for a state of a run.
    fn wait(&self, id: u64, wanted: impl Fn(State) -> bool) -> Record {
        let begin = Instant::now();
        loop {
            let run = self.app.runs.find(id).unwrap();
            if wanted(run.state) {
                return run;
            }
            assert!(begin.elapsed() < Duration::from_secs(20), "{run:?}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn app(folder: &Path, script: &str, allow_programs: bool) -> Arc<App> {
    let program = folder.join(".program");
    // Written by another program: while a test starts a run, no descriptor of ours may have the script open.
    let write = r#"printf '#!/bin/sh\n%s\n' "$1" > "$2" && chmod 755 "$2""#;
    let written = Command::new("sh").args(["-c", write, "sh", script]).arg(&program).status().unwrap();
    assert!(written.success());
    let options = Options {
        folder: folder.to_owned(),
        runs: folder.join("quadrat-runs"),
        host: IpAddr::V4(Ipv4Addr::LOCALHOST),
        port: 4711,
        jobs: 1,
        upload: 1000,
        allow_programs,
        program,
    };
    Arc::new(App::new(options, verbs()).unwrap())
}
