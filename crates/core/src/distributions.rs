//! Distribution functions and their inverses, exact in both tails.
//!
//! A probability near 1 has lost what a tail needs, so everything here speaks of both sides at once: forward functions
//! return [`Tails`], quantiles take them and work from the smaller one. Forward functions are `cdflib`'s (13 to 15 digits
//! for shapes from 1e-3 to 1e9). Its own inverses stop at 1e-8 relative or 1e-10 absolute, so quantiles are Newton's
//! method on the logarithms of both sides, where distribution functions are nearly straight, held by a bracket.
//!
//! Parameters out of range give NaN, never a panic.
//!
//! ```
//! use quadrat_core::distributions::{Tails, normal, student_quantile};
//! assert!((normal(-10.0).below / 7.619853024160527e-24 - 1.0).abs() < 1e-13);
//! assert!((student_quantile(Tails::below(0.975), 4.0) - 2.7764451051977987).abs() < 1e-14);
//! ```

use cdflib::special;
use std::f64::consts::LN_2;

/// The probability on either side of a value; both add up to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tails {
    /// P(X <= x).
    pub below: f64,
    /// P(X > x).
    pub above: f64,
}

impl Tails {
    /// From the probability below, which should be the smaller one where digits count.
    pub fn below(p: f64) -> Self {
        Tails { below: p, above: 1.0 - p }
    }

    /// From the probability above.
    pub fn above(q: f64) -> Self {
        Tails { below: 1.0 - q, above: q }
    }

    /// Those of -X.
    pub fn mirrored(self) -> Self {
        Tails { below: self.above, above: self.below }
    }

    const NONE: Tails = Tails { below: f64::NAN, above: f64::NAN };

    /// NaN where cdflib says that an answer cannot be computed (a shape above 1e15 and x within a few digits of it).
    fn of<E>(found: Result<(f64, f64), E>) -> Self {
        found.map_or(Tails::NONE, |(below, above)| Tails { below, above })
    }

    fn is_valid(self) -> bool {
        self.below >= 0.0 && self.above >= 0.0 && (self.below + self.above - 1.0).abs() < 1e-6
    }
}

/// The standard normal law at `z`.
pub fn normal(z: f64) -> Tails {
    if z.is_nan() {
        return Tails::NONE;
    }
    // cdflib has NaN for infinities, and 0 from about 38 on.
    let (below, above) = special::cumnor(z.clamp(-50.0, 50.0));
    Tails { below, above }
}

/// The value with these tails of the standard normal law.
pub fn normal_quantile(tails: Tails) -> f64 {
    if !tails.is_valid() {
        return f64::NAN;
    }
    match tails {
        Tails { below: 0.0, .. } => f64::NEG_INFINITY,
        Tails { above: 0.0, .. } => f64::INFINITY,
        Tails { below, above } => special::dinvnr(below, above),
    }
}

/// exp(x^2) erfc(x), which keeps its digits where erfc has none left.
pub fn erfcx(x: f64) -> f64 {
    special::error_fc_scaled(x)
}

/// ln Gamma(x), for x > 0.
pub fn ln_gamma(x: f64) -> f64 {
    if x > 0.0 { special::gamma_log(x) } else { f64::NAN }
}

/// ln B(a, b), for shapes above 0, without the cancellation of three ln Gamma.
pub fn ln_beta(a: f64, b: f64) -> f64 {
    if are_shapes(&[a, b]) { special::beta_log(a, b) } else { f64::NAN }
}

const TINY: f64 = 1e-300;
const DEEP: f64 = 1e-200;

fn are_shapes(shapes: &[f64]) -> bool {
    shapes.iter().all(|v| *v > 0.0 && v.is_finite())
}

/// The beta law with shapes `a` and `b` at `x`: the regularised incomplete beta function. Of an `x` closer to 1 than
/// digits can tell, ask for 1 - x with shapes swapped.
pub fn beta(x: f64, a: f64, b: f64) -> Tails {
    beta_at(x, 1.0 - x, a, b)
}

/// At x and y = 1 - x, each with its digits.
fn beta_at(x: f64, y: f64, a: f64, b: f64) -> Tails {
    if x.is_nan() || !are_shapes(&[a, b]) {
        return Tails::NONE;
    }
    if x <= 0.0 || y <= 0.0 {
        return if x <= 0.0 { Tails::below(0.0) } else { Tails::above(0.0) };
    }
    // Its answers are wrong for subnormal x or y; there the law is its power at the origin.
    if x < TINY || y < TINY {
        let at = |x: f64, a: f64, b: f64| Tails::below((a * x.ln() - a.ln() - ln_beta(a, b)).exp().min(1.0));
        return if x < TINY { at(x, a, b) } else { at(y, b, a).mirrored() };
    }
    let mut found = Tails::of(special::try_beta_inc(a, b, x, y));
    // Some of its expansions run out of range long before the result does; the continued fraction does not.
    if a > 1.0 && b > 1.0 {
        let fraction = |a: f64, b: f64, x: f64, y: f64| {
            let above_mean = if a > b { (a + b) * y - b } else { a - (a + b) * x };
            special::internal::beta_frac(a, b, x, y, above_mean, 2.0 * f64::EPSILON)
        };
        if found.below < DEEP {
            found.below = fraction(a, b, x, y);
        } else if found.above < DEEP {
            found.above = fraction(b, a, y, x);
        }
    }
    found
}

/// The value with these tails of the beta law, and its distance from 1.
pub fn beta_quantile(tails: Tails, a: f64, b: f64) -> (f64, f64) {
    let (ln_x, ln_y) = ln_beta_quantile(tails, a, b);
    // The larger from the smaller: it has no digits of its own to lose.
    if ln_x < ln_y { (ln_x.exp(), -ln_x.exp_m1()) } else { (-ln_y.exp_m1(), ln_y.exp()) }
}

/// The logarithms of both: a value may lie below the smallest double.
fn ln_beta_quantile(tails: Tails, a: f64, b: f64) -> (f64, f64) {
    if !tails.is_valid() || !are_shapes(&[a, b]) {
        return (f64::NAN, f64::NAN);
    }
    let other = |ln_small: f64| (-ln_small.exp()).ln_1p();
    // Of numbers near 1 one cannot tell which is larger.
    let half = beta(0.5, a, b);
    let below_half = if tails.below < tails.above { tails.below <= half.below } else { tails.above >= half.above };
    if below_half {
        let ln_x = ln_beta_quantile_below_half(tails, a, b);
        (ln_x, other(ln_x))
    } else {
        let ln_y = ln_beta_quantile_below_half(tails.mirrored(), b, a);
        (other(ln_y), ln_y)
    }
}

fn ln_beta_quantile_below_half(tails: Tails, a: f64, b: f64) -> f64 {
    let ln_beta = ln_beta(a, b);
    let law = LnLaw {
        ln_origin: -a.ln() - ln_beta,
        shape: a,
        ln_middle: (a / (a + b)).ln().min(-LN_2),
        ln_end: -LN_2,
        tails: |u: f64| beta_at(u.exp(), -u.exp_m1(), a, b),
        ln_density: |u: f64| a * u + (b - 1.0) * (-u.exp()).ln_1p() - ln_beta,
    };
    law.quantile(tails)
}

/// The gamma law with this shape and scale 1 at `x`: the regularised incomplete gamma functions.
pub fn gamma(x: f64, shape: f64) -> Tails {
    if x.is_nan() || !are_shapes(&[shape]) {
        return Tails::NONE;
    }
    if x <= 0.0 || x == f64::INFINITY {
        return if x <= 0.0 { Tails::below(0.0) } else { Tails::above(0.0) };
    }
    if x < TINY {
        return Tails::below((shape * x.ln() - ln_gamma(shape + 1.0)).exp());
    }
    Tails::of(special::try_gamma_inc(shape, x))
}

/// The value with these tails of the gamma law with this shape and scale 1.
pub fn gamma_quantile(tails: Tails, shape: f64) -> f64 {
    if !tails.is_valid() || !are_shapes(&[shape]) {
        return f64::NAN;
    }
    let law = LnLaw {
        ln_origin: -ln_gamma(shape + 1.0),
        shape,
        ln_middle: shape.ln(),
        // The smallest double is farther in than 40 standard deviations and 800 means of the exponential.
        ln_end: (shape + 60.0 * shape.sqrt() + 2000.0).ln(),
        tails: |u: f64| gamma(u.exp(), shape),
        ln_density: |u: f64| shape * u - u.exp() - ln_gamma(shape),
    };
    law.quantile(tails).exp()
}

/// Chi-square with `df` degrees of freedom at `x`.
pub fn chi_square(x: f64, df: f64) -> Tails {
    gamma(0.5 * x, 0.5 * df)
}

/// The value with these tails of chi-square with `df` degrees of freedom.
pub fn chi_square_quantile(tails: Tails, df: f64) -> f64 {
    2.0 * gamma_quantile(tails, 0.5 * df)
}

/// Student's t with `df` degrees of freedom at `t`.
pub fn student(t: f64, df: f64) -> Tails {
    if t.is_nan() || !are_shapes(&[df]) {
        return Tails::NONE;
    }
    let ln_ratio = 2.0 * t.abs().ln() - df.ln();
    let tail = 0.5 * beta_of_ratio(-ln_ratio, 0.5 * df, 0.5).below;
    if t > 0.0 { Tails::above(tail) } else { Tails::below(tail) }
}

/// The value with these tails of Student's t with `df` degrees of freedom.
pub fn student_quantile(tails: Tails, df: f64) -> f64 {
    if tails.below > tails.above {
        return -student_quantile(tails.mirrored(), df);
    }
    let both = Tails { below: 2.0 * tails.below, above: tails.above - tails.below };
    let (ln_x, ln_y) = ln_beta_quantile(both, 0.5 * df, 0.5);
    -(0.5 * (df.ln() + ln_y - ln_x)).exp()
}

/// Fisher's F with `d1` and `d2` degrees of freedom at `f`.
pub fn fisher(f: f64, d1: f64, d2: f64) -> Tails {
    if f <= 0.0 && are_shapes(&[d1, d2]) {
        return Tails::below(0.0);
    }
    beta_of_ratio(f.ln() + (d1 / d2).ln(), 0.5 * d1, 0.5 * d2)
}

/// The value with these tails of Fisher's F with `d1` and `d2` degrees of freedom.
pub fn fisher_quantile(tails: Tails, d1: f64, d2: f64) -> f64 {
    let (ln_x, ln_y) = ln_beta_quantile(tails, 0.5 * d1, 0.5 * d2);
    (ln_x - ln_y + (d2 / d1).ln()).exp()
}

/// The beta law at x with x / (1 - x) = exp(u).
fn beta_of_ratio(u: f64, a: f64, b: f64) -> Tails {
    // A ratio below the smallest double: x^a / (a B(a, b)) may still be above it.
    if u < -700.0 && are_shapes(&[a, b]) {
        return Tails::below((a * u - a.ln() - ln_beta(a, b)).exp());
    }
    if u > 700.0 {
        return beta_of_ratio(-u, b, a).mirrored();
    }
    // The smaller of x and 1 - x is the one with the digits.
    let small = (-u.abs()).exp() / (1.0 + (-u.abs()).exp());
    if u < 0.0 { beta_at(small, 1.0 - small, a, b) } else { beta_at(1.0 - small, small, a, b) }
}

/// The number of successes in `n` trials of probability `p`: at most, and more than, `k`.
pub fn binomial(k: u64, n: u64, p: f64) -> Tails {
    if !(0.0..=1.0).contains(&p) {
        return Tails::NONE;
    }
    if k >= n { Tails::above(0.0) } else { beta(p, k as f64 + 1.0, (n - k) as f64).mirrored() }
}

/// The smallest number of successes in `n` trials of probability `p` with at most `tails.above` above it; none for
/// numbers that are no probabilities.
pub fn binomial_quantile(tails: Tails, n: u64, p: f64) -> Option<u64> {
    if !tails.is_valid() || !(0.0..=1.0).contains(&p) {
        return None;
    }
    let enough = |k: u64| {
        let at = binomial(k, n, p);
        if tails.below < tails.above { at.below >= tails.below } else { at.above <= tails.above }
    };
    let (mut low, mut high) = (0, n);
    while low < high {
        let middle = low + (high - low) / 2;
        if enough(middle) { high = middle } else { low = middle + 1 }
    }
    Some(low)
}

/// A law of a positive value, by the value's logarithm u.
struct LnLaw<T, D> {
    /// ln P(X <= x) less shape * u, for u far below 0.
    ln_origin: f64,
    shape: f64,
    /// Where most of the law lies, and beyond what no quantile does.
    ln_middle: f64,
    ln_end: f64,
    tails: T,
    /// Of u, not of the value.
    ln_density: D,
}

/// Below this u a value is as good as 0 and the law as good as its power at the origin.
const FAR: f64 = -700.0;

impl<T: Fn(f64) -> Tails, D: Fn(f64) -> f64> LnLaw<T, D> {
    /// The u with these tails.
    fn quantile(&self, tails: Tails) -> f64 {
        if tails.below == 0.0 || tails.above == 0.0 {
            return if tails.below == 0.0 { f64::NEG_INFINITY } else { f64::INFINITY };
        }
        let from_below = tails.below <= tails.above;
        let ln_below = if from_below { tails.below.ln() } else { (-tails.above).ln_1p() };
        let by_power = (ln_below - self.ln_origin) / self.shape;
        if by_power < FAR {
            return by_power;
        }
        let (mut low, mut high) = (FAR - 50.0, self.ln_end);
        let mut u = by_power.min(self.ln_middle);
        for _ in 0..200 {
            let at = (self.tails)(u);
            // An increasing function of u with its zero where the smaller tail is as given, and its slope.
            let (excess, slope) = if from_below {
                ((at.below / tails.below).ln(), ((self.ln_density)(u) - at.below.ln()).exp())
            } else {
                ((tails.above / at.above).ln(), ((self.ln_density)(u) - at.above.ln()).exp())
            };
            if excess > 0.0 {
                high = u
            } else {
                low = u
            }
            let newton = u - excess / slope;
            let next = if newton >= low && newton <= high { newton } else { 0.5 * (low + high) };
            if (next - u).abs() <= f64::EPSILON * u.abs().max(1.0) || excess.abs() <= f64::EPSILON {
                return next;
            }
            u = next;
        }
        u
    }
}

#[cfg(test)]
mod tests;
