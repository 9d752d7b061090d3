//! What a request cannot have: files elsewhere, programs, options that are not offered.

use super::*;

#[test]
fn nothing_outside_the_folder_is_read() {
    let served = Served::with("echo '{}'", false);
    served.app.runs.work(1);
    std::fs::write(served.folder.path().parent().unwrap().join("quadrat-outside.csv"), "a\n1\n").unwrap();
    std::os::unix::fs::symlink("/etc", served.folder.path().join("link")).unwrap();
    for name in ["/etc/passwd", "../quadrat-outside.csv", "link/passwd", "..", "link"] {
        assert_eq!(served.get(&format!("/api/describe?name={name}")).status, StatusCode::FORBIDDEN, "{name}");
        assert_eq!(served.start(&[("in", name)]).status, StatusCode::FORBIDDEN, "{name}");
        assert_eq!(served.start(&[("encoder", name)]).status, StatusCode::FORBIDDEN, "{name}");
        assert_eq!(served.start(&[("features", &format!("a,{name}"))]).status, StatusCode::FORBIDDEN, "{name}");
        assert_eq!(served.start(&[("model", name)]).status, StatusCode::FORBIDDEN, "{name}");
    }
    let id = served.start(&[]).json()["id"].as_u64().unwrap();
    served.wait(id, State::is_over);
    for name in ["../data.csv", "..%2Fdata.csv", "%2e%2e/data.csv", "../../data.csv", "%2Fetc%2Fpasswd", "."] {
        let answer = served.get(&format!("/runs/{id}/files/{name}"));
        assert!(answer.status.is_client_error(), "{name}: {}", answer.status);
    }
    assert_eq!(served.get(&format!("/runs/{id}/files/run.json")).status, StatusCode::OK);
    std::fs::remove_file(served.folder.path().parent().unwrap().join("quadrat-outside.csv")).unwrap();
}

#[test]
fn uploads_are_bounded_and_their_names_are_not_trusted() {
    let served = Served::new();
    let send = |name: &str, body: Vec<u8>| {
        served.ask(served.request(Method::POST, &format!("/api/files?name={name}")).body(Body::from(body)).unwrap())
    };
    let kept = send("..%2F..%2Fmy%20data.csv", b"a\n1\n".to_vec());
    let name = kept.json()["name"].as_str().unwrap().to_owned();
    assert_eq!(name, "quadrat-runs/uploads/1/my data.csv");
    assert_eq!(std::fs::read(served.folder.path().join(&name)).unwrap(), b"a\n1\n");
    assert_eq!(send("large.csv", vec![b'1'; 1001]).status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(send("empty.csv", Vec::new()).status, StatusCode::UNPROCESSABLE_ENTITY);
    let left = std::fs::read_dir(served.folder.path().join("quadrat-runs/uploads")).unwrap().count();
    assert_eq!(left, 1, "a refused upload leaves nothing");
}

#[test]
fn programs_run_only_where_they_are_allowed() {
    let refused = Served::new().start(&[("reward", "touch /tmp/x")]);
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert!(refused.json()["error"].as_str().unwrap().contains("--allow-programs"));
    assert!(!Served::new().get("/run/smote").text.contains("reward"));
    let allowed = Served::with("exit 0", true);
    assert_eq!(allowed.start(&[("reward", "./judge a/b")]).status, StatusCode::CREATED);
    assert!(allowed.get("/run/smote").text.contains("reward"));
}

#[test]
fn a_form_cannot_say_what_the_page_does_not_offer() {
    let served = Served::new();
    for (name, value) in [
        ("nonsense", "1"),
        ("state", "data.csv"),
        ("json", "true"),
        ("target", "--reward=evil"),
        ("balanced", "--reward=evil"),
        ("k", "--in"),
        ("features", "a\nb"),
        ("in", "-"),
        ("in", "*.csv"),
    ] {
        let answer = served.start(&[(name, value)]);
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{name}={value}: {}", answer.text);
    }
    for verb in ["serve", "list", "balance --reward", ""] {
        assert_eq!(
            served.post("/api/runs", &json!({ "verb": verb, "values": {} })).status,
            StatusCode::NOT_FOUND,
            "{verb}"
        );
    }
    assert_eq!(served.app.runs.all().len(), 0);
    assert_eq!(std::fs::read_dir(served.folder.path().join("quadrat-runs")).unwrap().count(), 0, "no folder is left");
}
