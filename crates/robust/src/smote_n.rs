//! SMOTE-N.

use crate::steps::{Step, check_class_size, make_rows, plan};
use crate::votes::{Voters, vote};
use crate::{Generator, Labelled, Reads, Resampled, Resampler, Strategy};
use ndarray::ArrayView1;
use quadrat_core::{Area, Card, Error, Method, Progress, Result, Seed, Settings, checkpoint};
use rayon::prelude::*;

/// SMOTE-N: SMOTE for tables whose columns are all nominal.
///
/// Two values of a column are the nearer, the more alike the classes of the rows that have them: delta(V1, V2) = sum
/// over classes |C1i/C1 - C2i/C2|, where C1i of the C1 rows with value V1 are of class i (the value difference metric
/// with K = 1). The squared distance of two rows is the sum of delta² over columns (r = 2). A new row takes in each
/// column the most frequent value among its base and the base's `k` nearest neighbours in the class.
///
/// Bases are drawn as in [`Smote`](crate::Smote); a new row's origin names its base alone (as `neighbour` too, with gap
/// 0). Values that are equally frequent are drawn at random; imbalanced-learn takes the smallest, and the legacy
/// generator follows it. Of neighbours equally far the first rows count; imbalanced-learn leaves that choice open.
///
/// Errors: a column that is not nominal (use SMOTE-NC); a class with `k` rows or fewer; a strategy that does not fit.
///
/// Cost: O(n² d c) time for a class of n rows among c classes; O(n d c + N d) memory for N rows in all.
///
/// Source: Chawla, Bowyer, Hall, Kegelmeyer, JAIR 16 (2002), section 6.2.
///
/// ```
/// use ndarray::array;
/// use quadrat_core::{Seed, Silent};
/// use quadrat_robust::{Labelled, Resampler, SmoteN};
/// let x = array![[0.0, 2.0], [0.0, 3.0], [1.0, 2.0], [4.0, 5.0], [4.0, 6.0], [5.0, 5.0], [4.0, 5.0]];
/// let data = Labelled::new(x, vec![1, 1, 1, 0, 0, 0, 0]).with_categorical(vec![0, 1]);
/// let grown = SmoteN { k: 2, ..SmoteN::default() }.resample(&data, Seed(1), &Silent)?;
/// assert_eq!(grown.synthetic, array![[0.0, 2.0]]);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Settings)]
pub struct SmoteN {
    /// How many rows each class shall have.
    #[param(flatten)]
    pub strategy: Strategy,
    /// Neighbours that vote beside the base.
    #[param(default = 5, from = 1)]
    pub k: usize,
    /// Which random numbers.
    #[param(default = Generator::Streams)]
    pub generator: Generator,
}

impl Method for SmoteN {
    const CARD: Card = Card {
        slug: "smote-n",
        aliases: &["smoten"],
        title: "SMOTE-N: SMOTE for nominal columns",
        paper: "Chawla, Bowyer, Hall, Kegelmeyer: SMOTE: Synthetic Minority Over-sampling Technique. JAIR 16 (2002), \
                doi 10.1613/jair.953, section 6.2",
        area: Area::Robust,
        verbs: &["balance"],
        summary: "New rows of a rare class by a vote among similar rows, for tables whose columns are all categories.",
        useful_when: "imbalanced labels, a rare class, categorical columns only",
        cost: "time grows with the square of the rare class's rows times columns times classes",
        params: Self::PARAMS,
    };
}

impl Resampler for SmoteN {
    fn card(&self) -> &'static Card {
        &Self::CARD
    }

    fn reads(&self) -> Reads {
        Reads::Nominal
    }

    fn resample(&self, data: &Labelled, seed: Seed, progress: &dyn Progress) -> Result<Resampled> {
        data.check()?;
        let (columns, nominal) = (data.x.ncols(), data.categorical.len());
        if nominal < columns {
            let want = "all columns must be nominal: use smote-nc when some are numeric, smote when all are";
            return Err(Error::input("columns", format!("{} of {columns} numeric", columns - nominal), want));
        }
        let wanted = self.strategy.new_rows(data)?;
        let shares: Vec<Shares> = data.x.columns().into_iter().map(|column| Shares::of(column, data)).collect();
        let (mut steps, mut voters) = (Vec::new(), Vec::new());
        for (class, count) in wanted {
            let rows = data.rows_of(class);
            check_class_size(data, class, rows.len(), self.k)?;
            let mine: Vec<f64> =
                rows.iter().flat_map(|row| shares.iter().flat_map(|column| column.of_row(*row))).copied().collect();
            progress.begin("nearest neighbours", Some(rows.len() as u64));
            let mut places = vec![0; rows.len() * (self.k + 1)];
            places.par_chunks_exact_mut(self.k + 1).enumerate().try_for_each(|(i, places)| {
                checkpoint(progress)?;
                let (base, neighbours) = places.split_at_mut(1);
                base[0] = i as u32;
                nearest(&mine, columns, data.classes.len(), i, neighbours);
                progress.advance(1);
                Ok(())
            })?;
            let mut draws = self.generator.start("smote-n", seed)?;
            let plan = plan(&mut draws, &self.strategy, class, count, rows.len(), 1);
            steps.extend(plan.into_iter().map(|(base, _, _)| Step {
                base: rows[base],
                neighbour: rows[base],
                gap: 0.0,
                class,
            }));
            voters.push(Voters { class, rows, count: self.k + 1, places });
        }
        let ties = seed.stream("smote-n").stream("ties");
        let synthetic = make_rows(columns, &mut steps, progress, |i, step, row| {
            let mut rng = ties.rng(i as u64);
            for (column, value) in row.iter_mut().enumerate() {
                let tied = vote(data, &voters, step, column);
                *value = match self.generator {
                    Generator::Streams => tied[rng.below(tied.len())],
                    Generator::NumpyLegacy => tied[0],
                };
            }
        })?;
        Ok(Resampled::grown(data, &steps, synthetic))
    }
}

/// Of each value of a column, the shares of the classes among the rows that have it.
struct Shares {
    /// Each row's value, numbered from 0.
    codes: Vec<u32>,
    /// A share for each class, value by value.
    shares: Vec<f64>,
    classes: usize,
}

impl Shares {
    fn of(column: ArrayView1<f64>, data: &Labelled) -> Shares {
        let classes = data.classes.len();
        let mut order: Vec<u32> = (0..data.y.len() as u32).collect();
        let value = |row: u32| column[row as usize];
        order.par_sort_unstable_by(|a, b| value(*a).total_cmp(&value(*b)));
        let (mut codes, mut shares) = (vec![0; order.len()], Vec::new());
        for (code, same) in order.chunk_by(|a, b| value(*a) == value(*b)).enumerate() {
            shares.resize((code + 1) * classes, 0.0);
            for row in same.iter().map(|row| *row as usize) {
                codes[row] = code as u32;
                shares[code * classes + data.y[row] as usize] += 1.0;
            }
            shares[code * classes..].iter_mut().for_each(|share| *share /= same.len() as f64);
        }
        Shares { codes, shares, classes }
    }

    /// The shares of a row's value.
    fn of_row(&self, row: usize) -> &[f64] {
        let code = self.codes[row] as usize;
        &self.shares[code * self.classes..(code + 1) * self.classes]
    }
}

/// The rows nearest to row `i` of `shares` (`classes` numbers for each of the columns), nearest first, the first of
/// equals; as many as there is room for.
fn nearest(shares: &[f64], columns: usize, classes: usize, i: usize, places: &mut [u32]) {
    let width = columns * classes;
    let own = &shares[i * width..(i + 1) * width];
    let mut best: Vec<(f64, u32)> = Vec::with_capacity(places.len() + 1);
    for (j, other) in shares.chunks_exact(width).enumerate().filter(|(j, _)| *j != i) {
        let distance = squared_distance(own, other, classes);
        if best.len() == places.len() && best.last().is_some_and(|(worst, _)| distance >= *worst) {
            continue;
        }
        let at = best.partition_point(|(d, _)| *d <= distance);
        best.insert(at, (distance, j as u32));
        best.truncate(places.len());
    }
    places.iter_mut().zip(best).for_each(|(place, (_, j))| *place = j);
}

/// Sum over columns of delta².
fn squared_distance(a: &[f64], b: &[f64], classes: usize) -> f64 {
    let columns = a.chunks_exact(classes).zip(b.chunks_exact(classes));
    columns.map(|(a, b)| a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum::<f64>()).map(|delta| delta * delta).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, array};
    use quadrat_core::Silent;

    #[test]
    fn the_papers_vote() {
        // Table 7: A B C D E with neighbours A F C G N and H B C D N gives A B C D N. A common class that shares no
        // value with them keeps all three equally alike.
        let letters = ["ABCDE", "AFCGN", "HBCDN", "zzzzz", "zzzzz", "zzzzz", "zzzzz"];
        let x = Array2::from_shape_fn((7, 5), |(i, j)| f64::from(letters[i].as_bytes()[j]));
        let data = Labelled::new(x, vec![1, 1, 1, 0, 0, 0, 0]).with_categorical((0..5).collect());
        let method = SmoteN { k: 2, strategy: Strategy::Percent(100), ..SmoteN::default() };
        let grown = method.resample(&data, Seed(3), &Silent).unwrap();
        let expected: Vec<f64> = "ABCDN".bytes().map(f64::from).collect();
        for row in grown.synthetic.rows() {
            assert_eq!(row.to_vec(), expected);
        }
    }

    #[test]
    fn values_are_as_far_as_their_classes_differ() {
        // Value 0: both rows of class 0. Value 1: one row of each class. Value 2: its only row is of class 1.
        let data = Labelled::new(array![[0.0], [0.0], [1.0], [1.0], [2.0]], vec![0, 0, 0, 1, 1]);
        let shares = Shares::of(data.x.column(0), &data);
        assert_eq!(shares.codes, [0, 0, 1, 1, 2]);
        assert_eq!(shares.shares, [1.0, 0.0, 0.5, 0.5, 0.0, 1.0]);
        let distance = |a, b| squared_distance(shares.of_row(a), shares.of_row(b), 2);
        assert_eq!((distance(0, 1), distance(0, 2), distance(0, 4)), (0.0, 1.0, 4.0));
    }
}
