//! imbalanced-learn's results, digit by digit, from its seeds. `golden/make.py` says how the files were made.

use ndarray::Array2;
use quadrat_core::{Params, Seed, Silent};
use quadrat_robust::{Labelled, NumpyLegacy, Origin, Resampled, build};
use serde_json::Value;
use std::path::Path;

fn read(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn rows(value: &Value) -> Vec<Vec<f64>> {
    serde_json::from_value(value.clone()).unwrap()
}

fn table(file: &Value) -> Labelled {
    let x = rows(&file["x"]);
    let y: Vec<u32> = serde_json::from_value(file["y"].clone()).unwrap();
    let x = Array2::from_shape_vec((x.len(), x[0].len()), x.concat()).unwrap();
    Labelled::new(x, y).with_categorical(serde_json::from_value(file["categorical"].clone()).unwrap())
}

/// Parameters as the command line would give them, the legacy generator added where the method draws.
fn run(case: &Value, data: &Labelled) -> Resampled {
    let mut params = vec![];
    let mut seed = Seed(0);
    for (name, value) in case["params"].as_object().unwrap() {
        match name.as_str() {
            "seed" => seed = Seed(value.as_u64().unwrap()),
            _ => params.push((name.clone(), value.as_str().map_or_else(|| value.to_string(), str::to_owned))),
        }
    }
    if case["params"].get("seed").is_some() {
        params.push(("generator".to_owned(), "numpy-legacy".to_owned()));
    }
    let method = build(case["method"].as_str().unwrap(), &params.into_iter().collect::<Params>()).unwrap();
    method.resample(data, seed, &Silent).unwrap()
}

fn sorted(mut rows: Vec<Vec<f64>>) -> Vec<Vec<f64>> {
    rows.sort_by(|a, b| a.partial_cmp(b).unwrap());
    rows
}

/// Rows with their classes appended: the peer returns cleaned tables class by class, we keep the rows' order.
fn with_classes(x: Vec<Vec<f64>>, y: &[u32]) -> Vec<Vec<f64>> {
    x.into_iter()
        .zip(y)
        .map(|(mut row, class)| {
            row.push(f64::from(*class));
            row
        })
        .collect()
}

fn check(name: &str) {
    let file = read(name);
    let data = table(&file);
    for case in file["cases"].as_array().unwrap() {
        let about = format!("{name}: {} {}", case["method"], case["params"]);
        let y: Vec<u32> = serde_json::from_value(case["y"].clone()).unwrap();
        let got = run(case, &data);
        let all: Vec<Vec<f64>> = got.table(&data).x.rows().into_iter().map(|row| row.to_vec()).collect();
        if let Some(kept) = case.get("kept") {
            let kept: Vec<usize> = serde_json::from_value(kept.clone()).unwrap();
            let mut ours: Vec<usize> = got
                .origin
                .iter()
                .map(|o| match o {
                    Origin::Kept(row) => *row,
                    _ => panic!("{about}: a synthetic row"),
                })
                .collect();
            if case["method"] == "edited-nearest-neighbours" {
                ours.sort_by_key(|row| (data.y[*row], *row));
            }
            assert_eq!(ours, kept, "{about}");
        } else if let Some(expected) = case.get("all") {
            let ours = sorted(with_classes(all, &got.y));
            assert_eq!(ours, sorted(with_classes(rows(expected), &y)), "{about}");
        } else {
            assert_eq!(&all[data.y.len()..], rows(&case["added"]), "{about}");
            assert_eq!(got.y, y, "{about}");
        }
    }
}

#[test]
fn twenty_rows_of_the_peers_own_tests() {
    check("twenty.json");
    // As printed in those tests, where some last digits are off by one.
    let file = read("twenty.json");
    let data = table(&file);
    for (slug, expected) in [
        (
            "smote",
            [
                [0.29307743, -0.14670439],
                [0.84976473, -0.15570176],
                [0.61319159, -0.11571668],
                [0.66052536, -0.28246517],
            ],
        ),
        (
            "adasyn",
            [[0.88161986, -0.2829741], [0.35681689, -0.18814597], [1.4148276, 0.05308106], [0.3136591, -0.31327875]],
        ),
    ] {
        let method = build(slug, &Params::from([("generator", "numpy-legacy")])).unwrap();
        let got = method.resample(&data, Seed(0), &Silent).unwrap().synthetic;
        assert_eq!(got.dim(), (4, 2));
        for (got, expected) in got.iter().zip(expected.as_flattened()) {
            assert!((got - expected).abs() < 1e-8, "{slug}: {got} {expected}");
        }
    }
}

#[test]
fn three_overlapping_classes() {
    check("overlapping.json");
}

#[test]
fn sixteen_columns_with_an_offset() {
    check("wide.json");
}

#[test]
fn mixed_columns() {
    check("mixed.json");
}

#[test]
fn nominal_columns() {
    check("nominal.json");
}

#[test]
fn the_legacy_generator() {
    for case in read("draws.json").as_array().unwrap() {
        let mut rng = NumpyLegacy::new(Seed(case["seed"].as_u64().unwrap())).unwrap();
        for range in case["below"].as_array().unwrap() {
            let n = range[0].as_u64().unwrap() as usize;
            let expected: Vec<usize> = serde_json::from_value(range[1].clone()).unwrap();
            let got: Vec<usize> = expected.iter().map(|_| rng.below(n)).collect();
            assert_eq!(got, expected, "{n}");
        }
        let expected: Vec<f64> = serde_json::from_value(case["uniform"].clone()).unwrap();
        assert_eq!(expected.iter().map(|_| rng.uniform()).collect::<Vec<f64>>(), expected);
        let mut order: Vec<usize> = (0..12).collect();
        rng.shuffle(&mut order);
        assert_eq!(order, serde_json::from_value::<Vec<usize>>(case["permutation"].clone()).unwrap());
    }
}
