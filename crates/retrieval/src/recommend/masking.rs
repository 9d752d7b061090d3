//! Which fields each of two views hides.

use super::{Features, Field};
use ndarray::Array2;
use quadrat_core::{Lists, Rng};

/// For each field whether it is hidden.
pub type Mask = Vec<bool>;

/// How the fields are shared out between two views of the same items.
#[derive(Debug, Clone, PartialEq)]
pub enum Masking {
    /// Correlated feature masking: the first view hides a field drawn uniformly, the seed, and the `n` that tell most of it by
    /// `information` (fields x fields); the second hides all others. What could give a hidden field away is hidden with it.
    Correlated {
        /// Mutual information.
        information: Array2<f64>,
        /// Fields hidden beside the seed.
        n: usize,
    },
    /// The first view hides half of the fields, any of them; the second hides all others.
    Random,
    /// Each view hides half of the fields, drawn apart.
    RandomApart,
}

impl Masking {
    /// The masks of both views, anew for every batch, of so many `fields` (two at least).
    pub fn draw(&self, fields: usize, rng: &mut Rng) -> [Mask; 2] {
        let hidden = |some: &[usize]| {
            let mut mask = vec![false; fields];
            some.iter().for_each(|field| mask[*field] = true);
            mask
        };
        match self {
            Masking::Correlated { information, n } => {
                let seed = rng.below(fields);
                let mut others: Vec<usize> = (0..fields).filter(|field| *field != seed).collect();
                // The lower field comes first where two tell as much.
                others.sort_by(|a, b| information[[seed, *b]].total_cmp(&information[[seed, *a]]));
                others.truncate(*n);
                others.push(seed);
                let first = hidden(&others);
                let second = first.iter().map(|hidden| !hidden).collect();
                [first, second]
            }
            Masking::Random => {
                let first = hidden(&rng.sample(fields, fields / 2));
                let second = first.iter().map(|hidden| !hidden).collect();
                [first, second]
            }
            Masking::RandomApart => [0; 2].map(|_| hidden(&rng.sample(fields, fields / 2))),
        }
    }
}

/// The values that a batch of rows shows: a list for each row of each field, empty where the field is hidden or missing.
pub type View = Vec<Lists>;

/// What `rows` show. `hidden` says of a field whether a row hides it. In fields of several values each value is left out with the chance
/// `dropout`, but one of them always stays: only a mask hides a whole field.
pub(super) fn view(
    features: &Features,
    rows: &[u32],
    hidden: impl Fn(usize, &mut Rng) -> bool,
    dropout: f64,
    rng: &mut Rng,
) -> View {
    let mut of_field = |(at, field): (usize, &Field)| {
        let mut lists = Lists::with_capacity(rows.len(), rows.len());
        for row in rows {
            let values = &field.values[*row as usize];
            if hidden(at, rng) {
                lists.push([]);
            } else if values.len() < 2 || dropout == 0.0 {
                lists.push(values.iter().copied());
            } else {
                let kept: Vec<u32> = values.iter().copied().filter(|_| rng.uniform() >= dropout).collect();
                match kept.is_empty() {
                    true => lists.push([values[rng.below(values.len())]]),
                    false => lists.push(kept),
                }
            }
        }
        lists
    };
    features.fields().iter().enumerate().map(&mut of_field).collect()
}
