//! Confident learning against cleanlab's numbers (`golden/suspects.py` says how they were made), and what must hold of it.

use ndarray::{Array2, array};
use proptest::prelude::*;
use quadrat_core::Seed;
use quadrat_numeric::metrics::average_precision;
use quadrat_robust::{floor, suspects};
use std::path::Path;

#[test]
fn agrees_with_cleanlab() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/suspects.json");
    let golden: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let rows: Vec<[f64; 3]> = serde_json::from_value(golden["probabilities"].clone()).unwrap();
    let labels: Vec<u32> = serde_json::from_value(golden["labels"].clone()).unwrap();
    let p = Array2::from(rows);
    let found = suspects(p.view(), &labels).unwrap();
    let thresholds: Vec<f64> = serde_json::from_value(golden["thresholds"].clone()).unwrap();
    assert!(found.thresholds.iter().zip(&thresholds).all(|(a, b)| (a - b).abs() < 1e-12));
    // The peer's is rounded to whole rows.
    let joint: Vec<Vec<f64>> = serde_json::from_value(golden["calibrated"].clone()).unwrap();
    assert!(found.joint.iter().zip(joint.concat()).all(|(a, b)| (a - b).abs() < 1.0), "{:?}", found.joint);
    let issues: Vec<usize> = serde_json::from_value(golden["issues"].clone()).unwrap();
    assert_eq!(found.ranked.iter().map(|s| s.row).collect::<Vec<_>>(), issues);
}

/// Rows of `classes` classes whose probabilities are those that made the labels, a share of which was then changed.
fn noisy(rows: usize, classes: usize, share: f64, seed: u64) -> (Array2<f64>, Vec<u32>, Vec<bool>) {
    let mut rng = Seed(seed).stream("noisy").rng(0);
    let mut p = Array2::from_shape_fn((rows, classes), |_| (2.5 * rng.normal()).exp());
    p.outer_iter_mut().for_each(|mut row| row /= row.sum());
    let mut labels: Vec<u32> = p.outer_iter().map(|row| rng.weighted(&row.to_vec()) as u32).collect();
    let wrong: Vec<bool> = (0..rows).map(|_| rng.uniform() < share).collect();
    for (label, _) in labels.iter_mut().zip(&wrong).filter(|(_, wrong)| **wrong) {
        *label = (*label + 1 + rng.below(classes - 1) as u32) % classes as u32;
    }
    (p, labels, wrong)
}

#[test]
fn changed_labels_come_first() {
    let (p, labels, wrong) = noisy(5000, 10, 0.1, 1);
    let found = suspects(p.view(), &labels).unwrap();
    let mut scores = vec![-1.0; labels.len()];
    found.ranked.iter().for_each(|suspect| scores[suspect.row] = 1.0 - suspect.own);
    let precision = average_precision(&wrong, &scores).unwrap();
    // One label in ten is wrong: any order gives 0.1.
    assert!(precision > 0.5, "{precision}");
    assert!(found.ranked.iter().all(|s| s.given != s.proposed && labels[s.row] == s.given));
}

/// Overlapping classes have no floor, changed labels have their share as one. Intervals of 95%: of 20 clean sets and 20
/// with a tenth changed, four or more that miss happen once in 6,000 times each.
#[test]
fn the_floor_is_the_share_of_changed_labels() {
    let (mut above, mut missed) = (0, 0);
    for seed in 0..20 {
        let (p, labels, _) = noisy(2000, 3, 0.0, seed);
        above += usize::from(floor(p.view(), &labels).low > 0.01);
        let (p, labels, _) = noisy(2000, 3, 0.1, 100 + seed);
        let of = floor(p.view(), &labels);
        missed += usize::from(!(of.low..=of.high).contains(&0.1));
        assert!(of.low <= of.share && of.share <= of.high && of.low > 0.0, "{of:?}");
    }
    assert!(above < 4 && missed < 4, "{above} {missed}");
}

#[test]
fn what_does_not_fit_is_refused() {
    let p = array![[0.5, 0.5], [0.2, 0.8]];
    let nan = array![[0.5, 0.5], [f64::NAN, 0.8]];
    let outside = array![[0.5, 0.5], [1.2, -0.2]];
    for (p, labels, message) in [
        (&p, &[0][..], "probabilities: got 2 rows"),
        (&p, &[0, 2][..], "label of row 1: got 2"),
        (&nan, &[0, 1][..], "probabilities of row 1: got NaN"),
        (&outside, &[0, 1][..], "probabilities of row 1: got 1.2"),
        (&Array2::zeros((0, 2)), &[][..], "probabilities: got 0 rows"),
    ] {
        let error = suspects(p.view(), labels).unwrap_err().to_string();
        assert!(error.starts_with(message), "{error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Labels keep their counts in the joint, no row is named twice, and classes may be renamed.
    #[test]
    fn the_joint_has_the_labels_counts(seed in 0u64..1000, rows in 1usize..80, classes in 2usize..5) {
        let (p, labels, _) = noisy(rows, classes, 0.3, seed);
        let found = suspects(p.view(), &labels).unwrap();
        for class in 0..classes {
            let count = labels.iter().filter(|l| **l as usize == class).count() as f64;
            prop_assert!((found.joint.row(class).sum() - count).abs() < 1e-9);
        }
        let mut named: Vec<usize> = found.ranked.iter().map(|s| s.row).collect();
        prop_assert!(found.ranked.is_sorted_by(|a, b| a.own <= b.own));
        named.sort_unstable();
        named.dedup();
        prop_assert_eq!(named.len(), found.ranked.len());
        let of = floor(p.view(), &labels);
        prop_assert!(0.0 <= of.low && of.low <= of.share && of.share <= of.high && of.high <= 1.0);
    }
}
