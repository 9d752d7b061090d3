//! Selectors, weights and designs: what is asked, and what a single answer must be like.

use super::averages::{judge, plan, repeat};
use super::examiner::{Examiner, Halt};
use super::law::{Kind, Law};
use super::material::{CHOSEN, ROWS, choice, choice_edges};
use super::protocol::{Answer, Request};

/// Numbers that are equal but for rounding: relative to the larger.
pub const ROUNDING: f64 = 1e-6;

pub fn examine(x: &mut Examiner) -> Result<(), Halt> {
    let mut base = choice(x.seed, ROWS, CHOSEN);
    base.seed = x.new_seed();
    let first = valid(x, &mut base)?;
    x.same(&mut base, &first, "at once")?;
    for (about, mut edge) in choice_edges(x.seed) {
        x.about = about;
        edge.seed = x.new_seed();
        let answer = valid(x, &mut edge)?;
        x.same(&mut edge, &answer, "at once")?;
    }
    x.about = "";
    let too_many = Request { k: Some(ROWS + 1), ..base.clone() };
    x.impossible(too_many, "k = n + 1", x.book.kind == Kind::Weighted)?;
    if matches!(x.book.kind, Kind::Weighted | Kind::Design) {
        x.other_seeds(&base, &first)?;
    }
    let repetitions = plan(x, &base, &first)?;
    let seen = repeat(x, &base, &first, repetitions)?;
    x.same_at_the_end(&mut base, &first)?;
    for law in [Law::Answers, Law::Count, Law::Range, Law::Distinct, Law::Declared, Law::Weights] {
        x.book.holds(law, "all");
    }
    judge(x, &base, &first, &seen);
    Ok(())
}

/// An answer with all that a single one must have.
pub fn valid(x: &mut Examiner, request: &mut Request) -> Result<Answer, Halt> {
    let answer = x.answer(request)?;
    let (n, k) = (request.rows.len(), request.k.unwrap_or(0));
    let kind = x.book.kind;
    let sized =
        if kind == Kind::Selector { answer.rows.len() == k } else { answer.random_size || answer.rows.len() == k };
    let mut times = vec![0_usize; n];
    let mut outside = None;
    for row in &answer.rows {
        match times.get_mut(*row) {
            Some(times) => *times += 1,
            None => outside = Some(*row),
        }
    }
    let twice = times.iter().position(|times| *times > 1).filter(|_| kind != Kind::Weighted);
    let faults = [
        (Law::Range, outside.map(|row| format!("has row {row} of {n}"))),
        (Law::Count, (!sized).then(|| format!("has {} rows", answer.rows.len()))),
        (Law::Distinct, twice.map(|row| format!("has row {row} {} times", times[row]))),
        (Law::Declared, declared(&answer, n, k).filter(|_| kind == Kind::Design)),
        (Law::Weights, weights(&answer, kind, n, k)),
    ];
    for (law, fault) in faults {
        if let Some(how) = fault {
            return Err(x.broken(law, request, &how));
        }
        x.book.agrees(law);
    }
    Ok(answer)
}

/// What is wrong with stated inclusion probabilities.
fn declared(answer: &Answer, n: usize, k: usize) -> Option<String> {
    let stated = answer.inclusion.as_ref()?;
    if stated.len() != n {
        return Some(format!("has {} inclusion probabilities", stated.len()));
    }
    if let Some((row, p)) = stated.iter().enumerate().find(|(_, p)| !(**p > 0.0 && **p <= 1.0 + ROUNDING)) {
        return Some(format!("has inclusion probability {p} of row {row}"));
    }
    let sum: f64 = stated.iter().sum();
    ((sum - k as f64).abs() > ROUNDING * k as f64).then(|| format!("has inclusion probabilities with the sum {sum}"))
}

/// What is wrong with weights.
fn weights(answer: &Answer, kind: Kind, n: usize, k: usize) -> Option<String> {
    let Some(weights) = &answer.weights else {
        return (kind == Kind::Weighted).then(|| "has no weights".to_owned());
    };
    if weights.len() != answer.rows.len() {
        return Some(format!("has {} weights of {} rows", weights.len(), answer.rows.len()));
    }
    if let Some(bad) = weights.iter().find(|weight| **weight <= 0.0) {
        return Some(format!("has the weight {bad}"));
    }
    let differs = |(row, weight): (&usize, &f64)| {
        let wanted = 1.0 / inclusion(answer, *row, n, k);
        (!near(*weight, wanted)).then(|| format!("has the weight {weight} of row {row}, 1 / inclusion is {wanted}"))
    };
    answer.rows.iter().zip(weights).find_map(differs).filter(|_| kind == Kind::Design)
}

pub fn near(a: f64, b: f64) -> bool {
    (a - b).abs() <= ROUNDING * a.abs().max(b.abs())
}

/// The declared inclusion probability of a row: k / n where none is stated.
pub fn inclusion(answer: &Answer, row: usize, n: usize, k: usize) -> f64 {
    let stated = answer.inclusion.as_ref().and_then(|stated| stated.get(row).copied());
    stated.unwrap_or(k as f64 / n as f64).min(1.0)
}
