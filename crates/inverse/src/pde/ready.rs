//! Problems that are ready: five as files, and the three of the paper, whose solutions have peaks.

use super::domain::Domain;
use super::formula::column;
use super::{Pde, Problem, Walls, Wants};
use ndarray::ArrayView2;
use quadrat_core::{Error, Result, Rng, nearest};
use quadrat_nn::{Jet, Tensor};

/// The files.
const FILES: [(&str, &str); 5] = [
    ("poisson", include_str!("problems/poisson.toml")),
    ("helmholtz", include_str!("problems/helmholtz.toml")),
    ("advection-diffusion", include_str!("problems/advection-diffusion.toml")),
    ("reaction", include_str!("problems/reaction.toml")),
    ("burgers", include_str!("problems/burgers.toml")),
];

/// The names of the problems that are ready.
pub fn ready_names() -> Vec<&'static str> {
    FILES.iter().map(|(name, _)| *name).chain(["peak", "two-peaks", "peak-10d"]).collect()
}

/// A problem that is ready, by name.
///
/// # Errors
/// No such name.
pub fn ready(name: &str) -> Result<Box<dyn Pde>> {
    if let Some((_, text)) = FILES.iter().find(|(own, _)| *own == name) {
        return Ok(Box::new(Problem::read(text)?));
    }
    Ok(Box::new(match name {
        "peak" => Peaks::one(1000.0)?,
        "two-peaks" => Peaks::two(1000.0)?,
        "peak-10d" => Peaks::middle(10.0, 10)?,
        _ => {
            let near = nearest(name, ready_names()).join(", ");
            return Err(Error::input("problem", format!("`{name}`"), format!("the nearest that are ready: {near}")));
        }
    }))
}

/// The text of a problem that is ready as a file, to start from.
pub fn ready_text(name: &str) -> Option<&'static str> {
    FILES.iter().find(|(own, _)| *own == name).map(|(_, text)| *text)
}

/// Equations on \[−1, 1\]^d whose solution is a sum of peaks exp(−k |x − c|²): the problems of Tang et al. (2024).
#[derive(Debug, Clone)]
pub struct Peaks {
    domain: Domain,
    /// k.
    sharpness: f64,
    centres: Vec<Vec<f64>>,
    equation: Equation,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Equation {
    /// −Δu = s.
    Poisson,
    /// −∇·(u ∇|x|²) + Δu = s.
    Drift,
    /// −Δu + u − u³ = s.
    Reaction,
}

impl Peaks {
    /// Their first problem: −Δu = s in the plane with one peak at (½, ½). Its sharpness is 1,000.
    ///
    /// # Errors
    /// A sharpness that is not positive.
    pub fn one(sharpness: f64) -> Result<Self> {
        Peaks::new(sharpness, vec![vec![0.5; 2]], Equation::Poisson)
    }

    /// Their second: −∇·(u ∇|x|²) + Δu = s in the plane with peaks at (½, ½) and (−½, −½). Their sharpness is 1,000.
    ///
    /// # Errors
    /// As [`Peaks::one`].
    pub fn two(sharpness: f64) -> Result<Self> {
        Peaks::new(sharpness, vec![vec![0.5; 2], vec![-0.5; 2]], Equation::Drift)
    }

    /// Their third: −Δu + u − u³ = s in `d` dimensions with one peak in the middle. Its sharpness is 10, and d is 10.
    ///
    /// # Errors
    /// As [`Peaks::one`]; no dimension.
    pub fn middle(sharpness: f64, d: usize) -> Result<Self> {
        Peaks::new(sharpness, vec![vec![0.0; d]], Equation::Reaction)
    }

    fn new(sharpness: f64, centres: Vec<Vec<f64>>, equation: Equation) -> Result<Self> {
        if !(sharpness.is_finite() && sharpness > 0.0) {
            return Err(Error::input("sharpness", sharpness, "a positive number"));
        }
        Ok(Peaks { domain: Domain::cube(centres[0].len())?, sharpness, centres, equation })
    }

    /// The solution, x · its gradient, and its Laplacian at a point.
    fn solution(&self, x: impl Fn(usize) -> f64) -> [f64; 3] {
        let (k, d) = (self.sharpness, self.domain.dims());
        let mut sums = [0.0; 3];
        for centre in &self.centres {
            let (mut square, mut along) = (0.0, 0.0);
            for (i, c) in centre.iter().enumerate() {
                let off = x(i) - c;
                square += off * off;
                along += x(i) * off;
            }
            let u = (-k * square).exp();
            sums[0] += u;
            sums[1] -= 2.0 * k * along * u;
            sums[2] += (4.0 * k * k * square - 2.0 * k * d as f64) * u;
        }
        sums
    }

    /// s at a point.
    pub(super) fn source(&self, x: impl Fn(usize) -> f64) -> f64 {
        let [u, along, laplacian] = self.solution(x);
        match self.equation {
            Equation::Poisson => -laplacian,
            Equation::Drift => -2.0 * along - 2.0 * self.domain.dims() as f64 * u + laplacian,
            Equation::Reaction => -laplacian + u - u * u * u,
        }
    }
}

impl Pde for Peaks {
    fn domain(&self) -> &Domain {
        &self.domain
    }

    fn wants(&self) -> Wants {
        Wants::laplacian(self.domain.dims())
    }

    fn residual(&self, x: ArrayView2<f32>, u: &Jet) -> Result<Tensor<2>> {
        let (value, laplacian) = (u.value(), u.second(0));
        let numbers = |f: &dyn Fn(usize) -> f64| column(&(0..x.nrows()).map(f).collect::<Vec<f64>>(), &value);
        let source = numbers(&|i| self.source(|k| f64::from(x[[i, k]])));
        Ok(match self.equation {
            Equation::Poisson => laplacian.neg() - source,
            Equation::Drift => {
                let d = self.domain.dims();
                let slopes = (0..d).map(|k| numbers(&|i| f64::from(x[[i, k]])) * u.slope(k));
                let along = slopes.reduce(|sum, part| sum + part).unwrap_or_else(|| value.zeros_like());
                along * -2.0 - value * (2.0 * d as f32) + laplacian - source
            }
            Equation::Reaction => laplacian.neg() + value.clone() - value.powi_scalar(3) - source,
        })
    }

    fn boundary(&self, n: usize, rng: &mut Rng) -> Walls {
        let (x, normals, _) = self.domain.draw_on(&self.domain.faces(), n, rng);
        let wanted = x.rows().into_iter().map(|x| self.solution(|k| f64::from(x[k]))[0] as f32).collect();
        Walls { x, normals, value: vec![1.0; n], slope: vec![0.0; n], wanted }
    }

    fn exact(&self, x: &[f64]) -> Option<f64> {
        Some(self.solution(|k| x[k])[0])
    }
}
