//! The law of a weighted sum of squares of Gaussians: what the test error of a random Gaussian function is.

use quadrat_core::Rng;
use quadrat_numeric::special::log_normal_cdf;

/// e = offset + sum_a scale_a X_a, where X_a is a non-central chi-square with `copies` degrees of freedom and
/// non-centrality shift_a / scale_a, all independent.
///
/// With C = U diag(lambda) U^T the covariance of a function's values at n_t test points (k outputs alike) and
/// b = U^T (m - y) what its mean misses, the mean squared error is of this form with scale = lambda / (n_t k),
/// shift = |b|^2 / (n_t k) (summed over outputs) and copies = k. A direction that does not vary adds its shift to the
/// offset.
#[derive(Debug, Clone, PartialEq)]
pub struct QuadraticForm {
    /// What does not vary.
    pub offset: f64,
    /// Scales, above 0.
    pub scales: Vec<f64>,
    /// Non-centrality times scale, of each scale.
    pub shifts: Vec<f64>,
    /// Degrees of freedom of each term.
    pub copies: f64,
}

/// Where the saddlepoint is so near 0 that its formula divides 0 by 0.
const CENTRE: f64 = 1e-5;

impl QuadraticForm {
    /// From eigenvalues of the covariance (round-off below 0 allowed) and the squares of what the mean misses along each
    /// eigenvector, summed over `outputs`. Eigenvalues within round-off of 0 count as 0.
    pub fn of_error(eigenvalues: &[f64], misses: &[f64], outputs: usize) -> QuadraticForm {
        let values = eigenvalues.len() as f64 * outputs as f64;
        let largest = eigenvalues.iter().copied().fold(0.0, f64::max);
        let floor = largest * eigenvalues.len() as f64 * f64::EPSILON;
        let mut form = QuadraticForm { offset: 0.0, scales: Vec::new(), shifts: Vec::new(), copies: outputs as f64 };
        for (value, miss) in eigenvalues.iter().zip(misses) {
            if *value > floor {
                form.scales.push(value / values);
                form.shifts.push(miss / values);
            } else {
                form.offset += miss / values;
            }
        }
        form
    }

    /// The expected error.
    pub fn mean(&self) -> f64 {
        self.offset + self.cumulants(0.0).0
    }

    /// Its variance.
    pub fn variance(&self) -> f64 {
        self.cumulants(0.0).1
    }

    fn terms(&self) -> impl Iterator<Item = (f64, f64)> {
        self.scales.iter().copied().zip(self.shifts.iter().copied())
    }

    /// First and second derivative at `t` of the cumulant generating function (of the part that varies)
    /// K(t) = sum_a [ -(copies/2) ln(1 - 2 a t) + c t / (1 - 2 a t) ].
    fn cumulants(&self, t: f64) -> (f64, f64) {
        let (mut first, mut second) = (0.0, 0.0);
        for (a, c) in self.terms() {
            let inverse = 1.0 / (1.0 - 2.0 * a * t);
            let (p, q) = (self.copies * a * inverse, c * inverse * inverse);
            first += p + q;
            second += 2.0 * a * inverse * (p + 2.0 * q);
        }
        (first, second)
    }

    /// t K'(t) - K(t) as a sum of terms that are all >= 0.
    fn divergence(&self, t: f64) -> f64 {
        self.terms()
            .map(|(a, c)| {
                let v = 2.0 * a * t;
                // v / (1 - v) + ln(1 - v), whose parts cancel around 0.
                let entropy = if v.abs() < 1e-3 {
                    v * v * (1.0 / 2.0 + v * (2.0 / 3.0 + v * (3.0 / 4.0 + v * (4.0 / 5.0 + v * 5.0 / 6.0))))
                } else {
                    v / (1.0 - v) + (-v).ln_1p()
                };
                0.5 * self.copies * entropy + c * t * v / ((1.0 - v) * (1.0 - v))
            })
            .sum()
    }

    /// The t at which K'(t) = x, for x > 0: Newton's method on 1 / K', which is nearly straight, inside a bracket.
    fn saddlepoint(&self, x: f64) -> f64 {
        let limit = 0.5 / self.scales.iter().copied().fold(0.0, f64::max);
        let (mut low, mut high) = (-limit, limit);
        while self.cumulants(low).0 > x && low > -1e300 {
            low *= 4.0;
        }
        let mut t = 0.0;
        for _ in 0..200 {
            let (first, second) = self.cumulants(t);
            if first > x {
                high = t
            } else {
                low = t
            }
            let step = first * (1.0 - first / x) / second;
            let next = if t + step > low && t + step < high { t + step } else { 0.5 * (low + high) };
            if (next - t).abs() <= 1e-15 * t.abs() || next == t {
                break;
            }
            t = next;
        }
        t
    }

    /// ln P(e <= `eps`) by the saddlepoint approximation (Lugannani and Rice 1980, in Barndorff-Nielsen's form):
    /// ln Phi(w + ln(u / w) / w), w = sign(t) sqrt(2 (t eps - K(t))), u = t sqrt(K''(t)).
    ///
    /// Its relative error is about a hundredth with many terms, and no worse in the far tail. Minus infinity when `eps`
    /// is not above the offset. Cost: a few passes over the terms.
    pub fn log_cdf(&self, eps: f64) -> f64 {
        let x = eps - self.offset;
        if self.scales.is_empty() {
            return if x >= 0.0 { 0.0 } else { f64::NEG_INFINITY };
        }
        if x.is_nan() || x <= 0.0 {
            return f64::NEG_INFINITY;
        }
        let t = self.saddlepoint(x);
        let w = (2.0 * self.divergence(t)).sqrt().copysign(t);
        if w.abs() < CENTRE {
            // The limit: a sixth of the skewness.
            let third: f64 = self.terms().map(|(a, c)| 8.0 * a * a * (self.copies * a + 3.0 * c)).sum();
            return log_normal_cdf(w + third / self.variance().powf(1.5) / 6.0);
        }
        let u = t * self.cumulants(t).1.sqrt();
        log_normal_cdf(w + (u / w).ln() / w)
    }

    /// ln P(e <= `eps`) by inverting the transform numerically along the line through the saddlepoint, where the
    /// integrand neither oscillates nor cancels (Imhof 1961 integrates along the imaginary axis and loses the tails).
    /// Exact to about 1e-8, and slow: it is what [`QuadraticForm::log_cdf`] is checked against. NaN when the transform
    /// decays too slowly, as it does with fewer than about four degrees of freedom in all.
    pub fn log_cdf_by_inversion(&self, eps: f64) -> f64 {
        let x = eps - self.offset;
        if self.scales.is_empty() || x <= 0.0 {
            return self.log_cdf(eps);
        }
        let spread = self.variance().sqrt();
        let mut t = self.saddlepoint(x);
        if t.abs() < 0.1 / spread {
            // The pole at 0 is too near: any line between it and the branch point of the largest scale will do.
            t = -0.1 / spread;
        }
        // The integrand is a bell of this width, cut by the pole at distance |t|.
        let width = (1.0 / self.cumulants(t).1.sqrt()).min(t.abs());
        let scale = self.transform(t, 0.0, x).0;
        let mut last = f64::NAN;
        for halving in 1..8 {
            let Some(integral) = self.integral(t, x, width / f64::from(1 << halving), scale) else { return f64::NAN };
            if ((integral - last) / integral).abs() < 1e-9 {
                // Left of the pole the line gives P, right of it -(1 - P).
                let log = scale + (integral.abs() / std::f64::consts::PI).ln();
                return if t < 0.0 { log } else { (-log.exp()).ln_1p() };
            }
            last = integral;
        }
        f64::NAN
    }

    /// The integral over s > 0 of Re exp(K(z) - z x - scale) / z on z = t + i s, by the trapezoid rule.
    fn integral(&self, t: f64, x: f64, step: f64, scale: f64) -> Option<f64> {
        const MOST: u32 = 60_000;
        let mut sum = 0.5 / t;
        for i in 1..MOST {
            let s = f64::from(i) * step;
            let (log, angle) = self.transform(t, s, x);
            let size = (log - scale).exp() / (t * t + s * s);
            sum += size * (angle.cos() * t + angle.sin() * s);
            if size * s * s < 1e-11 * sum.abs() * step.min(1.0) * s.min(1.0) || size * (t * t + s * s) < 1e-15 {
                return Some(sum * step);
            }
        }
        None
    }

    /// Real and imaginary part of K(z) - z x at z = t + i s.
    fn transform(&self, t: f64, s: f64, x: f64) -> (f64, f64) {
        let (mut real, mut imaginary) = (-t * x, -s * x);
        for (a, c) in self.terms() {
            let (p, q) = (1.0 - 2.0 * a * t, -2.0 * a * s);
            let square = p * p + q * q;
            real += c * (t * p + s * q) / square - 0.25 * self.copies * square.ln();
            imaginary += c * (s * p - t * q) / square - 0.5 * self.copies * q.atan2(p);
        }
        (real, imaginary)
    }

    /// One draw of the error.
    pub fn draw(&self, rng: &mut Rng) -> f64 {
        let mut sum = self.offset;
        for (a, c) in self.terms() {
            // The squares of `copies` Gaussians depend on the shift's length alone: the first takes all of it.
            let first = rng.normal() + (c / a).sqrt();
            let others: f64 = (1..self.copies as usize).map(|_| rng.normal().powi(2)).sum();
            sum += a * (first * first + others);
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use quadrat_core::Seed;
    use quadrat_numeric::special::log_noncentral_chi_square_cdf;

    fn form(scales: &[f64], shifts: &[f64], copies: f64) -> QuadraticForm {
        QuadraticForm { offset: 0.0, scales: scales.to_vec(), shifts: shifts.to_vec(), copies }
    }

    /// Equal scales are a scaled non-central chi-square. The saddlepoint is off by 1/(12 k)-like terms, worst for one
    /// degree of freedom.
    #[test]
    fn equal_scales_have_a_closed_form() {
        for (count, scale, shift, tolerance) in [
            (1, 1.0, 0.0, 0.05),
            (1, 0.3, 0.5, 0.06),
            (4, 2.0, 1.0, 0.02),
            (50, 0.02, 0.01, 0.002),
            (200, 1e-6, 0.0, 5e-4),
        ] {
            let law = form(&vec![scale; count], &vec![shift; count], 1.0);
            for at in [1e-4, 0.01, 0.3, 0.9, 1.0, 1.1, 2.0] {
                let eps = at * law.mean();
                let exact = log_noncentral_chi_square_cdf(eps / scale, count as f64, shift * count as f64 / scale);
                let got = law.log_cdf(eps);
                assert!((got - exact).abs() <= tolerance * exact.abs().max(0.5), "{count} {at}: {got} {exact}");
                let inverted = law.log_cdf_by_inversion(eps);
                if count >= 50 {
                    assert!(
                        (inverted - exact).abs() <= 1e-7 * exact.abs().max(0.5),
                        "{count} {at}: {inverted} {exact}"
                    );
                }
            }
        }
    }

    #[test]
    fn one_term_agrees_with_the_chi_square_of_several_copies() {
        let law = form(&[0.5], &[1.5], 6.0);
        for eps in [0.05, 1.0, 4.0, 9.0] {
            let exact = log_noncentral_chi_square_cdf(eps / 0.5, 6.0, 3.0);
            assert!((law.log_cdf(eps) - exact).abs() < 0.02 * exact.abs().max(0.5), "{eps}");
        }
    }

    #[test]
    fn the_edges_are_defined() {
        let law = QuadraticForm::of_error(&[1.0, 0.5, 1e-20, -1e-18], &[0.1, 0.2, 4.0, 4.0], 1);
        assert_eq!(law.scales.len(), 2);
        assert_eq!(law.offset, 2.0);
        for eps in [2.0, 1.0, 0.0, -1.0, f64::NAN] {
            assert_eq!(law.log_cdf(eps), f64::NEG_INFINITY, "{eps}");
        }
        assert!(law.log_cdf(2.0 + 1e-12) < -20.0 && law.log_cdf(2.0 + 1e-300).is_infinite());
        assert!(law.log_cdf(1e12) > -1e-12 && law.log_cdf(1e12) <= 0.0);
        // No direction varies: the error is what it is.
        let fixed = QuadraticForm::of_error(&[0.0, 0.0], &[1.0, 1.0], 1);
        assert_eq!((fixed.log_cdf(1.0), fixed.log_cdf(0.99)), (0.0, f64::NEG_INFINITY));
        // Crossing the mean is smooth.
        let law = form(&[1.0, 0.7, 0.2, 0.1], &[0.1; 4], 3.0);
        let across: Vec<f64> = (-20..=20).map(|i| law.log_cdf(law.mean() * (1.0 + 1e-6 * f64::from(i)))).collect();
        for three in across.windows(3) {
            let bend = three[0] - 2.0 * three[1] + three[2];
            assert!(three[1] > three[0] && bend.abs() < 1e-7, "{across:?}");
        }
    }

    /// 200,000 draws against the inverted law at five points: each within five standard errors, so the test fails for
    /// three in a million seeds.
    #[test]
    fn draws_follow_the_law() {
        let law = form(&[0.5, 0.3, 0.2, 0.1, 0.05, 0.05], &[0.4, 0.0, 0.1, 0.3, 0.0, 0.2], 2.0);
        let mut rng = Seed(5).rng(0);
        let n = 200_000;
        let draws: Vec<f64> = (0..n).map(|_| law.draw(&mut rng)).collect();
        for at in [0.2, 0.5, 1.0, 1.5, 2.0] {
            let eps = at * law.mean();
            let p = law.log_cdf_by_inversion(eps).exp();
            let share = draws.iter().filter(|e| **e <= eps).count() as f64 / f64::from(n);
            assert!((share - p).abs() < 5.0 * (p * (1.0 - p) / f64::from(n)).sqrt(), "{at}: {share} {p}");
            assert!((law.log_cdf(eps) - p.ln()).abs() < 0.01 * p.ln().abs().max(0.5), "{at}");
        }
    }

    proptest! {
        #[test]
        fn smaller_errors_are_rarer_and_scaling_changes_nothing(
            scales in prop::collection::vec(1e-6..1.0_f64, 1..40),
            shift in 0.0..2.0_f64,
            copies in 1..4_u8,
        ) {
            let law = form(&scales, &vec![shift; scales.len()], f64::from(copies));
            let other = form(
                &scales.iter().map(|a| 1e9 * a).collect::<Vec<_>>(), &vec![1e9 * shift; scales.len()], f64::from(copies),
            );
            let mut last = f64::NEG_INFINITY;
            for at in [1e-6, 1e-3, 0.1, 0.5, 0.999, 1.0, 1.001, 1.5, 4.0] {
                let value = law.log_cdf(at * law.mean());
                prop_assert!(value > last || (value == 0.0 && last > -1e-9), "{} {} {}", at, value, last);
                let scaled = other.log_cdf(at * other.mean());
                prop_assert!((value - scaled).abs() <= 1e-7 * (1e-3 + value.abs()), "{} {}", value, scaled);
                last = value;
            }
        }
    }
}
