//! What must hold whatever the data.

use super::Set;
use crate::Trial;
use crate::figures::slope;
use ndarray::{Array2, Axis};
use quadrat_core::{Evidence, Result, Seed, Silent, stats};
use quadrat_estimate::perturbed_likelihood::{Bound, InstanceNoise, Noise, PerturbedMle};
use quadrat_numeric::linalg::{gram, symmetric_eigen};
use quadrat_numeric::transport::wasserstein1;

/// Adds the sheet's exact checks (1) to (5).
pub fn add(evidence: &mut Evidence, trial: &Trial) -> Result<()> {
    let seeds = trial.seed.stream("identities");
    let seed = |name: &str| seeds.stream(name);
    linear(evidence, trial, seeds.stream("line"))?;

    // (2) and (3): five standard errors of the mean; the plan that moves every row to its noisy self.
    let (x, t) = (Set::Circle.draw(20_000, seed("rows")), 0.3);
    let noisy = InstanceNoise { t, redraw: true }.perturb(x.view(), 0, seed("noise"))?;
    let squares: Vec<f64> = noisy.outer_iter().map(|row| row.dot(&row)).collect();
    let reach = 5.0 * stats::standard_deviation(&squares) / (squares.len() as f64).sqrt();
    let name = "(2) mean |x~|^2 is mean |x|^2 + D t^2, to five standard errors";
    evidence.identity(name, stats::mean(&squares), 1.0 + 2.0 * t * t, reach);
    let part = |a: &Array2<f64>| a.select(Axis(0), &(0..400).collect::<Vec<_>>());
    let excess = wasserstein1(part(&x).view(), part(&noisy).view())? - t * 2_f64.sqrt();
    evidence.identity("(3) W1 between rows and noisy rows beyond t sqrt(D)", excess.max(0.0), 0.0, 0.0);

    // (4) Draws and the bound.
    let x = Set::Circle.draw(200, seed("few rows"));
    let method = PerturbedMle {
        latent: 1,
        hidden: vec![32, 32],
        noise: Noise::Fixed(0.3),
        steps: trial.at(200, 1500, 1500),
        ..PerturbedMle::default()
    };
    let fit = method.fit(x.view(), seed("fit"), &Silent)?;
    let exact = fit.log_lik_by_quadrature(x.view(), 4096, seeds)?;
    let mut before: Option<Vec<f64>> = None;
    for k in [1, 10, 100, 1000] {
        let bound = fit.log_lik(x.view(), k, seed("draws"))?;
        if let Some(before) = &before {
            // Paired over rows: the difference must not lie below 0 by more than three standard errors.
            let gain: Vec<f64> = bound.iter().zip(before).map(|(now, then)| now - then).collect();
            let high = stats::mean(&gain) + 3.0 * stats::standard_deviation(&gain) / (gain.len() as f64).sqrt();
            evidence.identity(&format!("(4) fall of the bound from {} to {k} draws", k / 10), high.min(0.0), 0.0, 0.0);
        }
        before = Some(bound);
    }
    let bound = stats::mean(&fit.log_lik(x.view(), 10_000, seed("draws"))?);
    evidence.identity("(4) bound of 10,000 draws and quadrature, nats", bound, stats::mean(&exact), 0.01);

    // (5) Much noise.
    let method = PerturbedMle {
        latent: 1,
        bound: Bound::Quadrature { m: 32 },
        noise: Noise::Fixed(8.0),
        batch: 200,
        steps: trial.at(300, 1500, 1500),
        ..PerturbedMle::default()
    };
    let fit = method.fit(x.view(), seed("much noise"), &Silent)?;
    evidence.identity("(5) learned s over t where t is large", fit.sigma / 8.0, 1.0, 0.05);
    Ok(())
}

/// (1) Rows on a line and a linear decoder, whose likelihood is greatest in closed form (probabilistic PCA: s^2 is the mean
/// of the discarded eigenvalues).
fn linear(evidence: &mut Evidence, trial: &Trial, seed: Seed) -> Result<()> {
    let line = |rows: usize, repeat: u64| {
        let mut rng = seed.stream("rows").rng(repeat);
        let z: Vec<f64> = (0..rows).map(|_| rng.normal()).collect();
        Array2::from_shape_fn((rows, 3), |(i, k)| 2.0 * z[i] * [2.0, -1.0, 2.0][k] / 3.0)
    };
    let noise = InstanceNoise { t: 0.5, redraw: false };
    // The fit of this crate against the closed form, on a thousand rows.
    let x = line(1000, 0);
    let method = PerturbedMle {
        latent: 1,
        hidden: vec![],
        bound: Bound::Quadrature { m: 64 },
        noise: Noise::Fixed(noise.t),
        batch: 1000,
        rate: 3e-3,
        steps: trial.at(3000, 4000, 4000),
        ..PerturbedMle::default()
    };
    let fit = method.fit(x.view(), seed, &Silent)?;
    evidence.identity("(1) s of a linear decoder where t is 0.5, within 8%", fit.sigma, noise.t, 0.04);
    // Without noise the log-likelihood a row gains ln 10 a discarded dimension for each tenth of s.
    let run_away = |s: f64| -> Result<f64> {
        let method = PerturbedMle {
            noise: Noise::Fixed(0.0),
            sigma: quadrat_estimate::perturbed_likelihood::Sigma::Fixed(s),
            ..method.clone()
        };
        let fit = method.fit(x.view(), seed, &Silent)?;
        Ok(stats::mean(&fit.log_lik_by_quadrature(x.view(), 20_000, seed)?))
    };
    let gain = run_away(0.02)? - run_away(0.2)?;
    let name = "(1) rows on a line: gain in ln p a row from s = 0.2 to 0.02 is 2 ln 10, to 0.5 nats";
    evidence.identity(name, gain, 2.0 * 10_f64.ln(), 0.5);

    // B B' comes to the truth at the root's rate: Bures distance of the closed forms, slope -1/2 within 0.1.
    let sizes = [100, 1000, 10_000];
    let distance = |n: usize, repeat: u64| -> Result<f64> {
        let noisy =
            noise.perturb(line(n, 1 + repeat).view(), 0, seed.stream(&n.to_string()).stream(&repeat.to_string()))?;
        let mean = noisy.sum_axis(Axis(0)) / n as f64;
        let (values, vectors) = symmetric_eigen((gram((&noisy - &mean).view(), None)? / n as f64).view())?;
        let top = (0..3).max_by(|a, b| values[*a].total_cmp(&values[*b])).unwrap_or(0);
        let rest = (values.iter().sum::<f64>() - values[top]) / 2.0;
        // Rank one on both sides: |b|^2 + |b'|^2 - 2 |b . b'|.
        let b = &vectors.column(top) * (values[top] - rest).max(0.0).sqrt();
        let truth = ndarray::array![4.0 / 3.0, -2.0 / 3.0, 4.0 / 3.0];
        Ok((b.dot(&b) + truth.dot(&truth) - 2.0 * b.dot(&truth).abs()).max(0.0).sqrt())
    };
    let mut means = Vec::new();
    for n in sizes {
        let distances = (0..trial.at(100, 400, 400)).map(|repeat| distance(n, repeat)).collect::<Result<Vec<_>>>()?;
        means.push(stats::mean(&distances).ln());
    }
    let logs: Vec<f64> = sizes.iter().map(|n| (*n as f64).ln()).collect();
    evidence.identity("(1) Bures distance of B B' to the truth: slope by n", slope(&logs, &means), -0.5, 0.1);
    Ok(())
}
