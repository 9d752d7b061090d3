//! `quadrat allocate`.

use crate::common::{Folder, Numbers};

/// Six sources and a target in columns a to e; the price of the target is made like that of `north` and `pier`.
fn sales(price: impl Fn(f64) -> String) -> String {
    let mut numbers = Numbers::new(7);
    let mut text = String::from("id,borough,a,b,c,d,e,price\n");
    let weights = [
        ("north", [2.0, 0.0, 1.0, 0.0, 0.0]),
        ("south", [0.0, 1.0, 0.0, 1.0, 0.0]),
        ("pier", [0.0, -2.0, 1.0, 0.0, 0.0]),
        ("hill", [0.5, 0.5, 0.0, 0.0, 0.0]),
        ("mill", [0.0, 0.0, 0.0, 1.0, 1.0]),
        ("5", [0.0, 0.0, 0.2, 0.0, 1.0]),
        ("harbour", [1.0, -1.0, 1.0, 0.0, 0.0]),
    ];
    for (borough, w) in weights {
        for i in 0..if borough == "harbour" { 40 } else { 60 } {
            let x: Vec<f64> = w.iter().map(|_| 2.0 * numbers.next() - 1.0).collect();
            let y: f64 = x.iter().zip(w).map(|(x, w)| x * w).sum::<f64>() + 0.1 * (numbers.next() - 0.5);
            let x: Vec<String> = x.iter().map(|x| format!("{x:.4}")).collect();
            text.push_str(&format!("{borough}-{i},{borough},{},{}\n", x.join(","), price(y)));
        }
    }
    text
}

const LINE: &str = "quadrat allocate --in sales.csv --task borough --target-task harbour --target price --rank 4";

#[test]
fn a_plan_buys_where_the_target_is_made_of() {
    let folder = Folder::new("allocate");
    folder.write("sales.csv", &sales(|y| format!("{y:.4}")));
    let said = folder.ok(&format!("{LINE} --budget 2000 --out plan.csv"));
    assert!(said.contains("2,000 rows from") && said.contains("north") && said.contains("wrote plan.csv"), "{said}");
    let plan = folder.read("plan.csv");
    let mut lines = plan.lines();
    assert_eq!(lines.next(), Some("task,rows,relevance,buy"));
    let rows: Vec<Vec<&str>> = lines.map(|line| line.split(',').collect()).collect();
    assert_eq!(rows.iter().map(|row| row[0]).collect::<Vec<_>>(), ["5", "hill", "mill", "north", "pier", "south"]);
    let bought: Vec<usize> = rows.iter().map(|row| row[3].parse().unwrap()).collect();
    assert_eq!(bought.iter().sum::<usize>(), 2000);
    assert!(bought[3] > 600 && bought[4] > 600, "{plan}");
    assert!(rows.iter().all(|row| row[1] == "60" && (row[2] == "0.0") == (row[3] == "0")), "{plan}");

    let json =
        folder.json(&format!("{LINE} --budget 100 --max-tasks 2 --features a,b,c,d,e --json --out plan.parquet"));
    assert_eq!((&json["target_rows"], &json["rank"], &json["buy"]), (&40.into(), &4.into(), &100.into()));
    let used: Vec<&str> = json["sources"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|s| s["buy"] != 0)
        .map(|s| s["task"].as_str().unwrap())
        .collect();
    assert_eq!(used, ["north", "pier"]);
    assert!(json["unexplained"].as_f64().unwrap() < 0.2, "{json}");
    assert_eq!(folder.json("quadrat data show plan.parquet --json")["rows"], 6);
    let again = |threads| folder.json(&format!("{LINE} --budget 100 --lambda cv --seed 3 --threads {threads} --json"));
    assert_eq!(again(1), again(2));
}

#[test]
fn rules_costs_and_floors() {
    let folder = Folder::new("allocate-rules");
    folder.write("sales.csv", &sales(|y| format!("{y:.4}")));
    folder.write("costs.csv", "borough,cost\nnorth,4\nsouth,1\npier,1\nhill,1\nmill,1\n5,1\nelsewhere,9\n");
    let buys = |more: &str| -> Vec<u64> {
        let said = folder.json(&format!("{LINE} --budget 600 --json {more}"));
        said["sources"].as_array().unwrap().iter().map(|s| s["buy"].as_u64().unwrap()).collect()
    };
    assert_eq!(buys("--rule uniform"), [100; 6]);
    let l2 = buys("--rule l2");
    assert!(l2.iter().sum::<u64>() == 600 && l2[3].min(l2[4]) > *l2[..3].iter().max().unwrap(), "{l2:?}");
    assert!(buys("--min-rows 50").iter().all(|rows| *rows >= 50));
    let with_costs = buys("--costs costs.csv");
    let spent = 3 * with_costs[3] + with_costs.iter().sum::<u64>();
    assert!((594..=600).contains(&spent) && with_costs[3] < with_costs[4], "{with_costs:?}");

    let said = folder.run(&format!("{LINE} --budget 600 --lambda 1 --json"));
    assert!(String::from_utf8_lossy(&said.stderr).contains("no source was found relevant"));
    let said: serde_json::Value = serde_json::from_slice(&said.stdout).unwrap();
    assert!(said["nothing_found"] == true && said["sources"][4]["buy"] == 100, "{said}");
}

#[test]
fn two_classes_and_ready_heads() {
    let folder = Folder::new("allocate-heads");
    folder.write("sales.csv", &sales(|y| (if y > 0.0 { "dear" } else { "cheap" }).to_owned()));
    let said = folder.json(&format!("{LINE} --budget 100 --max-tasks 2 --json"));
    assert!(said["sources"][3]["buy"].as_u64().unwrap() + said["sources"][4]["buy"].as_u64().unwrap() == 100, "{said}");

    folder.write("heads.csv", "task,h1,h2\nmine,1.6,1.2\na,1,0\nb,0,1\nc,0.8,0.6\nd,0.6,-0.8\n");
    let line = "quadrat allocate --heads heads.csv --task task --target-task mine --budget 100 --out plan.csv";
    assert!(folder.ok(line).contains("100 rows from 1 of 4 source tasks"));
    assert_eq!(folder.read("plan.csv").lines().nth(3), Some("c,2.0,100"));
    let older = folder.json(&format!("{line} --rule l2 --json"));
    let rows: Vec<u64> = older["sources"].as_array().unwrap().iter().map(|s| s["buy"].as_u64().unwrap()).collect();
    assert_eq!(rows, [32, 18, 50, 0]);
}

#[test]
fn what_goes_wrong_leaves_nothing_behind() {
    let folder = Folder::new("allocate-errors");
    folder.write("sales.csv", &sales(|y| format!("{y:.4}")));
    folder.write("costs.csv", "borough,cost\nnorth,4\n");
    folder.write("heads.csv", "task,h1\nmine,1\nmine,2\n");
    folder.write("one.csv", "borough,a,price\nharbour,1,2\nharbour,2,3\n");
    for (line, parts) in [
        (format!("{LINE} --budget 0 --out o.csv"), vec!["budget: got 0"]),
        (format!("{LINE} --budget 9 --min-rows 2 --out o.csv"), vec!["budget: got 9", "12"]),
        (format!("{LINE} --budget 9 --lambda -2 --out o.csv"), vec!["lambda", "`cv`"]),
        (format!("{LINE} --budget 9 --max-tasks 0 --out o.csv"), vec!["max-tasks: got `0`", "at least 1"]),
        (format!("{LINE} --budget 9 --rule uniform --max-tasks 2 --out o.csv"), vec!["ranks no task"]),
        (format!("{LINE} --budget 9 --costs costs.csv --out o.csv"), vec!["task `5`", "no cost"]),
        (format!("{LINE} --budget 9 --ridge -1 --out o.csv"), vec!["ridge: got `-1`", "at least 0"]),
        (format!("{LINE} --budget 9 --features id --out o.csv"), vec!["column `id`", "numeric"]),
        (format!("{LINE} --budget 9 --out o.pdf"), vec!["o.pdf"]),
        (LINE.replace("--rank 4", "--rank 6 --budget 9 --out o.csv"), vec!["rank: got 6", "1 to 5"]),
        (LINE.replace("harbour", "harbor") + " --budget 9 --out o.csv", vec!["`harbor`", "`harbour`"]),
        (LINE.replace("price", "id") + " --budget 9 --out o.csv", vec!["`id`", "classes"]),
        (LINE.replace("sales.csv", "one.csv") + " --budget 9 --out o.csv", vec!["only rows of `harbour`"]),
        (
            "quadrat allocate --heads heads.csv --task task --target-task mine --budget 9 --out o.csv".to_owned(),
            vec!["a task twice"],
        ),
        (
            "quadrat select --in sales.csv --method lasso-mtrl --budget 5 --out o.csv".to_owned(),
            vec!["quadrat allocate"],
        ),
    ] {
        let message = folder.fails(&line);
        assert!(parts.iter().all(|part| message.contains(part)), "{line}\n{message}");
    }
}
