//! `quadrat diffuse`: rows from noise, solvers that are searched and certified.

use crate::common::Folder;

fn points(name: &str) -> Folder {
    let folder = Folder::new(name);
    folder.ok("quadrat data convert --in builtin:iris --out points.csv");
    folder
}

#[test]
fn rows_are_drawn_without_training() {
    let folder = points("diffuse-rows");
    let line = "quadrat diffuse sample --in points.csv --model kernel:0.2 --solver unipc --steps 8 --rows 1000 --out samples.csv --json";
    let told = folder.json(line);
    assert_eq!((&told["rows"], &told["calls"], &told["kernel_width"]), (&1000.into(), &8.into(), &0.2.into()));
    let drawn = folder.read("samples.csv");
    assert_eq!(drawn.lines().count(), 1001);
    assert_eq!(folder.json(&format!("{line} --threads 1"))["rows"], told["rows"]);
    assert_eq!(folder.read("samples.csv"), drawn, "the same seed, the same bytes at one thread");
    // Columns keep their means: 5.84 is that of the first, its deviation 0.83; five standard errors of 1,000 rows.
    let first = |line: &str| line.split(',').next().unwrap().parse::<f64>().unwrap();
    let mean = drawn.lines().skip(1).map(first).sum::<f64>() / 1000.0;
    assert!((mean - 5.843).abs() < 5.0 * 0.85 / 1000f64.sqrt(), "{mean}");
}

#[test]
fn draws_are_steered() {
    let folder = points("diffuse-steered");
    let told = folder.json(
        "quadrat diffuse sample --in points.csv --model kernel:0.3 --method feynman-kac --power 2 --particles 256 --steps 50 \
         --out cold.csv --json",
    );
    assert_eq!((&told["rows"], &told["method"]), (&256.into(), &"feynman-kac-correctors".into()));
    assert!(folder.read("cold.csv").lines().next().unwrap().ends_with("weight"));
    let told = folder.json(
        "quadrat diffuse sample --in points.csv --model kernel:0.3 --method feynman-kac --particles 256 --steps 50 --rows 20 --json",
    );
    assert_eq!(told["rows"], 20);
    if cfg!(unix) {
        // The reward: a petal that is long.
        folder.write(
            "reward.sh",
            "while read -r line; do echo \"$line\" | sed 's/.*\"petal_length\":\\([-0-9.e]*\\).*/\\1/'; done",
        );
        let line = "quadrat diffuse sample --in points.csv --model kernel:0.3 --method svdd --reward \"sh reward.sh\" --rows 4 \
                    --steps 6 --candidates 3 --out good.csv --json";
        let told = folder.json(line);
        // The mean of all is 3.8, of the longest third 5.6.
        assert!(told["mean_reward"].as_f64().unwrap() > 4.5, "{told}");
        let drawn = folder.read("good.csv");
        folder.json(line);
        assert_eq!(folder.read("good.csv"), drawn);
        for (reward, part) in [("sh -c 'exit 3'", "--reward"), ("sh -c 'while read -r l; do echo no; done'", "`no`")] {
            let line = format!(
                "quadrat diffuse sample --in points.csv --method svdd --reward \"{reward}\" --rows 2 --steps 3"
            );
            let error = folder.fails(&line);
            assert!(error.contains(part), "{error}");
        }
    }
    for (options, part) in [
        ("--method svdd --rows 3", "--reward"),
        ("--method feynman-kac --power 0", "above 0"),
        ("--method feynman-kac --reward ./x", "--method svdd"),
        ("--method ddim --rows 3", "feynman-kac or svdd"),
        ("--power 2 --rows 3", "--method feynman-kac"),
        ("--method svdd --reward ./x --rows 3 --solver ddim", "--solver"),
        ("--json", "how many rows"),
    ] {
        let error = folder.fails(&format!("quadrat diffuse sample --in points.csv {options}"));
        assert!(error.contains(part), "{options}: {error}");
    }
}

#[test]
fn a_searched_plan_is_drawn_with() {
    let folder = points("diffuse-plan");
    let told = folder.json(
        "quadrat diffuse search --in points.csv --model kernel:0.2 --calls 4 --evaluations 100 --noises 16 --out plan.json \
         --report search.html --json",
    );
    assert_eq!(told["calls"], 4);
    assert!(told["error"].as_f64().unwrap() <= told["best_named_error"].as_f64().unwrap());
    assert!(folder.read("search.html").contains("The plan"));
    let drawn = folder.json(
        "quadrat diffuse sample --in points.csv --model kernel:0.2 --plan plan.json --rows 10 --out s.csv --json",
    );
    assert_eq!(drawn["calls"], 4);
    let error =
        folder.fails("quadrat diffuse sample --in points.csv --plan plan.json --schedule cosine --rows 10 --out s.csv");
    assert!(error.contains("--schedule"), "{error}");
    folder.write("broken.json", "{\"times\": [1, 0]}");
    let error = folder.fails("quadrat diffuse sample --in points.csv --plan broken.json --rows 10 --out s.csv");
    assert!(error.contains("broken.json"), "{error}");
}

#[test]
fn solvers_are_certified() {
    let folder = Folder::new("diffuse-certify");
    let told = folder.json("quadrat diffuse certify --solver dpmpp-3m --json");
    assert_eq!(told["certified"], true);
    assert_eq!(told["items"].as_array().unwrap().len(), 3);
}

#[test]
fn what_cannot_be_drawn_is_refused() {
    let folder = points("diffuse-refused");
    folder.write("words.csv", "a\nx\ny\n");
    folder.write("one.csv", "a,b\n1,2\n");
    for (options, part) in [
        ("--in points.csv --rows 0", "at least 1"),
        ("--in points.csv --rows 5 --steps 0", "at least 1"),
        ("--in points.csv --rows 5 --model kernel:0", "above 0"),
        ("--in points.csv --rows 5 --model kernel:x", "kernel:WIDTH"),
        ("--in points.csv --rows 5 --model net/", "kernel:WIDTH"),
        ("--in points.csv --rows 5 --solver euler-x", "euler-x"),
        ("--in points.csv --rows 5 --plan none.json", "none.json"),
        ("--in points.csv --rows 5 --plan p.json --solver ddim", "--plan"),
        ("--in words.csv --rows 5", "no numeric column"),
        ("--in points.csv --rows 5 --features petal", "petal"),
    ] {
        let error = folder.fails(&format!("quadrat diffuse sample {options}"));
        assert!(error.contains(part), "{options}: {error}");
    }
    // One row is all there is to draw: a normal around it of no width of its own.
    let told = folder.json("quadrat diffuse sample --in one.csv --rows 3 --out three.csv --json");
    assert_eq!(told["rows"], 3);
    assert_eq!(folder.read("three.csv").lines().nth(1), Some("1,2"));
    let error = folder.fails("quadrat diffuse search --in points.csv --calls 0");
    assert!(error.contains("calls"), "{error}");
    let error = folder.fails("quadrat diffuse search --in points.csv --noises 0");
    assert!(error.contains("--noises"), "{error}");
}
