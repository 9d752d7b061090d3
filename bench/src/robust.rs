//! Resampling and suspect labels; peers and data: `bench/robust.py`, `bench/audit.py`.

use crate::{Figures, Settings, Workload, measure, npy};
use ndarray::s;
use quadrat_core::{Params, Result, Seed, Silent};
use quadrat_robust::{Labelled, Rcal, build, suspects};
use serde_json::json;

/// The workloads of the robust area.
pub fn workloads() -> Vec<Workload> {
    vec![("resample", resample), ("rcal", calibrate), ("suspects", suspect_labels)]
}

/// `in=FILE method=smote k=5 nominal=0 seed=1`: the last column of the file is the class, the `nominal` columns before
/// it are categories. What is measured ends with the whole new table, as the peers return it.
fn resample(settings: &Settings) -> Result<Figures> {
    let data = labelled(settings)?;
    let (columns, nominal) = (data.x.ncols(), settings.number("nominal", 0)?);
    let data = data.with_categorical((columns - nominal..columns).collect());
    let seed = Seed(settings.number("seed", 1)? as u64);
    let params = match settings.text("method", "smote") {
        "rcal" => Params::none(),
        _ => Params::from([("k", settings.text("k", "5"))]),
    };
    let method = build(settings.text("method", "smote"), &params)?;
    let (table, mut figures) = measure(|| Ok(method.resample(&data, seed, &Silent)?.table(&data)))?;
    figures.insert("rows".into(), json!(table.y.len()));
    figures.insert("sum".into(), json!(table.x.slice(s![data.y.len().., ..]).sum()));
    Ok(figures)
}

/// A file whose last column is the class.
fn labelled(settings: &Settings) -> Result<Labelled> {
    let table = npy::read(settings.text("in", "table.npy"))?.to_f64().into_owned();
    let columns = table.ncols() - 1;
    let y = table.column(columns).iter().map(|class| *class as u32).collect();
    Ok(Labelled::new(table.slice(s![.., ..columns]).as_standard_layout().into_owned(), y))
}

/// `in=FILE`: the Gaussians of all classes without their outliers; nothing is borrowed.
fn calibrate(settings: &Settings) -> Result<Figures> {
    let data = labelled(settings)?;
    let method = Rcal { gamma: 0.0, alpha: 0.0, ..Rcal::default() };
    let (found, mut figures) = measure(|| method.calibrate(&data, &Silent))?;
    let laws = found.classes.iter().flatten();
    let trace: f64 = laws.map(|law| law.mean.sum() + law.covariance.diag().sum()).sum();
    figures.insert("kept".into(), json!(found.kept.iter().filter(|kept| **kept).count()));
    figures.insert("trace".into(), json!(trace));
    Ok(figures)
}

/// `in=FILE`: a column a class, then the label and whether it is wrong. The average precision is that of the list: a wrong
/// label that is not on it counts as never found.
fn suspect_labels(settings: &Settings) -> Result<Figures> {
    let table = npy::read(settings.text("in", "table.npy"))?.to_f64().into_owned();
    let classes = table.ncols() - 2;
    let labels: Vec<u32> = table.column(classes).iter().map(|class| *class as u32).collect();
    let wrong: Vec<bool> = table.column(classes + 1).iter().map(|wrong| *wrong > 0.0).collect();
    let p = table.slice(s![.., ..classes]).as_standard_layout().into_owned();
    drop(table);
    let (found, mut figures) = measure(|| suspects(p.view(), &labels))?;
    let (mut hits, mut precision) = (0.0, 0.0);
    for (place, _) in found.ranked.iter().enumerate().filter(|(_, suspect)| wrong[suspect.row]) {
        hits += 1.0;
        precision += hits / (place + 1) as f64;
    }
    let all = wrong.iter().filter(|wrong| **wrong).count() as f64;
    figures.insert("suspects".into(), json!(found.ranked.len()));
    figures.insert("average_precision".into(), json!(precision / all));
    Ok(figures)
}
