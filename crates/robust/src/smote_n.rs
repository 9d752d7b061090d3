//! SMOTE-N.

use crate::steps::{Step, check_class_size, make_rows, plan};
use crate::votes::most_frequent;
use crate::{Generator, Labelled, Reads, Resampled, Resampler, Strategy, params};
use ndarray::Axis;
use quadrat_core::{Area, Card, Error, Progress, Result, Seed, checkpoint};
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
/// Cost: O(n² d c) time for a class of n rows among c classes; memory for its rows once more.
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
#[derive(Debug, Clone, PartialEq)]
pub struct SmoteN {
    /// How many rows each class shall have.
    pub strategy: Strategy,
    /// Neighbours that vote beside the base, at least 1.
    pub k: usize,
    /// Which random numbers.
    pub generator: Generator,
}

impl Default for SmoteN {
    fn default() -> Self {
        SmoteN { strategy: Strategy::Auto, k: 5, generator: Generator::Streams }
    }
}

impl SmoteN {
    /// The method's card.
    pub const CARD: Card = Card {
        slug: "smote-n",
        aliases: &["smoten"],
        title: "SMOTE-N: SMOTE for nominal columns",
        paper: "Chawla, Bowyer, Hall, Kegelmeyer: SMOTE: Synthetic Minority Over-sampling Technique. JAIR 16 (2002), \
                doi 10.1613/jair.953, section 6.2",
        area: Area::Robust,
        summary: "New rows of a rare class by a vote among similar rows, for tables whose columns are all categories.",
        useful_when: "imbalanced labels, a rare class, categorical columns only",
        cost: "time grows with the square of the rare class's rows times columns times classes",
        params: &[params::STRATEGY, params::RATIO, params::COUNTS, params::PERCENT, params::K, params::GENERATOR],
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
        let shares = class_shares(data);
        let mut steps = Vec::new();
        let mut voters = vec![Vec::new(); data.y.len()];
        for (class, count) in wanted {
            let rows = data.rows_of(class);
            check_class_size(data, class, rows.len(), self.k)?;
            let mine = shares.gather(&rows);
            progress.begin("neighbours", Some(rows.len() as u64));
            let neighbours = (0..rows.len()).into_par_iter().map(|i| {
                checkpoint(progress)?;
                let found = nearest(&mine, shares.width, data.classes.len(), i, self.k);
                progress.advance(1);
                Ok(found)
            });
            for (i, found) in neighbours.collect::<Result<Vec<_>>>()?.into_iter().enumerate() {
                voters[rows[i]] = found.into_iter().chain([i]).map(|place| rows[place]).collect();
            }
            let mut draws = self.generator.start("smote-n", seed)?;
            let plan = plan(&mut draws, &self.strategy, class, count, rows.len(), 1);
            steps.extend(plan.into_iter().map(|(base, _, _)| Step {
                base: rows[base],
                neighbour: rows[base],
                gap: 0.0,
                class,
            }));
        }
        let ties = seed.stream("smote-n").stream("ties");
        let synthetic = make_rows(columns, &mut steps, progress, |i, step, row| {
            let mut rng = ties.rng(i as u64);
            for (column, value) in row.iter_mut().enumerate() {
                let mut votes: Vec<f64> = voters[step.base].iter().map(|voter| data.x[[*voter, column]]).collect();
                let tied = most_frequent(&mut votes);
                *value = match self.generator {
                    Generator::Streams => tied[rng.below(tied.len())],
                    Generator::NumpyLegacy => tied[0],
                };
            }
        })?;
        Ok(Resampled::grown(data, &steps, synthetic))
    }
}

/// For each row and column, the shares of the classes among all rows with the same value: `width` numbers a row, the
/// classes of a column side by side.
struct Shares {
    values: Vec<f64>,
    width: usize,
}

impl Shares {
    /// The shares of some rows, one after the other.
    fn gather(&self, rows: &[usize]) -> Vec<f64> {
        rows.iter().flat_map(|row| &self.values[row * self.width..(row + 1) * self.width]).copied().collect()
    }
}

fn class_shares(data: &Labelled) -> Shares {
    let classes = data.classes.len();
    let width = data.x.ncols() * classes;
    let mut values = vec![0.0; data.y.len() * width];
    for (column, x) in data.x.axis_iter(Axis(1)).enumerate() {
        let mut order: Vec<usize> = (0..data.y.len()).collect();
        order.sort_unstable_by(|a, b| x[*a].total_cmp(&x[*b]));
        for same in order.chunk_by(|a, b| x[*a] == x[*b]) {
            let mut shares = vec![0.0; classes];
            same.iter().for_each(|row| shares[data.y[*row] as usize] += 1.0);
            shares.iter_mut().for_each(|share| *share /= same.len() as f64);
            for row in same {
                let at = row * width + column * classes;
                values[at..at + classes].copy_from_slice(&shares);
            }
        }
    }
    Shares { values, width }
}

/// The `k` rows nearest to row `i` of `shares`, nearest first, the first of equals.
fn nearest(shares: &[f64], width: usize, classes: usize, i: usize, k: usize) -> Vec<usize> {
    let own = &shares[i * width..(i + 1) * width];
    let mut best: Vec<(f64, usize)> = Vec::with_capacity(k + 1);
    for (j, other) in shares.chunks_exact(width).enumerate() {
        if j == i {
            continue;
        }
        let bound = if best.len() == k { best[k - 1].0 } else { f64::INFINITY };
        let distance = squared_distance(own, other, classes);
        if distance < bound {
            let at = best.partition_point(|(d, _)| *d <= distance);
            best.insert(at, (distance, j));
            best.truncate(k);
        }
    }
    best.into_iter().map(|(_, j)| j).collect()
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
        let shares = class_shares(&data);
        assert_eq!(shares.values, [1.0, 0.0, 1.0, 0.0, 0.5, 0.5, 0.5, 0.5, 0.0, 1.0]);
        let distance = |a: usize, b: usize| {
            squared_distance(&shares.values[2 * a..2 * a + 2], &shares.values[2 * b..2 * b + 2], 2)
        };
        assert_eq!((distance(0, 1), distance(0, 2), distance(0, 4)), (0.0, 1.0, 4.0));
    }
}
