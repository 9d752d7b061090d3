//! Reading large files; peers and data: `bench/data.py`.

use crate::{Figures, Settings, Workload, measure};
use quadrat_core::Result;
use quadrat_data::{Missing, Table};
use serde_json::json;

/// The workloads of the data layer.
pub fn workloads() -> Vec<Workload> {
    vec![("read-parquet", read_parquet), ("read-jsonl", read_jsonl), ("read-csv", read_csv)]
}

/// `in=FILE`: columns `embedding`, `score` and `label` in memory; other columns are not asked for.
fn read_parquet(settings: &Settings) -> Result<Figures> {
    let file = settings.text("in", "pool.parquet");
    let ((embedding, score, label), mut figures) = measure(|| {
        let table = Table::open(file, &[])?;
        let score = table.numeric(&["score"], Missing::Error)?;
        Ok((table.embedding("embedding")?, score, table.categories("label", Missing::Error)?))
    })?;
    figures.insert("rows".into(), json!(embedding.nrows()));
    figures.insert("sum".into(), json!(embedding.iter().map(|v| f64::from(*v)).sum::<f64>() + score.sum()));
    figures.insert("labels".into(), json!(label.names.len()));
    Ok(figures)
}

/// `in=FILE`: columns `text`, `score` and `label` in memory; the key `id` is not asked for.
fn read_jsonl(settings: &Settings) -> Result<Figures> {
    let file = settings.text("in", "pool.jsonl");
    let ((text, score, label), mut figures) = measure(|| {
        let table = Table::open(file, &[])?;
        let score = table.numeric(&["score"], Missing::Error)?;
        Ok((table.strings("text")?, score, table.categories("label", Missing::Error)?))
    })?;
    figures.insert("rows".into(), json!(text.len()));
    figures.insert("bytes".into(), json!(text.iter().map(String::len).sum::<usize>()));
    figures.insert("sum".into(), json!(score.sum()));
    figures.insert("labels".into(), json!(label.names.len()));
    Ok(figures)
}

/// `in=FILE`: all numeric columns as one matrix, and `label`.
fn read_csv(settings: &Settings) -> Result<Figures> {
    let file = settings.text("in", "pool.csv");
    let ((numbers, label), mut figures) = measure(|| {
        let table = Table::open(file, &[])?;
        Ok((table.numeric(&table.numeric_columns(), Missing::Error)?, table.categories("label", Missing::Error)?))
    })?;
    figures.insert("rows".into(), json!(numbers.nrows()));
    figures.insert("sum".into(), json!(numbers.sum() + numbers.column(1).sum()));
    figures.insert("labels".into(), json!(label.names.len()));
    Ok(figures)
}
