//! DPS and PSLD: a step of the solver, and then one down a gradient that was taken before it.

use super::{Place, Run};
use crate::{Denoiser, Level, Path, Prediction};
use ndarray::{Array1, Array2, ArrayView2, Axis};
use quadrat_core::Result;
use quadrat_numeric::operator::{forward, lengths};

/// A step from z, and -= ∇(ω |y - A D(z̄)| + γ |E(D(z̄) + A⁺(y - A D(z̄))) - z̄|) of z. Returns z̄.
pub(super) fn step(run: &Run, path: &mut Path, at: &Place, [omega, gamma]: [f64; 2]) -> Result<Array2<f64>> {
    let before = path.state().clone();
    let (data, gradient) = run.pull(before.view(), at, &mut |data| {
        let left = run.left(data.view())?;
        let mut u = run.slope(data.view(), directions(&left, omega).view())?;
        if gamma > 0.0 {
            u += &glue(run, data, &left, gamma)?;
        }
        Ok(u)
    })?;
    path.step(&Known { run, before: &before, data: &data })?;
    *path.state_mut() -= &gradient;
    Ok(data)
}

/// ∇ γ |E(D(z̄) + A⁺(y - A D(z̄))) - z̄| of z̄.
fn glue(run: &Run, codes: &Array2<f64>, left: &Array2<f64>, gamma: f64) -> Result<Array2<f64>> {
    let (codec, op) = (run.problem.codec, run.op());
    let glued = codec.decode(codes.view())? + op.pseudo_inverse(left.view())?;
    let off = directions(&(codec.encode(glued.view())? - codes), gamma);
    // I - A⁺A is symmetric.
    let back = codec.encode_pull(glued.view(), off.view())?;
    let unseen = &back - &op.pseudo_inverse(forward(op, back.view())?.view())?;
    Ok(codec.decode_pull(codes.view(), unseen.view())? - off)
}

/// Rows scaled to the length `weight`: the derivative of that times their length. 0 where they are 0.
fn directions(rows: &Array2<f64>, weight: f64) -> Array2<f64> {
    let scale: Array1<f64> = lengths(rows.view()).mapv(|length| if length > 0.0 { weight / length } else { 0.0 });
    rows * &scale.insert_axis(Axis(1))
}

/// The model, which is not asked again for what the gradient's pass has told already.
struct Known<'a> {
    run: &'a Run<'a>,
    before: &'a Array2<f64>,
    data: &'a Array2<f64>,
}

impl Denoiser for Known<'_> {
    fn dims(&self) -> usize {
        self.run.dims()
    }

    fn prediction(&self) -> Prediction {
        Prediction::Data
    }

    fn predict(&self, x: ArrayView2<f64>, at: &Level) -> Result<Array2<f64>> {
        if x == self.before { Ok(self.data.clone()) } else { self.run.predict(x, at) }
    }
}
