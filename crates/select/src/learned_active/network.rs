//! The policy's network, forward and backward by hand.
//!
//! One small network looks at each query's features and gives its logit, so that it does not matter how queries are
//! numbered; what is peculiar to a query (or an answer) is one number of its own, a prior that training may move. A direct
//! linear part beside the hidden units lets training start from an ordinary rule.

use quadrat_core::Rng;
use serde::{Deserialize, Serialize};

/// Weights; derivatives and Adam's moments have the same shape.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Network {
    /// Features to hidden units, [f][j].
    into: Vec<f32>,
    bias: Vec<f32>,
    /// Hidden units to the logit.
    out: Vec<f32>,
    /// Features to the logit.
    direct: Vec<f32>,
    /// Each query's own part.
    query: Vec<f32>,
    /// Weights of an answer's [`ANSWER`] features.
    answer: Vec<f32>,
    /// Each answer's own part: for 0-1 losses a prior.
    prior: Vec<f32>,
}

/// Features of an answer: log chance of being the best, and minus ten times the expected loss.
pub(super) const ANSWER: usize = 2;

/// The answer's features from chance and expected loss.
pub(super) fn answer_features(chance: f32, risk: f32) -> [f32; ANSWER] {
    [(chance + 1e-4).ln(), -10.0 * risk]
}

impl Network {
    /// A network whose logit is at first `start` times the first feature, and whose answers go by their chance.
    pub fn new(features: usize, hidden: usize, queries: usize, answers: usize, start: f32, rng: &mut Rng) -> Self {
        let scale = (2.0 / features as f64).sqrt();
        let mut direct = vec![0.0; features];
        direct.iter_mut().take(1).for_each(|weight| *weight = start);
        Network {
            into: (0..features * hidden).map(|_| (scale * rng.normal()) as f32).collect(),
            bias: vec![0.0; hidden],
            // The hidden units say nothing yet, but already learn.
            out: (0..hidden).map(|_| (0.1 * rng.normal() / (hidden as f64).sqrt()) as f32).collect(),
            direct,
            query: vec![0.0; queries],
            answer: vec![2.0, 0.5],
            prior: vec![0.0; answers],
        }
    }

    /// The same shape, all zeros.
    pub fn zeros(&self) -> Self {
        let mut zeros = self.clone();
        zeros.parts_mut().into_iter().for_each(|part| part.fill(0.0));
        zeros
    }

    pub fn parts(&self) -> [&Vec<f32>; 7] {
        [&self.into, &self.bias, &self.out, &self.direct, &self.query, &self.answer, &self.prior]
    }

    pub fn parts_mut(&mut self) -> [&mut Vec<f32>; 7] {
        let Network { into, bias, out, direct, query, answer, prior } = self;
        [into, bias, out, direct, query, answer, prior]
    }

    /// Whether the shape is that of `features`, `queries` and `answers`, and all weights are finite.
    pub fn fits(&self, features: usize, queries: usize, answers: usize) -> bool {
        let hidden = self.bias.len();
        let sizes = [features * hidden, hidden, hidden, features, queries, ANSWER, answers];
        self.parts().iter().zip(sizes).all(|(part, size)| part.len() == size && part.iter().all(|w| w.is_finite()))
    }

    /// Adds `other`, part by part.
    pub fn add(&mut self, other: &Network) {
        for (own, other) in self.parts_mut().into_iter().zip(other.parts()) {
            own.iter_mut().zip(other).for_each(|(own, other)| *own += other);
        }
    }

    pub fn hidden(&self) -> usize {
        self.bias.len()
    }

    fn activate(&self, features: &[f32], hidden: &mut [f32]) {
        hidden.copy_from_slice(&self.bias);
        for (f, weights) in features.iter().zip(self.into.chunks_exact(hidden.len())) {
            hidden.iter_mut().zip(weights).for_each(|(h, w)| *h += f * w);
        }
        hidden.iter_mut().for_each(|h| *h = h.max(0.0));
    }

    /// Logits of all queries from their features, [x][f]; `hidden` is scratch.
    pub fn query_logits(&self, features: &[f32], hidden: &mut [f32], logits: &mut [f32]) {
        let width = self.direct.len();
        for ((own, logit), features) in self.query.iter().zip(logits).zip(features.chunks_exact(width)) {
            self.activate(features, hidden);
            *logit = own + dot(hidden, &self.out) + dot(features, &self.direct);
        }
    }

    /// Adds the derivatives of `sum_x slope_x logit_x` to `into`.
    pub fn query_backward(&self, features: &[f32], slope: &[f32], hidden: &mut [f32], into: &mut Network) {
        let (width, units) = (self.direct.len(), hidden.len());
        for (x, (slope, features)) in slope.iter().zip(features.chunks_exact(width)).enumerate() {
            if *slope == 0.0 {
                continue;
            }
            self.activate(features, hidden);
            into.query[x] += slope;
            into.direct.iter_mut().zip(features).for_each(|(d, f)| *d += slope * f);
            into.out.iter_mut().zip(&*hidden).for_each(|(d, h)| *d += slope * h);
            hidden.iter_mut().zip(&self.out).for_each(|(h, out)| *h = if *h > 0.0 { slope * out } else { 0.0 });
            into.bias.iter_mut().zip(&*hidden).for_each(|(d, h)| *d += h);
            for (f, weights) in features.iter().zip(into.into.chunks_exact_mut(units)) {
                weights.iter_mut().zip(&*hidden).for_each(|(d, h)| *d += f * h);
            }
        }
    }

    /// Logits of all answers from their features, [z][2].
    pub fn answer_logits(&self, features: &[f32], logits: &mut [f32]) {
        for ((own, logit), features) in self.prior.iter().zip(logits).zip(features.chunks_exact(ANSWER)) {
            *logit = own + dot(features, &self.answer);
        }
    }

    /// Adds the derivatives of `sum_z slope_z logit_z` to `into`.
    pub fn answer_backward(&self, features: &[f32], slope: &[f32], into: &mut Network) {
        for (z, (slope, features)) in slope.iter().zip(features.chunks_exact(ANSWER)).enumerate() {
            into.prior[z] += slope;
            into.answer.iter_mut().zip(features).for_each(|(d, f)| *d += slope * f);
        }
    }
}

/// Eight sums at a time, so that the compiler may use wide registers.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0_f32; 8];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    for (a, b) in a.iter().zip(b) {
        sums.iter_mut().zip(a.iter().zip(b)).for_each(|(sum, (a, b))| *sum += a * b);
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}

/// Logits to probabilities, in place; minus infinity has probability 0.
pub(super) fn softmax(values: &mut [f32]) {
    let most = values.iter().fold(f32::NEG_INFINITY, |most, v| most.max(*v));
    values.iter_mut().for_each(|v| *v = (*v - most).exp());
    let sum: f32 = values.iter().sum();
    values.iter_mut().for_each(|v| *v /= sum);
}

/// An index drawn by probabilities that sum to 1.
pub(super) fn draw(probabilities: &[f32], rng: &mut Rng) -> usize {
    let mut left = rng.uniform() as f32;
    for (i, p) in probabilities.iter().enumerate() {
        left -= p;
        if left < 0.0 {
            return i;
        }
    }
    probabilities.iter().rposition(|p| *p > 0.0).unwrap_or(0)
}

/// Adam (Kingma and Ba 2015) with its authors' constants.
pub(super) struct Adam {
    first: Network,
    second: Network,
    steps: i32,
}

impl Adam {
    pub fn new(network: &Network) -> Self {
        Adam { first: network.zeros(), second: network.zeros(), steps: 0 }
    }

    pub fn step(&mut self, network: &mut Network, slope: &Network, rate: f32) {
        const BETA: (f32, f32) = (0.9, 0.999);
        self.steps += 1;
        let correction = (1.0 - BETA.0.powi(self.steps), 1.0 - BETA.1.powi(self.steps));
        let moments = self.first.parts_mut().into_iter().zip(self.second.parts_mut());
        for ((weights, slope), (first, second)) in network.parts_mut().into_iter().zip(slope.parts()).zip(moments) {
            for (((w, g), m), v) in weights.iter_mut().zip(slope).zip(first).zip(second) {
                *m = BETA.0 * *m + (1.0 - BETA.0) * g;
                *v = BETA.1 * *v + (1.0 - BETA.1) * g * g;
                *w -= rate * (*m / correction.0) / ((*v / correction.1).sqrt() + 1e-8);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quadrat_core::Seed;

    #[test]
    fn derivatives_agree_with_differences() {
        let mut rng = Seed(1).rng(0);
        let (features, hidden, queries, answers) = (5, 11, 4, 3);
        let mut network = Network::new(features, hidden, queries, answers, 0.7, &mut rng);
        network.parts_mut().into_iter().flatten().for_each(|w| *w += 0.3 * rng.normal() as f32);
        let mut draw = |n: usize| -> Vec<f32> { (0..n).map(|_| rng.normal() as f32).collect() };
        let (q, a) = (draw(queries * features), draw(answers * ANSWER));
        let (q_slope, a_slope) = (draw(queries), draw(answers));
        let mut scratch = vec![0.0; hidden];
        let mut value = |network: &Network| -> f64 {
            let (mut logits, mut given) = (vec![0.0; queries], vec![0.0; answers]);
            network.query_logits(&q, &mut scratch, &mut logits);
            network.answer_logits(&a, &mut given);
            let all = logits.iter().zip(&q_slope).chain(given.iter().zip(&a_slope));
            all.map(|(l, s)| f64::from(l * s)).sum()
        };
        let mut slope = network.zeros();
        network.query_backward(&q, &q_slope, &mut vec![0.0; hidden], &mut slope);
        network.answer_backward(&a, &a_slope, &mut slope);
        // Single precision: differences over 2e-3 are good to about 1e-3.
        let h = 1e-3_f32;
        for part in 0..7 {
            for at in 0..slope.parts()[part].len() {
                let mut moved = |by: f32| {
                    let mut network = network.clone();
                    network.parts_mut()[part][at] += by;
                    value(&network)
                };
                let difference = (moved(h) - moved(-h)) / (2.0 * f64::from(h));
                let got = f64::from(slope.parts()[part][at]);
                assert!((difference - got).abs() < 5e-3 * (1.0 + got.abs()), "{part} {at}: {difference} {got}");
            }
        }
    }

    #[test]
    fn draws_follow_their_probabilities() {
        let mut p = [0.0, f32::NEG_INFINITY, 1.0, -1.0];
        softmax(&mut p);
        let mut rng = Seed(2).rng(0);
        let mut counts = [0; 4];
        (0..20_000).for_each(|_| counts[draw(&p, &mut rng)] += 1);
        assert_eq!(counts[1], 0);
        for (count, p) in counts.iter().zip(p) {
            // Five standard errors: one false alarm in half a million seeds.
            assert!((*count as f32 - 20_000.0 * p).abs() <= 5.0 * (20_000.0 * p * (1.0 - p)).sqrt(), "{counts:?}");
        }
    }
}
