//! `quadrat data`: the built-in sets, what a file holds, and the file in another format.

use super::work;
use crate::output::{Reply, check_out, count, figure, table, wrap};
use crate::reading::Reading;
use clap::Subcommand;
use quadrat::data::{ColumnType, Missing, Table, builtin, write_selection};
use quadrat::{ColumnUse, Error, Part, Result, Wish};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

#[derive(Subcommand, Debug)]
pub enum Data {
    /// The built-in data sets
    List {
        /// Print one JSON array
        #[arg(long)]
        json: bool,
    },
    /// Columns, types and size of a file or a built-in set
    Show {
        /// A file, or builtin:NAME
        input: String,
        #[command(flatten)]
        reading: Reading,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// A file in another format: all its rows and columns, as they were
    Convert {
        /// A file, or builtin:NAME
        #[arg(long = "in", value_name = "FILE")]
        input: String,
        /// Output file, whose ending chooses the format; - is standard output in the input's format, -.jsonl in another
        #[arg(long, value_name = "FILE", allow_hyphen_values = true)]
        out: PathBuf,
        /// Column that is to be predicted, for formats with a place for it (libsvm, KEEL)
        #[arg(long, value_name = "COLUMN")]
        target: Option<String>,
        #[command(flatten)]
        reading: Reading,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
}

/// Lists the built-in sets, describes a file, or writes it in another format.
pub fn run(args: &Data) -> Result<Reply> {
    match args {
        Data::List { .. } => Ok(list()),
        Data::Show { input, reading, .. } => show(input, reading),
        Data::Convert { input, out, target, reading, .. } => convert(input, out, target.as_deref(), reading),
    }
}

/// Every row and column into another file; what its format cannot hold is refused beforehand.
fn convert(input: &str, out: &Path, target: Option<&str>, reading: &Reading) -> Result<Reply> {
    check_out(out)?;
    if !reading.exclude.is_empty() || reading.missing.is_some() || reading.impute.is_some() {
        let want = "nothing is left out and nothing filled in: leave it out";
        return Err(Error::input("option", "--exclude, --missing or --impute", want));
    }
    let file = work::read(input, reading)?;
    let file = match target {
        Some(target) => file.with_target(target)?,
        None => file,
    };
    work::check_output(&file, Some(out), &[])?;
    write_selection(&file, &(0..file.rows()).collect::<Vec<_>>(), &[], out)?;
    let (rows, columns) = (file.rows(), file.columns().len());
    let text = format!("wrote {}: {} rows, {} columns\n", out.display(), count(rows), count(columns));
    let value = json!({
        "input": file.name(),
        "format": file.format().to_string(),
        "rows": rows,
        "columns": columns,
        "warnings": file.notes(),
        "out": out,
    });
    Ok(Reply::new(text, value))
}

fn list() -> Reply {
    let head = ["name", "rows", "columns", "classes", "target", "about"].map(str::to_owned).to_vec();
    let rows = builtin::list().iter().map(|set| {
        vec![
            set.name.to_owned(),
            count(set.rows),
            set.columns.to_string(),
            set.classes.to_string(),
            set.target.to_owned(),
            set.about.to_owned(),
        ]
    });
    let text = table(&std::iter::once(head).chain(rows).collect::<Vec<_>>(), &[1, 2, 3]);
    let sets: Vec<Value> = builtin::list()
        .iter()
        .map(|set| {
            json!({
                "name": set.name, "about": set.about, "rows": set.rows, "columns": set.columns, "target": set.target,
                "classes": set.classes, "nominal": set.nominal, "others": set.others, "source": set.source,
                "licence": set.licence,
            })
        })
        .collect();
    Reply::new(text + "\nUse one with `--in builtin:NAME`; `quadrat data show builtin:NAME` says more.", sets.into())
}

/// What a verb would see of a file: the first thing to run on one's own.
fn show(input: &str, reading: &Reading) -> Result<Reply> {
    let file = work::read(input, reading)?;
    let set = input.strip_prefix("builtin:").map(builtin::find).transpose()?;
    let mut notes = file.notes().to_vec();
    let about = columns(&file, set.map(|set| set.target), &mut notes)?;
    let mut text = format!("{}: {}, {} rows\n", file.name(), file.format(), count(file.rows()));
    let head = ["column", "type", "used as", "missing", "different", "values"].map(str::to_owned).to_vec();
    let lines = about.iter().map(About::line);
    text.push_str(&table(&std::iter::once(head).chain(lines).collect::<Vec<_>>(), &[3, 4]));
    for note in &notes[file.notes().len()..] {
        eprintln!("quadrat: note: {note}");
    }
    if let Some(set) = set {
        text.push_str(&format!("\n{}\nfrom {}\nlicence: {}", wrap(set.about, 0, 100), set.source, set.licence));
    }
    let value = json!({
        "input": file.name(),
        "format": file.format().to_string(),
        "rows": file.rows(),
        "columns": about.iter().map(About::json).collect::<Vec<_>>(),
        "notes": notes,
        "licence": set.map(|set| set.licence),
        "source": set.map(|set| set.source),
    });
    Ok(Reply::new(text, value))
}

/// What is known of a column.
struct About {
    name: String,
    kind: ColumnType,
    /// The part it would play by default, or why none.
    part: std::result::Result<&'static str, String>,
    missing: usize,
    /// Different values, where they are counted.
    different: Option<usize>,
    values: Shown,
}

/// Of a column's values, what fits a line.
enum Shown {
    Range(f64, f64),
    Some(Vec<String>),
    Nothing,
}

/// Numeric columns decoded at a time: a text file is read once for all of them, and memory stays bounded.
const AT_ONCE: usize = 64;

/// Names of a column that are shown.
const NAMES: usize = 3;

fn columns(file: &Table, target: Option<&str>, notes: &mut Vec<String>) -> Result<Vec<About>> {
    let parts = target.map(|target| (target, Part::Target)).into_iter().collect();
    let uses = ColumnUse::choose(file, &Wish { parts, numbers: true, ..Wish::default() })?;
    notes.extend(uses.warnings.iter().cloned());
    let gaps = file.gaps(&file.column_names())?;
    let mut about: Vec<About> = Vec::new();
    for (column, missing) in file.columns().iter().zip(gaps.counts) {
        let used = uses.used.iter().find(|used| used.name == column.name).map(|used| used.part.name());
        let why = uses.left_out.iter().find(|out| out.name == column.name).map(|out| out.why.clone());
        let part = used.ok_or(why.unwrap_or_else(|| "not used".to_owned()));
        let (mut different, mut values) = (None, Shown::Nothing);
        if matches!(column.kind, ColumnType::Text | ColumnType::Category) {
            let mut names = file.categories(&column.name, Missing::Keep)?.names;
            names.retain(|name| !name.is_empty());
            different = Some(names.len());
            values = Shown::Some(names.into_iter().take(NAMES + 1).collect());
        }
        about.push(About { name: column.name.clone(), kind: column.kind, part, missing, different, values });
    }
    let mut numeric: Vec<&mut About> = about.iter_mut().filter(|about| about.kind.is_numeric()).collect();
    for some in numeric.chunks_mut(AT_ONCE) {
        let names: Vec<String> = some.iter().map(|about| about.name.clone()).collect();
        if let Ok(x) = file.numeric(&names, Missing::Keep) {
            some.iter_mut().zip(x.columns()).for_each(|(about, values)| about.look_at(values.to_vec()));
            continue;
        }
        // One of them has a value that is no number: the others are shown all the same.
        for about in some.iter_mut() {
            match file.numeric(&[&about.name], Missing::Keep) {
                Ok(x) => about.look_at(x.into_raw_vec_and_offset().0),
                Err(error) => notes.push(error.to_string()),
            }
        }
    }
    Ok(about)
}

impl About {
    fn look_at(&mut self, mut values: Vec<f64>) {
        values.retain(|v| !v.is_nan());
        values.sort_unstable_by(f64::total_cmp);
        if let (Some(low), Some(high)) = (values.first(), values.last()) {
            self.values = Shown::Range(*low, *high);
        }
        values.dedup();
        self.different = Some(values.len());
    }

    fn line(&self) -> Vec<String> {
        let part = match &self.part {
            Ok(part) => (*part).to_owned(),
            Err(why) => format!("left out: {why}"),
        };
        let values = match &self.values {
            Shown::Range(low, high) if low == high => figure(*low),
            Shown::Range(low, high) => format!("{} to {}", figure(*low), figure(*high)),
            Shown::Some(names) => {
                let short = |name: &String| name.chars().take(24).collect::<String>();
                let shown: Vec<String> = names.iter().take(NAMES).map(short).collect();
                shown.join(", ") + if names.len() > NAMES { ", ..." } else { "" }
            }
            Shown::Nothing => String::new(),
        };
        let different = self.different.map(count).unwrap_or_default();
        vec![self.name.clone(), self.kind.to_string(), part, count(self.missing), different, values]
    }

    fn json(&self) -> Value {
        let mut value = json!({
            "name": self.name,
            "type": self.kind.to_string(),
            "as": self.part.as_ref().ok(),
            "left_out": self.part.as_ref().err(),
            "missing": self.missing,
            "different": self.different,
        });
        match &self.values {
            Shown::Range(low, high) => (value["min"], value["max"]) = (json!(low), json!(high)),
            Shown::Some(names) => value["values"] = json!(names.iter().take(NAMES).collect::<Vec<_>>()),
            Shown::Nothing => {}
        }
        value
    }
}
