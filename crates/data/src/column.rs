//! What a column is, and values to put beside or under the user's own.

use ndarray::Array2;
use quadrat_core::{Error, Result};

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnType {
    /// Whole numbers that fit 64 bits.
    Integer,
    /// Numbers.
    Float,
    /// True or false.
    Boolean,
    /// Free text.
    Text,
    /// One of a few names. Inferred for dictionary columns of Parquet and Arrow only; elsewhere text and integers become
    /// categories by an override, or simply by asking for [`Table::categories`](crate::Table::categories).
    Category,
    /// A list of labels in each row.
    Tags,
    /// A vector of this many numbers in each row.
    Embedding(usize),
    /// Anything else (nested objects, dates, binary, extension types): it travels along and is not decoded.
    Other,
}

impl ColumnType {
    /// Whether [`Table::numeric`](crate::Table::numeric) reads it.
    pub fn is_numeric(self) -> bool {
        matches!(self, ColumnType::Integer | ColumnType::Float | ColumnType::Boolean)
    }
}

impl std::fmt::Display for ColumnType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ColumnType::Integer => f.write_str("integer"),
            ColumnType::Float => f.write_str("float"),
            ColumnType::Boolean => f.write_str("boolean"),
            ColumnType::Text => f.write_str("text"),
            ColumnType::Category => f.write_str("category"),
            ColumnType::Tags => f.write_str("tags"),
            ColumnType::Embedding(width) => write!(f, "embedding of {width} numbers"),
            ColumnType::Other => f.write_str("other"),
        }
    }
}

/// The types a user can ask for by name: `integer`, `float`, `boolean`, `text`, `category`.
impl std::str::FromStr for ColumnType {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "integer" => Ok(ColumnType::Integer),
            "float" => Ok(ColumnType::Float),
            "boolean" => Ok(ColumnType::Boolean),
            "text" => Ok(ColumnType::Text),
            "category" => Ok(ColumnType::Category),
            _ => Err(Error::input(
                "column type",
                format!("`{name}`"),
                "use `integer`, `float`, `boolean`, `text` or `category`",
            )),
        }
    }
}

/// A column's name and type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name in the file.
    pub name: String,
    /// What it holds: inferred from all rows, unless the user overrode it.
    pub kind: ColumnType,
}

/// What to do about a missing value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Missing {
    /// An error that names its file, line and column.
    #[default]
    Error,
    /// Keep it: NaN among numbers, a category with the empty name among categories.
    Keep,
}

/// New values of a column, one a row: an added column, or what a method put into synthetic rows.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// Numbers. NaN is written as a missing value.
    Float(Vec<f64>),
    /// Whole numbers.
    Integer(Vec<i64>),
    /// Texts.
    Text(Vec<String>),
    /// Categories by their number in `names`.
    Category {
        /// One number a row.
        codes: Vec<u32>,
        /// Names of the categories.
        names: Vec<String>,
    },
    /// Lists of numbers, a row each.
    Vectors(Array2<f64>),
}

impl Values {
    /// Number of rows.
    pub fn len(&self) -> usize {
        match self {
            Values::Float(v) => v.len(),
            Values::Integer(v) => v.len(),
            Values::Text(v) => v.len(),
            Values::Category { codes, .. } => codes.len(),
            Values::Vectors(vectors) => vectors.nrows(),
        }
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
