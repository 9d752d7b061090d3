//! Points with the targets' values and densities there.

use super::problem::Problem;
use ndarray::{Array2, Axis, concatenate};
use quadrat_core::{Error, Result};

/// A column of the computation: a target, or its positive or negative part.
#[derive(Clone, Copy)]
pub(super) struct Part {
    pub target: usize,
    pub sign: Option<f64>,
}

/// Evaluated points.
pub(super) struct Points {
    pub x: Array2<f64>,
    /// phi, n x J, then of the parts, n x M.
    pub y: Array2<f64>,
    /// ln f of the targets, n x J or n x 1.
    pub ln_f: Array2<f64>,
    /// For each part the column of `ln_f`.
    pub law: Vec<usize>,
}

/// Densities and values at `x`; values are asked for only where some density is positive, and are 0 elsewhere.
pub(super) fn evaluate(problem: &dyn Problem, x: Array2<f64>) -> Result<Points> {
    let (n, targets) = (x.nrows(), problem.targets());
    let ln_f = problem.ln_densities(x.view())?;
    if ln_f.nrows() != n || ![1, targets].contains(&ln_f.ncols()) {
        let got = format!("{} x {}", ln_f.nrows(), ln_f.ncols());
        return Err(Error::input("ln_densities", got, format!("return {n} x {targets}, or {n} x 1 for a shared one")));
    }
    if let Some(((row, target), ln)) = ln_f.indexed_iter().find(|(_, ln)| ln.is_nan() || **ln == f64::INFINITY) {
        let what = format!("ln f of target {} at point {}", target + 1, row + 1);
        return Err(Error::input(what, ln, "it must be finite, or minus infinity where the density is 0"));
    }
    let inside: Vec<usize> = (0..n).filter(|i| ln_f.row(*i).iter().any(|ln| *ln > f64::NEG_INFINITY)).collect();
    let values = match inside.len() {
        0 => Array2::zeros((0, targets)),
        some if some == n => problem.values(x.view())?,
        _ => problem.values(x.select(Axis(0), &inside).view())?,
    };
    if values.dim() != (inside.len(), targets) {
        let got = format!("{} x {}", values.nrows(), values.ncols());
        return Err(Error::input("values", got, format!("return {} x {targets}", inside.len())));
    }
    if let Some(((row, target), value)) = values.indexed_iter().find(|(_, value)| !value.is_finite()) {
        let at: Vec<String> = x.row(inside[row]).iter().map(|x| format!("{x:?}")).collect();
        let what = format!("phi of target {} at point {} ({})", target + 1, inside[row] + 1, at.join(", "));
        return Err(Error::input(what, value, "it must be finite"));
    }
    let mut y = Array2::zeros((n, targets));
    inside.iter().zip(values.rows()).for_each(|(i, row)| y.row_mut(*i).assign(&row));
    let law = (0..targets).map(|target| target.min(ln_f.ncols() - 1)).collect();
    Ok(Points { x, y, ln_f, law })
}

impl Points {
    /// With a column for each part in place of each target.
    pub fn split(self, parts: &[Part]) -> Points {
        let value = |(i, m): (usize, usize)| {
            let value = self.y[[i, parts[m].target]];
            parts[m].sign.map_or(value, |sign| (sign * value).max(0.0))
        };
        let y = Array2::from_shape_fn((self.y.nrows(), parts.len()), value);
        let law = parts.iter().map(|part| self.law[part.target]).collect();
        Points { y, law, ..self }
    }

    pub fn append(&mut self, other: &Points) -> Result<()> {
        for (own, new) in [(&mut self.x, &other.x), (&mut self.y, &other.y), (&mut self.ln_f, &other.ln_f)] {
            let both = concatenate(Axis(0), &[own.view(), new.view()]);
            *own = both.map_err(|e| Error::numeric("appending points", e.to_string()))?;
        }
        Ok(())
    }

    /// phi f / density for every part.
    pub fn ratios(&self, ln_density: &[f64]) -> Array2<f64> {
        let mut ratios = self.y.clone();
        for ((mut row, ln_f), ln) in ratios.rows_mut().into_iter().zip(self.ln_f.rows()).zip(ln_density) {
            for (value, law) in row.iter_mut().zip(&self.law).filter(|(value, _)| **value != 0.0) {
                *value *= (ln_f[*law] - ln).exp();
            }
        }
        ratios
    }
}
