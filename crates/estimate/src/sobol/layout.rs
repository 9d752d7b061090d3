//! The runs of one base point, and what they say about the indices.
//!
//! From two independent draws A and B of the inputs: AB_u is A with factor u of B, BA_u is B with factor u of A. With
//! factors that depend on each other, AB_u keeps A outside u and draws u anew given that, BA_u keeps A in u and draws the
//! others anew given that; with independent factors both are the same thing.
//!
//! | orders | runs of a base point of g factors |
//! |---|---|
//! | first and total | A, AB_1 .. AB_g, B: g + 2 |
//! | the same, factors dependent | A, AB_1 .. AB_g, BA_1 .. BA_g, B: 2 g + 2 |
//! | first | A, BA_1 .. BA_g: g + 1 |
//! | total | A, AB_1 .. AB_g: g + 1 |
//! | second | A, AB_1 .. AB_g, BA_1 .. BA_g, B: 2 g + 2 |
//!
//! The first and the last are the designs and orders of rows of SALib (Saltelli 2002, 2010).

use super::Factors;
use super::moments::Ratio;
use quadrat_core::{Choice, Error, Result};

/// Which indices to estimate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Choice)]
pub enum Orders {
    /// What each explains alone: g + 1 runs.
    First,
    /// What each has any part in: g + 1 runs.
    Total,
    /// First and total order: g + 2 runs, or 2 g + 2 where they are correlated.
    #[default]
    #[param(name = "both")]
    FirstAndTotal,
    /// Pairs as well: 2 g + 2 runs.
    Second,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Run {
    A,
    Ab(usize),
    Ba(usize),
    B,
}

/// Which draw an input of a run comes from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Source {
    A,
    B,
    /// Drawn given the others.
    Fresh,
}

/// The runs of a base point.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    pub orders: Orders,
    pub runs: Vec<Run>,
    g: usize,
}

impl Layout {
    /// # Errors
    /// Second order of fewer than two factors, or of factors that depend on each other.
    pub fn new(orders: Orders, factors: &Factors) -> Result<Layout> {
        let g = factors.count();
        if orders == Orders::Second {
            if factors.dependent() {
                let want = "with correlations across them an interaction is no share of the variance; put inputs that \
                            depend on each other into one group, or ask for first and total order";
                return Err(Error::input("second-order indices", "inputs that depend on each other", want));
            }
            if g < 2 {
                return Err(Error::input("second-order indices", format!("{g} factor"), "they need two or more"));
            }
        }
        let (ab, ba) = ((0..g).map(Run::Ab), (0..g).map(Run::Ba));
        let a = std::iter::once(Run::A);
        let runs = match orders {
            Orders::First => a.chain(ba).collect(),
            Orders::Total => a.chain(ab).collect(),
            Orders::FirstAndTotal if !factors.dependent() => a.chain(ab).chain([Run::B]).collect(),
            Orders::FirstAndTotal | Orders::Second => a.chain(ab).chain(ba).chain([Run::B]).collect(),
        };
        Ok(Layout { orders, runs, g })
    }

    /// Runs of a base point.
    pub fn width(&self) -> usize {
        self.runs.len()
    }

    pub fn source(&self, run: Run, input: usize, factors: &Factors) -> Source {
        let fresh = if factors.dependent() { Source::Fresh } else { Source::B };
        match run {
            Run::A => Source::A,
            Run::B => Source::B,
            Run::Ab(u) => {
                if factors.members(u).contains(&input) {
                    fresh
                } else {
                    Source::A
                }
            }
            Run::Ba(u) => {
                if factors.members(u).contains(&input) {
                    Source::A
                } else {
                    fresh
                }
            }
        }
    }

    /// Pairs of factors in order.
    pub fn pairs(&self) -> impl Iterator<Item = (usize, usize)> {
        let g = if self.orders == Orders::Second { self.g } else { 0 };
        (0..g).flat_map(move |j| (j + 1..g).map(move |k| (j, k)))
    }

    pub fn firsts(&self) -> usize {
        if self.orders == Orders::Total { 0 } else { self.g }
    }

    pub fn totals(&self) -> usize {
        if self.orders == Orders::First { 0 } else { self.g }
    }

    /// Numbers of [`Layout::terms`].
    pub fn columns(&self) -> usize {
        let own = if self.orders == Orders::First { 2 * self.g } else { 0 };
        2 + self.firsts() + self.totals() + self.pairs().count() + own
    }

    /// The indices as functions of the means of those: first, total, second order.
    pub fn ratios(&self) -> Vec<Ratio> {
        let common = |term| Ratio { term, mean: 0, square: 1, product: false };
        match self.orders {
            // Each with the mean and variance of its own two runs: Janon et al. (2014), efficient among such estimators.
            Orders::First => (0..self.g)
                .map(|i| Ratio { term: 2 + i, mean: 2 + self.g + i, square: 2 + 2 * self.g + i, product: true })
                .collect(),
            _ => (2..self.columns()).map(common).collect(),
        }
    }

    /// What one base point's outputs `y` (less their mean) say: its mean, its mean square, and a term for each index.
    pub fn terms(&self, y: &[f64], out: &mut [f64]) {
        let g = self.g;
        let a = y[0];
        let (low, rest) = out.split_at_mut(2);
        match self.orders {
            Orders::First => {
                let n = y.len() as f64;
                low[0] = y.iter().sum::<f64>() / n;
                low[1] = y.iter().map(|y| y * y).sum::<f64>() / n;
                for (i, other) in y[1..].iter().enumerate() {
                    rest[i] = a * other;
                    rest[g + i] = 0.5 * (a + other);
                    rest[2 * g + i] = 0.5 * (a * a + other * other);
                }
            }
            Orders::Total => {
                let n = y.len() as f64;
                low[0] = y.iter().sum::<f64>() / n;
                low[1] = y.iter().map(|y| y * y).sum::<f64>() / n;
                for (i, other) in y[1..].iter().enumerate() {
                    rest[i] = 0.5 * (a - other).powi(2);
                }
            }
            Orders::FirstAndTotal => {
                let b = y[y.len() - 1];
                low[0] = 0.5 * (a + b);
                low[1] = 0.5 * (a * a + b * b);
                for i in 0..g {
                    let change = y[1 + i] - a;
                    // A dependent factor keeps A's inputs in BA, where an independent one has B's in AB.
                    rest[i] = if y.len() > g + 2 { a * (y[1 + g + i] - b) } else { b * change };
                    rest[g + i] = 0.5 * change * change;
                }
            }
            Orders::Second => {
                let b = y[y.len() - 1];
                low[0] = 0.5 * (a + b);
                low[1] = 0.5 * (a * a + b * b);
                let (ab, ba) = (&y[1..=g], &y[1 + g..=2 * g]);
                // A and B play the same part, so each estimate is the mean of two.
                for i in 0..g {
                    rest[i] = 0.5 * (b * (ab[i] - a) + a * (ba[i] - b));
                    rest[g + i] = 0.25 * ((a - ab[i]).powi(2) + (b - ba[i]).powi(2));
                }
                for (at, (j, k)) in self.pairs().enumerate() {
                    let together = 0.5 * (ba[j] * ab[k] + ab[j] * ba[k]) - a * b;
                    rest[2 * g + at] = together - rest[j] - rest[k];
                }
            }
        }
    }
}
