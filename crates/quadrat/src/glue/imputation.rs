//! What fills the gaps of a file's features: learnt from some rows, used on others, kept with a model.

use super::columns::{ColumnUse, Part};
use super::missing::OnMissing;
use crate::data::{Categories, Missing, Table};
use crate::numeric::by_rows;
use crate::numeric::impute::{Fill, Imputer, MOST_DONORS};
use crate::{Error, Progress, Result};
use ndarray::{Array2, ArrayView2, Axis, concatenate};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Cells of the rows that an imputation by neighbours keeps at most: a few megabytes as JSON.
const MOST_KEPT: usize = 200_000;

/// What takes the place of a missing value in each feature. Fitted to training rows alone, so that rows kept for a test
/// teach nothing, and kept with a model (as JSON, say), so that later rows may have gaps too.
///
/// ```
/// use quadrat::data::Table;
/// use quadrat::{ColumnUse, Imputation, OnMissing, Silent, Wish};
///
/// let table = |csv: &str| Table::from_bytes("t.csv", csv.as_bytes().to_vec(), &[]);
/// let train = table("age,city\n30,Rome\n,Rome\n50,Oslo\n")?;
/// let uses = ColumnUse::choose(&train, &Wish { numbers: true, ..Wish::default() })?;
/// let fitted = Imputation::fit(&train, &uses, OnMissing::Indicate)?;
/// assert_eq!(fitted.columns(), ["age", "age is missing"]);
/// let later = table("age,city\n,Oslo\n20,\n")?;
/// assert_eq!(fitted.numbers(&later, &Silent)?, ndarray::array![[40.0, 1.0], [20.0, 0.0]]);
/// # Ok::<(), quadrat::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Imputation {
    how: OnMissing,
    numbers: Vec<String>,
    /// Nothing where gaps are refused.
    imputer: Option<Box<Imputer>>,
    /// The numbers with a gap in the rows that taught: a column more says where.
    marked: Vec<String>,
    /// The most frequent name of each column of names.
    usual: BTreeMap<String, String>,
}

impl Imputation {
    /// Learn from rows what fills the features in use. With [`OnMissing::Refuse`] or [`OnMissing::Drop`] there is
    /// nothing to learn, and gaps stay an error.
    ///
    /// # Errors
    /// A feature without any value where it is to be filled; a file that cannot be read.
    pub fn fit(rows: &Table, uses: &ColumnUse, how: OnMissing) -> Result<Imputation> {
        let numbers: Vec<String> = uses.names(Part::Number).into_iter().map(str::to_owned).collect();
        let mut fitted = match how.fill() {
            Some(_) if !numbers.is_empty() => {
                Imputation::of(rows.name(), &numbers, rows.numeric(&numbers, Missing::Keep)?.view(), how)?
            }
            _ => Imputation { how, numbers, imputer: None, marked: Vec::new(), usual: BTreeMap::new() },
        };
        let most = MOST_KEPT / fitted.numbers.len().max(1);
        fitted.imputer = fitted.imputer.map(|imputer| Box::new(imputer.with_donors(most.clamp(1, MOST_DONORS))));
        if let OnMissing::Impute(_) = how {
            for name in uses.names(Part::Category) {
                let usual = most_frequent(&rows.categories(name, Missing::Keep)?);
                let usual = usual.ok_or_else(|| empty(rows.name(), name))?;
                fitted.usual.insert(name.to_owned(), usual);
            }
        }
        Ok(fitted)
    }

    /// Learn what fills decoded numbers, NaN for a gap; `file` is what errors name. All donors are kept.
    pub(super) fn of(file: &str, numbers: &[String], x: ArrayView2<f64>, how: OnMissing) -> Result<Imputation> {
        let imputer = how.fill().map(|fill| Box::new(Imputer::fit(x, fill)));
        let values = imputer.iter().flat_map(|imputer| &imputer.values);
        if let Some((name, _)) = numbers.iter().zip(values).find(|(_, v)| v.is_nan()) {
            return Err(empty(file, name));
        }
        let gap = |c: usize| x.column(c).iter().any(|v| v.is_nan());
        let marked = numbers.iter().enumerate().filter(|(c, _)| how == OnMissing::Indicate && gap(*c));
        Ok(Imputation {
            how,
            numbers: numbers.to_vec(),
            imputer,
            marked: marked.map(|(_, name)| name.clone()).collect(),
            usual: BTreeMap::new(),
        })
    }

    /// What is done about gaps.
    pub fn how(&self) -> OnMissing {
        self.how
    }

    /// The columns of [`Imputation::numbers`]: the features that are numbers and, with [`OnMissing::Indicate`],
    /// `NAME is missing` for each that had a gap in the rows that taught.
    pub fn columns(&self) -> Vec<String> {
        self.numbers.iter().cloned().chain(self.indicators()).collect()
    }

    /// The names of the columns that say where a number was missing.
    pub(super) fn indicators(&self) -> Vec<String> {
        self.marked.iter().map(|name| format!("{name} is missing")).collect()
    }

    /// The features of a file that are numbers, without a gap: one row a sample, columns as
    /// [`Imputation::columns`] names them.
    ///
    /// # Errors
    /// A column that the file lacks or that is not numeric; an infinity; a missing value that is refused.
    pub fn numbers(&self, table: &Table, progress: &dyn Progress) -> Result<Array2<f64>> {
        if self.numbers.is_empty() {
            return Ok(Array2::zeros((table.rows(), 0)));
        }
        let missing = if self.imputer.is_some() { Missing::Keep } else { Missing::Error };
        self.filled(table.numeric(&self.numbers, missing)?, progress)
    }

    /// Decoded numbers without a gap, the columns that say where one was behind them.
    pub(super) fn filled(&self, mut x: Array2<f64>, progress: &dyn Progress) -> Result<Array2<f64>> {
        let Some(imputer) = &self.imputer else { return Ok(x) };
        if imputer.values.len() != x.ncols() || imputer.donors.nrows() > 0 && imputer.donors.ncols() != x.ncols() {
            let want = format!("it is used on {}: it belongs to other columns", x.ncols());
            return Err(Error::input("imputation", format!("{} columns", imputer.values.len()), want));
        }
        let gaps = self.gaps(x.view());
        imputer.fill(&mut x, progress)?;
        beside(x, gaps)
    }

    /// Decoded numbers, gaps and all, with the columns that say where one is behind them.
    pub(super) fn marked(&self, x: Array2<f64>) -> Result<Array2<f64>> {
        let gaps = self.gaps(x.view());
        beside(x, gaps)
    }

    /// 1 where a number is missing, in the columns for which that is told.
    fn gaps(&self, x: ArrayView2<f64>) -> Array2<f64> {
        let place = |name: &String| self.numbers.iter().position(|other| other == name);
        let marked: Vec<usize> = self.marked.iter().filter_map(place).collect();
        x.select(Axis(1), &marked).mapv(|v| f64::from(u8::from(v.is_nan())))
    }

    /// A column of names without a gap: the most frequent name of the rows that taught takes its place (behind all
    /// others, if no row has it here), or no name is the category with the empty name.
    ///
    /// # Errors
    /// A column that the file lacks; a missing name that is refused.
    pub fn categories(&self, table: &Table, name: &str) -> Result<Categories> {
        let missing = match self.how {
            OnMissing::Refuse | OnMissing::Drop => Missing::Error,
            OnMissing::Impute(_) | OnMissing::Indicate | OnMissing::Category => Missing::Keep,
        };
        let mut read = table.categories(name, missing)?;
        if let Some(usual) = self.usual.get(name) {
            fill_names(&mut read, usual);
        }
        Ok(read)
    }

    /// What is filled in a file, in words: nothing where nothing is missing.
    ///
    /// # Errors
    /// A column that the file lacks; a file that cannot be read.
    pub fn notes(&self, table: &Table) -> Result<Vec<String>> {
        let mut notes = Vec::new();
        if let (Some(fill), false) = (self.how.fill(), self.numbers.is_empty()) {
            let gaps = table.gaps(&self.numbers)?;
            let missing: Vec<(usize, &str)> =
                gaps.counts.iter().copied().zip(self.numbers.iter().map(String::as_str)).collect();
            notes.extend(numbers_filled(&missing, fill));
        }
        let names: Vec<&String> = self.usual.keys().collect();
        if !names.is_empty() {
            let gaps = table.gaps(&names)?;
            let told = |(count, (name, usual)): (&usize, (&String, &String))| {
                (*count > 0).then(|| names_filled(*count, name, usual))
            };
            notes.extend(gaps.counts.iter().zip(&self.usual).filter_map(told));
        }
        Ok(notes)
    }
}

impl OnMissing {
    /// What takes the place of a missing number, if anything does.
    pub fn fill(self) -> Option<Fill> {
        match self {
            OnMissing::Impute(fill) => Some(fill),
            OnMissing::Indicate => Some(Fill::Median),
            OnMissing::Refuse | OnMissing::Drop | OnMissing::Category => None,
        }
    }
}

fn beside(x: Array2<f64>, more: Array2<f64>) -> Result<Array2<f64>> {
    if more.ncols() == 0 {
        return Ok(x);
    }
    let all = concatenate(Axis(1), &[x.view(), more.view()]);
    // Joined columns lie column by column, which every reader of rows would copy.
    all.map(by_rows).map_err(|e| Error::numeric("imputation", e.to_string()))
}

fn empty(file: &str, name: &str) -> Error {
    let want = "there is nothing to fill it with: leave it out (--exclude)";
    Error::input(format!("{file}, column `{name}`"), "no value in any row", want)
}

/// The most frequent name that is none, of equally frequent ones the first.
pub(super) fn most_frequent(read: &Categories) -> Option<String> {
    let mut counts = vec![0usize; read.names.len()];
    read.codes.iter().for_each(|code| counts[*code as usize] += 1);
    let named = counts.into_iter().enumerate().filter(|(at, count)| *count > 0 && !read.names[*at].is_empty());
    let (at, _) = named.max_by_key(|(at, count)| (*count, usize::MAX - at))?;
    Some(read.names[at].clone())
}

/// Rows without a name get this one; how many there were.
pub(super) fn fill_names(read: &mut Categories, usual: &str) -> usize {
    let Some(empty) = read.names.iter().position(String::is_empty) else { return 0 };
    read.names.remove(empty);
    let usual = match read.names.iter().position(|name| name == usual) {
        Some(at) => at as u32,
        None => {
            read.names.push(usual.to_owned());
            read.names.len() as u32 - 1
        }
    };
    let empty = empty as u32;
    let mut filled = 0;
    for code in &mut read.codes {
        if *code == empty {
            filled += 1;
            *code = usual;
        } else {
            *code -= u32::from(*code > empty);
        }
    }
    filled
}

/// That numbers were missing in some columns and are filled; nothing where none was.
pub(super) fn numbers_filled(missing: &[(usize, &str)], fill: Fill) -> Option<String> {
    let how = match fill {
        Fill::Median => "the median",
        Fill::Mean => "the mean",
        Fill::Nearest => "the mean of the nearest rows",
    };
    let missing: Vec<(usize, &str)> = missing.iter().copied().filter(|(n, _)| *n > 0).collect();
    let told = super::missing::by_count(&missing);
    (!missing.is_empty()).then(|| format!("missing numbers are filled by {how} of their column: {told}"))
}

pub(super) fn names_filled(count: usize, name: &str, usual: &str) -> String {
    format!("{count} missing values of `{name}` take its most frequent one, `{usual}`")
}

#[cfg(test)]
mod tests {
    use super::super::columns::{Nominal, Wish};
    use super::*;
    use crate::Silent;
    use ndarray::array;

    fn table(csv: &str) -> Table {
        Table::from_bytes("t.csv", csv.as_bytes().to_vec(), &[]).unwrap()
    }

    fn uses(table: &Table) -> ColumnUse {
        let names = Nominal::Named(table.column("c").map(|c| c.name.clone()).into_iter().collect());
        ColumnUse::choose(table, &Wish { numbers: true, nominal: names, ..Wish::default() }).unwrap()
    }

    const TRAIN: &str = "a,b,c\n1,8,x\n,6,y\n3,,y\n4,2,\n9,2,x\n";

    #[test]
    fn later_rows_are_filled_by_what_training_rows_taught() {
        let train = table(TRAIN);
        let later = table("c,b,a\n,,\nx,1,2\nz,2,\n");
        for (how, expected) in [
            (OnMissing::Impute(Fill::Median), array![[3.5, 4.0], [2.0, 1.0], [3.5, 2.0]]),
            (OnMissing::Impute(Fill::Mean), array![[4.25, 4.5], [2.0, 1.0], [4.25, 2.0]]),
            (OnMissing::Indicate, array![[3.5, 4.0, 1.0, 1.0], [2.0, 1.0, 0.0, 0.0], [3.5, 2.0, 1.0, 0.0]]),
        ] {
            let fitted = Imputation::fit(&train, &uses(&train), how).unwrap();
            let kept: Imputation = serde_json::from_str(&serde_json::to_string(&fitted).unwrap()).unwrap();
            assert_eq!((kept.how(), kept.columns()), (how, fitted.columns()));
            assert_eq!(kept.numbers(&later, &Silent).unwrap(), expected, "{how:?}");
            assert_eq!(kept.numbers(&train, &Silent).unwrap().ncols(), kept.columns().len());
        }
        let fitted = Imputation::fit(&train, &uses(&train), OnMissing::Impute(Fill::Median)).unwrap();
        let read = fitted.categories(&later, "c").unwrap();
        assert_eq!((read.codes, read.names), (vec![0, 0, 1], vec!["x".to_owned(), "z".to_owned()]), "the first of two");
        let read = fitted.categories(&table("a,b,c\n1,1,y\n1,1,\n"), "c").unwrap();
        assert_eq!((read.codes, read.names), (vec![0, 1], vec!["y".to_owned(), "x".to_owned()]));
        let notes = fitted.notes(&later).unwrap();
        assert!(notes[0].contains("`a` (2), `b` (1)") && notes[1].contains("`c`") && notes[1].contains("`x`"));
        assert!(fitted.notes(&table("a,b,c\n1,1,y\n1,1,x\n")).unwrap().is_empty());
    }

    #[test]
    fn gaps_that_are_not_filled_stay_an_error_or_a_category() {
        let train = table("a,c\n1,x\n2,y\n3,x\n3,y\n");
        let later = table("a,c\n,x\n2,\n");
        for how in [OnMissing::Refuse, OnMissing::Drop] {
            let fitted = Imputation::fit(&train, &uses(&train), how).unwrap();
            assert!(fitted.numbers(&later, &Silent).is_err() && fitted.categories(&later, "c").is_err());
            assert_eq!(fitted.numbers(&train, &Silent).unwrap().column(0).to_vec(), [1.0, 2.0, 3.0, 3.0]);
        }
        for how in [OnMissing::Category, OnMissing::Indicate] {
            let fitted = Imputation::fit(&train, &uses(&train), how).unwrap();
            assert_eq!(fitted.categories(&later, "c").unwrap().names, ["", "x"]);
            assert_eq!(fitted.numbers(&later, &Silent).is_ok(), how == OnMissing::Indicate);
        }
    }

    #[test]
    fn what_has_no_value_is_named() {
        for (csv, column) in [("a,b\n1,\n2,\n", "b"), ("a,c\n1,\n2,\n", "c")] {
            let parsed = Table::from_bytes(
                "t.csv",
                csv.as_bytes().to_vec(),
                &[(column.to_owned(), if column == "b" { "float" } else { "category" }.parse().unwrap())],
            );
            let train = parsed.unwrap();
            let named = [column.to_owned()];
            let wish = Wish { numbers: true, features: &named, ..Wish::default() };
            let uses = ColumnUse::choose(&train, &wish).unwrap();
            let error = Imputation::fit(&train, &uses, OnMissing::Impute(Fill::Median)).unwrap_err().to_string();
            assert!(error.contains(&format!("`{column}`")) && error.contains("--exclude"), "{error}");
        }
    }

    #[test]
    fn few_donors_are_kept_of_wide_files() {
        let head: Vec<String> = (0..200).map(|c| format!("x{c}")).collect();
        let row = |i: usize| (0..200).map(|c| ((i * 7 + c * 3) % 11).to_string()).collect::<Vec<_>>().join(",");
        let rows: Vec<String> = (0..1500).map(row).collect();
        let train = table(&format!("{}\n{}\n", head.join(","), rows.join("\n")));
        let fitted = Imputation::fit(&train, &uses(&train), OnMissing::Impute(Fill::Nearest)).unwrap();
        assert_eq!(fitted.imputer.as_ref().unwrap().donors.dim(), (1000, 200));
        assert!(serde_json::to_vec(&fitted).unwrap().len() < 2_000_000);
    }
}
