//! `quadrat train`, `predict` and `eval`.

use crate::common::Folder;

/// Rows whose class follows from two numbers and a word.
fn rows(n: usize, from: usize) -> String {
    let mut text = String::from("id,a,b,kind,y\n");
    for i in from..from + n {
        let (a, b) = ((i * 7 % 13) as f64 / 6.0 - 1.0, (i * 5 % 11) as f64 / 5.0 - 1.0);
        let kind = ["flat", "tall"][i % 2];
        let y = if a + b + if kind == "tall" { 0.7 } else { -0.7 } > 0.0 { "yes" } else { "no" };
        text.push_str(&format!("r{i},{a:.3},{b:.3},{kind},{y}\n"));
    }
    text
}

#[test]
fn a_model_is_trained_kept_and_used() {
    let folder = Folder::new("train");
    folder.write("train.csv", &rows(300, 0));
    folder.write("test.csv", &rows(100, 1000));
    let line = "quadrat train --in train.csv --target y --features a,b,kind --model mlp --hidden 32 --epochs 25 --rate 0.01 \
                --seed 1 --method ps-kd --method random-pruning:density=0.5 --out model --report report.html";
    let said = folder.ok(line);
    assert!(said.contains("held back") && said.contains("accuracy") && said.contains("wrote model"), "{said}");
    let page = folder.read("report.html");
    for heading in ["Learning curve", "Reliability", "Confusion"] {
        assert!(page.contains(heading), "{heading}");
    }
    let json = folder.json("quadrat eval --model model --in test.csv --json");
    assert!(json["figures"]["accuracy"].as_f64().unwrap() > 0.9, "{json}");
    assert!(json["figures"]["ece"].as_f64().unwrap() < 0.3, "{json}");
    folder.ok("quadrat predict --model model --in test.csv --out said.csv");
    let said = folder.read("said.csv");
    let mut lines = said.lines();
    assert_eq!(lines.next(), Some("id,a,b,kind,y,predicted,p_no,p_yes"));
    let right = lines.filter(|line| line.split(',').nth(4) == line.split(',').nth(5)).count();
    assert!(right > 90, "{right}");
    let other = folder.fails("quadrat eval --model model --in said.csv --images . --json");
    assert!(other.contains("--images"), "{other}");
}

#[test]
fn a_stopped_training_goes_on() {
    let folder = Folder::new("train-resume");
    folder.write("train.csv", &rows(120, 0));
    let line = "quadrat train --in train.csv --target y --hidden 8 --method weight-compander --seed 3 --json";
    let whole = folder.json(&format!("{line} --epochs 4"));
    folder.json(&format!("{line} --epochs 4 --checkpoint state.safetensors"));
    let again = folder.json(&format!("{line} --epochs 4 --checkpoint state.safetensors"));
    assert_eq!(again["figures"], whole["figures"]);
    let threads = |n| folder.json(&format!("{line} --epochs 2 --threads {n}"))["figures"].clone();
    assert_eq!(threads(1), threads(2));
}

#[test]
fn tuned_strengths_are_told() {
    let folder = Folder::new("train-tuned");
    folder.write("train.csv", &rows(120, 0));
    let line = "quadrat train --in train.csv --target y --hidden 8 --epochs 3 --method stn:tune=dropout:fc1+noise";
    let said = folder.ok(&format!("{line} --report report.html"));
    assert!(said.contains("the methods found") && said.contains("dropout fc1"), "{said}");
    assert!(folder.read("report.html").contains("What the methods found"));
    let found = folder.json(&format!("{line} --json"))["found"].clone();
    let rate = found["dropout fc1"].as_f64().unwrap();
    assert!(rate > 0.0 && rate < 0.9 && found["input noise"].as_f64().unwrap() > 0.0, "{found}");
}

#[test]
fn units_can_be_removed_before_the_training() {
    let folder = Folder::new("train-search");
    folder.write("train.csv", &rows(120, 0));
    let line = "quadrat train --in train.csv --target y --hidden 40,20 --epochs 2 --json --method random-sparse-search";
    let said = folder.json(&format!("{line} --sparsity 0.9 --trials 5"));
    assert_eq!(said["model"]["hidden"], serde_json::json!([4, 2]), "{said}");
    let message = folder.fails(&format!("{line} --sparsity 1"));
    assert!(message.contains("sparsity"), "{message}");
}

#[test]
fn numbers_are_predicted_too() {
    let folder = Folder::new("train-numbers");
    let line = |i: usize| format!("{},{:.3}\n", i, 0.5 + 2.0 * i as f64);
    folder.write("line.csv", &format!("x,y\n{}", (0..200).map(line).collect::<String>()));
    let said = folder.json("quadrat train --in line.csv --target y --hidden 16 --epochs 60 --rate 0.01 --json --out m");
    assert!(said["figures"]["r2"].as_f64().unwrap() > 0.95, "{said}");
    folder.ok("quadrat predict --model m --in line.csv --out said.parquet");
    assert_eq!(folder.json("quadrat data show said.parquet --json")["rows"], 200);
}

#[test]
fn what_does_not_fit_is_said_and_nothing_is_left() {
    let folder = Folder::new("train-errors");
    folder.write("train.csv", &rows(40, 0));
    folder.write("one.csv", "a,y\n1,x\n2,x\n");
    for (line, says) in [
        ("--in train.csv --target z", "did you mean"),
        ("--in train.csv --target y --method ps-kdd", "ps-kd"),
        ("--in train.csv --target y --method smote", "not a method of `quadrat train`"),
        ("--in train.csv --target y --method ps-kd:alpha=2", "alpha"),
        ("--in train.csv --target y --method ps-kd:beta=2", "beta"),
        ("--in train.csv --target y --method ps-kd:alpha", "KEY=VALUE"),
        ("--in train.csv --target y --features a,b --model convnet", "images"),
        ("--in train.csv --target y --hidden 0", "at least 1"),
        ("--in train.csv --target y --epochs 0", "epochs"),
        ("--in train.csv --target y --rate nan", "positive"),
        ("--in train.csv --target y --validation 1", "below 1"),
        ("--in one.csv --target y", "two classes"),
        ("--in none.csv --target y", "none.csv"),
    ] {
        let message = folder.fails(&format!("quadrat train {line} --out model"));
        assert!(message.contains(says), "{line}\n{message}");
    }
    let message = folder.fails("quadrat predict --model nowhere --in train.csv --out p.csv");
    assert!(message.contains("nowhere"), "{message}");
}
