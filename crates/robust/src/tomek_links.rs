//! Tomek links.

use crate::steps::nearest_in_table;
use crate::{Labelled, Resampled, Resampler, Strategy};
use quadrat_core::{Area, Card, Method, Progress, Result, Seed, Settings};

/// Tomek links: two rows of different classes that are each other's nearest neighbour. Their members in the cleaned
/// classes are removed.
///
/// With [`Strategy::Auto`] the smallest class keeps its rows, so the border moves in its favour; with
/// [`Strategy::All`] both rows of a link go. Deterministic: the seed is not used.
///
/// Errors: nominal columns; values that are not finite; fewer than two classes; a strategy that asks for a number of
/// rows.
///
/// Cost: O(N² d) time for N rows.
///
/// Source: Tomek, Two Modifications of CNN, IEEE Transactions on Systems, Man, and Cybernetics 6 (1976).
///
/// ```
/// use ndarray::array;
/// use quadrat_core::{Seed, Silent};
/// use quadrat_robust::{Labelled, Resampler, TomekLinks};
/// let data = Labelled::new(array![[0.0], [1.0], [2.0], [2.2], [5.0]], vec![0, 0, 0, 1, 1]);
/// let cleaned = TomekLinks::default().resample(&data, Seed(0), &Silent)?.table(&data);
/// assert_eq!(cleaned.x, array![[0.0], [1.0], [2.2], [5.0]]);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Settings)]
pub struct TomekLinks {
    /// Which classes may lose rows.
    #[param(default = Strategy::Auto, parse = Strategy::named, kind = crate::strategy::NAMES)]
    pub strategy: Strategy,
}

impl Method for TomekLinks {
    const CARD: Card = Card {
        slug: "tomek-links",
        aliases: &["tomek"],
        title: "Tomek links",
        paper: "Tomek: Two Modifications of CNN. IEEE Transactions on Systems, Man, and Cybernetics 6 (1976)",
        area: Area::Robust,
        verbs: &["balance"],
        summary: "Removes rows whose nearest neighbour belongs to another class and has them as its own nearest \
                  neighbour.",
        useful_when: "classes that overlap, ambiguous or mislabelled rows on the border between classes",
        cost: "time grows with the square of the rows times columns",
        params: Self::PARAMS,
    };
}

impl Resampler for TomekLinks {
    fn card(&self) -> &'static Card {
        &Self::CARD
    }

    fn resample(&self, data: &Labelled, _seed: Seed, progress: &dyn Progress) -> Result<Resampled> {
        data.check_numeric()?;
        let cleaned = self.strategy.cleaned(data)?;
        let all: Vec<usize> = (0..data.y.len()).collect();
        let neighbours = nearest_in_table(data, &all, 1, progress)?;
        let partner = |row: usize| neighbours.of(row).0[0] as usize;
        let linked = |row: usize| data.y[partner(row)] != data.y[row] && partner(partner(row)) == row;
        Ok(Resampled::of_kept(data, all.iter().copied().filter(|&row| !(cleaned[data.y[row] as usize] && linked(row)))))
    }
}
