//! The Lasso's path and alternating least squares over many tasks; peers and data: `bench/tasks.py`.

use crate::{Figures, Settings, Workload, measure, npy};
use ndarray::s;
use quadrat_core::{Result, Silent};
use quadrat_numeric::Lasso;
use quadrat_numeric::lasso::lasso_path;
use quadrat_select::{LinearMtl, Task};
use serde_json::json;

/// The workloads of task buying.
pub fn workloads() -> Vec<Workload> {
    vec![("lasso-path", path), ("lasso-descent", descent), ("linear-mtl", linear_mtl)]
}

/// `in=FILE` (a matrix whose last column is the right-hand side): the whole path from the first coefficient to basis
/// pursuit, `times` times over.
fn path(settings: &Settings) -> Result<Figures> {
    let whole = npy::read(settings.text("in", "system.npy"))?.to_f64().into_owned();
    let (a, b) = (whole.slice(s![.., ..-1]), whole.column(whole.ncols() - 1).to_vec());
    let times = settings.number("times", 20)?;
    let (path, mut figures) = measure(|| {
        (1..times).try_for_each(|_| lasso_path(a, &b, 0.0, None).map(drop))?;
        lasso_path(a, &b, 0.0, None)
    })?;
    let norm: f64 = path.end().iter().map(|x| x.abs()).sum();
    figures.insert("knots".into(), json!(path.knots.len()));
    figures.insert("l1 norm at the end".into(), json!(norm));
    Ok(figures)
}

/// `in=FILE`: coordinate descent at a tenth of the smallest penalty that leaves no coefficient, `times` times over.
fn descent(settings: &Settings) -> Result<Figures> {
    let whole = npy::read(settings.text("in", "system.npy"))?.to_f64().into_owned();
    let (a, b) = (whole.slice(s![.., ..-1]), whole.column(whole.ncols() - 1).to_owned());
    let lambda = 0.1 * a.t().dot(&b).iter().fold(0.0, |most: f64, c| most.max(c.abs()));
    let (b, lasso, times) = (b.to_vec(), Lasso { lambda, ..Lasso::default() }, settings.number("times", 20)?);
    let (fit, mut figures) = measure(|| {
        (1..times).try_for_each(|_| lasso.fit(a, &b).map(drop))?;
        lasso.fit(a, &b)
    })?;
    figures.insert("gap".into(), json!(fit.gap));
    figures.insert("passes".into(), json!(fit.iterations));
    Ok(figures)
}

/// `in=FILE` (rows of all tasks one task after the other, the last column the label) `tasks=M rank=K sweeps=N`: the whole
/// fit, start included, for that many sweeps.
fn linear_mtl(settings: &Settings) -> Result<Figures> {
    let whole = npy::read(settings.text("in", "tasks.npy"))?.to_f64().into_owned();
    let tasks = settings.number("tasks", 500)?;
    let each = whole.nrows() / tasks;
    let task = |m: usize| {
        let rows = whole.slice(s![m * each..(m + 1) * each, ..]);
        Task { x: rows.slice(s![.., ..-1]).to_owned(), y: rows.column(whole.ncols() - 1).to_vec() }
    };
    let all: Vec<Task> = (0..tasks).map(task).collect();
    let mtl = LinearMtl {
        rank: settings.number("rank", 10)?,
        sweeps: settings.number("sweeps", 10)?,
        tol: 0.0,
        centre: false,
        ..LinearMtl::default()
    };
    drop(whole);
    let (fit, mut figures) = measure(|| mtl.fit(&all, &Silent))?;
    figures.insert("residual".into(), json!(fit.residual));
    figures.insert("sweeps".into(), json!(fit.sweeps));
    Ok(figures)
}
