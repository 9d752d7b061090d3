//! Every resampler through the same arguments: bad ones are refused in words, odd ones have a defined answer.

use ndarray::{Array2, Axis, concatenate, s};
use quadrat_core::{Card, Error, Params, Progress, Seed, Silent};
use quadrat_robust::{Generator, Labelled, Origin, Reads, Resampled, Resampler, Smote, build, cards};

/// Two classes of 40 and 15 rows. Column 0 is a number, column 1 a category or a number, as the method wants it.
fn table(card: &Card) -> Labelled {
    let mut rng = Seed(1).rng(0);
    let reads = default_of(card).reads();
    let x = Array2::from_shape_fn((55, 2), |(row, column)| match (reads, column) {
        (Reads::Nominal, _) | (Reads::Mixed, 1) => rng.below(5) as f64,
        _ => rng.normal() + if row < 40 { 0.0 } else { 1.0 },
    });
    let data = Labelled::new(x, (0..55).map(|row| u32::from(row >= 40)).collect());
    match reads {
        Reads::Nominal => data.with_categorical(vec![0, 1]),
        Reads::Mixed => data.with_categorical(vec![1]),
        Reads::Numeric | Reads::Nothing => data,
    }
}

fn default_of(card: &Card) -> Box<dyn Resampler> {
    build(card.slug, &Params::none()).unwrap()
}

fn run(card: &Card, data: &Labelled) -> Result<Resampled, Error> {
    default_of(card).resample(data, Seed(7), &Silent)
}

/// Whether the method looks at columns at all.
fn has_neighbours(card: &Card) -> bool {
    default_of(card).reads() != Reads::Nothing
}

fn over_samples(card: &Card) -> bool {
    card.slug.contains("smote") || ["adasyn", "rcal"].contains(&card.slug) || card.slug == "random-over-sampling"
}

fn cleans(card: &Card) -> bool {
    card.slug.ends_with("tomek") || card.slug.ends_with("enn")
}

#[test]
fn bad_tables_are_refused_in_words() {
    type Spoil = fn(&mut Labelled);
    let cases: [(Spoil, &str); 9] = [
        (|d| d.x[[3, 0]] = f64::NAN, "column 0, row 3: got NaN; values must be finite: fill missing values in"),
        (|d| d.x[[4, 1]] = f64::INFINITY, "column 1, row 4: got inf; values must be finite"),
        (
            |d| d.x = Array2::zeros((55, 0)),
            "table: got 55 rows, 0 columns; there must be at least one row and one column",
        ),
        (|d| *d = Labelled::new(Array2::zeros((0, 2)), vec![]), "table: got 0 rows, 2 columns"),
        (|d| d.y.truncate(54), "labels: got 54; the table has 55 rows"),
        (|d| d.y[2] = 9, "label of row 2: got 9; there are 2 classes"),
        (|d| d.y.fill(1), "labels: got 1 class; there must be more than 1 class"),
        (|d| d.categorical = vec![0, 2], "categorical column: got 2; the table has 2 columns"),
        (|d| d.categorical = vec![1, 0], "categorical columns: got [1, 0]; name each once, in ascending order"),
    ];
    for card in cards() {
        for (spoil, text) in cases {
            let mut data = table(card);
            spoil(&mut data);
            let error = run(card, &data).unwrap_err().to_string();
            assert!(error.starts_with(text), "{}: {error}", card.slug);
        }
    }
}

#[test]
fn columns_are_called_by_their_names() {
    for card in cards() {
        let mut data = table(card);
        data.columns = vec!["age".into(), "income".into()];
        data.x[[3, 1]] = f64::NAN;
        let error = run(card, &data).unwrap_err().to_string();
        assert!(error.starts_with("column `income`, row 3: got NaN"), "{error}");
    }
}

#[test]
fn columns_of_the_wrong_kind_are_refused_with_the_method_to_use() {
    for card in cards().into_iter().filter(|card| has_neighbours(card)) {
        let wrong: &[(Vec<usize>, &str)] = match card.slug {
            "smote-nc" => &[(vec![], "or use smote"), (vec![0, 1], "or use smote-n")],
            "smote-n" => &[(vec![], "smote when all are"), (vec![1], "use smote-nc when some are numeric")],
            _ => &[(vec![1], "use smote-nc (some columns nominal)"), (vec![0, 1], "smote-n (all nominal)")],
        };
        for (categorical, text) in wrong {
            let data = table(card).with_categorical(categorical.clone());
            let error = run(card, &data).unwrap_err().to_string();
            assert!(error.contains(text), "{}: {error}", card.slug);
        }
    }
}

#[test]
fn a_class_too_small_is_named_with_the_largest_k_that_works() {
    for card in cards().into_iter().filter(|card| card.params.iter().any(|p| p.name == "k") && over_samples(card)) {
        let data = table(card);
        let mut small = data.clone();
        small.x = data.x.slice(s![..44, ..]).to_owned();
        small.y.truncate(44);
        let error = run(card, &small).unwrap_err().to_string();
        let text = "rows of class `1`: got 4; 5 neighbours need at least 6 rows: set k to 3 or less";
        if card.slug == "borderline-smote" {
            // Whether the class has rows in danger comes first; of kind 2 only the table must be large enough.
            continue;
        }
        assert_eq!(error, text, "{}", card.slug);
        let enough = build(card.slug, &Params::from([("k", "3")])).unwrap();
        enough.resample(&small, Seed(0), &Silent).unwrap();
        small.x = data.x.slice(s![..41, ..]).to_owned();
        small.y.truncate(41);
        let error = run(card, &small).unwrap_err().to_string();
        assert!(error.contains("got 1; 5 neighbours need at least 6 rows: use random-over-sampling"), "{error}");
    }
}

#[test]
fn a_table_too_small_for_its_neighbours_is_refused() {
    for (slug, params) in [
        ("borderline-smote", Params::from([("m", "55")])),
        ("adasyn", Params::from([("k", "55")])),
        ("edited-nearest-neighbours", Params::from([("k", "55")])),
    ] {
        let card = cards().into_iter().find(|card| card.slug == slug).unwrap();
        let error = build(slug, &params).unwrap().resample(&table(card), Seed(0), &Silent).unwrap_err().to_string();
        assert_eq!(error, "neighbours: got 55; the table has 55 rows: use 1 to 54", "{slug}");
    }
}

#[test]
fn huge_values_are_refused_and_large_or_tiny_ones_are_not() {
    for card in cards().into_iter().filter(|card| has_neighbours(card) && card.slug != "smote-n") {
        let data = table(card);
        let expected = run(card, &data).unwrap();
        for scale in [2.0_f64.powi(280), 2.0_f64.powi(-280)] {
            let mut scaled = data.clone();
            scaled.x.column_mut(0).mapv_inplace(|v| v * scale);
            if card.slug != "smote-nc" {
                scaled.x.column_mut(1).mapv_inplace(|v| v * scale);
            }
            let got = run(card, &scaled).unwrap();
            assert_eq!(got.origin, expected.origin, "{} at {scale}", card.slug);
        }
        let mut huge = data.clone();
        huge.x[[5, 0]] = 1e200;
        let error = run(card, &huge).unwrap_err().to_string();
        assert!(error.starts_with("column 0, row 5: got 1000"), "{error}");
        assert!(
            error.ends_with("use magnitudes up to 1e89, so that distances can be computed: rescale the column"),
            "{error}"
        );
    }
}

#[test]
fn constant_columns_and_duplicates_have_answers() {
    for card in cards() {
        let mut constant = table(card);
        constant.x.fill(3.0);
        let data = table(card);
        let doubled = Labelled {
            x: concatenate![Axis(0), data.x, data.x],
            y: [data.y.clone(), data.y.clone()].concat(),
            ..data.clone()
        };
        for data in [constant, doubled] {
            match run(card, &data) {
                Ok(got) => assert!(got.synthetic.iter().all(|v| v.is_finite()), "{}", card.slug),
                // All rows coincide, so the first rows are everybody's neighbours, and none is of another class.
                Err(error) => {
                    assert_eq!(card.slug, "adasyn");
                    assert!(error.to_string().ends_with("there is nothing to adapt to: use smote"), "{error}");
                }
            }
        }
    }
}

#[test]
fn how_the_table_lies_in_memory_changes_nothing() {
    for card in cards() {
        let data = table(card);
        let turned = data.x.t().as_standard_layout().into_owned().reversed_axes();
        assert!(!turned.is_standard_layout());
        let by_columns = Labelled { x: turned, ..data.clone() };
        let (expected, got) = (run(card, &data).unwrap(), run(card, &by_columns).unwrap());
        assert_eq!(got, expected, "{}", card.slug);
        assert_eq!(got.table(&by_columns), expected.table(&data), "{}", card.slug);
    }
}

#[test]
fn results_are_whole() {
    for card in cards() {
        let data = table(card);
        let got = run(card, &data).unwrap();
        assert_eq!(got.origin.len(), got.y.len());
        let made = got.origin.iter().filter(|o| !matches!(o, Origin::Kept(_))).count();
        assert_eq!(got.synthetic.dim(), (made, 2));
        let whole = got.table(&data);
        whole.check().unwrap();
        assert_eq!((&whole.classes, &whole.categorical), (&data.classes, &data.categorical));
        for ((origin, class), row) in got.origin.iter().zip(&got.y).zip(whole.x.rows()) {
            match *origin {
                Origin::Kept(i) => assert_eq!((row, *class), (data.x.row(i), data.y[i])),
                Origin::Synthetic { base, gap, .. } => {
                    assert_eq!(*class, data.y[base]);
                    assert!((0.0..1.0).contains(&gap));
                }
                Origin::Drawn { near } => assert_eq!(*class, data.y[near]),
            }
        }
        if over_samples(card) && !cleans(card) {
            assert_eq!(got.origin[..55], (0..55).map(Origin::Kept).collect::<Vec<_>>(), "{}", card.slug);
        } else {
            assert!(got.origin.is_sorted_by_key(|o| if let Origin::Kept(i) = o { *i } else { usize::MAX }));
        }
        assert_eq!(default_of(card).card(), card);
    }
}

#[test]
fn balanced_tables_stay_as_they_are() {
    for card in cards().into_iter().filter(|card| over_samples(card) && !cleans(card)) {
        let mut data = table(card);
        data.x = data.x.slice(s![25.., ..]).to_owned();
        data.y.drain(..25);
        assert_eq!(run(card, &data).unwrap(), Resampled::of_kept(&data, 0..30), "{}", card.slug);
    }
}

#[test]
fn same_seed_same_bits_at_any_number_of_threads() {
    for card in cards() {
        let data = table(card);
        for generator in ["streams", "numpy-legacy"] {
            let known = card.params.iter().any(|p| p.name == "generator");
            let params = if known { Params::from([("generator", generator)]) } else { Params::none() };
            let method = build(card.slug, &params).unwrap();
            let at = |threads, seed| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| method.resample(&data, seed, &Silent)).unwrap()
            };
            let expected = at(1, Seed(3));
            assert_eq!(at(2, Seed(3)), expected, "{}", card.slug);
            assert_eq!(at(5, Seed(3)), expected, "{}", card.slug);
            if known {
                assert_ne!(at(1, Seed(4)).table(&data), expected.table(&data), "{} ignores its seed", card.slug);
            }
        }
    }
}

#[test]
fn cancelling_ends_long_work() {
    struct Cancelled;
    impl Progress for Cancelled {
        fn cancelled(&self) -> bool {
            true
        }
    }
    for card in cards().into_iter().filter(|card| has_neighbours(card)) {
        let result = default_of(card).resample(&table(card), Seed(0), &Cancelled);
        assert!(matches!(result, Err(Error::Cancelled)), "{}", card.slug);
    }
}

/// Classes far apart, and a rare class of noise only: no row is in danger, nothing is made, and that is said.
#[test]
fn borderline_smote_without_a_row_in_danger_says_so() {
    let card = cards().into_iter().find(|card| card.slug == "borderline-smote").unwrap();
    let x = Array2::from_shape_fn((60, 2), |(i, j)| (i % 7 + 3 * j) as f64 + if i >= 45 { 1e4 } else { 0.0 });
    let data = Labelled::new(x, (0..60).map(|i| u32::from(i >= 45)).collect());
    let made = run(card, &data).unwrap();
    assert_eq!((made.synthetic.nrows(), made.origin.len()), (0, 60));
    assert!(
        made.notes.len() == 1 && made.notes[0].starts_with("class `1` got no new row: of its 15 rows"),
        "{:?}",
        made.notes
    );
}

#[test]
fn strategies_exclude_each_other_and_are_read_from_text() {
    for card in cards().into_iter().filter(|card| card.params.iter().any(|p| p.name == "ratio")) {
        for (params, text) in [
            (
                Params::from([("ratio", "0.5"), ("percent", "100")]),
                "strategy: got `ratio and percent`; give only one of",
            ),
            (
                Params::from([("ratio", "0.5"), ("strategy", "all")]),
                "strategy: got `strategy and ratio`; give only one of",
            ),
            (Params::from([("counts", "1:20")]), "counts: got `1:20`; write NAME=ROWS,NAME=ROWS"),
            (Params::from([("counts", "1=many")]), "counts: got `1=many`; write NAME=ROWS"),
            (Params::from([("ratio", "0")]), "ratio: got `0`; use `none` or a number"),
        ] {
            let error = build(card.slug, &params).err().unwrap().to_string();
            assert!(error.starts_with(text), "{}: {error}", card.slug);
        }
        let counts = if over_samples(card) { "1=20,0=40" } else { "1=12, 0=20" };
        let method = build(card.slug, &Params::from([("counts", counts)])).unwrap();
        let got = method.resample(&table(card), Seed(0), &Silent).unwrap();
        let made = if over_samples(card) { [40, 20] } else { [20, 12] };
        match card.slug {
            // Cleaning afterwards takes rows away again.
            "smote-tomek" | "smote-enn" => {}
            // Rounding each row's share moves the total by a row or two here.
            "adasyn" => assert!(got.table(&table(card)).counts()[1].abs_diff(20) <= 2),
            _ => assert_eq!(got.table(&table(card)).counts(), made, "{}", card.slug),
        }
    }
}

#[test]
fn a_ratio_with_three_classes_says_what_to_do() {
    for card in cards().into_iter().filter(|card| card.params.iter().any(|p| p.name == "ratio")) {
        let mut data = table(card);
        data.classes.push("2".into());
        data.y[..8].fill(2);
        let method = build(card.slug, &Params::from([("ratio", "0.5")])).unwrap();
        let error = method.resample(&data, Seed(0), &Silent).unwrap_err().to_string();
        assert_eq!(
            error, "ratio: got 0.5; a ratio needs 2 classes and there are 3: use auto, or counts for each class",
            "{}",
            card.slug
        );
    }
}

#[test]
fn legacy_seeds_are_32_bit() {
    assert_eq!(Smote::default().generator, Generator::Streams);
    let legacy = Params::from([("generator", "numpy-legacy")]);
    for card in cards().into_iter().filter(|card| card.params.iter().any(|p| p.name == "generator")) {
        let result = build(card.slug, &legacy).unwrap().resample(&table(card), Seed(1 << 40), &Silent);
        assert!(result.unwrap_err().to_string().starts_with("seed: got 1099511627776"), "{}", card.slug);
    }
}
