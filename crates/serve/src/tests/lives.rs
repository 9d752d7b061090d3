//! From a form to a finished run.

use super::*;

#[test]
fn a_form_becomes_the_line_that_one_types() {
    let served = Served::new();
    let asked = [
        ("k", "7"),
        ("out", "../even better.csv"),
        ("suspects", "who.csv"),
        ("classes", "true"),
        ("balanced", "false"),
    ];
    let id = served.start(&asked).json()["id"].as_u64().unwrap();
    let run = served.app.runs.find(id).unwrap();
    assert_eq!(
        crate::line::typed(&run.words),
        "quadrat balance --in data.csv --out 'quadrat-runs/1/even better.csv' --method smote --target class --suspects \
         quadrat-runs/1/who.csv --report quadrat-runs/1/report.html --classes --balanced=false --json --k 7"
    );
    assert_eq!((run.method.as_deref(), run.out.as_deref()), (Some("smote"), Some("even better.csv")));
    assert_eq!(served.start(&[("out", "run.json")]).status, StatusCode::CREATED);
    assert_eq!(served.app.runs.find(2).unwrap().out.as_deref(), Some("balance.csv"));
}

#[test]
fn a_run_is_followed_to_its_end() {
    let served = Served::with(
        "echo '{\"begin\":\"work\",\"total\":2}' >&2; echo '{\"rows\":2}'; echo new > quadrat-runs/1/out.csv",
        false,
    );
    served.app.runs.work(1);
    assert_eq!(served.start(&[("out", "out.csv")]).status, StatusCode::CREATED);
    let run = served.wait(1, State::is_over);
    assert_eq!((run.state, run.code), (State::Done, Some(0)));
    assert_eq!(run.content.as_ref().map(|content| content.bytes), Some(22));
    let page = served.get("/runs/1");
    assert!(page.text.contains("<dt>rows</dt><dd>2</dd>") && page.text.contains("out.csv"), "{}", page.text);
    let file = served.get("/runs/1/files/out.csv");
    assert_eq!((file.text.as_str(), file.status), ("new\n", StatusCode::OK));
    assert!(file.headers[header::CONTENT_DISPOSITION].to_str().unwrap().starts_with("attachment"));
    assert!(file.headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap().starts_with("sandbox"));
    let events = served.get("/api/runs/1/events").text;
    assert!(events.contains("\"state\":\"done\"") && events.contains("\"what\":\"work\""), "{events}");
    assert!(served.get("/run/smote?from=1").text.contains("value=\"data.csv\""));
}

#[test]
fn a_run_that_fails_says_why_and_one_that_is_stopped_stops() {
    let served =
        Served::with("echo half; echo 'quadrat: note: hm' >&2; echo 'quadrat: no such column' >&2; exit 2", false);
    served.app.runs.work(1);
    served.start(&[]);
    let run = served.wait(1, State::is_over);
    assert_eq!((run.state, run.error.as_deref()), (State::Failed, Some("no such column")));
    assert!(!served.folder.path().join("quadrat-runs/1/stdout.json").exists(), "half an answer is none");

    // The script ends when its standard input does, as a real run would.
    let served = Served::with("cat > /dev/null; exit 130", false);
    served.app.runs.work(1);
    served.start(&[]);
    served.start(&[]);
    served.wait(1, |state| state == State::Running);
    assert_eq!(served.app.runs.find(2).unwrap().state, State::Queued, "one at a time");
    served.post("/api/runs/2/cancel", &json!({}));
    served.wait(2, |state| state == State::Cancelled);
    served.post("/api/runs/1/cancel", &json!({}));
    assert_eq!(served.wait(1, State::is_over).state, State::Cancelled);
}

#[test]
fn runs_outlive_the_server() {
    let served = Served::new();
    for _ in 0..3 {
        served.start(&[]);
    }
    let place = |id: u64| served.folder.path().join("quadrat-runs").join(id.to_string());
    for (id, state) in [(1, State::Running), (2, State::Done)] {
        Record { state, ..served.app.runs.find(id).unwrap() }.write(&place(id)).unwrap();
    }
    std::fs::create_dir(place(9)).unwrap();
    std::fs::write(place(9).join("run.json"), "{").unwrap();
    let again = app(served.folder.path(), "echo '{}'", false);
    again.runs.work(1);
    let again = Served { folder: served.folder, app: again };
    assert_eq!(again.wait(3, State::is_over).state, State::Done, "what waited goes on");
    let states: Vec<State> = again.app.runs.all().iter().map(|run| run.state).collect();
    assert_eq!(states, [State::Done, State::Done, State::Interrupted]);
    assert_eq!(again.start(&[]).json()["id"], 4, "a number is never used again");
}
