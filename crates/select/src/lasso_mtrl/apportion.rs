//! A budget in whole rows.

use quadrat_core::{Error, Result};

/// Whole numbers in proportion to `weights`, whose costs add up to at most `budget`: each at least `least`, the others in
/// proportion to what those leave. Largest remainders are rounded up first (of equal ones the first), as far as the budget
/// goes, and nobody without weight is. With all costs 1 the numbers add up to the budget.
pub(super) fn apportion(weights: &[f64], costs: &[f64], least: usize, budget: usize) -> Result<Vec<usize>> {
    let money = budget as f64;
    let floor = least as f64 * costs.iter().sum::<f64>();
    if budget == 0 || floor > money {
        let want = format!("{least} rows of every source cost {floor}: give more, or ask for fewer");
        return Err(Error::input("budget", budget, if budget == 0 { "use at least 1".to_owned() } else { want }));
    }
    let total: f64 = weights.iter().sum();
    let weights: Vec<f64> = weights.iter().map(|weight| weight / total).collect();
    // Whoever would get less than the least gets the least, which leaves less for the others: until nobody does.
    let mut open: Vec<usize> = (0..weights.len()).filter(|m| weights[*m] > 0.0).collect();
    let mut exact = vec![least as f64; weights.len()];
    loop {
        let held: f64 = (0..weights.len()).filter(|m| !open.contains(m)).map(|m| exact[m] * costs[m]).sum();
        let share: f64 = open.iter().map(|m| costs[*m] * weights[*m]).sum();
        let per_weight = (money - held).max(0.0) / share;
        let before = open.len();
        open.retain(|m| per_weight * weights[*m] >= least as f64);
        if open.len() == before {
            open.iter().for_each(|m| exact[*m] = per_weight * weights[*m]);
            break;
        }
    }
    // A number a hair below a whole one is that one: shares are rounded.
    let mut rows: Vec<usize> = exact.iter().map(|exact| (exact * (1.0 + 1e-12)).floor() as usize).collect();
    let remainder = |m: &usize| exact[*m] - rows[*m] as f64;
    let mut order = open;
    order.sort_by(|a, b| remainder(b).total_cmp(&remainder(a)));
    let mut left = money - rows.iter().zip(costs).map(|(rows, cost)| *rows as f64 * cost).sum::<f64>();
    for m in order {
        if costs[m] <= left * (1.0 + 1e-12) {
            rows[m] += 1;
            left -= costs[m];
        }
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn by_hand() {
        for (weights, costs, least, budget, want) in [
            (vec![1.0, 1.0, 1.0], vec![1.0; 3], 0, 10, vec![4, 3, 3]),
            (vec![0.5, 0.3, 0.2, 0.0], vec![1.0; 4], 0, 7, vec![4, 2, 1, 0]),
            // The second is lifted to 2, the others share 8.
            (vec![0.9, 0.0, 0.1], vec![1.0; 3], 2, 10, vec![6, 2, 2]),
            (vec![0.5, 0.5], vec![3.0, 1.0], 0, 10, vec![2, 3]),
            (vec![1e-300, 1e-300], vec![1.0; 2], 0, 4, vec![2, 2]),
            (vec![1.0, 1e-12], vec![1.0; 2], 0, 5, vec![5, 0]),
        ] {
            assert_eq!(apportion(&weights, &costs, least, budget).unwrap(), want, "{weights:?}");
        }
        for (least, budget, part) in [(0, 0, "at least 1"), (6, 11, "6 rows of every source cost 12")] {
            let error = apportion(&[1.0, 2.0], &[1.0, 1.0], least, budget).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }

    proptest! {
        #[test]
        fn rows_add_up_and_stay_within_one_of_the_share(
            weights in prop::collection::vec(prop_oneof![Just(0.0), 0.0_f64..1.0], 1..40),
            least in 0_usize..5,
            extra in 1_usize..5000,
        ) {
            prop_assume!(weights.iter().any(|w| *w > 0.0));
            let (m, budget) = (weights.len(), weights.len() * least + extra);
            let rows = apportion(&weights, &vec![1.0; m], least, budget).unwrap();
            prop_assert_eq!(rows.iter().sum::<usize>(), budget);
            prop_assert!(rows.iter().zip(&weights).all(|(rows, w)| *rows >= least && (*w > 0.0 || *rows == least)));
            // Those above the least are in proportion, to within a row.
            let above: Vec<usize> = (0..m).filter(|i| rows[*i] > least).collect();
            for (i, j) in above.iter().flat_map(|i| above.iter().map(move |j| (*i, *j))) {
                let (a, b) = (rows[i] as f64, rows[j] as f64);
                prop_assert!((a - 1.0) * weights[j] <= (b + 1.0) * weights[i] * (1.0 + 1e-9));
            }
        }

        #[test]
        fn money_is_never_overspent(
            tasks in prop::collection::vec((0.01_f64..1.0, 0.1_f64..9.0), 1..20), least in 0_usize..3, extra in 1_usize..500,
        ) {
            let (weights, costs): (Vec<f64>, Vec<f64>) = tasks.into_iter().unzip();
            let budget = (least as f64 * costs.iter().sum::<f64>()).ceil() as usize + extra;
            let rows = apportion(&weights, &costs, least, budget).unwrap();
            let spent: f64 = rows.iter().zip(&costs).map(|(rows, cost)| *rows as f64 * cost).sum();
            prop_assert!(spent <= budget as f64 * (1.0 + 1e-9));
            prop_assert!(spent + costs.iter().sum::<f64>() > budget as f64, "less than a row of each is left");
        }
    }
}
