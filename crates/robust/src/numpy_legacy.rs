//! The generator behind NumPy's `RandomState`, for results that agree with imbalanced-learn digit by digit.

use quadrat_core::{Error, Result, Seed};

const N: usize = 624;
const M: usize = 397;

/// MT19937 (Matsumoto and Nishimura 1998) seeded by one integer, with the derived draws NumPy froze for its legacy
/// generator: bounded integers by masked rejection, doubles of 53 bits, shuffles from the last item down.
///
/// Only for comparison with other tools: Quadrat's own streams are independent of each other and of the number of
/// threads; this generator is one sequence.
///
/// ```
/// use quadrat_robust::NumpyLegacy;
/// let mut rng = NumpyLegacy::new(quadrat_core::Seed(0))?;
/// assert_eq!([rng.below(40), rng.below(40), rng.below(40), rng.below(40)], [0, 3, 3, 39]);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct NumpyLegacy {
    state: [u32; N],
    at: usize,
}

impl NumpyLegacy {
    /// The state NumPy reaches from `RandomState(seed)`. Seeds above 2^32 - 1 are an error, as they are there.
    pub fn new(seed: Seed) -> Result<Self> {
        let first = u32::try_from(seed.0)
            .map_err(|_| Error::input("seed", seed.0, format!("the numpy-legacy generator takes 0 to {}", u32::MAX)))?;
        let mut state = [first; N];
        for i in 1..N {
            let last = state[i - 1];
            state[i] = 1_812_433_253_u32.wrapping_mul(last ^ (last >> 30)).wrapping_add(i as u32);
        }
        Ok(NumpyLegacy { state, at: N })
    }

    /// 32 uniform bits.
    pub fn next_u32(&mut self) -> u32 {
        if self.at == N {
            self.twist();
        }
        let mut y = self.state[self.at];
        self.at += 1;
        y ^= y >> 11;
        y ^= (y << 7) & 0x9d2c_5680;
        y ^= (y << 15) & 0xefc6_0000;
        y ^ (y >> 18)
    }

    fn twist(&mut self) {
        for i in 0..N {
            let y = (self.state[i] & 0x8000_0000) | (self.state[(i + 1) % N] & 0x7fff_ffff);
            let odd = if y & 1 == 1 { 0x9908_b0df } else { 0 };
            self.state[i] = self.state[(i + M) % N] ^ (y >> 1) ^ odd;
        }
        self.at = 0;
    }

    /// Uniform on 0..n: bits beyond the smallest power of two that covers the range are masked off, and values outside
    /// it are drawn again. Without a draw when `n` is at most 1.
    pub fn below(&mut self, n: usize) -> usize {
        let Some(largest) = (n as u64).checked_sub(1).filter(|largest| *largest > 0) else { return 0 };
        let mask = u64::MAX >> largest.leading_zeros();
        loop {
            let mut bits = u64::from(self.next_u32());
            if mask > u64::from(u32::MAX) {
                bits = (bits << 32) | u64::from(self.next_u32());
            }
            if bits & mask <= largest {
                return (bits & mask) as usize;
            }
        }
    }

    /// Uniform on [0, 1), 53 bits.
    pub fn uniform(&mut self) -> f64 {
        let (a, b) = (self.next_u32() >> 5, self.next_u32() >> 6);
        (f64::from(a) * 67_108_864.0 + f64::from(b)) / 9_007_199_254_740_992.0
    }

    /// Puts `items` into random order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}
