//! Many standard normal numbers at once, in single precision.
//!
//! [`Rng::normal`] is one number at a time, with a loop and a logarithm of the standard library. Where noise is drawn for every value
//! of a batch, that is most of the work. Box and Muller's formula has neither loop nor branch, so that a vector of the processor
//! makes several at once.

use crate::vectorised;
use quadrat_core::Rng;

/// Pairs of a block.
const PAIRS: usize = 64;

/// Fills `out` with independent standard normal numbers: r cos(a) and r sin(a) with r^2 / 2 exponential and a uniform.
///
/// What comes depends on the state of `rng` and the length of `out` alone. No number is beyond 6.7 from 0: the radius comes from 31 bits.
///
/// ```
/// use quadrat_core::Seed;
/// let mut out = [0.0; 5];
/// quadrat_numeric::normals::fill(&mut Seed(1).rng(0), &mut out);
/// assert!(out.iter().all(|z| z.abs() < 6.7));
/// ```
pub fn fill(rng: &mut Rng, out: &mut [f32]) {
    let (mut radii, mut angles) = ([0_u32; PAIRS], [0_u32; PAIRS]);
    let mut made = [0.0_f32; 2 * PAIRS];
    for out in out.chunks_mut(2 * PAIRS) {
        for (radius, angle) in radii.iter_mut().zip(&mut angles) {
            let bits = rng.next_u64();
            (*radius, *angle) = ((bits >> 32) as u32, bits as u32);
        }
        vectorised(
            #[inline(always)]
            || {
                let (first, second) = made.split_at_mut(PAIRS);
                for (((radius, angle), a), b) in radii.iter().zip(&angles).zip(first).zip(second) {
                    (*a, *b) = pair(*radius, *angle);
                }
            },
        );
        out.iter_mut().zip(&made).for_each(|(out, made)| *out = *made);
    }
}

/// Two normal numbers of 32 bits for the radius and 32 for the angle.
#[inline(always)]
fn pair(radius: u32, angle: u32) -> (f32, f32) {
    // 31 bits, since processors turn signed numbers into floating ones; the half keeps 0 away.
    let u = ((radius >> 1) as i32 as f32 + 0.5) * (1.0 / 2_147_483_648.0);
    // Rounding may make u 1, whose logarithm is 0, and never more.
    let r = (-2.0 * ln(u)).max(0.0).sqrt();
    let (cos, sin) = turn(angle);
    (r * cos, r * sin)
}

/// ln x for ordinary x above 0: the exponent times ln 2, and a polynomial (Cephes' coefficients) of the rest, which lies around 1.
#[inline(always)]
fn ln(x: f32) -> f32 {
    const POWERS: [f32; 9] = [
        7.037_683_6e-2,
        -0.115_146_1,
        0.116_769_99,
        -0.124_201_41,
        0.142_493_23,
        -0.166_680_58,
        0.200_007_15,
        -0.249_999_94,
        0.333_333_3,
    ];
    const LN_2: (f32, f32) = (0.693_359_4, -2.121_944_4e-4);
    // The bits of the root of 1/2, from which on the rest is counted.
    let exponent = x.to_bits().wrapping_sub(0x3f35_04f3) as i32 >> 23;
    let rest = f32::from_bits(x.to_bits().wrapping_sub((exponent << 23) as u32)) - 1.0;
    let exponent = exponent as f32;
    let square = rest * rest;
    let power = POWERS.iter().fold(0.0, |sum, c| sum * rest + c) * rest * square;
    rest + (power + exponent * LN_2.1 - 0.5 * square) + exponent * LN_2.0
}

/// Cosine and sine of a uniformly drawn angle: the two highest bits are quarters of a turn, the others, as a signed number, go up to an
/// eighth to either side, which a polynomial takes (Cephes' coefficients).
#[inline(always)]
fn turn(angle: u32) -> (f32, f32) {
    let quarter = angle >> 30;
    let x = (angle << 2) as i32 as f32 * (std::f32::consts::FRAC_PI_2 / 4_294_967_296.0);
    let square = x * x;
    let sin = ((-1.951_529_6e-4 * square + 8.332_161e-3) * square - 0.166_666_55) * square * x + x;
    let cos =
        ((2.443_315_7e-5 * square - 1.388_731_6e-3) * square + 4.166_664_6e-2) * square * square - 0.5 * square + 1.0;
    let (cos, sin) = if quarter & 1 == 1 { (-sin, cos) } else { (cos, sin) };
    if quarter & 2 == 2 { (-cos, -sin) } else { (cos, sin) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quadrat_core::{Seed, stats};

    #[test]
    fn elementary_functions_are_exact_to_a_few_last_places() {
        for i in 1..200_000_u32 {
            let u = i as f32 / 200_000.0;
            let want = f64::from(u).ln();
            assert!((f64::from(ln(u)) - want).abs() <= 3e-7 * want.abs().max(0.1), "{u}: {} for {want}", ln(u));
        }
        for tiny in [0.5 / 2_147_483_648.0, 1e-9, 1e-20, 1.0] {
            assert!((f64::from(ln(tiny)) - f64::from(tiny).ln()).abs() < 1e-5, "{tiny}");
        }
        for i in 0..100_000_u32 {
            let angle = i.wrapping_mul(0x9e37_79b9);
            // A whole turn is 2^32, with the quarter's signed rest.
            let quarter = f64::from(angle >> 30) + f64::from((angle << 2) as i32) / 4_294_967_296.0;
            let (sin, cos) = (quarter * std::f64::consts::FRAC_PI_2).sin_cos();
            let found = turn(angle);
            assert!((f64::from(found.0) - cos).abs() < 2e-7 && (f64::from(found.1) - sin).abs() < 2e-7, "{angle}");
        }
    }

    /// Sixteen cells of equal probability, pairs of neighbours in both orders of a block, and fourth moments: an alarm in some hundred
    /// thousand seeds.
    #[test]
    fn numbers_are_normal_and_independent() {
        let n = 256_000;
        let mut z = vec![0.0_f32; n];
        fill(&mut Seed(3).rng(0), &mut z);
        let ends: Vec<f64> = (1..16).map(|k| stats::normal_quantile(f64::from(k) / 16.0)).collect();
        let cell = |z: f32| ends.partition_point(|end| *end < f64::from(z));
        let tail = |counts: &[usize]| {
            let mean = counts.iter().sum::<usize>() as f64 / counts.len() as f64;
            let statistic: f64 = counts.iter().map(|c| (*c as f64 - mean).powi(2) / mean).sum();
            stats::chi_square_tail(statistic, (counts.len() - 1) as f64)
        };
        for apart in [0, 1, PAIRS] {
            let mut counts = vec![0; if apart == 0 { 16 } else { 256 }];
            for block in z.chunks_exact(2 * PAIRS) {
                for at in (0..2 * PAIRS - apart).step_by(apart + 1) {
                    counts[cell(block[at]) + if apart == 0 { 0 } else { 16 * cell(block[at + apart]) }] += 1;
                }
            }
            assert!(tail(&counts) > 1e-6, "{apart}");
        }
        for (power, expected, variance) in [(1, 0.0, 1.0), (2, 1.0, 2.0), (3, 0.0, 15.0), (4, 3.0, 96.0)] {
            let got = z.iter().map(|z| f64::from(*z).powi(power)).sum::<f64>() / n as f64;
            assert!((got - expected).abs() < 5.0 * (variance / n as f64).sqrt(), "moment {power}: {got}");
        }
        let mut short = vec![0.0_f32; 131];
        fill(&mut Seed(3).rng(0), &mut short);
        assert_eq!(short, z[..131]);
    }
}
