use super::SeriesSet;
use crate::Table;
use proptest::prelude::*;

fn read(text: &str) -> quadrat_core::Result<SeriesSet> {
    SeriesSet::read_ts("t.ts", text.as_bytes())
}

/// The same text as sktime 1.2.0 and aeon 1.6.0 read it: `golden.py` beside this file.
#[test]
fn archives_are_read_as_others_read_them() {
    let classic = read(include_str!("golden_classic.ts")).unwrap();
    assert_eq!((classic.channels.len(), classic.classes.clone()), (2, vec!["a".to_owned(), "b".to_owned()]));
    let nan = f64::NAN;
    for (series, length, channels, class) in
        [(0, 3, vec![vec![1.5, nan, -2.0], vec![0.0, 1e-3, 7.0]], 1), (1, 2, vec![vec![4.0, 5.0], vec![nan, nan]], 0)]
    {
        let one = &classic.series[series];
        assert_eq!((one.times.len(), one.class), (length, Some(class)));
        for (found, wanted) in one.values.columns().into_iter().zip(channels) {
            let same = found.iter().zip(&wanted).all(|(a, b)| a == b || a.is_nan() && b.is_nan());
            assert!(same, "series {series}: {found:?}, {wanted:?}");
        }
    }
    let timed = read(include_str!("golden_timed.ts")).unwrap();
    assert_eq!(timed.series[0].times, [0.0, 1.0, 2.0, 4.0]);
    let first: Vec<f64> = timed.series[0].values.column(0).to_vec();
    assert!(first[0] == 1.5 && first[1] == -2.25 && first[2].is_nan() && first[3] == 3.0, "{first:?}");
    assert_eq!(timed.series[1].times, [0.0, 3.0]);
    assert!(timed.series[1].values.column(1).iter().all(|v| v.is_nan()), "an empty channel");
}

#[test]
fn dates_count_days_and_times_of_channels_are_joined() {
    let text = "@timestamps true\n@classLabel false\n@data\n(2024-07-01T12:00:00,1),(2024-07-03,2):(2024-07-02,5)\n";
    let set = read(text).unwrap();
    let times = &set.series[0].times;
    assert_eq!([times[1] - times[0], times[2] - times[1]], [0.5, 1.0]);
    assert_eq!(set.series[0].class, None);
    assert_eq!(set.share_missing(), 0.5);
}

#[test]
fn what_is_wrong_is_named_with_its_line() {
    let head = "@timestamps false\n@classLabel true a b\n@data\n";
    let timed = "@timestamps true\n@classLabel true a b\n@data\n";
    for (text, words) in [
        (format!("{head}1,2:c\n"), "t.ts:4: class `c`; @classLabel names a, b"),
        (format!("{head}1,2\n"), "t.ts:4: no class"),
        (format!("{head}1,x:a\n"), "t.ts:4: `x` is no finite number"),
        (format!("{head}1,inf:a\n"), "t.ts:4: `inf` is no finite number"),
        (format!("{head}1,2:3:a\n"), "t.ts:4: channel 1 has 1 values and channel 0 2"),
        (format!("{head}1,2:3,4:a\n1,2:a\n"), "t.ts:5: 1 channels where the first row has 2"),
        (format!("{head}(0,1):a\n"), "@timestamps true"),
        (format!("{head}@missing true\n"), "t.ts:4: `@missing true` after @data"),
        (format!("@dimensions 3\n{head}1:a\n"), "1 channels where @dimensions says 3"),
        (format!("@univariate true\n{head}1:2:a\n"), "2 channels under @univariate true"),
        (format!("@seriesLength 3\n{head}1,2:a\n"), "2 times where @seriesLength says 3"),
        (format!("@equalLength true\n{head}1,2:a\n1:a\n"), "t.ts:6: a series of 1 times"),
        (format!("@missing perhaps\n{head}1:a\n"), "t.ts:1: @missing must say true or false"),
        (format!("@dimensions 0\n{head}1:a\n"), "at least 1"),
        (format!("{timed}(1,1),(1,2):a\n"), "t.ts:4: channel 0: time 1 after 1; times must rise strictly"),
        (format!("{timed}(2,1),(1,2):a\n"), "time 1 after 2"),
        (format!("{timed}(1;2):a\n"), "is no (time,value)"),
        (format!("{timed}(1,2:a\n"), "a `(` without its `)`"),
        (format!("{timed}(soon,2):a\n"), "`soon` is no time"),
        (format!("{timed}(1,2)\n"), "no class at the end"),
        (format!("{timed}:a\n"), "without any time"),
        ("@targetlabel true\n@data\n1:2\n".to_owned(), "t.ts:1: @targetLabel"),
        ("@classlabel true\n@data\n".to_owned(), "must name the classes"),
        ("@classlabel true a a\n@data\n".to_owned(), "names `a` twice"),
        ("1,2,3\n".to_owned(), "t.ts:1: a row before @data"),
        ("@data\n".to_owned(), "no row after @data"),
        (String::new(), "no @data"),
    ] {
        let error = read(&text).expect_err(&text).to_string();
        assert!(error.contains(words), "{text}: {error}");
    }
    let set = read("@missing false\n@classlabel false\n@data\n1,?\n?,?\n").unwrap();
    assert_eq!(set.notes.len(), 2, "{:?}", set.notes);
    let error = read(&format!("{head}1:a\n")).unwrap().with_classes(&["b".to_owned()]).unwrap_err().to_string();
    assert!(error.contains("the model knows b"), "{error}");
}

#[test]
fn tables_with_a_row_for_each_series_and_time_are_series() {
    let table =
        |rows: &str| Table::from_bytes("t.csv", format!("who,hour,pulse,heat,died\n{rows}").into(), &[]).unwrap();
    let of = |rows: &str| SeriesSet::from_table(&table(rows), "who", "hour", Some("died"), &[]);
    let set = of("b,0,60,,no\na,2,70,37,yes\nb,1.5,61,38,no\n").unwrap();
    assert_eq!(
        (set.channels.clone(), set.classes.clone()),
        (vec!["pulse".into(), "heat".into()], vec!["no".into(), "yes".into()])
    );
    assert_eq!((set.series[0].name.as_str(), &set.series[0].times[..]), ("b", &[0.0, 1.5][..]));
    assert!(set.series[0].values[[0, 1]].is_nan() && set.series[1].class == Some(1));
    for (rows, words) in [
        ("b,1,60,36,no\nb,0,60,36,no\n", "t.csv:3: series `b`: time 0 after a later one"),
        ("b,1,60,36,no\nb,1,60,36,no\n", "t.csv:3: series `b`: time 1 twice"),
        ("b,1,60,36,no\nb,2,60,36,yes\n", "t.csv:3: series `b` has classes `no` and `yes`"),
        ("b,,60,36,no\nb,2,60,36,no\n", "missing"),
    ] {
        let error = of(rows).expect_err(rows).to_string();
        assert!(error.contains(words), "{rows}: {error}");
    }
}

proptest! {
    /// No text makes the reader panic, and what it takes fits together.
    #[test]
    fn any_text_is_read_or_refused(rows in "[-0-9.,:()?aN \n@]{0,80}", timed in any::<bool>()) {
        if let Ok(set) = read(&format!("@timestamps {timed}\n@classLabel true a 1\n@data\n{rows}")) {
            for series in &set.series {
                prop_assert_eq!(series.values.dim(), (series.times.len(), set.channels.len()));
                prop_assert!(series.times.windows(2).all(|pair| pair[0] < pair[1]));
                prop_assert!(series.class.is_some_and(|class| (class as usize) < 2));
            }
        }
    }
}
