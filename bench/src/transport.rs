//! Optimal transport; peer and data: `bench/transport.py`.

use crate::{Figures, Settings, Workload, measure, npy};
use ndarray::Array2;
use quadrat_core::{Result, Seed};
use quadrat_numeric::transport::{sliced_wasserstein1, wasserstein1};
use serde_json::json;

/// The workloads of optimal transport.
pub fn workloads() -> Vec<Workload> {
    vec![("transport-exact", exact), ("transport-sliced", sliced)]
}

/// `in=FOLDER data=NAME`: the files that the peer reads too.
fn read(settings: &Settings) -> Result<[Array2<f64>; 2]> {
    let folder = settings.text("in", ".");
    let name = settings.text("data", "square");
    let file = |side: &str| Ok(npy::read(&format!("{folder}/{name}-{side}.npy"))?.to_f64().into_owned());
    Ok([file("a")?, file("b")?])
}

/// Exact W1, costs included.
fn exact(settings: &Settings) -> Result<Figures> {
    let [a, b] = read(settings)?;
    let (distance, mut figures) = measure(|| wasserstein1(a.view(), b.view()))?;
    figures.insert("figure".into(), json!(distance));
    Ok(figures)
}

/// Sliced W1 over 500 directions.
fn sliced(settings: &Settings) -> Result<Figures> {
    let [a, b] = read(settings)?;
    let (distance, mut figures) = measure(|| sliced_wasserstein1(a.view(), b.view(), 500, Seed(1)))?;
    figures.insert("figure".into(), json!(distance));
    Ok(figures)
}
