//! SMOTE.

use crate::steps::{Step, interpolate, make_rows, nearest_in_class, plan};
use crate::{Generator, Labelled, Resampled, Resampler, Strategy};
use quadrat_core::{Area, Card, Choice, Method, Progress, Result, Seed, Settings};

/// SMOTE: new rows of a rare class on the line segments between its rows and their nearest neighbours in the class.
///
/// With [`Strategy::Percent`] it is the paper's algorithm: every minority row is the base of N/100 new rows (below 100%
/// a random N% of them are bases of one each). With any other strategy, which asks for a number of rows, base and
/// neighbour are drawn uniformly over all pairs, as imbalanced-learn does. Neighbours are drawn with replacement, as in
/// the paper's pseudo-code.
///
/// Distances are Euclidean: columns in large units dominate, so scale them first. Resample training rows only; and mind
/// that a model's probabilities afterwards refer to the resampled shares of the classes.
///
/// Errors: nominal columns (use SMOTE-NC); values that are not finite; a class with `k` rows or fewer; a strategy that
/// does not fit. Duplicates give new rows that are duplicates.
///
/// Cost: O(n² d) time for the exact neighbours of a class of n rows, O((n + new rows) d) memory.
///
/// Source: Chawla, Bowyer, Hall, Kegelmeyer, JAIR 16 (2002), section 4.2.
///
/// ```
/// use ndarray::array;
/// use quadrat_core::{Seed, Silent};
/// use quadrat_robust::{Labelled, Resampler, Smote};
/// let x = array![[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [5.0, 5.0], [6.0, 5.0], [5.0, 6.0], [6.0, 6.0], [7.0, 5.0]];
/// let data = Labelled::new(x, vec![1, 1, 1, 0, 0, 0, 0, 0]);
/// let balanced = Smote { k: 2, ..Smote::default() }.resample(&data, Seed(1), &Silent)?.table(&data);
/// assert_eq!(balanced.counts(), [5, 5]);
/// assert!(balanced.x.row(9).iter().all(|v| (0.0..=1.0).contains(v)));
/// # Ok::<(), quadrat_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Settings)]
pub struct Smote {
    /// How many rows each class shall have.
    #[param(flatten)]
    pub strategy: Strategy,
    /// Neighbours of each row.
    #[param(default = 5, from = 1)]
    pub k: usize,
    /// Where between base and neighbour.
    #[param(default = Gap::Segment)]
    pub gap: Gap,
    /// Which random numbers.
    #[param(default = Generator::Streams)]
    pub generator: Generator,
}

/// Where between base and neighbour a new row lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Choice)]
pub enum Gap {
    /// On the line between them: one gap for all columns. So the paper's prose and its corrected pseudo-code.
    Segment,
    /// In the box that they span: a gap for each column. So the pseudo-code as it was printed.
    PerAttribute,
}

impl Method for Smote {
    const CARD: Card = Card {
        slug: "smote",
        aliases: &[],
        title: "SMOTE: synthetic minority over-sampling",
        paper: "Chawla, Bowyer, Hall, Kegelmeyer: SMOTE: Synthetic Minority Over-sampling Technique. JAIR 16 (2002), \
                doi 10.1613/jair.953",
        area: Area::Robust,
        verbs: &["balance"],
        summary: "New rows of a rare class, on the line segments between its rows and their nearest neighbours in the \
                  class.",
        useful_when: "imbalanced labels, a rare class such as fraud or a disease, too few examples of one class, a \
                      classifier that ignores the minority, numeric columns",
        cost: "time grows with the square of the rare class's rows times columns; memory with the rows made",
        params: Self::PARAMS,
    };
}

impl Resampler for Smote {
    fn card(&self) -> &'static Card {
        &Self::CARD
    }

    fn resample(&self, data: &Labelled, seed: Seed, progress: &dyn Progress) -> Result<Resampled> {
        data.check_numeric()?;
        let mut steps = Vec::new();
        for (class, count) in self.strategy.new_rows(data)? {
            let rows = data.rows_of(class);
            let all: Vec<usize> = (0..rows.len()).collect();
            let neighbours = nearest_in_class(data, class, &rows, &all, self.k, progress)?;
            let mut draws = self.generator.start("smote", seed)?;
            let plan = plan(&mut draws, &self.strategy, class, count, rows.len(), self.k);
            steps.extend(plan.into_iter().map(|(base, column, gap)| {
                let neighbour = neighbours.of(base).0[column] as usize;
                Step { base: rows[base], neighbour, gap, class }
            }));
        }
        let synthetic = match self.gap {
            Gap::Segment => interpolate(data, &mut steps, progress)?,
            Gap::PerAttribute => {
                // The gaps of the columns come from streams of their own; no other tool's numbers exist to agree with.
                let seed = seed.stream("smote").stream("attributes");
                make_rows(data.x.ncols(), &mut steps, progress, |i, step, row| {
                    let mut rng = seed.rng(i as u64);
                    let (base, neighbour) = (data.x.row(step.base), data.x.row(step.neighbour));
                    step.gap = 0.0;
                    for ((value, b), n) in row.iter_mut().zip(base).zip(neighbour) {
                        let gap = rng.uniform();
                        *value = b + gap * (n - b);
                        step.gap += gap / data.x.ncols() as f64;
                    }
                })?
            }
        };
        Ok(Resampled::grown(data, &steps, synthetic))
    }
}
