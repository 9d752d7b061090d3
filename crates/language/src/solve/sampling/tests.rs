use super::*;
use crate::solve::{Outcome, StraightLine};
use quadrat_core::Silent;

fn tasks() -> Vec<Task<f64>> {
    let one = |(a, b): (u32, u32)| Task {
        problem: format!("{a} bags of {b} apples and 1 more"),
        program: format!("t = {a} * {b}\nanswer = t + 1"),
        answer: f64::from(a * b + 1),
    };
    (2..6).flat_map(|a| (2..5).map(move |b| (a, b))).map(one).collect()
}

fn settings() -> SelfSampling {
    SelfSampling { epochs: 60, batch: 6, width: 32, layers: 1, tokens: 16, rate: 1e-2, ..SelfSampling::default() }
}

#[test]
fn words_come_back() {
    let words = Words::of(["n0 = 3.5 apples", "n0 = 12 ** 2\nanswer = n0 + ab_c1", "(x)"]);
    for text in ["n0 = 3.5 ** 12", "answer = ( n0 + ab_c1 )", "x = 5 . 3"] {
        let program = StraightLine::default().statements(text);
        let tokens = words.program(&program, true).unwrap();
        assert_eq!(*tokens.last().unwrap(), END);
        assert_eq!(
            StraightLine::default().statements(&words.text(&tokens)),
            program.iter().map(|p| p.replace("5 . 3", "5.3")).collect::<Vec<_>>()
        );
    }
    assert!(words.program(&["y = 1".to_owned()], true).unwrap_err().to_string().contains("y = 1"));
    assert!(words.problem("nobody knows 3").contains(&0));
    assert_eq!(words.text(&[999]), "<unknown>");
}

#[test]
fn a_solver_learns_more_ways_than_it_was_shown() {
    let tasks = tasks();
    let learnt = settings().fit(&tasks, StraightLine::default(), Seed(1), &Silent).unwrap();
    let counts = learnt.counts;
    assert_eq!(counts.offered(), 12 * 42);
    assert!(counts.of(Outcome::Duplicate) > 0, "{counts:?}");
    let problems: Vec<&str> = tasks.iter().map(|task| task.problem.as_str()).collect();
    let programs = learnt.solver.solve(&problems, 4, 0.5, Seed(2)).unwrap();
    let right =
        programs.iter().zip(&learnt.buffers).flat_map(|(programs, buffer)| programs.iter().map(|p| buffer.solves(p)));
    assert!(right.filter(|right| *right).count() > 24, "half of 48");
    assert_eq!(learnt.solver.solve(&problems, 4, 0.5, Seed(2)).unwrap(), programs);
}

#[test]
fn objectives_and_arms_run() {
    let tasks = tasks();
    for objective in [Targets::Mle, Targets::Mml, Targets::BetaMml { beta: 0.25 }, Targets::MleAug { mean: true }] {
        for partial in [true, false] {
            let settings = SelfSampling { objective, partial, epochs: 3, alone: 0.0, ..settings() };
            let learnt = settings.fit(&tasks[..4], StraightLine::default(), Seed(1), &Silent).unwrap();
            assert_eq!(learnt.counts.offered(), 12);
        }
    }
    let reference = SelfSampling { samples: 0, epochs: 2, ..settings() };
    assert_eq!(reference.fit(&tasks, StraightLine::default(), Seed(1), &Silent).unwrap().counts.offered(), 0);
}

#[test]
fn bad_tasks_are_named() {
    let mut tasks = tasks();
    tasks[2].answer = 0.0;
    let error = |tasks: &[Task<f64>], settings: SelfSampling| {
        settings.fit(tasks, StraightLine::default(), Seed(1), &Silent).unwrap_err().to_string()
    };
    assert!(error(&tasks, settings()).starts_with("task 3: "), "{}", error(&tasks, settings()));
    assert!(error(&[], settings()).contains("0 tasks"));
    assert!(error(&tasks[..1], SelfSampling { width: 20, ..settings() }).contains("multiple of 8"));
    let learnt =
        SelfSampling { epochs: 1, ..settings() }.fit(&tasks[..1], StraightLine::default(), Seed(1), &Silent).unwrap();
    assert!(
        learnt.solver.solve(&["2"], 1, 0.0, Seed(1)).is_err() && learnt.solver.solve(&["2"], 0, 1.0, Seed(1)).is_err()
    );
    let long = "3 ".repeat(100);
    assert!(learnt.solver.solve(&[&long], 1, 1.0, Seed(1)).is_err());
}
