//! The nearest rows so far.

/// The k best so far, as a heap with the worst on top.
pub(crate) struct Best<'a> {
    index: &'a mut [u32],
    squared: &'a mut [f64],
}

impl<'a> Best<'a> {
    /// Of slices of length k, filled with `u32::MAX` and infinity at first.
    pub(crate) fn new(index: &'a mut [u32], squared: &'a mut [f64]) -> Self {
        Best { index, squared }
    }

    /// The distance that a new row must not exceed.
    #[inline(always)]
    pub(crate) fn worst(&self) -> f64 {
        self.squared[0]
    }

    /// Takes the row in, in place of the worst, if it is better.
    #[inline(always)]
    pub(crate) fn offer(&mut self, squared: f64, row: u32) {
        if (squared, row) < (self.squared[0], self.index[0]) {
            self.sink(squared, row, self.index.len());
        }
    }

    /// Puts a pair at the top of the heap of the first `len` and lets it sink to its place.
    #[inline(always)]
    fn sink(&mut self, squared: f64, row: u32, len: usize) {
        let mut at = 0;
        loop {
            let pair = |i: usize| (self.squared[i], self.index[i]);
            let (left, right) = (2 * at + 1, 2 * at + 2);
            if left >= len {
                break;
            }
            let worse = if right < len && pair(right) > pair(left) { right } else { left };
            if pair(worse) <= (squared, row) {
                break;
            }
            (self.squared[at], self.index[at]) = pair(worse);
            at = worse;
        }
        (self.squared[at], self.index[at]) = (squared, row);
    }

    /// Turns the heap into a list, best first.
    pub(crate) fn sort(mut self) {
        for last in (1..self.index.len()).rev() {
            let (squared, row) = (self.squared[last], self.index[last]);
            (self.squared[last], self.index[last]) = (self.squared[0], self.index[0]);
            self.sink(squared, row, last);
        }
    }
}
