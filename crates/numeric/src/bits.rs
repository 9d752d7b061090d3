//! Counts over columns of bits, 64 rows a word.

use crate::gemm::vectorised;

/// The number of ones in all words.
pub fn count_ones(words: &[u64]) -> u64 {
    vectorised(
        #[inline(always)]
        || words.iter().map(|word| u64::from(word.count_ones())).sum(),
    )
}

/// The number of places where two columns differ; the longer one's surplus words do not count.
pub fn count_differing(left: &[u64], right: &[u64]) -> u64 {
    vectorised(
        #[inline(always)]
        || left.iter().zip(right).map(|(a, b)| u64::from((a ^ b).count_ones())).sum(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_those_of_single_words() {
        let mut rng = quadrat_core::Seed(1).rng(0);
        for n in [0, 1, 3, 4, 31, 32, 33, 157] {
            let (a, b): (Vec<u64>, Vec<u64>) = (0..n).map(|_| (rng.next_u64(), rng.next_u64())).unzip();
            let (mut ones, mut differing) = (0, 0);
            for (a, b) in a.iter().zip(&b) {
                for bit in 0..64 {
                    ones += a >> bit & 1;
                    differing += (a >> bit & 1) ^ (b >> bit & 1);
                }
            }
            assert_eq!((count_ones(&a), count_differing(&a, &b)), (ones, differing));
        }
        assert_eq!((count_ones(&[u64::MAX; 5]), count_differing(&[0; 5], &[u64::MAX; 4])), (320, 256));
    }
}
