//! Experiments A and C, and the counter-check: factor models whose excess risk is known in closed form.

use super::{Figure, LEAST_SQUARES, OLS, ORACLE, RIDGE, curve, log_slope, plot, pretrained};
use crate::Trial;
use ndarray::{Array1, Array2, ArrayView2, Axis, s};
use quadrat_core::{Evidence, Plot, Relation, Result, Rng, Seed};
use quadrat_estimate::pretrain_mle_erm::{Contrastive, FactorModel, Latent, Pairs, Ppca};
use quadrat_numeric::learners::{Penalty, Ridge};
use quadrat_numeric::linalg::solve;

const D: usize = 100;
const R: usize = 5;
/// Standard deviation of y beyond the factors.
const NOISE: f64 = 0.5;
/// Numbers of labels at which the slope is measured, and draws of labels behind each figure.
const SLOPE_N: [usize; 4] = [100, 200, 400, 800];
const DRAWS: u64 = 10;
const CONTRASTIVE: &str = "contrastive";
const PPCA: &str = "PPCA";

pub struct Plan {
    pub repeats: u64,
    pub contrastive_repeats: u64,
    pool_sizes: Vec<usize>,
    label_sizes: Vec<usize>,
    slope_m: Vec<usize>,
    contrastive_n: Vec<usize>,
    pairs: usize,
    steps: usize,
}

/// The truth: x = B z + e, y = target . x + what x does not say.
struct Truth {
    b: Array2<f64>,
    /// Covariance of x.
    sigma: Array2<f64>,
    /// w* = Sigma^-1 B beta.
    best: Array1<f64>,
    /// Var(y | x).
    left: f64,
}

impl Truth {
    /// Loadings of the given variance; beta = 1 / sqrt(r).
    fn new(variance: f64, rng: &mut Rng) -> Result<Truth> {
        let b = Array2::from_shape_simple_fn((D, R), || variance.sqrt() * rng.normal());
        let sigma = b.dot(&b.t()) + Array2::<f64>::eye(D);
        let beta = Array1::from_elem(R, 1.0 / (R as f64).sqrt());
        let pull = b.dot(&beta);
        let best = solve(sigma.view(), pull.view().insert_axis(Axis(1)))?.remove_axis(Axis(1));
        let left = 1.0 - pull.dot(&best) + NOISE * NOISE;
        Ok(Truth { b, sigma, best, left })
    }

    fn rows(&self, n: usize, rng: &mut Rng) -> (Array2<f64>, Array2<f64>) {
        let z = Array2::from_shape_simple_fn((n, R), || rng.normal());
        let x = z.dot(&self.b.t()) + Array2::from_shape_simple_fn((n, D), || rng.normal());
        let y = z.map_axis(Axis(1), |z| z.sum() / (R as f64).sqrt() + NOISE * rng.normal());
        (x, y.insert_axis(Axis(1)))
    }

    /// Excess risk of the predictor w . x + c against `best`.
    fn excess(&self, best: &Array1<f64>, w: &Array1<f64>, c: f64) -> f64 {
        let miss = w - best;
        miss.dot(&self.sigma.dot(&miss)) + c * c
    }

    /// Excess risk of a head fitted to features of n rows; the features are affine in x.
    fn head(
        &self,
        best: &Array1<f64>,
        penalty: Penalty,
        features: &dyn Fn(ArrayView2<f64>) -> Result<Array2<f64>>,
        rows: (ArrayView2<f64>, ArrayView2<f64>),
    ) -> Result<f64> {
        let head = Ridge { penalty }.fit(features(rows.0)?.view(), rows.1)?;
        // What the whole predictor says of 0 and of each unit vector are its intercept and its coefficients.
        let mut probes = Array2::zeros((D + 1, D));
        probes.slice_mut(s![1.., ..]).diag_mut().fill(1.0);
        let said = head.predict(features(probes.view())?.view())?.remove_axis(Axis(1));
        Ok(self.excess(best, &(&said.slice(s![1..]) - said[0]), said[0]))
    }
}

fn raw(x: ArrayView2<f64>) -> Result<Array2<f64>> {
    Ok(x.to_owned())
}

/// Mean excess risk of least squares on d normal columns with an intercept, over the residual variance.
fn theory(n: usize, d: usize) -> f64 {
    let (n, d) = (n as f64, d as f64);
    (n + 1.0) * (n - 2.0) / (n * (n - d - 2.0)) - 1.0
}

fn metric(n: usize) -> String {
    format!("excess risk/n = {n}")
}

fn ln_metric(n: usize) -> String {
    format!("ln of excess risk/n = {n}")
}

fn share_metric(n: usize) -> String {
    format!("excess risk over theory - 1/n = {n}")
}

fn against_metric(n: usize) -> String {
    format!("ln of excess risk/y hangs on noise, n = {n}")
}

fn contrastive_metric(n: usize) -> String {
    format!("ln of excess risk/two views, n = {n}")
}

const SLOPE_IN_N: &str = "slope of ln excess risk over ln n, + 1";
const SLOPE_IN_M: &str = "slope of ln excess risk over ln m, + 1";

impl Plan {
    pub fn at(trial: &Trial) -> Plan {
        let (few, all) = (vec![30, 150], vec![30, 75, 150, 400, 1000]);
        Plan {
            repeats: trial.at(2, 40, 100),
            contrastive_repeats: trial.at(1, 6, 30),
            pool_sizes: trial.at(vec![200, 500], vec![200, 1000, 10_000], vec![200, 1000, 10_000]),
            label_sizes: trial.at(few, all.clone(), all),
            slope_m: trial.at(vec![500, 1000], vec![1000, 2000, 4000, 8000], vec![1000, 2000, 4000, 8000, 16_000]),
            contrastive_n: trial.at(vec![30], vec![30, 150], vec![30, 150]),
            pairs: trial.at(300, 5000, 10_000),
            steps: trial.at(50, 2000, 2000),
        }
    }

    fn largest(&self) -> usize {
        self.pool_sizes.last().copied().unwrap_or(0)
    }

    pub fn expect(&self, evidence: &mut Evidence) {
        let ours = pretrained(self.largest());
        let ratio = |factor: f64| Relation::Below(-factor.ln());
        for (arm, against, n, factor) in [
            (&ours, OLS, 150, 20.0),
            (&ours, RIDGE, 150, 2.0),
            (&ours, RIDGE, 30, 1.0),
            (&pretrained(200), RIDGE, 150, 1.0),
        ] {
            let says = format!("A, n = {n}: {arm} has less than 1/{factor} of the excess risk of {against}");
            evidence.expect(&says, &ln_metric(n), arm, Some(against), ratio(factor));
        }
        for (n, within) in [(150, 0.15), (1000, 0.1)] {
            let says = format!("A, n = {n}: OLS costs what theory says for d = {D} parameters, to {within}");
            evidence.expect(&says, &share_metric(n), OLS, None, Relation::Within(within));
        }
        let says = "A, n = 200: pretrained OLS costs what theory says for r = 5 parameters, to a fifth";
        evidence.expect(says, &share_metric(200), &ours, None, Relation::Within(0.2));
        evidence.expect("A: excess risk falls as 1 / n at large m", SLOPE_IN_N, &ours, None, Relation::Within(0.1));
        let says = "A: excess risk falls as 1 / m when labels are without number (weak factors)";
        evidence.expect(says, SLOPE_IN_M, "pretrained, n = infinity", None, Relation::Within(0.1));
        for n in [150, 1000] {
            let says = format!("counter-check, n = {n}: where y hangs on noise, pretraining loses to ridge");
            evidence.expect(&says, &against_metric(n), &ours, Some(RIDGE), Relation::Above(0.0));
        }
        for &n in &self.contrastive_n {
            let says = format!("C, n = {n}: the contrastive encoder beats ridge on the columns");
            evidence.expect(&says, &contrastive_metric(n), CONTRASTIVE, Some(RIDGE), Relation::Below(0.0));
        }
    }

    fn truth(&self, variance: f64, experiment: &str, repeat: u64, trial: &Trial) -> Result<(Truth, Rng)> {
        let mut rng = trial.seed.stream("pretraining").stream(experiment).rng(repeat);
        Ok((Truth::new(variance, &mut rng)?, rng))
    }

    /// Experiment A: excess risk over m and n.
    pub fn excess(&self, repeat: u64, trial: &Trial) -> Result<Vec<Figure>> {
        let (truth, mut rng) = self.truth(0.36, "excess", repeat, trial)?;
        let (pool, _) = truth.rows(self.largest(), &mut rng);
        let (x, y) = truth.rows(self.label_sizes.iter().copied().max().unwrap_or(0), &mut rng);
        let models = self
            .pool_sizes
            .iter()
            .map(|m| Ok((pretrained(*m), Ppca { rank: R }.model(pool.slice(s![..*m, ..]))?)))
            .collect::<Result<Vec<(String, FactorModel)>>>()?;
        let oracle = FactorModel { mean: vec![0.0; D], loadings: truth.b.clone(), noise: vec![1.0; D] };
        let mut figures = Vec::new();
        for &n in &self.label_sizes {
            let rows = (x.slice(s![..n, ..]), y.slice(s![..n, ..]));
            let mut add = |arm: &str, excess: f64| {
                figures.push((arm.to_owned(), metric(n), excess));
                figures.push((arm.to_owned(), ln_metric(n), excess.ln()));
            };
            let alone = truth.head(&truth.best, LEAST_SQUARES, &raw, rows)?;
            add(OLS, alone);
            add(RIDGE, truth.head(&truth.best, Penalty::LeaveOneOut, &raw, rows)?);
            for (arm, model) in &models {
                add(arm, truth.head(&truth.best, LEAST_SQUARES, &|x| model.transform(x), rows)?);
            }
            add(ORACLE, truth.head(&truth.best, LEAST_SQUARES, &|x| oracle.transform(x), rows)?);
            if n > D + 2 {
                figures.push((OLS.to_owned(), share_metric(n), alone / (truth.left * theory(n, D)) - 1.0));
            }
        }
        Ok(figures)
    }

    /// At fixed large m, the mean over draws of labels, so that few repetitions give the slope.
    pub fn slope_in_n(&self, repeat: u64, trial: &Trial) -> Result<Vec<Figure>> {
        let (truth, mut rng) = self.truth(0.36, "slope in n", repeat, trial)?;
        let model = Ppca { rank: R }.model(truth.rows(self.largest(), &mut rng).0.view())?;
        let mut means = [0.0; 4];
        for _ in 0..DRAWS {
            let (x, y) = truth.rows(SLOPE_N[3], &mut rng);
            for (mean, n) in means.iter_mut().zip(SLOPE_N) {
                let rows = (x.slice(s![..n, ..]), y.slice(s![..n, ..]));
                *mean += truth.head(&truth.best, LEAST_SQUARES, &|x| model.transform(x), rows)? / DRAWS as f64;
            }
        }
        let arm = pretrained(self.largest());
        let share = means[1] / (truth.left * theory(SLOPE_N[1], R)) - 1.0;
        Ok(vec![
            (arm.clone(), SLOPE_IN_N.to_owned(), log_slope(&SLOPE_N.map(|n| n as f64), &means) + 1.0),
            (arm, share_metric(SLOPE_N[1]), share),
        ])
    }

    /// At n = infinity: the best head on the features is known, and what remains is due to m.
    pub fn slope_in_m(&self, repeat: u64, trial: &Trial) -> Result<Vec<Figure>> {
        let (truth, mut rng) = self.truth(0.02, "slope in m", repeat, trial)?;
        let (pool, _) = truth.rows(self.slope_m.last().copied().unwrap_or(0), &mut rng);
        let mut excesses = Vec::new();
        for &m in &self.slope_m {
            let map = Ppca { rank: R }.model(pool.slice(s![..m, ..]))?.loadings;
            let spread = map.t().dot(&truth.sigma.dot(&map));
            let pull = map.t().dot(&truth.sigma.dot(&truth.best)).insert_axis(Axis(1));
            let w = map.dot(&solve(spread.view(), pull.view())?.remove_axis(Axis(1)));
            excesses.push(truth.excess(&truth.best, &w, 0.0));
        }
        let sizes: Vec<f64> = self.slope_m.iter().map(|m| *m as f64).collect();
        let arm = "pretrained, n = infinity";
        let mut figures = vec![(arm.to_owned(), SLOPE_IN_M.to_owned(), log_slope(&sizes, &excesses) + 1.0)];
        for (m, excess) in self.slope_m.iter().zip(excesses) {
            figures.push((arm.to_owned(), format!("excess risk/m = {m}"), excess));
        }
        Ok(figures)
    }

    /// y = u . x + noise with u orthogonal to all loadings: the latent says nothing of it.
    pub fn uninformative(&self, repeat: u64, trial: &Trial) -> Result<Vec<Figure>> {
        let (truth, mut rng) = self.truth(0.36, "counter-check", repeat, trial)?;
        let model = Ppca { rank: R }.model(truth.rows(self.largest(), &mut rng).0.view())?;
        let random = Array1::from_shape_simple_fn(D, || rng.normal());
        let along = solve(truth.b.t().dot(&truth.b).view(), truth.b.t().dot(&random).insert_axis(Axis(1)).view())?;
        let mut u = &random - &truth.b.dot(&along.remove_axis(Axis(1)));
        u /= u.dot(&u).sqrt();
        let (x, _) = truth.rows(1000, &mut rng);
        let y = x.dot(&u).mapv(|v| v + NOISE * rng.normal()).insert_axis(Axis(1));
        let mut figures = Vec::new();
        for n in [150, 1000] {
            let rows = (x.slice(s![..n, ..]), y.slice(s![..n, ..]));
            let alone = truth.head(&u, Penalty::LeaveOneOut, &raw, rows)?;
            let ours = truth.head(&u, LEAST_SQUARES, &|x| model.transform(x), rows)?;
            figures.push((RIDGE.to_owned(), against_metric(n), alone.ln()));
            figures.push((pretrained(self.largest()), against_metric(n), ours.ln()));
        }
        Ok(figures)
    }

    /// Experiment C: pairs of rows with the same factors and independent noise.
    pub fn contrastive(&self, repeat: u64, trial: &Trial) -> Result<Vec<Figure>> {
        let (truth, mut rng) = self.truth(0.36, "contrastive", repeat, trial)?;
        let z = Array2::from_shape_simple_fn((self.pairs, R), || rng.normal());
        let clean = z.dot(&truth.b.t());
        let mut view = || &clean + &Array2::from_shape_simple_fn((self.pairs, D), || rng.normal());
        let pairs = Pairs { left: view(), right: view() };
        let method = Contrastive { steps: self.steps, ..Contrastive::new(R) };
        let encoder = method.fit_pairs(&pairs, Seed(rng.next_u64()), trial.progress)?;
        let model = Ppca { rank: R }.model(pairs.left.view())?;
        let (x, y) = truth.rows(self.contrastive_n.iter().copied().max().unwrap_or(0), &mut rng);
        let mut figures = Vec::new();
        for &n in &self.contrastive_n {
            let rows = (x.slice(s![..n, ..]), y.slice(s![..n, ..]));
            let tuned = Penalty::LeaveOneOut;
            for (arm, excess) in [
                (CONTRASTIVE, truth.head(&truth.best, tuned, &|x| encoder.encode(x), rows)?),
                (PPCA, truth.head(&truth.best, tuned, &|x| model.transform(x), rows)?),
                (RIDGE, truth.head(&truth.best, tuned, &raw, rows)?),
            ] {
                figures.push((arm.to_owned(), contrastive_metric(n), excess.ln()));
            }
        }
        Ok(figures)
    }

    pub fn plots(&self, evidence: &Evidence) -> Vec<Plot> {
        let ns: Vec<f64> = self.label_sizes.iter().map(|n| *n as f64).collect();
        let ms: Vec<f64> = self.slope_m.iter().map(|m| *m as f64).collect();
        let arms = [OLS.to_owned(), RIDGE.to_owned(), ORACLE.to_owned()];
        let arms = arms.into_iter().chain(self.pool_sizes.iter().map(|m| pretrained(*m)));
        let over_n = arms.map(|arm| curve(evidence, &arm, &ns, |n| metric(n as usize))).collect();
        let over_m = curve(evidence, "pretrained, n = infinity", &ms, |m| format!("excess risk/m = {m}"));
        vec![
            plot("A: excess risk over labels", "labels n", "excess risk", (true, true), over_n),
            plot("A: excess risk over unlabelled rows", "rows m", "excess risk", (true, true), vec![over_m]),
        ]
    }
}
