//! Multinomial logistic regression.

use super::{Classifier, Learner, Standard, check, log_shares, softmax};
use ndarray::{Array1, Array2, ArrayView2, Axis, s};
use quadrat_core::{Error, Result, Seed};
use std::collections::VecDeque;

/// Multinomial logistic regression with a quadratic penalty, fitted by L-BFGS (Liu and Nocedal 1989).
///
/// Minimises sum over rows of weight * -log p(class | row) + `l2`/2 * |W|^2 over one coefficient a class and column and
/// an unpenalised intercept a class, on columns that are standardised inside ([`Standard`]); so the result does not
/// depend on the columns' units, and `l2` = 1 / C in the terms of other libraries. Columns whose scale means something
/// are taken as they are with `standardise` off. Two classes are fitted as two sets of
/// coefficients, which halves the penalty's pull in comparison with a single logistic curve.
///
/// The seed is not used. Time O(iterations * rows * columns * classes), memory a copy of the table.
///
/// ```
/// use ndarray::array;
/// use quadrat_numeric::learners::{Classifier, Learner, Softmax};
/// let x = array![[0.0], [1.0], [2.0], [3.0]];
/// let model = Softmax::default().fit(x.view(), &[0, 0, 1, 1], 2, None, quadrat_core::Seed(0))?;
/// assert_eq!(model.predict(array![[0.5], [2.5]].view()), [0, 1]);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Softmax {
    /// Strength of the penalty, above 0. Default 1.
    pub l2: f64,
    /// Most steps of L-BFGS. Default 200.
    pub iterations: usize,
    /// Stop when no partial derivative of the mean loss is larger. Default 1e-6.
    pub tolerance: f64,
    /// Whether to bring columns to mean 0 and variance 1 first. Default true.
    pub standardise: bool,
}

impl Default for Softmax {
    fn default() -> Self {
        Softmax { l2: 1.0, iterations: 200, tolerance: 1e-6, standardise: true }
    }
}

struct Fitted {
    standard: Standard,
    /// One row a class: coefficients of the standardised columns, then the intercept.
    coefficients: Array2<f64>,
    /// Log shares of the classes, which the intercepts are relative to: minus infinity where a class had no rows.
    offset: Array1<f64>,
}

impl Learner for Softmax {
    fn name(&self) -> &'static str {
        "softmax regression"
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
        if !(self.l2 > 0.0 && self.l2.is_finite()) {
            return Err(Error::input("l2", self.l2, "the penalty must be finite and above 0"));
        }
        let standard = if self.standardise { Standard::fit(x, &weights) } else { Standard::none(x.ncols()) };
        let z = with_ones(standard.apply(x));
        let offset = Array1::from(log_shares(y, &weights, classes));
        let (columns, total) = (x.ncols(), weights.iter().sum::<f64>());
        // The mean loss with its share of the penalty, and its derivatives.
        let objective = |coefficients: &Array2<f64>| {
            let mut p = z.dot(&coefficients.t()) + &offset;
            let mut loss = 0.0;
            for ((mut p, &class), weight) in p.axis_iter_mut(Axis(0)).zip(y).zip(&weights) {
                let logit = p[class as usize];
                let log_total = softmax(p.view_mut());
                p[class as usize] -= 1.0;
                p *= *weight / total;
                if *weight > 0.0 {
                    loss += weight / total * (log_total - logit);
                }
            }
            let mut slope = p.t().dot(&z);
            let penalised = coefficients.slice(s![.., ..columns]);
            slope.slice_mut(s![.., ..columns]).scaled_add(self.l2 / total, &penalised);
            loss += 0.5 * self.l2 / total * penalised.iter().map(|w| w * w).sum::<f64>();
            (loss, slope)
        };
        let start = Array2::zeros((classes, columns + 1));
        let coefficients = lbfgs(start, objective, self.iterations, self.tolerance);
        Ok(Box::new(Fitted { standard, coefficients, offset }))
    }
}

impl Classifier for Fitted {
    fn probabilities(&self, x: ArrayView2<f64>) -> Array2<f64> {
        let mut p = with_ones(self.standard.apply(x)).dot(&self.coefficients.t()) + &self.offset;
        for row in p.axis_iter_mut(Axis(0)) {
            softmax(row);
        }
        p
    }
}

/// The rows with a one behind each, for the intercept.
fn with_ones(z: Array2<f64>) -> Array2<f64> {
    let mut wide = Array2::ones((z.nrows(), z.ncols() + 1));
    wide.slice_mut(s![.., ..z.ncols()]).assign(&z);
    wide
}

/// Minimises a smooth convex function of a matrix, given with its derivatives: limited-memory BFGS with ten pairs and a
/// backtracking line search.
fn lbfgs(
    mut at: Array2<f64>,
    objective: impl Fn(&Array2<f64>) -> (f64, Array2<f64>),
    iterations: usize,
    tolerance: f64,
) -> Array2<f64> {
    const PAIRS: usize = 10;
    let dot = |a: &Array2<f64>, b: &Array2<f64>| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    // Steps and changes of the derivatives, oldest first, with 1 / (step . change).
    let mut history: VecDeque<(Array2<f64>, Array2<f64>, f64)> = VecDeque::with_capacity(PAIRS + 1);
    let (mut value, mut slope) = objective(&at);
    for _ in 0..iterations {
        if slope.iter().all(|g| g.abs() <= tolerance) {
            break;
        }
        // The two-loop recursion: direction = -(inverse Hessian) slope.
        let mut direction = slope.mapv(|g| -g);
        let mut alphas = Vec::with_capacity(history.len());
        for (step, change, rho) in history.iter().rev() {
            let alpha = rho * dot(step, &direction);
            direction.scaled_add(-alpha, change);
            alphas.push(alpha);
        }
        match history.back() {
            Some((_, change, rho)) => direction /= rho * dot(change, change),
            None => direction /= dot(&slope, &slope).sqrt().max(1.0),
        }
        for ((step, change, rho), alpha) in history.iter().zip(alphas.iter().rev()) {
            let beta = rho * dot(change, &direction);
            direction.scaled_add(alpha - beta, step);
        }
        let descent = dot(&direction, &slope);
        let mut length = 1.0;
        let (next, next_value, next_slope) = loop {
            let next = &at + &(&direction * length);
            let (value_there, slope_there) = objective(&next);
            if value_there <= value + 1e-4 * length * descent {
                break (next, value_there, slope_there);
            }
            length *= 0.5;
            if length < 1e-10 {
                // No descent left that these digits can show.
                return at;
            }
        };
        let (step, change) = (&next - &at, &next_slope - &slope);
        let curvature = dot(&step, &change);
        if curvature > 1e-14 * dot(&change, &change) {
            history.push_back((step, change, 1.0 / curvature));
            if history.len() > PAIRS {
                history.pop_front();
            }
        }
        (at, value, slope) = (next, next_value, next_slope);
    }
    at
}

#[cfg(test)]
mod tests {
    use super::super::tests::golden_table;
    use super::*;

    #[test]
    fn agrees_with_scikit_learn() {
        let (x, y) = golden_table();
        let learner = Softmax { l2: 0.5, tolerance: 1e-10, iterations: 1000, ..Softmax::default() };
        let p = learner.fit(x.view(), &y, 3, None, Seed(0)).unwrap().probabilities(x.view());
        // make_pipeline(StandardScaler(), LogisticRegression(C=2, tol=1e-12, max_iter=10000)), scikit-learn 1.9, first
        // three rows.
        for (row, expected) in GOLDEN.iter().enumerate() {
            for (class, value) in expected.iter().enumerate() {
                assert!((p[[row, class]] - value).abs() < 1e-6, "{row} {class}: {} {value}", p[[row, class]]);
            }
        }
    }
    const GOLDEN: [[f64; 3]; 3] = [
        [0.929035387, 0.030640916, 0.040323698],
        [0.767763138, 0.033829592, 0.198407270],
        [0.174521807, 0.518693295, 0.306784898],
    ];

    #[test]
    fn units_do_not_matter() {
        let (x, y) = golden_table();
        let mut scaled = x.clone();
        scaled.column_mut(0).mapv_inplace(|v| 1e6 * v - 3.0);
        let fit =
            |x: &Array2<f64>| Softmax::default().fit(x.view(), &y, 3, None, Seed(0)).unwrap().probabilities(x.view());
        let worst = fit(&x).iter().zip(&fit(&scaled)).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(worst < 1e-5, "{worst}");
    }

    #[test]
    fn separable_rows_stay_finite_and_a_zero_penalty_is_refused() {
        let x = ndarray::array![[0.0], [1.0]];
        let p = Softmax { l2: 1e-9, ..Softmax::default() }.fit(x.view(), &[0, 1], 2, None, Seed(0)).unwrap();
        assert!(p.probabilities(x.view())[[1, 1]] > 0.99);
        for l2 in [0.0, -1.0, f64::NAN] {
            assert!(Softmax { l2, ..Softmax::default() }.fit(x.view(), &[0, 1], 2, None, Seed(0)).is_err());
        }
    }
}
