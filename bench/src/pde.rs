//! Steps of a solver of equations; peer: `bench/pde.py`.

use crate::{Figures, Settings, Workload, measure};
use ndarray::ArrayView2;
use quadrat_core::{Result, Rng, Seed, Silent};
use quadrat_inverse::pde::{Domain, Pde, Pinn, Sampler, Walls, Wants};
use quadrat_nn::{Jet, Tensor};
use serde_json::json;

/// The workloads of solvers of equations.
pub fn workloads() -> Vec<Workload> {
    vec![("pde-steps", steps)]
}

/// -Laplacian(u) = 1 on a cube, and u = 0 on its boundary.
struct Poisson(Domain);

impl Pde for Poisson {
    fn domain(&self) -> &Domain {
        &self.0
    }

    fn wants(&self) -> Wants {
        Wants::laplacian(self.0.dims())
    }

    fn residual(&self, _: ArrayView2<f32>, u: &Jet) -> Result<Tensor<2>> {
        Ok(u.laplacian().neg() - 1.0)
    }

    fn boundary(&self, n: usize, rng: &mut Rng) -> Walls {
        let (x, normals, _) = self.0.draw_on(&self.0.faces(), n, rng);
        Walls { x, normals, value: vec![1.0; n], slope: vec![0.0; n], wanted: vec![0.0; n] }
    }
}

/// `dims=2`, `steps=200`: as many steps with 1,000 points inside and as many of the boundary, six layers of 32 units; the figure is
/// the last loss.
fn steps(settings: &Settings) -> Result<Figures> {
    let pde = Poisson(Domain::cube(settings.number("dims", 2)?)?);
    let steps = settings.number("steps", 200)?;
    let pinn = Pinn { method: Sampler::Uniform, steps, points: 1000, batch: 1000, tolerance: 0.0, ..Pinn::default() };
    // Threads and memory are warm afterwards.
    Pinn { steps: 5, ..pinn }.solve(&pde, Seed(1), &Silent)?;
    let (solution, mut figures) = measure(|| pinn.solve(&pde, Seed(1), &Silent))?;
    figures.insert("figure".into(), json!(solution.history.last().map(|epoch| epoch.loss)));
    Ok(figures)
}
