//! Resampling; peers and data: `bench/robust.py`.

use crate::{Figures, Settings, Workload, measure, npy};
use ndarray::s;
use quadrat_core::{Params, Result, Seed, Silent};
use quadrat_robust::{Labelled, build};
use serde_json::json;

/// The workloads of the robust area.
pub fn workloads() -> Vec<Workload> {
    vec![("resample", resample)]
}

/// `in=FILE method=smote k=5 nominal=0 seed=1`: the last column of the file is the class, the `nominal` columns before
/// it are categories. What is measured ends with the whole new table, as the peers return it.
fn resample(settings: &Settings) -> Result<Figures> {
    let table = npy::read(settings.text("in", "table.npy"))?.to_f64().into_owned();
    let columns = table.ncols() - 1;
    let y = table.column(columns).iter().map(|class| *class as u32).collect();
    let x = table.slice(s![.., ..columns]).as_standard_layout().into_owned();
    drop(table);
    let nominal = settings.number("nominal", 0)?;
    let data = Labelled::new(x, y).with_categorical((columns - nominal..columns).collect());
    let seed = Seed(settings.number("seed", 1)? as u64);
    let method = build(settings.text("method", "smote"), &Params::from([("k", settings.text("k", "5"))]))?;
    let (table, mut figures) = measure(|| Ok(method.resample(&data, seed, &Silent)?.table(&data)))?;
    figures.insert("rows".into(), json!(table.y.len()));
    figures.insert("sum".into(), json!(table.x.slice(s![data.y.len().., ..]).sum()));
    Ok(figures)
}
