//! The best scores so far.

/// The `k` best of the pairs of score and row that were pushed, more scores first, among equals lower rows.
pub struct Best {
    k: usize,
    /// Up to twice as many as wanted, so that the worse half goes at once.
    keys: Vec<u64>,
    /// A score must be above this to count, as long as rows come in their order.
    least: f32,
}

impl Best {
    pub fn new(k: usize) -> Self {
        Best { k, keys: Vec::new(), least: f32::NEG_INFINITY }
    }

    /// Adds a score above the last answer; returns what later ones must be above.
    #[inline]
    pub fn push(&mut self, score: f32, row: u32) -> f32 {
        self.keys.push(key(score, row));
        if self.keys.len() >= 2 * self.k + 32 {
            self.cut();
        }
        self.least
    }

    /// Adds all of another part of the rows.
    pub fn append(&mut self, other: &Best) {
        self.keys.extend(&other.keys);
        if self.keys.len() >= 2 * self.k + 32 {
            self.cut();
        }
    }

    fn cut(&mut self) {
        if self.keys.len() > self.k {
            self.keys.select_nth_unstable_by(self.k - 1, |a, b| b.cmp(a));
            self.keys.truncate(self.k);
        }
        if let (Some(worst), true) = (self.keys.iter().min(), self.keys.len() == self.k) {
            self.least = score_and_row(*worst).0;
        }
    }

    /// The `k`-th best score; minus infinity if there are fewer.
    pub fn kth(&mut self) -> f32 {
        self.cut();
        self.least
    }

    /// The best, in their order.
    pub fn sorted(mut self) -> impl Iterator<Item = (f32, u32)> {
        self.cut();
        self.keys.sort_unstable_by(|a, b| b.cmp(a));
        self.keys.into_iter().map(score_and_row)
    }
}

/// A number whose order is that of the pairs: the score's bits, made to rise with it, above the row's complement.
fn key(score: f32, row: u32) -> u64 {
    // -0 is equal to 0, and so are their keys.
    let bits = (score + 0.0).to_bits();
    let rising = if bits >> 31 == 1 { !bits } else { bits | (1 << 31) };
    (u64::from(rising) << 32) | u64::from(!row)
}

fn score_and_row(key: u64) -> (f32, u32) {
    let rising = (key >> 32) as u32;
    let bits = if rising >> 31 == 1 { rising & !(1 << 31) } else { !rising };
    (f32::from_bits(bits), !(key as u32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_the_order_of_scores_then_rows() {
        let pairs = [(2.0, 3), (1.5, 0), (1.5, 7), (0.0, 1), (-0.0, 2), (-1e-9, 0), (-3.0, 4), (f32::MIN, 9)];
        assert!(pairs.windows(2).all(|pair| key(pair[0].0, pair[0].1) > key(pair[1].0, pair[1].1)));
        assert!(pairs.iter().all(|(score, row)| score_and_row(key(*score, *row)) == (*score, *row)));
        let mut best = Best::new(2);
        for (score, row) in pairs.iter().rev() {
            best.push(*score, *row);
        }
        assert_eq!(best.kth(), 1.5);
        assert_eq!(best.sorted().collect::<Vec<_>>(), [(2.0, 3), (1.5, 0)]);
    }
}
