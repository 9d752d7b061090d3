//! `quadrat estimate expect`.

use crate::common::Folder;

const PROBLEM: &str = "\
[[input]]
name = \"a\"
law = \"uniform\"
min = 0
max = 1

[[input]]
name = \"b\"
law = \"normal\"
mean = 1
sd = 2
";

fn folder(name: &str) -> Folder {
    let folder = Folder::new(name);
    folder.write("problem.toml", PROBLEM);
    folder
}

fn number(value: &serde_json::Value, key: &str) -> f64 {
    value[key].as_f64().unwrap()
}

/// The design with a column `y`, a + b.
fn with_results(design: &str) -> String {
    let lines = design.lines().map(|line| match line.split_once(',').unwrap() {
        ("a", _) => format!("{line},y\n"),
        (a, b) => format!("{line},{:?}\n", a.parse::<f64>().unwrap() + b.parse::<f64>().unwrap()),
    });
    lines.collect()
}

/// Standard errors from 8 scrambles: Student's t with 7 degrees of freedom is beyond once in 700,000 seeds.
const FAR: f64 = 15.0;

/// Means 0.5 and 1, a probability of 0.25.
#[test]
#[cfg(unix)]
fn means_and_probabilities_of_a_program() {
    let folder = folder("expect-command");
    let line = "quadrat estimate expect --problem problem.toml --command \"echo {a} {b}\" --calls 512 \
                --event \"y1 < 0.25\" --seed 1 --json";
    let said = folder.json(&format!("{line} --out means.csv"));
    let outputs = said["outputs"].as_array().unwrap();
    for (output, (name, truth)) in outputs.iter().zip([("y1", 0.5), ("y2", 1.0), ("y1 < 0.25", 0.25)]) {
        assert_eq!(output["name"], name);
        assert!((number(output, "value") - truth).abs() < FAR * number(output, "se"), "{output}");
        assert!(number(output, "low") <= number(output, "value") && number(output, "value") <= number(output, "high"));
    }
    assert_eq!((outputs.len(), &said["calls"], &said["scrambles"]), (3, &512.into(), &8.into()));
    assert_eq!(number(&outputs[2], "hits") / 512.0, number(&outputs[2], "value"));
    assert_eq!(said, folder.json(&format!("{line} --out means.csv --threads 1")));
    let table = folder.read("means.csv");
    assert!(table.starts_with("output,value,se,low,high\ny1,0.") && table.lines().count() == 4, "{table}");

    // The same runs serve again, here for independent points none of which was run.
    let kept = format!("{line} --runs runs.jsonl");
    folder.json(&kept);
    assert_eq!(folder.json(&kept)["runs"]["made"], 0);
    let independent = folder.json(&format!("{kept} --scrambles 0"));
    assert_eq!((&independent["runs"]["made"], &independent["runs"]["found"]), (&512.into(), &0.into()));
    let adaptive = folder.json(&format!("{line} --method adaptive-iscv"));
    assert!((number(&adaptive["outputs"][1], "value") - 1.0).abs() < FAR * number(&adaptive["outputs"][1], "se"));

    for (more, part) in [
        ("--scrambles 1", "does not show its error"),
        ("--event \"z > 1\"", "`z`"),
        ("--event \"y1 = 1\"", "such as"),
        ("--calls 9", "at least 16"),
    ] {
        let line = match more.starts_with("--calls") {
            true => line.replace("--calls 512", more),
            false => format!("{line} {more}"),
        };
        let output = folder.run(&line);
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(2) && message.contains(part), "{more}: {message}");
    }
}

#[test]
fn a_design_goes_out_and_its_results_come_back() {
    let folder = folder("expect-files");
    for (scrambles, more) in [(8, ""), (0, "--scrambles 0")] {
        folder.ok(&format!("quadrat estimate expect --problem problem.toml --calls 1024 {more} --write-design p.csv"));
        let results = with_results(&folder.read("p.csv"));
        folder.write("results.csv", &results);
        let line =
            "quadrat estimate expect --problem problem.toml --read-results results.csv --event \"y > 100\" --json";
        let said = folder.json(&format!("{line} {more}"));
        assert_eq!(
            (&said["calls"], &said["left_out"], &said["scrambles"]),
            (&1024.into(), &0.into(), &scrambles.into())
        );
        let [y, event] = [0, 1].map(|i| said["outputs"][i].clone());
        assert!((number(&y, "value") - 1.5).abs() < FAR * number(&y, "se"), "{y}");
        // Never seen: at most 1 - 0.025^(1/1024).
        assert_eq!((number(&event, "value"), number(&event, "low")), (0.0, 0.0));
        assert!((number(&event, "high") - 0.0035959).abs() < 1e-6, "{event}");
        // An empty cell is a run that failed.
        let lost = results.lines().enumerate().map(|(i, line)| match i {
            7 => format!("{},\n", line.rsplit_once(',').unwrap().0),
            _ => format!("{line}\n"),
        });
        folder.write("results.csv", &lost.collect::<String>());
        assert_eq!(folder.json(&format!("{line} {more}"))["left_out"], 1);
    }
    let refused = folder.fails("quadrat estimate expect --problem problem.toml --read-results results.csv");
    assert!(refused.contains("--scrambles 0"), "{refused}");
    let refused = folder.fails(
        "quadrat estimate expect --problem problem.toml --calls 100 --write-design q.csv --method adaptive-iscv",
    );
    assert!(refused.contains("--command"), "{refused}");
}
