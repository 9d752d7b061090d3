//! What was measured of a sample: linear operators y = A x, with their adjoints.
//!
//! An operator is a forward map and its adjoint on batches of rows; neither needs a matrix. The adjoint is no inverse (for the mean of
//! four pixels A Aᵀ = I/4), so methods that want one take [`LinearOp::pseudo_inverse`].

mod kinds;

pub use kinds::{Composed, Mask, Matrix, Separable};

use ndarray::{Array1, Array2, ArrayView2, Axis};
use quadrat_core::{Error, Result, Seed};

/// A linear operator on rows.
///
/// One row's answer must not depend on the other rows.
pub trait LinearOp: Sync {
    /// Numbers in a sample.
    fn inputs(&self) -> usize;

    /// Numbers in a measurement.
    fn outputs(&self) -> usize;

    /// A x of each row: rows x outputs.
    ///
    /// # Errors
    /// Rows of another width, the operator's own.
    fn forward(&self, x: ArrayView2<f64>) -> Result<Array2<f64>>;

    /// Aᵀ y of each row: rows x inputs.
    ///
    /// # Errors
    /// Rows of another width, the operator's own.
    fn adjoint(&self, y: ArrayView2<f64>) -> Result<Array2<f64>>;

    /// The largest singular value, by at most 200 rounds of the power method: right to about 1e-6 unless the next one is very near, and
    /// never too large.
    ///
    /// # Errors
    /// The operator's own, an answer of the wrong shape or that is not finite.
    fn norm(&self) -> Result<f64> {
        let mut rng = Seed(0).stream("norm").rng(0);
        let mut x = Array2::from_shape_simple_fn((1, self.inputs()), || rng.normal());
        let mut before = 0.0;
        for _ in 0..200 {
            let length = lengths(x.view())[0];
            if length == 0.0 {
                return Ok(0.0);
            }
            x /= length;
            let y = forward(self, x.view())?;
            let found = lengths(y.view())[0];
            if (found - before).abs() <= 1e-12 * found {
                return Ok(found);
            }
            before = found;
            x = adjoint(self, y.view())?;
        }
        Ok(before)
    }

    /// A⁺ y of each row, the shortest x that comes nearest to y: conjugate gradients, a forward map and an adjoint each round, at most
    /// twice as many rounds as there are outputs.
    ///
    /// Of operators with small singular values (blurs) it multiplies noise; [`least_squares`] stops before.
    ///
    /// # Errors
    /// The operator's own, an answer of the wrong shape or that is not finite.
    fn pseudo_inverse(&self, y: ArrayView2<f64>) -> Result<Array2<f64>> {
        least_squares(self, y, 0.0)
    }
}

/// For each row of `y` a short x with |A x - y| at most `misfit` if there is one, else with the least: conjugate gradients on the normal
/// equations from 0 (CGLS, Hestenes and Stiefel 1952), stopped by the discrepancy principle.
///
/// # Errors
/// The operator's own, an answer of the wrong shape or that is not finite.
pub fn least_squares<A: LinearOp + ?Sized>(op: &A, y: ArrayView2<f64>, misfit: f64) -> Result<Array2<f64>> {
    let mut x = Array2::zeros((y.nrows(), op.inputs()));
    let mut left = y.to_owned();
    let mut slope = adjoint(op, y)?;
    let mut towards = slope.clone();
    let mut size = lengths(slope.view());
    let enough = 1e-14 * &size;
    for _ in 0..2 * op.outputs() + 2 {
        let off = lengths(left.view());
        let busy: Vec<bool> = (0..y.nrows()).map(|i| size[i] > enough[i] && off[i] > misfit).collect();
        if !busy.contains(&true) {
            break;
        }
        let moved = forward(op, towards.view())?;
        let through = lengths(moved.view());
        for i in (0..y.nrows()).filter(|i| busy[*i] && through[*i] > 0.0) {
            let step = (size[i] / through[i]).powi(2);
            x.row_mut(i).scaled_add(step, &towards.row(i));
            left.row_mut(i).scaled_add(-step, &moved.row(i));
        }
        slope = adjoint(op, left.view())?;
        let next = lengths(slope.view());
        for i in (0..y.nrows()).filter(|i| busy[*i]) {
            let kept = (next[i] / size[i]).powi(2);
            towards.row_mut(i).mapv_inplace(|v| v * kept);
            towards.row_mut(i).scaled_add(1.0, &slope.row(i));
        }
        size = next;
    }
    Ok(x)
}

/// The operator that a forward map and its adjoint are.
///
/// ```
/// use ndarray::{Array2, ArrayView2, Axis, array};
/// use quadrat_numeric::operator::{LinearOp, operator_fn};
/// // The sum of three numbers.
/// let sum = operator_fn(3, 1, |x: ArrayView2<f64>| Ok(x.sum_axis(Axis(1)).insert_axis(Axis(1))), |y: ArrayView2<f64>| {
///     Ok(Array2::from_shape_fn((y.nrows(), 3), |(i, _)| y[[i, 0]]))
/// });
/// assert!((sum.norm()? - 3f64.sqrt()).abs() < 1e-9);
/// assert!((sum.pseudo_inverse(array![[6.0]].view())?[[0, 2]] - 2.0).abs() < 1e-12);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
pub fn operator_fn<F, G>(inputs: usize, outputs: usize, forward: F, adjoint: G) -> FromFns<F, G>
where
    F: Fn(ArrayView2<f64>) -> Result<Array2<f64>> + Sync,
    G: Fn(ArrayView2<f64>) -> Result<Array2<f64>> + Sync,
{
    FromFns { inputs, outputs, forward, adjoint }
}

/// An operator that is two closures.
pub struct FromFns<F, G> {
    inputs: usize,
    outputs: usize,
    forward: F,
    adjoint: G,
}

impl<F, G> LinearOp for FromFns<F, G>
where
    F: Fn(ArrayView2<f64>) -> Result<Array2<f64>> + Sync,
    G: Fn(ArrayView2<f64>) -> Result<Array2<f64>> + Sync,
{
    fn inputs(&self) -> usize {
        self.inputs
    }

    fn outputs(&self) -> usize {
        self.outputs
    }

    fn forward(&self, x: ArrayView2<f64>) -> Result<Array2<f64>> {
        check_width(self.inputs, x)?;
        (self.forward)(x)
    }

    fn adjoint(&self, y: ArrayView2<f64>) -> Result<Array2<f64>> {
        check_width(self.outputs, y)?;
        (self.adjoint)(y)
    }
}

/// That an operator is linear and its adjoint is its own: ⟨A x, u⟩ = ⟨x, Aᵀ u⟩ for two pairs of random rows, and A 0 = 0. A wrong
/// adjoint leads astray without a word otherwise.
///
/// # Errors
/// What is wrong with it, and what it says itself.
pub fn check_operator<A: LinearOp + ?Sized>(op: &A) -> Result<()> {
    if op.inputs() == 0 || op.outputs() == 0 {
        let got = format!("{} inputs, {} outputs", op.inputs(), op.outputs());
        return Err(Error::input("operator", got, "at least one of each"));
    }
    let mut rng = Seed(0).stream("operator").rng(0);
    let x = Array2::from_shape_simple_fn((2, op.inputs()), || rng.normal());
    let u = Array2::from_shape_simple_fn((2, op.outputs()), || rng.normal());
    if forward(op, Array2::zeros(x.raw_dim()).view())?.iter().any(|v| *v != 0.0) {
        let want = "a linear one: subtract A 0 from the map and from the measurement";
        return Err(Error::input("operator", "a map that makes something of 0", want));
    }
    let (through, back) = (forward(op, x.view())?, adjoint(op, u.view())?);
    for i in 0..2 {
        let [left, right] = [through.row(i).dot(&u.row(i)), x.row(i).dot(&back.row(i))];
        let scale = lengths(through.view())[i] * lengths(u.view())[i];
        if (left - right).abs() > 1e-6 * scale.max(f64::MIN_POSITIVE) {
            let got = format!("⟨A x, u⟩ = {left:.6} and ⟨x, Aᵀ u⟩ = {right:.6} for one x and u");
            return Err(Error::input("adjoint of the operator", got, "equal numbers, as for the transposed matrix"));
        }
    }
    Ok(())
}

/// A x, once it is clear that it is a measurement.
///
/// # Errors
/// The operator's own, an answer of the wrong shape or that is not finite.
pub fn forward<A: LinearOp + ?Sized>(op: &A, x: ArrayView2<f64>) -> Result<Array2<f64>> {
    let y = op.forward(x)?;
    looked_at("forward map", y, (x.nrows(), op.outputs()))
}

/// Aᵀ y, once it is clear that it has a sample's shape.
///
/// # Errors
/// The operator's own, an answer of the wrong shape or that is not finite.
pub fn adjoint<A: LinearOp + ?Sized>(op: &A, y: ArrayView2<f64>) -> Result<Array2<f64>> {
    let x = op.adjoint(y)?;
    looked_at("adjoint", x, (y.nrows(), op.inputs()))
}

fn looked_at(what: &str, answer: Array2<f64>, shape: (usize, usize)) -> Result<Array2<f64>> {
    if answer.dim() != shape {
        let got = format!("{} x {} numbers of the {what}", answer.nrows(), answer.ncols());
        return Err(Error::input("operator", got, format!("{} x {}", shape.0, shape.1)));
    }
    match answer.outer_iter().position(|row| !row.iter().all(|v| v.is_finite())) {
        None => Ok(answer),
        Some(row) => Err(Error::numeric("operator", format!("its {what} at row {row} is not finite"))),
    }
}

/// That rows have the width that an operator takes.
///
/// # Errors
/// Both widths.
pub fn check_width(width: usize, rows: ArrayView2<f64>) -> Result<()> {
    if rows.ncols() != width {
        return Err(Error::input("operator", format!("rows of {} numbers", rows.ncols()), format!("rows of {width}")));
    }
    Ok(())
}

/// The length of each row.
pub fn lengths(rows: ArrayView2<f64>) -> Array1<f64> {
    rows.map_axis(Axis(1), |row| row.dot(&row).sqrt())
}

#[cfg(test)]
mod tests;
