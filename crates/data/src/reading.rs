//! How a file is to be read, where its content does not say, or says it wrongly.

use crate::{ColumnType, Format};

/// What the reader of a file is told beforehand. The default leaves all to the file: its name, its first bytes, its
/// first rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reading {
    /// Columns that have another type than the inferred one.
    pub types: Vec<(String, ColumnType)>,
    /// The format, where neither name nor first bytes tell.
    pub format: Option<Format>,
    /// Between two fields of a delimited file.
    pub separator: Option<char>,
    /// The decimal sign of its numbers.
    pub decimal: Option<char>,
    /// The sign between their thousands.
    pub thousands: Option<char>,
    /// Around a field that holds a separator.
    pub quote: Option<char>,
    /// What a line starts with that is no row.
    pub comment: Option<String>,
    /// Whether the first row holds the columns' names.
    pub header: Option<bool>,
    /// The encoding of its texts, by its name in the WHATWG standard (`utf-8`, `windows-1252`, `utf-16le`).
    pub encoding: Option<String>,
    /// Spellings of a missing value beside the usual ones, in every column.
    pub missing_codes: Vec<String>,
}

impl Reading {
    /// Nothing said but some columns' types.
    pub fn typed(types: &[(String, ColumnType)]) -> Reading {
        Reading { types: types.to_vec(), ..Reading::default() }
    }
}
