//! Convex functions of shares: the complexity of a case and the designs that do not look at replies are minima over the
//! simplex.

/// Minimises a convex function over shares `lambda` (positive, sum 1) of `n` things by mirror descent: multiplicative
/// steps along a subgradient of falling length, the best point seen wins. `function` writes a subgradient and returns the
/// value. `steps` of 400 are good to about 1% on the problems here; O(steps) calls.
pub(super) fn minimise(n: usize, steps: usize, mut function: impl FnMut(&[f64], &mut [f64]) -> f64) -> (f64, Vec<f64>) {
    let mut lambda = vec![1.0 / n as f64; n];
    let mut slope = vec![0.0; n];
    let mut best = (f64::INFINITY, lambda.clone());
    for step in 0..steps.max(1) {
        slope.fill(0.0);
        let value = function(&lambda, &mut slope);
        if value < best.0 {
            best = (value, lambda.clone());
        }
        // Steps are measured against the mean slope, which has no effect on shares.
        let mean: f64 = slope.iter().zip(&lambda).map(|(g, l)| g * l).sum();
        let reach = slope.iter().fold(0.0_f64, |most, g| most.max((g - mean).abs()));
        if !(reach > 0.0 && reach.is_finite()) {
            break;
        }
        let length = 0.7 / (1.0 + 0.5 * step as f64).sqrt();
        lambda.iter_mut().zip(&slope).for_each(|(l, g)| *l = (*l * (-length * (g - mean) / reach).exp()).max(1e-12));
        let sum: f64 = lambda.iter().sum();
        lambda.iter_mut().for_each(|l| *l /= sum);
    }
    best
}

/// The largest of `1 / sum_x lambda_x d_x` over the rows d of `n` values each, minimised over lambda: how many questions,
/// asked in the best proportions, tell a hypothesis from its nearest rival. Infinite when a row is zero.
pub(super) fn separation(rows: &[f64], n: usize) -> (f64, Vec<f64>) {
    minimise(n, 400, |lambda, slope| {
        let reach = |row: &[f64]| row.iter().zip(lambda).map(|(d, l)| d * l).sum::<f64>();
        let nearest = rows.chunks_exact(n).map(|row| (reach(row), row)).min_by(|a, b| a.0.total_cmp(&b.0));
        let Some((reach, row)) = nearest else { return 0.0 };
        slope.iter_mut().zip(row).for_each(|(g, d)| *g = -d / (reach * reach));
        1.0 / reach
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separations_with_known_values() {
        // k rivals, each told apart by a question of its own: equal shares, k questions.
        for k in 1..6 {
            let rows: Vec<f64> = (0..k * k).map(|i| f64::from(u8::from(i / k == i % k))).collect();
            let (value, lambda) = separation(&rows, k);
            assert!((value - k as f64).abs() < 1e-9 * k as f64, "{k}: {value}");
            assert!(lambda.iter().all(|l| (l - 1.0 / k as f64).abs() < 1e-9));
        }
        // A question that tells all rivals apart is asked alone; shares in proportion to 1/d otherwise.
        let (value, lambda) = separation(&[1.0, 1.0, 0.0, 1.0, 0.0, 1.0], 3);
        assert!(value < 1.01 && lambda[0] > 0.98, "{value} {lambda:?}");
        let (value, _) = separation(&[1.0, 0.0, 0.0, 0.25], 2);
        assert!((value - 5.0).abs() < 0.05, "1 + 4: {value}");
        assert_eq!(separation(&[0.0, 0.0], 2).0, f64::INFINITY);
    }
}
