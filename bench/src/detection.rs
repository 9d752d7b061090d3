//! Losses of dense detectors, and their figures; peer: `bench/detection.py`.

use crate::{Figures, Settings, Workload, measure};
use quadrat_core::{Params, Result, Seed};
use quadrat_data::coco::Annotations;
use quadrat_numeric::average_precision::average_precision;
use quadrat_robust::detection::{Assignment, Dense, Regression, build};
use serde_json::json;
use std::path::Path;
use std::time::Instant;

/// The workloads of detection.
pub fn workloads() -> Vec<Workload> {
    vec![("dense-loss", dense_loss), ("average-precision", precision)]
}

/// `method=NAME places=N classes=N steps=N`: loss and gradient of one batch, again and again. Of every thousand places one is foreground.
fn dense_loss(settings: &Settings) -> Result<Figures> {
    let (places, classes) = (settings.number("places", 200_000)?, settings.number("classes", 80)?);
    let steps = settings.number("steps", 20)?;
    let loss = build(settings.text("method", "focal"), &Params::none())?;
    let mut rng = Seed(1).rng(0);
    let outputs: Vec<f32> = (0..places * (classes + 4)).map(|_| (2.0 * rng.normal() - 3.0) as f32).collect();
    let labels =
        (0..places).map(|at| if at.is_multiple_of(1000) { 1 + (at / 1000 % classes) as i32 } else { 0 }).collect();
    let assignment = Assignment { labels, targets: vec![[0.0; 4]; places], ..Assignment::default() };
    let (mut gradient, mut memory) = (vec![0.0; outputs.len()], Vec::new());
    let (mut best, mut last) = (f64::INFINITY, 0.0);
    let ((), mut figures) = measure(|| {
        for step in 0..steps {
            let start = Instant::now();
            let how = Regression::SmoothL1 { beta: 0.11 };
            let batch = Dense::new(&outputs, &[&assignment], classes, how, Seed(step as u64))?;
            last = loss.forward_backward(&batch, &mut memory, &mut gradient)?.classes;
            best = best.min(start.elapsed().as_secs_f64());
        }
        Ok(())
    })?;
    figures.insert("best_seconds".into(), json!(best));
    figures.insert("steps".into(), json!(steps));
    figures.insert("loss".into(), json!(last));
    Ok(figures)
}

/// `folder=PATH`: the figures of `detections.json` there against `annotations.json`; reading is timed apart.
fn precision(settings: &Settings) -> Result<Figures> {
    let folder = Path::new(settings.text("folder", "."));
    let start = Instant::now();
    let annotations = Annotations::read(&folder.join("annotations.json"))?;
    let found = annotations.detections(&folder.join("detections.json"))?;
    let reading = start.elapsed().as_secs_f64();
    let (precision, mut figures) =
        measure(|| Ok(average_precision(&annotations.objects, &found, annotations.categories.len())))?;
    figures.insert("reading_seconds".into(), json!(reading));
    figures.insert("detections".into(), json!(found.len()));
    figures.insert("AP".into(), json!(precision.figures[0].1));
    Ok(figures)
}
