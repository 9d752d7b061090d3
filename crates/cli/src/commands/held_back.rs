//! Rows held back: stratified, by groups or by time, and what is to be said of it.

use crate::output::count;
use quadrat::data::{ColumnType, Missing, Table};
use quadrat::numeric::metrics::Split;
use quadrat::numeric::splits;
use quadrat::{Error, Result, Seed};

/// Which rows are held back.
pub struct HoldBack<'a> {
    /// About how many of them; 0 for none.
    pub share: f64,
    /// Column of groups that stay together.
    pub groups: Option<&'a str>,
    /// Column of times, of which the latest are held back.
    pub time: Option<&'a str>,
    /// Whether there should be rows of every class.
    pub all_classes: bool,
    pub seed: Seed,
}

/// What is said of a split.
pub struct How {
    /// For programs: classes, groups, time or chance.
    pub by: &'static str,
    pub note: String,
    pub warnings: Vec<String>,
}

impl HoldBack<'_> {
    /// Split rows of a table, if there is one, that have these classes (of each row, and their names), if any.
    pub fn split(
        &self,
        table: Option<&Table>,
        classes: Option<(&[u32], &[String])>,
        rows: usize,
    ) -> Result<Option<(Split, How)>> {
        if self.share == 0.0 {
            return match self.groups.or(self.time) {
                Some(name) => Err(Error::input("--validation", 0, format!("above 0, to hold rows back by `{name}`"))),
                None => Ok(None),
            };
        }
        let seed = self.seed.stream("validation");
        let (split, by, how) = match (table, self.groups, self.time, classes) {
            (Some(table), Some(name), _, _) => {
                let groups = table.categories(name, Missing::Error)?;
                let split = splits::by_groups(&groups.codes, self.share, seed)?;
                let held = splits::absent(&groups.codes, &split.train, groups.names.len()).len();
                let how = format!("{} of {} groups of `{name}`", count(held), count(groups.names.len()));
                (split, "groups", how)
            }
            (Some(table), _, Some(name), _) => {
                let split = splits::by_time(&times(table, name)?, self.share)?;
                (split, "time", format!("the latest by `{name}`"))
            }
            (.., Some((labels, _))) => {
                (splits::stratified(labels, self.share, seed)?, "classes", "class by class".to_owned())
            }
            _ => (splits::drawn(rows, self.share, seed)?, "chance", "drawn at random".to_owned()),
        };
        let mut warnings = Vec::new();
        if let Some((labels, names)) = classes {
            for (rows, part, so) in [
                (&split.test, "held back", "nothing is measured of it"),
                (&split.train, "trained on", "it cannot be learnt"),
            ] {
                let mut absent = splits::absent(labels, rows, names.len());
                absent.retain(|class| self.all_classes || labels.contains(class));
                if !absent.is_empty() {
                    let some: Vec<String> =
                        absent.iter().take(5).map(|c| format!("`{}`", names[*c as usize])).collect();
                    let more = if absent.len() > 5 { format!(" and {} more", absent.len() - 5) } else { String::new() };
                    warnings.push(format!("no row of class {}{more} is {part}: {so}", some.join(", ")));
                }
            }
        }
        let note = format!("held back: {} of {} rows, {how}", count(split.test.len()), count(rows));
        Ok(Some((split, How { by, note, warnings })))
    }
}

/// A column as points in time: numbers, or dates and times, all with a zone or none.
pub fn times(table: &Table, name: &str) -> Result<Vec<f64>> {
    let number = matches!(table.column(name)?.kind, ColumnType::Integer | ColumnType::Float);
    if !number && table.moment(name)?.is_none() {
        let want = "a time is a number, or a date such as 2024-07-01 or 2024-07-01T09:30:00, alike in all rows";
        return Err(Error::input(format!("{}, column `{name}`", table.name()), "no times", want));
    }
    Ok(table.numeric(&[name], Missing::Error)?.column(0).to_vec())
}
