//! Columns brought to mean 0 and variance 1.

use ndarray::{Array2, ArrayView2, Axis, Zip};

/// Weighted means and standard deviations of columns, and the map that takes them out.
///
/// Constant columns become 0 everywhere, also for rows in which they are not constant: a column that carried nothing
/// when fitted never speaks later. Values are first divided by the column's largest magnitude, so that neither huge nor
/// tiny numbers overflow; results are held within +-1e100.
///
/// ```
/// use ndarray::array;
/// use quadrat_numeric::learners::Standard;
/// let x = array![[2.0, 5.0], [4.0, 5.0]];
/// let z = Standard::fit(x.view(), &[1.0, 1.0]).apply(x.view());
/// assert_eq!(z, array![[-1.0, 0.0], [1.0, 0.0]]);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Standard {
    /// Largest magnitude of each column (1 when the column is 0 throughout).
    magnitude: Vec<f64>,
    /// Mean of each column over its magnitude.
    mean: Vec<f64>,
    /// Standard deviation of each column over its magnitude; infinite for a constant column.
    deviation: Vec<f64>,
}

impl Standard {
    /// Measures finite rows, each counting as its weight says; rows of weight 0 are not looked at. Variances divide by
    /// the sum of weights.
    pub fn fit(x: ArrayView2<f64>, weights: &[f64]) -> Self {
        let total: f64 = weights.iter().sum();
        let columns = x.ncols();
        let mut standard = Standard {
            magnitude: vec![1.0; columns],
            mean: vec![0.0; columns],
            deviation: vec![f64::INFINITY; columns],
        };
        for (j, column) in x.axis_iter(Axis(1)).enumerate() {
            let counted = || column.iter().zip(weights).filter(|(_, w)| **w > 0.0);
            let (low, high) =
                counted().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), (v, _)| (l.min(*v), h.max(*v)));
            let magnitude = low.abs().max(high.abs());
            if !(low < high && magnitude.is_normal()) {
                continue;
            }
            let mean = counted().map(|(v, w)| w * (v / magnitude)).sum::<f64>() / total;
            let variance = counted().map(|(v, w)| w * (v / magnitude - mean).powi(2)).sum::<f64>() / total;
            standard.magnitude[j] = magnitude;
            standard.mean[j] = mean;
            if variance > 0.0 {
                standard.deviation[j] = variance.sqrt();
            }
        }
        standard
    }

    /// Leaves columns as they are.
    pub(crate) fn none(columns: usize) -> Self {
        Standard { magnitude: vec![1.0; columns], mean: vec![0.0; columns], deviation: vec![1.0; columns] }
    }

    /// The same columns with the measured means and deviations taken out.
    pub fn apply(&self, x: ArrayView2<f64>) -> Array2<f64> {
        let mut z = Array2::zeros(x.raw_dim());
        for (mut z, x) in z.axis_iter_mut(Axis(0)).zip(x.axis_iter(Axis(0))) {
            Zip::from(&mut z).and(&x).and(&self.magnitude[..]).and(&self.mean[..]).and(&self.deviation[..]).for_each(
                |z, x, magnitude, mean, deviation| {
                    *z = ((x / magnitude - mean) / deviation).clamp(-1e100, 1e100);
                },
            );
        }
        z
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn means_vanish_and_variances_are_one() {
        let x = array![[1e308, 1e-300, 3.0, 0.0], [-1e308, 3e-300, 3.0, 1e9], [5e307, 2e-300, 3.0, 1e9 + 1.0]];
        let weights = [1.0, 2.0, 0.5];
        let z = Standard::fit(x.view(), &weights).apply(x.view());
        for (j, column) in z.axis_iter(Axis(1)).enumerate() {
            let mean = column.iter().zip(&weights).map(|(z, w)| z * w).sum::<f64>() / 3.5;
            let variance = column.iter().zip(&weights).map(|(z, w)| z * z * w).sum::<f64>() / 3.5;
            assert!(mean.abs() < 1e-12, "{j}: {mean}");
            assert!((variance - if j == 2 { 0.0 } else { 1.0 }).abs() < 1e-12, "{j}: {variance}");
        }
    }

    #[test]
    fn constant_columns_stay_silent_and_outliers_finite() {
        let x = array![[1.0, 0.0], [1.0, 1e-300]];
        let standard = Standard::fit(x.view(), &[1.0, 1.0]);
        let z = standard.apply(array![[9.0, 1e308]].view());
        assert_eq!(z, array![[0.0, 1e100]]);
        // Rows of weight 0 do not make a column vary.
        let standard = Standard::fit(array![[1.0], [2.0]].view(), &[1.0, 0.0]);
        assert_eq!(standard.apply(array![[2.0]].view()), array![[0.0]]);
    }
}
