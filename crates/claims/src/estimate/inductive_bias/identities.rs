//! What must hold whatever the data.

use crate::Trial;
use ndarray::{Array2, Axis, s};
use quadrat_core::{Evidence, Result, Seed};
use quadrat_estimate::inductive_bias::{GpPosterior, Kernel, QuadraticForm, Rows, Unit};
use quadrat_numeric::linalg::cholesky;
use quadrat_numeric::special::{log_noncentral_chi_square_cdf, log_noncentral_chi_square_pdf};
use rayon::prelude::*;

const KERNEL: Kernel = Kernel::Rbf { sigma: 1.0 };

/// Adds the sheet's exact checks (a) to (f).
pub fn add(evidence: &mut Evidence, trial: &Trial) -> Result<()> {
    let seed = trial.seed.stream("identities");
    let mut rng = seed.rng(0);
    let x = Array2::from_shape_simple_fn((60, 3), || rng.normal());
    let y = x.sum_axis(Axis(1)).mapv(f64::sin).insert_axis(Axis(1));
    let part = |range: std::ops::Range<usize>| Rows { x: x.slice(s![range.clone(), ..]), y: y.slice(s![range, ..]) };
    let space = GpPosterior::new(KERNEL, 0.0, part(0..40), part(40..60))?;
    let law = space.law();

    // (a) Draws against the saddlepoint: a thousand hits give the logarithm to 0.03.
    let (draws, log_p) = (trial.at(100_000_u64, 1_000_000, 10_000_000), trial.at(1e-2_f64, 1e-3, 1e-4).ln());
    let eps = quantile(law, log_p);
    let stream = seed.stream("draws");
    let block = |block: u64| {
        let mut rng = stream.rng(block);
        (0..10_000).filter(|_| law.draw(&mut rng) <= eps).count()
    };
    let hits: usize = (0..draws / 10_000).into_par_iter().map(block).sum();
    let drawn = (hits as f64 / draws as f64).ln();
    let name = format!("(a) ln P of {draws} draws and by the saddlepoint, within 3%");
    evidence.identity(&name, drawn, law.log_cdf(eps), 0.03 * log_p.abs());

    // (b) Numerical inversion of the transform.
    for log_p in [-2.0, -10.0, -40.0] {
        let eps = quantile(law, log_p);
        let (inverted, saddle) = (law.log_cdf_by_inversion(eps), law.log_cdf(eps));
        let name = format!("(b) ln P near {log_p} by inversion and by the saddlepoint, within 2%");
        evidence.identity(&name, inverted, saddle, 0.02 * log_p.abs());
    }

    // (c) One test point: a scaled non-central chi-square with one degree of freedom.
    let one = GpPosterior::new(KERNEL, 0.0, part(0..4), part(40..41))?;
    let (scale, shift) = (one.law().scales[0], one.law().shifts[0]);
    for at in [0.1, 1.0, 3.0] {
        let eps = at * one.law().mean();
        let exact = log_noncentral_chi_square_cdf(eps / scale, 1.0, shift / scale);
        let name = format!("(c) one test point, eps {at} of the mean error: ln P in closed form, within 10%");
        evidence.identity(&name, one.law().log_cdf(eps), exact, 0.1 * exact.abs().max(0.5));
    }

    // (d) No training rows: the mean is 0 and the covariance K, whose diagonal is 1.
    let prior = GpPosterior::new(KERNEL, 0.0, part(0..0), part(40..60))?;
    let square = y.slice(s![40..60, ..]).iter().map(|y| y * y).sum::<f64>() / 20.0;
    evidence.identity("(d) no training rows: expected error is 1 + mean y^2", prior.law().mean(), 1.0 + square, 1e-12);

    // (e) Monotone in eps, and in training rows that the process itself made.
    let errors: Vec<f64> = (1..=50).map(|i| 0.02 * f64::from(i) * law.mean()).collect();
    let curve = space.curve(&errors, Unit::Nats)?;
    let rises = curve.windows(2).filter(|pair| pair[1].value > pair[0].value).count();
    evidence.identity("(e) rises of the information along 50 growing errors", rises as f64, 0.0, 0.0);
    let counts = [0, 5, 10, 20, 40];
    let means = counts.iter().map(|n| own_rows(*n, seed.stream("own rows"))).collect::<Result<Vec<f64>>>()?;
    let rises = means.windows(2).filter(|pair| pair[1] >= pair[0]).count();
    evidence.identity(
        "(e) rises of the mean information with 0, 5, 10, 20, 40 rows of its own",
        rises as f64,
        0.0,
        0.0,
    );

    // (f) Golden values (mpmath, 200 digits; scipy underflows on the second).
    for (x, df, nc, pdf, cdf) in [
        (60.0, 50.0, 30.0, -4.432_145_894_896_771, -2.535_593_341_230_456_8),
        (2.0, 1.5, 3_000.0, -1_426.411_926_702_344, -1_429.352_914_909_758_3),
    ] {
        let name = format!("(f) ncx2 at {x}, df {df}, nc {nc}: ");
        evidence.identity(
            &format!("{name}ln density"),
            log_noncentral_chi_square_pdf(x, df, nc),
            pdf,
            1e-10 * pdf.abs(),
        );
        evidence.identity(&format!("{name}ln cdf"), log_noncentral_chi_square_cdf(x, df, nc), cdf, 1e-10 * cdf.abs());
    }
    Ok(())
}

/// The mean information at an error of 0.02 over 20 tasks made by the process itself, after `n` training rows.
fn own_rows(n: usize, seed: Seed) -> Result<f64> {
    let task = |task: u64| {
        let mut rng = seed.rng(task);
        let x = Array2::from_shape_simple_fn((60, 2), || rng.normal());
        let squares = |i: usize, j: usize| (&x.row(i) - &x.row(j)).mapv(|v| v * v).sum();
        let k =
            Array2::from_shape_fn((60, 60), |(i, j)| (-0.5 * squares(i, j)).exp() + if i == j { 1e-8 } else { 0.0 });
        let z = Array2::from_shape_simple_fn((60, 1), || rng.normal());
        let y = cholesky(k.view())?.dot(&z);
        let part =
            |range: std::ops::Range<usize>| Rows { x: x.slice(s![range.clone(), ..]), y: y.slice(s![range, ..]) };
        let space = GpPosterior::new(KERNEL, 0.0, part(0..n), part(40..60))?;
        Ok(space.required_bias_exact(0.02, Unit::Nats)?.value)
    };
    Ok((0..20).map(task).collect::<Result<Vec<f64>>>()?.iter().sum::<f64>() / 20.0)
}

/// The error that has this probability.
fn quantile(law: &QuadraticForm, log_p: f64) -> f64 {
    let (mut low, mut high) = (0.0, law.mean());
    for _ in 0..100 {
        let middle = 0.5 * (low + high);
        if law.log_cdf(middle) < log_p { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}
