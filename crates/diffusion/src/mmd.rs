//! The maximum mean discrepancy between two samples, with its gradient; and networks finetuned by it for few steps.
//!
//! MMD² = E k(x, x') + E k(y, y') - 2 E k(x, y) is 0 for equal laws. The estimate here leaves each row's pair with itself out (Gretton et
//! al., JMLR 13, 2012, lemma 6), so that it is unbiased: for equal laws its mean is 0 and it is often below. It is not cut off at 0, and
//! pairs of a row with itself are not counted, since both would reward samples that huddle together.
//!
//! What a kernel sees is another matter: one of degree 3 compares moments up to the third and nothing else.

mod features;
#[cfg(feature = "networks")]
mod finetune;
#[cfg(feature = "networks")]
mod unrolled;

pub use features::{Features, Fourier, Identity, features_fn};
#[cfg(feature = "networks")]
pub use finetune::{Finetuned, KernelKind, MmdFinetune};

use ndarray::{Array1, Array2, ArrayView2, Axis, s};
use quadrat_core::{Error, Result, stats};
use quadrat_numeric::check_finite;
use quadrat_numeric::linalg::product;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// What two rows are compared by.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kernel {
    /// (γ ⟨u, v⟩ + c)^degree: compares moments up to that degree.
    Poly {
        /// The degree, from 1.
        degree: u32,
        /// γ.
        gamma: f64,
        /// c.
        offset: f64,
    },
    /// Σ exp(-|u - v|² / 2w²) over the widths w: tells any two laws apart.
    Rbf {
        /// The widths.
        widths: Vec<f64>,
    },
    /// -|u - v|: MMD² is the energy distance. It tells any two laws apart, and has no width to choose.
    Energy,
}

/// Widths of the bank, as multiples of the median distance.
const BANK: [f64; 4] = [0.5, 1.0, 2.0, 4.0];
/// Rows that the median distance is taken over, at most.
const MEDIAN_ROWS: usize = 1000;
/// Rows of either side that are compared at a time.
const BLOCK: usize = 256;

impl Kernel {
    /// (⟨u, v⟩ / columns + 1)^degree; with degree 3 the kernel inception distance's (Bińkowski et al. 2018).
    pub fn poly(degree: u32, columns: usize) -> Self {
        Kernel::Poly { degree, gamma: 1.0 / columns.max(1) as f64, offset: 1.0 }
    }

    /// ⟨u, v⟩ / columns: compares means.
    pub fn linear(columns: usize) -> Self {
        Kernel::Poly { degree: 1, gamma: 1.0 / columns.max(1) as f64, offset: 0.0 }
    }

    /// A bank of four widths: 0.5, 1, 2 and 4 times the median distance between rows (at most 1,000 of them, evenly spaced).
    ///
    /// # Errors
    /// Fewer than two rows, values that are not finite, or most rows alike.
    pub fn rbf(rows: ArrayView2<f64>) -> Result<Self> {
        check_finite("rows", rows)?;
        let n = rows.nrows();
        let some: Vec<usize> =
            if n <= MEDIAN_ROWS { (0..n).collect() } else { (0..MEDIAN_ROWS).map(|i| i * n / MEDIAN_ROWS).collect() };
        let distance = |i: usize, j: usize| {
            let pair = rows.row(i).into_iter().zip(rows.row(j));
            pair.map(|(a, b)| (a - b) * (a - b)).sum::<f64>().sqrt()
        };
        let each = |(at, i): (usize, &usize)| some[..at].iter().map(|j| distance(*i, *j)).collect::<Vec<f64>>();
        let distances: Vec<f64> = some.par_iter().enumerate().flat_map_iter(each).collect();
        let median = if distances.is_empty() { 0.0 } else { stats::median(&distances) };
        if !(median > 0.0 && median.is_finite()) {
            let want = "rows with a median distance above 0: the kernel's widths are multiples of it";
            return Err(Error::input("rows", format!("{n} with a median distance of {median}"), want));
        }
        Ok(Kernel::Rbf { widths: BANK.map(|factor| factor * median).to_vec() })
    }

    fn check(&self) -> Result<()> {
        match self {
            Kernel::Poly { degree: 0, .. } => Err(Error::input("degree", 0, "at least 1")),
            Kernel::Poly { gamma, offset, .. } if !(*gamma > 0.0 && gamma.is_finite() && offset.is_finite()) => {
                let got = format!("gamma {gamma}, offset {offset}");
                Err(Error::input("kernel", got, "a gamma above 0 and an offset, both finite"))
            }
            Kernel::Rbf { widths } if widths.is_empty() || !widths.iter().all(|w| *w > 0.0 && w.is_finite()) => {
                Err(Error::input("widths", format!("{widths:?}"), "at least one finite number above 0"))
            }
            _ => Ok(()),
        }
    }

    /// Whether it depends on u - v alone.
    fn is_of_differences(&self) -> bool {
        !matches!(self, Kernel::Poly { .. })
    }

    /// k and its slope by ⟨u, v⟩, lengths held: the gradient at u is slope · v, for kernels of differences slope · (v - u).
    fn of(&self, product: f64, lengths: f64) -> (f64, f64) {
        match self {
            Kernel::Poly { degree, gamma, offset } => {
                let base = gamma * product + offset;
                let power = base.powi(*degree as i32 - 1);
                (power * base, f64::from(*degree) * gamma * power)
            }
            Kernel::Rbf { widths } => {
                let half = (0.5 * lengths - product).max(0.0);
                widths.iter().fold((0.0, 0.0), |(sum, slope), w| {
                    let k = (-half / (w * w)).exp();
                    (sum + k, slope + k / (w * w))
                })
            }
            Kernel::Energy => {
                let square = lengths - 2.0 * product;
                // Rows that differ by rounding alone are the same, and have no direction.
                let distance = if square > 1e-14 * lengths { square.sqrt() } else { 0.0 };
                (-distance, if distance > 0.0 { 1.0 / distance } else { 0.0 })
            }
        }
    }
}

/// The unbiased MMD² between the rows of `x` and of `y`, and its gradient at `x`. The numbers of rows may differ; the value may be
/// below 0.
///
/// Cost: three products of all rows with all rows; memory a block of 256 x 256 for each thread, and the gradient.
///
/// # Errors
/// Fewer than two rows on a side, columns that differ or are none, values that are not finite, a kernel that is none.
///
/// ```
/// use ndarray::array;
/// use quadrat_diffusion::mmd::{Kernel, mmd2};
/// // Means 1 and 2 apart: (1 - 2)², less what the rows' own spread adds to the square of a mean.
/// let (x, y) = (array![[0.0], [2.0]], array![[1.0], [3.0]]);
/// let (value, gradient) = mmd2(x.view(), y.view(), &Kernel::linear(1))?;
/// assert_eq!(value, 0.0 * 2.0 + 1.0 * 3.0 - 2.0 * 1.0 * 2.0);
/// assert_eq!(gradient, array![[2.0 - 2.0], [0.0 - 2.0]]);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
pub fn mmd2(x: ArrayView2<f64>, y: ArrayView2<f64>, kernel: &Kernel) -> Result<(f64, Array2<f64>)> {
    kernel.check()?;
    for (what, rows) in [("x", x), ("y", y)] {
        if rows.nrows() < 2 {
            return Err(Error::input(what, format!("{} rows", rows.nrows()), "at least 2: pairs of rows are compared"));
        }
        check_finite(what, rows)?;
    }
    if x.ncols() != y.ncols() || x.ncols() == 0 {
        let got = format!("{} and {} columns", x.ncols(), y.ncols());
        return Err(Error::input("rows to compare", got, "as many on both sides, at least 1"));
    }
    let (n, m) = (x.nrows() as f64, y.nrows() as f64);
    // Differences do not change when both sides are moved, and lose fewer digits near 0.
    let centre = match kernel.is_of_differences() {
        true => y.mean_axis(Axis(0)).unwrap_or_default(),
        false => Array1::zeros(x.ncols()),
    };
    let (x, y) = (&x - &centre, &y - &centre);
    let (within_x, mut gradient) = pairs(&x, None, kernel)?;
    let (within_y, _) = pairs(&y, None, kernel)?;
    let (between, across) = pairs(&x, Some(&y), kernel)?;
    gradient *= 2.0 / (n * (n - 1.0));
    gradient.scaled_add(-2.0 / (n * m), &across);
    Ok((within_x / (n * (n - 1.0)) + within_y / (m * (m - 1.0)) - 2.0 * between / (n * m), gradient))
}

/// Σ k(uᵢ, vⱼ) over all pairs, and the gradient at u, v held. Without a v of its own it is u, less each row's pair with itself.
fn pairs(u: &Array2<f64>, v: Option<&Array2<f64>>, kernel: &Kernel) -> Result<(f64, Array2<f64>)> {
    let (same, v) = (v.is_none(), v.unwrap_or(u));
    let squares = |rows: &Array2<f64>| rows.outer_iter().map(|row| row.dot(&row)).collect::<Vec<f64>>();
    let (of_u, of_v) = (squares(u), squares(v));
    let block = |first: usize| -> Result<(f64, Array2<f64>)> {
        let rows = u.slice(s![first..u.nrows().min(first + BLOCK), ..]);
        let mut gradient = Array2::zeros(rows.raw_dim());
        let (mut total, mut slopes) = (0.0, vec![0.0; rows.nrows()]);
        for second in (0..v.nrows()).step_by(BLOCK) {
            let others = v.slice(s![second..v.nrows().min(second + BLOCK), ..]);
            let mut products = product(rows, others.t())?;
            for (i, mut row) in products.outer_iter_mut().enumerate() {
                for (j, entry) in row.iter_mut().enumerate() {
                    if same && first + i == second + j {
                        *entry = 0.0;
                        continue;
                    }
                    let (value, slope) = kernel.of(*entry, of_u[first + i] + of_v[second + j]);
                    total += value;
                    slopes[i] += slope;
                    *entry = slope;
                }
            }
            gradient += &product(products.view(), others)?;
        }
        if kernel.is_of_differences() {
            for (i, mut row) in gradient.outer_iter_mut().enumerate() {
                row.scaled_add(-slopes[i], &rows.row(i));
            }
        }
        Ok((total, gradient))
    };
    let firsts: Vec<usize> = (0..u.nrows()).step_by(BLOCK).collect();
    let blocks = firsts.par_iter().map(|first| block(*first)).collect::<Result<Vec<_>>>()?;
    let mut gradient = Array2::zeros(u.raw_dim());
    let mut total = 0.0;
    for (first, (sum, part)) in firsts.iter().zip(blocks) {
        total += sum;
        gradient.slice_mut(s![*first..first + part.nrows(), ..]).assign(&part);
    }
    Ok((total, gradient))
}

#[cfg(test)]
mod tests;
