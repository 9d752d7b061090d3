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
    folder.write("model", MODEL);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(folder.path("model"), std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    folder
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
fn failures_name_the_point_and_leave_no_file() {
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
        ("printf 'nan {x1} {x2} {x3}'", "print one finite number"),
    ] {
        let message = with(command, "");
        assert!(
            message.contains("x1 = ") && message.contains("x3 = ") && message.contains(part),
            "{command}: {message}"
        );
    }
    assert!(with("./model {x1} {x2}", "").contains("`x3`"));
    assert!(with("true {x1} {x2} {x3} && echo 4", "").contains("the output is 4 at every point"));
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
