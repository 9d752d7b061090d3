//! What points are drawn from.

use super::normals::{NormalMixture, ln_add, ln_densities};
use super::points::Points;
use super::problem::Problem;
use ndarray::{Array2, ArrayView1};
use quadrat_core::Seed;
use quadrat_numeric::filled;

/// What points are drawn from: g_a mixed with a share `defence` of h_0, or h_0 alone while there is no g.
#[derive(Clone)]
pub(super) struct Proposal {
    pub g: Vec<NormalMixture>,
    pub a: Vec<f64>,
    pub defence: f64,
}

/// ln sum_j a_j exp(ln_g_j).
fn ln_mixed(ln_g: ArrayView1<f64>, a: &[f64]) -> f64 {
    let top = ln_g.iter().zip(a).filter(|(_, a)| **a > 0.0).fold(f64::NEG_INFINITY, |top, (ln, _)| top.max(*ln));
    if top == f64::NEG_INFINITY {
        return top;
    }
    top + ln_g.iter().zip(a).filter(|(_, a)| **a > 0.0).map(|(ln, a)| a * (ln - top).exp()).sum::<f64>().ln()
}

impl Proposal {
    /// `n` points; point i draws from a stream of its own.
    pub fn draw(&self, problem: &dyn Problem, n: usize, seed: Seed) -> Array2<f64> {
        let (d, targets) = (problem.dim(), problem.targets());
        filled((n, d), |i, x| {
            let mut rng = seed.rng(i as u64);
            if self.defence > 0.0 && rng.uniform() < self.defence {
                let target = rng.below(targets);
                problem.draw(target, &mut rng, x);
            } else {
                self.g[rng.weighted(&self.a)].draw(&mut rng, x);
            }
        })
    }

    /// The logarithm of the density at the points.
    pub fn ln_density(&self, points: &Points) -> Vec<f64> {
        self.ln_mixture(&ln_densities(&self.g, points.x.view()), points)
    }

    /// [`Proposal::ln_density`] from the ln g_j.
    pub fn ln_mixture(&self, ln_g: &Array2<f64>, points: &Points) -> Vec<f64> {
        // h_0 is the shared density, or the equal mixture of all.
        let laws = points.ln_f.ncols();
        let even = vec![1.0 / laws as f64; laws];
        let (ln_h0, ln_ga) = (self.defence.ln(), (1.0 - self.defence).ln());
        let mix = |(ln_g, ln_f): (ArrayView1<f64>, ArrayView1<f64>)| {
            let h0 = if self.defence > 0.0 { ln_h0 + ln_mixed(ln_f, &even) } else { f64::NEG_INFINITY };
            let ga = if self.g.is_empty() { f64::NEG_INFINITY } else { ln_ga + ln_mixed(ln_g, &self.a) };
            ln_add(h0, ga)
        };
        ln_g.rows().into_iter().zip(points.ln_f.rows()).map(mix).collect()
    }
}
