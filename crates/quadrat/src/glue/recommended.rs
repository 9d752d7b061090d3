//! From tables to what recommenders learn from.

use crate::data::{ColumnType, Labels, Missing, Table, atomic};
use crate::retrieval::recommend::{Features, Field, Interactions};
use crate::{Error, Result};
use ndarray::{Array2, Axis, concatenate};
use std::collections::HashMap;

/// Columns that say who liked what, by the names they have in the file (of RecBole's atomic files without what stands behind the colon).
#[derive(Debug, Clone, Default)]
pub struct LogColumns {
    /// Who.
    pub user: String,
    /// What.
    pub item: String,
    /// How much, such as a rating.
    pub weight: Option<String>,
    /// Rows whose weight is below are left out; without it all rows count.
    pub at_least: Option<f64>,
    /// When, as a number.
    pub time: Option<String>,
}

/// Who liked what, with the names that the file has for them.
#[derive(Debug, Clone)]
pub struct Log {
    /// By numbers.
    pub interactions: Interactions,
    /// The users' names.
    pub users: Vec<String>,
    /// The items' names.
    pub items: Vec<String>,
}

/// What a table knows of its rows.
#[derive(Debug, Clone)]
pub struct Known {
    /// The rows' names.
    pub names: Vec<String>,
    fields: Vec<Field>,
    dense: Option<Array2<f64>>,
    /// What was left out, a sentence each.
    pub notes: Vec<String>,
}

impl LogColumns {
    /// Reads the log. Users and items have the numbers of `users` and `items` where these are known; those that are not come behind.
    ///
    /// # Errors
    /// An unknown column; a row without a user or item; a weight or time that is no number; no row left.
    pub fn read(&self, table: &Table, users: Option<&Known>, items: Option<&Known>) -> Result<Log> {
        let (user_column, item_column) = (column(table, &self.user)?, column(table, &self.item)?);
        let (who, what) = (table.strings(&user_column)?, table.strings(&item_column)?);
        let numbers = |name: &String| Ok(table.numeric(&[column(table, name)?], Missing::Error)?.column(0).to_vec());
        let weights: Option<Vec<f64>> = self.weight.as_ref().map(numbers).transpose()?;
        let times: Option<Vec<f64>> = self.time.as_ref().map(numbers).transpose()?;
        let least = self.at_least.unwrap_or(f64::NEG_INFINITY);
        let kept: Vec<usize> =
            (0..who.len()).filter(|row| weights.as_ref().is_none_or(|weights| weights[*row] >= least)).collect();
        if kept.is_empty() {
            let why = format!("no row has at least {least} in `{}`", self.weight.as_deref().unwrap_or_default());
            return Err(Error::data(table.name(), None, why));
        }
        let mut users = Numbers::of(users);
        let mut items = Numbers::of(items);
        let mut pairs = Vec::with_capacity(kept.len());
        for row in &kept {
            for (name, column) in [(&who[*row], &self.user), (&what[*row], &self.item)] {
                if name.is_empty() || name.contains(['\n', '\r']) {
                    let why = format!("column `{column}`: a name of one line is needed");
                    return Err(Error::data(table.name(), table.line(*row), why));
                }
            }
            pairs.push((users.number(&who[*row]), items.number(&what[*row])));
        }
        let times = times.map(|times| kept.iter().map(|row| times[*row]).collect());
        let interactions = Interactions::new(users.names.len(), items.names.len(), pairs, times)?;
        Ok(Log { interactions, users: users.names, items: items.names })
    }
}

impl Known {
    /// Reads the `fields` of a table whose rows are named by the column `id`; all other columns where none is named. Columns of
    /// fractions are numbers; all others are categories, of which a cell may hold several: between `|`, as a list, or in RecBole's
    /// sequences between spaces. Where no field is named, columns that have another value in nearly every row (titles) are left out, and
    /// so are those that hold something else than names and numbers.
    ///
    /// # Errors
    /// An unknown column; a row without a name, or with that of another row.
    pub fn read(table: &Table, id: &str, fields: &[String]) -> Result<Known> {
        let id = column(table, id)?;
        let names = table.strings(&id)?;
        let mut seen = HashMap::new();
        for (row, name) in names.iter().enumerate() {
            if name.is_empty() || seen.insert(name.as_str(), row).is_some() {
                let why = format!("column `{id}`: `{name}`; every row needs a name of its own");
                return Err(Error::data(table.name(), table.line(row), why));
            }
        }
        let wanted: Vec<String> = match fields {
            [] => table.column_names().into_iter().filter(|name| *name != id).map(str::to_owned).collect(),
            named => named.iter().map(|name| column(table, name)).collect::<Result<_>>()?,
        };
        let mut known = Known { fields: Vec::new(), dense: None, notes: Vec::new(), names };
        for name in &wanted {
            let short = atomic::column(name).map_or(name.as_str(), |(short, _)| short);
            match (atomic::column(name).map(|(_, kind)| kind), table.column(name)?.kind) {
                (Some(atomic::Kind::Number), _) | (None, ColumnType::Float) => {
                    let numbers = table.numeric(&[name], Missing::Keep)?;
                    let before = known.dense.take().unwrap_or_else(|| Array2::zeros((known.names.len(), 0)));
                    let both = concatenate(Axis(1), &[before.view(), numbers.view()]);
                    known.dense = Some(both.map_err(|e| Error::numeric("columns of numbers", e.to_string()))?);
                }
                (Some(atomic::Kind::Numbers), _) | (None, ColumnType::Embedding(_) | ColumnType::Other) => {
                    known
                        .notes
                        .push(format!("{}: column `{short}` holds neither names nor single numbers", table.name()));
                }
                (kind, _) => {
                    let separator = if kind == Some(atomic::Kind::Tokens) { " " } else { "|" };
                    let field = field(short, table.labels(name, Some(separator))?);
                    match fields.is_empty() && field.names_rows() {
                        true => known.notes.push(format!(
                            "{}: column `{short}` has another value in nearly every row and tells nothing of what rows \
                             have in common; it is left out, unless it is named among the fields",
                            table.name()
                        )),
                        false => known.fields.push(field),
                    }
                }
            }
        }
        Ok(known)
    }

    /// The features of the log's users or items, whose names must begin with those of the table; the others have none.
    ///
    /// # Errors
    /// As [`Features::new`].
    pub fn features(&self, names: &[String]) -> Result<Features> {
        let more = names.len().saturating_sub(self.names.len());
        let mut fields = self.fields.clone();
        fields.iter_mut().for_each(|field| (0..more).for_each(|_| field.values.push([])));
        let dense = self.dense.as_ref().map(|dense| {
            Array2::from_shape_fn((names.len(), dense.ncols()), |(i, j)| dense.get([i, j]).copied().unwrap_or(f64::NAN))
        });
        Features::new(names.len(), fields, dense)
    }
}

/// Names with their numbers.
struct Numbers {
    names: Vec<String>,
    of: HashMap<String, u32>,
}

impl Numbers {
    fn of(known: Option<&Known>) -> Numbers {
        let names = known.map_or(Vec::new(), |known| known.names.clone());
        Numbers { of: names.iter().cloned().zip(0..).collect(), names }
    }

    fn number(&mut self, name: &str) -> u32 {
        if let Some(number) = self.of.get(name) {
            return *number;
        }
        let number = self.names.len() as u32;
        self.names.push(name.to_owned());
        self.of.insert(name.to_owned(), number);
        number
    }
}

/// A column by its name, or by its name without the kind.
fn column(table: &Table, name: &str) -> Result<String> {
    let short = |full: &&str| atomic::column(full).is_some_and(|(short, _)| short == name);
    match table.column_names().into_iter().find(short) {
        Some(full) => Ok(full.to_owned()),
        None => table.column(name).map(|column| column.name.clone()),
    }
}

/// Values are numbered from 1.
fn field(name: &str, mut labels: Labels) -> Field {
    labels.rows.items_mut().iter_mut().for_each(|value| *value += 1);
    Field { name: name.to_owned(), size: labels.names.len(), values: labels.rows }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_become_numbers() {
        let csv = "id,genre,year,price,title\na,x|y,1990,1.5,One\nb,y,1990,,Two\nc,?,1995,2.5,Three\n";
        let items = Table::from_bytes("items.csv", csv.into(), &[]).unwrap();
        let known = Known::read(&items, "id", &[]).unwrap();
        assert!(known.notes[0].contains("`title`"), "{:?}", known.notes);
        let log = Table::from_bytes("log.csv", "who,what,stars,day\n1,b,5,3\n2,d,4,1\n1,a,2,2\n".into(), &[]).unwrap();
        let columns = LogColumns {
            user: "who".into(),
            item: "what".into(),
            weight: Some("stars".into()),
            at_least: Some(4.0),
            time: Some("day".into()),
        };
        let log = columns.read(&log, None, Some(&known)).unwrap();
        assert_eq!(
            (log.interactions.pairs(), &log.users[..]),
            (&[(0, 1), (1, 3)][..], &["1", "2"].map(String::from)[..])
        );
        assert_eq!(log.items, ["a", "b", "c", "d"]);
        let features = known.features(&log.items).unwrap();
        let genre: Vec<&[u32]> = features.fields()[0].values.iter().collect();
        assert_eq!(genre, [&[1, 2][..], &[2], &[], &[]]);
        assert_eq!((features.fields().len(), features.dense().unwrap().dim()), (2, (4, 1)));

        let wrong = |columns: LogColumns| {
            let log = Table::from_bytes("log.csv", "who,what,stars\n1,b,5\n,d,4\n".into(), &[]).unwrap();
            columns.read(&log, None, None).unwrap_err().to_string()
        };
        let columns = LogColumns { user: "who".into(), item: "what".into(), ..LogColumns::default() };
        assert!(wrong(columns.clone()).contains("log.csv:3: column `who`"));
        assert!(wrong(LogColumns { item: "wat".into(), ..columns.clone() }).contains("`what`"));
        let none = LogColumns { weight: Some("stars".into()), at_least: Some(6.0), ..columns };
        assert!(wrong(none).contains("no row has at least 6"));
        let twice = Table::from_bytes("items.csv", "id,x\na,1\na,2\n".into(), &[]).unwrap();
        assert!(Known::read(&twice, "id", &[]).unwrap_err().to_string().contains("items.csv:3"));
    }
}
