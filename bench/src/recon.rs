//! Fourier transforms at any frequencies and total variation; recipe: `bench/recon.py`.

use crate::{Figures, Settings, Workload, measure};
use quadrat_core::{Result, Seed, Silent};
use quadrat_inverse::masks::{radial_golden, usual_centre, varden2d};
use quadrat_inverse::nufft::{Compensated, Gridding, Nufft};
use quadrat_inverse::recon::{CgSense, TotalVariation};
use quadrat_inverse::{Complex, Encoding, MaskedFft, Reconstructor};
use serde_json::json;
use std::time::Instant;

/// The workloads of reconstruction.
pub fn workloads() -> Vec<Workload> {
    vec![("recon-nufft", nufft), ("recon-tv", total_variation), ("recon-cg", cg)]
}

fn noise(count: usize) -> Vec<Complex<f32>> {
    let mut rng = Seed(1).stream("bench recon").rng(0);
    (0..count).map(|_| Complex::new(rng.normal() as f32, rng.normal() as f32)).collect()
}

/// Forward transforms and adjoints of 256 x 256 images at golden-angle spokes of 512 points, with a plan made before.
fn nufft(settings: &Settings) -> Result<Figures> {
    let [spokes, coils, digits, times] = [("spokes", 60), ("coils", 1), ("digits", 3), ("times", 10)]
        .map(|(name, default)| settings.number(name, default));
    let (coils, times) = (coils?, times?);
    let side = 256;
    let coordinates = radial_golden([side, side], spokes?)?;
    let tolerance = 10f64.powi(-(digits? as i32));
    let begun = Instant::now();
    let plan = Nufft::<f32>::new(&[side, side], coordinates.view(), Gridding::for_tolerance(tolerance)?)?;
    let planned = begun.elapsed().as_secs_f64();
    let images = noise(coils * plan.pixels());
    let mut samples = vec![Complex::new(0.0, 0.0); coils * plan.samples()];
    let mut back = images.clone();
    plan.forward(&images, &mut samples)?;
    plan.adjoint(&samples, &mut back)?;
    let mut split = [0.0, 0.0];
    let (_, mut figures) = measure(|| {
        (0..times).try_for_each(|_| {
            let begun = Instant::now();
            plan.forward(&images, &mut samples)?;
            let between = Instant::now();
            plan.adjoint(&samples, &mut back)?;
            split[0] += (between - begun).as_secs_f64();
            split[1] += between.elapsed().as_secs_f64();
            Ok(())
        })
    })?;
    figures.insert("plan_seconds".into(), json!(planned));
    figures.insert("forward_seconds".into(), json!(split[0] / times as f64));
    figures.insert("adjoint_seconds".into(), json!(split[1] / times as f64));
    figures.insert(
        "mean_square".into(),
        json!(samples.iter().map(|v| f64::from(v.norm_sqr())).sum::<f64>() / samples.len() as f64),
    );
    Ok(figures)
}

/// Total variation of a 128 x 128 k-space of which 30% are sampled.
fn total_variation(settings: &Settings) -> Result<Figures> {
    let (side, iterations) = (settings.number("side", 128)?, settings.number("iterations", 200)?);
    let mask = varden2d([side, side], 0.3, usual_centre(0.3), Seed(1))?;
    let op = MaskedFft::new(&mask)?;
    let samples = noise(op.samples());
    let method = TotalVariation { iterations, ..TotalVariation::default() };
    let (image, mut figures) = measure(|| method.reconstruct(&samples, &op, &Silent))?;
    figures.insert("brightest".into(), json!(image.iter().map(|v| v.norm()).fold(0.0, f32::max)));
    Ok(figures)
}

/// Density compensation, point-spread function and 20 rounds of conjugate gradients for 256 x 256 pixels of 60 spokes.
fn cg(settings: &Settings) -> Result<Figures> {
    let (spokes, iterations) = (settings.number("spokes", 60)?, settings.number("iterations", 20)?);
    let coordinates = radial_golden([256, 256], spokes)?;
    let samples = noise(coordinates.nrows());
    let method = CgSense { iterations, ..CgSense::default() };
    let (planned, mut figures) = measure(|| {
        let begun = Instant::now();
        let op = Compensated::<f32>::new(&[256, 256], coordinates.view(), Gridding::for_tolerance(1e-3)?)?;
        let planned = begun.elapsed().as_secs_f64();
        method.reconstruct(&op.samples_of(&samples), &op, &Silent)?;
        Ok(planned)
    })?;
    figures.insert("plan_seconds".into(), json!(planned));
    Ok(figures)
}
