//! Questions about rows that are held out, from the columns of their file and from predictions.

use crate::data::{Missing, Table};
use crate::estimate::adaptive_data_analysis::{Bits, Each, Query};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};

/// What is known of a file whose rows are in part held out: enough to turn a question into a [`Query`], which a mechanism
/// answers. It holds the held-out labels: keep it from those who ask.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HeldOut {
    /// The column of the classes, if there is one.
    pub target: Option<String>,
    /// Names of the classes.
    pub classes: Vec<String>,
    /// The class of each row of the file.
    pub labels: Vec<u32>,
    /// The column that names each row, if there is one.
    pub id: Option<String>,
    /// The name of each row of the file.
    pub ids: Vec<String>,
    /// Row numbers of the file: the training rows, then the held-out rows.
    pub order: Vec<u32>,
    /// How many of them are training rows.
    pub train: usize,
    /// The columns whose combinations are the domain of a mechanism that has one.
    pub domain: Vec<Domain>,
}

/// A column of the domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Domain {
    /// Its name.
    pub column: String,
    /// The values that occur.
    pub values: Vec<String>,
}

/// The rows that a mechanism looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// The training rows, then those held out.
    All,
    /// Those held out.
    HeldOut,
}

impl HeldOut {
    /// The row numbers that a mechanism looks at.
    pub fn rows(&self, seen: Seen) -> &[u32] {
        match seen {
            Seen::All => &self.order,
            Seen::HeldOut => &self.order[self.train.min(self.order.len())..],
        }
    }

    /// The training rows' part of a column: everybody may know it.
    pub fn of_training<'a>(&'a self, values: &'a [f64]) -> impl Iterator<Item = f64> + 'a {
        self.order.iter().take(self.train).filter_map(|row| values.get(*row as usize).copied())
    }

    /// Whether predictions are right: of all rows of the file, in their order or with the column of names.
    ///
    /// # Errors
    /// No labels, a class that the file does not have, other rows than the file's.
    pub fn right(&self, predictions: &Table, column: &str) -> Result<Vec<bool>> {
        if self.target.is_none() {
            let want = "the rows were held out without --target: there is no label";
            return Err(Error::input("predictions", predictions.name(), want));
        }
        let found = predictions.categories(column, Missing::Error)?;
        let what = format!("{}, {column}", predictions.name());
        let place = |name: &String| value_among(&self.classes, name.trim(), &what);
        let codes = found.names.iter().map(place).collect::<Result<Vec<usize>>>()?;
        let rows = self.rows_of(predictions)?;
        let right = |(row, label): (usize, &u32)| codes[found.codes[rows[row]] as usize] == *label as usize;
        Ok(self.labels.iter().enumerate().map(right).collect())
    }

    /// The column of predictions where none is named: `predicted` (as `quadrat predict` writes it), `prediction`, the
    /// target's name, or the only one.
    ///
    /// # Errors
    /// Several that it could be.
    pub fn predictions_column<'a>(&self, table: &'a Table) -> Result<&'a str> {
        let names = table.column_names();
        // A file with both has the target beside what was made of it.
        let known = ["predicted", "prediction", "predictions"].into_iter().chain(self.target.as_deref());
        let found = known.into_iter().find_map(|known| names.iter().find(|name| **name == known).copied());
        let others: Vec<&str> = names.iter().copied().filter(|name| Some(*name) != self.id.as_deref()).collect();
        match (found, others.as_slice()) {
            (Some(found), _) => Ok(found),
            (None, [only]) => Ok(only),
            _ => Err(Error::input(
                format!("{}, column of predictions", table.name()),
                format!("columns {}", names.join(", ")),
                format!("name it with --column, or call it `{}`", self.target.as_deref().unwrap_or("prediction")),
            )),
        }
    }

    /// For each row of the file, the row of the predictions.
    fn rows_of(&self, table: &Table) -> Result<Vec<usize>> {
        let rows = self.labels.len();
        let id = self.id.as_deref().filter(|id| table.column_names().contains(id));
        let Some(id) = id else {
            if table.rows() != rows {
                let want = match &self.id {
                    Some(id) => format!("predict all {rows} rows in their order, or add the column `{id}`"),
                    None => format!("predict all {rows} rows of the file, training rows too, in their order"),
                };
                return Err(Error::input(table.name(), format!("{} rows", table.rows()), want));
            }
            return Ok((0..rows).collect());
        };
        let given = table.strings(id)?;
        each_once(&given, &format!("{}, column `{id}`", table.name()))?;
        let place: HashMap<&str, usize> = given.iter().enumerate().map(|(row, id)| (id.trim(), row)).collect();
        let find = |name: &String| {
            place.get(name.trim()).copied().ok_or_else(|| {
                let want = format!("predict all {rows} rows of the file, training rows too");
                Error::input(format!("{}, column `{id}`", table.name()), format!("no `{name}`"), want)
            })
        };
        self.ids.iter().map(find).collect()
    }

    /// The share of rows for which something holds, given for each row of the file.
    pub fn share(&self, seen: Seen, holds: impl Fn(usize) -> bool) -> Bits {
        let rows = self.rows(seen);
        Bits::from_fn(rows.len(), |at| holds(rows[at] as usize))
    }

    /// Whether each row of the file has all of some values: columns with a value each.
    ///
    /// # Errors
    /// An unknown column, a value that it does not have, a missing value that is refused.
    pub fn fulfils(table: &Table, conditions: &[(&str, &str)], missing: Missing) -> Result<Vec<bool>> {
        let mut all = vec![true; table.rows()];
        for (column, wanted) in conditions {
            let found = table.categories(column, missing)?;
            let wanted = value_among(&found.names, wanted, column)?;
            all.iter_mut().zip(&found.codes).for_each(|(all, code)| *all &= *code as usize == wanted);
        }
        Ok(all)
    }

    /// The mean of a column of the file, of which values outside the range count as its nearer end.
    pub fn mean(&self, seen: Seen, values: &[f64], (low, high): (f64, f64)) -> impl Query + use<> {
        let of = |row: &u32| values[*row as usize].max(low).min(high);
        let values: Vec<f64> = self.rows(seen).iter().map(of).collect();
        Each::new(values.len(), (low, high), move |row| values[row])
    }

    /// The quadrant correlation of two columns, from -1 to 1: how much more often they are on the same side of their
    /// training means than on different sides.
    ///
    /// # Errors
    /// No training rows, as [`numbers`].
    pub fn correlation(&self, seen: Seen, table: &Table, [a, b]: [&str; 2]) -> Result<impl Query + use<>> {
        let sides = [self.above_training_mean(table, a)?, self.above_training_mean(table, b)?];
        let same = self.share(seen, |row| sides[0][row] == sides[1][row]);
        let rows = self.rows(seen).len();
        Ok(Each::new(rows, (-1.0, 1.0), move |row| if same.get(row) { 1.0 } else { -1.0 }))
    }

    /// Whether each row of the file is above the mean of the training rows: the analyst knows those.
    fn above_training_mean(&self, table: &Table, column: &str) -> Result<Vec<bool>> {
        if self.train == 0 {
            let want = "a correlation needs the means of training rows: hold fewer rows out (--train-share)";
            return Err(Error::input("correlation", "no training rows", want));
        }
        let values = numbers(table, column)?;
        let mean = self.of_training(&values).sum::<f64>() / self.train as f64;
        Ok(values.into_iter().map(|value| value > mean).collect())
    }

    /// Elements of the domain.
    fn size(&self) -> Result<usize> {
        if self.domain.is_empty() {
            return Err(Error::input("--domain", "nothing", "name the columns that pmw may be asked about"));
        }
        let size = self.domain.iter().try_fold(1usize, |size, column| size.checked_mul(column.values.len()));
        size.filter(|size| *size <= 1 << 20).ok_or_else(|| {
            let sizes: Vec<String> = self.domain.iter().map(|c| format!("{}: {}", c.column, c.values.len())).collect();
            let want = "use columns whose numbers of values multiply to at most 2^20 = 1,048,576";
            Error::input("--domain", sizes.join(", "), want)
        })
    }

    /// Held-out rows on each element of the domain.
    ///
    /// # Errors
    /// No domain, one that is too large, a missing value that is refused.
    pub fn counts(&self, table: &Table, missing: Missing) -> Result<Vec<u64>> {
        let mut counts = vec![0; self.size()?];
        let columns = self.domain.iter().map(|c| table.categories(&c.column, missing)).collect::<Result<Vec<_>>>()?;
        for row in self.rows(Seen::HeldOut) {
            let element = columns.iter().fold(0, |at, c| at * c.names.len() + c.codes[*row as usize] as usize);
            counts[element] += 1;
        }
        Ok(counts)
    }

    /// The elements of the domain that fulfil all conditions.
    ///
    /// # Errors
    /// A column that is not of the domain, a value that does not occur, two values of one column.
    pub fn marginal(&self, conditions: &[(&str, &str)]) -> Result<Bits> {
        let mut wanted: Vec<Option<usize>> = vec![None; self.domain.len()];
        for (column, value) in conditions {
            let Some(at) = self.domain.iter().position(|c| c.column == *column) else {
                let names: Vec<&str> = self.domain.iter().map(|c| c.column.as_str()).collect();
                let want = format!("pmw knows the columns of --domain only: {}", names.join(", "));
                return Err(Error::input("--where", format!("`{column}`"), want));
            };
            let value = value_among(&self.domain[at].values, value, column)?;
            if wanted[at].is_some_and(|other| other != value) {
                return Err(Error::input("--where", format!("two values of `{column}`"), "give one value a column"));
            }
            wanted[at] = Some(value);
        }
        Ok(Bits::from_fn(self.size()?, |element| {
            let mut rest = element;
            self.domain.iter().zip(&wanted).rev().all(|(column, wanted)| {
                let value = rest % column.values.len();
                rest /= column.values.len();
                wanted.is_none_or(|wanted| wanted == value)
            })
        }))
    }
}

/// A column as numbers; one of two names as 0 and 1, and dates, times and durations as what they count.
///
/// # Errors
/// A column of another type, a missing value.
pub fn numbers(table: &Table, column: &str) -> Result<Vec<f64>> {
    if !table.column(column)?.kind.is_numeric() && table.moment(column)?.is_none() {
        let found = table.categories(column, Missing::Error)?;
        if found.names.len() == 2 {
            return Ok(found.codes.into_iter().map(f64::from).collect());
        }
    }
    Ok(table.numeric(&[column], Missing::Error)?.into_raw_vec_and_offset().0)
}

/// An error if a name is there twice.
pub fn each_once(ids: &[String], what: &str) -> Result<()> {
    let mut seen = HashSet::with_capacity(ids.len());
    match ids.iter().find(|id| !seen.insert(id.trim())) {
        None => Ok(()),
        Some(id) => Err(Error::input(what, format!("`{id}` twice"), "each may be there once only")),
    }
}

/// The number of a value among names: as it is written, or as a number of the same value.
fn value_among(names: &[String], wanted: &str, column: &str) -> Result<usize> {
    let number = wanted.parse::<f64>().ok();
    let same = |name: &String| {
        let name = name.trim();
        name == wanted || number.is_some_and(|number| name.parse::<f64>().is_ok_and(|other| other == number))
    };
    names.iter().position(same).ok_or_else(|| {
        let near = crate::nearest(wanted, names.iter().map(String::as_str));
        Error::input(format!("column `{column}`"), format!("`{wanted}`"), format!("its values are {}", near.join(", ")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        Table::from_bytes("t.csv", b"a,b,c,y\n1,10,u,p\n2,30,v,q\n3,20,u,p\n4,40,,q\n".to_vec(), &[]).unwrap()
    }

    /// Rows 3 and 1 are held out.
    fn held_out() -> HeldOut {
        let domain = ["y", "a"].map(|column| Domain {
            column: column.to_owned(),
            values: table().categories(column, Missing::Error).unwrap().names,
        });
        HeldOut {
            target: Some("y".to_owned()),
            classes: vec!["p".to_owned(), "q".to_owned()],
            labels: vec![0, 1, 0, 1],
            id: Some("a".to_owned()),
            ids: ["1", "2", "3", "4"].map(str::to_owned).to_vec(),
            order: vec![0, 2, 3, 1],
            train: 2,
            domain: domain.into(),
        }
    }

    fn values(query: &dyn Query, rows: usize) -> Vec<f64> {
        (0..rows).map(|row| query.value(row)).collect()
    }

    #[test]
    fn questions_become_queries_over_the_rows_that_are_seen() {
        let (held, table) = (held_out(), table());
        let mean = held.mean(Seen::HeldOut, &numbers(&table, "b").unwrap(), (0.0, 35.0));
        assert_eq!(values(&mean, 2), [35.0, 30.0]);
        // Training means are 2 and 15.
        let correlation = held.correlation(Seen::All, &table, ["a", "b"]).unwrap();
        assert_eq!(values(&correlation, 4), [1.0, 1.0, 1.0, -1.0]);
        let both = HeldOut::fulfils(&table, &[("y", "q"), ("a", "2.0")], Missing::Error).unwrap();
        assert_eq!(values(&held.share(Seen::HeldOut, |row| both[row]), 2), [0.0, 1.0]);
        assert!(HeldOut::fulfils(&table, &[("c", "u")], Missing::Error).is_err());
        assert_eq!(HeldOut::fulfils(&table, &[("c", "")], Missing::Keep).unwrap(), [false, false, false, true]);
        assert_eq!(held.counts(&table, Missing::Error).unwrap(), [0, 0, 0, 0, 0, 1, 0, 1]);
        let marginal = held.marginal(&[("y", "q")]).unwrap();
        assert_eq!((0..8).map(|element| marginal.get(element)).collect::<Vec<_>>()[4..], [true; 4]);
        assert!(held.marginal(&[("b", "10")]).is_err() && held.marginal(&[("a", "1"), ("a", "2")]).is_err());
    }

    #[test]
    fn predictions_are_found_by_order_or_by_name() {
        let held = held_out();
        let of = |csv: &str| Table::from_bytes("p.csv", csv.as_bytes().to_vec(), &[]).unwrap();
        let named = of("a,y\n4,q\n2,p\n1,p\n3,p\n");
        assert_eq!(held.predictions_column(&named).unwrap(), "y");
        assert_eq!(held.right(&named, "y").unwrap(), [true, false, true, true]);
        assert_eq!(held.right(&of("guess\np\np\nq\nq\n"), "guess").unwrap(), [true, false, false, true]);
        for (both, column) in [("a,y,predicted\n4,q,q\n", "predicted"), ("a,predictions,y\n4,q,q\n", "predictions")] {
            assert_eq!(held.predictions_column(&of(both)).unwrap(), column);
        }
        for wrong in ["a,y\n4,q\n4,q\n1,p\n3,p\n", "y\np\nq\n", "a,y\n4,r\n2,p\n1,p\n3,p\n"] {
            assert!(held.right(&of(wrong), "y").is_err(), "{wrong}");
        }
        assert!(held.predictions_column(&of("u,v\n1,2\n")).is_err());
    }
}
