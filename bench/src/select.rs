//! Selection by coverage; peers and data: `bench/selection.py`.

use crate::{Figures, Settings, Workload, measure, npy};
use ndarray::s;
use quadrat_core::{Params, Result, Seed, Silent};
use quadrat_select::{Gain, Mig, Phi, Pool, Selection, Selector, build};
use serde_json::json;

/// The workloads of the select area (sensitivities have a module of their own).
pub fn workloads() -> Vec<Workload> {
    vec![("mig", mig), ("feature-based", feature_based), ("facility-location", facility_location)]
}

/// `in=FILE budget=50000`, or without a file `rows=1000000 labels=5000 each=3`: uniform labels and scores.
fn mig(settings: &Settings) -> Result<Figures> {
    let pool = match settings.text("in", "") {
        "" => {
            tagged(settings.number("rows", 1_000_000)?, settings.number("labels", 5_000)?, settings.number("each", 3)?)
        }
        path => labelled(path)?,
    };
    chosen(&Mig::default(), &pool, settings.number("budget", 50_000)?)
}

/// `in=FILE budget=5000`: MIG with phi = sqrt, exact gains and no graph, which is feature-based selection.
fn feature_based(settings: &Settings) -> Result<Figures> {
    let method = Mig { phi: Phi::Sqrt, gain: Gain::Exact, norm: false, ..Mig::default() };
    chosen(&method, &labelled(settings.text("in", "table.npy"))?, settings.number("budget", 5_000)?)
}

/// `in=FILE budget=500 neighbours=50 similarity=cosine`.
fn facility_location(settings: &Settings) -> Result<Figures> {
    let names = [("neighbours", "50"), ("similarity", "cosine")];
    let params: Params = names.into_iter().map(|(name, default)| (name, settings.text(name, default))).collect();
    let pool = Pool::of_points(npy::read(settings.text("in", "points.npy"))?);
    chosen(build("facility-location", &params)?.as_ref(), &pool, settings.number("budget", 500)?)
}

fn chosen(method: &dyn Selector, pool: &Pool, budget: usize) -> Result<Figures> {
    let (Selection { indices, scores, .. }, mut figures) = measure(|| method.select(pool, budget, Seed(1), &Silent))?;
    figures.insert("gained".into(), json!(scores.iter().flatten().sum::<f64>()));
    figures.insert("picks".into(), json!(indices));
    Ok(figures)
}

fn tagged(rows: usize, labels: usize, each: usize) -> Pool {
    let mut rng = Seed(1).stream("bench").rng(0);
    let scores = (0..rows).map(|_| rng.uniform()).collect();
    let labels = (0..rows).map(|_| (0..each).map(|_| rng.below(labels) as u32).collect()).collect();
    Pool::of_rows(rows).with_labels(labels).with_scores(scores)
}

/// A matrix whose last column is the score; the others are label numbers.
fn labelled(path: &str) -> Result<Pool> {
    let table = npy::read(path)?.to_f64().into_owned();
    let each = table.ncols() - 1;
    let labels =
        table.slice(s![.., ..each]).rows().into_iter().map(|row| row.iter().map(|l| *l as u32).collect()).collect();
    Ok(Pool::of_rows(table.nrows()).with_labels(labels).with_scores(table.column(each).to_vec()))
}
