//! The mixture's weights: a convex problem on the simplex.
//!
//! With every density relative to h, the objective F(a) = mean_i c_i / p_i has c_i = sum_j w_j (W_ij Y_ij - b_j g_ij)^2
//! and p_i = sum_j a_j g_ij. The authors call a general solver; the multiplicative update below needs none and never
//! lets F rise. It stops when its own optimality bound says that F is within a hundredth of the least value.

use ndarray::Array2;
use quadrat_numeric::RowMajor;
use rayon::prelude::*;

/// Updates at most.
const ROUNDS: usize = 500;
/// Share of F by which it may exceed the least value.
const GAP: f64 = 1e-2;
/// Rows in one block of a sum, added in fixed order.
const BLOCK: usize = 1024;

/// The weights a that (nearly) minimise F, from `start`, all of whose entries must be positive.
pub(super) fn best_weights(c: &[f64], g: &Array2<f64>, start: Vec<f64>) -> Vec<f64> {
    let mut a = start;
    for _ in 0..ROUNDS {
        let (f, slopes) = objective(c, g, &a);
        // F is convex with slope -G_j along a_j, so F(a) - min F <= max_j G_j - F(a).
        let steepest = slopes.iter().fold(0.0, |most, slope| slope.max(most));
        if !(f > 0.0 && steepest.is_finite()) || steepest <= (1.0 + GAP) * f {
            break;
        }
        a = update(a, f, &slopes);
    }
    a
}

/// a_j sqrt(G_j / F), on the simplex again.
pub(super) fn update(mut a: Vec<f64>, f: f64, slopes: &[f64]) -> Vec<f64> {
    a.iter_mut().zip(slopes).for_each(|(a, slope)| *a *= (slope / f).sqrt());
    let sum: f64 = a.iter().sum();
    a.iter_mut().for_each(|a| *a /= sum);
    a
}

/// F(a) and G_j = mean_i c_i g_ij / p_i^2; points where the mixture underflows are skipped.
pub(super) fn objective(c: &[f64], g: &Array2<f64>, a: &[f64]) -> (f64, Vec<f64>) {
    let (n, j) = g.dim();
    let g = RowMajor::of(g.view());
    let blocks: Vec<(f64, Vec<f64>)> = g
        .values()
        .par_chunks(BLOCK * j)
        .zip(c.par_chunks(BLOCK))
        .map(|(g, c)| {
            let (mut f, mut slopes) = (0.0, vec![0.0; j]);
            for (g, c) in g.chunks_exact(j).zip(c) {
                let p = dot(g, a);
                let scaled = c / p;
                if scaled.is_finite() {
                    f += scaled;
                    slopes.iter_mut().zip(g).for_each(|(s, g)| *s += scaled / p * g);
                }
            }
            (f, slopes)
        })
        .collect();
    let (mut f, mut slopes) = (0.0, vec![0.0; j]);
    for (part, parts) in blocks {
        f += part;
        slopes.iter_mut().zip(parts).for_each(|(s, p)| *s += p);
    }
    slopes.iter_mut().for_each(|s| *s /= n as f64);
    (f / n as f64, slopes)
}

/// The sum of products in eight lanes, which the compiler turns into vector instructions.
pub(super) fn dot(x: &[f64], y: &[f64]) -> f64 {
    let mut lanes = [0.0; 8];
    let (xs, ys) = (x.chunks_exact(8), y.chunks_exact(8));
    let rest: f64 = xs.remainder().iter().zip(ys.remainder()).map(|(x, y)| x * y).sum();
    for (x, y) in xs.zip(ys) {
        lanes.iter_mut().zip(x.iter().zip(y)).for_each(|(lane, (x, y))| *lane += x * y);
    }
    lanes.iter().sum::<f64>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use quadrat_core::Seed;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn the_objective_never_rises_and_ends_near_the_least(n in 1_usize..60, j in 1_usize..6, seed in any::<u64>()) {
            let mut rng = Seed(seed).rng(0);
            let g = Array2::from_shape_fn((n, j), |_| rng.exponential().powi(3));
            let c: Vec<f64> = (0..n).map(|_| rng.exponential()).collect();
            let mut a = vec![1.0 / j as f64; j];
            let (mut f, mut slopes) = objective(&c, &g, &a);
            for _ in 0..30 {
                a = update(a, f, &slopes);
                let (next, next_slopes) = objective(&c, &g, &a);
                prop_assert!(next <= f * (1.0 + 1e-12), "{next} {f}");
                (f, slopes) = (next, next_slopes);
            }
            let best = objective(&c, &g, &best_weights(&c, &g, vec![1.0 / j as f64; j])).0;
            for _ in 0..20 {
                let other: Vec<f64> = (0..j).map(|_| rng.exponential()).collect();
                let sum: f64 = other.iter().sum();
                let other: Vec<f64> = other.iter().map(|a| a / sum).collect();
                // 500 updates may stop short of the bound where points are fewer than targets.
                prop_assert!(objective(&c, &g, &other).0 >= 0.98 * best);
            }
        }
    }

    #[test]
    fn vanishing_mixtures_are_skipped() {
        let g = ndarray::array![[0.0, 0.0], [1.0, 3.0]];
        let (f, slopes) = objective(&[5.0, 2.0], &g, &[0.5, 0.5]);
        assert_eq!((f, slopes), (0.5, vec![0.25, 0.75]));
        assert_eq!(best_weights(&[0.0, 0.0], &g, vec![0.5, 0.5]), [0.5, 0.5]);
    }
}
