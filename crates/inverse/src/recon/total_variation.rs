//! Images with few edges.

use super::{Reconstructor, Start, bound};
use crate::masks::strides;
use crate::{Encoding, Real};
use quadrat_core::{Area, Card, Method, Progress, Result, Settings, checkpoint};
use quadrat_numeric::vectorised;
use rustfft::num_complex::Complex;

/// min ½ |A x - y|² + λ Σ |∇x|, where |∇x| is the length of the differences of a pixel to its next neighbours along all axes (isotropic,
/// none across the image's edge).
///
/// Primal-dual steps (Condat 2013; Vũ 2013): x ← x - τ (A'(A x - y) + D'p), p ← p + σ D(2 x_new - x_old) cut to length λ, with τ = 1/L and
/// σ = L / (8 axes) for |A|² ≤ L.
#[derive(Debug, Clone, Copy, PartialEq, Settings)]
pub struct TotalVariation {
    /// Weight of the edges (λ), as a share of the brightest pixel of the adjoint's image.
    #[param(default = 0.005, from = 0)]
    pub weight: f64,
    /// Steps.
    #[param(default = 200, from = 1)]
    pub iterations: usize,
}

impl Method for TotalVariation {
    const CARD: Card = Card {
        slug: "total-variation",
        aliases: &["tv"],
        title: "Total variation",
        paper: "Rudin, Osher, Fatemi: Nonlinear total variation based noise removal algorithms. Physica D 60, 1992; Block, Uecker, Frahm: \
                Undersampled radial MRI with multiple coils. Magnetic Resonance in Medicine 57, 2007",
        area: Area::Inverse,
        verbs: &["reconstruct"],
        summary: "The image with few edges that agrees with the samples: removes the artefacts of incoherent undersampling, at the price of \
                  patches where textures are weak.",
        useful_when: "compressed sensing MRI, undersampled k-space without training data, remove streaks of few spokes, noisy k-space",
        cost: "one normal operator and a pass over the image a step; memory eight images a coil",
        params: Self::PARAMS,
    };
}

impl<T: Real> Reconstructor<T> for TotalVariation {
    fn card(&self) -> &'static Card {
        &Self::CARD
    }

    fn reconstruct(
        &self,
        samples: &[Complex<T>],
        op: &dyn Encoding<T>,
        progress: &dyn Progress,
    ) -> Result<Vec<Complex<T>>> {
        let Start { image: target, gain, peak } = Start::of(samples, op)?;
        let longest = T::of(self.weight) * gain * peak;
        let most = bound(op)?;
        let step = most.recip();
        let strides = strides(op.shape());
        let dual_step = most / T::of(8.0 * strides.len() as f64);
        let mut image: Vec<Complex<T>> = target.iter().map(|v| v.unscale(gain)).collect();
        let mut slope = image.clone();
        let mut ahead = image.clone();
        let mut edges = vec![vec![Complex::new(T::zero(), T::zero()); image.len()]; strides.len()];
        progress.begin("total-variation", Some(self.iterations as u64));
        for _ in 0..self.iterations {
            checkpoint(progress)?;
            op.normal(&image, &mut slope)?;
            vectorised(
                #[inline(always)]
                || {
                    for (slope, target) in slope.iter_mut().zip(&target) {
                        *slope = *slope - *target;
                    }
                    for ((edges, stride), side) in edges.iter().zip(&strides).zip(op.shape()) {
                        add_transposed(edges, *stride, *side, &mut slope);
                    }
                    for ((image, ahead), slope) in image.iter_mut().zip(&mut ahead).zip(&slope) {
                        let next = *image - slope.scale(step);
                        *ahead = next.scale(T::one() + T::one()) - *image;
                        *image = next;
                    }
                    for ((edges, stride), side) in edges.iter_mut().zip(&strides).zip(op.shape()) {
                        add_differences(&ahead, *stride, *side, dual_step, edges);
                    }
                },
            );
            cut(&mut edges, longest);
            progress.advance(1);
        }
        Ok(image)
    }
}

/// Adds `step` times the differences to the next pixels along an axis; the last pixels have none.
#[inline(always)]
fn add_differences<T: Real>(image: &[Complex<T>], stride: usize, side: usize, step: T, out: &mut [Complex<T>]) {
    let length = stride * side;
    for (image, out) in image.chunks_exact(length).zip(out.chunks_exact_mut(length)) {
        for ((out, here), next) in out.iter_mut().zip(image).zip(&image[stride..]) {
            *out = *out + (*next - *here).scale(step);
        }
    }
}

/// The transpose, with a step of 1.
#[inline(always)]
fn add_transposed<T: Real>(edges: &[Complex<T>], stride: usize, side: usize, out: &mut [Complex<T>]) {
    let length = stride * side;
    for (edges, out) in edges.chunks_exact(length).zip(out.chunks_exact_mut(length)) {
        let edges = &edges[..length - stride];
        for (out, edge) in out.iter_mut().zip(edges) {
            *out = *out - *edge;
        }
        for (out, edge) in out[stride..].iter_mut().zip(edges) {
            *out = *out + *edge;
        }
    }
}

/// Shortens each pixel's vector of edges to at most `longest`.
fn cut<T: Real>(edges: &mut [Vec<Complex<T>>], longest: T) {
    let pixels = edges.first().map_or(0, Vec::len);
    let mut factors = vec![T::zero(); pixels];
    vectorised(
        #[inline(always)]
        || {
            for edges in edges.iter() {
                for (sum, edge) in factors.iter_mut().zip(edges) {
                    *sum = *sum + edge.re * edge.re + edge.im * edge.im;
                }
            }
            for factor in &mut factors {
                let length = factor.sqrt();
                *factor = if length > longest { longest / length } else { T::one() };
            }
            for edges in edges.iter_mut() {
                for (edge, factor) in edges.iter_mut().zip(&factors) {
                    *edge = edge.scale(*factor);
                }
            }
        },
    );
}
