//! The methods of the playground: those of the catalogue that need no more than points in a plane and their classes.

use super::kernel::Kernel;
use quadrat::robust::Reads;
use quadrat::select::Needs;
use quadrat::{Card, Method, Params};
use serde::Deserialize;

/// What is done with the points.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Act {
    /// Choose some.
    Select,
    /// Give the classes as many each.
    Balance,
    /// Draw new ones like them.
    Diffuse,
}

impl Act {
    /// All of them, each with its name in scripts and on the page.
    pub const ALL: [(Act, &str, &str); 3] = [
        (Act::Select, "select", "Choose"),
        (Act::Balance, "balance", "Balance"),
        (Act::Diffuse, "diffuse", "Draw more"),
    ];

    /// The methods that do it.
    pub fn methods(self) -> Vec<&'static Card> {
        match self {
            Act::Select => quadrat::select::selectors().into_iter().filter(|card| reads_points(card)).collect(),
            Act::Balance => quadrat::robust::cards().into_iter().filter(|card| reads_numbers(card)).collect(),
            Act::Diffuse => vec![&Kernel::CARD],
        }
    }
}

fn reads_points(card: &Card) -> bool {
    let needs = quadrat::select::build(card.slug, &Params::none()).map(|selector| selector.needs());
    needs.is_ok_and(|Needs { scores, labels, points_for_labels, .. }| !scores && !labels && !points_for_labels)
}

fn reads_numbers(card: &Card) -> bool {
    let reads = quadrat::robust::build(card.slug, &Params::none()).map(|resampler| resampler.reads());
    reads.is_ok_and(|reads| matches!(reads, Reads::Nothing | Reads::Numeric))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_that_need_more_than_points_stay_out() {
        let slugs = |act: Act| act.methods().iter().map(|card| card.slug).collect::<Vec<_>>();
        let (select, balance) = (slugs(Act::Select), slugs(Act::Balance));
        for slug in ["k-center", "facility-location", "kmq", "diversify-conquer", "stratified"] {
            assert!(select.contains(&slug), "{slug}");
        }
        for slug in ["deita", "qdit", "top-score", "mig"] {
            assert!(!select.contains(&slug), "{slug}");
        }
        assert!(balance.contains(&"smote") && balance.contains(&"tomek-links"), "{balance:?}");
        assert!(!balance.contains(&"smote-nc") && !balance.contains(&"smote-n"), "{balance:?}");
        assert_eq!(slugs(Act::Diffuse), ["kernel"]);
    }
}
