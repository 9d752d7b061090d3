//! Selectors, weights and designs: what answers are like on average.

use super::book::Test;
use super::choice::{ROUNDING, inclusion, near, valid};
use super::examiner::{Examiner, Halt};
use super::law::{Kind, Law};
use super::material::put;
use super::protocol::{Answer, Request};
use super::statistics::{frequency_finds, frequency_p, frequency_repetitions, mean_finds, mean_p, mean_repetitions};
use super::{FALSE_ALARMS, HEAVIEST};
use quadrat_core::stats::mean;

/// The relative deviation that repetitions are planned for.
const DEVIATION: f64 = 0.2;

/// Fewest and most repetitions.
const FEWEST: f64 = 1000.0;
const MOST: f64 = 12_000.0;

/// Repetitions from which those of weights are planned; none of them is tested.
const PILOT: usize = 100;

/// What the sums over all rows are that weighted sums estimate: of ones, and of each column.
fn totals(base: &Request) -> Vec<(String, Vec<f64>)> {
    let columns = base.rows.first().map_or(0, Vec::len);
    let column = |c: usize| (format!("the sum of column {}", c + 1), base.rows.iter().map(|row| row[c]).collect());
    std::iter::once(("the number of rows".to_owned(), vec![1.0; base.rows.len()]))
        .chain((0..columns).map(column))
        .collect()
}

/// The level of each test.
fn alpha(kind: Kind, base: &Request) -> f64 {
    let n = base.rows.len();
    let tests = match kind {
        Kind::Selector => n,
        _ => 2 * n + totals(base).len(),
    };
    FALSE_ALARMS / tests as f64
}

/// How many repetitions find a [`DEVIATION`] of any row.
pub fn plan(x: &mut Examiner, base: &Request, first: &Answer) -> Result<usize, Halt> {
    let (n, k) = (base.rows.len(), base.k.unwrap_or(1));
    let alpha = alpha(x.book.kind, base);
    let wanted = match x.book.kind {
        Kind::Weighted => {
            let pilot = repeat(x, base, first, PILOT)?;
            // The mean of the squares where the mean is 1, from the rows that were seen: how heavy a row comes.
            let heavy = |row: &Vec<f64>| row.iter().map(|w| w * w).sum::<f64>() / row.iter().sum::<f64>();
            let heaviest = pilot.weights.iter().map(heavy).fold(n as f64 / k as f64, f64::max);
            mean_repetitions(heaviest - 1.0, HEAVIEST * n as f64 / k as f64, DEVIATION, alpha)
        }
        _ => {
            let rarest = (0..n).map(|row| inclusion(first, row, n, k)).fold(1.0, f64::min);
            frequency_repetitions(rarest.min(k as f64 / n as f64), DEVIATION, alpha)
        }
    };
    Ok(wanted.clamp(FEWEST, MOST) as usize)
}

/// What was chosen in all repetitions.
pub struct Seen {
    repetitions: usize,
    /// How often each row, and each place in the request, was chosen.
    rows: Vec<u64>,
    places: Vec<u64>,
    /// Of each row, its weight in each repetition; empty for designs and selectors.
    weights: Vec<Vec<f64>>,
    /// Of each total, its estimates divided by the truth; empty for selectors.
    totals: Vec<Vec<f64>>,
}

/// Asks for the rows in random order, with another seed every time.
pub fn repeat(x: &mut Examiner, base: &Request, first: &Answer, repetitions: usize) -> Result<Seen, Halt> {
    let (n, k, kind) = (base.rows.len(), base.k.unwrap_or(1), x.book.kind);
    let truths = if kind == Kind::Selector { Vec::new() } else { totals(base) };
    let sums: Vec<f64> = truths.iter().map(|(_, values)| values.iter().sum()).collect();
    let mut seen = Seen {
        repetitions,
        rows: vec![0; n],
        places: vec![0; n],
        weights: if kind == Kind::Weighted { vec![vec![0.0; repetitions]; n] } else { Vec::new() },
        totals: vec![vec![0.0; repetitions]; truths.len()],
    };
    let mut request = base.clone();
    let mut order: Vec<usize> = (0..n).collect();
    let mut orders = x.seed.stream("orders").rng(repetitions as u64);
    for r in 0..repetitions {
        orders.shuffle(&mut order);
        put(&mut request, base, &order);
        request.seed = x.new_seed();
        let answer = valid(x, &mut request)?;
        let follows = |place: usize| near(inclusion(&answer, place, n, k), inclusion(first, order[place], n, k));
        if let Some(place) = (0..n).find(|place| kind == Kind::Design && !follows(*place)) {
            let (row, now) = (order[place], inclusion(&answer, place, n, k));
            let before = inclusion(first, row, n, k);
            let how =
                format!("has inclusion probability {now} of a row that had {before} in another order of the rows");
            return Err(x.broken(Law::Declared, &request, &how));
        }
        let mut here = vec![false; n];
        for (i, place) in answer.rows.iter().enumerate() {
            let row = order[*place];
            here[*place] = true;
            let weight = match (&answer.weights, kind) {
                (Some(weights), Kind::Weighted) => weights[i],
                _ => 1.0 / inclusion(first, row, n, k),
            };
            if let Some(weights) = seen.weights.get_mut(row) {
                weights[r] += weight;
            }
            for (estimates, ((_, values), sum)) in seen.totals.iter_mut().zip(truths.iter().zip(&sums)) {
                estimates[r] += weight * values[row] / sum;
            }
        }
        if kind == Kind::Weighted
            && let Some(how) = too_heavy(&seen, r, n as f64 / k as f64, &order)
        {
            return Err(x.broken(Law::Weights, &request, &how));
        }
        for place in (0..n).filter(|place| here[*place]) {
            seen.rows[order[place]] += 1;
            seen.places[place] += 1;
        }
    }
    Ok(seen)
}

/// A weight, or an estimate, beyond what the tests allow for.
fn too_heavy(seen: &Seen, r: usize, mean: f64, order: &[usize]) -> Option<String> {
    let heavy = seen.weights.iter().position(|weights| weights[r] > HEAVIEST * mean);
    let place = |row: usize| order.iter().position(|of| *of == row).unwrap_or(0);
    heavy
        .map(|row| format!("gives row {} the weight {}, the mean one is {mean}", place(row), seen.weights[row][r]))
        .or_else(|| {
            let estimate = seen.totals.iter().map(|estimates| estimates[r]).find(|estimate| *estimate > HEAVIEST)?;
            Some(format!("has weights that make a total {estimate:.1} times what it is"))
        })
}

/// The laws about averages.
pub fn judge(x: &mut Examiner, base: &Request, first: &Answer, seen: &Seen) {
    let (n, k, kind) = (base.rows.len(), base.k.unwrap_or(1), x.book.kind);
    let (alpha, times) = (alpha(kind, base), seen.repetitions as u64);
    let frequency = |what: String, hits: u64, p: f64| Test {
        p: frequency_p(hits, times, p),
        measured: format!("{what}: {:.2}% of {times}, {:.2}% due", 100.0 * hits as f64 / times as f64, 100.0 * p),
    };

    // Rows in random order: whatever a subject prefers, no place is preferred. (Numbers of rows that vary make places less
    // variable than the binomial law: Hoeffding 1956.)
    let share = seen.places.iter().sum::<u64>() as f64 / (times * n as u64) as f64;
    let places = seen.places.iter().enumerate().map(|(place, hits)| frequency(format!("place {place}"), *hits, share));
    x.book.tests(Law::Order, places.collect(), alpha, times, frequency_finds(times, share, alpha));

    if kind == Kind::Design {
        let due = |row: usize| inclusion(first, row, n, k);
        let rows = seen.rows.iter().enumerate().map(|(row, hits)| frequency(format!("row {row}"), *hits, due(row)));
        let rarest = (0..n).map(due).fold(1.0, f64::min);
        x.book.tests(Law::Frequency, rows.collect(), alpha, times, frequency_finds(times, rarest, alpha));
    }

    let off = |values: &[f64]| {
        let by = 100.0 * (mean(values) - 1.0);
        format!("{:.2}% too {}", by.abs(), if by > 0.0 { "large" } else { "small" })
    };
    let test = |values: &[f64], bound: f64, what: &str| {
        let test = Test { p: mean_p(values, bound), measured: format!("{what}: {}", off(values)) };
        (test, mean_finds(values, bound, alpha))
    };
    let mut tests = |law: Law, all: Vec<(Test, Option<f64>)>| {
        let (tests, finds): (Vec<_>, Vec<_>) = all.into_iter().unzip();
        // The worst; none if one of them finds nothing.
        let finds = finds.into_iter().try_fold(0.0, |worst: f64, found| Some(worst.max(found?)));
        x.book.tests(law, tests, alpha, times, finds);
    };
    let bound = HEAVIEST * n as f64 / k as f64;
    let rows = seen.weights.iter().enumerate();
    tests(Law::RowWeight, rows.map(|(row, values)| test(values, bound, &format!("row {row}"))).collect());
    let largest = |values: &[f64]| match kind {
        // A design's largest estimate is known.
        Kind::Design => {
            let sum: f64 = values.iter().sum();
            let mut each: Vec<f64> = (0..n).map(|row| values[row] / inclusion(first, row, n, k) / sum).collect();
            each.sort_by(|a, b| b.total_cmp(a));
            each.iter().take(if first.random_size { n } else { k }).sum::<f64>() * (1.0 + ROUNDING)
        }
        _ => HEAVIEST,
    };
    let each = totals(base).into_iter().zip(&seen.totals);
    tests(Law::Totals, each.map(|((name, values), found)| test(found, largest(&values), &name)).collect());
}
