use super::*;
use crate::{Grid, Level, Schedule, Solver, noise};
use ndarray::{Array1, Array2, array, s};
use quadrat_core::Silent;
use quadrat_numeric::linalg::{cholesky, solve};

/// Images of 4 x 4 with a normal law, seen as means of 2 x 2 pixels with noise.
struct Normal {
    prior: Array2<f64>,
    pooled: Array2<f64>,
    posterior: Array2<f64>,
    gain: Array2<f64>,
}

const SIDE: usize = 4;
const DIMS: usize = SIDE * SIDE;
const SEEN: usize = 4;
const NOISE: f64 = 0.05;

impl Normal {
    fn new() -> Self {
        let place = |i: usize| [i / SIDE, i % SIDE].map(|v| v as f64);
        let far = |i: usize, j: usize| {
            let ([y, x], [v, u]) = (place(i), place(j));
            ((y - v).powi(2) + (x - u).powi(2)).sqrt()
        };
        let prior =
            Array2::from_shape_fn((DIMS, DIMS), |(i, j)| (-far(i, j) / 1.5).exp() + if i == j { 0.02 } else { 0.0 });
        let pooled =
            Array2::from_shape_fn(
                (SEEN, DIMS),
                |(k, i)| {
                    if (i / SIDE / 2) * 2 + (i % SIDE) / 2 == k { 0.25 } else { 0.0 }
                },
            );
        let across = pooled.dot(&prior);
        let spread = across.dot(&pooled.t()) + NOISE * NOISE * Array2::<f64>::eye(SEEN);
        let gain = solve(spread.view(), across.view()).unwrap().reversed_axes();
        let posterior = &prior - &gain.dot(&across);
        Normal { prior, pooled, posterior, gain }
    }

    fn pairs(&self, n: usize, seed: Seed) -> (Array2<f64>, Array2<f64>) {
        let root = cholesky(self.prior.view()).unwrap();
        let mut rng = seed.rng(0);
        let clean = Array2::from_shape_simple_fn((n, DIMS), || rng.normal()).dot(&root.t());
        let seen = clean.dot(&self.pooled.t()).mapv(|v| v + NOISE * rng.normal());
        (clean, seen)
    }

    fn model(&self) -> impl Conditional + '_ {
        conditional_fn([DIMS, SEEN], |x, seen, at: &Level| {
            let noised = at.alpha * at.alpha * &self.posterior + at.sigma * at.sigma * Array2::<f64>::eye(DIMS);
            let gain = solve(noised.view(), (at.alpha * &self.posterior).view())?;
            let mean = seen.dot(&self.gain.t());
            Ok(&mean + &(&x - &(at.alpha * &mean)).dot(&gain))
        })
    }
}

fn plan(calls: usize) -> Plan {
    Solver::Ddim.plan(Schedule::linear(), &Grid::LogSnr, calls).unwrap()
}

fn squares(a: ArrayView2<f64>, b: ArrayView2<f64>) -> Result<Vec<f64>> {
    Ok((&a - &b).mapv(|v| v * v).sum_axis(Axis(1)).to_vec())
}

/// Of a linear denoiser the sample is m(y) + L x_T: what a start adds does not depend on the condition. Among 1,000 candidates on 100 pairs
/// the chosen one's exact expected squared error is within 5% of the least (in the sheet's prototype it was within 1%).
#[test]
fn for_a_normal_law_one_start_serves_all() {
    let law = Normal::new();
    let (model, plan) = (law.model(), plan(6));
    let (clean, seen) = law.pairs(100, Seed(1));
    let search = BoundarySearch { candidates: 1000, pairs: 100, ..BoundarySearch::default() };
    let pairs = Pairs { clean: clean.view(), conditions: seen.view() };
    let found = search.fit(&model, &plan, pairs, Distance::Pairs(&squares), Seed(2), &Silent).unwrap();

    let zeros = |n| Array2::<f64>::zeros((n, DIMS));
    let none = Array2::zeros((1000, SEEN));
    let all = noise(&plan, 1000, DIMS, Seed(2));
    // m is linear in the condition without an offset, so the sample under a condition of zeros is L x_T.
    let added = solve_from(&model, &plan, all.clone(), none.view(), &Silent).unwrap();
    let means = solve_from(&model, &plan, zeros(100), seen.view(), &Silent).unwrap();
    let (first, third) = (all.slice(s![..100, ..]).to_owned(), all.slice(s![2..102, ..]).to_owned());
    for (rows, added) in [(first, added.slice(s![..100, ..])), (third, added.slice(s![2..102, ..]))] {
        let solved = solve_from(&model, &plan, rows, seen.view(), &Silent).unwrap();
        assert!((solved - &means - added).iter().all(|v| v.abs() < 1e-10));
    }
    // E ‖m(y) + L x_T - x₀‖² = ‖L x_T‖² + what m(y) misses, whose expectation is that of x₀ - P y with P the solver's own m.
    let basis = solve_from(&model, &plan, zeros(SEEN), Array2::eye(SEEN).view(), &Silent).unwrap();
    let off = Array2::<f64>::eye(DIMS) - basis.t().dot(&law.pooled);
    let missed = off.dot(&law.prior).dot(&off.t()).diag().sum() + NOISE * NOISE * basis.mapv(|v| v * v).sum();
    let expected: Vec<f64> = added.outer_iter().map(|row| row.dot(&row) + missed).collect();
    let least = expected.iter().copied().fold(f64::INFINITY, f64::min);
    assert!(expected[found.index] < 1.05 * least, "{} and {least}", expected[found.index]);
    assert!(found.rank_stability.unwrap() > 0.8 && found.warning.is_none(), "{:?}", found.rank_stability);
    assert_eq!(found.calls, 1000 * 100 * 6);

    let few = BoundarySearch { strategy: Strategy::Halving, ..search };
    let few = few.fit(&model, &plan, pairs, Distance::Pairs(&squares), Seed(2), &Silent).unwrap();
    assert!(expected[few.index] < 1.1 * least && few.calls < found.calls / 8, "{}", few.calls);
    assert!(few.tried[few.index] == 100 && few.best(3)[0] == few.index);

    assert_eq!(found.start().row(0), all.row(found.index));
    assert_eq!(found.best(1), [found.index]);
    let (solved, warning) = found.solve(&model, &plan, seen.view(), &Silent).unwrap();
    assert!(warning.is_none());
    assert!((solved - &means - added.row(found.index)).iter().all(|v| v.abs() < 1e-10));
    let kept: BoundaryCondition = serde_json::from_str(&serde_json::to_string(&found).unwrap()).unwrap();
    assert_eq!(kept, found);
}

/// With many steps L is the exact flow's: for independent numbers √(v / (α²v + σ²)), to 1e-3.
#[test]
fn many_steps_reach_the_exact_flow() {
    let variances: Array1<f64> = array![0.04, 0.3, 1.0];
    let model = conditional_fn([3, 3], |x, mean, at: &Level| {
        let gain = variances.mapv(|v| at.alpha * v / (at.alpha * at.alpha * v + at.sigma * at.sigma));
        Ok(&mean + &((&x - &(at.alpha * &mean)) * &gain))
    });
    let plan = Solver::Dpmpp2m.plan(Schedule::linear(), &Grid::LogSnr, 400).unwrap();
    let from = noise(&plan, 4, 3, Seed(1));
    let told = array![[0.0, 0.0, 0.0], [1.0, -1.0, 0.5], [0.3, 0.2, 0.1], [-2.0, 0.0, 2.0]];
    let found = solve_from(&model, &plan, from.clone(), told.view(), &Silent).unwrap();
    let at = plan.levels()[0];
    let flow = variances.mapv(|v| (v / (at.alpha * at.alpha * v + at.sigma * at.sigma)).sqrt());
    let exact = &told + &((&from - &(at.alpha * &told)) * &flow);
    assert!((found - exact).iter().all(|v| v.abs() < 1e-3));
}

/// Where the condition turns the sign of what a start adds, no start is good for all, and there is a warning.
#[test]
fn starts_that_do_not_rank_alike_are_warned_of() {
    let model = conditional_fn([2, 2], |x, told, _: &Level| Ok(&told + &(&x * &told.mapv(f64::signum))));
    let search = BoundarySearch { candidates: 400, pairs: 40, ..BoundarySearch::default() };
    // The error along one direction; pairs take turns in the sign of their condition, so that the halves rank in opposite ways.
    let along = |a: ArrayView2<f64>, b: ArrayView2<f64>| Ok((&a - &b).column(0).to_vec());
    let told = Array2::from_shape_fn((40, 2), |(i, _)| if i % 2 == 0 { 1.0 } else { -2.0 });
    let pairs = Pairs { clean: told.view(), conditions: told.view() };
    let opposite = search.fit(&model, &plan(1), pairs, Distance::Pairs(&along), Seed(4), &Silent).unwrap();
    assert!(opposite.rank_stability.unwrap() < -0.99 && opposite.warning.is_some(), "{opposite:?}");
    // Scores that are all the same, and a single pair, say nothing of stability.
    let same = conditional_fn([2, 2], |_, told: ArrayView2<f64>, _: &Level| Ok(told.to_owned()));
    let flat = search.fit(&same, &plan(1), pairs, Distance::L2, Seed(4), &Silent).unwrap();
    assert!(flat.rank_stability.is_none() && flat.warning.is_none());
    let one =
        BoundarySearch { pairs: 1, ..search }.fit(&model, &plan(1), pairs, Distance::L2, Seed(4), &Silent).unwrap();
    assert!(one.rank_stability.is_none() && one.tried == [1; 400]);
}

#[test]
fn the_choice_does_not_depend_on_threads() {
    let law = Normal::new();
    let (clean, seen) = law.pairs(30, Seed(1));
    for strategy in [Strategy::Full, Strategy::Halving] {
        let run = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let search = BoundarySearch { candidates: 50, pairs: 30, strategy };
            let pairs = Pairs { clean: clean.view(), conditions: seen.view() };
            pool.install(|| search.fit(&law.model(), &plan(5), pairs, Distance::L2, Seed(2), &Silent)).unwrap()
        };
        assert_eq!(run(1), run(2));
    }
}

#[test]
fn ranks_and_their_ties() {
    assert_eq!(rank_correlation(&[1.0, 2.0, 3.0], &[3.0, 2.0, 1.0]), Some(-1.0));
    // By hand: ranks 0, 1.5, 1.5, 3 and 0, 1, 2, 3 give 4.5 / √(4.5 · 5).
    let tied = rank_correlation(&[1.0, 2.0, 2.0, 5.0], &[1.0, 2.0, 3.0, 4.0]).unwrap();
    assert!((tied - 4.5 / 22.5f64.sqrt()).abs() < 1e-12);
    for (a, b) in
        [(vec![], vec![]), (vec![1.0], vec![1.0]), (vec![1.0, 2.0], vec![1.0]), (vec![1.0, 1.0], vec![1.0, 2.0])]
    {
        assert_eq!(rank_correlation(&a, &b), None);
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    struct Stopped;
    impl Progress for Stopped {
        fn cancelled(&self) -> bool {
            true
        }
    }
    let law = Normal::new();
    let model = law.model();
    let (clean, seen) = law.pairs(4, Seed(1));
    let good = BoundarySearch { candidates: 3, pairs: 4, strategy: Strategy::Full };
    let fit =
        |search: BoundarySearch, plan: &Plan, clean: ArrayView2<f64>, seen: ArrayView2<f64>, distance: Distance| {
            search.fit(&model, plan, Pairs { clean, conditions: seen }, distance, Seed(1), &Silent)
        };
    let found = fit(good, &plan(3), clean.view(), seen.view(), Distance::L2).unwrap();
    let noisy = Solver::Ddpm.plan(Schedule::linear(), &Grid::LogSnr, 3).unwrap();
    let (mut nan, mut infinite) = (clean.clone(), seen.clone());
    nan[[2, 1]] = f64::NAN;
    infinite[[1, 1]] = f64::INFINITY;
    let no = |rows: usize, width: usize| Array2::<f64>::zeros((rows, width));
    for (search, plan, clean, seen, distance, words) in [
        (BoundarySearch { candidates: 1, ..good }, &plan(3), &clean, &seen, Distance::L2, "at least 2"),
        (BoundarySearch { pairs: 0, ..good }, &plan(3), &clean, &seen, Distance::L2, "at least one"),
        (good, &noisy, &clean, &seen, Distance::L2, "draws noise"),
        (good, &plan(3), &no(0, DIMS), &no(0, SEEN), Distance::L2, "at least one"),
        (good, &plan(3), &clean, &no(3, SEEN), Distance::L2, "4 samples and 3 conditions"),
        (good, &plan(3), &clean, &no(4, 3), Distance::L2, "3 numbers each"),
        (good, &plan(3), &no(4, 9), &seen, Distance::L2, "9 numbers"),
        (good, &plan(3), &nan, &seen, Distance::L2, "sample 2"),
        (good, &plan(3), &clean, &infinite, Distance::L2, "condition 1"),
        (good, &plan(3), &clean, &seen, Distance::Pairs(&|a, _| Ok(vec![f64::NAN; a.nrows()])), "NaN"),
        (good, &plan(3), &clean, &seen, Distance::Pairs(&|_, _| Ok(vec![])), "one for each"),
    ] {
        let error = fit(search, plan, clean.view(), seen.view(), distance).unwrap_err().to_string();
        assert!(error.contains(words), "{words}: {error}");
    }
    let pairs = Pairs { clean: clean.view(), conditions: seen.view() };
    let stopped = good.fit(&model, &plan(3), pairs, Distance::L2, Seed(1), &Stopped);
    assert!(matches!(stopped, Err(Error::Cancelled)));
    let broken = conditional_fn([DIMS, SEEN], |x, _, _: &Level| Ok(&x * f64::NAN));
    assert!(good.fit(&broken, &plan(3), pairs, Distance::L2, Seed(1), &Silent).is_err());

    let (_, warning) = found.solve(&model, &plan(4), seen.view(), &Silent).unwrap();
    assert!(warning.unwrap().contains("another plan"));
    let other = conditional_fn([3, SEEN], |x, _, _: &Level| Ok(x.to_owned()));
    assert!(found.solve(&other, &plan(3), seen.view(), &Silent).is_err());
    assert!(found.solve(&model, &noisy, seen.view(), &Silent).is_err());
    assert!(found.solve(&model, &plan(3), no(2, 3).view(), &Silent).is_err());
    assert_eq!(found.solve(&model, &plan(3), no(0, SEEN).view(), &Silent).unwrap().0.dim(), (0, DIMS));
    assert_eq!(found.best(99).len(), 3);
}

/// A network with conditions is such a model, and a row's condition is its own.
#[cfg(feature = "networks")]
#[test]
fn networks_take_conditions_row_by_row() {
    let network = crate::NetworkDenoiser::conditional_mlp(3, &[16], [0, 2], Seed(1)).unwrap();
    let told = array![[0.1, 0.2], [-1.0, 3.0], [0.5, 0.0]];
    let plan = plan(4);
    let from = noise(&plan, 3, 3, Seed(2));
    let all = solve_from(&network, &plan, from.clone(), told.view(), &Silent).unwrap();
    for i in 0..3 {
        let rows = |x: &Array2<f64>| x.slice(s![i..i + 1, ..]).to_owned();
        let one = solve_from(&network, &plan, rows(&from), rows(&told).view(), &Silent).unwrap();
        assert!((one - all.slice(s![i..i + 1, ..])).iter().all(|v| v.abs() < 1e-5));
    }
    let search = BoundarySearch { candidates: 5, pairs: 3, ..BoundarySearch::default() };
    let clean = Array2::zeros((3, 3));
    let pairs = Pairs { clean: clean.view(), conditions: told.view() };
    assert!(search.fit(&network, &plan, pairs, Distance::L1, Seed(3), &Silent).unwrap().index < 5);
    let plain = crate::NetworkDenoiser::mlp(3, &[4], Seed(1)).unwrap();
    assert!(search.fit(&plain, &plan, pairs, Distance::L1, Seed(3), &Silent).is_err());
}
