//! Texts of the user's: a plain file, or a row each.

use crate::commands::work;
use crate::reading::Reading;
use clap::Args;
use quadrat::{Error, Result};
use std::path::Path;

/// Where texts come from.
#[derive(Args, Debug)]
pub struct Texts {
    /// Text: a plain file (.txt, .md), which is one text, or a file of rows (.jsonl, .csv, .parquet, ... or builtin:NAME), a text each
    #[arg(long = "text", value_name = "FILE")]
    pub file: String,
    /// Of rows: the column of texts [default: text]
    #[arg(long, value_name = "COLUMN")]
    pub column: Option<String>,
    #[command(flatten)]
    pub reading: Reading,
}

impl Texts {
    /// The texts that are not empty.
    pub fn read(&self) -> Result<Vec<String>> {
        let texts = if is_plain(&self.file) {
            if let Some(column) = &self.column {
                return Err(Error::input(
                    "--column",
                    format!("`{column}`"),
                    "it belongs to a file of rows; a plain text has none",
                ));
            }
            vec![plain(Path::new(&self.file))?]
        } else {
            let table = work::read(&self.file, &self.reading)?;
            table.paragraphs(&[self.column.as_deref().unwrap_or("text")])?
        };
        let texts: Vec<String> = texts.into_iter().filter(|text| !text.trim().is_empty()).collect();
        if texts.is_empty() {
            return Err(Error::input(&self.file, "no text", "at least one that is not empty"));
        }
        Ok(texts)
    }
}

/// Whether a file is read as one text.
fn is_plain(file: &str) -> bool {
    let ending = Path::new(file).extension().map(|ending| ending.to_string_lossy().to_lowercase());
    !file.starts_with("builtin:") && ending.is_none_or(|ending| ["txt", "text", "md"].contains(&ending.as_str()))
}

/// A file as text.
pub fn plain(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(|e| match e.kind() {
        std::io::ErrorKind::InvalidData => {
            Error::data(path.display().to_string(), None, "not UTF-8: convert the file first")
        }
        _ => Error::io(path, e),
    })
}
