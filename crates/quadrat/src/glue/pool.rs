//! Columns of a file as a pool to choose from.

use super::columns::{ColumnUse, Nominal, Part, UsedColumn, WEIGHT, Wish};
use super::tags::{joint_classes, joint_labels, label_graph, label_vectors};
use crate::data::text::Lsa;
use crate::data::{Missing, Table, Values, write_selection};
use crate::numeric::{Points, TextEncoder, by_rows};
use crate::select::{Needs, Pool, Selection};
use crate::{Error, Progress, Result, Seed};
use ndarray::{Array2, Axis, concatenate};
use std::path::Path;
use std::sync::Arc;

/// The columns of a file that a selector sees, by name.
#[derive(Debug, Clone)]
pub struct PoolColumns {
    /// Each row's class.
    pub target: Option<String>,
    /// Numeric columns; empty: all numeric ones without another part.
    pub features: Vec<String>,
    /// Text columns, joined and turned into features.
    pub text: Vec<String>,
    /// How text becomes features; by default [`Lsa`].
    pub encoder: Arc<dyn TextEncoder>,
    /// A column of vectors, or an `.npy` file with one row for each row of the table.
    pub embedding: Option<String>,
    /// Each row's quality; larger is better.
    pub score: Option<String>,
    /// Each row's labels.
    pub labels: Option<String>,
    /// Where the labels lie, for methods that spread over similar ones: a column of vectors, whose means over a label's
    /// rows count, or a file with a vector for each label. None: their names as texts, by the encoder.
    pub label_embedding: Option<String>,
    /// A file with the edges between labels, in place of where they lie.
    pub label_edges: Option<String>,
    /// The response of a regression: a column of the points for methods that [need](Needs::response) it, and no feature
    /// for others. Where it is not named, a numeric target is the response.
    pub response: Option<String>,
    /// Which rows belong together; no feature.
    pub groups: Option<String>,
    /// When each row was seen; no feature.
    pub time: Option<String>,
    /// Whether numeric columns get mean 0 and standard deviation 1 (constant ones are left out). Embeddings and
    /// features from text are taken as they are.
    pub standardise: bool,
    /// Whether missing numbers stay NaN, for one who fills them later ([`Case::gaps`](crate::select::Case)).
    pub keep_gaps: bool,
}

impl Default for PoolColumns {
    fn default() -> Self {
        PoolColumns {
            target: None,
            features: Vec::new(),
            text: Vec::new(),
            encoder: Arc::new(Lsa::default()),
            embedding: None,
            score: None,
            labels: None,
            label_embedding: None,
            label_edges: None,
            response: None,
            groups: None,
            time: None,
            standardise: false,
            keep_gaps: false,
        }
    }
}

impl PoolColumns {
    /// The columns that are read of a table, and as what: everything that is named, and what `needs` asks for.
    ///
    /// # Errors
    /// As [`ColumnUse::choose`]; more than one source of points.
    pub fn choose(&self, table: &Table, needs: Needs) -> Result<ColumnUse> {
        let sources = [self.embedding.is_some(), !self.text.is_empty(), !self.features.is_empty()];
        if sources.iter().filter(|given| **given).count() > 1 {
            let want = "rows get their points from one of embedding, text and features";
            return Err(Error::input("columns", "more than one of the three", want));
        }
        let mut parts: Vec<(&str, Part)> = Vec::new();
        let given = [
            (&self.target, Part::Target),
            (&self.score, Part::Score),
            (&self.labels, Part::Labels),
            (&self.response, Part::Response),
            (&self.groups, Part::Group),
            (&self.time, Part::Time),
        ];
        parts.extend(given.into_iter().filter_map(|(name, part)| Some((name.as_deref()?, part))));
        parts.extend(self.text.iter().map(|name| (name.as_str(), Part::Text)));
        // What is no column is a file.
        let embedding = self.embedding.as_deref().filter(|name| !name.ends_with(".npy") || table.column(name).is_ok());
        parts.extend(embedding.map(|name| (name, Part::Embedding)));
        let for_labels = needs.points_for_labels && self.labels.is_none();
        let unread = if self.embedding.is_some() || !self.text.is_empty() {
            Some("points are made of something else")
        } else if needs.points || for_labels || !self.features.is_empty() {
            None
        } else {
            Some("not read by this method")
        };
        let nominal = Nominal::Named(Vec::new());
        ColumnUse::choose(
            table,
            &Wish { parts, features: &self.features, numbers: true, nominal, unread, ..Wish::default() },
        )
    }

    /// The pool: everything that is named, and what `needs` asks for. Columns that are neither are not decoded.
    ///
    /// # Errors
    /// An unknown column, one of another type, a missing value; more than one source of points.
    pub fn pool(&self, table: &Table, needs: Needs, seed: Seed, progress: &dyn Progress) -> Result<Pool> {
        self.joint_pool(&[table], &mut self.choose(table, needs)?, needs, seed, progress)
    }

    /// The rows of several tables as one pool, one table after the other, by the columns that were
    /// [chosen](PoolColumns::choose) of the first. Columns that turn out to be of no use are noted there, and what a user
    /// should know of the rows.
    ///
    /// # Errors
    /// As [`PoolColumns::pool`] and [`PoolColumns::joint_points`].
    pub fn joint_pool(
        &self,
        tables: &[&Table],
        uses: &mut ColumnUse,
        needs: Needs,
        seed: Seed,
        progress: &dyn Progress,
    ) -> Result<Pool> {
        let Some(first) = tables.first() else {
            return Err(Error::input("tables", "none", "give at least one"));
        };
        let mut pool = Pool::of_rows(tables.iter().map(|table| table.rows()).sum());
        if self.has_points(uses) {
            let points = self.joint_points(tables, uses, seed, progress)?;
            let response = self.response(first).filter(|name| needs.response && !self.is_feature(name));
            pool.points = Some(match response {
                Some(name) => {
                    let part = if self.response.is_some() { Part::Response } else { Part::Target };
                    let mut response = stacked(uses.numbers(tables, part, progress)?, name)?;
                    if self.standardise {
                        let kept = standardise(&mut response, &[name.to_owned()])?;
                        response = response.select(Axis(1), &kept);
                    }
                    with_column(points, response)?
                }
                None => points,
            });
        }
        if self.score.is_some() {
            let scores = uses.numbers(tables, Part::Score, progress)?;
            pool.scores = Some(scores.into_iter().flatten().collect());
        }
        if let Some(target) = &self.target {
            let classes = joint_classes(tables, target).map_err(|e| uses.explained(first, e))?;
            uses.look_at_classes(target, &classes);
            pool.classes = Some(classes.codes);
        }
        if let Some(column) = &self.labels {
            let labels = joint_labels(tables, column)?;
            uses.count_levels(column, labels.names.len());
            if needs.label_points {
                match (&self.label_edges, &self.label_embedding) {
                    (Some(_), Some(_)) => {
                        let want = "labels are near each other by their edges or by their vectors";
                        return Err(Error::input("labels", "both edges and an embedding", want));
                    }
                    (Some(edges), None) => pool.label_graph = Some(label_graph(edges, first, &labels)?),
                    (None, Some(vectors)) => pool.label_points = Some(label_vectors(vectors, tables, column, &labels)?),
                    (None, None) if labels.names.is_empty() => {}
                    (None, None) => {
                        let seed = seed.stream("labels");
                        let encoded = self.encoder.encode(&labels.names, seed, progress)?;
                        uses.warnings.extend(encoded.notes);
                        pool.label_points = Some(encoded.rows);
                    }
                }
            }
            pool.labels = Some(labels.rows);
        }
        Ok(pool)
    }

    fn is_feature(&self, name: &str) -> bool {
        self.features.iter().any(|feature| feature == name)
    }

    /// The column that is the response of a regression, if any is.
    pub fn response<'a>(&'a self, table: &Table) -> Option<&'a str> {
        let numeric = |name: &&String| table.numeric_columns().contains(&name.as_str());
        self.response.as_ref().or_else(|| self.target.as_ref().filter(numeric)).map(String::as_str)
    }

    fn has_points(&self, uses: &ColumnUse) -> bool {
        let made = |used: &UsedColumn| matches!(used.part, Part::Number | Part::Text | Part::Embedding);
        self.embedding.is_some() || uses.used.iter().any(made) || uses.unread.is_none()
    }

    /// The rows' points: embeddings, features from text, or numeric columns, without a response.
    ///
    /// # Errors
    /// As [`PoolColumns::pool`], and when there is nothing to make points of.
    pub fn points(&self, table: &Table, seed: Seed, progress: &dyn Progress) -> Result<Points> {
        let needs = Needs { points: true, ..Needs::default() };
        self.joint_points(&[table], &mut self.choose(table, needs)?, seed, progress)
    }

    /// The points of several tables' rows, one table after the other: texts are encoded and numbers standardised
    /// together, so that rows of different tables can be compared. The columns are those chosen of the first table.
    ///
    /// # Errors
    /// As [`PoolColumns::points`], a column that one of the tables lacks, embeddings of different widths, an embedding
    /// from a file with more than one table.
    pub fn joint_points(
        &self,
        tables: &[&Table],
        uses: &mut ColumnUse,
        seed: Seed,
        progress: &dyn Progress,
    ) -> Result<Points> {
        if let Some(embedding) = &self.embedding {
            if tables.len() > 1 && tables.iter().any(|table| table.column(embedding).is_err()) {
                let want = "with more than one file, name a column that all of them have";
                return Err(Error::input("embedding", format!("`{embedding}`"), want));
            }
            let parts = tables.iter().map(|table| embedded(table, embedding)).collect::<Result<Vec<_>>>()?;
            let points = stacked(parts, embedding)?;
            uses.look_for_copies(points.view());
            return Ok(Points::F32(points));
        }
        if !self.text.is_empty() {
            let mut texts = Vec::new();
            for table in tables {
                texts.append(&mut table.paragraphs(&self.text)?);
            }
            let encoded = self.encoder.encode(&texts, seed.stream("text"), progress)?;
            uses.warnings.extend(encoded.notes);
            return Ok(Points::F32(encoded.rows));
        }
        let Some(first) = tables.first() else {
            return Err(Error::input("tables", "none", "give at least one"));
        };
        if uses.names(Part::Number).is_empty() {
            let want = "name text columns or an embedding column, or give a file with numeric columns";
            return Err(Error::input(format!("{}, features", first.name()), "no numeric columns", want));
        }
        let read = match self.keep_gaps {
            true => uses.numbers_with_gaps(tables)?,
            false => uses.numbers_and_gaps(tables, progress)?,
        };
        let mut numbers = stacked(read, "features")?;
        let names = uses.numbers_as_read();
        uses.look_for_copies(numbers.view());
        if self.standardise {
            let kept = standardise(&mut numbers, &names)?;
            if kept.is_empty() {
                let want = "there must be a column whose values differ";
                return Err(Error::input("features", "the same values in every row", want));
            }
            for (_, name) in names.iter().enumerate().filter(|(c, _)| !kept.contains(c)) {
                uses.leave_out(first, name, "the same value in every row");
            }
            if kept.len() < names.len() {
                // Taking columns out leaves a column-major array, which every reader of rows would copy.
                numbers = by_rows(numbers.select(Axis(1), &kept));
            }
        }
        Ok(Points::F64(numbers))
    }
}

/// The points with a column more.
fn with_column(points: Points, column: Array2<f64>) -> Result<Points> {
    let all = concatenate(Axis(1), &[points.to_f64().view(), column.view()]);
    Ok(Points::F64(by_rows(all.map_err(|e| Error::numeric("response", e.to_string()))?)))
}

/// The rows of all parts, one after the other; a single part is not copied.
pub(super) fn stacked<T: Clone>(mut parts: Vec<Array2<T>>, what: &str) -> Result<Array2<T>> {
    if let [_] = parts.as_slice() {
        return Ok(parts.remove(0));
    }
    let views: Vec<_> = parts.iter().map(|part| part.view()).collect();
    concatenate(Axis(0), &views).map_err(|_| {
        let widths: Vec<String> = parts.iter().map(|part| part.ncols().to_string()).collect();
        Error::input(what, format!("{} numbers a row", widths.join(" and ")), "all files must have equally many")
    })
}

fn embedded(table: &Table, embedding: &str) -> Result<Array2<f32>> {
    if !embedding.ends_with(".npy") || table.column(embedding).is_ok() {
        return table.embedding(embedding);
    }
    let beside = table.open_beside(embedding)?;
    let all = table.whole().rows();
    if beside.rows() != all {
        let want = format!("{} has {all} rows", table.name());
        return Err(Error::input(embedding, format!("{} rows", beside.rows()), want));
    }
    let rows: Vec<usize> = (0..table.rows()).map(|row| table.row(row)).collect();
    let beside = if rows.len() < all { beside.of_rows(&rows)? } else { beside };
    // A matrix is columns of numbers to a table: together they are the points again.
    Ok(beside.numeric(&beside.column_names(), Missing::Error)?.mapv(|x| x as f32))
}

/// Mean 0 and standard deviation 1 in each column, of the values that are there; returns those that are not constant.
fn standardise(x: &mut Array2<f64>, names: &[String]) -> Result<Vec<usize>> {
    let mut kept = Vec::with_capacity(x.ncols());
    for (c, mut column) in x.axis_iter_mut(Axis(1)).enumerate() {
        let there = column.iter().filter(|v| !v.is_nan()).count();
        let n = there.max(1) as f64;
        let sum = if there == column.len() { column.sum() } else { column.iter().filter(|v| !v.is_nan()).sum() };
        let mean = sum / n;
        column -= mean;
        let deviation = (column.iter().filter(|v| !v.is_nan()).map(|v| v * v).sum::<f64>() / n).sqrt();
        if !deviation.is_finite() {
            let want = "bring the column to an ordinary size first: use other units, or leave it out";
            return Err(Error::input(format!("column `{}`", names[c]), "numbers too large to square", want));
        }
        // Relative to the mean: rounding leaves a residue in a constant column of large numbers.
        if deviation > 1e-12 * mean.abs() {
            column /= deviation;
            kept.push(c);
        }
    }
    Ok(kept)
}

/// Writes the chosen rows as they are, in the order of the choice, with a column `weight` where the method gives
/// weights.
///
/// # Errors
/// A table that has a column `weight` already while the method gives weights; a file that cannot be written.
pub fn save_selection(table: &Table, chosen: &Selection, path: &Path) -> Result<()> {
    let weights = chosen.weights.iter().map(|w| (WEIGHT.to_owned(), Values::Float(w.clone())));
    write_selection(table, &chosen.indices, &weights.collect::<Vec<_>>(), path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numeric::impute::Fill;
    use crate::{OnMissing, Silent};
    use ndarray::array;

    const POINTS: Needs = Needs {
        points: true,
        scores: false,
        classes: false,
        labels: false,
        raw: false,
        points_for_labels: false,
        response: false,
        label_points: false,
        scores_help: false,
    };

    #[test]
    fn constant_columns_go_and_others_get_unit_spread() {
        let names = ["a", "b", "c"].map(str::to_owned);
        let mut x = array![[1.0, 1e9, 5.0], [3.0, 1e9, 5.0], [5.0, 1e9, 8.0]];
        assert_eq!(standardise(&mut x, &names).unwrap(), [0, 2]);
        for column in [x.column(0), x.column(2)] {
            assert!(column.sum().abs() < 1e-12);
            assert!((column.mapv(|v| v * v).sum() / 3.0 - 1.0).abs() < 1e-12);
        }
        assert!(standardise(&mut array![[2.0], [2.0]], &names).unwrap().is_empty());
        let huge = standardise(&mut array![[1e200], [-1e200]], &names).unwrap_err().to_string();
        assert!(huge.contains("`a`") && huge.contains("too large"), "{huge}");
    }

    #[test]
    fn missing_numbers_and_constants_are_said() {
        let csv = b"a,b,c,y\n1,2,7,u\n,5,7,v\n4,5,7,u\n4,5,7,v\n".to_vec();
        let table = Table::from_bytes("t.csv", csv, &[]).unwrap();
        let columns = PoolColumns { target: Some("y".into()), standardise: true, ..PoolColumns::default() };
        let read = |on_missing| {
            let mut uses = columns.choose(&table, POINTS)?;
            let table = uses.settle(&table, on_missing)?;
            Ok::<_, Error>((columns.joint_pool(&[&table], &mut uses, POINTS, Seed(1), &Silent)?, uses, table))
        };
        let error = read(OnMissing::Refuse).err().unwrap().to_string();
        for part in ["t.csv:3", "1 of 4 rows lacks a value in `a` (1)", "--missing drop", "--exclude"] {
            assert!(error.contains(part), "{error}");
        }
        assert!(read(OnMissing::Category).is_err());
        let (pool, uses, left) = read(OnMissing::Drop).unwrap();
        assert_eq!((pool.rows, left.row(1), pool.classes), (3, 2, Some(vec![0, 0, 1])));
        assert!(uses.warnings.iter().any(|w| w.contains("left out")), "{:?}", uses.warnings);
        assert!(uses.left_out.iter().any(|out| out.name == "c" && out.why.contains("same value")));
        let (pool, uses, _) = read(OnMissing::Impute(Fill::Median)).unwrap();
        assert_eq!((pool.rows, pool.points.map(|p| p.cols())), (4, Some(2)));
        assert!(uses.warnings.iter().any(|w| w.contains("median") && w.contains("`a` (1)")), "{:?}", uses.warnings);
        assert!(uses.warnings.iter().any(|w| w.contains("the same as an earlier one")), "{:?}", uses.warnings);
    }

    #[test]
    fn a_response_is_a_column_of_the_points_where_the_method_needs_it() {
        let table = Table::from_bytes("t.csv", b"a,b,y,c\n1,2,5,u\n3,5,6,v\n4,4,9,u\n".to_vec(), &[]).unwrap();
        let pool = |columns: &PoolColumns, response: bool| {
            let pool = columns.pool(&table, Needs { response, ..POINTS }, Seed(1), &Silent).unwrap();
            pool.points.unwrap().to_f64().into_owned()
        };
        let plain = array![[1.0, 2.0], [3.0, 5.0], [4.0, 4.0]];
        let with = array![[1.0, 2.0, 5.0], [3.0, 5.0, 6.0], [4.0, 4.0, 9.0]];
        let named = |target: Option<&str>, response: Option<&str>, features: &[&str]| PoolColumns {
            target: target.map(str::to_owned),
            response: response.map(str::to_owned),
            features: features.iter().map(|f| (*f).to_owned()).collect(),
            ..PoolColumns::default()
        };
        for columns in [named(None, Some("y"), &[]), named(None, Some("y"), &["a", "b"]), named(Some("y"), None, &[])] {
            assert_eq!((pool(&columns, false), pool(&columns, true)), (plain.clone(), with.clone()));
        }
        // Classes are no response.
        assert_eq!(pool(&named(Some("c"), None, &[]), true), with);
        assert_eq!(pool(&named(Some("c"), Some("y"), &["b"]), true), with.slice(ndarray::s![.., 1..]));
    }

    /// Three tags, two of which share a word: by their names, by vectors and by edges.
    #[test]
    fn labels_are_near_each_other_by_name_by_vector_or_by_edge() {
        let folder = std::env::temp_dir().join(format!("quadrat-tags-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.join(name);
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let pool = write(
            "t.jsonl",
            concat!(
                "{\"tags\": [\"red wine\", \"road\"], \"v\": [1, 0]}\n",
                "{\"tags\": [\"wine\"], \"v\": [0, 1]}\n",
                "{\"tags\": [\"road\"], \"v\": [3, 0]}\n",
            ),
        );
        let vectors = write("vectors.csv", "name,x,y\nroad,0,1\nwine,2,0\nred wine,1,0\nother,5,5\n");
        let edges = write("edges.csv", "a,b,w\nwine,red wine,0.95\nwine,unheard of,1\n");
        let table = Table::open(&pool, &[]).unwrap();
        let needs = Needs { label_points: true, points: false, ..POINTS };
        let columns = PoolColumns { labels: Some("tags".into()), ..PoolColumns::default() };
        let of = |columns: PoolColumns| columns.pool(&table, needs, Seed(1), &Silent);
        let named = of(columns.clone()).unwrap().label_points.unwrap();
        let cosine = |a: usize, b: usize| named.row(a).dot(&named.row(b));
        assert_eq!(named.nrows(), 3, "red wine, road, wine");
        assert!(cosine(0, 2) > 0.4 && cosine(0, 1).abs() < 0.1, "{named}");
        let by = |source: &str| of(PoolColumns { label_embedding: Some(source.to_owned()), ..columns.clone() });
        assert_eq!(by(&vectors).unwrap().label_points.unwrap(), array![[1.0, 0.0], [0.0, 1.0], [2.0, 0.0]]);
        assert_eq!(by("v").unwrap().label_points.unwrap(), array![[1.0, 0.0], [2.0, 0.0], [0.0, 1.0]]);
        let graph = PoolColumns { label_edges: Some(edges.clone()), ..columns.clone() };
        assert_eq!(of(graph.clone()).unwrap().label_graph.unwrap().edges(), 1);
        let both = PoolColumns { label_embedding: Some("v".into()), ..graph };
        assert!(of(both).unwrap_err().to_string().contains("both"));
        let short = write("short.csv", "name,x\nroad,0\n");
        assert!(by(&short).unwrap_err().to_string().contains("no label `red wine`"));
        let mut uses = columns.choose(&table, needs).unwrap();
        let joint = columns.joint_pool(&[&table, &table], &mut uses, needs, Seed(1), &Silent).unwrap();
        let (joined, alone) = (joint.labels.unwrap(), of(columns).unwrap().labels.unwrap());
        assert!(joint.rows == 6 && joined.iter().skip(3).eq(alone.iter()));
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn an_npy_file_beside_the_table_has_the_points() {
        let folder = std::env::temp_dir().join(format!("quadrat-beside-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let file = |name: &str| folder.join(name).display().to_string();
        let (table, vectors) = (file("t.csv"), file("v.npy"));
        std::fs::write(&table, "name\na\nb\nc\n").unwrap();
        let matrix = Table::from_bytes("m.csv", b"u,v\n1,2\n3,4\n5,6\n".to_vec(), &[]).unwrap();
        write_selection(&matrix, &[0, 1, 2], &[], vectors.as_ref()).unwrap();
        let columns = PoolColumns { embedding: Some(vectors), ..PoolColumns::default() };
        let points = |rows: &[usize]| {
            let table = Table::open(&table, &[]).unwrap().of_rows(rows).unwrap();
            columns.pool(&table, POINTS, Seed(1), &Silent).map(|pool| pool.points.unwrap())
        };
        assert_eq!(points(&[0, 1, 2]).unwrap(), Points::F32(array![[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]));
        assert_eq!(points(&[0, 2]).unwrap(), Points::F32(array![[1.0, 2.0], [5.0, 6.0]]));
        std::fs::write(&table, "name\na\nb\n").unwrap();
        assert!(points(&[0, 1]).unwrap_err().to_string().contains("has 2 rows"));
        std::fs::remove_dir_all(&folder).unwrap();
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
        assert_eq!(pool.labels, Some([vec![0, 1], vec![1]].into_iter().collect()));
        assert!(columns.pool(&table, Needs::default(), Seed(1), &Silent).unwrap().points.is_none());

        let both = PoolColumns { features: vec!["a".into()], embedding: Some("b".into()), ..columns.clone() };
        assert!(both.pool(&table, POINTS, Seed(1), &Silent).unwrap_err().to_string().contains("one of"));
        let unknown = PoolColumns { features: vec!["aa".into()], ..columns };
        assert!(unknown.pool(&table, POINTS, Seed(1), &Silent).unwrap_err().to_string().contains("did you mean `a`"));
    }
}
