//! `estimate pretrain-plan`.

use crate::common::{Folder, Numbers};

/// Ten columns behind which stand two factors; `y` is their sum with a little noise.
fn factors_csv(rows: usize, seed: u64, with_y: bool) -> String {
    let mut numbers = Numbers::new(seed);
    let mut centred = || 2.0 * numbers.next() - 1.0;
    let names: Vec<String> = (0..10).map(|j| format!("x{j}")).collect();
    let mut text = format!("name,{}{}\n", names.join(","), if with_y { ",y" } else { "" });
    for i in 0..rows {
        let (a, b) = (centred(), centred());
        let loading = |j: usize| (j as f64 + 1.0).sin_cos();
        let cells: Vec<String> =
            (0..10).map(|j| format!("{:.6}", 5.0 * (loading(j).0 * a + loading(j).1 * b) + 1.5 * centred())).collect();
        text.push_str(&format!("r{i},{}", cells.join(",")));
        if with_y {
            text.push_str(&format!(",{:.6}", a + b + 0.2 * centred()));
        }
        text.push('\n');
    }
    text
}

/// Two clouds in four columns; the class names the cloud.
fn clouds_csv(rows: usize, seed: u64, with_class: bool) -> String {
    let mut numbers = Numbers::new(seed);
    let mut text = format!("a,b,c,d{}\n", if with_class { ",kind" } else { "" });
    for _ in 0..rows {
        let far = numbers.next() < 0.5;
        let shift = if far { 0.8 } else { 0.0 };
        let cells: Vec<String> = (0..4).map(|_| format!("{:.5}", numbers.next() + shift)).collect();
        text.push_str(&cells.join(","));
        text.push_str(if !with_class {
            "\n"
        } else if far {
            ",far\n"
        } else {
            ",near\n"
        });
    }
    text
}

#[test]
fn the_line_of_the_guide_works_and_repeats() {
    let folder = Folder::new("pretrain");
    folder.write("pool.csv", &factors_csv(400, 5, false));
    folder.write("few.csv", &factors_csv(40, 6, true));
    let line =
        "quadrat estimate pretrain-plan --unlabelled pool.csv --labelled few.csv --target y --report report.html";
    let said = folder.ok(line);
    assert!(
        said.contains("pretraining") && said.contains("break-even") && said.contains("wrote report.html"),
        "{said}"
    );
    let page = folder.read("report.html");
    assert!(page.contains("<svg") && page.contains("labels alone"));
    let found = folder.json(&format!("{line} --json"));
    assert_eq!((found["task"].as_str(), found["size"].as_u64()), (Some("regression"), Some(2)), "{found}");
    let pools = found["pretrained"].as_array().unwrap();
    let labels = found["labels"].as_array().unwrap();
    assert_eq!((pools.len(), labels.len()), (4, 4));
    assert_eq!((&pools[3]["unlabelled"], &labels[3]), (&400.into(), &28.into()));
    // Two factors account for nearly all of a variance of two thirds.
    assert!(pools[3]["risk"][3]["mean"].as_f64().unwrap() < 0.3, "{found}");
    assert!(pools[0]["gap"][0]["low"].is_number(), "{found}");
    assert_eq!(found["words"].as_array().unwrap().len(), 3);
    let again = folder.json(&format!("{line} --json --threads 1"));
    assert_eq!(again["pretrained"], found["pretrained"]);
    assert_ne!(folder.json(&format!("{line} --json --seed 1"))["pretrained"], found["pretrained"]);
    assert!(folder.ok("quadrat show pretrain-plan").contains("quadrat estimate"));
}

/// Three factors, one noise, loadings of unequal size: on standardised columns ppca by BIC takes nearly a factor a column and
/// advises against pretraining.
#[test]
fn columns_of_unequal_variance_do_not_mislead() {
    let folder = Folder::new("pretrain-unequal");
    let rows = |rows: usize, seed: u64| {
        let mut numbers = Numbers::new(seed);
        // Sums of four uniform numbers are near enough to normal ones.
        let mut normal = || (0..4).map(|_| numbers.next() - 0.5).sum::<f64>() * 3.0_f64.sqrt();
        let mut text = (0..30).map(|j| format!("x{j},")).collect::<String>() + "y\n";
        for _ in 0..rows {
            let z = [normal(), normal(), normal()];
            for j in 0..30 {
                let angle = j as f64;
                let loading = [angle.sin(), (1.7 * angle).cos(), (0.6 * angle + 1.0).sin()];
                let signal: f64 = z.iter().zip(loading).map(|(z, l)| z * l).sum();
                text.push_str(&format!("{:.5},", (0.2 + 0.15 * angle) * signal + 1.5 * normal()));
            }
            text.push_str(&format!("{:.5}\n", z.iter().sum::<f64>() + 0.5 * normal()));
        }
        text
    };
    folder.write("pool.csv", &rows(2000, 1));
    folder.write("few.csv", &rows(60, 2));
    let line = "quadrat estimate pretrain-plan --unlabelled pool.csv --labelled few.csv --target y --json";
    for (options, standardised) in
        [("", true), ("--representation ppca", false), ("--representation ppca --rank 3", false)]
    {
        let found = folder.json(&format!("{line} {options}"));
        assert_eq!((&found["size"], &found["standardised"]), (&3.into(), &standardised.into()), "{found}");
        let pool = found["pretrained"].as_array().unwrap().last().unwrap().clone();
        let risk = |risks: &serde_json::Value| risks.as_array().unwrap().last().unwrap()["mean"].as_f64().unwrap();
        assert!(risk(&pool["risk"]) < 0.9 * risk(&found["supervised_risk"]), "{options}: {found}");
        assert_eq!(found["words"].as_array().unwrap().len(), 3);
    }
    // Uncorrelated columns with units of their own: nothing for ppca to find, and it says so or finds little.
    let mut numbers = Numbers::new(7);
    let mut alone = |rows: usize| {
        let mut text = "a,b,c,d,e,f,y\n".to_owned();
        for _ in 0..rows {
            let cells: Vec<String> = (0..7).map(|j| format!("{:.5}", numbers.next() * 10.0_f64.powi(j))).collect();
            text.push_str(&(cells.join(",") + "\n"));
        }
        text
    };
    folder.write("pool.csv", &alone(600));
    folder.write("few.csv", &alone(60));
    let found = folder.json(&format!("{line} --representation ppca"));
    assert_eq!(found["standardised"], true, "units of their own must be taken out: {found}");
}

#[test]
fn every_representation_plans_classes() {
    let folder = Folder::new("pretrain-classes");
    folder.write("pool.csv", &clouds_csv(200, 1, true)); // its class column is not looked at
    folder.write("few.csv", &clouds_csv(40, 2, true));
    let line =
        "quadrat estimate pretrain-plan --unlabelled pool.csv --labelled few.csv --target kind --json --repeats 5";
    for (options, name) in [
        ("", "fa"),
        ("--representation ppca", "ppca"),
        ("--representation gmm", "gmm"),
        ("--representation gmm --k 3", "gmm"),
        ("--representation fa --rank 1", "fa"),
        ("--representation contrastive --rank 1 --repeats 2", "contrastive"),
    ] {
        let line = if options.contains("--repeats") { line.replace(" --repeats 5", "") } else { line.to_owned() };
        let found = folder.json(&format!("{line} {options}"));
        assert_eq!((found["representation"].as_str(), found["loss"].as_str()), (Some(name), Some("error rate")));
        assert_eq!(found["classes"], serde_json::json!(["far", "near"]));
        let pools = found["pretrained"].as_array().unwrap();
        let error = pools.last().unwrap()["risk"].as_array().unwrap().last().unwrap()["mean"].as_f64().unwrap();
        assert!(error < 0.25, "{options}: {found}");
    }
}

#[test]
fn what_does_not_fit_is_said() {
    let folder = Folder::new("pretrain-errors");
    folder.write("pool.csv", &clouds_csv(40, 1, false));
    folder.write("few.csv", &clouds_csv(20, 2, true));
    folder.write("other.csv", "a,b,e,kind\n1,2,3,near\n2,1,3,far\n3,2,1,far\n1,1,2,near\n");
    folder.write("hole.csv", "a,b,c,d\n1,2,3,4\n1,,3,4\n");
    folder.write("one.csv", "a,b,c,d,kind\n1,2,3,4,near\n");
    folder.write("same.csv", "a,b,c,d,kind\n1,2,3,4,near\n2,3,4,1,near\n4,3,4,1,near\n");
    folder.write("flat.csv", "a,b,c,d\n1,2,3,4\n1,2,3,4\n1,2,3,4\n");
    folder.write("words.csv", "a,b\nx,y\nz,w\n");
    let verb = "quadrat estimate pretrain-plan";
    for (rest, part) in [
        ("--unlabelled pool.csv --labelled other.csv --target kind", "--features"),
        ("--unlabelled pool.csv --labelled other.csv --target kind --features a,e", "`e`"),
        ("--unlabelled hole.csv --labelled few.csv --target kind", "missing"),
        ("--unlabelled pool.csv --labelled one.csv --target kind", "at least 2"),
        ("--unlabelled pool.csv --labelled same.csv --target kind", "2 classes"),
        ("--unlabelled flat.csv --labelled few.csv --target kind", "alike"),
        ("--unlabelled words.csv --labelled words.csv --target b", "numeric"),
        ("--unlabelled pool.csv --labelled few.csv --target nothing", "nothing"),
        ("--unlabelled pool.csv --labelled few.csv --target kind --features kind", "`kind`"),
        ("--unlabelled pool.csv --labelled few.csv --target kind --rank 4", "use 1 to 3"),
        ("--unlabelled pool.csv --labelled few.csv --target kind --rank 0", "at least 1"),
        ("--unlabelled pool.csv --labelled few.csv --target kind --k 2", "--representation gmm"),
        (
            "--unlabelled pool.csv --labelled few.csv --target kind --representation gmm --rank 2",
            "fa or ppca or contrastive",
        ),
        ("--unlabelled pool.csv --labelled few.csv --target kind --representation gmm --k 99", "use 1 to 40"),
        ("--unlabelled pool.csv --labelled few.csv --target kind --representation tsne", "ppca"),
        ("--unlabelled pool.csv --labelled few.csv --target kind --repeats 1", "at least 2"),
        ("--unlabelled pool.csv --labelled few.csv --target kind --test-share 1", "below 1"),
        ("--unlabelled pool.csv --labelled few.csv --target kind --test-share 0", "above 0"),
        ("--unlabelled pool.csv --labelled few.csv --target kind --report .", "file"),
        ("--unlabelled absent.csv --labelled few.csv --target kind", "absent.csv"),
    ] {
        let message = folder.fails(&format!("{verb} {rest}"));
        assert!(message.contains(part), "{rest}\n{message}");
    }
}
