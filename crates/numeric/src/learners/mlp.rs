//! A network with one hidden layer.

use super::{Classifier, Learner, Standard, check, log_shares, softmax};
use crate::layers::{Activation, Adam, Layers, Start};
use ndarray::{Array1, Array2, ArrayView2, Axis};
use quadrat_core::{Error, Result, Seed};

/// One hidden layer of rectified units under a softmax, trained by Adam (Kingma and Ba 2015) on shuffled mini-batches,
/// on columns that are standardised inside ([`Standard`]).
///
/// Minimises the weighted mean of -log p(class | row) + `l2`/2 * (sum of squared weights, biases excluded). Time
/// O(epochs * rows * hidden * (columns + classes)).
///
/// ```
/// use ndarray::array;
/// use quadrat_numeric::learners::{Classifier, Learner, Mlp};
/// let x = array![[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]];
/// let mlp = Mlp { epochs: 500, learning_rate: 0.01, ..Mlp::default() };
/// let model = mlp.fit(x.view(), &[0, 1, 1, 0], 2, None, quadrat_core::Seed(0))?;
/// assert_eq!(model.predict(x.view()), [0, 1, 1, 0]);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mlp {
    /// Hidden units, at least 1. Default 64.
    pub hidden: usize,
    /// Passes over the rows. Default 100.
    pub epochs: usize,
    /// Rows of a mini-batch, at least 1. Default 64.
    pub batch: usize,
    /// Adam's step size, above 0. Default 1e-3.
    pub learning_rate: f64,
    /// Whether the step size falls to 0 along half a [`cosine`], step by step: how it falls then depends on the number of
    /// steps only, not on how epochs divide them. All epochs must have as many rows as the first. Default no.
    pub anneal: bool,
    /// Strength of the penalty on weights, at least 0. Default 1e-4.
    pub l2: f64,
}

impl Default for Mlp {
    fn default() -> Self {
        Mlp { hidden: 64, epochs: 100, batch: 64, learning_rate: 1e-3, anneal: false, l2: 1e-4 }
    }
}

/// Logits of the classes, above their `offset`.
fn logits(net: &Layers<f64>, z: &Array2<f64>, offset: &Array1<f64>) -> Array2<f64> {
    net.outputs(z.view()) + offset
}

/// The objective of a batch; its derivatives are added to `slope`. Every row's class must have a finite offset.
fn loss(
    net: &Layers<f64>,
    z: Array2<f64>,
    y: &[u32],
    weights: &[f64],
    offset: &Array1<f64>,
    l2: f64,
    slope: &mut Layers<f64>,
) -> f64 {
    let rows = y.len() as f64;
    let (values, outputs) = net.forward_apart(z);
    let mut delta = outputs + offset;
    let mut loss = 0.0;
    for ((mut p, &class), weight) in delta.axis_iter_mut(Axis(0)).zip(y).zip(weights) {
        let logit = p[class as usize];
        loss += weight / rows * (softmax(p.view_mut()) - logit);
        p[class as usize] -= 1.0;
        p *= *weight / rows;
    }
    net.backward(&values, delta, slope);
    for ((weights, _), (slope, _)) in net.layers.iter().zip(&mut slope.layers) {
        slope.scaled_add(l2, weights);
        loss += 0.5 * l2 * weights.iter().map(|w| w * w).sum::<f64>();
    }
    loss
}

struct Fitted {
    standard: Standard,
    net: Layers<f64>,
    /// Log shares of the classes, which the biases are relative to: minus infinity where a class had no rows.
    offset: Array1<f64>,
}

impl Learner for Mlp {
    fn name(&self) -> &'static str {
        "network"
    }

    fn fit(
        &self,
        x: ArrayView2<f64>,
        y: &[u32],
        classes: usize,
        weights: Option<&[f64]>,
        seed: Seed,
    ) -> Result<Box<dyn Classifier>> {
        let weights = check(x, y, classes, weights)?;
        let mut rows: Vec<usize> = (0..y.len()).filter(|i| weights[*i] > 0.0).collect();
        let mut shuffled = |epoch| {
            seed.stream("network batches").rng(epoch as u64).shuffle(&mut rows);
            Ok(rows.clone())
        };
        self.train(x, y, classes, &weights, &mut shuffled, seed)
    }
}

impl Mlp {
    /// Learns as [`Learner::fit`] does, but epoch `e` passes over the rows `round(e)` in the order given: for training on
    /// another part of the table in every epoch. Columns are standardised, and classes have their share, over the whole
    /// table.
    ///
    /// # Errors
    /// As [`Learner::fit`], what `round` returns, and a row that the table does not have.
    pub fn fit_rounds(
        &self,
        x: ArrayView2<f64>,
        y: &[u32],
        classes: usize,
        round: &mut dyn FnMut(usize) -> Result<Vec<usize>>,
        seed: Seed,
    ) -> Result<Box<dyn Classifier>> {
        let weights = check(x, y, classes, None)?;
        self.train(x, y, classes, &weights, round, seed)
    }

    fn train(
        &self,
        x: ArrayView2<f64>,
        y: &[u32],
        classes: usize,
        weights: &[f64],
        round: &mut dyn FnMut(usize) -> Result<Vec<usize>>,
        seed: Seed,
    ) -> Result<Box<dyn Classifier>> {
        self.check()?;
        let standard = Standard::fit(x, weights);
        let offset = Array1::from(log_shares(y, weights, classes));
        let z = standard.apply(x);
        let mean_weight = weights.iter().sum::<f64>() / weights.iter().filter(|w| **w > 0.0).count() as f64;

        let sizes = [x.ncols(), self.hidden, classes];
        let mut rng = seed.stream("network weights").rng(0);
        let mut net = Layers::random(&sizes, Activation::Relu, Start::He, &mut rng);
        let (mut adam, mut slope) = (Adam::new(&net), net.zeros());
        let (mut steps, mut first_epoch) = (0, None);
        for epoch in 0..self.epochs {
            let rows = round(epoch)?;
            let expected = *first_epoch.get_or_insert(rows.len());
            if self.anneal && rows.len() != expected {
                // A schedule that does not span the steps taken ends at a high rate, and the fit is worth nothing.
                return Err(Error::input(
                    "rows of a round",
                    rows.len(),
                    format!("an annealed fit needs as many in every round as in the first, {expected}"),
                ));
            }
            let all_steps = self.epochs * expected.div_ceil(self.batch);
            if let Some(row) = rows.iter().find(|row| **row >= y.len()) {
                return Err(Error::input("row of a round", row, format!("the table has {} rows", y.len())));
            }
            for batch in rows.chunks(self.batch) {
                let y: Vec<u32> = batch.iter().map(|i| y[*i]).collect();
                let weights: Vec<f64> = batch.iter().map(|i| weights[*i] / mean_weight).collect();
                loss(&net, z.select(Axis(0), batch), &y, &weights, &offset, self.l2, &mut slope);
                let rate =
                    if self.anneal { cosine(steps, all_steps, self.learning_rate, 0.0) } else { self.learning_rate };
                steps += 1;
                adam.step(&mut net, &mut slope, rate);
            }
        }
        Ok(Box::new(Fitted { standard, net, offset }))
    }

    fn check(&self) -> Result<()> {
        for (what, value) in [("hidden", self.hidden), ("epochs", self.epochs), ("batch", self.batch)] {
            if value == 0 {
                return Err(Error::input(what, value, "it must be at least 1"));
            }
        }
        if !(self.learning_rate > 0.0 && self.learning_rate.is_finite()) {
            return Err(Error::input("learning_rate", self.learning_rate, "it must be finite and above 0"));
        }
        if !(self.l2 >= 0.0 && self.l2.is_finite()) {
            return Err(Error::input("l2", self.l2, "the penalty must be finite and at least 0"));
        }
        Ok(())
    }
}

/// The learning rate of step `step` of `steps`, falling from `first` to `last` along half a cosine.
pub fn cosine(step: usize, steps: usize, first: f64, last: f64) -> f64 {
    let share = (step as f64 / steps.max(1) as f64).min(1.0);
    last + 0.5 * (first - last) * (1.0 + (std::f64::consts::PI * share).cos())
}

impl Classifier for Fitted {
    fn probabilities(&self, x: ArrayView2<f64>) -> Array2<f64> {
        let mut p = logits(&self.net, &self.standard.apply(x), &self.offset);
        for row in p.axis_iter_mut(Axis(0)) {
            softmax(row);
        }
        p
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn derivatives_agree_with_differences() {
        let mut rng = Seed(1).rng(0);
        let z = Array2::from_shape_fn((7, 3), |_| rng.normal());
        let y = [0, 1, 2, 1, 0, 2, 1];
        let weights = [1.0, 0.5, 2.0, 1.0, 0.3, 1.2, 0.9];
        let offset = array![-1.0, -0.5, -2.0];
        let mut net = Layers::random(&[3, 5, 3], Activation::Relu, Start::He, &mut rng);
        net.layers[0].1.mapv_inplace(|_| 0.1 * rng.normal());
        let mut slope = net.zeros();
        loss(&net, z.clone(), &y, &weights, &offset, 0.1, &mut slope);
        let h = 1e-6;
        for layer in 0..2 {
            for at in ndarray::indices(net.layers[layer].0.dim()) {
                let moved = |by: f64| {
                    let mut other = net.clone();
                    other.layers[layer].0[at] += by;
                    loss(&other, z.clone(), &y, &weights, &offset, 0.1, &mut net.zeros())
                };
                let difference = (moved(h) - moved(-h)) / (2.0 * h);
                let slope = slope.layers[layer].0[at];
                assert!((difference - slope).abs() < 1e-7, "{layer} {at:?}: {difference} {slope}");
            }
        }
    }

    #[test]
    fn rounds_that_are_the_shuffled_rows_give_the_ordinary_fit() {
        let mut rng = Seed(2).rng(0);
        let x = Array2::from_shape_fn((20, 3), |_| rng.normal());
        let y: Vec<u32> = (0..20).map(|i| i % 2).collect();
        let (mlp, seed) = (Mlp { epochs: 5, batch: 7, ..Mlp::default() }, Seed(3));
        let mut rows: Vec<usize> = (0..20).collect();
        let mut round = |epoch| {
            seed.stream("network batches").rng(epoch as u64).shuffle(&mut rows);
            Ok(rows.clone())
        };
        let rounds = mlp.fit_rounds(x.view(), &y, 2, &mut round, seed).unwrap().probabilities(x.view());
        assert_eq!(rounds, mlp.fit(x.view(), &y, 2, None, seed).unwrap().probabilities(x.view()));
        assert!(mlp.fit_rounds(x.view(), &y, 2, &mut |_| Ok(vec![20]), seed).is_err());
    }

    #[test]
    fn an_annealed_schedule_spans_the_steps_taken() {
        assert_eq!((cosine(0, 9, 0.1, 1e-4), cosine(9, 9, 0.1, 1e-4), cosine(0, 0, 0.1, 0.0)), (0.1, 1e-4, 0.1));
        assert!((cosine(5, 10, 0.1, 0.0) - 0.05).abs() < 1e-15);
        let mut rng = Seed(4).rng(0);
        let x = Array2::from_shape_fn((20, 3), |_| rng.normal());
        let y: Vec<u32> = (0..20).map(|i| i % 2).collect();
        let fit = |epochs, sizes: &[usize]| {
            let mlp = Mlp { epochs, batch: 5, anneal: true, ..Mlp::default() };
            let mut at = 0;
            let mut round = |epoch: usize| {
                at += sizes[epoch];
                Ok((at - sizes[epoch]..at).collect())
            };
            mlp.fit_rounds(x.view(), &y, 2, &mut round, Seed(5)).map(|fitted| fitted.probabilities(x.view()))
        };
        // The same batches make the same network, however epochs divide them.
        assert_eq!(fit(4, &[5; 4]).unwrap(), fit(1, &[20]).unwrap());
        assert!(fit(2, &[10, 5]).unwrap_err().to_string().contains("the first, 10"));
    }

    #[test]
    fn parameters_out_of_range_are_errors() {
        let x = array![[0.0], [1.0]];
        for mlp in [
            Mlp { hidden: 0, ..Mlp::default() },
            Mlp { batch: 0, ..Mlp::default() },
            Mlp { epochs: 0, ..Mlp::default() },
            Mlp { learning_rate: 0.0, ..Mlp::default() },
            Mlp { l2: -1.0, ..Mlp::default() },
        ] {
            assert!(mlp.fit(x.view(), &[0, 1], 2, None, Seed(0)).is_err(), "{mlp:?}");
        }
    }
}
