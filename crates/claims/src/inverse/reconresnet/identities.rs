//! What must hold whatever the seed.

use ndarray::Array2;
use quadrat_core::{Evidence, Result, Seed};
use quadrat_inverse::Complex;
use quadrat_inverse::masks::{varden1d, varden2d};
use quadrat_inverse::reconresnet::{Acquisition, Cartesian, Consistency, Radial};

pub(super) fn check(evidence: &mut Evidence, seed: Seed) -> Result<()> {
    let mut rng = seed.rng(0);
    let shape = [32, 24];
    let lines = varden1d(shape, 0.25, 0.08, seed)?;
    evidence.identity("samples of 25% of 24 lines", lines.count() as f64, 6.0 * 32.0, 0.0);
    let points = varden2d(shape, 0.2, 0.08, seed)?;
    evidence.identity("samples of 20% of 768 points", points.count() as f64, 154.0, 0.0);
    let [truth, answer] = [0, 1].map(|_| Array2::from_shape_simple_fn(shape, || rng.uniform() as f32));
    let grid = Cartesian::new(&points)?;
    let y = grid.measure(truth.view())?;
    let corrected = grid.corrected(answer.view(), &y, Consistency::Hard)?;
    let mut again = y.clone();
    grid.operator().forward(&corrected, &mut again)?;
    evidence.identity("largest change of a measured sample that was put back", apart(&again, &y), 0.0, 1e-5);
    let spokes = Radial::golden(shape, 7, 64)?;
    let y = spokes.measure(truth.view())?;
    let same = spokes.corrected(truth.view(), &y, Consistency::Hard)?;
    let plain: Vec<Complex<f32>> = truth.iter().map(|v| Complex::new(*v, 0.0)).collect();
    evidence.identity("largest change of an image that agrees with its spokes", apart(&same, &plain), 0.0, 1e-5);
    for (what, op) in [("points of a grid", grid.operator()), ("spokes", spokes.operator())] {
        let noise = |n: usize, rng: &mut quadrat_core::Rng| -> Vec<Complex<f32>> {
            (0..n).map(|_| Complex::new(rng.normal() as f32, rng.normal() as f32)).collect()
        };
        let (x, u) = (noise(op.pixels(), &mut rng), noise(op.samples(), &mut rng));
        let (mut through, mut back) = (u.clone(), x.clone());
        op.forward(&x, &mut through)?;
        op.adjoint(&u, &mut back)?;
        let scale = (product(&through, &through) * product(&u, &u)).sqrt();
        let difference = (product(&through, &u) - product(&x, &back)) / scale;
        evidence.identity(&format!("{what}: (A x, u) less (x, A' u), as a share of |A x| |u|"), difference, 0.0, 1e-6);
    }
    Ok(())
}

fn apart(a: &[Complex<f32>], b: &[Complex<f32>]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from((a - b).norm())).fold(0.0, f64::max)
}

fn product(a: &[Complex<f32>], b: &[Complex<f32>]) -> f64 {
    let each = a.iter().zip(b).map(|(a, b)| f64::from(a.re) * f64::from(b.re) + f64::from(a.im) * f64::from(b.im));
    each.sum()
}
