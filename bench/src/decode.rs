//! From scores to a token, and the choice among drafts.

use crate::{Figures, Settings, Workload, measure};
use quadrat_core::{Error, Result, Seed};
use quadrat_language::decode::{Chain, Decoder, Law};
use quadrat_language::speculate::{DraftSelector, KSeq};
use quadrat_language::{Chance, softmax};
use serde_json::json;
use std::time::Instant;

/// The workloads of decoding.
pub fn workloads() -> Vec<Workload> {
    vec![("decode-chain", chain), ("decode-k-seq", k_seq)]
}

/// Scores as a model has them: normal, with a deviation at which about a thousand of 50,257 tokens matter.
fn scores(vocabulary: usize, seed: u64) -> Vec<f32> {
    let mut rng = Seed(seed).rng(0);
    (0..vocabulary).map(|_| 3.0 * rng.normal() as f32).collect()
}

/// `vocabulary=N steps=N chain=plain|top-k|top-p|all|typical`: so many tokens are drawn, each from other scores.
fn chain(settings: &Settings) -> Result<Figures> {
    let (vocabulary, steps) = (settings.number("vocabulary", 50_257)?, settings.number("steps", 500)?);
    let usual = Chain { temperature: 0.8, ..Chain::default() };
    let chain = match settings.text("chain", "all") {
        "plain" => usual,
        "top-k" => Chain { top_k: Some(50), ..usual },
        "top-p" => Chain { top_p: 0.9, ..usual },
        "typical" => Chain { typical: 0.9, ..usual },
        "all" => Chain { repetition_penalty: 1.1, top_k: Some(50), top_p: 0.9, min_p: 0.05, ..usual },
        other => return Err(Error::input("chain", other, "plain, top-k, top-p, typical or all")),
    };
    let decoder = Decoder::from(chain);
    let many: Vec<Vec<f32>> = (0..8).map(|seed| scores(vocabulary, seed)).collect();
    let history: Vec<u32> = (0..200).map(|i| i * 37 % vocabulary as u32).collect();
    let (mut rng, mut law) = (Seed(1).rng(0), Law::default());
    let mut best = f64::INFINITY;
    let (kept, mut figures) = measure(|| {
        let mut kept = 0;
        for step in 0..steps {
            let start = Instant::now();
            decoder.law(&history, &many[step % many.len()], &mut law)?;
            law.draw(&mut rng);
            best = best.min(start.elapsed().as_secs_f64());
            kept += law.tokens().len();
        }
        Ok(kept as f64 / steps as f64)
    })?;
    figures.insert("best_seconds".into(), json!(best));
    figures.insert("kept".into(), json!(kept));
    Ok(figures)
}

/// `vocabulary=N drafts=N steps=N`: so many choices, the laws' checks and the residual's draw with them.
fn k_seq(settings: &Settings) -> Result<Figures> {
    let (vocabulary, drafts) = (settings.number("vocabulary", 50_257)?, settings.number("drafts", 8)?);
    let steps = settings.number("steps", 500)?;
    let target = scores(vocabulary, 1);
    // The draft knows the target's scores, roughly.
    let rough: Vec<f32> = target.iter().zip(scores(vocabulary, 2)).map(|(score, other)| score + 0.4 * other).collect();
    let (mut p, mut q) = (Vec::new(), Vec::new());
    softmax(&rough, &mut p);
    softmax(&target, &mut q);
    let (mut rng, mut room) = (Seed(1).rng(0), Vec::new());
    let drawn: Vec<Vec<u32>> = (0..steps).map(|_| (0..drafts).map(|_| rng.pick(&p) as u32).collect()).collect();
    let mut best = f64::INFINITY;
    let (accepted, mut figures) = measure(|| {
        let mut accepted = 0;
        for drafts in &drawn {
            let start = Instant::now();
            let chosen = KSeq.select(&p, &q, drafts, &mut rng, &mut room)?;
            best = best.min(start.elapsed().as_secs_f64());
            accepted += usize::from(chosen.accepted.is_some());
        }
        Ok(accepted as f64 / steps as f64)
    })?;
    figures.insert("best_seconds".into(), json!(best));
    figures.insert("accepted".into(), json!(accepted));
    figures.insert("acceptance".into(), json!(KSeq.acceptance(&p, &q, drafts)?));
    Ok(figures)
}
