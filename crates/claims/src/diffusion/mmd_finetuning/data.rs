//! Rows in the plane.

use ndarray::Array2;
use quadrat_core::Seed;
use std::f64::consts::{PI, TAU};

/// Where rows come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Set {
    /// Eight normal laws on a circle of radius 1.
    Ring,
    /// Two half circles that clasp each other.
    Moons,
}

pub(super) const SETS: [Set; 2] = [Set::Ring, Set::Moons];

/// Standard deviation of a mode, and about a moon.
const SPREAD: f64 = 0.05;
const MODES: usize = 8;

impl Set {
    pub fn name(self) -> &'static str {
        match self {
            Set::Ring => "ring",
            Set::Moons => "moons",
        }
    }

    /// Row i from `seed.rng(i)`.
    pub fn draw(self, n: usize, seed: Seed) -> Array2<f64> {
        let mut rows = Array2::zeros((n, 2));
        for (i, mut row) in rows.outer_iter_mut().enumerate() {
            let mut rng = seed.rng(i as u64);
            let centre = match self {
                Set::Ring => mode(rng.below(MODES)),
                Set::Moons => {
                    let (angle, lower) = (PI * rng.uniform(), rng.below(2) == 1);
                    if lower {
                        [0.5 - angle.cos(), 0.25 - angle.sin()]
                    } else {
                        [angle.cos() - 0.5, angle.sin() - 0.25]
                    }
                }
            };
            row.iter_mut().zip(centre).for_each(|(v, c)| *v = c + SPREAD * rng.normal());
        }
        rows
    }
}

fn mode(i: usize) -> [f64; 2] {
    let angle = TAU * i as f64 / MODES as f64;
    [angle.cos(), angle.sin()]
}

/// Of samples of the ring: total variation between the masses of its modes (samples belong to the nearest) and even ones; and the share
/// that is farther than four standard deviations from its mode, of which 0.0003 are expected.
pub(super) fn modes(samples: &Array2<f64>) -> [f64; 2] {
    let (mut counts, mut outside) = ([0usize; MODES], 0usize);
    for row in samples.outer_iter() {
        let off = |i: usize| mode(i).iter().zip(row).map(|(c, v)| (c - v) * (c - v)).sum::<f64>().sqrt();
        let nearest = (0..MODES).min_by(|a, b| off(*a).total_cmp(&off(*b))).unwrap_or(0);
        counts[nearest] += 1;
        outside += usize::from(off(nearest) > 4.0 * SPREAD);
    }
    let n = samples.nrows() as f64;
    let masses = counts.iter().map(|c| (*c as f64 / n - 1.0 / MODES as f64).abs()).sum::<f64>() / 2.0;
    [masses, outside as f64 / n]
}
