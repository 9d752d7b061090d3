//! Gaussian naive Bayes.

use super::{Classifier, Learner, Standard, check, class_weights, softmax};
use ndarray::{Array2, ArrayView2, Axis, Zip};
use quadrat_core::{Error, Result, Seed};

/// Naive Bayes with a normal density for each column within each class, and the classes' shares as priors.
///
/// Columns are standardised inside ([`Standard`]), so that `smoothing` means the same for each of them: it is added to
/// every variance. The seed is not used. Time and memory O(rows * columns).
///
/// ```
/// use ndarray::array;
/// use quadrat_numeric::learners::{Classifier, GaussianNb, Learner};
/// let x = array![[0.0], [1.0], [5.0], [7.0]];
/// let model = GaussianNb::default().fit(x.view(), &[0, 0, 1, 1], 2, None, quadrat_core::Seed(0))?;
/// assert_eq!(model.predict(array![[0.4], [6.0]].view()), [0, 1]);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GaussianNb {
    /// Share of a column's variance added to its variance within each class, above 0. Default 1e-9.
    pub smoothing: f64,
}

impl Default for GaussianNb {
    fn default() -> Self {
        GaussianNb { smoothing: 1e-9 }
    }
}

struct Fitted {
    standard: Standard,
    /// Log share of each class; minus infinity where it had no rows.
    log_prior: Vec<f64>,
    /// One row a class.
    mean: Array2<f64>,
    variance: Array2<f64>,
}

impl Learner for GaussianNb {
    fn name(&self) -> &'static str {
        "naive Bayes"
    }

    fn fit(
        &self,
        x: ArrayView2<f64>,
        y: &[u32],
        classes: usize,
        weights: Option<&[f64]>,
        _seed: Seed,
    ) -> Result<Box<dyn Classifier>> {
        let weights = check(x, y, classes, weights)?;
        if !(self.smoothing > 0.0 && self.smoothing.is_finite()) {
            return Err(Error::input("smoothing", self.smoothing, "it must be finite and above 0"));
        }
        let standard = Standard::fit(x, &weights);
        let z = standard.apply(x);
        let totals = class_weights(y, &weights, classes);
        // What each row adds to the mean of something within its class.
        let shares: Vec<f64> =
            y.iter().zip(&weights).map(|(c, w)| if *w > 0.0 { w / totals[*c as usize] } else { 0.0 }).collect();
        let mut mean = Array2::zeros((classes, x.ncols()));
        for ((z, &class), &share) in z.axis_iter(Axis(0)).zip(y).zip(&shares) {
            mean.row_mut(class as usize).scaled_add(share, &z);
        }
        let mut variance = Array2::from_elem((classes, x.ncols()), self.smoothing);
        for ((z, &class), &share) in z.axis_iter(Axis(0)).zip(y).zip(&shares) {
            let class = class as usize;
            Zip::from(variance.row_mut(class))
                .and(mean.row(class))
                .and(z)
                .for_each(|v, m, z| *v += share * (z - m) * (z - m));
        }
        let all: f64 = totals.iter().sum();
        let log_prior = totals.iter().map(|t| (t / all).ln()).collect();
        Ok(Box::new(Fitted { standard, log_prior, mean, variance }))
    }
}

impl Classifier for Fitted {
    fn probabilities(&self, x: ArrayView2<f64>) -> Array2<f64> {
        let z = self.standard.apply(x);
        let mut p = Array2::zeros((x.nrows(), self.log_prior.len()));
        // The density's constant, once a class.
        let constants: Vec<f64> = self
            .log_prior
            .iter()
            .zip(self.variance.axis_iter(Axis(0)))
            .map(|(prior, variance)| prior - 0.5 * variance.iter().map(|v| v.ln()).sum::<f64>())
            .collect();
        for (mut p, z) in p.axis_iter_mut(Axis(0)).zip(z.axis_iter(Axis(0))) {
            for (class, constant) in constants.iter().enumerate() {
                let mut distance = 0.0;
                Zip::from(z).and(self.mean.row(class)).and(self.variance.row(class)).for_each(|z, m, v| {
                    distance += (z - m) * (z - m) / v;
                });
                p[class] = constant - 0.5 * distance;
            }
            softmax(p);
        }
        p
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::golden_table;
    use super::*;

    #[test]
    fn agrees_with_scikit_learn() {
        let (x, y) = golden_table();
        let weights: Vec<f64> = (0..x.nrows()).map(|i| 1.0 + (i % 3) as f64).collect();
        let p = GaussianNb::default().fit(x.view(), &y, 3, Some(&weights), Seed(0)).unwrap().probabilities(x.view());
        // GaussianNB().fit(x, y, sample_weight=1 + arange(12) % 3), scikit-learn 1.9, first three rows.
        for (row, expected) in GOLDEN.iter().enumerate() {
            for (class, value) in expected.iter().enumerate() {
                assert!((p[[row, class]] - value).abs() < 1e-6, "{row} {class}: {} {value}", p[[row, class]]);
            }
        }
    }
    const GOLDEN: [[f64; 3]; 3] = [
        [0.966904370, 0.000246454, 0.032849176],
        [0.745380673, 0.0, 0.254619327],
        [0.004897318, 0.916965941, 0.078136741],
    ];

    #[test]
    fn smoothing_must_be_positive() {
        let x = ndarray::array![[0.0], [1.0]];
        assert!(GaussianNb { smoothing: 0.0 }.fit(x.view(), &[0, 1], 2, None, Seed(0)).is_err());
    }
}
