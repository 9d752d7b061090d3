//! Scores, a greedy continuation and tokens a second of a model in a file or folder.
//!
//! ```text
//! cargo run --release -p quadrat-language --example decode -- SmolLM2-135M-Instruct.Q4_1.gguf "The capital of France is"
//! ```
//!
//! Of that model, whose weights dequantised to single precision were run by transformers, the scores are 17.3713 for " Paris", 14.8886 for
//! " the", 13.2450 for " London", 13.0095 for " Le" and 12.9515 for " New".

use quadrat_core::{Error, Result};
use quadrat_language::open;
use std::time::Instant;

fn best(scores: &[f32]) -> u32 {
    (0..scores.len()).max_by(|a, b| scores[*a].total_cmp(&scores[*b])).unwrap_or(0) as u32
}

fn main() -> Result<()> {
    let mut words = std::env::args().skip(1);
    let usage = || Error::input("arguments", "too few", "MODEL PROMPT");
    let (path, prompt) = (words.next().ok_or_else(usage)?, words.next().ok_or_else(usage)?);
    let opened = open(path.as_ref())?;
    let (model, vocabulary) = (&opened.model, &opened.vocabulary);
    let tokens = vocabulary.prompt(&prompt)?;
    let mut text = model.begin();
    let mut scores = vec![0.0; model.vocabulary()];
    let start = Instant::now();
    text.push(&tokens)?;
    text.scores(&mut scores)?;
    let rate = |n: usize, start: Instant| n as f64 / start.elapsed().as_secs_f64();
    println!("prompt: {} tokens, {:.0} a second", tokens.len(), rate(tokens.len(), start));
    let mut order: Vec<u32> = (0..scores.len() as u32).collect();
    order.sort_by(|a, b| scores[*b as usize].total_cmp(&scores[*a as usize]));
    for token in &order[..5.min(order.len())] {
        println!("{token} {:?} {:.4}", vocabulary.decode(&[*token]), scores[*token as usize]);
    }
    let start = Instant::now();
    let mut greedy = Vec::new();
    while greedy.len() < 20 {
        greedy.push(best(&scores));
        text.push(&greedy[greedy.len() - 1..])?;
        text.scores(&mut scores)?;
    }
    println!("greedy: {greedy:?}, {:.0} a second\n{}", rate(greedy.len(), start), vocabulary.decode(&greedy));
    Ok(())
}
