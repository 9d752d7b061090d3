//! ADASYN.

use crate::steps::{Step, interpolate, nearest_in_class, nearest_in_table};
use crate::{Generator, Labelled, Resampled, Resampler, Strategy};
use quadrat_core::{Area, Card, Error, Method, Progress, Result, Seed, Settings};

/// ADASYN: SMOTE that makes the more new rows from a row, the more of its neighbours belong to other classes.
///
/// r_i is the share of other classes among the `k` nearest neighbours of row i in the whole table. Of G new rows, row i
/// is the base of g_i = round(G r_i / sum r), each towards a uniform one of its `k` nearest neighbours in the class.
/// Rounding (half to even) may make the total a little more or less than G.
///
/// [`Strategy::Percent`] asks for G = N% of the smallest class; bases still follow r.
///
/// Errors: those of [`Smote`](crate::Smote); no neighbour of another class anywhere; no row after rounding.
///
/// Cost: O(n N d) time for a class of n rows among N, O(new rows d) memory.
///
/// Source: He, Bai, Garcia, Li, ADASYN, IJCNN 2008; rounding as in imbalanced-learn.
///
/// ```
/// use ndarray::Array2;
/// use quadrat_core::{Seed, Silent};
/// use quadrat_robust::{Adasyn, Labelled, Origin, Resampler};
/// // Rows 20 to 29 are the rare class; it starts among the common one and leaves it behind.
/// let x = Array2::from_shape_fn((30, 1), |(i, _)| if i < 20 { i as f64 } else { 1.9 * (i - 15) as f64 });
/// let data = Labelled::new(x, (0..30).map(|i| u32::from(i >= 20)).collect());
/// let grown = Adasyn { k: 3, ..Adasyn::default() }.resample(&data, Seed(1), &Silent)?;
/// let from = |row| grown.origin.iter().filter(|o| matches!(o, Origin::Synthetic { base, .. } if *base == row)).count();
/// assert!(from(21) > from(29));
/// # Ok::<(), quadrat_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Settings)]
pub struct Adasyn {
    /// How many rows each class shall have, up to rounding.
    #[param(flatten)]
    pub strategy: Strategy,
    /// Neighbours of each row, at least 1: in the table for its share of new rows, in the class to move towards.
    #[param(default = 5, from = 1)]
    pub k: usize,
    /// Which random numbers.
    #[param(default = Generator::Streams)]
    pub generator: Generator,
}

impl Method for Adasyn {
    const CARD: Card = Card {
        slug: "adasyn",
        aliases: &[],
        title: "ADASYN: adaptive synthetic sampling",
        paper: "He, Bai, Garcia, Li: ADASYN: Adaptive Synthetic Sampling Approach for Imbalanced Learning. IJCNN 2008, \
                doi 10.1109/IJCNN.2008.4633969",
        area: Area::Robust,
        verbs: &["balance"],
        summary: "SMOTE that makes more new rows where the rare class is surrounded by others, and fewer where it is \
                  among itself.",
        useful_when: "imbalanced labels, a rare class of which some examples are much harder to learn than others",
        cost: "time grows with the rare class's rows times all rows times columns",
        params: Self::PARAMS,
    };
}

impl Resampler for Adasyn {
    fn card(&self) -> &'static Card {
        &Self::CARD
    }

    fn resample(&self, data: &Labelled, seed: Seed, progress: &dyn Progress) -> Result<Resampled> {
        data.check_numeric()?;
        let mut draws = self.generator.start("adasyn", seed)?;
        let mut steps = Vec::new();
        for (class, total) in self.strategy.new_rows(data)? {
            let rows = data.rows_of(class);
            let around = nearest_in_table(data, &rows, self.k, progress)?;
            let others = |i| around.of(i).0.iter().filter(|row| data.y[**row as usize] != class).count();
            let r: Vec<usize> = (0..rows.len()).map(others).collect();
            let sum: usize = r.iter().sum();
            if sum == 0 {
                let got = format!("no neighbour of another class among the {} nearest of any row", self.k);
                return Err(Error::input(data.class(class), got, "there is nothing to adapt to: use smote"));
            }
            // r_i and their sum are counts of neighbours here, so the quotient is exact before it is rounded.
            let g = r.iter().map(|r| (r * total) as f64 / sum as f64).map(|g| g.round_ties_even() as usize);
            let bases: Vec<usize> = g.enumerate().flat_map(|(i, g)| std::iter::repeat_n(i, g)).collect();
            if bases.is_empty() {
                let what = format!("new rows of {}", data.class(class));
                let want = "every row's share rounds to 0: ask for more rows, or use smote";
                return Err(Error::input(what, total, want));
            }
            let all: Vec<usize> = (0..rows.len()).collect();
            let neighbours = nearest_in_class(data, class, &rows, &all, self.k, progress)?;
            let columns = draws.pairs(class, self.k, bases.len());
            steps.extend(bases.into_iter().zip(columns).map(|(base, (column, gap))| {
                let neighbour = neighbours.of(base).0[column] as usize;
                Step { base: rows[base], neighbour, gap, class }
            }));
        }
        let synthetic = interpolate(data, &mut steps, progress)?;
        Ok(Resampled::grown(data, &steps, synthetic))
    }
}
