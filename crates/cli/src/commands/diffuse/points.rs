//! Rows of numbers, and the exact denoiser of a normal around each.

use crate::commands::{roles, work};
use crate::parameters::choice;
use crate::reading::Reading;
use clap::{Args, ValueEnum};
use ndarray::{Array1, Array2, Axis};
use quadrat::data::{Table, Values, write_made};
use quadrat::diffusion::{Grid, MixtureDenoiser, Schedule};
use quadrat::{ColumnUse, Error, Nominal, Part, Progress, Result, Wish};
use serde_json::{Value, json};
use std::path::Path;

#[derive(Args, Debug)]
pub struct Points {
    /// Input: a file as for `select`, or builtin:NAME
    #[arg(long = "in", value_name = "FILE")]
    pub input: String,
    /// The model: kernel:WIDTH is a normal around each row, its width in standard deviations of the columns; kernel alone
    /// chooses the width
    #[arg(long, value_name = "kernel[:WIDTH]", default_value = "kernel")]
    pub model: String,
    /// Numeric columns to use [default: all numeric columns without another role]
    #[arg(long, value_name = "A,B,C")]
    pub features: Vec<String>,
    /// How noise grows
    #[arg(long, value_enum, default_value_t = Noise::Linear)]
    pub schedule: Noise,
    #[command(flatten)]
    pub reading: Reading,
}

/// Noise schedules by name.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Noise {
    /// Variance preserving, rates growing linearly
    Linear,
    /// Variance preserving, as latent diffusion has it
    ScaledLinear,
    /// Variance preserving, signal falling as a cosine
    Cosine,
    /// Variance exploding, noise from 0.002 to 80
    Exploding,
    /// Straight paths from noise to data
    Flow,
}

impl From<Noise> for Schedule {
    fn from(noise: Noise) -> Self {
        match noise {
            Noise::Linear => Schedule::linear(),
            Noise::ScaledLinear => Schedule::scaled_linear(),
            Noise::Cosine => Schedule::Cosine,
            Noise::Exploding => Schedule::edm(),
            Noise::Flow => Schedule::Flow,
        }
    }
}

/// Grids by name.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spread {
    /// Evenly in time
    Uniform,
    /// Evenly in the square root of time
    Quadratic,
    /// Evenly in the logarithm of the signal-to-noise ratio
    LogSnr,
    /// As Karras et al.
    Karras,
}

impl From<Spread> for Grid {
    fn from(spread: Spread) -> Self {
        match spread {
            Spread::Uniform => Grid::Uniform,
            Spread::Quadratic => Grid::Quadratic,
            Spread::LogSnr => Grid::LogSnr,
            Spread::Karras => Grid::Karras,
        }
    }
}

/// Rows that were opened: standardised, with their denoiser.
pub struct Opened {
    pub input: Table,
    uses: ColumnUse,
    pub columns: Vec<String>,
    /// The rows, every column with mean 0 and standard deviation 1.
    pub x: Array2<f64>,
    pub denoiser: MixtureDenoiser,
    /// The kernel's standard deviation on that scale.
    pub width: f64,
    pub schedule: Schedule,
    mean: Array1<f64>,
    deviation: Array1<f64>,
}

impl Points {
    /// Opens the rows; `out` is where new rows will be written.
    pub fn open(&self, out: Option<&Path>, progress: &dyn Progress) -> Result<Opened> {
        let given = kernel_width(&self.model)?;
        let input = work::read(&self.input, &self.reading)?;
        let features = work::listed("--features", &self.features, &input)?;
        let nominal = Nominal::Named(Vec::new());
        let wish = Wish { features: &features, numbers: true, rows_made: true, nominal, ..Wish::default() };
        let mut uses = ColumnUse::choose(&input, &wish)?;
        let columns: Vec<String> = uses.names(Part::Number).into_iter().map(str::to_owned).collect();
        if columns.is_empty() {
            return Err(Error::input(input.name(), "no numeric column", "there must be at least one to learn from"));
        }
        let names: Vec<&str> = columns.iter().map(String::as_str).collect();
        work::check_output(&input, out, &names)?;
        let input = uses.settle(&input, self.reading.on_missing_in_made()?)?;
        let mut x = uses.numbers(&[&input], Part::Number, progress)?.remove(0);
        let Some(mean) = x.mean_axis(Axis(0)) else {
            return Err(Error::input(input.name(), "no row", "at least one to learn from"));
        };
        // A constant column stays constant: it has no scale of its own.
        let deviation = x.std_axis(Axis(0), 0.0);
        let scale = deviation.mapv(|d| if d > 0.0 { d } else { 1.0 });
        x -= &mean;
        x /= &scale;
        let width = given.unwrap_or_else(|| (x.nrows() as f64).powf(-1.0 / (x.ncols() as f64 + 4.0)));
        let denoiser = MixtureDenoiser::kernel(x.view(), width)?;
        let schedule = self.schedule.into();
        Ok(Opened { input, uses, columns, x, denoiser, width, schedule, mean, deviation })
    }
}

/// The width after `kernel:`.
fn kernel_width(model: &str) -> Result<Option<f64>> {
    let want = "kernel, or kernel:WIDTH with a number above 0, such as kernel:0.2";
    let (name, width) = model.split_once(':').map_or((model, None), |(name, width)| (name, Some(width)));
    let number = |text: &str| text.parse().ok().filter(|width: &f64| *width > 0.0 && width.is_finite());
    match (name, width) {
        ("kernel", None) => Ok(None),
        ("kernel", Some(text)) => match number(text) {
            Some(width) => Ok(Some(width)),
            None => Err(Error::input("--model", format!("`{model}`"), want)),
        },
        _ => Err(Error::input("--model", format!("`{model}`"), want)),
    }
}

impl Opened {
    /// New rows on the scale of the file.
    pub fn unscaled(&self, rows: &Array2<f64>) -> Array2<f64> {
        // Of a constant column, whose deviation is 0, this gives the constant.
        rows * &self.deviation + &self.mean
    }

    /// Writes new rows, with `more`, a column beside them.
    pub fn write(&self, rows: &Array2<f64>, more: Option<(&str, &[f64])>, out: &Path) -> Result<()> {
        let values = self.columns.iter().zip(rows.columns());
        let values = values.map(|(name, values)| (name.clone(), Values::Float(values.to_vec())));
        let more = more.into_iter().map(|(name, values)| (name.to_owned(), Values::Float(values.to_vec())));
        write_made(&self.input, &values.collect::<Vec<_>>(), &more.collect::<Vec<_>>(), out)
    }

    /// What was done with the columns, in words and in JSON.
    pub fn tell(&self, text: &mut String, value: &mut Value) {
        value["input"] = json!(self.input.name());
        value["input_rows"] = json!(self.x.nrows());
        value["kernel_width"] = json!(self.width);
        roles::tell(&self.input, &self.uses, text, value);
    }
}

/// A solver's name, read by clap.
pub fn solver() -> impl clap::builder::TypedValueParser<Value = quadrat::diffusion::Solver> {
    choice()
}
