//! What rows are compared in: themselves, or a fixed map of them that can be differentiated.

use ndarray::{Array2, ArrayView2};
use quadrat_core::{Error, Result, Seed};

/// A fixed map of rows, a row to a row.
pub trait Features: Sync {
    /// The features of rows.
    ///
    /// # Errors
    /// Rows that it does not take.
    fn of(&self, rows: ArrayView2<f64>) -> Result<Array2<f64>>;

    /// The product of the map's transposed Jacobian at each row with a cotangent of its features.
    ///
    /// # Errors
    /// Rows that it does not take.
    fn pull_back(&self, rows: ArrayView2<f64>, cotangent: ArrayView2<f64>) -> Result<Array2<f64>>;
}

/// Rows as they are.
#[derive(Debug, Clone, Copy, Default)]
pub struct Identity;

impl Features for Identity {
    fn of(&self, rows: ArrayView2<f64>) -> Result<Array2<f64>> {
        Ok(rows.to_owned())
    }

    fn pull_back(&self, _: ArrayView2<f64>, cotangent: ArrayView2<f64>) -> Result<Array2<f64>> {
        Ok(cotangent.to_owned())
    }
}

/// Random Fourier features (Rahimi and Recht 2007): √(1/m) of cos ⟨w, x⟩ and of sin ⟨w, x⟩ for m frequencies w ~ N(0, 1/width²), whose
/// inner products are about exp(-|x - y|² / 2 width²).
#[derive(Debug, Clone)]
pub struct Fourier {
    /// Columns x frequencies.
    frequencies: Array2<f64>,
}

impl Fourier {
    /// Frequencies for rows of so many columns, frequency i from `seed.rng(i)`.
    ///
    /// # Errors
    /// No column, no frequency, a width not above 0.
    pub fn new(columns: usize, frequencies: usize, width: f64, seed: Seed) -> Result<Self> {
        if columns == 0 || frequencies == 0 || !(width > 0.0 && width.is_finite()) {
            let got = format!("{columns} columns, {frequencies} frequencies, width {width}");
            return Err(Error::input("features", got, "at least one of each, a finite width above 0"));
        }
        let mut all = Array2::zeros((columns, frequencies));
        for (i, mut frequency) in all.columns_mut().into_iter().enumerate() {
            let mut rng = seed.rng(i as u64);
            frequency.mapv_inplace(|_: f64| rng.normal() / width);
        }
        Ok(Fourier { frequencies: all })
    }

    fn angles(&self, rows: ArrayView2<f64>) -> Result<Array2<f64>> {
        if rows.ncols() != self.frequencies.nrows() {
            let got = format!("{} columns", rows.ncols());
            return Err(Error::input("rows", got, format!("{}, as the features", self.frequencies.nrows())));
        }
        Ok(rows.dot(&self.frequencies))
    }

    fn scale(&self) -> f64 {
        1.0 / (self.frequencies.ncols() as f64).sqrt()
    }
}

impl Features for Fourier {
    fn of(&self, rows: ArrayView2<f64>) -> Result<Array2<f64>> {
        let (angles, scale) = (self.angles(rows)?, self.scale());
        let m = angles.ncols();
        Ok(Array2::from_shape_fn((rows.nrows(), 2 * m), |(i, j)| {
            scale * if j < m { angles[[i, j]].cos() } else { angles[[i, j - m]].sin() }
        }))
    }

    fn pull_back(&self, rows: ArrayView2<f64>, cotangent: ArrayView2<f64>) -> Result<Array2<f64>> {
        let (mut angles, scale) = (self.angles(rows)?, self.scale());
        let m = angles.ncols();
        if cotangent.dim() != (rows.nrows(), 2 * m) {
            let want = format!("{:?}, as the features", (rows.nrows(), 2 * m));
            return Err(Error::input("cotangent", format!("shape {:?}", cotangent.dim()), want));
        }
        for ((i, j), angle) in angles.indexed_iter_mut() {
            let (sin, cos) = angle.sin_cos();
            *angle = scale * (cotangent[[i, j + m]] * cos - cotangent[[i, j]] * sin);
        }
        Ok(angles.dot(&self.frequencies.t()))
    }
}

/// Features that are two closures.
struct FromFns<F, G> {
    of: F,
    pull_back: G,
}

/// The features that a map and its pull-back (of rows and cotangents) are.
pub fn features_fn<F, G>(of: F, pull_back: G) -> impl Features
where
    F: Fn(ArrayView2<f64>) -> Result<Array2<f64>> + Sync,
    G: Fn(ArrayView2<f64>, ArrayView2<f64>) -> Result<Array2<f64>> + Sync,
{
    FromFns { of, pull_back }
}

impl<F, G> Features for FromFns<F, G>
where
    F: Fn(ArrayView2<f64>) -> Result<Array2<f64>> + Sync,
    G: Fn(ArrayView2<f64>, ArrayView2<f64>) -> Result<Array2<f64>> + Sync,
{
    fn of(&self, rows: ArrayView2<f64>) -> Result<Array2<f64>> {
        (self.of)(rows)
    }

    fn pull_back(&self, rows: ArrayView2<f64>, cotangent: ArrayView2<f64>) -> Result<Array2<f64>> {
        (self.pull_back)(rows, cotangent)
    }
}
