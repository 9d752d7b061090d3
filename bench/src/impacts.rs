//! Exact search of words with weights (peer: `bench/impacts.py`).

use crate::{Figures, Settings, Workload, measure};
use quadrat_core::{Choice, Error, Result, Seed};
use quadrat_retrieval::{
    Analyser, Asked, Document, Impacts, Index, Kind, Query, Search, Setup, Strategy, WeighedDocument, Writer,
};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::path::Path;
use std::time::Instant;

/// The workload.
pub fn workloads() -> Vec<Workload> {
    vec![("impacts", impacts)]
}

/// `folder=PATH k=N strategy=NAME`: the documents of `weights.jsonl` there (id, weights) become an index, and each of `queries.tsv` (id,
/// tab, words) is asked by itself, on one thread. Without a folder, `documents=N words=N queries=N`: drawn ones.
fn impacts(settings: &Settings) -> Result<Figures> {
    let k = settings.number("k", 10)?;
    let name = settings.text("strategy", "auto");
    let strategy = Strategy::CHOICES.iter().find(|choice| choice.name == name).map(|choice| choice.value);
    let strategy = strategy.ok_or_else(|| Error::input("strategy", name, "use auto, taat, max-score or block-max"))?;
    let place = std::env::temp_dir().join(format!("quadrat-bench-impacts-{}", std::process::id()));
    std::fs::create_dir_all(&place).map_err(|e| Error::io(&place, e))?;
    let start = Instant::now();
    let (index, queries) = match settings.text("folder", "") {
        "" => drawn(&place, settings)?,
        folder => read(&place, Path::new(folder))?,
    };
    let indexing = start.elapsed().as_secs_f64();
    let mut times = Vec::with_capacity(queries.len());
    let (found, mut figures) = measure(|| {
        let mut found = 0;
        for query in &queries {
            let start = Instant::now();
            found += index.search(query, k, Search { strategy, only: None })?.len();
            times.push(start.elapsed().as_secs_f64());
        }
        Ok(found)
    })?;
    std::fs::remove_dir_all(&place).map_err(|e| Error::io(&place, e))?;
    times.sort_by(f64::total_cmp);
    let at = |share: f64| 1e3 * times[((times.len() as f64 * share) as usize).min(times.len() - 1)];
    figures.insert("index_seconds".into(), json!(indexing));
    figures.insert("p50_ms".into(), json!(at(0.5)));
    figures.insert("p99_ms".into(), json!(at(0.99)));
    figures.insert("posting_bytes".into(), json!(index.size().0 as f64 / index.postings() as f64));
    figures.insert("postings".into(), json!(index.postings()));
    figures.insert("found".into(), json!(found));
    Ok(figures)
}

fn writer(place: &Path, asked: Asked) -> Result<Writer> {
    let analyser = Analyser::default();
    // Whole numbers up to 255, which are their own impacts.
    let impacts = Impacts::up_to(255.0, asked)?;
    Writer::create(place, Setup::of(Kind::Impacts { analyser, impacts, column: "weights".into() }))
}

fn weighed(id: String, weights: Vec<(String, f32)>) -> WeighedDocument {
    WeighedDocument { document: Document { id, text: String::new() }, weights }
}

fn read(place: &Path, folder: &Path) -> Result<(Index, Vec<Query>)> {
    let text = |name: &str| std::fs::read_to_string(folder.join(name)).map_err(|e| Error::io(folder.join(name), e));
    let document = |line: &str| {
        let value: Value = serde_json::from_str(line).map_err(|e| Error::data("weights.jsonl", None, e.to_string()))?;
        let weights = value["weights"].as_object().into_iter().flatten();
        let weights =
            weights.map(|(word, weight)| (word.clone(), weight.as_f64().unwrap_or_default() as f32)).collect();
        Ok(weighed(value["id"].as_str().unwrap_or_default().to_owned(), weights))
    };
    let mut writer = writer(place, Asked::One)?;
    writer.add_weighed(text("weights.jsonl")?.lines().map(document).collect::<Result<_>>()?)?;
    let index = writer.commit()?;
    let queries = text("queries.tsv")?;
    let words = queries.lines().filter_map(|line| line.split_once('\t'));
    let queries = words.map(|(_, words)| index.query(words)).collect();
    Ok((index, queries))
}

/// Documents of so many of 30,000 words, the lower the number the more frequent, and questions of 5 to 10 words, among which common ones
/// are fewer. Small impacts are more frequent than large ones.
fn drawn(place: &Path, settings: &Settings) -> Result<(Index, Vec<Query>)> {
    let (documents, words) = (settings.number("documents", 1_000_000)?, settings.number("words", 120)?);
    let queries = settings.number("queries", 2000)?;
    // The inverse of a distribution with density falling as 1 / (rank + first).
    let word = |u: f64, first: f64| (first * ((30_000.0 + first) / first).powf(u) - first) as u32;
    let bag = |at: usize| {
        let mut rng = Seed(1).rng(at as u64);
        let mut seen = HashSet::with_capacity(words);
        let mut weights = Vec::with_capacity(words);
        while weights.len() < words {
            let word = word(rng.uniform(), 50.0);
            if seen.insert(word) {
                weights.push((format!("w{word}"), (1.0 + 254.0 * rng.uniform().powi(3)) as f32));
            }
        }
        weighed(at.to_string(), weights.into_iter().map(|(word, weight)| (word, weight.floor())).collect())
    };
    let mut writer = writer(place, Asked::Idf)?;
    const BLOCK: usize = 1 << 14;
    for from in (0..documents).step_by(BLOCK) {
        writer.add_weighed((from..documents.min(from + BLOCK)).map(bag).collect())?;
    }
    let index = writer.commit()?;
    let query = |at: usize| {
        let mut rng = Seed(2).rng(at as u64);
        let words: Vec<String> = (0..5 + rng.below(6)).map(|_| format!("w{}", word(rng.uniform(), 500.0))).collect();
        index.query(&words.join(" "))
    };
    let queries = (0..queries).map(query).collect();
    Ok((index, queries))
}
