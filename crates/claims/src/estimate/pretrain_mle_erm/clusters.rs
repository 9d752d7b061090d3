//! Clusters behind the classes.

use super::LOGISTIC;
use crate::{Figure, Trial};
use ndarray::Array2;
use quadrat_core::{Result, Rng, Seed};
use quadrat_estimate::pretrain_mle_erm::{Covariance, GaussianMixture, Head, Latent, Target};
use quadrat_numeric::learners::{KNearest, Learner};

const K: usize = 5;
const D: usize = 50;
/// Share of labels that are turned over.
const WRONG: f64 = 0.1;
/// Distance between centres, in deviations. Below 4, where clusters overlap in most directions, EM may not find them.
const SEPARATION: f64 = 4.0;
const LABELS: usize = 20;
pub const METRIC: &str = "excess error/clusters, 20 labels";
pub const OURS: &str = "mixture";
pub const NEAREST: &str = "nearest neighbours";

pub struct Plan {
    pool: usize,
    tests: usize,
}

/// K centres at equal distance from each other, and a class for each of them.
struct Truth {
    centres: Array2<f64>,
    classes: [u32; K],
}

impl Truth {
    fn new(rng: &mut Rng) -> Truth {
        let mut axes = rng.sample(D, K).into_iter();
        let mut centres = Array2::zeros((K, D));
        for mut centre in centres.outer_iter_mut() {
            if let Some(axis) = axes.next() {
                centre[axis] = SEPARATION / 2.0_f64.sqrt();
            }
        }
        let mut classes = [0, 0, 1, 1, u32::from(rng.uniform() < 0.5)];
        rng.shuffle(&mut classes);
        Truth { centres, classes }
    }

    fn rows(&self, n: usize, rng: &mut Rng) -> (Array2<f64>, Vec<u32>) {
        let of: Vec<usize> = (0..n).map(|_| rng.below(K)).collect();
        let x = Array2::from_shape_fn((n, D), |(i, j)| self.centres[[of[i], j]] + rng.normal());
        let y = of.iter().map(|k| self.classes[*k] ^ u32::from(rng.uniform() < WRONG)).collect();
        (x, y)
    }

    /// The class that Bayes' rule gives each row: that of more posterior mass (turning labels over does not change it).
    fn best(&self, x: &Array2<f64>) -> Vec<u32> {
        let class = |row: ndarray::ArrayView1<f64>| {
            let logs: Vec<f64> = self.centres.outer_iter().map(|c| -0.5 * (&row - &c).mapv(|v| v * v).sum()).collect();
            let top = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let mut mass = [0.0; 2];
            logs.iter().zip(self.classes).for_each(|(log, class)| mass[class as usize] += (log - top).exp());
            u32::from(mass[1] > mass[0])
        };
        x.outer_iter().map(class).collect()
    }
}

impl Plan {
    pub fn at(trial: &Trial) -> Plan {
        Plan { pool: trial.at(300, 1000, 2000), tests: trial.at(300, 5000, 5000) }
    }

    /// Errors over Bayes' rule with twenty labels.
    pub fn excess(&self, seed: Seed, trial: &Trial) -> Result<Vec<Figure>> {
        let mut rng = seed.rng(0);
        let truth = Truth::new(&mut rng);
        let (pool, _) = truth.rows(self.pool, &mut rng);
        let (test, classes) = truth.rows(self.tests, &mut rng);
        let (x, y) = loop {
            let (x, y) = truth.rows(LABELS, &mut rng);
            // Twenty labels of one class happen once in some hundred thousand draws.
            if y.contains(&0) && y.contains(&1) {
                break (x, y);
            }
        };
        let wrong =
            |codes: &[u32]| codes.iter().zip(&classes).filter(|(a, b)| a != b).count() as f64 / classes.len() as f64;
        let bayes = wrong(&truth.best(&test));
        // The paper's instance: unit covariances, equal weights.
        let method =
            GaussianMixture { covariance: Covariance::Identity, equal_weights: true, ..GaussianMixture::new(K) };
        let mixture = method.fit(pool.view(), seed, trial.progress)?.mixture;
        let (z, z_test) = (mixture.transform(x.view())?, mixture.transform(test.view())?);
        let target = Target::Classes { codes: y.clone(), count: 2 };
        let error = |head: Head, x: &Array2<f64>, test: &Array2<f64>| -> Result<f64> {
            match head.fit(x.view(), &target)?.predict(test.view())? {
                Target::Classes { codes, .. } => Ok(wrong(&codes)),
                Target::Numbers(_) => Ok(f64::NAN),
            }
        };
        let mut nearest = f64::INFINITY;
        for k in [1, 3, 5, 9, 15] {
            let model = KNearest { k }.fit(x.view(), &y, 2, None, seed)?;
            nearest = nearest.min(wrong(&model.predict(test.view())));
        }
        let arms = [
            (OURS, error(Head::ClusterTable, &z, &z_test)?),
            (LOGISTIC, error(Head::Logistic(None), &x, &test)?),
            (NEAREST, nearest),
        ];
        Ok(arms.map(|(arm, error)| (arm.to_owned(), METRIC.to_owned(), error - bayes)).into())
    }
}
