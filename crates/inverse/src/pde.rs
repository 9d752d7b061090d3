//! Solve differential equations by networks.
//!
//! A network stands for the unknown function u on a box. What the equation says of u and its derivatives, and the conditions on the
//! boundary, are to hold at points; how far they are from that is made small by gradient steps ([`Pinn`]). No mesh is needed,
//! and ten dimensions cost five times what two do. Where u has a peak or a layer, uniform points miss it: a [`Collocation`]
//! moves them to where the equation does not hold yet. Adversarial adaptive sampling (Tang et al. 2024) draws them from a learnt
//! density ([`Flow`]), which climbs the residual while the solver pushes it down.
//!
//! A problem is a [`Pde`]: one that is [`ready`], one that was read from a file ([`Problem`]), or any other. Derivatives are carried
//! forward through the network beside its values ([`quadrat_nn::Jet`]), so that one backward pass gives the exact gradient of
//! a loss of them. All is in single precision, as networks here are.

mod adaptive;
mod domain;
mod expression;
mod field;
mod files;
mod flow;
mod formula;
mod pinn;
mod problem;
mod ready;
mod sampler;
mod solution;
#[cfg(test)]
mod tests;

pub use domain::{Domain, Face};
pub use field::Field;
pub use files::Gridded;
pub use flow::{Flow, MOST_DIMS};
pub use pinn::{BetaScale, Pinn};
pub use problem::Problem;
pub use ready::{Peaks, ready, ready_names, ready_text};
pub use sampler::{Collocation, Points, Residuals, Sampler};
pub use solution::{Epoch, Errors, Solution};

use ndarray::{Array2, ArrayView2};
use quadrat_core::{Result, Rng};
use quadrat_nn::{Jet, Tensor};

/// An equation on a box, with conditions on its boundary.
///
/// ```
/// use ndarray::{ArrayView2, array};
/// use quadrat_core::{Result, Rng, Seed, Silent};
/// use quadrat_nn::{Jet, Tensor};
/// use quadrat_inverse::pde::{Domain, Pde, Pinn, Sampler, Walls, Wants};
///
/// /// u'' = 2 on (0, 1) with u = x² at the ends.
/// struct Parabola(Domain);
///
/// impl Pde for Parabola {
///     fn domain(&self) -> &Domain {
///         &self.0
///     }
///     fn wants(&self) -> Wants {
///         Wants::laplacian(1)
///     }
///     fn residual(&self, _: ArrayView2<f32>, u: &Jet) -> Result<Tensor<2>> {
///         Ok(u.second(0) - 2.0)
///     }
///     fn boundary(&self, n: usize, rng: &mut Rng) -> Walls {
///         let (x, normals, _) = self.0.draw_on(&self.0.faces(), n, rng);
///         let wanted = x.iter().map(|x| x * x).collect();
///         Walls { x, normals, value: vec![1.0; n], slope: vec![0.0; n], wanted }
///     }
/// }
/// let pde = Parabola(Domain::new(&[("x", 0.0, 1.0)])?);
/// let net = Pinn { depth: 2, width: 16, rate: 0.005, boundary: 10.0, ..Pinn::default() };
/// let pinn = Pinn { method: Sampler::Uniform, steps: 1500, points: 50, batch: 50, ..net };
/// let solution = pinn.solve(&pde, Seed(1), &Silent)?;
/// assert!((solution.eval(array![[0.5f32]].view())?[0] - 0.25).abs() < 0.02);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
pub trait Pde: Sync {
    /// Where the equation is to hold.
    fn domain(&self) -> &Domain;

    /// The second derivatives that the equation needs; first ones are there anyway.
    fn wants(&self) -> Wants;

    /// What is zero where the equation holds, for points (rows): rows x 1. Of `u`, the slope along direction k is the derivative by
    /// coordinate k, and second derivatives are numbered as in [`Pde::wants`].
    ///
    /// # Errors
    /// The equation's own.
    fn residual(&self, x: ArrayView2<f32>, u: &Jet) -> Result<Tensor<2>>;

    /// Draws `n` points of the boundary with their conditions.
    fn boundary(&self, n: usize, rng: &mut Rng) -> Walls;

    /// The exact solution at a point, where it is known.
    fn exact(&self, _x: &[f64]) -> Option<f64> {
        None
    }
}

/// The second derivatives that an equation needs: for each, the pairs of coordinates that it is the sum over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wants {
    /// `[(0, 0), (1, 1)]` is a Laplacian in two dimensions, `[(0, 1)]` a mixed derivative.
    pub sums: Vec<Vec<(usize, usize)>>,
}

impl Wants {
    /// The Laplacian alone.
    pub fn laplacian(d: usize) -> Self {
        Wants { sums: vec![(0..d).map(|k| (k, k)).collect()] }
    }
}

/// Points of the boundary, at each of which a u + b ∂u/∂n = g is to hold.
#[derive(Debug, Clone)]
pub struct Walls {
    /// The points, a row each.
    pub x: Array2<f32>,
    /// The outward normals.
    pub normals: Array2<f32>,
    /// a.
    pub value: Vec<f32>,
    /// b.
    pub slope: Vec<f32>,
    /// g.
    pub wanted: Vec<f32>,
}
