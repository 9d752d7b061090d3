//! Series with holes: trained, predicted, judged, filled.

use crate::common::{Folder, Numbers};

/// Rising and falling series of 6 to 8 times in two channels, a third missing; `.ts` without times.
fn ts(n: usize, seed: u64, class: bool) -> String {
    let mut numbers = Numbers::new(seed);
    let label = if class { "@classLabel true up down" } else { "@classLabel false" };
    let mut text = format!("@problemName made\n@timestamps false\n@univariate false\n@dimensions 2\n{label}\n@data\n");
    for i in 0..n {
        let slope = if i % 2 == 0 { 1.0 } else { -1.0 };
        let mut channels = Vec::new();
        for scale in [1.0, 10.0] {
            let value = |t: usize, noise: f64| format!("{:.3}", scale * (slope * (t as f64 - 3.0) + noise));
            let cells: Vec<String> = (0..6 + i % 3)
                .map(|t| if numbers.next() < 0.33 { "?".to_owned() } else { value(t, numbers.next()) })
                .collect();
            channels.push(cells.join(","));
        }
        if class {
            channels.push(if i % 2 == 0 { "up" } else { "down" }.to_owned());
        }
        text.push_str(&(channels.join(":") + "\n"));
    }
    text
}

const SMALL: &str = "--width 8 --epochs 12 --batch 16 --rate 0.01";

fn trained(name: &str, method: &str) -> Folder {
    let folder = Folder::new(name);
    folder.write("train.ts", &ts(80, 1, true));
    folder.write("test.ts", &ts(30, 2, true));
    folder.write("holes.ts", &ts(12, 3, false));
    folder.ok(&format!("quadrat train --series train.ts --method {method} {SMALL} --out model"));
    folder
}

#[test]
fn a_model_of_series_predicts_and_fills() {
    let folder = trained("series", "supnotmiwae --k 4 --latent 3 --layers 2 --test-j 4");
    folder.ok("quadrat predict --model model --series test.ts --out predictions.csv");
    let predictions = folder.read("predictions.csv");
    let mut lines = predictions.lines();
    assert_eq!(lines.next(), Some("series,predicted,p_up,p_down"));
    let right =
        lines.clone().enumerate().filter(|(i, line)| line.contains(if i % 2 == 0 { ",up," } else { ",down," })).count();
    assert!(lines.count() == 30 && right >= 26, "{right}\n{predictions}");
    let said = folder.json("quadrat eval --model model --series test.ts --json");
    assert!(said["figures"]["accuracy"].as_f64().unwrap() >= 26.0 / 30.0, "{said}");
    assert!((1.0..=20.0).contains(&said["effective_draws"].as_f64().unwrap()), "{said}");
    let filled = folder.json("quadrat impute --model model --series holes.ts --draws 5 --out filled.npz --json");
    assert_eq!((filled["series"].as_u64(), filled["draws"].as_u64()), (Some(12), Some(5)));
    assert!(filled["channels"][1]["spread"].as_f64().unwrap() > 0.0, "{filled}");
    let bytes = std::fs::read(folder.path("filled.npz")).unwrap();
    let shape = |text: &str| bytes.windows(text.len()).any(|w| w == text.as_bytes());
    assert!(shape("'shape': (5, 12, 8, 2,)"), "the draws' axes");
    // The same command gives the same bytes; another seed gives others.
    folder.ok("quadrat predict --model model --series test.ts --out again.csv --threads 1");
    folder.ok("quadrat predict --model model --series test.ts --out other.csv --seed 7");
    assert_eq!(folder.read("again.csv"), predictions);
    assert_ne!(folder.read("other.csv"), predictions);
}

#[test]
fn companions_train_too() {
    for method in ["gru-d", "forward-fill-mask", "forward-fill", "mean-fill", "zero-fill"] {
        let folder = trained(&format!("series-{method}"), method);
        let said = folder.json("quadrat eval --model model --series test.ts --json");
        assert!(said["figures"]["accuracy"].as_f64().unwrap() > 0.6, "{method}: {said}");
        folder.ok("quadrat impute --model model --series holes.ts --draws 2 --out filled.npz");
    }
}

#[test]
fn a_table_with_a_row_for_each_time_is_series() {
    let folder = Folder::new("series-table");
    let mut numbers = Numbers::new(5);
    let mut text = String::from("patient,hour,pulse,heat,died\n");
    for i in 0..60 {
        for hour in 0..5 {
            let pulse = if numbers.next() < 0.4 {
                String::new()
            } else {
                format!("{:.2}", (i % 2) as f64 * 5.0 + numbers.next())
            };
            text.push_str(&format!(
                "p{i},{hour},{pulse},{:.2},{}\n",
                numbers.next(),
                if i % 2 == 0 { "no" } else { "yes" }
            ));
        }
    }
    folder.write("stays.csv", &text);
    folder.write("new.csv", &text.replace(",no\n", "\n").replace(",yes\n", "\n").replace(",died", ""));
    folder.ok(&format!(
        "quadrat train --series stays.csv --series-id patient --time hour --target died --method forward-fill {SMALL} --out model"
    ));
    folder.ok("quadrat predict --model model --series new.csv --out predictions.csv");
    assert!(folder.read("predictions.csv").starts_with("series,predicted,p_no,p_yes\n\"p0\",no,"));
    let said = folder.json("quadrat eval --model model --series stays.csv --json");
    assert!(said["figures"]["accuracy"].as_f64().unwrap() > 0.9, "{said}");
}

#[test]
fn what_does_not_fit_is_said() {
    let folder = trained("series-errors", "mean-fill");
    folder.write("rows.csv", "a,b,y\n1,2,u\n2,1,v\n1,1,u\n2,2,v\n");
    folder.write("one.ts", "@timestamps false\n@classLabel true up\n@data\n1,2:up\n");
    folder.write("foreign.ts", "@timestamps false\n@classLabel true left\n@data\n1,2:3,4:left\n");
    folder.write("bare.ts", "@timestamps false\n@classLabel false\n@data\n1,2:3,4\n");
    for (line, words) in [
        ("quadrat train --in rows.csv --target y --method supnotmiwae", "--series FILE"),
        ("quadrat train --series train.ts --method elr --out m", "elr"),
        ("quadrat train --series train.ts --out m", "one of supnotmiwae"),
        ("quadrat train --series train.ts --method supnotmiwae --beta 1", "below 1"),
        ("quadrat train --series bare.ts --method mean-fill", "no class"),
        ("quadrat train --series rows.csv --method mean-fill", "--series-id COLUMN"),
        ("quadrat predict --model model --in rows.csv --out p.csv", "it takes --series FILE"),
        ("quadrat predict --model model --series one.ts --out p.csv", "1 channels"),
        ("quadrat eval --model model --series foreign.ts", "the model knows up, down"),
        ("quadrat impute --model model --series holes.ts --draws 0 --out f.npz", "at least 1"),
        ("quadrat impute --model model --series holes.ts --out f.csv", ".npz"),
    ] {
        let message = folder.fails(line);
        assert!(message.contains(words), "{line}: {message}");
    }
    folder.ok("quadrat train --in rows.csv --target y --hidden 4 --epochs 1 --validation 0 --out table");
    let message = folder.fails("quadrat predict --model table --series test.ts --out p.csv");
    assert!(message.contains("trained with --series"), "{message}");
}
