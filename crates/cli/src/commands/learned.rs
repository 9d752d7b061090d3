//! What `train`, `predict` and `eval` share: a model's folder, and how good its outputs are.

use crate::output::{figure, table};
use crate::report::{Block, svg};
use ndarray::Array2;
use quadrat::data::images;
use quadrat::nn::{Model, Parameters, Samples, Targets, load_model};
use quadrat::numeric::calibration::{self, Scheme};
use quadrat::{Encoder, Error, Plot, Result, Series, Silent, Wanted};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::path::Path;

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
}

impl Source {
    /// Names of the classes; none where a number is predicted.
    pub fn classes(&self) -> Option<&[String]> {
        match self {
            Source::Table(encoder) => match &encoder.wanted {
                Wanted::Classes(classes) => Some(classes),
                Wanted::Number { .. } => None,
            },
            Source::Images { classes, .. } => Some(classes),
        }
    }
}

/// The weights within a model's folder.
pub const WEIGHTS: &str = "model.safetensors";

/// A model as `train` left it.
pub fn load(folder: &Path) -> Result<(Model, Parameters, Source)> {
    let path = folder.join(WEIGHTS);
    let (model, parameters, notes) = load_model(&path)?;
    let wrong = |e: serde_json::Error| Error::data(path.display().to_string(), None, format!("not made by train: {e}"));
    Ok((model, parameters, serde_json::from_value(notes).map_err(wrong)?))
}

/// Images as samples, with their size and the names of their classes; `classes` gives the order that a model knows.
pub fn read_images(path: &Path, size: Option<usize>, classes: Option<&[String]>) -> Result<(Samples, Source)> {
    let wanted = images::Wanted { size: size.map(|s| (s, s)), ..images::Wanted::default() };
    let read = images::Images::read(path, &wanted, &Silent)?;
    let (n, c, h, w) = read.pixels.dim();
    let names = classes.map_or_else(|| read.classes.clone(), <[String]>::to_vec);
    let place = |name: &String| {
        let want = || format!("the model knows {}", names.join(", "));
        let found = names.iter().position(|other| other == name).map(|k| k as u32);
        found.ok_or_else(|| Error::input("images", format!("class `{name}`"), want()))
    };
    let places: Vec<u32> = read.classes.iter().map(place).collect::<Result<_>>()?;
    let labels: Vec<u32> = read.labels.iter().map(|&label| places[label as usize]).collect();
    let flat = read.pixels.into_shape_with_order((n, c * h * w));
    let inputs = flat.map_err(|e| Error::numeric("images", e.to_string()))?;
    let targets = if labels.len() == n {
        Targets::Classes { labels, classes: names.len() }
    } else {
        Targets::Values(Array2::zeros((n, 1)))
    };
    Ok((Samples { inputs, targets }, Source::Images { shape: [c, h, w], classes: names }))
}

/// How good outputs are: figures by name, and what a report shows of them.
pub struct Judgement {
    /// Name and value.
    pub figures: Vec<(&'static str, f64)>,
    /// Drawings and tables.
    pub blocks: Vec<(&'static str, Vec<Block>)>,
}

impl Judgement {
    /// Compare outputs with what was wanted.
    pub fn of(outputs: &Array2<f32>, targets: &Targets, source: &Source) -> Result<Self> {
        match (targets, source) {
            (Targets::Classes { labels, .. }, _) => Judgement::of_classes(
                &calibration::probabilities(outputs.view(), 1.0),
                labels,
                source.classes().unwrap_or_default(),
            ),
            (Targets::Values(wanted), Source::Table(Encoder { wanted: Wanted::Number { deviation, .. }, .. })) => {
                Ok(Judgement::of_numbers(outputs, wanted, *deviation))
            }
            _ => Err(Error::input("samples", "no classes", "labelled rows to compare with")),
        }
    }

    fn of_classes(p: &Array2<f32>, labels: &[u32], classes: &[String]) -> Result<Self> {
        let said = calibration::likeliest(p.view());
        let right = said.iter().zip(labels).filter(|(a, b)| a == b).count();
        let (width, view) = (Scheme::EqualWidth, p.view());
        let figures = vec![
            ("accuracy", right as f64 / labels.len().max(1) as f64),
            ("nll", calibration::nll(view, labels)?),
            ("brier", calibration::brier(view, labels)?),
            ("ece", calibration::ece(view, labels, 15, width)?),
            ("mce", calibration::mce(view, labels, 15, width)?),
            ("aurc", calibration::aurc(view, labels)?),
            ("excess-aurc", calibration::excess_aurc(view, labels)?),
        ];
        let mut blocks = vec![("Reliability", reliability(p, labels)?)];
        if classes.len() <= 30 {
            blocks.push(("Confusion", vec![confusion(&said, labels, classes)]));
        }
        Ok(Judgement { figures, blocks })
    }

    fn of_numbers(outputs: &Array2<f32>, wanted: &Array2<f32>, deviation: f64) -> Self {
        let n = wanted.len().max(1) as f64;
        let errors = outputs.iter().zip(wanted).map(|(a, b)| f64::from(a - b));
        let (squares, absolute) = errors.fold((0.0, 0.0), |(s, a), e| (s + e * e, a + e.abs()));
        let mean = wanted.iter().map(|v| f64::from(*v)).sum::<f64>() / n;
        let spread: f64 = wanted.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum();
        let figures = vec![
            ("rmse", (squares / n).sqrt() * deviation),
            ("mae", absolute / n * deviation),
            ("r2", 1.0 - squares / spread.max(f64::MIN_POSITIVE)),
        ];
        Judgement { figures, blocks: Vec::new() }
    }

    /// The figures as a table for people.
    pub fn text(&self) -> String {
        let rows = self.figures.iter().map(|(name, value)| vec![(*name).to_owned(), figure(*value)]);
        table(&rows.collect::<Vec<_>>(), &[1])
    }

    /// The figures for programs.
    pub fn json(&self) -> Value {
        self.figures.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect()
    }
}

/// How often the model is right where it says a probability.
fn reliability(p: &Array2<f32>, labels: &[u32]) -> Result<Vec<Block>> {
    let bins = calibration::reliability(p.view(), labels, 15, Scheme::EqualWidth)?;
    let point = |x: f64, y: f64| [x, y, y, y];
    let said = bins.iter().filter(|bin| bin.count > 0).map(|bin| point(bin.confidence, bin.accuracy)).collect();
    let plot = Plot {
        title: "Reliability".to_owned(),
        x: "confidence".to_owned(),
        y: "share that is right".to_owned(),
        log_x: false,
        log_y: false,
        series: vec![
            Series { name: "the model".to_owned(), points: said },
            Series {
                name: "as it should be".to_owned(),
                points: (0..=4).map(|i| point(f64::from(i) / 4.0, f64::from(i) / 4.0)).collect(),
            },
        ],
    };
    let caption = "Above the line the model is less sure than it could be, below it is too sure.".to_owned();
    Ok(vec![Block::Figure { drawing: svg::curves(&plot)?, caption }])
}

/// How many rows of each class (down) were taken for each class (across).
fn confusion(said: &[u32], labels: &[u32], classes: &[String]) -> Block {
    let k = classes.len();
    let mut counts = vec![vec![0usize; k]; k];
    said.iter().zip(labels).for_each(|(s, l)| counts[*l as usize][*s as usize] += 1);
    let mut rows =
        vec![std::iter::once("is / taken for".to_owned()).chain(classes.iter().cloned()).collect::<Vec<_>>()];
    for (name, counts) in classes.iter().zip(&counts) {
        rows.push(std::iter::once(name.clone()).chain(counts.iter().map(usize::to_string)).collect());
    }
    Block::Table { rows, right: (1..=k).collect() }
}
