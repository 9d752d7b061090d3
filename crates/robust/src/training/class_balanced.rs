//! Class-balanced order: as many rows of each class in every epoch, rare ones more than once.
//!
//! As in the second stage of Kang et al., "Decoupling Representation and Classifier for Long-Tailed Recognition", ICLR 2020
//! (arXiv 1910.09217), section 4: the class of each place is drawn first, all alike, then a row of it. Here places are dealt
//! out instead of drawn: each class gets its share of an epoch to within one row, and goes round its rows in a new order
//! before any comes again, which has the same mean and less chance in it.

use super::class_counts;
use quadrat_core::{Area, Card, Method, Result, Seed, Settings};
use quadrat_nn::{Parameters, Run, TrainMethod};

/// Class-balanced order of rows.
#[derive(Debug, Clone, PartialEq, Settings)]
pub struct ClassBalanced {
    /// The rows of each class that has any; empty before a run.
    pub rows: Vec<Vec<u32>>,
    /// What orders are drawn from: a run sets it.
    pub seed: Seed,
}

impl Method for ClassBalanced {
    const CARD: Card = Card {
        slug: "class-balanced",
        aliases: &["class-balanced-order"],
        title: "Class-balanced order",
        paper: "Kang et al., ICLR 2020, arXiv 1910.09217, section 4",
        area: Area::Robust,
        verbs: &["train"],
        summary: "Visits as many rows of each class in every epoch, those of rare classes more than once.",
        useful_when: "my classes are imbalanced and rows of rare classes should be seen more often, without new rows",
        cost: "one shuffle of the rows an epoch",
        params: Self::PARAMS,
    };
}

impl ClassBalanced {
    /// The `visit`-th row of a class, from its first one on over all epochs: round after round, each in an order of its own.
    fn visits(&self, class: usize, visits: std::ops::Range<usize>) -> Vec<u32> {
        let rows = &self.rows[class];
        let rounds = visits.start / rows.len()..=visits.end.saturating_sub(1) / rows.len();
        let seed = self.seed.stream("class").stream(&class.to_string());
        let shuffled = rounds.clone().flat_map(|round| {
            let mut rows = rows.clone();
            seed.rng(round as u64).shuffle(&mut rows);
            rows
        });
        shuffled.skip(visits.start - rounds.start() * rows.len()).take(visits.len()).collect()
    }
}

impl TrainMethod for ClassBalanced {
    fn name(&self) -> &str {
        "class-balanced"
    }

    fn begin(&mut self, run: &Run<'_>, _: &mut Parameters) -> Result<()> {
        self.seed = run.seed;
        self.rows = class_counts(run, "class-balanced")?.into_iter().map(Vec::with_capacity).collect();
        for (row, label) in (0..).zip(run.labels("class-balanced")?) {
            self.rows[*label as usize].push(row);
        }
        self.rows.retain(|rows| !rows.is_empty());
        Ok(())
    }

    fn order(&mut self, epoch: usize, order: &mut Vec<u32>) -> Result<()> {
        let (all, classes) = (order.len(), self.rows.len().max(1));
        order.clear();
        for class in 0..self.rows.len() {
            // What does not go into equal parts goes to the first classes, in every epoch.
            let own = all / classes + usize::from(class < all % classes);
            order.extend(self.visits(class, epoch * own..(epoch + 1) * own));
        }
        self.seed.stream("order").rng(epoch as u64).shuffle(order);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn classes_are_alike_and_rows_of_a_class_too(sizes in prop::collection::vec(1usize..20, 1..6), epochs in 1usize..6) {
            let mut next = 0;
            let mut rows = Vec::new();
            for size in sizes {
                rows.push((next..next + size as u32).collect());
                next += size as u32;
            }
            let mut method = ClassBalanced { rows, seed: Seed(1) };
            let mut times = vec![0usize; next as usize];
            for epoch in 0..epochs {
                let mut order: Vec<u32> = (0..next).collect();
                method.order(epoch, &mut order).unwrap();
                prop_assert_eq!(order.len(), next as usize);
                let mut counts = vec![0usize; method.rows.len()];
                for row in order {
                    times[row as usize] += 1;
                    counts[method.rows.iter().position(|rows| rows.contains(&row)).unwrap()] += 1;
                }
                prop_assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1);
            }
            for rows in &method.rows {
                let of = |row: &u32| times[*row as usize];
                prop_assert!(rows.iter().map(of).max().unwrap() - rows.iter().map(of).min().unwrap() <= 1);
            }
        }
    }
}
