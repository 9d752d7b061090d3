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
    // Another seed, other settings, other rows: nothing of that training may be counted as this one's.
    folder.write("other.csv", &rows(120, 1));
    for (other, differs) in [
        (line.replace("--seed 3", "--seed 4") + " --epochs 4", "seed 3, not 4"),
        (format!("{line} --epochs 5"), "epochs 4, not 5"),
        (format!("{line} --epochs 4 --rate 0.5"), "learning rate"),
        (format!("{line} --epochs 4 --optimizer sgd"), "optimiser"),
        (line.replace("weight-compander", "weight-compander:penalty=1") + " --epochs 4", "methods"),
        (line.replace("train.csv", "other.csv") + " --epochs 4", "training rows"),
        (format!("{line} --epochs 4 --groups kind"), "training rows"),
    ] {
        let message = folder.fails(&format!("{other} --checkpoint state.safetensors"));
        assert!(message.contains(differs) && message.contains("another training"), "{other}\n{message}");
    }
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

/// 300 rows of which 4 are rare.
fn rare() -> String {
    let mut numbers = crate::common::Numbers::new(5);
    let line = |i: usize| if i.is_multiple_of(75) { "rare" } else { "common" };
    (0..300).fold("a,b,y\n".to_owned(), |text, i| {
        text + &format!("{:.6},{:.6},{}\n", numbers.next(), numbers.next(), line(i))
    })
}

#[test]
fn rare_classes_are_on_both_sides_and_accuracy_is_not_alone() {
    let folder = Folder::new("train-rare");
    folder.write("rare.csv", &rare());
    for seed in 0..3 {
        let line = format!("quadrat train --in rare.csv --target y --epochs 30 --hidden 8 --rate 0.01 --seed {seed}");
        let said = folder.json(&format!("{line} --json"));
        assert_eq!(said["split"]["classes"]["rare"], serde_json::json!({ "train": 3, "held_back": 1 }), "{said}");
        assert_eq!(said["figures"]["balanced-accuracy"], 0.5, "{said}");
        let text = folder.ok(&line);
        assert!(text.contains("balanced-accuracy") && text.contains("class by class"), "{text}");
    }
    // A single row of a class can be on one side only: said in text, JSON and report.
    folder.write("one.csv", &(rare() + "0.5,0.5,single\n"));
    let line = "quadrat train --in one.csv --target y --epochs 2 --hidden 8 --rate 0.001 --report r.html --json";
    let output = folder.run(line);
    let warned = "no row of class `single` is held back";
    assert!(String::from_utf8_lossy(&output.stderr).contains(warned));
    assert!(String::from_utf8_lossy(&output.stdout).contains(warned));
    assert!(folder.read("r.html").contains("no row of class `single` is held back"));
}

#[test]
fn groups_stay_together_and_the_latest_rows_judge() {
    let folder = Folder::new("train-groups");
    let mut text = String::from("patient,day,x,z,y\n");
    for i in 0..400 {
        text.push_str(&format!(
            "P{},2024-{:02}-{:02},{},{}.5,{}\n",
            i / 8,
            1 + i / 40,
            1 + i % 28,
            i % 7,
            i * 37 % 401,
            ["u", "v"][i / 8 % 2]
        ));
    }
    folder.write("g.csv", &text);
    let line = "quadrat train --in g.csv --target y --epochs 2 --hidden 8 --rate 0.001";
    let said = folder.json(&format!("{line} --groups patient --json"));
    assert_eq!((said["held_back"].as_u64(), said["split"]["by"].as_str()), (Some(40), Some("groups")), "{said}");
    assert!(said["notes"].to_string().contains("5 of 50 groups"), "{said}");
    // `patient` tells y apart exactly, and is no feature; a date is none by itself.
    assert_eq!(said["model"]["inputs"], 2, "{said}");
    assert_eq!(said["split"]["copies"], 0, "{said}");
    let said = folder.json(&format!("{line} --time day --features x --json"));
    assert_eq!((said["held_back"].as_u64(), said["split"]["by"].as_str()), (Some(40), Some("time")), "{said}");
    assert!(said["warnings"].to_string().contains("exact copies"), "{said}");
    for (options, says) in [
        ("--groups patient --time day", "cannot be used with"),
        ("--groups nobody", "did you mean"),
        ("--time patient", "2024-07-01"),
        ("--groups patient --validation 0", "above 0"),
        ("--groups y", "another part"),
    ] {
        let message = folder.fails(&format!("{line} {options}"));
        assert!(message.contains(says), "{options}\n{message}");
    }
}

#[test]
fn classes_and_rows_are_weighed_and_balanced_in_training_only() {
    let folder = Folder::new("train-weights");
    let mut numbers = crate::common::Numbers::new(3);
    let mut text = String::from("a,b,w,y\n");
    for i in 0..1200 {
        let rare = i % 20 == 0;
        let shift = if rare { 0.6 } else { 0.0 };
        let (a, b) = (numbers.next() + shift, numbers.next() + shift / 2.0);
        text.push_str(&format!("{a:.4},{b:.4},{},{}\n", if rare { 19 } else { 1 }, if rare { "ill" } else { "well" }));
    }
    folder.write("d.csv", &text);
    let line = "quadrat train --in d.csv --target y --features a,b --hidden 16 --epochs 12 --rate 0.003 --patience none \
                --validation 0.5 --json";
    let recall = |options: &str| {
        let said = folder.json(&format!("{line} {options}"));
        assert_eq!(said["held_back"], 600, "rows held back stay as they are: {said}");
        (said["figures"]["balanced-accuracy"].as_f64().unwrap(), said["rows"].as_u64().unwrap(), said)
    };
    let plain = recall("");
    for (options, rows) in [
        ("--class-weights balanced", 600),
        ("--class-weights ill=19,well=1", 600),
        ("--weight w", 600),
        ("--balance smote", 1140),
        ("--balance random-under-sampling", 60),
        ("--loss focal:1 --class-weights balanced", 600),
    ] {
        let (balanced, trained_on, said) = recall(options);
        assert_eq!(trained_on, rows, "{options}");
        assert!(
            balanced > plain.0 + 0.05 || options.contains("under"),
            "{options}: {balanced} for {}\n{said}",
            plain.0
        );
    }
    // Two ways to say the same give the same bits.
    assert_eq!(recall("--class-weights ill=19,well=1").2["curve"], recall("--weight w").2["curve"]);
    for (options, says) in [
        ("--class-weights sick=2", "the classes are ill, well"),
        ("--class-weights ill=x", "a number"),
        ("--class-weights ill=-1", "0 or more"),
        ("--weight y", "another part"),
        ("--balance smot", "did you mean"),
        ("--balance ps-kd", "not a method of `quadrat balance`"),
        ("--balance smote:k=0", "k"),
    ] {
        let message = folder.fails(&format!("quadrat train --in d.csv --target y --epochs 1 {options}"));
        assert!(message.contains(says), "{options}\n{message}");
    }
}

#[test]
fn one_rule_says_what_a_target_is() {
    let folder = Folder::new("train-target");
    let column = |value: fn(usize) -> String| {
        (0..400).fold("x,y\n".to_owned(), |t, i| t + &format!("{},{}\n", i % 97, value(i)))
    };
    folder.write("flags.csv", &column(|i| format!("{}.0", i % 2)));
    folder.write("prices.csv", &column(|i| (i % 200).to_string()));
    let train = |options: &str| folder.ok(&format!("quadrat train --hidden 8 --epochs 1 --rate 0.001 {options}"));
    let said = train("--in flags.csv --target y");
    assert!(said.contains("2 classes") && said.contains("--regression"), "{said}");
    assert!(train("--in flags.csv --target y --regression").contains("rmse"));
    let said = train("--in prices.csv --target y");
    assert!(said.contains("200 of them differ") && said.contains("--classes") && said.contains("rmse"), "{said}");
    let output = folder.run("quadrat train --hidden 8 --epochs 1 --rate 0.001 --in prices.csv --target y --classes");
    assert!(String::from_utf8_lossy(&output.stderr).contains("200 classes"), "{output:?}");
    // The same in balance.
    assert!(folder.ok("quadrat balance --in flags.csv --target y --method random-over-sampling").contains("2 classes"));
    let message = folder.fails("quadrat balance --in prices.csv --target y --method random-over-sampling");
    assert!(message.contains("200") && message.contains("--classes"), "{message}");
    folder.ok("quadrat balance --in prices.csv --target y --method random-over-sampling --classes");
}

#[test]
fn losses_targets_and_labels_are_chosen() {
    let folder = Folder::new("train-losses");
    let mut text = String::from("a,b,u,v,tags,hot,wet\n");
    for i in 0..300_usize {
        let (a, b) = ((i * 37 % 101) as f64 / 50.0 - 1.0, (i * 61 % 103) as f64 / 51.0 - 1.0);
        let tags =
            [(a > 0.0, "hot"), (b > 0.0, "wet")].iter().filter(|t| t.0).map(|t| t.1).collect::<Vec<_>>().join("|");
        text.push_str(&format!(
            "{a:.3},{b:.3},{:.4},{:.4},{tags},{},{}\n",
            3.0 * a + 0.01,
            b - a,
            a > 0.0,
            u8::from(b > 0.0)
        ));
    }
    folder.write("d.csv", &text);
    let line = "quadrat train --in d.csv --features a,b --hidden 32 --epochs 60 --rate 0.01 --json";
    let figure = |options: &str, name: &str| {
        let said = folder.json(&format!("{line} {options}"));
        said["figures"][name].as_f64().unwrap_or_else(|| panic!("{name}: {said}"))
    };
    assert!(figure("--target u,v", "r2 u") > 0.95 && figure("--target u,v", "r2 v") > 0.9);
    for loss in ["mse", "mae", "huber", "huber:0.5"] {
        assert!(figure(&format!("--target u --loss {loss}"), "r2") > 0.9, "{loss}");
    }
    assert!(figure("--target tags --labels", "labels-right") > 0.9);
    assert!(figure("--target hot,wet", "labels-right") > 0.9);
    assert!(figure("--target hot --loss focal:2", "accuracy") > 0.9);
    folder.ok(&format!("{} --target tags --labels --out m", line.replace("--json", "")));
    folder.ok("quadrat predict --model m --in d.csv --out said.csv");
    let said = folder.read("said.csv");
    assert!(said.lines().next().unwrap().ends_with("predicted,p_hot,p_wet"), "{said:.200}");
    for (options, says) in [
        ("--target u --loss focal", "for numbers"),
        ("--target hot --loss mse", "for classes"),
        ("--target u --loss quantile", "quantile:0.9"),
        ("--target u --loss quantile:2", "between 0 and 1"),
        ("--target u --loss mse:3", "takes no number"),
        ("--target u --loss hinge", "huber"),
        ("--target u,hot", "all numbers"),
        ("--target u --class-weights balanced", "no classes"),
        ("--target u --balance smote", "no classes"),
        ("--target u --method label-smoothing", "a target of numbers"),
        ("--target u --method ps-kd", "a target of numbers"),
        ("--target hot,wet --method label-smoothing", "a target of labels"),
    ] {
        let message = folder.fails(&format!("{} {options}", line.replace("--json", "")));
        assert!(message.contains(says), "{options}\n{message}");
    }
    // The pinball loss finds the quantile: nine rows of ten lie below.
    let noisy = (0..2000_usize)
        .fold("x,y\n".to_owned(), |t, i| t + &format!("{},{:.4}\n", i % 5, (i * 7919 % 1000) as f64 / 1000.0));
    folder.write("noise.csv", &noisy);
    let said =
        "quadrat train --in noise.csv --target y --loss quantile:0.9 --hidden 16 --epochs 40 --rate 0.01 --out q";
    folder.ok(said);
    folder.ok("quadrat predict --model q --in noise.csv --out q.csv");
    let text = folder.read("q.csv");
    let numbers = |line: &str| line.split(',').map(|v| v.parse::<f64>().unwrap()).collect::<Vec<_>>();
    let below = text.lines().skip(1).map(numbers).filter(|row| row[1] <= row[2]).count();
    assert!((1700..1900).contains(&below), "{below}");
    // It is judged as the quantile that it is.
    let judged = folder.json("quadrat eval --model q --in noise.csv --json");
    let figure = |name: &str| judged["figures"][name].as_f64().unwrap();
    assert_eq!(judged["quantile"], 0.9);
    assert!(figure("pinball") < 0.8 * figure("mae") / 2.0, "{judged}");
}

#[test]
fn the_best_epoch_is_returned_and_the_rate_is_found() {
    let folder = Folder::new("train-best");
    folder.write("train.csv", &rows(300, 0));
    let said = folder.json("quadrat train --in train.csv --target y --hidden 32 --epochs 40 --json");
    assert!(said["notes"].is_array() && said["rate"].as_f64().unwrap() > 0.0, "{said}");
    let best = said["best_epoch"].as_u64().unwrap() as usize;
    let losses: Vec<f64> =
        said["curve"].as_array().unwrap().iter().map(|e| e["validation_loss"].as_f64().unwrap()).collect();
    assert!(losses.iter().all(|loss| *loss >= losses[best - 1]), "{said}");
    assert!((said["figures"]["nll"].as_f64().unwrap() - losses[best - 1]).abs() < 1e-6, "{said}");
    let text = folder.ok("quadrat train --in train.csv --target y --hidden 32 --epochs 3");
    assert!(text.contains("range test") && text.contains("is returned"), "{text}");
    let given = folder.ok("quadrat train --in train.csv --target y --hidden 32 --epochs 3 --rate 0.01 --patience none");
    assert!(given.contains("learning rate 0.01, as given") && !given.contains("is returned"), "{given}");
    let message = folder.fails("quadrat train --in train.csv --target y --patience 0");
    assert!(message.contains("at least 1"), "{message}");
    // A slow average is right in a short run too (iris has 135 training rows, two steps an epoch).
    let accuracy = |options: &str| {
        let line = format!("quadrat train --in builtin:iris --target class --epochs 100 --rate 0.005 --json {options}");
        folder.json(&line)["figures"]["accuracy"].as_f64().unwrap()
    };
    assert!(accuracy("--average 0.999") > 0.8 && accuracy("") > 0.8);
}

#[test]
fn thousands_of_codes_take_bounded_memory() {
    let folder = Folder::new("train-codes");
    let text = (1..=20_000_usize).fold("amount,customer,fraud\n".to_owned(), |t, i| {
        t + &format!("{},C{:06},{}\n", i % 97, (i as f64 / 2.5) as usize, u8::from(i % 33 == 0))
    });
    folder.write("card.csv", &text);
    folder.ok("quadrat train --in card.csv --target fraud --epochs 1 --hidden 8 --rate 0.001 --out m");
    let said = folder.ok("quadrat train --in card.csv --target fraud --epochs 1 --hidden 8 --rate 0.001");
    assert!(said.contains("`customer` has more than 256 values"), "{said}");
    folder.write("new.csv", "amount,customer\n3,C999999\n4,C000001\n");
    folder.ok("quadrat predict --model m --in new.csv --out said.csv");
}

#[test]
fn a_constant_target_is_named() {
    let folder = Folder::new("train-constant");
    folder.write("r.csv", &(0..60).fold("x,y\n".to_owned(), |t, i| t + &format!("{i},3.7\n")));
    let output = folder.run("quadrat train --in r.csv --target y --regression --epochs 2 --rate 0.001 --json");
    assert!(output.status.success(), "{output:?}");
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(said["figures"]["r2"].as_f64().unwrap().abs() <= 1.0, "{said}");
    assert!(said["warnings"].to_string().contains("constant"), "{said}");
}
