//! Elementary functions, of single precision but for [`exp_f64`], without a branch, so that loops over them vectorise (see
//! [`vectorised`](crate::vectorised)).
//!
//! The standard library's are a call for each value. These are polynomials, within a few units in the last place and in
//! the tails too. Products and sums stay apart (no fused multiply-add), so that every processor gives the same bits. Not a
//! number stays one.

/// e^(x + rest) for a small `rest`; 0 below -87.7 (results too small for an ordinary number), infinite above 88.3.
///
/// 2^n times a polynomial (Cephes' coefficients) of what is left, at most ln(2) / 2.
#[inline(always)]
pub fn exp_of_sum(x: f32, rest: f32) -> f32 {
    const POWERS: [f32; 6] = [1.987_569_1e-4, 1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_6e-1, 0.5];
    // ln(2) in two parts: the first times a small whole number is exact.
    const LN_2: (f32, f32) = (0.693_359_4, -2.121_944_4e-4);
    // Adding 1.5 * 2^23 rounds to a whole number, which then stands in the last bits.
    const ROUND: f32 = 12_582_912.0;
    // At the ends 2^n is 0 and infinite.
    let x = x.clamp(-88.0, 89.0);
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = ((x - n * LN_2.0) - n * LN_2.1) + rest;
    let power = POWERS.iter().fold(0.0, |sum, c| sum * r + c) * r * r + r + 1.0;
    // 2^n: n + 127 in the place of the exponent, above which the shift leaves nothing.
    power * f32::from_bits(shifted.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(127) << 23)
}

/// e^x.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    exp_of_sum(x, 0.0)
}

/// e^x in double precision; 0 below -708.7 (results too small for an ordinary number), infinite above 709.4.
///
/// 2^n times Cephes' quotient of polynomials of what is left.
#[inline(always)]
pub fn exp_f64(x: f64) -> f64 {
    const ABOVE: [f64; 3] = [1.261_771_930_748_105_9e-4, 3.029_944_077_074_419_6e-2, 1.0];
    const BELOW: [f64; 4] = [3.001_985_051_386_644_6e-6, 2.524_483_403_496_841e-3, 2.272_655_482_081_550_3e-1, 2.0];
    // As in single precision; here adding 1.5 * 2^52 rounds.
    const LN_2: (f64, f64) = (6.931_457_519_531_25e-1, 1.428_606_820_309_417_2e-6);
    const ROUND: f64 = 6_755_399_441_055_744.0;
    let x = x.clamp(-709.0, 710.0);
    let shifted = x * std::f64::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = (x - n * LN_2.0) - n * LN_2.1;
    let square = r * r;
    let odd = ABOVE.iter().fold(0.0, |sum, c| sum * square + c) * r;
    let even = BELOW.iter().fold(0.0, |sum, c| sum * square + c);
    let power = 1.0 + 2.0 * (odd / (even - odd));
    power * f64::from_bits(shifted.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(1023) << 52)
}

/// The hyperbolic tangent: near 0 an odd polynomial (Cephes' coefficients), else 1 - 2 / (e^2|x| + 1).
#[inline(always)]
pub fn tanh(x: f32) -> f32 {
    const NEAR: [f32; 5] = [-5.704_989e-3, 2.063_909e-2, -5.373_971_6e-2, 1.333_144_2e-1, -0.333_332_8];
    let square = x * x;
    let near = NEAR.iter().fold(0.0, |sum, c| sum * square + c) * square * x + x;
    // Above 10 the result is 1 in single precision.
    let far = 1.0 - 2.0 / (exp(2.0 * x.abs().min(10.0)) + 1.0);
    // Not a number is not above 0.625.
    let value = if x.abs() > 0.625 { far } else { near };
    value.copysign(x)
}

/// ln(1 + x) for x from 0 to 1, which is where 1 + e^-|z| lies: the series of 2 artanh(x / (2 + x)), which keeps the digits
/// of small x.
#[inline(always)]
pub fn ln_1p(x: f32) -> f32 {
    const POWERS: [f32; 7] = [1.0 / 13.0, 1.0 / 11.0, 1.0 / 9.0, 1.0 / 7.0, 0.2, 1.0 / 3.0, 1.0];
    let s = x / (2.0 + x);
    let square = s * s;
    2.0 * s * POWERS.iter().fold(0.0, |sum, c| sum * square + c)
}

/// The logistic function of z, and ln(1 + e^z).
#[inline(always)]
pub fn logistic(z: f32) -> (f32, f32) {
    let e = exp(-z.abs());
    let near = 1.0 / (1.0 + e);
    let p = if z < 0.0 { e * near } else { near };
    (p, z.max(0.0) + ln_1p(e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn double_precision_is_the_standard_librarys_within_a_few_units_in_the_last_place() {
        for i in -70_800..=70_900 {
            let x = f64::from(i) * 0.01 + 0.003;
            assert!((exp_f64(x) / x.exp() - 1.0).abs() < 5e-16, "{x}: {} for {}", exp_f64(x), x.exp());
        }
        assert_eq!((exp_f64(0.0), exp_f64(-1e9), exp_f64(f64::NEG_INFINITY)), (1.0, 0.0, 0.0));
        assert_eq!(exp_f64(1e9), f64::INFINITY);
        assert!(exp_f64(f64::NAN).is_nan());
    }

    #[test]
    fn logistic_and_its_integral_keep_their_relative_accuracy() {
        for i in -8_000..=8_000 {
            let z = i as f32 * 0.01;
            let (p, softplus) = logistic(z);
            let wide = f64::from(z);
            for (got, want) in
                [(p, 1.0 / (1.0 + (-wide).exp())), (softplus, wide.max(0.0) + (-wide.abs()).exp().ln_1p())]
            {
                assert!((f64::from(got) / want - 1.0).abs() < 5e-7, "{z}: {got} for {want}");
            }
        }
        assert_eq!(logistic(-1e4), (0.0, 0.0));
        assert_eq!(logistic(1e4), (1.0, 1e4));
        assert!(logistic(f32::NAN).0.is_nan());
    }
}
