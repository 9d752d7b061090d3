//! Columns of a file as what a network learns from, and the same columns of another file later.

use super::columns::{ColumnUse, Part};
use super::imputation::Imputation;
use super::missing::first_gap;
use super::target::{Target, TargetKind};
use crate::data::{Categories, Missing, Table};
use crate::nn::{Samples, Targets};
use crate::{Error, OnMissing, Progress, Result, Silent};
use ndarray::{Array1, Array2};
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};
use std::ops::Range;

/// A column as a network sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Encoded {
    /// (value − mean) / deviation.
    Number { name: String, mean: f64, deviation: f64 },
    /// One input a value, 1 where the row has it; none for values that were not seen.
    Category { name: String, values: Vec<String> },
    /// One input for each of the commonest values; all others, seen or not, share some more by a hash of their name.
    Hashed { name: String, values: Vec<String>, shared: usize },
}

/// A column of more different values than this is hashed: memory and the network's first layer stay bounded, whatever
/// the number of values.
const MOST_VALUES: usize = 256;

/// Of a hashed column: values with an input of their own, and inputs that the others share. Rows of rare values teach
/// little about one value, and among 64 inputs a rare one shares its own with one in 64 of the others (Weinberger et al.,
/// "Feature hashing for large scale multitask learning", ICML 2009).
const OWN: usize = 64;
const SHARED: usize = 64;

impl Encoded {
    fn name(&self) -> &str {
        match self {
            Encoded::Number { name, .. } | Encoded::Category { name, .. } | Encoded::Hashed { name, .. } => name,
        }
    }

    /// Inputs that it becomes.
    fn width(&self) -> usize {
        match self {
            Encoded::Number { .. } => 1,
            Encoded::Category { values, .. } => values.len(),
            Encoded::Hashed { values, shared, .. } => values.len() + shared,
        }
    }

    /// A column of categories, from their names and how often each occurs.
    fn of_categories(name: String, Categories { codes, names }: Categories) -> Encoded {
        if names.len() <= MOST_VALUES {
            return Encoded::Category { name, values: names };
        }
        let mut counts = vec![0_usize; names.len()];
        codes.iter().for_each(|code| counts[*code as usize] += 1);
        let mut order: Vec<usize> = (0..names.len()).collect();
        // The earlier name where counts tie.
        order.sort_by_key(|place| std::cmp::Reverse(counts[*place]));
        let values = order.into_iter().take(OWN).map(|place| names[place].clone()).collect();
        Encoded::Hashed { name, values, shared: SHARED }
    }

    /// The input of each of these values, within the column's own.
    fn places(&self, names: &[String]) -> Vec<Option<usize>> {
        let (values, shared) = match self {
            Encoded::Number { .. } => return Vec::new(),
            Encoded::Category { values, .. } => (values, 0),
            Encoded::Hashed { values, shared, .. } => (values, *shared),
        };
        let own: HashMap<&str, usize> = values.iter().map(String::as_str).zip(0..).collect();
        let hashed = |name: &String| (shared > 0).then(|| values.len() + hash(name) % shared);
        names.iter().map(|name| own.get(name.as_str()).copied().or_else(|| hashed(name))).collect()
    }
}

/// FNV-1a of a name, its high bits folded in: models are kept, so this must never change.
fn hash(name: &str) -> usize {
    let step = |h: u64, byte: u8| (h ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    let h = name.bytes().fold(0xcbf2_9ce4_8422_2325, step);
    ((h ^ (h >> 32)) & 0x7fff_ffff) as usize
}

/// What is learnt of a row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Wanted {
    /// One of these classes.
    Classes(Vec<String>),
    /// Numbers, one a target column.
    Numbers(Vec<TargetScale>),
    /// Any number of these labels: those in a column of lists, or the target columns of yes and no by name.
    Labels(Vec<String>),
}

/// How a target of numbers is scaled: the network sees (value − mean) / deviation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TargetScale {
    /// Mean over the training rows.
    pub mean: f64,
    /// Standard deviation over the training rows; 1 for a constant.
    pub deviation: f64,
}

/// What is to be learnt of a file, before it is known which rows are learnt from.
#[derive(Debug, Clone, PartialEq)]
pub struct Goal {
    /// The target columns as they were found.
    pub targets: Vec<Target>,
    /// What all of them together are.
    pub kind: TargetKind,
}

impl Goal {
    /// Look at the target columns: one of any kind, or several of numbers, or several of yes and no (truth values, or two
    /// whole numbers), which are labels then.
    ///
    /// # Errors
    /// No target, one named twice, columns that do not go together, one class only; as [`Target::of`].
    pub fn of(table: &Table, names: &[String], wanted: Option<TargetKind>) -> Result<Goal> {
        let targets: Vec<Target> = names.iter().map(|name| Target::of(table, name, wanted)).collect::<Result<_>>()?;
        if let Some((i, name)) = names.iter().enumerate().find(|(i, name)| names[..*i].contains(name)) {
            return Err(Error::input("target", format!("`{name}` twice"), format!("name column {} once", i + 1)));
        }
        let all = |fits: fn(&Target) -> bool| targets.iter().all(fits);
        let kind = match targets.as_slice() {
            [] => return Err(Error::input("target", "nothing", "name the column to predict")),
            [one] => one.kind,
            _ if all(|t| t.kind == TargetKind::Numbers) => TargetKind::Numbers,
            _ if all(|t| !t.classes.names.is_empty() && t.classes.names.iter().all(|name| yes(name).is_some())) => {
                TargetKind::Labels
            }
            _ => {
                let got: Vec<&str> = targets.iter().map(|t| t.said.as_str()).collect();
                let want =
                    "several targets are all numbers (--regression), or all yes and no (0 and 1, true and false)";
                return Err(Error::input("targets", got.join("; "), want));
            }
        };
        if let [one] = targets.as_slice()
            && kind == TargetKind::Classes
            && one.classes.names.len() < 2
        {
            let got = format!("one class, `{}`", one.classes.names.join(""));
            return Err(Error::input(&one.name, got, "at least two classes"));
        }
        Ok(Goal { targets, kind })
    }

    /// The class of each row and the classes' names, if there are classes.
    pub fn classes(&self) -> Option<&Categories> {
        (self.kind == TargetKind::Classes).then(|| self.targets.first().map(|t| &t.classes)).flatten()
    }
}

/// Whether a cell says yes or no; neither, if it says something else.
fn yes(cell: &str) -> Option<bool> {
    match cell.trim().to_lowercase().as_str() {
        "true" | "yes" => Some(true),
        "false" | "no" => Some(false),
        number => number.parse::<f64>().ok().filter(|v| *v == 0.0 || *v == 1.0).map(|v| v == 1.0),
    }
}

/// Values of a category that the training file did not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewValues {
    /// The column.
    pub column: String,
    /// Rows that have one.
    pub rows: usize,
    /// How many different ones there are.
    pub values: usize,
    /// The first of them.
    pub some: Vec<String>,
}

/// How rows of a file become rows of numbers: learnt from the training file, kept with the model.
///
/// Numeric columns are centred and scaled to unit variance; columns of categories, truth values and short texts become
/// one input for each value, up to 256 of them. With more, the 64 commonest have an input each and all others share 64 by
/// a hash of their name, so that a row never becomes more than that, and values that were not seen are treated as rare
/// ones. What takes the place of missing values is learnt from the same rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Encoder {
    columns: Vec<Encoded>,
    imputation: Imputation,
    /// The columns that are predicted.
    pub targets: Vec<String>,
    /// What they hold.
    pub wanted: Wanted,
    /// The share of rows whose number is below the predicted one, where a quantile is predicted; else the prediction is
    /// a middle.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quantile: Option<f64>,
}

impl Encoder {
    /// Learn from training rows (of a file whose hold-out was taken away before: what is learnt of rows that judge is
    /// learnt too well), from the columns that are used as numbers and as categories. Missing values are met as the uses
    /// were [settled](ColumnUse::settle).
    ///
    /// # Errors
    /// A missing value that is refused, no column to learn from.
    pub fn fit(table: &Table, goal: &Goal, uses: &ColumnUse) -> Result<Encoder> {
        let targets: Vec<String> = goal.targets.iter().map(|t| t.name.clone()).collect();
        let wanted = match (goal.kind, goal.targets.as_slice()) {
            (TargetKind::Numbers, _) => {
                let values = table.numeric(&targets, Missing::Error)?;
                let scale = |column: ndarray::ArrayView1<f64>| {
                    let (mean, deviation) = moments(&column.to_owned());
                    TargetScale { mean, deviation }
                };
                Wanted::Numbers(values.columns().into_iter().map(scale).collect())
            }
            (TargetKind::Labels, [one]) => Wanted::Labels(table.labels(&one.name, None)?.names),
            (TargetKind::Labels, _) => Wanted::Labels(targets.clone()),
            (TargetKind::Classes, [one, ..]) => Wanted::Classes(one.classes.names.clone()),
            (TargetKind::Classes, []) => return Err(Error::input("target", "nothing", "name the column of classes")),
        };
        let imputation = Imputation::fit(table, uses, uses.on_missing)?;
        let values = imputation.numbers(table, &Silent)?;
        let mut moments = values.columns().into_iter().map(|column| moments(&column.to_owned()));
        let mut number =
            |name: String| moments.next().map(|(mean, deviation)| Encoded::Number { name, mean, deviation });
        let mut columns = Vec::new();
        for used in &uses.used {
            match used.part {
                Part::Number => columns.extend(number(used.name.clone())),
                Part::Category => {
                    let categories = imputation.categories(table, &used.name)?;
                    columns.push(Encoded::of_categories(used.name.clone(), categories));
                }
                _ => {}
            }
        }
        columns.extend(imputation.indicators().into_iter().filter_map(number));
        if columns.is_empty() {
            return Err(Error::input("columns", "none to learn from", "numeric columns or columns of few values"));
        }
        Ok(Encoder { columns, imputation, targets, wanted, quantile: None })
    }

    /// Numbers that a row becomes.
    pub fn inputs(&self) -> usize {
        self.columns.iter().map(Encoded::width).sum()
    }

    /// The columns that rows are made of, in order, each with its inputs and whether these stand for categories.
    pub fn blocks(&self) -> Vec<(&str, Range<usize>, bool)> {
        let mut at = 0;
        let block = |column| {
            let from = at;
            at += Encoded::width(column);
            (column.name(), from..at, !matches!(column, Encoded::Number { .. }))
        };
        self.columns.iter().map(block).collect()
    }

    /// What is worth knowing of how columns are encoded.
    pub fn notes(&self) -> Vec<String> {
        let hashed = |column: &Encoded| match column {
            Encoded::Hashed { name, values, shared } => Some(format!(
                "`{name}` has more than {MOST_VALUES} values: the {} commonest have an input each, all others share \
                 {shared} by a hash of their name",
                values.len()
            )),
            _ => None,
        };
        self.columns.iter().filter_map(hashed).collect()
    }

    /// The columns of a file that rows are made of and in which a missing value is refused.
    pub fn needed(&self) -> Vec<&str> {
        let number = |column: &&Encoded| matches!(column, Encoded::Number { .. });
        match self.imputation.how() {
            OnMissing::Impute(_) | OnMissing::Indicate => Vec::new(),
            OnMissing::Category => self.columns.iter().filter(number).map(Encoded::name).collect(),
            OnMissing::Refuse | OnMissing::Drop => self.columns.iter().map(Encoded::name).collect(),
        }
    }

    /// What takes the place of missing values.
    pub fn imputation(&self) -> &Imputation {
        &self.imputation
    }

    /// Rows of a file as numbers, rows x [`Encoder::inputs`].
    ///
    /// # Errors
    /// A column that the file lacks, a missing value that is refused; cancelled.
    pub fn rows(&self, table: &Table, progress: &dyn Progress) -> Result<Array2<f32>> {
        let mut rows = Array2::<f32>::zeros((table.rows(), self.inputs()));
        let read = self.imputation.numbers(table, progress).map_err(|e| self.explained(table, e))?;
        let mut read = read.columns().into_iter();
        let mut at = 0;
        for column in &self.columns {
            match column {
                Encoded::Number { mean, deviation, .. } => {
                    if let Some(values) = read.next() {
                        rows.column_mut(at).assign(&values.mapv(|v| ((v - mean) / deviation) as f32));
                    }
                    at += 1;
                }
                Encoded::Category { name, .. } | Encoded::Hashed { name, .. } => {
                    let read = self.imputation.categories(table, name);
                    let Categories { codes, names } = read.map_err(|e| self.explained(table, e))?;
                    let place = column.places(&names);
                    for (row, code) in codes.into_iter().enumerate() {
                        if let Some(place) = place.get(code as usize).copied().flatten() {
                            rows[[row, at + place]] = 1.0;
                        }
                    }
                    at += column.width();
                }
            }
        }
        Ok(rows)
    }

    /// The columns of a file with values that the training file did not have: such a row has none of the column's inputs.
    ///
    /// # Errors
    /// A column that the file lacks, or a missing value.
    pub fn unseen(&self, table: &Table) -> Result<Vec<NewValues>> {
        let mut found = Vec::new();
        for column in &self.columns {
            let Encoded::Category { name, values } = column else { continue };
            let Categories { codes, names } = self.imputation.categories(table, name)?;
            let known: HashSet<&String> = values.iter().collect();
            let new: Vec<bool> = names.iter().map(|name| !known.contains(name)).collect();
            let rows = codes.iter().filter(|code| new[**code as usize]).count();
            let values: Vec<&String> = names.iter().zip(&new).filter(|(_, new)| **new).map(|(name, _)| name).collect();
            if rows > 0 {
                let some = values.iter().take(3).map(|value| (*value).clone()).collect();
                found.push(NewValues { column: name.clone(), rows, values: values.len(), some });
            }
        }
        Ok(found)
    }

    /// What is wanted of the rows of a file.
    ///
    /// # Errors
    /// No target column, a missing value, or a class that the training file did not have.
    pub fn targets(&self, table: &Table) -> Result<Targets> {
        match &self.wanted {
            Wanted::Numbers(scales) => {
                let values = table.numeric(&self.targets, Missing::Error)?;
                let scaled = |((_, output), v): ((usize, usize), &f64)| {
                    let TargetScale { mean, deviation } = scales[output];
                    ((v - mean) / deviation) as f32
                };
                let flat = values.indexed_iter().map(scaled).collect();
                let wrong = |e: ndarray::ShapeError| Error::numeric("targets", e.to_string());
                Ok(Targets::Values(Array2::from_shape_vec(values.dim(), flat).map_err(wrong)?))
            }
            Wanted::Classes(classes) => {
                let wrong = || Error::input("model", "no target", "a model that `train` made");
                let target = self.targets.first().map(String::as_str).ok_or_else(wrong)?;
                let Categories { codes, names } = table.categories(target, Missing::Error)?;
                let place = |(name, place): (&String, Option<u32>)| {
                    place.ok_or_else(|| {
                        let want = format!("the model knows {}", classes.join(", "));
                        Error::input(format!("{}, `{target}`", table.name()), format!("class `{name}`"), want)
                    })
                };
                let place: Vec<u32> = names.iter().zip(places(&names, classes)).map(place).collect::<Result<_>>()?;
                let labels = codes.into_iter().map(|code| place[code as usize]).collect();
                Ok(Targets::Classes { labels, classes: classes.len() })
            }
            Wanted::Labels(labels) => self.labels(table, labels).map(Targets::Values),
        }
    }

    /// 1 where a row has a label. Labels that are not known are left out.
    fn labels(&self, table: &Table, known: &[String]) -> Result<Array2<f32>> {
        let mut rows = Array2::<f32>::zeros((table.rows(), known.len()));
        if let [one] = self.targets.as_slice() {
            let found = table.labels(one, None)?;
            let place: Vec<Option<usize>> =
                found.names.iter().map(|name| known.iter().position(|label| label == name)).collect();
            for (mut row, labels) in rows.outer_iter_mut().zip(found.rows.iter()) {
                labels.iter().filter_map(|label| place[*label as usize]).for_each(|label| row[label] = 1.0);
            }
            return Ok(rows);
        }
        for (mut column, name) in rows.columns_mut().into_iter().zip(&self.targets) {
            let Categories { codes, names } = table.categories(name, Missing::Error)?;
            let said = |word: &String| {
                let other = || Error::input(format!("{}, `{name}`", table.name()), word, "0 and 1, true and false");
                yes(word).ok_or_else(other)
            };
            let said: Vec<bool> = names.iter().map(said).collect::<Result<_>>()?;
            column.iter_mut().zip(codes).for_each(|(v, code)| *v = f32::from(u8::from(said[code as usize])));
        }
        Ok(rows)
    }

    /// Rows and what is wanted of them.
    ///
    /// # Errors
    /// As [`Encoder::rows`] and [`Encoder::targets`].
    pub fn samples(&self, table: &Table, progress: &dyn Progress) -> Result<Samples> {
        Ok(Samples::new(self.rows(table, progress)?, self.targets(table)?))
    }

    /// Why reading failed: the gaps that this encoder does not fill, if that is it, else the error itself.
    fn explained(&self, table: &Table, error: Error) -> Error {
        let Some((line, told)) = first_gap(table, &self.needed()) else { return error };
        let why = format!(
            "the value is missing; {told}. The model was trained to {}: leave such rows out (--missing drop), or train \
             one that fills them (--missing impute)",
            if self.imputation.how() == OnMissing::Category {
                "know missing names, not numbers"
            } else {
                "need them all"
            }
        );
        Error::data(table.name(), line, why)
    }
}

/// Mean and standard deviation; 1 for a constant column. The mean of a constant is that constant, to the bit.
fn moments(values: &Array1<f64>) -> (f64, f64) {
    let n = values.len().max(1) as f64;
    if values.iter().all(|v| *v == values[0]) {
        return (values.first().copied().unwrap_or(0.0), 1.0);
    }
    let mean = values.sum() / n;
    let variance = values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / n;
    (mean, if variance > 0.0 { variance.sqrt() } else { 1.0 })
}

/// The place of each of `names` among `classes`: by name, or by the number that both spell.
fn places(names: &[String], classes: &[String]) -> Vec<Option<u32>> {
    let number = |text: &str| text.trim().parse::<f64>().ok().map(|v| (v + 0.0).to_bits());
    let by_name: HashMap<&str, u32> = classes.iter().map(String::as_str).zip(0..).collect();
    let by_number: HashMap<u64, u32> = classes.iter().zip(0..).filter_map(|(c, i)| Some((number(c)?, i))).collect();
    let place = |name: &String| {
        let spelt = || by_number.get(&number(name)?).copied();
        by_name.get(name.as_str()).copied().or_else(spelt)
    };
    names.iter().map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::super::columns::Wish;
    use super::*;
    use ndarray::s;

    fn table(csv: &str) -> Table {
        Table::from_bytes("t.csv", csv.as_bytes().to_vec(), &[]).unwrap()
    }

    #[test]
    fn classes_are_found_by_name_or_by_the_number_they_spell() {
        let known = ["1".to_owned(), "0.0".to_owned(), "x".to_owned()];
        let asked = ["0", "1.00", "x", "2", "y"].map(str::to_owned);
        assert_eq!(places(&asked, &known), [Some(1), Some(0), Some(2), None, None]);
    }

    fn fit(table: &Table, target: &str, named: &[String], wanted: Option<TargetKind>) -> Result<Encoder> {
        let targets: Vec<String> = target.split(',').map(str::to_owned).collect();
        let parts = targets.iter().map(|name| (name.as_str(), Part::Target)).collect();
        let wish = Wish { parts, features: named, numbers: true, nominal_truth: true, ..Wish::default() };
        let uses = ColumnUse::choose(table, &wish)?.in_file_order(table);
        Encoder::fit(table, &Goal::of(table, &targets, wanted)?, &uses)
    }

    #[test]
    fn another_file_is_encoded_as_the_training_file_was() {
        let train = table("age,city,y\n1,Rome,a\n3,Oslo,b\n5,Rome,a\n7,Oslo,b\n");
        let encoder = fit(&train, "y", &[], None).unwrap();
        assert_eq!(encoder.inputs(), 3);
        let rows = encoder.rows(&table("city,age\nParis,4\nRome,4\n"), &Silent).unwrap();
        assert_eq!(rows.column(0).to_vec(), [0.0, 0.0]);
        assert_eq!(rows.slice(s![.., 1..]).sum(), 1.0);
        let unseen = encoder.unseen(&table("city,age\nParis,4\nRome,4\nBonn,1\nParis,2\n")).unwrap();
        let some = vec!["Bonn".to_owned(), "Paris".to_owned()];
        assert_eq!(unseen, [NewValues { column: "city".to_owned(), rows: 3, values: 2, some }]);
        assert!(encoder.unseen(&train).unwrap().is_empty());
        let later = table("age,city,y\n4,Rome,b\n2,Rome,b\n");
        assert_eq!(encoder.targets(&later).unwrap(), Targets::Classes { labels: vec![1, 1], classes: 2 });
        assert!(encoder.targets(&table("age,city,y\n4,Rome,c\n4,Rome,c\n")).is_err());
        assert!(encoder.rows(&table("city\nRome\nRome\n"), &Silent).is_err());
        let blocks: Vec<_> =
            encoder.blocks().into_iter().map(|(name, at, nominal)| (name, at.len(), nominal)).collect();
        assert_eq!(blocks, [("age", 1, false), ("city", 2, true)]);
    }

    #[test]
    fn what_a_built_in_set_says_of_its_rows_is_learnt_from_only_if_named() {
        let clothes = Table::open("builtin:fashion-mnist", &[]).unwrap();
        assert_eq!(fit(&clothes, "class", &[], None).unwrap().inputs(), 784);
        assert_eq!(fit(&clothes, "class", &["split".to_owned()], None).unwrap().inputs(), 2);
    }

    #[test]
    fn a_file_without_numbers_will_do() {
        let train = table("city,y\nRome,a\nOslo,b\nRome,a\nOslo,b\n");
        let encoder = fit(&train, "y", &[], None).unwrap();
        assert_eq!(encoder.rows(&train, &Silent).unwrap().sum_axis(ndarray::Axis(1)).to_vec(), [1.0; 4]);
    }

    #[test]
    fn a_column_of_many_values_has_bounded_inputs_and_all_rows_have_one() {
        let mut csv = "code,y\n".to_owned();
        for i in 0..2000 {
            csv.push_str(&format!("C{},{}\n", if i % 4 == 0 { i % 8 } else { i / 3 }, i % 2));
        }
        let train = table(&csv);
        let encoder = fit(&train, "y", &[], None).unwrap();
        assert_eq!(encoder.inputs(), OWN + SHARED);
        assert!(encoder.notes()[0].contains("`code`"));
        let rows = encoder.rows(&train, &Silent).unwrap();
        assert!(rows.outer_iter().all(|row| row.sum() == 1.0));
        // The two commonest codes come first and share their input with no other.
        assert_eq!((rows.column(0).sum(), rows.column(1).sum()), (252.0, 252.0));
        let unseen = encoder.rows(&table("code\nnever seen\nnever seen\n"), &Silent).unwrap();
        assert_eq!((unseen.sum(), unseen.slice(s![.., OWN..]).sum()), (2.0, 2.0));
        assert_eq!(hash("C17"), 0x27a9_4dd3, "kept models depend on it");
    }

    #[test]
    fn numbers_are_predicted_where_the_target_is_one() {
        let scale = |mean, deviation| TargetScale { mean, deviation };
        let encoder = fit(&table("a,y\n1,0.5\n2,1.5\n"), "y", &[], None).unwrap();
        assert_eq!(encoder.wanted, Wanted::Numbers(vec![scale(1.0, 0.5)]));
        assert!(fit(&table("a,y\n1,x\n2,x\n"), "y", &[], None).is_err());
        let constant: String = (0..60).map(|i| format!("{i},3.7\n")).collect();
        let encoder = fit(&table(&format!("a,y\n{constant}")), "y", &[], None).unwrap();
        assert_eq!(encoder.wanted, Wanted::Numbers(vec![scale(3.7, 1.0)]));
        let two = fit(&table("a,y,z\n1,0.5,2\n2,1.5,4\n"), "y,z", &[], Some(TargetKind::Numbers)).unwrap();
        assert_eq!(two.wanted, Wanted::Numbers(vec![scale(1.0, 0.5), scale(3.0, 1.0)]));
        assert_eq!(two.inputs(), 1);
    }

    #[test]
    fn labels_come_from_a_column_of_lists_or_several_of_yes_and_no() {
        let of = |encoder: &Encoder, table: &Table| match encoder.targets(table).unwrap() {
            Targets::Values(values) => values,
            Targets::Classes { .. } => panic!("labels"),
        };
        let tags = table("a,tags\n1,x|y\n2,y\n3,\n4,z|x\n");
        let encoder = fit(&tags, "tags", &[], Some(TargetKind::Labels)).unwrap();
        assert_eq!(encoder.wanted, Wanted::Labels(["x", "y", "z"].map(str::to_owned).into()));
        let rows = ndarray::array![[1.0, 1.0, 0.0], [0.0, 1.0, 0.0], [0.0; 3], [1.0, 0.0, 1.0]];
        assert_eq!(of(&encoder, &tags), rows);
        let columns = table("a,hot,wet\n1,true,0\n2,false,1\n3,true,1\n");
        let encoder = fit(&columns, "hot,wet", &[], None).unwrap();
        assert_eq!(encoder.wanted, Wanted::Labels(["hot", "wet"].map(str::to_owned).into()));
        assert_eq!(of(&encoder, &columns), ndarray::array![[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]);
        assert!(fit(&table("a,p,q\n1,u,0\n2,v,1\n"), "p,q", &[], None).is_err());
        assert!(fit(&columns, "hot,hot", &[], None).is_err());
    }
}
