//! Designs as CSV files that go out, and come back with columns of results.

use crate::commands::work;
use crate::reading::Reading;
use ndarray::{Array2, ArrayView2};
use quadrat::data::{Missing, Table};
use quadrat::estimate::sobol::Input;
use quadrat::{ColumnUse, Error, Nominal, Part, Result, Wish, write_atomic};
use std::io::Write;
use std::path::Path;

/// An error unless the file's name says that it is a table that we write.
pub fn check_ending(option: &str, path: &Path) -> Result<()> {
    match path.extension() {
        Some(ending) if ending == "csv" => Ok(()),
        _ => Err(Error::input(option, path.display(), "tables are written as .csv")),
    }
}

/// Writes a design, one run a row.
pub fn write(path: &Path, inputs: &[Input], design: ArrayView2<f64>) -> Result<()> {
    write_atomic(path, |out| {
        let names: Vec<String> = inputs.iter().map(|input| field(&input.name)).collect();
        writeln!(out, "{}", names.join(",")).map_err(|e| Error::io(path, e))?;
        for row in design.rows() {
            // Debug prints the shortest text that reads back as the same number.
            let numbers: Vec<String> = row.iter().map(|x| format!("{x:?}")).collect();
            writeln!(out, "{}", numbers.join(",")).map_err(|e| Error::io(path, e))?;
        }
        Ok(())
    })
}

/// What a file with the results of a design holds.
pub struct Results {
    /// The inputs of every run.
    pub x: Array2<f64>,
    /// Its outputs; NaN where one is missing.
    pub y: Array2<f64>,
    /// Their names.
    pub names: Vec<String>,
    /// The file, and what its columns are used as.
    pub table: Table,
    pub uses: ColumnUse,
}

/// Reads a design with columns of results: those named, or all numeric ones that are no inputs and do more than number
/// the rows.
pub fn read(file: &str, outputs: &[String], inputs: &[Input]) -> Result<Results> {
    let table = work::read(file, &Reading::default())?;
    let parts: Vec<(&str, Part)> = inputs.iter().map(|input| (input.name.as_str(), Part::Number)).collect();
    let inputs: Vec<&str> = parts.iter().map(|(name, _)| *name).collect();
    let wish = Wish {
        parts,
        features: &work::listed("--outputs", outputs, &table)?,
        numbers: true,
        nominal: Nominal::Named(Vec::new()),
        ..Wish::default()
    };
    let mut uses = ColumnUse::choose(&table, &wish)?;
    let is_output = |name: &str| !inputs.contains(&name);
    uses.used.iter_mut().filter(|used| is_output(&used.name)).for_each(|used| used.part = Part::Response);
    uses.used.sort_by_key(|used| used.part == Part::Response);
    let names: Vec<String> = uses.names(Part::Response).into_iter().map(str::to_owned).collect();
    if names.is_empty() {
        let want = "add the model's results as numeric columns, or name them with --outputs";
        return Err(Error::data(file, None, format!("no column of results beside the inputs; {want}")));
    }
    let (x, y) = (table.numeric(&inputs, Missing::Error)?, table.numeric(&names, Missing::Keep)?);
    Ok(Results { x, y, names, table, uses })
}

/// Names of the outputs of a program.
pub fn names(outputs: usize) -> Vec<String> {
    match outputs {
        1 => vec!["y".to_owned()],
        more => (1..=more).map(|k| format!("y{k}")).collect(),
    }
}

/// A text as a field of a CSV file.
pub fn field(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}
