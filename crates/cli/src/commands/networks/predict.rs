//! `quadrat predict` and `quadrat eval`: what a model says of rows or images, and how good that is.

use super::detection;
use super::judgement::Judgement;
use super::learned::{Seen, Source, What, columns_of};
use super::series;
use crate::args::Run;
use crate::commands::{roles, work};
use crate::output::{Reply, check_out, check_place, count};
use crate::report::{Block, Page};
use clap::Args;
use ndarray::Array2;
use quadrat::data::{ColumnType, Table, Values, write_selection};
use quadrat::nn::predict;
use quadrat::numeric::calibration;
use quadrat::{ColumnUse, NewValues, Progress, Result, TargetScale, Wanted};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Options of `quadrat predict`.
#[derive(Args, Debug)]
pub struct Predict {
    #[command(flatten)]
    pub what: What,
    /// With a detector: take the images and their ids from this file in COCO's format [default: all images of the folder]
    #[arg(long, value_name = "FILE", requires = "images")]
    pub boxes: Option<PathBuf>,
    /// Output: the rows with `predicted` and, for classes, `p_CLASS` columns; its ending chooses the format. Of a
    /// detector: a list of boxes as COCO has it
    #[arg(long, value_name = "FILE", allow_hyphen_values = true)]
    pub out: PathBuf,
    #[command(flatten)]
    pub run: Run,
}

/// Options of `quadrat eval`.
#[derive(Args, Debug)]
#[command(mut_arg("model", |model| model.required(false).required_unless_present("detections")))]
#[command(mut_arg("input", |input| input.required_unless_present("detections")))]
pub struct Evaluate {
    #[command(flatten)]
    pub what: What,
    /// Objects that are there, in COCO's format
    #[arg(long, value_name = "FILE", requires = "detections")]
    pub boxes: Option<PathBuf>,
    /// Boxes that `quadrat predict` found in the images, or other results in COCO's format
    #[arg(long, value_name = "FILE", requires = "boxes", conflicts_with_all = ["model", "input", "images", "report"])]
    pub detections: Option<PathBuf>,
    /// Write a self-contained HTML page: class by class, confusion, reliability; for numbers what is left over
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    #[command(flatten)]
    pub run: Run,
}

/// What a model said.
struct Said {
    source: Source,
    outputs: Array2<f32>,
    seen: Seen,
    /// Values of categories that the model never saw.
    unseen: Vec<NewValues>,
}

impl What {
    /// Runs the model; with `labelled` the rows must say what is right. `out` is where they are to be written.
    fn run(&self, labelled: bool, out: Option<&Path>, progress: &dyn Progress) -> Result<Said> {
        let (network, parameters, source, seen) = self.open(labelled, progress)?;
        if let Some(table) = &seen.table {
            work::check_output(table, out, &[])?;
        }
        let unseen = match (&source, &seen.table) {
            (Source::Table(encoder), Some(table)) => encoder.unseen(table)?,
            _ => Vec::new(),
        };
        let outputs = predict(&network, &parameters, seen.samples.inputs.view(), &[])?;
        Ok(Said { source, outputs, seen, unseen })
    }
}

impl Said {
    /// Says which columns the model read; with `judged` also what it is compared with.
    fn columns_used(&self, judged: bool) -> Option<(&Table, ColumnUse)> {
        let (Source::Table(encoder), Some(table)) = (&self.source, &self.seen.table) else { return None };
        let mut uses = columns_of(encoder, table, judged);
        uses.warnings.extend(self.seen.notes.iter().cloned());
        Some((table, uses))
    }
}

/// A line for each column with values that the model never saw.
fn notes(unseen: &[NewValues]) -> String {
    let line = |NewValues { column, rows, values, some }: &NewValues| {
        let values = if *values == 1 { "a value".to_owned() } else { format!("{} values", count(*values)) };
        let some: Vec<String> = some.iter().map(|value| format!("`{value}`")).collect();
        let rows = if *rows == 1 { "1 row has".to_owned() } else { format!("{} rows have", count(*rows)) };
        format!(
            "note: in `{column}` {rows} {values} that the model never saw ({}): none counts there\n",
            some.join(", ")
        )
    };
    unseen.iter().map(line).collect()
}

fn unseen_json(unseen: &[NewValues]) -> Value {
    let entry = |u: &NewValues| json!({ "column": u.column, "rows": u.rows, "values": u.values, "some": u.some });
    unseen.iter().map(entry).collect()
}

/// Writes what the model says of each row.
pub fn run(args: &Predict, progress: &dyn Progress) -> Result<Reply> {
    if let Some(file) = &args.what.series {
        return series::predict(args, file);
    }
    check_out(&args.out)?;
    if let Some(reply) = detection::predict(args, progress)? {
        return Ok(reply);
    }
    let said = args.what.run(false, Some(&args.out), progress)?;
    let columns = columns(&said);
    let n = said.outputs.nrows();
    let rows: Vec<usize> = (0..n).collect();
    match &said.seen.table {
        Some(table) => write_selection(table, &rows, &columns, &args.out)?,
        None => write_selection(&files(&said.seen.names)?, &rows, &columns, &args.out)?,
    }
    let mut text = format!("predicted {} rows\n{}", count(n), notes(&said.unseen));
    text.push_str(&format!("wrote {}\n", args.out.display()));
    let mut value = json!({ "rows": n, "unseen": unseen_json(&said.unseen), "out": args.out });
    if let Some((table, uses)) = said.columns_used(false) {
        roles::tell(table, &uses, &mut text, &mut value);
    }
    Ok(Reply::new(text, value))
}

/// The images' files as a table, to which predictions are added.
fn files(names: &[String]) -> Result<Table> {
    let quoted = |name: &String| format!("\"{}\"\n", name.replace('"', "\"\""));
    let text = format!("file\n{}", names.iter().map(quoted).collect::<String>());
    Table::from_bytes("files.csv", text.into_bytes(), &[("file".to_owned(), ColumnType::Text)])
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
    } else if let Source::Table(encoder) = &said.source {
        match &encoder.wanted {
            Wanted::Numbers(scales) => {
                for (k, (name, TargetScale { mean, deviation })) in encoder.targets.iter().zip(scales).enumerate() {
                    let values = said.outputs.column(k).iter().map(|v| f64::from(*v) * deviation + mean).collect();
                    let name = if scales.len() > 1 { format!("predicted_{name}") } else { "predicted".to_owned() };
                    columns.push((name, Values::Float(values)));
                }
            }
            Wanted::Labels(labels) => {
                let row = |z: ndarray::ArrayView1<f32>| {
                    let those = z.iter().zip(labels).filter(|(z, _)| **z >= 0.0).map(|(_, label)| label.as_str());
                    those.collect::<Vec<_>>().join("|")
                };
                columns.push(("predicted".to_owned(), Values::Text(said.outputs.outer_iter().map(row).collect())));
                for (label, z) in labels.iter().zip(said.outputs.columns()) {
                    let p = z.iter().map(|z| 1.0 / (1.0 + (-f64::from(*z)).exp())).collect();
                    columns.push((format!("p_{label}"), Values::Float(p)));
                }
            }
            Wanted::Classes(_) => {}
        }
    }
    columns
}

/// Compares what the model says with what is right.
pub fn evaluate(args: &Evaluate, progress: &dyn Progress) -> Result<Reply> {
    if let Some(file) = &args.what.series {
        return series::evaluate(args, file);
    }
    if let (Some(boxes), Some(detections)) = (&args.boxes, &args.detections) {
        return detection::evaluate(boxes, detections);
    }
    if let Some(report) = &args.report {
        check_place(report)?;
    }
    let said = args.what.run(true, None, progress)?;
    let judgement = Judgement::of(&said.outputs, &said.seen.samples.targets, &said.source)?;
    let n = said.outputs.nrows();
    let model = args.what.model()?.display();
    let mut text = format!("{model} on {} rows:\n{}", count(n), judgement.text());
    text.push_str(&notes(&said.unseen));
    let mut value = json!({ "rows": n, "figures": judgement.json(), "report": args.report });
    judgement.add_details(&mut value);
    value["unseen"] = unseen_json(&said.unseen);
    let uses = said.columns_used(true);
    if let Some((table, uses)) = &uses {
        roles::tell(table, uses, &mut text, &mut value);
    }
    if let Some(path) = &args.report {
        let lead = format!("{} rows that the model judged", count(n));
        let mut page = Page::new(format!("How good {model} is"), lead);
        let figures = judgement.figures.iter().map(|(name, v)| (name.clone(), crate::output::figure(*v)));
        page.section("Figures", [Block::Facts(figures.collect())]);
        for (heading, blocks) in judgement.blocks {
            page.section(heading, blocks);
        }
        if let Some((_, uses)) = &uses {
            page.section("Columns", roles::blocks(uses));
        }
        page.finish(path, None)?;
        text.push_str(&format!("wrote {}\n", path.display()));
    }
    Ok(Reply::new(text, value))
}
