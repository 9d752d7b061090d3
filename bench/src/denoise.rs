//! Blind-spot networks and random sub-samples; peer: `bench/denoise.py`.

use crate::{Figures, Settings, Workload, measure};
use ndarray::{Array2, Array3};
use quadrat_core::{Error, Result, Seed, Silent};
use quadrat_inverse::denoise::{Dbsn, Denoiser, ImageRestorer, RandomSubSamples, Resampler2d, Way};
use quadrat_nn::{At, Batch, Loss, Parameters, gradients};
use serde_json::json;
use std::time::Instant;

/// The workloads of denoising.
pub fn workloads() -> Vec<Workload> {
    vec![("denoise-infer", infer), ("denoise-train", train), ("denoise-masks", masks)]
}

fn network(settings: &Settings) -> Result<Dbsn> {
    Ok(match settings.text("size", "small") {
        "tiny" => Dbsn { channels: 1, base: 16, modules: 3 },
        "small" => Dbsn { channels: 3, base: 32, modules: 4 },
        "official" => Dbsn { channels: 3, base: 128, modules: 9 },
        other => return Err(Error::input("size", other, "tiny, small or official")),
    })
}

/// Sines of the place, as the Python side has them.
fn sines(net: &Dbsn) -> Result<Parameters> {
    let mut parameters = net.fresh(Seed(0))?;
    let mut fan = 1.0;
    for (k, parameter) in parameters.iter_mut().enumerate() {
        if let [_, from, h, w] = parameter.shape[..] {
            fan = (from * h * w) as f64;
        }
        let value = |i: usize| ((1.3 * i as f64 + k as f64).sin() / fan.sqrt()) as f32;
        parameter.set(&(0..parameter.len()).map(value).collect::<Vec<f32>>())?;
    }
    Ok(parameters)
}

fn picture(i: usize) -> f32 {
    (((0.7 * i as f64).sin() + 1.0) / 2.0) as f32
}

/// `size=small|official side=512`: a picture in colour by parts of stride 2.
fn infer(settings: &Settings) -> Result<Figures> {
    let (net, side) = (network(settings)?, settings.number("side", 512)?);
    let denoiser = Denoiser::new(net, sines(&net)?, Way::Parts { stride: 2, enhance: false })?;
    let image = Array3::from_shape_fn((3, side, side), |(c, y, x)| picture((c * side + y) * side + x));
    let (answer, mut figures) = measure(|| denoiser.restore(image.view(), &Silent))?;
    figures.insert("sum".into(), json!(answer.iter().map(|v| f64::from(*v)).sum::<f64>()));
    Ok(figures)
}

/// `size=tiny|small steps=50`: the quickest forward and backward pass of a step's sub-images.
fn train(settings: &Settings) -> Result<Figures> {
    let (net, steps) = (network(settings)?, settings.number("steps", 50)?);
    let (n, side) = if net.base == 16 { (100, 8) } else { (20, 16) };
    let framed = net.on([side, side]);
    let width = net.channels * side * side;
    let rows = Array2::from_shape_fn((n, width), |(i, j)| picture(i * width + j));
    let batch = Batch::new(At { epoch: 0, step: 0 }, &(0..n as u32).collect::<Vec<_>>(), rows.clone(), rows);
    let parameters = sines(&net)?;
    let mut best = f64::INFINITY;
    let ((), mut figures) = measure(|| {
        for _ in 0..steps {
            let start = Instant::now();
            gradients(&framed, &parameters, Loss::AbsoluteError, &batch, Seed(0))?;
            best = best.min(start.elapsed().as_secs_f64());
        }
        Ok(())
    })?;
    figures.insert("seconds".into(), json!(best));
    Ok(figures)
}

/// The places of a batch of 16 patches of 160 x 160.
fn masks(_: &Settings) -> Result<Figures> {
    let (last, mut figures) = measure(|| {
        let mut last = 0;
        for patch in 0..16 {
            let places = RandomSubSamples { stride: 5 }.places([160, 160], &mut Seed(1).rng(patch))?;
            last ^= places.all()[[7, 11]];
        }
        Ok(last)
    })?;
    figures.insert("last".into(), json!(last));
    Ok(figures)
}
