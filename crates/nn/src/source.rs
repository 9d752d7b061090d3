//! Where training takes its batches from.
//!
//! [`Samples`] are rows in memory. Everything else makes a batch's rows when they are asked for: windows over one long
//! text, two views of each row, rows without targets beside those that have them. Nothing is copied but the batch.

use crate::inputs::{Entries, Others, join};
use crate::loss::Loss;
use crate::method::{At, Batch};
use crate::samples::{Samples, Targets};
use crate::train::{Sum, rows_told};
use ndarray::Array2;
use quadrat_core::{Error, Result, Rng, Seed};

/// Rows to train on or to be judged by, made batch by batch.
#[allow(unused_variables)]
pub trait Source: Sync {
    /// How many rows there are; an epoch visits each once.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many numbers are wanted of a row.
    fn outputs(&self) -> usize;

    /// The batch of these rows, each below [`Source::len`]: a row for each comes first, in their order; others may follow. The
    /// same place in a run and the same rows give the same batch.
    ///
    /// # Errors
    /// The source's own.
    fn batch(&self, at: At, rows: &[u32]) -> Result<Batch>;

    /// What the rows are, in words that differ where the rows do: a checkpoint of others is refused.
    fn told(&self) -> String;

    /// That this loss fits the targets.
    ///
    /// # Errors
    /// It does not.
    fn check(&self, loss: Loss) -> Result<()> {
        Ok(())
    }

    /// The class of every row, if they have one each.
    fn labels(&self) -> Option<&[u32]> {
        None
    }

    /// How many rows without targets batches draw from beside the others; their numbers begin at [`Source::len`].
    fn unlabelled(&self) -> usize {
        0
    }

    /// The rows themselves, if they are in memory.
    fn samples(&self) -> Option<&Samples> {
        None
    }
}

impl Source for Samples {
    fn len(&self) -> usize {
        self.len()
    }

    fn outputs(&self) -> usize {
        self.outputs()
    }

    fn batch(&self, at: At, rows: &[u32]) -> Result<Batch> {
        Ok(self.batch(at, rows))
    }

    fn told(&self) -> String {
        rows_told(self)
    }

    fn check(&self, loss: Loss) -> Result<()> {
        crate::Rows::from(self).check_finite()?;
        if loss != Loss::Nothing && loss.is_classification() != self.labels().is_some() {
            return Err(Error::input("loss", loss, "a loss of classes for classes, of numbers for numbers"));
        }
        if let (Loss::Binary, Targets::Values(values)) = (loss, &self.targets)
            && let Some(v) = values.iter().find(|v| !(0.0..=1.0).contains(*v))
        {
            return Err(Error::input("targets", v, "0 to 1 for each label"));
        }
        Ok(())
    }

    fn labels(&self) -> Option<&[u32]> {
        self.labels()
    }

    fn samples(&self) -> Option<&Samples> {
        Some(self)
    }
}

/// Windows over one long stream of tokens: a row is `length` tokens (input `tokens`), and of each the next one is wanted.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenWindows {
    tokens: Vec<u32>,
    length: usize,
    stride: usize,
}

impl TokenWindows {
    /// A window every `stride` tokens: the length itself uses every token once, less lets windows overlap.
    ///
    /// # Errors
    /// A length or stride of 0, or fewer tokens than one window and the token after it.
    ///
    /// ```
    /// use quadrat_nn::{At, Source, TokenWindows};
    /// let windows = TokenWindows::new(vec![5, 6, 7, 8, 9], 2, 2)?;
    /// let batch = windows.batch(At { epoch: 0, step: 0 }, &[1])?;
    /// assert_eq!((windows.len(), batch.targets.row(0).to_vec()), (2, vec![8.0, 9.0]));
    /// # Ok::<(), quadrat_core::Error>(())
    /// ```
    pub fn new(tokens: Vec<u32>, length: usize, stride: usize) -> Result<Self> {
        if length == 0 || stride == 0 || tokens.len() <= length {
            let got = format!("{} tokens in windows of {length} every {stride}", tokens.len());
            return Err(Error::input(
                "tokens",
                got,
                "windows and steps of at least 1, and a token after the first window",
            ));
        }
        Ok(TokenWindows { tokens, length, stride })
    }

    fn windows<T>(&self, rows: &[u32], later: usize, number: impl Fn(u32) -> T) -> Array2<T> {
        Array2::from_shape_fn((rows.len(), self.length), |(i, j)| {
            number(self.tokens[rows[i] as usize * self.stride + j + later])
        })
    }
}

impl Source for TokenWindows {
    fn len(&self) -> usize {
        (self.tokens.len() - 1 - self.length) / self.stride + 1
    }

    fn outputs(&self) -> usize {
        self.length
    }

    fn batch(&self, at: At, rows: &[u32]) -> Result<Batch> {
        let tokens = Entries::Whole(self.windows(rows, 0, |token| token));
        let next = self.windows(rows, 1, |token| token as f32);
        let others = [("tokens".to_owned(), tokens)].into();
        Ok(Batch { others, ..Batch::new(at, rows, Array2::zeros((rows.len(), 0)), next) })
    }

    fn told(&self) -> String {
        let sum = Sum::of(self.tokens.iter().copied());
        format!("{} windows of {} tokens every {} with the sum {sum}", self.len(), self.length, self.stride)
    }

    fn check(&self, loss: Loss) -> Result<()> {
        match loss {
            Loss::Tokens { .. } | Loss::Nothing => Ok(()),
            other => Err(Error::input("loss", other, "the loss of tokens")),
        }
    }
}

/// Each row twice, changed by chance in two ways: what contrastive and consistency losses compare. A batch of n rows holds
/// all their first views, then all their second ones, under the same row numbers.
pub struct TwoViews<'a> {
    /// The rows.
    pub source: &'a dyn Source,
    /// Changes a row of numbers, by its own stream.
    pub view: &'a (dyn Fn(&mut [f32], &mut Rng) + Sync),
    /// What the streams come from: each step, row and view has one of its own.
    pub seed: Seed,
}

impl Source for TwoViews<'_> {
    fn len(&self) -> usize {
        self.source.len()
    }

    fn outputs(&self) -> usize {
        self.source.outputs()
    }

    fn batch(&self, at: At, rows: &[u32]) -> Result<Batch> {
        let one = self.source.batch(at, rows)?;
        let mut both = one.clone().followed_by(one)?;
        let seed = self.seed.stream(&at.step.to_string());
        for (i, mut row) in both.inputs.outer_iter_mut().enumerate() {
            let mut values = row.to_vec();
            (self.view)(&mut values, &mut seed.rng(i as u64));
            row.iter_mut().zip(values).for_each(|(old, new)| *old = new);
        }
        Ok(both)
    }

    fn told(&self) -> String {
        format!("two views, seed {}, of {}", self.seed.0, self.source.told())
    }

    fn check(&self, loss: Loss) -> Result<()> {
        self.source.check(loss)
    }
}

/// What belongs together, a question and its answer, say: row i of both. A batch of n rows holds the first of all pairs,
/// then the second of all, under the same row numbers.
pub struct Pairs<'a> {
    /// The first of each pair.
    pub first: &'a dyn Source,
    /// The second, as many.
    pub second: &'a dyn Source,
}

impl Source for Pairs<'_> {
    fn len(&self) -> usize {
        self.first.len().min(self.second.len())
    }

    fn outputs(&self) -> usize {
        self.first.outputs()
    }

    fn batch(&self, at: At, rows: &[u32]) -> Result<Batch> {
        self.first.batch(at, rows)?.followed_by(self.second.batch(at, rows)?)
    }

    fn told(&self) -> String {
        format!("{}, each with one of {}", self.first.told(), self.second.told())
    }

    fn check(&self, loss: Loss) -> Result<()> {
        if self.first.len() != self.second.len() {
            let got = format!("{} and {}", self.first.len(), self.second.len());
            return Err(Error::input("pairs", got, "as many second as first ones"));
        }
        self.first.check(loss)?;
        self.second.check(loss)
    }
}

/// Rows with targets, and `ratio` times as many without beside them in every batch, drawn anew for each. The unlabelled
/// ones follow the others; their row numbers begin behind the last labelled one, and their own targets do not count.
pub struct Beside<'a> {
    /// The rows with targets; an epoch visits each once.
    pub labelled: &'a dyn Source,
    /// The others.
    pub unlabelled: &'a dyn Source,
    /// How many of them come with each labelled row.
    pub ratio: usize,
    /// What they are drawn by.
    pub seed: Seed,
}

impl Source for Beside<'_> {
    fn len(&self) -> usize {
        self.labelled.len()
    }

    fn outputs(&self) -> usize {
        self.labelled.outputs()
    }

    fn batch(&self, at: At, rows: &[u32]) -> Result<Batch> {
        let labelled = self.labelled.batch(at, rows)?;
        let all = self.unlabelled.len();
        let mut rng = self.seed.rng(at.step as u64);
        let drawn: Vec<u32> = (0..rows.len() * self.ratio).map(|_| rng.below(all) as u32).collect();
        let mut unlabelled = self.unlabelled.batch(at, &drawn)?;
        unlabelled.weights = Some(vec![0.0; unlabelled.rows.len()]);
        unlabelled.rows.iter_mut().for_each(|row| *row += self.labelled.len() as u32);
        // The mean is over all rows: those that count make up for those that do not.
        let share = (labelled.rows.len() + unlabelled.rows.len()) as f32 / labelled.rows.len().max(1) as f32;
        let ones = || vec![1.0; labelled.rows.len()];
        let weights = labelled.weights.clone().unwrap_or_else(ones).iter().map(|weight| weight * share).collect();
        Batch { weights: Some(weights), ..labelled }.followed_by(unlabelled)
    }

    fn told(&self) -> String {
        let (labelled, unlabelled) = (self.labelled.told(), self.unlabelled.told());
        format!("{labelled}; beside them {} times as many of {unlabelled}, seed {}", self.ratio, self.seed.0)
    }

    fn unlabelled(&self) -> usize {
        self.unlabelled.len()
    }

    fn labels(&self) -> Option<&[u32]> {
        self.labelled.labels()
    }

    fn check(&self, loss: Loss) -> Result<()> {
        if self.unlabelled.is_empty() && self.ratio > 0 {
            return Err(Error::input("unlabelled rows", "none", "at least one, or a ratio of 0"));
        }
        self.labelled.check(loss)
    }
}

impl Batch {
    /// The rows of both, these first.
    fn followed_by(self, other: Batch) -> Result<Batch> {
        let differ = || {
            let (a, b) = (self.inputs.ncols(), other.inputs.ncols());
            let got =
                format!("rows of {a} and of {b} numbers, of {} and {}", self.targets.ncols(), other.targets.ncols());
            Error::input("batch", got, "rows with the same inputs and as many targets")
        };
        let mut others = Others::new();
        for (name, entries) in &self.others {
            let both = other.others.get(name).and_then(|second| entries.joined(second));
            others.insert(name.clone(), both.ok_or_else(differ)?);
        }
        let ones = |batch: &Batch| batch.weights.clone().unwrap_or_else(|| vec![1.0; batch.rows.len()]);
        let weighed = self.weights.is_some() || other.weights.is_some();
        Ok(Batch {
            rows: [&self.rows[..], &other.rows].concat(),
            inputs: join(&self.inputs, &other.inputs).ok_or_else(differ)?,
            others,
            targets: join(&self.targets, &other.targets).ok_or_else(differ)?,
            weights: weighed.then(|| [ones(&self), ones(&other)].concat()),
            mixed: self.mixed || other.mixed,
            ..self
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{array, s};

    const AT: At = At { epoch: 1, step: 7 };

    fn numbers(n: usize, from: f32) -> Samples {
        Samples::values(Array2::from_shape_fn((n, 2), |(i, j)| from + (2 * i + j) as f32), Array2::zeros((n, 1)))
            .unwrap()
    }

    #[test]
    fn windows_hold_their_tokens_and_want_the_next_ones() {
        let windows = TokenWindows::new((0..10).collect(), 3, 2).unwrap();
        assert_eq!(windows.len(), 4);
        let batch = windows.batch(AT, &[3, 0]).unwrap();
        assert_eq!(batch.others["tokens"], Entries::Whole(array![[6, 7, 8], [0, 1, 2]]));
        assert_eq!(batch.targets, array![[7.0, 8.0, 9.0], [1.0, 2.0, 3.0]]);
        assert_ne!(windows.told(), TokenWindows::new((0..10).rev().collect(), 3, 2).unwrap().told());
        for (tokens, length, stride) in [(3, 3, 1), (9, 0, 1), (9, 3, 0)] {
            assert!(TokenWindows::new(vec![0; tokens], length, stride).is_err());
        }
    }

    #[test]
    fn views_differ_and_come_again() {
        let rows = numbers(5, 0.0);
        let view = |row: &mut [f32], rng: &mut Rng| row.iter_mut().for_each(|v| *v += 0.1 * rng.normal() as f32);
        let views = TwoViews { source: &rows, view: &view, seed: Seed(3) };
        let batch = views.batch(AT, &[4, 1]).unwrap();
        assert_eq!((batch.rows.clone(), batch.targets.nrows()), (vec![4, 1, 4, 1], 4));
        let (first, second) = (batch.inputs.slice(s![..2, ..]), batch.inputs.slice(s![2.., ..]));
        let plain = rows.batch(AT, &[4, 1]).inputs;
        let near = |view: ndarray::ArrayView2<f32>| (&view - &plain).iter().all(|d| d.abs() < 1.0);
        assert!(first != second && near(first) && near(second));
        assert_eq!(views.batch(AT, &[4, 1]).unwrap().inputs, batch.inputs);
        assert_ne!(views.batch(At { step: 8, ..AT }, &[4, 1]).unwrap().inputs, batch.inputs);
    }

    #[test]
    fn pairs_stand_in_two_halves() {
        let (questions, answers) = (numbers(4, 0.0), numbers(4, 100.0));
        let pairs = Pairs { first: &questions, second: &answers };
        let batch = pairs.batch(AT, &[2, 0]).unwrap();
        assert_eq!(batch.inputs, array![[4.0, 5.0], [0.0, 1.0], [104.0, 105.0], [100.0, 101.0]]);
        assert_eq!((batch.rows, batch.weights), (vec![2, 0, 2, 0], None));
        assert!(Pairs { first: &questions, second: &numbers(3, 0.0) }.check(Loss::SquaredError).is_err());
        let wide = Samples::values(Array2::zeros((4, 3)), Array2::zeros((4, 1))).unwrap();
        assert!(Pairs { first: &questions, second: &wide }.batch(AT, &[0]).is_err());
    }

    #[test]
    fn unlabelled_rows_come_beside_and_do_not_count() {
        let (labelled, unlabelled) = (numbers(4, 0.0), numbers(9, 100.0));
        let both = Beside { labelled: &labelled, unlabelled: &unlabelled, ratio: 3, seed: Seed(1) };
        let batch = both.batch(AT, &[1, 3]).unwrap();
        assert_eq!(batch.weights, Some([vec![4.0; 2], vec![0.0; 6]].concat()));
        for (row, x) in batch.rows.iter().zip(batch.inputs.column(0)).skip(2) {
            assert_eq!(*x, 100.0 + 2.0 * (*row as f32 - 4.0));
        }
        assert_eq!(both.batch(AT, &[1, 3]).unwrap().rows, batch.rows);
        let none = Beside { ratio: 0, ..both }.batch(AT, &[1, 3]).unwrap();
        assert_eq!((none.rows.len(), none.weights), (2, Some(vec![1.0; 2])));
    }
}
