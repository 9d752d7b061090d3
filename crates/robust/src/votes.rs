//! Votes over nominal values.

use crate::Labelled;
use crate::steps::Step;

/// The rows that vote over the nominal columns of a class's new rows.
pub(crate) struct Voters {
    pub class: u32,
    /// The rows of the class, ascending.
    pub rows: Vec<usize>,
    /// Voters of each row.
    pub count: usize,
    /// `count` places in `rows` for each of them.
    pub places: Vec<u32>,
}

/// The most frequent values of a column among the voters of a step's base, ascending.
pub(crate) fn vote(data: &Labelled, voters: &[Voters], step: &Step, column: usize) -> Vec<f64> {
    let mut votes = Vec::new();
    if let Some(class) = voters.iter().find(|v| v.class == step.class)
        && let Ok(base) = class.rows.binary_search(&step.base)
    {
        let places = &class.places[base * class.count..(base + 1) * class.count];
        votes.extend(places.iter().map(|place| data.x[[class.rows[*place as usize], column]]));
    }
    most_frequent(&mut votes)
}

/// The most frequent of `values`, ascending: several when they are equally frequent. Sorts `values`.
fn most_frequent(values: &mut [f64]) -> Vec<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let runs = || values.chunk_by(|a, b| a == b);
    let most = runs().map(<[f64]>::len).max().unwrap_or(0);
    runs().filter(|run| run.len() == most).map(|run| run[0]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_are_listed() {
        for (values, expected) in [
            (vec![], vec![]),
            (vec![3.0], vec![3.0]),
            (vec![3.0, 1.0, 3.0, 2.0], vec![3.0]),
            (vec![3.0, 1.0, 0.0, 1.0, 3.0], vec![1.0, 3.0]),
            (vec![0.0, -0.0, 1.0], vec![-0.0]),
        ] {
            assert_eq!(most_frequent(&mut values.clone()), expected, "{values:?}");
        }
    }
}
