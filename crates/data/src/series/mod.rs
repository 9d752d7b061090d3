//! Series: numbers in several channels over time, with holes, and a class each where one is known.
//!
//! They come from `.ts` files (the format of the UCR and UEA archives, sktime and aeon, both of its dialects) or from a table with
//! a row for each series and time. A hole is NaN. Within a series times rise strictly.

mod long;
#[cfg(test)]
mod tests;
mod ts;

use crate::bytes;
use ndarray::Array2;
use quadrat_core::{Error, Result, Silent};
use std::fs::File;
use std::io::{BufRead, BufReader, Cursor};
use std::path::Path;

/// One series.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Its place in the file, from 0, or what the table calls it.
    pub name: String,
    /// When it was measured, T times that rise strictly; 0, 1, 2, … where the file has no times. Dates count days.
    pub times: Vec<f64>,
    /// T x channels; NaN where nothing was measured.
    pub values: Array2<f64>,
    /// Its class, a place in [`SeriesSet::classes`].
    pub class: Option<u32>,
}

/// The series of a file. All have the same channels, each has times of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesSet {
    /// The file.
    pub name: String,
    /// The channels' names.
    pub channels: Vec<String>,
    /// The classes' names; none where series have no classes.
    pub classes: Vec<String>,
    /// The series, in the file's order.
    pub series: Vec<Series>,
    /// What one should know of the file.
    pub notes: Vec<String>,
}

impl SeriesSet {
    /// Reads a `.ts` file line by line; a compressed one is unpacked in memory first.
    ///
    /// The header's tags may be in any case and order. `@classLabel true A B` names the classes, which then end each row;
    /// `@timestamps true` is the dialect with `(time,value)` pairs, whose channels may have different times: the series then has all
    /// of them, with holes. A hole is `?`, `NaN` or an empty cell. Lines that begin with `#` or `%` are comments.
    ///
    /// # Errors
    /// A file that cannot be read; with its line: a header or a row that does not fit, an unknown class, times that do not rise
    /// strictly. A numeric target in the place of classes (`@targetLabel`).
    pub fn open_ts(path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        let mut from = BufReader::new(File::open(path).map_err(|e| Error::io(path, e))?);
        let head = from.fill_buf().map_err(|e| Error::io(path, e))?;
        if matches!(head, [0x1f, 0x8b, ..] | [0x28, 0xb5, 0x2f, 0xfd, ..] | [b'B', b'Z', b'h', ..] | [0xfd, b'7', ..]) {
            let plain = bytes::decompress(&name, bytes::read(path, &Silent)?, &Silent)?;
            return SeriesSet::read_ts(&name, Cursor::new(plain));
        }
        SeriesSet::read_ts(&name, from)
    }

    /// How many times the longest series has.
    pub fn longest(&self) -> usize {
        self.series.iter().map(|series| series.times.len()).max().unwrap_or(0)
    }

    /// The share of holes among all values.
    pub fn share_missing(&self) -> f64 {
        let holes: usize = self.series.iter().map(|s| s.values.iter().filter(|v| v.is_nan()).count()).sum();
        holes as f64 / self.series.iter().map(|s| s.values.len()).sum::<usize>().max(1) as f64
    }

    /// The same series with these classes, in this order: those that a model knows.
    ///
    /// # Errors
    /// A series of a class that is not among them.
    pub fn with_classes(mut self, classes: &[String]) -> Result<Self> {
        for series in &mut self.series {
            let Some(code) = series.class else { continue };
            let name = &self.classes[code as usize];
            let place = classes.iter().position(|class| class == name);
            let unknown = || {
                let what = format!("{}, series {}", self.name, series.name);
                Error::input(what, format!("class `{name}`"), format!("the model knows {}", classes.join(", ")))
            };
            series.class = Some(place.ok_or_else(unknown)? as u32);
        }
        self.classes = classes.to_vec();
        Ok(self)
    }

    /// Adds what is to be known of series without a single value.
    fn with_notes(mut self) -> Self {
        let empty: Vec<&str> = (self.series.iter())
            .filter(|series| series.values.iter().all(|v| v.is_nan()))
            .map(|series| series.name.as_str())
            .collect();
        if let Some(first) = empty.first() {
            let so_many = format!("{} series without a single value, such as {first}", empty.len());
            self.notes.push(format!("{so_many}: nothing but the others tells what is there"));
        }
        self
    }
}
