//! Codes that a model draws in place of samples.

use crate::denoiser::check_dims;
use ndarray::{Array1, Array2, ArrayView2};
use quadrat_core::{Error, Result};
use quadrat_numeric::linalg::Pca;

/// An encoder E and a decoder D, on batches of rows.
pub trait Codec: Sync {
    /// Numbers in a sample.
    fn dims(&self) -> usize;

    /// Numbers in its code.
    fn codes(&self) -> usize;

    /// E(x) of each row.
    ///
    /// # Errors
    /// Rows of another width, the codec's own.
    fn encode(&self, x: ArrayView2<f64>) -> Result<Array2<f64>>;

    /// D(z) of each row.
    ///
    /// # Errors
    /// Rows of another width, the codec's own.
    fn decode(&self, z: ArrayView2<f64>) -> Result<Array2<f64>>;

    /// The product of the transposed Jacobian of E at x with a cotangent u, row by row.
    ///
    /// # Errors
    /// Rows of another width, the codec's own.
    fn encode_pull(&self, x: ArrayView2<f64>, u: ArrayView2<f64>) -> Result<Array2<f64>>;

    /// The product of the transposed Jacobian of D at z with a cotangent u, row by row.
    ///
    /// # Errors
    /// Rows of another width, the codec's own.
    fn decode_pull(&self, z: ArrayView2<f64>, u: ArrayView2<f64>) -> Result<Array2<f64>>;
}

/// Samples are their own codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// Numbers in a sample.
    pub dims: usize,
}

impl Codec for Identity {
    fn dims(&self) -> usize {
        self.dims
    }

    fn codes(&self) -> usize {
        self.dims
    }

    fn encode(&self, x: ArrayView2<f64>) -> Result<Array2<f64>> {
        Ok(x.to_owned())
    }

    fn decode(&self, z: ArrayView2<f64>) -> Result<Array2<f64>> {
        Ok(z.to_owned())
    }

    fn encode_pull(&self, _: ArrayView2<f64>, u: ArrayView2<f64>) -> Result<Array2<f64>> {
        Ok(u.to_owned())
    }

    fn decode_pull(&self, _: ArrayView2<f64>, u: ArrayView2<f64>) -> Result<Array2<f64>> {
        Ok(u.to_owned())
    }
}

/// Coordinates along principal axes, all divided by one number, so that their mean variance is 1.
#[derive(Debug, Clone, PartialEq)]
pub struct LinearCodec {
    mean: Array1<f64>,
    /// Numbers x codes, orthonormal columns.
    axes: Array2<f64>,
    scale: f64,
}

impl LinearCodec {
    /// The `codes` strongest axes of rows.
    ///
    /// # Errors
    /// No row, values that are not finite, no code or more than there are columns, rows that are all alike.
    pub fn fit(rows: ArrayView2<f64>, codes: usize) -> Result<Self> {
        let pca = Pca::fit(rows, codes)?;
        let scale = (pca.variances.iter().sum::<f64>() / codes as f64).sqrt();
        if pca.variances.len() != codes || scale <= 0.0 {
            let got = format!("{} rows that vary in {} directions", rows.nrows(), pca.variances.len());
            return Err(Error::input("codes", got, format!("rows that vary in {codes}, or fewer codes")));
        }
        Ok(LinearCodec { mean: pca.mean.into(), axes: pca.components, scale })
    }
}

impl Codec for LinearCodec {
    fn dims(&self) -> usize {
        self.axes.nrows()
    }

    fn codes(&self) -> usize {
        self.axes.ncols()
    }

    fn encode(&self, x: ArrayView2<f64>) -> Result<Array2<f64>> {
        check_dims(self.dims(), x)?;
        Ok((&x - &self.mean).dot(&self.axes) / self.scale)
    }

    fn decode(&self, z: ArrayView2<f64>) -> Result<Array2<f64>> {
        check_dims(self.codes(), z)?;
        Ok(self.scale * z.dot(&self.axes.t()) + &self.mean)
    }

    fn encode_pull(&self, _: ArrayView2<f64>, u: ArrayView2<f64>) -> Result<Array2<f64>> {
        check_dims(self.codes(), u)?;
        Ok(u.dot(&self.axes.t()) / self.scale)
    }

    fn decode_pull(&self, _: ArrayView2<f64>, u: ArrayView2<f64>) -> Result<Array2<f64>> {
        check_dims(self.dims(), u)?;
        Ok(self.scale * u.dot(&self.axes))
    }
}
