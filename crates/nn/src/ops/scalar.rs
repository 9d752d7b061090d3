//! Functions of one number without a branch, so that loops over them vectorise.
//!
//! The standard library's are a call for each value; these are polynomials that a vector unit computes for eight values
//! at once, within a few units in the last place and in the tails too. Products and sums stay apart (no fused
//! multiply-add), so that every processor gives the same bits. Not a number stays one.

use quadrat_numeric::elementary::exp_of_sum;
pub(super) use quadrat_numeric::elementary::{exp, tanh};

/// x times the logistic function of x, and the derivative of that.
#[inline(always)]
pub(super) fn silu(x: f32) -> (f32, f32) {
    let e = exp(-x.abs());
    let near = 1.0 / (1.0 + e);
    let far = e * near;
    let (value, rest) = if x < 0.0 { (far, near) } else { (near, far) };
    (x * value, value * (1.0 + x * rest))
}

/// e^(-x^2 / 2) and the normal distribution's tail beyond |x|, divided by it (Mills' ratio over the root of 2 pi).
///
/// The tail is 1 / (|x| + 5/2) times a polynomial of (|x| - 5/2) / (|x| + 5/2), fitted for the relative error on
/// [0, 16]. The square is split into an exact part and a rest: its rounding error times e^x's slope would cost two digits.
#[inline(always)]
fn normal_tail(x: f32) -> (f32, f32) {
    const POWERS: [f32; 10] = [
        -1.583_395_5e-4,
        -3.127_156_8e-4,
        6.845_451_4e-4,
        2.524_872_5e-3,
        -1.600_653_7e-3,
        -1.638_643_4e-2,
        9.235_82e-3,
        1.319_87e-1,
        -4.336_92e-1,
        7.066_566_3e-1,
    ];
    let a = x.abs().min(16.0);
    let high = f32::from_bits(a.to_bits() & 0xffff_f000);
    let density = exp_of_sum(-0.5 * (high * high), -0.5 * ((a - high) * (a + high)));
    let u = 1.0 / (a + 2.5);
    let t = (a - 2.5) * u;
    (density, POWERS.iter().fold(0.0, |sum, c| sum * t + c) * u)
}

/// x times the normal distribution function of x, and the derivative of that.
#[inline(always)]
pub(super) fn gelu(x: f32) -> (f32, f32) {
    const ROOT: f32 = 0.398_942_3; // 1 / sqrt(2 pi)
    let (density, ratio) = normal_tail(x);
    let tail = ratio * density;
    let below = if x < 0.0 { tail } else { 1.0 - tail };
    // In the lower tail not x times that: it is too small for an ordinary number before this is.
    (if x < 0.0 { x * ratio * density } else { x * below }, below + x * density * ROOT)
}

/// The inverse tangent: reduced to |x| <= tan(pi / 8) by its value at 1 or at infinity, then Cephes' odd polynomial.
#[inline(always)]
pub(super) fn atan(x: f32) -> f32 {
    const POWERS: [f32; 4] = [8.053_744_6e-2, -1.387_768_6e-1, 1.997_771_1e-1, -3.333_295e-1];
    let a = x.abs();
    let (far, near) = (a > 2.414_213_7, a <= 0.414_213_57);
    let (top, bottom) = if far { (-1.0, a) } else { (a - 1.0, a + 1.0) };
    let (top, bottom) = if near { (a, 1.0) } else { (top, bottom) };
    let start = if far { std::f32::consts::FRAC_PI_2 } else { std::f32::consts::FRAC_PI_4 };
    let start = if near { 0.0 } else { start };
    let r = top / bottom;
    let square = r * r;
    let rest = POWERS.iter().fold(0.0, |sum, c| sum * square + c) * square * r + r;
    (start + rest).copysign(x)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Points on both sides of every seam and far into the tails.
    fn points() -> Vec<f32> {
        let mut points: Vec<f32> = (-40_000..=40_000).map(|i| i as f32 * 5e-4).collect();
        points.extend([0.0, 1e-30, -1e-30, 1e-6, -1e-6, 0.625, 2.5, 0.414_213_57, 2.414_213_7, 20.0, -20.0, 1e4, -1e4]);
        points
    }

    /// The largest relative error over the points where the exact value is an ordinary number.
    fn worst(function: impl Fn(f32) -> f32, exact: impl Fn(f64) -> f64) -> f64 {
        let error = |x: f32| {
            let (got, want) = (f64::from(function(x)), exact(f64::from(x)));
            assert!(got.is_finite(), "{x}");
            let tiny = want.abs() < f64::from(f32::MIN_POSITIVE);
            if tiny { (got - want).abs() } else { (got / want - 1.0).abs() }
        };
        points().into_iter().map(error).fold(0.0, f64::max)
    }

    /// The standard normal distribution's upper tail: the series of its integral, or Laplace's continued fraction.
    fn tail(x: f64) -> f64 {
        let density = (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt();
        if x < 0.0 {
            return 1.0 - tail(-x);
        }
        if x < 3.0 {
            let mut term = x;
            let mut sum = x;
            for k in 1..100 {
                term *= x * x / f64::from(2 * k + 1);
                sum += term;
            }
            return 0.5 - density * sum;
        }
        density / (1..200).rev().fold(x, |below, k| x + f64::from(k) / below)
    }

    #[test]
    fn functions_keep_their_relative_accuracy_in_the_tails() {
        let logistic = |x: f64| if x < 0.0 { x.exp() / (1.0 + x.exp()) } else { 1.0 / (1.0 + (-x).exp()) };
        assert!(worst(tanh, f64::tanh) < 3e-7);
        assert!(worst(|x| silu(x).0, |x| x * logistic(x)) < 3e-7);
        assert!(worst(|x| gelu(x).0, |x| x * tail(-x)) < 5e-7);
        assert!(worst(atan, f64::atan) < 2e-7);
        let exp_error = |x: f32| (f64::from(exp(x)) / f64::from(x).exp() - 1.0).abs();
        assert!(points().into_iter().filter(|x| x.abs() <= 80.0).map(exp_error).fold(0.0, f64::max) < 2e-7);
    }

    #[test]
    fn derivatives_are_accurate() {
        let logistic = |x: f64| 1.0 / (1.0 + (-x).exp());
        let silu_error = |x: f32| {
            let (x, got) = (f64::from(x), f64::from(silu(x).1));
            (got - logistic(x) * (1.0 + x * logistic(-x))).abs()
        };
        let gelu_error = |x: f32| {
            let (x, got) = (f64::from(x), f64::from(gelu(x).1));
            (got - tail(-x) - x * (-x * x / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt()).abs()
        };
        assert!(points().into_iter().map(silu_error).fold(0.0, f64::max) < 3e-7);
        assert!(points().into_iter().map(gelu_error).fold(0.0, f64::max) < 3e-7);
    }

    #[test]
    fn not_a_number_and_infinity_come_through() {
        for function in [tanh, atan, exp] {
            assert!(function(f32::NAN).is_nan());
        }
        assert_eq!([tanh, atan].map(|f| f(f32::INFINITY)), [1.0, 1.570_796_4]);
        for function in [silu, gelu] {
            let (value, slope) = function(f32::NAN);
            assert!(value.is_nan() && slope.is_nan());
            assert_eq!(function(f32::INFINITY).0, f32::INFINITY);
        }
        assert_eq!([tanh, atan].map(|f| f(f32::NEG_INFINITY)), [-1.0, -1.570_796_4]);
        assert_eq!([exp(-1e9), exp(1e9)], [0.0, f32::INFINITY]);
        assert!(tanh(-0.0).is_sign_negative() && atan(-0.0).is_sign_negative());
    }
}
