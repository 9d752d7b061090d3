//! A file's rows as documents.

use crate::commands::work;
use crate::reading::Reading;
use clap::Args;
use quadrat::data::Table;
use quadrat::retrieval::Document;
use quadrat::{Error, Result};

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
    let id = match (&fields.id, usual) {
        (Some(id), _) => id.clone(),
        (None, Some((id, _))) => id.to_owned(),
        (None, None) => {
            ["id", "_id"].into_iter().find(|id| table.column(id).is_ok()).map(str::to_owned).ok_or_else(|| {
                let want = "name the column whose values name the documents (the file has no column `id` or `_id`)";
                Error::input("--id", "nothing", want)
            })?
        }
    };
    let named = work::listed("--text", &fields.text, &table)?;
    let text = match usual {
        Some((_, text)) if named.is_empty() => text.to_vec(),
        _ if named.is_empty() => return Err(Error::input("--text", "nothing", "name the columns of text")),
        _ => named,
    };
    let ids = ids(&table, &id)?;
    let texts = table.paragraphs(&text)?;
    let all = ids.into_iter().zip(texts).map(|(id, text)| Document { id, text }).collect();
    Ok(Documents { id, text, all })
}

fn ids(table: &Table, column: &str) -> Result<Vec<String>> {
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
