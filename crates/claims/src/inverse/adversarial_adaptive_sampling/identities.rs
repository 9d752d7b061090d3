//! What must hold whatever the seed.

use ndarray::Array2;
use quadrat_core::{Evidence, Result, Rng, Seed};
use quadrat_inverse::pde::Flow;
use quadrat_nn::{Activation, Jet, Tensor, tensor_of};

pub(super) fn check(evidence: &mut Evidence, seed: Seed) -> Result<()> {
    laplacian(evidence, &mut seed.rng(0))?;
    integral(evidence, seed)?;
    neumann(evidence, &mut seed.rng(1));
    Ok(())
}

fn noise(rows: usize, cols: usize, rng: &mut Rng) -> Array2<f32> {
    Array2::from_shape_simple_fn((rows, cols), || rng.normal() as f32)
}

/// Of a sum of units tanh(a·x + b) the Laplacian is −2 Σ c t (1 − t²) |a|².
fn laplacian(evidence: &mut Evidence, rng: &mut Rng) -> Result<()> {
    let (x, a, c) = (noise(1, 3, rng), noise(5, 3, rng), noise(1, 5, rng));
    let tensor = |v: &Array2<f32>| tensor_of(v.view(), false);
    let jet = Jet::of_inputs(tensor(&x)).linear(&tensor(&a), None).activate(Activation::Tanh)?;
    let number = |t: Tensor<2>| f64::from(t.into_scalar::<f32>());
    let found = number(jet.linear(&tensor(&c), None).laplacian());
    let unit = |k: usize| {
        let row = || a.row(k).iter().map(|v| f64::from(*v)).collect::<Vec<f64>>();
        let t = row().iter().zip(&x).map(|(a, x)| a * f64::from(*x)).sum::<f64>().tanh();
        -2.0 * f64::from(c[[0, k]]) * t * (1.0 - t * t) * row().iter().map(|a| a * a).sum::<f64>()
    };
    evidence.identity("the Laplacian carried forward and its closed form", found, (0..5).map(unit).sum(), 1e-4);
    Ok(())
}

/// A density's integral over the square and its margin.
fn integral(evidence: &mut Evidence, seed: Seed) -> Result<()> {
    let flow = Flow::new(2)?;
    let mut parameters = flow.initialise(seed)?;
    let mut rng = seed.stream("stirred").rng(0);
    parameters.iter_mut().for_each(|p| p.update(|v| v.iter_mut().for_each(|v| *v += 0.02 * rng.normal() as f32)));
    let (side, edge) = (200, 1.01);
    let place = |i: usize| (edge * (2.0 * (i as f64 + 0.5) / side as f64 - 1.0)) as f32;
    let x = Array2::from_shape_fn((side * side, 2), |(i, k)| place(if k == 0 { i / side } else { i % side }));
    let ln_p = flow.density(&parameters, x.view())?;
    let cell = (2.0 * edge / side as f64).powi(2);
    let total = ln_p.column(0).iter().map(|ln| f64::from(*ln).exp() * cell).sum();
    evidence.identity("the integral of a learnt density on a grid of 200 x 200", total, 1.0, 5e-3);
    Ok(())
}

/// The density that maximises ∫ r² p − β ∫ |p'|² on [−1, 1], found by conjugate gradients on a grid, is that of 2 β p'' = mean r² − r²,
/// and its value mean r² + |r² − mean|² / (4 β) in the norm of H⁻¹.
fn neumann(evidence: &mut Evidence, rng: &mut Rng) {
    let (n, beta) = (200, 0.2 + 2.0 * rng.uniform());
    let h = 2.0 / n as f64;
    let waves: Vec<f64> = (0..4).map(|_| rng.normal()).collect();
    let cosine = |k: usize, i: usize| (k as f64 * std::f64::consts::PI * (i as f64 + 0.5) / n as f64).cos();
    let wave = |i: usize, of: &dyn Fn(usize) -> f64| (1..=4).map(|k| waves[k - 1] * cosine(k, i) * of(k)).sum::<f64>();
    let square: Vec<f64> = (0..n).map(|i| 9.0 + wave(i, &|_| 1.0)).collect();
    // The slope of the objective along densities of integral 1; without the gain it is linear.
    let slope = |p: &[f64], gain: f64| -> Vec<f64> {
        let mut g: Vec<f64> = square.iter().map(|s| gain * s * h).collect();
        for i in 0..n - 1 {
            let d = 2.0 * beta * (p[i + 1] - p[i]) / h;
            g[i] += d;
            g[i + 1] -= d;
        }
        let mean = g.iter().sum::<f64>() / n as f64;
        g.iter().map(|g| g - mean).collect()
    };
    let mut p = vec![0.5; n];
    let mut r = slope(&p, 1.0);
    let mut direction = r.clone();
    for _ in 0..n {
        let rr: f64 = r.iter().map(|r| r * r).sum();
        if rr < 1e-24 {
            break;
        }
        let bent: Vec<f64> = slope(&direction, 0.0).iter().map(|b| -b).collect();
        let step = rr / direction.iter().zip(&bent).map(|(d, b)| d * b).sum::<f64>();
        p.iter_mut().zip(&direction).for_each(|(p, d)| *p += step * d);
        r.iter_mut().zip(&bent).for_each(|(r, b)| *r -= step * b);
        let next = r.iter().map(|r| r * r).sum::<f64>() / rr;
        direction.iter_mut().zip(&r).for_each(|(d, r)| *d = r + next * *d);
    }
    let eigen = |k: usize| (2.0 / h * (k as f64 * std::f64::consts::PI / (2.0 * n as f64)).sin()).powi(2);
    let closed = |i: usize| 0.5 + wave(i, &|k| 0.5 / (beta * eigen(k)));
    let off = (0..n).map(|i| (p[i] - closed(i)).abs()).fold(0.0, f64::max);
    evidence.identity("the best density and that of the Neumann problem: largest distance", off, 0.0, 1e-6);
    let gain: f64 = square.iter().zip(&p).map(|(s, p)| s * p * h).sum();
    let steep: f64 = p.windows(2).map(|w| (w[1] - w[0]).powi(2) / h).sum();
    let norm: f64 = (1..=4).map(|k| waves[k - 1].powi(2) / eigen(k)).sum();
    evidence.identity("its value and the formula", gain - beta * steep, 9.0 + norm / (4.0 * beta), 1e-6);
}
