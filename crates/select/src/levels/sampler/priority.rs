//! Levels in the order of their scores, and draws by a law of score or rank that need no pass over all of them.

use quadrat_core::{Choice, Rng};
use serde::{Deserialize, Serialize};

/// How scores become probabilities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Choice, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Transform {
    /// In proportion to (1 / rank)^(1 / beta), rank 1 for the highest score; tied levels share the mean of their weights.
    Rank,
    /// In proportion to (max(score, 0) + 0.001)^(1 / beta).
    Power,
    /// In proportion to exp(score / beta).
    Softmax,
    /// The highest score; any level at one draw in twenty.
    EpsGreedy,
    /// The highest score.
    Max,
}

/// What is added to a score before a power is taken of it.
const TINY: f64 = 1e-3;
/// Draws of any level in [`Transform::EpsGreedy`].
const EPSILON: f64 = 0.05;
/// Weights are kept as multiples of e^reference, a multiple of 400 within 200 of the greatest logarithm: no weight overflows, and
/// the scores alone say what each is.
const REACH: f64 = 400.0;

/// Scores of some slots. A change costs O(log n) comparisons and one move of at most 4 n bytes; a draw O(log n).
#[derive(Debug, Clone)]
pub(super) struct Priority {
    transform: Transform,
    beta: f64,
    /// By slot; none: not in this law.
    scores: Vec<Option<f64>>,
    /// The slots, highest score first, ties by slot.
    order: Vec<u32>,
    /// Sums of (1 / rank)^(1 / beta) over the first ranks.
    by_rank: Vec<f64>,
    /// Of powers and exponentials.
    weights: SumTree<1>,
    reference: f64,
}

impl Priority {
    pub fn new(transform: Transform, beta: f64) -> Self {
        Priority {
            transform,
            beta,
            scores: Vec::new(),
            order: Vec::new(),
            by_rank: Vec::new(),
            weights: SumTree::default(),
            reference: 0.0,
        }
    }

    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// The slots, lowest score first.
    pub fn upwards(&self) -> impl Iterator<Item = usize> {
        self.order.iter().rev().map(|slot| *slot as usize)
    }

    /// Gives a slot its score.
    pub fn set(&mut self, slot: usize, score: f64) {
        if self.scores.len() <= slot {
            self.scores.resize(slot + 1, None);
        }
        if let Some(old) = self.scores[slot] {
            let at = self.place(old, slot);
            self.order.remove(at);
        }
        let at = self.place(score, slot);
        self.order.insert(at, slot as u32);
        self.scores[slot] = Some(score);
        while self.by_rank.len() < self.order.len() {
            let rank = self.by_rank.len() as f64 + 1.0;
            let sum = self.by_rank.last().copied().unwrap_or(0.0);
            self.by_rank.push(sum + (1.0 / rank).powf(1.0 / self.beta));
        }
        if let (Transform::Power | Transform::Softmax, Some(first)) = (self.transform, self.order.first()) {
            let greatest = self.scores[*first as usize].map_or(0.0, |score| self.logarithm(score));
            let reference = REACH * (greatest / REACH).round();
            if reference != self.reference {
                self.reference = reference;
                for slot in self.order.clone() {
                    self.weigh(slot as usize);
                }
            }
            self.weigh(slot);
        }
    }

    fn weigh(&mut self, slot: usize) {
        let weight = self.scores[slot].map_or(0.0, |score| (self.logarithm(score) - self.reference).exp());
        self.weights.set(slot, [weight]);
    }

    fn logarithm(&self, score: f64) -> f64 {
        match self.transform {
            Transform::Power => (score.max(0.0) + TINY).ln() / self.beta,
            _ => score / self.beta,
        }
    }

    fn score(&self, slot: u32) -> f64 {
        self.scores[slot as usize].unwrap_or(f64::NEG_INFINITY)
    }

    /// Where the slot is, or belongs, in the order.
    fn place(&self, score: f64, slot: usize) -> usize {
        self.order.partition_point(|other| {
            let theirs = self.score(*other);
            theirs > score || (theirs == score && (*other as usize) < slot)
        })
    }

    /// The places in the order of all that are tied with the one at `place`.
    fn tied(&self, place: usize) -> std::ops::Range<usize> {
        let score = self.score(self.order[place]);
        let first = self.order.partition_point(|other| self.score(*other) > score);
        first..self.order.partition_point(|other| self.score(*other) >= score)
    }

    /// A slot by the law; there must be one.
    pub fn draw(&self, rng: &mut Rng) -> usize {
        let last = self.order.len() - 1;
        let place = match self.transform {
            Transform::Power | Transform::Softmax => return self.weights.draw(&[1.0], rng.uniform()),
            Transform::Rank => {
                let u = rng.uniform() * self.by_rank[last];
                self.by_rank[..=last].partition_point(|sum| *sum <= u).min(last)
            }
            Transform::EpsGreedy if rng.uniform() < EPSILON => return self.order[rng.below(last + 1)] as usize,
            Transform::EpsGreedy | Transform::Max => 0,
        };
        // Any of those tied with it: they share the weights of their ranks.
        let tied = self.tied(place);
        self.order[tied.start + rng.below(tied.len())] as usize
    }

    /// Adds `scale` times the law to `into`, by slot. O(n).
    pub fn add(&self, scale: f64, into: &mut [f64]) {
        let n = self.order.len();
        let mut first = 0;
        while first < n {
            let tied = self.tied(first);
            let each = match self.transform {
                Transform::Rank => {
                    let before = if first == 0 { 0.0 } else { self.by_rank[first - 1] };
                    (self.by_rank[tied.end - 1] - before) / self.by_rank[n - 1] / tied.len() as f64
                }
                Transform::Power | Transform::Softmax => {
                    let weight = (self.logarithm(self.score(self.order[first])) - self.reference).exp();
                    weight / self.weights.sum(&[1.0])
                }
                Transform::EpsGreedy | Transform::Max => {
                    let any = if self.transform == Transform::Max { 0.0 } else { EPSILON };
                    any / n as f64 + if first == 0 { (1.0 - any) / tied.len() as f64 } else { 0.0 }
                }
            };
            self.order[tied.clone()].iter().for_each(|slot| into[*slot as usize] += scale * each);
            first = tied.end;
        }
    }
}

/// Sums of K numbers a slot over the nodes of a binary tree: a change and a draw cost O(log n). A sum is always made of the same
/// parts in the same order, so nothing drifts.
#[derive(Debug, Clone)]
pub(super) struct SumTree<const K: usize> {
    /// Node 1 is the root, node n's children are 2 n and 2 n + 1, and the second half are the slots.
    nodes: Vec<[f64; K]>,
}

impl<const K: usize> Default for SumTree<K> {
    fn default() -> Self {
        SumTree { nodes: vec![[0.0; K]; 2] }
    }
}

impl<const K: usize> SumTree<K> {
    pub fn get(&self, slot: usize) -> [f64; K] {
        self.nodes.get(self.nodes.len() / 2 + slot).copied().unwrap_or([0.0; K])
    }

    pub fn set(&mut self, slot: usize, values: [f64; K]) {
        let mut half = self.nodes.len() / 2;
        if slot >= half {
            let leaves = self.nodes.split_off(half);
            half = (slot + 1).next_power_of_two();
            self.nodes = vec![[0.0; K]; half];
            self.nodes.extend(leaves);
            self.nodes.resize(2 * half, [0.0; K]);
            (1..half).rev().for_each(|node| self.gather(node));
        }
        let mut node = half + slot;
        self.nodes[node] = values;
        while node > 1 {
            node /= 2;
            self.gather(node);
        }
    }

    fn gather(&mut self, node: usize) {
        self.nodes[node] = std::array::from_fn(|k| self.nodes[2 * node][k] + self.nodes[2 * node + 1][k]);
    }

    /// The sum over all slots of the K numbers times `by`.
    pub fn sum(&self, by: &[f64; K]) -> f64 {
        dot(&self.nodes[1], by)
    }

    /// The slot at the share `u` in [0, 1) of that sum, each slot having its part of it, none of which may be negative.
    pub fn draw(&self, by: &[f64; K], u: f64) -> usize {
        let half = self.nodes.len() / 2;
        let (mut node, mut left) = (1, u * self.sum(by));
        while node < half {
            let (first, second) = (dot(&self.nodes[2 * node], by), dot(&self.nodes[2 * node + 1], by));
            // Rounding never leads to where there is nothing.
            if left < first || second <= 0.0 {
                node *= 2;
            } else {
                left -= first;
                node = 2 * node + 1;
            }
        }
        node - half
    }
}

fn dot<const K: usize>(values: &[f64; K], by: &[f64; K]) -> f64 {
    values.iter().zip(by).map(|(value, by)| value * by).sum()
}
