//! Logarithms of distribution functions, so that tails far below the smallest double keep their meaning.
//!
//! Nothing here forms a probability and then takes its logarithm: sums run over positive terms that are scaled by their
//! start. Arguments out of range give NaN or minus infinity as noted, never a panic.

use quadrat_core::distributions::erfcx;
use std::f64::consts::{FRAC_1_SQRT_2, PI};

/// ln P(Z <= z) of the standard normal; about -z^2/2 - ln(-z sqrt(2 pi)) far below 0. Relative error about 1e-15.
///
/// ```
/// use quadrat_numeric::special::log_normal_cdf;
/// assert!((log_normal_cdf(0.0) + 2.0_f64.ln()).abs() < 1e-15);
/// assert!((log_normal_cdf(-100.0) + 5005.524_208_694_205).abs() < 1e-9);
/// ```
pub fn log_normal_cdf(z: f64) -> f64 {
    // The scaled erfc carries everything but exp(-z^2/2).
    let half = 0.5 * erfcx(z.abs() * FRAC_1_SQRT_2);
    if z < 0.0 { half.ln() - 0.5 * z * z } else { (-half * (-0.5 * z * z).exp()).ln_1p() }
}

/// -k ln(mean) + ... of the Poisson law at a real `k` >= 0: k ln(mean) - mean - ln Gamma(k + 1), without the
/// cancellation of its three terms (Loader, "Fast and accurate computation of binomial probabilities", 2000).
///
/// `mean` 0 puts all mass on 0. Absolute error about 1e-15 times the result's own size, for any size of `k`.
pub fn log_poisson(k: f64, mean: f64) -> f64 {
    if mean == 0.0 {
        return if k == 0.0 { 0.0 } else { f64::NEG_INFINITY };
    }
    if k == 0.0 {
        return -mean;
    }
    -stirling_error(k) - deviance(k, mean) - 0.5 * (2.0 * PI * k).ln()
}

/// ln Gamma(n + 1) less Stirling's formula.
fn stirling_error(n: f64) -> f64 {
    let (mut n, mut sum) = (n, 0.0);
    while n < 15.0 {
        sum += (n + 0.5) * (1.0 / n).ln_1p() - 1.0;
        n += 1.0;
    }
    let square = n * n;
    let series = [1.0 / 1260.0, -1.0 / 1680.0, 1.0 / 1188.0, -691.0 / 360_360.0];
    let tail = series.iter().rev().fold(0.0, |sum, c| c + sum / square);
    sum + (1.0 / 12.0 - (1.0 / 360.0 - tail / square) / square) / n
}

/// k ln(k / mean) + mean - k.
fn deviance(k: f64, mean: f64) -> f64 {
    if (k - mean).abs() >= 0.1 * (k + mean) {
        return k * (k / mean).ln() + mean - k;
    }
    // The series of the logarithm around k = mean.
    let v = (k - mean) / (k + mean);
    let mut sum = (k - mean) * v;
    let mut power = 2.0 * k * v;
    for j in 1..1000 {
        power *= v * v;
        let next = sum + power / f64::from(2 * j + 1);
        if next == sum {
            break;
        }
        sum = next;
    }
    sum
}

/// Standard deviations around the largest term beyond which terms of a sum are below the last digit.
const REACH: f64 = 10.0;
/// A term this much smaller than the sum so far cannot change it, nor can those after it.
const NEGLIGIBLE: f64 = 1e-18;

/// Log density at `x` of the non-central chi-square with `df` > 0 degrees of freedom and non-centrality `nc` >= 0, as a
/// Poisson mixture of chi-squares.
///
/// Cost: the root of nc x terms. Minus infinity for `x` <= 0, NaN for parameters out of range.
pub fn log_noncentral_chi_square_pdf(x: f64, df: f64, nc: f64) -> f64 {
    if !valid(x, df, nc) {
        return f64::NAN;
    }
    if x <= 0.0 || x == f64::INFINITY {
        return f64::NEG_INFINITY;
    }
    let (a, y, mean) = (0.5 * df, 0.5 * x, 0.5 * nc);
    // Term j: the Poisson weight of j times the density of chi-square with df + 2 j. Term j + 1 over term j is
    // mean y / ((j + 1) (a + j)).
    let top = largest_term(a - 1.0, mean * y);
    let at = a + top;
    let scale = log_poisson(top, mean) + log_poisson(at, y) + (at / x).ln();
    let mut sum = 1.0;
    let (mut term, mut j) = (1.0, top);
    while term > NEGLIGIBLE * sum {
        term *= mean * y / ((j + 1.0) * (a + j));
        sum += term;
        j += 1.0;
    }
    (term, j) = (1.0, top);
    while j > 0.0 && term > NEGLIGIBLE * sum {
        term *= j * (a + j - 1.0) / (mean * y);
        sum += term;
        j -= 1.0;
    }
    scale + sum.ln()
}

/// ln P(X <= x) of the non-central chi-square with `df` > 0 degrees of freedom and non-centrality `nc` >= 0; also far
/// below where the probability itself is 0 in double precision.
///
/// Cost: the root of nc times a constant. Minus infinity for `x` <= 0, NaN for parameters out of range.
///
/// ```
/// use quadrat_numeric::special::log_noncentral_chi_square_cdf as log_cdf;
/// // Two degrees of freedom, central: 1 - exp(-x/2).
/// assert!((log_cdf(3.0, 2.0, 0.0) - (1.0 - (-1.5_f64).exp()).ln()).abs() < 1e-14);
/// assert!(log_cdf(1.0, 3.0, 5000.0) < -2000.0);
/// ```
pub fn log_noncentral_chi_square_cdf(x: f64, df: f64, nc: f64) -> f64 {
    if !valid(x, df, nc) {
        return f64::NAN;
    }
    if x <= 0.0 {
        return f64::NEG_INFINITY;
    }
    if x == f64::INFINITY {
        return 0.0;
    }
    let (a, y, mean) = (0.5 * df, 0.5 * x, 0.5 * nc);
    if y > a + mean { (-upper_tail(a, y, mean)).ln_1p() } else { log_lower_tail(a, y, mean) }
}

fn valid(x: f64, df: f64, nc: f64) -> bool {
    !x.is_nan() && df > 0.0 && df.is_finite() && nc >= 0.0 && nc.is_finite()
}

/// The whole number j at which j (a + j) is closest below `product`: the largest term of a series whose terms j and j - 1
/// are in the ratio product / (j (a + j)).
fn largest_term(a: f64, product: f64) -> f64 {
    // The root in the form that does not cancel.
    let root = a.hypot(2.0 * product.sqrt());
    let j = if a > 0.0 { 2.0 * product / (a + root) } else { 0.5 * (root - a) };
    j.floor().max(0.0)
}

/// Where to start a sum around `top`: the terms before are negligible. Term j varies like a normal density of variance
/// at most j.
fn start(top: f64) -> f64 {
    (top - REACH * (top + 1.0).sqrt() - REACH).max(0.0).floor()
}

/// ln of sum_i g_i F_i, where g_i = e^-y y^(a+i) / Gamma(a+i+1) and F_i is the Poisson distribution function: what is
/// left of the Poisson mixture when P(a, y) = g_0 + g_1 + ... is put in. For y <= a + mean.
fn log_lower_tail(a: f64, y: f64, mean: f64) -> f64 {
    let top = largest_term(a, mean * y);
    let first = start(top);
    // ratio = F_i / p_i, in which neither can leave the range of doubles.
    let (mut ratio, mut part, mut j) = (1.0, 1.0, first);
    while j > 0.0 && part > NEGLIGIBLE * ratio {
        part *= j / mean;
        ratio += part;
        j -= 1.0;
    }
    let scale = log_poisson(first, mean) + log_poisson(a + first, y);
    // g_i F_i = g_(i-1) F_(i-1) y / (a + i) + g_i p_i. (F_i / p_i itself grows like i! / mean^i: for a small mean it leaves the
    // range before the terms are negligible.)
    let (mut product, mut i, mut term, mut sum) = (1.0, first, ratio, ratio);
    loop {
        i += 1.0;
        product *= mean * y / (i * (a + i));
        term = term * y / (a + i) + product;
        sum += term;
        if i > top && term <= NEGLIGIBLE * sum {
            return scale + sum.ln();
        }
    }
}

/// P(X > x): the Poisson mixture of upper gamma tails, each made from the one before. For y > a + mean.
fn upper_tail(a: f64, y: f64, mean: f64) -> f64 {
    let top = largest_term(a, mean * y);
    let mut j = start(mean.min(top));
    let mut weight = log_poisson(j, mean).exp();
    let mut log_step = log_poisson(a + j, y);
    let mut tail = upper_gamma(a + j, y);
    let mut sum = weight * tail;
    loop {
        tail += log_step.exp();
        j += 1.0;
        log_step += (y / (a + j)).ln();
        weight *= mean / j;
        let term = weight * tail;
        sum += term;
        if j > top.max(mean) && term <= NEGLIGIBLE * sum {
            return sum.min(1.0);
        }
    }
}

/// The regularised upper incomplete gamma function Q(a, y) for y > a, by its continued fraction (Lentz).
fn upper_gamma(a: f64, y: f64) -> f64 {
    let tiny = f64::MIN_POSITIVE;
    let mut b = y + 1.0 - a;
    let (mut c, mut d) = (1.0 / tiny, 1.0 / b);
    let mut fraction = d;
    for i in 1..100_000 {
        let i = f64::from(i);
        let numerator = i * (a - i);
        b += 2.0;
        d = numerator * d + b;
        c = b + numerator / c;
        d = 1.0 / if d == 0.0 { tiny } else { d };
        c = if c == 0.0 { tiny } else { c };
        fraction *= d * c;
        if (d * c - 1.0).abs() < f64::EPSILON {
            break;
        }
    }
    (log_poisson(a, y) + (a * fraction).ln()).exp()
}

/// Nodes and weights of the Gauss-Legendre rule with `n` nodes on [0, 1], exact for polynomials of degree 2n - 1. Roots
/// of the Legendre polynomial by Newton's method from Tricomi's approximation; O(n^2). No nodes for `n` of 0.
pub fn gauss_legendre(n: usize) -> Vec<(f64, f64)> {
    let node = |i: usize| {
        let mut z = (std::f64::consts::PI * (i as f64 + 0.75) / (n as f64 + 0.5)).cos();
        let mut slope = 1.0;
        for _ in 0..100 {
            let (mut before, mut here) = (0.0, 1.0);
            for j in 0..n {
                let j = j as f64;
                (before, here) = (here, ((2.0 * j + 1.0) * z * here - j * before) / (j + 1.0));
            }
            slope = n as f64 * (z * here - before) / (z * z - 1.0);
            let step = here / slope;
            z -= step;
            if step.abs() < 1e-15 {
                break;
            }
        }
        (0.5 * (1.0 - z), 1.0 / ((1.0 - z * z) * slope * slope))
    };
    (0..n).map(node).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn assert_close(got: f64, want: f64, tolerance: f64, what: &str) {
        assert!((got - want).abs() <= tolerance * want.abs(), "{what}: {got} instead of {want}");
    }

    #[test]
    fn normal_tails_agree_with_high_precision() {
        for &(z, want) in NORMAL {
            assert_close(log_normal_cdf(z), want, 2e-15, &format!("z = {z}"));
        }
        assert!(log_normal_cdf(f64::NAN).is_nan());
        assert_eq!(log_normal_cdf(f64::INFINITY), 0.0);
    }

    #[test]
    fn noncentral_chi_square_agrees_with_high_precision() {
        for &(x, df, nc, pdf, cdf) in NONCENTRAL {
            let what = format!("x = {x}, df = {df}, nc = {nc}");
            assert_close(log_noncentral_chi_square_pdf(x, df, nc), pdf, 1e-10, &what);
            assert_close(log_noncentral_chi_square_cdf(x, df, nc), cdf, 1e-10, &what);
        }
    }

    #[test]
    fn arguments_out_of_range_are_defined() {
        for (df, nc) in [(0.0, 1.0), (-1.0, 1.0), (1.0, -1.0), (f64::NAN, 1.0), (1.0, f64::INFINITY)] {
            assert!(log_noncentral_chi_square_pdf(1.0, df, nc).is_nan(), "{df} {nc}");
            assert!(log_noncentral_chi_square_cdf(1.0, df, nc).is_nan(), "{df} {nc}");
        }
        for x in [0.0, -1.0, f64::NEG_INFINITY] {
            assert_eq!(log_noncentral_chi_square_pdf(x, 2.0, 1.0), f64::NEG_INFINITY);
            assert_eq!(log_noncentral_chi_square_cdf(x, 2.0, 1.0), f64::NEG_INFINITY);
        }
        assert_eq!(log_noncentral_chi_square_cdf(f64::INFINITY, 2.0, 1.0), 0.0);
        assert!(log_noncentral_chi_square_cdf(f64::NAN, 2.0, 1.0).is_nan());
        assert_eq!((log_poisson(0.0, 0.0), log_poisson(1.0, 0.0)), (0.0, f64::NEG_INFINITY));
    }

    /// With many degrees of freedom and hardly any non-centrality; by the Poisson mixture of scipy 1.17's `chi2.cdf`.
    #[test]
    fn a_small_non_centrality_comes_to_an_end() {
        for (x, df, nc, expected) in [
            (147.0, 147.8, 0.005, -0.699_630_494_183_406_1),
            (150.0, 200.0, 1e-6, -5.698_066_530_457_953),
            (300.0, 300.0, 0.02, -0.672_300_615_082_948_2),
        ] {
            let found = log_noncentral_chi_square_cdf(x, df, nc);
            assert!((found / expected - 1.0).abs() < 1e-12, "{x} {df} {nc}: {found}");
        }
        let near = log_noncentral_chi_square_cdf(150.0, 200.0, 1e-300);
        assert!((near - log_noncentral_chi_square_cdf(150.0, 200.0, 0.0)).abs() < 1e-12);
    }

    proptest! {
        #[test]
        fn the_density_is_the_slope_of_the_distribution(
            df in 0.1..200.0_f64, nc in 0.0..300.0_f64, at in 0.05..3.0_f64
        ) {
            let x = at * (df + nc);
            let h = 1e-4 * x;
            let log = |x| log_noncentral_chi_square_cdf(x, df, nc);
            let (low, high) = (log(x - h), log(x + h));
            // F' from differences of ln F, where F has not reached 1 to working precision.
            prop_assume!(high < -1e-6);
            let slope = (high - low) / (2.0 * h);
            let density = (log_noncentral_chi_square_pdf(x, df, nc) - log(x)).exp();
            prop_assert!((slope / density - 1.0).abs() < 1e-3, "{} {}", slope, density);
            prop_assert!(low <= high);
        }
    }

    // (z, ln P(Z <= z)) by mpmath 1.3 with 60 digits.
    const NORMAL: &[(f64, f64)] = &[
        (-1_000.0, -500_007.826_694_812_16),
        (-38.0, -726.557_216_018_820_1),
        (-5.5, -17.779_376_352_625_26),
        (-1.0, -1.841_021_645_009_263_6),
        (-0.1, -0.776_154_592_730_273_3),
        (0.5, -0.368_946_415_288_656_4),
        (2.0, -0.023_012_909_328_963_49),
        (6.0, -9.865_876_455_243_758e-10),
        (20.0, -2.753_624_118_606_233_7e-89),
    ];

    // (x, df, nc, ln density, ln distribution function) by the Poisson mixture in mpmath 1.3 with 200 digits. scipy's
    // ncx2.logpdf and logcdf agree to 1e-14 wherever they do not underflow (they do on two of these rows).
    const NONCENTRAL: &[(f64, f64, f64, f64, f64)] = &[
        (1.0, 1.0, 0.0, -1.418_938_533_204_672_7, -0.381_715_146_302_126_05),
        (0.3, 0.7, 0.2, -0.602_407_447_787_868_7, -0.676_159_632_599_418),
        (5.0, 3.0, 2.5, -2.285_546_860_355_105, -0.615_743_671_048_101),
        (20.0, 3.0, 2.5, -6.249_163_989_190_634, -0.005_801_039_802_924_342_5),
        (100.0, 3.0, 2.5, -37.508_842_778_859_815, -1.216_078_882_217_833_3e-16),
        (1e-08, 2.0, 1.0, -1.193_147_183_059_945_4, -19.613_827_925_762_312),
        (60.0, 50.0, 30.0, -4.432_145_894_896_771, -2.535_593_341_230_456_8),
        (10.0, 50.0, 30.0, -34.003_016_289_047_9, -34.828_046_106_035_92),
        (1.0, 100.0, 400.0, -377.760_439_487_782_55, -381.700_098_822_577_73),
        (300.0, 100.0, 400.0, -18.638_354_424_423_873, -16.873_653_681_815_35),
        (700.0, 100.0, 400.0, -14.155_890_135_022_062, -7.977_378_366_079_443e-6),
        (40.0, 0.05, 35.0, -3.581_155_947_061_801_3, -0.375_883_295_814_167),
        (900.0, 12.5, 1_500.0, -44.598_661_372_518_144, -42.705_092_063_041_14),
        (2.0, 1.5, 3_000.0, -1_426.411_926_702_344, -1_429.352_914_909_758_3),
        (180.0, 200.0, 0.0, -4.346_195_187_439_102, -1.843_762_557_440_094),
        (260.0, 200.0, 0.0, -7.941_441_955_032_684, -0.002_754_197_690_118_301_4),
    ];

    #[test]
    fn gauss_legendre_integrates_its_polynomials() {
        for n in 1..=40 {
            let rule = gauss_legendre(n);
            assert!(
                rule.windows(2).all(|pair| pair[0].0 < pair[1].0)
                    && rule.iter().all(|(u, w)| *u > 0.0 && *u < 1.0 && *w > 0.0)
            );
            for power in 0..2 * n {
                let sum: f64 = rule.iter().map(|(u, w)| w * u.powi(power as i32)).sum();
                assert!((sum - 1.0 / (power as f64 + 1.0)).abs() < 1e-14, "{n} nodes, u^{power}: {sum}");
            }
        }
        assert!(gauss_legendre(0).is_empty());
    }
}
