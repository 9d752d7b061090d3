//! Determinantal designs: as stable as independent ones with half as many points again, and better fits for as many labels.

use crate::{Repetitions, Trial};
use ndarray::{Array2, Axis};
use quadrat_core::{By, Evidence, Plot, Relation, Result, Seed, Series, Silent, stats};
use quadrat_data::{Missing, builtin};
use quadrat_select::{
    Basis, DesignSampler, Family, FeatureSpace, FinitePool, PoolBasis, Sampler, WeightedFit, features_at,
};

/// Samplers and how many candidates each draw chooses from.
const ARMS: [(&str, Sampler, usize); 6] = [
    ("repeated-dpp", Sampler::RepeatedDpp, 1),
    ("christoffel", Sampler::Christoffel, 1),
    ("volume-christoffel", Sampler::VolumeChristoffel, 1),
    ("volume", Sampler::Volume, 1),
    ("monte-carlo", Sampler::MonteCarlo, 1),
    ("boosted-christoffel", Sampler::Christoffel, 30),
];
/// Points a function.
const MULTIPLES: [usize; 5] = [2, 3, 4, 6, 10];
/// Labels a function on the table.
const LABELS: [usize; 2] = [2, 3];
const D_OPTIMAL: &str = "d-optimal";

/// Stability and error.
pub fn run(trial: &Trial) -> Result<Evidence> {
    let mut evidence = expected(trial);
    let spaces = spaces(trial)?;
    let drawn = Repetitions { part: "stability", pilot: 4, most: trial.at(2, 400, 1000) };
    trial.repeat(&mut evidence, drawn, |seed| stability(&spaces, seed))?;
    let table = Table::new()?;
    let bought = Repetitions { part: "table", pilot: 16, most: trial.at(2, 200, 400) };
    trial.repeat(&mut evidence, bought, |seed| table.repetition(seed))?;
    evidence.plots = spaces.iter().map(|(name, _)| stability_plot(&evidence, name)).collect();
    evidence.plots.push(table.plot(&evidence));
    identities(&mut evidence, trial)?;
    Ok(evidence)
}

/// What the paper says, what is done here, and what is expected: written down before anything is measured.
fn expected(trial: &Trial) -> Evidence {
    let mut evidence = Evidence::new(
        "Generalised volume sampling gives a quasi-optimal expected error with a number of points of order m log m; \
         independent repetitions of the determinantal process have similar guarantees and in practice need far fewer points \
         to be stable.",
        "A design is stable where the smallest eigenvalue of its Gram matrix is at least 1/2: how often, by sampler and \
         number of points n, in spaces of m polynomials; a repetition is a design of each kind. On all rows of the diabetes \
         table with quadratic features, the squared error of the fit from 3 m distinct labelled rows in excess of the fit \
         from all labels; a repetition is a choice of rows by each arm.",
    );
    let stable = |multiple| stable(LEGENDRE, multiple);
    evidence
        .expect(
            "4 m points of repeated DPPs are stable more often than not",
            &stable(4),
            "repeated-dpp",
            None,
            Relation::Above(0.5),
        )
        .matters(0.15);
    evidence
        .expect("6 m points of the Christoffel density are not", &stable(6), "christoffel", None, Relation::Below(0.5))
        .matters(0.15);
    let excess = excess(3);
    evidence
        .expect(
            "a smaller excess error on the table than from the Christoffel density (leverage scores)",
            &excess,
            "repeated-dpp",
            Some("christoffel"),
            Relation::Below(1.0),
        )
        .by(By::Ratio)
        .matters(1.1);
    for rival in ["monte-carlo", D_OPTIMAL] {
        let says = format!("a smaller excess error on the table than {rival}");
        evidence.report(&says, &excess, "repeated-dpp", Some(rival), Relation::Below(1.0)).by(By::Ratio);
    }
    for rival in ["volume-christoffel", "volume", "monte-carlo", "christoffel"] {
        let says = format!("at n = 4 m repeated DPPs are stable at least 0.2 more often than {rival}");
        evidence.report(&says, &stable(4), "repeated-dpp", Some(rival), Relation::Above(0.2));
    }
    evidence.report(
        "at n = 4 m they are stable as often, within 0.1, as the best of 30 christoffel designs",
        &stable(4),
        "repeated-dpp",
        Some("boosted-christoffel"),
        Relation::Within(0.1),
    );
    if trial.at(false, true, true) {
        for (name, multiple) in [("legendre m=20", 6), ("hermite m=10", 6)] {
            let says = format!("{name}: {multiple} m points of repeated DPPs are stable more often than not");
            evidence.report(&says, &self::stable(name, multiple), "repeated-dpp", None, Relation::Above(0.5));
        }
    }
    evidence.report(
        "stable fits of Runge's function stay below 1 + 4 m / n times the least squared error, the bound on their mean \
         without what it allows for unstable designs",
        BOUND,
        "repeated-dpp",
        None,
        Relation::Below(1.0),
    );
    evidence.notes = vec![
        "All samplers see the same numbers of points; none has anything to tune. Monte Carlo is plain uniform sampling, \
         christoffel leverage-score sampling with its optimal weights. boosted-christoffel keeps of 30 such designs the one \
         whose Gram matrix is nearest to the identity: 30 times the work. d-optimal takes greedily the rows that raise the \
         determinant most, from a random first row, and fits without weights."
            .into(),
        "Changed after the first records: shares are counted design by design and judged by the exact interval; on the table \
         labels are counted once however often a row is drawn (before, draws were counted, and samplers that repeat rows \
         had to pay for them), and errors are in excess of the full fit and judged as ratios."
            .into(),
        "On the table the target's noise, not the features' misfit, makes most of the error, which is what D-optimal designs \
         are made for; they promise nothing where the space misses the function."
            .into(),
    ];
    evidence
}

const LEGENDRE: &str = "legendre m=10";
const BOUND: &str = "squared error / bound";

fn stable(space: &str, multiple: usize) -> String {
    format!("stable/{space}/n={multiple}m")
}

fn excess(labels: usize) -> String {
    format!("excess error/diabetes/{labels}m labels")
}

fn spaces(trial: &Trial) -> Result<Vec<(&'static str, Basis)>> {
    let mut spaces = vec![(LEGENDRE, Basis::total_degree(Family::Legendre, 1, 9)?)];
    if trial.at(false, true, true) {
        spaces.push(("legendre m=20", Basis::total_degree(Family::Legendre, 1, 19)?));
        spaces.push(("hermite m=10", Basis::total_degree(Family::Hermite, 1, 9)?));
    }
    Ok(spaces)
}

/// One design of each kind, and the fit of Runge's function from a stable one.
fn stability(spaces: &[(&'static str, Basis)], seed: Seed) -> Result<Vec<(&'static str, String, f64)>> {
    let mut found = Vec::new();
    for (name, space) in spaces {
        for multiple in MULTIPLES {
            let metric = stable(name, multiple);
            // Thirty times the work: only where it is compared.
            for (arm, sampler, boost) in ARMS.into_iter().filter(|a| a.2 == 1 || metric == stable(LEGENDRE, 4)) {
                let sampler =
                    DesignSampler { sampler, condition: None, max_tries: 1, boost, ..DesignSampler::default() };
                let design =
                    sampler.design(space, multiple * space.len(), seed.stream(&metric).stream(arm), &Silent)?;
                found.push((arm, metric.clone(), f64::from(u8::from(design.lambda_min >= 0.5))));
            }
        }
    }
    let runge = |x: f64| 1.0 / (1.0 + 25.0 * x * x);
    let space = &spaces[0].1;
    let (m, n) = (space.len(), 4 * space.len());
    // The best fit in the space, by a fine rule.
    let grid: Vec<f64> = (0..4000).map(|k| -1.0 + (k as f64 + 0.5) / 2000.0).collect();
    let (mut phi, mut best, mut square) = (vec![0.0; m], vec![0.0; m], 0.0);
    for &x in &grid {
        space.features(&[x], &mut phi);
        square += runge(x).powi(2) / grid.len() as f64;
        best.iter_mut().zip(&phi).for_each(|(c, p)| *c += runge(x) * p / grid.len() as f64);
    }
    let rest = square - best.iter().map(|c| c * c).sum::<f64>();
    for (arm, sampler, _) in &ARMS[..3] {
        let sampler = DesignSampler { sampler: *sampler, max_tries: 100_000, ..DesignSampler::default() };
        let design = sampler.design(space, n, seed.stream("error").stream(arm), &Silent)?;
        let y: Vec<f64> = design.points.column(0).iter().map(|x| runge(*x)).collect();
        let fit = WeightedFit::new(design.features(space).view(), &design.weights, &y)?;
        // The basis is orthonormal: the distance of the fits is that of their coefficients.
        let apart: f64 = fit.coefficients.iter().zip(&best).map(|(a, b)| (a - b).powi(2)).sum();
        let bound = 1.0 + 4.0 * m as f64 / n as f64;
        found.push((arm, BOUND.to_owned(), (rest + apart) / rest / bound));
    }
    Ok(found)
}

fn stability_plot(evidence: &Evidence, space: &str) -> Plot {
    let series = ARMS[..5].iter().map(|(arm, ..)| {
        let point = |multiple: &usize| {
            let hits: Vec<f64> = evidence.values(arm, &stable(space, *multiple)).into_iter().map(|(_, v)| v).collect();
            let i = stats::share_interval(&hits, 0.95).unwrap_or(stats::t_interval(&hits, 0.95, 0.0));
            [*multiple as f64, i.mean, i.low, i.high]
        };
        Series { name: (*arm).into(), points: MULTIPLES.iter().map(point).collect() }
    });
    Plot {
        title: format!("How often a design is stable: {space}"),
        x: "points a function (n / m)".into(),
        y: "P(smallest eigenvalue >= 1/2)".into(),
        log_x: false,
        log_y: false,
        series: series.collect(),
    }
}

/// A real table as a pool of rows to label.
struct Table {
    space: FinitePool,
    /// Orthonormal features of all rows.
    all: Array2<f64>,
    y: Vec<f64>,
    /// The squared error of the fit from all labels.
    floor: f64,
}

impl Table {
    /// The diabetes table with all products of two of its ten features.
    fn new() -> Result<Self> {
        let set = builtin::find("diabetes")?;
        let table = set.table(&[])?;
        let mut columns = table.column_names();
        columns.retain(|name| *name != set.target);
        let x = table.numeric(&columns, Missing::Error)?;
        let y = table.numeric(&[set.target], Missing::Error)?.into_raw_vec_and_offset().0;
        let rows = x.nrows();
        let space = FinitePool::span(PoolBasis::Polynomial(2).features(&x)?.view(), None)?;
        let all = features_at(&space, Array2::from_shape_fn((rows, 1), |(row, _)| row as f64).view());
        let full = WeightedFit::new(all.view(), &vec![1.0; rows], &y)?;
        let mut table = Table { space, all, y, floor: 1.0 };
        table.floor = table.error(&full.coefficients);
        Ok(table)
    }

    fn error(&self, coefficients: &[f64]) -> f64 {
        let fit = |row: ndarray::ArrayView1<f64>| row.iter().zip(coefficients).map(|(a, b)| a * b).sum::<f64>();
        let squares = self.all.outer_iter().zip(&self.y).map(|(row, y)| (fit(row) - y).powi(2));
        squares.sum::<f64>() / self.y.len() as f64
    }

    fn excess(&self, rows: &[usize], weights: &[f64]) -> Result<f64> {
        let labels: Vec<f64> = rows.iter().map(|row| self.y[*row]).collect();
        let fit = WeightedFit::new(self.all.select(Axis(0), rows).view(), weights, &labels)?;
        Ok(self.error(&fit.coefficients) / self.floor - 1.0)
    }

    fn repetition(&self, seed: Seed) -> Result<Vec<(&'static str, String, f64)>> {
        let m = self.space.len();
        let mut found = Vec::new();
        for multiple in LABELS {
            let (labels, metric) = (multiple * m, excess(multiple));
            for (arm, sampler, _) in &ARMS[..5] {
                let sampler = DesignSampler {
                    sampler: *sampler,
                    condition: None,
                    max_tries: 1,
                    distinct: Some(labels),
                    ..DesignSampler::default()
                };
                let design = sampler.design(&self.space, labels, seed.stream(&metric).stream(arm), &Silent)?;
                let drawn: Vec<usize> = design.points.column(0).iter().map(|row| *row as usize).collect();
                found.push((*arm, metric.clone(), self.excess(&drawn, &design.weights)?));
            }
            let first = seed.stream(D_OPTIMAL).rng(0).below(self.y.len());
            let rows = d_optimal(&self.all, labels, first);
            found.push((D_OPTIMAL, metric, self.excess(&rows, &vec![1.0; labels])?));
        }
        Ok(found)
    }

    fn plot(&self, evidence: &Evidence) -> Plot {
        let series = ["repeated-dpp", "christoffel", "volume", "monte-carlo", D_OPTIMAL].map(|arm| {
            let point = |multiple: usize| {
                let logs: Vec<f64> = evidence.values(arm, &excess(multiple)).iter().map(|(_, v)| v.ln()).collect();
                let i = stats::t_interval(&logs, 0.95, 0.0);
                [multiple as f64, i.mean.exp(), i.low.exp(), i.high.exp()]
            };
            Series { name: arm.into(), points: LABELS.map(point).into() }
        });
        Plot {
            title: format!(
                "Excess error on all {} rows of a fit from few ({} features)",
                self.y.len(),
                self.space.len()
            ),
            x: "labelled rows a function".into(),
            y: "excess squared error, geometric mean".into(),
            log_x: false,
            log_y: true,
            series: series.into(),
        }
    }
}

/// Rows that greedily raise the determinant of their Gram matrix most, which begins as a thousandth of the identity.
fn d_optimal(phi: &Array2<f64>, rows: usize, first: usize) -> Vec<usize> {
    let mut inverse = Array2::eye(phi.ncols()) * 1e3;
    let mut chosen = Vec::with_capacity(rows);
    let mut gains: Vec<f64> = phi.outer_iter().map(|row| 1e3 * row.dot(&row)).collect();
    let mut next = first;
    while chosen.len() < rows {
        chosen.push(next);
        // Sherman and Morrison's update of the inverse and of all rows' gains.
        let towards = inverse.dot(&phi.row(next));
        let scale = 1.0 + phi.row(next).dot(&towards);
        gains.iter_mut().zip(phi.dot(&towards)).for_each(|(gain, along)| *gain -= along * along / scale);
        let column = towards.insert_axis(Axis(1));
        inverse = inverse - column.dot(&column.t()) / scale;
        let left = (0..phi.nrows()).filter(|row| !chosen.contains(row));
        next = left.max_by(|a, b| gains[*a].total_cmp(&gains[*b]).then(b.cmp(a))).unwrap_or(first);
    }
    chosen
}

/// What must hold whatever the draw.
fn identities(evidence: &mut Evidence, trial: &Trial) -> Result<()> {
    let seed = trial.seed.stream("identities");
    let space = Basis::total_degree(Family::Legendre, 1, 9)?;
    let m = space.len();
    let (mut interpolates, mut weights) = (0.0_f64, 0.0_f64);
    for case in 0..20 {
        let sampler = DesignSampler { condition: None, max_tries: 1, ..DesignSampler::default() };
        let design = sampler.design(&space, 2 * m, seed.stream(&format!("{case}")), &Silent)?;
        let phi = design.features(&space);
        let mut rng = seed.stream("functions").rng(case);
        let coefficients: Vec<f64> = (0..m).map(|_| rng.normal()).collect();
        let y = phi.dot(&ndarray::Array1::from(coefficients.clone())).to_vec();
        let fit = WeightedFit::new(phi.view(), &design.weights, &y)?;
        interpolates =
            fit.coefficients.iter().zip(&coefficients).fold(interpolates, |most, (a, b)| most.max((a - b).abs()));
        for (row, w) in phi.outer_iter().zip(&design.weights) {
            weights = weights.max((w * row.dot(&row) / m as f64 - 1.0).abs());
        }
    }
    evidence.identity(
        "functions of the space are found exactly: largest error of a coefficient",
        interpolates,
        0.0,
        1e-8,
    );
    evidence.identity("w |phi|^2 = m at every point: largest relative difference", weights, 0.0, 1e-12);
    let table = Table::new()?;
    let gram = table.all.t().dot(&table.all) / table.y.len() as f64;
    let off = (gram - Array2::<f64>::eye(table.space.len())).iter().fold(0.0_f64, |most, v| most.max(v.abs()));
    evidence.identity("features of the table are orthonormal: largest difference from the identity", off, 0.0, 1e-9);
    Ok(())
}
