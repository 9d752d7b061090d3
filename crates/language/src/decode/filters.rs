//! The filters of a chain, without sorting a vocabulary.

use super::Law;
use crate::chance::sum;
use quadrat_numeric::vectorised;

/// Room for the filters.
#[derive(Debug, Clone, Default)]
pub struct Room {
    /// Keys of the best tokens so far.
    best: Vec<u64>,
    /// Probability by rank, in coarse steps of the rank.
    steps: Vec<f64>,
    /// What shares the step in which the probability is reached.
    crossing: Vec<(f64, u32, f64)>,
}

/// Steps of a rank, and how many there are to the unit of it (a nat): those beyond the last share that.
const STEPS: usize = 2048;
const STEPS_A_NAT: f64 = 32.0;

/// The `k` best tokens, in ascending order.
///
/// Whatever is better than the k-th best so far is put aside; when twice as many as needed are, the worse half goes.
pub fn top_k(scores: &[f32], k: usize, tokens: &mut Vec<u32>, room: &mut Room) {
    let best = &mut room.best;
    best.clear();
    let mut least = f32::NEG_INFINITY;
    let mut token = 0;
    for chunk in scores.chunks(16) {
        if chunk.iter().fold(false, |any, &score| any | (score > least)) {
            for (&score, token) in chunk.iter().zip(token..) {
                if score > least {
                    best.push(key(score, token));
                }
            }
            if best.len() >= 2 * k + 64 {
                least = keep_largest(best, k);
            }
        }
        token += chunk.len() as u32;
    }
    keep_largest(best, k);
    tokens.clear();
    tokens.extend(best.iter().map(|&key| !(key as u32)));
    tokens.sort_unstable();
}

/// A number that is larger for a better token: of equal scores the lower token is better.
fn key(score: f32, token: u32) -> u64 {
    // Zeros are equal, whatever their sign.
    let bits = (score + 0.0).to_bits();
    let ordered = if bits >> 31 == 0 { bits | 1 << 31 } else { !bits };
    u64::from(ordered) << 32 | u64::from(!token)
}

/// The sum of the weights that are at least `least`.
fn mass_from(weights: &[f64], least: f64) -> f64 {
    vectorised(
        #[inline(always)]
        || {
            let (chunks, rest) = weights.as_chunks::<16>();
            let counted = |weight: f64| if weight >= least { weight } else { 0.0 };
            let mut sums = [0.0; 16];
            for chunk in chunks {
                for lane in 0..16 {
                    sums[lane] += counted(chunk[lane]);
                }
            }
            sums.iter().sum::<f64>() + rest.iter().map(|&weight| counted(weight)).sum::<f64>()
        },
    )
}

/// Keeps the `k` largest keys and returns the score of the least of them.
fn keep_largest(keys: &mut Vec<u64>, k: usize) -> f32 {
    if k >= keys.len() {
        return f32::NEG_INFINITY;
    }
    let (_, &mut last, _) = keys.select_nth_unstable_by(k - 1, |a, b| b.cmp(a));
    keys.truncate(k);
    let ordered = (last >> 32) as u32;
    f32::from_bits(if ordered >> 31 == 1 { ordered & !(1 << 31) } else { !ordered })
}

impl Law {
    /// Keeps the fewest of the most probable tokens that together reach `p`.
    pub(super) fn keep_nucleus(&mut self, scores: &[f32], temperature: f64, p: f64) {
        let total = sum(&self.weights);
        let mass = p * total;
        // All that are less probable than this reach less than 1 - p together: none of them is needed. From there up, halving.
        let mut least = (1.0 - p) * total / self.weights.len() as f64;
        let mut enough = self.weights.iter().copied().fold(0.0, f64::max);
        for _ in 0..5 {
            let middle = (least * enough).sqrt();
            if mass_from(&self.weights, middle) >= mass { least = middle } else { enough = middle }
        }
        self.retain_from(least);
        let best = self.tokens.iter().map(|&token| scores[token as usize]).fold(f32::NEG_INFINITY, f32::max);
        let (best, inverse) = (f64::from(best), temperature.recip());
        self.keep_first(mass, |token| (best - f64::from(scores[token as usize])) * inverse);
    }

    /// Keeps the fewest tokens that together reach `p`, those first whose surprise is nearest to its mean, the entropy.
    pub(super) fn keep_typical(&mut self, scores: &[f32], temperature: f64, p: f64) {
        let inverse = temperature.recip();
        let total = sum(&self.weights);
        // Surprises and scores differ by a constant, which the difference to the mean does not see.
        let score = |token: u32| f64::from(scores[token as usize]) * inverse;
        let products = self.tokens.iter().zip(&self.weights).map(|(&token, weight)| weight * score(token));
        let mean = products.sum::<f64>() / total;
        self.keep_first(p * total, |token| (score(token) - mean).abs());
    }

    /// Keeps tokens with at least `share` of the largest weight.
    pub(super) fn keep_share(&mut self, share: f64) {
        let least = share * self.weights.iter().copied().fold(0.0, f64::max);
        self.retain_from(least);
    }

    /// Keeps the fewest tokens whose weights reach `mass`, in ascending order of `rank`, which is at least 0; of equal ones the lower
    /// token first. No more than the tokens of one coarse step of the rank are sorted.
    fn keep_first(&mut self, mass: f64, rank: impl Fn(u32) -> f64) {
        let mut room = std::mem::take(&mut self.room);
        let step = |rank: f64| ((rank * STEPS_A_NAT) as usize).min(STEPS - 1);
        room.steps.clear();
        room.steps.resize(STEPS, 0.0);
        for (&token, weight) in self.tokens.iter().zip(&self.weights) {
            room.steps[step(rank(token))] += weight;
        }
        let (mut before, mut crossing) = (0.0, STEPS);
        for (at, here) in room.steps.iter().enumerate() {
            if before + here >= mass {
                crossing = at;
                break;
            }
            before += here;
        }
        // In the step that is crossed: the last rank, and token of that rank, that is needed.
        room.crossing.clear();
        let weighed = self.tokens.iter().zip(&self.weights).map(|(&token, &weight)| (rank(token), token, weight));
        room.crossing.extend(weighed.filter(|(rank, _, _)| step(*rank) == crossing));
        room.crossing.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let reached = |&(_, _, weight): &(f64, u32, f64)| {
            before += weight;
            before >= mass
        };
        // Sums in another order may miss the mass by their rounding: then all of the step is needed.
        let last = room.crossing.iter().position(reached).or(room.crossing.len().checked_sub(1));
        if let Some((last, token, _)) = last.map(|at| room.crossing[at]) {
            self.retain(|other, _| {
                let rank = rank(other);
                rank < last || (rank == last && other <= token)
            });
        }
        self.room = room;
    }
}
