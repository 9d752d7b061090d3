//! Resamplers that add rows to the smaller classes.

use super::FALSE_ALARMS;
use super::book::Test;
use super::examiner::{Examiner, Halt};
use super::law::Law;
use super::material::{CLASSES, put, unbalanced, unbalanced_edges};
use super::protocol::{Answer, Request};
use super::statistics::{frequency_finds, frequency_p, frequency_repetitions};
use std::collections::BTreeMap;

/// The relative deviation that repetitions are planned for.
const DEVIATION: f64 = 1.0 / 3.0;

/// How far from its segment a new row may be, in units of each column's largest number: single precision does not make it.
const ROUNDING: f64 = 1e-6;

pub fn examine(x: &mut Examiner) -> Result<(), Halt> {
    let mut base = unbalanced(x.seed, &CLASSES);
    base.seed = x.new_seed();
    let (first, _) = valid(x, &mut base)?;
    x.same(&mut base, &first, "at once")?;
    for (about, mut edge) in unbalanced_edges(x.seed) {
        x.about = about;
        edge.seed = x.new_seed();
        let (answer, _) = valid(x, &mut edge)?;
        x.same(&mut edge, &answer, "at once")?;
    }
    x.about = "";
    let mut short = base.clone();
    short.labels.pop();
    x.impossible(short, "a request with one label too few", false)?;
    x.other_seeds(&base, &first)?;
    order(x, &base)?;
    x.same_at_the_end(&mut base, &first)?;
    for law in [Law::Answers, Law::Numbers, Law::Originals, Law::Classes, Law::Balance, Law::Segments] {
        x.book.holds(law, "all");
    }
    Ok(())
}

/// Where a new row lies: between two rows of the request, nearer to the first.
struct Between {
    near: usize,
    /// How far from the segment, and from its nearer end.
    off: f64,
    from_end: f64,
}

/// An answer with all that a single one must have, and where its new rows lie.
fn valid(x: &mut Examiner, request: &mut Request) -> Result<(Answer, Vec<Between>), Halt> {
    let answer = x.answer(request)?;
    for (law, fault) in [
        (Law::Numbers, numbers(request, &answer)),
        (Law::Originals, originals(request, &answer)),
        (Law::Classes, classes(request, &answer)),
        (Law::Balance, balance(request, &answer)),
    ] {
        if let Some(how) = fault {
            return Err(x.broken(law, request, &how));
        }
        x.book.agrees(law);
    }
    let sizes = sizes(request);
    let mut lie = Vec::new();
    for (i, (row, label)) in answer.points.iter().zip(&answer.labels).enumerate().skip(request.rows.len()) {
        match between(request, &sizes, row, label) {
            Some(found) if found.off <= ROUNDING => lie.push(found),
            found => {
                let off = found.map_or(f64::INFINITY, |found| found.off);
                let how = format!("has the new row {i} ({label}) {off:.2e} of a column's size away from all segments");
                return Err(x.broken(Law::Segments, request, &how));
            }
        }
    }
    x.book.agrees(Law::Segments);
    Ok((answer, lie))
}

fn numbers(request: &Request, answer: &Answer) -> Option<String> {
    let columns = request.rows.first().map_or(0, Vec::len);
    if answer.points.len() != answer.labels.len() {
        return Some(format!("has {} rows and {} labels", answer.points.len(), answer.labels.len()));
    }
    let (row, bad) = answer.points.iter().enumerate().find(|(_, row)| row.len() != columns)?;
    Some(format!("has {} numbers in row {row} where there are {columns} columns", bad.len()))
}

fn originals(request: &Request, answer: &Answer) -> Option<String> {
    if answer.points.len() < request.rows.len() {
        return Some(format!("has only {} rows", answer.points.len()));
    }
    let same = |i: &usize| {
        let bits = |row: &[f64]| row.iter().map(|v| v.to_bits()).collect::<Vec<u64>>();
        request.labels[*i] == answer.labels[*i] && bits(&request.rows[*i]) == bits(&answer.points[*i])
    };
    let changed = (0..request.rows.len()).find(|i| !same(i))?;
    let (was, is) = (&request.rows[changed], &answer.points[changed]);
    Some(format!(
        "has {is:?} ({}) as row {changed}, which was {was:?} ({})",
        answer.labels[changed], request.labels[changed]
    ))
}

fn counts(labels: &[String]) -> BTreeMap<&str, usize> {
    labels.iter().fold(BTreeMap::new(), |mut counts, label| {
        *counts.entry(label.as_str()).or_default() += 1;
        counts
    })
}

fn classes(request: &Request, answer: &Answer) -> Option<String> {
    let before = counts(&request.labels);
    let largest = before.values().copied().max().unwrap_or(0);
    let grown = answer.labels.iter().skip(request.labels.len());
    let bad = grown.into_iter().find(|label| before.get(label.as_str()).is_none_or(|count| *count == largest))?;
    Some(format!("has a new row of class {}", super::protocol::quote(bad)))
}

fn balance(request: &Request, answer: &Answer) -> Option<String> {
    let largest = counts(&request.labels).values().copied().max().unwrap_or(0);
    let after = counts(&answer.labels);
    let (class, count) = after.into_iter().find(|(_, count)| *count != largest)?;
    Some(format!("has {count} rows of class {class}, {largest} are due"))
}

/// The largest number of each column, in which distances are measured; 1 for a column of zeros.
fn sizes(request: &Request) -> Vec<f64> {
    let columns = request.rows.first().map_or(0, Vec::len);
    let size = |c: usize| request.rows.iter().map(|row| row[c].abs()).fold(0.0, f64::max);
    (0..columns).map(size).map(|size| if size > 0.0 { size } else { 1.0 }).collect()
}

/// The segment between two rows of a class that a row is nearest to.
fn between(request: &Request, sizes: &[f64], row: &[f64], label: &str) -> Option<Between> {
    let class: Vec<usize> = (0..request.rows.len()).filter(|i| request.labels[*i] == label).collect();
    let mut best: Option<Between> = None;
    for (at, a) in class.iter().enumerate() {
        for b in &class[at..] {
            let (from, to) = (&request.rows[*a], &request.rows[*b]);
            let (mut along, mut length) = (0.0, 0.0);
            for (((v, from), to), size) in row.iter().zip(from).zip(to).zip(sizes) {
                along += (v - from) * (to - from) / (size * size);
                length += (to - from).powi(2) / (size * size);
            }
            let lambda = if length > 0.0 { (along / length).clamp(0.0, 1.0) } else { 0.0 };
            let coordinates = row.iter().zip(from).zip(to).zip(sizes);
            let off = coordinates
                .map(|(((v, from), to), size)| ((v - from - lambda * (to - from)) / size).abs())
                .fold(0.0, f64::max);
            if best.as_ref().is_none_or(|best| off < best.off) {
                let near = if lambda <= 0.5 { *a } else { *b };
                best = Some(Between { near, off, from_end: lambda.min(1.0 - lambda) * length.sqrt() });
            }
        }
    }
    best
}

/// Rows in random order: the row that a new one is nearest to has any rank among those of its class. Of each answer one
/// new row of the smallest class counts, drawn at random, so that the binomial law is exact.
fn order(x: &mut Examiner, base: &Request) -> Result<(), Halt> {
    let smallest = counts(&base.labels).into_iter().min_by_key(|(_, count)| *count);
    let Some((class, size)) = smallest.map(|(class, count)| (class.to_owned(), count)) else { return Ok(()) };
    let (alpha, p) = (FALSE_ALARMS / size as f64, 1.0 / size as f64);
    let repetitions = frequency_repetitions(p, DEVIATION, alpha) as u64;
    let mut ranks = vec![0_u64; size];
    let (mut made, mut copies) = (0_u64, 0_u64);
    let mut request = base.clone();
    let mut order: Vec<usize> = (0..base.rows.len()).collect();
    let mut orders = x.seed.stream("orders").rng(0);
    for _ in 0..repetitions {
        orders.shuffle(&mut order);
        put(&mut request, base, &order);
        request.seed = x.new_seed();
        let (answer, lie) = valid(x, &mut request)?;
        x.book.agrees(Law::NoCopies);
        made += lie.len() as u64;
        copies += lie.iter().filter(|new| new.from_end <= ROUNDING).count() as u64;
        let labels = answer.labels.iter().skip(request.rows.len());
        let of_class: Vec<&Between> =
            lie.iter().zip(labels).filter(|(_, label)| **label == class).map(|(new, _)| new).collect();
        if let Some(new) = of_class.get(orders.below(of_class.len())) {
            ranks[request.labels[..new.near].iter().filter(|label| **label == class).count()] += 1;
        }
    }
    let share = format!("{copies} of {made} are copies");
    if copies == made {
        x.book.breaks(Law::NoCopies, share)
    } else {
        x.book.holds(Law::NoCopies, share)
    }
    let test = |(rank, hits): (usize, &u64)| Test {
        p: frequency_p(*hits, repetitions, p),
        measured: format!(
            "row {rank} of the smallest class: {:.2}% of {repetitions}, {:.2}% due",
            100.0 * *hits as f64 / repetitions as f64,
            100.0 * p
        ),
    };
    let tests = ranks.iter().enumerate().map(test).collect();
    x.book.tests(Law::Order, tests, alpha, repetitions, frequency_finds(repetitions, p, alpha));
    Ok(())
}
