//! Models with known answers, on which estimators are tested and compared.

use crate::laws::{Inputs, Law};
use crate::sobol::Input;
use quadrat_core::Result;
use std::f64::consts::PI;

/// A model of one output with its inputs, its exact first-order and its exact total-order indices.
pub struct Benchmark {
    /// Its name.
    pub name: &'static str,
    /// Its inputs.
    pub inputs: Vec<Input>,
    /// The model.
    pub model: fn(&[f64]) -> f64,
    /// S_1 .. S_d.
    pub first: Vec<f64>,
    /// T_1 .. T_d; none where they are not known.
    pub total: Vec<f64>,
}

fn inputs(laws: impl IntoIterator<Item = (&'static str, Law)>) -> Vec<Input> {
    laws.into_iter().map(|(name, law)| Input { name: name.to_owned(), law }).collect()
}

/// Ishigami's function sin x1 + 7 sin^2 x2 + 0.1 x3^4 sin x1 on [-pi, pi]^3.
pub fn ishigami() -> Benchmark {
    let (a, b) = (7.0_f64, 0.1_f64);
    let v1 = 0.5 * (1.0 + b * PI.powi(4) / 5.0).powi(2);
    let v2 = a * a / 8.0;
    let v13 = b * b * PI.powi(8) * (1.0 / 18.0 - 1.0 / 50.0);
    let v = v1 + v2 + v13;
    let law = Law::Uniform { min: -PI, max: PI };
    Benchmark {
        name: "ishigami",
        inputs: inputs([("x1", law), ("x2", law), ("x3", law)]),
        model: |x| x[0].sin() + 7.0 * x[1].sin().powi(2) + 0.1 * x[2].powi(4) * x[0].sin(),
        first: vec![v1 / v, v2 / v, 0.0],
        total: vec![(v1 + v13) / v, v2 / v, v13 / v],
    }
}

const G: [f64; 8] = [0.0, 1.0, 4.5, 9.0, 99.0, 99.0, 99.0, 99.0];

/// Sobol's g-function in 8 dimensions, the product of (|4 x_i - 2| + a_i) / (1 + a_i) on [0, 1]^8 with
/// a = 0, 1, 4.5, 9, 99, 99, 99, 99.
pub fn g_function() -> Benchmark {
    let law = Law::Uniform { min: 0.0, max: 1.0 };
    let shares = G.map(|a| 1.0 / (3.0 * (1.0 + a) * (1.0 + a)));
    let all: f64 = shares.iter().map(|v| 1.0 + v).product();
    let names = ["x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8"];
    Benchmark {
        name: "g-function",
        inputs: inputs(names.map(|name| (name, law))),
        model: |x| x.iter().zip(G).map(|(x, a)| ((4.0 * x - 2.0).abs() + a) / (1.0 + a)).product(),
        first: shares.iter().map(|v| v / (all - 1.0)).collect(),
        total: shares.iter().map(|v| v * all / (1.0 + v) / (all - 1.0)).collect(),
    }
}

/// Tip displacement of a cantilever beam in metres: forces FX, FY in newtons, Young's modulus E in gigapascals, width w,
/// thickness t and length L in metres.
pub fn beam_model(x: &[f64]) -> f64 {
    let [fx, fy, e, w, t, l] = [x[0], x[1], x[2], x[3], x[4], x[5]];
    4.0 * l.powi(3) / (e * 1e9 * w * t) * ((fx / (w * w)).powi(2) + (fy / (t * t)).powi(2)).sqrt()
}

/// The cantilever beam with the first-order indices that the paper's authors computed with 10^7 points.
pub fn beam() -> Result<Benchmark> {
    let normal = |mean: f64| Law::Normal { mean, sd: 0.1 * mean };
    let laws = [
        ("FX", Law::lognormal_of_mean(556.8, 0.08 * 556.8)?),
        ("FY", Law::lognormal_of_mean(453.6, 0.08 * 453.6)?),
        ("E", Law::lognormal_of_mean(200.0, 0.06 * 200.0)?),
        ("w", normal(0.062)),
        ("t", normal(0.0987)),
        ("L", normal(4.29)),
    ];
    Ok(Benchmark {
        name: "beam",
        inputs: inputs(laws),
        model: beam_model,
        first: vec![0.02398, 0.00062, 0.01657, 0.42762, 0.07322, 0.40207],
        total: Vec::new(),
    })
}

/// Candidate laws of the beam's inputs: `u` holds nine numbers in (0, 1) that choose the means of the six inputs and the
/// correlations of w with t, w with L and t with L, in the ranges of the paper's experiment.
pub fn beam_candidate(u: &[f64; 9]) -> Result<Inputs> {
    let between = |i: usize, low: f64, high: f64| low + (high - low) * u[i];
    let lognormal = |mean: f64, variation: f64| Law::lognormal_of_mean(mean, variation * mean);
    let normal = |mean: f64| Law::Normal { mean, sd: 0.1 * mean };
    let laws = vec![
        lognormal(between(0, 525.0, 575.0), 0.08)?,
        lognormal(between(1, 425.0, 475.0), 0.08)?,
        lognormal(between(2, 175.0, 225.0), 0.06)?,
        normal(between(3, 0.06, 0.07)),
        normal(between(4, 0.09, 0.1)),
        normal(between(5, 4.0, 5.0)),
    ];
    let mut correlations = ndarray::Array2::eye(6);
    for (i, k, value) in [(3, 4, between(6, -0.6, 0.0)), (3, 5, between(7, 0.0, 0.5)), (4, 5, between(8, 0.0, 0.5))] {
        correlations[[i, k]] = value;
        correlations[[k, i]] = value;
    }
    Inputs::correlated(laws, correlations.view())
}
