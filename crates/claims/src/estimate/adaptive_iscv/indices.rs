//! Sobol' indices, by this and the usual ways.

use super::{LN_2PI, N, PUBLISHED, REPLICATED, column_means, errors_by_calls, repeat, squared_error};
use crate::Trial;
use ndarray::{Array2, ArrayView2};
use quadrat_core::{Error, Evidence, Plot, Relation, Result, Rng, Seed, Silent, stats};
use quadrat_estimate::Problem;
use quadrat_estimate::functions::{Benchmark, beam, g_function, ishigami};
use quadrat_estimate::sobol::{DesignPoints, Factors, Saltelli, SobolEstimate, SobolIscv};
use quadrat_estimate::{AdaptiveIscv, Expectations, by_point};

/// The paper's table of the beam's first-order indices: both methods with N points of d + 1 runs, and as published.
pub(super) fn pick_freeze(trial: &Trial, evidence: &mut Evidence) -> Result<()> {
    let model = beam()?;
    let d = model.inputs.len();
    let problem = Expectations {
        dim: 2 * d,
        targets: d + 2,
        values: |z: &[f64], phi: &mut [f64]| {
            let x: Vec<f64> = z.iter().enumerate().map(|(k, z)| model.inputs[k % d].law.at_normal(*z)).collect();
            let (x1, x2) = x.split_at(d);
            let y = (model.model)(x1);
            for i in 0..d {
                let mut frozen = x2.to_vec();
                frozen[i] = x1[i];
                phi[i] = y * (model.model)(&frozen);
            }
            phi[d] = y;
            phi[d + 1] = y * y;
        },
        ln_density: |_: usize, z: &[f64]| z.iter().map(|z| -0.5 * (z * z + LN_2PI)).sum(),
        draw: |_: usize, rng: &mut Rng, z: &mut [f64]| z.iter_mut().for_each(|z| *z = rng.normal()),
        shared: true,
    };
    let indices = |found: &[f64]| -> Vec<f64> {
        let (m, q) = (found[d], found[d + 1]);
        found[..d].iter().map(|e| (e - m * m) / (q - m * m)).collect()
    };
    let metric = "beam, first-order indices as published: squared error / pick-freeze Monte Carlo's";
    let says = "ISCV's variance is at most a fifth of pick-freeze Monte Carlo's";
    evidence.expect(says, metric, "iscv", None, Relation::Below(0.2));
    let ones = vec![1.0; d + 2];
    let runs = repeat(trial, "beam, as published", 200, |seed| {
        let method = AdaptiveIscv { budget: N, ..AdaptiveIscv::default() };
        let iscv = method.estimate(&problem, &ones, seed, &Silent)?;
        let mut z = Array2::zeros((N, 2 * d));
        let mut rng = seed.stream("plain").rng(0);
        z.mapv_inplace(|_: f64| rng.normal());
        let plain = column_means(problem.values(z.view())?.view());
        let error = |found: &[f64]| squared_error(&indices(found), &model.first, &[1.0; 6]);
        Ok((error(&iscv.value), error(&plain)))
    })?;
    let plain = stats::mean(&runs.iter().map(|run| run.1).collect::<Vec<_>>());
    for (repeat, (iscv, monte_carlo)) in (0..).zip(&runs) {
        evidence.measure("iscv", metric, repeat, iscv / plain);
        evidence.measure("pick-freeze monte carlo", metric, repeat, monte_carlo / plain);
    }
    let iscv = stats::mean(&runs.iter().map(|run| run.0).collect::<Vec<_>>());
    evidence.notes.push(format!(
        "Beam, first-order indices with N = {N} points of {} runs each, sum of squared errors: pick-freeze {plain:.3e}, ISCV \
         {iscv:.3e}, against reference values of three digits that the authors computed from 10^7 points.",
        d + 1
    ));
    Ok(())
}

/// Sobol' indices of three models at equal numbers of calls, and how often intervals cover.
pub(super) fn sobol(trial: &Trial, evidence: &mut Evidence) -> Result<()> {
    let calls = 14_000;
    let models = match trial.scale {
        crate::Scale::Smoke => vec![],
        crate::Scale::Quick => vec![ishigami()],
        crate::Scale::Full | crate::Scale::Overnight => vec![ishigami(), g_function(), beam()?],
    };
    let repeats = trial.at(0, 400, 1000);
    let mut curve = Vec::new();
    for model in &models {
        let repeats = if model.name == "beam" { 200.min(repeats) } else { repeats };
        indices(trial, evidence, model, calls, repeats)?;
        curve.extend(errors_by_calls(trial, model)?);
    }
    if !curve.is_empty() {
        evidence.plots.push(Plot {
            title: "Sobol' indices: root mean squared error at equal calls".into(),
            x: "calls of the model".into(),
            y: "error of an index".into(),
            log_x: true,
            log_y: true,
            series: curve,
        });
    }
    Ok(())
}

/// The methods at a number of calls.
pub(super) fn rivals(calls: usize) -> [(&'static str, Method); 5] {
    let saltelli = |points| Saltelli { calls, points, resamples: 0, ..Saltelli::default() };
    let replicated = Saltelli { scrambles: 8, ..saltelli(DesignPoints::Scrambled) };
    [
        ("iscv", Method::Iscv(SobolIscv { calls, resamples: 0, ..SobolIscv::default() })),
        (PUBLISHED, Method::Iscv(SobolIscv { calls, resamples: 0, centre: false, iscv: AdaptiveIscv::default() })),
        ("saltelli, sobol points", Method::Saltelli(saltelli(DesignPoints::Scrambled))),
        (REPLICATED, Method::Saltelli(replicated)),
        ("saltelli, independent points", Method::Saltelli(saltelli(DesignPoints::Independent))),
    ]
}

pub(super) enum Method {
    Iscv(SobolIscv),
    Saltelli(Saltelli),
}

impl Method {
    pub fn run(&self, model: &Benchmark, seed: Seed) -> Result<SobolEstimate> {
        let evaluate = |x: ArrayView2<f64>| Ok(by_point(x, 1, &|x: &[f64], y: &mut [f64]| y[0] = (model.model)(x)));
        let factors = Factors::of(&model.inputs)?;
        match self {
            Method::Iscv(method) => method.estimate(&factors, &evaluate, seed, &Silent),
            Method::Saltelli(method) => method.estimate(&factors, &evaluate, seed, &Silent),
        }
    }
}

/// How a run did.
pub(super) struct Score {
    /// Sum of squared errors of all indices that are known.
    pub squares: f64,
    /// Share of their intervals that cover.
    pub covered: f64,
    /// How many are known.
    pub known: usize,
    /// Whether there was no estimate.
    pub failed: bool,
}

/// A run that ends without an estimate (its estimate of the output's variance is not positive) counts as one that says 0
/// of every index: leaving it out would favour the method that fails.
pub(super) fn score(model: &Benchmark, found: Result<SobolEstimate>) -> Result<Score> {
    let truth = || model.first.iter().chain(&model.total);
    let known = truth().count();
    let found = match found {
        Ok(found) => found,
        Err(Error::Numeric { .. }) => {
            let squares = truth().map(|truth| truth * truth).sum();
            return Ok(Score { squares, covered: 0.0, known, failed: true });
        }
        Err(error) => return Err(error),
    };
    let output = &found.outputs[0];
    let pairs = || output.first.iter().zip(&model.first).chain(output.total.iter().zip(&model.total));
    let covering = pairs().filter(|(index, truth)| index.low <= **truth && **truth <= index.high).count();
    let squares = pairs().map(|(index, truth)| (index.value - truth).powi(2)).sum();
    Ok(Score { squares, covered: covering as f64 / known as f64, known, failed: false })
}

pub(super) fn indices(
    trial: &Trial,
    evidence: &mut Evidence,
    model: &Benchmark,
    calls: usize,
    repeats: u64,
) -> Result<()> {
    let (error, cover) = (format!("{}: squared error of the indices", model.name), format!("{}: coverage", model.name));
    let says = |what: &str| format!("{}: {what}", model.name);
    let (mc, qmc) = ("saltelli, independent points", "saltelli, sobol points");
    let mut report = |what: &str, metric: &str, arm: &str, against: Option<&str>, relation: Relation| {
        evidence.report(&says(what), metric, arm, against, relation);
    };
    report("ISCV is more accurate than Saltelli on independent points", &error, "iscv", Some(mc), Relation::Below(0.0));
    report("ISCV is more accurate than Saltelli on Sobol' points", &error, "iscv", Some(qmc), Relation::Below(0.0));
    report("one scramble is more accurate than eight", &error, qmc, Some(REPLICATED), Relation::Below(0.0));
    report("ISCV is more accurate than its published form", &error, "iscv", Some(PUBLISHED), Relation::Below(0.0));
    if model.name != "beam" {
        let (least, most) = (Relation::Above(0.93), Relation::Below(0.97));
        report("Saltelli's 95% intervals on independent points cover at least 93%", &cover, mc, None, least);
        report("Saltelli's 95% intervals on Sobol' points cover at least 93%", &cover, qmc, None, least);
        report("Saltelli's 95% intervals on Sobol' points cover at most 97%", &cover, qmc, None, most);
        report("t intervals over 8 scrambles cover at least 93%", &cover, REPLICATED, None, least);
        report("t intervals over 8 scrambles cover at most 97%", &cover, REPLICATED, None, most);
        evidence.expect(&says("ISCV's 95% intervals cover at least 93%"), &cover, "iscv", None, least);
        evidence.expect(&says("ISCV's 95% intervals cover at most 97%"), &cover, "iscv", None, most);
    }
    let runs = repeat(trial, model.name, repeats, |seed| {
        rivals(calls)
            .iter()
            .map(|(arm, method)| Ok((*arm, score(model, method.run(model, seed.stream(arm)))?)))
            .collect::<Result<Vec<_>>>()
    })?;
    for (repeat, run) in (0..).zip(&runs) {
        for (arm, score) in run {
            evidence.measure(arm, &error, repeat, score.squares);
            if model.name != "beam" {
                evidence.measure(arm, &cover, repeat, score.covered);
            }
        }
    }
    for (i, (arm, _)) in rivals(calls).iter().enumerate() {
        let failed = runs.iter().filter(|run| run[i].1.failed).count();
        if failed > 0 {
            evidence.notes.push(format!(
                "{}: {failed} of {repeats} runs of `{arm}` ended without an estimate, because that of the output's variance \
                 was not positive; they count as an estimate of 0 for every index.",
                model.name
            ));
        }
    }
    Ok(())
}
