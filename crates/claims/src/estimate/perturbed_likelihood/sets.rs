//! Thin sets and the laws on them, about 1 in radius.

use ndarray::Array2;
use quadrat_core::{Rng, Seed};
use quadrat_numeric::linalg::orthonormal;
use std::f64::consts::{PI, TAU};

/// A set with its law.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Set {
    /// Uniform on the unit circle.
    Circle,
    /// Uniform on two circles apart.
    TwoCircles,
    /// An Archimedean spiral of one and a half turns, uniform in the root of the angle's range.
    Spiral,
    /// Uniform on the outline of a star of five points.
    Star,
    /// A surface rolled up, in three dimensions.
    SwissRoll,
    /// The (2, 3) knot on a torus, in three dimensions.
    TorusKnot,
    /// The circle turned into twenty dimensions.
    CircleIn20,
}

impl Set {
    /// Its name in figures.
    pub fn name(self) -> &'static str {
        match self {
            Set::Circle => "circle",
            Set::TwoCircles => "two circles",
            Set::Spiral => "spiral",
            Set::Star => "star",
            Set::SwissRoll => "swiss roll",
            Set::TorusKnot => "torus knot",
            Set::CircleIn20 => "circle in 20 dimensions",
        }
    }

    /// Its dimension.
    pub fn latent(self) -> usize {
        if self == Set::SwissRoll { 2 } else { 1 }
    }

    /// Independent rows.
    pub fn draw(self, rows: usize, seed: Seed) -> Array2<f64> {
        let mut rng = seed.rng(0);
        match self {
            Set::CircleIn20 => Set::Circle.draw(rows, seed).dot(&plane()),
            Set::SwissRoll | Set::TorusKnot => points::<3>(rows, |at| self.in_space(at), &mut rng),
            _ => points::<2>(rows, |at| self.in_plane(at), &mut rng),
        }
    }

    fn in_plane(self, rng: &mut Rng) -> [f64; 2] {
        let u = rng.uniform();
        match self {
            Set::TwoCircles => {
                let side = if rng.uniform() < 0.5 { -1.0 } else { 1.0 };
                [side + 0.5 * (TAU * u).cos(), 0.5 * (TAU * u).sin()]
            }
            Set::Spiral => {
                let angle = 3.0 * PI * u.sqrt();
                [angle * angle.cos() / (3.0 * PI), angle * angle.sin() / (3.0 * PI)]
            }
            Set::Star => {
                let corner = |k: f64| {
                    let radius = if k % 2.0 == 0.0 { 1.2 } else { 0.5 };
                    [radius * (PI * k / 5.0).cos(), radius * (PI * k / 5.0).sin()]
                };
                let (k, along) = ((10.0 * u).floor(), (10.0 * u).fract());
                let (from, to) = (corner(k), corner(k + 1.0));
                [0, 1].map(|axis| from[axis] + along * (to[axis] - from[axis]))
            }
            _ => [(TAU * u).cos(), (TAU * u).sin()],
        }
    }

    fn in_space(self, rng: &mut Rng) -> [f64; 3] {
        let u = rng.uniform();
        if self == Set::SwissRoll {
            let angle = 1.5 * PI * (1.0 + 2.0 * u);
            return [angle * angle.cos() / 10.0, 2.0 * rng.uniform() - 1.0, angle * angle.sin() / 10.0];
        }
        let (p, q) = (2.0 * TAU * u, 3.0 * TAU * u);
        [(1.0 + 0.4 * q.cos()) * p.cos(), (1.0 + 0.4 * q.cos()) * p.sin(), 0.4 * q.sin()]
    }
}

fn points<const D: usize>(rows: usize, one: impl Fn(&mut Rng) -> [f64; D], rng: &mut Rng) -> Array2<f64> {
    let all: Vec<[f64; D]> = (0..rows).map(|_| one(rng)).collect();
    Array2::from_shape_fn((rows, D), |(i, k)| all[i][k])
}

/// Two orthonormal rows of twenty columns, the same for all.
fn plane() -> Array2<f64> {
    let mut rng = Seed(20).rng(0);
    let random = Array2::from_shape_simple_fn((20, 2), || rng.normal());
    // A random matrix of full rank has an orthonormal basis.
    orthonormal(random.view()).unwrap_or(random).t().to_owned()
}
