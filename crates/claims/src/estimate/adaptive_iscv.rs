//! Many expectations from one sample: by how much does adaptive importance sampling with control variates beat plain
//! Monte Carlo, and do its intervals cover?

use super::{curve, plot};
use crate::{Figure, Repetitions, Trial};
use ndarray::{Array2, ArrayView2};
use quadrat_core::{By, Error, Evidence, Relation, Result, Rng, Seed, Silent};
use quadrat_estimate::functions::{Benchmark, beam, ishigami};
use quadrat_estimate::sobol::{DesignPoints, Factors, Saltelli, SobolEstimate, SobolIscv};
use quadrat_estimate::{AdaptiveIscv, Expectations, NormalMixture, Problem, by_point, ln_densities};

const LN_2PI: f64 = 1.8378770664093453;
/// Moments that are estimated together.
const MOMENTS: usize = 10;
/// Calls of the model behind each set of Sobol' indices: the command line's default.
const CALLS: usize = 4096;
const COVERED: &str = "covered";
const BEAM: &str = "squared error/beam, first-order indices";
const BEAM_FEWER: &str = "squared error/beam, a quarter of the points";
const NORMAL: &str = "squared error/ten moments";
const PLAIN: &str = "monte carlo";
const SOBOL: &str = "saltelli, sobol points";
const INDEPENDENT: &str = "saltelli, independent points";
/// Sobol' points in independent scrambles, whose scatter gives the intervals.
const REPLICATED: &str = "saltelli, 8 scrambles";

struct Plan {
    /// Points of every estimate of expectations.
    points: usize,
    /// Numbers of calls along which errors are drawn.
    calls: Vec<usize>,
    /// Most comparisons on the beam, most intervals, repetitions of what is only reported.
    most: [usize; 3],
}

/// Runs the experiment.
pub fn run(trial: &Trial) -> Result<Evidence> {
    let plan = Plan {
        points: trial.at(500, 20_000, 20_000),
        calls: trial.at(vec![500], vec![1000, 4000], vec![1000, 4000, 16_000]),
        most: trial.at([2, 2, 2], [80, 2000, 6], [300, 2200, 20]),
    };
    let [beam_most, cover_most, beside] = plan.most;
    let mut evidence = plan.evidence();
    let (beam, ishigami) = (beam()?, ishigami());
    trial.repeat(&mut evidence, Repetitions { part: "beam", pilot: 16, most: beam_most }, |seed| {
        plan.pick_freeze(&beam, seed)
    })?;
    trial.repeat(&mut evidence, Repetitions { part: "intervals", pilot: 16, most: cover_most }, |seed| {
        intervals(&ishigami, seed)
    })?;
    trial.repeat(&mut evidence, Repetitions { part: "beside", pilot: 0, most: beside }, |seed| {
        Ok([plan.moments(seed.stream("moments"))?, plan.errors(&ishigami, seed.stream("errors"))?].concat())
    })?;
    identities(&mut evidence, trial.seed.stream("identities"))?;
    let places: Vec<f64> = plan.calls.iter().map(|c| *c as f64).collect();
    let series = ["iscv", SOBOL, INDEPENDENT].map(|arm| curve(&evidence, arm, &places, |c| error_at(c as usize)));
    let title = "Sobol' indices of Ishigami's function at equal calls";
    evidence.plots = vec![plot(title, "calls of the model", "sum of squared errors", (true, true), series.into())];
    Ok(evidence)
}

fn error_at(calls: usize) -> String {
    format!("squared error/Ishigami, {calls} calls")
}

impl Plan {
    /// What the paper says, what is done here, and what is expected: written down before anything is measured.
    fn evidence(&self) -> Evidence {
        let n = self.points;
        let mut e = Evidence::new(
            "With 20,000 points and 200 repetitions the weighted variance is 0.00163 for ten moments of a normal (plain \
             Monte Carlo: 49.75, exactly), 4.38e-6 for the deflection of a beam under 100 input laws (one Monte Carlo sample \
             of their mixture: 6.10e-5), and 1.73e-4 for the beam's first-order Sobol' indices (pick-freeze Monte Carlo: \
             2.53e-3).",
            format!(
                "The beam's six first-order indices as published, from {n} points of 7 runs each: summed squared errors of \
                 ISCV over those of pick-freeze Monte Carlo, against reference values of three digits from 10^7 points. \
                 Intervals: Ishigami's function with the command line's defaults ({CALLS} calls, 1,000 resamples), one of \
                 the six 95% intervals drawn at random a run. Beside it: ten moments of a normal law, and Saltelli's \
                 designs at equal calls."
            ),
        );
        let says = "ISCV's squared error is at most a fifth of pick-freeze Monte Carlo's";
        e.expect(says, BEAM, "iscv", Some(PLAIN), Relation::Below(0.2)).by(By::Ratio).matters(1.44);
        let says = "its 95% intervals cover at least 93%";
        e.expect(says, COVERED, "iscv", None, Relation::Above(0.93)).matters(0.02);
        let says = "from a quarter of the points as well";
        e.report(says, BEAM_FEWER, "iscv", Some(PLAIN), Relation::Below(0.2)).by(By::Ratio);
        e.report("and at most 97%", COVERED, "iscv", None, Relation::Below(0.97));
        e.report("t intervals over 8 scrambles cover at least 93%", COVERED, REPLICATED, None, Relation::Above(0.93));
        let says = "ten moments: ISCV's squared error is at most a thousandth of Monte Carlo's exact variance";
        e.report(says, NORMAL, "iscv", None, Relation::Below(1e-3));
        let says = "ten moments: control variates take more than half off";
        e.report(says, NORMAL, "iscv", Some("iscv, b = 0"), Relation::Below(0.5)).by(By::Ratio);
        for rival in [INDEPENDENT, SOBOL, REPLICATED] {
            let says = format!("Ishigami: ISCV's squared error over that of {rival}");
            e.report(&says, &error_at(CALLS), "iscv", Some(rival), Relation::Below(1.0)).by(By::Ratio);
        }
        e.notes.push(
            "A factor of 1.44 in squared error, 20% of an error, is what matters. A run that ends without an estimate (that of \
             the output's variance was not positive) counts as an estimate of 0 whose intervals do not cover. The moments' \
             errors are over Monte Carlo's exact variance: its sample figure is far smaller, because high moments are carried \
             by points that most repetitions never see."
                .into(),
        );
        e.notes.push(
            "Changed after earlier runs: shares of six intervals a run were averaged as if they were independent, those of the \
             delta method were asked in place of what the command line gives, and the tuned rivals of a smooth model \
             (Saltelli on Sobol' points), which are more accurate than ISCV there, stay reported. A pilot with 5,000 points on \
             the beam found no advantage at all (a ratio of 1.0): a full covariance in twelve dimensions takes more points \
             to adapt to, so a quarter of the points stands beside the paper's number. The beam under 100 laws and the \
             g-function are gone."
                .into(),
        );
        e
    }

    /// The paper's table of the beam's first-order indices: both methods with as many points of d + 1 runs.
    fn pick_freeze(&self, model: &Benchmark, seed: Seed) -> Result<Vec<Figure>> {
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
        let error = |found: &[f64]| -> f64 {
            let (m, q) = (found[d], found[d + 1]);
            let index = |e: &f64| (e - m * m) / (q - m * m);
            found[..d].iter().map(index).zip(&model.first).map(|(index, truth)| (index - truth).powi(2)).sum()
        };
        let mut found = Vec::new();
        for (metric, budget) in [(BEAM, self.points), (BEAM_FEWER, self.points / 4)] {
            let seed = seed.stream(metric);
            let iscv = AdaptiveIscv { budget, ..AdaptiveIscv::default() };
            let iscv = iscv.estimate(&problem, &vec![1.0; d + 2], seed, &Silent)?;
            let mut rng = seed.stream("plain").rng(0);
            let z = Array2::from_shape_simple_fn((budget, 2 * d), || rng.normal());
            let plain = column_means(problem.values(z.view())?.view());
            found.push(("iscv".to_owned(), metric.to_owned(), error(&iscv.value)));
            found.push((PLAIN.to_owned(), metric.to_owned(), error(&plain)));
        }
        Ok(found)
    }

    /// Ten moments of a normal law, each weighted by its own square.
    fn moments(&self, seed: Seed) -> Result<Vec<Figure>> {
        let problem = Expectations {
            dim: 1,
            targets: MOMENTS,
            values: |x: &[f64], phi: &mut [f64]| {
                phi.iter_mut().enumerate().for_each(|(j, phi)| *phi = x[0].powi(2 * j as i32 + 2));
            },
            ln_density: |_: usize, x: &[f64]| -0.5 * (x[0] * x[0] + LN_2PI),
            draw: |_: usize, rng: &mut Rng, x: &mut [f64]| x[0] = rng.normal(),
            shared: true,
        };
        let truth: Vec<f64> = (1..=MOMENTS).map(moment).collect();
        let w: Vec<f64> = truth.iter().map(|i| i.powi(-2)).collect();
        let plain = plain_variance() / self.points as f64;
        let error = |found: &[f64]| {
            let parts = found.iter().zip(&truth).zip(&w).map(|((f, t), w)| w * (f - t).powi(2));
            parts.sum::<f64>() / plain
        };
        let iscv = AdaptiveIscv { budget: self.points, ..AdaptiveIscv::default() };
        let iscv = iscv.estimate(&problem, &w, seed, &Silent)?;
        Ok([("iscv", error(&iscv.value)), ("iscv, b = 0", error(&iscv.raw))]
            .map(|(arm, error)| (arm.to_owned(), NORMAL.to_owned(), error))
            .into())
    }

    /// Errors along numbers of calls.
    fn errors(&self, model: &Benchmark, seed: Seed) -> Result<Vec<Figure>> {
        let mut found = Vec::new();
        for calls in &self.calls {
            for (arm, method) in rivals(*calls, 0).into_iter().filter(|(arm, _)| *arm != REPLICATED) {
                let seed = seed.stream(arm).stream(&calls.to_string());
                found.push((arm.to_owned(), error_at(*calls), score(model, method.run(model, seed), 0)?.0));
            }
        }
        Ok(found)
    }
}

/// (2j - 1)!! = E[X^2j].
fn moment(j: usize) -> f64 {
    (1..=j).map(|i| (2 * i - 1) as f64).product()
}

/// The weighted variance of the moments from one point of plain Monte Carlo.
fn plain_variance() -> f64 {
    (1..=MOMENTS).map(|j| moment(2 * j) / moment(j).powi(2) - 1.0).sum()
}

fn column_means(rows: ArrayView2<f64>) -> Vec<f64> {
    rows.columns().into_iter().map(|c| c.sum() / c.len() as f64).collect()
}

/// One run of each method: its squared error, and whether one of its intervals, drawn at random, covers.
fn intervals(model: &Benchmark, seed: Seed) -> Result<Vec<Figure>> {
    let asked = seed.stream("interval").rng(0).below(model.first.len() + model.total.len());
    let mut found = Vec::new();
    for (arm, method) in rivals(CALLS, SobolIscv::default().resamples) {
        let (error, covered) = score(model, method.run(model, seed.stream(arm)), asked)?;
        found.push((arm.to_owned(), error_at(CALLS), error));
        if ["iscv", REPLICATED].contains(&arm) {
            found.push((arm.to_owned(), COVERED.to_owned(), f64::from(u8::from(covered))));
        }
    }
    Ok(found)
}

/// The methods at a number of calls.
fn rivals(calls: usize, resamples: usize) -> [(&'static str, Method); 4] {
    let saltelli = |points| Saltelli { calls, points, resamples: 0, ..Saltelli::default() };
    let replicated = Saltelli { scrambles: 8, ..saltelli(DesignPoints::Scrambled) };
    [
        ("iscv", Method::Iscv(SobolIscv { calls, resamples, ..SobolIscv::default() })),
        (SOBOL, Method::Saltelli(saltelli(DesignPoints::Scrambled))),
        (REPLICATED, Method::Saltelli(replicated)),
        (INDEPENDENT, Method::Saltelli(saltelli(DesignPoints::Independent))),
    ]
}

enum Method {
    Iscv(SobolIscv),
    Saltelli(Saltelli),
}

impl Method {
    fn run(&self, model: &Benchmark, seed: Seed) -> Result<SobolEstimate> {
        let evaluate = |x: ArrayView2<f64>| Ok(by_point(x, 1, &|x: &[f64], y: &mut [f64]| y[0] = (model.model)(x)));
        let factors = Factors::of(&model.inputs)?;
        match self {
            Method::Iscv(method) => method.estimate(&factors, &evaluate, seed, &Silent),
            Method::Saltelli(method) => method.estimate(&factors, &evaluate, seed, &Silent),
        }
    }
}

/// Sum of squared errors of all indices that are known, and whether the interval asked for covers. A run that ends without
/// an estimate counts as one that says 0 of every index: leaving it out would favour the method that fails.
fn score(model: &Benchmark, found: Result<SobolEstimate>, asked: usize) -> Result<(f64, bool)> {
    let truth: Vec<f64> = model.first.iter().chain(&model.total).copied().collect();
    let found = match found {
        Ok(found) => found,
        Err(Error::Numeric { .. }) => return Ok((truth.iter().map(|t| t * t).sum(), false)),
        Err(error) => return Err(error),
    };
    let output = &found.outputs[0];
    let said: Vec<_> = output.first.iter().take(model.first.len()).chain(&output.total).collect();
    let squares = said.iter().zip(&truth).map(|(index, truth)| (index.value - truth).powi(2)).sum();
    Ok((squares, said[asked].low <= truth[asked] && truth[asked] <= said[asked].high))
}

/// What must hold whatever the seed.
fn identities(evidence: &mut Evidence, seed: Seed) -> Result<()> {
    let name = "exact variance of Monte Carlo, sum_j ((4j-1)!! / ((2j-1)!!)^2 - 1) / 20,000";
    evidence.identity(name, plain_variance() / 20_000.0, 49.75, 0.01);
    // phi_j = exp(theta_j x) under a standard normal: g_j* is normal with mean theta_j, and I_j = exp(theta_j^2 / 2).
    let theta = [-1.0, 0.3, 2.0];
    let ideal: Vec<NormalMixture> = theta.iter().map(|t| NormalMixture::normal(vec![*t], &Array2::eye(1))).collect();
    let mut rng = seed.rng(0);
    let a: Vec<f64> = theta.iter().map(|_| rng.exponential()).collect();
    let sum: f64 = a.iter().sum();
    let mut worst = 0.0_f64;
    for _ in 0..1000 {
        let mut x = [0.0];
        ideal[rng.weighted(&a)].draw(&mut rng, &mut x);
        let g = ln_densities(&ideal, ArrayView2::from(&[x])).mapv(f64::exp);
        let mixed: f64 = g.iter().zip(&a).map(|(g, a)| g * a / sum).sum();
        let f = (-0.5 * (x[0] * x[0] + LN_2PI)).exp();
        for (j, t) in theta.iter().enumerate() {
            let exact = (0.5 * t * t).exp();
            let estimate = exact + ((t * x[0]).exp() * f - exact * g[[0, j]]) / mixed;
            worst = worst.max((estimate / exact - 1.0).abs());
        }
    }
    let name = "with the ideal densities every single point gives every expectation: largest relative error";
    evidence.identity(name, worst, 0.0, 1e-10);
    Ok(())
}
