//! Random under-sampling.

use crate::{Generator, Labelled, Reads, Resampled, Resampler, Strategy};
use quadrat_core::{Area, Card, Method, Progress, Result, Seed, Settings};

/// Random under-sampling: rows of the common classes are dropped at random, without replacement.
///
/// [`Strategy::Percent`] is the paper's amount: at x% the other classes lose rows until the smallest class has at least
/// x% as many rows as each of them. It refers to the rows given here: to combine it with SMOTE so that all SMOTE
/// amounts share the same majority (the paper's curves), under-sample first, at 100% or
/// less: above, the class dropped to becomes the smallest, and SMOTE would then over-sample that one.
///
/// The rows keep their order. With the legacy generator they come as imbalanced-learn returns them: class by class, drawn
/// classes in the order of the draw.
///
/// Errors: an empty table; values that are not finite; fewer than two classes; a strategy that does not fit.
///
/// Cost: O(rows) time; no row is copied until the table is asked for.
///
/// Source: Chawla and others, JAIR 16 (2002), section 4.1.
///
/// ```
/// use quadrat_core::{Seed, Silent};
/// use quadrat_robust::{Labelled, RandomUnderSampling, Resampler, Strategy};
/// let data = Labelled::new(ndarray::Array2::zeros((12, 1)), vec![0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1]);
/// let method = RandomUnderSampling { strategy: Strategy::Percent(200), ..Default::default() };
/// assert_eq!(method.resample(&data, Seed(0), &Silent)?.table(&data).counts(), [2, 4]);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Settings)]
pub struct RandomUnderSampling {
    /// How many rows each class shall keep.
    #[param(flatten)]
    pub strategy: Strategy,
    /// Which random numbers.
    #[param(default = Generator::Streams)]
    pub generator: Generator,
}

impl Method for RandomUnderSampling {
    const CARD: Card = Card {
        slug: "random-under-sampling",
        aliases: &["under-sampling", "rus"],
        title: "Random under-sampling",
        paper: "A textbook baseline; by per cent as in Chawla and others, JAIR 16 (2002), doi 10.1613/jair.953",
        area: Area::Robust,
        verbs: &["balance"],
        summary: "Drops rows of the common classes at random.",
        useful_when: "imbalanced labels and more rows of the common class than needed; training takes too long",
        cost: "a pass over the labels",
        params: Self::PARAMS,
    };
}

impl Resampler for RandomUnderSampling {
    fn card(&self) -> &'static Card {
        &Self::CARD
    }

    fn reads(&self) -> Reads {
        Reads::Nothing
    }

    fn resample(&self, data: &Labelled, seed: Seed, _progress: &dyn Progress) -> Result<Resampled> {
        data.check()?;
        let mut draws = self.generator.start("random-under-sampling", seed)?;
        let wanted = self.strategy.kept_rows(data)?;
        let mut kept = Vec::new();
        for class in 0..data.classes.len() as u32 {
            let rows = data.rows_of(class);
            match wanted.iter().find(|(c, _)| *c == class) {
                Some((_, count)) => kept.extend(draws.sample(class, rows.len(), *count).into_iter().map(|i| rows[i])),
                None => kept.extend(rows),
            }
        }
        if self.generator == Generator::Streams {
            kept.sort_unstable();
        }
        Ok(Resampled::of_kept(data, kept))
    }
}
