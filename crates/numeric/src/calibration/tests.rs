use super::*;
use ndarray::{Array2, ArrayView1, array};
use proptest::prelude::*;

const SCHEMES: [Scheme; 2] = [Scheme::EqualWidth, Scheme::EqualMass];

fn near(a: f64, b: f64, tolerance: f64) {
    assert!((a - b).abs() < tolerance, "{a} {b}");
}

/// Two classes, from the probabilities of the first.
fn two(first: &[f32]) -> Array2<f32> {
    Array2::from_shape_fn((first.len(), 2), |(i, c)| if c == 0 { first[i] } else { 1.0 - first[i] })
}

#[test]
fn eight_rows_by_hand() {
    let p = two(&[0.93, 0.87, 0.26, 0.54, 0.04, 0.62, 0.36, 0.97]);
    let y = [0, 1, 1, 1, 1, 0, 0, 0];
    let p = p.view();
    near(ece(p, &y, 10, Scheme::EqualWidth).unwrap(), 0.25875, 1e-7);
    near(ece(p, &y, 15, Scheme::EqualWidth).unwrap(), 0.24125, 1e-7);
    near(mce(p, &y, 10, Scheme::EqualWidth).unwrap(), 0.87, 1e-7);
    near(aurc(p, &y).unwrap(), 0.180506, 1e-6);
    near(excess_aurc(p, &y).unwrap(), 0.077083, 1e-6);
    near(nll(p, &y).unwrap(), 0.595174, 1e-6);
    near(brier(p, &y).unwrap(), 0.419375, 1e-6);
    // Confidences 0.54 0.62 | 0.64 0.74 | 0.87 0.93 | 0.96 0.97 with 1, 1, 1 and 2 right.
    let table = reliability(p, &y, 4, Scheme::EqualMass).unwrap();
    assert_eq!(table.iter().map(|b| b.count).collect::<Vec<_>>(), [2; 4]);
    assert_eq!(table.iter().map(|b| b.accuracy).collect::<Vec<_>>(), [0.5, 0.5, 0.5, 1.0]);
    near(table[1].confidence, 0.69, 1e-7);
    assert_eq!((table[0].lo, table[3].hi), (0.0, 1.0));
    near(ece(p, &y, 4, Scheme::EqualMass).unwrap(), (0.08 + 0.19 + 0.4 + 0.035) / 4.0, 1e-7);
}

#[test]
fn edges_belong_to_the_bin_below() {
    // One row at every tenth that can be a confidence of two classes, and beside the edge.
    let above = |v: f32| f32::from_bits(v.to_bits() + 1);
    for (confidence, bin) in [(0.5, 4), (0.6, 5), (0.7, 6), (0.8, 7), (0.9, 8), (above(0.7), 7), (1.0, 9)] {
        let table = reliability(two(&[confidence]).view(), &[0], 10, Scheme::EqualWidth).unwrap();
        assert_eq!(table.iter().position(|b| b.count == 1), Some(bin), "{confidence}");
        assert!(table.iter().enumerate().all(|(i, b)| (b.lo, b.hi) == (i as f64 / 10.0, (i + 1) as f64 / 10.0)));
        assert!(table.iter().all(|b| (b.count == 0) == b.accuracy.is_nan()));
    }
    // Ten classes: 0.1 is the first bin's end, also when single precision rounds it up.
    let even = Array2::from_elem((1, 10), 0.1);
    assert_eq!(reliability(even.view(), &[0], 10, Scheme::EqualWidth).unwrap()[0].count, 1);
    // Rows that rounding has left above 1 are in the last bin.
    for scheme in SCHEMES {
        let table = reliability(array![[1.0005_f32, 0.0]].view(), &[0], 3, scheme).unwrap();
        assert_eq!((table[2].count + table[0].count, table[2].hi), (1, 1.0));
    }
}

#[test]
fn certain_and_impossible_confidences() {
    let certain = two(&[1.0, 1.0, 0.0, 0.0]);
    for scheme in SCHEMES {
        near(ece(certain.view(), &[0, 0, 1, 1], 15, scheme).unwrap(), 0.0, 1e-15);
        near(ece(certain.view(), &[1, 1, 0, 0], 15, scheme).unwrap(), 1.0, 1e-15);
        near(ece(certain.view(), &[0, 0, 1, 0], 15, scheme).unwrap(), 0.25, 1e-15);
    }
    near(nll(certain.view(), &[0, 0, 1, 0]).unwrap(), -1e-12_f64.ln() / 4.0, 1e-12);
    near(brier(certain.view(), &[0, 0, 1, 0]).unwrap(), 0.5, 1e-15);
    // Two errors come last among equals, where the best order has them too.
    near(aurc(certain.view(), &[0; 4]).unwrap(), (1.0 / 3.0 + 0.5) / 4.0, 1e-12);
    near(excess_aurc(certain.view(), &[0; 4]).unwrap(), 0.0, 1e-12);
    // No class has any probability within the slack of the check: confidence 0 cannot be.
    assert!(ece(array![[0.0_f32, 0.0]].view(), &[0], 10, Scheme::EqualWidth).is_err());
    // Rows of one class are certain.
    assert_eq!(ece(array![[1.0_f32], [1.0]].view(), &[0, 0], 10, Scheme::EqualMass).unwrap(), 0.0);
}

#[test]
fn equal_confidences_keep_their_order_in_the_ranking_and_share_a_bin() {
    let p = two(&[0.75; 4]);
    near(aurc(p.view(), &[1, 0, 0, 0]).unwrap(), (1.0 + 0.5 + 1.0 / 3.0 + 0.25) / 4.0, 1e-12);
    near(aurc(p.view(), &[0, 0, 0, 1]).unwrap(), 0.25 / 4.0, 1e-12);
    near(excess_aurc(p.view(), &[0, 0, 0, 1]).unwrap(), 0.0, 1e-12);
    let counts: Vec<usize> =
        reliability(p.view(), &[0; 4], 2, Scheme::EqualMass).unwrap().iter().map(|b| b.count).collect();
    assert_eq!(counts, [4, 0]);
    // A tie is a prediction of the first class.
    assert_eq!(aurc(two(&[0.5]).view(), &[0]).unwrap(), 0.0);
}

#[test]
fn temperature_agrees_with_scipy() {
    // scipy.optimize.minimize_scalar (Brent) on the NLL over ln T.
    let z = array![
        [5.58_f32, -5.11, 0.84],
        [-1.14, 0.59, -0.43],
        [-4.04, -0.46, -0.23],
        [8.15, 0.45, -0.71],
        [-0.56, 0.16, -2.11],
        [-0.78, 0.96, 1.02],
        [3.42, -0.4, 0.05],
        [3.09, 2.59, -1.01],
        [-0.37, 1.08, 5.37],
        [0.96, -0.49, 2.0],
        [-1.77, 0.92, 1.77],
        [1.16, 0.18, 2.84],
    ];
    let y = [0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2];
    near(temperature(z.view(), &y).unwrap(), 0.9032624429173911, 1e-7);
    // Rows that are all right want certainty, rows that are all wrong none; what is the same for all classes says nothing.
    assert_eq!(temperature(z.slice(ndarray::s![..1, ..]), &[0]).unwrap(), TEMPERATURES.0);
    assert_eq!(temperature(z.slice(ndarray::s![..1, ..]), &[1]).unwrap(), TEMPERATURES.1);
    assert_eq!(temperature(Array2::zeros((3, 2)).view(), &[0, 1, 1]).unwrap(), TEMPERATURES.1);
    // Logits as large as they come.
    let huge = array![[f32::MAX, f32::MIN], [f32::MAX, f32::MIN], [f32::MAX, f32::MIN]];
    assert_eq!(temperature(huge.view(), &[0, 0, 1]).unwrap(), TEMPERATURES.1);
}

#[test]
fn bad_input_is_refused_by_row() {
    let fit = two(&[0.9, 0.2]);
    type Measure = fn(ArrayView2<f32>, &[u32]) -> Result<f64>;
    let measures: [Measure; 7] = [
        nll,
        brier,
        |p, y| ece(p, y, 10, Scheme::EqualWidth),
        |p, y| mce(p, y, 10, Scheme::EqualMass),
        aurc,
        excess_aurc,
        |p, y| reliability(p, y, 10, Scheme::EqualMass).map(|bins| bins[0].hi),
    ];
    for measure in measures {
        assert!(measure(fit.view(), &[0, 1]).is_ok());
        for (p, labels, says) in [
            (Array2::zeros((0, 2)), vec![], "labels: got 0"),
            (Array2::zeros((2, 0)), vec![0, 0], "label of row 0: got 0; there are 0 columns"),
            (fit.clone(), vec![0], "labels: got 1; there are 2 rows"),
            (fit.clone(), vec![0, 2], "label of row 1: got 2; there are 2 columns"),
            (array![[0.5, 0.5], [f32::NAN, 0.5]], vec![0, 0], "row 1, column 0: got NaN"),
            (array![[0.5, f32::INFINITY]], vec![0], "row 0, column 1: got inf"),
            (array![[3.0, -2.0]], vec![0], "row 0, column 0: got 3; probabilities lie"),
            (array![[0.6, 0.41]], vec![0], "row 0: got a sum of 1.01"),
            (array![[0.5, 0.498]], vec![0], "a row must sum to 1"),
        ] {
            let error = measure(p.view(), &labels).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
        assert!(measure(array![[0.5, 0.4995]].view(), &[0]).is_ok());
    }
    for bins in [0, MOST_BINS + 1, usize::MAX] {
        assert!(ece(fit.view(), &[0, 1], bins, Scheme::EqualWidth).is_err());
    }
    assert!(temperature(array![[f32::NAN, 0.0]].view(), &[0]).is_err());
    assert!(temperature(array![[1.0, 0.0]].view(), &[2]).is_err() && temperature(fit.view(), &[0]).is_err());
    assert!(temperature(Array2::zeros((0, 3)).view(), &[]).is_err());
}

#[test]
fn the_first_bad_row_is_named_whatever_the_threads() {
    let mut p = Array2::from_elem((5 * CHUNK, 2), 0.5_f32);
    for row in [CHUNK + 7, 2 * CHUNK, 4 * CHUNK + 1] {
        p[[row, 0]] = 0.7;
    }
    let error = nll(p.view(), &vec![0; 5 * CHUNK]).unwrap_err().to_string();
    assert!(error.contains(&format!("row {}:", CHUNK + 7)), "{error}");
}

/// Probabilities of up to 60 rows and 5 classes in steps that repeat, and labels.
fn rows() -> impl Strategy<Value = (Array2<f32>, Vec<u32>)> {
    (1usize..60, 1usize..6).prop_flat_map(|(n, k)| {
        let weights = prop::collection::vec(1u8..12, n * k);
        (weights, prop::collection::vec(0..k as u32, n)).prop_map(move |(weights, labels)| {
            let mut p = Array2::from_shape_vec((n, k), weights).unwrap().mapv(f32::from);
            p.rows_mut().into_iter().for_each(|mut row| row /= row.sum());
            (p, labels)
        })
    })
}

/// Confidence and whether the prediction is right, the plain way.
fn plain(p: &Array2<f32>, labels: &[u32]) -> Vec<(f32, bool)> {
    let of_row = |(row, label): (ArrayView1<f32>, &u32)| {
        let top = row.iter().copied().fold(0.0, f32::max);
        (top, row.iter().position(|v| *v == top) == Some(*label as usize))
    };
    p.outer_iter().zip(labels).map(of_row).collect()
}

proptest! {
    #[test]
    fn tables_hold_every_row_where_its_confidence_says((p, labels) in rows(), bins in 1usize..40) {
        let plain = plain(&p, &labels);
        for scheme in SCHEMES {
            let table = reliability(p.view(), &labels, bins, scheme).unwrap();
            prop_assert_eq!((table.len(), table[0].lo, table[bins - 1].hi), (bins, 0.0, 1.0));
            prop_assert!(table.windows(2).all(|w| w[0].hi == w[1].lo && w[0].lo <= w[0].hi));
            let mut expected = 0.0;
            for bin in &table {
                let inside = |c: f32| c > bin.lo as f32 && (c <= bin.hi as f32 || bin.hi == 1.0);
                let inside: Vec<_> = plain.iter().filter(|(c, _)| inside(*c)).collect();
                prop_assert_eq!(bin.count, inside.len());
                let sure: f64 = inside.iter().map(|(c, _)| f64::from(*c)).sum();
                let right = inside.iter().filter(|(_, right)| *right).count() as f64;
                if bin.count > 0 {
                    prop_assert!((bin.confidence * bin.count as f64 - sure).abs() < 1e-9);
                    prop_assert!((bin.accuracy * bin.count as f64 - right).abs() < 1e-9);
                }
                expected += (sure - right).abs() / labels.len() as f64;
            }
            let (mean, most) = (ece(p.view(), &labels, bins, scheme).unwrap(), mce(p.view(), &labels, bins, scheme).unwrap());
            prop_assert!((mean - expected).abs() < 1e-9);
            prop_assert!(mean <= most + 1e-12 && most <= 1.0 + 1e-6);
            // The order of the rows does not matter.
            let mut backwards = p.clone();
            backwards.invert_axis(ndarray::Axis(0));
            let turned: Vec<u32> = labels.iter().rev().copied().collect();
            prop_assert!((ece(backwards.view(), &turned, bins, scheme).unwrap() - mean).abs() < 1e-9);
        }
    }

    #[test]
    fn masses_are_equal_where_confidences_differ(order in Just((0..97).collect::<Vec<usize>>()).prop_shuffle(), bins in 1usize..97) {
        let first: Vec<f32> = order.iter().map(|i| 0.51 + 0.005 * *i as f32).collect();
        let table = reliability(two(&first).view(), &[0; 97], bins, Scheme::EqualMass).unwrap();
        prop_assert!(table.iter().all(|b| b.count == 97 / bins || b.count == 97 / bins + 1));
    }

    #[test]
    fn areas_are_what_the_definition_says((p, labels) in rows()) {
        let plain = plain(&p, &labels);
        let n = plain.len();
        let mut order: Vec<usize> = (0..n).collect();
        order.sort_by(|a, b| plain[*b].0.total_cmp(&plain[*a].0));
        let risk = |order: &[usize], j: usize| order[..j].iter().filter(|i| !plain[**i].1).count() as f64 / j as f64;
        let area = |order: &[usize]| (1..=n).map(|j| risk(order, j)).sum::<f64>() / n as f64;
        let found = aurc(p.view(), &labels).unwrap();
        prop_assert!((found - area(&order)).abs() < 1e-9 && (0.0..=1.0).contains(&found));
        order.sort_by_key(|i| !plain[*i].1);
        let excess = excess_aurc(p.view(), &labels).unwrap();
        prop_assert!((found - area(&order) - excess).abs() < 1e-9 && excess > -1e-12);
    }

    #[test]
    fn scores_agree_with_those_in_double_precision((p, labels) in rows()) {
        let double = p.mapv(f64::from);
        let (likelihood, square) = (nll(p.view(), &labels).unwrap(), brier(p.view(), &labels).unwrap());
        prop_assert!((likelihood - crate::metrics::log_loss(&labels, double.view()).unwrap()).abs() < 1e-9);
        prop_assert!((square - crate::metrics::brier(&labels, double.view()).unwrap()).abs() < 1e-6);
        // A view whose rows do not lie together is the same table.
        let turned = p.t().as_standard_layout().into_owned();
        prop_assert_eq!(nll(turned.t(), &labels).unwrap(), likelihood);
        prop_assert_eq!(aurc(turned.t(), &labels).unwrap(), aurc(p.view(), &labels).unwrap());
    }

    /// No temperature nearby is better, and scaled logits have the scaled temperature.
    #[test]
    fn a_temperature_is_the_best_and_scales(
        z in prop::collection::vec(-300i16..300, 30 * 3),
        labels in prop::collection::vec(0u32..3, 30),
        scale in 0.25f32..4.0,
    ) {
        let z = Array2::from_shape_vec((30, 3), z).unwrap().mapv(|v| f32::from(v) * 0.01);
        let found = temperature(z.view(), &labels).unwrap();
        prop_assert!((TEMPERATURES.0..=TEMPERATURES.1).contains(&found));
        let loss = |t: f64| {
            let row = |(z, label): (ArrayView1<f32>, &u32)| {
                let mass: f64 = z.iter().map(|v| (f64::from(*v) / t).exp()).sum();
                mass.ln() - f64::from(z[*label as usize]) / t
            };
            z.outer_iter().zip(&labels).map(row).sum::<f64>()
        };
        for other in [0.9, 0.999, 1.001, 1.1].map(|by| found * by) {
            if (TEMPERATURES.0..=TEMPERATURES.1).contains(&other) {
                prop_assert!(loss(found) <= loss(other) + 1e-9, "{} {}", found, other);
            }
        }
        let scaled = temperature((&z * scale).view(), &labels).unwrap();
        let wanted = found * f64::from(scale);
        if (0.05..20.0).contains(&found) {
            prop_assert!((scaled / wanted - 1.0).abs() < 1e-4, "{} {}", scaled, wanted);
        }
    }
}
