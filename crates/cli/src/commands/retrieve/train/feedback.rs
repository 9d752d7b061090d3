//! An index of vectors, queries and judgements -> a rewriter of queries.

use super::super::opened::Asked;
use super::super::rewriter;
use super::{TrainRetriever, held_back, required};
use crate::output::{Reply, count, figure, seconds, table};
use crate::parameters::with_parameters;
use ndarray::Axis;
use quadrat::data::trec::Judgements;
use quadrat::retrieval::rewrite::{self, Learnt, LolPrf, Rewriter};
use quadrat::retrieval::training::Quality;
use quadrat::retrieval::{Hit, VectorIndex};
use quadrat::{Error, Lists, Progress, Result, Seed, Settings, stats};
use serde_json::json;
use std::collections::HashMap;
use std::path::Path;
use std::time::Instant;

/// Trains a rewriter, and writes it.
pub fn run(args: &TrainRetriever, text: &str, progress: &dyn Progress) -> Result<Reply> {
    let folder = required("--index", args.index.as_deref(), "the folder of an index of vectors")?;
    let queries = required("--queries", args.queries.as_deref(), "the file of the queries")?;
    let qrels = required("--qrels", args.qrels.as_deref(), "the file of the judgements")?;
    let method = LolPrf::from_params(&with_parameters("--method", text)?.1.into_iter().collect())?;
    let judgements = Judgements::read(qrels, progress)?;
    let asked = Asked::read(queries, &args.vectors, progress)?;
    let index = VectorIndex::open(folder)?;
    let vectors = asked.vectors(&index, progress)?;
    let (numbers, documents) = index.all();
    let (rows, relevant) = judged(&asked.named, &judgements, &index, &numbers, (qrels, folder))?;
    let seed = Seed(args.run.seed);
    let (train, test) = held_back(args.validation, rows.len(), seed)?;
    let part = |part: &[usize]| {
        let of: Vec<usize> = part.iter().map(|at| rows[*at]).collect();
        (vectors.select(Axis(0), &of), part.iter().map(|at| relevant[*at].iter().copied()).collect::<Lists>())
    };
    let ((taught, of_taught), (asks, of_asks)) = (part(&train), part(&test));
    let started = Instant::now();
    let Learnt { rewriter, losses, comparisons } =
        method.train(documents.view(), taught.view(), &of_taught, seed.stream("method 0"), progress)?;
    let took = started.elapsed().as_secs_f64();
    let measure = |rewriter: &Rewriter, k: usize| -> Result<Option<Quality>> {
        if asks.is_empty() {
            return Ok(None);
        }
        let hits = rewrite::search(&index, asks.view(), (rewriter, k), 100, None, progress)?;
        let row = |hit: &Hit| numbers.binary_search(&hit.document).map_or(u32::MAX, |row| row as u32);
        let found: Vec<Vec<u32>> = hits.iter().map(|hits| hits.iter().map(row).collect()).collect();
        Quality::of(found.iter().map(Vec::as_slice), &of_asks).map(Some)
    };
    let mut lines = vec![["feedback", "mrr@10", "recall@100"].map(str::to_owned).to_vec()];
    let mut stages = Vec::new();
    for k in 0..=method.documents {
        let quality = measure(&rewriter, k)?;
        let of = |value: fn(&Quality) -> f64| quality.as_ref().map_or_else(String::new, |q| format!("{:.4}", value(q)));
        lines.push(vec![format!("{k} documents"), of(|q| q.mrr_at_10), of(|q| q.recall_at_100)]);
        let quality = quality.map(|q| json!({ "mrr@10": q.mrr_at_10, "recall@100": q.recall_at_100 }));
        stages.push(json!({ "documents": k, "quality": quality }));
    }
    let tenth = losses.len().div_ceil(10);
    let ends = |values: &[f64]| [stats::mean(&values[..tenth]), stats::mean(&values[values.len() - tenth..])];
    let (loss, comparison) = (ends(&losses), ends(&comparisons));
    let value = json!({
        "method": text,
        "dims": index.columns(),
        "documents": method.documents,
        "index": folder,
        "queries": taught.nrows(),
        "held_back": asks.nrows(),
        "seed": args.run.seed,
        "loss": { "first": loss[0], "last": loss[1] },
        "comparison": { "first": comparison[0], "last": comparison[1] },
        "stages": stages,
        "seconds": took,
        "out": args.out,
    });
    rewriter::write(&args.out, &rewriter, &value)?;
    let mut text = format!(
        "{} queries to learn from and {} held back, {} documents; {}\n",
        count(taught.nrows()),
        count(asks.nrows()),
        count(numbers.len()),
        seconds(took)
    );
    text.push_str(&format!("loss {} to {}, ", figure(loss[0]), figure(loss[1])));
    text.push_str(&format!("worse by more feedback {} to {}\n", figure(comparison[0]), figure(comparison[1])));
    if !asks.is_empty() {
        text.push_str(&table(&lines, &[1, 2]));
    }
    text.push_str(&format!("wrote {}\n", args.out.display()));
    Ok(Reply::new(text, value))
}

/// The queries that have a relevant document, and which rows of the index's vectors are relevant to each.
fn judged(
    queries: &[(String, String)],
    judgements: &Judgements,
    index: &VectorIndex,
    numbers: &[u32],
    (qrels, folder): (&Path, &Path),
) -> Result<(Vec<usize>, Lists)> {
    let rows: HashMap<&str, u32> = numbers.iter().zip(0..).map(|(number, row)| (index.id(*number), row)).collect();
    let (mut kept, mut relevant) = (Vec::new(), Lists::default());
    for (at, (id, _)) in queries.iter().enumerate() {
        let Some(query) = judgements.queries().find(id) else { continue };
        let own = judgements.of(query).filter(|(_, level)| *level > 0).map(|(name, _)| {
            rows.get(name).copied().ok_or_else(|| {
                let why = format!("document `{name}`, relevant to query `{id}`, is not in {}", folder.display());
                Error::data(qrels.display().to_string(), None, why)
            })
        });
        let own = own.collect::<Result<Vec<u32>>>()?;
        if !own.is_empty() {
            kept.push(at);
            relevant.push(own);
        }
    }
    if kept.is_empty() {
        let why = "no query of --queries has a relevant document";
        return Err(Error::data(qrels.display().to_string(), None, why));
    }
    if kept.len() < queries.len() {
        let n = format!("{} of {}", count(queries.len() - kept.len()), count(queries.len()));
        eprintln!("quadrat: note: queries without a relevant document are left out: {n}");
    }
    Ok((kept, relevant))
}
