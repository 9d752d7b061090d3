//! Votes over nominal values.

/// The most frequent of `values`, ascending: several when they are equally frequent. Sorts `values`.
pub(crate) fn most_frequent(values: &mut [f64]) -> Vec<f64> {
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
