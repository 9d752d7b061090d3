//! From privacy to validity: how wide an interval private answers deserve.
//!
//! An answer that hardly depends on any single row cannot say much about the sample that is not true of the population.
//! The transfer theorem makes that a number (Jung, Ligett, Neel, Roth, Sharifi-Malvajerdi, Shenfeld, ITCS 2020, arXiv
//! 1909.03577): if all answers of an (eps, delta)-private mechanism are within A of the sample's means except with
//! probability B, then for any c, d > 0 they are within
//!
//! > A + c + (e^eps - 1) + 2 d
//!
//! of the population's means except with probability B/c + delta/d. Nothing is assumed of how questions are chosen. We
//! state the theorem as we know it and have not compared its constants with the printed paper; the claim of this method
//! measures the coverage.

/// (eps, delta)-privacy of a mechanism with zero-concentrated privacy `rho` (Bun and Steinke 2016).
///
/// OpenDP's conversion is tighter by 15 to 30% and has no closed form; with this one, widths err on the safe side.
pub fn zcdp_epsilon(rho: f64, delta: f64) -> f64 {
    rho + 2.0 * (rho * (1.0 / delta).ln()).sqrt()
}

/// How private a mechanism is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Privacy {
    /// eps with delta = 0, where there is one.
    pub pure: Option<f64>,
    /// Zero-concentrated: eps(delta) by [`zcdp_epsilon`].
    pub rho: f64,
}

impl Privacy {
    /// `k` Laplace answers of scale `b` about means of `n` values in [0, 1]: each is 1/(n b)-private.
    pub fn laplace(n: f64, k: f64, b: f64) -> Self {
        let each = 1.0 / (n * b);
        Privacy { pure: Some(k * each), rho: 0.5 * k * each * each }
    }

    /// `k` Gaussian answers of standard deviation `s` about means of `n` values in [0, 1].
    pub fn gaussian(n: f64, k: f64, s: f64) -> Self {
        Privacy { pure: None, rho: 0.5 * k / (n * s).powi(2) }
    }
}

/// The half-width that the transfer theorem certifies with probability 1 - `beta` for all answers together, where
/// `sample_error(B)` is what no answer's distance from the sample mean exceeds, except with probability B.
pub fn certified_width(privacy: Privacy, beta: f64, sample_error: impl Fn(f64) -> f64) -> f64 {
    let near = |risk: f64| minimise(1e-9, 1.0, |c| sample_error(risk * c) + c).1;
    let pure = privacy.pure.map_or(f64::INFINITY, |eps| near(beta) + eps.exp_m1());
    let far = |risk: f64| minimise(1e-12, 1.0, |d| zcdp_epsilon(privacy.rho, risk * d).exp_m1() + 2.0 * d).1;
    let (_, concentrated) = minimise(1e-3, 1.0 - 1e-3, |share| near(share * beta) + far((1.0 - share) * beta));
    pure.min(concentrated)
}

/// Where a function of one positive number with a single valley is least, and its value there: golden sections on the
/// logarithm.
pub fn minimise(low: f64, high: f64, value: impl Fn(f64) -> f64) -> (f64, f64) {
    const RATIO: f64 = 0.618_033_988_749_894_9;
    let at = |x: f64| value(x.exp());
    let (mut a, mut b) = (low.ln(), high.ln());
    let (mut x, mut y) = (b - RATIO * (b - a), a + RATIO * (b - a));
    let (mut fx, mut fy) = (at(x), at(y));
    // An infinite value (no width at all) is worse than any other; of two such, the larger argument is tried, since
    // too little noise is what makes widths infinite.
    while b - a > 1e-4 {
        if fx < fy {
            (b, y, fy) = (y, x, fx);
            x = b - RATIO * (b - a);
            fx = at(x);
        } else {
            (a, x, fx) = (x, y, fy);
            y = a + RATIO * (b - a);
            fy = at(y);
        }
    }
    let best = if fx < fy { (x, fx) } else { (y, fy) };
    (best.0.exp(), best.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// OpenDP 0.16.0: k compositions of `make_gaussian` or `make_laplace` with d_in = 1/n; eps at delta = 1e-6.
    #[test]
    fn accounting_is_that_of_opendp() {
        for (n, k, s, rho, eps, laplace) in [
            (1000.0, 100.0, 0.05, 0.02, 0.899935267660644, 0.02),
            (10_000.0, 1000.0, 0.02, 0.0125, 0.7002051046012224, 0.005),
            (500.0, 10.0, 0.1, 0.002, 0.2642629269144416, 0.02),
        ] {
            let gaussian = Privacy::gaussian(n, k, s);
            assert!((gaussian.rho - rho).abs() < 1e-12);
            let ours = zcdp_epsilon(gaussian.rho, 1e-6);
            assert!(ours > eps && ours < 1.3 * eps, "{ours} {eps}");
            assert!((Privacy::laplace(n, 1.0, s).pure.unwrap() - laplace).abs() < 1e-12);
        }
    }

    #[test]
    fn minima_are_found() {
        let (at, value) = minimise(1e-6, 1e3, |x: f64| (x.ln() - 1.0).powi(2) + 2.0);
        assert!((at - 1f64.exp()).abs() < 1e-3 && (value - 2.0).abs() < 1e-6);
        let (at, _) = minimise(1e-6, 1e3, |x| if x < 10.0 { f64::INFINITY } else { x });
        assert!((at - 10.0).abs() < 0.01, "{at}");
    }

    /// Perfectly private answers cost only the slack c.
    #[test]
    fn no_leak_leaves_the_sample_error() {
        let width = certified_width(Privacy { pure: Some(0.0), rho: 0.0 }, 0.05, |_| 0.1);
        assert!((width - 0.1).abs() < 1e-8, "{width}");
        let worse = certified_width(Privacy { pure: Some(0.3), rho: 1.0 }, 0.05, |_| 0.1);
        assert!((worse - 0.1 - 0.3f64.exp_m1()).abs() < 1e-8);
    }
}
