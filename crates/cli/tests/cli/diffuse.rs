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
        ("--method ddim --rows 3", "feynman-kac, svdd or minority-guidance"),
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
        ("--in points.csv --rows 5 --class setosa", "--class"),
        ("--rows 5", "--in"),
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

#[test]
fn a_model_is_trained_and_drawn_from() {
    let folder = points("diffuse-train");
    let line = "quadrat diffuse train --in points.csv --classes class --out model/ --epochs 200 --rate 0.003 --hidden 32,32 --report \
                report.html --json";
    let told = folder.json(line);
    assert_eq!(
        (&told["rows"], &told["epochs"], told["classes"].as_array().unwrap().len()),
        (&150.into(), &200.into(), 3)
    );
    assert!(folder.read("report.html").contains("Samples"));
    assert!(folder.fails(line).contains("model"), "a folder that is there is not written over");
    let draw = "quadrat diffuse sample --model model/ --solver dpmpp-2m --steps 10 --rows 200 --seed 1 --out samples.csv --json";
    assert_eq!(folder.json(draw)["calls"], 10);
    let drawn = folder.read("samples.csv");
    assert_eq!((drawn.lines().count(), drawn.lines().next().unwrap().split(',').count()), (201, 4));
    folder.json(&format!("{draw} --threads 1"));
    assert_eq!(folder.read("samples.csv"), drawn, "the same seed, the same bytes at one thread");
    // Petals of setosa are 1.46 long on average, those of virginica 5.55.
    let petals = |class: &str| {
        folder.json(&format!("quadrat diffuse sample --model model/ --class {class} --rows 100 --out c.csv --json"));
        let third = |line: &str| line.split(',').nth(2).unwrap().parse::<f64>().unwrap();
        folder.read("c.csv").lines().skip(1).map(third).sum::<f64>() / 100.0
    };
    assert!(petals("setosa") + 2.0 < petals("virginica"));
    folder.json("quadrat diffuse search --model model/ --calls 4 --evaluations 60 --noises 16 --out plan.json --json");
    let told = folder.json("quadrat diffuse sample --model model/ --plan plan.json --rows 10 --out s.csv --json");
    assert_eq!(told["calls"], 4);
    let told = folder
        .json("quadrat diffuse sample --in points.csv --model model/ --rows 10 --out s.jsonl --report s.html --json");
    assert_eq!(told["input_rows"], 150);
    folder.json("quadrat diffuse sample --model model/ --method feynman-kac --power 2 --particles 64 --steps 20 --out c.csv --json");
    folder.write("other.csv", "a,b\n1,2\n2,3\n");
    for (line, part) in [
        ("sample --model model/ --class rose --rows 3", "setosa"),
        ("sample --model model/ --in other.csv --rows 3", "sepal"),
        ("train --in points.csv --out m2 --model unet", "unet"),
        ("train --in points.csv --out m2 --epochs 0", "epochs"),
        ("train --in points.csv --out m2 --hidden 0", "unit"),
        ("train --in points.csv --out m2 --classes", "column"),
        ("train --out m2", "--in"),
    ] {
        let error = folder.fails(&format!("quadrat diffuse {line}"));
        assert!(error.contains(part), "{line}: {error}");
    }
}

#[test]
fn noisy_rows_and_images_are_learnt_from() {
    let folder = Folder::new("diffuse-noisy");
    let rows: String =
        (0..200).map(|i| format!("{},{},{}\n", f64::from(i % 20) / 4.0, i % 7, if i < 20 { 0 } else { 1 })).collect();
    folder.write("noisy.csv", &format!("a,b,sigma\n{rows}"));
    let train = "quadrat diffuse train --in noisy.csv --noise-column sigma --method ambient --out model/ --epochs 5 --hidden 16 --json";
    let told = folder.json(train);
    assert_eq!((&told["method"], &told["rows"]), (&"ambient-mixed-noise".into(), &200.into()));
    assert!(folder.fails("quadrat diffuse train --in noisy.csv --noise-column sigma --out m2").contains("ambient"));
    let told = folder.json(
        "quadrat diffuse train --images builtin:digits --classes --model unet --hidden 16 --epochs 1 --batch 256 --out images/ \
         --report r.html --json",
    );
    assert_eq!((&told["rows"], told["classes"].as_array().unwrap().len()), (&1797.into(), 10));
    assert!(folder.read("r.html").contains("data:image/png;base64,"));
    folder.json(
        "quadrat diffuse sample --model images/ --class 3 --rows 4 --steps 3 --out drawn/ --report s.html --json",
    );
    assert_eq!(std::fs::read_dir(folder.path("drawn")).unwrap().count(), 4);
    folder.json("quadrat diffuse sample --model images/ --rows 4 --steps 3 --out drawn.npz --json");
    assert!(folder.fails("quadrat diffuse train --images builtin:iris --out m2").contains("digits"));
}

#[test]
fn rare_rows_are_scored_and_drawn() {
    let folder = points("diffuse-rare");
    folder.write("odd.csv", &(folder.read("points.csv") + "9.5,1.0,0.5,4.0,virginica\n"));
    let line = "quadrat diffuse score --in odd.csv --method minority-guidance --out scored.csv --report s.html --json";
    let told = folder.json(line);
    assert_eq!((&told["rows"], &told["rarest"][0]), (&151.into(), &152.into()));
    let scored = folder.read("scored.csv");
    assert!(scored.lines().next().unwrap().ends_with(",minority_score"));
    assert_eq!(
        (folder.json(&format!("{line} --threads 1"))["rows"].clone(), folder.read("scored.csv")),
        (151.into(), scored)
    );
    folder.json("quadrat diffuse train --in points.csv --out model/ --epochs 20 --hidden 32,32 --json");
    let told = folder.json(
        "quadrat diffuse sample --model model/ --method minority-guidance:epochs=2 --class rarest --weight 3 --rows 50 --steps 20 \
         --out rare.csv --json",
    );
    assert_eq!((&told["class"], &told["rows"]), (&10.into(), &50.into()));
    folder.json("quadrat diffuse score --in points.csv --model model/ --json");
    for (line, part) in [
        ("score --in points.csv --method lof", "minority-guidance"),
        ("score --model model/", "--in"),
        ("score --in points.csv --method minority-guidance:abar=2", "abar"),
        ("sample --model model/ --method minority-guidance --class 11 --rows 3", "1 to 10"),
        ("sample --model model/ --weight 3 --rows 3", "minority-guidance"),
    ] {
        let error = folder.fails(&format!("quadrat diffuse {line}"));
        assert!(error.contains(part), "{line}: {error}");
    }
}

/// The length of a petal follows from its width, but for 0.48: what is restored must miss by less than a length of unknown width, 1.77.
#[test]
fn rows_are_restored_from_a_start_that_was_chosen_once() {
    let folder = points("diffuse-restore");
    folder.ok(
        "quadrat diffuse train --in points.csv --features petal_length --conditions petal_width --out told/ --epochs 300 --hidden 32,32 \
         --rate 0.003",
    );
    let rows = folder.read("points.csv");
    let widths: String = rows.lines().map(|line| format!("{}\n", line.splitn(4, ',').last().unwrap())).collect();
    folder.write("widths.csv", &widths);
    let line = "quadrat diffuse restore --model told/ --in widths.csv --start start.json --out";
    let told = folder.json(&format!(
        "{line} one.csv --pairs points.csv --method optimal-boundary-conditions:candidates=32,strategy=halving --json"
    ));
    assert_eq!((&told["restored"], &told["calls"]), (&serde_json::json!(["petal_length"]), &5.into()));
    folder.ok(&format!("{line} two.csv"));
    let lines = folder.read("one.csv");
    assert_eq!(lines, folder.read("two.csv"), "the same start");
    assert!(lines.starts_with("petal_width,class,petal_length\n"), "columns travel through: {lines}");
    let column = |text: &str, j: usize| -> Vec<f64> {
        text.lines().skip(1).map(|line| line.split(',').nth(j).unwrap().parse().unwrap()).collect()
    };
    let (found, truth) = (column(&lines, 2), column(&rows, 2));
    let error = found.iter().zip(&truth).map(|(a, b)| (a - b).powi(2)).sum::<f64>() / truth.len() as f64;
    assert!(error.sqrt() < 1.0, "{}", error.sqrt());
    for (line, part) in [
        ("restore --model told/ --in widths.csv", "--pairs"),
        ("restore --model told/ --in widths.csv --pairs widths.csv", "petal_length"),
        ("restore --model told/ --in points.csv --start start.json --out out.csv", "petal_length"),
        ("restore --model told/ --in widths.csv --start widths.csv", "start"),
        ("restore --model told/ --in widths.csv --pairs points.csv --solver ddpm", "draws noise"),
        ("train --in points.csv --conditions nothing --out other/", "nothing"),
        ("train --in points.csv --features petal_width --conditions petal_width --out other/", "all columns"),
    ] {
        let error = folder.fails(&format!("quadrat diffuse {line}"));
        assert!(error.contains(part), "{line}: {error}");
    }
}

#[test]
fn a_model_is_fine_tuned_for_its_plan() {
    let folder = points("diffuse-finetune");
    folder.json("quadrat diffuse train --in points.csv --out model/ --epochs 20 --hidden 32,32 --json");
    let told = folder.json(
        "quadrat diffuse finetune --model model/ --method mmd:iterations=10,every=5,batch=32 --steps 3 --in points.csv --out fast/ \
         --report f.html --json",
    );
    assert_eq!((&told["method"], &told["calls"]), (&"mmd-finetuning".into(), &3.into()));
    let told = folder.json("quadrat diffuse sample --model fast/ --rows 20 --out s.csv --json");
    assert_eq!(told["calls"], 3);
    let error = folder.fails("quadrat diffuse sample --model fast/ --steps 10 --rows 20");
    assert!(error.contains("fine-tuned"), "{error}");
    for line in
        ["search --model fast/", "sample --model fast/ --method feynman-kac", "score --model fast/ --in points.csv"]
    {
        let error = folder.fails(&format!("quadrat diffuse {line}"));
        assert!(error.contains("fine-tuned"), "{line}: {error}");
    }
}

#[test]
fn measurements_are_solved() {
    let folder = points("diffuse-solve");
    folder.write("seen.csv", "petal_length\n1.4\n5.5\n");
    let line = "quadrat diffuse solve --in points.csv --model kernel:0.3 --operator mask:petal_length --measured seen.csv --noise 0.1 \
                --method covariance --draws 20 --out solved.csv --json";
    let told = folder.json(line);
    assert_eq!((&told["measurements"], &told["draws"]), (&2.into(), &20.into()));
    // Petals of 1.4 are of setosa, 0.2 wide; those of 5.5 are 2.0 wide.
    let rows: Vec<Vec<f64>> =
        folder.read("solved.csv").lines().skip(1).map(|l| l.split(',').map(|v| v.parse().unwrap()).collect()).collect();
    let mean = |which: f64| {
        let widths: Vec<f64> = rows.iter().filter(|row| row[4] == which).map(|row| row[3]).collect();
        widths.iter().sum::<f64>() / widths.len() as f64
    };
    assert!((mean(0.0) - 0.25).abs() < 0.3 && (mean(1.0) - 2.0).abs() < 0.4, "{} {}", mean(0.0), mean(1.0));
    for method in ["stsl:inner=2", "dps:zeta=0.3", "psld", "none"] {
        folder.json(&line.replace("covariance", method).replace("--draws 20", "--draws 2 --steps 10"));
    }
    for (change, part) in [
        ("mask:petal", "petal_length"),
        ("downsample:2", "mask"),
        ("nothing", "matrix"),
        ("mask:petal_length,petal_width", "2 numbers"),
    ] {
        let error = folder.fails(&line.replace("mask:petal_length", change));
        assert!(error.contains(part), "{change}: {error}");
    }
    assert!(folder.fails(&line.replace("0.1", "0")).contains("noise"));
    assert!(folder.fails(&line.replace("covariance", "ddrm")).contains("stsl"));
}
