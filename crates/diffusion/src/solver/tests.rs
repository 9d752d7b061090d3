use super::*;
use crate::{Level, MixtureDenoiser, Prediction, denoiser_fn, integrate};
use ndarray::{Array2, ArrayView2, array};
use proptest::prelude::*;
use quadrat_core::{Seed, Silent};
use quadrat_numeric::mixture::{Covariances, Mixture};

fn run(plan: &Plan, denoiser: &dyn crate::Denoiser, x: &Array2<f64>) -> Array2<f64> {
    integrate(plan, denoiser, x.clone(), Seed(1), &Silent).unwrap()
}

fn largest(a: &Array2<f64>, b: &Array2<f64>) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

/// Data N(0.5, 0.25²), predicted without error, for columns that do not know of each other.
fn gaussian(dims: usize) -> impl crate::Denoiser {
    denoiser_fn(dims, Prediction::Noise, |x: ArrayView2<f64>, at: &Level| {
        let variance = at.alpha * at.alpha * 0.0625 + at.sigma * at.sigma;
        Ok(x.mapv(|x| at.sigma * (x - at.alpha * 0.5) / variance))
    })
}

/// diffusers 0.42.1's 1,000 steps of "linear".
fn table() -> Schedule {
    let betas: Vec<f64> = (0..1000).map(|i| 1e-4 + (0.02 - 1e-4) * f64::from(i) / 999.0).collect();
    Schedule::from_betas(&betas).unwrap()
}

/// Its step numbers as times: step k stands at time k + 1.
fn steps(numbers: &[f64]) -> Grid {
    Grid::Given(numbers.iter().map(|k| k + 1.0).collect())
}

/// End states of diffusers 0.42.1 (alphas there in single precision) from the start (1, -0.5, 2).
#[test]
fn diffusers_ends_are_reached() {
    let leading = steps(&[900., 800., 700., 600., 500., 400., 300., 200., 100., 0.]);
    let trailing = steps(&[999., 899., 799., 699., 599., 499., 399., 299., 199., 99.]);
    let linspace = steps(&[999., 899., 799., 699., 599., 500., 400., 300., 200., 100.]);
    let five = steps(&[999., 799., 599., 400., 200.]);
    for (solver, grid, calls, golden) in [
        (Solver::Ddim, &leading, 10, [0.64519458, 0.42559771, 0.79159250]),
        (Solver::Ddim, &trailing, 10, [0.63932131, 0.42967344, 0.77908656]),
        (Solver::Ddim, &linspace, 10, [0.63856204, 0.43005667, 0.77756559]),
        (Solver::Dpmpp2m, &linspace, 10, [0.64380229, 0.42741150, 0.78806284]),
        (Solver::Dpmpp2m, &five, 5, [0.58001386, 0.45961063, 0.66028267]),
        (Solver::Dpmpp2mHeun, &linspace, 10, [0.64441559, 0.42710192, 0.78929145]),
        (Solver::Unipc, &linspace, 10, [0.64453201, 0.42704314, 0.78952459]),
    ] {
        let plan = solver.plan(table(), grid, calls).unwrap();
        let found = run(&plan, &gaussian(3), &array![[1.0, -0.5, 2.0]]);
        let off = largest(&found, &array![[golden[0], golden[1], golden[2]]]);
        assert!(off < 1e-5, "{solver:?}: {found} is off by {off}");
    }
}

/// End states of k-diffusion 0.1.1.post1, with every noise draw left out.
#[test]
fn k_diffusions_ends_are_reached() {
    let schedule = Schedule::Exploding { sigma: [0.02, 10.0] };
    for (solver, calls, golden) in [
        (Solver::Ddim, 5, [0.65458513, 0.41050334, 0.81730633]),
        (Solver::Heun, 9, [0.85151888, 0.29648907, 1.22153875]),
        (Solver::Dpm2s, 9, [0.79269497, 0.33054502, 1.10079494]),
        (Solver::Dpmpp2m, 5, [0.72930846, 0.36724247, 0.97068578]),
        (Solver::Dpmpp2mHeun, 5, [0.75613247, 0.35171278, 1.02574560]),
    ] {
        let plan = solver.plan(schedule.clone(), &Grid::Karras, calls).unwrap();
        assert_eq!(plan.calls(), calls);
        let found = run(&plan, &gaussian(3), &array![[10.0, -5.0, 20.0]]);
        let off = largest(&found, &array![[golden[0], golden[1], golden[2]]]);
        assert!(off < 1e-6, "{solver:?}: {found} is off by {off}");
    }
}

/// A smooth law in two dimensions.
fn smooth() -> MixtureDenoiser {
    let means = array![[-0.6, 0.2], [0.5, 0.4], [0.1, -0.7]];
    let covariances = Covariances::Spherical(array![0.2, 0.25, 0.15]);
    MixtureDenoiser::new(Mixture { weights: array![0.4, 0.35, 0.25], means, covariances }).unwrap()
}

/// The slope of ln error against ln calls, between two numbers of calls, to the level of time `end`.
fn order(solver: Solver, calls: [usize; 2]) -> f64 {
    let schedule = Schedule::Exploding { sigma: [0.5, 10.0] };
    let x = array![[3.0, -8.0], [10.0, 4.0], [-6.0, -2.0]];
    let to_end = |solver: Solver, calls: usize| {
        // Without the step to clean data, whose length does not fall with the number of calls.
        let mut plan = solver.plan(schedule.clone(), &Grid::Karras, calls).unwrap();
        plan.steps.pop();
        plan.times.pop();
        if let Some(step) = plan.steps.last_mut() {
            step.corrector = Corrector::None;
        }
        run(&plan, &smooth(), &x)
    };
    let exact = to_end(Solver::Unipc3, 4000);
    let errors = calls.map(|calls| largest(&to_end(solver, calls), &exact));
    (errors[0] / errors[1]).ln() / (calls[1] as f64 / calls[0] as f64).ln()
}

/// Within half an order at so few calls: the first steps of multistep forms have lower orders, which shows later.
#[test]
fn solvers_converge_with_their_order() {
    for (solver, expected) in [
        (Solver::Ddim, 1.0),
        (Solver::Heun, 2.0),
        (Solver::Dpm2m, 2.0),
        (Solver::Dpm3m, 3.0),
        (Solver::Dpm2s, 2.0),
        (Solver::Dpm3s, 3.0),
        (Solver::Dpmpp2m, 2.0),
        (Solver::Dpmpp2mHeun, 2.0),
        (Solver::Dpmpp3m, 3.0),
        (Solver::Dpmpp2s, 2.0),
        (Solver::Unipc, 3.0),
        (Solver::Unipc3, 4.0),
        (Solver::Deis, 2.0),
        (Solver::Deis3, 3.0),
    ] {
        let found = order(solver, [49, 97]);
        assert!((found - expected).abs() < 0.45, "{solver:?} has order {found}, not {expected}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// Whatever the plan, one normal law's solution is the exact one in the limit, and every plan is a linear map of the start.
    #[test]
    fn plans_are_linear_for_normal_data(calls in 1..12usize, which in 0..17usize) {
        let solver = <Solver as quadrat_core::Choice>::CHOICES[which].value;
        let plan = solver.plan(Schedule::linear(), &Grid::LogSnr, calls).unwrap();
        prop_assert_eq!(plan.calls(), calls);
        if !plan.is_stochastic() {
            let at = |x: f64| run(&plan, &gaussian(1), &array![[x]])[[0, 0]];
            let middle = at(0.25);
            prop_assert!((0.5 * (at(-1.0) + at(1.5)) - middle).abs() < 1e-9 * (1.0 + middle.abs()));
        }
    }
}

/// In exact arithmetic these are the same solver.
#[test]
fn solvers_that_are_others_under_another_name() {
    let x = array![[0.5, -1.0], [0.1, 1.2]];
    let schedule = Schedule::linear();
    let grid = Grid::LogSnr;
    let ends = |plan: Plan| run(&plan, &smooth(), &x);
    let times = grid.times(&schedule, 8).unwrap();
    let own = |step: Step| Plan::uniform(schedule.clone(), times.clone(), step).unwrap();
    // DDIM in noise form and in data form, but for the step to clean data.
    let mut noise = own(Step { form: Form::Noise, ..Step::FIRST });
    noise.steps[7].form = Form::Data;
    let off = largest(&ends(noise), &ends(Solver::Ddim.plan(schedule.clone(), &grid, 8).unwrap()));
    assert!(off < 1e-12, "{off}");
    // UniP-2 with B₂, UniPC without its correctors, is DPM-Solver++(2M).
    let mut predictor = Solver::Unipc.plan(schedule.clone(), &grid, 8).unwrap();
    predictor.steps.iter_mut().for_each(|step| step.corrector = Corrector::None);
    let off = largest(&ends(predictor), &ends(Solver::Dpmpp2m.plan(schedule.clone(), &grid, 8).unwrap()));
    assert!(off < 1e-12, "{off}");
    // Solvers in λ do not see how the variance is kept: x/α on a path of α = 1 is the same path.
    let exploding = Schedule::Exploding { sigma: [1e-3, 1e3] };
    let levels: Vec<Level> = times.iter().map(|t| schedule.level(*t)).collect();
    let ratios = Grid::Given(levels[..8].iter().map(Level::ratio).collect());
    for solver in [Solver::Ddim, Solver::Dpmpp2m, Solver::Dpmpp3m, Solver::Unipc3, Solver::Deis3] {
        let a = ends(solver.plan(schedule.clone(), &grid, 8).unwrap());
        let scaled = &x / levels[0].alpha;
        let b = run(&solver.plan(exploding.clone(), &ratios, 8).unwrap(), &smooth(), &scaled);
        assert!(largest(&a, &b) < 1e-9, "{solver:?}");
    }
}

/// One normal law: x(0) = m + √(v/(v + s²)) (x - m), on a path of α = 1.
#[test]
fn the_closed_form_of_one_normal_law_is_reached() {
    let schedule = Schedule::Exploding { sigma: [1e-4, 20.0] };
    let x = array![[10.0, -5.0, 20.0]];
    let exact = x.mapv(|x| 0.5 + (0.0625f64 / (0.0625 + 400.0)).sqrt() * (x - 0.5));
    for (solver, within) in
        [(Solver::Unipc3, 1e-6), (Solver::Dpmpp3m, 1e-5), (Solver::Heun, 1e-3), (Solver::Ddim, 0.05)]
    {
        let found = run(&solver.plan(schedule.clone(), &Grid::LogSnr, 401).unwrap(), &gaussian(3), &x);
        assert!(largest(&found, &exact) < within, "{solver:?}: {found}");
    }
}

/// Ancestral steps keep the marginal laws: mean and variance of 20,000 samples, each within five standard errors (a false alarm in
/// 400,000 runs for each of the eight figures).
#[test]
fn ancestral_solvers_end_at_the_data() {
    let n = 20_000;
    for solver in [Solver::Ddpm, Solver::Dpmpp2mSde, Solver::Dpmpp3mSde] {
        let plan = solver.plan(Schedule::linear(), &Grid::LogSnr, 200).unwrap();
        let found = integrate(&plan, &gaussian(1), crate::noise(&plan, n, 1, Seed(5)), Seed(6), &Silent).unwrap();
        let mean = found.mean().unwrap();
        let variance = found.var(1.0);
        assert!((mean - 0.5).abs() < 5.0 * 0.25 / (n as f64).sqrt() + 2e-3, "{solver:?}: mean {mean}");
        assert!(
            (variance / 0.0625 - 1.0).abs() < 5.0 * (2.0 / n as f64).sqrt() + 0.02,
            "{solver:?}: variance {variance}"
        );
    }
}

#[test]
fn a_mean_may_stand_for_the_first_answer() {
    let mut plan = Solver::Dpmpp2m.plan(Schedule::linear(), &Grid::LogSnr, 6).unwrap();
    let asked = run(&plan, &gaussian(2), &array![[0.2, -0.3]]);
    plan.first = First::Mean(vec![0.5, 0.5]);
    let told = run(&plan, &gaussian(2), &array![[0.2, -0.3]]);
    assert!(largest(&asked, &told) < 0.01);
    plan.first = First::Mean(vec![0.5]);
    assert!(integrate(&plan, &gaussian(2), array![[0.2, -0.3]], Seed(1), &Silent).is_err());
}

#[test]
fn paths_end_and_starts_are_looked_at() {
    let plan = Solver::Ddim.plan(Schedule::linear(), &Grid::Uniform, 2).unwrap();
    let mut path = crate::Path::start(&plan, array![[0.1]], Seed(1)).unwrap();
    path.step(&gaussian(1)).unwrap();
    path.step(&gaussian(1)).unwrap();
    assert!(path.level().is_none());
    assert!(path.step(&gaussian(1)).is_err());
    assert!(integrate(&plan, &gaussian(1), array![[f64::NAN]], Seed(1), &Silent).is_err());
    assert!(integrate(&plan, &gaussian(1), array![[0.1, 0.2]], Seed(1), &Silent).is_err());
    assert!(Solver::Ddim.plan(Schedule::linear(), &Grid::Uniform, 0).is_err());
    let none = integrate(&plan, &gaussian(1), Array2::zeros((0, 1)), Seed(1), &Silent).unwrap();
    assert_eq!(none.dim(), (0, 1));
}
