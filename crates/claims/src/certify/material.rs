//! The rows that are asked about.

use super::protocol::Request;
use quadrat_core::{Rng, Seed};

/// Rows to choose from, and how many of them most requests want: a third, so that a few thousand repetitions see every
/// row often.
pub const ROWS: usize = 12;
pub const CHOSEN: usize = 4;

/// A request for `k` of `n` rows: three positive columns of different sizes, with weights of columns or distances that
/// differ by a small factor; three classes.
pub fn choice(seed: Seed, n: usize, k: usize) -> Request {
    let mut rng = seed.stream("rows").rng(n as u64);
    let rows = (0..n).map(|_| vec![0.6 + 1.4 * rng.uniform(), 2.0 + rng.uniform(), 10.0 + 30.0 * rng.uniform()]);
    let rows = rows.collect();
    Request { id: 0, seed: 0, k: Some(k), rows, labels: labels(n, &[2, 1, 3]) }
}

/// Choices at the edges of what can be asked, each with what is special about its rows.
pub fn choice_edges(seed: Seed) -> Vec<(&'static str, Request)> {
    let ask = |k| choice(seed.stream("edges"), ROWS, k);
    let mut copies = ask(2 * ROWS / 3);
    (ROWS / 2..ROWS).for_each(|i| copies.rows[i] = copies.rows[i - ROWS / 2].clone());
    let mut constant = ask(CHOSEN);
    constant.rows.iter_mut().for_each(|row| row[1] = 2.5);
    let mut one_column = ask(CHOSEN);
    one_column.rows.iter_mut().for_each(|row| row.truncate(1));
    vec![
        ("", ask(1)),
        ("", ask(2)),
        ("", ask(3)),
        ("", ask(ROWS - 1)),
        ("", ask(ROWS)),
        ("", choice(seed, 1, 1)),
        ("every row twice", copies),
        ("a constant column", constant),
        ("one column", one_column),
    ]
}

/// Rows of each class of the table that resamplers grow: more in each than SMOTE's usual five neighbours.
pub const CLASSES: [usize; 3] = [14, 8, 7];

/// A request to grow the smaller of three classes, or of those that have rows in `classes`.
pub fn unbalanced(seed: Seed, classes: &[usize]) -> Request {
    let n = classes.iter().sum();
    let mut rng = seed.stream("rows").rng(n as u64);
    let labels = labels(n, classes);
    let at = |label: &str| f64::from(label.bytes().map(u32::from).sum::<u32>() % 5);
    let row = |rng: &mut Rng, at: f64| vec![at + rng.normal(), 100.0 * (at - rng.uniform()), 0.01 * rng.normal()];
    let rows = labels.iter().map(|label| row(&mut rng, at(label))).collect();
    Request { id: 0, seed: 0, k: None, rows, labels }
}

/// Tables at the edges of what a resampler can be asked to grow, each with what is special about it.
pub fn unbalanced_edges(seed: Seed) -> Vec<(&'static str, Request)> {
    let ask = |classes: &[usize]| unbalanced(seed.stream("edges"), classes);
    let mut constant = ask(&CLASSES);
    constant.rows.iter_mut().for_each(|row| row[1] = -2.5);
    let mut one_column = ask(&CLASSES);
    one_column.rows.iter_mut().for_each(|row| row.truncate(1));
    let mut copies = ask(&[16, 8]);
    let small: Vec<usize> = (0..24).filter(|i| copies.labels[*i] == NAMES[1]).collect();
    small.chunks(2).for_each(|pair| copies.rows[pair[1]] = copies.rows[pair[0]].clone());
    vec![
        ("two classes", ask(&[20, 9])),
        ("balanced already", ask(&[8, 8])),
        ("a constant column", constant),
        ("one column", one_column),
        ("every row of the smaller class twice", copies),
    ]
}

const NAMES: [&str; 3] = ["common", "rare", "scarce"];

/// Labels in these proportions, mixed.
fn labels(n: usize, parts: &[usize]) -> Vec<String> {
    let all = parts.iter().sum::<usize>().max(1);
    let mut left: Vec<usize> = parts.to_vec();
    (0..n)
        .map(|i| {
            if i % all == 0 {
                left = parts.to_vec();
            }
            // The class that is furthest behind its share.
            let behind = |class: usize| left[class] as f64 / parts[class] as f64;
            let class = (0..parts.len()).max_by(|a, b| behind(*a).total_cmp(&behind(*b))).unwrap_or(0);
            left[class] = left[class].saturating_sub(1);
            NAMES[class % NAMES.len()].to_owned()
        })
        .collect()
}

/// Puts the rows of `of` into `order`: place i gets row `order[i]`.
pub fn put(request: &mut Request, of: &Request, order: &[usize]) {
    for ((row, label), from) in request.rows.iter_mut().zip(&mut request.labels).zip(order) {
        row.clone_from(&of.rows[*from]);
        label.clone_from(&of.labels[*from]);
    }
}
