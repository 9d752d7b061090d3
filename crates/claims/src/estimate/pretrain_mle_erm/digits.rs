//! Experiment D: handwritten digits.

use super::{Figure, LOGISTIC, curve, plot};
use crate::{Scale, Trial};
use ndarray::{Array2, Axis, s};
use quadrat_core::{Evidence, Plot, Relation, Result, Seed, Silent, stats};
use quadrat_data::builtin;
use quadrat_estimate::pretrain_mle_erm::{FactorAnalysis, GaussianMixture, Head, Latent, Ppca, Target};

const ARMS: [&str; 3] = ["PPCA", "FA", "mixture"];

/// A set of images, and what each representation makes of all its rows.
struct Images {
    name: &'static str,
    label_sizes: Vec<usize>,
    draws: u64,
    /// Rows to draw labels from; the others test.
    pool: usize,
    y: Vec<u32>,
    /// Raw columns, then the features of each representation.
    features: Vec<(&'static str, Array2<f64>)>,
    seed: Seed,
}

pub struct Plan {
    sets: Vec<Images>,
}

fn metric(set: &str, n: usize) -> String {
    format!("accuracy/{set}, n = {n}")
}

impl Plan {
    /// Loads the images and learns the representations from the pool.
    pub fn at(trial: &Trial) -> Result<Plan> {
        let seed = trial.seed.stream("pretraining").stream("images");
        let few = trial.at(vec![20], vec![20, 100], vec![20, 50, 100, 500]);
        let set = |name, pool, y| {
            let features = Vec::new();
            Images { name, label_sizes: few.clone(), draws: trial.at(1, 5, 20), pool, y, features, seed }
        };
        let (pixels, y, _) = builtin::labelled("digits")?;
        let mut order: Vec<usize> = (0..y.len()).collect();
        seed.stream("digits").rng(0).shuffle(&mut order);
        order.truncate(trial.at(400, y.len(), y.len()));
        let x = pixels.select(Axis(0), &order) / 16.0;
        let y = order.iter().map(|row| y[*row]).collect();
        let mut sets = vec![set("digits", order.len() * 7 / 10, y).learn(x, 16, 20, trial)?];
        if trial.scale != Scale::Smoke {
            let (pixels, y, _) = builtin::labelled("mnist")?;
            // Averaged over 2 x 2 pixels: a fourth of the columns makes the tuned baseline affordable.
            let x = Array2::from_shape_fn((pixels.nrows(), 196), |(i, at)| {
                let corner = 56 * (at / 14) + 2 * (at % 14);
                [0, 1, 28, 29].map(|by| pixels[[i, corner + by]]).iter().sum::<f64>() / (4.0 * 255.0)
            });
            sets.push(set("MNIST", 10_000, y).learn(x, 32, 50, trial)?);
        }
        Ok(Plan { sets })
    }

    pub fn repeats(&self) -> u64 {
        self.sets.iter().map(|set| set.draws).max().unwrap_or(0)
    }

    pub fn expect(&self, evidence: &mut Evidence) {
        for set in &self.sets {
            for &n in set.label_sizes.iter().filter(|n| **n <= 100) {
                for arm in ARMS {
                    let says = format!("D, {}, {n} labels: {arm} is right more often than raw pixels", set.name);
                    evidence.report(&says, &metric(set.name, n), arm, Some(LOGISTIC), Relation::Above(0.0));
                }
            }
        }
    }

    /// One draw of labels for every set and number of labels.
    pub fn accuracies(&self, draw: u64) -> Result<Vec<Figure>> {
        let mut figures = Vec::new();
        for set in self.sets.iter().filter(|set| draw < set.draws) {
            let rows = set.seed.stream("labels").stream(set.name).rng(draw).sample(set.pool, set.pool);
            let tests: Vec<usize> = (set.pool..set.y.len()).collect();
            let target =
                |rows: &[usize]| Target::Classes { codes: rows.iter().map(|i| set.y[*i]).collect(), count: 10 };
            for &n in &set.label_sizes {
                let rows = &rows[..n];
                for (arm, z) in &set.features {
                    let head = Head::Logistic(None).fit(z.select(Axis(0), rows).view(), &target(rows))?;
                    let wrong = head.predict(z.slice(s![set.pool.., ..]))?.loss(&target(&tests))?;
                    figures.push(((*arm).to_owned(), metric(set.name, n), 1.0 - wrong));
                }
            }
        }
        Ok(figures)
    }

    /// The number of labels at which raw pixels catch up, read off the mean accuracies: the first at which they are not
    /// behind, 0 where they never are, and one beyond the largest where they always are.
    pub fn crossings(&self, evidence: &mut Evidence) {
        for set in &self.sets {
            for arm in ARMS {
                let mean = |arm: &str, n: usize| {
                    let values = evidence.values(arm, &metric(set.name, n));
                    stats::mean(&values.into_iter().map(|(_, v)| v).collect::<Vec<_>>())
                };
                let ahead = set.label_sizes.iter().rposition(|n| mean(arm, *n) > mean(LOGISTIC, *n));
                let at = match ahead {
                    None => 0,
                    Some(last) => set.label_sizes.get(last + 1).copied().unwrap_or_else(|| set.label_sizes[last] + 1),
                };
                let metric = format!("labels at which raw pixels have caught up/{}", set.name);
                evidence.measure(arm, &metric, 0, at as f64);
            }
        }
    }

    pub fn plots(&self, evidence: &Evidence) -> Vec<Plot> {
        let of = |set: &Images| {
            let ns: Vec<f64> = set.label_sizes.iter().map(|n| *n as f64).collect();
            let arms = std::iter::once(LOGISTIC).chain(ARMS);
            let series = arms.map(|arm| curve(evidence, arm, &ns, |n| metric(set.name, n as usize))).collect();
            plot(&format!("D: {}", set.name), "labels n", "accuracy", (true, false), series)
        };
        self.sets.iter().map(of).collect()
    }
}

impl Images {
    /// Fits all representations to the pool: factors of the given rank, and clusters of images by their factors.
    fn learn(mut self, x: Array2<f64>, rank: usize, k: usize, trial: &Trial) -> Result<Images> {
        let unlabelled = x.slice(s![..self.pool, ..]);
        let factors = Ppca { rank }.model(unlabelled)?.transform(x.view())?;
        let analysis = FactorAnalysis { tolerance: 1e-6, ..FactorAnalysis::new(rank) };
        let analysis = analysis.fit(unlabelled, &Silent)?.model.transform(x.view())?;
        let mixture = GaussianMixture { starts: trial.at(1, 3, 10), tolerance: 1e-5, ..GaussianMixture::new(k) };
        let mixture = mixture.fit(factors.slice(s![..self.pool, ..]), self.seed, trial.progress)?.mixture;
        let shares = mixture.transform(factors.view())?;
        self.features = vec![(LOGISTIC, x), ("PPCA", factors), ("FA", analysis), ("mixture", shares)];
        Ok(self)
    }
}
