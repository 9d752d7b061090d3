//! Calibration of probabilities; peers and data: `bench/calibration.py`.

use crate::{Figures, Settings, Workload, measure, npy};
use ndarray::{Array2, ArrayView2};
use quadrat_core::{Error, Result};
use quadrat_numeric::Points;
use quadrat_numeric::calibration::{Scheme, aurc, ece, temperature};
use serde_json::json;

/// The workloads of calibration.
pub fn workloads() -> Vec<Workload> {
    vec![
        ("calibration-error", |settings| run(settings, |p, y| ece(p, y, 15, Scheme::EqualWidth))),
        ("calibration-area", |settings| run(settings, aurc)),
        ("calibration-both", |settings| run(settings, |p, y| Ok(ece(p, y, 15, Scheme::EqualWidth)? + aurc(p, y)?))),
        ("calibration-temperature", |settings| run(settings, temperature)),
    ]
}

/// `in=FOLDER data=NAME`: the files that the peer reads too.
fn run(settings: &Settings, work: fn(ArrayView2<f32>, &[u32]) -> Result<f64>) -> Result<Figures> {
    let path = |part| format!("{}/{}-{part}.npy", settings.text("in", "."), settings.text("data", "probabilities"));
    let x: Array2<f32> = match npy::read(&path("x"))? {
        Points::F32(x) => x,
        Points::F64(_) => return Err(Error::data(path("x"), None, "single precision is needed")),
    };
    let labels: Vec<u32> = npy::read(&path("y"))?.to_f64().iter().map(|label| *label as u32).collect();
    let (figure, mut figures) = measure(|| work(x.view(), &labels))?;
    figures.insert("figure".into(), json!(figure));
    Ok(figures)
}
