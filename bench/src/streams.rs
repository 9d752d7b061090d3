//! Streams of rows and splits by similarity; peers and data: `bench/streams.py`.

use crate::{Figures, Settings, Workload, measure, npy};
use quadrat_core::{Params, Result, Seed, Silent};
use quadrat_numeric::neighbours::nearest_f32;
use quadrat_numeric::{Metric, Points};
use quadrat_select::{RoundDraw, Rounds};
use serde_json::json;

/// The workloads of streams and splits.
pub fn workloads() -> Vec<Workload> {
    vec![("rounds", rounds), ("split-neighbours", neighbours)]
}

/// `rows=N take=M rounds=R draw=NAME`: R rounds of M of N rows, one after the other.
fn rounds(settings: &Settings) -> Result<Figures> {
    let (rows, take) = (settings.number("rows", 10_000_000)?, settings.number("take", 100_000)?);
    let count = settings.number("rounds", 1000)?;
    let named = settings.text("draw", "without-replacement");
    let draw = Params::from([("draw", named)]).choice("draw", RoundDraw::WithoutReplacement)?;
    let (sum, mut figures) = measure(|| {
        let mut stream = Rounds::new(rows, draw, None, Seed(1))?;
        let mut sum = 0_u64;
        for _ in 0..count {
            sum += stream.next_round(take)?.iter().map(|row| u64::from(*row)).sum::<u64>();
        }
        Ok(sum)
    })?;
    figures.insert("mean row".into(), json!(sum as f64 / (count * take) as f64));
    Ok(figures)
}

/// `train=FILE test=FILE neighbours=K` (unit float32 rows): the K training rows most similar to each test row.
fn neighbours(settings: &Settings) -> Result<Figures> {
    let read = |name: &str| match npy::read(settings.text(name, "rows.npy"))? {
        Points::F32(values) => Ok(values),
        other => Ok(other.to_f32().into_owned()),
    };
    let (train, test) = (read("train")?, read("test")?);
    let k = settings.number("neighbours", 10)?;
    let (near, mut figures) = measure(|| nearest_f32(train.view(), test.view(), None, k, Metric::Cosine, &Silent))?;
    figures.insert("sum of squared distances".into(), json!(near.squared.iter().sum::<f64>()));
    Ok(figures)
}
