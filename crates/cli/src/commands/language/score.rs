//! `quadrat language score`: texts -> how likely each is to a model.

use super::model::{self, Model};
use crate::args::Run;
use crate::commands::work;
use crate::output::{Reply, check_out, count, figure, seconds, table};
use crate::reading::Reading;
use clap::Args;
use quadrat::data::{Table, Values, write_selection};
use quadrat::language::{Scored, score};
use quadrat::{Error, Progress, Result, Within, checkpoint, stats};
use rayon::prelude::*;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::Instant;

#[derive(Args, Debug)]
pub struct ScoreTexts {
    /// The model: a folder or a .gguf file
    #[arg(long, value_name = "FOLDER|FILE")]
    pub model: PathBuf,
    /// Input: a file as for `select`, or builtin:NAME
    #[arg(long = "in", value_name = "FILE")]
    pub input: String,
    /// Text columns: joined, one paragraph each
    #[arg(long, value_name = "A,B,C", required = true)]
    pub text: Vec<String>,
    /// Output: the rows with the columns log_probability, perplexity, entropy and tokens
    #[arg(long, value_name = "FILE", allow_hyphen_values = true)]
    pub out: PathBuf,
    #[command(flatten)]
    pub run: Run,
    #[command(flatten)]
    pub reading: Reading,
}

/// Scores the rows and writes them with their figures.
pub fn run(args: &ScoreTexts, progress: &dyn Progress) -> Result<Reply> {
    check_out(&args.out)?;
    let model = model::open(&args.model)?;
    let input = work::read(&args.input, &args.reading)?;
    let columns = work::listed("--text", &args.text, &input)?;
    let started = Instant::now();
    let scored = of_rows(&model, &input.paragraphs(&columns)?, progress)?;
    let took = started.elapsed().as_secs_f64();
    checkpoint(progress)?;
    let tokens: Vec<f64> = scored.iter().map(|scored| scored.log_probabilities.len() as f64).collect();
    let log_probability: Vec<f64> = scored.iter().map(Scored::log_probability).collect();
    let all = tokens.iter().sum::<f64>();
    let perplexity = (-log_probability.iter().sum::<f64>() / all).exp();
    let entropies: Vec<f64> = scored.iter().flat_map(|scored| scored.entropies.iter().copied()).collect();
    let entropy = stats::mean(&entropies);
    write(&input, &scored, &args.out)?;
    let figures = [
        vec!["texts".to_owned(), count(input.rows())],
        vec!["tokens".to_owned(), count(all as usize)],
        vec!["perplexity of a token".to_owned(), figure(perplexity)],
        vec!["entropy of a token, nats".to_owned(), figure(entropy)],
        vec!["tokens a second".to_owned(), count((all / took.max(1e-9)) as usize)],
    ];
    let text = format!(
        "{} by {} in {}\n{}wrote {}\n",
        input.name(),
        args.model.display(),
        seconds(took),
        table(&figures, &[1]),
        args.out.display()
    );
    let value = json!({
        "model": args.model,
        "input": input.name(),
        "rows": input.rows(),
        "tokens": all,
        "perplexity": perplexity,
        "entropy": entropy,
        "seconds": took,
        "out": args.out,
    });
    Ok(Reply::new(text, value))
}

/// Each text's mean logarithm of a token's probability by a model: what `select --score-model` takes for its quality.
pub fn quality(path: &Path, texts: &[String], progress: &dyn Progress) -> Result<Vec<f64>> {
    let scored = of_rows(&model::open(path)?, texts, progress)?;
    let one = |(row, scored): (usize, &Scored)| match scored.perplexity().ln() {
        loss if loss.is_finite() => Ok(-loss),
        _ => Err(Error::input(
            format!("row {}", row + 1),
            "a text without tokens, or that cannot come",
            "text that the model can score",
        )),
    };
    scored.iter().enumerate().map(one).collect()
}

/// Each text after the token that begins texts, side by side.
pub fn of_rows(model: &Model, texts: &[String], progress: &dyn Progress) -> Result<Vec<Scored>> {
    progress.begin("scoring", Some(texts.len() as u64));
    let one = |text: &String| {
        checkpoint(progress)?;
        let scored = score(model.model(), model.begin(), &model.encode(text)?, &Within(progress))?;
        progress.advance(1);
        Ok(scored)
    };
    texts.par_iter().map(one).collect()
}

fn write(input: &Table, scored: &[Scored], out: &Path) -> Result<()> {
    let floats = |of: &dyn Fn(&Scored) -> f64| Values::Float(scored.iter().map(of).collect());
    let columns = [
        ("log_probability".to_owned(), floats(&Scored::log_probability)),
        ("perplexity".to_owned(), floats(&Scored::perplexity)),
        ("entropy".to_owned(), floats(&Scored::entropy)),
        ("tokens".to_owned(), floats(&|scored| scored.log_probabilities.len() as f64)),
    ];
    write_selection(input, &(0..input.rows()).collect::<Vec<_>>(), &columns, out)
}
