//! The same tuning for every arm.

use quadrat_core::{Evidence, Result, Tuned};

/// How often a grid is made wider while its best value is at an end.
const WIDER: usize = 3;

/// The value of `grid`, at least two ascending positive values, with the smallest loss. While that is at an end, the grid
/// goes on beyond it by the factor of its last two values, at most three times. What was tried is put on record. NaN is
/// never best.
///
/// # Errors
/// What `loss` says.
pub(crate) fn tune(
    evidence: &mut Evidence,
    (arm, parameter): (&str, &str),
    grid: &[f64],
    mut loss: impl FnMut(f64) -> Result<f64>,
) -> Result<f64> {
    let mut tried = Vec::with_capacity(grid.len() + WIDER);
    for value in grid {
        tried.push((*value, loss(*value)?));
    }
    let best = |tried: &[(f64, f64)]| {
        let losses = tried.iter().map(|(_, loss)| if loss.is_nan() { f64::INFINITY } else { *loss });
        losses.enumerate().min_by(|a, b| a.1.total_cmp(&b.1)).map_or(0, |(at, _)| at)
    };
    for _ in 0..WIDER {
        let (at, last) = (best(&tried), tried.len() - 1);
        if at == last {
            let next = tried[last].0 * (tried[last].0 / tried[last - 1].0);
            tried.push((next, loss(next)?));
        } else if at == 0 {
            let next = tried[0].0 * (tried[0].0 / tried[1].0);
            tried.insert(0, (next, loss(next)?));
        } else {
            break;
        }
    }
    let chosen = tried[best(&tried)].0;
    let tried = tried.into_iter().map(|(value, _)| value).collect();
    evidence.tuned.push(Tuned { arm: arm.to_owned(), parameter: parameter.to_owned(), tried, chosen });
    Ok(chosen)
}

/// As [`tune`], for two parameters together: the second is tuned anew at each value of the first, so that neither is chosen
/// for a guess of the other. The first is put on record, and the second at the chosen value of the first.
///
/// # Errors
/// What `loss` says.
pub(crate) fn tune_both(
    evidence: &mut Evidence,
    arm: &str,
    [(one, grid), (other, inner)]: [(&str, &[f64]); 2],
    loss: impl Fn(f64, f64) -> Result<f64>,
) -> Result<[f64; 2]> {
    let mut beside: Vec<(f64, Tuned)> = Vec::new();
    let first = tune(evidence, (arm, one), grid, |first| {
        let (mut apart, mut least) = (Evidence::default(), f64::INFINITY);
        tune(&mut apart, (arm, other), inner, |second| {
            let loss = loss(first, second)?;
            least = least.min(loss);
            Ok(loss)
        })?;
        beside.extend(apart.tuned.pop().map(|tuned| (first, tuned)));
        Ok(least)
    })?;
    let at = beside.into_iter().find(|(value, _)| *value == first);
    let second = at.as_ref().map_or(f64::NAN, |(_, tuned)| tuned.chosen);
    evidence.tuned.extend(at.map(|(_, tuned)| tuned));
    Ok([first, second])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grids_grow_towards_the_optimum_and_stop() {
        for (optimum, tried, chosen, edge) in [
            (1.0, vec![0.1, 1.0, 10.0], 1.0, false),
            (100.0, vec![0.1, 1.0, 10.0, 100.0, 1000.0], 100.0, false),
            (1e-9, vec![1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0], 1e-4, true),
        ] {
            let mut e = Evidence::default();
            let loss = |v: f64| Ok((v.ln() - f64::ln(optimum)).abs());
            let found = tune(&mut e, ("ours", "rate"), &[0.1, 1.0, 10.0], loss).unwrap();
            let close = |a: &f64, b: &f64| (a / b - 1.0).abs() < 1e-9;
            assert!(close(&found, &chosen) && e.tuned[0].at_edge() == edge, "{:?}", e.tuned);
            assert!(e.tuned[0].tried.iter().zip(&tried).all(|(a, b)| close(a, b)), "{:?}", e.tuned);
        }
        let mut e = Evidence::default();
        let nan_below = |v: f64| Ok(if v < 1.0 { f64::NAN } else { v });
        assert_eq!(tune(&mut e, ("ours", "rate"), &[0.1, 1.0, 10.0], nan_below).unwrap(), 1.0);
    }

    #[test]
    fn two_parameters_are_tuned_together() {
        let mut e = Evidence::default();
        // Along each axis from (1, 1) the loss rises: only together they reach the optimum.
        let loss = |a: f64, b: f64| Ok((a / b).ln().powi(2) + 0.1 * (a * b / 100.0).ln().powi(2));
        let grids: [(&str, &[f64]); 2] = [("a", &[0.1, 1.0, 10.0]), ("b", &[0.1, 1.0, 10.0])];
        let found = tune_both(&mut e, "ours", grids, loss).unwrap();
        assert!(found.iter().all(|v| (v / 10.0 - 1.0).abs() < 1e-9), "{found:?}");
        assert_eq!(e.tuned.iter().map(|t| t.parameter.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        assert!(e.tuned.iter().all(|t| !t.at_edge()), "{:?}", e.tuned);
    }
}
