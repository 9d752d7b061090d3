//! SMOTE-NC.

use crate::steps::{Step, check_class_size, make_rows, plan};
use crate::votes::{Voters, vote};
use crate::{Generator, Labelled, NumpyLegacy, Reads, Resampled, Resampler, Strategy};
use ndarray::{Array2, ArrayView2, Axis};
use quadrat_core::{Area, Card, Error, Method, Progress, Result, Seed, Settings, stats};
use quadrat_numeric::neighbours::{Neighbours, nearest_plus};

/// SMOTE-NC: SMOTE for tables with nominal and continuous columns.
///
/// Med is the median, over the continuous columns, of their standard deviation inside the class. The squared distance of
/// two rows is the sum of squared differences of the continuous columns, plus Med² for every nominal column in which
/// they differ. Continuous columns of a new row lie between base and neighbour as in [`Smote`](crate::Smote); a nominal
/// column takes its most frequent value among the `k` neighbours of the base, the base not included, and a random one of
/// equally frequent values.
///
/// The standard deviation divides by n, as imbalanced-learn does; the paper does not say. When Med is 0 nominal columns
/// carry no weight in the distance, and the vote is the same as ever. Nothing is expanded: a column of ten thousand
/// categories costs as much as one of two.
///
/// Errors: no nominal column (use SMOTE) or no continuous one (use SMOTE-N), and those of SMOTE.
///
/// Cost: O(n² d) time for a class of n rows, O((n + new rows) d) memory.
///
/// Source: Chawla, Bowyer, Hall, Kegelmeyer, JAIR 16 (2002), section 6.1.
///
/// ```
/// use ndarray::array;
/// use quadrat_core::{Seed, Silent};
/// use quadrat_robust::{Labelled, Resampler, SmoteNc};
/// // Column 1 is a category.
/// let x = array![[0.0, 7.0], [1.0, 7.0], [0.5, 7.0], [5.0, 8.0], [6.0, 8.0], [5.5, 9.0], [6.5, 8.0]];
/// let data = Labelled::new(x, vec![1, 1, 1, 0, 0, 0, 0]).with_categorical(vec![1]);
/// let grown = SmoteNc { k: 2, ..SmoteNc::default() }.resample(&data, Seed(1), &Silent)?;
/// assert_eq!(grown.synthetic.nrows(), 1);
/// assert!(grown.synthetic[[0, 0]] <= 1.0 && grown.synthetic[[0, 1]] == 7.0);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Settings)]
pub struct SmoteNc {
    /// How many rows each class shall have.
    #[param(flatten)]
    pub strategy: Strategy,
    /// Neighbours of each row.
    #[param(default = 5, from = 1)]
    pub k: usize,
    /// Which random numbers.
    #[param(default = Generator::Streams)]
    pub generator: Generator,
}

impl Method for SmoteNc {
    const CARD: Card = Card {
        slug: "smote-nc",
        aliases: &["smotenc"],
        title: "SMOTE-NC: SMOTE for nominal and continuous columns",
        paper: "Chawla, Bowyer, Hall, Kegelmeyer: SMOTE: Synthetic Minority Over-sampling Technique. JAIR 16 (2002), \
                doi 10.1613/jair.953, section 6.1",
        area: Area::Robust,
        verbs: &["balance"],
        summary: "New rows of a rare class: numbers between those of two neighbours, categories by a vote of the \
                  neighbours.",
        useful_when: "imbalanced labels, a rare class, a table with numeric and categorical columns",
        cost: "time grows with the square of the rare class's rows times columns; memory with the rows made",
        params: Self::PARAMS,
    };
}

impl Resampler for SmoteNc {
    fn card(&self) -> &'static Card {
        &Self::CARD
    }

    fn reads(&self) -> Reads {
        Reads::Mixed
    }

    fn resample(&self, data: &Labelled, seed: Seed, progress: &dyn Progress) -> Result<Resampled> {
        data.check()?;
        let columns = data.x.ncols();
        let continuous: Vec<usize> = (0..columns).filter(|c| !data.categorical.contains(c)).collect();
        if data.categorical.is_empty() {
            return Err(Error::input("nominal columns", "none", "name at least one, or use smote"));
        }
        if continuous.is_empty() {
            return Err(Error::input(
                "numeric columns",
                "none",
                "leave at least one that is not nominal, or use smote-n",
            ));
        }
        data.check_magnitude(&continuous)?;
        let mut steps = Vec::new();
        let mut voters = Vec::new();
        for (class, count) in self.strategy.new_rows(data)? {
            let rows = data.rows_of(class);
            check_class_size(data, class, rows.len(), self.k)?;
            let mine = data.x.select(Axis(0), &rows);
            let neighbours = nearest(&mine, &continuous, &data.categorical, self.k, progress)?;
            let mut draws = self.generator.start("smote-nc", seed)?;
            let plan = plan(&mut draws, &self.strategy, class, count, rows.len(), self.k);
            steps.extend(plan.into_iter().map(|(base, column, gap)| {
                let neighbour = rows[neighbours.of(base).0[column] as usize];
                Step { base: rows[base], neighbour, gap, class }
            }));
            voters.push(Voters { class, rows, count: self.k, places: neighbours.index });
        }
        let ties = seed.stream("smote-nc").stream("ties");
        let mut synthetic = make_rows(columns, &mut steps, progress, |i, step, row| {
            let (base, neighbour) = (data.x.row(step.base), data.x.row(step.neighbour));
            for &c in &continuous {
                row[c] = base[c] + step.gap * (neighbour[c] - base[c]);
            }
            if self.generator == Generator::Streams {
                let mut rng = ties.rng(i as u64);
                for &c in &data.categorical {
                    let tied = vote(data, &voters, step, c);
                    row[c] = tied[rng.below(tied.len())];
                }
            }
        })?;
        if self.generator == Generator::NumpyLegacy {
            legacy_votes(data, &voters, &steps, &mut synthetic, seed)?;
        }
        Ok(Resampled::grown(data, &steps, synthetic))
    }
}

/// The `k` nearest rows of each row of a class.
fn nearest(
    rows: &Array2<f64>,
    continuous: &[usize],
    nominal: &[usize],
    k: usize,
    progress: &dyn Progress,
) -> Result<Neighbours> {
    let numbers = rows.select(Axis(1), continuous);
    let codes = rows.select(Axis(1), nominal);
    let squared = med(numbers.view()).powi(2);
    let own: Vec<usize> = (0..rows.nrows()).collect();
    let differing = |a: usize, b: usize| codes.row(a).iter().zip(codes.row(b)).filter(|(a, b)| a != b).count();
    nearest_plus(numbers.view(), numbers.view(), Some(&own), k, |a, b| squared * differing(a, b) as f64, progress)
}

/// The median over columns of the standard deviation.
fn med(numbers: ArrayView2<f64>) -> f64 {
    let deviation = |column: ndarray::ArrayView1<f64>| {
        let mean = column.sum() / column.len() as f64;
        (column.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / column.len() as f64).sqrt()
    };
    stats::median(&numbers.columns().into_iter().map(deviation).collect::<Vec<f64>>())
}

/// The votes as imbalanced-learn breaks their ties: column by column, all (row, value) that lead a vote are put into
/// random order, and the first of each row wins. Each class starts from the seed again.
fn legacy_votes(
    data: &Labelled,
    voters: &[Voters],
    steps: &[Step],
    synthetic: &mut Array2<f64>,
    seed: Seed,
) -> Result<()> {
    let mut first = 0;
    for class in steps.chunk_by(|a, b| a.class == b.class) {
        let mut rng = NumpyLegacy::new(seed)?;
        for &column in &data.categorical {
            let leaders = |(i, step): (usize, &Step)| {
                vote(data, voters, step, column).into_iter().map(move |value| (first + i, value))
            };
            let mut leading: Vec<(usize, f64)> = class.iter().enumerate().flat_map(leaders).collect();
            rng.shuffle(&mut leading);
            // Last to first, so that the first of each row is what stays.
            for (row, value) in leading.into_iter().rev() {
                synthetic[[row, column]] = value;
            }
        }
        first += class.len();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;
    use quadrat_core::Silent;

    #[test]
    fn the_papers_distance() {
        // Table 6: F1 = 1 2 3 A B C and F2 = 4 6 5 A D E are 9 + 16 + 4 + 2 Med² apart; F3 = 3 5 6 A B K.
        let rows =
            array![[1.0, 2.0, 3.0, 0.0, 1.0, 2.0], [4.0, 6.0, 5.0, 0.0, 3.0, 4.0], [3.0, 5.0, 6.0, 0.0, 1.0, 5.0]];
        let near = nearest(&rows, &[0, 1, 2], &[3, 4, 5], 2, &Silent).unwrap();
        // Variances 14/9, 26/9 and 14/9 of the three columns: the middle one is 14/9.
        let med2 = 14.0 / 9.0;
        assert!((med(rows.select(Axis(1), &[0, 1, 2]).view()).powi(2) - med2).abs() < 1e-12);
        let (index, squared) = near.of(0);
        assert_eq!(index, [2, 1]);
        for (got, expected) in squared.iter().zip([4.0 + 9.0 + 9.0 + med2, 9.0 + 16.0 + 4.0 + 2.0 * med2]) {
            assert!((got - expected).abs() < 1e-12, "{got} {expected}");
        }
    }

    #[test]
    fn without_spread_categories_do_not_weigh_but_still_vote() {
        let rows = array![[1.0, 0.0], [1.0, 5.0], [1.0, 5.0], [1.0, 0.0]];
        assert_eq!(nearest(&rows, &[0], &[1], 2, &Silent).unwrap().of(0), (&[1, 2][..], &[0.0, 0.0][..]));
        let x = ndarray::concatenate![Axis(0), rows, Array2::from_elem((6, 2), 9.0)];
        let data = Labelled::new(x, vec![1, 1, 1, 1, 0, 0, 0, 0, 0, 0]).with_categorical(vec![1]);
        for generator in [Generator::Streams, Generator::NumpyLegacy] {
            let method = SmoteNc { k: 3, strategy: Strategy::Percent(100), generator };
            let grown = method.resample(&data, Seed(0), &Silent).unwrap();
            // Rows 0 and 3 have neighbours 5, 5, 0; rows 1 and 2 have 0, 5, 0.
            assert_eq!(grown.synthetic.column(1).to_vec(), [5.0, 0.0, 0.0, 5.0]);
        }
    }

    #[test]
    fn ties_are_broken_evenly() {
        // Two neighbours with different categories: each wins half the time. Four standard errors of 4,000 draws: one
        // false alarm in 16,000 seeds.
        let x = array![[0.0, 0.0], [1.0, 1.0], [2.0, 2.0], [50.0, 3.0], [51.0, 3.0], [52.0, 3.0], [53.0, 3.0]];
        let data = Labelled::new(x, vec![1, 1, 1, 0, 0, 0, 0]).with_categorical(vec![1]);
        for generator in [Generator::Streams, Generator::NumpyLegacy] {
            let strategy = Strategy::Counts([("1".to_owned(), 4003)].into());
            let grown = SmoteNc { k: 2, strategy, generator }.resample(&data, Seed(5), &Silent).unwrap();
            let of_row_0 = grown.origin.iter().skip(7).zip(grown.synthetic.column(1)).filter_map(|(o, v)| match o {
                crate::Origin::Synthetic { base: 0, .. } => Some(*v),
                _ => None,
            });
            let values: Vec<f64> = of_row_0.collect();
            let ones = values.iter().filter(|v| **v == 1.0).count() as f64;
            let n = values.len() as f64;
            assert!(n > 1000.0 && (ones - 0.5 * n).abs() < 4.0 * (0.25 * n).sqrt(), "{ones} of {n}");
        }
    }
}
