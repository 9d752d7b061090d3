//! `quadrat language diversity`: texts -> how varied they are, and whether they quote.

use super::model;
use crate::args::Run;
use crate::commands::work;
use crate::output::{Reply, count, figure, seconds, table};
use crate::reading::Reading;
use clap::Args;
use quadrat::language::diversity::{Quote, Sources, cycle, distinct, repetition, self_bleu, type_token_ratio};
use quadrat::{Error, Result, stats};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Instant;

#[derive(Args, Debug)]
pub struct MeasureTexts {
    /// Texts, a row each: a file as for `select`, or builtin:NAME
    #[arg(long = "in", value_name = "FILE")]
    pub input: String,
    /// Text columns: joined, one paragraph each
    #[arg(long, value_name = "A,B,C", required = true)]
    pub text: Vec<String>,
    /// Count the tokens of this model: a folder or a .gguf file [default: words as blanks set them apart]
    #[arg(long, value_name = "FOLDER|FILE")]
    pub model: Option<PathBuf>,
    /// Tokens at the end of a text whose type-token ratio is taken
    #[arg(long, value_name = "N", default_value_t = 96)]
    pub window: usize,
    /// Texts that should not be quoted: a plain file, or rows with the same columns
    #[arg(long, value_name = "FILE")]
    pub against: Option<String>,
    /// With --against: a shared passage of more tokens is a quotation
    #[arg(long, value_name = "N", default_value_t = 10, requires = "against")]
    pub quote_tokens: usize,
    #[command(flatten)]
    pub run: Run,
    #[command(flatten)]
    pub reading: Reading,
}

/// Measures the texts.
pub fn run(args: &MeasureTexts) -> Result<Reply> {
    if args.window == 0 {
        return Err(Error::input("--window", 0, "at least 1"));
    }
    let input = work::read(&args.input, &args.reading)?;
    let columns = work::listed("--text", &args.text, &input)?;
    let mut tokenise = tokens(args)?;
    let texts = input.paragraphs(&columns)?.iter().map(|text| tokenise(text)).collect::<Result<Vec<_>>>()?;
    let started = Instant::now();
    let mean = |of: &dyn Fn(&[u32]) -> f64| {
        stats::mean(&texts.iter().map(|text| of(text)).filter(|value| !value.is_nan()).collect::<Vec<f64>>())
    };
    let looping = texts.iter().filter(|text| cycle(text).is_some_and(|cycle| 2 * cycle.tokens > text.len())).count();
    let mut measures = vec![
        (format!("type-token ratio of the last {}", args.window), mean(&|text| type_token_ratio(text, args.window))),
        ("distinct 1-grams".to_owned(), distinct(&texts, 1)),
        ("distinct 2-grams".to_owned(), distinct(&texts, 2)),
        ("distinct 4-grams".to_owned(), distinct(&texts, 4)),
        ("repetition of 4-grams".to_owned(), mean(&|text| repetition(text, 4))),
        ("share that is more than half a loop at its end".to_owned(), looping as f64 / texts.len() as f64),
    ];
    if texts.len() > 1 {
        measures.push(("self-BLEU".to_owned(), self_bleu(&texts)?));
    }
    let mut shown = String::new();
    if let Some(against) = &args.against {
        let sources = super::texts::of(against, &columns, &args.reading)?;
        let sources = sources.iter().map(|text| tokenise(text)).collect::<Result<Vec<_>>>()?;
        let quotes = Sources::new(&sources)?.longest_quotes(&texts);
        let many = quotes.iter().filter(|quote| quote.tokens > args.quote_tokens).count();
        measures.push((
            format!("share that quotes more than {} tokens", args.quote_tokens),
            many as f64 / texts.len() as f64,
        ));
        let lengths: Vec<f64> = quotes.iter().map(|quote| quote.tokens as f64).collect();
        measures.push(("longest quotation, mean tokens".to_owned(), stats::mean(&lengths)));
        shown = longest(&quotes);
    }
    let took = started.elapsed().as_secs_f64();
    let all: usize = texts.iter().map(Vec::len).sum();
    let rows: Vec<Vec<String>> = measures.iter().map(|(name, value)| vec![name.clone(), figure(*value)]).collect();
    let head =
        format!("{}: {} texts of {} tokens in {}\n", input.name(), count(texts.len()), count(all), seconds(took));
    let value = json!({
        "input": input.name(),
        "rows": texts.len(),
        "tokens": all,
        "measures": measures.into_iter().map(|(name, value)| (name, json!(value))).collect::<serde_json::Map<_, Value>>(),
        "seconds": took,
    });
    Ok(Reply::new(format!("{head}{}{shown}", table(&rows, &[1])), value))
}

/// Where the longest quotation stands.
fn longest(quotes: &[Quote]) -> String {
    let best = quotes.iter().enumerate().max_by_key(|(row, quote)| (quote.tokens, usize::MAX - row));
    best.map_or(String::new(), |(row, quote)| {
        let Quote { tokens, at, source, from } = quote;
        format!(
            "longest: {} tokens of row {} from token {} on are those of source {} from token {} on\n",
            count(*tokens),
            row + 1,
            at + 1,
            source + 1,
            from + 1
        )
    })
}

/// How texts become tokens.
type Tokenise = Box<dyn FnMut(&str) -> Result<Vec<u32>>>;

/// A model's tokens, or a number for each word.
fn tokens(args: &MeasureTexts) -> Result<Tokenise> {
    if let Some(path) = &args.model {
        let model = model::open(path)?;
        return Ok(Box::new(move |text| model.encode(text)));
    }
    let mut known: HashMap<String, u32> = HashMap::new();
    Ok(Box::new(move |text| {
        let mut number = |word: &str| {
            let next = known.len() as u32;
            *known.entry(word.to_owned()).or_insert(next)
        };
        Ok(text.split_whitespace().map(&mut number).collect())
    }))
}
