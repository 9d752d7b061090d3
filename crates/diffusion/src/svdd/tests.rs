mod toy;

use super::*;
use crate::{AncestralKernel, Grid, Level, MaskedKernel, MixtureDenoiser, Prediction, Reveal, Schedule, Solver};
use crate::{data_prediction, denoiser_fn, on_rows, stack};
use ndarray::{Array1, Array2, ArrayView2, array};
use quadrat_core::{Params, Silent, stats};
use quadrat_numeric::mixture::{Covariances, Mixture};
use rayon::ThreadPoolBuilder;
use std::sync::atomic::{AtomicUsize, Ordering};
use toy::{ALPHA, Toy};

fn svdd(candidates: usize, alpha: f64) -> Svdd {
    Svdd { candidates, alpha, replace: false }
}

/// The theorem: all of the probability sent through p*, step by step, ends at p exp(r/α), to rounding.
#[test]
fn the_soft_optimal_chain_ends_at_its_target() {
    let toy = Toy::new();
    let (mut law, values) = (vec![0.0; toy::STATES], toy.soft_values());
    law[toy::STATES - 1] = 1.0;
    for _ in 0..toy::LENGTH {
        let mut next = vec![0.0; toy::STATES];
        for (state, p) in law.iter().enumerate().filter(|(_, p)| **p > 0.0) {
            for (to, chance) in toy.transitions(state) {
                next[to] += p * chance * ((values[to] - values[state]) / ALPHA).exp();
            }
        }
        assert!((next.iter().sum::<f64>() - 1.0).abs() < 1e-12, "p* is a distribution");
        law = next;
    }
    let target = toy.target();
    let off = target.iter().map(|(state, p)| (law[*state] - p).abs()).fold(0.0, f64::max);
    assert!(off < 1e-12, "off by {off}");
}

/// With exact values SVDD goes to its target as M grows; one candidate is the model itself. Distances have a noise of
/// about 0.02.
#[test]
fn exact_values_converge_and_posterior_means_overshoot() {
    let toy = Toy::new();
    let kernel = toy.kernel();
    let (values, target) = (toy.soft_values(), toy.target());
    let exact = |states: &[Vec<u32>], _: usize| Ok(states.iter().map(|s| values[toy::number(s)]).collect());
    let n = 10_000;
    let run = |candidates, value| {
        let found = svdd(candidates, ALPHA).draw(&kernel, value, &toy::reward, n, Seed(5), &Silent).unwrap();
        (toy::distance(&found.samples, &target), stats::mean(&found.rewards))
    };
    let distances: Vec<(f64, f64)> = [1, 2, 5, 20].map(|m| run(m, Value::Given(&exact))).to_vec();
    let wanted = toy.mean_reward(&target);
    assert!(distances.windows(2).all(|pair| pair[0].0 > pair[1].0 && pair[0].1 < pair[1].1), "{distances:?}");
    assert!(distances[0].0 > 0.5 && distances[3].0 < 0.08, "{distances:?}");
    assert!((distances[3].1 - wanted).abs() < 0.1, "{distances:?} for {wanted}");
    let biased: Vec<(f64, f64)> = [10, 50].map(|m| run(m, Value::PosteriorMean)).to_vec();
    assert!(biased[1].0 > 0.08 && biased[1].1 > wanted + 0.1, "{biased:?}");
}

/// Pearson's statistic against its 1 - 1e-6 quantile.
fn assert_follows(samples: &[Vec<u32>], law: &[(usize, f64)]) {
    let (counts, n) = (toy::counts(samples), samples.len() as f64);
    let statistic: f64 = law.iter().map(|(s, p)| (counts[*s] - n * p).powi(2) / (n * p)).sum();
    let p = stats::chi_square_tail(statistic, law.len() as f64 - 1.0);
    assert!(p > 1e-6, "chi-square {statistic} over {} texts", law.len());
}

/// One candidate, a reward that says nothing, and ties at alpha 0 leave the model as it is.
#[test]
fn nothing_to_choose_by_leaves_the_model() {
    let toy = Toy::new();
    let (kernel, base) = (toy.kernel(), toy.base());
    let same = |states: &[Vec<u32>]| Ok(vec![3.0; states.len()]);
    for (method, reward) in
        [(svdd(1, ALPHA), &toy::reward as Reward<Vec<u32>>), (svdd(4, 0.3), &same), (svdd(4, 0.0), &same)]
    {
        let found = method.draw(&kernel, Value::PosteriorMean, reward, 20_000, Seed(6), &Silent).unwrap();
        assert_follows(&found.samples, &base);
        assert!(found.forbidden == 0 && found.ess.iter().all(|e| (e - method.candidates as f64).abs() < 1e-9));
    }
    let one = BestOf { candidates: 1 }.draw(&kernel, &toy::reward, 20_000, Seed(7), &Silent).unwrap();
    assert_follows(&one.samples, &base);
}

/// Of several samples the best: P(r < t) is that of one to their number's power.
#[test]
fn the_best_of_several_has_their_maximum() {
    let toy = Toy::new();
    let (n, candidates) = (4000, 5);
    let found = BestOf { candidates }.draw(&toy.kernel(), &toy::reward, n, Seed(8), &Silent).unwrap();
    assert_eq!((found.value_calls, found.model_calls), (n * candidates, n * candidates * toy::LENGTH));
    for most in 0..5 {
        let below = |(s, p): &(usize, f64)| if toy::reward_of(*s) <= most as f64 { *p } else { 0.0 };
        let one: f64 = toy.base().iter().map(below).sum();
        let want = one.powi(candidates as i32);
        let share = found.rewards.iter().filter(|r| **r <= most as f64).count() as f64 / n as f64;
        // Five standard errors: one alarm in two million.
        assert!((share - want).abs() < 5.0 * (want * (1.0 - want) / n as f64).sqrt() + 1e-3, "{share} for {want}");
    }
}

/// Particles end at the target even by biased values, when they are many: the values cancel.
#[test]
fn many_particles_are_exact_by_posterior_means() {
    let toy = Toy::new();
    let (target, smc) = (toy.target(), Smc { particles: 20_000, alpha: ALPHA });
    let found = smc.draw(&toy.kernel(), Value::PosteriorMean, &toy::reward, 1, Seed(9), &Silent).unwrap();
    let (distance, mean) = (toy::distance(&found.samples, &target), stats::mean(&found.rewards));
    // Noise alone: 0.026 in the distance, 0.02 in the mean (a few percent of the particles carry most of the weight).
    assert!(distance < 0.06, "{distance}");
    assert!((mean - toy.mean_reward(&target)).abs() < 0.08, "{mean}");
    assert!(found.ess.iter().all(|e| (1.0..=20_000.0).contains(e)));
    // With two particles a group hardly leaves the model.
    let few = Smc { particles: 2, ..smc };
    let few = few.draw(&toy.kernel(), Value::PosteriorMean, &toy::reward, 2000, Seed(9), &Silent).unwrap();
    assert_eq!(few.samples.len(), 4000);
    assert!(toy::distance(&few.samples, &target) > 0.3);
}

/// Data of two normals and r = -|x - c|²: the target is a mixture again, and v = α (ln q - ln p) of the noised laws, up to
/// a constant.
#[test]
fn a_mixture_drawn_to_a_point_is_the_tilted_mixture() {
    let mixture = Mixture {
        weights: array![0.7, 0.3],
        means: array![[-1.0, 0.0], [1.2, 0.5]],
        covariances: Covariances::Spherical(array![0.15, 0.1]),
    };
    let (alpha, centre) = (2.0f64, array![0.6, 0.3]);
    let denoiser = MixtureDenoiser::new(mixture).unwrap();
    let target = denoiser.given(Array2::eye(2).view(), centre.view(), (alpha / 2.0).sqrt()).unwrap();
    let plan = Solver::Ddpm.plan(Schedule::linear(), &Grid::LogSnr, 100).unwrap();
    let (kernel, levels) = (AncestralKernel::new(&denoiser, &plan).unwrap(), plan.levels());
    let value = |states: &[Vec<f64>], done: usize| {
        let (x, at) = (stack(states), &levels[done]);
        let (q, p) = (target.log_density(x.view(), at)?, denoiser.log_density(x.view(), at)?);
        Ok(q.iter().zip(p).map(|(q, p)| alpha * (q - p)).collect())
    };
    let reward =
        on_rows(|x: ArrayView2<f64>| Ok(x.outer_iter().map(|row| -(&row - &centre).mapv(|v| v * v).sum()).collect()));
    let n = 1000;
    let draw = |method: Svdd, value| method.draw(&kernel, value, &reward, n, Seed(10), &Silent).unwrap();
    let moments = |samples: &[Vec<f64>]| {
        let x = stack(samples);
        let shares = target.mixture().responsibilities(x.view()).unwrap();
        (x.mean_axis(ndarray::Axis(0)).unwrap(), shares.column(0).mean().unwrap())
    };
    let Mixture { weights, means, .. } = target.mixture();
    let mean: Array1<f64> = weights.dot(means);
    let (found, share) = moments(&draw(svdd(16, alpha), Value::Given(&value)).samples);
    // Five standard errors of 1,000 draws are 0.15 and 0.08; steps and candidates that are not many enough may take one
    // or two.
    let off = (&found - &mean).mapv(f64::abs);
    assert!(off.iter().all(|v| *v < 0.16), "{found} for {mean}");
    assert!((share - weights[0]).abs() < 0.08, "{share} for {}", weights[0]);
    let (_, base) = moments(&draw(svdd(1, alpha), Value::Given(&value)).samples);
    assert!(base > weights[0] + 0.15, "the model itself has {base}");
}

/// What is forbidden is never drawn while there is something else; where there is not, any is kept and counted.
#[test]
fn forbidden_samples_are_left_out_and_counted() {
    let toy = Toy::new();
    let kernel = toy.kernel();
    let no_zero =
        |states: &[Vec<u32>]| Ok(states.iter().map(|s| if s.contains(&0) { f64::NEG_INFINITY } else { 1.0 }).collect());
    let all = |states: &[Vec<u32>]| Ok(vec![f64::NEG_INFINITY; states.len()]);
    // A text with a 0 is dead at once; by the posterior mean it may look so before, and then nothing else is left.
    let dead = |states: &[Vec<u32>], _: usize| no_zero(states);
    for alpha in [0.0, 1.0] {
        let found = svdd(60, alpha).draw(&kernel, Value::Given(&dead), &no_zero, 50, Seed(11), &Silent).unwrap();
        assert!(found.forbidden == 0 && found.samples.iter().all(|s| !s.contains(&0)));
        let found = svdd(3, alpha).draw(&kernel, Value::PosteriorMean, &all, 20_000, Seed(12), &Silent).unwrap();
        assert_eq!(found.forbidden, 20_000 * toy::LENGTH);
        assert_follows(&found.samples, &toy.base());
    }
    for method in [Svdd { replace: true, ..svdd(3, 1.0) }, Svdd { replace: true, ..svdd(1, 1.0) }] {
        let found = method.draw(&kernel, Value::PosteriorMean, &all, 30, Seed(12), &Silent).unwrap();
        assert_eq!((found.forbidden, found.ess), (30 * toy::LENGTH, vec![0.0; toy::LENGTH]));
    }
    let smc = Smc { particles: 4, alpha: 1.0 };
    let found = smc.draw(&kernel, Value::PosteriorMean, &all, 6, Seed(12), &Silent).unwrap();
    assert_eq!((found.forbidden, found.samples.len()), (6 * toy::LENGTH, 24));
}

/// Only rewards over alpha, up to a constant, count: to the bit, where they are whole numbers.
#[test]
fn the_unit_and_the_zero_of_rewards_do_not_matter() {
    let toy = Toy::new();
    let kernel = toy.kernel();
    let moved = |states: &[Vec<u32>]| Ok(toy::reward(states)?.iter().map(|r| 4.0 * r - 1024.0).collect());
    for replace in [false, true] {
        let draw = |alpha, reward: Reward<Vec<u32>>| {
            let method = Svdd { replace, ..svdd(6, alpha) };
            method.draw(&kernel, Value::PosteriorMean, reward, 200, Seed(13), &Silent).unwrap()
        };
        let (one, other) = (draw(0.5, &toy::reward), draw(2.0, &moved));
        assert_eq!((one.samples, one.ess), (other.samples, other.ess));
    }
    // Tiny alphas are alpha 0, and huge ones the model: nothing overflows.
    let mean = |alpha| {
        let found = svdd(6, alpha).draw(&kernel, Value::PosteriorMean, &moved, 500, Seed(13), &Silent).unwrap();
        stats::mean(&found.rewards)
    };
    assert_eq!(mean(1e-300), mean(0.0));
    assert!(mean(1e300) < mean(1.0));
}

/// The bits depend on neither threads nor, without replacement, on the other samples; and M candidates cost M calls a
/// step.
#[test]
fn same_bits_and_no_wasted_calls() {
    let asked = AtomicUsize::new(0);
    let exact = MixtureDenoiser::kernel(array![[-1.0, 0.0], [1.0, 1.0]].view(), 0.3).unwrap();
    let counted = denoiser_fn(2, Prediction::Data, |x: ArrayView2<f64>, at: &Level| {
        asked.fetch_add(x.nrows(), Ordering::Relaxed);
        data_prediction(&exact, x, at)
    });
    let steps = 12;
    let plan = Solver::Ddpm.plan(Schedule::linear(), &Grid::LogSnr, steps).unwrap();
    let kernel = AncestralKernel::new(&counted, &plan).unwrap();
    let reward = |x: &[Vec<f64>]| Ok(x.iter().map(|x| x[0] - x[1]).collect());
    let draw = |replace, n, threads| {
        let pool = ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let method = Svdd { replace, ..svdd(7, 0.2) };
        pool.install(|| method.draw(&kernel, Value::PosteriorMean, &reward, n, Seed(14), &Silent)).unwrap()
    };
    for replace in [false, true] {
        let found = draw(replace, 9, 1);
        assert_eq!(found, draw(replace, 9, 2));
        asked.store(0, Ordering::Relaxed);
        draw(replace, 9, 2);
        assert_eq!(asked.load(Ordering::Relaxed), found.model_calls);
        assert_eq!(found.model_calls, 9 + 9 * 7 * (steps - 1), "the last step draws nothing");
        assert_eq!((found.value_calls, found.ess.len()), (9 * 7 * (steps - 1) + 9, steps));
    }
    assert_eq!(draw(false, 5, 2).samples, draw(false, 9, 2).samples[..5]);
    let smc = |threads| {
        let pool = ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let smc = Smc { particles: 7, alpha: 0.2 };
        pool.install(|| smc.draw(&kernel, Value::PosteriorMean, &reward, 3, Seed(14), &Silent)).unwrap()
    };
    assert_eq!(smc(1), smc(2));
    assert_eq!(smc(1).model_calls, 3 * 7 * steps);
}

/// Replacement makes copies: higher rewards, fewer different samples.
#[test]
fn replacement_has_higher_rewards_and_fewer_different_samples() {
    let toy = Toy::new();
    let draw = |replace| {
        let method = Svdd { replace, ..svdd(3, 1.0) };
        method.draw(&toy.kernel(), Value::PosteriorMean, &toy::reward, 400, Seed(15), &Silent).unwrap()
    };
    let different = |samples: &[Vec<u32>]| toy::counts(samples).iter().filter(|c| **c > 0.0).count();
    let (plain, replaced) = (draw(false), draw(true));
    // Means of about 3 and 4.5, with standard errors of 0.06.
    assert!(stats::mean(&replaced.rewards) > stats::mean(&plain.rewards) + 0.3);
    assert!(different(&replaced.samples) < different(&plain.samples));
}

/// The reward's spread under the model.
#[test]
fn the_unit_of_alpha_is_measured() {
    let toy = Toy::new();
    let found = reward_deviation(&toy.kernel(), &toy::reward, 4000, Seed(16)).unwrap();
    let (law, mean) = (toy.base(), toy.mean_reward(&toy.base()));
    let variance: f64 = law.iter().map(|(s, p)| p * (toy::reward_of(*s) - mean).powi(2)).sum();
    // The standard error is below 1.5%.
    assert!((found / variance.sqrt() - 1.0).abs() < 0.075, "{found} for {}", variance.sqrt());
}

#[test]
fn what_cannot_be_drawn_is_refused() {
    let toy = Toy::new();
    let kernel = toy.kernel();
    let good: Reward<Vec<u32>> = &toy::reward;
    let refused = |method: Svdd, reward: Reward<Vec<u32>>, n, word: &str| {
        let error = method.draw(&kernel, Value::PosteriorMean, reward, n, Seed(1), &Silent).unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    };
    refused(svdd(0, 0.1), good, 3, "candidates: got 0");
    refused(svdd(2, -0.1), good, 3, "alpha: got -0.1");
    refused(svdd(2, f64::NAN), good, 3, "alpha");
    refused(svdd(2, f64::INFINITY), good, 3, "alpha");
    refused(Svdd { replace: true, ..svdd(2, 0.0) }, good, 3, "replace");
    refused(svdd(2, 0.1), good, 0, "samples: got 0");
    for wrong in [f64::NAN, f64::INFINITY] {
        let reward =
            move |states: &[Vec<u32>]| Ok((0..states.len()).map(|i| if i == 3 { wrong } else { 0.0 }).collect());
        refused(svdd(2, 0.1), &reward, 3, "for sample 3 of 6");
        assert!(BestOf { candidates: 2 }.draw(&kernel, &reward, 3, Seed(1), &Silent).is_err());
        let smc = Smc { particles: 3, alpha: 0.1 };
        assert!(smc.draw(&kernel, Value::PosteriorMean, &reward, 3, Seed(1), &Silent).is_err());
    }
    refused(svdd(2, 0.1), &|_: &[Vec<u32>]| Ok(vec![1.0]), 3, "1 of them; 6");
    refused(svdd(2, 0.1), &|_: &[Vec<u32>]| Err(Error::numeric("docking", "failed")), 3, "docking: failed");
    let short = |_: &[Vec<u32>], _: usize| Ok(vec![]);
    assert!(svdd(2, 0.1).draw(&kernel, Value::Given(&short), good, 3, Seed(1), &Silent).is_err());

    assert!(BestOf { candidates: 0 }.draw(&kernel, good, 3, Seed(1), &Silent).is_err());
    assert!(BestOf { candidates: 2 }.draw(&kernel, good, 0, Seed(1), &Silent).is_err());
    for (particles, alpha, groups) in [(0, 1.0, 1), (2, 0.0, 1), (2, -1.0, 1), (2, f64::NAN, 1), (2, 1.0, 0)] {
        let smc = Smc { particles, alpha };
        assert!(smc.draw(&kernel, Value::PosteriorMean, good, groups, Seed(1), &Silent).is_err());
    }
    let forbids = |states: &[Vec<u32>]| Ok(vec![f64::NEG_INFINITY; states.len()]);
    assert!(
        reward_deviation(&kernel, &forbids, 5, Seed(1)).is_err()
            && reward_deviation(&kernel, good, 1, Seed(1)).is_err()
    );

    let denoiser = MixtureDenoiser::kernel(array![[0.0]].view(), 1.0).unwrap();
    let plan = Solver::Ddim.plan(Schedule::linear(), &Grid::LogSnr, 4).unwrap();
    let ddim = AncestralKernel::new(&denoiser, &plan).unwrap();
    let reward = |x: &[Vec<f64>]| Ok(x.iter().map(|x| x[0]).collect());
    let draw = |m| svdd(m, 0.1).draw(&ddim, Value::PosteriorMean, &reward, 3, Seed(1), &Silent);
    assert!(draw(2).unwrap_err().to_string().contains("draws no noise"));
    assert!(draw(1).is_ok());
    let fill = |_: &[u32], _: &[usize], rows: &mut [f64]| {
        rows.fill(0.5);
        Ok(())
    };
    let at_once = MaskedKernel::new((2, 2), fill, vec![2, 2], Reveal::LikeliestLast(1)).unwrap();
    let reward = |x: &[Vec<u32>]| Ok(vec![0.0; x.len()]);
    assert!(svdd(2, 0.1).draw(&at_once, Value::PosteriorMean, &reward, 3, Seed(1), &Silent).is_err());
}

#[test]
fn settings_are_read() {
    let read = |params: &[(&str, &str)]| Svdd::from_params(&params.iter().copied().collect::<Params>());
    assert_eq!(read(&[]).unwrap(), Svdd::default());
    let given = read(&[("candidates", "20"), ("alpha", "0.5"), ("replace", "true")]).unwrap();
    assert_eq!(given, Svdd { candidates: 20, alpha: 0.5, replace: true });
    for wrong in [("candidates", "0"), ("alpha", "-1"), ("alpha", "nan"), ("replace", "perhaps")] {
        assert!(read(&[wrong]).is_err(), "{wrong:?}");
    }
}
