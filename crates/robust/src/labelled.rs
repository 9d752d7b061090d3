//! What resamplers take and give.

use ndarray::{Array2, Axis};
use quadrat_core::{Card, Error, Progress, Result, Seed};

/// A table of numbers with a class for each row. Nominal columns hold their category's number.
#[derive(Debug, Clone, PartialEq)]
pub struct Labelled {
    /// One row a sample.
    pub x: Array2<f64>,
    /// Class of each row: an index into `classes`.
    pub y: Vec<u32>,
    /// Names of the classes.
    pub classes: Vec<String>,
    /// Names of the columns, for messages; may be empty.
    pub columns: Vec<String>,
    /// Which columns are nominal, ascending.
    pub categorical: Vec<usize>,
}

impl Labelled {
    /// A table of numeric columns whose classes are called "0", "1", ...
    pub fn new(x: Array2<f64>, y: Vec<u32>) -> Self {
        let classes = y.iter().max().map_or(0, |m| *m as usize + 1);
        let classes = (0..classes).map(|c| c.to_string()).collect();
        Labelled { x, y, classes, columns: Vec::new(), categorical: Vec::new() }
    }

    /// Number of rows of each class.
    pub fn counts(&self) -> Vec<usize> {
        let mut counts = vec![0; self.classes.len()];
        for &class in &self.y {
            counts[class as usize] += 1;
        }
        counts
    }

    /// The rows of a class, ascending.
    pub fn rows_of(&self, class: u32) -> Vec<usize> {
        self.y.iter().enumerate().filter(|(_, c)| **c == class).map(|(i, _)| i).collect()
    }

    /// How messages call a column.
    pub fn column(&self, column: usize) -> String {
        self.columns.get(column).map_or_else(|| format!("column {column}"), |name| format!("column `{name}`"))
    }

    /// Checks lengths, class numbers, columns and that every value is finite. Every resampler calls it first.
    pub fn check(&self) -> Result<()> {
        if self.x.nrows() == 0 || self.x.ncols() == 0 {
            let got = format!("{} rows, {} columns", self.x.nrows(), self.x.ncols());
            return Err(Error::input("table", got, "there must be at least one row and one column"));
        }
        if self.y.len() != self.x.nrows() {
            return Err(Error::input("labels", self.y.len(), format!("the table has {} rows", self.x.nrows())));
        }
        if let Some((row, class)) = self.y.iter().enumerate().find(|(_, c)| **c as usize >= self.classes.len()) {
            return Err(Error::input(
                format!("label of row {row}"),
                class,
                format!("there are {} classes", self.classes.len()),
            ));
        }
        if let Some(column) = self.categorical.iter().find(|c| **c >= self.x.ncols()) {
            return Err(Error::input(
                "categorical column",
                column,
                format!("the table has {} columns", self.x.ncols()),
            ));
        }
        for (row, values) in self.x.axis_iter(Axis(0)).enumerate() {
            if let Some((column, bad)) = values.iter().enumerate().find(|(_, v)| !v.is_finite()) {
                let what = format!("{}, row {row}", self.column(column));
                return Err(Error::input(
                    what,
                    bad,
                    "values must be finite: fill missing values in (imputation) first",
                ));
            }
        }
        Ok(())
    }
}

/// Where a row of the result comes from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Origin {
    /// The input's row.
    Kept(usize),
    /// Made between two rows of the input: `base + gap * (neighbour - base)` in numeric columns.
    Synthetic {
        /// The row it starts from.
        base: usize,
        /// The row it moves towards.
        neighbour: usize,
        /// How far, in 0..=1 (the mean over columns where each column has its own).
        gap: f64,
    },
}

/// A resampled table: kept rows first, in their order, then synthetic ones.
#[derive(Debug, Clone, PartialEq)]
pub struct Resampled {
    /// Where each row comes from; its length is the number of rows.
    pub origin: Vec<Origin>,
    /// The synthetic rows alone, in order: kept rows are not copied.
    pub synthetic: Array2<f64>,
    /// Class of each row.
    pub y: Vec<u32>,
}

impl Resampled {
    /// The whole table, kept rows copied out of `from`.
    pub fn table(&self, from: &Labelled) -> Labelled {
        let mut x = Array2::zeros((self.origin.len(), from.x.ncols()));
        let mut made = self.synthetic.axis_iter(Axis(0));
        for (mut row, origin) in x.axis_iter_mut(Axis(0)).zip(&self.origin) {
            match origin {
                Origin::Kept(source) => row.assign(&from.x.row(*source)),
                Origin::Synthetic { .. } => {
                    if let Some(values) = made.next() {
                        row.assign(&values);
                    }
                }
            }
        }
        Labelled { x, y: self.y.clone(), ..from.clone_frame() }
    }
}

impl Labelled {
    /// The same names and roles without rows.
    fn clone_frame(&self) -> Labelled {
        Labelled {
            x: Array2::zeros((0, self.x.ncols())),
            y: Vec::new(),
            classes: self.classes.clone(),
            columns: self.columns.clone(),
            categorical: self.categorical.clone(),
        }
    }
}

/// A method that changes how many rows each class has. Same table and seed give the same rows, whatever the number of
/// threads.
pub trait Resampler: Send + Sync {
    /// The method's card.
    fn card(&self) -> &'static Card;
    /// Resamples.
    fn resample(&self, data: &Labelled, seed: Seed, progress: &dyn Progress) -> Result<Resampled>;
}
