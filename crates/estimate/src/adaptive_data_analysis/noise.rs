//! Noise for answers.
//!
//! Floating-point noise is known to leak low bits to somebody who attacks privacy itself (Mironov 2012). Here privacy
//! is only the means by which answers stay valid, and the analyst is curious rather than hostile, so plain double
//! precision will do. Do not use it to protect persons.

use quadrat_core::Rng;
use serde::{Deserialize, Serialize};

/// The shape of noise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Noise {
    /// Density exp(-|x|/b) / 2b; the scale is b.
    Laplace,
    /// Normal; the scale is its standard deviation.
    Gaussian,
}

impl Noise {
    /// One draw of the given scale.
    pub fn draw(self, scale: f64, rng: &mut Rng) -> f64 {
        match self {
            // The difference of two exponentials: finite whatever the bits.
            Noise::Laplace => scale * (rng.exponential() - rng.exponential()),
            Noise::Gaussian => scale * rng.normal(),
        }
    }

    /// What none of `draws` draws of the given scale exceeds in size, except with probability `risk` (union bound; for
    /// normal noise by its sub-Gaussian tail).
    pub fn bound(self, scale: f64, draws: f64, risk: f64) -> f64 {
        match self {
            Noise::Laplace => scale * (draws / risk).ln().max(0.0),
            Noise::Gaussian => scale * (2.0 * (2.0 * draws / risk).ln().max(0.0)).sqrt(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quadrat_core::{Seed, stats};

    /// Kolmogorov's statistic times sqrt(n) exceeds 2.66 with probability 1.5e-6: the rate of false alarms of each case.
    #[test]
    fn noise_has_its_distribution() {
        const DRAWS: usize = 100_000;
        let laplace = |x: f64, b: f64| if x < 0.0 { 0.5 * (x / b).exp() } else { 1.0 - 0.5 * (-x / b).exp() };
        let normal = |x: f64, s: f64| 0.5 + x.signum() * 0.5 * (1.0 - stats::chi_square_tail((x / s).powi(2), 1.0));
        for (noise, scale) in [(Noise::Laplace, 0.03), (Noise::Gaussian, 0.03), (Noise::Laplace, 7.0)] {
            let mut rng = Seed(21).stream("ks").rng(0);
            let mut draws: Vec<f64> = (0..DRAWS).map(|_| noise.draw(scale, &mut rng)).collect();
            draws.sort_unstable_by(f64::total_cmp);
            let gap = draws.iter().enumerate().fold(0.0_f64, |gap, (i, x)| {
                let cdf = if noise == Noise::Laplace { laplace(*x, scale) } else { normal(*x, scale) };
                let (below, above) = (i as f64 / DRAWS as f64, (i + 1) as f64 / DRAWS as f64);
                gap.max((cdf - below).abs()).max((above - cdf).abs())
            });
            assert!(gap * (DRAWS as f64).sqrt() < 2.66, "{noise:?}: {gap}");
        }
    }

    /// OpenDP 0.16.0: `laplacian_scale_to_accuracy(scale, alpha)`, one draw.
    #[test]
    fn laplace_quantiles_are_those_of_opendp() {
        for (scale, alpha, accuracy) in [(0.01, 0.05, 0.029957322735539908), (0.2, 0.001, 1.3815510557964275)] {
            assert!((Noise::Laplace.bound(scale, 1.0, alpha) - accuracy).abs() < 1e-14);
        }
        // Its Gaussian figure is the exact two-sided quantile; the sub-Gaussian bound must lie above and not far.
        for (scale, alpha, exact) in [(0.01, 0.05, 0.01959963984540054), (0.2, 0.001, 0.6581053462983789)] {
            let ours = Noise::Gaussian.bound(scale, 1.0, alpha);
            assert!(ours >= exact && ours < 1.4 * exact, "{ours} {exact}");
        }
    }
}
