//! `quadrat train` with wrong, rare and few labels.

use crate::common::Folder;

/// Three clusters; every tenth label of the first 100 rows is the next class's.
fn clusters(rows: usize, wrong: bool) -> String {
    let mut text = String::from("f1,f2,y\n");
    for i in 0..rows {
        let class = i % 3;
        let noise = |k: usize| ((i * k % 17) as f64 - 8.0) / 20.0;
        let (x, y) = ([0.0, 3.0, 0.0][class] + noise(5), [0.0, 0.0, 3.0][class] + noise(7));
        let given = if wrong && i < 100 && i % 10 == 4 { (class + 1) % 3 } else { class };
        text.push_str(&format!("{x:.3},{y:.3},{}\n", ["a", "b", "c"][given]));
    }
    text
}

#[test]
fn doubted_labels_are_listed_by_their_rows() {
    let folder = Folder::new("labels-suspects");
    folder.write("train.csv", &clusters(300, true));
    let line = "quadrat train --in train.csv --target y --method elr --epochs 30 --rate 0.01 --hidden 32";
    let said = folder.json(&format!("{line} --validation 0 --suspects suspects.csv --json"));
    assert_eq!(
        (&said["suspects"], &said["found"]["elr: labels that it doubts"]),
        (&"suspects.csv".into(), &10.0.into())
    );
    let list = folder.read("suspects.csv");
    let mut lines = list.lines();
    assert_eq!(lines.next(), Some("row,given,proposed,confidence"));
    let mut rows = Vec::new();
    for line in lines {
        let cells: Vec<&str> = line.split(',').collect();
        let row: usize = cells[0].parse().unwrap();
        assert_eq!(cells[2], ["a", "b", "c"][row % 3], "{line}");
        rows.push(row);
    }
    rows.sort_unstable();
    assert_eq!(rows, (0..100).filter(|i| i % 10 == 4).collect::<Vec<_>>());
    // Rows held back are not doubted, and numbers are those of the file all the same.
    folder.ok(&format!("{line} --validation 0.3 --suspects held.parquet --seed 2"));
    folder.ok("quadrat data convert --in held.parquet --out held.csv");
    assert!(folder.read("held.csv").lines().skip(1).all(|line| {
        line.split(',').next().is_some_and(|row| row.parse::<usize>().is_ok_and(|row| row % 10 == 4 && row < 100))
    }));
    folder.write("clean.csv", &clusters(300, false));
    folder.ok(&format!("{} --validation 0 --suspects none.csv", line.replace("train.csv", "clean.csv")));
    assert_eq!(folder.read("none.csv"), "row,given,proposed,confidence\n");
    for (line, says) in [
        (line.replace("elr", "mixup") + " --suspects no.csv", "--method elr"),
        (format!("{line} --suspects no.csv --balance smote"), "--balance"),
        (format!("{line} --method mixup"), "a batch of mixtures"),
        (format!("{line} --suspects missing/no.csv"), "missing"),
        (line.replace("elr", "gce --method bootstrap"), "a loss of its own"),
    ] {
        let error = folder.fails(&line);
        assert!(error.contains(says), "{line}: {error}");
    }
    assert!(!folder.path("no.csv").exists());
}

#[test]
fn rows_without_labels_teach() {
    let folder = Folder::new("labels-few");
    folder.write("few.csv", &clusters(9, false));
    // No label, columns in another order, and one that nobody asked for.
    let all = clusters(300, false);
    let pool = all.lines().skip(1).map(|line| {
        let cells: Vec<&str> = line.split(',').collect();
        format!("x,{},{}\n", cells[1], cells[0])
    });
    folder.write("pool.csv", &format!("more,f2,f1\n{}", pool.collect::<String>()));
    folder.write("test.csv", &clusters(90, false));
    let line = "quadrat train --in few.csv --unlabelled pool.csv --target y --epochs 4 --batch 9 --validation 0 --rate 0.01 --hidden 16";
    for method in ["pseudo-label", "fixmatch", "flexmatch", "shrinkmatch --method saa"] {
        let out = method.replace(' ', "-");
        let said = folder.ok(&format!("{line} --method {method} --out {out}"));
        assert!(said.contains("300 rows without labels, 7 beside each labelled one"), "{said}");
        assert!(said.contains("share of the unlabelled rows that taught"), "{said}");
        let figures = folder.json(&format!("quadrat eval --model {out} --in test.csv --json"));
        assert!(figures["figures"]["accuracy"].as_f64().unwrap() > 0.9, "{method}: {figures}");
    }
    folder.write("narrow.csv", "f1\n1.0\n");
    for (line, says) in [
        (format!("{line} --method mixup"), "--method fixmatch"),
        (line.to_owned(), "--method fixmatch"),
        (line.replace("--unlabelled pool.csv", "--method fixmatch"), "--unlabelled FILE"),
        (format!("{line} --method fixmatch --unlabelled-ratio 0"), "at least 1"),
        (line.replace("pool.csv", "narrow.csv") + " --method fixmatch", "f2"),
        (line.replace("pool.csv", "nothing.csv") + " --method fixmatch", "nothing.csv"),
    ] {
        let error = folder.fails(&line);
        assert!(error.contains(says), "{line}: {error}");
    }
}

/// Training labels are partly wrong, the rows that judge are not.
#[test]
fn a_file_of_its_own_judges() {
    let folder = Folder::new("labels-held");
    folder.write("train.csv", &clusters(300, true));
    folder.write("clean.csv", &clusters(60, false));
    let line = "quadrat train --in train.csv --target y --epochs 15 --rate 0.01 --hidden 16";
    let said = folder.json(&format!("{line} --held-back clean.csv --json"));
    assert_eq!((&said["rows"], &said["held_back"]), (&300.into(), &60.into()));
    assert_eq!((&said["split"]["by"], &said["figures"]["accuracy"]), (&"file".into(), &1.0.into()));
    assert!(said["best_epoch"].is_u64() && said["warnings"].to_string().contains("exact copies"), "{said}");
    folder.write("none.csv", "f1,f2\n1,2\n");
    for (options, says) in [
        ("--held-back none.csv", "`y`"),
        ("--held-back clean.csv --validation 0.2", "--validation"),
        ("--held-back nowhere.csv", "nowhere.csv"),
    ] {
        let error = folder.fails(&format!("{line} {options}"));
        assert!(error.contains(says), "{options}: {error}");
    }
}

#[test]
fn methods_for_rare_classes_leave_a_plain_network() {
    let folder = Folder::new("labels-rare");
    folder.write("train.csv", &clusters(120, false));
    let line = "quadrat train --in train.csv --target y --epochs 3 --hidden 16 --json";
    let plain = folder.json(line);
    let both = folder.json(&format!("{line} --method batchformer --method balanced-softmax --method class-balanced"));
    assert_eq!(both["parameters"], plain["parameters"]);
    let error = folder.fails(&format!("{line} --method batchformer:heads=5"));
    assert!(error.contains("16 features"), "{error}");
}

/// Vectors of one length in every format that has them: new rows get vectors too.
#[test]
fn a_column_of_vectors_is_balanced_in_every_format() {
    let folder = Folder::new("labels-vectors");
    let row = |i: usize| {
        let (class, far) = if i < 30 { ("a", 0) } else { ("b", 5) };
        format!("{{\"id\": {i}, \"vec\": [{}.5, {}.25], \"y\": \"{class}\"}}\n", i % 7 + far, i % 5 + far)
    };
    folder.write("in.jsonl", &(0..40).map(row).collect::<String>());
    folder.ok("quadrat data convert --in in.jsonl --out in.parquet");
    for (from, to) in
        [("jsonl", "csv"), ("jsonl", "parquet"), ("parquet", "arrow"), ("parquet", "jsonl"), ("jsonl", "jsonl")]
    {
        let out = format!("{from}.{to}");
        let said =
            folder.ok(&format!("quadrat balance --in in.{from} --embedding vec --target y --method rcal --out {out}"));
        assert!(said.contains("40 rows of") && said.contains("became 60, 20 of them new"), "{said}");
        let again =
            folder.json(&format!("quadrat balance --in {out} --embedding vec --target y --method smote --json"));
        assert_eq!(
            again["classes"],
            serde_json::json!({"a": {"before": 30, "after": 30}, "b": {"before": 30, "after": 30}})
        );
    }
    let line = "quadrat balance --in in.jsonl --target y --out no.csv";
    for (more, says) in [
        ("--embedding id --method rcal", "an embedding is a column of lists of numbers"),
        ("--embedding vec --method smote-nc", "vectors are all that is read"),
        ("--embedding vec --method rcal --features id", "--features"),
        ("--embedding vec --method rcal --gamma 2", "gamma"),
    ] {
        let error = folder.fails(&format!("{line} {more}"));
        assert!(error.contains(says), "{more}: {error}");
    }
    assert!(!folder.path("no.csv").exists());
}

#[test]
fn a_model_takes_on_new_classes() {
    let folder = Folder::new("labels-extend");
    let all = clusters(300, false);
    let some = |fits: &dyn Fn(&str) -> bool| {
        let rows: Vec<&str> = all.lines().skip(1).filter(|line| fits(line)).collect();
        format!("f1,f2,y\n{}\n", rows.join("\n"))
    };
    folder.write("old.csv", &some(&|line| !line.ends_with('c')));
    folder.write("new.csv", &some(&|line| line.ends_with('c')));
    folder.write("all.csv", &all);
    folder.ok("quadrat train --in old.csv --target y --epochs 8 --hidden 16 --rate 0.01 --out before");
    let line = "quadrat train --extend before --in new.csv --target y --epochs 10";
    let said = folder.ok(&format!("{line} --method ovor:thresholds=auto --out after"));
    assert!(said.contains("ovor: outliers in an epoch") && said.contains("wrote after"), "{said}");
    let figures = folder.json("quadrat eval --model after --in all.csv --json");
    assert!(figures["figures"]["accuracy"].as_f64().unwrap() > 0.6, "{figures}");
    let said = folder.ok("quadrat predict --model after --in all.csv --out said.csv");
    assert!(said.contains("said.csv") && folder.read("said.csv").lines().next().unwrap().contains("p_c"), "{said}");
    for (line, says) in [
        (line.to_owned() + " --out no", "--method ovor"),
        (line.to_owned() + " --method elr --out no", "--method ovor"),
        (
            line.replace("new.csv", "all.csv") + " --method ovor --out no",
            "got `a`; new classes alone: the model knows a, b",
        ),
        (line.replace("before", "after") + " --method ovor --out no", "the model knows a, b, c"),
        (
            line.replace("--in new.csv --target y", "--images before") + " --method ovor --out no",
            "a model of tables takes --in",
        ),
        ("quadrat train --in old.csv --target y --method ovor --out no".to_owned(), "--extend MODEL"),
    ] {
        let error = folder.fails(&line);
        assert!(error.contains(says), "{line}: {error}");
    }
    assert!(!folder.path("no").exists());
}

/// One file in which a label may be empty is as good as two files.
#[test]
fn rows_without_labels_may_stand_in_the_same_file() {
    let folder = Folder::new("labels-one-file");
    let (few, all) = (clusters(9, false), clusters(90, false));
    folder.write("few.csv", &few);
    let bare: String = all.lines().skip(1).map(|line| format!("{},\n", line.rsplit_once(',').unwrap().0)).collect();
    folder.write("pool.csv", &format!("f1,f2,y\n{bare}"));
    folder.write("both.csv", &format!("{few}{bare}"));
    let line =
        "quadrat train --target y --method fixmatch --epochs 2 --batch 9 --validation 0 --rate 0.01 --hidden 8 --json";
    let two = folder.json(&format!("{line} --in few.csv --unlabelled pool.csv"));
    let one = folder.json(&format!("{line} --in both.csv"));
    assert_eq!((&one["curve"], &one["rows"]), (&two["curve"], &two["rows"]));
    for (file, says) in [("few.csv", "labelled rows only"), ("pool.csv", "no label in any row")] {
        let error = folder.fails(&format!("{line} --in {file} --out no"));
        assert!(error.contains(says), "{file}: {error}");
    }
    let error = folder.fails("quadrat train --in both.csv --target y --out no");
    assert!(error.contains("both.csv"), "an empty label is an error where nothing learns from it: {error}");
    assert!(!folder.path("no").exists());
    let error = folder.fails(&format!("{} --in both.csv --out no", line.replace("fixmatch", "saa")));
    assert!(error.contains("--method fixmatch --method saa"), "{error}");
}
