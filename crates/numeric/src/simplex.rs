//! Minimising a function of a few variables without derivatives.

/// Where a search ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Minimum {
    /// The point.
    pub at: Vec<f64>,
    /// The function's value there.
    pub value: f64,
    /// How often the function was called.
    pub calls: usize,
}

/// The simplex method of Nelder and Mead (1965) from `start`, whose first simplex steps by `step` along each axis. It
/// ends when the values at the corners differ by less than `tolerance` (absolute) and the corners by less than a hundred
/// times its root (relative to 1 + size, so that a search along a flat valley ends), or after `calls` calls.
///
/// A value that is not a number counts as infinite, so a function may refuse points. The function must be finite at
/// `start`; where it is not, the start is returned.
///
/// ```
/// use quadrat_numeric::simplex::nelder_mead;
/// let found = nelder_mead(|p| (p[0] - 1.0).powi(2) + 10.0 * (p[1] + p[0]).powi(2), &[0.0, 0.0], 0.5, 1e-12, 1000);
/// assert!((found.at[0] - 1.0).abs() < 1e-4 && (found.at[1] + 1.0).abs() < 1e-4);
/// ```
pub fn nelder_mead(
    mut f: impl FnMut(&[f64]) -> f64,
    start: &[f64],
    step: f64,
    tolerance: f64,
    calls: usize,
) -> Minimum {
    let mut count = 0;
    let mut value = |point: &[f64]| {
        count += 1;
        let value = f(point);
        if value.is_nan() { f64::INFINITY } else { value }
    };
    let first = value(start);
    if start.is_empty() || first == f64::INFINITY {
        return Minimum { at: start.to_vec(), value: first, calls: 1 };
    }
    let n = start.len();
    let mut corners = vec![(first, start.to_vec())];
    for axis in 0..n {
        let mut corner = start.to_vec();
        corner[axis] += step;
        corners.push((value(&corner), corner));
    }
    let mut used = n + 1;
    loop {
        corners.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (best, worst) = (&corners[0], &corners[n]);
        let apart = |axis: usize| {
            let reach = corners.iter().map(|c| (c.1[axis] - best.1[axis]).abs()).fold(0.0, f64::max);
            reach / (1.0 + best.1[axis].abs())
        };
        let near = worst.0 - best.0 < tolerance && (0..n).all(|axis| apart(axis) < 100.0 * tolerance.sqrt());
        if near || used >= calls {
            break;
        }
        let centre: Vec<f64> =
            (0..n).map(|axis| corners[..n].iter().map(|c| c.1[axis]).sum::<f64>() / n as f64).collect();
        // The point on the line from the worst corner through the centre of the others, `by` beyond the centre.
        let along = |by: f64| -> Vec<f64> { centre.iter().zip(&worst.1).map(|(c, w)| c + by * (c - w)).collect() };
        let mut tried = |by: f64| {
            used += 1;
            let point = along(by);
            (value(&point), point)
        };
        let reflected = tried(1.0);
        let next = if reflected.0 < best.0 {
            let expanded = tried(2.0);
            Some(if expanded.0 < reflected.0 { expanded } else { reflected })
        } else if reflected.0 < corners[n - 1].0 {
            Some(reflected)
        } else {
            let contracted = tried(if reflected.0 < worst.0 { 0.5 } else { -0.5 });
            (contracted.0 < reflected.0.min(worst.0)).then_some(contracted)
        };
        match next {
            Some(corner) => corners[n] = corner,
            None => {
                let anchor = corners[0].1.clone();
                for corner in &mut corners[1..] {
                    corner.1.iter_mut().zip(&anchor).for_each(|(v, a)| *v = 0.5 * (*v + a));
                    corner.0 = value(&corner.1);
                    used += 1;
                }
            }
        }
    }
    let (least, at) = corners.swap_remove(0);
    Minimum { at, value: least, calls: count }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_minimum_of_a_curved_valley() {
        let rosenbrock = |p: &[f64]| (1.0 - p[0]).powi(2) + 100.0 * (p[1] - p[0] * p[0]).powi(2);
        let found = nelder_mead(rosenbrock, &[-1.2, 1.0], 0.5, 1e-14, 2000);
        assert!((found.at[0] - 1.0).abs() < 1e-5 && (found.at[1] - 1.0).abs() < 1e-5, "{found:?}");
        assert!(found.calls < 400);
    }

    #[test]
    fn points_that_are_refused_are_left_and_a_bad_start_is_returned() {
        let found = nelder_mead(|p| if p[0] < 0.5 { f64::NAN } else { p[0] }, &[2.0], 0.5, 1e-12, 500);
        assert!((found.at[0] - 0.5).abs() < 1e-4);
        assert_eq!(nelder_mead(|_| f64::NAN, &[2.0], 0.5, 1e-12, 500).at, [2.0]);
        assert_eq!(nelder_mead(|_| 1.0, &[], 0.5, 1e-12, 500).value, 1.0);
        assert!(nelder_mead(|p| -p[0], &[0.0], 1.0, 1e-12, 50).calls <= 52, "an unbounded search ends");
    }
}
