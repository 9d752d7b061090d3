//! `ask`.

use crate::common::Folder;
use std::io::{Read, Write};
use std::process::{Command, Stdio};

const THINGS: &str = "thing,soft,colour,alive,weight\n\
    moss,yes,green,yes,0.11\nrock,no,grey,no,5.2\nfur,yes,brown,no,0.23\nfrog,yes,green,no,0.3\n\
    pine,no,green,yes,400.5\nbrick,no,brown,no,2.5\nbear,yes,brown,yes,220.1\n";

/// Plays with answers typed on standard input.
fn typed(folder: &Folder, options: &[&str], answers: &str) -> (String, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_quadrat"))
        .arg("ask")
        .args(options)
        .current_dir(folder.path(""))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(answers.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
}

/// Whoever answers for an animal truthfully is told that animal.
#[test]
fn a_game_finds_the_animal() {
    // An aardvark: hair, milk, a predator with teeth and a backbone that breathes, four legs, as large as a cat.
    let yes = ["hair", "milk", "predator", "toothed", "backbone", "breathes", "legs = 4", "catsize", "class = mammal"];
    let mut child = Command::new(env!("CARGO_BIN_EXE_quadrat"))
        .args(["ask", "--in", "builtin:zoo", "--noise", "0.02"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut input, mut output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let (mut said, mut byte, mut asked) = (String::new(), [0], 0);
    while output.read(&mut byte).unwrap() == 1 {
        said.push(char::from(byte[0]));
        if let Some(prompt) = said.strip_suffix("? [y/n/?/u/q] ") {
            let question = prompt.rsplit(". ").next().unwrap();
            asked += 1;
            input.write_all(if yes.contains(&question) { b"y\n" } else { b"n\n" }).unwrap();
        }
    }
    assert!(child.wait().unwrap().success());
    let guess = said.split("my answer is: ").nth(1).unwrap().lines().next().unwrap();
    assert!(guess.split(", ").any(|name| name == "aardvark"), "{said}");
    assert!((5..=16).contains(&asked), "{said}");
}

#[test]
fn answers_are_typed_taken_back_and_skipped() {
    let folder = Folder::new("ask-typed");
    folder.write("things.csv", THINGS);
    let (said, _) = typed(&folder, &["--in", "things.csv", "--questions", "3"], "maybe\ny\nu\n?\nno\nyes\n");
    assert!(
        said.contains("1. ") && said.contains("[y/n/?/u/q]") && said.contains("take the last answer back"),
        "{said}"
    );
    assert!(said.contains("After 3 questions my answer is:"), "{said}");
    // Before anything is known all items are as likely.
    let (said, _) = typed(&folder, &["--in", "things.csv"], "q\n");
    assert!(said.contains("7 items are as likely") && said.matches("14.3%").count() == 7, "{said}");
    let (said, aside) = typed(&folder, &["--in", "things.csv", "--json"], "y\n");
    let game: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(game["asked"].as_array().unwrap().len(), 1, "the end of the input ends the game");
    assert!(aside.contains("1. "), "{aside}");
    assert!(game["columns"]["left_out"][0]["name"] == "weight", "{game}");
    let (said, _) = typed(&folder, &["--in", "things.csv", "--noise", "0", "--policy", "gbs"], "y\ny\ny\ny\ny\ny\n");
    assert!(said.contains("100.0%"), "{said}");
}

#[test]
fn a_game_goes_on_from_its_state() {
    let folder = Folder::new("ask-state");
    let line = "quadrat ask --in builtin:zoo --state game.json --json --answers";
    folder.ok(&format!("{line} y,n"));
    let parts = folder.json(&format!("{line} ?,y"));
    let whole = folder.json("quadrat ask --in builtin:zoo --json --answers y,n,?,y");
    assert_eq!((&parts["asked"], &parts["best"]), (&whole["asked"], &whole["best"]));
    let error = folder.fails("quadrat ask --in builtin:zoo --noise 0.2 --state game.json --answers y");
    assert!(error.contains("game.json") && error.contains("repeat that command"), "{error}");
}

#[test]
fn policies_are_trained_and_played() {
    let folder = Folder::new("ask-train");
    folder.write("things.csv", THINGS);
    let train = "quadrat ask --in things.csv --questions 4 --noise 0.1 --steps 15 --batch 64 --train";
    let said = folder.ok(&format!("{train} policy.json"));
    assert!(said.contains("7 items, 5 questions") && said.contains("wrote policy.json"), "{said}");
    folder.ok(&format!("{train} again.json --threads 1"));
    assert_eq!(folder.read("policy.json"), folder.read("again.json"), "same seed, same policy");
    let game = folder.json("quadrat ask --in things.csv --questions 4 --policy policy.json --answers y,y,y,y --json");
    assert!(!game["asked"].as_array().unwrap().is_empty() && game["guess"].is_string(), "{game}");
    folder.write("damaged.json", &folder.read("policy.json").replacen("\"questions\"", "\"q\"", 1));
    for (line, part) in [
        ("quadrat ask --in builtin:zoo --policy policy.json --answers y", "another table"),
        ("quadrat ask --in things.csv --policy damaged.json --answers y", "damaged.json"),
        ("quadrat ask --in things.csv --policy infogain --answers y", "information-gain"),
        ("quadrat ask --in things.csv --answers y,maybe", "`maybe`"),
        ("quadrat ask --in things.csv --noise 0.5 --answers y", "less than 0.5"),
        ("quadrat ask --in things.csv --questions 0 --answers y", "at least 1"),
        ("quadrat ask --in things.csv --confidence 0 --answers y", "--confidence"),
        ("quadrat ask --in things.csv --features weight --answers y", "to 12 values"),
        ("quadrat ask --in things.csv --steps 0 --train x.json", "steps"),
        ("quadrat ask --in things.csv --train no/such/x.json", "no/such"),
        ("quadrat ask --in builtin:zoo --features hair --name hare --answers y", "hare"),
    ] {
        let message = folder.fails(line);
        assert!(message.contains(part), "{line}\n{message}");
    }
    for policy in ["gbs", "soft-gbs", "uncertainty", "halving", "top-two", "design", "uniform"] {
        let game = folder.json(&format!("quadrat ask --in things.csv --policy {policy} --answers y,n,y,n,y --json"));
        assert!(!game["asked"].as_array().unwrap().is_empty(), "{policy}: {game}");
    }
}
