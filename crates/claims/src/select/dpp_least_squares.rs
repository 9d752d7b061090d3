//! Determinantal designs: as stable as independent ones with several times the points, and nearly the best fit.

use crate::Trial;
use ndarray::Array2;
use quadrat_core::{Evidence, Plot, Relation, Result, Seed, Series, stats};
use quadrat_data::{Missing, builtin};
use quadrat_select::{
    Basis, DesignSampler, Family, FeatureSpace, FinitePool, PoolBasis, Sampler, WeightedFit, features_at,
};
use rayon::prelude::*;

/// Samplers and how many candidates each draw chooses from.
const ARMS: [(&str, Sampler, usize); 6] = [
    ("monte-carlo", Sampler::MonteCarlo, 1),
    ("christoffel", Sampler::Christoffel, 1),
    ("boosted-christoffel", Sampler::Christoffel, 30),
    ("volume", Sampler::Volume, 1),
    ("volume-christoffel", Sampler::VolumeChristoffel, 1),
    ("repeated-dpp", Sampler::RepeatedDpp, 1),
];

/// Stability, error and a real pool.
pub fn run(trial: &Trial) -> Result<Evidence> {
    let mut evidence = Evidence {
        paper: "Generalised volume sampling gives a quasi-optimal expected error with a number of points of order m log m; \
                independent repetitions of the determinantal process have similar guarantees and in practice need far \
                fewer points to be stable."
            .into(),
        experiment: "How often the smallest eigenvalue of the Gram matrix is at least 1/2, by sampler and number of points; \
                     the mean squared error of conditioned fits against the bound 1 + 4 m / (n P(stable)) times the best \
                     possible; the fit from 2 or 3 rows a function of the diabetes table with quadratic \
                     features against the fit from all of them. Repetitions are blocks of independent designs."
            .into(),
        ..Evidence::default()
    };
    // Said before anything is measured.
    for rival in ["christoffel", "volume-christoffel", "volume", "monte-carlo"] {
        let says = format!("at n = 4m repeated DPPs are stable at least 0.2 more often than {rival}");
        evidence.expect(&says, "stable/legendre m=10/n=4m", "repeated-dpp", Some(rival), Relation::Above(0.2));
    }
    evidence.report(
        "at n = 4m repeated DPPs are stable as often, within 0.1, as the best of 30 christoffel designs",
        "stable/legendre m=10/n=4m",
        "repeated-dpp",
        Some("boosted-christoffel"),
        Relation::Within(0.1),
    );
    evidence.expect(
        "conditioned fits stay below the bound on the mean squared error",
        "squared error / bound",
        "repeated-dpp",
        None,
        Relation::Below(1.0),
    );
    for rival in ["christoffel", "monte-carlo"] {
        let says = format!("a smaller error on the diabetes pool than {rival}");
        evidence.expect(&says, "log excess error/diabetes", "repeated-dpp", Some(rival), Relation::Below(0.0));
    }
    stability(trial, &mut evidence)?;
    error(trial, &mut evidence)?;
    pool(trial, &mut evidence)?;
    evidence.notes.push(
        "All samplers see the same numbers of points and the same number of draws; none has anything to tune. Monte Carlo \
         is plain uniform sampling, christoffel leverage-score sampling with its optimal weights. boosted-christoffel \
         keeps of 30 such designs the one whose Gram matrix is nearest to the identity: 30 times the work."
            .into(),
    );
    Ok(evidence)
}

fn spaces(trial: &Trial) -> Result<Vec<(&'static str, Basis)>> {
    let mut spaces = vec![("legendre m=10", Basis::total_degree(Family::Legendre, 1, 9)?)];
    if trial.at(false, true, true) {
        spaces.push(("legendre m=20", Basis::total_degree(Family::Legendre, 1, 19)?));
        spaces.push(("hermite m=10", Basis::total_degree(Family::Hermite, 1, 9)?));
    }
    if trial.at(false, false, true) {
        spaces.push(("legendre m=40", Basis::total_degree(Family::Legendre, 1, 39)?));
        spaces.push(("2-D cross m=41", Basis::hyperbolic_cross(Family::Legendre, 2, 14)?));
    }
    Ok(spaces)
}

/// P(lambda_min >= 1/2) by sampler and n/m.
fn stability(trial: &Trial, evidence: &mut Evidence) -> Result<()> {
    let (blocks, draws) = trial.at((3, 10), (10, 40), (10, 100));
    let multiples = [2, 3, 4, 6, 10];
    for (name, space) in spaces(trial)? {
        let mut series = Vec::new();
        // Thirty times the work: left out where a design is large.
        for (arm, sampler, boost) in ARMS.into_iter().filter(|(_, _, boost)| *boost == 1 || space.len() <= 20) {
            let mut points = Vec::new();
            for multiple in multiples {
                let metric = format!("stable/{name}/n={multiple}m");
                let seed = trial.seed.stream(&metric).stream(arm);
                let sampler =
                    DesignSampler { sampler, condition: None, max_tries: 1, boost, ..DesignSampler::default() };
                let shares = (0..blocks as u64)
                    .into_par_iter()
                    .map(|block| {
                        let mut stable = 0;
                        for draw in 0..draws {
                            let seed = Seed(seed.stream("block").rng(block * draws + draw).next_u64());
                            let design = sampler.design(&space, multiple * space.len(), seed, trial.progress)?;
                            stable += usize::from(design.lambda_min >= 0.5);
                        }
                        Ok(stable as f64 / draws as f64)
                    })
                    .collect::<Result<Vec<f64>>>()?;
                shares.iter().enumerate().for_each(|(b, s)| evidence.measure(arm, &metric, b as u64, *s));
                let interval = stats::t_interval(&shares, 0.95, 0.0);
                points.push([multiple as f64, interval.mean, interval.low.max(0.0), interval.high.min(1.0)]);
            }
            series.push(Series { name: arm.into(), points });
        }
        evidence.plots.push(Plot {
            title: format!("How often a design is stable: {name}"),
            x: "points a function (n / m)".into(),
            y: "P(smallest eigenvalue >= 1/2)".into(),
            log_x: false,
            log_y: false,
            series,
        });
    }
    Ok(())
}

/// The mean squared error of conditioned fits of Runge's function, in units of the bound.
fn error(trial: &Trial, evidence: &mut Evidence) -> Result<()> {
    let (blocks, draws) = trial.at((3, 5), (10, 20), (10, 50));
    let space = Basis::total_degree(Family::Legendre, 1, 9)?;
    let (m, n) = (space.len(), 4 * space.len());
    let runge = |x: f64| 1.0 / (1.0 + 25.0 * x * x);
    // The best fit in the space, by a fine rule.
    let grid: Vec<f64> = (0..20_000).map(|k| -1.0 + (k as f64 + 0.5) / 10_000.0).collect();
    let mut phi = vec![0.0; m];
    let mut best = vec![0.0; m];
    let mut square = 0.0;
    for &x in &grid {
        space.features(&[x], &mut phi);
        let y = runge(x);
        square += y * y / grid.len() as f64;
        best.iter_mut().zip(&phi).for_each(|(c, p)| *c += y * p / grid.len() as f64);
    }
    let rest = square - best.iter().map(|c| c * c).sum::<f64>();
    for (arm, sampler, boost) in ARMS {
        let sampler = DesignSampler { sampler, max_tries: 100_000, boost, ..DesignSampler::default() };
        let metric = "squared error / bound";
        let blocks_of = (0..blocks as u64)
            .into_par_iter()
            .map(|block| {
                let (mut squared, mut tries) = (0.0, 0);
                for draw in 0..draws {
                    let seed = Seed(trial.seed.stream(arm).stream("error").rng(block * draws + draw).next_u64());
                    let design = sampler.design(&space, n, seed, trial.progress)?;
                    let y: Vec<f64> = design.points.column(0).iter().map(|x| runge(*x)).collect();
                    let fit = WeightedFit::new(design.features(&space).view(), &design.weights, &y)?;
                    // The basis is orthonormal: the distance of the fits is that of their coefficients.
                    let apart: f64 = fit.coefficients.iter().zip(&best).map(|(a, b)| (a - b).powi(2)).sum();
                    squared += (rest + apart) / rest / draws as f64;
                    tries += design.tries;
                }
                Ok((squared, tries))
            })
            .collect::<Result<Vec<(f64, usize)>>>()?;
        let tries: usize = blocks_of.iter().map(|(_, t)| t).sum();
        let stable = (blocks as u64 * draws) as f64 / tries as f64;
        // (1 - delta)^-2 = 4 at delta = 1/2.
        let bound = 1.0 + 4.0 * m as f64 / (n as f64 * stable);
        for (block, (squared, _)) in blocks_of.iter().enumerate() {
            evidence.measure(arm, "squared error / best", block as u64, *squared);
            evidence.measure(arm, metric, block as u64, squared / bound);
        }
    }
    Ok(())
}

/// Fits from few labelled rows of a real table against the fit from all rows.
fn pool(trial: &Trial, evidence: &mut Evidence) -> Result<()> {
    let (blocks, draws) = trial.at((3, 2), (10, 10), (20, 25));
    let (x, y) = diabetes()?;
    let rows = x.nrows();
    let space = FinitePool::span(PoolBasis::Polynomial(2).features(&x)?.view(), None)?;
    let m = space.len();
    let everything = Array2::from_shape_fn((rows, 1), |(row, _)| row as f64);
    let all = features_at(&space, everything.view());
    let full = WeightedFit::new(all.view(), &vec![1.0; rows], &y)?;
    let error_of = |coefficients: &[f64]| -> f64 {
        let fitted = all.outer_iter().map(|row| row.iter().zip(coefficients).map(|(a, b)| a * b).sum::<f64>());
        fitted.zip(&y).map(|(f, y)| (f - y).powi(2)).sum::<f64>() / rows as f64
    };
    let floor = error_of(&full.coefficients);
    let mut series = Vec::new();
    for (arm, sampler, boost) in ARMS {
        let sampler = DesignSampler { sampler, condition: None, max_tries: 1, boost, ..DesignSampler::default() };
        let mut points = Vec::new();
        for multiple in [2, 3] {
            let metric = if multiple == 3 {
                "log excess error/diabetes".to_owned()
            } else {
                format!("log excess error/diabetes/n={multiple}m")
            };
            let values = (0..blocks as u64)
                .into_par_iter()
                .map(|block| {
                    let mut total = 0.0;
                    for draw in 0..draws {
                        let seed = Seed(trial.seed.stream(arm).stream(&metric).rng(block * draws + draw).next_u64());
                        let design = sampler.design(&space, multiple * m, seed, trial.progress)?;
                        let labels: Vec<f64> = design.points.column(0).iter().map(|row| y[*row as usize]).collect();
                        let fit = WeightedFit::new(design.features(&space).view(), &design.weights, &labels)?;
                        total += (error_of(&fit.coefficients) / floor).ln() / draws as f64;
                    }
                    Ok(total)
                })
                .collect::<Result<Vec<f64>>>()?;
            values.iter().enumerate().for_each(|(b, v)| evidence.measure(arm, &metric, b as u64, *v));
            let i = stats::t_interval(&values, 0.95, 0.0);
            points.push([f64::from(multiple as u32), i.mean, i.low, i.high]);
        }
        series.push(Series { name: arm.into(), points });
    }
    evidence.plots.push(Plot {
        title: format!("Error on all {rows} rows of a fit from few ({m} quadratic features)"),
        x: "labelled rows a function (n / m)".into(),
        y: "log of error / error of the full fit".into(),
        log_x: false,
        log_y: false,
        series,
    });
    Ok(())
}

/// The ten features and the target of the diabetes table.
fn diabetes() -> Result<(Array2<f64>, Vec<f64>)> {
    let set = builtin::find("diabetes")?;
    let table = set.table(&[])?;
    let mut columns = table.column_names();
    columns.retain(|name| *name != set.target);
    let x = table.numeric(&columns, Missing::Error)?;
    Ok((x, table.numeric(&[set.target], Missing::Error)?.into_raw_vec_and_offset().0))
}
