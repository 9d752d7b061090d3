//! The audit on files made with one trouble and on sound ones, its checks one by one, and what it refuses.

use ndarray::Array2;
use quadrat_core::{Error, Progress, Rng, Seed, Silent};
use quadrat_robust::{Audit, Cells, Field, NO_NAME, Records, Trouble, audit};

/// Sound rows of a kind: clouds that overlap or not, a logistic curve, a circle, an exclusive or, names among numbers.
fn sound(kind: usize, rng: &mut Rng) -> Records {
    let (rows, columns) = (400 + rng.below(400), 5 + rng.below(6));
    let mut x = Array2::from_shape_fn((rows, columns), |_| rng.normal());
    let curve = |z: f64, rng: &mut Rng| u32::from(rng.uniform() < 1.0 / (1.0 + (-z).exp()));
    let y: Vec<u32> = match kind {
        0 | 1 => {
            let apart = if kind == 0 { 1.6 } else { 0.9 };
            let y: Vec<u32> = (0..rows).map(|i| (i % 3) as u32).collect();
            let centres = Array2::from_shape_fn((3, columns), |_| apart * rng.normal());
            x.outer_iter_mut().zip(&y).for_each(|(mut row, class)| row += &centres.row(*class as usize));
            y
        }
        2 => {
            let slopes: Vec<f64> = (0..columns).map(|_| 1.5 * rng.normal()).collect();
            x.outer_iter().map(|row| curve(row.iter().zip(&slopes).map(|(v, s)| v * s).sum(), rng)).collect()
        }
        3 => x.outer_iter().map(|row| u32::from(row[0].hypot(row[1]) > 1.2)).collect(),
        _ => x.outer_iter().map(|row| curve(3.0 * (row[0] + row[1] - row[2]), rng)).collect(),
    };
    let mut records = Records::of_numbers(&x, y);
    if kind == 4 {
        // Three levels in place of a number.
        let level = |v: &f64| u32::from(*v > -0.5) + u32::from(*v > 0.5);
        records.fields[0].cells = Cells::Names(x.column(0).iter().map(level).collect());
    }
    records
}

fn take(records: &mut Records, rows: &[usize]) {
    records.y = rows.iter().map(|row| records.y[*row]).collect();
    for field in &mut records.fields {
        match &mut field.cells {
            Cells::Numbers(values) => *values = rows.iter().map(|row| values[*row]).collect(),
            Cells::Names(codes) => *codes = rows.iter().map(|row| codes[*row]).collect(),
        }
    }
}

fn other(class: u32, classes: usize, rng: &mut Rng) -> u32 {
    (class + 1 + rng.below(classes - 1) as u32) % classes as u32
}

/// Puts one trouble into sound rows.
fn troubled(trouble: Trouble, records: &mut Records, rng: &mut Rng) {
    let (rows, classes) = (records.rows(), records.classes.len());
    match trouble {
        Trouble::WrongLabels => {
            rng.sample(rows, rows / 5).into_iter().for_each(|row| records.y[row] = other(records.y[row], classes, rng));
        }
        Trouble::Imbalance => {
            let few: Vec<usize> = (0..rows).filter(|row| records.y[*row] == 0).take(4).collect();
            let kept: Vec<usize> = (0..rows).filter(|row| records.y[*row] != 0 || few.contains(row)).collect();
            take(records, &kept);
        }
        Trouble::HolesByClass => {
            let y = records.y.clone();
            let lacks = |row: usize, rng: &mut Rng| y[row] == 0 && rng.below(2) == 0;
            match &mut records.fields[1].cells {
                Cells::Numbers(values) => {
                    values.iter_mut().enumerate().for_each(|(i, v)| *v = if lacks(i, rng) { f64::NAN } else { *v })
                }
                Cells::Names(codes) => {
                    codes.iter_mut().enumerate().for_each(|(i, c)| *c = if lacks(i, rng) { NO_NAME } else { *c })
                }
            }
        }
        Trouble::CopiesAcrossLabels => {
            let all: Vec<usize> = (0..rows).chain(rng.sample(rows, rows / 10)).collect();
            take(records, &all);
            (rows..all.len()).for_each(|row| records.y[row] = other(records.y[row], classes, rng));
        }
        _ => {
            let cells = Cells::Numbers(records.y.iter().map(|class| f64::from(*class) + 0.05 * rng.normal()).collect());
            records.fields.push(Field { name: "leak".to_owned(), cells });
        }
    }
}

fn troubles(audit: &Audit) -> Vec<Trouble> {
    audit.findings.iter().map(|finding| finding.trouble).collect()
}

/// Each check calls sound rows troubled once in 100 at most: three or more of 25 happen once in 100 runs of checks that
/// are all at that rate together. Of troubled ones a fifth may be missed: clouds that overlap leave little to see.
#[test]
fn one_trouble_is_named_and_sound_rows_are_not() {
    let all =
        [Trouble::WrongLabels, Trouble::Imbalance, Trouble::HolesByClass, Trouble::CopiesAcrossLabels, Trouble::Leak];
    let (mut alarms, mut named) = (Vec::new(), 0);
    for i in 0..25 {
        let mut rng = Seed(3).stream("sound").rng(i as u64);
        let records = sound(i % 5, &mut rng);
        let found = audit(&records, Seed(0), &Silent).unwrap();
        alarms.extend(found.findings.iter().map(|finding| format!("{} {}", i % 5, finding.said)));
        let (mut records, trouble) = (sound(i % 5, &mut rng), all[i / 5]);
        troubled(trouble, &mut records, &mut rng);
        let found = audit(&records, Seed(0), &Silent).unwrap();
        named += usize::from(troubles(&found) == [trouble]);
    }
    assert!(alarms.len() < 3, "{alarms:?}");
    assert!(named >= 20, "{named} of 25");
}

#[test]
fn same_seed_same_audit_at_any_number_of_threads() {
    let mut records = sound(4, &mut Seed(1).rng(0));
    troubled(Trouble::CopiesAcrossLabels, &mut records, &mut Seed(1).rng(1));
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| audit(&records, Seed(5), &Silent).unwrap())
    };
    assert_eq!(run(1), run(2));
}

/// Two overlapping clouds of four columns.
fn clouds(rows: usize, seed: u64) -> Records {
    let mut rng = Seed(seed).stream("clouds").rng(0);
    let x = Array2::from_shape_fn((rows, 4), |(i, _)| rng.normal() + (i % 2) as f64);
    Records::of_numbers(&x, (0..rows).map(|i| (i % 2) as u32).collect())
}

fn numbers(records: &mut Records, column: usize) -> &mut Vec<f64> {
    let Cells::Numbers(values) = &mut records.fields[column].cells else { panic!("names") };
    values
}

#[test]
fn each_check_finds_what_it_looks_for_and_says_where() {
    type Put = fn(&mut Records);
    let cases: [(Trouble, &[usize], Put); 7] = [
        (Trouble::Constant, &[], |r| numbers(r, 2).fill(7.0)),
        (Trouble::Constant, &[], |r| numbers(r, 2).fill(f64::NAN)),
        (Trouble::Identifier, &[], |r| r.identifiers = vec!["key".to_owned()]),
        (Trouble::Holes, &[3, 50, 51, 102], |r| [3, 50, 51, 102].iter().for_each(|i| numbers(r, 1)[*i] = f64::NAN)),
        (Trouble::Copies, &[200, 202], |r| {
            (0..4).for_each(|c| [200, 202].iter().for_each(|i| numbers(r, c)[*i] = numbers(r, c)[*i - 100]));
        }),
        (Trouble::NearCopies, &[100, 200], |r| {
            (0..4).for_each(|c| numbers(r, c)[200] = numbers(r, c)[100] + 1e-6 * (c + 1) as f64);
        }),
        (Trouble::Outliers, &[77], |r| numbers(r, 3)[77] = 1e4),
    ];
    for (trouble, rows, put) in cases {
        let mut records = clouds(300, 8);
        assert_eq!(troubles(&audit(&records, Seed(0), &Silent).unwrap()), [], "before {trouble:?}");
        put(&mut records);
        let found = audit(&records, Seed(0), &Silent).unwrap();
        assert_eq!(troubles(&found), [trouble]);
        let mut told = found.findings[0].rows.clone();
        told.sort_unstable();
        assert_eq!(told, rows, "{trouble:?}");
        assert!(!found.findings[0].said.is_empty() && !found.findings[0].sure.is_empty());
    }
}

/// A table of names has equal rows by itself; an easy task has columns that tell the class, and no leak.
#[test]
fn what_is_natural_is_no_finding() {
    let mut rng = Seed(4).rng(0);
    let mut records = Records::of_numbers(&Array2::from_shape_fn((900, 6), |_| rng.below(3) as f64), Vec::new());
    for field in &mut records.fields {
        let Cells::Numbers(values) = &field.cells else { continue };
        field.cells = Cells::Names(values.iter().map(|v| *v as u32).collect());
    }
    records.y = (0..900).map(|_| rng.below(2) as u32).collect();
    records.classes = vec!["a".to_owned(), "b".to_owned()];
    assert_eq!(troubles(&audit(&records, Seed(0), &Silent).unwrap()), []);
    let x = Array2::from_shape_fn((300, 5), |(i, _)| rng.normal() + 12.0 * (i % 2) as f64);
    let easy = Records::of_numbers(&x, (0..300).map(|i| (i % 2) as u32).collect());
    assert_eq!(troubles(&audit(&easy, Seed(0), &Silent).unwrap()), []);
}

#[test]
fn what_does_not_fit_is_refused() {
    let x = Array2::from_shape_fn((4, 2), |(i, j)| (i * j) as f64);
    let good = Records::of_numbers(&x, vec![0, 1, 0, 1]);
    type Spoil = fn(&mut Records);
    let cases: [(Spoil, &str); 6] = [
        (|r| r.fields.clear(), "columns: got none"),
        (|r| r.y = vec![1; 4], "labels: got one class in 4 rows"),
        (|r| r.y = vec![0, 1, 2, 0], "label of row 2: got 2"),
        (|r| r.y = vec![0, 1], "column `x0`: got 4 rows"),
        (|r| numbers(r, 1)[2] = f64::INFINITY, "column `x1`, row 2: got inf"),
        (|r| take(r, &[]), "labels: got one class in 0 rows"),
    ];
    for (spoil, message) in cases {
        let mut records = good.clone();
        spoil(&mut records);
        let error = audit(&records, Seed(0), &Silent).unwrap_err().to_string();
        assert!(error.starts_with(message), "{error}");
    }
    // Few rows are looked at as far as that goes.
    let found = audit(&good, Seed(0), &Silent).unwrap();
    assert!(troubles(&found).contains(&Trouble::Imbalance) && found.notes[0].contains("fewer than 50"), "{found:?}");

    struct Stopped;
    impl Progress for Stopped {
        fn cancelled(&self) -> bool {
            true
        }
    }
    assert!(matches!(audit(&clouds(100, 1), Seed(0), &Stopped), Err(Error::Cancelled)));
}
