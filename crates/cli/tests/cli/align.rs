//! `quadrat language align` and `self-sample`: own text, own judge, own tasks.

use crate::common::Folder;
use std::fmt::Write as _;

/// A judge that likes answers with more of the letter e.
const JUDGE: &str = r#"
while read -r line; do
  a=${line#*\"a\":\"} a=${a%%\",\"b\"*} b=${line#*\"b\":\"} b=${b%%\",\"prompt\"*}
  a=$(printf %s "$a" | tr -cd e | wc -c) b=$(printf %s "$b" | tr -cd e | wc -c)
  if [ "$a" -gt "$b" ]; then echo 1; elif [ "$a" -lt "$b" ]; then echo 0; else echo 0.5; fi
done
"#;

/// A folder with a small model `lm` and `prompts.jsonl`.
fn with_model(name: &str) -> Folder {
    let folder = Folder::new(name);
    let mut text = String::new();
    for i in 0..400 {
        let _ = writeln!(
            text,
            "the {} of the {} went by",
            ["sea", "hill", "road"][i % 3],
            ["day", "king", "bee", "dog"][i % 4]
        );
    }
    folder.write("corpus.txt", &text);
    folder.write("prompts.jsonl", &"{\"prompt\": \"the sea\"}\n{\"prompt\": \"the hill of\"}\n".repeat(10));
    folder.write("judge.sh", JUDGE);
    folder.json(
        "quadrat language train --text corpus.txt --model transformer --layers 1 --dim 32 --vocabulary 270 --context 32 \
         --epochs 1 --out lm --json",
    );
    folder
}

#[test]
#[cfg(unix)]
fn a_model_is_aligned_to_a_program() {
    let folder = with_model("align");
    let line = "quadrat language align --policy lm --prompts prompts.jsonl --judge \"sh judge.sh\" --method ipo-md --steps 6 \
                --tokens 6 --batch 4 --seed 1 --json";
    let told = folder.json(&format!("{line} --out aligned"));
    assert_eq!((&told["method"], &told["steps"], &told["held_back"]), (&"ipo-md".into(), &6.into(), &4.into()));
    assert_eq!(told["asymmetry"], 0.0);
    assert_eq!(folder.json(&format!("{line} --out again"))["last"], told["last"]);
    let [before, one, other] =
        ["lm", "aligned", "again"].map(|name| std::fs::read(folder.path(name).join("model.safetensors")).unwrap());
    assert!(one == other && one != before);
    let lora = folder.json(&format!("{line} --lora 2 --out thin"));
    assert_eq!(lora["lora"], 2);
    folder.json("quadrat language generate --model aligned --prompt \"the sea\" --tokens 5 --json");
}

#[test]
#[cfg(unix)]
fn judges_that_fail_are_told_of() {
    let folder = with_model("align-judges");
    for (judge, part) in [
        ("sh -c 'read x; echo 2'", "`2`"),
        ("sh -c 'read x; echo nan'", "`nan`"),
        ("sh -c 'read x; echo better'", "`better`"),
        ("sh -c 'echo no model >&2; exit 3'", "no model"),
        ("sleep 30", "no whole line within 0.3 s"),
        ("./nobody", "did not start"),
    ] {
        let line = format!(
            "quadrat language align --policy lm --prompts prompts.jsonl --judge \"{judge}\" --timeout 0.3 --steps 2 --tokens 4 --out out"
        );
        let message = folder.fails(&line);
        assert!(message.contains("--judge") && message.contains(part), "{judge}: {message}");
    }
}

#[test]
fn a_solver_learns_from_tasks() {
    let folder = Folder::new("self-sample");
    let mut tasks = String::new();
    for (a, b) in (2..7).flat_map(|a| (2..6).map(move |b| (a, b))) {
        let _ = writeln!(
            tasks,
            r#"{{"problem": "{a} bags of {b} apples and 1 more", "program": "t = {a} * {b}\nanswer = t + 1", "answer": {}}}"#,
            a * b + 1
        );
    }
    folder.write("tasks.jsonl", &tasks);
    let line = "quadrat language self-sample --tasks tasks.jsonl --epochs 4 --alone 0.5 --width 16 --layers 1 --tokens 12 --draws 10";
    let told = folder.json(&format!("{line} --out solver --report report.html --json"));
    assert_eq!((&told["learnt_from"], &told["samples"]), (&16.into(), &32.into()));
    assert!(told["pass_at"]["10"].as_f64().unwrap() >= 0.0 && told["solutions_a_task"].as_f64().unwrap() >= 1.0);
    assert!(folder.read("report.html").contains("What became of the samples"));
    assert_eq!(folder.read("solver/solutions.jsonl").lines().count(), 16);
    folder.write("tasks.jsonl", &tasks.replace("t + 1\", \"answer\": 5", "t + 1\", \"answer\": 6"));
    let message = folder.fails(&format!("{line} --out other"));
    assert!(message.contains("tasks.jsonl:1:") && message.contains("not 6"), "{message}");
}
