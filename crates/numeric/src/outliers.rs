//! Rows that lie where others are sparse.

use crate::neighbours::nearest;
use ndarray::ArrayView2;
use quadrat_core::{Progress, Result};

/// The local outlier factor of each row: how much sparser it is around the row than around its `k` nearest neighbours.
///
/// With d_k(o) the distance of o to its k-th neighbour, the reachability of p from o is max(d_k(o), |p − o|), the density of p
/// one over its mean reachability from its neighbours, and the factor the mean of the neighbours' densities over its own: about
/// 1 within a cluster, whatever the cluster's own density, and larger outside. `k` is lowered to the number of other rows; a
/// single row has the factor 1. Exactly `k` neighbours count, the lower row numbers where distances tie.
///
/// Among duplicates reachability is 0 and density without bound. As in scikit-learn (1.9.1), whose factors these are, 1e-10 is
/// added to reachabilities, here in units of the largest k-distance (rounded to a power of two), so that units do not matter.
///
/// Cost: that of [`nearest`].
///
/// Source: Breunig, Kriegel, Ng, Sander: "LOF: identifying density-based local outliers", SIGMOD 2000, definitions 5 to 7.
///
/// # Errors
/// As [`nearest`]: no row, values that are not finite, `k` of 0; cancelled.
///
/// ```
/// use ndarray::array;
/// use quadrat_core::Silent;
/// let x = array![[0.0], [1.0], [2.0], [3.0], [9.0]];
/// let factors = quadrat_numeric::outliers::local_outlier_factors(x.view(), 2, &Silent)?;
/// assert!(factors[4] > 2.0 && factors[..4].iter().all(|f| *f < 1.2));
/// # Ok::<(), quadrat_core::Error>(())
/// ```
pub fn local_outlier_factors(x: ArrayView2<f64>, k: usize, progress: &dyn Progress) -> Result<Vec<f64>> {
    let n = x.nrows();
    if n == 1 {
        return Ok(vec![1.0]);
    }
    let own: Vec<usize> = (0..n).collect();
    let near = nearest(x, x, Some(&own), k.min(n.saturating_sub(1)), progress)?;
    let k_distance: Vec<f64> = (0..n).map(|i| near.of(i).1[near.k - 1].sqrt()).collect();
    let largest = k_distance.iter().fold(0.0, |a: f64, b| a.max(*b));
    // The exponent alone: the power of two below.
    let unit = f64::from_bits(largest.to_bits() & f64::INFINITY.to_bits());
    let least = 1e-10 * if unit > 0.0 { unit } else { 1.0 };
    let mean = |row: usize, of: &dyn Fn(usize, f64) -> f64| {
        let (index, squared) = near.of(row);
        index.iter().zip(squared).map(|(o, s)| of(*o as usize, *s)).sum::<f64>() / near.k as f64
    };
    let reachability = |o: usize, squared: f64| k_distance[o].max(squared.sqrt());
    let density: Vec<f64> = (0..n).map(|row| 1.0 / (mean(row, &reachability) + least)).collect();
    Ok((0..n).map(|row| mean(row, &|o, _| density[o]) / density[row]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, array};
    use quadrat_core::{Seed, Silent};

    const GOLDEN: [(usize, [f64; 12]); 3] = [
        (
            2,
            [
                0.963785898,
                1.176942392,
                0.846560954,
                1.131287674,
                2.269410963,
                1.543590298,
                1.261937751,
                0.995407272,
                0.857089303,
                1.573536277,
                1.023149910,
                1.146041846,
            ],
        ),
        (
            4,
            [
                1.408557099,
                0.948052929,
                1.119622983,
                1.392637211,
                1.794340173,
                1.005696409,
                1.237788464,
                0.987890113,
                1.019741243,
                1.199712932,
                0.954252783,
                0.978616576,
            ],
        ),
        (
            20,
            [
                0.972213563,
                1.027574369,
                1.025749805,
                0.993923203,
                0.993234100,
                0.993234100,
                1.001510785,
                1.000068311,
                1.014328016,
                0.972213563,
                1.013403524,
                0.995758299,
            ],
        ),
    ];

    fn factors(x: &Array2<f64>, k: usize) -> Vec<f64> {
        local_outlier_factors(x.view(), k, &Silent).unwrap()
    }

    /// `LocalOutlierFactor(n_neighbors=k).fit(x).negative_outlier_factor_` of scikit-learn 1.9.1, with the sign turned.
    #[test]
    fn factors_are_scikit_learns() {
        let x = Array2::from_shape_fn((12, 2), |(i, j)| ((i * i * (j + 3) + 5 * i) % 17) as f64 + 0.13 * i as f64);
        for (k, expected) in GOLDEN {
            for (found, expected) in factors(&x, k).iter().zip(expected) {
                assert!((found - expected).abs() < 1e-6, "{k}: {found} {expected}");
            }
        }
    }

    #[test]
    fn units_do_not_matter_and_odd_rows_have_an_answer() {
        let x = Array2::from_shape_fn((30, 3), |(i, j)| Seed(i as u64).rng(j as u64).normal());
        for unit in [2.0_f64.powi(-280), 2.0_f64.powi(280)] {
            assert_eq!(factors(&(&x * unit), 5), factors(&x, 5));
        }
        assert_eq!(factors(&array![[3.0, 1.0]], 20), [1.0]);
        assert_eq!(factors(&array![[3.0], [4.0]], 20), [1.0, 1.0]);
        assert_eq!(factors(&Array2::ones((5, 2)), 2), [1.0; 5]);
        let mut twins = Array2::zeros((8, 1));
        twins[[7, 0]] = 1.0;
        let found = factors(&twins, 3);
        assert!(found[7] > 1e9 && found[..7].iter().all(|f| *f == 1.0), "{found:?}");
        assert!(local_outlier_factors(Array2::zeros((0, 2)).view(), 2, &Silent).is_err());
        assert!(local_outlier_factors(Array2::zeros((4, 2)).view(), 0, &Silent).is_err());
    }
}
