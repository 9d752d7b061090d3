//! A file's rows as documents.

use crate::commands::{encoder, work};
use crate::reading::Reading;
use clap::Args;
use ndarray::Array2;
use quadrat::data::{Table, read_embedding};
use quadrat::retrieval::Document;
use quadrat::{Error, Progress, Result, Seed};
use std::path::{Path, PathBuf};

/// Which columns say what.
#[derive(Args, Debug)]
pub struct Fields {
    /// Column of names, one of its own for each document
    #[arg(long, value_name = "COLUMN")]
    pub id: Option<String>,
    /// Columns of text, which are joined
    #[arg(long, value_name = "A,B,C")]
    pub text: Vec<String>,
}

/// The documents of a file, and the columns they come from.
pub struct Documents {
    pub id: String,
    pub text: Vec<String>,
    pub all: Vec<Document>,
}

/// Opens a file; what is not named is as in `usual` (the column of ids, those of text).
pub fn read(input: &str, reading: &Reading, fields: &Fields, usual: Option<(&str, &[String])>) -> Result<Documents> {
    let table = work::read(input, reading)?;
    let id = id_column(&table, fields, usual)?;
    let text = text_columns(&table, fields, usual)?;
    let ids = ids(&table, &id)?;
    let texts = table.paragraphs(&text)?;
    let all = ids.into_iter().zip(texts).map(|(id, text)| Document { id, text }).collect();
    Ok(Documents { id, text, all })
}

/// The column of names.
pub fn id_column(table: &Table, fields: &Fields, usual: Option<(&str, &[String])>) -> Result<String> {
    match (&fields.id, usual) {
        (Some(id), _) => Ok(id.clone()),
        (None, Some((id, _))) => Ok(id.to_owned()),
        (None, None) => {
            let usual = ["id", "_id"].into_iter().find(|id| table.column(id).is_ok());
            usual.map(str::to_owned).ok_or_else(|| {
                let want = "name the column whose values name the documents (the file has no column `id` or `_id`)";
                Error::input("--id", "nothing", want)
            })
        }
    }
}

fn text_columns(table: &Table, fields: &Fields, usual: Option<(&str, &[String])>) -> Result<Vec<String>> {
    let named = work::listed("--text", &fields.text, table)?;
    match usual {
        Some((_, text)) if named.is_empty() && !text.is_empty() => Ok(text.to_vec()),
        _ if named.is_empty() => Err(Error::input("--text", "nothing", "name the columns of text")),
        _ => Ok(named),
    }
}

/// Where the documents' vectors come from.
#[derive(Args, Debug)]
pub struct DocumentVectors {
    /// For an index of vectors: those of the documents, a column of lists or an .npy file with a row for each
    #[arg(long, value_name = "COLUMN|FILE.npy", conflicts_with = "encoder")]
    pub vectors: Option<String>,
    /// For an index of vectors: make them of --text by a sentence encoder, a folder
    #[arg(long, value_name = "FOLDER")]
    pub encoder: Option<PathBuf>,
}

/// Documents as vectors, and what they come from.
pub struct VectorDocuments {
    pub id: String,
    pub text: Vec<String>,
    pub ids: Vec<String>,
    pub rows: Array2<f32>,
    /// The encoder's folder, if it is known.
    pub encoder: Option<String>,
}

impl DocumentVectors {
    /// That none of the options is given.
    pub fn check_none(&self) -> Result<()> {
        let given = [("--vectors", self.vectors.is_some()), ("--encoder", self.encoder.is_some())];
        match given.iter().find(|(_, given)| *given) {
            Some((option, _)) => Err(Error::input("option", format!("`{option}`"), "it belongs to --kind dense")),
            None => Ok(()),
        }
    }

    /// Reads or makes the vectors of a file's rows; `known` is the encoder that made those before.
    pub fn read(
        &self,
        (input, reading): (&str, &Reading),
        fields: &Fields,
        usual: Option<(&str, &[String])>,
        known: Option<&str>,
        progress: &dyn Progress,
    ) -> Result<VectorDocuments> {
        let table = work::read(input, reading)?;
        let id = id_column(&table, fields, usual)?;
        let ids = ids(&table, &id)?;
        if let Some(vectors) = &self.vectors {
            let rows = match vectors.ends_with(".npy") && table.column(vectors).is_err() {
                true => read_embedding(Path::new(vectors), ids.len())?,
                false => table.embedding(vectors)?,
            };
            // For documents that are added later, whose vectors an encoder makes.
            let text = work::listed("--text", &fields.text, &table)?;
            return Ok(VectorDocuments { id, text, ids, rows, encoder: encoder_beside(vectors) });
        }
        let folder = self.encoder.as_deref().or(known.map(Path::new)).ok_or_else(|| {
            Error::input(
                "--vectors",
                "nothing",
                "name the documents' vectors, or an --encoder that makes them of --text",
            )
        })?;
        let text = text_columns(&table, fields, usual)?;
        let encoded = encoder::of(None, Some(folder))?.encode(&table.paragraphs(&text)?, Seed(0), progress)?;
        encoded.notes.iter().for_each(|note| eprintln!("quadrat: note: {note}"));
        let encoder = std::path::absolute(folder).map_err(|e| Error::io(folder, e))?;
        Ok(VectorDocuments { id, text, ids, rows: encoded.rows, encoder: Some(encoder.display().to_string()) })
    }
}

/// What `retrieve embed` says beside a file of vectors: the encoder.
fn encoder_beside(vectors: &str) -> Option<String> {
    let told = std::fs::read(format!("{vectors}.json")).ok()?;
    let told: serde_json::Value = serde_json::from_slice(&told).ok()?;
    told["encoder"].as_str().map(str::to_owned)
}

/// The documents' names.
pub fn ids(table: &Table, column: &str) -> Result<Vec<String>> {
    let ids = table.strings(column)?;
    match ids.iter().position(String::is_empty) {
        Some(row) => Err(Error::data(
            table.name(),
            table.line(row),
            format!("no id in column `{column}`: every document needs one"),
        )),
        None => Ok(ids),
    }
}
