//! How many labels are wrong: the disagreement that stays where the model is surest.
//!
//! Overlapping classes are no wrong labels, and a model that is wrong is none either. What tells them apart is where
//! labels and predictions disagree. Where classes overlap it is near the border between them, and the surer a model that
//! did not see the row, the rarer it gets. A label that was set without looking at the row (a slip, a wrong key, a guess)
//! disagrees as often far from any border: there is a floor below which disagreement does not fall, however sure the model
//! (the corrupted probabilities of Menon, van Rooyen, Ong and Williamson, Learning from Corrupted Binary Labels via
//! Class-Probability Estimation, ICML 2015, whose extremes give the rates of noise if some rows of each class are certain).
//!
//! So disagreement is taken as a psychometric function of sureness with a lapse rate (Wichmann and Hill, The Psychometric
//! Function, Perception & Psychophysics 63, 2001): `floor + (1 - floor) sigma(b - a z)`, where `z` is the half-normal
//! quantile of a row's rank by the probability of its likeliest class, and `b` is at least 0: without sureness half of
//! the rows disagree. Ranks, since a model that learnt from wrong labels is
//! as sure as it saw it should be: only the order of its probabilities can be relied on. The floor's interval is that of the
//! profile likelihood.
//!
//! What it cannot do: if no row of the file is certain (every cell of a table of names holds both classes), the floor is
//! overlap. If wrong labels are confined to one class or to rows near a border, it is too low.

use super::suspects::likeliest;
use ndarray::ArrayView2;
use quadrat_core::stats::normal_quantile;

/// The share of labels that disagree whatever the row, with its interval of 95%.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Floor {
    /// The likeliest share.
    pub share: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// How much likelier it is than none: twice the difference of the log likelihoods.
    pub ratio: f64,
}

/// Half the quantile of chi-square with one degree of freedom at 95%.
const REACH: f64 = 1.920_729;

/// The floor of disagreement between labels and the likeliest classes. Probabilities are out of fold.
pub fn floor(probabilities: ArrayView2<f64>, labels: &[u32]) -> Floor {
    let mut sure: Vec<(f64, bool)> = probabilities
        .outer_iter()
        .zip(labels)
        .map(|(p, label)| {
            let class = likeliest(p);
            (p[class as usize], class != *label)
        })
        .collect();
    // Of rows that are equally sure none is surer: they share their ranks, as disagreement among them is one number.
    sure.sort_by(|a, b| b.0.total_cmp(&a.0));
    let cells = cells(&sure);
    let at = |floor: f64| fit(&cells, floor);
    let none = at(0.0);
    // The profile has one maximum: a grid finds its place, thirds the rest.
    let grid: Vec<(f64, f64)> = (0..=GRID).map(|i| i as f64 / GRID as f64 * MOST).map(|f| (f, at(f))).collect();
    let best = grid.iter().copied().fold((0.0, f64::NEG_INFINITY), |best, at| if at.1 > best.1 { at } else { best });
    let step = MOST / GRID as f64;
    let (mut low, mut high) = ((best.0 - step).max(0.0), (best.0 + step).min(MOST));
    for _ in 0..24 {
        let (a, b) = (low + (high - low) / 3.0, high - (high - low) / 3.0);
        if at(a) < at(b) { low = a } else { high = b }
    }
    let share = 0.5 * (low + high);
    let (share, top) = if at(share) > none { (share, at(share)) } else { (0.0, none) };
    let inside = |floor: f64| at(floor) >= top - REACH;
    let end = |mut inner: f64, mut outer: f64| {
        if inside(outer) {
            return outer;
        }
        for _ in 0..24 {
            let middle = 0.5 * (inner + outer);
            if inside(middle) { inner = middle } else { outer = middle }
        }
        inner
    };
    Floor { share, low: end(share, 0.0), high: end(share, MOST), ratio: 2.0 * (top - none) }
}

/// A model that is right less often than this knows nothing.
const MOST: f64 = 0.6;

/// Steps in which the profile is looked through.
const GRID: usize = 30;

/// Rows of nearly one rank, counted together: sureness, rows, and how many disagree.
struct Cell {
    z: f64,
    rows: f64,
    wrong: f64,
}

/// At most so many cells: more tell no more.
const CELLS: usize = 200;

fn cells(sure: &[(f64, bool)]) -> Vec<Cell> {
    let n = sure.len();
    let size = n.div_ceil(CELLS).max(1);
    let mut cells: Vec<Cell> = Vec::new();
    let mut start = 0;
    while start < n {
        let mut end = (start + size).min(n);
        while end < n && sure[end].0 == sure[end - 1].0 {
            end += 1;
        }
        let rank = (start + end) as f64 / 2.0 / n as f64;
        let wrong = sure[start..end].iter().filter(|(_, wrong)| *wrong).count() as f64;
        cells.push(Cell { z: normal_quantile(1.0 - 0.5 * rank), rows: (end - start) as f64, wrong });
        start = end;
    }
    cells
}

/// The log likelihood at a given floor, at the best `a` and `b`, both at least 0.
fn fit(cells: &[Cell], floor: f64) -> f64 {
    // From a gentle slope and from a steep one: of a step the former sees nothing.
    climb(cells, floor, 1.0).max(climb(cells, floor, 30.0))
}

/// Fisher scoring with halved steps; a parameter that is 0 and would fall stays.
fn climb(cells: &[Cell], floor: f64, start: f64) -> f64 {
    let value = |a: f64, b: f64| {
        let of = |c: &Cell| {
            let p = (floor + (1.0 - floor) / (1.0 + (a * c.z - b).exp())).clamp(1e-12, 1.0 - 1e-12);
            c.wrong * p.ln() + (c.rows - c.wrong) * (1.0 - p).ln()
        };
        cells.iter().map(of).sum::<f64>() - WEAK * (a * a + b * b)
    };
    let (mut a, mut b) = (start, 0.0);
    let mut best = value(a, b);
    for _ in 0..60 {
        let (mut g, mut h) = ([-2.0 * WEAK * a, -2.0 * WEAK * b], [2.0 * WEAK, 0.0, 2.0 * WEAK]);
        for c in cells {
            let s = 1.0 / (1.0 + (a * c.z - b).exp());
            let p = (floor + (1.0 - floor) * s).clamp(1e-12, 1.0 - 1e-12);
            let slope = (1.0 - floor) * s * (1.0 - s);
            let weight = slope * slope * c.rows / (p * (1.0 - p));
            let pull = slope * (c.wrong - c.rows * p) / (p * (1.0 - p));
            g = [g[0] - pull * c.z, g[1] + pull];
            h = [h[0] + weight * c.z * c.z, h[1] - weight * c.z, h[2] + weight];
        }
        let determinant = h[0] * h[2] - h[1] * h[1];
        let step = match (a <= 0.0 && g[0] < 0.0, b <= 0.0 && g[1] < 0.0) {
            (true, true) => break,
            (true, false) => [0.0, g[1] / h[2]],
            (false, true) => [g[0] / h[0], 0.0],
            (false, false) => [(h[2] * g[0] - h[1] * g[1]) / determinant, (h[0] * g[1] - h[1] * g[0]) / determinant],
        };
        let mut length = 1.0;
        let next = loop {
            let at = ((a + length * step[0]).max(0.0), (b + length * step[1]).max(0.0));
            let there = value(at.0, at.1);
            if there > best {
                break Some((at, there));
            }
            length *= 0.5;
            if length < 1e-6 {
                break None;
            }
        };
        let Some((at, there)) = next else { break };
        let gained = there - best;
        ((a, b), best) = (at, there);
        if gained < 1e-9 {
            break;
        }
    }
    best
}

/// A pull towards 0 that keeps a step (all disagreement on one side) finite.
const WEAK: f64 = 1e-8;
