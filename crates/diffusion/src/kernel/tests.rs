use super::*;
use crate::{
    Denoiser, First, Form, Grid, Level, MixtureDenoiser, Plan, Prediction, Relaxation, Schedule, Solver, Step,
};
use crate::{data_prediction, denoiser_fn};
use ndarray::{ArrayView2, array};
use quadrat_core::{Error, Seed, stats};

/// Five standard errors: one alarm in two million.
fn assert_near(found: f64, want: f64, se: f64) {
    assert!((found - want).abs() < 5.0 * se, "{found} for {want} ± {se}");
}

/// The Gaussian posterior q(xₛ | xₜ, x₀) at x₀ = the prediction, mean and variance, on three schedules.
#[test]
fn ancestral_steps_are_draws_of_the_posterior() {
    let denoiser = MixtureDenoiser::kernel(array![[-1.0], [0.5], [2.0]].view(), 0.3).unwrap();
    for schedule in [Schedule::linear(), Schedule::edm(), Schedule::Flow] {
        let plan = Solver::Ddpm.plan(schedule, &Grid::LogSnr, 8).unwrap();
        let (kernel, levels) = (AncestralKernel::new(&denoiser, &plan).unwrap(), plan.levels());
        for step in [0, 4, 7] {
            let (from, to) = (levels[step], levels[step + 1]);
            let state = vec![0.7 * from.alpha + 0.4 * from.sigma];
            let answer = kernel.ask(std::slice::from_ref(&state), step).unwrap().remove(0);
            let d = data_prediction(&denoiser, stack(std::slice::from_ref(&state)).view(), &from).unwrap()[[0, 0]];
            assert_eq!((answer[0], kernel.clean(&state, &answer)[0]), (d, d));
            let ratio = (to.sigma / from.sigma).powi(2) * from.alpha / to.alpha;
            let mean = to.alpha * d + ratio * (state[0] - from.alpha * d);
            let variance = to.sigma.powi(2) * (1.0 - ratio * from.alpha / to.alpha);
            let mut rng = Seed(3).rng(step as u64);
            let n = 20_000;
            let drawn: Vec<f64> = (0..n).map(|_| kernel.propose(&state, &answer, step, &mut rng)[0]).collect();
            assert_eq!(kernel.is_stochastic(step), step < 7);
            let root = (n as f64).sqrt();
            assert_near(stats::mean(&drawn), mean, variance.sqrt() / root + 1e-12);
            let spread = stats::standard_deviation(&drawn).powi(2);
            assert_near(spread, variance, variance * 2f64.sqrt() / root + 1e-12);
        }
    }
}

/// η of the plan: the deterministic solver draws nothing, a half of the noise has less of it.
#[test]
fn less_noise_has_less_spread() {
    let denoiser = MixtureDenoiser::kernel(array![[0.0]].view(), 1.0).unwrap();
    let schedule = Schedule::linear();
    let times = Grid::LogSnr.times(&schedule, 5).unwrap();
    let spread = |eta: f64| {
        let plan = Plan::uniform(schedule.clone(), times.clone(), Step { eta, ..Step::FIRST }).unwrap();
        let kernel = AncestralKernel::new(&denoiser, &plan).unwrap();
        assert_eq!((0..5).any(|step| kernel.is_stochastic(step)), eta > 0.0);
        let mut rng = Seed(1).rng(0);
        let drawn: Vec<f64> = (0..4000).map(|_| kernel.propose(&vec![0.3], &vec![0.3], 1, &mut rng)[0]).collect();
        stats::standard_deviation(&drawn)
    };
    let (none, half, all) = (spread(0.0), spread(0.5), spread(1.0));
    // A standard deviation of 4,000 draws is within 8% of the true one but once in a million.
    assert!(none < 1e-12 && (half / all - 0.5).abs() < 0.06, "{none} {half} {all}");
}

fn even(_: &[u32], _: &[usize], rows: &mut [f64]) -> Result<()> {
    rows.chunks_exact_mut(2).for_each(|row| row.copy_from_slice(&[0.25, 0.75]));
    Ok(())
}

/// From time t to s a place stays hidden by the chance s/t, whichever the others do, and tokens follow the model's row.
#[test]
fn masked_steps_have_the_chances_of_the_schedule() {
    for (reveal, last) in [(Reveal::Drawn(4), 0.75), (Reveal::LikeliestLast(4), 1.0)] {
        let kernel = MaskedKernel::new((2, 9), even, vec![9, 1, 9], reveal).unwrap();
        let n = 20_000;
        for (step, uncovered) in [(0, 0.25), (1, 1.0 / 3.0), (3, 1.0)] {
            let (mut first, mut both, mut ones) = (0.0, 0.0, 0.0);
            for i in 0..n {
                let mut rng = Seed(7).rng(i);
                let start = kernel.start(&mut rng);
                let answer = kernel.ask(std::slice::from_ref(&start), step).unwrap().remove(0);
                let next = kernel.propose(&start, &answer, step, &mut rng);
                assert_eq!(next[1], 1, "a prompt stays");
                first += f64::from(u8::from(next[0] != 9));
                both += f64::from(u8::from(next[0] != 9 && next[2] != 9));
                ones += f64::from(u8::from(next[0] == 1));
            }
            let se = |p: f64| (p * (1.0 - p) / n as f64).sqrt() + 1e-12;
            assert_near(first / n as f64, uncovered, se(uncovered));
            assert_near(both / n as f64, uncovered * uncovered, se(uncovered * uncovered));
            let ones_want = uncovered * if step == 3 { last } else { 0.75 };
            assert_near(ones / n as f64, ones_want, se(ones_want));
        }
        assert_eq!((kernel.is_stochastic(2), kernel.is_stochastic(3)), (true, reveal == Reveal::Drawn(4)));
    }
}

#[test]
fn one_a_step_uncovers_each_place_as_often() {
    let kernel = MaskedKernel::new((2, 2), even, vec![2, 0, 2, 2], Reveal::OneAStep).unwrap();
    assert_eq!(kernel.steps(), 3);
    let mut counts = [0.0; 4];
    for i in 0..9000 {
        let mut rng = Seed(8).rng(i);
        let start = kernel.start(&mut rng);
        let answer = kernel.ask(std::slice::from_ref(&start), 0).unwrap().remove(0);
        assert_eq!(kernel.clean(&start, &answer), [1, 0, 1, 1]);
        let next = kernel.propose(&start, &answer, 0, &mut rng);
        let uncovered: Vec<usize> = (0..4).filter(|place| next[*place] != start[*place]).collect();
        assert_eq!(uncovered.len(), 1);
        counts[uncovered[0]] += 1.0;
        let mut text = next;
        for step in 1..3 {
            let answer = kernel.ask(std::slice::from_ref(&text), step).unwrap().remove(0);
            text = kernel.propose(&text, &answer, step, &mut rng);
        }
        assert!(!text.contains(&2));
    }
    for count in [counts[0], counts[2], counts[3]] {
        assert_near(count / 9000.0, 1.0 / 3.0, (2.0 / 9.0 / 9000.0f64).sqrt());
    }
}

#[test]
fn what_makes_no_kernel_is_refused() {
    let mixture = MixtureDenoiser::kernel(array![[0.0, 1.0]].view(), 0.5).unwrap();
    let plan = |solver: Solver| solver.plan(Schedule::linear(), &Grid::LogSnr, 6).unwrap();
    for solver in [Solver::Heun, Solver::Dpmpp2m, Solver::Dpm2s, Solver::Dpmpp2mSde, Solver::Unipc] {
        assert!(AncestralKernel::new(&mixture, &plan(solver)).is_err(), "{solver:?}");
    }
    assert!(AncestralKernel::new(&mixture, &plan(Solver::Ddim)).is_ok(), "it draws nothing, but is a step");
    let changes: &[fn(&mut Plan)] = &[
        |plan| plan.first = First::Noise,
        |plan| plan.steps[1].form = Form::Noise,
        |plan| plan.steps[2].relaxation = Relaxation::Bh2,
        |plan| plan.times[2] = plan.times[1],
        |plan| plan.steps.clear(),
    ];
    for change in changes {
        let mut plan = plan(Solver::Ddpm);
        plan.steps[1].eta = 0.0;
        change(&mut plan);
        assert!(AncestralKernel::new(&mixture, &plan).is_err());
    }
    let nothing = denoiser_fn(0, Prediction::Data, |x: ArrayView2<f64>, _: &Level| Ok(x.to_owned()));
    assert_eq!(nothing.dims(), 0);
    assert!(AncestralKernel::new(&nothing, &plan(Solver::Ddpm)).is_err());

    let masked = |tokens, start: &[u32], reveal| MaskedKernel::new(tokens, even, start.to_vec(), reveal).is_err();
    assert!(masked((0, 0), &[0], Reveal::OneAStep), "no vocabulary");
    assert!(masked((2, 2), &[2, 3], Reveal::OneAStep), "a token outside");
    assert!(masked((2, 2), &[], Reveal::OneAStep), "an empty text");
    assert!(masked((2, 2), &[0, 1], Reveal::Drawn(3)), "nothing hidden");
    assert!(masked((2, 2), &[2], Reveal::Drawn(0)) && masked((2, 2), &[2], Reveal::LikeliestLast(0)), "no step");
}

#[test]
fn answers_of_models_are_looked_at() {
    let ask = |row: [f64; 3]| {
        let fill = move |_: &[u32], _: &[usize], rows: &mut [f64]| {
            rows.copy_from_slice(&row);
            Ok(())
        };
        MaskedKernel::new((3, 2), fill, vec![0, 2], Reveal::OneAStep).unwrap().ask(&[vec![0, 2]], 0)
    };
    assert!(ask([0.5, 0.5, 0.0]).is_ok());
    for row in [[0.5, 0.6, 0.0], [f64::NAN, 0.5, 0.5], [1.5, -0.5, 0.0], [0.5, 0.25, 0.25], [f64::INFINITY, 0.0, 0.0]] {
        assert!(ask(row).unwrap_err().to_string().contains("place 1"), "{row:?}");
    }
    let fails = |_: &[u32], _: &[usize], _: &mut [f64]| Err(Error::numeric("model", "out of memory"));
    let kernel = MaskedKernel::new((3, 3), fails, vec![3], Reveal::OneAStep).unwrap();
    assert!(kernel.ask(&[vec![3]], 0).unwrap_err().to_string().contains("out of memory"));
    assert_eq!(kernel.ask(&[vec![1]], 1).unwrap(), [vec![0.0; 0]], "a finished text asks for nothing");
    let nan = denoiser_fn(1, Prediction::Data, |x: ArrayView2<f64>, _: &Level| Ok(&x * f64::NAN));
    let plan = Solver::Ddpm.plan(Schedule::linear(), &Grid::LogSnr, 3).unwrap();
    assert!(AncestralKernel::new(&nan, &plan).unwrap().ask(&[vec![1.0]], 0).is_err());
}
