//! `quadrat retrieve eval`: a run and judgements -> how good the run is.

use super::judging::{Judge, Judging};
use crate::args::Run;
use crate::output::{Reply, count, table};
use clap::Args;
use quadrat::{Progress, Result, stats};
use serde_json::{Map, Value, json};
use std::path::PathBuf;

#[derive(Args, Debug)]
pub struct Eval {
    /// The run to measure, in TREC's format: query Q0 document rank score name
    #[arg(long = "run", value_name = "FILE")]
    pub ranking: PathBuf,
    #[command(flatten)]
    pub judging: Judging,
    /// Show the values of each query too
    #[arg(long)]
    pub per_query: bool,
    #[command(flatten)]
    pub run: Run,
}

pub fn run(args: &Eval, progress: &dyn Progress) -> Result<Reply> {
    let judge = Judge::read(&args.judging, progress)?;
    let figures = judge.measure(&args.ranking, progress)?;
    let notes: Vec<String> = figures.notes.iter().cloned().chain(judge.hopeless()).collect();
    for note in &notes {
        eprintln!("quadrat: note: {note}");
    }
    let names = || judge.measures.iter().map(|(name, _)| name.clone());
    let mut text = format!("{} by {}: means over {} queries\n", figures.run, judge.file, count(judge.queries()));
    let means = names().zip(&figures.values).map(|(name, values)| vec![name, four(stats::mean(values))]);
    text.push_str(&table(&means.collect::<Vec<_>>(), &[1]));
    let queries = || judge.judgements.queries().iter().enumerate();
    if args.per_query {
        let mut rows = vec![std::iter::once("query".to_owned()).chain(names()).collect::<Vec<_>>()];
        rows.extend(queries().map(|(at, query)| {
            std::iter::once(query.to_owned()).chain(figures.values.iter().map(|values| four(values[at]))).collect()
        }));
        text.push_str(&table(&rows, &(1..=judge.measures.len()).collect::<Vec<_>>()));
    }
    let mut value = figures.json(&judge);
    value["qrels"] = judge.file.clone().into();
    value["queries"] = judge.queries().into();
    value["per_query"] = queries()
        .map(|(at, query)| {
            let values = names().zip(&figures.values).map(|(name, values)| (name, json!(values[at])));
            (query.to_owned(), values.collect::<Map<String, Value>>().into())
        })
        .collect::<Map<String, Value>>()
        .into();
    value["warnings"] = notes.into();
    Ok(Reply::new(text, value))
}

/// As trec_eval prints.
pub fn four(value: f64) -> String {
    format!("{value:.4}")
}
