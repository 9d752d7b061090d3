//! Edited nearest neighbours.

use crate::steps::nearest_in_table;
use crate::{Labelled, Resampled, Resampler, Strategy};
use quadrat_core::{Area, Card, Choice, Method, Progress, Result, Seed, Settings};

/// Edited nearest neighbours: removes rows that their nearest neighbours would not have given their class.
///
/// Deterministic: the seed is not used. Every row is judged by the rows of the whole input, removed ones included.
///
/// Errors: nominal columns; values that are not finite; fewer than two classes; fewer than `k + 1` rows; a strategy that
/// asks for a number of rows.
///
/// Cost: O(N² d) time for N rows.
///
/// Source: Wilson, IEEE Transactions on Systems, Man, and Cybernetics 2 (1972), who asks the majority; asking all
/// neighbours is imbalanced-learn's default and ours.
///
/// ```
/// use ndarray::array;
/// use quadrat_core::{Seed, Silent};
/// use quadrat_robust::{EditedNearestNeighbours, Labelled, Resampler};
/// let data = Labelled::new(array![[0.0], [1.0], [2.0], [8.0], [9.0], [10.0], [8.5]], vec![0, 0, 0, 1, 1, 1, 0]);
/// let method = EditedNearestNeighbours { k: 2, ..EditedNearestNeighbours::default() };
/// let cleaned = method.resample(&data, Seed(0), &Silent)?.table(&data);
/// assert_eq!(cleaned.x, array![[0.0], [1.0], [2.0], [8.0], [9.0], [10.0]]);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Settings)]
pub struct EditedNearestNeighbours {
    /// Which classes may lose rows.
    #[param(default = Strategy::Auto, parse = Strategy::named, kind = crate::strategy::NAMES)]
    pub strategy: Strategy,
    /// Neighbours to ask.
    #[param(default = 3, from = 1)]
    pub k: usize,
    /// What they must say for a row to stay.
    #[param(default = Agree::All)]
    pub agree: Agree,
}

/// What a row's neighbours must say for it to stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Choice)]
pub enum Agree {
    /// All of them have its class.
    All,
    /// Its class is the most frequent among them. Of equally frequent classes the first counts.
    Most,
}

impl Method for EditedNearestNeighbours {
    const CARD: Card = Card {
        slug: "edited-nearest-neighbours",
        aliases: &["enn"],
        title: "Edited nearest neighbours",
        paper: "Wilson: Asymptotic Properties of Nearest Neighbor Rules Using Edited Data. IEEE Transactions on \
                Systems, Man, and Cybernetics 2 (1972), doi 10.1109/TSMC.1972.4309137",
        area: Area::Robust,
        verbs: &["balance"],
        summary: "Removes rows whose nearest neighbours belong to other classes.",
        useful_when: "noisy labels, mislabelled rows, classes that overlap",
        cost: "time grows with the square of the rows times columns",
        params: Self::PARAMS,
    };
}

impl Resampler for EditedNearestNeighbours {
    fn card(&self) -> &'static Card {
        &Self::CARD
    }

    fn resample(&self, data: &Labelled, _seed: Seed, progress: &dyn Progress) -> Result<Resampled> {
        data.check_numeric()?;
        let cleaned = self.strategy.cleaned(data)?;
        let judged: Vec<usize> = (0..data.y.len()).filter(|row| cleaned[data.y[*row] as usize]).collect();
        let neighbours = nearest_in_table(data, &judged, self.k, progress)?;
        let mut stays = vec![true; data.y.len()];
        for (i, &row) in judged.iter().enumerate() {
            let mut classes = neighbours.of(i).0.iter().map(|neighbour| data.y[*neighbour as usize]);
            stays[row] = match self.agree {
                Agree::All => classes.all(|class| class == data.y[row]),
                Agree::Most => most_frequent(classes.collect()) == Some(data.y[row]),
            };
        }
        Ok(Resampled::of_kept(data, (0..stays.len()).filter(|row| stays[*row])))
    }
}

/// The most frequent class, the first of several.
fn most_frequent(mut classes: Vec<u32>) -> Option<u32> {
    classes.sort_unstable();
    let runs = classes.chunk_by(|a, b| a == b);
    runs.reduce(|best, run| if run.len() > best.len() { run } else { best }).map(|run| run[0])
}
