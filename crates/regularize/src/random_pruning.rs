//! Random pruning at initialisation: how many weights a layer keeps is chosen, which ones is left to chance.
//!
//! Liu, Chen, Chen, Shen, Mocanu, Wang and Pechenizkiy, "The Unreasonable Effectiveness of Random Pruning", ICLR 2022
//! (arXiv 2202.02643). A [`Rule`] spreads the overall density over the layers, the positions are drawn uniformly, and
//! the network is trained from scratch with that pattern fixed. Counted are the entries of linear and convolution
//! kernels; biases and normalisations are never pruned.
//!
//! Where it pays (see [`SPARSE_BELOW`](crate::SPARSE_BELOW)), a layer stores and computes only what is alive, its
//! optimiser state included; elsewhere weights and gradients are masked after every step. Both train the same network.
//!
//! Sparse networks need to be trained for longer than dense ones, and normalised (or rescaled): with 15 epochs and neither, the
//! claim's first runs found them behind a dense network of as many weights; with 100 epochs and normalisation they are ahead.

use crate::density::{self, Draw, Layer, Rule, counts, densities, layers, random_mask};
use crate::masks::{impose, mask_gradients, mask_weights, release};
use quadrat_core::{Area, Card, Error, Method, Result, Settings};
use quadrat_nn::{At, Parameters, Run, TrainMethod};

/// Random pruning at initialisation.
///
/// ```
/// use quadrat_core::{Seed, Silent};
/// use quadrat_nn::{Mlp, Samples, Trainer};
/// use quadrat_regularize::RandomPruning;
/// let inputs = ndarray::Array2::from_shape_fn((40, 2), |(i, j)| ((i * (j + 1)) % 7) as f32);
/// let samples = Samples::classes(inputs, (0..40).map(|i| (i % 7 > 3) as u32).collect(), 2)?;
/// let trainer = Trainer { epochs: 5, seed: Seed(1), ..Trainer::default() };
/// let mut method = RandomPruning { density: 0.3, ..RandomPruning::default() };
/// let fit = trainer.fit(&Mlp::new(2, &[20, 20], 2), &samples, None, &mut [&mut method], &Silent)?;
/// let alive: usize = ["fc1.weight", "fc2.weight", "fc3.weight"]
///     .map(|name| fit.parameters.get(name).unwrap().values().iter().filter(|w| **w != 0.0).count())
///     .iter()
///     .sum();
/// assert!(alive <= 144); // 0.3 of 480
/// # Ok::<(), quadrat_core::Error>(())
/// ```
#[derive(Debug, Clone, Settings)]
pub struct RandomPruning {
    /// Share of all prunable weights that is kept.
    #[param(default = 0.1, above = 0, to = 1)]
    pub density: f64,
    /// How it is spread over layers.
    #[param(default = Rule::Erk)]
    pub rule: Rule,
    /// How positions are drawn.
    #[param(default = Draw::Exact)]
    pub draw: Draw,
    /// Multiply a layer's initial weights by 1/√(its density), so that activations keep their size. Off in the paper.
    #[param(default = false)]
    pub rescale: bool,
    /// The pattern of each kernel, by name: what is alive. Empty before a run.
    pub masks: Vec<(String, Vec<bool>)>,
}

impl Method for RandomPruning {
    const CARD: Card = Card {
        slug: "random-pruning",
        aliases: &["random-sparse"],
        title: "Random pruning at initialisation",
        paper: "Liu et al., ICLR 2022, arXiv 2202.02643",
        area: Area::Regularize,
        verbs: &["train"],
        summary: "Trains a network with a fixed random pattern of few weights, layer-wise densities by a rule; sparse \
                  layers store and compute only what is alive.",
        useful_when: "I want a small network without training a large one first; a baseline that a pruning method must \
                      beat; training takes too much memory",
        cost: "drawing is linear in the number of weights; sparse layers train in proportion to what is alive",
        params: Self::PARAMS,
    };
}

impl RandomPruning {
    /// Draw the pattern for `parameters` (gradients only for the rules that need them).
    fn pattern(&self, run: &Run<'_>, parameters: &Parameters, layers: &[Layer]) -> Result<Vec<Vec<bool>>> {
        density::check(layers, self.density)?;
        let kept = match self.rule {
            Rule::Snip => shares(layers, &snip(run, parameters, layers)?, self.density),
            Rule::Grasp => shares(layers, &grasp(run, parameters, layers)?, self.density),
            rule => densities(layers, rule, self.density)?,
        };
        let exact = counts(layers, &kept);
        let mut masks = Vec::with_capacity(layers.len());
        for (i, layer) in layers.iter().enumerate() {
            let mut rng = run.seed.stream("positions").rng(i as u64);
            let n = layer.entries();
            let mask = match self.draw {
                Draw::Exact => random_mask(n, exact[i], &mut rng),
                Draw::Bernoulli => (0..n).map(|_| rng.uniform() < kept[i]).collect(),
            };
            if !mask.contains(&true) {
                let got = format!("layer `{}` would keep none of its {n} weights", layer.name);
                return Err(Error::input("density", got, "raise the density or take the rule erk"));
            }
            masks.push(mask);
        }
        Ok(masks)
    }
}

impl TrainMethod for RandomPruning {
    fn name(&self) -> &str {
        "random-pruning"
    }

    fn settings(&self) -> String {
        format!("density={} rule={:?} draw={:?} rescale={}", self.density, self.rule, self.draw, self.rescale)
    }

    fn begin(&mut self, run: &Run<'_>, parameters: &mut Parameters) -> Result<()> {
        let layers = layers(parameters);
        let masks = self.pattern(run, parameters, &layers)?;
        self.masks = layers.into_iter().map(|layer| layer.name).zip(masks).collect();
        impose(&self.masks, parameters, self.rescale)
    }

    fn gradients(&mut self, _: At, parameters: &Parameters, gradients: &mut [Vec<f32>]) -> Result<()> {
        mask_gradients(&self.masks, parameters, gradients)
    }

    fn after_step(&mut self, _: At, parameters: &mut Parameters) -> Result<()> {
        mask_weights(&self.masks, parameters)
    }

    fn finish(&mut self, parameters: &mut Parameters) -> Result<()> {
        release(&self.masks, parameters)
    }
}

/// |w ∂L/∂w| of each layer's weights on one batch (Lee et al. 2019).
pub(crate) fn snip(run: &Run<'_>, parameters: &Parameters, layers: &[Layer]) -> Result<Vec<Vec<f32>>> {
    let (_, gradients) = run.gradients(parameters, &some_rows(run, 128))?;
    by_layer(parameters, layers, |place, w| w.iter().zip(&gradients[place]).map(|(w, g)| (w * g).abs()).collect())
}

/// w (H g) of each layer's weights: large where removing a weight would reduce the flow of gradients (Wang et al. 2020;
/// GraSP removes the largest −w (H g)). H g is a central difference of gradients along g.
fn grasp(run: &Run<'_>, parameters: &Parameters, layers: &[Layer]) -> Result<Vec<Vec<f32>>> {
    let rows = some_rows(run, 25 * run.data.outputs());
    let (_, g) = run.gradients(parameters, &rows)?;
    let norm = g.iter().flatten().map(|&v| f64::from(v) * f64::from(v)).sum::<f64>().sqrt().max(1e-30);
    let step = (1e-2 / norm) as f32;
    let moved = |sign: f32| -> Result<Vec<Vec<f32>>> {
        let mut moved = parameters.clone();
        for (parameter, g) in moved.iter_mut().zip(&g).filter(|(_, g)| !g.is_empty()) {
            parameter.update(|w| w.iter_mut().zip(g).for_each(|(w, g)| *w += sign * step * g));
        }
        Ok(run.gradients(&moved, &rows)?.1)
    };
    let (up, down) = (moved(1.0)?, moved(-1.0)?);
    by_layer(parameters, layers, |place, w| {
        let product = up[place].iter().zip(&down[place]).map(|(up, down)| (up - down) / (2.0 * step));
        w.iter().zip(product).map(|(w, hg)| w * hg).collect()
    })
}

fn by_layer(
    parameters: &Parameters,
    layers: &[Layer],
    score: impl Fn(usize, &[f32]) -> Vec<f32>,
) -> Result<Vec<Vec<f32>>> {
    layers.iter().map(|l| Ok(score(parameters.position(&l.name)?, &parameters.get(&l.name)?.values()))).collect()
}

/// Up to `n` training rows, drawn.
pub(crate) fn some_rows(run: &Run<'_>, n: usize) -> Vec<u32> {
    let all = run.data.len();
    run.seed.stream("probe").rng(0).sample(all, n.min(all)).into_iter().map(|row| row as u32).collect()
}

/// Each layer's share of the `density` of all weights with the highest scores; every layer keeps at least one.
fn shares(layers: &[Layer], scores: &[Vec<f32>], density: f64) -> Vec<f64> {
    let mut all: Vec<f32> = scores.iter().flatten().copied().collect();
    let keep = ((density * all.len() as f64).round() as usize).clamp(1, all.len());
    let (_, threshold, _) = all.select_nth_unstable_by(keep - 1, |a, b| b.total_cmp(a));
    let threshold = *threshold;
    let kept = |scores: &Vec<f32>| scores.iter().filter(|s| **s >= threshold).count().max(1);
    layers.iter().zip(scores).map(|(layer, scores)| kept(scores) as f64 / layer.entries() as f64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;
    use quadrat_core::{Seed, Silent};
    use quadrat_nn::{ConvNet, Mlp, Network, Optimizer, Samples, Trainer};

    fn samples(width: usize) -> Samples {
        let mut rng = Seed(2).rng(0);
        let inputs = Array2::from_shape_fn((50, width), |_| rng.normal() as f32);
        Samples::classes(inputs, (0..50).map(|i| i % 4).collect(), 4).unwrap()
    }

    fn train(network: &dyn Network, method: &mut RandomPruning, optimizer: Optimizer) -> Parameters {
        let trainer = Trainer { epochs: 3, batch: 16, rate: 0.01, optimizer, seed: Seed(3), ..Trainer::default() };
        let samples = samples(network.inputs());
        trainer.fit(network, &samples, None, &mut [method], &Silent).unwrap().parameters
    }

    #[test]
    fn dead_weights_stay_dead_and_the_budget_is_met() {
        let networks: [Box<dyn Network>; 2] = [
            Box::new(Mlp::new(20, &[30, 30], 4)),
            Box::new(ConvNet { filters: vec![4, 8], hidden: 20, ..ConvNet::new([1, 8, 8], 4) }),
        ];
        for network in &networks {
            for rule in [Rule::Uniform, Rule::Erk, Rule::Er, Rule::Snip, Rule::Grasp] {
                for optimizer in [Optimizer::sgd(1e-3), Optimizer::adamw(0.01)] {
                    let mut method = RandomPruning { density: 0.15, rule, ..RandomPruning::default() };
                    let trained = train(&**network, &mut method, optimizer);
                    let (mut alive, mut all) = (0, 0);
                    for (name, mask) in &method.masks {
                        let weights = trained.get(name).unwrap().values();
                        assert!(weights.iter().zip(mask).all(|(w, alive)| *alive || *w == 0.0), "{rule:?}");
                        alive += mask.iter().filter(|alive| **alive).count();
                        all += mask.len();
                    }
                    let wanted = (0.15 * all as f64).round();
                    let slack = if matches!(rule, Rule::Snip | Rule::Grasp) { 3.0 } else { 0.0 };
                    assert!((alive as f64 - wanted).abs() <= slack, "{rule:?}: {alive} of {all}");
                }
            }
        }
    }

    /// Sparse storage is another way to compute the same: a masked dense training ends in the same weights.
    #[test]
    fn sparse_and_masked_layers_train_alike() {
        let network = Mlp::new(20, &[40, 40], 4);
        let mut method = RandomPruning { density: 0.08, ..RandomPruning::default() };
        let sparse = train(&network, &mut method, Optimizer::sgd(1e-3));
        let mut masked = Masked(method.masks.clone());
        let trainer = Trainer {
            epochs: 3,
            batch: 16,
            rate: 0.01,
            optimizer: Optimizer::sgd(1e-3),
            seed: Seed(3),
            ..Trainer::default()
        };
        let dense = trainer.fit(&network, &samples(20), None, &mut [&mut masked], &Silent).unwrap().parameters;
        for (a, b) in sparse.iter().zip(dense.iter()) {
            let apart = a.values().iter().zip(b.values()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(apart < 1e-5, "{}: {apart}", a.name);
        }
    }

    /// Masks without sparse storage.
    struct Masked(Vec<(String, Vec<bool>)>);

    impl TrainMethod for Masked {
        fn name(&self) -> &str {
            "masked"
        }
        fn begin(&mut self, _: &Run<'_>, parameters: &mut Parameters) -> Result<()> {
            mask_weights(&self.0, parameters)
        }
        fn gradients(&mut self, _: At, parameters: &Parameters, gradients: &mut [Vec<f32>]) -> Result<()> {
            mask_gradients(&self.0, parameters, gradients)
        }
        fn after_step(&mut self, _: At, parameters: &mut Parameters) -> Result<()> {
            mask_weights(&self.0, parameters)
        }
    }

    #[test]
    fn a_layer_that_would_be_empty_is_named() {
        let mut method = RandomPruning { density: 1e-4, rule: Rule::Uniform, ..RandomPruning::default() };
        let trainer = Trainer { epochs: 1, ..Trainer::default() };
        let error = trainer.fit(&Mlp::new(20, &[30], 4), &samples(20), None, &mut [&mut method], &Silent).unwrap_err();
        assert!(error.to_string().contains("would keep none"), "{error}");
    }

    #[test]
    fn bernoulli_counts_are_near_their_mean() {
        let mut method =
            RandomPruning { density: 0.3, draw: Draw::Bernoulli, rule: Rule::Uniform, ..RandomPruning::default() };
        train(&Mlp::new(50, &[80], 4), &mut method, Optimizer::sgd(0.0));
        for (_, mask) in &method.masks {
            let (n, alive) = (mask.len() as f64, mask.iter().filter(|alive| **alive).count() as f64);
            // Five standard deviations: once in two million draws.
            assert!((alive - 0.3 * n).abs() < 5.0 * (0.21 * n).sqrt());
        }
    }
}
