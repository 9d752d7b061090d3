//! What a solver leaves.

use super::field::Field;
use super::flow::Flow;
use super::pinn::squared_residuals;
use super::sampler::Points;
use super::{Domain, Pde};
use ndarray::{Array2, ArrayView2};
use quadrat_core::Result;
use quadrat_nn::{Parameters, predict, pull_back};

/// One epoch as it went.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Epoch {
    /// Steps until its end.
    pub step: usize,
    /// Mean loss.
    pub loss: f64,
    /// Mean squared residual at its points.
    pub residual: f64,
    /// The variance of the squared residual at its points over its squared mean.
    pub spread: f64,
    /// Mean square by which the boundary's conditions were missed.
    pub boundary: f64,
    /// Entropy of its points' density less that of the uniform one: 0 or below, the lower the more points crowd.
    pub entropy: f64,
    /// The share of its points that their weights left, where the density moved away from them during the epoch.
    pub effective: Option<f64>,
}

/// A solution: a function with its gradient, and how it came about.
#[derive(Debug, Clone)]
pub struct Solution {
    pub(super) domain: Domain,
    pub(super) field: Field,
    pub(super) parameters: Parameters,
    /// One entry an epoch.
    pub history: Vec<Epoch>,
    /// The points of the last epoch.
    pub points: Points,
    /// At how many points the residual was computed.
    pub evaluations: u64,
    /// The density that the points were drawn from last, if one was learnt: good points for another solver.
    pub density: Option<(Flow, Parameters)>,
}

/// How far a solution is from a known one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Errors {
    /// Mean squared error.
    pub square: f64,
    /// Root of the sum of squared errors over that of the known solution's squares.
    pub relative: f64,
    /// The largest error.
    pub largest: f64,
}

impl Solution {
    /// The domain.
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// Its values at points (rows).
    ///
    /// # Errors
    /// Points of another dimension, or not finite.
    pub fn eval(&self, x: ArrayView2<f32>) -> Result<Vec<f64>> {
        Ok(predict(&self.field, &self.parameters, x, &[])?.iter().map(|u| f64::from(*u)).collect())
    }

    /// Its gradient at points, rows x dimensions.
    ///
    /// # Errors
    /// As [`Solution::eval`].
    pub fn grad(&self, x: ArrayView2<f32>) -> Result<Array2<f32>> {
        let ones = &mut |outputs: &Array2<f32>| Ok(outputs.mapv(|_| 1.0));
        Ok(pull_back(&self.field, &self.parameters, x, ones)?.1)
    }

    /// The squared residual of the equation at points.
    ///
    /// # Errors
    /// As [`Solution::eval`], and the equation's own.
    pub fn squared_residuals(&self, pde: &dyn Pde, x: ArrayView2<f32>) -> Result<Vec<f64>> {
        squared_residuals(&self.field, &self.parameters, pde, x)
    }

    /// Its distance to the exact solution at points; none if that is not known.
    ///
    /// # Errors
    /// As [`Solution::eval`].
    pub fn errors(&self, pde: &dyn Pde, x: ArrayView2<f32>) -> Result<Option<Errors>> {
        let wide = |row: ndarray::ArrayView1<f32>| row.iter().map(|v| f64::from(*v)).collect::<Vec<f64>>();
        let Some(exact) = x.rows().into_iter().map(|row| pde.exact(&wide(row))).collect::<Option<Vec<f64>>>() else {
            return Ok(None);
        };
        let (mut square, mut size, mut largest) = (0.0, 0.0, 0.0f64);
        for (found, exact) in self.eval(x)?.into_iter().zip(&exact) {
            square += (found - exact).powi(2);
            size += exact * exact;
            largest = largest.max((found - exact).abs());
        }
        let relative = (square / size.max(f64::MIN_POSITIVE)).sqrt();
        Ok(Some(Errors { square: square / exact.len().max(1) as f64, relative, largest }))
    }

    /// The parameters of the network, for a file or a fingerprint.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }
}
