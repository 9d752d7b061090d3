//! What a target column holds: classes, numbers or labels. One rule for every verb, and what it found in words.

use crate::data::{Categories, ColumnType, Missing, Table};
use crate::{Error, Result};
use std::collections::HashMap;

/// What is predicted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetKind {
    /// One of some classes.
    Classes,
    /// A number.
    Numbers,
    /// Any number of some labels.
    Labels,
}

/// Whole numbers are taken as classes up to so many different ones.
pub const MOST_CLASSES: usize = 20;

/// From so many classes on a target is named: it may be a number, a name, or a text.
pub(super) const MANY_CLASSES: usize = 100;

/// What a target column was taken for, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// The column.
    pub name: String,
    /// What it was taken for.
    pub kind: TargetKind,
    /// The classes of its rows; empty unless it has classes.
    pub classes: Categories,
    /// That in words.
    pub said: String,
    /// What else `train` can make of it, and by which option, where the column left a choice.
    pub choice: Option<&'static str>,
    /// What a user should know of it.
    pub warning: Option<String>,
}

impl Target {
    /// Look at a column. Texts, categories and truth values are classes; lists are labels; numbers are classes if all are
    /// whole and there are at most [`MOST_CLASSES`] different ones, however they are spelt (`1` and `1.0` are one class).
    /// `wanted` decides otherwise where that is possible.
    ///
    /// # Errors
    /// An unknown column, one that cannot be what is wanted, a missing value.
    pub fn of(table: &Table, name: &str, wanted: Option<TargetKind>) -> Result<Target> {
        let column = table.column(name)?.kind;
        let number = matches!(column, ColumnType::Integer | ColumnType::Float);
        if let ColumnType::Embedding(_) = column {
            let what = format!("{}, column `{name}`", table.name());
            return Err(Error::input(what, "vectors", "a target is a class, a number or a list of labels"));
        }
        let numbers = if number { Some(table.numeric(&[name], Missing::Error)?.column(0).to_vec()) } else { None };
        let (usual, why) = match &numbers {
            None if column == ColumnType::Tags => (TargetKind::Labels, "it holds lists".to_owned()),
            None => (TargetKind::Classes, format!("it is a column of type {column}")),
            Some(values) => match (values.iter().all(|v| v.fract() == 0.0), different(values)) {
                (true, n) if n <= MOST_CLASSES => {
                    (TargetKind::Classes, format!("all are whole numbers and {n} of them differ"))
                }
                (true, n) => (TargetKind::Numbers, format!("{n} of them differ")),
                (false, _) => (TargetKind::Numbers, "not all are whole".to_owned()),
            },
        };
        let kind = wanted.unwrap_or(usual);
        if kind == TargetKind::Numbers && numbers.is_none() {
            let what = format!("{}, column `{name}`", table.name());
            return Err(Error::input(what, format!("type {column}"), "only numbers can be predicted as numbers"));
        }
        let classes = match kind {
            TargetKind::Classes => spelt_alike(table.categories(name, Missing::Error)?, numbers.as_deref()),
            _ => Categories { codes: Vec::new(), names: Vec::new() },
        };
        let k = classes.names.len();
        let what = match kind {
            TargetKind::Classes => format!("{k} classes"),
            TargetKind::Numbers => "a number".to_owned(),
            TargetKind::Labels => "labels".to_owned(),
        };
        let (said, choice) = match (wanted, kind) {
            (Some(_), _) => (format!("`{name}` is taken as {what}, as asked"), None),
            (None, kind) => {
                let choice = match kind {
                    TargetKind::Classes if number => Some("--regression predicts it as a number"),
                    TargetKind::Numbers => Some("--classes takes each number as a class"),
                    _ => None,
                };
                (format!("`{name}` is taken as {what}, for {why}"), choice)
            }
        };
        let warning = (k >= MANY_CLASSES).then(|| {
            let hint = if number { ": --regression predicts it as a number" } else { ": is it a name or free text?" };
            format!("the target `{name}` has {k} classes for {} rows{hint}", table.rows())
        });
        Ok(Target { name: name.to_owned(), kind, classes, said, choice, warning })
    }

    /// The classes of a column for a verb that needs some: numbers that look like quantities are refused unless `as_classes`.
    ///
    /// # Errors
    /// As [`Target::of`], and a column of quantities.
    pub fn classes(table: &Table, name: &str, as_classes: bool) -> Result<Target> {
        let target = Target::of(table, name, as_classes.then_some(TargetKind::Classes))?;
        match target.kind {
            TargetKind::Classes => Ok(target),
            _ => {
                let want = "classes are needed here: --classes takes each value as a class";
                Err(Error::input(format!("{}, target `{name}`", table.name()), target.said, want))
            }
        }
    }
}

/// How many different numbers there are.
fn different(values: &[f64]) -> usize {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted.dedup();
    sorted.len()
}

/// Categories in which spellings of one number are one; the name is the shortest spelling.
pub(super) fn spelt_alike(categories: Categories, numbers: Option<&[f64]>) -> Categories {
    let Some(numbers) = numbers else { return categories };
    let Categories { codes, names } = categories;
    let mut value = vec![f64::NAN; names.len()];
    codes.iter().zip(numbers).for_each(|(code, number)| value[*code as usize] = *number + 0.0);
    let mut merged: Vec<String> = Vec::new();
    let mut known: HashMap<u64, u32> = HashMap::new();
    let place = |(name, value): (String, &f64)| {
        *known.entry(value.to_bits()).or_insert_with(|| {
            merged.push(name);
            merged.len() as u32 - 1
        })
    };
    let places: Vec<u32> = names.into_iter().zip(&value).map(place).collect();
    Categories { codes: codes.into_iter().map(|code| places[code as usize]).collect(), names: merged }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(csv: &str) -> Table {
        Table::from_bytes("t.csv", csv.as_bytes().to_vec(), &[]).unwrap()
    }

    /// A column `y` of these values.
    fn column(values: impl IntoIterator<Item = String>) -> Table {
        table(&values.into_iter().fold("x,y\n".to_owned(), |text, v| text + "1," + &v + "\n"))
    }

    #[test]
    fn one_rule_tells_classes_from_numbers() {
        let of = |t: &Table| Target::of(t, "y", None).unwrap();
        let fractions = of(&column((0..9).map(|i| format!("{}.5", i % 2))));
        assert_eq!(fractions.kind, TargetKind::Numbers);
        let whole = of(&column((0..9).map(|i| format!("{}.0", i % 2))));
        assert_eq!((whole.kind, whole.classes.names.len()), (TargetKind::Classes, 2));
        assert!(whole.choice.unwrap().contains("--regression"));
        let prices = of(&column((0..400).map(|i| (i % 200).to_string())));
        assert_eq!(prices.kind, TargetKind::Numbers);
        assert!(prices.said.contains("200") && prices.choice.unwrap().contains("--classes"), "{}", prices.said);
        let asked = Target::of(&column((0..400).map(|i| (i % 200).to_string())), "y", Some(TargetKind::Classes));
        assert!(asked.unwrap().warning.unwrap().contains("200 classes"));
        assert_eq!(of(&column((0..9).map(|i| format!("c{i}")))).kind, TargetKind::Classes);
        let many = of(&column((0..300).map(|i| format!("c{i}"))));
        assert!(many.warning.unwrap().contains("free text"));
        assert!(Target::of(&column(["a".into(), "b".into()]), "y", Some(TargetKind::Numbers)).is_err());
        let refused = Target::classes(&column((0..400).map(|i| (i % 200).to_string())), "y", false).unwrap_err();
        assert!(refused.to_string().contains("--classes"), "{refused}");
    }

    #[test]
    fn spellings_of_one_number_are_one_class() {
        let target = Target::of(&column(["1", "0.0", "1.0", "0", "1"].map(str::to_owned)), "y", None).unwrap();
        assert_eq!(target.classes.names, ["0", "1"]);
        assert_eq!(target.classes.codes, [1, 0, 1, 0, 1]);
    }
}
