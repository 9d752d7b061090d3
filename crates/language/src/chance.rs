//! Where the choices of a decoder come from.
//!
//! A decoder that asks for its choices here, and nowhere else, can be run by a generator of random numbers, and also by something
//! that goes through all choices one after the other and adds up how probable each was (`verify`): what is
//! proved then is proved of the program itself, not of a formula beside it.

use quadrat_core::Rng;
use quadrat_numeric::vectorised;

/// Makes the choices of a decoder.
pub trait Chance {
    /// An index with probability proportional to its weight. Weights are finite and at least 0, and one is above 0.
    fn pick(&mut self, weights: &[f64]) -> usize;

    /// True with probability `p`.
    fn happens(&mut self, p: f64) -> bool {
        self.pick(&[p, 1.0 - p]) == 0
    }
}

/// Draws by the inverse of the distribution function, in double precision.
impl Chance for Rng {
    fn pick(&mut self, weights: &[f64]) -> usize {
        let mut left = self.uniform() * sum(weights);
        // Whole blocks first: a vocabulary is long.
        let mut start = 0;
        for block in weights.chunks(BLOCK) {
            let mass = block_sum(block);
            if left < mass {
                break;
            }
            left -= mass;
            start += block.len();
        }
        for (at, &weight) in weights.iter().enumerate().skip(start) {
            if left < weight {
                return at;
            }
            left -= weight;
        }
        // What rounding has left over.
        weights.iter().rposition(|&weight| weight > 0.0).unwrap_or(0)
    }

    fn happens(&mut self, p: f64) -> bool {
        self.uniform() < p
    }
}

/// Numbers that are added with each other before they are added to the others.
const BLOCK: usize = 512;

/// The sum, in an order that depends on the length alone.
pub(crate) fn sum(values: &[f64]) -> f64 {
    values.chunks(BLOCK).map(block_sum).sum()
}

fn block_sum(block: &[f64]) -> f64 {
    vectorised(
        #[inline(always)]
        || {
            let (chunks, rest) = block.as_chunks::<8>();
            let mut sums = [0.0; 8];
            for chunk in chunks {
                for lane in 0..8 {
                    sums[lane] += chunk[lane];
                }
            }
            sums.iter().sum::<f64>() + rest.iter().sum::<f64>()
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use quadrat_core::{Seed, stats};

    /// Pearson's statistic against its 1 - 1e-6 quantile: errs once in a million seeds.
    #[test]
    fn picks_follow_their_weights_in_short_and_long_lists() {
        for n in [3, 1500] {
            let weights: Vec<f64> = (0..n).map(|i| if i % 3 == 1 { 0.0 } else { 1.0 + (i % 5) as f64 }).collect();
            let mut rng = Seed(3).rng(n as u64);
            let mut found = vec![0.0; n];
            let draws = 60_000;
            (0..draws).for_each(|_| found[rng.pick(&weights)] += 1.0);
            let total: f64 = weights.iter().sum();
            let cells: Vec<(f64, f64)> =
                found.iter().zip(&weights).map(|(&f, w)| (f, f64::from(draws) * w / total)).collect();
            assert!(cells.iter().all(|(found, expected)| *expected > 0.0 || *found == 0.0));
            let cells = cells.iter().filter(|(_, expected)| *expected > 0.0);
            let (count, statistic) = cells.fold((0, 0.0), |(n, s), (f, e)| (n + 1, s + (f - e).powi(2) / e));
            assert!(stats::chi_square_tail(statistic, f64::from(count - 1)) > 1e-6, "{n}: {statistic}");
        }
        assert!(!Seed(1).rng(0).happens(0.0) && Seed(1).rng(0).happens(1.0));
    }
}
