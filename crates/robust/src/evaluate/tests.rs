use super::roc_sweep::put_together;
use super::*;
use crate::{Labelled, RandomOverSampling, RandomUnderSampling, Resampler, Smote, Strategy};
use ndarray::{Array2, array};
use proptest::prelude::*;
use quadrat_core::{Seed, Silent};
use quadrat_numeric::learners::{Classifier, Learner, Softmax, Tree};
use quadrat_numeric::metrics::{Split, stratified_folds};

fn overlapping(rows: usize, seed: u64) -> Labelled {
    let mut rng = Seed(seed).rng(0);
    let y: Vec<u32> = (0..rows).map(|i| u32::from(i % 6 == 0)).collect();
    let x = Array2::from_shape_fn((rows, 3), |(i, _)| rng.normal() + 0.8 * f64::from(y[i]));
    Labelled::new(x, y)
}

fn point(false_positive: f64, true_positive: f64) -> SweepPoint {
    SweepPoint { setting: Setting::Raw, false_positive, true_positive }
}

#[test]
fn area_starts_at_the_leftmost_point_and_ends_at_one() {
    let curve = SweepCurve::new("x", vec![point(0.5, 0.9), point(0.1, 0.5)]);
    assert!((curve.area - (0.4 * 0.7 + 0.5 * 0.95)).abs() < 1e-15);
    assert_eq!(curve.rates(), [(0.1, 0.5), (0.5, 0.9), (1.0, 1.0)]);
    // A measured (1, 1) adds nothing to the area.
    let again = SweepCurve::new("x", vec![point(0.5, 0.9), point(1.0, 1.0), point(0.1, 0.5)]);
    assert_eq!(again.area, curve.area);
}

#[test]
fn sweeping_trades_false_alarms_for_hits_and_is_reproducible() {
    let data = overlapping(240, 1);
    let folds = stratified_folds(&data.y, 4, Seed(2)).unwrap();
    let sweep =
        RocSweep { families: vec![RocSweep::under_alone(), RocSweep::smote(200)], under_levels: vec![20, 100, 500] };
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| sweep.run(&Tree::default(), &data, &folds, Seed(5), &Silent).unwrap())
    };
    let curves = run(1);
    assert_eq!(curves, run(3), "threads");
    for curve in &curves {
        let at = |level| curve.points.iter().find(|p| p.setting == Setting::Under(level)).unwrap();
        assert!(at(500).true_positive > at(20).true_positive, "{curve:?}");
        assert!(at(500).false_positive > at(20).false_positive, "{curve:?}");
        assert_eq!(curve.points.last().unwrap().setting, Setting::Everything);
    }
    let raw = |c: &SweepCurve| *c.points.iter().find(|p| p.setting == Setting::Raw).unwrap();
    assert_eq!(raw(&curves[0]), raw(&curves[1]));
}

#[test]
fn families_share_the_majorities() {
    let data = overlapping(60, 3);
    let under = RandomUnderSampling { strategy: Strategy::Percent(200), ..Default::default() };
    let over = RandomOverSampling { strategy: Strategy::Percent(300), ..Default::default() };
    let thinned = under.resample(&data, Seed(0), &Silent).unwrap().table(&data);
    let grown = over.resample(&data, Seed(0), &Silent).unwrap().table(&data);
    let both = put_together(&thinned, &grown, 1).unwrap();
    assert_eq!(both.counts(), [5, 40]);
    let negatives = thinned.rows_of(0).into_iter().map(|row| thinned.x.row(row).to_vec());
    assert!(negatives.eq(both.rows_of(0).into_iter().map(|row| both.x.row(row).to_vec())));
}

#[test]
fn a_learner_sees_training_rows_only() {
    // A test row copied into training would be found again by the purest tree: on labels that are noise, the rates
    // of an honest protocol stay at chance. 400 rows in 4 folds; five standard errors.
    let mut rng = Seed(4).rng(0);
    let x = Array2::from_shape_fn((400, 2), |_| rng.uniform());
    let data = Labelled::new(x, (0..400).map(|i| u32::from(i % 2 == 0)).collect());
    let folds = stratified_folds(&data.y, 4, Seed(1)).unwrap();
    let families = vec![RocSweep::smote(300)];
    let sweep = RocSweep { families, under_levels: vec![100] };
    let curves = sweep.run(&Tree::cart(), &data, &folds, Seed(1), &Silent).unwrap();
    for p in curves[0].points.iter().filter(|p| p.setting != Setting::Everything) {
        let spread = 5.0 * (2.0 * 0.25 / 200.0_f64).sqrt();
        assert!((p.true_positive - p.false_positive).abs() < spread, "{p:?}");
    }
}

#[test]
fn bad_sweeps_are_errors() {
    let data = overlapping(60, 1);
    let folds = stratified_folds(&data.y, 3, Seed(0)).unwrap();
    let run = |sweep: RocSweep, data: &Labelled, folds: &[Split]| {
        sweep.run(&Tree::default(), data, folds, Seed(0), &Silent).unwrap_err().to_string()
    };
    let mut three = data.clone();
    three.y[0] = 2;
    three.classes.push("2".into());
    let one_sided = vec![Split { train: (0..50).collect(), test: vec![1, 2] }];
    let too_much = RocSweep { under_levels: vec![5000], ..RocSweep::default() };
    let none = RocSweep { families: Vec::new(), ..RocSweep::default() };
    for (error, start) in [
        (run(RocSweep::default(), &three, &folds), "labels: got 3 classes with rows;"),
        (run(RocSweep::default(), &data, &[]), "ROC sweep: got 0 folds,"),
        (run(none, &data, &folds), "ROC sweep: got 3 folds, 0 families"),
        (run(RocSweep::default(), &data, &one_sided), "ROC curve: got 0 positive of 2 rows"),
        (run(too_much, &data, &folds), "percent: got 5000;"),
    ] {
        assert!(error.starts_with(start), "{error}");
    }
}

#[test]
fn a_pipeline_resamples_and_keeps_weights_with_their_rows() {
    let data = overlapping(120, 6);
    let smote = || Box::new(Smote::default());
    let (x, y) = (data.x.view(), &data.y);
    let plain = Softmax::default().fit(x, y, 2, None, Seed(0)).unwrap();
    let pipeline = Pipeline::new(smote(), Box::new(Softmax::default()));
    let balanced = pipeline.fit(x, y, 2, None, Seed(0)).unwrap();
    let positives = |model: &dyn Classifier| model.predict(x).iter().filter(|c| **c == 1).count();
    assert!(positives(&*balanced) > 2 * positives(&*plain));
    // Weights that silence the majority silence its copies: every answer is the minority.
    let weights: Vec<f64> = y.iter().map(|c| f64::from(*c)).collect();
    let model = pipeline.fit(x, y, 2, Some(&weights), Seed(0)).unwrap();
    assert_eq!(positives(&*model), 120);
    assert!(pipeline.fit(x, y, 2, Some(&[1.0]), Seed(0)).is_err());
    assert!(pipeline.fit(x, &y[..5], 2, None, Seed(0)).is_err());
    assert_eq!(pipeline.name(), "smote");
}

#[test]
fn hulls_of_special_points() {
    let corners = |points: Vec<(f64, f64)>| {
        let hull = roc_convex_hull(&[points]).unwrap();
        hull.vertices.iter().map(|v| (v.false_positive, v.true_positive)).collect::<Vec<_>>()
    };
    assert_eq!(corners(vec![]), [(0.0, 0.0), (1.0, 1.0)]);
    assert_eq!(corners(vec![(0.5, 0.2), (0.5, 0.5)]), [(0.0, 0.0), (1.0, 1.0)], "below or on the diagonal");
    assert_eq!(corners(vec![(0.0, 1.0)]), [(0.0, 0.0), (0.0, 1.0), (1.0, 1.0)], "the perfect classifier");
    assert_eq!(
        corners(vec![(0.0, 0.3), (0.0, 0.5), (0.2, 0.5)]),
        [(0.0, 0.0), (0.0, 0.5), (1.0, 1.0)],
        "of points above each other, the highest"
    );
    for bad in [(1.2, 0.5), (0.5, f64::NAN), (-0.1, 0.5)] {
        assert!(roc_convex_hull(&[vec![bad]]).is_err());
    }
    // Of equal points the first curve's stays.
    let hull = roc_convex_hull(&[vec![(0.2, 0.7)], vec![(0.2, 0.7)]]).unwrap();
    assert_eq!(hull.vertices[1].owner, Some((0, 0)));
    assert_eq!(hull.best_at(1e9).true_positive, 0.0);
    assert_eq!(hull.best_at(0.0).true_positive, 1.0);
    for (share, a, b) in [(0.0, 1.0, 1.0), (1.0, 1.0, 1.0), (0.5, 0.0, 1.0), (0.5, 1.0, f64::NAN)] {
        assert!(iso_performance_slope(share, a, b).is_err());
    }
}

proptest! {
    /// The hull lies above every point, its area above every curve's, and points inside it change nothing.
    #[test]
    fn the_hull_covers(points in prop::collection::vec((0.0..=1.0_f64, 0.0..=1.0_f64), 1..20), weight in 0.0..1.0_f64) {
        let hull = roc_convex_hull(std::slice::from_ref(&points)).unwrap();
        for &(fp, tp) in &points {
            let pair = hull.vertices.windows(2).find(|w| w[1].false_positive >= fp).unwrap();
            let run = pair[1].false_positive - pair[0].false_positive;
            let share = if run > 0.0 { (fp - pair[0].false_positive) / run } else { 1.0 };
            let above = pair[0].true_positive + share * (pair[1].true_positive - pair[0].true_positive);
            prop_assert!(tp <= above + 1e-12, "{tp} {above}");
        }
        let curve = SweepCurve::new("", points.iter().map(|(fp, tp)| point(*fp, *tp)).collect());
        prop_assert!(hull.area() >= curve.area - 1e-12);
        let inside = (weight * points[0].0 + (1.0 - weight), weight * points[0].1 * 0.99);
        let with = roc_convex_hull(&[points.clone(), vec![inside]]).unwrap();
        prop_assert_eq!(hull.vertices, with.vertices);
    }

    /// Correcting there and back is no change, and two classes follow the sheet's formula.
    #[test]
    fn priors_are_corrected(p in 0.01..0.99_f64, trained in 0.05..0.95_f64, actual in 0.05..0.95_f64) {
        let (t, a) = ([1.0 - trained, trained], [1.0 - actual, actual]);
        let once = correct_priors(array![[1.0 - p, p]].view(), &t, &a).unwrap();
        let b = (actual / (1.0 - actual)) / (trained / (1.0 - trained));
        prop_assert!((once[[0, 1]] - p * b / (p * b + 1.0 - p)).abs() < 1e-12);
        let back = correct_priors(once.view(), &a, &t).unwrap();
        prop_assert!((back[[0, 1]] - p).abs() < 1e-12);
    }
}

#[test]
fn shares_that_cannot_be_are_refused() {
    let p = array![[0.5, 0.5]];
    assert!(correct_priors(p.view(), &[0.5], &[0.5, 0.5]).is_err());
    assert!(correct_priors(p.view(), &[0.5, 0.0], &[0.5, 0.5]).is_err());
    assert!(correct_priors(p.view(), &[0.5, 0.5], &[f64::NAN, 0.5]).is_err());
    assert_eq!(correct_priors(p.view(), &[0.5, 0.5], &[0.0, 1.0]).unwrap(), array![[0.0, 1.0]]);
}
