//! Rows that bounds have not ruled out.

use super::best::Best;

/// Rows that may be among the best `k` of a query.
pub struct Sieve {
    /// The best lower bounds.
    pub lower: Best,
    /// Upper bounds and rows.
    pub held: Vec<(f32, u32)>,
    /// How many to hold before those that have fallen below the bar are let go.
    limit: usize,
}

impl Sieve {
    pub fn new(k: usize) -> Self {
        Sieve { lower: Best::new(k), held: Vec::new(), limit: 4 * k + 256 }
    }

    /// Holds a row whose upper bound is not below `bar`; returns the new bar.
    pub fn hold(&mut self, (lower, upper): (f32, f32), row: u32, bar: f32) -> f32 {
        self.held.push((upper, row));
        let bar = if lower > bar { self.lower.push(lower, row) } else { bar };
        if self.held.len() >= self.limit {
            self.held.retain(|(upper, _)| *upper >= bar);
            self.limit = self.limit.max(2 * self.held.len());
        }
        bar
    }
}
