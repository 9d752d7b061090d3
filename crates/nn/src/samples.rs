//! Rows and what is wanted of them.

use crate::inputs::{Entries, Others, Rows};
use crate::method::{At, Batch};
use ndarray::{Array2, Axis};
use quadrat_core::{Error, Result};

/// What the outputs for each row should be.
#[derive(Debug, Clone, PartialEq)]
pub enum Targets {
    /// One of so many classes.
    Classes {
        /// The class of each row, below `classes`.
        labels: Vec<u32>,
        /// How many classes there are.
        classes: usize,
    },
    /// Numbers, rows x outputs.
    Values(Array2<f32>),
}

/// Training or test rows in memory: inputs (rows x numbers; images flattened) and targets. What is too large for that, or
/// made anew for every batch, is another [`Source`](crate::Source).
#[derive(Debug, Clone, PartialEq)]
pub struct Samples {
    /// One row a sample.
    pub inputs: Array2<f32>,
    /// Further inputs by name, for networks that take any.
    pub others: Others,
    /// What is wanted of it.
    pub targets: Targets,
    /// How much each row counts, with a mean of 1; none: all alike.
    pub weights: Option<Vec<f32>>,
}

impl Samples {
    /// Rows as they are, unchecked: training checks them.
    pub fn new(inputs: Array2<f32>, targets: Targets) -> Self {
        Samples { inputs, others: Others::new(), targets, weights: None }
    }

    /// Rows with classes.
    ///
    /// # Errors
    /// No rows, another number of labels than rows, a label that is no class, or an input that is not finite.
    pub fn classes(inputs: Array2<f32>, labels: Vec<u32>, classes: usize) -> Result<Self> {
        if let Some(row) = labels.iter().position(|&label| label as usize >= classes) {
            let got = format!("class {} of row {row}", labels[row]);
            return Err(Error::input("labels", got, format!("classes are 0 to {}", classes.saturating_sub(1))));
        }
        Samples::new(inputs, Targets::Classes { labels, classes }).checked()
    }

    /// Rows with numbers to be predicted.
    ///
    /// # Errors
    /// No rows, another number of targets than rows, or a number that is not finite.
    pub fn values(inputs: Array2<f32>, targets: Array2<f32>) -> Result<Self> {
        if let Some(((row, output), &v)) = targets.indexed_iter().find(|(_, v)| !v.is_finite()) {
            return Err(Error::input(
                "targets",
                format!("{v} in row {row}, output {output}"),
                "targets must be finite",
            ));
        }
        Samples::new(inputs, Targets::Values(targets)).checked()
    }

    /// The same rows with an input called `name`.
    ///
    /// # Errors
    /// Another number of rows.
    ///
    /// ```
    /// use ndarray::{Array2, array};
    /// use quadrat_nn::Samples;
    /// // Sequences of tokens, of which each next one is wanted, and no rows of numbers.
    /// let samples = Samples::values(Array2::zeros((2, 0)), array![[1., 2.], [0., 2.]])?;
    /// let samples = samples.with("tokens", array![[0u32, 1], [1, 0]])?;
    /// assert!(samples.with("types", array![[0u32, 0]]).is_err());
    /// # Ok::<(), quadrat_core::Error>(())
    /// ```
    pub fn with(mut self, name: &str, entries: impl Into<Entries>) -> Result<Self> {
        let entries = entries.into();
        if entries.rows() != self.len() {
            let got = format!("{} rows", entries.rows());
            return Err(Error::input(format!("input `{name}`"), got, format!("{}, as the samples have", self.len())));
        }
        self.others.insert(name.to_owned(), entries);
        Ok(self)
    }

    /// The same rows with a weight each, of which only the proportions matter: their mean becomes 1, so that a learning
    /// rate fits as it did before.
    ///
    /// # Errors
    /// Another number of weights than rows, a weight that is negative or not finite, or zeros only.
    pub fn weighed(mut self, weights: &[f64]) -> Result<Self> {
        self.weigh(weights)?;
        Ok(self)
    }

    /// [`Samples::weighed`] in place.
    ///
    /// # Errors
    /// As there.
    pub fn weigh(&mut self, weights: &[f64]) -> Result<()> {
        if weights.len() != self.len() {
            return Err(Error::input("weights", weights.len(), format!("one for each of {} rows", self.len())));
        }
        if let Some(row) = weights.iter().position(|w| !w.is_finite() || *w < 0.0) {
            return Err(Error::input(format!("weight of row {row}"), weights[row], "0 or more"));
        }
        let mean = weights.iter().sum::<f64>() / weights.len().max(1) as f64;
        if mean == 0.0 {
            return Err(Error::input("weights", "zeros only", "at least one above 0"));
        }
        self.weights = Some(weights.iter().map(|w| (w / mean) as f32).collect());
        Ok(())
    }

    /// What is wanted of the same rows, with other inputs.
    pub fn with_inputs(&self, inputs: Array2<f32>) -> Samples {
        Samples { inputs, ..self.clone() }
    }

    /// The batch of these rows.
    pub fn batch(&self, at: At, rows: &[u32]) -> Batch {
        let places: Vec<usize> = rows.iter().map(|&r| r as usize).collect();
        Batch {
            others: some(&self.others, &places),
            weights: self.weights.as_ref().map(|weights| places.iter().map(|&r| weights[r]).collect()),
            ..Batch::new(at, rows, self.inputs.select(Axis(0), &places), self.wanted(rows))
        }
    }

    fn checked(self) -> Result<Self> {
        let targets = match &self.targets {
            Targets::Classes { labels, .. } => labels.len(),
            Targets::Values(values) => values.nrows(),
        };
        if self.is_empty() {
            return Err(Error::input("inputs", "no rows", "at least one"));
        }
        if targets != self.inputs.nrows() {
            let got = format!("{targets} targets for {} rows", self.inputs.nrows());
            return Err(Error::input("targets", got, "one a row"));
        }
        if let Some(((row, column), &v)) = self.inputs.indexed_iter().find(|(_, v)| !v.is_finite()) {
            let want = "inputs must be finite: fill or drop missing values first";
            return Err(Error::input("inputs", format!("{v} in row {row}, column {column}"), want));
        }
        Ok(self)
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.inputs.nrows()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many outputs a network for them has.
    pub fn outputs(&self) -> usize {
        match &self.targets {
            Targets::Classes { classes, .. } => *classes,
            Targets::Values(values) => values.ncols(),
        }
    }

    /// The classes of the rows, if they have any.
    pub fn labels(&self) -> Option<&[u32]> {
        match &self.targets {
            Targets::Classes { labels, .. } => Some(labels),
            Targets::Values(_) => None,
        }
    }

    /// The rows named, in that order. Row numbers must be below [`Samples::len`].
    pub fn select(&self, rows: &[u32]) -> Samples {
        let at: Vec<usize> = rows.iter().map(|&r| r as usize).collect();
        Samples {
            inputs: self.inputs.select(Axis(0), &at),
            others: some(&self.others, &at),
            targets: match &self.targets {
                Targets::Classes { labels, classes } => {
                    Targets::Classes { labels: at.iter().map(|&r| labels[r]).collect(), classes: *classes }
                }
                Targets::Values(values) => Targets::Values(values.select(Axis(0), &at)),
            },
            weights: self.weights.as_ref().map(|weights| at.iter().map(|&r| weights[r]).collect()),
        }
    }

    /// Targets of the rows named, rows x outputs; classes one-hot.
    pub fn wanted(&self, rows: &[u32]) -> Array2<f32> {
        match &self.targets {
            Targets::Classes { labels, classes } => {
                let mut wanted = Array2::zeros((rows.len(), *classes));
                for (mut row, &r) in wanted.outer_iter_mut().zip(rows) {
                    row[labels[r as usize] as usize] = 1.0;
                }
                wanted
            }
            Targets::Values(values) => values.select(Axis(0), &rows.iter().map(|&r| r as usize).collect::<Vec<_>>()),
        }
    }
}

/// Some rows of all.
fn some(others: &Others, rows: &[usize]) -> Others {
    others.iter().map(|(name, entries)| (name.clone(), entries.select(rows))).collect()
}

impl<'a> From<&'a Samples> for Rows<'a> {
    fn from(samples: &'a Samples) -> Self {
        Rows::new(samples.inputs.view(), &samples.others)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn what_does_not_fit_is_refused() {
        assert!(Samples::classes(array![[1.0], [2.0]], vec![0, 2], 2).is_err());
        assert!(Samples::classes(array![[1.0], [2.0]], vec![0], 2).is_err());
        assert!(Samples::classes(array![[1.0], [f32::NAN]], vec![0, 1], 2).is_err());
        assert!(Samples::classes(Array2::zeros((0, 3)), vec![], 2).is_err());
        assert!(Samples::values(array![[1.0]], array![[f32::INFINITY]]).is_err());
    }

    #[test]
    fn weights_have_a_mean_of_one_and_follow_their_rows() {
        let samples = Samples::classes(array![[1.0], [2.0], [3.0]], vec![2, 0, 1], 3).expect("samples");
        let weighed = samples.clone().weighed(&[1.0, 2.0, 3.0]).expect("weights");
        assert_eq!(weighed.weights, Some(vec![0.5, 1.0, 1.5]));
        assert_eq!(weighed.batch(At { epoch: 0, step: 0 }, &[2, 0]).weights, Some(vec![1.5, 0.5]));
        for wrong in [&[1.0, 2.0][..], &[0.0; 3], &[1.0, -1.0, 1.0], &[1.0, f64::NAN, 1.0]] {
            assert!(samples.clone().weighed(wrong).is_err());
        }
    }

    #[test]
    fn named_inputs_follow_their_rows() {
        let samples = Samples::values(array![[1.0], [2.0], [3.0]], array![[0.0], [0.0], [0.0]]).expect("samples");
        let samples = samples.with("class", array![[7u32], [8], [9]]).expect("classes");
        let class = |n: [[u32; 1]; 2]| Entries::Whole(Array2::from(n.to_vec()));
        assert_eq!(samples.select(&[2, 1]).others["class"], class([[9], [8]]));
        assert_eq!(samples.batch(At { epoch: 0, step: 0 }, &[0, 2]).others["class"], class([[7], [9]]));
    }

    #[test]
    fn classes_become_one_hot_in_the_order_asked() {
        let samples = Samples::classes(array![[1.0], [2.0], [3.0]], vec![2, 0, 1], 3).expect("samples");
        assert_eq!(samples.wanted(&[2, 0]), array![[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]);
        assert_eq!(samples.select(&[1, 1]).labels(), Some(&[0, 0][..]));
    }
}
