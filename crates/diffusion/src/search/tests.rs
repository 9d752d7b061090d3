use super::*;
use crate::MixtureDenoiser;
use ndarray::array;

fn denoiser() -> MixtureDenoiser {
    let rows = array![[-1.0, 0.3], [1.0, 0.5], [0.2, -1.0], [0.4, -0.8], [-0.5, 0.9]];
    MixtureDenoiser::kernel(rows.view(), 0.15).unwrap()
}

fn search(settings: &SolverSearch, seed: u64) -> Found {
    let denoiser = denoiser();
    let schedule = Schedule::linear();
    let ends = EndPoints::new(&denoiser, &schedule, 64, Seed(9)).unwrap();
    settings.search(&schedule, Some(&[0.02, -0.02]), &|plan| ends.score(plan), Seed(seed), &Silent).unwrap()
}

#[test]
fn every_plan_has_the_calls_and_the_path_falls() {
    for calls in [1, 2, 5] {
        let settings = SolverSearch { calls, evaluations: 150, children: calls, ..SolverSearch::default() };
        let found = search(&settings, 1);
        assert!(found.scored.len() <= 150);
        for scored in &found.scored {
            scored.plan.check().unwrap();
            assert_eq!(scored.plan.calls(), calls, "{:?}", scored.plan);
        }
        assert!(found.path.windows(2).all(|pair| pair[1] <= pair[0]));
        assert!(found.best().unwrap().score <= found.best_named().unwrap().score);
    }
}

#[test]
fn a_search_finds_better_than_the_named() {
    let found = search(&SolverSearch { evaluations: 300, ..SolverSearch::default() }, 2);
    let (best, named) = (found.best().unwrap().score, found.best_named().unwrap().score);
    assert!(best < 0.9 * named, "{best} against {named}");
}

#[test]
fn same_seed_same_bits_at_one_and_two_threads() {
    let settings = SolverSearch { evaluations: 120, children: 20, ..SolverSearch::default() };
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| search(&settings, 3))
    };
    assert_eq!(with(1), with(2));
}

#[test]
fn scores_that_fail_are_never_the_best() {
    let schedule = Schedule::linear();
    let settings = SolverSearch { evaluations: 40, ..SolverSearch::default() };
    let nan = settings.search(&schedule, None, &|_| Ok(f64::NAN), Seed(1), &Silent);
    assert!(nan.unwrap_err().to_string().contains("no plan has a finite score"));
    let odd = |plan: &Plan| Ok(if plan.times[1] > 0.5 { f64::NAN } else { plan.times[1] });
    let found = settings.search(&schedule, None, &odd, Seed(1), &Silent).unwrap();
    assert!(found.best().unwrap().score.is_finite());
    let failing = settings.search(&schedule, None, &|_| Err(Error::input("x", 1, "2")), Seed(1), &Silent);
    assert!(failing.is_err());
    for wrong in [
        SolverSearch { calls: 0, ..settings },
        SolverSearch { evaluations: 0, ..settings },
        SolverSearch { spread: f64::NAN, ..settings },
        SolverSearch { crossover: 1.5, ..settings },
    ] {
        assert!(wrong.search(&schedule, None, &|_| Ok(1.0), Seed(1), &Silent).is_err(), "{wrong:?}");
    }
    assert!(EndPoints::new(&denoiser(), &schedule, 0, Seed(1)).is_err());
}
