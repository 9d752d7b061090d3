use super::*;
use proptest::prelude::*;
use quadrat_core::{Rng, Seed};

fn run(text: &str) -> Result<f64, Stopped> {
    let language = StraightLine::default();
    let steps = language.trace(&language.statements(text))?;
    Ok(steps.last().and_then(|step| step.answer).unwrap_or(f64::NAN))
}

#[test]
fn arithmetic_is_the_usual_one() {
    for (expression, value) in [
        ("1 + 2 * 3", 7.0),
        ("(1 + 2) * 3", 9.0),
        ("8 - 2 - 1", 5.0),
        ("8 / 2 / 2", 2.0),
        ("-2 ^ 2", -4.0),
        ("2 ^ 3 ^ 2", 512.0),
        ("2 ** -1", 0.5),
        ("2 * -3", -6.0),
        ("- - 3", 3.0),
        (".5 + 1.", 1.5),
        ("max(2, min(9, 4)) + abs(0 - 1)", 5.0),
        ("floor(2.7) + ceil(2.1) + round(2.5)", 8.0),
        ("sqrt(16) + ln(exp(1))", 5.0),
    ] {
        let got = run(&format!("answer = {expression}")).unwrap();
        assert!((got - value).abs() < 1e-12, "{expression}: {got}");
    }
    assert_eq!(run("n0 = 3.0 # apples\n\n  n1=4\nanswer = n0*n1").unwrap(), 12.0);
    assert_eq!(run("a = 1\na = a + 1\nanswer = a").unwrap(), 2.0);
}

#[test]
fn what_does_not_run_stops_with_a_reason() {
    let deep = format!("answer = {}1{}", "(".repeat(100), ")".repeat(100));
    let minus = format!("answer = {}1", "-".repeat(10_000));
    let long = "a = 1\n".repeat(257);
    for (text, statement, part) in [
        ("answer 3", 1, "has no `=`"),
        ("a = 1\n2b = 3", 2, "`2 b` is no name"),
        ("answer = b", 1, "`b` is not known"),
        ("answer = 1 / (2 - 2)", 1, "division by zero"),
        ("answer = 10 ^ 16", 1, "numbers up to 1e15"),
        ("answer = sqrt(0 - 1)", 1, "NaN"),
        ("answer = (1 + 2", 1, "not closed"),
        ("answer = max(1 2)", 1, "not closed"),
        ("answer = 1 2", 1, "left over"),
        ("answer = ", 1, "the end"),
        ("answer = 1 + )", 1, "`)` where"),
        ("answer = 1.2.3", 1, "no number"),
        ("answer = exec(1)", 1, "no function"),
        ("answer = max(1)", 1, "no function"),
        ("answer = é", 1, "`é` is not known"),
        ("answer = ?", 1, "`?` where"),
        (&deep, 1, "nested more than 64"),
        (&minus, 1, "nested more than 64"),
        (&long, 257, "more than 256"),
    ] {
        let stopped = run(text).unwrap_err();
        assert_eq!(stopped.statement, statement, "{text}");
        assert!(stopped.to_string().contains(part), "{text}: {stopped}");
    }
}

#[test]
fn states_are_values_without_names() {
    let language = StraightLine::default();
    let last = |text: &str| language.trace(&language.statements(text)).unwrap().pop().unwrap().state;
    for (one, other, same) in [
        ("a = 3\nb = 4", "y = 4\nx = 3", true),
        ("a = 0.1 + 0.2", "a = 0.3", true),
        ("a = 1 / 3 * 3", "a = 1", true),
        ("a = 0 * -1", "a = 0", true),
        ("a = 3 * 4", "a = 10 + 2", true),
        ("a = 3\na = 4", "a = 4", true),
        ("a = 3\nb = 3", "a = 3", false),
        ("a = 1.00001", "a = 1", false),
        ("a = 2", "a = 0 - 2", false),
    ] {
        assert_eq!(last(one) == last(other), same, "{one} / {other}");
    }
}

proptest! {
    #[test]
    fn no_text_breaks_the_interpreter(text in "[a-c0-9=+*/^(), .\\-\n#]{0,80}|\\PC{0,40}") {
        let language = StraightLine::default();
        let program = language.statements(&text);
        if let Ok(steps) = language.trace(&program) {
            prop_assert_eq!(steps.len(), program.len());
        }
    }
}

const TASK: &str = "a = 3 * 4\nb = a + 5\nanswer = b / 2";

fn buffer() -> SolutionBuffer<StraightLine> {
    SolutionBuffer::seed(StraightLine::default(), TASK, 8.5).unwrap()
}

#[test]
fn every_outcome_has_its_case() {
    use Outcome::*;
    // In this order: what was kept before counts.
    let mut known = buffer();
    for (text, outcome) in [
        ("answer = 1 / 0", NotExecutable),
        ("", NoMatch),
        ("answer = 4", NoMatch),
        (TASK, Duplicate),
        ("a = 3 * 4", Prefix),
        ("c = 5 + 5\nz = c * 2", NoMatch),
        // Twice the same value is another state than once: only the first statement is kept.
        ("q = 12\nr = 12", Partial),
        ("q = 12\nanswer = 3", Duplicate),
        ("x = 4 * 3\ny = x + 5\nanswer = 3", Partial),
        ("x = 4 * 3\ny = x + 5", Duplicate),
        ("x = 4 * 3", Prefix),
        ("x = 4 * 3\ny = x + 5\nanswer = y / 2", Full),
        // The partial program above has given way to it.
        ("x = 4 * 3\ny = x + 5\nanswer = 9", Prefix),
        ("a = 3 * 4\nb = a + 5\nc = b\nanswer = c / 2", Prefix),
        ("k = 6\nk = k * 2\nl = k + 5\nanswer = l / 2", TooLong),
        ("answer = 17 / 2", Full),
        // Shorter than the reference: from now on nothing as long as that is taken.
        ("v = 17\nanswer = v / 2", TooLong),
        ("answer = 34 / 4", Full),
    ] {
        assert_eq!(known.offer(text), outcome, "{text:?}");
    }
    assert_eq!((known.counts().offered(), known.counts().of(Full)), (18, 3));
    assert_eq!(known.targets(100).len(), 1 + 3 + 1);
    let targets: Vec<bool> = known.targets(5).into_iter().map(|(_, full)| full).collect();
    assert_eq!(targets, [true, true, true, true, false]);
    assert_eq!(known.targets(1)[0].0.join("\n"), TASK);
    assert!(known.solves("v = 17\nanswer = v / 2") && !known.solves("answer = 8") && !known.solves("answer = )"));
}

#[test]
fn independent_statements_may_be_swapped() {
    let mut known =
        SolutionBuffer::seed(StraightLine::default(), "a = 2 * 3\nb = 4 + 5\nc = a * b\nanswer = c", 54.0).unwrap();
    assert_eq!(known.offer("b = 4 + 5\na = 2 * 3\nanswer = 0"), Outcome::Partial);
}

/// A random program around the task: often near the reference, sometimes nonsense.
fn random_program(rng: &mut Rng) -> String {
    let lines = [
        "a = 3 * 4",
        "a = 4 * 3",
        "x = 12",
        "b = a + 5",
        "b = 5 + a",
        "y = x + 5",
        "answer = b / 2",
        "answer = y / 2",
        "answer = 8.5",
        "answer = 3",
        "c = a",
        "a = 1 / 0",
        "b = 17",
        "x = 2 * 6",
        "answer = b * 0.5",
        "",
    ];
    (0..rng.below(6)).map(|_| lines[rng.below(lines.len())]).collect::<Vec<_>>().join("\n")
}

/// What holds of a buffer whatever it was offered.
fn check(known: &SolutionBuffer<StraightLine>) {
    let language = StraightLine::default();
    let all: Vec<&Vec<String>> = known.full().iter().chain(known.partial()).collect();
    for program in known.full() {
        assert!(known.solves(&program.join("\n")), "{program:?}");
    }
    for (i, program) in known.partial().iter().enumerate() {
        let others = all.iter().enumerate().filter(|(j, _)| *j != known.full().len() + i);
        for (_, other) in others {
            assert!(program.is_empty() || !other.starts_with(program), "{program:?} begins {other:?}");
        }
        assert!(language.trace(program).unwrap().iter().all(|step| known.knows(&step.state) && step.answer.is_none()));
    }
    for program in known.full() {
        let steps = language.trace(program).unwrap();
        assert!(steps[..steps.len() - 1].iter().all(|step| known.knows(&step.state)));
    }
    assert!(known.partial()[0].is_empty());
    assert_eq!(known.full()[0].join("\n"), TASK);
}

#[test]
fn buffers_stay_sound_under_a_hundred_thousand_offers() {
    for round in 0..100 {
        let mut rng = Seed(5).rng(round);
        let mut known = buffer();
        for _ in 0..1000 {
            let text = random_program(&mut rng);
            let before = (known.full().len(), known.partial().len());
            match known.offer(&text) {
                Outcome::Full => assert_eq!(known.full().len(), before.0 + 1),
                Outcome::Partial => assert!(known.partial().len() <= before.1 + 1 && known.full().len() == before.0),
                _ => assert_eq!((known.full().len(), known.partial().len()), before),
            }
        }
        check(&known);
        assert_eq!(known.counts().offered(), 1000);
    }
}

#[test]
fn a_cap_drops_the_oldest_beginnings() {
    let mut known = buffer().with_cap(2).unwrap();
    assert_eq!(known.offer("x = 4 * 3"), Outcome::Partial);
    assert_eq!(known.offer("y = 6 * 2"), Outcome::Partial);
    assert_eq!((known.counts().dropped, known.partial().len()), (1, 2));
    assert_eq!(known.partial()[1], ["y = 6 * 2"]);
    assert!(buffer().with_cap(0).is_err());
}

#[test]
fn beginnings_are_drawn_alike() {
    let mut known = buffer();
    known.offer("x = 4 * 3");
    known.offer("y = 6 * 2");
    let (mut rng, mut drawn) = (Seed(1).rng(0), [0.0; 3]);
    let n = 3000.0;
    for _ in 0..n as usize {
        let prefix = known.prefix(&mut rng).to_vec();
        drawn[known.partial().iter().position(|p| *p == prefix).unwrap()] += 1.0;
    }
    // Chi-square with 2 degrees of freedom: above 27.6 once in a million.
    assert!(drawn.iter().map(|d| (d - n / 3.0f64).powi(2) / (n / 3.0)).sum::<f64>() < 27.6);
}

#[test]
fn references_that_are_no_solution_are_refused() {
    for (text, part) in [
        ("answer = 1 /", "statement 1: the end"),
        ("answer = 8", "got 8.0, not 8.5"),
        ("a = 8.5", "no answer"),
        ("", "no answer"),
    ] {
        let error = SolutionBuffer::seed(StraightLine::default(), text, 8.5).unwrap_err().to_string();
        assert!(error.contains(part), "{text}: {error}");
    }
}

#[test]
fn pass_at_k_has_its_values() {
    // Chen et al.'s formula, computed in exact fractions.
    for (n, c, k, value) in
        [(100, 5, 10, 0.416_247_633_1), (10, 3, 1, 0.3), (20, 1, 20, 1.0), (5, 0, 3, 0.0), (4, 4, 1, 1.0)]
    {
        assert!((pass_at_k(n, c, k).unwrap() - value).abs() < 1e-10, "{n} {c} {k}");
    }
    // The mean over all subsets.
    for n in 1..=8usize {
        for c in 0..=n {
            for k in 1..=n {
                let subsets = (0u32..1 << n).filter(|s| s.count_ones() as usize == k);
                let (mut all, mut hit) = (0.0, 0.0);
                for subset in subsets {
                    all += 1.0;
                    hit += f64::from(u8::from(subset & ((1 << c) - 1) != 0));
                }
                assert!((pass_at_k(n, c, k).unwrap() - hit / all).abs() < 1e-12);
            }
        }
    }
    for (n, c, k) in [(5, 0, 6), (5, 0, 0), (5, 6, 1), (0, 0, 1)] {
        assert!(pass_at_k(n, c, k).is_err(), "{n} {c} {k}");
    }
}
