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
//! | `csv`, `tsv`, `tab` | RFC 4180 and its dialects, see below | on disk, read again part by part |
//! | `jsonl`, `ndjson` | the keys of one object a line | on disk, read again part by part |
//! | `json` | the keys of the objects of an array, also of one inside an object (`{"data": [...]}`) | in memory as it is |
//! | `parquet`, `pq` | the top-level fields; a folder or a pattern (`part-*.parquet`) is one table | on disk, streamed by row group |
//! | `arrow`, `feather`, `ipc` | the fields of an Arrow IPC file | on disk, streamed by batch |
//! | `arrows` | the fields of an Arrow IPC stream | decoded in memory |
//! | `npy` | a matrix is `x0`, `x1`, ...; a vector is `x`; fields of structured elements | in memory as it is |
//! | `npz` | arrays by name: vectors are columns, matrices embeddings, but a matrix `X` beside others is `X0`, `X1`, ... | in memory as it is |
//! | `arff`, KEEL's `dat` | attributes; nominal ones are categories with all their levels; sparse rows too | decoded in memory |
//! | `libsvm`, `svmlight`, `svm` | `label`, `qid` if there is one, `x1`, `x2`, ... | decoded in memory |
//!
//! Texts of less than 2 MiB, compressed ones and those in another encoding than UTF-8 are in memory. One on disk may be
//! renamed or replaced while it is in use; when it is written to, reading ends with an error.
//!
//! gzip, Zstandard, bzip2 and xz around a file, and a zip of one file, are seen by its first bytes when reading; the
//! first four are asked for by `.gz`, `.zst`, `.bz2` or `.xz` when writing. `-` is standard input, whose format its
//! first bytes tell, and standard output, in the input's format (`-.jsonl` and the like say another). Names that promise
//! nothing (`iris.data`) are told by their content. Spreadsheets, databases, pickles and addresses are refused with the
//! line that makes a table of them. Rows come out in the order in which they are asked for, in every format; for that the
//! chosen rows of a Parquet or Arrow file are collected, in memory as far as 128 MiB hold them and then in temporary files
//! beside the output, unless they are asked for in the file's order.
//!
//! What a format holds:
//!
//! | type | Arrow | Parquet | CSV, TSV, JSON Lines | npy, npz |
//! |---|---|---|---|---|
//! | whole numbers, floats of 16 to 64 bits, booleans | yes | yes | shortest digits | yes; with missing values as doubles, if these hold them |
//! | texts | yes | yes | yes | yes; a missing one is an empty one |
//! | categories, all levels in order | yes | yes | their texts | their texts |
//! | decimals, lists, bytes, groups | yes | yes | digits, JSON, hexadecimal digits | no |
//! | embeddings | yes | yes | JSON | yes |
//! | dates, instants without a zone, durations | yes | yes; seconds as milliseconds | ISO 8601 | yes |
//! | times of day, instants with a zone, intervals | yes | yes; no nanoseconds of an interval | ISO 8601 | no |
//! | UUID | yes | yes | with hyphens | as texts |
//! | other extension types, such as pandas' periods | yes | yes | no | no |
//!
//! ARFF and KEEL's files hold numbers, texts and categories with all their levels, KEEL's none that needs quotation marks;
//! libsvm's hold a label (the table's [target](Table::with_target), or else its column `label`) and numbers, none of which
//! is missing.
//!
//! File-level and field-level keys go from Arrow and Parquet to Arrow and Parquet. A NaN is a missing value in text
//! formats; JSON has no infinity, so that one is an error there. [`Table::check_output`] says before any work whether a
//! format holds a table's columns. In npy, columns of numbers are a matrix, others
//! a vector of structured elements, as is a matrix with an added column of another type.
//!
//! # Dialects
//!
//! [`Reading`] says how a text file is spelt: separator, quotation mark, decimal and thousands marks, comments, header,
//! encoding. What it does not say is proposed from the first rows (separator, quotation mark, comments, header) or from
//! all cells of a column (marks in numbers), and [`Table::notes`] tells each proposal that is not what the ending
//! promises, with the option that overrules it. What cells leave open stays text and is told. UTF-16 is recognised; any
//! other encoding than UTF-8 must be named, since bytes don't tell which it is.
//!
//! Blank lines are skipped and counted, except under the header of a single column, where each is a missing value. A
//! column without a name is called by its place (`column 3`); so are all of a file without a header.
//!
//! Written in its own format a file keeps its dialect, encoding, header and the lines above it; comments between rows are
//! left out. New cells follow the dialect, without marks between thousands. A new value that the encoding does not have
//! is an error.
//!
//! # Types and missing values
//!
//! In Parquet, Arrow and numpy's files types are the file's own. In text formats they are inferred from all rows: the narrowest of integer, float, boolean and text that holds the column. Digits
//! after a leading zero (`00123`) and whole numbers too long for 64 bits stay text in CSV, since they are codes. Lists of
//! numbers of one width are embeddings; other lists of texts or numbers are tags. A type can be overridden by name.
//!
//! Missing is: in CSV an empty field; in JSON `null` and an absent key; in Parquet null; in ARFF `?`; and NaN everywhere.
//! Where a value is asked for (numbers, booleans, categories and classes, label lists), texts that pandas takes for
//! missing are missing too, with or without spaces around: `NA`, `N/A`, `n/a`, `<NA>`, `#N/A`, `NaN`, `nan`, `NaT`,
//! `null`, `NULL`, `None` and the like, and `?` and `\N`; so is an empty text. As a text, [`Table::strings`], each is
//! what it is. [`Reading::missing_codes`] names more, for every column and format; a code that is a number counts however
//! it is spelt.

mod arff;
mod arrays;
mod arrow_file;
pub mod atomic;
pub mod builtin;
mod bytes;
mod cell;
mod cells;
mod cfl;
pub mod coco;
mod column;
mod content;
mod delimited;
mod dialect;
mod encoding;
mod fit;
mod format;
mod held;
mod holds;
pub mod images;
mod infer;
mod json;
mod jsonl;
mod keel;
mod levels;
mod libsvm;
mod moments;
pub mod nifti;
pub mod numbers;
mod numpy;
mod origin;
mod parquet_file;
mod parquet_sink;
mod plain;
mod reading;
mod refused;
mod rows;
pub mod series;
mod shape;
mod shuffle;
mod sink;
mod source;
mod spell;
mod table;
pub mod text;
pub mod trec;
mod view;
mod write;
mod zip;

pub use column::{Column, ColumnType, Missing, Values};
pub use format::{Compression, Format};
pub use moments::Moment;
pub use numpy::{npy_head, read_embedding, read_matrix, write_arrays, write_matrix};
pub use origin::panic_becomes_error;
pub use reading::Reading;
pub use table::{Categories, Labels, Table};
pub use view::Gaps;
pub use write::{check_added, is_standard_output, write_made, write_resampled, write_selection};
