//! Columns of a file as what a network learns from, and the same columns of another file later.

use crate::data::{Categories, ColumnType, Missing, Table};
use crate::nn::{Samples, Targets};
use crate::{Error, Result};
use ndarray::{Array1, Array2, s};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// A column as a network sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Encoded {
    /// (value − mean) / deviation.
    Number { name: String, mean: f64, deviation: f64 },
    /// One input a value, 1 where the row has it; none for values that were not seen.
    Category { name: String, values: Vec<String> },
}

/// What is learnt of a row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Wanted {
    /// One of these classes.
    Classes(Vec<String>),
    /// A number; the network sees (value − mean) / deviation.
    Number {
        /// Mean over the training rows.
        mean: f64,
        /// Standard deviation over the training rows.
        deviation: f64,
    },
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
/// one input for each value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Encoder {
    columns: Vec<Encoded>,
    /// The column that is predicted.
    pub target: String,
    /// What it holds.
    pub wanted: Wanted,
}

impl Encoder {
    /// Learn from a file. `named` columns are used, or all numeric and nominal ones but the target. The target is a
    /// class, or a number if `regression` says so or if it is a column of fractions.
    ///
    /// # Errors
    /// An unknown column, one of free text, a missing value, no column left, one class only.
    pub fn fit(table: &Table, target: &str, named: &[String], regression: bool) -> Result<Encoder> {
        let kind = table.column(target)?.kind;
        let wanted = if regression || kind == ColumnType::Float {
            let values = table.numeric(&[target], Missing::Error)?;
            let (mean, deviation) = moments(&values.column(0).to_owned());
            Wanted::Number { mean, deviation }
        } else {
            let Categories { names, .. } = table.categories(target, Missing::Error)?;
            if names.len() < 2 {
                return Err(Error::input(target, format!("one class, `{}`", names.join("")), "at least two classes"));
            }
            Wanted::Classes(names)
        };
        let used = |name: &str| {
            let wanted =
                if named.is_empty() { !table.others().contains(&name) } else { named.iter().any(|n| n == name) };
            wanted && name != target
        };
        let numeric: Vec<&str> = table.numeric_columns().into_iter().filter(|name| used(name)).collect();
        let values = numbers(table, &numeric)?;
        let mut columns = Vec::new();
        for column in table.columns().iter().filter(|c| used(&c.name)) {
            let asked = !named.is_empty();
            let name = column.name.clone();
            if let Some(place) = numeric.iter().position(|n| *n == name) {
                let (mean, deviation) = moments(&values.column(place).to_owned());
                columns.push(Encoded::Number { name, mean, deviation });
                continue;
            }
            let names = match column.kind {
                ColumnType::Boolean | ColumnType::Category | ColumnType::Text => {
                    table.categories(&name, Missing::Error)?.names
                }
                _ => Vec::new(),
            };
            if names.is_empty() || 2 * names.len() > table.rows() {
                if asked {
                    return Err(Error::input(name, "free text or lists", "a numeric column or one of few values"));
                }
                continue;
            }
            columns.push(Encoded::Category { name, values: names });
        }
        for name in named {
            table.column(name)?;
        }
        if columns.is_empty() {
            return Err(Error::input("columns", "none to learn from", "numeric columns or columns of few values"));
        }
        Ok(Encoder { columns, target: target.to_owned(), wanted })
    }

    /// Numbers that a row becomes.
    pub fn inputs(&self) -> usize {
        let width = |column: &Encoded| match column {
            Encoded::Number { .. } => 1,
            Encoded::Category { values, .. } => values.len(),
        };
        self.columns.iter().map(width).sum()
    }

    /// Rows of a file as numbers, rows x [`Encoder::inputs`].
    ///
    /// # Errors
    /// A column that the file lacks, or a missing value.
    pub fn rows(&self, table: &Table) -> Result<Array2<f32>> {
        let mut rows = Array2::<f32>::zeros((table.rows(), self.inputs()));
        let numeric: Vec<&str> = self
            .columns
            .iter()
            .filter_map(|column| match column {
                Encoded::Number { name, .. } => Some(name.as_str()),
                Encoded::Category { .. } => None,
            })
            .collect();
        let read = numbers(table, &numeric)?;
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
                Encoded::Category { name, values } => {
                    let Categories { codes, names } = table.categories(name, Missing::Error)?;
                    let place: Vec<Option<usize>> =
                        names.iter().map(|name| values.iter().position(|value| value == name)).collect();
                    for (row, code) in codes.into_iter().enumerate() {
                        if let Some(place) = place.get(code as usize).copied().flatten() {
                            rows[[row, at + place]] = 1.0;
                        }
                    }
                    at += values.len();
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
            let Categories { codes, names } = table.categories(name, Missing::Error)?;
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
            Wanted::Number { mean, deviation } => {
                let values = table.numeric(&[&self.target], Missing::Error)?;
                Ok(Targets::Values(values.slice(s![.., 0..1]).mapv(|v| ((v - mean) / deviation) as f32)))
            }
            Wanted::Classes(classes) => {
                let Categories { codes, names } = table.categories(&self.target, Missing::Error)?;
                let place = |name: &String| {
                    classes.iter().position(|class| class == name).map(|k| k as u32).ok_or_else(|| {
                        let want = format!("the model knows {}", classes.join(", "));
                        Error::input(format!("{}, `{}`", table.name(), self.target), format!("class `{name}`"), want)
                    })
                };
                let place: Vec<u32> = names.iter().map(place).collect::<Result<_>>()?;
                let labels = codes.into_iter().map(|code| place[code as usize]).collect();
                Ok(Targets::Classes { labels, classes: classes.len() })
            }
        }
    }

    /// Rows and what is wanted of them.
    ///
    /// # Errors
    /// As [`Encoder::rows`] and [`Encoder::targets`].
    pub fn samples(&self, table: &Table) -> Result<Samples> {
        Ok(Samples { inputs: self.rows(table)?, targets: self.targets(table)? })
    }
}

/// Numeric columns, all at once: a text file is read row by row, however few columns are asked for.
fn numbers(table: &Table, names: &[&str]) -> Result<Array2<f64>> {
    if names.is_empty() { Ok(Array2::zeros((table.rows(), 0))) } else { table.numeric(names, Missing::Error) }
}

/// Mean and standard deviation; 1 for a constant column.
fn moments(values: &Array1<f64>) -> (f64, f64) {
    let n = values.len().max(1) as f64;
    let mean = values.sum() / n;
    let variance = values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / n;
    (mean, if variance > 0.0 { variance.sqrt() } else { 1.0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(csv: &str) -> Table {
        Table::from_bytes("t.csv", csv.as_bytes().to_vec(), &[]).unwrap()
    }

    #[test]
    fn another_file_is_encoded_as_the_training_file_was() {
        let train = table("age,city,y\n1,Rome,a\n3,Oslo,b\n5,Rome,a\n7,Oslo,b\n");
        let encoder = Encoder::fit(&train, "y", &[], false).unwrap();
        assert_eq!(encoder.inputs(), 3);
        let rows = encoder.rows(&table("city,age\nParis,4\nRome,4\n")).unwrap();
        assert_eq!(rows.column(0).to_vec(), [0.0, 0.0]);
        assert_eq!(rows.slice(s![.., 1..]).sum(), 1.0);
        let unseen = encoder.unseen(&table("city,age\nParis,4\nRome,4\nBonn,1\nParis,2\n")).unwrap();
        let some = vec!["Bonn".to_owned(), "Paris".to_owned()];
        assert_eq!(unseen, [NewValues { column: "city".to_owned(), rows: 3, values: 2, some }]);
        assert!(encoder.unseen(&train).unwrap().is_empty());
        let later = table("age,city,y\n4,Rome,b\n2,Rome,b\n");
        assert_eq!(encoder.targets(&later).unwrap(), Targets::Classes { labels: vec![1, 1], classes: 2 });
        assert!(encoder.targets(&table("age,city,y\n4,Rome,c\n4,Rome,c\n")).is_err());
        assert!(encoder.rows(&table("city\nRome\nRome\n")).is_err());
    }

    #[test]
    fn what_a_built_in_set_says_of_its_rows_is_learnt_from_only_if_named() {
        let clothes = Table::open("builtin:fashion-mnist", &[]).unwrap();
        assert_eq!(Encoder::fit(&clothes, "class", &[], false).unwrap().inputs(), 784);
        assert_eq!(Encoder::fit(&clothes, "class", &["split".to_owned()], false).unwrap().inputs(), 2);
    }

    #[test]
    fn a_file_without_numbers_will_do() {
        let train = table("city,y\nRome,a\nOslo,b\nRome,a\nOslo,b\n");
        let encoder = Encoder::fit(&train, "y", &[], false).unwrap();
        assert_eq!(encoder.rows(&train).unwrap().sum_axis(ndarray::Axis(1)).to_vec(), [1.0; 4]);
    }

    #[test]
    fn numbers_are_predicted_where_the_target_is_one() {
        let encoder = Encoder::fit(&table("a,y\n1,0.5\n2,1.5\n"), "y", &[], false).unwrap();
        assert_eq!(encoder.wanted, Wanted::Number { mean: 1.0, deviation: 0.5 });
        assert!(Encoder::fit(&table("a,y\n1,x\n2,x\n"), "y", &[], false).is_err());
    }
}
