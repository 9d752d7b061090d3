//! `quadrat check --certify` with real processes.

#[cfg(unix)]
use crate::common::Folder;
#[cfg(unix)]
use serde_json::Value;

/// The program of the guide: takes each row with probability (rows still to take) / (rows still to see).
pub const CHOOSE: &str = r#"
while read -r line; do
  id=${line#*\"id\":} seed=${line#*\"seed\":} k=${line#*\"k\":} labels=${line#*\"labels\":}
  id=${id%%,*} seed=${seed%%,*} k=${k%%,*} rows= i=0
  IFS=,; set -- $labels; unset IFS
  if [ "$k" -gt $# ]; then echo "{\"id\": $id, \"error\": \"$k of $# rows\"}"; continue; fi
  while [ "$k" -gt 0 ]; do
    seed=$(((seed * 1103515245 + 12345) % 2147483648))
    if [ $((seed / 65536 * ($# - i))) -lt $((k * 32768)) ]; then rows="$rows,$i" k=$((k - 1)); fi
    i=$((i + 1))
  done
  echo "{\"id\": $id, \"rows\": [${rows#,}]}"
done
"#;

/// Certifies a script that must be refused: what is printed.
#[cfg(unix)]
fn refused(folder: &Folder, script: &str, options: &str) -> String {
    folder.write("program.sh", script);
    let output = folder.run(&format!("quadrat check --certify \"sh program.sh\" {options}"));
    let text = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{script}\n{text}\n{errors}");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
#[cfg(unix)]
fn a_sound_program_is_certified() {
    let folder = Folder::new("certify-sound");
    folder.write("choose.sh", CHOOSE);
    // Standard error is the program's own.
    let line = "quadrat check --certify \"echo hello >&2; exec sh choose.sh\" --as design --seed 1 --json --out c.json --report c.html";
    let printed = folder.json(line);
    assert_eq!(printed, serde_json::from_str::<Value>(&folder.read("c.json")).unwrap());
    assert_eq!(
        (&printed["certified"], &printed["kind"], &printed["seed"]),
        (&true.into(), &"design".into(), &1.into())
    );
    let items = printed["items"].as_array().unwrap();
    assert!(items.iter().all(|item| item["status"] == "holds"), "{printed:#}");
    let frequency = items.iter().find(|item| item["law"] == "frequency").unwrap();
    assert!(frequency["finds"].as_f64().unwrap() <= 0.2 && frequency["p"].as_f64() > frequency["threshold"].as_f64());
    let page = folder.read("c.html");
    assert!(page.contains("certified as design") && page.contains("rows come as often as declared"), "{page}");
}

#[test]
#[cfg(unix)]
fn defects_are_refused() {
    let folder = Folder::new("certify-defects");
    // One row that is never seen; one row more; a seed that is not read.
    let last = CHOOSE.replace("($# - i)", "($# - i - (k < $# - i))");
    let more = CHOOSE.replace("[${rows#,}]", "[${rows#,},0]");
    let fixed = CHOOSE.replace("rows= i=0", "rows= i=0 seed=7");
    let clock = CHOOSE.replace("rows= i=0", "rows= i=0 clock=$((clock + 1)) seed=$((seed + clock))");
    for (script, options, parts) in [
        (last, "--as selector", ["broken: the order of the rows does not decide", "due"]),
        (more, "--as selector", ["broken: k rows are chosen", "found: request 1 (12 rows, k = 4) has 5 rows"]),
        (fixed, "--as design", ["another seed, another answer", "32 seeds have one answer"]),
        (clock, "--as design", ["same seed, same bits", "has another answer at once than as request 1"]),
    ] {
        let text = refused(&folder, &script, options);
        assert!(parts.iter().all(|part| text.contains(part)), "{parts:?} {text}");
    }
    // A resampler that adds nothing: what was sent comes back to the bit, and that is all.
    let echo = "while read -r line; do id=${line#*\\\"id\\\":}; rows=${line#*\\\"rows\\\":}; \
                echo \"{\\\"id\\\":${id%%,*},\\\"rows\\\":$rows\"; done";
    let text = refused(&folder, echo, "--as resampler");
    let part = "found: request 1 (29 rows) has 8 rows of class rare, 14 are due";
    assert!(text.contains("broken: classes end equally large") && text.contains(part), "{text}");
}

#[test]
#[cfg(unix)]
fn programs_that_do_not_answer_are_refused() {
    let folder = Folder::new("certify-faults");
    let answer = r#"echo "{\"id\": 1, \"rows\": [0, 1, 2, 3]}""#;
    // Programs that end or answer are given time to start on a busy machine; the others use up what they are given.
    for (script, seconds, part) in [
        ("echo broken pipe >&2; exit 3".to_owned(), 20, "it ended (exit status: 3); its last words: `broken pipe`"),
        ("sleep 60".to_owned(), 1, "no whole line within 1 s"),
        ("read -r x; printf '{\"id\": 1, \"ro'; sleep 60".to_owned(), 2, "so far it has written `{\"id\": 1, \"ro`"),
        ("read -r x; printf '{\"id\": 1'".to_owned(), 20, "in the middle of a line: `{\"id\": 1`"),
        ("read -r x; echo Loading the model".to_owned(), 20, "in the line `Loading the model`"),
        ("echo Loading the model; sleep 60".to_owned(), 20, "`Loading the model`"),
        (format!("read -r x; {answer}; echo done; sleep 60"), 20, "`done`"),
        (format!("read -r x; {answer}; kill -9 $$"), 20, "it ended (signal: 9 (SIGKILL))"),
        ("exec >&-; sleep 60".to_owned(), 20, "it has closed its output"),
        (format!("read -r x; {answer}; yes"), 20, "`y"),
        ("read -r x; while :; do printf .; sleep 0.01; done".to_owned(), 1, "no whole line within 1 s"),
        ("head -c 300000 /dev/zero | tr '\\0' x; sleep 60".to_owned(), 2, "`xxx"),
    ] {
        let text = refused(&folder, &script, &format!("--as selector --timeout {seconds}"));
        assert!(text.contains("broken: every request has one answer") && text.contains(part), "{script}: {text}");
    }
    // An impossible request may not end the program, but what it ends is started again.
    let text = refused(
        &folder,
        &CHOOSE.replace("continue", "exit 5").replace("echo \"{\\\"id\\\": $id, \\\"error", ": \""),
        "--as selector",
    );
    assert!(
        text.contains("k = n + 1: it ended (exit status: 5)") && text.contains("rows does not decide yes"),
        "{text}"
    );
}

/// A program that ends after each answer is started again for the next.
#[test]
#[cfg(unix)]
fn programs_of_one_answer_are_certified() {
    let folder = Folder::new("certify-once");
    folder.write("choose.sh", &CHOOSE.replace("while read -r line; do", "read -r line; for once in 1; do"));
    let text = folder.ok("quadrat check --certify \"sh choose.sh\" --as selector");
    assert!(text.starts_with("certified as selector"), "{text}");
}

#[test]
#[cfg(unix)]
fn what_cannot_be_certified_is_an_error() {
    let folder = Folder::new("certify-errors");
    for (options, part) in [
        ("--certify \"./nowhere x\" --as design", "`./nowhere` did not start"),
        ("--certify \"sh x.sh\"", "--as <KIND>"),
        ("--certify \"sh x.sh\" --as law", "[possible values: selector, weighted, design, resampler]"),
        ("--certify \"sh x.sh\" --as design --timeout 0", "use a positive number of seconds"),
        ("--certify \"\" --as design", "name a program"),
        ("--certify \"sh x.sh\" --as design smote", "cannot be used with"),
        ("smote --as design", "cannot be used with"),
        ("--as design", "--certify"),
    ] {
        let message = folder.fails(&format!("quadrat check {options}"));
        assert!(message.contains(part), "{options}: {message}");
    }
}

/// The guide's program, where there is Python to run it.
#[test]
#[cfg(unix)]
fn the_guides_program_is_certified() {
    if !std::process::Command::new("python3").arg("--version").output().is_ok_and(|output| output.status.success()) {
        return;
    }
    let folder = Folder::new("certify-python");
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/certify.md")).unwrap();
    let program = page.split("```python\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    folder.write("choose.py", program);
    for kind in ["selector", "weighted", "design"] {
        folder.ok(&format!("quadrat check --certify \"python3 choose.py\" --as {kind}"));
    }
}
