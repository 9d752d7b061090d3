//! The agent: a small network that sees ones in their places, with heads for the policy and for the value.

use ndarray::{Array2, ArrayView2, Axis};
use quadrat_core::Rng;
use quadrat_numeric::layers::{Activation, Adam, Layers, Real, Start};

use super::world::{Action, Rules};

/// Actions.
const ACTIONS: usize = Action::ALL.len();

/// Two hidden layers of rectified units, shared by the scores of the actions and the value: outputs 0 to 2 and 3.
#[derive(Debug, Clone, PartialEq)]
pub struct Agent<F> {
    net: Layers<F>,
}

impl<F: Real> Agent<F> {
    /// A random agent for views of `rules`. All actions are nearly as likely, so that it explores.
    pub fn random(rules: &Rules, hidden: [usize; 2], rng: &mut Rng) -> Self {
        let sizes = [rules.features(), hidden[0], hidden[1], ACTIONS + 1];
        let mut net = Layers::random(&sizes, Activation::Relu, Start::He, rng);
        if let Some((weights, _)) = net.layers.first_mut() {
            // So many of the inputs are ones, the others zero.
            let scale = (rules.features() as f64 / rules.ones() as f64).sqrt();
            *weights *= F::from_f64(scale);
        }
        if let Some((weights, _)) = net.layers.last_mut() {
            *weights *= F::from_f64(0.01);
        }
        Agent { net }
    }

    /// Scores of the actions and the value, a row for each row of `hot` ([`World::observe`](super::World::observe)).
    pub fn outputs(&self, hot: ArrayView2<u16>) -> Array2<F> {
        self.net.forward_hot(hot).1
    }

    /// What the last hidden layer says, which both heads read.
    pub fn trunk(&self, hot: ArrayView2<u16>) -> Array2<F> {
        let (mut given, outputs) = self.net.forward_hot(hot);
        given.pop().unwrap_or(outputs)
    }
}

/// Probabilities of the actions from their scores.
pub(super) fn softmax<F: Real>(scores: &[F]) -> [F; ACTIONS] {
    let scores: [F; ACTIONS] = std::array::from_fn(|a| scores[a]);
    let most = scores.iter().fold(scores[0], |most, score| most.max(*score));
    let powers = scores.map(|score| (score - most).exp());
    let sum = powers.iter().fold(F::zero(), |sum, power| sum + *power);
    powers.map(|power| power / sum)
}

/// What a step was, for learning from it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step<F> {
    pub action: usize,
    /// Logarithm of the action's probability when it was chosen.
    pub log: F,
    pub advantage: F,
    /// What the value should have been.
    pub target: F,
}

/// How the loss is made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Weights {
    pub clip: f64,
    pub entropy: f64,
    pub value: f64,
}

/// The loss of proximal policy optimisation (Schulman et al. 2017, equation 9) on rows of `outputs`, and its derivatives by
/// them: minus the mean of min(r A, clip(r) A), plus value weight / 2 times the mean squared error of the value, minus
/// the entropy weight times the mean entropy.
pub(super) fn loss<F: Real>(outputs: &Array2<F>, steps: &[Step<F>], weights: Weights) -> (F, Array2<F>) {
    let Weights { clip, entropy, value } = weights;
    let [clip, entropy, value] = [clip, entropy, value].map(F::from_f64);
    let share = F::one() / F::from_f64(steps.len() as f64);
    let (one, half) = (F::one(), F::from_f64(0.5));
    let (mut loss, mut delta) = (F::zero(), Array2::zeros(outputs.raw_dim()));
    for ((row, mut delta), step) in outputs.axis_iter(Axis(0)).zip(delta.axis_iter_mut(Axis(0))).zip(steps) {
        let policy = softmax(&std::array::from_fn::<F, ACTIONS, _>(|a| row[a]));
        let ratio = (policy[step.action].ln() - step.log).exp();
        let (free, clipped) = (ratio * step.advantage, ratio.max(one - clip).min(one + clip) * step.advantage);
        // Where the clipped one is smaller, it does not change with the ratio.
        let by_log = if free <= clipped { -free } else { F::zero() };
        let spread = policy.iter().fold(F::zero(), |sum, p| if *p > F::zero() { sum - *p * p.ln() } else { sum });
        let error = row[ACTIONS] - step.target;
        loss += share * (half * value * error * error - free.min(clipped) - entropy * spread);
        for (action, p) in policy.iter().enumerate() {
            let chosen = if action == step.action { one } else { F::zero() };
            let by_spread = if *p > F::zero() { *p * (p.ln() + spread) } else { F::zero() };
            delta[action] = share * (by_log * (chosen - *p) + entropy * by_spread);
        }
        delta[ACTIONS] = share * value * error;
    }
    (loss, delta)
}

/// An agent that learns.
pub(super) struct Student {
    pub agent: Agent<f32>,
    adam: Adam<f32>,
    slope: Layers<f32>,
}

impl Student {
    pub fn new(agent: Agent<f32>) -> Self {
        Student { adam: Adam::new(&agent.net), slope: agent.net.zeros(), agent }
    }

    /// One step on the rows of `hot`. Slopes longer than `most` are shortened to it.
    pub fn learn(&mut self, hot: ArrayView2<u16>, steps: &[Step<f32>], weights: Weights, rate: f64, most: f64) {
        let (given, outputs) = self.agent.net.forward_hot(hot);
        let (_, delta) = loss(&outputs, steps, weights);
        self.agent.net.backward_hot(hot, &given, delta, &mut self.slope);
        let square = |values: &[f32]| values.iter().map(|v| f64::from(*v) * f64::from(*v)).sum::<f64>();
        let layers = self.slope.layers.iter();
        let length = layers.map(|(w, b)| square(w.as_slice().unwrap_or(&[])) + square(b.as_slice().unwrap_or(&[])));
        let length = length.sum::<f64>().sqrt();
        if length > most {
            let scale = (most / length) as f32;
            for (w, b) in &mut self.slope.layers {
                *w *= scale;
                *b *= scale;
            }
        }
        self.adam.step(&mut self.agent.net, &mut self.slope, rate);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;
    use quadrat_core::Seed;

    const RULES: Rules = Rules { view: 3, walls_hide: true, limit: 10 };

    /// The loss's derivatives by outputs and by all weights agree with differences, on both sides of the clip.
    #[test]
    fn derivatives_agree_with_differences() {
        let mut rng = Seed(1).rng(0);
        let agent = Agent::<f64>::random(&RULES, [5, 4], &mut rng);
        let hot = Array2::from_shape_fn((8, RULES.ones()), |(_, at)| match at {
            9 => 54 + rng.below(4) as u16,
            10 => 58 + rng.below(4) as u16,
            cell => (cell * 6 + rng.below(6)) as u16,
        });
        let step = |row: usize| Step {
            action: row % 3,
            // Ratios from 1/2 to 2.
            log: (1.0_f64 / 3.0).ln() + 0.2 * row as f64 - 0.7,
            advantage: if row < 4 { 1.5 } else { -0.8 },
            target: 0.3 * row as f64,
        };
        let steps: Vec<Step<f64>> = (0..8).map(step).collect();
        let weights = Weights { clip: 0.2, entropy: 0.1, value: 0.5 };
        let of = |agent: &Agent<f64>| loss(&agent.outputs(hot.view()), &steps, weights).0;
        let (given, outputs) = agent.net.forward_hot(hot.view());
        let (_, delta) = loss(&outputs, &steps, weights);
        let mut slope = agent.net.zeros();
        agent.net.backward_hot(hot.view(), &given, delta, &mut slope);
        let h = 1e-6;
        for at in 0..3 {
            for place in ndarray::indices(agent.net.layers[at].0.dim()) {
                let moved = |by: f64| {
                    let mut other = agent.clone();
                    other.net.layers[at].0[place] += by;
                    of(&other)
                };
                let expected = (moved(h) - moved(-h)) / (2.0 * h);
                assert!((slope.layers[at].0[place] - expected).abs() < 1e-7, "{at} {place:?} {expected}");
            }
        }
        for place in ndarray::indices(outputs.dim()) {
            let moved = |by: f64| {
                let mut other = outputs.clone();
                other[place] += by;
                loss(&other, &steps, weights).0
            };
            let (_, delta) = loss(&outputs, &steps, weights);
            assert!((delta[place] - (moved(h) - moved(-h)) / (2.0 * h)).abs() < 1e-8, "{place:?}");
        }
    }

    #[test]
    fn agents_start_undecided() {
        let rules = Rules { view: 5, walls_hide: false, limit: 10 };
        let agent = Agent::<f32>::random(&rules, [32, 16], &mut Seed(2).rng(0));
        let hot = Array2::from_shape_fn((1, rules.ones()), |(_, at)| (at * 6).min(157) as u16);
        let outputs = agent.outputs(hot.view());
        let policy = softmax(outputs.as_slice().unwrap());
        assert!(policy.iter().all(|p| (p - 1.0 / 3.0).abs() < 0.05), "{policy:?}");
        assert_eq!(agent.trunk(hot.view()).dim(), (1, 16));
    }
}
