//! Clustering, nearest neighbours and leverage scores of the numeric layer; peers and data: `bench/numeric.py`.

use crate::{Figures, Settings, Workload, measure, npy};
use quadrat_core::{Result, Seed, Silent};
use quadrat_numeric::linalg::{product_squared_lengths, whitening};
use quadrat_numeric::neighbours::nearest;
use quadrat_numeric::{Init, KMeans};
use serde_json::json;

/// The workloads of the numeric layer.
pub fn workloads() -> Vec<Workload> {
    vec![("kmeans", kmeans), ("neighbours", neighbours), ("leverage", leverage)]
}

/// `in=FILE k=512 iterations=25 init=random|greedy|plusplus|parallel seed=1`
fn kmeans(settings: &Settings) -> Result<Figures> {
    let x = npy::read(settings.text("in", "points.npy"))?.to_f32().into_owned();
    let init = match settings.text("init", "random") {
        "greedy" => Init::Greedy,
        "plusplus" => Init::PlusPlus,
        "parallel" => Init::Parallel,
        _ => Init::Random,
    };
    let means = KMeans {
        init,
        tol: 0.0,
        max_iter: settings.number("iterations", 25)?,
        ..KMeans::new(settings.number("k", 512)?)
    };
    let seed = Seed(settings.number("seed", 1)? as u64);
    let (found, mut figures) = measure(|| means.fit(x.view(), seed, &Silent))?;
    figures.insert("inertia".into(), json!(found.inertia));
    figures.insert("iterations".into(), json!(found.iterations));
    Ok(figures)
}

/// `base=FILE queries=FILE k=5`; without queries the rows of the base among themselves, each without itself.
fn neighbours(settings: &Settings) -> Result<Figures> {
    let base = npy::read(settings.text("base", "base.npy"))?.to_f64().into_owned();
    let queries = match settings.text("queries", "") {
        "" => None,
        path => Some(npy::read(path)?.to_f64().into_owned()),
    };
    let k = settings.number("k", 5)?;
    let own: Vec<usize> = (0..base.nrows()).collect();
    let (near, mut figures) = measure(|| match &queries {
        Some(queries) => nearest(base.view(), queries.view(), None, k, &Silent),
        None => nearest(base.view(), base.view(), Some(&own), k, &Silent),
    })?;
    figures.insert("distances".into(), json!(near.squared.iter().map(|s| s.sqrt()).sum::<f64>()));
    Ok(figures)
}

/// `in=FILE`
fn leverage(settings: &Settings) -> Result<Figures> {
    let x = npy::read(settings.text("in", "points.npy"))?.to_f64().into_owned();
    let (scores, mut figures) = measure(|| product_squared_lengths(x.view(), whitening(x.view(), None)?.view()))?;
    figures.insert("sum".into(), json!(scores.iter().sum::<f64>()));
    figures.insert("largest".into(), json!(scores.iter().copied().fold(0.0, f64::max)));
    Ok(figures)
}
