use super::*;
use ndarray::array;
use proptest::prelude::*;
use quadrat_core::Seed;

fn normal(k: usize, m: usize, seed: u64) -> (Array2<f64>, Vec<f64>) {
    let mut rng = Seed(seed).rng(0);
    let heads = Array2::from_shape_fn((k, m), |_| rng.normal());
    let target = (0..k).map(|_| rng.normal()).collect();
    (heads, target)
}

fn l1(nu: &[f64]) -> f64 {
    nu.iter().map(|nu| nu.abs()).sum()
}

fn squares(nu: &[f64]) -> f64 {
    nu.iter().map(|nu| nu * nu).sum()
}

/// w^T (W diag(n) W^T)^-1 w: the least sum nu_m^2 / n_m of all mixtures, which the risk is proportional to.
fn risk(heads: &Array2<f64>, target: &[f64], n: &[f64]) -> f64 {
    let weighted = Array2::from_shape_fn(heads.dim(), |(i, m)| heads[[i, m]] * n[m]);
    let column = Array2::from_shape_fn((target.len(), 1), |(i, _)| target[i]);
    let solved = linalg::solve(weighted.dot(&heads.t()).view(), column.view()).unwrap();
    solved.iter().zip(target).map(|(a, b)| a * b).sum()
}

fn exact() -> TaskAllocator {
    TaskAllocator { penalty: Penalty::Pursuit, ..TaskAllocator::default() }
}

fn older() -> TaskAllocator {
    TaskAllocator { rule: Rule::L2, ..TaskAllocator::default() }
}

/// The example by hand: the target is twice the third source, or any mixture with the first two.
#[test]
fn golden() {
    let heads = array![[1.0, 0.0, 0.8, 0.6], [0.0, 1.0, 0.6, -0.8]];
    let nu2 = older().relevance(heads.view(), &[1.6, 1.2]).unwrap().nu;
    assert!(nu2.iter().zip([0.8, 0.6, 1.0, 0.0]).all(|(nu, want)| (nu - want).abs() < 1e-12), "{nu2:?}");
    assert!((l1(&nu2).powi(2) - 5.76).abs() < 1e-12 && (4.0 * squares(&nu2) - 8.0).abs() < 1e-12);
    let found = exact().relevance(heads.view(), &[1.6, 1.2]).unwrap();
    assert!(found.nu.iter().zip([0.0, 0.0, 2.0, 0.0]).all(|(nu, want)| (nu - want).abs() < 1e-12), "{found:?}");
    assert!((l1(&found.nu).powi(2) - 4.0).abs() < 1e-12 && found.support == [2] && found.residual < 1e-12);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn l2_is_the_pseudo_inverse(k in 1_usize..6, extra in 0_usize..30, seed: u64) {
        let (heads, target) = normal(k, k + extra, seed);
        let column = Array2::from_shape_fn((k, 1), |(i, _)| target[i]);
        let want = heads.t().dot(&linalg::solve(heads.dot(&heads.t()).view(), column.view()).unwrap());
        let found = older().relevance(heads.view(), &target).unwrap();
        let size = l1(&found.nu);
        prop_assert!(found.nu.iter().zip(&want).all(|(a, b)| (a - b).abs() < 1e-8 * size), "{found:?} {want}");
        prop_assert!(found.residual < 1e-8);
    }

    /// Rows in proportion to |nu| give |nu|_1^2 / N, and no other shares of that nu give less.
    #[test]
    fn the_proportional_allocation_is_the_best_for_its_nu(m in 1_usize..20, seed: u64) {
        let mut rng = Seed(seed).rng(0);
        let nu: Vec<f64> = (0..m).map(|_| rng.normal()).collect();
        let total = 1000.0;
        let at = |n: &mut dyn Iterator<Item = f64>| nu.iter().zip(n).map(|(nu, n)| nu * nu / n).sum::<f64>();
        let length = l1(&nu);
        let least = at(&mut nu.iter().map(|nu| total * nu.abs() / length));
        prop_assert!((least - l1(&nu).powi(2) / total).abs() < 1e-12 * least);
        for _ in 0..20 {
            let shares: Vec<f64> = (0..m).map(|_| rng.exponential()).collect();
            let sum: f64 = shares.iter().sum();
            prop_assert!(at(&mut shares.iter().map(|share| total * share / sum)) >= least * (1.0 - 1e-12));
        }
    }

    /// Elfving: of all allocations, over all mixtures, the l1 one has the least risk, and that is |nu|_1^2 / N.
    #[test]
    fn no_allocation_has_less_risk(k in 1_usize..5, extra in 0_usize..20, seed: u64) {
        let (heads, target) = normal(k, k + extra, seed);
        let nu = exact().relevance(heads.view(), &target).unwrap().nu;
        let mut rng = Seed(seed).rng(1);
        for _ in 0..20 {
            let shares: Vec<f64> = nu.iter().map(|_| rng.exponential()).collect();
            let sum: f64 = shares.iter().sum();
            let n: Vec<f64> = shares.iter().map(|share| share / sum).collect();
            prop_assert!(risk(&heads, &target, &n) >= l1(&nu).powi(2) * (1.0 - 1e-7));
        }
        // Its own rows, with a trace of all others so that the matrix can be inverted.
        let length = l1(&nu);
        let n: Vec<f64> = nu.iter().map(|nu| nu.abs() / length + 1e-9).collect();
        prop_assert!((risk(&heads, &target, &n) / length.powi(2) - 1.0).abs() < 1e-4);
    }

    #[test]
    fn with_costs_no_affordable_allocation_is_better(k in 1_usize..5, extra in 0_usize..12, seed: u64) {
        let (heads, target) = normal(k, k + extra, seed);
        let mut rng = Seed(seed).rng(1);
        let costs: Vec<f64> = (0..k + extra).map(|_| 0.1 + 5.0 * rng.uniform()).collect();
        let allocator = TaskAllocator { costs: Some(costs.clone()), ..exact() };
        let found = allocator.relevance(heads.view(), &target).unwrap();
        let money: f64 = found.nu.iter().zip(&costs).map(|(nu, c)| nu.abs() * c.sqrt()).sum();
        for _ in 0..20 {
            let shares: Vec<f64> = costs.iter().map(|c| rng.exponential() / c).collect();
            let spent: f64 = shares.iter().zip(&costs).map(|(share, c)| share * c).sum();
            let n: Vec<f64> = shares.iter().map(|share| share / spent).collect();
            prop_assert!(risk(&heads, &target, &n) >= money * money * (1.0 - 1e-7));
        }
        let bought = allocator.allocate(&found, 100_000).unwrap();
        let n: Vec<f64> = bought.iter().map(|rows| *rows as f64 + 1e-6).collect();
        prop_assert!((risk(&heads, &target, &n) / (money * money / 100_000.0) - 1.0).abs() < 0.02);
    }

    /// Without refitting, the conditions of the Lasso hold; its path stops where there would be too many sources.
    #[test]
    fn relevance_is_the_lasso(k in 1_usize..6, m in 1_usize..30, share in 0.0_f64..1.0, most in 1_usize..6, seed: u64) {
        let (heads, target) = normal(k, m, seed);
        let plain = TaskAllocator { penalty: Penalty::Relative(share), refit: false, ..TaskAllocator::default() };
        for allocator in [plain.clone(), TaskAllocator { max_tasks: Some(most), ..plain }] {
            let found = allocator.relevance(heads.view(), &target).unwrap();
            prop_assert!(!found.nothing_found && found.support.len() <= allocator.max_tasks.unwrap_or(m));
            let rest = Array1::from(target.clone()) - heads.dot(&Array1::from(found.nu.clone()));
            let lambda = found.lambda.unwrap();
            for (nu, pull) in found.nu.iter().zip(heads.t().dot(&rest)) {
                let miss = if *nu == 0.0 { (pull.abs() - lambda).max(0.0) } else { (pull - lambda * nu.signum()).abs() };
                prop_assert!(miss < 1e-8, "{miss}");
            }
        }
    }
}

#[test]
fn l1_is_never_worse_than_l2() {
    for seed in 0..1000 {
        let (heads, target) = normal(1 + seed as usize % 6, 8 + seed as usize % 40, seed);
        let l1_norm = l1(&exact().relevance(heads.view(), &target).unwrap().nu);
        let nu2 = older().relevance(heads.view(), &target).unwrap().nu;
        assert!(l1_norm.powi(2) <= l1(&nu2).powi(2) * (1.0 + 1e-9));
        assert!(l1(&nu2).powi(2) <= nu2.len() as f64 * squares(&nu2) * (1.0 + 1e-9));
    }
}

#[test]
fn a_penalty_that_kills_all_falls_back_to_all_sources() {
    let heads = array![[1.0, 0.1, 0.5], [0.0, 1.0, 0.5]];
    for (allocator, target, support) in [
        (TaskAllocator { penalty: Penalty::Relative(1.0), ..TaskAllocator::default() }, [1.0, 0.0], vec![0, 1, 2]),
        (TaskAllocator { penalty: Penalty::Absolute(9.0), ..TaskAllocator::default() }, [1.0, 0.0], vec![0, 1, 2]),
        (
            TaskAllocator { penalty: Penalty::Relative(1.0), max_tasks: Some(2), ..TaskAllocator::default() },
            [1.0, 0.0],
            vec![0, 2],
        ),
        (TaskAllocator::default(), [0.0, 0.0], vec![0, 1, 2]),
        (exact(), [0.0, 0.0], vec![0, 1, 2]),
        (older(), [0.0, 0.0], vec![0, 1, 2]),
    ] {
        let found = allocator.relevance(heads.view(), &target).unwrap();
        assert!(found.nothing_found && found.support == support, "{found:?}");
        let rows = allocator.allocate(&found, 6).unwrap();
        assert!(support.iter().all(|m| rows[*m] == 6 / support.len()), "{rows:?}");
    }
}

#[test]
fn odd_heads_have_defined_answers() {
    // One source, fewer sources than dimensions, equal sources, a source of zeros.
    let one = TaskAllocator::default().relevance(array![[2.0], [0.0]].view(), &[1.0, 1.0]).unwrap();
    assert!((one.nu[0] - 0.5).abs() < 1e-12 && (one.residual - 0.5_f64.sqrt()).abs() < 1e-12);
    let equal = array![[0.0, 1.0, 1.0], [0.0, 1.0, 1.0]];
    assert_eq!(TaskAllocator::default().relevance(equal.view(), &[1.0, 1.0]).unwrap().support, [1]);
    assert_eq!(older().relevance(equal.view(), &[1.0, 1.0]).unwrap().support, [1, 2]);
    let zeros = older().relevance(Array2::zeros((2, 3)).view(), &[1.0, 1.0]).unwrap();
    assert!(zeros.nothing_found && zeros.residual == 1.0);
    // Huge and tiny heads.
    for unit in [1e-120, 1e120] {
        let heads = array![[1.0, 0.0, 0.8], [0.0, 1.0, 0.6]] * unit;
        for allocator in [TaskAllocator::default(), exact(), older()] {
            let found = allocator.relevance(heads.view(), &[1.6 * unit, 1.2 * unit]).unwrap();
            assert!(found.residual < 1e-9 && found.nu.iter().all(|nu| nu.is_finite()), "{found:?}");
        }
    }
    let uniform = TaskAllocator { rule: Rule::Uniform, ..TaskAllocator::default() };
    let found = uniform.relevance(equal.view(), &[1.0, 1.0]).unwrap();
    assert_eq!(uniform.allocate(&found, 10).unwrap(), [4, 3, 3]);
    // Every source gets the least, the rest goes by relevance.
    let least = TaskAllocator { min_rows: 5, ..TaskAllocator::default() };
    let found = least.relevance(equal.view(), &[1.0, 1.0]).unwrap();
    assert_eq!(least.allocate(&found, 20).unwrap(), [5, 10, 5]);
    assert!(least.allocate(&found, 14).unwrap_err().to_string().contains("15"));
}

#[test]
fn bad_input_is_named() {
    let heads = array![[1.0, 0.0], [0.0, 1.0]];
    let plain = TaskAllocator::default;
    for (allocator, heads, target, part) in [
        (plain(), Array2::zeros((2, 0)), vec![1.0, 2.0], "heads: got 2 dimensions, 0 tasks"),
        (plain(), heads.clone(), vec![1.0], "target head: got 1 values"),
        (plain(), array![[1.0, f64::NAN], [0.0, 1.0]], vec![1.0, 2.0], "head of task 1, dimension 0: got NaN"),
        (plain(), heads.clone(), vec![1.0, f64::INFINITY], "target head, dimension 1: got inf"),
        (TaskAllocator { costs: Some(vec![1.0]), ..plain() }, heads.clone(), vec![1.0, 2.0], "costs: got 1"),
        (
            TaskAllocator { costs: Some(vec![1.0, 0.0]), ..plain() },
            heads.clone(),
            vec![1.0, 2.0],
            "cost of task 1: got 0",
        ),
        (
            TaskAllocator { penalty: Penalty::Relative(-0.1), ..plain() },
            heads.clone(),
            vec![1.0, 2.0],
            "lambda: got -0.1",
        ),
        (TaskAllocator { max_tasks: Some(0), ..plain() }, heads.clone(), vec![1.0, 2.0], "max tasks: got 0"),
        (
            TaskAllocator { max_tasks: Some(1), rule: Rule::Uniform, ..plain() },
            heads.clone(),
            vec![1.0, 2.0],
            "max tasks: got 1; the uniform rule ranks no task",
        ),
        (exact(), array![[1.0], [0.0]], vec![1.0, 1.0], "basis pursuit: A x = b has no solution: the nearest A x is 1"),
    ] {
        let message = allocator.relevance(heads.view(), &target).unwrap_err().to_string();
        assert!(message.starts_with(part), "{message}");
    }
    let found = plain().relevance(heads.view(), &[1.0, 2.0]).unwrap();
    assert!(plain().allocate(&found, 0).unwrap_err().to_string().starts_with("budget: got 0"));
}

mod buying {
    use super::*;
    use quadrat_core::Silent;

    fn rows(n: usize) -> Task {
        let mut rng = Seed(3).rng(n as u64);
        let x = Array2::from_shape_fn((n, 4), |_| rng.normal());
        let y = x.outer_iter().map(|x| x[0] - x[1]).collect();
        Task { x, y }
    }

    #[test]
    fn stages_follow_what_is_told() {
        let mtl = LinearMtl { rank: 2, ..LinearMtl::default() };
        let mut buying = TaskBuying::new(TaskAllocator::default(), mtl, 3, rows(12), 100, 0.3).unwrap();
        assert_eq!(buying.ask(&Silent).unwrap(), [(0, 10), (1, 10), (2, 10)]);
        buying.tell(1, rows(4).x.view(), &rows(4).y).unwrap();
        assert_eq!(buying.ask(&Silent).unwrap(), [(0, 10), (1, 6), (2, 10)]);
        assert!(buying.relevance().is_none() && buying.finish(&Silent).is_err());
        for (task, count) in buying.ask(&Silent).unwrap() {
            buying.tell(task, rows(count).x.view(), &rows(count).y).unwrap();
        }
        let second = buying.ask(&Silent).unwrap();
        assert_eq!(second.iter().map(|(_, rows)| rows).sum::<usize>(), 70);
        assert_eq!(buying.ask(&Silent).unwrap(), second, "asking again changes nothing");
        for (task, count) in second {
            buying.tell(task, rows(count).x.view(), &rows(count).y).unwrap();
        }
        assert!(buying.ask(&Silent).unwrap().is_empty());
        let predicted = buying.finish(&Silent).unwrap().target.predict(array![[1.0, 0.0, 0.0, 0.0]].view()).unwrap();
        assert!((predicted[0] - 1.0).abs() < 0.1, "{predicted:?}");
    }

    #[test]
    fn bad_input_is_named() {
        let new = |sources, target: Task, budget, first| {
            TaskBuying::new(TaskAllocator::default(), LinearMtl::default(), sources, target, budget, first)
        };
        for (result, part) in [
            (new(3, Task::empty(4), 100, 0.3), "target task: got no labelled rows"),
            (new(0, rows(5), 100, 0.3), "source tasks: got 0"),
            (new(3, rows(5), 100, 1.0), "share of the first stage: got 1"),
            (new(3, rows(5), 9, 0.3), "budget: got 9; 10 buys one row of every source"),
        ] {
            let message = result.unwrap_err().to_string();
            assert!(message.starts_with(part), "{message}");
        }
        let mut buying = new(3, rows(5), 100, 0.3).unwrap();
        for (result, part) in [
            (buying.tell(3, rows(2).x.view(), &rows(2).y), "source task: got 3"),
            (buying.tell(0, rows(2).x.view(), &[1.0]), "rows, labels: got 1"),
            (buying.tell(0, array![[1.0]].view(), &[1.0]), "rows: got 1 columns; the task has 4"),
            (buying.tell(0, array![[1.0, 2.0, f64::NAN, 0.0]].view(), &[1.0]), "rows, row 0: got NaN"),
        ] {
            let message = result.unwrap_err().to_string();
            assert!(message.starts_with(part), "{message}");
        }
    }
}
