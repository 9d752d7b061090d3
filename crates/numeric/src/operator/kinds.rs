//! The operators that have a name.

use super::{LinearOp, check_width};
use ndarray::{Array2, ArrayView2};
use quadrat_core::{Error, Result};

/// A matrix.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix(Array2<f64>);

impl Matrix {
    /// The operator of a matrix of measurements x numbers.
    ///
    /// # Errors
    /// No row or column, values that are not finite.
    pub fn new(matrix: Array2<f64>) -> Result<Self> {
        if matrix.is_empty() || matrix.iter().any(|v| !v.is_finite()) {
            let got = format!("{} x {} numbers", matrix.nrows(), matrix.ncols());
            return Err(Error::input("matrix", got, "at least one row and column, all values finite"));
        }
        Ok(Matrix(matrix))
    }
}

impl LinearOp for Matrix {
    fn inputs(&self) -> usize {
        self.0.ncols()
    }

    fn outputs(&self) -> usize {
        self.0.nrows()
    }

    fn forward(&self, x: ArrayView2<f64>) -> Result<Array2<f64>> {
        check_width(self.inputs(), x)?;
        Ok(x.dot(&self.0.t()))
    }

    fn adjoint(&self, y: ArrayView2<f64>) -> Result<Array2<f64>> {
        check_width(self.outputs(), y)?;
        Ok(y.dot(&self.0))
    }
}

/// Some of the numbers are seen, and the others are not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mask {
    inputs: usize,
    kept: Vec<usize>,
}

impl Mask {
    /// The numbers `kept` of `inputs`, in this order.
    ///
    /// # Errors
    /// None kept, a number that there is not, or one twice.
    pub fn new(inputs: usize, kept: Vec<usize>) -> Result<Self> {
        let mut seen = vec![false; inputs];
        for place in &kept {
            if *place >= inputs {
                let want = format!("numbers below {inputs}, the width of a sample (they count from 0)");
                return Err(Error::input("mask", place, want));
            }
            if std::mem::replace(&mut seen[*place], true) {
                return Err(Error::input("mask", format!("{place} twice"), "each number once"));
            }
        }
        if kept.is_empty() {
            return Err(Error::input("mask", "nothing kept", "at least one number"));
        }
        Ok(Mask { inputs, kept })
    }
}

impl LinearOp for Mask {
    fn inputs(&self) -> usize {
        self.inputs
    }

    fn outputs(&self) -> usize {
        self.kept.len()
    }

    fn forward(&self, x: ArrayView2<f64>) -> Result<Array2<f64>> {
        check_width(self.inputs, x)?;
        Ok(Array2::from_shape_fn((x.nrows(), self.kept.len()), |(i, j)| x[[i, self.kept[j]]]))
    }

    fn adjoint(&self, y: ArrayView2<f64>) -> Result<Array2<f64>> {
        check_width(self.outputs(), y)?;
        let mut x = Array2::zeros((y.nrows(), self.inputs));
        for ((i, j), v) in y.indexed_iter() {
            x[[i, self.kept[j]]] = *v;
        }
        Ok(x)
    }

    fn norm(&self) -> Result<f64> {
        Ok(1.0)
    }

    fn pseudo_inverse(&self, y: ArrayView2<f64>) -> Result<Array2<f64>> {
        self.adjoint(y)
    }
}

/// One matrix along the columns and one along the rows of each channel of an image: means of blocks, blurs.
///
/// Samples are images of channels x height x width, in that order.
#[derive(Debug, Clone, PartialEq)]
pub struct Separable {
    channels: usize,
    /// Height of a measurement x height of an image, and the same for widths.
    down: Array2<f64>,
    across: Array2<f64>,
}

impl Separable {
    /// The means of blocks of `factor` x `factor` pixels.
    ///
    /// # Errors
    /// A side of 0, a factor of 0 or that does not divide height and width.
    pub fn downsample([channels, height, width]: [usize; 3], factor: usize) -> Result<Self> {
        check_shape([channels, height, width])?;
        if factor == 0 {
            return Err(Error::input("factor of downsampling", 0, "at least 1"));
        }
        if let Some(side) = [height, width].into_iter().find(|side| !side.is_multiple_of(factor)) {
            let near = ((side + factor / 2) / factor).max(1) * factor;
            let want = format!("a multiple of {factor}: crop or fill to {near}, the nearest, or take another factor");
            return Err(Error::input("side of the images", side, want));
        }
        let means = |side: usize| {
            Array2::from_shape_fn(
                (side / factor, side),
                |(i, j)| if j / factor == i { 1.0 / factor as f64 } else { 0.0 },
            )
        };
        Ok(Separable { channels, down: means(height), across: means(width) })
    }

    /// A normal blur of standard deviation `deviation` in pixels, cut off at four of them. Beyond the edges the pixels at the edge go on;
    /// the adjoint is exact there too.
    ///
    /// # Errors
    /// A side of 0, a deviation not above 0.
    pub fn blur([channels, height, width]: [usize; 3], deviation: f64) -> Result<Self> {
        check_shape([channels, height, width])?;
        if !(deviation > 0.0 && deviation.is_finite()) {
            return Err(Error::input("deviation of the blur", deviation, "a finite number of pixels above 0"));
        }
        Ok(Separable { channels, down: smear(height, deviation), across: smear(width, deviation) })
    }

    /// One matrix on the columns and one on the rows of each image.
    fn apply(&self, rows: ArrayView2<f64>, down: ArrayView2<f64>, across: ArrayView2<f64>) -> Result<Array2<f64>> {
        let (height, width) = (down.ncols(), across.ncols());
        check_width(self.channels * height * width, rows)?;
        let size = down.nrows() * across.nrows();
        let mut out = Array2::zeros((rows.nrows(), self.channels * size));
        for (row, mut out) in rows.outer_iter().zip(out.outer_iter_mut()) {
            let row = row.to_vec();
            for (image, place) in row.chunks(height * width).zip(0..) {
                let image = ArrayView2::from_shape((height, width), image).map_err(misfit)?;
                let made = down.dot(&image).dot(&across.t());
                out.iter_mut().skip(place * size).zip(&made).for_each(|(out, v)| *out = *v);
            }
        }
        Ok(out)
    }
}

fn misfit(error: ndarray::ShapeError) -> Error {
    Error::numeric("operator", error.to_string())
}

fn check_shape(shape: [usize; 3]) -> Result<()> {
    if shape.contains(&0) {
        return Err(Error::input("images", format!("{shape:?}"), "channels, height and width of at least 1"));
    }
    Ok(())
}

/// The matrix of a normal blur along one side.
fn smear(side: usize, deviation: f64) -> Array2<f64> {
    let reach = (4.0 * deviation).ceil().min(4.0 * side as f64) as i64;
    let weight = |by: i64| (-0.5 * (by as f64 / deviation).powi(2)).exp();
    let total: f64 = (-reach..=reach).map(weight).sum();
    let mut matrix = Array2::zeros((side, side));
    for (i, by) in (0..side as i64).flat_map(|i| (-reach..=reach).map(move |by| (i, by))) {
        let from = (i + by).clamp(0, side as i64 - 1);
        matrix[[i as usize, from as usize]] += weight(by) / total;
    }
    matrix
}

impl LinearOp for Separable {
    fn inputs(&self) -> usize {
        self.channels * self.down.ncols() * self.across.ncols()
    }

    fn outputs(&self) -> usize {
        self.channels * self.down.nrows() * self.across.nrows()
    }

    fn forward(&self, x: ArrayView2<f64>) -> Result<Array2<f64>> {
        self.apply(x, self.down.view(), self.across.view())
    }

    fn adjoint(&self, y: ArrayView2<f64>) -> Result<Array2<f64>> {
        self.apply(y, self.down.t(), self.across.t())
    }
}

/// Operators one after the other.
pub struct Composed(Vec<Box<dyn LinearOp>>);

impl Composed {
    /// The first acts first.
    ///
    /// # Errors
    /// No operator, or one that does not take what the one before gives.
    pub fn new(operators: Vec<Box<dyn LinearOp>>) -> Result<Self> {
        if operators.is_empty() {
            return Err(Error::input("operators", "none", "at least one"));
        }
        if let Some(pair) = operators.windows(2).find(|pair| pair[0].outputs() != pair[1].inputs()) {
            let got = format!("one of {} outputs before one of {} inputs", pair[0].outputs(), pair[1].inputs());
            return Err(Error::input("operators", got, "each to take what the one before gives"));
        }
        Ok(Composed(operators))
    }
}

impl LinearOp for Composed {
    fn inputs(&self) -> usize {
        self.0.first().map_or(0, |op| op.inputs())
    }

    fn outputs(&self) -> usize {
        self.0.last().map_or(0, |op| op.outputs())
    }

    fn forward(&self, x: ArrayView2<f64>) -> Result<Array2<f64>> {
        self.0.iter().try_fold(x.to_owned(), |x, op| super::forward(op.as_ref(), x.view()))
    }

    fn adjoint(&self, y: ArrayView2<f64>) -> Result<Array2<f64>> {
        self.0.iter().rev().try_fold(y.to_owned(), |y, op| super::adjoint(op.as_ref(), y.view()))
    }
}
