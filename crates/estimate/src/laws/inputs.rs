//! Inputs with laws, independent or coupled.

use super::Law;
use ndarray::{Array2, ArrayView2};
use quadrat_core::{Error, Result};
use quadrat_numeric::linalg::cholesky;

/// Inputs of a model: their laws, and a Gaussian copula where they depend on each other.
#[derive(Debug, Clone)]
pub struct Inputs {
    laws: Vec<Law>,
    copula: Option<Copula>,
}

#[derive(Debug, Clone)]
struct Copula {
    /// L with L L^T the correlations of the scores.
    factor: Array2<f64>,
    /// L^-1 and the logarithm of its determinant.
    inverse: Array2<f64>,
    ln_det: f64,
}

impl Inputs {
    /// Independent inputs.
    ///
    /// # Errors
    /// No input, or parameters that make no law.
    pub fn independent(laws: Vec<Law>) -> Result<Inputs> {
        if laws.is_empty() {
            return Err(Error::input("inputs", 0, "give at least one law"));
        }
        laws.iter().try_for_each(|law| law.checked().map(drop))?;
        Ok(Inputs { laws, copula: None })
    }

    /// Inputs whose standard normal scores have these correlations.
    ///
    /// # Errors
    /// As [`Inputs::independent`]; a matrix of another size, that is not symmetric with ones on its diagonal, or that is
    /// not positive definite.
    pub fn correlated(laws: Vec<Law>, correlations: ArrayView2<f64>) -> Result<Inputs> {
        let mut inputs = Inputs::independent(laws)?;
        let d = inputs.dim();
        let sound = correlations.dim() == (d, d)
            && (0..d)
                .all(|i| correlations[[i, i]] == 1.0 && (0..i).all(|k| correlations[[i, k]] == correlations[[k, i]]));
        if !sound {
            let got = format!("{:?}", correlations.dim());
            let want = format!("give a symmetric {d} x {d} matrix with ones on its diagonal");
            return Err(Error::input("correlations", got, want));
        }
        let factor = cholesky(correlations)?;
        let inverse = lower_inverse(&factor);
        let ln_det = inverse.diag().iter().map(|v| v.ln()).sum();
        inputs.copula = Some(Copula { factor, inverse, ln_det });
        Ok(inputs)
    }

    /// How many.
    pub fn dim(&self) -> usize {
        self.laws.len()
    }

    /// Their laws.
    pub fn laws(&self) -> &[Law] {
        &self.laws
    }

    /// Couples independent standard normal scores, in place.
    pub(crate) fn couple(&self, scores: &mut [f64]) {
        if let Some(copula) = &self.copula {
            // From the last row up: each reads only scores that are still independent.
            for i in (0..scores.len()).rev() {
                scores[i] = (0..=i).map(|k| copula.factor[[i, k]] * scores[k]).sum();
            }
        }
    }

    /// Turns independent standard normal scores into inputs, in place.
    pub fn at_normal(&self, scores: &mut [f64]) {
        self.couple(scores);
        scores.iter_mut().zip(&self.laws).for_each(|(z, law)| *z = law.at_normal(*z));
    }

    /// The logarithm of the joint density at `x`; minus infinity outside the support.
    pub fn ln_pdf(&self, x: &[f64]) -> f64 {
        let marginal: f64 = x.iter().zip(&self.laws).map(|(x, law)| law.ln_pdf(*x)).sum();
        let Some(copula) = self.copula.as_ref().filter(|_| marginal > f64::NEG_INFINITY) else { return marginal };
        let z: Vec<f64> = x.iter().zip(&self.laws).map(|(x, law)| law.score(*x)).collect();
        let squares = copula.inverse.rows().into_iter().enumerate().map(|(i, row)| {
            let independent: f64 = row.iter().zip(&z[..=i]).map(|(l, z)| l * z).sum();
            independent * independent - z[i] * z[i]
        });
        marginal + copula.ln_det - 0.5 * squares.sum::<f64>()
    }
}

/// The inverse of a lower triangular matrix with a diagonal that is not zero.
pub(crate) fn lower_inverse(l: &Array2<f64>) -> Array2<f64> {
    let d = l.nrows();
    let mut inverse = Array2::<f64>::zeros((d, d));
    for column in 0..d {
        inverse[[column, column]] = 1.0 / l[[column, column]];
        for i in column + 1..d {
            let dot: f64 = (column..i).map(|k| l[[i, k]] * inverse[[k, column]]).sum();
            inverse[[i, column]] = -dot / l[[i, i]];
        }
    }
    inverse
}
