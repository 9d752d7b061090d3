//! Sobol' indices at equal numbers of calls; peers: `bench/sobol.py`.

use crate::{Figures, Settings, Workload, measure};
use ndarray::ArrayView2;
use quadrat_core::{Error, Result, Seed, Silent, stats};
use quadrat_estimate::by_point;
use quadrat_estimate::functions::{g_function, ishigami};
use quadrat_estimate::sobol::{Factors, Saltelli, SobolIscv};
use serde_json::json;

/// The workloads of sensitivity analysis.
pub fn workloads() -> Vec<Workload> {
    vec![("sobol", sobol)]
}

/// `model=ishigami|g calls=N method=saltelli|iscv resamples=R times=K`: K analyses with seeds of their own; the root mean
/// squared error of all indices with its 95% interval, and the calls that were made.
fn sobol(settings: &Settings) -> Result<Figures> {
    let model = if settings.text("model", "ishigami") == "g" { g_function() } else { ishigami() };
    let (calls, resamples) = (settings.number("calls", 4096)?, settings.number("resamples", 100)?);
    let times = settings.number("times", 20)?;
    let method = settings.text("method", "saltelli").to_owned();
    let factors = Factors::of(&model.inputs)?;
    let evaluate = |x: ArrayView2<f64>| Ok(by_point(x, 1, &|x: &[f64], y: &mut [f64]| y[0] = (model.model)(x)));
    let ((squares, made), mut figures) = measure(|| {
        let (mut squares, mut made) = (Vec::new(), 0);
        for seed in 0..times as u64 {
            let found = match method.as_str() {
                "iscv" => {
                    let iscv = SobolIscv { calls, resamples, ..SobolIscv::default() };
                    iscv.estimate(&factors, &evaluate, Seed(seed), &Silent)?
                }
                "saltelli" => {
                    let saltelli = Saltelli { calls, resamples, ..Saltelli::default() };
                    saltelli.estimate(&factors, &evaluate, Seed(seed), &Silent)?
                }
                other => return Err(Error::input("method", other, "saltelli or iscv")),
            };
            made = found.calls;
            let output = &found.outputs[0];
            let pairs = output.first.iter().zip(&model.first).chain(output.total.iter().zip(&model.total));
            let of_run: Vec<f64> = pairs.map(|(index, truth)| (index.value - truth).powi(2)).collect();
            squares.push(stats::mean(&of_run));
        }
        Ok((squares, made))
    })?;
    let interval = stats::bootstrap_interval(&squares, 0.95, 2000, Seed(0));
    figures.insert("rmse".into(), json!(interval.mean.sqrt()));
    figures.insert("rmse_low".into(), json!(interval.low.sqrt()));
    figures.insert("rmse_high".into(), json!(interval.high.sqrt()));
    figures.insert("calls".into(), json!(made));
    Ok(figures)
}
