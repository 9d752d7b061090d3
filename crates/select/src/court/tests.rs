use super::*;
use crate::{Cost, Needs, Selection, build};
use ndarray::Array2;
use quadrat_core::{Area, Card, Params, Silent};

/// Always the rows of lowest number, or rows of class 0 only.
struct Narrow;

static NARROW: Card = Card {
    slug: "narrow",
    aliases: &[],
    title: "",
    paper: "",
    area: Area::Select,
    verbs: &["select"],
    summary: "",
    useful_when: "",
    cost: "",
    params: &[],
};

impl Selector for Narrow {
    fn card(&self) -> &'static Card {
        &NARROW
    }
    fn needs(&self) -> Needs {
        Needs::default()
    }
    fn cost(&self, _: usize, _: usize, _: usize) -> Cost {
        Cost { operations: 0.0, bytes: 0.0 }
    }
    fn select(&self, pool: &Pool, budget: usize, _: Seed, _: &dyn Progress) -> Result<Selection> {
        let classes = pool.classes.as_deref().unwrap();
        Ok(Selection::of((0..pool.rows).filter(|row| classes[*row] == 0).take(budget).collect()))
    }
}

/// Three classes in the plane that a network tells apart nearly always.
fn case() -> Case {
    let mut rng = Seed(5).rng(0);
    let classes: Vec<u32> = (0..240).map(|i| i % 3).collect();
    let place = |i: usize, j: usize| f64::from(u8::from(classes[i] as usize == j));
    let x = Array2::from_shape_fn((240, 3), |(i, j)| place(i, j) + 0.2 * rng.normal());
    Case { pool: Pool::of_points(Points::F64(x)).with_classes(classes), raw: None, gaps: None }
}

fn court() -> Court {
    let network = Mlp { hidden: 8, batch: 8, learning_rate: 0.01, ..Mlp::default() };
    Court { budgets: vec![12, 30], repeats: 4, visits: 1200, network, ..Court::default() }
}

fn selectors() -> Vec<Box<dyn Selector>> {
    let named = |name| build(name, &Params::none()).unwrap();
    vec![named("random"), named("top-score"), Box::new(Narrow)]
}

fn hear(before: Vec<Trial>) -> Vec<Trial> {
    court().hear(&case(), &selectors(), before, Seed(1), &mut |_| Ok(()), &Silent).unwrap()
}

fn accuracies(mut trials: Vec<Trial>) -> Vec<(String, usize, usize, Option<f64>)> {
    trials.sort_by(|a, b| (&a.method, a.budget, a.repeat).cmp(&(&b.method, b.budget, b.repeat)));
    trials.into_iter().map(|t| (t.method, t.budget, t.repeat, t.outcome.accuracy())).collect()
}

#[test]
fn a_selector_that_leaves_classes_out_loses_to_random_and_one_without_scores_refuses() {
    let trials = hear(Vec::new());
    assert_eq!(trials.len(), 2 * 4 * 4);
    for budget in court().budgets {
        let standings = court().judge(&trials, budget);
        let of = |name: &str| standings.iter().find(|s| s.method == name).unwrap();
        assert_eq!(of("narrow").ruling, Some(Ruling::Worse), "{standings:?}");
        assert_eq!((of("random").ruling, of("top-score").ruling), (None, None));
        assert!(of("random").accuracy > 0.8 && of("rs2").accuracy > 0.8, "{standings:?}");
        assert_eq!((of("random").minus_random.low, of("random").minus_random.high), (0.0, 0.0));
        assert!(of("top-score").refused.as_deref().unwrap().contains("scores"));
        assert_eq!(standings.last().map(|s| s.method.as_str()), Some("top-score"));
    }
}

/// By made-up accuracies: nothing is a win for random, and what a run could have seen is said.
#[test]
fn what_is_not_shown_stays_undecided() {
    let gain = |method: &str, repeat: usize| -> f64 {
        let noise = [1.0, -1.0, 0.5, -0.5, 0.2, -0.2, 0.8, -0.8][repeat % 8];
        match method {
            "better" => 0.1 + 0.01 * noise,
            "worse" => -0.1 + 0.01 * noise,
            "alike" => 0.001 * noise,
            "noisy" => 0.03 + 0.1 * noise,
            _ => 0.0,
        }
    };
    let methods = ["random", "rs2", "better", "worse", "alike", "noisy"];
    let trial = |method: &str, repeat| Trial {
        method: method.to_owned(),
        budget: 5,
        repeat,
        outcome: Outcome::Trained { accuracy: 0.6 + gain(method, repeat), select_seconds: 0.0, train_seconds: 0.0 },
    };
    let trials: Vec<Trial> = (0..8).flat_map(|repeat| methods.map(|method| trial(method, repeat))).collect();
    let standings = Court::default().judge(&trials, 5);
    let of = |name: &str| standings.iter().find(|s| s.method == name).unwrap();
    for (name, ruling) in [
        ("better", Ruling::Better),
        ("worse", Ruling::Worse),
        ("alike", Ruling::NoBetter),
        ("noisy", Ruling::Undecided),
    ] {
        assert_eq!(of(name).ruling, Some(ruling), "{:?}", of(name));
    }
    let (reach, seen) = (of("noisy").minus_random.high - of("noisy").minus_random.mean, of("noisy").resolution);
    assert!(seen > reach && seen < 3.0 * reach, "{seen} {reach}");
    let wide = Court { margin: 0.5, ..Court::default() }.judge(&trials, 5);
    assert_eq!(wide.iter().find(|s| s.method == "noisy").unwrap().ruling, Some(Ruling::NoBetter));
    // One repetition decides nothing.
    let once: Vec<Trial> = trials.into_iter().filter(|t| t.repeat == 0).collect();
    let alone = Court::default().judge(&once, 5);
    assert!(alone.iter().all(|s| s.method == "random" || s.ruling == Some(Ruling::Undecided)));
}

#[test]
fn a_court_that_was_stopped_goes_on_and_threads_do_not_matter() {
    let whole = hear(Vec::new());
    let part: Vec<Trial> = whole.iter().step_by(3).cloned().collect();
    assert_eq!(accuracies(hear(part)), accuracies(whole.clone()));
    let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    assert_eq!(accuracies(one.install(|| hear(Vec::new()))), accuracies(whole));
}

/// What fills a gap is learnt from the rows to choose from: other values on the other side change nothing.
#[test]
fn gaps_are_filled_by_rows_to_choose_from() {
    let with_gaps = |test: &[usize], value: f64| {
        let mut case = case();
        let mut x = case.pool.points.as_ref().unwrap().to_f64().into_owned();
        x.column_mut(1).indexed_iter_mut().for_each(|(row, v)| *v = if row % 5 == 0 { f64::NAN } else { row as f64 });
        test.iter().filter(|row| **row % 5 > 0).for_each(|row| x[[*row, 1]] = value);
        case.pool.points = Some(Points::F64(x));
        Case { gaps: Some(Fill::Median), ..case }
    };
    let groups: Vec<u32> = (0..240).map(|i| i / 10).collect();
    for apart in [Apart::Any, Apart::Groups(groups), Apart::Times((0..240).map(f64::from).collect())] {
        let court = Court { apart, ..court() };
        let (train, test) = court.sides(240, Seed(3)).unwrap();
        let split = |value| court.split(&with_gaps(&test, value), Seed(3), &Silent).unwrap();
        let (one, other) = (split(7.0), split(1e6));
        assert_eq!(one.x, other.x);
        let mut there: Vec<usize> = train.iter().copied().filter(|row| row % 5 > 0).collect();
        there.sort_unstable();
        let half = there.len() / 2;
        let median = (there[(there.len() - 1) / 2] + there[half]) as f64 / 2.0;
        for (at, row) in train.iter().enumerate().filter(|(_, row)| **row % 5 == 0) {
            assert_eq!(one.x[[at, 1]], median, "row {row}");
        }
        let gap = test.iter().position(|row| row % 5 == 0).unwrap();
        assert_eq!((one.test_x[[gap, 1]], other.test_x[[gap, 1]]), (median, median));
    }
    let heard = |case: &Case| court().hear(case, &selectors(), Vec::new(), Seed(1), &mut |_| Ok(()), &Silent);
    assert!(heard(&with_gaps(&[], 0.0)).is_ok());
    assert!(heard(&Case { gaps: None, ..with_gaps(&[], 0.0) }).is_err(), "a gap that nothing fills");
}

#[test]
fn groups_and_times_stay_apart() {
    let groups: Vec<u32> = (0..240).map(|i| i % 12).collect();
    let by_groups = Court { apart: Apart::Groups(groups.clone()), ..court() };
    let mut seen = Vec::new();
    for repeat in 0..4 {
        let (train, test) = by_groups.sides(240, repetition(Seed(1), repeat)).unwrap();
        assert_eq!(train.len() + test.len(), 240);
        assert!(test.iter().all(|row| train.iter().all(|other| groups[*row] != groups[*other])));
        seen.push(test);
    }
    seen.dedup();
    assert!(seen.len() > 1, "each repetition draws its own groups");
    assert_eq!(by_groups.rows_to_choose_from(240, Seed(1)).unwrap(), 200);
    let by_time = Court { apart: Apart::Times((0..240).rev().map(f64::from).collect()), ..court() };
    assert_eq!(by_time.sides(240, Seed(1)).unwrap().1, (0..48).collect::<Vec<_>>());
    assert!(by_time.rows_to_choose_from(239, Seed(1)).unwrap_err().to_string().contains("239"));
}

#[test]
fn what_does_not_fit_is_an_error() {
    let refuse = |court: Court, case: &Case, selectors: &[Box<dyn Selector>]| {
        let heard = court.hear(case, selectors, Vec::new(), Seed(0), &mut |_| Ok(()), &Silent);
        heard.unwrap_err().to_string()
    };
    for (court, part) in [
        (Court { budgets: Vec::new(), ..court() }, "budgets"),
        (Court { budgets: vec![193], ..court() }, "1 to 192"),
        (Court { budgets: vec![0], ..court() }, "budget"),
        (Court { repeats: 1, ..court() }, "repetitions"),
        (Court { test_share: 1.0, ..court() }, "test share"),
        (Court { margin: -0.1, ..court() }, "margin"),
    ] {
        let error = refuse(court, &case(), &selectors());
        assert!(error.contains(part), "{error}");
    }
    let bare = Case { pool: Pool::of_rows(240), raw: None, gaps: None };
    assert!(refuse(court(), &bare, &selectors()).contains("points"));
    assert!(refuse(court(), &case(), &selectors()[1..]).contains("random"));
    let twice: Vec<_> = selectors().into_iter().chain(selectors()).collect();
    assert!(refuse(court(), &case(), &twice).contains("twice"));
}
