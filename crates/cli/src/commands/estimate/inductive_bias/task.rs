//! A file as a task: standardised inputs, outputs, and splits into training and test rows.

use super::InductiveBias;
use crate::commands::estimate::has_classes;
use crate::commands::work;
use ndarray::{Array2, Axis};
use quadrat::data::{Categories, Missing, Table};
use quadrat::estimate::inductive_bias::Rows;
use quadrat::numeric::learners::Standard;
use quadrat::{ColumnUse, Error, Nominal, Part, Result, Seed, Silent, Wish};

/// Inputs and outputs of all rows.
pub struct Task {
    /// Names of the classes, none in a regression.
    pub classes: Vec<String>,
    /// Names of the inputs.
    pub features: Vec<String>,
    /// What a user should know.
    pub notes: Vec<String>,
    /// What the columns are used as.
    pub uses: ColumnUse,
    /// The rows' file.
    pub table: Table,
    x: Array2<f64>,
    y: Array2<f64>,
    /// Rows of the second file, where there is one.
    test: Option<(Array2<f64>, Array2<f64>)>,
}

/// Training and test rows. Inputs are standardised by the training rows; so are the outputs of a regression.
pub struct Split {
    train: (Array2<f64>, Array2<f64>),
    test: (Array2<f64>, Array2<f64>),
    /// An error in the target's units over one in the split's.
    pub scale: f64,
    /// Variance of the outputs, in the target's units.
    pub spread: f64,
}

impl Split {
    pub fn train(&self) -> Rows<'_> {
        Rows { x: self.train.0.view(), y: self.train.1.view() }
    }

    pub fn test(&self) -> Rows<'_> {
        Rows { x: self.test.0.view(), y: self.test.1.view() }
    }

    /// A mean squared error of the split in the target's units.
    pub fn own_units(&self, error: f64) -> f64 {
        error * self.scale
    }
}

impl Task {
    /// Reads the files.
    pub fn read(args: &InductiveBias) -> Result<Task> {
        let table = work::read(&args.input, &args.reading)?;
        let test = args.test.as_ref().map(|file| work::read(file, &args.reading)).transpose()?;
        let mut notes = Vec::new();
        let wish = Wish {
            parts: vec![(&args.target, Part::Target)],
            features: &work::listed("--features", &args.features, &table)?,
            numbers: true,
            nominal: Nominal::Named(Vec::new()),
            ..Wish::default()
        };
        let mut uses = ColumnUse::choose(&table, &wish)?;
        let on_missing = args.reading.on_missing()?;
        let table = uses.settle(&table, on_missing)?;
        let test = test.map(|test| uses.settle(&test, on_missing)).transpose()?;
        let named = has_classes(&table, &args.target, args.task)?;
        if uses.names(Part::Number).is_empty() {
            let what = format!("{}, features", table.name());
            return Err(Error::input(what, "no numeric columns", "give a file with numeric columns"));
        }
        let classes = if named { uses.categories(&table, &args.target)?.names } else { Vec::new() };
        if named && classes.len() < 2 {
            return Err(Error::input(
                "--target",
                format!("one class, `{}`", classes.join("")),
                "a task needs at least two",
            ));
        }
        let tables: Vec<&Table> = std::iter::once(&table).chain(&test).collect();
        let inputs = uses.numbers_and_gaps(&tables, &Silent)?;
        let features = uses.numbers_as_read();
        let outputs = if named {
            tables.iter().map(|table| one_hot(table, &args.target, &classes)).collect::<Result<Vec<_>>>()?
        } else {
            uses.numbers(&tables, Part::Target, &Silent)?
        };
        let mut read = inputs.into_iter().zip(outputs);
        let Some((x, y)) = read.next() else { return Err(Error::input("--in", "nothing", "name a file")) };
        let test = read.next();
        // What --max-rows leaves out.
        let parts: Vec<(&str, usize)> = match &test {
            Some((test, _)) => vec![("training", x.nrows()), ("test", test.nrows())],
            None => {
                let tests = test_rows(args, x.nrows());
                vec![("training", x.nrows() - tests), ("test", tests)]
            }
        };
        for (part, rows) in parts.into_iter().filter(|(_, rows)| *rows > args.max_rows) {
            let most = args.max_rows;
            notes.push(format!(
                "of {rows} {part} rows a random {most} are used: --max-rows {rows} takes all, in more time"
            ));
        }
        Ok(Task { classes, features, notes, uses, table, x, y, test })
    }

    /// Random splits of the input, or the one that the user's files make.
    pub fn splits(&self, args: &InductiveBias, repeats: usize) -> Result<Vec<Split>> {
        let stream = Seed(args.run.seed).stream("train and test");
        let pick = |from: (&Array2<f64>, &Array2<f64>), rows: &[usize]| {
            let rows = &rows[..rows.len().min(args.max_rows)];
            (from.0.select(Axis(0), rows), from.1.select(Axis(0), rows))
        };
        let n = self.x.nrows();
        let shuffled = |n: usize, item: u64| {
            let mut rows: Vec<usize> = (0..n).collect();
            stream.rng(item).shuffle(&mut rows);
            rows
        };
        if let Some((x, y)) = &self.test {
            let train = pick((&self.x, &self.y), &shuffled(n, 0));
            return Ok(vec![self.split(train, pick((x, y), &shuffled(x.nrows(), 1)))?]);
        }
        let tests = test_rows(args, n);
        if n < tests + 3 {
            let want =
                "a split needs at least 3 training rows and a test row: give more rows, or a smaller --test-share";
            return Err(Error::input(format!("{}, rows", args.input), n, want));
        }
        (0..repeats as u64)
            .map(|repeat| {
                let rows = shuffled(n, repeat);
                let (test, train) = rows.split_at(tests);
                self.split(pick((&self.x, &self.y), train), pick((&self.x, &self.y), test))
            })
            .collect()
    }

    fn split(&self, train: (Array2<f64>, Array2<f64>), test: (Array2<f64>, Array2<f64>)) -> Result<Split> {
        let standard = Standard::fit(train.0.view(), &vec![1.0; train.0.nrows()]);
        let (x, test_x) = (standard.apply(train.0.view()), standard.apply(test.0.view()));
        let rows = train.1.nrows() as f64;
        let mean = train.1.sum_axis(Axis(0)) / rows;
        let spread = (&train.1 - &mean).iter().map(|v| v * v).sum::<f64>() / train.1.len() as f64;
        if !(spread.is_finite() && (spread > 0.0 || !self.classes.is_empty())) {
            let want = "a target that does not vary (or whose variance overflows) leaves nothing to learn";
            return Err(Error::input("--target", format!("a variance of {spread}"), want));
        }
        if !self.classes.is_empty() {
            return Ok(Split { train: (x, train.1), test: (test_x, test.1), scale: 1.0, spread });
        }
        let root = spread.sqrt();
        let outputs = |y: Array2<f64>| (y - &mean) / root;
        Ok(Split { train: (x, outputs(train.1)), test: (test_x, outputs(test.1)), scale: spread, spread })
    }
}

/// Test rows of `n`, where the user's file has no split of its own; at most `n`.
fn test_rows(args: &InductiveBias, n: usize) -> usize {
    ((args.test_share * n as f64).round() as usize).clamp(1, n.max(1))
}

/// A column of 0 and 1 for each of the classes.
fn one_hot(table: &Table, target: &str, classes: &[String]) -> Result<Array2<f64>> {
    let Categories { codes, names } = table.categories(target, Missing::Error)?;
    let places = names
        .iter()
        .map(|name| {
            classes.iter().position(|class| class == name).ok_or_else(|| {
                let what = format!("{}, column `{target}`", table.name());
                Error::input(what, format!("`{name}`"), "no training row has that class: remove its rows")
            })
        })
        .collect::<Result<Vec<usize>>>()?;
    let mut y = Array2::zeros((codes.len(), classes.len()));
    for (mut row, code) in y.outer_iter_mut().zip(codes) {
        row[places[code as usize]] = 1.0;
    }
    Ok(y)
}
