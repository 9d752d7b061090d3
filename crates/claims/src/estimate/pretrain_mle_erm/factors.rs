//! Factor models whose excess risk is known in closed form.

use super::{OLS, ORACLE, RIDGE, pretrained};
use crate::{Figure, Trial};
use ndarray::{Array1, Array2, ArrayView2, Axis, s};
use quadrat_core::{Result, Rng, Seed, Silent};
use quadrat_estimate::pretrain_mle_erm::{Contrastive, FactorModel, Kind, Latent, Pairs, Ppca};
use quadrat_numeric::learners::{Penalty, Ridge};
use quadrat_numeric::linalg::solve;

pub const D: usize = 100;
pub const R: usize = 5;
/// Labels of the headline, at every scale.
pub const LABELS: usize = 150;
const DRAWS: usize = 4;
/// Variance of the loadings, and standard deviation of y beyond the factors.
const LOADINGS: f64 = 0.36;
const NOISE: f64 = 0.5;
pub const CONTRASTIVE: &str = "contrastive";
pub const TWO_VIEWS: &str = "excess risk/two views, 150 labels";

pub struct Plan {
    pub pool_sizes: [usize; 2],
    pub label_sizes: Vec<usize>,
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
    /// beta = 1 / sqrt(r).
    fn new(rng: &mut Rng) -> Result<Truth> {
        let b = Array2::from_shape_simple_fn((D, R), || LOADINGS.sqrt() * rng.normal());
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

pub fn metric(n: usize) -> String {
    format!("excess risk/{n} labels")
}

pub fn over_theory(n: usize) -> String {
    format!("excess risk over theory - 1/{n} labels")
}

pub fn against(n: usize) -> String {
    format!("excess risk/y hangs on noise, {n} labels")
}

impl Plan {
    pub fn at(trial: &Trial) -> Plan {
        Plan {
            pool_sizes: trial.at([200, 500], [200, 10_000], [200, 10_000]),
            label_sizes: trial.at(vec![30, 150], vec![30, 150, 1000], vec![30, 75, 150, 400, 1000]),
            pairs: trial.at(300, 5000, 10_000),
            steps: trial.at(50, 2000, 2000),
        }
    }

    /// Excess risk over m and n, and the counter-check with the same representation: y = u . x + noise with u orthogonal
    /// to all loadings, so that the latent says nothing of it.
    pub fn excess(&self, seed: Seed) -> Result<Vec<Figure>> {
        let mut rng = seed.rng(0);
        let truth = Truth::new(&mut rng)?;
        let [_, largest] = self.pool_sizes;
        let (pool, _) = truth.rows(largest, &mut rng);
        let most = self.label_sizes.iter().copied().max().unwrap_or(0).max(DRAWS * LABELS);
        let (x, y) = truth.rows(most, &mut rng);
        let mut models = Vec::new();
        for m in self.pool_sizes {
            let rows = pool.slice(s![..m, ..]);
            let rank = Kind::Ppca.choose(rows, None, seed, &Silent)?.size;
            models.push((pretrained(m), rank, Ppca { rank }.model(rows)?));
        }
        let oracle = FactorModel { mean: vec![0.0; D], loadings: truth.b.clone(), noise: vec![1.0; D] };
        let tuned = Penalty::LeaveOneOut;
        let mut found: Vec<Figure> = Vec::new();
        for (arm, rank, _) in &models {
            found.push((arm.clone(), "factors by BIC".to_owned(), *rank as f64));
        }
        for &n in &self.label_sizes {
            // Draws of labels behind one representation, so that fewer of these do.
            let draws = if n == LABELS { DRAWS } else { 1 };
            let mut means: Vec<(&str, String, f64)> = Vec::new();
            for draw in 0..draws {
                let rows = (x.slice(s![draw * n..(draw + 1) * n, ..]), y.slice(s![draw * n..(draw + 1) * n, ..]));
                let mut add = |arm, metric: String, value: f64| match means
                    .iter_mut()
                    .find(|(known, of, _)| *known == arm && *of == metric)
                {
                    Some((.., mean)) => *mean += value / draws as f64,
                    None => means.push((arm, metric, value / draws as f64)),
                };
                let least = truth.head(&truth.best, Penalty::Fixed(0.0), &raw, rows)?;
                add(OLS, metric(n), least);
                add(RIDGE, metric(n), truth.head(&truth.best, tuned, &raw, rows)?);
                add(ORACLE, metric(n), truth.head(&truth.best, tuned, &|x| oracle.transform(x), rows)?);
                for (arm, _, model) in &models {
                    add(arm.as_str(), metric(n), truth.head(&truth.best, tuned, &|x| model.transform(x), rows)?);
                }
                if n == LABELS {
                    add(OLS, over_theory(n), least / (truth.left * theory(n, D)) - 1.0);
                    let (arm, _, model) = &models[1];
                    let ours = truth.head(&truth.best, Penalty::Fixed(0.0), &|x| model.transform(x), rows)?;
                    add(arm.as_str(), over_theory(n), ours / (truth.left * theory(n, R)) - 1.0);
                }
            }
            found.extend(means.into_iter().map(|(arm, metric, mean)| (arm.to_owned(), metric, mean)));
        }
        let random = Array1::from_shape_simple_fn(D, || rng.normal());
        let along = solve(truth.b.t().dot(&truth.b).view(), truth.b.t().dot(&random).insert_axis(Axis(1)).view())?;
        let mut u = &random - &truth.b.dot(&along.remove_axis(Axis(1)));
        u /= u.dot(&u).sqrt();
        let y = x.dot(&u).mapv(|v| v + NOISE * rng.normal()).insert_axis(Axis(1));
        let (arm, _, model) = &models[1];
        for &n in self.label_sizes.iter().filter(|n| [LABELS, 1000].contains(n)) {
            let rows = (x.slice(s![..n, ..]), y.slice(s![..n, ..]));
            found.push((RIDGE.to_owned(), against(n), truth.head(&u, tuned, &raw, rows)?));
            found.push((arm.clone(), against(n), truth.head(&u, tuned, &|x| model.transform(x), rows)?));
        }
        Ok(found)
    }

    /// Pairs of rows with the same factors and independent noise.
    pub fn contrastive(&self, seed: Seed, trial: &Trial) -> Result<Vec<Figure>> {
        let mut rng = seed.rng(0);
        let truth = Truth::new(&mut rng)?;
        let z = Array2::from_shape_simple_fn((self.pairs, R), || rng.normal());
        let clean = z.dot(&truth.b.t());
        let mut view = || &clean + &Array2::from_shape_simple_fn((self.pairs, D), || rng.normal());
        let pairs = Pairs { left: view(), right: view() };
        let method = Contrastive { steps: self.steps, ..Contrastive::new(R) };
        let encoder = method.fit_pairs(&pairs, seed, trial.progress)?;
        let (x, y) = truth.rows(LABELS, &mut rng);
        let (tuned, rows) = (Penalty::LeaveOneOut, (x.view(), y.view()));
        let arms = [
            (CONTRASTIVE, truth.head(&truth.best, tuned, &|x| encoder.encode(x), rows)?),
            (RIDGE, truth.head(&truth.best, tuned, &raw, rows)?),
        ];
        Ok(arms.map(|(arm, excess)| (arm.to_owned(), TWO_VIEWS.to_owned(), excess)).into())
    }
}
