//! A model of clean data from noisy rows.
//!
//! Daras, Cherapanamjeri, Daskalakis, "How Much is a Noisy Image Worth? Data Scaling Laws for Ambient Diffusion", ICLR 2025 (arXiv
//! 2411.02780). Of a row y = x₀ + σᵢ ε the law of noised samples above σᵢ is known as well as of a clean one: with c = 1 - σᵢ²/σ²,
//! E\[y | x\] = c E\[x₀ | x\] + (1 - c) x, so that the network's guess of the clean row is judged by the noisy one ([`Noising`]). Noisy rows
//! teach all levels above their own noise, clean ones teach all; levels below every row's noise are taught by nothing
//! ([`Purpose::least`](crate::Purpose)).
//!
//! Beyond the paper: noise may differ from row to row, and levels are drawn from what lies above a row's noise instead of being raised to
//! it, which would waste those draws ([`AmbientDiffusion::clamp`] has it as the authors). The consistency loss that they recommend as a
//! last step where hardly any row is clean is not here.

use crate::{Denoising, NetworkDenoiser, Noising};
use ndarray::Array2;
use quadrat_core::{Area, Card, Error, Method, Progress, Result, Seed, Settings};
use quadrat_nn::Epoch;
use quadrat_numeric::linalg::solve;
use std::path::Path;

/// Training on rows of mixed noise.
#[derive(Debug, Clone, Copy, PartialEq, Settings)]
pub struct AmbientDiffusion {
    /// Levels below a row's own noise are raised to it, as in the authors' code, and teach nothing; otherwise they are not drawn.
    #[param(default = false)]
    pub clamp: bool,
}

impl Method for AmbientDiffusion {
    const CARD: Card = Card {
        slug: "ambient-mixed-noise",
        aliases: &["ambient", "ambient-diffusion"],
        title: "Ambient diffusion with mixed noise",
        paper: "Daras, Cherapanamjeri, Daskalakis: How Much is a Noisy Image Worth? Data Scaling Laws for Ambient Diffusion. ICLR 2025, \
                arXiv 2411.02780",
        area: Area::Diffusion,
        verbs: &["diffuse"],
        summary: "A diffusion model of clean data, trained on few clean rows and many noisy ones whose noise is known.",
        useful_when: "train on noisy measurements, few clean samples, noise of known standard deviation for each row, denoise without clean \
                      data, what is a noisy sample worth",
        cost: "as a plain training: three forward passes a row and epoch",
        params: Self::PARAMS,
    };
}

impl AmbientDiffusion {
    /// Trains on rows of which row i has noise of standard deviation `noise[i]`, in the rows' unit.
    ///
    /// # Errors
    /// As [`Denoising::fit`].
    pub fn fit(
        &self,
        denoiser: &mut NetworkDenoiser,
        course: &Denoising,
        data: Noising,
        checkpoint: Option<&Path>,
        seed: Seed,
        progress: &dyn Progress,
    ) -> Result<Vec<Epoch>> {
        if data.noise.is_none() {
            return Err(Error::input("noise", "none", "a standard deviation for each row, 0 for a clean one"));
        }
        course.fit(denoiser, Noising { clamp: self.clamp, ..data }, checkpoint, seed, progress)
    }
}

/// What a noisy row is worth in clean ones: the p for which ln error = a - b ln(clean + p noisy) fits measured errors best, between
/// 0 and 1. Each measurement is (clean rows, noisy rows, error).
///
/// # Errors
/// Fewer than four measurements, errors not above 0, no measurement with both kinds of rows.
///
/// ```
/// use quadrat_diffusion::noise_price;
/// let error = |clean: f64, noisy: f64| (clean + 0.3 * noisy).powf(-0.5);
/// let grid = [(100., 0.), (100., 900.), (500., 500.), (1000., 0.), (300., 2000.)];
/// let measured: Vec<_> = grid.iter().map(|&(c, n)| (c, n, error(c, n))).collect();
/// assert!((noise_price(&measured)? - 0.3).abs() < 1e-3);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
pub fn noise_price(measured: &[(f64, f64, f64)]) -> Result<f64> {
    let positive = |&(clean, noisy, error): &(f64, f64, f64)| {
        clean >= 0.0 && noisy >= 0.0 && clean + noisy > 0.0 && error > 0.0 && (clean + noisy + error).is_finite()
    };
    if measured.len() < 4 || !measured.iter().all(positive) || !measured.iter().any(|m| m.0 > 0.0 && m.1 > 0.0) {
        let want = "four or more of (clean rows, noisy rows, error above 0), some with both kinds of rows";
        return Err(Error::input("measurements", format!("{}", measured.len()), want));
    }
    // Rows that are all noisy have no finite price at 0.
    const STEPS: usize = 2000;
    let tried = (1..=STEPS).map(|step| step as f64 / STEPS as f64);
    let scored = tried.map(|price| Ok((misfit(measured, price)?, price))).collect::<Result<Vec<_>>>()?;
    let best = scored.into_iter().min_by(|a, b| a.0.total_cmp(&b.0));
    best.map(|(_, price)| price).ok_or_else(|| Error::numeric("noise price", "nothing fits"))
}

/// The sum of squares that a line of ln error over ln(clean + price noisy) leaves.
fn misfit(measured: &[(f64, f64, f64)], price: f64) -> Result<f64> {
    let n = measured.len();
    let line =
        Array2::from_shape_fn((n, 2), |(i, j)| if j == 0 { 1.0 } else { (measured[i].0 + price * measured[i].1).ln() });
    let errors = Array2::from_shape_fn((n, 1), |(i, _)| measured[i].2.ln());
    let coefficients = solve(line.t().dot(&line).view(), line.t().dot(&errors).view())?;
    Ok((line.dot(&coefficients) - errors).mapv(|v| v * v).sum())
}
