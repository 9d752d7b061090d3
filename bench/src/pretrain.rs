//! Pretraining on unlabelled rows; peer and data: `bench/pretrain.py`.

use crate::{Figures, Settings, Workload, measure, npy};
use ndarray::{Array1, Array2, s};
use quadrat_core::{Result, Seed, Silent, stats};
use quadrat_estimate::pretrain_mle_erm::{Covariance, GaussianMixture, Head, Latent, Mixture, Ppca, Target};
use quadrat_numeric::linalg::Pca;
use quadrat_numeric::mixture::Covariances;
use rayon::prelude::*;
use serde_json::json;

/// The workloads of pretraining.
pub fn workloads() -> Vec<Workload> {
    vec![("pretrain-pca", pca), ("pretrain-diagonal", diagonal), ("pretrain-full", full), ("pretrain-sweep", sweep)]
}

fn path(settings: &Settings, name: &str) -> String {
    format!("{}/{name}.npy", settings.text("in", "."))
}

/// `in=FOLDER`: 32 components of images.npy; the figure is their share of the variance.
fn pca(settings: &Settings) -> Result<Figures> {
    let rows = npy::read(&path(settings, "images"))?;
    let rows = rows.to_f32();
    let (pca, mut figures) = measure(|| Pca::fit_f32(rows.view(), 32))?;
    figures.insert("figure".into(), json!(pca.variances.iter().sum::<f64>() / pca.total_variance));
    Ok(figures)
}

/// `in=FOLDER`: 50 rounds of EM on points.npy from the centres in start.npy; the figure is the mean log likelihood.
fn rounds(settings: &Settings, covariance: Covariance, unit: fn(usize, usize) -> Covariances) -> Result<Figures> {
    let x = npy::read(&path(settings, "points"))?.to_f64().into_owned();
    let means = npy::read(&path(settings, "start"))?.to_f64().into_owned();
    let (k, d) = means.dim();
    let start = Mixture { weights: Array1::from_elem(k, 1.0 / k as f64), means, covariances: unit(k, d) };
    let method = GaussianMixture { covariance, rounds: 50, tolerance: -1.0, ..GaussianMixture::new(k) };
    let (fit, mut figures) = measure(|| method.refine(start, x.view(), &Silent))?;
    figures.insert("figure".into(), json!(fit.mixture.log_likelihood(x.view())?));
    Ok(figures)
}

fn diagonal(settings: &Settings) -> Result<Figures> {
    rounds(settings, Covariance::Diagonal, |k, d| Covariances::Diagonal(Array2::ones((k, d))))
}

fn full(settings: &Settings) -> Result<Figures> {
    rounds(settings, Covariance::Full, |k, d| Covariances::Full(vec![Array2::eye(d); k]))
}

/// Principal factors of 3 pool sizes and least squares on 5 numbers of labels, for 40 seeds; the figure is the median
/// squared error on 1,000 rows at the largest sizes.
fn sweep(_: &Settings) -> Result<Figures> {
    let data: Vec<[(Array2<f64>, Target); 3]> = (0..40_u64)
        .into_par_iter()
        .map(|seed| {
            let mut rng = Seed(1).stream("bench pretrain").rng(seed);
            let b = Array2::from_shape_simple_fn((100, 5), || 0.6 * rng.normal());
            [10_000, 1000, 1000].map(|n| {
                let z = Array2::from_shape_simple_fn((n, 5), || rng.normal());
                let x = z.dot(&b.t()) + Array2::from_shape_simple_fn((n, 100), || rng.normal());
                let y = z.outer_iter().map(|z| z.sum() / 5.0_f64.sqrt() + 0.5 * rng.normal()).collect();
                (x, Target::Numbers(y))
            })
        })
        .collect();
    let labels = [30, 75, 150, 400, 1000];
    let one = |[(pool, _), (x, y), (test, truth)]: &[(Array2<f64>, Target); 3]| -> Result<f64> {
        let mut last = f64::NAN;
        for m in [200, 1000, 10_000] {
            let model = Ppca { rank: 5 }.model(pool.slice(s![..m, ..]))?;
            for n in labels {
                let rows: Vec<usize> = (0..n).collect();
                let head = Head::Ols.fit(model.transform(x.slice(s![..n, ..]))?.view(), &y.take(&rows))?;
                last = head.predict(model.transform(test.view())?.view())?.loss(truth)?;
            }
        }
        Ok(last)
    };
    let (risks, mut figures) = measure(|| data.par_iter().map(one).collect::<Result<Vec<f64>>>())?;
    figures.insert("figure".into(), json!(stats::median(&risks)));
    Ok(figures)
}
