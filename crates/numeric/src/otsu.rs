//! Otsu's threshold: where a set of numbers falls into two groups.

/// The border that maximises the variance between the numbers below and above it (Otsu 1979), as scikit-image finds it: the middle of
/// one of `bins` equal bins between the least and the largest. None for fewer than two bins, or for numbers that are all equal or
/// not finite.
///
/// ```
/// let found = quadrat_numeric::otsu(&[0.1, 0.2, 0.15, 2.0, 2.1], 256).unwrap();
/// assert!(found > 0.19 && found < 2.0);
/// assert_eq!(quadrat_numeric::otsu(&[1.0, 1.0], 256), None);
/// ```
pub fn otsu(values: &[f32], bins: usize) -> Option<f32> {
    let finite = || values.iter().map(|v| f64::from(*v));
    let (low, high) = finite().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| (l.min(v), h.max(v)));
    if bins < 2 || values.iter().any(|v| !v.is_finite()) || low >= high {
        return None;
    }
    let width = (high - low) / bins as f64;
    let middle = |bin: usize| low + (bin as f64 + 0.5) * width;
    let mut counts = vec![0.0; bins];
    finite().for_each(|v| counts[(((v - low) / width) as usize).min(bins - 1)] += 1.0);
    let (all, sum) = (values.len() as f64, counts.iter().enumerate().map(|(i, n)| n * middle(i)).sum::<f64>());
    let (mut below, mut below_sum, mut best) = (0.0, 0.0, (f64::NEG_INFINITY, 0));
    for (bin, n) in counts.iter().enumerate().take(bins - 1) {
        below += n;
        below_sum += n * middle(bin);
        let apart = below_sum / below - (sum - below_sum) / (all - below);
        let between = below * (all - below) * apart * apart;
        if between > best.0 {
            best = (between, bin);
        }
    }
    Some(middle(best.1) as f32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GOLDEN: [(&str, usize, f32); 6] = [
        ("squares", 256, 44.0625),
        ("squares", 16, 45.0),
        ("two", 256, 0.977_392_6),
        ("two", 16, 0.942_968_8),
        ("heavy", 256, 0.115_234_38),
        ("heavy", 16, 1.84375),
    ];

    /// scikit-image 0.26.0: `threshold_otsu(np.array(values, np.float64), nbins)`.
    #[test]
    fn borders_are_those_of_scikit_image() {
        let squares: Vec<f32> = (0..50).map(|i| (i * i % 97) as f32).collect();
        let two: Vec<f32> = (0..40).map(|i| if i % 4 == 0 { 5.0 + i as f32 / 40.0 } else { i as f32 / 40.0 }).collect();
        let heavy: Vec<f32> = (0..60).map(|i| if i < 50 { 0.0 } else { i as f32 }).collect();
        for (name, bins, golden) in GOLDEN {
            let values = match name {
                "squares" => &squares,
                "two" => &two,
                _ => &heavy,
            };
            let found = otsu(values, bins).unwrap();
            assert!((found - golden).abs() < 1e-5, "{found} {golden}");
        }
        for nothing in [&[][..], &[1.0], &[2.0, 2.0], &[1.0, f32::NAN], &[1.0, f32::INFINITY]] {
            assert_eq!(otsu(nothing, 256), None);
        }
        assert_eq!(otsu(&squares, 1), None);
    }

    proptest! {
        /// No other bin's border separates better.
        #[test]
        fn no_border_is_better(values in prop::collection::vec(-9.0f32..9.0, 3..60), bins in 2usize..40) {
            if let Some(found) = otsu(&values, bins) {
                let low = values.iter().copied().fold(f32::INFINITY, f32::min);
                let high = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                let width = f64::from(high - low) / bins as f64;
                let bin = |v: f32| ((f64::from(v - low) / width) as usize).min(bins - 1);
                let between = |last: usize| {
                    let (a, b): (Vec<f64>, Vec<f64>) = {
                        let middle = |v: &f32| f64::from(low) + (bin(*v) as f64 + 0.5) * width;
                        let (a, b): (Vec<f32>, Vec<f32>) = values.iter().partition(|v| bin(**v) <= last);
                        (a.iter().map(middle).collect(), b.iter().map(middle).collect())
                    };
                    let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
                    if b.is_empty() { 0.0 } else { a.len() as f64 * b.len() as f64 * (mean(&a) - mean(&b)).powi(2) }
                };
                let own = between(bin(found));
                for last in 0..bins - 1 {
                    prop_assert!(between(last) <= own * (1.0 + 1e-4) + 1e-6, "{} {}", between(last), own);
                }
            }
        }
    }
}
