//! What is known of labels themselves: how near they are to each other.

use super::pool::stacked;
use crate::data::{Categories, ColumnType, Labels, Missing, Table};
use crate::select::LabelGraph;
use crate::{Error, Lists, Result};
use ndarray::Array2;
use std::collections::HashMap;

/// Lists of names numbered together, those of the first list as they were: all names, and each list's new numbers.
pub(super) fn numbered(lists: Vec<Vec<String>>) -> (Vec<String>, Vec<Vec<u32>>) {
    let mut names: Vec<String> = Vec::new();
    let mut places: HashMap<String, u32> = HashMap::new();
    let mut place = |name: String| {
        *places.entry(name).or_insert_with_key(|name| {
            names.push(name.clone());
            names.len() as u32 - 1
        })
    };
    let renamed = lists.into_iter().map(|list| list.into_iter().map(&mut place).collect()).collect();
    (names, renamed)
}

/// The labels of several tables' rows, one table after the other.
pub(super) fn joint_labels(tables: &[&Table], column: &str) -> Result<Labels> {
    let parts = tables.iter().map(|table| table.labels(column, None)).collect::<Result<Vec<_>>>()?;
    let (names, lists): (Vec<_>, Vec<_>) = parts.into_iter().map(|part| (part.names, part.rows)).unzip();
    let (names, new) = numbered(names);
    let renamed = lists.into_iter().zip(new).map(|(mut rows, new)| {
        rows.items_mut().iter_mut().for_each(|label| *label = new[*label as usize]);
        rows
    });
    // The first table's rows stay where they are: mostly there is no other.
    let joined = renamed.reduce(|mut all: Lists, rows| {
        rows.iter().for_each(|row| all.push(row.iter().copied()));
        all
    });
    // Of no table there are no rows.
    Ok(Labels { rows: joined.unwrap_or_default(), names })
}

/// The classes of several tables' rows, one table after the other.
pub(super) fn joint_classes(tables: &[&Table], column: &str) -> Result<Categories> {
    let parts = tables.iter().map(|table| table.categories(column, Missing::Error)).collect::<Result<Vec<_>>>()?;
    let (names, codes): (Vec<_>, Vec<_>) = parts.into_iter().map(|part| (part.names, part.codes)).unzip();
    let (names, new) = numbered(names);
    let renamed = codes.into_iter().zip(new);
    let codes = renamed.flat_map(|(codes, new)| codes.into_iter().map(move |code| new[code as usize])).collect();
    Ok(Categories { codes, names })
}

/// A vector for each label. `source` is a column of vectors in the tables, and a label lies at the mean of its rows; or
/// a file with a row for each label: its name in a column called `column` or `label` or else in the first column of
/// texts, its vector in a column of vectors or else in the numeric columns. A file without names has the labels in
/// their order.
pub(super) fn label_vectors(source: &str, tables: &[&Table], column: &str, labels: &Labels) -> Result<Array2<f32>> {
    let Some(first) = tables.first() else { return Ok(Array2::zeros((0, 0))) };
    if first.column(source).is_ok() {
        let rows = tables.iter().map(|table| table.embedding(source)).collect::<Result<Vec<_>>>()?;
        return Ok(means(&stacked(rows, source)?, labels));
    }
    let file = first.open_beside(source)?;
    let called = |name: &str| file.column(name).is_ok().then(|| name.to_owned());
    let text = || file.columns().iter().find(|c| matches!(c.kind, ColumnType::Text | ColumnType::Category));
    let names = called(column).or_else(|| called("label")).or_else(|| text().map(|c| c.name.clone()));
    let vectors = match file.columns().iter().find(|c| matches!(c.kind, ColumnType::Embedding(_))) {
        Some(vectors) => file.embedding(&vectors.name)?,
        None => {
            let numbers: Vec<&str> =
                file.numeric_columns().into_iter().filter(|n| names.as_deref() != Some(n)).collect();
            file.numeric(&numbers, Missing::Error)?.mapv(|v| v as f32)
        }
    };
    let Some(names) = names else {
        if vectors.nrows() != labels.names.len() {
            let want =
                format!("`{column}` has {} labels, and rows without names are theirs in order", labels.names.len());
            return Err(Error::input(file.name(), format!("{} rows", vectors.nrows()), want));
        }
        return Ok(vectors);
    };
    let Categories { codes, names } = file.categories(&names, Missing::Error)?;
    let place: HashMap<&str, usize> =
        codes.iter().enumerate().rev().map(|(row, code)| (names[*code as usize].trim(), row)).collect();
    let row = |label: &String| {
        let want = "give a row with the vector of every label";
        place.get(label.as_str()).copied().ok_or_else(|| Error::input(file.name(), format!("no label `{label}`"), want))
    };
    let rows = labels.names.iter().map(row).collect::<Result<Vec<usize>>>()?;
    Ok(vectors.select(ndarray::Axis(0), &rows))
}

fn means(rows: &Array2<f32>, labels: &Labels) -> Array2<f32> {
    let mut sums = Array2::<f64>::zeros((labels.names.len(), rows.ncols()));
    let mut counts = vec![0.0; labels.names.len()];
    for (row, labels) in rows.outer_iter().zip(labels.rows.iter()) {
        for &label in labels {
            sums.row_mut(label as usize).zip_mut_with(&row, |sum, v| *sum += f64::from(*v));
            counts[label as usize] += 1.0;
        }
    }
    Array2::from_shape_fn(sums.dim(), |(label, j)| (sums[[label, j]] / f64::max(counts[label], 1.0)) as f32)
}

/// The graph of a file with an edge a row: a label, a label and, if there is a third column, the weight (else 1). Edges
/// of labels that no row has are passed over.
pub(super) fn label_graph(path: &str, beside: &Table, labels: &Labels) -> Result<LabelGraph> {
    let file = beside.open_beside(path)?;
    let columns = file.column_names();
    let &[from, to, ref rest @ ..] = columns.as_slice() else {
        let want = "an edge is a label, a label and, if you like, a weight";
        return Err(Error::input(file.name(), format!("{} columns", columns.len()), want));
    };
    let weights = match rest {
        [] => vec![1.0; file.rows()],
        [weight, ..] => file.numeric(&[weight], Missing::Error)?.column(0).to_vec(),
    };
    let place: HashMap<&str, u32> = labels.names.iter().map(String::as_str).zip(0..).collect();
    let ends = |column: &str| -> Result<Vec<Option<u32>>> {
        let Categories { codes, names } = file.categories(column, Missing::Error)?;
        let known: Vec<Option<u32>> = names.iter().map(|name| place.get(name.trim()).copied()).collect();
        Ok(codes.into_iter().map(|code| known[code as usize]).collect())
    };
    let both = ends(from)?.into_iter().zip(ends(to)?).zip(weights);
    let edges: Vec<(u32, u32, f64)> = both.filter_map(|((a, b), weight)| Some((a?, b?, weight))).collect();
    if edges.is_empty() {
        let want = format!("no edge joins labels that rows have, such as `{}`", labels.names.first().map_or("", |n| n));
        return Err(Error::input(file.name(), format!("{} edges", file.rows()), want));
    }
    LabelGraph::from_edges(labels.names.len(), &edges)
}
