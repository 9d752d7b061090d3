//! Texts of the user's: a plain file, or a row each.

use crate::commands::work;
use crate::reading::Reading;
#[cfg(feature = "networks")]
use clap::Args;
#[cfg(feature = "networks")]
use quadrat::Error;
use quadrat::Result;
use std::path::Path;

/// Where texts come from.
#[cfg(feature = "networks")]
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

#[cfg(feature = "networks")]
impl Texts {
    /// The texts that are not empty.
    pub fn read(&self) -> Result<Vec<String>> {
        if let (true, Some(column)) = (is_plain(&self.file), &self.column) {
            return Err(Error::input(
                "--column",
                format!("`{column}`"),
                "it belongs to a file of rows; a plain text has none",
            ));
        }
        let texts = of(&self.file, &[self.column.as_deref().unwrap_or("text")], &self.reading)?;
        let texts: Vec<String> = texts.into_iter().filter(|text| !text.trim().is_empty()).collect();
        if texts.is_empty() {
            return Err(Error::input(&self.file, "no text", "at least one that is not empty"));
        }
        Ok(texts)
    }
}

/// The texts of a file: itself where it is plain, else those of its rows.
pub fn of<S: AsRef<str>>(file: &str, columns: &[S], reading: &Reading) -> Result<Vec<String>> {
    match is_plain(file) {
        true => Ok(vec![work::text(Path::new(file))?]),
        false => work::read(file, reading)?.paragraphs(columns),
    }
}

/// Whether a file is read as one text.
fn is_plain(file: &str) -> bool {
    let ending = Path::new(file).extension().map(|ending| ending.to_string_lossy().to_lowercase());
    !file.starts_with("builtin:") && ending.is_none_or(|ending| ["txt", "text", "md"].contains(&ending.as_str()))
}
