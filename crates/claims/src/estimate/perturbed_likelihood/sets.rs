//! Thin sets and the laws on them, about 1 in radius.

use ndarray::Array2;
use quadrat_core::Seed;
use std::f64::consts::{PI, TAU};

/// A curve in the plane with its law.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Set {
    /// Uniform on the unit circle.
    Circle,
    /// An Archimedean spiral of one and a half turns, uniform in the root of the angle's range.
    Spiral,
}

impl Set {
    /// Its name in figures.
    pub fn name(self) -> &'static str {
        match self {
            Set::Circle => "circle",
            Set::Spiral => "spiral",
        }
    }

    /// Independent rows.
    pub fn draw(self, rows: usize, seed: Seed) -> Array2<f64> {
        let mut rng = seed.rng(0);
        let all: Vec<[f64; 2]> = (0..rows).map(|_| self.at(rng.uniform())).collect();
        Array2::from_shape_fn((rows, 2), |(i, k)| all[i][k])
    }

    fn at(self, u: f64) -> [f64; 2] {
        match self {
            Set::Circle => [(TAU * u).cos(), (TAU * u).sin()],
            Set::Spiral => {
                let angle = 3.0 * PI * u.sqrt();
                [angle * angle.cos() / (3.0 * PI), angle * angle.sin() / (3.0 * PI)]
            }
        }
    }
}
