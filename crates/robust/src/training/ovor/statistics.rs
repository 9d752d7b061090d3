//! Classifiers from the statistics of features, which grow by classes without any training.

use ndarray::{Array1, Array2, ArrayView2, Axis};
use quadrat_core::{Error, Result};
use quadrat_numeric::linalg::{gram, solve};

/// Counts and means of classes, and the scatter of rows around their class's mean: all that the nearest class mean and linear
/// discriminant analysis need. Classes come one after another or in groups; rows need not be kept.
///
/// ```
/// use ndarray::array;
/// use quadrat_robust::training::ClassStatistics;
/// let mut known = ClassStatistics::new(2);
/// known.add(array![[0.0, 0.0], [0.0, 2.0], [4.0, 0.0], [4.0, 2.0]].view(), &[0, 0, 1, 1])?;
/// known.add(array![[0.0, 9.0], [0.0, 11.0]].view(), &[2, 2])?;
/// let (weight, bias) = known.nearest_mean();
/// let scores = array![[3.0, 1.0], [1.0, 8.0]].dot(&weight.t()) + &bias;
/// assert!(scores[[0, 1]] > scores[[0, 0]] && scores[[1, 2]] > scores[[1, 0]]);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct ClassStatistics {
    counts: Vec<usize>,
    means: Vec<Array1<f64>>,
    scatter: Array2<f64>,
}

impl ClassStatistics {
    /// Of no class yet, for features of this width.
    pub fn new(width: usize) -> Self {
        ClassStatistics { counts: Vec::new(), means: Vec::new(), scatter: Array2::zeros((width, width)) }
    }

    /// Rows of new classes.
    ///
    /// # Errors
    /// Features of another width, a label for each row missing, a class that was added before.
    pub fn add(&mut self, features: ArrayView2<f64>, labels: &[u32]) -> Result<()> {
        if features.dim() != (labels.len(), self.scatter.nrows()) {
            let got = format!("{} rows of {} numbers, {} labels", features.nrows(), features.ncols(), labels.len());
            return Err(Error::input(
                "features",
                got,
                format!("rows of {} and a label for each", self.scatter.nrows()),
            ));
        }
        let first = self.counts.len();
        if let Some(label) = labels.iter().find(|label| (**label as usize) < first) {
            return Err(Error::input("class", label, format!("new classes, from {first} on")));
        }
        let classes = labels.iter().map(|label| *label as usize + 1).max().unwrap_or(first);
        for class in first..classes {
            let own: Vec<usize> = (0..labels.len()).filter(|row| labels[*row] as usize == class).collect();
            let rows = features.select(Axis(0), &own);
            let mean = rows.mean_axis(Axis(0)).unwrap_or_else(|| Array1::zeros(features.ncols()));
            self.scatter += &gram((&rows - &mean).view(), None)?;
            self.counts.push(own.len());
            self.means.push(mean);
        }
        Ok(())
    }

    /// Weights (classes x width) and biases whose largest score is that of the class with the nearest mean.
    pub fn nearest_mean(&self) -> (Array2<f64>, Array1<f64>) {
        let width = self.scatter.nrows();
        let weight = Array2::from_shape_fn((self.means.len(), width), |(class, j)| self.means[class][j]);
        let bias = self.means.iter().map(|mean| -0.5 * mean.dot(mean)).collect();
        (weight, bias)
    }

    /// Linear discriminant analysis with one covariance for all classes, shrunk towards a multiple of the identity by `shrink`
    /// (0 to 1), and classes as likely as they are frequent.
    ///
    /// # Errors
    /// No class, or a covariance that is singular: shrink it.
    pub fn discriminant(&self, shrink: f64) -> Result<(Array2<f64>, Array1<f64>)> {
        let all: usize = self.counts.iter().sum();
        let free = all.saturating_sub(self.counts.len()).max(1) as f64;
        let mut covariance = &self.scatter / free;
        let mean_variance = covariance.diag().mean().unwrap_or(0.0);
        covariance *= 1.0 - shrink;
        covariance.diag_mut().mapv_inplace(|v| v + shrink * mean_variance);
        let (means, _) = self.nearest_mean();
        let weight = solve(covariance.view(), means.t())?.reversed_axes();
        let offset = |class: usize| {
            let share = self.counts[class].max(1) as f64 / all.max(1) as f64;
            share.ln() - 0.5 * weight.row(class).dot(&self.means[class])
        };
        let bias = (0..self.means.len()).map(offset).collect();
        Ok((weight, bias))
    }
}
