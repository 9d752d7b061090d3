//! What becomes of rows without a value in a column that is used.

use super::columns::{ColumnUse, Part, UsedColumn};
use super::imputation::{Imputation, fill_names, most_frequent, names_filled, numbers_filled};
use crate::data::{Categories, Gaps, Missing, Table};
use crate::numeric::impute::Fill;
use crate::{Error, Progress, Result};
use ndarray::{Array2, ArrayView2};
use serde::{Deserialize, Serialize};

/// What is to be done where a value is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnMissing {
    /// An error that says in which columns and in how many rows.
    #[default]
    Refuse,
    /// The row is left out of the work.
    Drop,
    /// A number takes the place of a missing number, the most frequent name that of a missing name. A row without a
    /// target, score or weight is left out.
    Impute(Fill),
    /// The median takes the place of a missing number, and a column more, `NAME is missing`, is 1 there and 0 elsewhere;
    /// no name is a category of its own. A row without a target, score or weight is left out.
    Indicate,
    /// No value is a category of its own; a missing number is refused. A row without a target, score or weight is left
    /// out.
    Category,
}

impl ColumnUse {
    /// The table to work on: without the rows that lack a value and are to be left out. Everything that is read by
    /// these columns afterwards does with missing values what is said here.
    ///
    /// # Errors
    /// No row is left; a file that cannot be read.
    pub fn settle(&mut self, table: &Table, on_missing: OnMissing) -> Result<Table> {
        self.on_missing = on_missing;
        let idle = "--missing has no effect: no column is used";
        if on_missing != OnMissing::Refuse && self.used.is_empty() && !self.warnings.iter().any(|w| w == idle) {
            self.warnings.push(idle.to_owned());
        }
        let needed = |part: Part| match on_missing {
            OnMissing::Refuse => false,
            OnMissing::Drop => !matches!(part, Part::Labels | Part::Name),
            OnMissing::Impute(_) | OnMissing::Indicate | OnMissing::Category => {
                !matches!(part, Part::Labels | Part::Name | Part::Text | Part::Number | Part::Category)
            }
        };
        // A second file may do without a target.
        let used = self.used.iter().filter(|used| needed(used.part) && table.column(&used.name).is_ok());
        let names: Vec<&str> = used.map(|used| used.name.as_str()).collect();
        if names.is_empty() {
            return Ok(table.clone());
        }
        let (complete, warnings) = without_gaps(table, &names)?;
        self.warnings.extend(warnings);
        Ok(complete)
    }

    /// The columns of one part as numbers, in all of some tables; gaps are filled by what the first table teaches.
    ///
    /// # Errors
    /// A column that is not numeric; an infinity; a missing value that is refused.
    pub fn numbers(&mut self, tables: &[&Table], part: Part, progress: &dyn Progress) -> Result<Vec<Array2<f64>>> {
        let how = self.on_missing.fill().map_or(self.on_missing, OnMissing::Impute);
        Ok(self.read(tables, part, how, |learnt, x| learnt.filled(x, progress))?.0)
    }

    /// The features that are numbers, as [`ColumnUse::numbers`], and behind them the columns that say where one was
    /// missing, with [`OnMissing::Indicate`]: these are noted among the columns in use.
    ///
    /// # Errors
    /// As [`ColumnUse::numbers`].
    pub fn numbers_and_gaps(&mut self, tables: &[&Table], progress: &dyn Progress) -> Result<Vec<Array2<f64>>> {
        self.indicated(tables, |learnt, x| learnt.filled(x, progress))
    }

    /// The same with NaN where a number is missing, for one who fills gaps later, from some of the rows, as
    /// [`OnMissing::fill`] says.
    ///
    /// # Errors
    /// As [`ColumnUse::numbers`].
    pub fn numbers_with_gaps(&mut self, tables: &[&Table]) -> Result<Vec<Array2<f64>>> {
        self.indicated(tables, Imputation::marked)
    }

    fn indicated(
        &mut self,
        tables: &[&Table],
        with: impl Fn(&Imputation, Array2<f64>) -> Result<Array2<f64>>,
    ) -> Result<Vec<Array2<f64>>> {
        let (read, indicators) = self.read(tables, Part::Number, self.on_missing, with)?;
        self.used.extend(indicators.into_iter().map(|name| UsedColumn::new(name, Part::Indicator)));
        Ok(read)
    }

    /// Numbers as `with` makes them of what the first table teaches, and the names of the columns behind them that say
    /// where one was missing.
    fn read(
        &mut self,
        tables: &[&Table],
        part: Part,
        how: OnMissing,
        with: impl Fn(&Imputation, Array2<f64>) -> Result<Array2<f64>>,
    ) -> Result<(Vec<Array2<f64>>, Vec<String>)> {
        let names: Vec<String> = self.names(part).into_iter().map(str::to_owned).collect();
        let Some(fill) = how.fill() else {
            let read = |table: &&Table| table.numeric(&names, Missing::Error).map_err(|e| self.explained(table, e));
            return Ok((tables.iter().map(read).collect::<Result<_>>()?, Vec::new()));
        };
        let read: Vec<Array2<f64>> =
            tables.iter().map(|table| table.numeric(&names, Missing::Keep)).collect::<Result<_>>()?;
        let missing = |x: &Array2<f64>| x.iter().any(|v| v.is_nan());
        let (Some(first), Some(table), true) = (read.first(), tables.first(), read.iter().any(missing)) else {
            return Ok((read, Vec::new()));
        };
        let learnt = Imputation::of(table.name(), &names, first.view(), how)?;
        self.note_filled(&names, read.iter().map(|x| x.view()).collect(), fill);
        Ok((read.into_iter().map(|x| with(&learnt, x)).collect::<Result<_>>()?, learnt.indicators()))
    }

    /// A column as categories: missing names are refused, take the most frequent name, or are the category with the
    /// empty name.
    ///
    /// # Errors
    /// An unknown column; a missing value that is refused.
    pub fn categories(&mut self, table: &Table, name: &str) -> Result<Categories> {
        let feature = self.used.iter().any(|used| used.name == name && used.part == Part::Category);
        let keep = feature && !matches!(self.on_missing, OnMissing::Refuse | OnMissing::Drop);
        let missing = if keep { Missing::Keep } else { Missing::Error };
        let mut read = table.categories(name, missing).map_err(|e| self.explained(table, e))?;
        if matches!(self.on_missing, OnMissing::Impute(_))
            && keep
            && let Some(usual) = most_frequent(&read)
        {
            match fill_names(&mut read, &usual) {
                0 => {}
                filled => self.warnings.push(names_filled(filled, name, &usual)),
            }
        }
        self.count_levels(name, read.names.len());
        Ok(read)
    }

    /// Why reading failed: what lacks a value in all columns that are used, if that is it, else the error itself.
    pub fn explained(&self, table: &Table, error: Error) -> Error {
        let counts =
            |used: &&UsedColumn| !matches!(used.part, Part::Labels | Part::Name | Part::Text | Part::Indicator);
        let counted: Vec<&str> = self.used.iter().filter(counts).map(|used| used.name.as_str()).collect();
        // An infinity is an error whatever else is missing.
        if let Err(error) = table.numeric(&self.names(Part::Number), Missing::Keep) {
            return error;
        }
        let Some((line, told)) = first_gap(table, &counted) else { return error };
        let names_only = if self.on_missing == OnMissing::Category { " (`category` is for names alone)" } else { "" };
        let why = format!(
            "the value is missing{names_only}; {told}. Leave such rows out (--missing drop), fill the values in (--missing \
             impute), let no name be a category of its own (--missing category), or do without a column (--exclude)"
        );
        Error::data(table.name(), line, why)
    }

    fn note_filled(&mut self, names: &[String], read: Vec<ArrayView2<f64>>, fill: Fill) {
        let count = |c: usize| read.iter().map(|x| x.column(c).iter().filter(|v| v.is_nan()).count()).sum::<usize>();
        let filled: Vec<(usize, &str)> =
            names.iter().enumerate().map(|(c, name)| (count(c), name.as_str())).filter(|(n, _)| *n > 0).collect();
        let rows: usize = read.iter().map(|x| x.nrows()).sum();
        self.warnings.extend(numbers_filled(&filled, fill));
        let gaps = Gaps { counts: filled.iter().map(|(n, _)| *n).collect(), rows: Vec::new() };
        let names: Vec<&str> = filled.iter().map(|(_, name)| *name).collect();
        self.warnings.extend(nearly_empty(&gaps, &names, rows));
    }
}

/// The rows that lack a value in none of these columns, and in words how many do.
///
/// # Errors
/// No row is left; a file that cannot be read.
pub fn without_gaps(table: &Table, names: &[&str]) -> Result<(Table, Vec<String>)> {
    let gaps = table.gaps(names)?;
    let incomplete = gaps.incomplete();
    if incomplete == 0 {
        return Ok((table.clone(), Vec::new()));
    }
    let said = told(&gaps, names, table.rows());
    if incomplete == table.rows() {
        let want = "no row would be left: leave the columns out that lack most values";
        return Err(Error::input(table.name(), said, want));
    }
    let mut warnings = vec![format!("{}: {said}: these rows are left out", table.name())];
    warnings.extend(nearly_empty(&gaps, names, table.rows()));
    let complete: Vec<usize> = (0..table.rows()).filter(|row| !gaps.rows[*row]).collect();
    Ok((table.of_rows(&complete)?, warnings))
}

/// The line of the first row that lacks a value in one of these columns, and in words how many do.
pub(super) fn first_gap(table: &Table, names: &[&str]) -> Option<(u64, String)> {
    let gaps = table.gaps(names).ok()?;
    let first = gaps.rows.iter().position(|gap| *gap)?;
    Some((table.line(first), told(&gaps, names, table.rows())))
}

/// Columns of which little is there.
fn nearly_empty(gaps: &Gaps, names: &[&str], rows: usize) -> Vec<String> {
    let share = |count: usize| count as f64 / rows.max(1) as f64;
    let said = |(name, count): (&&str, &usize)| {
        (share(*count) > NEARLY_ALL).then(|| {
            let percent = 100.0 * share(*count);
            format!("`{name}` lacks a value in {percent:.0}% of the rows: leaving it out (--exclude) keeps more of the others")
        })
    };
    names.iter().zip(&gaps.counts).filter_map(said).collect()
}

/// The share of missing values from which a column is named.
const NEARLY_ALL: f64 = 0.8;

/// How many rows lack a value, and in which columns.
fn told(gaps: &Gaps, names: &[&str], rows: usize) -> String {
    let counted: Vec<(usize, &str)> =
        gaps.counts.iter().copied().zip(names.iter().copied()).filter(|(count, _)| *count > 0).collect();
    let incomplete = gaps.incomplete();
    let lack = if incomplete == 1 { "lacks" } else { "lack" };
    format!("{incomplete} of {rows} rows {lack} a value in {}", by_count(&counted))
}

/// Columns with a number each, the largest first.
pub(super) fn by_count(counted: &[(usize, &str)]) -> String {
    const MOST: usize = 6;
    let mut counted = counted.to_vec();
    counted.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
    let shown: Vec<String> = counted.iter().take(MOST).map(|(count, name)| format!("`{name}` ({count})")).collect();
    let more = counted.len().saturating_sub(MOST);
    shown.join(", ") + &if more > 0 { format!(" and {more} more columns") } else { String::new() }
}
