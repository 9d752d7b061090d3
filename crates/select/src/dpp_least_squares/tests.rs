use super::design::distance;
use super::projection::projection_dpp;
use super::*;
use crate::weighted_fit::gram_eigenvalues;
use crate::{Basis, Family, WeightedFit};
use quadrat_core::{Silent, stats};
use quadrat_numeric::Points;

const ATOMS: usize = 6;

/// Six atoms with unequal masses and two functions on them.
fn space() -> (FinitePool, Vec<f64>) {
    let mu = vec![0.1, 0.25, 0.15, 0.2, 0.05, 0.25];
    let raw =
        Array2::from_shape_fn((ATOMS, 2), |(i, j)| if j == 0 { 1.0 } else { i as f64 + 0.3 * (i * i % 5) as f64 });
    (FinitePool::new(raw.view(), Some(&mu)).unwrap(), mu)
}

fn phi(space: &FinitePool, row: usize) -> [f64; 2] {
    let mut out = [0.0; 2];
    space.features(&[row as f64], &mut out);
    out
}

fn determinant(a: [f64; 2], b: [f64; 2]) -> f64 {
    a[0] * b[1] - a[1] * b[0]
}

/// Every tuple of `n` atoms.
fn tuples(n: usize) -> impl Iterator<Item = Vec<usize>> {
    (0..ATOMS.pow(n as u32)).map(move |code| (0..n).map(|k| code / ATOMS.pow(k as u32) % ATOMS).collect())
}

/// 50,000 draws against the enumerated law det^2 / m! mu mu, false alarm one in a million; the marginal is the
/// Christoffel law.
#[test]
fn draws_follow_the_determinantal_law() {
    let (space, mu) = space();
    let mut law = vec![0.0; ATOMS * ATOMS];
    for pair in tuples(2) {
        law[pair[0] * ATOMS + pair[1]] =
            determinant(phi(&space, pair[0]), phi(&space, pair[1])).powi(2) / 2.0 * mu[pair[0]] * mu[pair[1]];
    }
    assert!((law.iter().sum::<f64>() - 1.0).abs() < 1e-12, "the density adds up to 1");
    for row in 0..ATOMS {
        let marginal: f64 = (0..ATOMS).map(|other| law[row * ATOMS + other]).sum();
        let f = phi(&space, row);
        assert!((marginal - (f[0] * f[0] + f[1] * f[1]) / 2.0 * mu[row]).abs() < 1e-12);
    }
    let draws = 50_000;
    let mut counts = vec![0.0; ATOMS * ATOMS];
    let mut points = Array2::zeros((2, 1));
    for i in 0..draws {
        projection_dpp(&space, &mut Seed(3).rng(i), points.view_mut(), &Silent).unwrap();
        counts[points[[0, 0]] as usize * ATOMS + points[[1, 0]] as usize] += 1.0;
    }
    let cells = law.iter().zip(&counts).filter(|(p, _)| **p > 1e-12);
    let n = draws as f64;
    let (statistic, cells) = cells.fold((0.0, 0.0), |(s, k), (p, c)| (s + (c - n * p).powi(2) / (n * p), k + 1.0));
    assert!(stats::chi_square_tail(statistic, cells - 1.0) > 1e-6, "{statistic} on {cells} cells");
}

/// Least-squares coefficients of f on the given atoms with the given weights, by Cramer's rule.
fn coefficients(space: &FinitePool, f: &[f64], rows: &[usize], w: &[f64]) -> [f64; 2] {
    let (mut a, mut b, mut d, mut u, mut v) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for (&row, &w) in rows.iter().zip(w) {
        let p = phi(space, row);
        a += w * p[0] * p[0];
        b += w * p[0] * p[1];
        d += w * p[1] * p[1];
        u += w * p[0] * f[row];
        v += w * p[1] * f[row];
    }
    let det = a * d - b * b;
    [(d * u - b * v) / det, (a * v - b * u) / det]
}

/// E f_hat = P f and E |f_hat - P f|^2 = m |r|^2 for the DPP; E f_hat = P f for volume-rescaled sampling with any
/// reference; "m from the DPP and n - m from nu, permuted" has the volume density. All by enumeration.
#[test]
fn fits_are_unbiased_and_their_variance_is_known() {
    let (space, mu) = space();
    let f = [0.3, -1.0, 2.0, 0.7, 1.5, -0.2];
    let exact: Vec<f64> = (0..2).map(|j| (0..ATOMS).map(|i| mu[i] * f[i] * phi(&space, i)[j]).sum()).collect();
    let rest: f64 =
        (0..ATOMS).map(|i| mu[i] * (f[i] - exact[0] * phi(&space, i)[0] - exact[1] * phi(&space, i)[1]).powi(2)).sum();
    let christoffel: Vec<f64> = (0..ATOMS)
        .map(|i| {
            let p = phi(&space, i);
            2.0 / (p[0] * p[0] + p[1] * p[1])
        })
        .collect();
    let uneven: Vec<f64> = {
        // any positive w with sum mu / w = 1
        let raw = [1.0, 3.0, 0.5, 2.0, 1.5, 0.7];
        let total: f64 = mu.iter().zip(raw).map(|(m, w)| m / w).sum();
        raw.iter().map(|w| w * total).collect()
    };
    for (n, w) in
        [(2, vec![1.0; ATOMS]), (3, vec![1.0; ATOMS]), (3, christoffel.clone()), (3, uneven.clone()), (4, uneven)]
    {
        let factorials = (1..=n).product::<usize>() as f64 / (1..=n - 2).product::<usize>().max(1) as f64;
        let (mut total, mut mean, mut spread) = (0.0, [0.0; 2], 0.0);
        for rows in tuples(n) {
            let nu: f64 = rows.iter().map(|&i| mu[i] / w[i]).product();
            let weights: Vec<f64> = rows.iter().map(|&i| w[i]).collect();
            // det(sum w phi phi^T) by Cauchy and Binet, and the same law as a mixture over which pair came from the
            // DPP: both are computed and compared.
            let mut det = 0.0;
            let mut mixture = 0.0;
            for a in 0..n {
                for b in a + 1..n {
                    let d = determinant(phi(&space, rows[a]), phi(&space, rows[b])).powi(2);
                    det += w[rows[a]] * w[rows[b]] * d;
                    let others: f64 = (0..n).filter(|k| *k != a && *k != b).map(|k| mu[rows[k]] / w[rows[k]]).product();
                    mixture += d / 2.0 * mu[rows[a]] * mu[rows[b]] * others;
                }
            }
            let probability = nu * det / factorials;
            mixture /= (n * (n - 1) / 2) as f64;
            assert!((probability - mixture).abs() < 1e-14);
            if probability > 1e-15 {
                let c = coefficients(&space, &f, &rows, &weights);
                total += probability;
                (0..2).for_each(|j| mean[j] += probability * c[j]);
                spread += probability * ((c[0] - exact[0]).powi(2) + (c[1] - exact[1]).powi(2));
            }
        }
        assert!((total - 1.0).abs() < 1e-12, "n = {n}: {total}");
        assert!((0..2).all(|j| (mean[j] - exact[j]).abs() < 1e-10), "n = {n}: {mean:?} {exact:?}");
        if n == 2 {
            assert!((spread - 2.0 * rest).abs() < 1e-10, "{spread} {rest}");
        }
    }
}

#[test]
fn a_fit_recovers_what_lies_in_its_space() {
    let space = Basis::total_degree(Family::Legendre, 2, 3).unwrap();
    let design = DesignSampler::default().design(&space, 60, Seed(2), &Silent).unwrap();
    assert!(design.lambda_min >= 0.5);
    let phi = design.features(&space);
    let truth: Vec<f64> = (0..10).map(|j| j as f64 - 3.0).collect();
    let y: Vec<f64> = phi.outer_iter().map(|row| row.iter().zip(&truth).map(|(a, b)| a * b).sum()).collect();
    let fit = WeightedFit::new(phi.view(), &design.weights, &y).unwrap();
    assert!(fit.coefficients.iter().zip(&truth).all(|(a, b)| (a - b).abs() < 1e-10), "{fit:?}");
    assert!(fit.error < 1e-10 && (fit.lambda.0 - design.lambda_min).abs() < 1e-10);
    let exact =
        DesignSampler { condition: None, ..DesignSampler::default() }.design(&space, 10, Seed(2), &Silent).unwrap();
    let phi = exact.features(&space);
    assert!(WeightedFit::new(phi.view(), &exact.weights, &y[..10]).unwrap().error.is_nan());
}

/// The leave-one-out estimate against the true error, in mean squares over 200 designs. A repelling design that lost
/// a point has a gap, so the estimate lies above the truth; it must not lie far above.
#[test]
fn the_error_estimate_means_what_it_says() {
    let space = Basis::total_degree(Family::Legendre, 1, 5).unwrap();
    let f = |x: f64| 1.0 / (1.0 + 25.0 * x * x);
    let (mut estimated, mut actual) = (0.0, 0.0);
    for i in 0..200 {
        let design = DesignSampler::default().design(&space, 24, Seed(i), &Silent).unwrap();
        let y: Vec<f64> = design.points.column(0).iter().map(|x| f(*x)).collect();
        let fit = WeightedFit::new(design.features(&space).view(), &design.weights, &y).unwrap();
        estimated += fit.error.powi(2);
        let mut phi = vec![0.0; 6];
        for k in 0..2000 {
            let x = -1.0 + (k as f64 + 0.5) / 1000.0;
            space.features(&[x], &mut phi);
            let value: f64 = phi.iter().zip(&fit.coefficients).map(|(a, b)| a * b).sum();
            actual += (f(x) - value).powi(2) / 2000.0;
        }
    }
    assert!((1.0..1.5).contains(&(estimated / actual)), "{}", estimated / actual);
}

/// Three features, polynomial:3 (20 functions): every budget from 20 on has a design; where the automatic condition
/// fails the best of the draws comes with a note, and a condition that was asked for is an error.
#[test]
fn every_budget_has_a_design() {
    let mut rng = Seed(3).rng(0);
    let x = Array2::from_shape_simple_fn((300, 3), || rng.normal().exp());
    let pool = Pool::of_points(Points::F64(x));
    let method = PoolDesign { basis: PoolBasis::Polynomial(3), max_tries: 1, ..PoolDesign::default() };
    let mut noted = 0;
    for budget in [20, 21, 79, 80, 81, 90, 119, 120, 300] {
        for seed in 0..3 {
            let chosen = method.select(&pool, budget, Seed(seed), &Silent).unwrap();
            let note = |name: &str| chosen.notes.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
            let lambda: f64 = note("smallest eigenvalue of the Gram matrix").unwrap().parse().unwrap();
            assert_eq!(note("condition").is_some(), budget >= 80 && lambda < 0.4995, "{budget} {lambda}");
            noted += usize::from(note("condition").is_some());
            assert!(chosen.indices.len() <= budget);
        }
    }
    assert!(noted > 0, "some budget is too small for the condition in one draw");
    let strict = PoolDesign { condition: Some(Some(0.01)), ..method };
    assert!(matches!(strict.select(&pool, 80, Seed(0), &Silent), Err(Error::Numeric { .. })));
}

/// A few rows have nearly all the leverage: a budget of 24 draws them again and again, unless 24 different rows are
/// wanted, and then weights still estimate the pool's total.
#[test]
fn drawing_goes_on_until_so_many_rows_differ() {
    let x = Array2::from_shape_fn((400, 2), |(i, j)| match (i, j) {
        (0..6, _) => 1e3 * ((i * 2 + j) as f64 - 5.3),
        _ => ((i * 7 + j * 3) % 11) as f64,
    });
    let pool = Pool::of_points(Points::F64(x));
    let select = |distinct, sampler| {
        let method = PoolDesign { distinct, sampler, ..PoolDesign::default() };
        method.select(&pool, 24, Seed(1), &Silent).unwrap()
    };
    assert!(select(None, Sampler::RepeatedDpp).indices.len() < 24);
    for sampler in [Sampler::RepeatedDpp, Sampler::Christoffel, Sampler::Volume] {
        let chosen = select(Some(None), sampler);
        assert_eq!(chosen.indices.len(), 24, "{sampler:?}");
        assert_eq!(select(Some(Some(40)), sampler).indices.len(), 40, "{sampler:?}");
        assert_eq!(select(Some(Some(3)), sampler), select(None, sampler), "{sampler:?}: there are more already");
    }
    let method = PoolDesign { distinct: Some(Some(401)), ..PoolDesign::default() };
    assert!(method.select(&pool, 24, Seed(1), &Silent).unwrap_err().to_string().contains("at most 400"));
    // Rows of zeros are never drawn by leverage.
    let mut empty = Array2::zeros((50, 1));
    empty.row_mut(3).fill(1.0);
    empty.row_mut(4).fill(2.0);
    let method = PoolDesign { basis: PoolBasis::Raw, distinct: Some(Some(3)), ..PoolDesign::default() };
    let error = method.select(&Pool::of_points(Points::F64(empty)), 2, Seed(1), &Silent).unwrap_err().to_string();
    assert!(error.contains("2 different points") && error.contains("ask for fewer"), "{error}");
}

#[test]
fn a_budget_below_the_functions_is_refused_before_the_work() {
    let mut rng = Seed(4).rng(0);
    let wide = Pool::of_points(Points::F64(Array2::from_shape_simple_fn((120, 2000), || rng.uniform())));
    let started = std::time::Instant::now();
    let error = PoolDesign::default().select(&wide, 20, Seed(0), &Silent).unwrap_err().to_string();
    assert!(error.starts_with("budget: got 20 rows for a basis of 2001 functions"), "{error}");
    assert!(started.elapsed().as_secs_f64() < 2.0, "{:?}", started.elapsed());
    // As many columns, of rank 3 only: nothing is refused.
    let rank = Array2::from_shape_fn((120, 40), |(i, j)| match j % 3 {
        0 => i as f64,
        1 => (i * i % 17) as f64,
        _ => (i % 5) as f64,
    });
    let pool = Pool::of_points(Points::F64(rank));
    assert_eq!(PoolDesign::default().select(&pool, 20, Seed(0), &Silent).unwrap().notes[0].1, "4");
    // More functions than rows, all of them independent: every row is needed.
    let square = Pool::of_points(Points::F64(Array2::from_shape_simple_fn((12, 30), || rng.uniform())));
    let all = PoolDesign::default().select(&square, 12, Seed(0), &Silent).unwrap();
    assert_eq!(all.indices.len(), 12);
}

#[test]
fn a_linear_basis_is_degree_one_of_the_polynomials() {
    let mut rng = Seed(8).rng(0);
    let x = Array2::from_shape_simple_fn((40, 3), || rng.normal());
    let (linear, polynomial) = (PoolBasis::Linear.features(&x), PoolBasis::Polynomial(1).features(&x));
    assert_eq!(linear.unwrap(), polynomial.unwrap());
}

#[test]
fn what_cannot_be_designed_is_refused() {
    let space = Basis::total_degree(Family::Legendre, 1, 9).unwrap();
    let sampler = DesignSampler::default();
    assert!(sampler.design(&space, 9, Seed(1), &Silent).is_err());
    for delta in [0.0, 1.0, f64::NAN] {
        assert!(DesignSampler { condition: Some(delta), ..sampler }.design(&space, 20, Seed(1), &Silent).is_err());
    }
    let hopeless = DesignSampler { sampler: Sampler::MonteCarlo, condition: Some(0.01), max_tries: 3, ..sampler };
    let error = hopeless.design(&space, 10, Seed(1), &Silent).unwrap_err().to_string();
    assert!(error.contains("smallest eigenvalue"), "{error}");
    let one = Array2::ones((2, 1));
    assert!(WeightedFit::new(one.view(), &[1.0, 0.0], &[1.0, 1.0]).is_err());
    assert!(WeightedFit::new(one.view(), &[1.0], &[1.0, 1.0]).is_err());
}

/// Of 50 candidates the best is nearer to the identity than most; then no point can go without breaking the
/// condition, and what is left still fits.
#[test]
fn boosting_chooses_and_prunes() {
    let space = Basis::total_degree(Family::Legendre, 1, 5).unwrap();
    let far = |design: &Design| distance(&gram_eigenvalues(design.features(&space).view(), &design.weights).unwrap());
    for sampler in [Sampler::Christoffel, Sampler::RepeatedDpp] {
        let plain = DesignSampler { sampler, condition: None, ..DesignSampler::default() };
        let boosted = DesignSampler { boost: 50, ..plain };
        let mut nearer = 0;
        for seed in 0..20 {
            let (one, best) =
                (plain.design(&space, 24, Seed(seed), &Silent), boosted.design(&space, 24, Seed(seed), &Silent));
            nearer += usize::from(far(&best.unwrap()) <= far(&one.unwrap()));
        }
        // The first candidate of a boosted draw is the plain design, so the best is never farther.
        assert_eq!(nearer, 20, "{sampler:?}");
        let pruning = DesignSampler { condition: Some(0.5), prune: true, ..boosted };
        let design = pruning.design(&space, 24, Seed(1), &Silent).unwrap();
        assert!(design.weights.len() < 24 && design.weights.len() >= 6, "{}", design.weights.len());
        assert_eq!(design.points.nrows(), design.weights.len());
        let lambda = gram_eigenvalues(design.features(&space).view(), &design.weights).unwrap()[5];
        assert!(lambda >= 0.5 && (lambda - design.lambda_min).abs() < 1e-12);
    }
}

#[test]
fn a_pool_design_estimates_the_pools_total() {
    let mut rng = Seed(9).rng(0);
    let x = Array2::from_shape_fn((500, 3), |_| rng.normal());
    let pool = Pool::of_points(Points::F64(x));
    let design = PoolDesign { basis: PoolBasis::Polynomial(2), condition: Some(None), ..PoolDesign::default() };
    // Weights are unbiased: the mean total weight over 400 designs is the number of rows, within five standard errors.
    let totals: Vec<f64> =
        (0..400).map(|i| design.select(&pool, 30, Seed(i), &Silent).unwrap().weights.unwrap().iter().sum()).collect();
    let z = (stats::mean(&totals) - 500.0) / (stats::variance(&totals) / 400.0).sqrt();
    assert!(z.abs() < 5.0, "{z}");
}
