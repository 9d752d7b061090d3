use super::*;
use crate::{Complex, Encoding, MaskedFft};
use quadrat_numeric::operator::{LinearOp, check_operator};

#[test]
fn masks_have_the_exact_count() {
    for (side, fraction) in [(256, 0.3), (256, 0.15), (200, 0.1), (129, 0.05), (64, 1.0)] {
        let lines = varden1d([32, side], fraction, usual_centre(fraction), Seed(1)).unwrap();
        let count = (fraction * side as f64).round() as usize;
        assert_eq!(lines.count(), 32 * count);
        assert!((lines.acceleration() - side as f64 / count as f64).abs() < 1e-12);
        let points = varden2d([32, side], fraction, usual_centre(fraction), Seed(1)).unwrap();
        assert_eq!(points.count(), (fraction * (32 * side) as f64).round() as usize);
        assert!(points.has_centre());
    }
}

/// The middle is whole, and a line next to the middle is drawn more often than one at the edge. Of 400 masks the counts of the two
/// differ by chance as much as demanded with a probability below 1e-9.
#[test]
fn density_falls_outwards() {
    let (mut near, mut far) = (0, 0);
    for seed in 0..400 {
        let mask = varden1d([1, 100], 0.3, 0.08, Seed(seed)).unwrap();
        assert!((46..54).all(|line| mask.kept()[line]));
        near += usize::from(mask.kept()[58]);
        far += usize::from(mask.kept()[95]);
    }
    assert!(near > far + 150, "{near} {far}");
}

#[test]
fn every_fourth_line_and_a_middle_are_the_paper_s_28_percent() {
    let mask = uniform([256, 256], 4, 11).unwrap();
    assert_eq!(mask.count(), 72 * 256);
    assert!((mask.acceleration() - 3.556).abs() < 1e-3);
    assert!(mask.has_centre());
    assert!(!uniform([16, 16], 4, 0).unwrap().has_centre());
}

#[test]
fn spokes_go_through_the_middle() {
    let spokes = radial_golden([256, 256], 30).unwrap();
    assert_eq!(spokes.dim(), (30 * 512, 2));
    assert_eq!(spokes.row(0).to_vec(), [0.0, -128.0]);
    assert!(spokes.outer_iter().step_by(512).all(|k| (k.dot(&k).sqrt() - 128.0).abs() < 1e-9));
    assert!(spokes.outer_iter().skip(256).step_by(512).all(|k| k.dot(&k) == 0.0));
    let angle = (spokes[[512, 0]] / spokes[[512, 1]]).atan().to_degrees().rem_euclid(180.0);
    assert!((angle - GOLDEN_ANGLE).abs() < 1e-9);
    assert!((GOLDEN_ANGLE - 180.0 / (0.5 + 1.25_f64.sqrt())).abs() < 1e-12);
}

#[test]
fn wrong_masks_are_refused() {
    assert!(varden1d([8, 8], 0.0, 0.1, Seed(0)).is_err());
    assert!(varden1d([8, 8], 0.2, 0.9, Seed(0)).is_err());
    assert!(varden2d([8, 8], f64::NAN, 0.1, Seed(0)).is_err());
    assert!(uniform([8, 8], 0, 1).is_err());
    assert!(uniform([8, 8], 2, 9).is_err());
    assert!(radial_golden([8, 8], 0).is_err());
    assert!(Pattern::new(&[2, 2], vec![true; 3]).is_err());
    assert!(Pattern::new(&[2, 2], vec![false; 4]).is_err());
    assert!(Pattern::lines(&[2, 3], &[true, false]).is_err());
}

#[test]
fn the_masked_transform_has_an_exact_adjoint() {
    let mask = varden2d([12, 10], 0.4, 0.08, Seed(3)).unwrap();
    let op = MaskedFft::<f64>::new(&mask).unwrap();
    check_operator(&op).unwrap();
    assert_eq!(LinearOp::outputs(&op), 2 * mask.count());
    assert!((op.norm().unwrap() - 1.0).abs() < 1e-6);
    assert!(op.taken(&[Complex::new(0.0, 0.0); 7]).is_err());
    // A A' = 1 on what is taken.
    let mut rng = Seed(4).stream("masks").rng(0);
    let y: Vec<Complex<f64>> = (0..mask.count()).map(|_| Complex::new(rng.normal(), rng.normal())).collect();
    let (mut image, mut again) = (vec![Complex::new(0.0, 0.0); 120], y.clone());
    Encoding::adjoint(&op, &y, &mut image).unwrap();
    Encoding::forward(&op, &image, &mut again).unwrap();
    assert!(y.iter().zip(&again).all(|(a, b)| (a - b).norm() < 1e-13));
}
