//! Columns of a file as a labelled table of numbers.

use super::columns::{ColumnUse, Nominal, Part, UsedColumn, Wish};
use super::target::spelt_alike;
use crate::data::{Categories, Column, ColumnType, Missing, Table, Values, write_resampled};
use crate::robust::{Labelled, Origin, Reads, Resampled};
use crate::{Error, Result, Silent};
use ndarray::{Array2, Axis};
use std::path::Path;

/// The columns of a file that a resampler sees, by name.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LabelledColumns {
    /// Each row's class.
    pub target: String,
    /// Numeric columns; empty: all numeric ones but the target and nominal ones.
    pub features: Vec<String>,
    /// Nominal columns.
    pub nominal: Nominal,
    /// A column of vectors in the place of numeric columns.
    pub embedding: Option<String>,
}

impl LabelledColumns {
    /// The columns that a method [`reads`](crate::robust::Resampler::reads) of a table, and as what.
    ///
    /// # Errors
    /// As [`ColumnUse::choose`].
    pub fn choose(&self, table: &Table, reads: Reads) -> Result<ColumnUse> {
        if self.embedding.is_some() && !(self.features.is_empty() && matches!(reads, Reads::Numeric | Reads::Nothing)) {
            let want = "vectors are all that is read: leave --features out, and take a method of numbers";
            return Err(Error::input("embedding", "other columns besides", want));
        }
        let embedding = self.embedding.iter().map(|name| (name.as_str(), Part::Embedding));
        let unread = match self.embedding {
            Some(_) => Some("points are made of something else"),
            None => (reads == Reads::Nothing).then_some("not read by this method"),
        };
        let wish = Wish {
            parts: std::iter::once((self.target.as_str(), Part::Target)).chain(embedding).collect(),
            features: &self.features,
            numbers: reads != Reads::Nominal || !self.features.is_empty(),
            rows_made: true,
            nominal: match &self.nominal {
                Nominal::Auto if reads == Reads::Numeric => Nominal::Named(Vec::new()),
                given => given.clone(),
            },
            nominal_truth: true,
            unread,
        };
        Ok(ColumnUse::choose(table, &wish)?.in_file_order(table))
    }

    /// The table of numbers with classes, with the columns that a method [`reads`](crate::robust::Resampler::reads);
    /// nominal columns hold category numbers. Columns are in the file's order. Columns that are named are always there.
    ///
    /// # Errors
    /// An unknown column, one of another type, a missing value; no column left.
    pub fn labelled(&self, table: &Table, reads: Reads) -> Result<Labelled> {
        self.read(table, &mut self.choose(table, reads)?, reads)
    }

    /// [`LabelledColumns::labelled`] of the columns that were [chosen](LabelledColumns::choose).
    ///
    /// # Errors
    /// As [`LabelledColumns::labelled`].
    pub fn read(&self, table: &Table, uses: &mut ColumnUse, reads: Reads) -> Result<Labelled> {
        let target = uses.categories(table, &self.target)?;
        let target = match table.column(&self.target)?.kind {
            ColumnType::Integer | ColumnType::Float => {
                let numbers = table.numeric(&[&self.target], Missing::Error)?;
                spelt_alike(target, Some(&numbers.column(0).to_vec()))
            }
            _ => target,
        };
        uses.look_at_classes(&self.target, &target);
        let Categories { codes: y, names: classes } = target;
        if reads == Reads::Nothing {
            let x = Array2::zeros((table.rows(), 1));
            return Ok(Labelled { x, y, classes, columns: Vec::new(), categorical: Vec::new() });
        }
        if let Some(name) = &self.embedding {
            let x = table.embedding(name)?.mapv(f64::from);
            let columns = (1..=x.ncols()).map(|i| format!("{name}[{i}]")).collect();
            return Ok(Labelled { x, y, classes, columns, categorical: Vec::new() });
        }
        let features = |used: &&UsedColumn| matches!(used.part, Part::Number | Part::Category);
        let features: Vec<UsedColumn> = uses.used.iter().filter(features).cloned().collect();
        if features.is_empty() {
            let want = match reads {
                Reads::Nominal => "this method reads nominal columns: name them, or use smote for numeric ones",
                _ => "this method reads numeric columns: name them, or use smote-n for nominal ones",
            };
            return Err(Error::input(format!("{}, columns", table.name()), "none to work on", want));
        }
        let numbers = uses.numbers(&[table], Part::Number, &Silent)?;
        let mut numbers = numbers.first().into_iter().flat_map(|x| x.axis_iter(Axis(1)));
        let mut x = Array2::zeros((table.rows(), features.len()));
        let mut categorical = Vec::new();
        for (c, (used, mut column)) in features.iter().zip(x.axis_iter_mut(Axis(1))).enumerate() {
            if used.part == Part::Category {
                let Categories { codes, .. } = uses.categories(table, &used.name)?;
                column.iter_mut().zip(codes).for_each(|(value, code)| *value = f64::from(code));
                categorical.push(c);
            } else if let Some(values) = numbers.next() {
                column.assign(&values);
            }
        }
        let columns = features.into_iter().map(|used| used.name).collect();
        Ok(Labelled { x, y, classes, columns, categorical })
    }
}

fn is_names(table: &Table, column: &Column) -> Result<bool> {
    Ok(match column.kind {
        ColumnType::Boolean | ColumnType::Category => true,
        ColumnType::Text => 2 * table.categories(&column.name, Missing::Keep)?.names.len() <= table.rows(),
        _ => false,
    })
}

/// The columns of a file that the method did not see: what its new rows have there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Unseen {
    /// Names and categories: the value of the nearer of the two rows that a new row lies between.
    pub copied: Vec<String>,
    /// Numbers, free text, dates and the like: nothing.
    pub empty: Vec<String>,
}

impl Unseen {
    /// Those that have no part.
    ///
    /// # Errors
    /// A column that cannot be read.
    pub fn of(table: &Table, uses: &ColumnUse, data: &Labelled) -> Result<Unseen> {
        let mut unseen = Unseen::default();
        let made = |used: &UsedColumn| matches!(used.part, Part::Target | Part::Embedding);
        let made: Vec<&String> = uses.used.iter().filter(|used| made(used)).map(|used| &used.name).collect();
        let seen = |name: &String| made.contains(&name) || data.columns.contains(name);
        for column in table.columns().iter().filter(|column| !seen(&column.name)) {
            let to = if is_names(table, column)? { &mut unseen.copied } else { &mut unseen.empty };
            to.push(column.name.clone());
        }
        Ok(unseen)
    }
}

/// The value of the nearer parent of each synthetic row, or of the other where that one has none.
fn of_nearer_parent(table: &Table, name: &str, made: &Resampled) -> Result<Values> {
    let Categories { codes, names } = table.categories(name, Missing::Keep)?;
    let missing = |row: usize| names[codes[row] as usize].trim().is_empty();
    let pick = |origin: &Origin| match *origin {
        Origin::Kept(_) => None,
        Origin::Synthetic { base, neighbour, gap } => {
            let (near, far) = if gap <= 0.5 { (base, neighbour) } else { (neighbour, base) };
            Some(codes[if missing(near) { far } else { near }])
        }
        Origin::Drawn { near } => Some(codes[near]),
    };
    Ok(Values::Category { codes: made.origin.iter().filter_map(pick).collect(), names })
}

/// Writes kept rows as they are, then the synthetic ones, whose values fit their columns' types (whole numbers are
/// rounded, booleans the nearer of the two), with what [`Unseen`] says in columns that the method did not see; in those
/// that it saw no value is missing.
///
/// # Errors
/// A file that cannot be written.
pub fn save_resampled(table: &Table, uses: &ColumnUse, data: &Labelled, made: &Resampled, path: &Path) -> Result<()> {
    let kept: Vec<usize> =
        made.origin.iter().filter_map(|o| if let Origin::Kept(row) = o { Some(*row) } else { None }).collect();
    let mut columns = Vec::with_capacity(data.columns.len() + 1);
    let vectors = uses.names(Part::Embedding).first().map(|name| (*name).to_owned());
    let numbers = if vectors.is_some() { &[][..] } else { &data.columns };
    columns.extend(vectors.map(|name| (name, Values::Vectors(made.synthetic.clone()))));
    for (c, name) in numbers.iter().enumerate() {
        let values = made.synthetic.column(c);
        columns.push((
            name.clone(),
            if data.categorical.contains(&c) {
                let Categories { names, .. } = uses.clone().categories(table, name)?;
                let codes = values.iter().map(|v| *v as u32).collect();
                Values::Category { codes: named(codes, &names, data, c, made), names }
            } else {
                Values::Float(values.to_vec())
            },
        ));
    }
    let wrong = || Error::input("target", "nothing", "name the column of classes");
    let target = uses.names(Part::Target).first().copied().ok_or_else(wrong)?;
    if made.synthetic.nrows() > 0 {
        for name in Unseen::of(table, uses, data)?.copied {
            let values = of_nearer_parent(table, &name, made)?;
            columns.push((name, values));
        }
    }
    let classes = made.origin.iter().zip(&made.y).filter(|(o, _)| !matches!(o, Origin::Kept(_))).map(|(_, y)| *y);
    let classes = Values::Category { codes: classes.collect(), names: data.classes.clone() };
    columns.push((target.to_owned(), classes));
    write_resampled(table, &kept, &columns, path)
}

/// Where no name is a category of its own, neighbours can agree on it; a new row then takes the name of the row it was
/// made of, or of its neighbour, or the most frequent one: what was not seen is never made up as missing.
fn named(mut codes: Vec<u32>, names: &[String], data: &Labelled, column: usize, made: &Resampled) -> Vec<u32> {
    let Some(missing) = names.iter().position(String::is_empty).map(|at| at as u32) else { return codes };
    let column: Vec<u32> = data.x.column(column).iter().map(|v| *v as u32).collect();
    let mut counts = vec![0usize; names.len()];
    column.iter().filter(|code| **code != missing).for_each(|code| counts[*code as usize] += 1);
    let most =
        counts.iter().enumerate().max_by_key(|(at, n)| (**n, usize::MAX - at)).map_or(missing, |(at, _)| at as u32);
    let new = made.origin.iter().filter(|origin| !matches!(origin, Origin::Kept(_)));
    for (code, origin) in codes.iter_mut().zip(new).filter(|(code, _)| **code == missing) {
        let near = match *origin {
            Origin::Synthetic { base, neighbour, .. } => vec![base, neighbour],
            Origin::Drawn { near } => vec![near],
            Origin::Kept(_) => Vec::new(),
        };
        let seen = near.into_iter().filter_map(|row| column.get(row).copied()).find(|code| *code != missing);
        *code = seen.unwrap_or(most);
    }
    codes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::OnMissing;
    use crate::numeric::impute::Fill;
    use ndarray::array;

    fn table() -> Table {
        let csv = b"id,age,city,y\na,1,Rome,0\nb,2,Oslo,1\nc,3,Rome,0\nd,4,Oslo,0\n".to_vec();
        Table::from_bytes("t.csv", csv, &[]).unwrap()
    }

    #[test]
    fn free_text_is_not_nominal_and_columns_keep_their_order() {
        let columns = LabelledColumns { target: "y".into(), ..LabelledColumns::default() };
        let data = columns.labelled(&table(), Reads::Mixed).unwrap();
        assert_eq!(data.columns, ["age", "city"]);
        assert_eq!(data.categorical, [1]);
        assert_eq!(data.x, array![[1.0, 1.0], [2.0, 0.0], [3.0, 1.0], [4.0, 0.0]]);
        assert_eq!((data.y, data.classes), (vec![0, 1, 0, 0], vec!["0".to_owned(), "1".to_owned()]));

        let named = LabelledColumns { nominal: Nominal::Named(vec!["age".into()]), ..columns };
        let data = named.labelled(&table(), Reads::Nominal).unwrap();
        assert_eq!((data.columns, data.categorical), (vec!["age".to_owned()], vec![0]));
    }

    /// A method of numbers does not see the city: new rows have that of the row they are nearer to, and of the other one
    /// where it is missing there.
    #[test]
    fn unseen_names_come_from_the_nearer_parent() {
        let csv = b"id,age,city,y\na,1,Rome,0\nb,2,Oslo,1\nc,3,Rome,0\nd,4,,1\ne,5,Rome,0\nf,6,Oslo,0\n".to_vec();
        let table = Table::from_bytes("t.csv", csv, &[]).unwrap();
        let columns = LabelledColumns { target: "y".into(), ..LabelledColumns::default() };
        let data = columns.labelled(&table, Reads::Numeric).unwrap();
        assert_eq!(
            Unseen::of(&table, &columns.choose(&table, Reads::Numeric).unwrap(), &data).unwrap(),
            Unseen { copied: vec!["city".into()], empty: vec!["id".into()] }
        );
        let from = |base, neighbour, gap| Origin::Synthetic { base, neighbour, gap };
        let made = Resampled {
            origin: vec![Origin::Kept(0), from(0, 1, 0.2), from(0, 1, 0.8), from(3, 1, 0.1)],
            synthetic: array![[1.0], [2.0], [4.0]],
            y: vec![0, 1, 1, 1],
            notes: Vec::new(),
        };
        let path = std::env::temp_dir().join(format!("quadrat-glue-nearer-{}.csv", std::process::id()));
        save_resampled(&table, &columns.choose(&table, Reads::Numeric).unwrap(), &data, &made, &path).unwrap();
        let written = std::fs::read_to_string(&path).unwrap();
        assert_eq!(written, "id,age,city,y\na,1,Rome,0\n,1,Rome,1\n,2,Oslo,1\n,4,Oslo,1\n");
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn synthetic_rows_leave_unseen_columns_empty() {
        let columns = LabelledColumns { target: "y".into(), ..LabelledColumns::default() };
        let mut uses = columns.choose(&table(), Reads::Mixed).unwrap();
        let data = columns.read(&table(), &mut uses, Reads::Mixed).unwrap();
        let made = Resampled {
            origin: vec![Origin::Kept(1), Origin::Synthetic { base: 1, neighbour: 1, gap: 0.5 }],
            synthetic: array![[2.5, 0.0]],
            y: vec![1, 1],
            notes: Vec::new(),
        };
        let path = std::env::temp_dir().join(format!("quadrat-glue-{}.csv", std::process::id()));
        save_resampled(&table(), &uses, &data, &made, &path).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "id,age,city,y\nb,2,Oslo,1\n,3,Oslo,1\n");
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_new_row_never_lacks_a_name() {
        let csv = b"age,city,y\n1,,1\n2,,1\n3,Rome,1\n4,Oslo,0\n5,Rome,0\n".to_vec();
        let table = Table::from_bytes("t.csv", csv, &[]).unwrap();
        let columns = LabelledColumns {
            target: "y".into(),
            nominal: Nominal::Named(vec!["city".into()]),
            ..LabelledColumns::default()
        };
        let mut uses = columns.choose(&table, Reads::Mixed).unwrap();
        let table = uses.settle(&table, OnMissing::Category).unwrap();
        let data = columns.read(&table, &mut uses, Reads::Mixed).unwrap();
        assert_eq!(data.x.column(1).to_vec(), [0.0, 0.0, 2.0, 1.0, 2.0]);
        let made = Resampled {
            origin: vec![
                Origin::Synthetic { base: 0, neighbour: 2, gap: 0.5 },
                Origin::Synthetic { base: 0, neighbour: 1, gap: 0.5 },
                Origin::Synthetic { base: 0, neighbour: 3, gap: 0.5 },
            ],
            synthetic: array![[2.0, 0.0], [1.5, 0.0], [2.5, 0.0]],
            y: vec![1, 1, 1],
            notes: Vec::new(),
        };
        let path = std::env::temp_dir().join(format!("quadrat-glue-names-{}.csv", std::process::id()));
        save_resampled(&table, &uses, &data, &made, &path).unwrap();
        let written = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!(written, "age,city,y\n2,Rome,1\n2,Rome,1\n3,Oslo,1\n");
        let imputed = columns.choose(&table, Reads::Mixed).unwrap();
        let mut imputed = ColumnUse { on_missing: OnMissing::Impute(Fill::Median), ..imputed };
        assert_eq!(
            columns.read(&table, &mut imputed, Reads::Mixed).unwrap().x.column(1).to_vec(),
            [1.0, 1.0, 1.0, 0.0, 1.0]
        );
    }
}
