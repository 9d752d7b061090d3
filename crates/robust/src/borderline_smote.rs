//! Borderline-SMOTE.

use crate::steps::{Step, make_rows, nearest_in_class, nearest_in_table, plan};
use crate::{Generator, Labelled, NumpyLegacy, Resampled, Resampler, Strategy};
use quadrat_core::{Area, Card, Choice, Method, Progress, Result, Seed, Settings};

/// Borderline-SMOTE: new rows only around the rows of the rare class that are in danger of being misclassified.
///
/// Of a row's `m` nearest neighbours in the whole table, m' belong to other classes. m' = m is noise and never a base;
/// m/2 <= m' < m is in danger; fewer is safe. Only rows in danger are bases. A class without any stays as it is, and a note says so.
///
/// [`Kind::Two`] also moves towards neighbours of other classes, by a gap uniform on (0, 0.5), as the paper has it.
/// imbalanced-learn multiplies its uniform gap by a second one on (0, 0.5); the legacy generator follows it there. Such
/// rows can lie on the other classes' side.
///
/// With [`Strategy::Percent`] every row in danger is the base of N/100 new rows, as in the paper; other strategies draw
/// pairs of a base and a neighbour uniformly until the class has the rows asked for.
///
/// Errors: those of [`Smote`](crate::Smote), and fewer than `m + 1` rows in the table.
///
/// Cost: O(n N d) time for a class of n rows among N, O(new rows d) memory.
///
/// Source: Han, Wang, Mao, Borderline-SMOTE, ICIC 2005, section 3.
///
/// ```
/// use ndarray::Array2;
/// use quadrat_core::{Seed, Silent};
/// use quadrat_robust::{BorderlineSmote, Labelled, Origin, Resampler};
/// // A rare class that starts among a common one and leaves it behind.
/// let x = Array2::from_shape_fn((30, 1), |(i, _)| if i < 20 { i as f64 } else { 1.9 * (i - 15) as f64 });
/// let data = Labelled::new(x, (0..30).map(|i| u32::from(i >= 20)).collect());
/// let method = BorderlineSmote { k: 3, m: 4, ..BorderlineSmote::default() };
/// let grown = method.resample(&data, Seed(1), &Silent)?;
/// assert_eq!(grown.table(&data).counts(), [20, 20]);
/// assert!(grown.origin[30..].iter().all(|o| matches!(o, Origin::Synthetic { base, .. } if data.x[[*base, 0]] < 22.0)));
/// # Ok::<(), quadrat_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Settings)]
pub struct BorderlineSmote {
    /// How many rows each class shall have.
    #[param(flatten)]
    pub strategy: Strategy,
    /// Neighbours to move towards.
    #[param(default = 5, from = 1)]
    pub k: usize,
    /// Neighbours that tell whether a row is in danger.
    #[param(default = 10, from = 1)]
    pub m: usize,
    /// Which neighbours to move towards.
    #[param(default = Kind::One, text = "1")]
    pub kind: Kind,
    /// Which random numbers.
    #[param(default = Generator::Streams)]
    pub generator: Generator,
}

/// Which neighbours a row in danger moves towards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Choice)]
pub enum Kind {
    /// Those of its own class.
    #[param(name = "1")]
    One,
    /// Those of the whole table, at most half way to another class.
    #[param(name = "2")]
    Two,
}

impl Method for BorderlineSmote {
    const CARD: Card = Card {
        slug: "borderline-smote",
        aliases: &["borderline"],
        title: "Borderline-SMOTE",
        paper: "Han, Wang, Mao: Borderline-SMOTE: A New Over-Sampling Method in Imbalanced Data Sets Learning. ICIC \
                2005, doi 10.1007/11538059_91",
        area: Area::Robust,
        verbs: &["balance"],
        summary: "SMOTE that starts only from rows of the rare class whose neighbours mostly belong to other classes.",
        useful_when: "imbalanced labels, a rare class whose border with the others is what the classifier gets wrong",
        cost: "time grows with the rare class's rows times all rows times columns",
        params: Self::PARAMS,
    };
}

impl Resampler for BorderlineSmote {
    fn card(&self) -> &'static Card {
        &Self::CARD
    }

    fn resample(&self, data: &Labelled, seed: Seed, progress: &dyn Progress) -> Result<Resampled> {
        data.check_numeric()?;
        let (mut steps, mut notes) = (Vec::new(), Vec::new());
        // How far each step may go: all the way inside the class, half way towards another one.
        let mut reach = Vec::new();
        for (class, count) in self.strategy.new_rows(data)? {
            let rows = data.rows_of(class);
            let around = nearest_in_table(data, &rows, self.m, progress)?;
            let in_danger = |i: &usize| {
                let others = around.of(*i).0.iter().filter(|row| data.y[**row as usize] != class).count();
                2 * others >= self.m && others < self.m
            };
            let danger: Vec<usize> = (0..rows.len()).filter(in_danger).collect();
            if danger.is_empty() {
                notes.push(format!(
                    "{} got no new row: of its {} rows none is in danger, that is, has at least half but not all of its \
                     {} nearest neighbours in other classes; use smote, or another m",
                    data.class(class),
                    rows.len(),
                    self.m
                ));
                continue;
            }
            let bases: Vec<usize> = danger.iter().map(|i| rows[*i]).collect();
            let neighbours = match self.kind {
                Kind::One => nearest_in_class(data, class, &rows, &danger, self.k, progress)?,
                Kind::Two => nearest_in_table(data, &bases, self.k, progress)?,
            };
            let mut draws = self.generator.start("borderline-smote", seed)?;
            let plan = plan(&mut draws, &self.strategy, class, count, bases.len(), self.k);
            let mut again = match self.generator {
                Generator::Streams => None,
                Generator::NumpyLegacy => Some(NumpyLegacy::new(seed)?),
            };
            for (base, column, gap) in plan {
                let neighbour = neighbours.of(base).0[column] as usize;
                let own_class = data.y[neighbour] == class;
                reach.push(if own_class { 1.0 } else { 0.5 * again.as_mut().map_or(1.0, NumpyLegacy::uniform) });
                steps.push(Step { base: bases[base], neighbour, gap, class });
            }
        }
        let synthetic = make_rows(data.x.ncols(), &mut steps, progress, |i, step, row| {
            let (base, neighbour) = (data.x.row(step.base), data.x.row(step.neighbour));
            for ((value, b), n) in row.iter_mut().zip(base).zip(neighbour) {
                *value = b + step.gap * (reach[i] * (n - b));
            }
            step.gap *= reach[i];
        })?;
        Ok(Resampled { notes, ..Resampled::grown(data, &steps, synthetic) })
    }
}
