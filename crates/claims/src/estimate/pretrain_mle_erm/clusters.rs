//! Experiment B: clusters behind the classes.

use super::{Figure, LOGISTIC, curve, plot};
use crate::Trial;
use ndarray::{Array2, s};
use quadrat_core::{Evidence, Plot, Relation, Result, Rng, Seed};
use quadrat_estimate::pretrain_mle_erm::{Covariance, GaussianMixture, Head, Latent, Target};
use quadrat_numeric::learners::{KNearest, Learner};

const K: usize = 5;
const D: usize = 50;
/// Share of labels that are turned over.
const WRONG: f64 = 0.1;
const OURS: &str = "mixture";
const NEAREST: &str = "nearest neighbours";

pub struct Plan {
    pub repeats: u64,
    separations: Vec<f64>,
    label_sizes: Vec<usize>,
    pool: usize,
    tests: usize,
}

/// K centres at equal distance from each other, and a class for each of them.
struct Truth {
    centres: Array2<f64>,
    classes: [u32; K],
}

impl Truth {
    fn new(separation: f64, rng: &mut Rng) -> Truth {
        let mut axes = rng.sample(D, K).into_iter();
        let mut centres = Array2::zeros((K, D));
        for mut centre in centres.outer_iter_mut() {
            if let Some(axis) = axes.next() {
                centre[axis] = separation / 2.0_f64.sqrt();
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

fn metric(separation: f64, n: usize) -> String {
    format!("excess error/separation {separation}, n = {n}")
}

impl Plan {
    pub fn at(trial: &Trial) -> Plan {
        Plan {
            repeats: trial.at(2, 10, 50),
            separations: trial.at(vec![4.0], vec![4.0, 6.0], vec![2.0, 3.0, 4.0, 5.0, 6.0]),
            label_sizes: trial.at(vec![20], vec![20, 100], vec![20, 100]),
            pool: trial.at(300, 1000, 2000),
            tests: trial.at(300, 5000, 5000),
        }
    }

    pub fn expect(&self, evidence: &mut Evidence) {
        for &separation in &self.separations {
            for rival in [NEAREST, LOGISTIC] {
                let says = format!("B, separation {separation}, 20 labels: the mixture errs less than {rival}");
                let (metric, below) = (metric(separation, 20), Relation::Below(0.0));
                // Where clusters overlap in most directions, EM may not find them: no promise below 4.
                let _ = match separation >= 4.0 {
                    true => evidence.expect(&says, &metric, OURS, Some(rival), below),
                    false => evidence.report(&says, &metric, OURS, Some(rival), below),
                };
            }
        }
    }

    pub fn excess(&self, repeat: u64, trial: &Trial) -> Result<Vec<Figure>> {
        let mut figures = Vec::new();
        for &separation in &self.separations {
            let stream = trial.seed.stream("pretraining").stream("clusters").stream(&separation.to_string());
            let mut rng = stream.rng(repeat);
            let truth = Truth::new(separation, &mut rng);
            let (pool, _) = truth.rows(self.pool, &mut rng);
            let (test, classes) = truth.rows(self.tests, &mut rng);
            let most = self.label_sizes.iter().copied().max().unwrap_or(0);
            let (x, y) = loop {
                let (x, y) = truth.rows(most, &mut rng);
                // Twenty labels of one class happen once in some hundred thousand draws.
                if y[..20].contains(&0) && y[..20].contains(&1) {
                    break (x, y);
                }
            };
            let wrong = |codes: &[u32]| {
                codes.iter().zip(&classes).filter(|(a, b)| a != b).count() as f64 / classes.len() as f64
            };
            let bayes = wrong(&truth.best(&test));
            // The paper's instance: unit covariances, equal weights.
            let method =
                GaussianMixture { covariance: Covariance::Identity, equal_weights: true, ..GaussianMixture::new(K) };
            let mixture = method.fit(pool.view(), Seed(rng.next_u64()), trial.progress)?.mixture;
            let (z, z_test) = (mixture.transform(x.view())?, mixture.transform(test.view())?);
            for &n in &self.label_sizes {
                let target = Target::Classes { codes: y[..n].to_vec(), count: 2 };
                let error = |head: Head, x: &Array2<f64>, test: &Array2<f64>| -> Result<f64> {
                    match head.fit(x.slice(s![..n, ..]), &target)?.predict(test.view())? {
                        Target::Classes { codes, .. } => Ok(wrong(&codes)),
                        Target::Numbers(_) => Ok(f64::NAN),
                    }
                };
                let mut nearest = f64::INFINITY;
                for k in [1, 3, 5, 9, 15] {
                    let model = KNearest { k }.fit(x.slice(s![..n, ..]), &y[..n], 2, None, Seed(0))?;
                    nearest = nearest.min(wrong(&model.predict(test.view())));
                }
                for (arm, error) in [
                    (OURS, error(Head::ClusterTable, &z, &z_test)?),
                    (LOGISTIC, error(Head::Logistic(None), &x, &test)?),
                    (NEAREST, nearest),
                ] {
                    figures.push((arm.to_owned(), metric(separation, n), error - bayes));
                }
            }
        }
        Ok(figures)
    }

    pub fn plots(&self, evidence: &Evidence) -> Vec<Plot> {
        let series = |n: usize| {
            let arm = |arm| curve(evidence, arm, &self.separations, |separation| metric(separation, n));
            [OURS, LOGISTIC, NEAREST].map(arm).to_vec()
        };
        vec![plot("B: excess error with 20 labels", "separation", "excess error", (false, false), series(20))]
    }
}
