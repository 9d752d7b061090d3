//! What an audit looks at.

use ndarray::Array2;
use quadrat_core::{Error, Result, stats};

/// A missing name.
pub const NO_NAME: u32 = u32::MAX;

/// The cells of a column.
#[derive(Debug, Clone, PartialEq)]
pub enum Cells {
    /// Numbers; NaN is missing.
    Numbers(Vec<f64>),
    /// Category numbers; [`NO_NAME`] is missing.
    Names(Vec<u32>),
}

/// A column.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// One cell a row.
    pub cells: Cells,
}

/// Labelled rows as they came: gaps, names, copies and all.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Records {
    /// The columns beside the labels.
    pub fields: Vec<Field>,
    /// Columns that only number or name the rows, as whoever read them found: they are told and not looked at.
    pub identifiers: Vec<String>,
    /// Class of each row: an index into `classes`.
    pub y: Vec<u32>,
    /// Names of the classes; some may have no row.
    pub classes: Vec<String>,
}

impl Records {
    /// Numbers alone, in columns called `x0`, `x1`, ..., with classes called "0", "1", ...
    pub fn of_numbers(x: &Array2<f64>, y: Vec<u32>) -> Records {
        let field = |(c, column): (usize, ndarray::ArrayView1<f64>)| Field {
            name: format!("x{c}"),
            cells: Cells::Numbers(column.to_vec()),
        };
        let classes = (0..y.iter().max().map_or(0, |m| *m + 1)).map(|c| c.to_string()).collect();
        Records {
            fields: x.columns().into_iter().enumerate().map(field).collect(),
            identifiers: Vec::new(),
            y,
            classes,
        }
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.y.len()
    }

    /// Number of rows of each class.
    pub fn counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.classes.len()];
        self.y.iter().for_each(|class| counts[*class as usize] += 1);
        counts
    }

    /// Columns as one would list them.
    pub(crate) fn named(&self, columns: &[usize]) -> String {
        const SHOWN: usize = 6;
        let shown: Vec<String> = columns.iter().take(SHOWN).map(|c| format!("`{}`", self.fields[*c].name)).collect();
        let more = columns.len().saturating_sub(SHOWN);
        let more = if more > 0 { format!(" and {more} more columns") } else { String::new() };
        shown.join(", ") + &more
    }

    /// That lengths and class numbers fit, that no number is infinite, and that there is something to compare: a column,
    /// and rows of two classes.
    pub fn check(&self) -> Result<()> {
        if self.fields.is_empty() {
            return Err(Error::input("columns", "none beside the labels", "there must be one at least to look at"));
        }
        if let Some((row, class)) = self.y.iter().enumerate().find(|(_, c)| **c as usize >= self.classes.len()) {
            let want = format!("there are {} classes", self.classes.len());
            return Err(Error::input(format!("label of row {row}"), class, want));
        }
        for field in &self.fields {
            if field.len() != self.rows() {
                let want = format!("there are {} labels", self.rows());
                return Err(Error::input(format!("column `{}`", field.name), format!("{} rows", field.len()), want));
            }
            if let Cells::Numbers(values) = &field.cells
                && let Some(row) = values.iter().position(|v| v.is_infinite())
            {
                let want = "numbers must be finite, or NaN where they are missing";
                return Err(Error::input(format!("column `{}`, row {row}", field.name), values[row], want));
            }
        }
        if self.counts().iter().filter(|n| **n > 0).count() < 2 {
            let want = "an audit compares classes: there must be rows of two at least";
            return Err(Error::input("labels", format!("one class in {} rows", self.rows()), want));
        }
        Ok(())
    }

    /// Some rows of some columns as numbers without gaps: a number that is missing is the column's median, a name is a
    /// column for each of its [`MOST_LEVELS`] most frequent values, 1 where it is that value. A constant column, if
    /// nothing is left.
    pub(crate) fn encoded(&self, fields: &[usize], rows: &[usize]) -> Array2<f64> {
        let mut columns: Vec<Vec<f64>> = Vec::new();
        for field in fields.iter().map(|at| &self.fields[*at]) {
            match &field.cells {
                Cells::Numbers(values) => {
                    let usual = field.median();
                    let filled = |row: &usize| if values[*row].is_nan() { usual } else { values[*row] };
                    columns.push(rows.iter().map(filled).collect());
                }
                Cells::Names(codes) => {
                    let one = |level: u32| rows.iter().map(|row| f64::from(u8::from(codes[*row] == level))).collect();
                    columns.extend(frequent(codes).into_iter().map(one));
                }
            }
        }
        Array2::from_shape_fn((rows.len(), columns.len().max(1)), |(i, j)| columns.get(j).map_or(0.0, |c| c[i]))
    }
}

/// Names of a column that the learners see; rarer ones are all alike to them.
const MOST_LEVELS: usize = 32;

/// The most frequent levels, of equally frequent ones the lower.
fn frequent(codes: &[u32]) -> Vec<u32> {
    let mut counts = std::collections::BTreeMap::<u32, usize>::new();
    codes.iter().filter(|code| **code != NO_NAME).for_each(|code| *counts.entry(*code).or_default() += 1);
    let mut levels: Vec<(u32, usize)> = counts.into_iter().collect();
    levels.sort_by_key(|(level, count)| (std::cmp::Reverse(*count), *level));
    // Of two levels one column says which.
    let kept = if levels.len() == 2 { 1 } else { levels.len().min(MOST_LEVELS) };
    levels.into_iter().take(kept).map(|(level, _)| level).collect()
}

impl Field {
    /// Number of rows.
    pub fn len(&self) -> usize {
        match &self.cells {
            Cells::Numbers(values) => values.len(),
            Cells::Names(codes) => codes.len(),
        }
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a row has no value.
    pub fn lacks(&self, row: usize) -> bool {
        match &self.cells {
            Cells::Numbers(values) => values[row].is_nan(),
            Cells::Names(codes) => codes[row] == NO_NAME,
        }
    }

    /// A number for the cell: equal cells have equal ones, and a missing value is one of its own.
    pub(crate) fn key(&self, row: usize) -> u64 {
        match &self.cells {
            // Zero has two signs, and what is not a number many forms.
            Cells::Numbers(values) if values[row].is_nan() => u64::MAX,
            Cells::Numbers(values) => (values[row] + 0.0).to_bits(),
            Cells::Names(codes) => u64::from(codes[row]),
        }
    }

    /// The median of the numbers that are there; 0 if there is none.
    pub(crate) fn median(&self) -> f64 {
        let Cells::Numbers(values) = &self.cells else { return 0.0 };
        let there: Vec<f64> = values.iter().copied().filter(|v| !v.is_nan()).collect();
        if there.is_empty() { 0.0 } else { stats::median(&there) }
    }
}
