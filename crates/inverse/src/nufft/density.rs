//! How much of the frequencies each sample stands for, so that dense parts of a trajectory do not count too much.

use super::Nufft;
use crate::{Encoding, Real};
use ndarray::ArrayView2;
use quadrat_core::{Error, Result};
use rustfft::num_complex::Complex;

/// Weights of samples by the fixed point w ← w / |G Gᵀ w|, with G the interpolation from the finer grid (Pipe and Menon, Magnetic
/// Resonance in Medicine 1999): 10 rounds for most purposes, 30 for accurate ones. They sum to the number of samples.
///
/// Time of a round: twice width^axes for each sample.
///
/// # Errors
/// No round.
pub fn pipe_menon<T: Real>(plan: &Nufft<T>, rounds: usize) -> Result<Vec<T>> {
    if rounds == 0 {
        return Err(Error::input("rounds of density compensation", 0, "at least 1, such as 10"));
    }
    let mut weights = vec![Complex::new(T::one(), T::zero()); plan.samples()];
    let mut met = weights.clone();
    for _ in 0..rounds {
        let mut grid = Nufft::<T>::zeros(plan.grid.len());
        plan.points.spread(&weights, &mut grid);
        plan.grid.go_around(&mut grid);
        plan.points.interpolate(&grid, &mut met);
        weights.iter_mut().zip(&met).for_each(|(w, met)| *w = *w / met.norm());
    }
    Ok(normalised(weights.iter().map(|w| w.re.double())).into_iter().map(T::of).collect())
}

/// Weights |k| of samples of evenly turned spokes, with k in cycles per field of view as a share of N/2; at the middle those of a disc of
/// half the distance to the nearest other radius. They sum to the number of samples.
///
/// # Errors
/// Those of [`Nufft::new`] about the trajectory.
pub fn ramp(shape: &[usize], coordinates: ArrayView2<f64>) -> Result<Vec<f64>> {
    super::check(shape, coordinates)?;
    let radius = |row: ndarray::ArrayView1<f64>| {
        row.iter().zip(shape).map(|(k, side)| (2.0 * k / *side as f64).powi(2)).sum::<f64>().sqrt()
    };
    let radii: Vec<f64> = coordinates.outer_iter().map(radius).collect();
    let least = radii.iter().copied().filter(|r| *r > 1e-9).fold(f64::INFINITY, f64::min);
    // The disc of radius least / 2 has a quarter of the area of a ring's step per unit of its radius: π (Δ/2)² against 2π r Δ, for the
    // two halves of a spoke.
    let middle = if least.is_finite() { least / 8.0 } else { 1.0 };
    Ok(normalised(radii.iter().map(|r| if *r > 1e-9 { *r } else { middle })))
}

fn normalised(weights: impl Iterator<Item = f64>) -> Vec<f64> {
    let weights: Vec<f64> = weights.collect();
    let scale = weights.len() as f64 / weights.iter().sum::<f64>();
    weights.iter().map(|w| w * scale).collect()
}
