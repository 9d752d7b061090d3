//! What `train`, `predict` and `eval` share: a model's folder, and images as samples.

use crate::commands::work;
use crate::reading::Reading;
use clap::Args;
use ndarray::Array2;
use quadrat::data::Table;
use quadrat::data::coco::Category;
use quadrat::data::images::{self, Images};
use quadrat::nn::{Model, Parameters, Samples, Targets, load_model};
use quadrat::{
    ColumnUse, Encoder, Error, LeftOut, OnMissing, Part, Progress, Result, Silent, UsedColumn, Wanted, without_gaps,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What the model's inputs are made of; kept with the weights.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// Columns of a table.
    Table(Encoder),
    /// Images of one size.
    Images {
        /// Channels, height, width.
        shape: [usize; 3],
        /// Names of the classes.
        classes: Vec<String>,
    },
    /// Images with boxes of objects.
    Detector(Detected),
}

/// What a detector was trained on.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Detected {
    /// What it finds, class by class.
    pub categories: Vec<Category>,
    /// The least score of a detection.
    pub threshold: f64,
    /// The ids of its images by their files, so that what it says of them has the ids that they have there.
    pub images: BTreeMap<String, i64>,
}

impl Source {
    /// Names of the classes; none where a number is predicted.
    pub fn classes(&self) -> Option<&[String]> {
        match self {
            Source::Table(encoder) => match &encoder.wanted {
                Wanted::Classes(classes) => Some(classes),
                Wanted::Numbers(_) | Wanted::Labels(_) => None,
            },
            Source::Images { classes, .. } => Some(classes),
            Source::Detector(_) => None,
        }
    }

    /// The same with further classes, behind those that it has.
    pub fn grown(&self, new: &[String]) -> Result<Source> {
        let classes = [self.class_names()?, new].concat();
        Ok(match self.clone() {
            Source::Table(mut encoder) => {
                encoder.wanted = Wanted::Classes(classes);
                Source::Table(encoder)
            }
            Source::Images { shape, .. } => Source::Images { shape, classes },
            detector @ Source::Detector(_) => detector,
        })
    }

    /// The same, of a model that must have classes.
    pub fn class_names(&self) -> Result<&[String]> {
        self.classes().ok_or_else(|| Error::input("model", "one of numbers or labels", "a model of classes"))
    }
}

/// The weights within a model's folder.
pub const WEIGHTS: &str = "model.safetensors";

/// A model as `train` left it.
pub fn load(folder: &Path) -> Result<(Model, Parameters, Source)> {
    let path = folder.join(WEIGHTS);
    let (model, parameters, notes) = load_model(&path).map_err(|e| match super::series::load(folder) {
        Ok(_) => Error::input("--model", "a model of series", "it takes --series FILE"),
        Err(_) => e,
    })?;
    let wrong = |e: serde_json::Error| Error::data(path.display().to_string(), None, format!("not made by train: {e}"));
    Ok((model, parameters, serde_json::from_value(notes).map_err(wrong)?))
}

/// A model and what it is shown.
#[derive(Args, Debug)]
pub struct What {
    /// Folder that `quadrat train` made
    #[arg(long, value_name = "FOLDER", required = true)]
    pub model: Option<PathBuf>,
    /// Rows, with the columns that the model was trained on
    #[arg(long = "in", value_name = "FILE", required_unless_present_any = ["images", "series"], conflicts_with = "images")]
    pub input: Option<String>,
    /// Images, for a model of images
    #[arg(long, value_name = "FOLDER|FILE")]
    pub images: Option<PathBuf>,
    /// Series, for a model of series: a .ts file, or a table with the columns that the model was trained on
    #[arg(long, value_name = "FILE", conflicts_with_all = ["input", "images"])]
    pub series: Option<String>,
    #[command(flatten)]
    pub reading: Reading,
}

impl What {
    /// The model's folder.
    pub fn model(&self) -> Result<&Path> {
        self.model.as_deref().ok_or_else(|| Error::input("--model", "nothing", "the folder that `quadrat train` made"))
    }

    /// The model, and what it sees; with `labelled` the rows must say what is right.
    pub fn open(&self, labelled: bool, progress: &dyn Progress) -> Result<(Model, Parameters, Source, Seen)> {
        let (network, parameters, source) = load(self.model()?)?;
        let seen = see(&source, self.input.as_deref(), &self.reading, self.images.as_deref(), labelled, progress)?;
        Ok((network, parameters, source, seen))
    }
}

/// Rows or images as a model sees them.
pub struct Seen {
    /// Inputs; targets too where the rows say them and they were asked for.
    pub samples: Samples,
    /// The rows' file, of a model of tables.
    pub table: Option<Table>,
    /// The files of the images.
    pub names: Vec<String>,
    /// What became of missing values.
    pub notes: Vec<String>,
}

/// Reads rows or images for a model; with `labelled` they must say what is right.
pub fn see(
    source: &Source,
    input: Option<&str>,
    reading: &Reading,
    images: Option<&Path>,
    labelled: bool,
    progress: &dyn Progress,
) -> Result<Seen> {
    match (source, images, input) {
        (Source::Images { shape, classes }, Some(images), _) => {
            let read = Images::read(images, &wanted(Some(shape[1])), progress)?;
            let names = read.names.clone();
            let (mut samples, _) = of_images(read, labelled.then_some(classes))?;
            if !labelled {
                samples.targets = unknown(samples.inputs.nrows());
            }
            Ok(Seen { samples, table: None, names, notes: Vec::new() })
        }
        (Source::Table(encoder), _, Some(input)) => {
            let targets: Vec<&str> = encoder.targets.iter().map(String::as_str).filter(|_| labelled).collect();
            let (table, notes) = complete(encoder, input, reading, &targets)?;
            let inputs = encoder.rows(&table, progress)?;
            let targets = if labelled { encoder.targets(&table)? } else { unknown(table.rows()) };
            let samples = Samples::new(inputs, targets);
            Ok(Seen { samples, table: Some(table), names: Vec::new(), notes })
        }
        (Source::Detector(_), ..) => {
            let want = "one of rows or classes: a detector runs with `quadrat predict --images`";
            Err(Error::input("model", "a detector", want))
        }
        (Source::Images { .. }, ..) => Err(Error::input("--in", "a table", "a model of images takes --images")),
        (Source::Table(_), ..) => Err(Error::input("--images", "images", "a model of tables takes --in")),
    }
}

/// A file's rows for a model that fills gaps as it was trained to: with `--missing drop` without those that lack a value
/// which it does not fill, or one of the columns that are `needed` besides. What became of gaps stands beside it.
pub fn complete(encoder: &Encoder, input: &str, reading: &Reading, needed: &[&str]) -> Result<(Table, Vec<String>)> {
    let table = work::read(input, reading)?;
    let mut notes = Vec::new();
    let table = match reading.on_missing()? {
        OnMissing::Refuse => table,
        OnMissing::Drop => {
            let all: Vec<&str> = encoder.needed().into_iter().chain(needed.iter().copied()).collect();
            let (table, dropped) = without_gaps(&table, &all)?;
            notes.extend(dropped);
            table
        }
        _ => {
            let want =
                "refuse or drop: a model fills gaps with what its training rows taught it (train --missing impute)";
            return Err(Error::input("--missing", "values to be filled in", want));
        }
    };
    notes.extend(encoder.imputation().notes(&table)?);
    Ok((table, notes))
}

/// Targets of rows of which nothing is known.
fn unknown(rows: usize) -> Targets {
    Targets::Values(Array2::zeros((rows, 1)))
}

/// Images as samples, with their size and the names of their classes.
pub fn read_images(path: &Path, size: Option<usize>) -> Result<(Samples, Source)> {
    of_images(Images::read(path, &wanted(size), &Silent)?, None)
}

fn wanted(size: Option<usize>) -> images::Wanted {
    images::Wanted { size: size.map(|s| (s, s)), ..images::Wanted::default() }
}

/// Images as samples; `classes` gives the order that a model knows.
fn of_images(read: Images, classes: Option<&Vec<String>>) -> Result<(Samples, Source)> {
    let (n, c, h, w) = read.pixels.dim();
    let names = classes.unwrap_or(&read.classes).clone();
    let place = |name: &String| {
        let want = || format!("the model knows {}", names.join(", "));
        let found = names.iter().position(|other| other == name).map(|k| k as u32);
        found.ok_or_else(|| Error::input("images", format!("class `{name}`"), want()))
    };
    let places: Vec<u32> = read.classes.iter().map(place).collect::<Result<_>>()?;
    let labels: Vec<u32> = read.labels.iter().map(|&label| places[label as usize]).collect();
    let flat = read.pixels.into_shape_with_order((n, c * h * w));
    let inputs = flat.map_err(|e| Error::numeric("images", e.to_string()))?;
    let targets = if labels.len() == n { Targets::Classes { labels, classes: names.len() } } else { unknown(n) };
    Ok((Samples::new(inputs, targets), Source::Images { shape: [c, h, w], classes: names }))
}

/// What a model reads of a file; with `judged` also what it predicts.
pub fn columns_of(encoder: &Encoder, table: &Table, judged: bool) -> ColumnUse {
    let mut uses = ColumnUse::default();
    for (name, _, names) in encoder.blocks() {
        let part = match table.column(name) {
            _ if names => Part::Category,
            Ok(_) => Part::Number,
            Err(_) => Part::Indicator,
        };
        let moment = if part == Part::Number { table.moment(name).ok().flatten() } else { None };
        uses.used.push(UsedColumn { moment, ..UsedColumn::new(name, part) });
    }
    let targets = encoder.targets.iter().filter(|_| judged);
    uses.used.extend(targets.map(|name| UsedColumn::new(name, Part::Target)));
    let others = table.columns().iter().filter(|column| uses.used.iter().all(|used| used.name != column.name));
    let why = |name: &String| match (encoder.targets.contains(name), table.excluded().contains(name)) {
        (true, _) => "what the model predicts",
        (_, true) => "excluded",
        _ => "the model did not learn from it",
    };
    uses.left_out = others.map(|c| LeftOut { name: c.name.clone(), why: why(&c.name).to_owned() }).collect();
    uses
}
