//! `quadrat predict` and `quadrat eval`: what a model says of rows or images, and how good that is.

use super::learned::{Judgement, Source, load, read_images};
use super::work;
use crate::args::{Reading, Run};
use crate::output::{Reply, check_out, check_place, count};
use crate::report::{Block, Page};
use clap::Args;
use ndarray::Array2;
use quadrat::data::{Table, Values, is_standard_output, write_selection};
use quadrat::nn::{Samples, predict};
use quadrat::numeric::calibration;
use quadrat::{Error, Result, Wanted, write_atomic_bytes};
use serde_json::json;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;

/// Options of `quadrat predict`.
#[derive(Args, Debug)]
pub struct Predict {
    #[command(flatten)]
    pub what: What,
    /// Output: the rows with `predicted` and, for classes, `p_CLASS` columns; its ending chooses the format
    #[arg(long, value_name = "FILE", allow_hyphen_values = true)]
    pub out: PathBuf,
    #[command(flatten)]
    pub run: Run,
}

/// Options of `quadrat eval`.
#[derive(Args, Debug)]
pub struct Evaluate {
    #[command(flatten)]
    pub what: What,
    /// Write a self-contained HTML page: reliability, confusion
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    #[command(flatten)]
    pub run: Run,
}

/// A model and what it is shown.
#[derive(Args, Debug)]
pub struct What {
    /// Folder that `quadrat train` made
    #[arg(long, value_name = "FOLDER")]
    pub model: PathBuf,
    /// Rows, with the columns that the model was trained on
    #[arg(long = "in", value_name = "FILE", required_unless_present = "images", conflicts_with = "images")]
    pub input: Option<String>,
    /// Images, for a model of images
    #[arg(long, value_name = "FOLDER|FILE")]
    pub images: Option<PathBuf>,
    #[command(flatten)]
    pub reading: Reading,
}

/// What a model said.
struct Said {
    source: Source,
    outputs: Array2<f32>,
    /// The rows' file, of a model of tables.
    table: Option<Table>,
    samples: Samples,
}

impl What {
    /// Runs the model; with `labelled` the rows must say what is right.
    fn run(&self, labelled: bool) -> Result<Said> {
        let (network, parameters, source) = load(&self.model)?;
        let (samples, table) = match (&source, &self.images, &self.input) {
            (Source::Images { shape, classes }, Some(images), _) => {
                (read_images(images, Some(shape[1]), Some(classes))?.0, None)
            }
            (Source::Table(encoder), _, Some(input)) => {
                let table = work::read(input, &self.reading)?;
                let inputs = encoder.rows(&table)?;
                let targets = if labelled {
                    encoder.targets(&table)?
                } else {
                    quadrat::nn::Targets::Values(Array2::zeros((table.rows(), 1)))
                };
                (Samples { inputs, targets }, Some(table))
            }
            (Source::Images { .. }, ..) => {
                return Err(Error::input("--in", "a table", "a model of images takes --images"));
            }
            (Source::Table(_), ..) => return Err(Error::input("--images", "images", "a model of tables takes --in")),
        };
        let outputs = predict(&network, &parameters, samples.inputs.view(), &[])?;
        Ok(Said { source, outputs, table, samples })
    }
}

/// Writes what the model says of each row.
pub fn run(args: &Predict) -> Result<Reply> {
    check_out(&args.out)?;
    let said = args.what.run(false)?;
    let columns = columns(&said);
    match &said.table {
        Some(table) => {
            let rows: Vec<usize> = (0..table.rows()).collect();
            write_selection(table, &rows, &columns, &args.out)?;
        }
        None => write_csv(&columns, &args.out)?,
    }
    let n = said.outputs.nrows();
    let text = format!("predicted {} rows\nwrote {}\n", count(n), args.out.display());
    Ok(Reply::new(text, json!({ "rows": n, "out": args.out })))
}

/// `predicted`, and a probability for each class.
fn columns(said: &Said) -> Vec<(String, Values)> {
    let mut columns = Vec::new();
    if let Some(classes) = said.source.classes() {
        let p = calibration::probabilities(said.outputs.view(), 1.0);
        let names = classes.to_vec();
        columns.push(("predicted".to_owned(), Values::Category { codes: calibration::likeliest(p.view()), names }));
        for (k, class) in classes.iter().enumerate() {
            columns.push((format!("p_{class}"), Values::Float(p.column(k).iter().map(|v| f64::from(*v)).collect())));
        }
    } else if let Source::Table(encoder) = &said.source
        && let Wanted::Number { mean, deviation } = encoder.wanted
    {
        let values = said.outputs.column(0).iter().map(|v| f64::from(*v) * deviation + mean).collect();
        columns.push(("predicted".to_owned(), Values::Float(values)));
    }
    columns
}

/// Predictions of images, which have no table to be added to.
fn write_csv(columns: &[(String, Values)], path: &std::path::Path) -> Result<()> {
    let names: Vec<String> = columns.iter().map(|(name, _)| quoted(name)).collect();
    let mut text = names.join(",");
    text.push('\n');
    for row in 0..columns.first().map_or(0, |(_, values)| values.len()) {
        for (c, (_, values)) in columns.iter().enumerate() {
            let comma = if c > 0 { "," } else { "" };
            let _ = match values {
                Values::Float(v) => write!(text, "{comma}{}", v[row]),
                Values::Category { codes, names } => write!(text, "{comma}{}", quoted(&names[codes[row] as usize])),
                _ => Ok(()),
            };
        }
        text.push('\n');
    }
    if is_standard_output(path) {
        return std::io::stdout().write_all(text.as_bytes()).map_err(|e| Error::io("standard output", e));
    }
    write_atomic_bytes(path, text.as_bytes())
}

fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

/// Compares what the model says with what is right.
pub fn evaluate(args: &Evaluate) -> Result<Reply> {
    if let Some(report) = &args.report {
        check_place(report)?;
    }
    let said = args.what.run(true)?;
    let judgement = Judgement::of(&said.outputs, &said.samples.targets, &said.source)?;
    let n = said.outputs.nrows();
    let mut text = format!("{} on {} rows:\n{}", args.what.model.display(), count(n), judgement.text());
    let value = json!({ "rows": n, "figures": judgement.json(), "report": args.report });
    if let Some(path) = &args.report {
        let lead = format!("{} rows that the model judged", count(n));
        let mut page = Page::new(format!("How good {} is", args.what.model.display()), lead);
        let figures = judgement.figures.iter().map(|(name, v)| ((*name).to_owned(), crate::output::figure(*v)));
        page.section("Figures", [Block::Facts(figures.collect())]);
        for (heading, blocks) in judgement.blocks {
            page.section(heading, blocks);
        }
        page.finish(path, None)?;
        text.push_str(&format!("wrote {}\n", path.display()));
    }
    Ok(Reply::new(text, value))
}
