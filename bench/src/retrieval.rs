//! Measures of rankings, and exact search among vectors (peer: `bench/retrieval.py`) and words (`bench/words.py`).

use crate::{Figures, Settings, Workload, measure};
use ndarray::{Array2, Axis};
use quadrat_core::{Choice, Error, Params, Result, Seed, Settings as _, Silent};
use quadrat_data::trec::{Judgements, Run, read_queries};
use quadrat_retrieval::dense::{Halves, Int8, normalise, search};
use quadrat_retrieval::measures::Measure;
use quadrat_retrieval::{Analyser, Bm25, Document, Kind, Search, Setup, Strategy, Writer};
use serde_json::json;
use std::path::Path;
use std::time::Instant;

/// The workloads of retrieval.
pub fn workloads() -> Vec<Workload> {
    vec![("rankings", rankings), ("dense", dense), ("words", words)]
}

/// `folder=PATH`: the means of four measures of `run.trec` there by `qrels.txt`; reading is timed apart.
fn rankings(settings: &Settings) -> Result<Figures> {
    let folder = Path::new(settings.text("folder", "."));
    let start = Instant::now();
    let judgements = Judgements::read(&folder.join("qrels.txt"), &Silent)?;
    let run = Run::read(&folder.join("run.trec"), &Silent)?;
    let reading = start.elapsed().as_secs_f64();
    let names = ["ndcg@10", "map", "mrr", "recall@100"];
    let measures = names.iter().map(|name| Measure::parse(name)).collect::<Result<Vec<_>>>()?;
    let (means, mut figures) = measure(|| {
        let ranked = judgements.ranked(&run);
        let queries = 0..judgements.queries().len() as u32;
        let levels = queries.map(|query| judgements.of(query).map(|(_, level)| level).collect());
        let levels: Vec<Vec<i32>> = levels.collect();
        let mean = |measure: &Measure| {
            let values = ranked.iter().zip(&levels).map(|(ranked, levels)| measure.of(ranked, levels));
            values.sum::<f64>() / ranked.len() as f64
        };
        Ok(measures.iter().map(mean).collect::<Vec<f64>>())
    })?;
    let seconds = figures["seconds"].as_f64().unwrap_or_default();
    figures.insert("reading_seconds".into(), json!(reading));
    figures.insert("both_seconds".into(), json!(reading + seconds));
    names.iter().zip(means).for_each(|(name, mean)| drop(figures.insert((*name).into(), json!(mean))));
    Ok(figures)
}

/// `how=single|half|int8 rows=N columns=N queries=N k=N batches=N`: batches of queries among rows of length 1.
fn dense(settings: &Settings) -> Result<Figures> {
    let (n, columns) = (settings.number("rows", 117_000)?, settings.number("columns", 384)?);
    let (queries, k) = (settings.number("queries", 32)?, settings.number("k", 200)?);
    let batches = settings.number("batches", 10)?;
    let rows = vectors(n, columns, Seed(1));
    let asked: Vec<Array2<f32>> = (0..batches).map(|b| vectors(queries, columns, Seed(2 + b as u64))).collect();
    let how = settings.text("how", "single");
    let start = Instant::now();
    let halves = if how == "half" { Some(Halves::of(rows.view())?) } else { None };
    let codes = if how == "int8" { Some(Int8::of(rows.view())?) } else { None };
    let preparing = start.elapsed().as_secs_f64();
    let find = |queries: &Array2<f32>| match (&halves, &codes) {
        (Some(halves), _) => halves.search(queries.view(), k, None, &Silent),
        (_, Some(codes)) => codes.search(rows.view(), queries.view(), k, None, &Silent),
        _ if how == "single" => search(rows.view(), queries.view(), k, None, &Silent),
        _ => Err(Error::input("how", how, "use single, half or int8")),
    };
    let mut best = f64::INFINITY;
    let (sum, mut figures) = measure(|| {
        let mut sum = 0.0;
        for queries in &asked {
            let start = Instant::now();
            sum += find(queries)?.scores.iter().map(|score| f64::from(*score)).sum::<f64>();
            best = best.min(start.elapsed().as_secs_f64());
        }
        Ok(sum)
    })?;
    figures.insert("best_seconds".into(), json!(best));
    figures.insert("preparing_seconds".into(), json!(preparing));
    figures.insert("mean_score".into(), json!(sum / (batches * queries * k) as f64));
    Ok(figures)
}

/// `folder=PATH stop=none|english k=N strategy=NAME`: `docs.tsv` there (id, tab, text) becomes an index, and each of `queries.tsv` is
/// asked by itself, on one thread.
fn words(settings: &Settings) -> Result<Figures> {
    let folder = Path::new(settings.text("folder", "."));
    let documents = read_queries(&folder.join("docs.tsv"), &Silent)?;
    let documents: Vec<Document> = documents.into_iter().map(|(id, text)| Document { id, text }).collect();
    let queries = read_queries(&folder.join("queries.tsv"), &Silent)?;
    let k = settings.number("k", 10)?;
    let stop_words = settings.text("stop", "none");
    let analyser = Analyser::from_params(&Params::from([("stop-words", stop_words)]))?;
    let name = settings.text("strategy", "auto");
    let strategy = Strategy::CHOICES.iter().find(|choice| choice.name == name).map(|choice| choice.value);
    let strategy = strategy.ok_or_else(|| Error::input("strategy", name, "use auto, taat, max-score or block-max"))?;
    let place = std::env::temp_dir().join(format!("quadrat-bench-words-{}", std::process::id()));
    std::fs::create_dir_all(&place).map_err(|e| Error::io(&place, e))?;
    let start = Instant::now();
    let mut writer = Writer::create(&place, Setup::of(Kind::Bm25 { analyser, bm25: Bm25::default() }))?;
    writer.add(documents)?;
    let index = writer.commit()?;
    let indexing = start.elapsed().as_secs_f64();
    let (found, mut figures) = measure(|| {
        let how = Search { strategy, only: None };
        queries.iter().map(|(_, text)| Ok(index.search(&index.query(text), k, how)?.len())).sum::<Result<usize>>()
    })?;
    std::fs::remove_dir_all(&place).map_err(|e| Error::io(&place, e))?;
    figures.insert("index_seconds".into(), json!(indexing));
    figures.insert("posting_bytes".into(), json!(index.size().0 as f64 / index.postings() as f64));
    figures.insert("found".into(), json!(found));
    Ok(figures)
}

fn vectors(n: usize, columns: usize, seed: Seed) -> Array2<f32> {
    let mut rows = Array2::zeros((n, columns));
    for (i, mut row) in rows.axis_iter_mut(Axis(0)).enumerate() {
        let mut rng = seed.rng(i as u64);
        row.mapv_inplace(|_| rng.normal() as f32);
    }
    normalise(rows.view_mut());
    rows
}
