//! What selectors take and give.

use crate::LabelGraph;
use ndarray::Array2;
use quadrat_core::{Card, Error, Lists, Progress, Result, Seed};
use quadrat_numeric::Points;

/// The rows to choose from, and whatever is known of them. Row `i` of every part is the same sample.
#[derive(Debug, Clone, Default)]
pub struct Pool {
    /// Number of rows.
    pub rows: usize,
    /// Embeddings or numeric features, one row a sample.
    pub points: Option<Points>,
    /// Quality of each row; larger is better.
    pub scores: Option<Vec<f64>>,
    /// Class of each row, 0..number of classes.
    pub classes: Option<Vec<u32>>,
    /// Labels (tags, topics, skills) of each row, as label numbers.
    pub labels: Option<Lists>,
    /// Embedding of each label, one row a label: methods that spread over similar labels use it.
    pub label_points: Option<Array2<f32>>,
    /// The graph on the labels, where it is known: it counts before their embedding.
    pub label_graph: Option<LabelGraph>,
}

impl Pool {
    /// A pool of `rows` rows of which nothing else is known.
    pub fn of_rows(rows: usize) -> Self {
        Pool { rows, ..Pool::default() }
    }

    /// A pool of embedded rows.
    pub fn of_points(points: Points) -> Self {
        Pool { rows: points.rows(), points: Some(points), ..Pool::default() }
    }

    /// Adds a score for each row.
    pub fn with_scores(mut self, scores: Vec<f64>) -> Self {
        self.scores = Some(scores);
        self
    }

    /// Adds the class of each row.
    pub fn with_classes(mut self, classes: Vec<u32>) -> Self {
        self.classes = Some(classes);
        self
    }

    /// Adds the labels of each row.
    pub fn with_labels(mut self, labels: Vec<Vec<u32>>) -> Self {
        self.labels = Some(labels.into_iter().collect());
        self
    }

    /// The given rows, in the given order, as a pool of their own. Rows past the end are an error of the caller's and
    /// panic like any index.
    pub fn take(&self, rows: &[usize]) -> Pool {
        let some = |from: &Vec<u32>| rows.iter().map(|row| from[*row]).collect();
        Pool {
            rows: rows.len(),
            points: self.points.as_ref().map(|points| points.take(rows)),
            scores: self.scores.as_ref().map(|scores| rows.iter().map(|row| scores[*row]).collect()),
            classes: self.classes.as_ref().map(some),
            labels: self.labels.as_ref().map(|labels| rows.iter().map(|row| labels[*row].iter().copied()).collect()),
            label_points: self.label_points.clone(),
            label_graph: self.label_graph.clone(),
        }
    }

    /// Checks that the parts agree in length, that all numbers are finite, that `budget` is between 1 and the number of
    /// rows, and that the parts `needs` asks for are there. Every selector calls it first.
    pub fn check(&self, budget: usize, needs: Needs) -> Result<()> {
        if self.rows == 0 {
            return Err(Error::input("pool", "0 rows", "there must be at least one row to choose from"));
        }
        if budget == 0 || budget > self.rows {
            return Err(Error::input("budget", budget, format!("use 1 to {}, the number of rows", self.rows)));
        }
        let lengths = [
            ("points", self.points.as_ref().map(Points::rows)),
            ("scores", self.scores.as_ref().map(Vec::len)),
            ("classes", self.classes.as_ref().map(Vec::len)),
            ("labels", self.labels.as_ref().map(Lists::len)),
        ];
        for (part, length) in lengths {
            if let Some(length) = length.filter(|l| *l != self.rows) {
                return Err(Error::input(part, format!("{length} rows"), format!("the pool has {} rows", self.rows)));
            }
        }
        let missing = [
            (needs.points && self.points.is_none(), "points", "embeddings or numeric features"),
            (needs.scores && self.scores.is_none(), "scores", "a quality score for each row"),
            (needs.classes && self.classes.is_none(), "classes", "a class for each row"),
            (needs.labels && self.labels.is_none(), "labels", "labels for each row"),
        ];
        for (absent, part, what) in missing {
            if absent {
                return Err(Error::input(part, "nothing", format!("this method needs {what}")));
            }
        }
        if let Some(points) = self.points.as_ref().filter(|_| needs.points) {
            if points.cols() == 0 {
                let want = "give at least one feature that varies: constant columns are left out";
                return Err(Error::input("points", "0 columns", want));
            }
            points.check_finite("points")?;
        }
        if let Some(scores) = &self.scores
            && let Some((row, bad)) = scores.iter().enumerate().find(|(_, s)| !s.is_finite())
        {
            return Err(Error::input(format!("score of row {row}"), bad, "scores must be finite"));
        }
        Ok(())
    }
}

/// Which parts of a pool a method cannot do without.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Needs {
    /// Embeddings or features.
    pub points: bool,
    /// Scores.
    pub scores: bool,
    /// Classes.
    pub classes: bool,
    /// Labels.
    pub labels: bool,
    /// Scores, where there are any.
    pub scores_help: bool,
    /// Points in place of labels, where there are none.
    pub points_for_labels: bool,
    /// Which labels are near each other, where there are labels.
    pub label_points: bool,
    /// Whether points must be the user's own numbers: front ends otherwise give numeric columns mean 0 and standard
    /// deviation 1.
    pub raw: bool,
    /// Whether the response of a regression, where the user names it, is one of the points' columns.
    pub response: bool,
}

/// An estimate made before a method runs: orders of magnitude, not promises.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cost {
    /// Floating-point operations, or comparable steps.
    pub operations: f64,
    /// Peak bytes beyond the pool itself.
    pub bytes: f64,
}

/// The rows a method chose.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Selection {
    /// Row numbers in the order in which they were chosen; each at most once unless the method draws with replacement.
    pub indices: Vec<usize>,
    /// One weight a chosen row where the method defines weights: weighted sums over the selection estimate sums over
    /// the pool.
    pub weights: Option<Vec<f64>>,
    /// What the method thought of each chosen row (gain, density, sensitivity), where it has such a figure.
    pub scores: Option<Vec<f64>>,
    /// Figures of the run worth reporting, by name.
    pub notes: Vec<(String, String)>,
}

impl Selection {
    /// A selection of rows without weights.
    pub fn of(indices: Vec<usize>) -> Self {
        Selection { indices, ..Selection::default() }
    }
}

/// A method that chooses rows. Same pool, budget and seed give the same selection, whatever the number of threads.
pub trait Selector: Send + Sync {
    /// The method's card.
    fn card(&self) -> &'static Card;
    /// Which parts of the pool it reads and cannot do without.
    fn needs(&self) -> Needs;
    /// Whether its selections have [weights](Selection::weights).
    fn weighs(&self) -> bool {
        false
    }
    /// What choosing `budget` of `rows` rows with `cols` features will cost.
    fn cost(&self, rows: usize, cols: usize, budget: usize) -> Cost;
    /// Chooses.
    fn select(&self, pool: &Pool, budget: usize, seed: Seed, progress: &dyn Progress) -> Result<Selection>;
}
