//! Spaces of functions to fit in: features orthonormal under a probability, and how to draw from what they induce.
//!
//! A design for least squares needs three things of a space with features phi = (phi_1, ..., phi_m), orthonormal in
//! L2(mu): their values at a point, draws from mu, and draws from the Christoffel density |phi|^2 / m with respect to
//! mu. [`Basis`] has the classical tensor bases on continuous domains; [`FinitePool`] turns the rows of a table into such
//! a space by a QR decomposition, a point then being a row number.

use ndarray::{Array2, ArrayView2, Axis};
use quadrat_core::{Error, Result, Rng};
use quadrat_numeric::linalg;

/// m features, orthonormal in L2(mu), and the two laws that designs draw from.
pub trait FeatureSpace: Send + Sync {
    /// Coordinates of a point.
    fn dims(&self) -> usize;
    /// Number m of features.
    fn len(&self) -> usize;
    /// Whether there is no feature.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Writes the m features of the point `x` into `out`.
    fn features(&self, x: &[f64], out: &mut [f64]);
    /// Draws a point from mu.
    fn sample_mu(&self, rng: &mut Rng, x: &mut [f64]);
    /// Draws a point from the Christoffel density |phi(x)|^2 / m with respect to mu.
    fn sample_christoffel(&self, rng: &mut Rng, x: &mut [f64]);
}

/// A family of univariate functions, orthonormal under its own law.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Legendre polynomials on [-1, 1] under the uniform law.
    Legendre,
    /// Hermite polynomials on the line under the standard normal law.
    Hermite,
    /// 1, sqrt 2 cos 2 pi x, sqrt 2 sin 2 pi x, sqrt 2 cos 4 pi x, ... on [0, 1) under the uniform law.
    Fourier,
}

impl Family {
    /// The functions number 0..out.len() at `x`.
    fn values(self, x: f64, out: &mut [f64]) {
        let mut before = 0.0;
        for n in 0..out.len() {
            let order = n as f64;
            out[n] = match (self, n) {
                (_, 0) => 1.0,
                // Normalised three-term recurrences: plain ones overflow at high degree.
                (Family::Legendre, _) => {
                    let a = (4.0 * order * order - 1.0).sqrt() / order;
                    let b = if n < 2 {
                        0.0
                    } else {
                        (order - 1.0) / order * ((2.0 * order + 1.0) / (2.0 * order - 3.0)).sqrt()
                    };
                    a * x * out[n - 1] - b * before
                }
                (Family::Hermite, _) => (x * out[n - 1] - (order - 1.0).sqrt() * before) / order.sqrt(),
                (Family::Fourier, _) => {
                    let angle = std::f64::consts::TAU * n.div_ceil(2) as f64 * x;
                    std::f64::consts::SQRT_2 * if n % 2 == 1 { angle.cos() } else { angle.sin() }
                }
            };
            before = if n == 0 { 0.0 } else { out[n - 1] };
        }
    }

    /// Draws from the family's law.
    fn sample(self, rng: &mut Rng) -> f64 {
        match self {
            Family::Legendre => 2.0 * rng.uniform() - 1.0,
            Family::Hermite => rng.normal(),
            Family::Fourier => rng.uniform(),
        }
    }
}

/// Products of univariate functions, one for each tuple of degrees.
///
/// ```
/// use quadrat_select::{Basis, Family, FeatureSpace};
/// let cubic = Basis::total_degree(Family::Legendre, 2, 3)?;
/// assert_eq!((cubic.dims(), cubic.len()), (2, 10));
/// # Ok::<(), quadrat_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Basis {
    family: Family,
    degrees: Vec<Vec<usize>>,
    dims: usize,
    /// For each degree of the Hermite family, a piecewise constant envelope of its squared function.
    envelopes: Vec<Envelope>,
}

impl Basis {
    /// All products whose degrees add up to at most `degree`, in `dims` coordinates.
    ///
    /// # Errors
    /// No coordinate, more than 10,000 functions, or Hermite polynomials of a degree above 150.
    pub fn total_degree(family: Family, dims: usize, degree: usize) -> Result<Self> {
        Self::with(family, dims, degree, |degrees| degrees.iter().sum::<usize>() <= degree)
    }

    /// All products with (d_1 + 1) (d_2 + 1) ... <= degree + 1: few interactions of high degree.
    ///
    /// # Errors
    /// As [`Basis::total_degree`].
    pub fn hyperbolic_cross(family: Family, dims: usize, degree: usize) -> Result<Self> {
        Self::with(family, dims, degree, |degrees| degrees.iter().map(|d| d + 1).product::<usize>() <= degree + 1)
    }

    fn with(family: Family, dims: usize, degree: usize, keep: impl Fn(&[usize]) -> bool) -> Result<Self> {
        if dims == 0 {
            return Err(Error::input("coordinates", 0, "a basis needs at least one"));
        }
        // Both index sets are closed downwards, so growing tuples coordinate by coordinate loses none.
        let mut degrees: Vec<Vec<usize>> = vec![vec![]];
        for _ in 0..dims {
            let mut grown = Vec::new();
            for tuple in &degrees {
                for d in 0..=degree {
                    let longer: Vec<usize> = tuple.iter().copied().chain([d]).collect();
                    if !keep(&longer) {
                        break;
                    }
                    grown.push(longer);
                }
            }
            if grown.len() > 10_000 {
                return Err(Error::input(
                    "basis",
                    format!("{} functions or more", grown.len()),
                    "use at most 10,000: lower the degree",
                ));
            }
            degrees = grown;
        }
        if family == Family::Hermite && degree > 150 {
            return Err(Error::input("degree", degree, "Hermite polynomials overflow: use at most 150"));
        }
        let envelopes = match family {
            Family::Hermite => (0..=degree).map(Envelope::of_hermite).collect(),
            Family::Legendre | Family::Fourier => Vec::new(),
        };
        Ok(Basis { family, degrees, dims, envelopes })
    }

    /// Draws from the squared function of degree `n` under the family's law, by rejection.
    fn sample_squared(&self, n: usize, rng: &mut Rng, values: &mut [f64]) -> f64 {
        loop {
            let (x, bound) = match self.family {
                // Bernstein's inequality: the density is at most twice that of the arcsine law.
                Family::Legendre => {
                    let x = (std::f64::consts::PI * rng.uniform()).cos();
                    (x, 4.0 / (std::f64::consts::PI * (1.0 - x * x).sqrt()))
                }
                Family::Hermite => {
                    let x = self.envelopes[n].sample(rng);
                    (x, self.envelopes[n].at(x) / normal_density(x))
                }
                Family::Fourier => (rng.uniform(), 2.0),
            };
            self.family.values(x, values);
            if rng.uniform() * bound < values[n] * values[n] {
                return x;
            }
        }
    }
}

impl FeatureSpace for Basis {
    fn dims(&self) -> usize {
        self.dims
    }

    fn len(&self) -> usize {
        self.degrees.len()
    }

    fn features(&self, x: &[f64], out: &mut [f64]) {
        let highest = self.degrees.iter().flatten().max().map_or(0, |d| d + 1);
        let mut values = vec![0.0; highest * self.dims];
        for (x, values) in x.iter().zip(values.chunks_mut(highest)) {
            self.family.values(*x, values);
        }
        for (out, degrees) in out.iter_mut().zip(&self.degrees) {
            *out = degrees.iter().enumerate().map(|(axis, d)| values[axis * highest + d]).product();
        }
    }

    fn sample_mu(&self, rng: &mut Rng, x: &mut [f64]) {
        x.fill_with(|| self.family.sample(rng));
    }

    /// The Christoffel density is the mean over j of phi_j^2 mu: pick j, then each coordinate on its own.
    fn sample_christoffel(&self, rng: &mut Rng, x: &mut [f64]) {
        let degrees = &self.degrees[rng.below(self.degrees.len())];
        let mut values = vec![0.0; degrees.iter().max().map_or(0, |d| d + 1)];
        for (x, &d) in x.iter_mut().zip(degrees) {
            *x = self.sample_squared(d, rng, &mut values[..=d]);
        }
    }
}

fn normal_density(x: f64) -> f64 {
    (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt()
}

/// A piecewise constant bound of h_n(x)^2 times the normal density, on cells of equal width.
#[derive(Debug, Clone)]
struct Envelope {
    start: f64,
    width: f64,
    height: Vec<f64>,
    cumulative: Vec<f64>,
}

impl Envelope {
    /// The function has n zeros inside the turning points +-2 sqrt(n + 1/2) and falls like a normal tail outside, so
    /// eight units further out nothing is left in double precision. With 64 cells between zeros it bends by less than
    /// a thousandth inside a cell: 1.2 times the larger end bounds it, plus a trifle where both ends are near zero.
    fn of_hermite(n: usize) -> Self {
        let reach = 2.0 * (n as f64 + 0.5).sqrt() + 8.0;
        let cells = 256 + 128 * n;
        let width = 2.0 * reach / cells as f64;
        let mut values = vec![0.0; n + 1];
        let ends: Vec<f64> = (0..=cells)
            .map(|i| {
                let x = -reach + width * i as f64;
                Family::Hermite.values(x, &mut values);
                values[n] * values[n] * normal_density(x)
            })
            .collect();
        let height: Vec<f64> = ends.windows(2).map(|e| 1.2 * e[0].max(e[1]) + 1e-12).collect();
        let mut total = 0.0;
        let cumulative = height
            .iter()
            .map(|h| {
                total += h;
                total
            })
            .collect();
        Envelope { start: -reach, width, height, cumulative }
    }

    fn sample(&self, rng: &mut Rng) -> f64 {
        let last = self.cumulative.len() - 1;
        let u = rng.uniform() * self.cumulative[last];
        let cell = self.cumulative.partition_point(|c| *c <= u).min(last);
        self.start + self.width * (cell as f64 + rng.uniform())
    }

    fn at(&self, x: f64) -> f64 {
        let cell = ((x - self.start) / self.width) as usize;
        self.height[cell.min(self.height.len() - 1)]
    }
}

/// The rows of a table as a space: a point is a row number, mu the uniform law on the rows (or given masses).
///
/// The features are made orthonormal under mu, so a fit in them is a fit in the columns given.
#[derive(Debug, Clone)]
pub struct FinitePool {
    /// N x m, orthonormal under mu.
    features: Array2<f64>,
    mass: Option<Vec<f64>>,
    /// Running sums of mu and of mu |phi|^2.
    mass_sums: Vec<f64>,
    christoffel_sums: Vec<f64>,
}

impl FinitePool {
    /// The space with the columns of `features` (N x m, N >= m) as its functions, on N rows with masses `mu` (>= 0,
    /// adding up to 1; uniform when `None`). Time O(N m^2).
    ///
    /// # Errors
    /// Non-finite features, masses that are negative or do not add up to 1 within 1e-6, or columns of rank below m.
    pub fn new(features: ArrayView2<f64>, mu: Option<&[f64]>) -> Result<Self> {
        let space = Self::span(features, mu)?;
        if space.len() < features.ncols() {
            let got = format!("{} columns of rank {}", features.ncols(), space.len());
            return Err(Error::input("features", got, "drop dependent columns, lower the degree or give more rows"));
        }
        Ok(space)
    }

    /// [`FinitePool::new`] for columns that may depend on each other: m is their rank.
    ///
    /// # Errors
    /// Non-finite features, or masses that are negative or do not add up to 1 within 1e-6.
    pub fn span(features: ArrayView2<f64>, mu: Option<&[f64]>) -> Result<Self> {
        let (n, m) = features.dim();
        if n == 0 || m == 0 {
            return Err(Error::input("features", format!("{n} rows, {m} columns"), "give at least one of each"));
        }
        for (row, values) in features.outer_iter().enumerate() {
            if let Some(bad) = values.iter().find(|v| !v.is_finite()) {
                return Err(Error::input(format!("features, row {row}"), bad, "values must be finite"));
            }
        }
        if let Some(mu) = mu {
            let total: f64 = mu.iter().sum();
            if mu.len() != n || mu.iter().any(|m| m.is_nan() || *m < 0.0) || (total - 1.0).abs() > 1e-6 {
                let got = format!("{} masses adding up to {total}", mu.len());
                return Err(Error::input("mu", got, format!("give {n} masses >= 0 that add up to 1")));
            }
        }
        let mass = |i: usize| mu.map_or(1.0 / n as f64, |mu| mu[i]);
        let mut scaled = features.to_owned();
        for (i, mut row) in scaled.axis_iter_mut(Axis(0)).enumerate() {
            let root = mass(i).sqrt();
            row.mapv_inplace(|v| v * root);
        }
        // More columns than rows: those of R^T in X^T = Q R span the same, and there are only as many as rows.
        let mut features = match m > n {
            true => linalg::orthonormal(linalg::thin_r(scaled.t()).t())?,
            false => linalg::orthonormal(scaled.view())?,
        };
        let christoffel_sums = running_sums(features.outer_iter().map(|row| row.dot(&row)));
        for (i, mut row) in features.axis_iter_mut(Axis(0)).enumerate() {
            let root = mass(i).sqrt();
            row.mapv_inplace(|v| if root > 0.0 { v / root } else { 0.0 });
        }
        Ok(FinitePool {
            features,
            mass: mu.map(<[f64]>::to_vec),
            mass_sums: running_sums((0..n).map(mass)),
            christoffel_sums,
        })
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.features.nrows()
    }

    /// The mass of a row.
    pub fn mass(&self, row: usize) -> f64 {
        self.mass.as_ref().map_or(1.0 / self.rows() as f64, |mass| mass[row])
    }
}

fn running_sums(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut total = 0.0;
    values
        .map(|v| {
            total += v;
            total
        })
        .collect()
}

/// A row with probability proportional to its share of the running sums.
fn pick(sums: &[f64], rng: &mut Rng) -> f64 {
    let last = sums.len() - 1;
    let u = rng.uniform() * sums[last];
    sums.partition_point(|s| *s <= u).min(last) as f64
}

impl FeatureSpace for FinitePool {
    fn dims(&self) -> usize {
        1
    }

    fn len(&self) -> usize {
        self.features.ncols()
    }

    fn features(&self, x: &[f64], out: &mut [f64]) {
        let row = self.features.row(x[0] as usize);
        out.iter_mut().zip(row).for_each(|(out, v)| *out = *v);
    }

    fn sample_mu(&self, rng: &mut Rng, x: &mut [f64]) {
        x[0] = pick(&self.mass_sums, rng);
    }

    fn sample_christoffel(&self, rng: &mut Rng, x: &mut [f64]) {
        x[0] = pick(&self.christoffel_sums, rng);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quadrat_core::{Seed, stats};

    /// Integrals of products by a fine midpoint rule, in units of the family's own law.
    #[test]
    fn families_are_orthonormal() {
        for (family, low, high, weight) in [
            (Family::Legendre, -1.0, 1.0, (|_| 0.5) as fn(f64) -> f64),
            (Family::Hermite, -16.0, 16.0, normal_density),
            (Family::Fourier, 0.0, 1.0, |_| 1.0),
        ] {
            let (cells, m) = (200_000, 12);
            let width = (high - low) / cells as f64;
            let mut gram = Array2::<f64>::zeros((m, m));
            let mut values = vec![0.0; m];
            for i in 0..cells {
                let x = low + width * (i as f64 + 0.5);
                family.values(x, &mut values);
                let w = weight(x) * width;
                for a in 0..m {
                    for b in 0..m {
                        gram[[a, b]] += w * values[a] * values[b];
                    }
                }
            }
            for ((a, b), g) in gram.indexed_iter() {
                let expected = f64::from(u8::from(a == b));
                assert!((g - expected).abs() < 1e-6, "{family:?} {a} {b}: {g}");
            }
        }
    }

    #[test]
    fn index_sets_have_their_known_sizes() {
        for (dims, degree, total, cross) in [(1, 5, 6, 6), (2, 3, 10, 8), (3, 3, 20, 13)] {
            assert_eq!(Basis::total_degree(Family::Legendre, dims, degree).unwrap().len(), total);
            assert_eq!(Basis::hyperbolic_cross(Family::Legendre, dims, degree).unwrap().len(), cross);
        }
        assert!(Basis::total_degree(Family::Legendre, 0, 3).is_err());
        assert!(Basis::total_degree(Family::Legendre, 30, 30).is_err());
    }

    /// E over the Christoffel law of 1/|phi|^2 is 1/m for any space: a test of the sampler that needs no table. The mean
    /// of 20,000 draws must lie within five standard errors.
    #[test]
    fn christoffel_draws_follow_their_density() {
        for family in [Family::Legendre, Family::Hermite, Family::Fourier] {
            for space in [Basis::total_degree(family, 1, 9).unwrap(), Basis::hyperbolic_cross(family, 2, 5).unwrap()] {
                let m = space.len();
                let mut x = vec![0.0; space.dims()];
                let mut phi = vec![0.0; m];
                // phi_1^2 / |phi|^2 has mean 1/m under the law as well, and sees its shape.
                let (mut inverse, mut second) = (Vec::new(), Vec::new());
                for i in 0..20_000 {
                    space.sample_christoffel(&mut Seed(5).rng(i), &mut x);
                    space.features(&x, &mut phi);
                    let norm: f64 = phi.iter().map(|v| v * v).sum();
                    inverse.push(1.0 / norm);
                    second.push(phi[m - 1] * phi[m - 1] / norm);
                }
                for values in [inverse, second] {
                    let z = (stats::mean(&values) - 1.0 / m as f64) / (stats::variance(&values) / 20_000.0).sqrt();
                    assert!(z.abs() < 5.0 || stats::variance(&values) < 1e-20, "{family:?} {m}: {z}");
                }
            }
        }
    }

    #[test]
    fn a_pool_is_orthonormal_under_its_masses_and_refuses_what_it_cannot_span() {
        let mut rng = Seed(1).rng(0);
        let x = Array2::from_shape_fn((50, 4), |_| rng.normal());
        let mu: Vec<f64> = (1..=50).map(|i| i as f64 / 1275.0).collect();
        let pool = FinitePool::new(x.view(), Some(&mu)).unwrap();
        for a in 0..4 {
            for b in 0..4 {
                let g: f64 = (0..50).map(|i| mu[i] * pool.features[[i, a]] * pool.features[[i, b]]).sum();
                assert!((g - f64::from(u8::from(a == b))).abs() < 1e-12);
            }
        }
        let mut dependent = x.clone();
        let first = dependent.column(0).to_owned();
        dependent.column_mut(3).assign(&first);
        assert!(FinitePool::new(dependent.view(), None).unwrap_err().to_string().contains("rank 3"));
        assert!(FinitePool::new(x.view(), Some(&mu[..9])).is_err());
        assert!(FinitePool::new(x.slice(ndarray::s![..0, ..]), None).is_err());
        assert!(FinitePool::new(x.slice(ndarray::s![..3, ..]), None).is_err(), "3 rows span no 4 columns");
    }
}
