//! Tables of samples: read, ask for columns, write the user's own rows back.
//!
//! A [`Table`] is a file opened with its format. It knows its columns and their types and decodes a column when it is
//! asked for it, as numbers, categories, label lists, texts or embeddings. [`write_selection`] and [`write_resampled`]
//! write rows of it: in the file's own format they are the user's own bytes, so columns that a method never looked at
//! travel through untouched.
//!
//! ```
//! use quadrat_data::{Missing, Table, Values, write_selection};
//! let csv = "name,age,height,class\nAda,36,1.60,a\nBo,,1.90,b\nCy,19,1.75,a\n";
//! let people = Table::from_bytes("people.csv", csv.into(), &[])?;
//! assert_eq!(people.numeric_columns(), ["age", "height"]);
//! let classes = people.categories("class", Missing::Error)?;
//! assert_eq!((classes.codes, classes.names), (vec![0, 1, 0], vec!["a".to_string(), "b".to_string()]));
//! let error = people.numeric(&["age"], Missing::Error).unwrap_err();
//! assert!(error.to_string().starts_with("people.csv:3: column `age`: the value is missing"));
//!
//! let path = std::env::temp_dir().join(format!("quadrat-example-{}.csv", std::process::id()));
//! write_selection(&people, &[2, 0], &[("weight".into(), Values::Float(vec![2.0, 1.5]))], &path)?;
//! assert_eq!(
//!     std::fs::read_to_string(&path).unwrap(),
//!     "name,age,height,class,weight\nCy,19,1.75,a,2.0\nAda,36,1.60,a,1.5\n"
//! );
//! # std::fs::remove_file(&path).unwrap();
//! # Ok::<(), quadrat_core::Error>(())
//! ```
//!
//! # Formats
//!
//! | ending | columns | where it lives |
//! |---|---|---|
//! | `csv`, `tsv`, `tab` | RFC 4180 with a header; UTF-8; line ends of either kind; blank lines are skipped | in memory as it is |
//! | `jsonl`, `ndjson` | the keys of one object a line | in memory as it is |
//! | `parquet`, `pq` | the top-level fields; dictionaries of texts are categories | on disk, streamed by row group |
//! | `npy` | a matrix is `x0`, `x1`, ...; a vector is `x` | in memory as it is |
//! | `npz` | arrays by name: vectors are columns, matrices are embeddings | in memory as it is |
//!
//! gzip and Zstandard around a file are seen by its first bytes when reading and asked for by `.gz` or `.zst` when
//! writing. Rows come out in the order in which they are asked for, in every format; for that the chosen rows of a
//! Parquet file are collected in memory, unless they are asked for in the file's order.
//!
//! # Types and missing values
//!
//! Types are inferred from all rows: the narrowest of integer, float, boolean and text that holds the column. Whole
//! numbers too long for 64 bits stay text in CSV, since they are identifiers. Lists of numbers of one width are
//! embeddings; other lists of texts or numbers are tags. A type can be overridden by name.
//!
//! Missing is: in CSV an empty field, and in columns of numbers and booleans also `NA`, `N/A`, `NaN`, `nan`, `NAN`,
//! `null`, `NULL`, `Null`, `None` and `?`, with or without spaces around; in JSON Lines `null`, `NaN` and an absent key;
//! in Parquet null; and NaN everywhere.

mod arrays;
pub mod builtin;
mod bytes;
mod cell;
mod column;
mod delimited;
mod format;
pub mod images;
mod json;
mod jsonl;
mod numpy;
mod parquet_file;
mod reading;
mod sink;
mod source;
mod table;
pub mod text;
mod write;
mod zip;

pub use column::{Column, ColumnType, Missing, Values};
pub use format::{Compression, Format};
pub use numpy::{npy_head, read_embedding};
pub use parquet_file::panic_becomes_error;
pub use reading::Reading;
pub use table::{Categories, Labels, Table};
pub use write::{write_columns, write_resampled, write_selection};
