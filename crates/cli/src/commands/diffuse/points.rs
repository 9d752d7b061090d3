//! Rows of numbers, on a scale on which all columns are alike.

use super::form::{Column, Form};
use crate::commands::{roles, work};
use crate::reading::Reading;
use clap::Args;
use ndarray::{Array1, Array2, Axis};
#[cfg(feature = "networks")]
use quadrat::data::Categories;
use quadrat::data::{Missing, Table};
use quadrat::{ColumnUse, Error, Nominal, Part, Progress, Result, Wish};
use serde_json::{Value, json};
use std::path::Path;

#[derive(Args, Debug, Clone)]
pub struct Points {
    /// Input: a file as for `select`, or builtin:NAME
    #[arg(long = "in", value_name = "FILE")]
    pub input: Option<String>,
    /// Numeric columns to use [default: all numeric columns without another role]
    #[arg(long, value_name = "A,B,C")]
    pub features: Vec<String>,
    #[command(flatten)]
    pub reading: Reading,
}

/// Columns that are no features.
#[derive(Debug, Clone, Copy, Default)]
pub struct Beside<'a> {
    pub classes: Option<&'a str>,
    pub noise: Option<&'a str>,
}

/// Rows that were read.
pub struct Rows {
    pub input: Table,
    uses: ColumnUse,
    /// Every column with mean 0 and standard deviation 1.
    pub x: Array2<f64>,
    pub form: Form,
    #[cfg(feature = "networks")]
    pub classes: Option<Categories>,
    /// The noise of each row, in the columns' standard deviations.
    #[cfg(feature = "networks")]
    pub noise: Option<Vec<f64>>,
}

impl Points {
    /// Reads the rows; `out` is where rows like them will be written.
    pub fn read(&self, beside: Beside, out: Option<&Path>, progress: &dyn Progress) -> Result<Rows> {
        let Some(name) = &self.input else {
            return Err(Error::input("--in", "nothing", "a file of rows, or builtin:NAME"));
        };
        let input = work::read(name, &self.reading)?;
        let features = work::listed("--features", &self.features, &input)?;
        let parts = [(beside.classes, Part::Target), (beside.noise, Part::Noise)];
        let parts = parts.into_iter().filter_map(|(name, part)| Some((name?, part))).collect();
        let nominal = Nominal::Named(Vec::new());
        let wish = Wish { parts, features: &features, numbers: true, rows_made: true, nominal, ..Wish::default() };
        let mut uses = ColumnUse::choose(&input, &wish)?;
        let names: Vec<String> = uses.names(Part::Number).into_iter().map(str::to_owned).collect();
        if names.is_empty() {
            return Err(Error::input(input.name(), "no numeric column", "there must be at least one to learn from"));
        }
        let made: Vec<&str> = names.iter().map(String::as_str).collect();
        work::check_output(&input, out, &made)?;
        let input = uses.settle(&input, self.reading.on_missing_in_made()?)?;
        let x = uses.numbers(&[&input], Part::Number, progress)?.remove(0);
        let Some(mean) = x.mean_axis(Axis(0)) else {
            return Err(Error::input(input.name(), "no row", "at least one to learn from"));
        };
        let noise = match beside.noise {
            Some(column) => Some(noise(&input, column)?),
            None => None,
        };
        let deviation = spread(&x, noise.as_deref());
        let whole = input.integer_columns();
        let columns = names.iter().enumerate().map(|(j, name)| Column {
            name: name.clone(),
            mean: mean[j],
            deviation: deviation[j],
            whole: whole.contains(&name.as_str()),
        });
        let form = Form::Table(columns.collect());
        let x = form.scaled(x);
        #[cfg(feature = "networks")]
        let classes = match beside.classes {
            Some(column) => Some(input.categories(column, Missing::Error)?),
            None => None,
        };
        Ok(Rows {
            input,
            uses,
            x,
            form,
            #[cfg(feature = "networks")]
            classes,
            // One figure a row: columns must have a like scale for it to say what each column's noise is.
            #[cfg(feature = "networks")]
            noise: noise.map(|noise| on_scale(noise, &deviation)).transpose()?,
        })
    }
}

/// The noise that rows say they have.
fn noise(input: &Table, column: &str) -> Result<Vec<f64>> {
    let values = input.numeric(&[column], Missing::Error)?.into_raw_vec_and_offset().0;
    match values.iter().position(|v| !(*v >= 0.0 && v.is_finite())) {
        Some(row) => {
            let what = format!("`{column}` on line {}", input.line(row));
            Err(Error::input(what, values[row], "the standard deviation of the row's noise, 0 for a clean row"))
        }
        None => Ok(values),
    }
}

/// The columns' standard deviations; with noise one figure for all, so that the noise stays the same in every column. A constant
/// column stays constant: it has no scale of its own.
fn spread(x: &Array2<f64>, noise: Option<&[f64]>) -> Array1<f64> {
    let each = x.std_axis(Axis(0), 0.0);
    match noise {
        None => each,
        Some(_) => {
            let all = each.mapv(|d| d * d).mean().unwrap_or(0.0).sqrt();
            Array1::from_elem(each.len(), all)
        }
    }
}

#[cfg(feature = "networks")]
fn on_scale(noise: Vec<f64>, deviation: &Array1<f64>) -> Result<Vec<f64>> {
    match deviation.first() {
        Some(one) if *one > 0.0 => Ok(noise.into_iter().map(|v| v / one).collect()),
        _ => Err(Error::input("rows", "columns that are all constant", "rows that differ")),
    }
}

impl Rows {
    /// What was done with the columns, in words and in JSON.
    pub fn tell(&self, text: &mut String, value: &mut Value) {
        value["input"] = json!(self.input.name());
        value["input_rows"] = json!(self.x.nrows());
        roles::tell(&self.input, &self.uses, text, value);
    }
}
