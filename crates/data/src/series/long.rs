//! Series from a table: a row for each series and time.

use super::{Series, SeriesSet};
use crate::{Categories, Missing, Table};
use ndarray::Array2;
use quadrat_core::{Error, Result};

impl SeriesSet {
    /// The series that `id` tells apart, in the order of their first rows, at the times in `time`, with the numbers in
    /// `channels` (none: all numeric columns that are nothing else) and the class in `label`, which must be one for all rows of a
    /// series.
    ///
    /// # Errors
    /// A column that is unknown or of another type; with its line: a missing time or class, times that do not rise strictly, two
    /// classes in one series.
    pub fn from_table(table: &Table, id: &str, time: &str, label: Option<&str>, channels: &[String]) -> Result<Self> {
        let channels: Vec<String> = match channels {
            [] => {
                let other = |name: &&str| *name != id && *name != time && Some(*name) != label;
                table.numeric_columns().into_iter().filter(other).map(str::to_owned).collect()
            }
            some => some.to_vec(),
        };
        if channels.is_empty() {
            return Err(Error::input(table.name(), "no numeric column beside id and time", "at least one channel"));
        }
        let Categories { codes: ids, names } = table.categories(id, Missing::Error)?;
        let times = table.numeric(&[time], Missing::Error)?;
        let numbers = table.numeric(&channels, Missing::Keep)?;
        let classes = label.map(|label| table.categories(label, Missing::Error)).transpose()?;
        let wrong = |row: usize, why: String| Error::data(table.name(), table.line(row), why);
        let mut rows: Vec<Vec<usize>> = vec![Vec::new(); names.len()];
        for (row, id) in ids.iter().enumerate() {
            let own = &mut rows[*id as usize];
            let name = || format!("series `{}`", names[*id as usize]);
            if let Some(&before) = own.last() {
                let (now, then) = (times[[row, 0]], times[[before, 0]]);
                if now <= then {
                    let how = if now == then { "twice" } else { "after a later one" };
                    return Err(wrong(
                        row,
                        format!("{}: time {now} {how}; sort the rows by `{time}`, one each", name()),
                    ));
                }
                if let Some(classes) = classes.as_ref().filter(|classes| classes.codes[row] != classes.codes[before]) {
                    let [a, b] = [before, row].map(|row| &classes.names[classes.codes[row] as usize]);
                    return Err(wrong(row, format!("{} has classes `{a}` and `{b}`: a series has one", name())));
                }
            }
            own.push(row);
        }
        // Categories are in the order of their first rows, which a file of one part keeps; several parts need not.
        let mut order: Vec<usize> = (0..names.len()).filter(|id| !rows[*id].is_empty()).collect();
        order.sort_by_key(|id| rows[*id][0]);
        let one = |id: usize| Series {
            name: names[id].clone(),
            times: rows[id].iter().map(|row| times[[*row, 0]]).collect(),
            values: Array2::from_shape_fn((rows[id].len(), channels.len()), |(t, c)| numbers[[rows[id][t], c]]),
            class: classes.as_ref().map(|classes| classes.codes[rows[id][0]]),
        };
        let series: Vec<Series> = order.into_iter().map(one).collect();
        if series.is_empty() {
            return Err(Error::input(table.name(), "no rows", "at least one series"));
        }
        let classes = classes.map_or_else(Vec::new, |classes| classes.names);
        Ok(SeriesSet { name: table.name().to_owned(), channels, classes, series, notes: Vec::new() }.with_notes())
    }
}
