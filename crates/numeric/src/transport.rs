//! Optimal transport: how far one cloud of points must be moved to become another.
//!
//! W1(a, b) is the least mean Euclidean distance over all plans that carry the mass of `a` to `b`. It is exact here:
//! by sorting in one dimension, else by shortest augmenting paths. Past [`MOST_POINTS`] rows the matrix of
//! costs and the time grow out of hand; the sliced distance averages W1 over random directions in n log n each, is at
//! most W1, and ranks like it.
//!
//! Between two finite samples of the same law in D dimensions W1 is not 0 but of order n^(-1/D): compare a figure with
//! that of two clean samples of the same size.

mod solver;

use crate::prepare::{check, column_means, largest, scale_to_one};
use crate::vectorised;
use ndarray::{Array1, Array2, ArrayView2, Axis};
use quadrat_core::{Error, Result, Seed};
use rayon::prelude::*;
use solver::Problem;

/// Rows of either side that the exact distance takes.
pub const MOST_POINTS: usize = 5000;

/// The exact W1 between the rows of `a` and `b`, each row with the same share of its side's mass.
///
/// One column: O(n log n) for any number of rows. More: about n^2 operations times a few dozen (2,000 rows a side take
/// some tenths of a second), and 8 bytes times the product of the numbers of rows.
///
/// ```
/// use ndarray::array;
/// use quadrat_numeric::transport::wasserstein1;
/// let (a, b) = (array![[0.0, 0.0], [1.0, 0.0]], array![[1.0, 2.0], [0.0, 1.0]]);
/// assert_eq!(wasserstein1(a.view(), b.view())?, 1.5);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
///
/// # Errors
/// No rows or columns, columns that differ in number, values that are not finite, and more than [`MOST_POINTS`] rows of
/// more than one column.
pub fn wasserstein1(a: ArrayView2<f64>, b: ArrayView2<f64>) -> Result<f64> {
    let pair = Pair::new(a, b)?;
    // Whole numbers of units for both sides, so that masses never round.
    let (n, m) = (a.nrows(), b.nrows());
    let common = greatest_common_divisor(n, m);
    pair.distance(&vec![(m / common) as f64; n], &vec![(n / common) as f64; m])
}

/// As [`wasserstein1`] with a mass for every row: at least 0, not all 0; each side is scaled to total 1.
///
/// # Errors
/// As [`wasserstein1`], and masses that are negative, not finite, all 0, or not one a row.
pub fn wasserstein1_weighted(a: ArrayView2<f64>, a_mass: &[f64], b: ArrayView2<f64>, b_mass: &[f64]) -> Result<f64> {
    let pair = Pair::new(a, b)?;
    pair.distance(&shares("masses of a", a_mass, a.nrows())?, &shares("masses of b", b_mass, b.nrows())?)
}

/// The mean of W1 over `projections` random directions, row for row the one-dimensional distance of the rows' products
/// with the direction. O(projections * n (columns + log n)); projection `i` draws from `seed.rng(i)`.
///
/// # Errors
/// As [`wasserstein1`] without the limit on rows, and no projections.
pub fn sliced_wasserstein1(a: ArrayView2<f64>, b: ArrayView2<f64>, projections: usize, seed: Seed) -> Result<f64> {
    if projections == 0 {
        return Err(Error::input("projections", 0, "use at least 1; 500 give about two digits"));
    }
    let pair = Pair::new(a, b)?;
    let columns = a.ncols();
    let one = |projection: u64| {
        let direction = unit_vector(columns, seed, projection);
        let mut sides = [&pair.a, &pair.b].map(|side| side.dot(&direction).to_vec());
        sides.iter_mut().for_each(|side| sort(side));
        between_sorted(&sides[0], &sides[1])
    };
    let distances: Vec<f64> = (0..projections as u64).into_par_iter().map(one).collect();
    Ok(distances.iter().sum::<f64>() / projections as f64 / pair.scale)
}

/// Both sides centred and scaled alike, so that squares neither overflow nor vanish.
struct Pair {
    a: Array2<f64>,
    b: Array2<f64>,
    /// What distances were multiplied by: a power of two.
    scale: f64,
}

impl Pair {
    fn new(a: ArrayView2<f64>, b: ArrayView2<f64>) -> Result<Pair> {
        check("points a", a)?;
        check("points b", b)?;
        if a.ncols() != b.ncols() {
            let want = format!("points a have {}; both must live in the same space", a.ncols());
            return Err(Error::input("columns of points b", b.ncols(), want));
        }
        let centre = column_means(a);
        let scale = scale_to_one(largest(a, &centre).max(largest(b, &centre)));
        let centre = Array1::from(centre);
        let place = |x: ArrayView2<f64>| Array2::from_shape_fn(x.dim(), |(i, k)| (x[[i, k]] - centre[k]) * scale);
        Ok(Pair { a: place(a), b: place(b), scale })
    }

    /// The least cost a unit of mass between masses of equal totals.
    fn distance(&self, a_mass: &[f64], b_mass: &[f64]) -> Result<f64> {
        if self.a.ncols() == 1 {
            return Ok(by_sorting(&self.a, a_mass, &self.b, b_mass) / self.scale);
        }
        let most = self.a.nrows().max(self.b.nrows());
        if most > MOST_POINTS {
            let want =
                format!("the exact distance takes at most {MOST_POINTS}; use sliced_wasserstein1, or fewer rows");
            return Err(Error::input("rows", most, want));
        }
        let total: f64 = a_mass.iter().sum();
        Ok(Problem::new(self.costs(), a_mass, b_mass).least_cost() / total / self.scale)
    }

    /// Euclidean distances, row by row of `a`. Differences are squared one column after the other over all of `b`, which
    /// vectorises and loses no digits, unlike products of rows.
    fn costs(&self) -> Vec<f64> {
        let m = self.b.nrows();
        let columns: Vec<Vec<f64>> = self.b.axis_iter(Axis(1)).map(|column| column.to_vec()).collect();
        let mut costs = vec![0.0; self.a.nrows() * m];
        costs.par_chunks_mut(m).enumerate().for_each(|(i, row)| {
            let point = self.a.row(i);
            vectorised(
                #[inline(always)]
                || {
                    for (column, at) in columns.iter().zip(point) {
                        row.iter_mut().zip(column).for_each(|(sum, b)| *sum += (at - b) * (at - b));
                    }
                    row.iter_mut().for_each(|sum| *sum = sum.sqrt());
                },
            );
        });
        costs
    }
}

fn greatest_common_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

/// Masses divided by their sum.
fn shares(what: &str, mass: &[f64], rows: usize) -> Result<Vec<f64>> {
    if mass.len() != rows {
        return Err(Error::input(what, mass.len(), format!("give one for each of the {rows} rows")));
    }
    if let Some((row, value)) = mass.iter().enumerate().find(|(_, m)| !(m.is_finite() && **m >= 0.0)) {
        return Err(Error::input(format!("{what}, row {row}"), value, "masses must be finite and at least 0"));
    }
    let largest = mass.iter().fold(0.0, |most: f64, m| most.max(*m));
    if largest == 0.0 {
        return Err(Error::input(what, "all 0", "at least one must be above 0"));
    }
    let total: f64 = mass.iter().map(|m| m / largest).sum();
    Ok(mass.iter().map(|m| m / largest / total).collect())
}

/// A uniformly random direction.
fn unit_vector(columns: usize, seed: Seed, projection: u64) -> Array1<f64> {
    let mut rng = seed.rng(projection);
    loop {
        let direction = Array1::from_shape_simple_fn(columns, || rng.normal());
        let length = direction.dot(&direction).sqrt();
        if length > 0.0 {
            return direction / length;
        }
    }
}

/// Sorts finite numbers, by their bits as whole numbers: comparing those takes one instruction.
fn sort(values: &mut [f64]) {
    // Negative numbers sort the other way round by their bits: flip all but the sign, here and back.
    let flip = |bits: i64| bits ^ (((bits >> 63) as u64) >> 1) as i64;
    let mut keys: Vec<i64> = values.iter().map(|v| flip(v.to_bits() as i64)).collect();
    keys.sort_unstable();
    values.iter_mut().zip(keys).for_each(|(v, key)| *v = f64::from_bits(flip(key) as u64));
}

/// W1 of sorted values of equal mass on each side.
fn between_sorted(a: &[f64], b: &[f64]) -> f64 {
    if a.len() == b.len() {
        return a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum::<f64>() / a.len() as f64;
    }
    // Whole units again: each of a's values has b.len() of them.
    let total = a.len() as f64 * b.len() as f64;
    along_quantiles(a.iter().map(|v| (*v, b.len() as f64)), b.iter().map(|v| (*v, a.len() as f64))) / total
}

/// W1 on the line: the mass at each quantile of one side goes to the same quantile of the other.
fn by_sorting(a: &Array2<f64>, a_mass: &[f64], b: &Array2<f64>, b_mass: &[f64]) -> f64 {
    let sorted = |x: &Array2<f64>, mass: &[f64]| {
        let mut pairs: Vec<(f64, f64)> = x.iter().copied().zip(mass.iter().copied()).collect();
        pairs.sort_by(|a, b| a.0.total_cmp(&b.0));
        pairs
    };
    let total: f64 = a_mass.iter().sum();
    along_quantiles(sorted(a, a_mass).into_iter(), sorted(b, b_mass).into_iter()) / total
}

/// Cost of moving the sorted (value, mass) of `a` to those of `b` in order; what rounding leaves over is not moved.
fn along_quantiles(mut a: impl Iterator<Item = (f64, f64)>, mut b: impl Iterator<Item = (f64, f64)>) -> f64 {
    let mut cost = 0.0;
    let (mut from, mut to) = (a.next(), b.next());
    while let (Some((x, left)), Some((y, room))) = (from, to) {
        let moved = left.min(room);
        cost += moved * (x - y).abs();
        from = if left > moved { Some((x, left - moved)) } else { a.next() };
        to = if room > moved { Some((y, room - moved)) } else { b.next() };
    }
    cost
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{array, s};
    use proptest::prelude::*;

    /// Points that any language computes alike: sin(f i + g k + 0.3 i k).
    fn cloud(rows: usize, columns: usize, f: f64, g: f64) -> Array2<f64> {
        Array2::from_shape_fn((rows, columns), |(i, k)| {
            let (i, k) = (i as f64, k as f64);
            (f * i + g * k + 0.3 * i * k).sin()
        })
    }

    fn pair(n: usize, m: usize, columns: usize) -> (Array2<f64>, Array2<f64>) {
        (cloud(n, columns, 1.7, 0.9), 1.5 * cloud(m, columns, 2.3, 0.4) + 0.25)
    }

    fn normals(rows: usize, columns: usize, seed: u64) -> Array2<f64> {
        let mut rng = Seed(seed).rng(0);
        Array2::from_shape_simple_fn((rows, columns), || rng.normal())
    }

    /// POT 0.9.7: `ot.emd2` on `ot.dist(a, b, "euclidean")`, equal masses and masses 1 + i mod 4 and 1 + i mod 3.
    #[test]
    fn distances_of_another_library() {
        for (n, m, columns, equal, weighted) in [
            (60, 60, 2, 0.6021312763486759, 0.6242100373783226),
            (60, 60, 5, 1.2692974033427336, 1.31490441159547),
            (50, 35, 3, 0.8790632718294183, 0.8798065308500945),
            (7, 64, 2, 0.7636626289997849, 0.8767080669615512),
            (40, 25, 1, 0.3691179983944126, 0.382951512042082),
            (1, 1, 3, 0.43487473597116244, 0.43487473597116244),
        ] {
            let (a, b) = pair(n, m, columns);
            let found = wasserstein1(a.view(), b.view()).unwrap();
            assert!((found - equal).abs() < 1e-12, "{n} {m} {columns}: {found} {equal}");
            let masses = |n: usize, period: usize| (0..n).map(|i| (1 + i % period) as f64).collect::<Vec<_>>();
            let found = wasserstein1_weighted(a.view(), &masses(n, 4), b.view(), &masses(m, 3)).unwrap();
            assert!((found - weighted).abs() < 1e-12, "{n} {m} {columns}: {found} {weighted}");
        }
    }

    /// The mean over all directions of the plane, by the midpoint rule on 200,000 angles in numpy. Of 20,000 random
    /// directions the mean is off by 6e-4 (one standard deviation; four are allowed, one false alarm in 16,000).
    #[test]
    fn slices_average_to_the_integral_over_directions() {
        let (a, b) = pair(60, 60, 2);
        let found = sliced_wasserstein1(a.view(), b.view(), 20_000, Seed(1)).unwrap();
        assert!((found - 0.36777745003408635).abs() < 2.4e-3, "{found}");
    }

    /// Points with a far-away one, points all alike, points on a lattice with many ties: what the auction could stumble on.
    #[test]
    fn odd_clouds() {
        let mut far = normals(150, 2, 1);
        far.row_mut(0).fill(1e6);
        let near = normals(150, 2, 2);
        let found = wasserstein1(far.view(), near.view()).unwrap();
        assert!((found - 1e6 * 2_f64.sqrt() / 150.0).abs() < 3.0, "{found}");
        let same = Array2::from_elem((80, 3), 4.0);
        assert_eq!(wasserstein1(same.view(), same.view()).unwrap(), 0.0);
        let lattice = |shift: f64| Array2::from_shape_fn((100, 2), |(i, k)| [i % 10, i / 10][k] as f64 + shift);
        let found = wasserstein1(lattice(0.0).view(), lattice(3.0).view()).unwrap();
        assert!((found - 18_f64.sqrt()).abs() < 1e-9, "{found}");
        assert_eq!(wasserstein1(array![[1.0, 1.0]].view(), array![[1.0, 1.0]].view()).unwrap(), 0.0);
    }

    #[test]
    fn scale_does_not_matter() {
        let (a, b) = pair(40, 40, 3);
        let plain = wasserstein1(a.view(), b.view()).unwrap();
        for scale in [1e-300, 1e-150, 1e150, 1e300] {
            let (a, b) = (&a * scale, &b * scale);
            let found = wasserstein1(a.view(), b.view()).unwrap();
            assert!((found / scale - plain).abs() < 1e-9, "{scale}: {found}");
            let sliced = sliced_wasserstein1(a.view(), b.view(), 10, Seed(0)).unwrap();
            assert!(sliced > 0.0 && sliced <= found * (1.0 + 1e-12), "{scale}: {sliced}");
        }
    }

    #[test]
    fn bad_clouds_are_refused() {
        let good = normals(10, 2, 3);
        let mut bad = good.clone();
        bad[[4, 1]] = f64::NAN;
        let mut infinite = good.clone();
        infinite[[0, 0]] = f64::INFINITY;
        let many = Array2::zeros((MOST_POINTS + 1, 2));
        let check = |a: &Array2<f64>, b: &Array2<f64>, part: &str| {
            let error = wasserstein1(a.view(), b.view()).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        };
        check(&bad, &good, "points a, row 4, column 1: got NaN");
        check(&good, &infinite, "points b, row 0, column 0: got inf");
        check(&good, &normals(10, 3, 3), "columns of points b: got 3; points a have 2");
        check(&good, &Array2::zeros((0, 2)), "points b: got 0 rows");
        check(&many, &many, "use sliced_wasserstein1");
        assert!(sliced_wasserstein1(many.view(), many.view(), 2, Seed(0)).is_ok());
        assert!(sliced_wasserstein1(good.view(), good.view(), 0, Seed(0)).is_err());
        let column = normals(MOST_POINTS + 1, 1, 0);
        assert!(wasserstein1(column.view(), column.view()).is_ok());
        for masses in [vec![1.0; 9], vec![0.0; 10], vec![-1.0; 10], vec![f64::NAN; 10]] {
            assert!(wasserstein1_weighted(good.view(), &masses, good.view(), &[1.0; 10]).is_err());
        }
        assert!(wasserstein1_weighted(good.view(), &[1e308; 10], good.view(), &[1e-308; 10]).unwrap() < 1e-12);
    }

    #[test]
    fn results_do_not_depend_on_the_number_of_threads() {
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let (a, b) = (normals(300, 4, 5), normals(200, 4, 6));
            pool.install(|| {
                let exact = wasserstein1(a.view(), b.view()).unwrap();
                (exact, sliced_wasserstein1(a.view(), b.view(), 50, Seed(1)).unwrap())
            })
        };
        assert_eq!(run(1), run(2));
    }

    /// The least over all orders of the rows of b.
    fn by_trying(a: &Array2<f64>, b: &Array2<f64>) -> f64 {
        fn orders(rest: &mut Vec<usize>, at: usize, visit: &mut dyn FnMut(&[usize])) {
            if at == rest.len() {
                return visit(rest);
            }
            for i in at..rest.len() {
                rest.swap(at, i);
                orders(rest, at + 1, visit);
                rest.swap(at, i);
            }
        }
        let mut least = f64::INFINITY;
        orders(&mut (0..b.nrows()).collect(), 0, &mut |order| {
            let cost = order.iter().enumerate().map(|(i, j)| {
                let step = &a.row(i) - &b.row(*j);
                step.dot(&step).sqrt()
            });
            least = least.min(cost.sum::<f64>() / b.nrows() as f64);
        });
        least
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn small_clouds_agree_with_trying_all_plans(
            values in prop::collection::vec(-3i32..4, 24), columns in 1usize..4,
        ) {
            // Few distinct values, so that points coincide and plans tie.
            let values: Vec<f64> = values.into_iter().map(|v| f64::from(v) / 2.0).collect();
            let rows = 12 / columns;
            let rows = rows.min(6);
            let cloud = |from: usize| Array2::from_shape_fn((rows, columns), |(i, k)| values[from + i * columns + k]);
            let (a, b) = (cloud(0), cloud(12));
            let found = wasserstein1(a.view(), b.view()).unwrap();
            prop_assert!((found - by_trying(&a, &b)).abs() < 1e-12);
        }

        #[test]
        fn it_is_a_metric_and_sees_repeated_rows_as_mass(seed in 0u64..1000, columns in 1usize..4) {
            let [a, b, c] = [0, 1, 2].map(|k| normals(20 + 7 * k as usize, columns, 3 * seed + k));
            let w = |a: &Array2<f64>, b: &Array2<f64>| wasserstein1(a.view(), b.view()).unwrap();
            prop_assert!(w(&a, &a) < 1e-12);
            prop_assert!((w(&a, &b) - w(&b, &a)).abs() < 1e-12);
            prop_assert!(w(&a, &c) <= w(&a, &b) + w(&b, &c) + 1e-12);
            // Row i % 3 + 1 times is mass i % 3 + 1.
            let times: Vec<usize> = (0..20).map(|i| i % 3 + 1).collect();
            let rows: Vec<usize> = (0..20).flat_map(|i| vec![i; times[i]]).collect();
            let masses: Vec<f64> = times.iter().map(|t| *t as f64).collect();
            let weighted = wasserstein1_weighted(a.view(), &masses, b.view(), &[2.0; 27]).unwrap();
            prop_assert!((weighted - w(&a.select(Axis(0), &rows), &b)).abs() < 1e-12);
            // A shift moves everything by its length.
            let mut moved = a.clone();
            moved.slice_mut(s![.., 0]).mapv_inplace(|v| v + 10.0);
            prop_assert!((w(&a, &moved) - 10.0).abs() < 1e-9);
        }
    }
}
