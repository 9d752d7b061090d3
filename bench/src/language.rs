//! Coders and measures of texts; peers and data: `bench/coder.py`.

use crate::{Figures, Settings, Workload, measure, npy};
use quadrat_core::{Error, Result};
use quadrat_language::coder::{Frequencies, RangeDecoder, RangeEncoder};
use quadrat_language::diversity::self_bleu as self_bleu_of;
use quadrat_numeric::Points;
use serde_json::json;
use std::time::Instant;

/// The workloads of language models.
pub fn workloads() -> Vec<Workload> {
    vec![("coder", coder), ("self-bleu", self_bleu)]
}

/// The whole numbers of a file of float32, row by row.
fn numbers(settings: &Settings, name: &str) -> Result<Vec<Vec<u32>>> {
    match npy::read(settings.text(name, "tokens.npy"))? {
        Points::F32(values) => Ok(values.outer_iter().map(|row| row.iter().map(|v| *v as u32).collect()).collect()),
        _ => Err(Error::input(name, "float64", "float32")),
    }
}

/// `message=FILE symbols=V`: one row of symbols below V, symbol v with a probability proportional to 1 / (v + 1); `seconds` are those of
/// encoding.
fn coder(settings: &Settings) -> Result<Figures> {
    let message: Vec<usize> =
        numbers(settings, "message")?.concat().into_iter().map(|symbol| symbol as usize).collect();
    let weights: Vec<f64> = (0..settings.number("symbols", 256)?).map(|v| 1.0 / (v + 1) as f64).collect();
    let table = Frequencies::of(&weights)?;
    let (bits, mut figures) = measure(|| {
        let mut encoder = RangeEncoder::new();
        message.iter().for_each(|symbol| encoder.push(table.interval(*symbol)));
        Ok(encoder.finish())
    })?;
    let start = Instant::now();
    let mut decoder = RangeDecoder::new(bits.chunks());
    let wrong = message.iter().filter(|symbol| decoder.pull(&table) != **symbol).count();
    let decoding = start.elapsed().as_secs_f64();
    let speed = |seconds: f64| json!(message.len() as f64 / seconds / 1e6);
    let encoding = figures["seconds"].as_f64().unwrap_or(f64::NAN);
    figures.insert("decode_seconds".into(), json!(decoding));
    figures.insert("million_symbols_a_second_encoded".into(), speed(encoding));
    figures.insert("million_symbols_a_second_decoded".into(), speed(decoding));
    figures.insert("bits".into(), json!(bits.len()));
    figures.insert("wrong".into(), json!(wrong));
    Ok(figures)
}

/// `texts=FILE`: one text a row.
fn self_bleu(settings: &Settings) -> Result<Figures> {
    let texts = numbers(settings, "texts")?;
    let (bleu, mut figures) = measure(|| self_bleu_of(&texts))?;
    figures.insert("self_bleu".into(), json!(bleu));
    Ok(figures)
}
