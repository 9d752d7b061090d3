//! What must hold whatever the seed.

use super::digits::Posterior;
use ndarray::{Array1, Array2, Axis};
use quadrat_core::{Evidence, Result, Rng, Seed, Silent};
use quadrat_diffusion::inverse::{Identity, Inverse, Measurement, Way};
use quadrat_diffusion::{Denoiser, Grid, Level, MixtureDenoiser, Schedule, Solver, integrate, noise};
use quadrat_numeric::mixture::{Covariances, Mixture};
use quadrat_numeric::operator::{Mask, Matrix};

fn random(rng: &mut Rng, rows: usize, columns: usize) -> Array2<f64> {
    Array2::from_shape_simple_fn((rows, columns), || rng.normal())
}

fn largest(a: &Array2<f64>, b: &Array2<f64>) -> f64 {
    (a - b).iter().fold(0.0, |most, v| most.max(v.abs()))
}

/// A normal law with a random covariance.
fn normal(rng: &mut Rng, d: usize) -> Result<MixtureDenoiser> {
    let root = random(rng, d, d);
    let covariance = 0.3 * root.dot(&root.t()) + 0.05 * Array2::<f64>::eye(d);
    let (weights, means) = (Array1::ones(1), random(rng, 1, d));
    MixtureDenoiser::new(Mixture { weights, means, covariances: Covariances::Shared(covariance) })
}

/// Mean and covariance of a mixture with full covariances.
fn moments(denoiser: &MixtureDenoiser) -> (Array1<f64>, Array2<f64>) {
    let Mixture { weights, means, covariances } = denoiser.mixture();
    let mean = weights.dot(means);
    let mut total = Array2::zeros((means.ncols(), means.ncols()));
    if let Covariances::Full(all) = covariances {
        for ((weight, m), c) in weights.iter().zip(means.outer_iter()).zip(all) {
            let off = (&m - &mean).insert_axis(Axis(1));
            total.scaled_add(*weight, &(c + &off.dot(&off.t())));
        }
    }
    (mean, total)
}

/// The claim's identities, the bound at so many places.
pub(super) fn check(evidence: &mut Evidence, places: usize, seed: Seed) -> Result<()> {
    let mut rng = seed.rng(0);
    second_order(evidence, places, &mut rng)?;
    posterior(evidence, &mut rng)?;
    covariance(evidence, &mut rng, seed)?;
    glue(evidence, &mut rng, seed)
}

/// Tweedie's covariance, and the bound on ln p(y | x).
fn second_order(evidence: &mut Evidence, places: usize, rng: &mut Rng) -> Result<()> {
    let denoiser = MixtureDenoiser::kernel(random(rng, 4, 3).view(), 0.4)?;
    let matrix = random(rng, 1, 3);
    let deviation = 0.3;
    let (mut off, mut above) = (0.0f64, f64::NEG_INFINITY);
    for _ in 0..places {
        let at = Schedule::linear().level(1e-3 + rng.uniform());
        let (x, y) = (1.5 * random(rng, 1, 3), 2.0 * rng.normal());
        // The law of the data given the noised sample, by conditioning on it.
        let known = denoiser.given((at.alpha * Array2::<f64>::eye(3)).view(), x.row(0), at.sigma)?;
        let (mean, total) = moments(&known);
        let all = Array2::from_shape_fn((3, 3), |(_, j)| x[[0, j]]);
        off = off.max(largest(&denoiser.covariance_times(all.view(), &at, Array2::eye(3).view())?, &total));
        off = off.max(largest(&denoiser.predict(x.view(), &at)?, &mean.clone().insert_axis(Axis(0))));
        let Mixture { weights, means, covariances } = known.mixture().clone();
        let Covariances::Full(each) = covariances else { continue };
        let spread = |c: &Array2<f64>| matrix.dot(c).dot(&matrix.t())[[0, 0]];
        let seen = Mixture {
            weights,
            means: means.dot(&matrix.t()),
            covariances: Covariances::Spherical(each.iter().map(|c| spread(c) + deviation * deviation).collect()),
        };
        let exact = seen.log_densities(Array2::from_elem((1, 1), y).view())?[0];
        let left = y - matrix.row(0).dot(&mean);
        let constant = -0.5 * (std::f64::consts::TAU * deviation * deviation).ln();
        let surrogate = constant - (left * left + spread(&total)) / (2.0 * deviation * deviation);
        above = above.max(surrogate - exact);
    }
    evidence.identity("covariance by Tweedie and by conditioning: the largest difference", off, 0.0, 1e-8);
    evidence.identity("the surrogate above ln p(y | x), where it is most", above.max(0.0), 0.0, 1e-9);
    Ok(())
}

/// The exact draws' law against the mixture's own conditioning.
fn posterior(evidence: &mut Evidence, rng: &mut Rng) -> Result<()> {
    let (rows, matrix) = (random(rng, 5, 4), random(rng, 2, 4));
    let y = random(rng, 1, 2).row(0).to_owned();
    let ours = Posterior::new(&rows, matrix.clone(), &y, 0.3, 0.2)?.mean();
    let given = MixtureDenoiser::kernel(rows.view(), 0.3)?.given(matrix.view(), y.view(), 0.2)?;
    let off = (&ours - &moments(&given).0).iter().fold(0.0f64, |most, v| most.max(v.abs()));
    evidence.identity("posterior mean, two ways: the largest difference", off, 0.0, 1e-8);
    Ok(())
}

/// Guidance by the exact covariance is exact for a normal law.
fn covariance(evidence: &mut Evidence, rng: &mut Rng, seed: Seed) -> Result<()> {
    let (denoiser, matrix) = (normal(rng, 4)?, random(rng, 2, 4));
    let y = [rng.normal(), rng.normal()];
    let plan = Solver::Dpmpp2m.plan(Schedule::linear(), &Grid::LogSnr, 20)?;
    let op = Matrix::new(matrix.clone())?;
    let measurement = Measurement { op: &op, y: &y, noise: 0.3 };
    let problem = Inverse { measurement, denoiser: &denoiser, codec: &Identity { dims: 4 }, plan: &plan };
    let found = problem.solve(&Way::Covariance, 8, seed, &Silent)?.samples;
    let exact = denoiser.given(matrix.view(), Array1::from(y.to_vec()).view(), 0.3)?;
    let exact = integrate(&plan, &exact, noise(&plan, 8, 4, seed), seed, &Silent)?;
    let says = "a normal law, exact covariance: the largest difference from the posterior's own samples";
    evidence.identity(says, largest(&found, &exact), 0.0, 1e-7);
    Ok(())
}

/// In pixels, with orthonormal rows, the glue of PSLD is the data term once more; a step of DPS is its formula.
fn glue(evidence: &mut Evidence, rng: &mut Rng, seed: Seed) -> Result<()> {
    let denoiser = MixtureDenoiser::kernel(random(rng, 4, 3).view(), 0.4)?;
    let op = Mask::new(3, vec![2, 0])?;
    let y = [rng.normal(), rng.normal()];
    let plan = Solver::Ddim.plan(Schedule::linear(), &Grid::LogSnr, 10)?;
    let measurement = Measurement { op: &op, y: &y, noise: 0.1 };
    let problem = Inverse { measurement, denoiser: &denoiser, codec: &Identity { dims: 3 }, plan: &plan };
    let solve = |way| Ok::<_, quadrat_core::Error>(problem.solve(&way, 4, seed, &Silent)?.samples);
    let off = largest(&solve(Way::Psld { omega: 0.2, gamma: 0.1 })?, &solve(Way::Dps { zeta: 0.3 })?);
    evidence.identity("psld and dps in pixels: the largest difference", off, 0.0, 1e-8);

    let denoiser = normal(rng, 3)?;
    let plan = Solver::Ddim.plan(Schedule::linear(), &Grid::LogSnr, 1)?;
    let problem = Inverse { denoiser: &denoiser, plan: &plan, ..problem };
    let found = problem.solve(&Way::Dps { zeta: 0.5 }, 1, seed, &Silent)?.samples;
    let at = Schedule::linear().level(plan.times[0]);
    let x = noise(&plan, 1, 3, seed);
    evidence.identity(
        "a step of dps by hand: the largest difference",
        largest(&found, &by_hand(&denoiser, &x, &at, &y)?),
        0.0,
        1e-9,
    );
    Ok(())
}

/// x̂ - ζ ∇|y - A x̂| for a normal law, whose x̂ is m + G (x - α m).
fn by_hand(denoiser: &MixtureDenoiser, x: &Array2<f64>, at: &Level, y: &[f64; 2]) -> Result<Array2<f64>> {
    let mean = denoiser.mixture().means.row(0);
    let Covariances::Shared(c) = &denoiser.mixture().covariances else { return Ok(x.clone()) };
    let noised = at.alpha * at.alpha * c + at.sigma * at.sigma * Array2::<f64>::eye(3);
    let gain = quadrat_numeric::linalg::solve(noised.view(), (at.alpha * c).view())?;
    let hat = &mean + &(&x.row(0) - &(at.alpha * &mean)).dot(&gain);
    let left = [y[0] - hat[2], y[1] - hat[0]];
    let length = (left[0] * left[0] + left[1] * left[1]).sqrt();
    let back = Array1::from(vec![left[1], 0.0, left[0]]) / length;
    Ok((hat + 0.5 * gain.dot(&back)).insert_axis(Axis(0)))
}
