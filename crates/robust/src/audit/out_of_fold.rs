//! Probabilities of models that did not see the row.

use super::Records;
use super::suspects::likeliest;
use ndarray::{Array2, ArrayView2, Axis};
use quadrat_core::{Progress, Result, Seed, checkpoint};
use quadrat_numeric::learners::{Forest, Learner, Mlp, Softmax};
use quadrat_numeric::metrics::{Split, log_loss, stratified_folds};
use rayon::prelude::*;

/// Folds of the cross-validation.
const FOLDS: usize = 5;

/// Rows that a model learns from at most: more would say little more and take its time.
pub(crate) const MOST_TAUGHT: usize = 20_000;

/// Rows that a forest learns from at most.
const MOST_GROWN: usize = 4_000;

/// What the learner with the least log loss says of each row.
pub(super) struct OutOfFold {
    pub learner: &'static str,
    /// One row a row, one column a class.
    pub p: Array2<f64>,
}

impl OutOfFold {
    /// Whether the likeliest class is the label, row by row.
    pub fn right(&self, labels: &[u32]) -> Vec<bool> {
        self.p.outer_iter().zip(labels).map(|(p, label)| likeliest(p) == *label).collect()
    }

    /// The share of rows in which it is.
    pub fn accuracy(&self, labels: &[u32]) -> f64 {
        self.right(labels).iter().filter(|right| **right).count() as f64 / labels.len() as f64
    }
}

/// Cross-validates a softmax regression, a small network and a forest on some rows and columns, and returns the
/// probabilities with the least log loss: those of one of them, or their mean.
pub(super) fn predict(
    records: &Records,
    fields: &[usize],
    rows: &[usize],
    seed: Seed,
    progress: &dyn Progress,
) -> Result<OutOfFold> {
    let x = records.encoded(fields, rows);
    let y: Vec<u32> = rows.iter().map(|row| records.y[*row]).collect();
    let classes = records.classes.len();
    let folds = stratified_folds(&y, FOLDS.min(rows.len()), seed)?;
    let taught = folds.iter().map(|fold| fold.train.len()).max().unwrap_or(1).min(MOST_TAUGHT);
    let candidates = candidates(taught);
    progress.begin("models that did not see the row", Some((candidates.len() * folds.len()) as u64));
    let tasks: Vec<(usize, usize)> =
        (0..folds.len()).flat_map(|fold| (0..candidates.len()).map(move |learner| (learner, fold))).collect();
    let rows_of = Taught { x: x.view(), y: &y, classes };
    let work = |(learner, fold): &(usize, usize)| {
        checkpoint(progress)?;
        let (learner, most) = &candidates[*learner];
        let seed = Seed(seed.stream("fold").rng(*fold as u64).next_u64());
        let p = rows_of.predict(learner.as_ref(), *most, &folds[*fold], seed)?;
        progress.advance(1);
        Ok(p)
    };
    let parts: Vec<Array2<f64>> = tasks.par_iter().map(work).collect::<Result<_>>()?;
    let each: Vec<OutOfFold> = (0..candidates.len())
        .map(|at| {
            let mut p = Array2::zeros((rows.len(), classes));
            for ((_, fold), part) in tasks.iter().zip(&parts).filter(|((learner, _), _)| *learner == at) {
                for (row, part) in folds[*fold].test.iter().zip(part.outer_iter()) {
                    p.row_mut(*row).assign(&part);
                }
            }
            OutOfFold { learner: candidates[at].0.name(), p }
        })
        .collect();
    // What one of them gets wrong by chance the others seldom do.
    let mean = each.iter().fold(Array2::zeros((rows.len(), classes)), |sum, one| sum + &one.p) / each.len() as f64;
    let mut best = OutOfFold { learner: "mean of three models", p: mean };
    let mut least = log_loss(&y, floored(&best.p).view())?;
    for one in each {
        let loss = log_loss(&y, floored(&one.p).view())?;
        if loss < least {
            (least, best) = (loss, one);
        }
    }
    Ok(best)
}

/// Probabilities that are never 0: a class that a fold did not teach is no reason to refuse all else that it taught.
fn floored(p: &Array2<f64>) -> Array2<f64> {
    p.mapv(|p| p.max(1e-3))
}

/// The learners, each with the rows that it learns from at most.
fn candidates(taught: usize) -> Vec<(Box<dyn Learner>, usize)> {
    const BATCH: usize = 64;
    // Enough steps for few rows and not too many for many.
    let epochs = (STEPS * BATCH / taught).clamp(6, 40);
    let network = Mlp { hidden: 64, epochs, batch: BATCH, learning_rate: 3e-3, anneal: true, l2: 1e-3 };
    let forest = Forest { trees: 50, min_leaf: 5.0, ..Forest::default() };
    let softmax = Softmax { iterations: 60, tolerance: 1e-4, ..Softmax::default() };
    vec![(Box::new(softmax), MOST_TAUGHT), (Box::new(network), MOST_TAUGHT), (Box::new(forest), MOST_GROWN)]
}

/// Steps of the network.
const STEPS: usize = 3_000;

/// What a fold teaches.
struct Taught<'a> {
    x: ArrayView2<'a, f64>,
    y: &'a [u32],
    classes: usize,
}

impl Taught<'_> {
    /// Learns from `most` of a fold's rows at most, and says what the others look like.
    fn predict(&self, learner: &dyn Learner, most: usize, fold: &Split, seed: Seed) -> Result<Array2<f64>> {
        let mut train = fold.train.clone();
        if train.len() > most {
            let chosen = seed.stream("taught").rng(0).sample(train.len(), most);
            train = chosen.into_iter().map(|at| train[at]).collect();
            train.sort_unstable();
        }
        let labels: Vec<u32> = train.iter().map(|row| self.y[*row]).collect();
        let model = learner.fit(self.x.select(Axis(0), &train).view(), &labels, self.classes, None, seed)?;
        Ok(model.probabilities(self.x.select(Axis(0), &fold.test).view()))
    }
}
