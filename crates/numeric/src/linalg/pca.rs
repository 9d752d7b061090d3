//! Principal components.

use super::products::{centred_gram, centred_gram_f32};
use super::{product, right_axes, symmetric_eigen};
use crate::prepare;
use ndarray::{Array2, ArrayView2, s};
use quadrat_core::{Error, Result};

fn check_dims<T: Copy + Into<f64> + Sync>(x: ArrayView2<T>, dims: usize) -> Result<()> {
    prepare::check("points", x)?;
    if dims == 0 || dims > x.ncols() {
        return Err(Error::input("dimensions", dims, format!("use 1 to {}, the number of columns", x.ncols())));
    }
    Ok(())
}

/// Principal components.
#[derive(Debug, Clone, PartialEq)]
pub struct Pca {
    /// The mean row.
    pub mean: Vec<f64>,
    /// Columns x dims: orthonormal directions, strongest first, the entry of largest magnitude positive.
    pub components: Array2<f64>,
    /// Variance along each (divided by rows - 1), largest first.
    pub variances: Vec<f64>,
    /// Sum of the variances of all columns.
    pub total_variance: f64,
}

impl Pca {
    /// The `dims` strongest directions of the rows of `x`.
    ///
    /// Cost: rows x columns^2 + columns^3; rows^2 x columns where there are fewer rows than columns.
    ///
    /// # Errors
    /// `x` without rows or columns or with a value that is not finite; `dims` outside 1..=columns.
    ///
    /// ```
    /// use ndarray::array;
    /// let pca = quadrat_numeric::linalg::Pca::fit(array![[0.0, 0.0], [2.0, 2.0], [4.0, 4.0]].view(), 1)?;
    /// assert!((pca.variances[0] - 8.0).abs() < 1e-12);
    /// # Ok::<(), quadrat_core::Error>(())
    /// ```
    pub fn fit(x: ArrayView2<f64>, dims: usize) -> Result<Pca> {
        check_dims(x, dims)?;
        let (n, d) = x.dim();
        let mean = prepare::column_means(x);
        if n < d && dims <= n {
            let centred = &x - &ndarray::ArrayView1::from(&mean);
            let (values, vectors) = right_axes(centred.view())?;
            let values: Vec<f64> = values.iter().map(|v| v / (n.max(2) - 1) as f64).collect();
            let total_variance = values.iter().sum();
            return Ok(Pca::of(mean, values, vectors, dims, total_variance));
        }
        let gram = centred_gram(x, None, Some(&mean));
        Pca::of_gram(mean, gram, n, dims)
    }

    /// As [`Pca::fit`] for rows in single precision, in about half the time: blocks of rows are multiplied in single
    /// precision, once for each pair of columns, and added in double, so that variances are right to about 1e-6.
    ///
    /// # Errors
    /// As [`Pca::fit`].
    pub fn fit_f32(x: ArrayView2<f32>, dims: usize) -> Result<Pca> {
        check_dims(x, dims)?;
        let mean = prepare::column_means(x);
        let gram = centred_gram_f32(x, &mean);
        Pca::of_gram(mean, gram, x.nrows(), dims)
    }

    fn of_gram(mean: Vec<f64>, gram: Array2<f64>, rows: usize, dims: usize) -> Result<Pca> {
        let covariance = gram / (rows.max(2) - 1) as f64;
        let (values, vectors) = symmetric_eigen(covariance.view())?;
        Ok(Pca::of(mean, values, vectors, dims, covariance.diag().sum()))
    }

    fn of(mean: Vec<f64>, mut values: Vec<f64>, vectors: Array2<f64>, dims: usize, total_variance: f64) -> Pca {
        values.truncate(dims);
        values.iter_mut().for_each(|v| *v = v.max(0.0));
        Pca { mean, components: vectors.slice(s![.., ..dims]).to_owned(), variances: values, total_variance }
    }

    /// Coordinates of rows along the components: rows x dims.
    ///
    /// # Errors
    /// Rows of another width.
    pub fn transform(&self, x: ArrayView2<f64>) -> Result<Array2<f64>> {
        let mut coordinates = product(x, self.components.view())?;
        let offset = ndarray::ArrayView1::from(&self.mean).dot(&self.components);
        coordinates.outer_iter_mut().for_each(|mut row| row -= &offset);
        Ok(coordinates)
    }
}
