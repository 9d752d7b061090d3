//! One draw of a token, exactly; and the ways that are not exact, to show what they do.
//!
//! The second half of the paper. A step of the reverse process decides two things: whether a hidden token is uncovered, and which token it is
//! then. Programs draw both at once, as one of V + 1 classes, by the Gumbel-max trick: the largest of log w + g, with
//! g = -log(-log u). In single precision the u are multiples of 2^-24, so that no g is above 16.6355 = M, where double precision
//! ends at 36.74. Small weights then never win, and that in every one of N steps, in which each token's weight is its probability
//! over N: the more steps, the more only likely tokens are uncovered.
//!
//! Written with E = exp(-g), which is exponential, the trick is a race: the class with the least E / w wins. A bound M on g is a
//! delay, E = exp(-M) + an exponential, of exp(-M) / w for each runner; that is how [`Draw::GumbelTruncated`] draws, and
//! from it comes the law of the winner in closed form ([`truncated_law`]).

use quadrat_core::{Rng, Settings};

/// The largest noise of single precision, -log(-log(1 - 2^-24)).
pub const GUMBEL_BOUND_F32: f64 = 16.635_532_303_636_364;

/// How a token is drawn, together with whether it is.
#[derive(Debug, Clone, Copy, PartialEq, Settings)]
#[param(name = "draw", default = TwoStage)]
pub enum Draw {
    /// First whether, then which, by sums in double precision: exact, and the token is looked for only where there is one.
    TwoStage,
    /// Both at once, by the inverse of the distribution function.
    InverseCdf,
    /// Both at once, by the Gumbel-max trick in double precision.
    GumbelF64,
    /// The same in single precision, as many programs have it: likely tokens come too often.
    GumbelF32,
    /// In double precision with a bound on the noise.
    GumbelTruncated {
        /// The bound M; that of single precision is 16.6355.
        #[param(default = 16.635532303636364, above = 0)]
        bound: f64,
    },
}

impl Draw {
    /// A token with probabilities proportional to `row`, or none with the probability `hidden`. Rows are not negative and not all 0.
    pub fn draw(self, row: &[f64], hidden: f64, rng: &mut Rng) -> Option<usize> {
        match self {
            Draw::TwoStage => (rng.uniform() >= hidden).then(|| by_sums(row, sum(row) * rng.uniform())),
            Draw::InverseCdf => {
                let u = rng.uniform();
                (u >= hidden).then(|| by_sums(row, sum(row) * (u - hidden) / (1.0 - hidden)))
            }
            Draw::GumbelF64 => race(row, hidden, || 1.0 - rng.uniform(), 0.0),
            Draw::GumbelTruncated { bound } => race(row, hidden, || 1.0 - rng.uniform(), (-bound).exp()),
            Draw::GumbelF32 => race_f32(row, hidden, rng),
        }
    }

    /// A token with probabilities proportional to `row`. There is nothing to decide before it, so [`Draw::TwoStage`] is
    /// [`Draw::InverseCdf`] here.
    pub fn token(self, row: &[f64], rng: &mut Rng) -> usize {
        match self {
            Draw::TwoStage | Draw::InverseCdf => by_sums(row, sum(row) * rng.uniform()),
            other => other.draw(row, 0.0, rng).unwrap_or(0),
        }
    }
}

/// A sum in eight lanes, in a fixed order.
pub(super) fn sum(row: &[f64]) -> f64 {
    let chunks = row.chunks_exact(8);
    let rest: f64 = chunks.remainder().iter().sum();
    let mut lanes = [0.0; 8];
    chunks.for_each(|chunk| lanes.iter_mut().zip(chunk).for_each(|(lane, p)| *lane += p));
    lanes.iter().sum::<f64>() + rest
}

/// The class in which `at` lies when weights are laid end to end; the last one that has a weight, if rounding leaves it beyond all.
fn by_sums(row: &[f64], at: f64) -> usize {
    let mut end = 0.0;
    let found = row.iter().position(|p| {
        end += p;
        at < end
    });
    found.or_else(|| row.iter().rposition(|p| *p > 0.0)).unwrap_or(0)
}

/// The winner of the race of exponentials, each `delay` over its weight late; `None` where the hidden token wins.
///
/// A runner whose lower bound 1 - u <= -log u is too late is not looked at further, which saves nearly all logarithms.
fn race(row: &[f64], hidden: f64, mut uniform: impl FnMut() -> f64, delay: f64) -> Option<usize> {
    let scale = (1.0 - hidden) / sum(row);
    let (mut winner, mut best) = (None, f64::INFINITY);
    if hidden > 0.0 {
        best = (delay - uniform().ln()) / hidden;
    }
    for (token, p) in row.iter().enumerate().filter(|(_, p)| **p > 0.0) {
        let (u, latest) = (uniform(), best * p * scale - delay);
        if 1.0 - u < latest {
            let exponential = -u.ln();
            if exponential < latest {
                (winner, best) = (Some(token), (delay + exponential) / (p * scale));
            }
        }
    }
    winner
}

/// The same as programs in single precision have it: the largest w / -log u, u a multiple of 2^-24 below 1, all in f32.
fn race_f32(row: &[f64], hidden: f64, rng: &mut Rng) -> Option<usize> {
    let scale = (1.0 - hidden) / sum(row);
    let mut uniform = || uniform_f32(rng);
    let mut winner = None;
    let mut best = if hidden > 0.0 { hidden as f32 / -uniform().ln() } else { 0.0 };
    for (token, p) in row.iter().enumerate() {
        let (u, weight) = (uniform(), (p * scale) as f32);
        if weight > (1.0 - u) * best {
            let score = weight / -u.ln();
            if score > best {
                (winner, best) = (Some(token), score);
            }
        }
    }
    winner
}

/// A single-precision uniform number as other programs draw it: 24 bits.
fn uniform_f32(rng: &mut Rng) -> f32 {
    (rng.next_u64() >> 40) as f32 * (1.0 / 16_777_216.0)
}

/// The probabilities with which classes of probabilities `p` are drawn when Gumbel noise is cut at `bound`.
///
/// With classes sorted upwards, e = exp(-bound) and S_i the sum from class i on, class n is drawn with probability
///
/// > p_n sum over i <= n of exp((K - i + 1) e) (exp(-S_i e / p_i) - exp(-S_i e / p_(i-1))) / S_i:
///
/// between the delays e / p_i and e / p_(i-1) of the race exactly the classes from i on are running. O(K log K).
pub fn truncated_law(p: &[f64], bound: f64) -> Vec<f64> {
    let delay = (-bound).exp();
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&a, &b| p[a].total_cmp(&p[b]));
    let mut tails = vec![0.0; p.len()];
    let mut tail = 0.0;
    for (tail_here, &class) in tails.iter_mut().zip(&order).rev() {
        tail += p[class];
        *tail_here = tail;
    }
    let mut law = vec![0.0; p.len()];
    let (mut ratio, mut before) = (0.0, 0.0);
    for (i, &class) in order.iter().enumerate().filter(|(_, class)| p[**class] > 0.0) {
        // No runner of an earlier interval starts later than e / p_(i-1), which for the first is infinite.
        let late = if before > 0.0 { (-tails[i] * delay / before).exp() } else { 0.0 };
        let running = (p.len() - i) as f64;
        ratio += (running * delay).exp() * ((-tails[i] * delay / p[class]).exp() - late) / tails[i];
        law[class] = p[class] * ratio;
        before = p[class];
    }
    law
}

#[cfg(test)]
mod tests {
    use super::*;
    use quadrat_core::{Seed, stats};

    /// Pearson's statistic against its 1 - 1e-6 quantile: errs once in a million seeds.
    fn fits(counts: &[usize], law: &[f64]) -> bool {
        let n = counts.iter().sum::<usize>() as f64;
        let alive = counts.iter().zip(law).filter(|(_, p)| n * **p > 5.0);
        let statistic: f64 = alive.clone().map(|(&c, &p)| (c as f64 - n * p).powi(2) / (n * p)).sum();
        stats::chi_square_tail(statistic, (alive.count() - 1) as f64) > 1e-6
    }

    fn counts(draw: Draw, row: &[f64], hidden: f64, n: u64) -> Vec<usize> {
        let mut counts = vec![0; row.len() + 1];
        let mut rng = Seed(7).rng(0);
        (0..n).for_each(|_| counts[draw.draw(row, hidden, &mut rng).unwrap_or(row.len())] += 1);
        counts
    }

    #[test]
    fn exact_draws_have_their_law() {
        let row = [0.05, 0.0, 0.2, 0.75];
        for hidden in [0.0, 0.3, 0.999] {
            let law: Vec<f64> = row.iter().map(|p| p * (1.0 - hidden)).chain([hidden]).collect();
            let bounded = Draw::GumbelTruncated { bound: 40.0 };
            for draw in [Draw::TwoStage, Draw::InverseCdf, Draw::GumbelF64, Draw::GumbelF32, bounded] {
                let counts = counts(draw, &row, hidden, 40_000);
                assert!(counts[1] == 0 && fits(&counts, &law), "{draw:?} at {hidden}: {counts:?}");
                let mut rng = Seed(8).rng(0);
                let mut tokens = vec![0; 4];
                (0..20_000).for_each(|_| tokens[draw.token(&row, &mut rng)] += 1);
                assert!(fits(&tokens, &row), "{draw:?}: {tokens:?}");
            }
        }
    }

    #[test]
    fn rows_that_do_not_quite_sum_to_one_are_taken_as_proportions() {
        let row = [0.5, 0.49995];
        for draw in [Draw::TwoStage, Draw::InverseCdf, Draw::GumbelF64, Draw::GumbelF32] {
            assert!(fits(&counts(draw, &row, 0.5, 20_000), &[0.25, 0.25, 0.5]), "{draw:?}");
        }
        assert_eq!(by_sums(&[0.2, 0.8, 0.0], 1.0), 1, "beyond the end by rounding");
        assert_eq!(Draw::TwoStage.token(&[0.0], &mut Seed(1).rng(0)), 0);
    }

    /// The first author's formula and the race agree, as do its golden values at M = 2 (made with the formula in Python).
    #[test]
    fn truncation_makes_large_classes_larger_as_its_formula_says() {
        let p = [0.02, 0.18, 0.8];
        let law = truncated_law(&p, 2.0);
        for (found, golden) in law.iter().zip([0.000_034_561_1, 0.115_232_244_2, 0.884_733_194_7]) {
            assert!((found - golden).abs() < 5e-11, "{law:?}");
        }
        let counts = counts(Draw::GumbelTruncated { bound: 2.0 }, &p, 0.0, 400_000);
        assert!(fits(&counts[..3], &law), "{counts:?}");
        assert!(truncated_law(&p, 40.0).iter().zip(p).all(|(a, b)| (a - b).abs() < 1e-12));
        let ties = truncated_law(&[0.0, 0.25, 0.25, 0.5], 1.0);
        assert!(ties[0] == 0.0 && (ties[1] - ties[2]).abs() < 1e-15 && (ties.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    }

    /// A token of probability 1e-4, all others lumped together: what is left of its chance in the first of N steps, where its weight is
    /// 1e-4 / N, and over all of them (the formula in Python).
    #[test]
    fn single_precision_loses_rare_tokens_the_more_the_more_steps() {
        for (steps, first, all) in [(64, 0.963, 0.980_878_2), (1024, 0.543, 0.748_309_8), (10_240, 0.002, 0.163_536_5)]
        {
            let (mut kept, mut hidden, mut shares) = (0.0, 1.0, Vec::new());
            for left in (1..=steps).rev() {
                let leaves = 1.0 / f64::from(left);
                let law = truncated_law(&[1e-4 * leaves, (1.0 - 1e-4) * leaves, 1.0 - leaves], GUMBEL_BOUND_F32);
                shares.push(law[0] / (1e-4 * leaves));
                kept += hidden * law[0];
                hidden *= law[2];
            }
            assert!((shares[0] - first).abs() < 6e-4, "{steps}: {}", shares[0]);
            assert!((kept / 1e-4 - all).abs() < 1e-6, "{steps}: {}", kept / 1e-4);
        }
    }

    #[test]
    fn no_noise_of_single_precision_is_above_its_bound() {
        let most = (0..1u32 << 24).map(|k| -(-((k as f32) / 16_777_216.0).ln()).ln()).fold(f32::MIN, f32::max);
        assert!(f64::from(most) <= 16.6356 && (f64::from(most) - GUMBEL_BOUND_F32).abs() < 1e-5, "{most}");
        assert!((GUMBEL_BOUND_F32 + (-(1.0 - 2f64.powi(-24)).ln()).ln()).abs() < 1e-8);
    }
}
