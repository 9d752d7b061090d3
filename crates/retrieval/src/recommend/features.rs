//! What is known of items, or of users.

use ndarray::{Array2, Axis};
use quadrat_core::{Error, Lists, Result, stats};
use std::collections::HashMap;

/// A categorical feature: of each row one value, several, or none.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// What it is called.
    pub name: String,
    /// The values of each row, numbered from 1; an empty list where none is known. 0 stands for a missing value wherever values need a
    /// number.
    pub values: Lists,
    /// The highest number of a value.
    pub size: usize,
}

impl Field {
    /// A field of named values: those of each row, numbered in the order in which they come first. A value that a row has twice counts
    /// once.
    pub fn of<S: AsRef<str>>(name: &str, rows: impl IntoIterator<Item = impl IntoIterator<Item = S>>) -> Field {
        let mut numbers: HashMap<String, u32> = HashMap::new();
        let mut values = Lists::default();
        for row in rows {
            let mut own = Vec::new();
            for value in row {
                let next = numbers.len() as u32 + 1;
                let number = *numbers.entry(value.as_ref().to_owned()).or_insert(next);
                if !own.contains(&number) {
                    own.push(number);
                }
            }
            values.push(own);
        }
        Field { name: name.to_owned(), values, size: numbers.len() }
    }

    /// Whether no row has more than one value and nearly every value (nine of ten) is in one row only, as with names and titles: such a
    /// field tells rows apart and says nothing of what they have in common.
    pub fn names_rows(&self) -> bool {
        let known = self.values.items().len();
        self.values.iter().all(|values| values.len() <= 1) && known > 1 && 10 * self.size > 9 * known
    }
}

/// Features of items, or of users: a row each.
#[derive(Debug, Clone, PartialEq)]
pub struct Features {
    rows: usize,
    fields: Vec<Field>,
    dense: Option<Array2<f32>>,
}

impl Features {
    /// `dense` are numbers beside the fields, a column a feature; NaN is a missing one. They are brought to mean 0 and deviation 1, and
    /// missing ones are 0.
    ///
    /// # Errors
    /// No rows; a field or `dense` of another number of rows; a value above its field's size or of 0; infinite numbers.
    pub fn new(rows: usize, fields: Vec<Field>, dense: Option<Array2<f64>>) -> Result<Features> {
        if rows == 0 {
            return Err(Error::input("rows with features", 0, "at least one"));
        }
        for field in &fields {
            let what = || format!("field `{}`", field.name);
            if field.values.len() != rows {
                return Err(Error::input(what(), format!("{} rows", field.values.len()), format!("use {rows}")));
            }
            if let Some(value) = field.values.items().iter().find(|v| **v == 0 || **v as usize > field.size) {
                return Err(Error::input(
                    what(),
                    format!("value {value}"),
                    format!("number values from 1 to {}", field.size),
                ));
            }
        }
        if let Some(dense) = &dense {
            if dense.nrows() != rows {
                return Err(Error::input("rows of numbers", dense.nrows(), format!("one for each of {rows} rows")));
            }
            if dense.iter().any(|v| v.is_infinite()) {
                return Err(Error::input("numbers", "an infinite one", "use finite ones; NaN is a missing one"));
            }
        }
        Ok(Features { rows, fields, dense: dense.filter(|dense| dense.ncols() > 0).map(standardised) })
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The categorical features.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// Rows x numbers, standardised.
    pub fn dense(&self) -> Option<&Array2<f32>> {
        self.dense.as_ref()
    }
}

fn standardised(mut dense: Array2<f64>) -> Array2<f32> {
    for mut column in dense.axis_iter_mut(Axis(1)) {
        let known: Vec<f64> = column.iter().copied().filter(|v| !v.is_nan()).collect();
        let (mean, deviation) = (stats::mean(&known), stats::standard_deviation(&known));
        // A column of one value says nothing.
        let factor = if deviation > 0.0 { 1.0 / deviation } else { 0.0 };
        column.mapv_inplace(|v| if v.is_nan() { 0.0 } else { factor * (v - mean) });
    }
    dense.mapv(|v| v as f32)
}
