//! Required inductive bias; peer and data: `bench/bias.py`.

use crate::{Figures, Settings, Workload, measure, npy};
use ndarray::Array2;
use quadrat_core::{Result, stats};
use quadrat_estimate::inductive_bias::{GpPosterior, Kernel, Law, Rows, Unit};
use quadrat_numeric::special::log_noncentral_chi_square_pdf;
use serde_json::json;

/// The workloads of inductive bias.
pub fn workloads() -> Vec<Workload> {
    vec![("bias-curve", curve), ("bias-fit", fit)]
}

fn read(settings: &Settings, name: &str) -> Result<Array2<f64>> {
    Ok(npy::read(&format!("{}/{name}.npy", settings.text("in", ".")))?.to_f64().into_owned())
}

/// `in=FOLDER`: the information for each error in eps.npy; the figure is the first.
fn curve(settings: &Settings) -> Result<Figures> {
    let [x, y, xt, yt, eps] = ["x", "y", "xt", "yt", "eps"].map(|name| read(settings, name));
    let (x, y, xt, yt, eps) = (x?, y?, xt?, yt?, eps?);
    let eps: Vec<f64> = eps.iter().copied().collect();
    let (train, test) = (Rows { x: x.view(), y: y.view() }, Rows { x: xt.view(), y: yt.view() });
    let (curve, mut figures) =
        measure(|| GpPosterior::new(Kernel::Rbf { sigma: 1.0 }, 0.0, train, test)?.curve(&eps, Unit::Nats))?;
    figures.insert("figure".into(), json!(curve.first().map(|bias| bias.value)));
    Ok(figures)
}

/// `in=FOLDER`: the fit to losses.npy; the figure is its log likelihood.
fn fit(settings: &Settings) -> Result<Figures> {
    let losses: Vec<f64> = read(settings, "losses")?.iter().copied().collect();
    let (law, mut figures) = measure(|| Law::noncentral(&losses))?;
    let Law::Ncx2 { df, nc, scale } = law else { return Ok(figures) };
    let log = |e: &f64| log_noncentral_chi_square_pdf(e / scale, df, nc) - scale.ln();
    let logs: Vec<f64> = losses.iter().map(log).collect();
    figures.insert("figure".into(), json!(stats::mean(&logs) * losses.len() as f64));
    Ok(figures)
}
