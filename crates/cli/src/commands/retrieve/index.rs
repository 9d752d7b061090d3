//! `quadrat retrieve index`, `add` and `delete`: texts into an index, and out of it.

use super::documents::{self, Documents, Fields};
use crate::args::Run;
use crate::output::{Reply, bytes, count, seconds};
use crate::parameters::Declared;
use crate::reading::Reading;
use clap::{Args, ValueEnum};
use quadrat::retrieval::{Analyser, Bm25, Index, Kind, Setup, Writer};
use quadrat::{Error, Progress, Result, check_vacant, checkpoint, write_atomic_folder};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Instant;

#[derive(Args, Debug)]
pub struct MakeIndex {
    /// The documents, one a row; a file as for `select`, or builtin:NAME
    #[arg(long = "in", value_name = "FILE")]
    pub input: String,
    #[command(flatten)]
    pub fields: Fields,
    /// What documents are found by
    #[arg(long, value_enum, default_value_t = By::Bm25)]
    pub kind: By,
    #[command(flatten)]
    pub analyser: Declared<Analyser>,
    #[command(flatten)]
    pub bm25: Declared<Bm25>,
    /// Folder to make
    #[arg(long, value_name = "FOLDER")]
    pub out: PathBuf,
    #[command(flatten)]
    pub run: Run,
    #[command(flatten)]
    pub reading: Reading,
}

/// Kinds of indexes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum By {
    /// The words of their texts.
    Bm25,
}

#[derive(Args, Debug)]
pub struct Add {
    /// The index, a folder that `retrieve index` made
    #[arg(long, value_name = "FOLDER")]
    pub index: PathBuf,
    /// More documents, one a row [columns: those the index was made from]
    #[arg(long = "in", value_name = "FILE")]
    pub input: String,
    #[command(flatten)]
    pub fields: Fields,
    #[command(flatten)]
    pub run: Run,
    #[command(flatten)]
    pub reading: Reading,
}

#[derive(Args, Debug)]
pub struct Delete {
    /// The index, a folder that `retrieve index` made
    #[arg(long, value_name = "FOLDER")]
    pub index: PathBuf,
    /// The names of the documents that are to go, one a line
    #[arg(long, value_name = "FILE")]
    pub ids: PathBuf,
    #[command(flatten)]
    pub run: Run,
}

/// Makes an index.
pub fn make(args: &MakeIndex, progress: &dyn Progress) -> Result<Reply> {
    check_vacant(&args.out)?;
    args.bm25.check_effect()?;
    let By::Bm25 = args.kind;
    let kind = Kind::Bm25 { analyser: args.analyser.settings()?, bm25: args.bm25.settings()? };
    let started = Instant::now();
    let Documents { id, text, all } = documents::read(&args.input, &args.reading, &args.fields, None)?;
    let added = all.len();
    let empty = all.iter().filter(|document| document.text.trim().is_empty()).count();
    let index = write_atomic_folder(&args.out, |folder| {
        let mut writer = Writer::create(folder, Setup { kind, id, text })?;
        add_all(&mut writer, all, progress)?;
        writer.commit()
    })?;
    let said = format!("{} documents", count(added));
    Ok(reply(&args.out, &index, said, started, json!({ "added": added, "empty": note_empty(empty) })))
}

/// Adds documents to an index.
pub fn add(args: &Add, progress: &dyn Progress) -> Result<Reply> {
    let started = Instant::now();
    let mut writer = Writer::open(&args.index)?;
    let Setup { id, text, .. } = writer.setup().clone();
    let documents = documents::read(&args.input, &args.reading, &args.fields, Some((&id, &text)))?.all;
    let added = documents.len();
    let empty = documents.iter().filter(|document| document.text.trim().is_empty()).count();
    add_all(&mut writer, documents, progress)?;
    let index = writer.commit()?;
    let said = format!("{} documents added", count(added));
    Ok(reply(&args.index, &index, said, started, json!({ "added": added, "empty": note_empty(empty) })))
}

/// Deletes documents from an index.
pub fn delete(args: &Delete) -> Result<Reply> {
    let started = Instant::now();
    let mut writer = Writer::open(&args.index)?;
    let (mut deleted, mut unknown) = (0, Vec::new());
    for id in names(&args.ids)?.lines().map(str::trim).filter(|id| !id.is_empty()) {
        if writer.delete(id)? {
            deleted += 1;
        } else {
            unknown.push(id.to_owned());
        }
    }
    if let Some(first) = unknown.first() {
        eprintln!("quadrat: note: {} of the names are no document's, such as `{first}`", count(unknown.len()));
    }
    let index = writer.commit()?;
    let said = format!("{} documents deleted", count(deleted));
    Ok(reply(&args.index, &index, said, started, json!({ "deleted": deleted, "unknown": unknown })))
}

/// A file of names.
pub fn names(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(|e| match e.kind() {
        std::io::ErrorKind::InvalidData => {
            Error::data(path.display().to_string(), None, "not UTF-8: convert the file first")
        }
        _ => Error::io(path, e),
    })
}

/// Documents between two looks at the progress.
const BLOCK: usize = 1 << 14;

fn add_all(
    writer: &mut Writer,
    mut documents: Vec<quadrat::retrieval::Document>,
    progress: &dyn Progress,
) -> Result<()> {
    progress.begin("indexing", Some(documents.len() as u64));
    while !documents.is_empty() {
        checkpoint(progress)?;
        let rest = documents.split_off(documents.len().min(BLOCK));
        let block = std::mem::replace(&mut documents, rest);
        let added = block.len() as u64;
        writer.add(block)?;
        progress.advance(added);
    }
    Ok(())
}

fn note_empty(empty: usize) -> usize {
    if empty > 0 {
        eprintln!("quadrat: note: {} documents have no text: no query finds them", count(empty));
    }
    empty
}

fn reply(folder: &Path, index: &Index, said: String, started: Instant, mut value: Value) -> Reply {
    let took = started.elapsed().as_secs_f64();
    let (postings, all) = index.size();
    let text = format!(
        "{said} in {}\n{}: {} documents of {:.1} words on average, {} postings in {}, {} in all, {} segments\n",
        seconds(took),
        folder.display(),
        count(index.len()),
        index.mean_length(),
        count(index.postings()),
        bytes(postings as f64),
        bytes(all as f64),
        index.segments(),
    );
    value["index"] = json!(folder);
    value["documents"] = index.len().into();
    value["mean_length"] = index.mean_length().into();
    value["postings"] = index.postings().into();
    value["posting_bytes"] = postings.into();
    value["bytes"] = all.into();
    value["segments"] = index.segments().into();
    value["seconds"] = took.into();
    Reply::new(text, value)
}
