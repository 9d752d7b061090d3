//! Random over-sampling.

use crate::{Generator, Labelled, Origin, Reads, Resampled, Resampler, Strategy};
use quadrat_core::{Area, Card, Method, Progress, Result, Seed, Settings};

/// Random over-sampling: rows of the rare classes are repeated at random, with replacement. The baseline of every
/// over-sampling method; it works on any columns.
///
/// Errors: an empty table; values that are not finite; fewer than two classes; a strategy that does not fit.
///
/// Cost: O(rows) time; rows are not copied until the table is asked for.
///
/// Source: a textbook baseline ("over-sampling with replacement" in Chawla and others, JAIR 16 (2002)).
///
/// ```
/// use quadrat_core::{Seed, Silent};
/// use quadrat_robust::{Labelled, RandomOverSampling, Resampler};
/// let data = Labelled::new(ndarray::array![[1.0], [2.0], [3.0], [9.0]], vec![0, 0, 0, 1]);
/// let balanced = RandomOverSampling::default().resample(&data, Seed(0), &Silent)?.table(&data);
/// assert_eq!(balanced.x, ndarray::array![[1.0], [2.0], [3.0], [9.0], [9.0], [9.0]]);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Settings)]
pub struct RandomOverSampling {
    /// How many rows each class shall have.
    #[param(flatten)]
    pub strategy: Strategy,
    /// Which random numbers.
    #[param(default = Generator::Streams)]
    pub generator: Generator,
}

impl Method for RandomOverSampling {
    const CARD: Card = Card {
        slug: "random-over-sampling",
        aliases: &["over-sampling", "ros"],
        title: "Random over-sampling",
        paper: "A textbook baseline: drawing rows with replacement",
        area: Area::Robust,
        verbs: &["balance"],
        summary: "Repeats rows of the rare classes at random.",
        useful_when: "imbalanced labels with columns of any kind, or too few rows of a class for neighbours",
        cost: "a pass over the labels",
        params: Self::PARAMS,
    };
}

impl Resampler for RandomOverSampling {
    fn card(&self) -> &'static Card {
        &Self::CARD
    }

    fn reads(&self) -> Reads {
        Reads::Nothing
    }

    fn resample(&self, data: &Labelled, seed: Seed, _progress: &dyn Progress) -> Result<Resampled> {
        data.check()?;
        let mut draws = self.generator.start("random-over-sampling", seed)?;
        let mut result = Resampled::of_kept(data, 0..data.y.len());
        for (class, count) in self.strategy.new_rows(data)? {
            let rows = data.rows_of(class);
            for place in draws.numbers(class, rows.len(), count) {
                result.origin.push(Origin::Kept(rows[place]));
                result.y.push(class);
            }
        }
        Ok(result)
    }
}
