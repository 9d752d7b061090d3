//! `quadrat estimate sobol`.

use crate::common::Folder;

const PROBLEM: &str = "\
[[input]]
name = \"x1\"
law = \"uniform\"
min = -3.141592653589793
max = 3.141592653589793

[[input]]
name = \"x2\"
law = \"uniform\"
min = -3.141592653589793
max = 3.141592653589793

[[input]]
name = \"x3\"
law = \"uniform\"
min = -3.141592653589793
max = 3.141592653589793
";

/// Ishigami's first and total indices, x1 to x3.
const FIRST: [f64; 3] = [0.31390519, 0.44241114, 0.0];
const TOTAL: [f64; 3] = [0.55758886, 0.44241114, 0.24368366];

const MODEL: &str = "#!/bin/sh\nexec awk -v a=\"$1\" -v b=\"$2\" -v c=\"$3\" \
                     'BEGIN { printf \"%.17g\\n\", sin(a) + 7 * sin(b)^2 + 0.1 * c^4 * sin(a) }'\n";

fn folder(name: &str) -> Folder {
    let folder = Folder::new(name);
    folder.write("problem.toml", PROBLEM);
    program(&folder, "model", MODEL);
    folder
}

/// A script that can be run.
fn program(folder: &Folder, name: &str, text: &str) {
    folder.write(name, text);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(folder.path(name), std::fs::Permissions::from_mode(0o755)).unwrap();
    }
}

fn ishigami(x: &[f64]) -> f64 {
    x[0].sin() + 7.0 * x[1].sin().powi(2) + 0.1 * x[2].powi(4) * x[0].sin()
}

/// The design with the model's results in a column `y`, row by row.
fn with_results(design: &str) -> Vec<String> {
    let mut lines = design.lines();
    let head = format!("{},y", lines.next().unwrap());
    let rows = lines.map(|line| {
        let x: Vec<f64> = line.split(',').map(|cell| cell.parse().unwrap()).collect();
        format!("{line},{:?}", ishigami(&x))
    });
    std::iter::once(head).chain(rows).collect()
}

/// Every index is within six of its standard errors of the truth: one false alarm in 80 million seeds of six indices.
fn assert_ishigami(output: &serde_json::Value) {
    for (order, truth) in [("first", FIRST), ("total", TOTAL)] {
        for (index, (name, truth)) in output[order].as_array().unwrap().iter().zip(["x1", "x2", "x3"].iter().zip(truth))
        {
            let number = |key: &str| index[key].as_f64().unwrap();
            assert_eq!(index["name"], **name);
            assert!((number("value") - truth).abs() < 6.0 * number("se"), "{order} {index}");
            assert!(number("low") <= number("value") && number("value") <= number("high") && number("se") < 0.2);
        }
    }
}

#[test]
#[cfg(unix)]
fn a_program_is_run_at_every_point() {
    let folder = folder("sobol-command");
    let line =
        "quadrat estimate sobol --problem problem.toml --command \"./model {x1} {x2} {x3}\" --calls 1000 --seed 1";
    let said = folder.json(&format!("{line} --json --out indices.csv --report page.html"));
    assert_eq!(
        (&said["method"], &said["calls"], &said["outputs"][0]["name"]),
        (&"saltelli".into(), &1000.into(), &"y".into())
    );
    assert_ishigami(&said["outputs"][0]);
    assert_eq!(said, folder.json(&format!("{line} --threads 1 --json --out indices.csv --report page.html")));
    let table = folder.read("indices.csv");
    assert_eq!(table.lines().count(), 7);
    assert!(table.starts_with("output,input,order,value,se,low,high\ny,x1,first,0."), "{table}");
    let page = folder.read("page.html");
    for part in ["saltelli", "total order", "x3", "Demange-Chryst"] {
        assert!(page.contains(part), "{part}");
    }
}

#[test]
#[cfg(unix)]
fn the_adaptive_method_asks_in_rounds() {
    let folder = folder("sobol-adaptive");
    let line = "quadrat estimate sobol --problem problem.toml --command \"./model {x1} {x2} {x3}\" --calls 1500 \
                --method adaptive-iscv --seed 2 --json";
    let said = folder.json(line);
    assert!(said["calls"].as_u64().unwrap() <= 1500);
    for (order, truth) in [("first", FIRST), ("total", TOTAL)] {
        for (index, truth) in said["outputs"][0][order].as_array().unwrap().iter().zip(truth) {
            let (value, se) = (index["value"].as_f64().unwrap(), index["se"].as_f64().unwrap());
            assert!((value - truth).abs() < 6.0 * se, "{order} {index}");
        }
    }
    let refused = folder.fails(
        "quadrat estimate sobol --problem problem.toml --calls 1500 --write-design d.csv --method adaptive-iscv",
    );
    assert!(refused.contains("--command"), "{refused}");
}

#[test]
fn a_design_goes_out_and_its_results_come_back() {
    let folder = folder("sobol-files");
    let said = folder.ok("quadrat estimate sobol --problem problem.toml --calls 4000 --write-design points.csv");
    assert!(said.contains("4,000 points") && said.contains("800 base points"), "{said}");
    let rows = with_results(&folder.read("points.csv"));
    assert_eq!((rows.len(), rows[0].as_str()), (4001, "x1,x2,x3,y"));
    folder.write("points_with_y.csv", &rows.join("\n"));
    let said = folder.json("quadrat estimate sobol --problem problem.toml --read-results points_with_y.csv --json");
    assert_eq!((&said["calls"], &said["outputs"][0]["name"]), (&4000.into(), &"y".into()));
    assert_ishigami(&said["outputs"][0]);

    let mut shuffled = rows.clone();
    shuffled.swap(7, 9);
    folder.write("shuffled.csv", &shuffled.join("\n"));
    let refused = folder.fails("quadrat estimate sobol --problem problem.toml --read-results shuffled.csv");
    assert!(refused.contains("row 7") && refused.contains("in the order in which they were written"), "{refused}");
    folder.write("short.csv", &rows[..rows.len() - 1].join("\n"));
    let refused = folder.fails("quadrat estimate sobol --problem problem.toml --read-results short.csv");
    assert!(refused.contains("3999") && refused.contains("5 rows for each base point"), "{refused}");
    folder.write("other.toml", &PROBLEM.replace("3.141592653589793", "3.0"));
    let refused = folder.fails("quadrat estimate sobol --problem other.toml --read-results points_with_y.csv");
    assert!(refused.contains("is this the problem"), "{refused}");
    let refused = folder.fails("quadrat estimate sobol --problem problem.toml --read-results points.csv");
    assert!(refused.contains("no column of results"), "{refused}");
    let refused =
        folder.fails("quadrat estimate sobol --problem problem.toml --read-results points_with_y.csv --outputs z");
    assert!(refused.contains("`z`"), "{refused}");
}

#[test]
#[cfg(unix)]
fn failures_name_the_point_and_leave_no_file_but_the_runs() {
    let folder = folder("sobol-failures");
    let with = |command: &str, more: &str| {
        folder.fails(&format!(
            "quadrat estimate sobol --problem problem.toml --command \"{command}\" --calls 50 --out out.csv {more}"
        ))
    };
    for (command, part) in [
        ("echo {x1} {x2} {x3} oops", "print one finite number"),
        ("echo {x1} > /dev/null; echo {x2} {x3} >&2; echo broken >&2; exit 3", "broken"),
        ("./nothing {x1} {x2} {x3}", "did not start"),
        ("true {x1} {x2} {x3}", "print one finite number"),
    ] {
        let message = with(command, "");
        assert!(
            message.contains("x1 = ") && message.contains("x3 = ") && message.contains(part),
            "{command}: {message}"
        );
    }
    assert!(with("./model {x1} {x2}", "").contains("`x3`"));
    // Runs that were made for nothing are kept all the same.
    let nan = "quadrat estimate sobol --problem problem.toml --command \"printf 'nan {x1} {x2} {x3}'\" --calls 50 --out out.csv";
    let nan = folder.run(nan);
    let message = String::from_utf8(nan.stderr).unwrap();
    assert!(message.contains("x1 = ") && message.contains("print one finite number"), "{message}");
    assert_eq!(folder.files(), ["model", "problem.runs.jsonl", "problem.toml"]);
    std::fs::remove_file(folder.path("problem.runs.jsonl")).unwrap();
    let constant = folder.run(
        "quadrat estimate sobol --problem problem.toml --command \"true {x1} {x2} {x3} && echo 4\" --calls 50 --out out.csv",
    );
    let message = String::from_utf8(constant.stderr).unwrap();
    assert!(message.contains("the output is 4 at every point") && message.contains("50 finished runs are kept"));
    assert_eq!(constant.status.code(), Some(2));
    assert_eq!(folder.files(), ["model", "problem.runs.jsonl", "problem.toml"]);
    assert_eq!(folder.read("problem.runs.jsonl").lines().count(), 51);
    let elsewhere = folder.fails("quadrat select --in builtin:iris --budget 3 --method adaptive-iscv");
    assert!(elsewhere.contains("`quadrat estimate sobol`"), "{elsewhere}");
    let few = folder.fails("quadrat estimate sobol --problem problem.toml --command \"echo {x1} {x2} {x3}\" --calls 9");
    assert!(few.contains("at least 10 runs"), "{few}");
    for line in [
        "quadrat estimate sobol --problem problem.toml --calls 100",
        "quadrat estimate sobol --problem problem.toml --command \"echo {x1}{x2}{x3}\"",
        "quadrat estimate sobol --problem absent.toml --calls 100 --write-design p.csv",
        "quadrat estimate sobol --problem problem.toml --calls 100 --write-design p.npy",
    ] {
        folder.fails(line);
    }
}

#[test]
#[cfg(unix)]
fn several_outputs_and_small_samples() {
    let folder = folder("sobol-outputs");
    let line = "quadrat estimate sobol --problem problem.toml --command \"echo {x1} {x2}, {x3}\" --calls 100 --json";
    let output = folder.run(line);
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let outputs = said["outputs"].as_array().unwrap();
    assert_eq!(outputs.iter().map(|o| o["name"].as_str().unwrap()).collect::<Vec<_>>(), ["y1", "y2", "y3"]);
    for (k, output) in outputs.iter().enumerate() {
        for i in 0..3 {
            let total = output["total"][i]["value"].as_f64().unwrap();
            assert!(if i == k { total > 0.5 } else { total.abs() < 1e-12 }, "{output}");
        }
    }
    let warnings = String::from_utf8(output.stderr).unwrap();
    assert!(warnings.contains("too few") && warnings.contains("warning"), "{warnings}");
}

/// A model of one input that has no answer above 0.97: base points that need such a run are dropped and counted.
#[test]
#[cfg(unix)]
fn one_run_without_an_answer_costs_its_base_point_only() {
    let folder = Folder::new("sobol-nan");
    folder.write("problem.toml", "[[input]]\nname = \"a\"\nlaw = \"uniform\"\nmin = 0\nmax = 1\n");
    program(
        &folder,
        "model",
        "#!/bin/sh\nexec awk -v a=\"$1\" 'BEGIN { if (a > .97) print \"nan\"; else printf \"%.17g\\n\", a }'\n",
    );
    folder.ok("quadrat estimate sobol --problem problem.toml --calls 400 --write-design points.csv");
    let design: Vec<f64> = folder.read("points.csv").lines().skip(1).map(|line| line.parse().unwrap()).collect();
    let dropped = design.chunks(3).filter(|base| base.iter().any(|a| *a > 0.97)).count();
    let mut bad: Vec<u64> = design.iter().filter(|a| **a > 0.97).map(|a| a.to_bits()).collect();
    bad.sort_unstable();
    bad.dedup();
    assert!(dropped > 0 && dropped < 20, "{dropped}");

    let line = "quadrat estimate sobol --problem problem.toml --calls 400 --command \"./model {a}\" --json";
    let output = folder.run(line);
    let (said, warnings) = (output.stdout, String::from_utf8(output.stderr).unwrap());
    let said: serde_json::Value = serde_json::from_slice(&said).unwrap();
    assert_eq!((&said["base_points_left_out"], &said["runs"]["not_finite"]), (&dropped.into(), &bad.len().into()));
    assert!(warnings.contains(&format!("{dropped} of 133 base points are left out")), "{warnings}");
    assert!(warnings.contains("it printed NaN") && warnings.contains("the model at a = 0.9"), "{warnings}");
    for order in ["first", "total"] {
        let index = &said["outputs"][0][order][0];
        assert!((index["value"].as_f64().unwrap() - 1.0).abs() < 6.0 * index["se"].as_f64().unwrap() + 1e-9, "{index}");
    }
    assert_eq!(said, folder.json(&format!("{line} --threads 1")));
    assert_eq!(folder.files(), ["model", "points.csv", "problem.toml"]);

    let points = folder.read("points.csv");
    let files = points.lines().map(|line| match line.parse::<f64>() {
        Ok(a) if a > 0.97 => format!("{line},\n"),
        Ok(_) => format!("{line},{line}\n"),
        Err(_) => "a,y\n".to_owned(),
    });
    folder.write("results.csv", &files.collect::<String>());
    let read = folder.json("quadrat estimate sobol --problem problem.toml --read-results results.csv --json");
    assert_eq!((&read["base_points_left_out"], &read["outputs"]), (&said["base_points_left_out"], &said["outputs"]));
}

/// A model that writes a line to `made` for every run.
const COUNTED: &str = "#!/bin/sh\necho run >> made\nexec awk -v a=\"$1\" -v b=\"$2\" -v c=\"$3\" \
                       'BEGIN { printf \"%.17g\\n\", sin(a) + 7 * sin(b)^2 + 0.1 * c^4 * sin(a) }'\n";

#[test]
#[cfg(unix)]
fn a_stopped_job_goes_on_where_it_was() {
    let folder = folder("sobol-resume");
    program(&folder, "model", COUNTED);
    let job = |calls: usize, more: &str| {
        format!(
            "quadrat estimate sobol --problem problem.toml --command \"./model {{x1}} {{x2}} {{x3}}\" --calls {calls} \
             --seed 1 --json {more}"
        )
    };
    let made = || folder.read("made").lines().count();
    let whole = folder.json(&job(200, ""));
    assert_eq!((made(), &whole["runs"]["file"]), (200, &serde_json::Value::Null));

    // What a kill in the middle of a line leaves.
    let first = folder.json(&job(200, "--runs runs.jsonl"));
    assert_eq!((made(), &first["outputs"]), (400, &whole["outputs"]));
    let text = folder.read("runs.jsonl");
    assert_eq!(text.lines().count(), 201);
    let kept = text.lines().take(121).map(|line| format!("{line}\n")).collect::<String>();
    folder.write("runs.jsonl", &format!("{kept}{}", &text.lines().nth(121).unwrap()[..20]));
    let second = folder.json(&job(200, "--runs runs.jsonl"));
    assert_eq!((&second["runs"]["made"], &second["runs"]["found"]), (&80.into(), &120.into()));
    assert_eq!((made(), &second["outputs"]), (480, &whole["outputs"]));

    // More calls begin with the same points.
    let third = folder.json(&job(400, "--runs runs.jsonl"));
    assert_eq!((&third["runs"]["made"], &third["runs"]["found"]), (&200.into(), &200.into()));
    let said = folder.ok(&job(400, "--runs runs.jsonl").replace("--json", ""));
    assert!(said.contains("0 runs made now; 400 runs were there already"), "{said}");
    assert_eq!(made(), 680);

    let other = folder.fails(
        "quadrat estimate sobol --problem problem.toml --command \"./other {x1} {x2} {x3}\" --calls 200 --runs runs.jsonl",
    );
    assert!(other.contains("runs of `./model") && other.contains("never mixed"), "{other}");
    folder.write("table.csv", "a,b\n1,2\n");
    let table = folder.fails(&job(200, "--runs table.csv"));
    assert!(table.contains("no file of runs"), "{table}");
    assert_eq!(folder.read("table.csv"), "a,b\n1,2\n");
}

/// Runs that fail are tried again where that is asked for, in the same job or in a later one.
#[test]
#[cfg(unix)]
fn failed_runs_are_tried_again() {
    let folder = folder("sobol-retries");
    // Every point with x1 above 2 fails once: 18% of them.
    program(
        &folder,
        "model",
        "#!/bin/sh\ncase $1 in 2.*|3.*) if ! test -e \"seen/$1,$2,$3\"; then\n\
         mkdir -p seen; : > \"seen/$1,$2,$3\"; echo no licence >&2; exit 7\nfi;; esac\necho $1\n",
    );
    let job = |more: &str| {
        format!(
            "quadrat estimate sobol --problem problem.toml --command \"./model {{x1}} {{x2}} {{x3}}\" --calls 200 --seed 1 \
             --json {more}"
        )
    };
    let first = folder.run(&job("--runs runs.jsonl"));
    let warnings = String::from_utf8(first.stderr).unwrap();
    let first: serde_json::Value = serde_json::from_slice(&first.stdout).unwrap();
    let failed = first["runs"]["failed"].as_u64().unwrap();
    assert!(failed > 10 && first["base_points_left_out"].as_u64().unwrap() > 2, "{first}");
    assert!(warnings.contains(&format!("{failed} of 200 points")) && warnings.contains("no licence"), "{warnings}");
    // Without --retries a failure stays one.
    let again = folder.json(&job("--runs runs.jsonl"));
    assert_eq!((&again["runs"]["made"], &again["runs"]["failed"]), (&0.into(), &failed.into()));
    let tried = folder.json(&job("--runs runs.jsonl --retries 1"));
    assert_eq!((&tried["runs"]["made"], &tried["runs"]["failed"]), (&failed.into(), &0.into()));
    assert_eq!(tried["base_points_left_out"], 0);

    std::fs::remove_dir_all(folder.path("seen")).unwrap();
    let at_once = folder.json(&job("--retries 1"));
    assert_eq!(at_once["runs"]["made"].as_u64(), Some(200 + failed));
    assert_eq!(at_once["outputs"], tried["outputs"]);
}

/// A run that hangs is ended with all that it has started, and has failed.
#[test]
#[cfg(unix)]
fn slow_runs_are_ended() {
    let folder = folder("sobol-timeout");
    // Of the 64 values of x1 in A, as of those in B, one at least is above 3.05.
    program(&folder, "model", "#!/bin/sh\ncase $1 in 3.*) sleep 600 & echo $! >> slow; wait;; esac\necho $1\n");
    let line = "quadrat estimate sobol --problem problem.toml --command \"./model {x1} {x2} {x3}\" --calls 320 --threads 8 \
                --timeout 4 --json";
    let said = folder.json(line);
    let ids = folder.read("slow");
    assert_eq!(said["runs"]["failed"].as_u64(), Some(ids.lines().count() as u64), "{said}");
    assert!(said["warnings"][0].as_str().unwrap().contains("no answer within 4 s"), "{said}");
    if cfg!(target_os = "linux") {
        for id in ids.lines() {
            // Gone, or dead and not yet collected.
            let state = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
            let state = state.rsplit(") ").next().and_then(|rest| rest.chars().next());
            assert!(matches!(state, None | Some('Z' | 'X')), "{id}: {state:?}");
        }
    }
    for wrong in ["0", "-1", "nan", "never"] {
        folder.fails(&line.replace("--timeout 4", &format!("--timeout={wrong}")));
    }
}

#[test]
fn orders_groups_and_scrambles_go_through_files() {
    let folder = folder("sobol-orders");
    let rows = |order: &str, more: &str| {
        folder.ok(&format!(
            "quadrat estimate sobol --problem problem.toml --calls 8192 --order {order} {more} --write-design points.csv"
        ));
        folder.write("results.csv", &with_results(&folder.read("points.csv")).join("\n"));
        folder.json(&format!(
            "quadrat estimate sobol --problem problem.toml --read-results results.csv --order {order} {more} --json"
        ))
    };
    for (order, firsts, totals, seconds) in [("first", 3, 0, 0), ("total", 0, 3, 0), ("second", 3, 3, 3)] {
        let said = rows(order, "");
        let output = &said["outputs"][0];
        let count = |key: &str| output[key].as_array().map_or(0, Vec::len);
        assert_eq!((count("first"), count("total"), count("second")), (firsts, totals, seconds), "{order}");
    }
    // Student's t with 7 degrees of freedom is beyond once in 700,000 seeds.
    const FAR: f64 = 15.0;
    let pair = &rows("second", "--scrambles 8")["outputs"][0]["second"][1];
    assert_eq!((&pair["name"], &pair["with"]), (&"x1".into(), &"x3".into()));
    assert!((pair["value"].as_f64().unwrap() - TOTAL[2]).abs() < FAR * pair["se"].as_f64().unwrap(), "{pair}");
    let refused =
        folder.fails("quadrat estimate sobol --problem problem.toml --read-results results.csv --order total");
    assert!(refused.contains("--order second"), "{refused}");

    let grouped = PROBLEM.replacen("max = 3.141592653589793", "max = 3.141592653589793\ngroup = \"g\"", 2);
    folder.write("problem.toml", &grouped);
    let said = rows("both", "");
    let first = said["outputs"][0]["first"].as_array().unwrap();
    assert_eq!(first.iter().map(|index| index["name"].as_str().unwrap()).collect::<Vec<_>>(), ["g", "x3"]);
    let group = first[0]["value"].as_f64().unwrap();
    assert!((group - FIRST[0] - FIRST[1]).abs() < 6.0 * first[0]["se"].as_f64().unwrap(), "{first:?}");
}

/// Results that slipped by a row give indices that cannot be.
#[test]
fn outputs_in_the_wrong_order_are_named() {
    let folder = folder("sobol-slipped");
    folder.ok("quadrat estimate sobol --problem problem.toml --calls 2560 --write-design points.csv");
    let rows = with_results(&folder.read("points.csv"));
    let cut: Vec<(&str, &str)> = rows.iter().map(|row| row.rsplit_once(',').unwrap()).collect();
    let slipped = |i: usize| match i {
        0 => rows[0].clone(),
        i => format!("{},{}", cut[i].0, cut[1 + i % (rows.len() - 1)].1),
    };
    folder.write("slipped.csv", &(0..rows.len()).map(slipped).collect::<Vec<_>>().join("\n"));
    let said = folder.json("quadrat estimate sobol --problem problem.toml --read-results slipped.csv --json");
    let warnings = said["warnings"].to_string();
    assert!(warnings.contains("this cannot be") && warnings.contains("order of the outputs"), "{warnings}");
}
