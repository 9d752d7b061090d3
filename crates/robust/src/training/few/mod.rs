//! Few labels and many rows without: what the methods that teach themselves have in common.
//!
//! A batch holds labelled rows, then unlabelled ones twice ([`Beside`](quadrat_nn::Beside) over
//! [`TwoViews`](quadrat_nn::TwoViews) that change nothing): the first copy becomes the weak view, by which the network says what a
//! row is, the second the strong view, which it must then recognise. All rows go through one pass.

mod fixmatch;
mod flexmatch;
mod pseudo_label;
mod saa;
mod shrinkmatch;
#[cfg(test)]
mod tests;
mod views;

pub use fixmatch::FixMatch;
pub use flexmatch::FlexMatch;
pub use pseudo_label::PseudoLabel;
pub use saa::SampleAdaptive;
pub use shrinkmatch::{ShrinkMatch, Shrunk, shrink};
pub use views::Views;

use ndarray::{Array2, ArrayView1, ArrayView2, s};
use quadrat_core::{Error, Result, Seed, Settings};
use quadrat_nn::{Batch, MethodState, Run, Tensor, ops};
use quadrat_numeric::calibration;
use std::ops::Range;

/// When a row without a label teaches, and how much.
#[derive(Debug, Clone, Copy, PartialEq, Settings)]
pub struct Rule {
    /// Least probability of a class by the weak view for a row to teach.
    #[param(default = 0.95, above = 0, below = 1)]
    pub tau: f32,
    /// Weight of the rows without labels.
    #[param(default = 1.0, from = 0)]
    pub lambda: f32,
    /// Divide probabilities by their mean over the last 32 batches, so that no class takes all (distribution alignment).
    #[param(default = true)]
    pub align: bool,
    /// Teach the likeliest class; otherwise all probabilities.
    #[param(default = true)]
    pub hard: bool,
}

/// Batches over which probabilities are averaged.
const RING: usize = 32;

impl Rule {
    fn check(&self) -> Result<()> {
        if !(self.tau > 0.0 && self.tau < 1.0) {
            return Err(Error::input("tau", self.tau, "between 0 and 1"));
        }
        if !(self.lambda >= 0.0 && self.lambda.is_finite()) {
            return Err(Error::input("lambda", self.lambda, "0 or more"));
        }
        Ok(())
    }

    fn told(&self) -> String {
        format!("tau={} lambda={} align={} hard={}", self.tau, self.lambda, self.align, self.hard)
    }
}

/// Where the parts of a batch are.
#[derive(Debug, Clone, PartialEq)]
struct Parts {
    weak: Range<usize>,
    strong: Range<usize>,
}

/// What a run of these methods remembers.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    /// The number of the first unlabelled row, and how many there are.
    first: usize,
    pool: usize,
    classes: usize,
    seed: Seed,
    /// Means of probabilities over the last batches.
    ring: Vec<f32>,
    /// Rows that taught, and rows met, since the epoch began; the share of the last whole epoch.
    taught: usize,
    met: usize,
    share: f64,
}

impl Memory {
    fn begin(name: &str, run: &Run<'_>) -> Result<Self> {
        run.needs_classes(name)?;
        run.takes_numbers(name)?;
        if run.data.unlabelled() == 0 {
            let want = "rows without labels beside the labelled ones: --unlabelled FILE, or rows whose target is empty";
            return Err(Error::input(name, "labelled rows only", want));
        }
        let (first, pool, classes) = (run.data.len(), run.data.unlabelled(), run.data.outputs());
        Ok(Memory { first, pool, classes, seed: run.seed, ..Memory::default() })
    }

    /// The two copies of the unlabelled rows.
    fn parts(&self, batch: &Batch) -> Result<Parts> {
        let labelled = batch.rows.iter().take_while(|row| (**row as usize) < self.first).count();
        let each = (batch.rows.len() - labelled) / 2;
        let (weak, strong) = (labelled..labelled + each, labelled + each..labelled + 2 * each);
        if batch.rows[weak.clone()] != batch.rows[strong.clone()] || strong.end != batch.rows.len() {
            return Err(Error::input("batch", "unlabelled rows that are not there twice", "two views of each"));
        }
        if batch.mixed {
            return Err(Error::input(
                "batch",
                "mixtures of rows",
                "rows as they are: leave out the method that mixes them",
            ));
        }
        Ok(Parts { weak, strong })
    }

    /// The number of an unlabelled row among them.
    fn place(&self, row: u32) -> usize {
        row as usize - self.first
    }

    /// Labelled rows and the first copy get weak views, the second copy strong ones.
    fn view(&self, views: &Views, batch: &mut Batch) -> Result<Parts> {
        let parts = self.parts(batch)?;
        let seed = self.seed.stream("views").stream(&batch.at.step.to_string());
        views.each(batch, 0..parts.strong.start, &seed, &|views, row, rng, _| views.weak(row, rng))?;
        views.each(batch, parts.strong.clone(), &seed, &|views, row, rng, scratch| views.strong(row, rng, scratch))?;
        Ok(parts)
    }

    /// All rows get weak views.
    fn view_weakly(&self, views: &Views, batch: &mut Batch) -> Result<()> {
        let seed = self.seed.stream("views").stream(&batch.at.step.to_string());
        views.each(batch, 0..batch.rows.len(), &seed, &|views, row, rng, _| views.weak(row, rng))
    }

    /// What the network says of the weak views, aligned if the rule asks for it.
    fn said(&self, rule: &Rule, outputs: ArrayView2<f32>, parts: &Parts) -> Array2<f32> {
        let mut p = calibration::probabilities(outputs.slice(s![parts.weak.clone(), ..]), 1.0);
        if rule.align && p.nrows() > 0 {
            let mut mean = batch_mean(&p);
            for earlier in self.ring.chunks_exact(self.classes.max(1)).rev().take(RING - 1) {
                mean.iter_mut().zip(earlier).for_each(|(m, e)| *m += e);
            }
            for mut row in p.outer_iter_mut() {
                row.iter_mut().zip(&mean).for_each(|(p, m)| *p /= m.max(f32::MIN_POSITIVE));
                let sum = row.sum();
                row.mapv_inplace(|p| p / sum);
            }
        }
        p
    }

    /// What those rows teach, to their copies in `to`, whose likeliest class is as probable as `least` asks of it.
    fn teach(
        &self,
        rule: &Rule,
        outputs: &Tensor<2>,
        p: &Array2<f32>,
        to: &Range<usize>,
        least: impl Fn(usize) -> f32 + Sync,
    ) -> Tensor<1> {
        pull(outputs, to, p.nrows(), |row| {
            let (class, sure) = likeliest(p.row(row));
            Target::by(rule, p, row).filter(|_| sure >= least(class)).map(|target| (target, rule.lambda))
        })
    }

    /// Keeps the batch's mean, and counts who taught.
    fn keep(&mut self, outputs: ArrayView2<f32>, parts: &Parts, taught: usize) {
        let p = calibration::probabilities(outputs.slice(s![parts.weak.clone(), ..]), 1.0);
        if p.nrows() > 0 {
            self.ring.extend(batch_mean(&p));
            let over = self.ring.len().saturating_sub(RING * self.classes);
            self.ring.drain(..over);
        }
        self.taught += taught;
        self.met += p.nrows();
    }

    fn end_epoch(&mut self) {
        self.share = self.taught as f64 / self.met.max(1) as f64;
        (self.taught, self.met) = (0, 0);
    }

    fn found(&self, name: &str) -> Vec<(String, f64)> {
        vec![(format!("{name}: share of the unlabelled rows that taught in the last epoch"), self.share)]
    }

    fn save(&self) -> MethodState {
        MethodState {
            numbers: [("share".to_owned(), self.share)].into(),
            arrays: [("ring".to_owned(), self.ring.clone())].into(),
        }
    }

    fn load(&mut self, state: &mut MethodState) {
        self.ring = state.arrays.remove("ring").unwrap_or_default();
        self.share = state.numbers.get("share").copied().unwrap_or(0.0);
    }
}

fn batch_mean(p: &Array2<f32>) -> Vec<f32> {
    p.columns()
        .into_iter()
        .map(|column| (column.iter().map(|v| f64::from(*v)).sum::<f64>() / p.nrows() as f64) as f32)
        .collect()
}

/// The likeliest class and its probability; of equal ones the first.
fn likeliest(p: ArrayView1<f32>) -> (usize, f32) {
    p.iter().enumerate().fold((0, f32::NEG_INFINITY), |best, (k, v)| if *v > best.1 { (k, *v) } else { best })
}

/// Cross-entropy of some rows of a batch towards targets, each with a weight, so that the mean over all rows of the batch is the
/// sum of weight times cross-entropy over `of`. `target(i)` is for the i-th of the rows, a class or probabilities.
fn pull<'a>(
    outputs: &Tensor<2>,
    rows: &Range<usize>,
    of: usize,
    target: impl Fn(usize) -> Option<(Target<'a>, f32)> + Sync,
) -> Tensor<1> {
    let scale = outputs.dims()[0] as f32 / of.max(1) as f32;
    ops::row_losses(outputs.clone(), |row, z, d| {
        let wanted = if rows.contains(&row) { target(row - rows.start) } else { None };
        let Some((target, weight)) = wanted else {
            d.fill(0.0);
            return 0.0;
        };
        let total = ops::softmax_into(z, d);
        let loss = match target {
            Target::Class(class) => {
                d[class] -= 1.0;
                total - z[class]
            }
            Target::Soft(p) => {
                d.iter_mut().zip(p).for_each(|(d, p)| *d -= p);
                p.iter().zip(z).map(|(p, z)| p * (total - z)).sum()
            }
        };
        d.iter_mut().for_each(|d| *d *= weight * scale);
        weight * scale * loss
    })
}

/// What a row is taught.
#[derive(Debug, Clone, Copy)]
enum Target<'a> {
    Class(usize),
    Soft(&'a [f32]),
}

impl<'a> Target<'a> {
    /// The likeliest class, or all probabilities.
    fn by(rule: &Rule, p: &'a Array2<f32>, row: usize) -> Option<Target<'a>> {
        Some(if rule.hard { Target::Class(likeliest(p.row(row)).0) } else { Target::Soft(p.row(row).to_slice()?) })
    }
}
