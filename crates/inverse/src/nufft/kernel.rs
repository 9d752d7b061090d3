//! The Kaiser-Bessel kernel, its Fourier transform, and polynomials in its place.

use crate::Real;
use quadrat_core::{Error, Result};

/// The widest kernel.
const WIDEST: usize = 16;

/// How samples between the points of the grid are made of those on it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gridding {
    /// How many times finer than the image the grid is along each axis.
    pub oversampling: f64,
    /// Grid points along each axis that a sample is made of.
    pub width: usize,
    /// Whether the grid has exactly ⌈oversampling · N⌉ points along an axis, and not the next number that transforms fast.
    pub exact: bool,
}

impl Gridding {
    /// A finer grid by 2, and the width at which samples of random images have about this relative error: measured 5e-4 at width 4, and
    /// ten times less with each further point.
    ///
    /// Single precision has a floor at about 3e-7.
    ///
    /// # Errors
    /// Tolerances outside 1e-13 to 0.1.
    pub fn for_tolerance(tolerance: f64) -> Result<Self> {
        if !(1e-13..=0.1).contains(&tolerance) {
            return Err(Error::input("tolerance", tolerance, "a relative error from 1e-13 to 0.1, such as 1e-6"));
        }
        // A hair more, so that 1e-3 is three digits.
        let digits = (-tolerance.log10() - 1e-9).ceil() as usize;
        Ok(Gridding { oversampling: 2.0, width: (digits + 1 + digits / 11).max(2), exact: false })
    }

    /// Points of the grid along an axis of the image.
    pub(super) fn side(&self, pixels: usize) -> usize {
        let least = (self.oversampling * pixels as f64).ceil() as usize;
        if self.exact { least } else { smooth(least) }
    }

    /// The kernel's shape β (Beatty, Nishimura and Pauly 2005).
    fn beta(&self) -> f64 {
        let spread = self.width as f64 / self.oversampling * (self.oversampling - 0.5);
        std::f64::consts::PI * (spread * spread - 0.8).sqrt()
    }

    pub(super) fn check(&self) -> Result<()> {
        if !(1.125..=4.0).contains(&self.oversampling) || !(2..=WIDEST).contains(&self.width) {
            let got = format!("oversampling {}, width {}", self.oversampling, self.width);
            return Err(Error::input(
                "gridding",
                got,
                format!("an oversampling of 1.125 to 4, a width of 2 to {WIDEST}"),
            ));
        }
        Ok(())
    }

    /// What pixel j of `pixels` is to be divided by: the kernel's Fourier transform there, for a grid of `side` points.
    pub(super) fn transform(&self, j: usize, pixels: usize, side: usize) -> f64 {
        let (beta, width) = (self.beta(), self.width as f64);
        let frequency = (j as f64 - (pixels / 2) as f64) / side as f64;
        let square = beta * beta - (std::f64::consts::PI * width * frequency).powi(2);
        let root = square.abs().sqrt();
        let shape = match () {
            () if root < 1e-8 => 1.0,
            () if square > 0.0 => root.sinh() / root,
            () => root.sin() / root,
        };
        width * shape / bessel(beta)
    }
}

/// The smallest even number from `least` on that has no factors but 2, 3 and 5.
fn smooth(least: usize) -> usize {
    let is_smooth =
        |n: &usize| [2, 3, 5].iter().fold(*n, |n, p| (0..64).fold(n, |n, _| if n % p == 0 { n / p } else { n })) == 1;
    (least.next_multiple_of(2).max(2)..).step_by(2).find(is_smooth).unwrap_or(least)
}

/// The modified Bessel function I₀, by its series, all of whose terms are positive.
fn bessel(x: f64) -> f64 {
    let quarter = x * x / 4.0;
    let (mut term, mut sum) = (1.0, 1.0);
    for k in 1..200 {
        term *= quarter / (k * k) as f64;
        sum += term;
        if term < 1e-17 * sum {
            break;
        }
    }
    sum
}

/// The kernel's values at the `width` grid points about a sample, each a polynomial of where the sample lies between two of them.
///
/// I₀(β √(1 - u²)) is analytic, so that few terms are enough; widths are filled with zeros up to a number of lanes that is computed at
/// once.
pub(super) struct Window<T> {
    pub(super) width: usize,
    pub(super) lanes: usize,
    /// Coefficients of all lanes together, the highest power first.
    coefficients: Vec<T>,
}

impl<T: Real> Window<T> {
    pub(super) fn new(gridding: &Gridding) -> Self {
        let width = gridding.width;
        let lanes = width.next_multiple_of(4);
        let beta = gridding.beta();
        let peak = bessel(beta);
        // The sample is (1 + x) / 2 after the first place at which the first point may stand.
        let value = |lane: usize, x: f64| {
            let u = 2.0 * (lane as f64 + (1.0 + x) / 2.0) / width as f64 - 1.0;
            if lane < width { bessel(beta * (1.0 - u * u).max(0.0).sqrt()) / peak } else { 0.0 }
        };
        let exact = if T::epsilon().double() > 1e-10 { 1e-8 } else { 1e-16 };
        let enough = (0.002 * 10f64.powi(1 - width as i32)).max(exact);
        let mut terms = 4;
        loop {
            let fits: Vec<Vec<f64>> = (0..lanes).map(|lane| fit(|x| value(lane, x), terms)).collect();
            let off = |lane: usize| {
                let at = |i: i32| f64::from(i) / 20.0;
                let off = (-20..=20).map(|i| (polynomial(&fits[lane], at(i)) - value(lane, at(i))).abs());
                off.fold(0.0, f64::max)
            };
            if terms == 24 || (0..width).all(|lane| off(lane) < enough) {
                let by_power = (0..terms).rev().flat_map(|power| fits.iter().map(move |fit| T::of(fit[power])));
                return Window { width, lanes, coefficients: by_power.collect() };
            }
            terms += 1;
        }
    }

    /// The kernel at x between -1 and 1, for a sample that lies (1 + x) / 2 of a grid step before the middle allows.
    #[inline(always)]
    pub(super) fn at<const LANES: usize>(&self, x: T) -> [T; LANES] {
        let mut sums = [T::zero(); LANES];
        for row in self.coefficients.as_chunks::<LANES>().0 {
            for lane in 0..LANES {
                sums[lane] = sums[lane].mul_add(x, row[lane]);
            }
        }
        sums
    }
}

/// Coefficients of the polynomial through a function's values at Chebyshev's points of [-1, 1], the lowest power first.
fn fit(function: impl Fn(f64) -> f64, terms: usize) -> Vec<f64> {
    let angle = |i: usize| std::f64::consts::PI * (i as f64 + 0.5) / terms as f64;
    let values: Vec<f64> = (0..terms).map(|i| function(angle(i).cos())).collect();
    let weight = |k: usize| {
        let sum: f64 = (0..terms).map(|i| values[i] * (k as f64 * angle(i)).cos()).sum();
        sum * if k == 0 { 1.0 } else { 2.0 } / terms as f64
    };
    // T₀ = 1, T₁ = x, then Tₖ₊₁ = 2 x Tₖ - Tₖ₋₁.
    let (mut before, mut now) = (vec![0.0; terms], vec![0.0; terms]);
    now[0] = 1.0;
    let mut sum = vec![0.0; terms];
    for k in 0..terms {
        let weight = weight(k);
        sum.iter_mut().zip(&now).for_each(|(sum, c)| *sum += weight * c);
        let twice = if k == 0 { 1.0 } else { 2.0 };
        let next = (0..terms).map(|i| if i == 0 { 0.0 } else { twice * now[i - 1] } - before[i]).collect();
        before = std::mem::replace(&mut now, next);
    }
    sum
}

fn polynomial(coefficients: &[f64], x: f64) -> f64 {
    coefficients.iter().rev().fold(0.0, |sum, c| sum * x + c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn polynomials_are_the_kernel() {
        for (width, oversampling) in [(2, 2.0), (4, 1.25), (7, 2.0), (16, 2.0)] {
            let gridding = Gridding { oversampling, width, exact: true };
            let window = Window::<f64>::new(&gridding);
            assert_eq!(window.coefficients.len() % window.lanes, 0);
            let enough = (0.002 * 10f64.powi(1 - width as i32)).max(1e-14);
            for lane in 0..width {
                let u = 2.0 * (lane as f64 + 0.35) / width as f64 - 1.0;
                let want = bessel(gridding.beta() * (1.0 - u * u).sqrt()) / bessel(gridding.beta());
                let powers = window.coefficients.chunks(window.lanes).map(|row| row[lane]);
                let got = powers.fold(0.0, |sum, c| sum * -0.3 + c);
                assert!((got - want).abs() < enough, "{width} {lane}: {got} {want}");
            }
        }
    }

    #[test]
    fn bessel_and_smooth_numbers_are_known_ones() {
        // scipy.special.i0, SciPy 1.17.
        assert!((bessel(1.0) - 1.2660658777520084).abs() < 1e-15);
        assert!((bessel(30.0) / 781672297823.9775 - 1.0).abs() < 1e-13);
        assert_eq!([2, 13, 97, 322, 512].map(smooth), [2, 16, 100, 324, 512]);
    }

    #[test]
    fn tolerances_have_limits() {
        assert_eq!(Gridding::for_tolerance(1e-3).unwrap().width, 4);
        assert_eq!(Gridding::for_tolerance(1e-6).unwrap().width, 7);
        assert!(Gridding::for_tolerance(0.0).is_err());
        assert!(Gridding::for_tolerance(f64::NAN).is_err());
    }
}
