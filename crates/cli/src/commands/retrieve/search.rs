//! `quadrat retrieve search`: the documents that questions ask for.

use super::opened::{Asked, Opened, Vectors};
use super::rewriter;
use crate::args::Run;
use crate::commands::work;
use crate::output::{Reply, check_place, count, seconds, table};
use crate::parameters::{choice, with_parameters};
use clap::Args;
use quadrat::data::trec::{check_id, write_run};
use quadrat::retrieval::{Hit, Search, Strategy, feedback, rewrite};
use quadrat::{Error, Progress, Result};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Instant;

#[derive(Args, Debug)]
pub struct SearchIndex {
    /// The index, a folder that `retrieve index` made
    #[arg(long, value_name = "FOLDER")]
    pub index: PathBuf,
    /// What is asked
    #[arg(long, value_name = "TEXT", required_unless_present = "queries", conflicts_with = "queries")]
    pub query: Option<String>,
    /// Many questions: lines of an id, a tab and a text, or JSON Lines with `_id` and `text`
    #[arg(long, value_name = "FILE")]
    pub queries: Option<PathBuf>,
    #[command(flatten)]
    pub vectors: Vectors,
    /// Documents for each question, at most
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub k: usize,
    /// Ask again with what was found first: rm3, rocchio or bo1 for words, with parameters as in rm3:documents=5,terms=20; for vectors
    /// lol-prf:model=FOLDER, which `retrieve train` made
    #[arg(long, value_name = "METHOD")]
    pub prf: Option<String>,
    /// Look among these documents only: a file of their names, one a line
    #[arg(long, value_name = "FILE")]
    pub only: Option<PathBuf>,
    /// How the best are found; the result is the same
    #[arg(long, value_parser = choice::<Strategy>(), default_value = "auto")]
    pub strategy: Strategy,
    /// Write a run in TREC's form
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Name of the run
    #[arg(long, value_name = "NAME", default_value = "quadrat", requires = "out")]
    pub tag: String,
    #[command(flatten)]
    pub run: Run,
}

/// Searches, and shows or writes what was found.
pub fn run(args: &SearchIndex, progress: &dyn Progress) -> Result<Reply> {
    if let Some(out) = &args.out {
        check_place(out)?;
        check_id("--tag", &args.tag)?;
    }
    let asked = match (&args.query, &args.queries) {
        (Some(text), _) => Asked::one(text, &args.vectors),
        (None, Some(file)) => Asked::read(file, &args.vectors, progress)?,
        (None, None) => return Err(Error::input("--query", "nothing", "ask something, or name a file of --queries")),
    };
    let index = Opened::open(&args.index)?;
    let only = args.only.as_ref().map(|path| work::text(path)).transpose()?;
    let only = only.as_ref().map(|text| {
        let ids = text.lines().map(str::trim).filter(|id| !id.is_empty()).collect();
        let (set, missing) = index.named(&ids);
        if missing > 0 {
            eprintln!("quadrat: note: {} names of --only are no document's", count(missing));
        }
        set
    });
    let how = Search { strategy: args.strategy, only: only.as_ref() };
    let started = Instant::now();
    if matches!(index, Opened::Vectors(_)) && args.strategy != Strategy::Auto {
        return Err(Error::input("option", "`--strategy`", "an index of words; this one holds vectors"));
    }
    let found = match (args.prf.as_deref(), &index) {
        (None, _) => index.search(&asked, args.k, how, progress)?,
        (Some(prf), Opened::Words(words)) => {
            let (name, given) = with_parameters("--prf", prf)?;
            let prf = feedback::build(name, &given.into_iter().collect())?;
            feedback::search(words, &asked.words(words)?, prf.as_ref(), args.k, how, progress)?
        }
        (Some(prf), Opened::Vectors(vectors)) => {
            let (rewriter, documents) = rewriter::named(prf)?;
            let queries = asked.vectors(vectors, progress)?;
            rewrite::search(vectors, queries.view(), (&rewriter, documents), args.k, how.only, progress)?
        }
    };
    let took = started.elapsed().as_secs_f64();
    if let Some(out) = &args.out {
        let lines =
            asked.named.iter().zip(&found).flat_map(|((query, _), hits)| {
                hits.iter().map(|hit| (query.as_str(), index.id(hit.document), hit.score))
            });
        write_run(out, &args.tag, lines)?;
    }
    Ok(Answer { args, index: &index, asked: &asked.named, found: &found, took }.reply())
}

struct Answer<'a> {
    args: &'a SearchIndex,
    index: &'a Opened,
    asked: &'a [(String, String)],
    found: &'a [Vec<Hit>],
    took: f64,
}

/// Characters of a text that a line of the answer shows.
const SHOWN: usize = 76;

impl Answer<'_> {
    fn reply(&self) -> Reply {
        let Answer { args, index, asked, found, took } = self;
        let nothing: Vec<&str> =
            asked.iter().zip(*found).filter(|(_, hits)| hits.is_empty()).map(|((id, _), _)| id.as_str()).collect();
        let mut text = String::new();
        if args.out.is_none() {
            for ((id, query), hits) in asked.iter().zip(*found) {
                if args.queries.is_some() {
                    text.push_str(&format!("{id}: {query}\n"));
                }
                text.push_str(&self.hits(hits));
            }
        }
        if !nothing.is_empty() {
            text.push_str(&match &args.queries {
                None => "nothing was found\n".to_owned(),
                Some(_) => format!("{} questions found nothing, such as {}\n", count(nothing.len()), nothing[0]),
            });
        }
        text.push_str(&format!(
            "{} of {} documents in {}\n",
            match asked.len() {
                1 => "1 question".to_owned(),
                many => format!("{} questions", count(many)),
            },
            count(index.len()),
            seconds(*took)
        ));
        if let Some(out) = &args.out {
            text.push_str(&format!("wrote {}\n", out.display()));
        }
        let results: Vec<Value> =
            asked.iter().zip(*found).map(|((id, query), hits)| self.json(id, query, hits)).collect();
        let value = json!({
            "index": args.index,
            "documents": index.len(),
            "k": args.k,
            "prf": args.prf,
            "queries": asked.len(),
            "without_results": nothing,
            "seconds": took,
            "out": args.out,
            "results": results,
        });
        Reply::new(text, value)
    }

    fn hits(&self, hits: &[Hit]) -> String {
        let row = |(rank, hit): (usize, &Hit)| {
            let words: Vec<&str> = self.index.text(hit.document).split_whitespace().collect();
            let mut shown: String = words.join(" ");
            if let Some((end, _)) = shown.char_indices().nth(SHOWN) {
                shown.truncate(end);
                shown.push_str("...");
            }
            vec![(rank + 1).to_string(), format!("{:.4}", hit.score), self.index.id(hit.document).to_owned(), shown]
        };
        if hits.is_empty() {
            String::new()
        } else {
            table(&hits.iter().enumerate().map(row).collect::<Vec<_>>(), &[0, 1])
        }
    }

    fn json(&self, id: &str, query: &str, hits: &[Hit]) -> Value {
        let hit = |hit: &Hit| json!({ "document": self.index.id(hit.document), "score": hit.score });
        json!({ "id": id, "query": query, "hits": hits.iter().map(hit).collect::<Vec<_>>() })
    }
}
