//! Who comes in, and what every answer says.

use super::*;

const PAGES: [&str; 9] = [
    "/",
    "/?q=too+few+examples+of+one+class&area=robust&verdict=holds",
    "/method/smote",
    "/run/smote",
    "/runs",
    "/compare",
    "/play",
    "/ask",
    "/nowhere",
];

#[test]
fn only_holders_of_the_key_come_in() {
    let served = Served::new();
    let key = served.app.guard.key().to_owned();
    let plain = |path: &str| served.ask(Request::get(path).header(header::HOST, HOST).body(Body::empty()).unwrap());
    for path in
        PAGES.iter().take(8).chain(&["/api/runs", "/api/describe?name=data.csv", "/runs/1/files/run.json", "/?key=0"])
    {
        assert_eq!(plain(path).status, StatusCode::FORBIDDEN, "{path}");
    }
    assert_eq!(plain("/assets/style.css").status, StatusCode::OK);
    let opened = plain(&format!("/?key={key}"));
    let cookie = opened.headers[header::SET_COOKIE].to_str().unwrap();
    assert_eq!(opened.status, StatusCode::OK);
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict") && key.len() == 64, "{cookie}");
    assert_eq!(served.get("/").status, StatusCode::OK);
}

#[test]
fn changes_need_the_key_in_a_header() {
    let served = Served::new();
    let cookie = format!("quadrat_4711={}", served.app.guard.key());
    for path in ["/api/runs", "/api/files?name=a.csv", "/api/preview", "/api/play", "/api/runs/1/cancel"] {
        for wrong in [None, Some(""), Some("0")] {
            let asked = Request::post(path).header(header::HOST, HOST).header(header::COOKIE, &cookie);
            let asked = wrong.into_iter().fold(asked, |asked, wrong| asked.header("x-quadrat-key", wrong));
            assert_eq!(
                served.ask(asked.body(Body::from("{}")).unwrap()).status,
                StatusCode::FORBIDDEN,
                "{path} {wrong:?}"
            );
        }
    }
}

#[test]
fn strangers_are_turned_away_whatever_name_they_use() {
    let served = Served::new();
    let asked = |host: &str, origin: Option<&str>| {
        let mut request = served.request(Method::GET, "/").body(Body::empty()).unwrap();
        request.headers_mut().insert(header::HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            request.headers_mut().insert(header::ORIGIN, origin.parse().unwrap());
        }
        served.ask(request).status
    };
    for (host, origin) in
        [(HOST, None), ("localhost:4711", None), ("[::1]:4711", None), (HOST, Some("http://localhost:4711"))]
    {
        assert_eq!(asked(host, origin), StatusCode::OK, "{host} {origin:?}");
    }
    for (host, origin) in [
        ("evil.example:4711", None),
        ("127.0.0.1:80", None),
        ("127.0.0.1", None),
        ("10.0.0.1:4711", None),
        ("localhost.evil.example:4711", None),
        (HOST, Some("http://evil.example")),
        (HOST, Some("https://127.0.0.1:4711")),
        (HOST, Some("null")),
        (HOST, Some("http://127.0.0.1:4712")),
    ] {
        assert_eq!(asked(host, origin), StatusCode::FORBIDDEN, "{host} {origin:?}");
    }
}

#[test]
fn every_answer_is_strict() {
    let served = Served::new();
    for path in PAGES.iter().chain(&["/assets/page.css", "/api/runs", "/api/nothing"]) {
        let answer = served.get(path);
        let said =
            |name: &str| answer.headers.get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default();
        let policy = said("content-security-policy");
        assert!(
            policy.contains("default-src 'none'")
                && policy.contains("frame-ancestors 'self'")
                && !policy.contains("unsafe"),
            "{path}"
        );
        assert_eq!(
            (said("x-content-type-options").as_str(), said("referrer-policy").as_str()),
            ("nosniff", "no-referrer"),
            "{path}"
        );
    }
}

#[test]
fn pages_hold_no_script_and_no_style_of_their_own() {
    let served = Served::new();
    for path in PAGES {
        let text = served.get(path).text;
        assert!(!text.contains(" style=") && !text.contains("<style") && !text.contains(" onclick"), "{path}");
        assert!(
            text.split("<script").skip(1).all(|tag| tag.split('>').next().unwrap().contains("src=\"/assets/")),
            "{path}"
        );
        assert!(
            text.contains("<html lang=\"en\">") && text.contains("class=\"skip\"") && text.contains("<main"),
            "{path}"
        );
    }
}

#[test]
fn odd_requests_are_no_errors_of_ours() {
    let served = Served::new();
    for path in [
        "/runs/99999999999999999999999",
        "/runs/-1",
        "/runs/x/files/y",
        "/method/%F0%9F%90%99",
        "/run/%00",
        "/compare?run=7",
        "/compare?a=x&b",
        "/api/runs/0/events",
        "/api/describe",
        "/api/describe?name=",
        "/api/describe?name=builtin:none",
        "/run/smote?from=77&verb=nothing",
        "/?q=%FF%FE&area=none",
        "/assets/..%2Fsrc%2Flib.rs",
        "/api/files?name=a",
        "//",
        "/run/smote?from=x",
    ] {
        for method in [Method::GET, Method::POST, Method::DELETE, Method::PUT, Method::OPTIONS] {
            let answer = served.ask(served.request(method.clone(), path).body(Body::from("{\"verb\":1")).unwrap());
            assert!(!answer.status.is_server_error(), "{method} {path}: {} {}", answer.status, answer.text);
            if answer.status.is_client_error() && path.starts_with("/api/") {
                assert!(
                    method == Method::HEAD || answer.json()["error"].is_string(),
                    "{method} {path}: {}",
                    answer.text
                );
            }
        }
    }
}
