//! The real server, asked as a browser asks.

use crate::common::Folder;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A server that goes away with the test.
struct Server {
    child: Child,
    host: String,
    key: String,
}

impl Server {
    fn start(folder: &Folder) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_quadrat"));
        command.args(["serve", "--no-open"]).current_dir(folder.path(""));
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let (host, key) = line.trim().strip_prefix("http://").unwrap().split_once("/?key=").unwrap();
        Server { child, host: host.to_owned(), key: key.to_owned() }
    }

    /// The body of an answer.
    fn ask(&self, method: &str, path: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(&self.host).unwrap();
        let port = self.host.rsplit(':').next().unwrap();
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nCookie: quadrat_{port}={key}\r\nX-Quadrat-Key: {key}\r\nConnection: close\r\n\
             Content-Length: {}\r\n\r\n{body}",
            self.host,
            body.len(),
            key = self.key
        )
        .unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 2"), "{path}: {head}\n{body}");
        body.to_owned()
    }

    /// Waits until a run says one of these.
    fn wait(&self, id: u64, states: &[&str]) -> String {
        let begin = Instant::now();
        loop {
            let run = self.ask("GET", &format!("/api/runs/{id}"), "");
            if states.iter().any(|state| run.contains(&format!("\"state\":\"{state}\""))) {
                return run;
            }
            assert!(begin.elapsed() < Duration::from_secs(60), "{run}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const OVER: [&str; 3] = ["done", "failed", "cancelled"];

#[test]
fn a_run_of_the_page_is_the_command_lines_to_the_byte() {
    let folder = Folder::new("serve");
    let server = Server::start(&folder);
    let form =
        r#"{"verb":"balance","values":{"in":"builtin:pima","target":"class","method":"smote","k":"3","out":"b.csv"}}"#;
    assert!(server.ask("POST", "/api/runs", form).contains("\"id\":1"));
    let run = server.wait(1, &OVER);
    assert!(run.contains("\"state\":\"done\""), "{run}");
    folder.ok("quadrat balance --in builtin:pima --target class --method smote --k 3 --out alone.csv");
    assert_eq!(server.ask("GET", "/runs/1/files/b.csv", ""), folder.read("alone.csv"));
    let page = server.ask("GET", "/runs/1", "");
    assert!(page.contains("--method smote") && page.contains("report.html") && page.contains("positive"), "{page}");
    drop(server);
    let server = Server::start(&folder);
    assert!(server.ask("GET", "/api/runs/1", "").contains("\"state\":\"done\""), "runs survive the server");
}

/// A run that works for minutes, unless it is stopped.
const LONG: &str = r#"{"verb":"compare","values":{"in":"builtin:letter","target":"class","seeds":"50"}}"#;

#[test]
fn a_run_is_cancelled_and_a_killed_server_leaves_no_half_file() {
    let folder = Folder::new("serve-stop");
    let mut server = Server::start(&folder);
    server.ask("POST", "/api/runs", LONG);
    server.wait(1, &["running"]);
    server.ask("POST", "/api/runs/1/cancel", "{}");
    assert!(server.wait(1, &OVER).contains("\"state\":\"cancelled\""));
    server.ask("POST", "/api/runs", LONG);
    server.wait(2, &["running"]);
    server.child.kill().unwrap();
    server.child.wait().unwrap();
    let server = Server::start(&folder);
    assert!(server.ask("GET", "/api/runs/2", "").contains("\"state\":\"interrupted\""));
    let left: Vec<_> = fs::read_dir(folder.path("quadrat-runs/2")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| *name == *"run.json"), "{left:?}");
}

#[test]
fn what_cannot_be_served_is_said() {
    let folder = Folder::new("serve-errors");
    for (line, part) in [
        ("quadrat serve --no-open --jobs 0", "use at least 1"),
        ("quadrat serve --no-open --upload 2TB", "--upload"),
        ("quadrat serve --no-open --folder nowhere", "nowhere"),
        ("quadrat serve --no-open --host example.org", "--host"),
    ] {
        let said = folder.fails(line);
        assert!(said.contains(part), "{line}: {said}");
    }
}
