//! What resamplers take and give.

use ndarray::{Array2, ArrayView1, Axis};
use quadrat_core::{Card, Error, Progress, Result, Seed};
use rayon::prelude::*;

/// A table of numbers with a class for each row. Nominal columns hold their category's number: equal numbers are the
/// same category, and nothing else about them counts.
#[derive(Debug, Clone, PartialEq)]
pub struct Labelled {
    /// One row a sample.
    pub x: Array2<f64>,
    /// Class of each row: an index into `classes`.
    pub y: Vec<u32>,
    /// Names of the classes; some may have no row.
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

    /// Says which columns are nominal.
    pub fn with_categorical(mut self, columns: Vec<usize>) -> Self {
        self.categorical = columns;
        self
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

    /// How messages call a class.
    pub fn class(&self, class: u32) -> String {
        self.classes.get(class as usize).map_or_else(|| format!("class {class}"), |name| format!("class `{name}`"))
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
        if !self.categorical.is_sorted_by(|a, b| a < b) {
            let got = format!("{:?}", self.categorical);
            return Err(Error::input("categorical columns", got, "name each once, in ascending order"));
        }
        let want = "values must be finite: fill missing values in (imputation) first";
        if self.x.iter().all(|v| v.is_finite()) {
            return Ok(());
        }
        (0..self.x.ncols()).try_for_each(|column| self.find_value(column, |v| !v.is_finite(), want))
    }

    /// [`Labelled::check`], and that Euclidean distances between rows mean something: no nominal column, and no value
    /// too large for distances.
    pub fn check_numeric(&self) -> Result<()> {
        self.check()?;
        if let Some(&first) = self.categorical.first() {
            let got = format!("{} nominal, the first is {}", self.categorical.len(), self.column(first));
            let want = "this method needs numeric columns only: leave the nominal ones out, or use smote-nc (some \
                        columns nominal), smote-n (all nominal) or random-over-sampling";
            return Err(Error::input("columns", got, want));
        }
        self.check_magnitude(&(0..self.x.ncols()).collect::<Vec<usize>>())
    }

    /// That values in these columns are not too large for distances.
    pub(crate) fn check_magnitude(&self, columns: &[usize]) -> Result<()> {
        let want = format!("use magnitudes up to {LARGEST:e}, so that distances can be computed: rescale the column");
        if self.x.iter().all(|v| v.abs() <= LARGEST) {
            return Ok(());
        }
        columns.iter().try_for_each(|column| self.find_value(*column, |v| v.abs() > LARGEST, &want))
    }

    /// An error that names the first value of a column that is `bad`.
    fn find_value(&self, column: usize, bad: impl Fn(f64) -> bool, want: &str) -> Result<()> {
        let values = self.x.column(column);
        match values.iter().enumerate().find(|(_, value)| bad(**value)) {
            Some((row, value)) => Err(Error::input(format!("{}, row {row}", self.column(column)), value, want)),
            None => Ok(()),
        }
    }

    /// The same names and roles with other rows.
    fn with_rows(&self, x: Array2<f64>, y: Vec<u32>) -> Labelled {
        Labelled {
            x,
            y,
            classes: self.classes.clone(),
            columns: self.columns.clone(),
            categorical: self.categorical.clone(),
        }
    }
}

/// The largest magnitude, within the range in which all neighbour searches work.
const LARGEST: f64 = 1e89;

/// Where a row of the result comes from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Origin {
    /// The input's row. Over-sampling by repetition keeps a row more than once.
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
    /// Drawn from a law of its class.
    Drawn {
        /// The row of its class that it is nearest to.
        near: usize,
    },
}

/// A resampled table. Kept rows come first, in their order, then rows added by the method.
#[derive(Debug, Clone, PartialEq)]
pub struct Resampled {
    /// Where each row comes from; its length is the number of rows.
    pub origin: Vec<Origin>,
    /// The synthetic rows alone, in the order in which they appear in `origin`: kept rows are not copied.
    pub synthetic: Array2<f64>,
    /// Class of each row.
    pub y: Vec<u32>,
    /// What a user should know of the run, in sentences.
    pub notes: Vec<String>,
}

impl Resampled {
    /// The given rows of `from` and nothing else.
    pub fn of_kept(from: &Labelled, rows: impl IntoIterator<Item = usize>) -> Self {
        let origin: Vec<Origin> = rows.into_iter().map(Origin::Kept).collect();
        let y = origin.iter().map(|o| from.y[source(o)]).collect();
        Resampled { origin, synthetic: Array2::zeros((0, from.x.ncols())), y, notes: Vec::new() }
    }

    /// The whole table, kept rows copied out of `from`.
    pub fn table(&self, from: &Labelled) -> Labelled {
        let columns = from.x.ncols();
        // How many synthetic rows there are before each block.
        let mut before = vec![0];
        for block in self.origin.chunks(BLOCK) {
            let made = block.iter().filter(|origin| !matches!(origin, Origin::Kept(_))).count();
            before.push(before[before.len() - 1] + made);
        }
        // A table put together by hand with too few synthetic rows gets zeros.
        let mut values = vec![0.0; self.origin.len() * columns];
        let blocks = values.par_chunks_mut((BLOCK * columns).max(1)).zip(self.origin.par_chunks(BLOCK));
        blocks.zip(before).for_each(|((rows, origins), first)| {
            let (_, later) = self.synthetic.view().split_at(Axis(0), first.min(self.synthetic.nrows()));
            let mut made = later.axis_iter(Axis(0));
            for (to, origin) in rows.chunks_exact_mut(columns).zip(origins) {
                match origin {
                    Origin::Kept(row) => copy(to, from.x.row(*row)),
                    Origin::Synthetic { .. } | Origin::Drawn { .. } => {
                        made.next().into_iter().for_each(|row| copy(to, row))
                    }
                }
            }
        });
        let x = Array2::from_shape_fn((self.origin.len(), columns), |(i, j)| values[i * columns + j]);
        from.with_rows(x, self.y.clone())
    }
}

/// Rows that a thread copies at a time.
const BLOCK: usize = 4096;

/// A contiguous row is copied as a whole rather than value by value.
fn copy(to: &mut [f64], row: ArrayView1<f64>) {
    match row.to_slice() {
        Some(row) if row.len() == to.len() => to.copy_from_slice(row),
        _ => to.iter_mut().zip(row).for_each(|(to, v)| *to = *v),
    }
}

/// The input row an origin goes back to.
pub(crate) fn source(origin: &Origin) -> usize {
    match *origin {
        Origin::Kept(row) => row,
        Origin::Synthetic { base, .. } => base,
        Origin::Drawn { near } => near,
    }
}

/// The columns a resampler reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reads {
    /// None: labels are all it looks at.
    Nothing,
    /// Numeric ones.
    Numeric,
    /// Nominal ones.
    Nominal,
    /// Both.
    Mixed,
}

/// A method that changes how many rows each class has. Same table and seed give the same rows, whatever the number of
/// threads.
pub trait Resampler: Send + Sync {
    /// The method's card.
    fn card(&self) -> &'static Card;
    /// Which columns it reads: front ends leave the others out.
    fn reads(&self) -> Reads {
        Reads::Numeric
    }
    /// Resamples.
    fn resample(&self, data: &Labelled, seed: Seed, progress: &dyn Progress) -> Result<Resampled>;
}
