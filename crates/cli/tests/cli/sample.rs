//! `sample`.

use crate::common::{Folder, Numbers};

/// Two numeric columns with units of their own, a whole number and a name.
fn points_csv(rows: usize, seed: u64) -> String {
    let mut numbers = Numbers::new(seed);
    let mut text = String::from("name,height,mass,kind\n");
    for i in 0..rows {
        let (a, b) = (numbers.next() + numbers.next(), numbers.next());
        text.push_str(&format!("r{i},{:.4},{:.6},{}\n", 100.0 + 40.0 * a, 0.001 * (a + b), i % 3));
    }
    text
}

const QUICK: &str = "--steps 300 --noise 0.2 --burn-in 100";

#[test]
fn the_line_of_the_guide_works_and_repeats() {
    let folder = Folder::new("sample");
    folder.write("points.csv", &points_csv(300, 3));
    let line = format!(
        "quadrat sample --method autoencoder-score --in points.csv --rows 1000 --features mass,height {QUICK} --json"
    );
    let first = folder.json(&format!("{line} --out samples.csv --report page.html"));
    assert_eq!(
        (&first["rows"], &first["input_rows"], &first["columns"]["used"][1]["name"]),
        (&1000.into(), &300.into(), &"height".into())
    );
    let figures = &first["figures"];
    let acceptance = figures["acceptance"].as_f64().unwrap();
    assert!((0.15..0.6).contains(&acceptance) && figures["r_hat"].as_f64().unwrap() < 1.5, "{first}");
    assert!(figures["effective_sample_size"].as_f64().unwrap() > 50.0 && figures["noise"] == 0.2);
    assert!(first["law"].as_str().unwrap().contains("smoothed"), "{first}");
    let text = folder.read("samples.csv");
    let rows: Vec<Vec<f64>> =
        text.lines().skip(1).map(|line| line.split(',').map(|v| v.parse().unwrap()).collect()).collect();
    assert_eq!((text.lines().next(), rows.len()), (Some("mass,height"), 1000));
    let mean = |column: usize| rows.iter().map(|row| row[column]).sum::<f64>() / 1000.0;
    assert!((mean(1) - 140.0).abs() < 6.0 && (mean(0) - 0.0015).abs() < 0.0003, "{} {}", mean(0), mean(1));
    assert!(folder.read("page.html").contains("R-hat"));
    folder.ok(&format!("{line} --out again.jsonl --threads 1"));
    let again = folder.read("again.jsonl");
    assert!(again.starts_with(&format!("{{\"mass\":{:?},", rows[0][0])), "{}", &again[..60]);
    assert!(folder.ok(&format!("{} --seed 1", line.replace(" --json", ""))).contains("nothing was written"));
}

#[test]
fn every_sampler_and_criterion_draws() {
    let folder = Folder::new("sample-kinds");
    folder.write("points.csv", &points_csv(200, 4));
    let line =
        format!("quadrat sample --method dae-score --in points.csv --features mass,height --rows 10 {QUICK} --json");
    for more in [
        "--sampler mala",
        "--sampler langevin --step 0.1",
        "--sampler dae-chain",
        "--criterion contractive",
        "--criterion contractive-hutchinson --hidden 16,16",
        "--noise 0.1,0.4 --guard 1.5 --quadrature trapezoid:3",
        "--noise auto --skip false",
    ] {
        let made = folder.json(&format!("{line} {more}"));
        assert!(made["figures"]["acceptance"].as_f64().unwrap() > 0.05, "{more}: {made}");
    }
}

#[test]
fn what_cannot_be_learnt_from_is_said() {
    let folder = Folder::new("sample-errors");
    folder.write("points.csv", &points_csv(50, 5));
    folder.write("flat.csv", "a,b\n1,2\n2,2\n3,2\n");
    folder.write("words.csv", "a\nx\ny\n");
    let method = "quadrat sample --method autoencoder-score --rows 5";
    for (line, part) in [
        (format!("{method} --in flat.csv --out o.csv {QUICK}"), "column `b`"),
        (format!("{method} --in words.csv --out o.csv"), "no numeric column"),
        (format!("{method} --in points.csv --out o.csv --features name"), "name"),
        (format!("{method} --in points.csv --out o.xyz"), "o.xyz"),
        (format!("{method} --in points.csv --noise -1"), "noise"),
        (format!("{method} --in points.csv --sampler gibbs"), "sampler"),
        (format!("{method} --in points.csv --nois 1"), "--noise"),
        ("quadrat sample --method autoencoder-score --in points.csv --rows 0".to_owned(), "--rows"),
        ("quadrat sample --method smote --in points.csv --rows 5".to_owned(), "balance"),
    ] {
        let message = folder.fails(&line);
        assert!(message.contains(part), "{line}\n{message}");
    }
}

#[test]
fn perturbed_likelihood_draws_and_says_what_it_left_out() {
    let folder = Folder::new("sample-perturbed");
    folder.write("points.csv", &points_csv(200, 5));
    let line = "quadrat sample --method perturbed-likelihood --in points.csv --features mass,height --rows 50 --latent 1 \
                --steps 60 --hidden 8 --json";
    let made = folder.json(&format!("{line} --noise 0.5 --out samples.csv"));
    assert_eq!((&made["rows"], &made["figures"]["noise"]), (&50.into(), &0.5.into()));
    assert!(made["figures"]["left_out_noise"].as_f64().unwrap() > 0.0, "{made}");
    assert!(made["warnings"][0].as_str().unwrap().contains("rescale them"), "{made}");
    assert_eq!(folder.read("samples.csv").lines().count(), 51);
    let chosen = folder.json(&format!("{line} --bound quadrature:32 --prior uniform --threads 1"));
    assert!(chosen["figures"]["distance_to_rows_held_out"].as_f64().unwrap() > 0.0, "{chosen}");
    let again = folder.json(&format!("{line} --bound quadrature:32 --prior uniform --threads 2"));
    assert_eq!(again["figures"], chosen["figures"]);
    assert!(folder.fails(&format!("{line} --bound iwae")).contains("iwae:K"));
}
