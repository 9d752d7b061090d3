//! Measurements that are known but for their parameters.

use super::check_width;
use ndarray::ArrayView2;
use quadrat_core::{Error, Result, Seed};

/// A measurement that can be differentiated: o = forward(s, φ).
///
/// It is given slices of the sizes that it states, and writes all of the last one.
pub trait ForwardModel: Sync {
    /// Numbers in a signal.
    fn signal(&self) -> usize;

    /// Numbers in φ.
    fn parameters(&self) -> usize;

    /// Numbers in an observation.
    fn observed(&self) -> usize;

    /// What is observed of a signal.
    fn apply(&self, signal: &[f64], phi: &[f64], observation: &mut [f64]);

    /// The product of the transposed Jacobian at a signal with a cotangent of the observation.
    fn pull_back(&self, signal: &[f64], phi: &[f64], cotangent: &[f64], gradient: &mut [f64]);
}

/// Some of the signal's numbers; the others are observed as 0. φ is 1 where a number is seen, and 0 where not.
#[derive(Debug, Clone, Copy)]
pub struct Mask {
    /// Numbers in a signal.
    pub signal: usize,
}

impl ForwardModel for Mask {
    fn signal(&self) -> usize {
        self.signal
    }

    fn parameters(&self) -> usize {
        self.signal
    }

    fn observed(&self) -> usize {
        self.signal
    }

    fn apply(&self, signal: &[f64], phi: &[f64], observation: &mut [f64]) {
        observation.iter_mut().zip(signal.iter().zip(phi)).for_each(|(o, (s, seen))| *o = s * seen);
    }

    fn pull_back(&self, _: &[f64], phi: &[f64], cotangent: &[f64], gradient: &mut [f64]) {
        gradient.iter_mut().zip(cotangent.iter().zip(phi)).for_each(|(g, (u, seen))| *g = u * seen);
    }
}

/// Inner products of the signal with the rows of φ, a matrix of `observed` rows, row by row.
#[derive(Debug, Clone, Copy)]
pub struct Projection {
    /// Numbers in a signal.
    pub signal: usize,
    /// Inner products.
    pub observed: usize,
}

impl ForwardModel for Projection {
    fn signal(&self) -> usize {
        self.signal
    }

    fn parameters(&self) -> usize {
        self.signal * self.observed
    }

    fn observed(&self) -> usize {
        self.observed
    }

    fn apply(&self, signal: &[f64], phi: &[f64], observation: &mut [f64]) {
        for (o, row) in observation.iter_mut().zip(phi.chunks_exact(self.signal.max(1))) {
            *o = row.iter().zip(signal).map(|(a, s)| a * s).sum();
        }
    }

    fn pull_back(&self, _: &[f64], phi: &[f64], cotangent: &[f64], gradient: &mut [f64]) {
        gradient.fill(0.0);
        for (u, row) in cotangent.iter().zip(phi.chunks_exact(self.signal.max(1))) {
            gradient.iter_mut().zip(row).for_each(|(g, a)| *g += a * u);
        }
    }
}

/// A forward model that is two closures.
struct FromFns<F, G> {
    sizes: [usize; 3],
    apply: F,
    pull_back: G,
}

/// The forward model that `apply(signal, phi, observation)` and `pull_back(signal, phi, cotangent, gradient)` are, with the numbers in a
/// signal, in φ and in an observation.
pub fn forward_fn<F, G>(sizes: [usize; 3], apply: F, pull_back: G) -> impl ForwardModel
where
    F: Fn(&[f64], &[f64], &mut [f64]) + Sync,
    G: Fn(&[f64], &[f64], &[f64], &mut [f64]) + Sync,
{
    FromFns { sizes, apply, pull_back }
}

impl<F, G> ForwardModel for FromFns<F, G>
where
    F: Fn(&[f64], &[f64], &mut [f64]) + Sync,
    G: Fn(&[f64], &[f64], &[f64], &mut [f64]) + Sync,
{
    fn signal(&self) -> usize {
        self.sizes[0]
    }

    fn parameters(&self) -> usize {
        self.sizes[1]
    }

    fn observed(&self) -> usize {
        self.sizes[2]
    }

    fn apply(&self, signal: &[f64], phi: &[f64], observation: &mut [f64]) {
        (self.apply)(signal, phi, observation);
    }

    fn pull_back(&self, signal: &[f64], phi: &[f64], cotangent: &[f64], gradient: &mut [f64]) {
        (self.pull_back)(signal, phi, cotangent, gradient);
    }
}

/// The share of the signal's numbers that some measurement depends on, of those with the parameters in these rows: the others are
/// never learnt. Looked for at a random signal and along a random cotangent, from `seed`.
///
/// # Errors
/// No row, rows of another width, a gradient that is not finite.
pub fn covered(forward: &dyn ForwardModel, parameters: ArrayView2<f64>, seed: Seed) -> Result<f64> {
    check_width("parameters", parameters.ncols(), forward.parameters())?;
    if parameters.nrows() == 0 || forward.signal() == 0 {
        return Err(Error::input("parameters", "no rows", "at least one measurement of at least one number"));
    }
    let mut rng = seed.rng(0);
    let mut normals = |n: usize| (0..n).map(|_| rng.normal()).collect::<Vec<f64>>();
    let (signal, cotangent) = (normals(forward.signal()), normals(forward.observed()));
    let mut seen = vec![false; forward.signal()];
    let mut gradient = vec![0.0; forward.signal()];
    for phi in parameters.outer_iter() {
        forward.pull_back(&signal, &phi.to_vec(), &cotangent, &mut gradient);
        if gradient.iter().any(|g| !g.is_finite()) {
            return Err(Error::numeric("forward model", "its gradient is not finite"));
        }
        seen.iter_mut().zip(&gradient).for_each(|(seen, g)| *seen |= *g != 0.0);
    }
    Ok(seen.iter().filter(|seen| **seen).count() as f64 / seen.len() as f64)
}
