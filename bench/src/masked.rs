//! Texts from a masked model that costs nothing: what is left is the sampler's own time; recipe: `bench/masked.py`.

use crate::{Figures, Settings, Workload, measure};
use quadrat_core::{Error, Result, Rng, Seed};
use quadrat_language::masked::{Ancestral, Draw, FirstHitting, MaskedModel, MaskedSampler, Usual};
use serde_json::json;

/// The workloads of masked diffusion.
pub fn workloads() -> Vec<Workload> {
    vec![("masked-first-hitting", first_hitting), ("masked-ancestral", ancestral)]
}

/// A model whose rows are one of a few, by the place.
struct Table {
    vocabulary: usize,
    rows: Vec<Vec<f64>>,
}

impl Table {
    fn new(vocabulary: usize) -> Self {
        let row = |i| {
            let mut rng: Rng = Seed(1).stream("bench masked").rng(i);
            // A few likely tokens and many unlikely ones, as a language model has them.
            let weights: Vec<f64> = (0..vocabulary).map(|_| (3.0 * rng.normal()).exp()).collect();
            let total: f64 = weights.iter().sum();
            weights.into_iter().map(|weight| weight / total).collect()
        };
        Table { vocabulary, rows: (0..8).map(row).collect() }
    }
}

impl MaskedModel for Table {
    fn vocabulary(&self) -> usize {
        self.vocabulary
    }

    fn mask(&self) -> u32 {
        self.vocabulary as u32
    }

    fn predict(&self, _: &[u32], places: &[usize], rows: &mut [f64]) -> Result<()> {
        for (row, place) in rows.chunks_exact_mut(self.vocabulary).zip(places) {
            row.copy_from_slice(&self.rows[place % self.rows.len()]);
        }
        Ok(())
    }
}

fn run(settings: &Settings, sampler: &dyn MaskedSampler, length: usize) -> Result<Figures> {
    let (length, texts) = (settings.number("length", length)?, settings.number("texts", 4)?);
    let model = Table::new(settings.number("vocabulary", 50_257)?);
    let start = vec![model.mask(); length];
    let (calls, mut figures) = measure(|| {
        let one = |i| Ok(sampler.sample(&model, &start, &mut Seed(2).rng(i))?.calls);
        (0..texts as u64).map(one).sum::<Result<usize>>()
    })?;
    let seconds = |name: &str| figures.get(name).and_then(serde_json::Value::as_f64).unwrap_or(f64::NAN) / texts as f64;
    let (wall, cpu) = (seconds("seconds"), seconds("cpu_seconds"));
    figures.insert("seconds_a_text".into(), json!(wall));
    figures.insert("cpu_seconds_a_text".into(), json!(cpu));
    figures.insert("calls".into(), json!(calls));
    Ok(figures)
}

fn first_hitting(settings: &Settings) -> Result<Figures> {
    run(settings, &FirstHitting::default(), 1024)
}

fn ancestral(settings: &Settings) -> Result<Figures> {
    let draw = match settings.text("draw", "gumbel-f64") {
        "two-stage" => Draw::TwoStage,
        "gumbel-f64" => Draw::GumbelF64,
        "gumbel-f32" => Draw::GumbelF32,
        other => return Err(Error::input("draw", other, "two-stage, gumbel-f64 or gumbel-f32")),
    };
    let steps = settings.number("steps", 10_000)?;
    run(settings, &Ancestral { steps, schedule: Usual::Linear, draw }, 256)
}
