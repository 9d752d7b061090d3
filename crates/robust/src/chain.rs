//! Resamplers one after the other.

use crate::labelled::source;
use crate::{
    Agree, EditedNearestNeighbours, Labelled, Origin, Reads, Resampled, Resampler, Smote, Strategy, TomekLinks,
};
use ndarray::{Array2, Axis};
use quadrat_core::{Area, Card, Method, Progress, Result, Seed, Settings};

/// Resamplers applied one after the other, each to the result of the one before.
///
/// Origins name rows of the first input. Where a later step makes a row from a synthetic one, `base` and `neighbour` are
/// the rows that one started from. The first step gets the seed as it is, later ones streams of it.
///
/// Errors: those of the steps. Cost: that of the steps, and a copy of the table between two steps.
///
/// ```
/// use quadrat_core::{Seed, Silent};
/// use quadrat_robust::{Chain, Labelled, RandomUnderSampling, Resampler, Smote, Strategy};
/// let x = ndarray::Array2::from_shape_fn((40, 2), |(i, j)| (i * i % (7 + j)) as f64);
/// let data = Labelled::new(x, (0..40).map(|i| u32::from(i < 8)).collect());
/// let thinned = RandomUnderSampling { strategy: Strategy::Percent(50), ..Default::default() };
/// let doubled = Smote { strategy: Strategy::Percent(100), ..Smote::default() };
/// let chain = Chain::new(vec![Box::new(thinned), Box::new(doubled)]);
/// assert_eq!(chain.resample(&data, Seed(0), &Silent)?.table(&data).counts(), [16, 16]);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
pub struct Chain {
    steps: Vec<Box<dyn Resampler>>,
}

impl Chain {
    /// The card of a chain put together by hand.
    pub const CARD: Card = Card {
        slug: "chain",
        aliases: &[],
        title: "Resamplers one after the other",
        paper: "A combination of methods",
        area: Area::Robust,
        verbs: &["balance"],
        summary: "Applies resampling methods one after the other.",
        useful_when: "over-sampling and under-sampling or cleaning together",
        cost: "that of its steps, and a copy of the table between two steps",
        params: &[],
    };

    /// The given steps, first to last. Without steps the table stays as it is.
    pub fn new(steps: Vec<Box<dyn Resampler>>) -> Self {
        Chain { steps }
    }
}

/// SMOTE, then removal of Tomek links in all classes.
///
/// Source: Batista, Prati, Monard (2004).
#[derive(Debug, Clone, PartialEq, Settings)]
pub struct SmoteTomek {
    /// The SMOTE that comes first.
    #[param(flatten)]
    pub smote: Smote,
}

impl Method for SmoteTomek {
    const CARD: Card = Card {
        slug: "smote-tomek",
        aliases: &[],
        title: "SMOTE, then removal of Tomek links",
        paper: "Batista, Prati, Monard: A Study of the Behavior of Several Methods for Balancing Machine Learning \
                Training Data. SIGKDD Explorations 6 (2004), doi 10.1145/1007730.1007735",
        area: Area::Robust,
        verbs: &["balance"],
        summary: "Balances the classes with SMOTE, then removes both rows of every Tomek link.",
        useful_when: "imbalanced labels and classes that overlap after over-sampling",
        cost: "that of SMOTE, and the square of all rows times columns",
        params: Self::PARAMS,
    };
}

/// SMOTE, then edited nearest neighbours with k = 3 in all classes.
///
/// Source: Batista, Prati, Monard (2004).
#[derive(Debug, Clone, PartialEq, Settings)]
pub struct SmoteEnn {
    /// The SMOTE that comes first.
    #[param(flatten)]
    pub smote: Smote,
    /// What a row's neighbours must say for it to stay in the cleaning.
    #[param(default = Agree::All)]
    pub agree: Agree,
}

impl Method for SmoteEnn {
    const CARD: Card = Card {
        slug: "smote-enn",
        title: "SMOTE, then edited nearest neighbours",
        summary: "Balances the classes with SMOTE, then removes every row one of whose 3 nearest neighbours disagrees.",
        useful_when: "imbalanced labels, noisy labels, classes that overlap a lot after over-sampling",
        params: Self::PARAMS,
        ..SmoteTomek::CARD
    };
}

/// A method that is the chain it makes.
pub(crate) trait Chained: Method + Send + Sync {
    fn chain(&self) -> Chain;
}

impl Chained for SmoteTomek {
    fn chain(&self) -> Chain {
        Chain::new(vec![Box::new(self.smote.clone()), Box::new(TomekLinks { strategy: Strategy::All })])
    }
}

impl Chained for SmoteEnn {
    fn chain(&self) -> Chain {
        let clean = EditedNearestNeighbours { strategy: Strategy::All, k: 3, agree: self.agree };
        Chain::new(vec![Box::new(self.smote.clone()), Box::new(clean)])
    }
}

impl<T: Chained> Resampler for T {
    fn card(&self) -> &'static Card {
        &T::CARD
    }

    fn reads(&self) -> Reads {
        self.chain().reads()
    }

    fn resample(&self, data: &Labelled, seed: Seed, progress: &dyn Progress) -> Result<Resampled> {
        self.chain().resample(data, seed, progress)
    }
}

impl Resampler for Chain {
    fn card(&self) -> &'static Card {
        &Self::CARD
    }

    fn reads(&self) -> Reads {
        let both = |a, b| match (a, b) {
            (Reads::Nothing, other) | (other, Reads::Nothing) => other,
            (a, b) if a == b => a,
            _ => Reads::Mixed,
        };
        self.steps.iter().map(|step| step.reads()).fold(Reads::Nothing, both)
    }

    fn resample(&self, data: &Labelled, seed: Seed, progress: &dyn Progress) -> Result<Resampled> {
        data.check()?;
        let Some((first, rest)) = self.steps.split_first() else {
            return Ok(Resampled::of_kept(data, 0..data.y.len()));
        };
        let mut result = first.resample(data, seed, progress)?;
        for (i, step) in rest.iter().enumerate() {
            let table = result.table(data);
            let next = step.resample(&table, seed.stream(&format!("step {}", i + 1)), progress)?;
            result = compose(&result, &table, next);
        }
        Ok(result)
    }
}

/// `second`, made from `table` (the rows of `first`), told in rows of the table that `first` was made from.
fn compose(first: &Resampled, table: &Labelled, second: Resampled) -> Resampled {
    let back = |row: usize| source(&first.origin[row]);
    let mut values = Vec::new();
    let mut made = second.synthetic.axis_iter(Axis(0));
    let mut origin = Vec::with_capacity(second.origin.len());
    for o in &second.origin {
        origin.push(match *o {
            Origin::Kept(row) => {
                if !matches!(first.origin[row], Origin::Kept(_)) {
                    values.extend(table.x.row(row));
                }
                first.origin[row]
            }
            Origin::Synthetic { base, neighbour, gap } => {
                values.extend(made.next().iter().flatten());
                Origin::Synthetic { base: back(base), neighbour: back(neighbour), gap }
            }
            Origin::Drawn { near } => {
                values.extend(made.next().iter().flatten());
                Origin::Drawn { near: back(near) }
            }
        });
    }
    let columns = table.x.ncols();
    let made = values.len() / columns.max(1);
    let synthetic = Array2::from_shape_fn((made, columns), |(i, j)| values[i * columns + j]);
    Resampled { origin, synthetic, y: second.y, notes: [first.notes.as_slice(), &second.notes].concat() }
}
