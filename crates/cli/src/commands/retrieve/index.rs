//! `quadrat retrieve index`, `add` and `delete`: texts into an index, and out of it.

use super::documents::{self, DocumentVectors, Documents, Fields};
use super::size::Size;
use super::weighed::{self, DocumentWeights};
use crate::args::Run;
use crate::commands::work;
use crate::output::{Reply, count};
use crate::parameters::Declared;
use crate::reading::Reading;
use clap::{Args, ValueEnum};
use quadrat::retrieval::{Analyser, Bm25, Document, Kind, Setup, VectorWriter, Writer};
use quadrat::{Error, Progress, Result, check_vacant, checkpoint, write_atomic_folder};
use serde_json::json;
use std::path::PathBuf;
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
    pub vectors: DocumentVectors,
    #[command(flatten)]
    pub weights: DocumentWeights,
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
    /// The words of their texts
    Bm25,
    /// Words whose weights come with the documents
    Impacts,
    /// Vectors, by inner product
    Dense,
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
    pub vectors: DocumentVectors,
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
    let started = Instant::now();
    let bm25 = args.bm25.settings()?;
    let analyser = args.analyser.settings()?;
    if args.kind != By::Dense {
        args.vectors.check_none()?;
    }
    if args.kind != By::Impacts {
        args.weights.check_none()?;
    }
    if let Some(option) = args.bm25.any().filter(|_| args.kind != By::Bm25) {
        return Err(Error::input("option", format!("`--{option}`"), "it belongs to --kind bm25"));
    }
    match args.kind {
        By::Bm25 => {
            let Documents { id, text, all } = documents::read(&args.input, &args.reading, &args.fields, None)?;
            let (added, empty) = (all.len(), note_empty(&all));
            let index = write_atomic_folder(&args.out, |folder| {
                let mut writer = Writer::create(folder, Setup { kind: Kind::Bm25 { analyser, bm25 }, id, text })?;
                add_all(all, progress, |block| writer.add(block))?;
                writer.commit()
            })?;
            let size = Size::of_words(&index);
            Ok(size.reply(
                &args.out,
                format!("{} documents", count(added)),
                started,
                json!({ "added": added, "empty": empty }),
            ))
        }
        By::Impacts => weighed::make(args, analyser, started, progress),
        By::Dense => {
            if let Some(option) = args.analyser.any() {
                return Err(Error::input("option", format!("`--{option}`"), "it belongs to --kind bm25"));
            }
            let read = args.vectors.read((&args.input, &args.reading), &args.fields, None, None, progress)?;
            let (added, columns) = read.rows.dim();
            let kind = Kind::Dense { columns, encoder: read.encoder };
            let index = write_atomic_folder(&args.out, |folder| {
                let mut writer = VectorWriter::create(folder, Setup { kind, id: read.id, text: read.text })?;
                writer.add(read.ids, read.rows)?;
                writer.commit()
            })?;
            let size = Size::of_vectors(&index);
            Ok(size.reply(&args.out, format!("{} documents", count(added)), started, json!({ "added": added })))
        }
    }
}

/// Adds documents to an index.
pub fn add(args: &Add, progress: &dyn Progress) -> Result<Reply> {
    let started = Instant::now();
    let setup = Setup::read(&args.index)?;
    let usual = Some((setup.id.as_str(), setup.text.as_slice()));
    let said = |added: usize| format!("{} documents added", count(added));
    match &setup.kind {
        Kind::Bm25 { .. } => {
            args.vectors.check_none()?;
            let mut writer = Writer::open(&args.index)?;
            let documents = documents::read(&args.input, &args.reading, &args.fields, usual)?.all;
            let (added, empty) = (documents.len(), note_empty(&documents));
            add_all(documents, progress, |block| writer.add(block))?;
            let size = Size::of_words(&writer.commit()?);
            Ok(size.reply(&args.index, said(added), started, json!({ "added": added, "empty": empty })))
        }
        Kind::Impacts { .. } => {
            args.vectors.check_none()?;
            let (index, added, empty) = weighed::add(args, &setup, progress)?;
            let value = json!({ "added": added, "empty": empty });
            Ok(Size::of_words(&index).reply(&args.index, said(added), started, value))
        }
        Kind::Dense { encoder, .. } => {
            let mut writer = VectorWriter::open(&args.index)?;
            let file = (args.input.as_str(), &args.reading);
            let read = args.vectors.read(file, &args.fields, usual, encoder.as_deref(), progress)?;
            let added = read.ids.len();
            writer.add(read.ids, read.rows)?;
            let size = Size::of_vectors(&writer.commit()?);
            Ok(size.reply(&args.index, said(added), started, json!({ "added": added })))
        }
    }
}

/// Deletes documents from an index.
pub fn delete(args: &Delete) -> Result<Reply> {
    let started = Instant::now();
    let names = work::text(&args.ids)?;
    let names = || names.lines().map(str::trim).filter(|id| !id.is_empty());
    let mut unknown: Vec<&str> = Vec::new();
    let mut deleted = 0;
    let mut told = |id, done: bool| if done { deleted += 1 } else { unknown.push(id) };
    let size = match Setup::read(&args.index)?.kind {
        Kind::Bm25 { .. } | Kind::Impacts { .. } => {
            let mut writer = Writer::open(&args.index)?;
            names().try_for_each(|id| writer.delete(id).map(|done| told(id, done)))?;
            Size::of_words(&writer.commit()?)
        }
        Kind::Dense { .. } => {
            let mut writer = VectorWriter::open(&args.index)?;
            names().try_for_each(|id| writer.delete(id).map(|done| told(id, done)))?;
            Size::of_vectors(&writer.commit()?)
        }
    };
    if let Some(first) = unknown.first() {
        eprintln!("quadrat: note: {} of the names are no document's, such as `{first}`", count(unknown.len()));
    }
    let value = json!({ "deleted": deleted, "unknown": unknown });
    Ok(size.reply(&args.index, format!("{} documents deleted", count(deleted)), started, value))
}

/// Documents between two looks at the progress.
const BLOCK: usize = 1 << 14;

/// Adds documents block by block.
pub fn add_all<T>(
    mut documents: Vec<T>,
    progress: &dyn Progress,
    mut add: impl FnMut(Vec<T>) -> Result<()>,
) -> Result<()> {
    progress.begin("indexing", Some(documents.len() as u64));
    while !documents.is_empty() {
        checkpoint(progress)?;
        let rest = documents.split_off(documents.len().min(BLOCK));
        let block = std::mem::replace(&mut documents, rest);
        let added = block.len() as u64;
        add(block)?;
        progress.advance(added);
    }
    Ok(())
}

fn note_empty(documents: &[Document]) -> usize {
    let empty = documents.iter().filter(|document| document.text.trim().is_empty()).count();
    if empty > 0 {
        eprintln!("quadrat: note: {} documents have no text: no query finds them", count(empty));
    }
    empty
}
