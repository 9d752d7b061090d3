//! `quadrat retrieve compose`: queries or targets -> vectors, by an encoder of queries with words.

use crate::args::Run;
use crate::commands::word_encoder::read_words;
use crate::output::{Reply, check_place, count};
use clap::Args;
use ndarray::Array2;
use quadrat::data::{read_embedding, read_matrix, write_matrix};
use quadrat::retrieval::composed::{ComposedEncoder, Composer, Sentences, Shape};
use quadrat::retrieval::training::Vocabulary;
use quadrat::{Choice, Error, Result};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

#[derive(Args, Debug)]
pub struct Compose {
    /// The encoder, a folder that `retrieve train` made by multi-grained-uncertainty or language-guided-music
    #[arg(long, value_name = "FOLDER")]
    pub model: PathBuf,
    /// Queries: rows of features
    #[arg(long, value_name = "FILE.npy", required_unless_present = "targets", conflicts_with = "targets")]
    pub queries: Option<PathBuf>,
    /// A sentence for each query, as in training [default: none]
    #[arg(long, value_name = "FILE", requires = "queries")]
    pub words: Option<PathBuf>,
    /// Targets: rows of features, in place of queries
    #[arg(long, value_name = "FILE.npy")]
    pub targets: Option<PathBuf>,
    /// Output: a row of length 1 for each
    #[arg(long, value_name = "FILE.npy")]
    pub out: PathBuf,
    #[command(flatten)]
    pub run: Run,
}

/// Queries or targets to vectors.
pub fn run(args: &Compose) -> Result<Reply> {
    if !is_npy(&args.out) {
        return Err(Error::input("--out", args.out.display(), "name a file that ends in .npy"));
    }
    check_place(&args.out)?;
    let (encoder, vocabulary) = open(&args.model)?;
    let (what, rows) = match (&args.queries, &args.targets) {
        (Some(queries), _) => {
            let references = read_matrix(queries)?;
            let sentences = sentences(args.words.as_deref(), references.nrows(), &encoder, vocabulary.as_ref())?;
            ("queries", encoder.compose(references.view(), &sentences)?)
        }
        (None, Some(targets)) => ("targets", encoder.project(read_matrix(targets)?.view())?),
        (None, None) => return Err(Error::input("--queries", "nothing", "name queries or --targets")),
    };
    write_matrix(&args.out, rows.view())?;
    let text =
        format!("{} {what} to {} numbers each\nwrote {}\n", count(rows.nrows()), rows.ncols(), args.out.display());
    let value = json!({ "model": args.model, "rows": rows.nrows(), "dims": rows.ncols(), "of": what, "out": args.out });
    Ok(Reply::new(text, value))
}

/// The sentences of queries, in the form that the encoder knows.
fn sentences(
    file: Option<&Path>,
    rows: usize,
    encoder: &ComposedEncoder,
    vocabulary: Option<&Vocabulary>,
) -> Result<Sentences> {
    let missing = || Sentences::Vectors(Array2::zeros((rows, encoder.shape().widths[1])));
    match (file, vocabulary) {
        (None, _) => Ok(missing()),
        (Some(file), Some(_)) if is_npy(file) => {
            Err(Error::input("--words", file.display(), "the encoder was trained on sentences, one a line"))
        }
        (Some(file), Some(vocabulary)) => Ok(Sentences::Bags(vocabulary.bags(&read_lines(file, rows)?))),
        (Some(file), None) if is_npy(file) => Ok(Sentences::Vectors(read_embedding(file, rows)?)),
        (Some(file), None) => {
            Err(Error::input("--words", file.display(), "the encoder knows no words, vectors (.npy) at most"))
        }
    }
}

/// What `retrieve train` wrote: the encoder, and its words if it knows some.
fn open(folder: &Path) -> Result<(ComposedEncoder, Option<Vocabulary>)> {
    let path = folder.join("model.json");
    let told = std::fs::read(&path).map_err(|e| Error::io(&path, e))?;
    let bad = |why: &str| Error::data(path.display().to_string(), None, why);
    let told: Value = serde_json::from_slice(&told).map_err(|e| bad(&e.to_string()))?;
    let shape = shape(&told["model"]).ok_or_else(|| bad("it describes no encoder of queries with words"))?;
    let read = |name: &str, rows: usize| read_embedding(&folder.join(format!("{name}.npy")), rows);
    let encoder = ComposedEncoder::from_matrices(shape, &read)?;
    let vocabulary = (told["text"] == true).then(|| read_words(folder)).transpose()?;
    match &vocabulary {
        Some(known) if known.words().len() != shape.widths[1] => Err(bad("words.tsv has another number of words")),
        _ => Ok((encoder, vocabulary)),
    }
}

fn shape(told: &Value) -> Option<Shape> {
    let number = |value: &Value| value.as_u64().map(|n| n as usize);
    let name = told["composer"].as_str()?;
    let composer = Composer::CHOICES.iter().find(|choice| choice.name == name)?.value;
    let widths = &told["widths"];
    let widths = [number(&widths["queries"])?, number(&widths["words"])?, number(&widths["targets"])?];
    let unit = |at: usize| told["units"][at].as_f64();
    Some(Shape { composer, widths, dims: number(&told["dims"])?, units: [unit(0)?, unit(1)?, unit(2)?] })
}

/// Whether a file is an array, by its name.
pub fn is_npy(file: &Path) -> bool {
    file.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("npy"))
}

/// A sentence a line, for so many rows.
pub fn read_lines(file: &Path, rows: usize) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(file).map_err(|e| Error::io(file, e))?;
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    check_count(file, lines.len(), rows)?;
    Ok(lines)
}

/// That there is a line for each query.
pub fn check_count(file: &Path, found: usize, rows: usize) -> Result<()> {
    match found == rows {
        true => Ok(()),
        false => {
            let why = format!("{found} lines where there are {rows} queries; there must be one for each, if empty");
            Err(Error::data(file.display().to_string(), None, why))
        }
    }
}
