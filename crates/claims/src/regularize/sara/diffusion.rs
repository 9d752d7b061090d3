//! The small diffusion model of digits.

use super::{CLASSES, INPUTS, PIXELS, TIMES, WIDTH};
use ndarray::{Array2, s};
use quadrat_core::{Result, Rng, Seed};
use quadrat_nn::{Activation, Batch, Mlp, Parameters, Run, Samples, TrainMethod, predict};

/// βₜ from 0.002 to 0.4 in 50 steps, as Ho et al. (2020) for a twentieth of their steps, and Πₛ (1 − βₛ) up to each.
pub(super) fn noise_rates() -> ([f64; STEPS], [f64; STEPS]) {
    let betas = std::array::from_fn(|t| 2e-3 + (0.4 - 2e-3) * t as f64 / (STEPS - 1) as f64);
    let mut kept = 1.0;
    (
        betas,
        betas.map(|beta: f64| {
            kept *= 1.0 - beta;
            kept
        }),
    )
}

/// Steps from an image to noise.
pub(super) const STEPS: usize = 50;

/// The network: a row holds pixels, the class one-hot, and the time; the outputs are the noise in the pixels.
pub(super) fn denoiser() -> Mlp {
    Mlp { activation: Activation::Silu, ..Mlp::new(INPUTS, &[WIDTH; 3], PIXELS) }
}

/// Tell the time in a row's last columns.
pub(super) fn set_time(mut row: ndarray::ArrayViewMut1<f32>, t: usize) {
    for k in 0..TIMES / 2 {
        let angle = (t + 1) as f64 / STEPS as f64 * std::f64::consts::FRAC_PI_2 * f64::from(1u32 << k);
        row[PIXELS + CLASSES + 2 * k] = angle.sin() as f32;
        row[PIXELS + CLASSES + 2 * k + 1] = angle.cos() as f32;
    }
}

/// Training rows: pixels from -1 to 1, classes, and room for the time; targets are set by [`Noising`].
pub(super) fn rows_of(images: &Array2<f32>, labels: &[u32]) -> Result<Samples> {
    let mut inputs = Array2::zeros((images.nrows(), INPUTS));
    inputs.slice_mut(s![.., ..PIXELS]).assign(&images.mapv(|v| 2.0 * v - 1.0));
    labels.iter().enumerate().for_each(|(row, label)| inputs[[row, PIXELS + *label as usize]] = 1.0);
    Samples::values(inputs, Array2::zeros((images.nrows(), PIXELS)))
}

/// Denoising as a hook: √ᾱₜ x + √(1 − ᾱₜ) ε for a time drawn for each row, and ε as what is wanted.
pub(super) struct Noising {
    pub seed: Seed,
}

impl TrainMethod for Noising {
    fn name(&self) -> &str {
        "noising"
    }

    fn begin(&mut self, run: &Run<'_>, _: &mut Parameters) -> Result<()> {
        self.seed = run.seed;
        Ok(())
    }

    fn prepare(&mut self, batch: &mut Batch) -> Result<()> {
        let (_, kept) = noise_rates();
        let mut rng = self.seed.rng(batch.at.step as u64);
        for (mut row, mut wanted) in batch.inputs.outer_iter_mut().zip(batch.targets.outer_iter_mut()) {
            let t = rng.below(STEPS);
            let (signal, noise) = (kept[t].sqrt() as f32, (1.0 - kept[t]).sqrt() as f32);
            for (x, e) in row.iter_mut().zip(wanted.iter_mut()) {
                *e = rng.normal() as f32;
                *x = signal * *x + noise * *e;
            }
            set_time(row.view_mut(), t);
        }
        Ok(())
    }
}

/// Images sampled by the model, class by class in turn, from 0 to 1, and their classes. Ancestral steps; the image that a
/// step aims at is kept within its range.
pub(super) fn sample(parameters: &Parameters, n: usize, seed: Seed) -> Result<(Array2<f32>, Vec<u32>)> {
    let (betas, kept) = noise_rates();
    let mut rngs: Vec<Rng> = (0..n as u64).map(|row| seed.rng(row)).collect();
    let labels: Vec<u32> = (0..n).map(|row| (row % CLASSES) as u32).collect();
    let mut rows = Array2::zeros((n, INPUTS));
    for (mut row, (rng, label)) in rows.outer_iter_mut().zip(rngs.iter_mut().zip(&labels)) {
        (0..PIXELS).for_each(|i| row[i] = rng.normal() as f32);
        row[PIXELS + *label as usize] = 1.0;
    }
    let network = denoiser();
    for t in (0..STEPS).rev() {
        rows.outer_iter_mut().for_each(|row| set_time(row, t));
        let noise = predict(&network, parameters, rows.view(), &[])?;
        let before = if t == 0 { 1.0 } else { kept[t - 1] };
        let (of_image, of_now) =
            (before.sqrt() * betas[t] / (1.0 - kept[t]), (1.0 - betas[t]).sqrt() * (1.0 - before) / (1.0 - kept[t]));
        let spread = (betas[t] * (1.0 - before) / (1.0 - kept[t])).sqrt();
        for ((mut row, noise), rng) in rows.outer_iter_mut().zip(noise.outer_iter()).zip(&mut rngs) {
            for (x, e) in row.iter_mut().zip(noise) {
                let now = f64::from(*x);
                let image = (now - (1.0 - kept[t]).sqrt() * f64::from(*e)) / kept[t].sqrt();
                let drawn = if t == 0 { 0.0 } else { spread * rng.normal() };
                *x = (of_image * image.clamp(-1.0, 1.0) + of_now * now + drawn) as f32;
            }
        }
    }
    Ok((rows.slice(s![.., ..PIXELS]).mapv(|v| (0.5 * (v + 1.0)).clamp(0.0, 1.0)), labels))
}
