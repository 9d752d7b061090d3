//! Columns of a file as a pool to choose from.

use super::features;
use crate::data::text::{Lsa, TextEncoder};
use crate::data::{Missing, Table, Values, write_selection};
use crate::numeric::Points;
use crate::select::{Needs, Pool, Selection};
use crate::{Error, Progress, Result, Seed};
use ndarray::{Array2, Axis, concatenate};
use std::path::Path;

/// The columns of a file that a selector sees, by name.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PoolColumns {
    /// Each row's class.
    pub target: Option<String>,
    /// Numeric columns; empty: all numeric ones without another part.
    pub features: Vec<String>,
    /// Text columns, joined and turned into features.
    pub text: Vec<String>,
    /// How text becomes features.
    pub encoder: Lsa,
    /// A column of vectors, or an `.npy` file with one row for each row of the table.
    pub embedding: Option<String>,
    /// Each row's quality; larger is better.
    pub score: Option<String>,
    /// Each row's labels.
    pub labels: Option<String>,
    /// Whether numeric columns get mean 0 and standard deviation 1 (constant ones are dropped). Embeddings and
    /// features from text are taken as they are.
    pub standardise: bool,
}

impl PoolColumns {
    /// The pool: everything that is named, and what `needs` asks for. Columns that are neither are not decoded.
    ///
    /// # Errors
    /// An unknown column, one of another type, a missing value; more than one source of points.
    pub fn pool(&self, table: &Table, needs: Needs, seed: Seed, progress: &dyn Progress) -> Result<Pool> {
        let named = self.embedding.is_some() || !self.text.is_empty() || !self.features.is_empty();
        let for_labels = needs.points_for_labels && self.labels.is_none();
        let mut pool = Pool::of_rows(table.rows());
        if needs.points || named || for_labels {
            pool.points = Some(self.points(table, seed, progress)?);
        }
        if let Some(score) = &self.score {
            pool.scores = Some(table.numeric(&[score], Missing::Error)?.into_raw_vec_and_offset().0);
        }
        if let Some(target) = &self.target {
            pool.classes = Some(table.categories(target, Missing::Error)?.codes);
        }
        if let Some(labels) = &self.labels {
            pool.labels = Some(table.labels(labels, None)?.rows);
        }
        Ok(pool)
    }

    /// The rows' points: embeddings, features from text, or numeric columns.
    ///
    /// # Errors
    /// As [`PoolColumns::pool`], and when there is nothing to make points of.
    pub fn points(&self, table: &Table, seed: Seed, progress: &dyn Progress) -> Result<Points> {
        self.joint_points(&[table], seed, progress)
    }

    /// The points of several tables' rows, one table after the other: texts are encoded and numbers standardised
    /// together, so that rows of different tables can be compared.
    ///
    /// # Errors
    /// As [`PoolColumns::points`], a column that one of the tables lacks, embeddings of different widths, an embedding
    /// from a file with more than one table.
    pub fn joint_points(&self, tables: &[&Table], seed: Seed, progress: &dyn Progress) -> Result<Points> {
        let sources = [self.embedding.is_some(), !self.text.is_empty(), !self.features.is_empty()];
        if sources.iter().filter(|given| **given).count() > 1 {
            let want = "rows get their points from one of embedding, text and features";
            return Err(Error::input("columns", "more than one of the three", want));
        }
        if let Some(embedding) = &self.embedding {
            if tables.len() > 1 && tables.iter().any(|table| table.column(embedding).is_err()) {
                let want = "with more than one file, name a column that all of them have";
                return Err(Error::input("embedding", format!("`{embedding}`"), want));
            }
            let parts = tables.iter().map(|table| embedded(table, embedding)).collect::<Result<Vec<_>>>()?;
            return Ok(Points::F32(stacked(parts, embedding)?));
        }
        if !self.text.is_empty() {
            let mut texts = Vec::new();
            for table in tables {
                texts.append(&mut joined(table, &self.text)?);
            }
            return Ok(Points::F32(self.encoder.encode(&texts, seed.stream("text"), progress)?));
        }
        let Some(first) = tables.first() else {
            return Err(Error::input("tables", "none", "give at least one"));
        };
        let taken: Vec<&str> =
            [&self.target, &self.score, &self.labels].into_iter().flatten().map(String::as_str).collect();
        let names = features(first, &self.features, &taken)?;
        if names.is_empty() {
            let want = "name text columns or an embedding column, or give a file with numeric columns";
            return Err(Error::input(format!("{}, features", first.name()), "no numeric columns", want));
        }
        let parts = tables.iter().map(|table| table.numeric(&names, Missing::Error)).collect::<Result<Vec<_>>>()?;
        let numbers = stacked(parts, "features")?;
        Ok(Points::F64(if self.standardise { standardised(numbers) } else { numbers }))
    }
}

/// The rows of all parts, one after the other; a single part is not copied.
fn stacked<T: Clone>(mut parts: Vec<Array2<T>>, what: &str) -> Result<Array2<T>> {
    if let [_] = parts.as_slice() {
        return Ok(parts.remove(0));
    }
    let views: Vec<_> = parts.iter().map(|part| part.view()).collect();
    concatenate(Axis(0), &views).map_err(|_| {
        let widths: Vec<String> = parts.iter().map(|part| part.ncols().to_string()).collect();
        Error::input(what, format!("{} numbers a row", widths.join(" and ")), "all files must have equally many")
    })
}

/// The text columns of each row, one paragraph a column.
fn joined(table: &Table, columns: &[String]) -> Result<Vec<String>> {
    let mut texts = vec![String::new(); table.rows()];
    for column in columns {
        for (text, part) in texts.iter_mut().zip(table.strings(column)?) {
            if !text.is_empty() {
                text.push('\n');
            }
            text.push_str(&part);
        }
    }
    Ok(texts)
}

fn embedded(table: &Table, embedding: &str) -> Result<Array2<f32>> {
    if !embedding.ends_with(".npy") || table.column(embedding).is_ok() {
        return table.embedding(embedding);
    }
    let beside = table.open_beside(embedding)?;
    if beside.rows() != table.rows() {
        let want = format!("{} has {} rows", table.name(), table.rows());
        return Err(Error::input(embedding, format!("{} rows", beside.rows()), want));
    }
    let column = beside.columns().first().map(|c| c.name.clone()).unwrap_or_default();
    beside.embedding(&column)
}

/// Mean 0 and standard deviation 1 in each column; constant columns are dropped.
fn standardised(mut x: Array2<f64>) -> Array2<f64> {
    let rows = x.nrows().max(1) as f64;
    let mut kept = Vec::with_capacity(x.ncols());
    for (c, mut column) in x.axis_iter_mut(Axis(1)).enumerate() {
        let mean = column.sum() / rows;
        column -= mean;
        let deviation = (column.iter().map(|v| v * v).sum::<f64>() / rows).sqrt();
        // Relative to the mean: rounding leaves a residue in a constant column of large numbers.
        if deviation > 1e-12 * mean.abs() {
            column /= deviation;
            kept.push(c);
        }
    }
    if kept.len() < x.ncols() { x.select(Axis(1), &kept) } else { x }
}

/// Writes the chosen rows as they are, in the order of the choice, with a column `weight` where the method gives
/// weights.
///
/// # Errors
/// A table that has a column `weight` already while the method gives weights; a file that cannot be written.
pub fn save_selection(table: &Table, chosen: &Selection, path: &Path) -> Result<()> {
    let weights = chosen.weights.iter().map(|w| ("weight".to_owned(), Values::Float(w.clone())));
    write_selection(table, &chosen.indices, &weights.collect::<Vec<_>>(), path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Silent;
    use ndarray::array;

    const POINTS: Needs =
        Needs { points: true, scores: false, classes: false, labels: false, raw: false, points_for_labels: false };

    #[test]
    fn constant_columns_go_and_others_get_unit_spread() {
        let x = standardised(array![[1.0, 1e9, 5.0], [3.0, 1e9, 5.0], [5.0, 1e9, 8.0]]);
        assert_eq!(x.dim(), (3, 2));
        for column in x.columns() {
            assert!(column.sum().abs() < 1e-12);
            assert!((column.mapv(|v| v * v).sum() / 3.0 - 1.0).abs() < 1e-12);
        }
        assert_eq!(standardised(array![[2.0], [2.0]]).ncols(), 0);
    }

    #[test]
    fn columns_get_their_parts() {
        let csv = b"a,b,q,y,tags\n1,2,0.5,u,x;z\n3,5,0.25,v,z\n".to_vec();
        let table = Table::from_bytes("t.csv", csv, &[]).unwrap();
        let columns = PoolColumns {
            target: Some("y".into()),
            score: Some("q".into()),
            labels: Some("tags".into()),
            ..PoolColumns::default()
        };
        let pool = columns.pool(&table, POINTS, Seed(1), &Silent).unwrap();
        assert_eq!(pool.points, Some(Points::F64(array![[1.0, 2.0], [3.0, 5.0]])));
        assert_eq!(pool.scores, Some(vec![0.5, 0.25]));
        assert_eq!(pool.classes, Some(vec![0, 1]));
        assert_eq!(pool.labels, Some(vec![vec![0, 1], vec![1]]));
        assert!(columns.pool(&table, Needs::default(), Seed(1), &Silent).unwrap().points.is_none());

        let both = PoolColumns { features: vec!["a".into()], embedding: Some("b".into()), ..columns.clone() };
        assert!(both.pool(&table, POINTS, Seed(1), &Silent).unwrap_err().to_string().contains("one of"));
        let unknown = PoolColumns { features: vec!["aa".into()], ..columns };
        assert!(unknown.pool(&table, POINTS, Seed(1), &Silent).unwrap_err().to_string().contains("did you mean `a`"));
    }
}
