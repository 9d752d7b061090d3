//! What must hold whatever the data.

use super::{ring, rows_of};
use crate::Trial;
use ndarray::{Array2, Axis, array};
use quadrat_core::{Evidence, Result, Seed};
use quadrat_estimate::autoencoder_score::{Criterion, Penalty, ScoreAutoencoder};
use quadrat_estimate::chains::Chains;
use quadrat_estimate::score::{Quadrature, ScoreModel};
use quadrat_numeric::linalg::solve;
use quadrat_numeric::special::gauss_legendre;

/// Adds the exact checks.
pub fn add(evidence: &mut Evidence, trial: &Trial) -> Result<()> {
    let seed = trial.seed.stream("identities");
    linear(evidence, trial, seed.stream("linear"))?;
    integrals(evidence, seed.stream("integrals"))?;
    criteria(evidence);
    draws_of_the_criterion(evidence, trial, seed.stream("draws"));
    chains(evidence, trial, seed.stream("chains"))
}

/// (1) A linear r on N(0, S) becomes S (S + s^2 I)^-1 under both criteria.
fn linear(evidence: &mut Evidence, trial: &Trial, seed: Seed) -> Result<()> {
    let mut x = rows_of(2000, seed).dot(&array![[1.0, 0.6], [0.0, 0.5]]);
    let mean = x.sum_axis(Axis(0)) / 2000.0;
    x -= &mean;
    let smoothed = x.t().dot(&x) / 2000.0 + Array2::<f64>::eye(2) * 0.25;
    let inverse = solve(smoothed.view(), Array2::eye(2).view())?;
    for (name, criterion) in
        [("denoising", Criterion::Denoising), ("contractive", Criterion::Contractive(Penalty::Hutchinson))]
    {
        let learner = ScoreAutoencoder {
            noise: vec![0.5],
            criterion,
            hidden: Vec::new(),
            learning_rate: 0.01,
            steps: 3000,
            batch: 256,
            standardise: false,
            ..ScoreAutoencoder::default()
        };
        let jacobian = learner.fit(x.view(), seed, trial.progress)?.jacobian(array![0.0, 0.0].view());
        let error = norm(&(&jacobian + &inverse)) / norm(&inverse);
        evidence.identity(
            &format!("(1) linear network, {name}: relative error of its score's matrix"),
            error,
            0.0,
            0.04,
        );
    }
    Ok(())
}

/// (3) Path integrals of a mixture's score against its log-density.
fn integrals(evidence: &mut Evidence, seed: Seed) -> Result<()> {
    let law = ring(0.5)?;
    let ends = [rows_of(50, seed.stream("from")), rows_of(50, seed.stream("to"))];
    let (from, to) = (law.log_density(ends[0].view()), law.log_density(ends[1].view()));
    let worst = |quadrature| -> Result<f64> {
        let found = law.log_ratio(ends[0].view(), ends[1].view(), quadrature)?;
        let errors = found.iter().zip(to.iter().zip(&from)).map(|(found, (to, from))| (found - (to - from)).abs());
        Ok(errors.fold(0.0, f64::max))
    };
    evidence.identity(
        "(3) path integrals of a mixture, 60 Gauss nodes: largest error",
        worst(Quadrature::Gauss(60))?,
        0.0,
        // The nodes' own error, by where the paths lie: 3e-7 at seed 4.
        1e-5,
    );
    let order = (worst(Quadrature::Trapezoid(100))? / worst(Quadrature::Trapezoid(200))?).log2();
    evidence.identity("(3) order of the trapezoidal rule", order, 2.0, 0.1);
    Ok(())
}

/// (4) The two criteria at one row, in one dimension, noise by quadrature: their difference is s^2 (r - x) r'' to leading
/// order, so of sixth in s where r = x + s^2 g(x): r - x and r'' are then both of second.
fn criteria(evidence: &mut Evidence) {
    let nodes = gauss_legendre(60);
    let difference = |r: &dyn Fn(f64) -> f64, slope: &dyn Fn(f64) -> f64, s: f64| -> f64 {
        let at = |x: f64| {
            let term = |(u, weight): &(f64, f64)| {
                let e = 16.0 * (u - 0.5);
                let density = (-0.5 * e * e).exp() / std::f64::consts::TAU.sqrt();
                16.0 * weight * density * (r(x + s * e) - x).powi(2)
            };
            nodes.iter().map(term).sum::<f64>() - (r(x) - x).powi(2) - s * s * slope(x).powi(2)
        };
        (0..20).map(|i| at(-1.0 + 0.1 * f64::from(i))).sum::<f64>() / 20.0
    };
    let at_optimum = |s: f64| difference(&|x| x + s * s * (1.3 * x).sin(), &|x| 1.0 + 1.3 * s * s * (1.3 * x).cos(), s);
    let slope = (at_optimum(0.2) / at_optimum(0.05)).abs().ln() / 4.0_f64.ln();
    evidence.identity("(4) order of the criteria's difference for r = x + s^2 g(x)", slope, 6.0, 0.1);
    let s = 0.02;
    let general = difference(&|x| x.sin() + 0.3 * x * x, &|x| x.cos() + 0.6 * x, s);
    let leading = |x: f64| s * s * (x.sin() + 0.3 * x * x - x) * (0.6 - x.sin());
    let expected = (0..20).map(|i| leading(-1.0 + 0.1 * f64::from(i))).sum::<f64>() / 20.0;
    evidence.identity("(4) their difference for a general r over its leading term", general / expected, 1.0, 0.01);
}

/// (4) The denoising criterion of a linear r by draws: tr (R - I) S (R - I)' + s^2 |R|^2.
fn draws_of_the_criterion(evidence: &mut Evidence, trial: &Trial, seed: Seed) {
    let n = trial.at(20_000, 200_000, 1_000_000);
    let (root, r, s) = (array![[1.0, 0.6], [0.0, 0.5]], array![[0.7, 0.2], [-0.1, 0.5]], 0.3);
    let clean = rows_of(n, seed.stream("clean")).dot(&root);
    let noisy = &clean + &(rows_of(n, seed.stream("noise")) * s);
    let squares = (noisy.dot(&r.t()) - &clean).mapv(|v| v * v).sum_axis(Axis(1)).to_vec();
    let off = &r - &Array2::<f64>::eye(2);
    let expected = norm(&root.dot(&off.t())).powi(2) + s * s * norm(&r).powi(2);
    let error = quadrat_core::stats::standard_deviation(&squares) / (n as f64).sqrt();
    let name = format!("(4) denoising criterion of a linear r by {n} draws, five standard errors");
    evidence.identity(&name, quadrat_core::stats::mean(&squares), expected, 5.0 * error);
}

/// (5) Metropolis on the formula for the ring's score: mean and variance within five standard errors.
fn chains(evidence: &mut Evidence, trial: &Trial, seed: Seed) -> Result<()> {
    let law = ring(0.8)?;
    let start = law.sample(64, &mut seed.rng(0));
    let draws = trial.at(100, 400, 1000);
    let drawn = Chains::default().run(&law, start.view(), draws, seed, trial.progress)?;
    let (rows, effective) = (drawn.rows(), drawn.least_effective());
    let first = rows.column(0).to_vec();
    let variance = 2.0 + 0.64;
    let (mean, found) = (quadrat_core::stats::mean(&first), quadrat_core::stats::variance(&first));
    evidence.identity("(5) Metropolis on a formula: mean", mean, 0.0, 5.0 * (variance / effective).sqrt());
    evidence.identity(
        "(5) Metropolis on a formula: variance",
        found,
        variance,
        5.0 * variance * (2.0 / effective).sqrt(),
    );
    let upper = rows.rows().into_iter().filter(|row| row[0] > 0.0 && row[1] > 0.0).count() as f64 / rows.nrows() as f64;
    evidence.identity("(5) Metropolis on a formula: mass of a quadrant", upper, 0.25, 5.0 * 0.433 / effective.sqrt());
    Ok(())
}

fn norm(a: &Array2<f64>) -> f64 {
    a.iter().map(|v| v * v).sum::<f64>().sqrt()
}
