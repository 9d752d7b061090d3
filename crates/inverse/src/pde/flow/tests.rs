use super::*;
use ndarray::Axis;
use quadrat_nn::{Descent, Optimizer, tensor_of};

/// A flow whose parameters are away from where they begin.
fn stirred(dims: usize, seed: u64) -> (Flow, Parameters) {
    stir(Flow::new(dims).unwrap(), 1.0, seed)
}

fn stir(flow: Flow, by: f64, seed: u64) -> (Flow, Parameters) {
    let mut parameters = flow.initialise(Seed(seed)).unwrap();
    let mut rng = Seed(seed).stream("stir").rng(0);
    for parameter in parameters.iter_mut() {
        let size = if parameter.name.contains("fc3") { 0.3 } else { 0.06 };
        parameter.update(|v| v.iter_mut().for_each(|v| *v += (by * size * rng.normal()) as f32));
    }
    (flow, parameters)
}

fn uniform(n: usize, d: usize, seed: u64) -> Array2<f32> {
    let mut rng = Seed(seed).rng(0);
    Array2::from_shape_simple_fn((n, d), || (2.0 * rng.uniform() - 1.0) as f32)
}

/// ln p at a point in double precision, by the inverse alone: z is found by bisection-free fixed differences of it. The density is
/// the normal one at z, over the determinant of the inverse's derivative, here by central differences.
fn by_inverse(flow: &Flow, parameters: &Parameters, z: &[f64]) -> (Vec<f64>, f64) {
    let d = z.len();
    let step = 1e-5;
    let mut rows = Array2::from_shape_fn((1 + 2 * d, d), |(_, k)| z[k]);
    for k in 0..d {
        rows[[1 + 2 * k, k]] += step;
        rows[[2 + 2 * k, k]] -= step;
    }
    let x = flow.inverse(parameters, rows.view()).unwrap();
    let slope = |i: usize, k: usize| (x[[1 + 2 * k, i]] - x[[2 + 2 * k, i]]) / (2.0 * step);
    let mut jacobian = Array2::from_shape_fn((d, d), |(i, k)| slope(i, k));
    let mut ln_det = 0.0;
    for pivot in 0..d {
        let best =
            (pivot..d).max_by(|a, b| jacobian[[*a, pivot]].abs().total_cmp(&jacobian[[*b, pivot]].abs())).unwrap();
        for k in 0..d {
            jacobian.swap([pivot, k], [best, k]);
        }
        ln_det += jacobian[[pivot, pivot]].abs().ln();
        for i in pivot + 1..d {
            let factor = jacobian[[i, pivot]] / jacobian[[pivot, pivot]];
            for k in 0..d {
                jacobian[[i, k]] -= factor * jacobian[[pivot, k]];
            }
        }
    }
    let normal: f64 = z.iter().map(|z| -0.5 * z * z - 0.5 * std::f64::consts::TAU.ln()).sum();
    (x.row(0).to_vec(), normal - ln_det)
}

/// The density of the network (forward, single precision) is that of drawing (the inverse, double precision): the inverse undoes the
/// flow, and its determinant by differences is the flow's.
#[test]
fn the_inverse_undoes_the_flow_and_has_its_determinant() {
    for dims in [1, 2, 3, 5] {
        let (flow, parameters) = stirred(dims, 7 + dims as u64);
        let mut rng = Seed(3).rng(dims as u64);
        for _ in 0..20 {
            let z: Vec<f64> = (0..dims).map(|_| rng.normal()).collect();
            let (x, wanted) = by_inverse(&flow, &parameters, &z);
            if x.iter().any(|x| x.abs() > 0.999) {
                continue;
            }
            let row = Array2::from_shape_fn((1, dims), |(_, k)| x[k] as f32);
            let found = flow.density(&parameters, row.view()).unwrap()[[0, 0]];
            assert!((f64::from(found) - wanted).abs() < 2e-3, "{dims}: {found} {wanted} at {x:?}");
        }
    }
}

/// The integral over the cube and its margin is 1; the margin's share is what drawing anew leaves out.
#[test]
fn the_density_has_the_integral_one() {
    // Not so far that much of it crowds at an edge, between two places of the grid.
    let (flow, parameters) = stir(Flow::new(2).unwrap(), 0.3, 1);
    // 200 places along each coordinate.
    let side = 200;
    let edge = 1.0 + MARGIN;
    let place = |i: usize| edge * (2.0 * (i as f64 + 0.5) / side as f64 - 1.0);
    let x = Array2::from_shape_fn((side * side, 2), |(i, k)| place(if k == 0 { i / side } else { i % side }) as f32);
    let p = flow.density(&parameters, x.view()).unwrap();
    let cell = (2.0 * edge / side as f64).powi(2);
    let total: f64 = p.column(0).iter().map(|ln| f64::from(*ln).exp() * cell).sum();
    assert!((total - 1.0).abs() < 5e-3, "{total}");
    // A fresh one is nearly uniform.
    let fresh = flow.initialise(Seed(1)).unwrap();
    let p = flow.density(&fresh, uniform(500, 2, 1).mapv(|v| 0.9 * v).view()).unwrap();
    assert!(p.column(0).iter().all(|ln| (ln.exp() / 0.25 - 1.0).abs() < 0.5));
}

#[test]
fn slopes_of_the_density_are_differences() {
    for dims in [1, 2, 4] {
        let (flow, parameters) = stir(Flow::smooth(dims).unwrap(), 1.0, 11);
        let x = uniform(30, dims, 5).mapv(|v| 0.9 * v);
        let found = flow.density(&parameters, x.view()).unwrap();
        for k in 0..dims {
            let moved = |by: f32| {
                let mut x = x.clone();
                x.column_mut(k).mapv_inplace(|v| v + by);
                flow.density(&parameters, x.view()).unwrap().column(0).to_owned()
            };
            let step = 2e-3;
            for (i, (up, down)) in moved(step).iter().zip(moved(-step)).enumerate() {
                let (slope, found) = ((up - down) / (2.0 * step), found[[i, 1 + k]]);
                assert!((slope - found).abs() < 0.01 * (1.0 + found.abs()), "{dims} {k}: {slope} {found}");
            }
        }
    }
}

/// The gradient by every kind of parameter is its difference quotient: of density and slopes for a smooth flow, of the density
/// alone for one with monotone functions at its end.
#[test]
fn parameters_are_differentiated() {
    differentiated(Flow::smooth(3).unwrap(), 4);
    differentiated(Flow::new(3).unwrap(), 1);
}

fn differentiated(flow: Flow, outputs: usize) {
    let (flow, parameters) = stir(flow, 1.0, 2);
    let x = uniform(40, 3, 9).mapv(|v| 0.8 * v);
    let loss = |parameters: &Parameters| {
        let found = flow.density(parameters, x.view()).unwrap();
        found
            .rows()
            .into_iter()
            .map(|row| row.iter().take(outputs).map(|v| f64::from(*v).powi(2)).sum::<f64>())
            .sum::<f64>()
            / 40.0
    };
    // A step of plain descent is the gradient times the rate.
    let rate = 1e-3;
    let mut after = parameters.clone();
    let mut descent = Descent::new(Optimizer::Sgd { momentum: 0.0, nesterov: false, weight_decay: 0.0 }).unwrap();
    let squares: quadrat_nn::RowLosses =
        &|rows, found| Ok(found.clone().slice([0..rows.len(), 0..outputs]).square().sum_dim(1).squeeze_dim(1));
    descent.step(&flow, &mut after, x.view(), rate, squares).unwrap();
    for (i, (new, old)) in after.iter().zip(parameters.iter()).enumerate() {
        let gradient = f64::from(old.values()[0] - new.values()[0]) / rate;
        let moved = |by: f32| {
            let mut parameters = parameters.clone();
            parameters.iter_mut().nth(i).unwrap().update(|v| v[0] += by);
            loss(&parameters)
        };
        let step = 4e-3;
        let quotient = (moved(step) - moved(-step)) / (2.0 * f64::from(step));
        assert!((quotient - gradient).abs() < 0.05 + 0.05 * quotient.abs(), "{}: {gradient} {quotient}", old.name);
    }
}

/// Points fall into 36 cells as often as the density says: Pearson's statistic of 4,000 points, at a level of one in a million.
#[test]
fn points_follow_the_density() {
    let (flow, parameters) = stirred(2, 4);
    let (x, ln_p) = flow.draw(&parameters, 4000, Seed(5)).unwrap();
    assert!(x.iter().all(|v| v.abs() <= 1.0));
    let again = flow.density(&parameters, x.view()).unwrap();
    assert!(ln_p.iter().zip(again.column(0)).all(|(a, b)| a == b));
    let (cells, fine) = (6, 240);
    let cell = |v: f64| (((v + 1.0) / 2.0 * cells as f64) as usize).min(cells - 1);
    let mut counts = vec![0.0; cells * cells];
    x.axis_iter(Axis(0)).for_each(|x| counts[cell(f64::from(x[0])) * cells + cell(f64::from(x[1]))] += 1.0);
    let place = |i: usize| 2.0 * (i as f64 + 0.5) / fine as f64 - 1.0;
    let grid = Array2::from_shape_fn((fine * fine, 2), |(i, k)| place(if k == 0 { i / fine } else { i % fine }) as f32);
    let p = flow.density(&parameters, grid.view()).unwrap();
    let mut masses = vec![0.0; cells * cells];
    for (x, ln) in grid.axis_iter(Axis(0)).zip(p.column(0)) {
        masses[cell(f64::from(x[0])) * cells + cell(f64::from(x[1]))] += f64::from(*ln).exp();
    }
    let total: f64 = masses.iter().sum();
    let statistic: f64 = counts
        .iter()
        .zip(&masses)
        .map(|(count, mass)| (count - 4000.0 * mass / total).powi(2) / (4000.0 * mass / total))
        .sum();
    // The chi-square quantile at 1 − 10⁻⁶ of 35 degrees.
    assert!(statistic < 89.5, "{statistic}");
}

#[test]
fn bits_do_not_depend_on_threads_and_bad_input_is_refused() {
    let (flow, parameters) = stirred(2, 4);
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| flow.draw(&parameters, 700, Seed(5)).unwrap())
    };
    assert_eq!(run(1), run(2));
    let message = Flow::new(33).unwrap_err().to_string();
    assert!(message.contains("33") && message.contains("rad"), "{message}");
    assert!(Flow::new(0).is_err());
    assert!(flow.density(&parameters, Array2::zeros((1, 3)).view()).is_err());
    assert!(flow.density(&parameters, Array2::from_elem((1, 2), f32::NAN).view()).is_err());
    let heights = tensor_of(Array2::zeros((2, 5)).view(), false);
    assert!(Monotone::apply(heights, Jet::first_order(tensor_of(Array2::zeros((1, 2)).view(), false))).is_err());
}
