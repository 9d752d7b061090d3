//! What indices can be, and what they cannot.
//!
//! Every index is a share of a variance, between 0 and 1. With factors that are independent of each other, moreover,
//! S_i <= T_i, and 1 - T_i is what all others explain without i, of which their first orders are parts:
//! T_i + sum_{j != i} S_j <= 1. The sum of all first orders is then at most 1, that of all totals at least 1. Estimates
//! may stray by chance; where they do so beyond it, the outputs are not what the design took them for: rows out of order,
//! or an output that depends on more than the inputs.

use super::moments::Asked;

/// Probability with which a sound analysis is accused.
const FALSE_ALARM: f64 = 1e-3;

/// Differences of indices that cannot be negative: T_i - S_i and 1 - T_i - sum_{j != i} S_j, each less its constant, or
/// what is left of them where only one order is asked for. Linear in the indices.
pub(super) fn contrasts(asked: &Asked, indices: &[f64]) -> Vec<f64> {
    if asked.dependent {
        return Vec::new();
    }
    let (first, rest) = indices.split_at(asked.firsts);
    let total = &rest[..asked.totals];
    let sum: f64 = first.iter().sum();
    match (first.is_empty(), total.is_empty()) {
        (false, false) => {
            let own = first.iter().zip(total);
            own.clone().map(|(s, t)| t - s).chain(own.map(|(s, t)| s - t - sum)).collect()
        }
        (false, true) => vec![-sum],
        _ => vec![total.iter().sum()],
    }
}

/// What to say where an index or a contrast is impossible beyond chance. `values` and `se` hold the indices, then the
/// contrasts; `quantile` is that of the law of an error over its standard error.
pub(super) fn impossible(asked: &Asked, values: &[f64], se: &[f64], quantile: &dyn Fn(f64) -> f64) -> Option<String> {
    let (firsts, totals) = (asked.firsts, asked.totals);
    let p = firsts + totals + asked.pairs.len();
    let beyond = quantile(1.0 - FALSE_ALARM / (2 * p + values.len()) as f64);
    // Rounding errors of indices that are exactly 0 or 1.
    let clearly_negative = |value: f64, se: f64| value < -(beyond * se + 1e-9);
    let name = |i: usize| match i {
        i if i < firsts => format!("the first-order index of `{}`", asked.names[i]),
        i if i < firsts + totals => format!("the total-order index of `{}`", asked.names[i - firsts]),
        i => {
            let (j, k) = asked.pairs[i - firsts - totals];
            format!("the second-order index of `{}` and `{}`", asked.names[j], asked.names[k])
        }
    };
    let shown = |value: f64, se: f64| format!("{value:.2} (standard error {se:.2})");
    let mut faults: Vec<String> = Vec::new();
    for (i, (value, se)) in values[..p].iter().zip(se).enumerate() {
        if clearly_negative(*value, *se) || clearly_negative(1.0 - value, *se) {
            faults.push(format!("{} is {}, outside 0 to 1", name(i), shown(*value, *se)));
        }
    }
    for (i, (value, se)) in values[p..].iter().zip(&se[p..]).enumerate() {
        let both = firsts > 0 && totals > 0;
        let (over, says) = if both && i < firsts {
            (*value, format!("{} exceeds its total-order index", name(i)))
        } else if both {
            let what = format!("{} and the first-order indices of all others", name(i));
            (1.0 + value, format!("{what} sum to {}, above 1", shown(-value, *se)))
        } else if totals == 0 {
            (1.0 + value, format!("first-order indices sum to {}, above 1", shown(-value, *se)))
        } else {
            (value - 1.0, format!("total-order indices sum to {}, below 1", shown(*value, *se)))
        };
        if clearly_negative(over, *se) {
            faults.push(says);
        }
    }
    let more = faults.len().saturating_sub(3);
    faults.truncate(3);
    (!faults.is_empty()).then(|| {
        format!(
            "this cannot be: {}{}. Is the order of the outputs right (row for row that of the design), and does the output \
             depend on these inputs alone?",
            faults.join("; "),
            if more > 0 { format!("; and {more} more") } else { String::new() }
        )
    })
}
