use super::*;
use ndarray::array;
use quadrat_core::Silent;

/// Tasks of a rank-k model with the given rows and noise.
fn tasks(d: usize, k: usize, rows: &[usize], noise: f64, seed: u64) -> (Array2<f64>, Vec<Task>) {
    let mut rng = Seed(seed).rng(0);
    let b = linalg::orthonormal(Array2::from_shape_fn((d, k), |_| rng.normal()).view()).unwrap();
    let task = |(m, n): (usize, &usize)| {
        let mut rng = Seed(seed).rng(1 + m as u64);
        let w = Array1::from_shape_fn(k, |_| rng.normal());
        let x = Array2::from_shape_fn((*n, d), |_| rng.normal());
        let y = x.dot(&b.dot(&w)).iter().map(|y| y + noise * rng.normal()).collect();
        Task { x, y }
    };
    let tasks = rows.iter().enumerate().map(task).collect();
    (b, tasks)
}

fn plain(rank: usize) -> LinearMtl {
    LinearMtl { rank, ridge: 0.0, centre: false, tol: 1e-12, sweeps: 200 }
}

/// Where there is no noise and there are enough rows, the space of B comes back, from long and short tasks alike.
#[test]
fn without_noise_the_representation_is_found() {
    for (d, k, rows) in [(8, 2, vec![30; 6]), (8, 2, vec![5; 20]), (12, 3, [40, 3, 25, 7].repeat(5)), (5, 1, vec![6])] {
        let (b, tasks) = tasks(d, k, &rows, 0.0, 1);
        let fit = plain(k).fit(&tasks, &Silent).unwrap();
        assert!(fit.residual < 1e-9, "{d} {k}: {} after {}", fit.residual, fit.sweeps);
        let q = linalg::orthonormal(fit.b.view()).unwrap();
        let apart = &b - &q.dot(&q.t().dot(&b));
        assert!(apart.iter().all(|v| v.abs() < 1e-4), "{apart}");
    }
}

/// At the end no small change of B or of a head lowers the squares, which are below those of the true model.
#[test]
fn the_fit_is_a_minimum_of_the_squares() {
    let rows = [20, 4, 9, 15, 30, 12];
    let (b, tasks) = tasks(6, 2, &rows, 0.5, 2);
    let fit = plain(2).fit(&tasks, &Silent).unwrap();
    let squares = |b: &Array2<f64>, heads: &Array2<f64>| -> f64 {
        let of = |(m, task): (usize, &Task)| {
            let fitted = task.x.dot(&b.dot(&heads.column(m)));
            fitted.iter().zip(&task.y).map(|(f, y)| (f - y).powi(2)).sum::<f64>()
        };
        tasks.iter().enumerate().map(of).sum()
    };
    let least = squares(&fit.b, &fit.heads);
    let total: usize = rows.iter().sum();
    assert!((least / total as f64 - fit.residual).abs() < 1e-9 * fit.residual, "{least} {}", fit.residual);
    let mut rng = Seed(5).rng(0);
    for _ in 0..50 {
        let (mut moved_b, mut moved_heads) = (fit.b.clone(), fit.heads.clone());
        moved_b.mapv_inplace(|v| v + 1e-3 * rng.normal());
        moved_heads.mapv_inplace(|v| v + 1e-3 * rng.normal());
        assert!(squares(&moved_b, &fit.heads) > least && squares(&fit.b, &moved_heads) > least);
    }
    let best_heads = |b: &Array2<f64>| {
        let head = |task: &Task| {
            let z = task.x.dot(b);
            let right = z.t().dot(&Array1::from(task.y.clone())).insert_axis(Axis(1));
            linalg::solve(z.t().dot(&z).view(), right.view()).unwrap().column(0).to_owned()
        };
        let columns: Vec<Array1<f64>> = tasks.iter().map(head).collect();
        Array2::from_shape_fn((2, columns.len()), |(i, m)| columns[m][i])
    };
    assert!(least <= squares(&b, &best_heads(&b)));
    let again = best_heads(&fit.b);
    assert!((&again - &fit.heads).iter().all(|v| v.abs() < 1e-8), "heads are those of their normal equations");
}

#[test]
fn features_have_unit_second_moments_and_heads_predict() {
    let (_, tasks) = tasks(7, 3, &[25; 8], 0.3, 3);
    for centre in [false, true] {
        let fit = LinearMtl { rank: 3, centre, ..LinearMtl::default() }.fit(&tasks, &Silent).unwrap();
        let mut moments = Array2::<f64>::zeros((3, 3));
        for task in &tasks {
            let (x, _) = Normaliser::of(task, centre).apply(task);
            let z = fit.features(x.view()).unwrap();
            moments += &(z.t().dot(&z) / 200.0);
        }
        assert!((&moments - &Array2::<f64>::eye(3)).iter().all(|v| v.abs() < 1e-9), "{moments}");
        // A task that the fit knows gets the head that it has there.
        let head = fit.head(&tasks[4]).unwrap();
        assert!(head.w.iter().zip(fit.heads.column(4)).all(|(a, b)| (a - b).abs() < 1e-9));
        let predicted = head.predict(tasks[4].x.view()).unwrap();
        let missed: f64 = predicted.iter().zip(&tasks[4].y).map(|(p, y)| (p - y).powi(2)).sum();
        assert!(missed / 25.0 < 0.2, "{missed}");
    }
}

/// Shifts of rows and labels and the unit of a task's rows change nothing but the intercept and the coefficients' unit.
#[test]
fn centred_tasks_may_lie_anywhere() {
    let (_, tasks) = tasks(5, 2, &[20, 30, 8, 12], 0.1, 4);
    let moved: Vec<Task> = (0..)
        .zip(&tasks)
        .map(|(m, task)| Task {
            x: task.x.mapv(|v| (v + 3.0) * f64::from(1 << m)),
            y: task.y.iter().map(|y| y - 7.0).collect(),
        })
        .collect();
    let mtl = LinearMtl { rank: 2, ..LinearMtl::default() };
    let (fit, other) = (mtl.fit(&tasks, &Silent).unwrap(), mtl.fit(&moved, &Silent).unwrap());
    // A representation is determined up to a rotation, and which one comes out differs between processors: the heads'
    // inner products are what stays.
    let products = |heads: &Array2<f64>| heads.t().dot(heads);
    assert!((products(&fit.heads) - products(&other.heads)).iter().all(|v| v.abs() < 1e-6));
    let predicted = fit.head(&tasks[1]).unwrap().predict(tasks[1].x.view()).unwrap();
    let theirs = other.head(&moved[1]).unwrap().predict(moved[1].x.view()).unwrap();
    assert!(predicted.iter().zip(theirs).all(|(a, b)| (a - 7.0 - b).abs() < 1e-6));
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    let (_, tasks) = tasks(20, 3, &[11; 40], 0.5, 5);
    let fit = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| LinearMtl { rank: 3, ..LinearMtl::default() }.fit(&tasks, &Silent)).unwrap()
    };
    assert_eq!(fit(1), fit(3));
}

/// With a large penalty nothing mixes to the target, with none noise does; held-out rows find one in between. On rows
/// without noise that are one source's, the choice keeps that source.
#[test]
fn the_penalty_is_chosen_by_held_out_rows() {
    let (_, all) = tasks(6, 3, &[60; 8], 0.05, 6);
    let fit = LinearMtl { rank: 3, ..LinearMtl::default() }.fit(&all, &Silent).unwrap();
    let share = fit.choose_penalty(&all[2], 5, Seed(1)).unwrap();
    assert!((0.001..0.2).contains(&share), "{share}");
    assert_eq!(share, fit.choose_penalty(&all[2], 5, Seed(1)).unwrap());
    for folds in [1, 61] {
        assert!(fit.choose_penalty(&all[2], folds, Seed(1)).unwrap_err().to_string().contains("2 to 60"));
    }
}

#[test]
fn odd_tasks_have_defined_answers() {
    let mtl = LinearMtl { rank: 1, ..LinearMtl::default() };
    // A task of one row, labels that are all 0, a constant column, equal rows.
    let one = Task { x: array![[1.0, 2.0]], y: vec![3.0] };
    let (_, mut some) = tasks(2, 1, &[9, 5], 0.1, 7);
    some.push(one.clone());
    some.push(Task { x: array![[1.0, 0.0], [2.0, 0.0]], y: vec![0.0, 0.0] });
    let fit = mtl.fit(&some, &Silent).unwrap();
    assert!(fit.heads.iter().chain(&fit.b).all(|v| v.is_finite()) && fit.heads[[0, 2]] == 0.0);
    assert_eq!(fit.head(&one).unwrap().predict(array![[5.0, 5.0]].view()).unwrap(), [3.0]);
    let nothing = vec![Task { x: array![[1.0, 0.5], [2.0, 0.0]], y: vec![0.0, 0.0] }; 2];
    assert!(mtl.fit(&nothing, &Silent).unwrap().heads.iter().all(|w| *w == 0.0));
    for unit in [1e-140, 1e140] {
        let scaled: Vec<Task> = some.iter().map(|t| Task { x: &t.x * unit, y: t.y.clone() }).collect();
        let other = mtl.fit(&scaled, &Silent).unwrap();
        assert!((&fit.heads - &other.heads).iter().all(|v| v.abs() < 1e-6), "{unit}");
    }
}

#[test]
fn bad_input_is_named() {
    let (_, good) = tasks(3, 2, &[5, 6], 0.1, 8);
    let with = |m: usize, task: Task| {
        let mut tasks = good.clone();
        tasks[m] = task;
        tasks
    };
    let bad_value = Task { x: array![[1.0, f64::NAN, 0.0]], y: vec![1.0] };
    let mtl = LinearMtl { rank: 2, ..LinearMtl::default() };
    let huge = vec![Task { x: array![[1e200, 0.0, 0.0]], y: vec![1.0] }; 2];
    for (mtl, tasks, part) in [
        (mtl, vec![], "tasks: got none"),
        (mtl, with(1, Task::empty(3)), "task 1: got 0 x 3"),
        (mtl, with(1, Task::empty(2)), "task 1: got 0 x 2"),
        (mtl, with(0, bad_value), "task 0, row 0: got NaN"),
        (mtl, with(0, Task { x: array![[1.0, 2.0, 0.0]], y: vec![1.0, 2.0] }), "task 0, labels: got 2"),
        (LinearMtl { rank: 3, ..mtl }, good.clone(), "rank: got 3; use 1 to 2"),
        (LinearMtl { rank: 0, ..mtl }, good.clone(), "rank: got 0"),
        (LinearMtl { ridge: -1.0, ..mtl }, good.clone(), "ridge: got -1"),
        (LinearMtl { centre: false, ..mtl }, huge, "tasks: got values that are too large"),
        (mtl, vec![Task { x: array![[1.0, 2.0, 3.0]], y: vec![1.0] }; 2], "tasks: got no variation"),
    ] {
        let message = mtl.fit(&tasks, &Silent).unwrap_err().to_string();
        assert!(message.starts_with(part), "{message}");
    }
    let fit = mtl.fit(&good, &Silent).unwrap();
    assert!(fit.head(&Task::empty(3)).unwrap_err().to_string().starts_with("target task"));
    assert!(fit.head(&Task { x: array![[1.0]], y: vec![1.0] }).is_err());
}

#[test]
fn a_fit_can_be_stopped() {
    struct Stop;
    impl Progress for Stop {
        fn cancelled(&self) -> bool {
            true
        }
    }
    let (_, tasks) = tasks(3, 2, &[5, 6], 0.1, 9);
    let stopped = LinearMtl { rank: 2, ..LinearMtl::default() }.fit(&tasks, &Stop);
    assert!(matches!(stopped, Err(Error::Cancelled)));
}
