//! Scrambled Sobol' points: they fill the unit cube more evenly than independent points do.
//!
//! A mean over n Sobol' points of a smooth function is off by about 1/n rather than 1/sqrt(n). The scramble makes every
//! point uniform on its own, so that such a mean is unbiased, keeps the points as even as they were, and moves the first
//! of them away from the corner where inverse distribution functions are infinite.
//!
//! Sobol' (1967) with the direction numbers of Joe and Kuo (2008), in the order of Gray's code (Antonov and Saleev 1979);
//! the scramble is Matousek's (1998) random linear one with a digital shift. Its variance is that of Owen's nested
//! scramble (Owen 2003), and since it acts on the direction numbers it costs nothing a point. The numbers stand in a
//! table beside this file because the crates that carry them give single precision and 65,536 points at most, or bring
//! a linear algebra of their own, or have not been kept for years.

use ndarray::Array2;
use quadrat_core::{Error, Result, Rng, Seed};
use rayon::prelude::*;

/// Dimensions that the table of direction numbers covers.
pub const MAX_DIMS: usize = 1024;

/// Points that a sequence can give: 2^32.
pub const MAX_POINTS: u64 = 1 << 32;

static JOE_KUO: &str = include_str!("joe_kuo.txt");

/// A scrambled Sobol' sequence.
///
/// ```
/// use quadrat_core::Seed;
/// use quadrat_numeric::low_discrepancy::Sobol;
/// let points = Sobol::scrambled(2, Seed(1))?.points(0, 256)?;
/// // Each of 256 equal intervals of every axis holds one point.
/// let mut cells: Vec<usize> = points.column(1).iter().map(|u| (256.0 * u) as usize).collect();
/// cells.sort_unstable();
/// assert!(cells.iter().enumerate().all(|(i, cell)| i == *cell));
/// # Ok::<(), quadrat_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Sobol {
    /// For each dimension the 32 direction numbers, as binary fractions of 64 digits.
    directions: Vec<[u64; 32]>,
    /// For each dimension the digital shift.
    shifts: Vec<u64>,
}

impl Sobol {
    /// The sequence in `dims` dimensions, scrambled by `seed`.
    ///
    /// # Errors
    /// No dimension, or more than [`MAX_DIMS`].
    pub fn scrambled(dims: usize, seed: Seed) -> Result<Sobol> {
        let mut sobol = Sobol::plain(dims)?;
        for (dim, (directions, shift)) in sobol.directions.iter_mut().zip(&mut sobol.shifts).enumerate() {
            let mut rng = seed.rng(dim as u64);
            scramble(directions, &mut rng);
            *shift = rng.next_u64();
        }
        Ok(sobol)
    }

    fn plain(dims: usize) -> Result<Sobol> {
        if dims == 0 || dims > MAX_DIMS {
            return Err(Error::input("dimensions of Sobol' points", dims, format!("use 1 to {MAX_DIMS}")));
        }
        let van_der_corput = std::array::from_fn(|j| 1 << (63 - j));
        let table = JOE_KUO.lines().filter(|line| !line.starts_with('#')).map(direction_numbers);
        let directions: Vec<[u64; 32]> = std::iter::once(van_der_corput).chain(table).take(dims).collect();
        Ok(Sobol { directions, shifts: vec![0; dims] })
    }

    /// Dimensions of a point.
    pub fn dims(&self) -> usize {
        self.directions.len()
    }

    /// Points `first .. first + n`, one a row, each number strictly between 0 and 1.
    ///
    /// # Errors
    /// Points beyond [`MAX_POINTS`].
    pub fn points(&self, first: u64, n: usize) -> Result<Array2<f64>> {
        if first.checked_add(n as u64).is_none_or(|end| end > MAX_POINTS) {
            return Err(Error::input("Sobol' points", format!("{n} from {first} on"), "the sequence has 2^32"));
        }
        let d = self.dims();
        let mut points = vec![0.0; n * d];
        points.par_chunks_mut(d * 1024).enumerate().for_each(|(block, rows)| {
            let start = first + 1024 * block as u64;
            let mut digits = self.digits(start);
            for (index, row) in (start..).zip(rows.chunks_exact_mut(d)) {
                if index > start {
                    // Gray's code of neighbours differs in one digit.
                    let changed = index.trailing_zeros() as usize;
                    digits.iter_mut().zip(&self.directions).for_each(|(x, v)| *x ^= v[changed]);
                }
                for ((u, x), shift) in row.iter_mut().zip(&digits).zip(&self.shifts) {
                    *u = fraction(x ^ shift);
                }
            }
        });
        Array2::from_shape_vec((n, d), points).map_err(|e| Error::numeric("Sobol' points", e.to_string()))
    }

    fn digits(&self, index: u64) -> Vec<u64> {
        let gray = index ^ (index >> 1);
        let chosen = |v: &[u64; 32]| (0..32).filter(|j| gray >> j & 1 == 1).fold(0, |x, j| x ^ v[j]);
        self.directions.iter().map(chosen).collect()
    }
}

/// The middle of the cell of width 2^-52 that the digits name: neither 0 nor 1.
fn fraction(digits: u64) -> f64 {
    ((digits >> 12) as f64 + 0.5) * (1.0 / (1_u64 << 52) as f64)
}

/// A line "polynomial m_1 .. m_s" as direction numbers: v_j = m_j 2^-j, continued by the polynomial's recurrence.
fn direction_numbers(line: &str) -> [u64; 32] {
    let mut words = line.split(' ').filter_map(|word| word.parse::<u64>().ok());
    let polynomial = words.next().unwrap_or(1);
    let degree = polynomial.ilog2() as usize;
    let mut v = [0_u64; 32];
    for j in 0..32 {
        v[j] = match words.next() {
            Some(m) => m << (63 - j),
            None => (1..degree)
                .filter(|k| polynomial >> (degree - k) & 1 == 1)
                .fold(v[j - degree] ^ (v[j - degree] >> degree), |x, k| x ^ v[j - k]),
        };
    }
    v
}

/// Multiplies by a random lower triangular matrix of binary digits: a digit changes with those before it only.
fn scramble(directions: &mut [u64; 32], rng: &mut Rng) {
    let mut scrambled = [0_u64; 32];
    for digit in 0..64 {
        let own = 1_u64 << (63 - digit);
        let before = rng.next_u64() & !(own | (own - 1));
        let row = own | before;
        for (new, old) in scrambled.iter_mut().zip(directions.iter()) {
            *new |= u64::from((row & old).count_ones() & 1) << (63 - digit);
        }
    }
    *directions = scrambled;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_points_are_those_of_scipy() {
        // scipy 1.17: stats.qmc.Sobol(1024, scramble=False, bits=52).random(64), some rows and columns.
        let columns = [0, 1, 2, 6, 39, 500, 1023];
        let golden = [
            (0, [0.0; 7]),
            (1, [0.5; 7]),
            (2, [0.75, 0.25, 0.25, 0.25, 0.25, 0.25, 0.75]),
            (3, [0.25, 0.75, 0.75, 0.75, 0.75, 0.75, 0.25]),
            (17, [0.59375, 0.96875, 0.96875, 0.03125, 0.40625, 0.96875, 0.40625]),
            (50, [0.828125, 0.484375, 0.546875, 0.015625, 0.859375, 0.953125, 0.953125]),
            (63, [0.015625, 0.796875, 0.359375, 0.578125, 0.171875, 0.640625, 0.515625]),
        ];
        let points = Sobol::plain(MAX_DIMS).unwrap().points(0, 64).unwrap();
        for (row, expected) in golden {
            let got = columns.map(|c| points[[row, c]]);
            assert!(got.iter().zip(expected).all(|(g, e)| (g - e).abs() < 1e-15), "{row}: {got:?}");
        }
    }

    #[test]
    fn every_axis_is_stratified_whatever_the_scramble() {
        for seed in 0..5 {
            let points = Sobol::scrambled(MAX_DIMS, Seed(seed)).unwrap().points(128, 128).unwrap();
            for column in points.columns() {
                let mut cells: Vec<usize> = column.iter().map(|u| (128.0 * u) as usize).collect();
                cells.sort_unstable();
                assert!(cells.into_iter().eq(0..128));
            }
        }
    }

    #[test]
    fn blocks_continue_each_other_and_stay_inside() {
        let sobol = Sobol::scrambled(3, Seed(4)).unwrap();
        let whole = sobol.points(0, 5000).unwrap();
        let part = sobol.points(1500, 2000).unwrap();
        assert_eq!(whole.slice(ndarray::s![1500..3500, ..]), part);
        assert!(whole.iter().all(|u| *u > 0.0 && *u < 1.0));
        assert_eq!(sobol.points(MAX_POINTS - 1, 1).unwrap().nrows(), 1);
        assert_eq!(sobol.points(7, 0).unwrap().nrows(), 0);
        assert!((fraction(u64::MAX)) < 1.0 && fraction(0) > 0.0);
    }

    #[test]
    fn scrambled_means_are_unbiased_and_far_better_than_chance() {
        // The integral of a smooth function over 256 points and 200 scrambles; independent points would have a standard
        // deviation of 0.193. The mean may be five standard errors off: one false alarm in two million seeds.
        let means: Vec<f64> = (0..200)
            .map(|seed| {
                let points = Sobol::scrambled(4, Seed(seed)).unwrap().points(0, 256).unwrap();
                points.rows().into_iter().map(|u| u.iter().map(|u| 3.0 * u * u).product::<f64>()).sum::<f64>() / 256.0
            })
            .collect();
        let (mean, sd) = (quadrat_core::stats::mean(&means), quadrat_core::stats::standard_deviation(&means));
        assert!((mean - 1.0).abs() < 5.0 * sd / 200_f64.sqrt(), "{mean} {sd}");
        assert!(sd < 0.08, "{sd}");
    }

    #[test]
    fn impossible_sizes_are_refused() {
        for dims in [0, MAX_DIMS + 1] {
            assert!(Sobol::scrambled(dims, Seed(0)).unwrap_err().to_string().contains("use 1 to 1024"));
        }
        assert!(Sobol::scrambled(1, Seed(0)).unwrap().points(MAX_POINTS, 1).is_err());
    }
}
