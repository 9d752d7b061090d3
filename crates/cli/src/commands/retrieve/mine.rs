//! `quadrat retrieve mine`: documents that a search returns and should not, to train on.

use super::opened::{Asked, Opened, Vectors};
use crate::args::Run;
use crate::output::{Reply, check_place, count, seconds};
use clap::Args;
use quadrat::data::trec::Judgements;
use quadrat::retrieval::Search;
use quadrat::{Error, Progress, Result, write_atomic};
use serde_json::json;
use std::collections::{HashMap, HashSet};
use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

#[derive(Args, Debug)]
pub struct Mine {
    /// The questions: lines of an id, a tab and a text, or JSON Lines with `_id` and `text`
    #[arg(long, value_name = "FILE")]
    pub queries: PathBuf,
    /// Which documents are relevant, as for `retrieve eval`
    #[arg(long, value_name = "FILE")]
    pub qrels: PathBuf,
    /// The index to search, of words or of vectors
    #[arg(long, value_name = "FOLDER")]
    pub index: PathBuf,
    #[command(flatten)]
    pub vectors: Vectors,
    /// Negatives of each question
    #[arg(long, value_name = "N", default_value_t = 200)]
    pub k: usize,
    /// Pass over so many of the best negatives, which may be relevant without anybody having said so
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub skip_top: usize,
    /// JSON Lines to write: query-id, positives and negatives, the hardest first
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    #[command(flatten)]
    pub run: Run,
}

/// Searches and writes what is not relevant.
pub fn run(args: &Mine, progress: &dyn Progress) -> Result<Reply> {
    check_place(&args.out)?;
    if args.k == 0 {
        return Err(Error::input("--k", 0, "ask for at least one negative"));
    }
    let judgements = Judgements::read(&args.qrels, progress)?;
    let relevant: HashMap<&str, HashSet<&str>> = (0..judgements.queries().len() as u32)
        .map(|query| {
            let relevant = judgements.of(query).filter(|(_, level)| *level > 0).map(|(document, _)| document);
            (judgements.queries().get(query), relevant.collect())
        })
        .collect();
    let mut asked = Asked::read(&args.queries, &args.vectors, progress)?;
    let index = Opened::open(&args.index)?;
    let all = asked.named.len();
    if args.vectors.vectors.is_none() {
        asked.named.retain(|(id, _)| relevant.get(id.as_str()).is_some_and(|relevant| !relevant.is_empty()));
    }
    if asked.named.is_empty() {
        return Err(Error::input(
            "--qrels",
            args.qrels.display(),
            "no question of --queries has a relevant document there",
        ));
    }
    let started = Instant::now();
    let most = relevant.values().map(HashSet::len).max().unwrap_or(0);
    let found = index.search(&asked, args.k + args.skip_top + most, Search::default(), progress)?;
    let (mut written, mut short) = (0, 0);
    write_atomic(&args.out, |out| {
        for ((query, _), hits) in asked.named.iter().zip(&found) {
            let Some(relevant) = relevant.get(query.as_str()).filter(|relevant| !relevant.is_empty()) else { continue };
            let ids = hits.iter().map(|hit| index.id(hit.document)).filter(|id| !relevant.contains(id));
            let negatives: Vec<&str> = ids.skip(args.skip_top).take(args.k).collect();
            short += usize::from(negatives.len() < args.k);
            written += 1;
            let mut positives: Vec<&&str> = relevant.iter().collect();
            positives.sort_unstable();
            let line = json!({ "query-id": query, "positives": positives, "negatives": negatives });
            writeln!(out, "{line}").map_err(|e| Error::io(&args.out, e))?;
        }
        Ok(())
    })?;
    let took = started.elapsed().as_secs_f64();
    let left_out = all - written;
    for (number, what) in [(left_out, "have no relevant document and were left out"), (short, "have fewer negatives")] {
        if number > 0 {
            eprintln!("quadrat: note: {} questions {what}", count(number));
        }
    }
    let text = format!(
        "negatives of {} questions among {} documents in {}\nwrote {}\n",
        count(written),
        count(index.len()),
        seconds(took),
        args.out.display()
    );
    let value = json!({
        "queries": written,
        "left_out": left_out,
        "short": short,
        "k": args.k,
        "skip_top": args.skip_top,
        "documents": index.len(),
        "seconds": took,
        "out": args.out,
    });
    Ok(Reply::new(text, value))
}
