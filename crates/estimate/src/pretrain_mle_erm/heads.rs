//! Phase 2: small predictors on the features of a representation (or on raw columns, for comparison).

use ndarray::{Array2, ArrayView2, Axis};
use quadrat_core::{Error, Result, Seed};
use quadrat_numeric::learners::{Classifier, Learner, Linear, Penalty, Ridge, Softmax};

/// What is to be predicted.
#[derive(Debug, Clone, PartialEq)]
pub enum Target {
    /// Numbers, judged by squared error.
    Numbers(Vec<f64>),
    /// Classes by code, judged by the share of wrong ones.
    Classes {
        /// One code a row, each below `count`.
        codes: Vec<u32>,
        /// How many classes there are.
        count: usize,
    },
}

impl Target {
    /// Number of rows.
    pub fn len(&self) -> usize {
        match self {
            Target::Numbers(values) => values.len(),
            Target::Classes { codes, .. } => codes.len(),
        }
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The given rows. Rows past the end are an error of the caller's and panic like any index.
    pub fn take(&self, rows: &[usize]) -> Target {
        match self {
            Target::Numbers(values) => Target::Numbers(rows.iter().map(|row| values[*row]).collect()),
            Target::Classes { codes, count } => {
                Target::Classes { codes: rows.iter().map(|row| codes[*row]).collect(), count: *count }
            }
        }
    }

    /// Mean loss of these as predictions of `truth`: squared error, or share of wrong classes.
    ///
    /// # Errors
    /// Targets of another kind or number.
    pub fn loss(&self, truth: &Target) -> Result<f64> {
        let n = self.len() as f64;
        match (self, truth) {
            (Target::Numbers(a), Target::Numbers(b)) if a.len() == b.len() => {
                Ok(a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f64>() / n)
            }
            (Target::Classes { codes: a, .. }, Target::Classes { codes: b, .. }) if a.len() == b.len() => {
                Ok(a.iter().zip(b).filter(|(a, b)| a != b).count() as f64 / n)
            }
            _ => {
                let got = format!("{} and {} values", self.len(), truth.len());
                Err(Error::input("predictions and truth", got, "give as many of the same kind"))
            }
        }
    }

    /// That there is something to learn from.
    pub(super) fn check(&self, rows: usize) -> Result<()> {
        if self.len() != rows {
            return Err(Error::input("labels", self.len(), format!("there are {rows} labelled rows")));
        }
        if rows < 2 {
            return Err(Error::input("labels", rows, "a head needs at least 2"));
        }
        match self {
            Target::Numbers(values) => match values.iter().enumerate().find(|(_, v)| !v.is_finite()) {
                Some((row, value)) => Err(Error::input(format!("label of row {row}"), value, "labels must be finite")),
                None => Ok(()),
            },
            Target::Classes { codes, count } => {
                if let Some((row, code)) = codes.iter().enumerate().find(|(_, c)| **c as usize >= *count) {
                    return Err(Error::input(
                        format!("label of row {row}"),
                        code,
                        format!("there are {count} classes"),
                    ));
                }
                if codes.iter().all(|code| *code == codes[0]) {
                    return Err(Error::input("labels", "one class", "a classifier needs rows of at least 2 classes"));
                }
                Ok(())
            }
        }
    }
}

/// A class of predictors, and how the best of them is found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Head {
    /// Least squares; the shortest coefficients where they are not unique, so that features without content do no harm.
    Ols,
    /// Ridge regression of the given strength, or the best by leave-one-out.
    Ridge(Option<f64>),
    /// Multinomial logistic regression of the given penalty, or the best of six from 0.001 to 100 by cross-validation in
    /// at most five folds.
    Logistic(Option<f64>),
    /// For responsibilities: each cluster takes the class of least weighted loss on the labelled rows, and a row the class
    /// of least expected loss under its responsibilities.
    ClusterTable,
}

/// What a [`Head`] learnt.
pub enum FittedHead {
    /// A linear map to the number.
    Linear(Linear),
    /// Class probabilities.
    Logistic {
        /// The model.
        model: Box<dyn Classifier>,
        /// Number of features.
        columns: usize,
        /// Number of classes.
        count: usize,
    },
    /// A class for each cluster.
    ClusterTable {
        /// One a cluster.
        classes: Vec<u32>,
        /// Number of classes.
        count: usize,
    },
}

const PENALTIES: [f64; 6] = [1e-3, 1e-2, 0.1, 1.0, 10.0, 100.0];
const FOLDS: usize = 5;

impl Head {
    /// Learns the target `y` from features, one row a label.
    ///
    /// # Errors
    /// Fewer than 2 labels, or than 2 classes; another number of rows; a head for numbers given classes or the other way
    /// round; values that are not finite.
    pub fn fit(&self, z: ArrayView2<f64>, y: &Target) -> Result<FittedHead> {
        y.check(z.nrows())?;
        match (self, y) {
            (Head::Ols | Head::Ridge(_), Target::Numbers(values)) => {
                let penalty = match self {
                    Head::Ols => Penalty::Fixed(0.0),
                    Head::Ridge(Some(strength)) => Penalty::Fixed(*strength),
                    _ => Penalty::LeaveOneOut,
                };
                let y = Array2::from_shape_fn((values.len(), 1), |(i, _)| values[i]);
                Ok(FittedHead::Linear(Ridge { penalty }.fit(z, y.view())?))
            }
            (Head::Logistic(l2), Target::Classes { codes, count }) => {
                let l2 = l2.map_or_else(|| best_penalty(z, codes, *count), Ok)?;
                let model = logistic(l2).fit(z, codes, *count, None, Seed(0))?;
                Ok(FittedHead::Logistic { model, columns: z.ncols(), count: *count })
            }
            (Head::ClusterTable, Target::Classes { codes, count }) => {
                let mut mass = Array2::<f64>::zeros((z.ncols(), *count));
                for (row, code) in z.outer_iter().zip(codes) {
                    mass.column_mut(*code as usize).scaled_add(1.0, &row);
                }
                let common = argmax(mass.sum_axis(Axis(0)).iter().copied());
                let of = |row: ndarray::ArrayView1<f64>| {
                    if row.iter().all(|v| *v == 0.0) { common } else { argmax(row.iter().copied()) }
                };
                Ok(FittedHead::ClusterTable { classes: mass.outer_iter().map(of).collect(), count: *count })
            }
            (head, Target::Numbers(_)) => {
                Err(Error::input("head", format!("{head:?}"), "numbers need Ols or Ridge; this head is for classes"))
            }
            (head, Target::Classes { .. }) => {
                Err(Error::input("head", format!("{head:?}"), "classes need Logistic or ClusterTable"))
            }
        }
    }
}

impl FittedHead {
    /// Numbers, or class codes.
    ///
    /// # Errors
    /// Rows of another width than those fitted.
    pub fn predict(&self, z: ArrayView2<f64>) -> Result<Target> {
        let columns = match self {
            FittedHead::Linear(map) => map.coefficients.nrows(),
            FittedHead::Logistic { columns, .. } => *columns,
            FittedHead::ClusterTable { classes, .. } => classes.len(),
        };
        if z.ncols() != columns {
            return Err(Error::input("features", z.ncols(), format!("the head was fitted to {columns}")));
        }
        match self {
            FittedHead::Linear(map) => Ok(Target::Numbers(map.predict(z)?.into_iter().collect())),
            FittedHead::Logistic { model, count, .. } => Ok(Target::Classes { codes: model.predict(z), count: *count }),
            FittedHead::ClusterTable { classes, count } => {
                let code = |row: ndarray::ArrayView1<f64>| {
                    let mut mass = vec![0.0; *count];
                    row.iter().zip(classes).for_each(|(r, class)| mass[*class as usize] += r);
                    argmax(mass.into_iter())
                };
                Ok(Target::Classes { codes: z.outer_iter().map(code).collect(), count: *count })
            }
        }
    }
}

/// The place of the largest value, the first of those that tie.
fn argmax(values: impl Iterator<Item = f64>) -> u32 {
    let best = |(at, top): (u32, f64), (i, v): (usize, f64)| if v > top { (i as u32, v) } else { (at, top) };
    values.enumerate().fold((0, f64::NEG_INFINITY), best).0
}

/// Features are taken in the scale they come in: a representation gives weak directions little weight on purpose.
fn logistic(l2: f64) -> Softmax {
    Softmax { l2, standardise: false, ..Softmax::default() }
}

/// The penalty of smallest mean log loss on held-out folds. Each fold takes every fifth row of each class, so that classes
/// of two rows or more are in every training part; probabilities are held above 1e-6.
fn best_penalty(z: ArrayView2<f64>, codes: &[u32], count: usize) -> Result<f64> {
    let mut order: Vec<usize> = (0..codes.len()).collect();
    order.sort_by_key(|row| codes[*row]);
    let mut best = (f64::INFINITY, 1.0);
    for l2 in PENALTIES {
        let mut loss = 0.0;
        for fold in 0..FOLDS {
            let part = |held: bool| -> Vec<usize> {
                let rows = order.iter().enumerate().filter(|(at, _)| (at % FOLDS == fold) == held);
                rows.map(|(_, row)| *row).collect()
            };
            let (train, test) = (part(false), part(true));
            let classes: Vec<u32> = train.iter().map(|row| codes[*row]).collect();
            if test.is_empty() || train.is_empty() {
                continue;
            }
            let model = logistic(l2).fit(z.select(Axis(0), &train).view(), &classes, count, None, Seed(0))?;
            let p = model.probabilities(z.select(Axis(0), &test).view());
            loss += test.iter().enumerate().map(|(i, row)| -p[[i, codes[*row] as usize]].max(1e-6).ln()).sum::<f64>();
        }
        if loss < best.0 {
            best = (loss, l2);
        }
    }
    Ok(best.1)
}
