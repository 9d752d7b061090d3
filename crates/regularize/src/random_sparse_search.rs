//! Random search for a sparse network: the baseline that a search for sparse architectures must beat.
//!
//! Farahani, "Random Search as a Baseline for Sparse Neural Network Architecture Search", 2024 (arXiv 2403.08265). From
//! an overparameterised network with initial weights θ₀, draw sub-networks that keep a share of the hidden units and
//! inherit θ₀; score each before any training; train the best. Only the abstract could be read: the number of trials,
//! the score (mean loss at initialisation on a fixed probe) and all sizes are ours.
//!
//! Units are removed, not masked: the two compute the same function and removal is faster.

use crate::search::{SearchReport, random_search};
use ndarray::ArrayView2;
use quadrat_core::{Area, Card, Choice, Error, Kind, Method, Progress, Result, Rng, Seed, Settings};
use quadrat_nn::{Loss, Mlp, Network, Parameters, Samples, accuracy, evaluate, gradients, mean_loss};
use std::ops::Bound::{Excluded, Included};

/// How much is removed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Sparsity {
    /// Share of each hidden layer's units, 0 to 1.
    Node(f64),
    /// Share of all weights; the share of units is solved for.
    Weight(f64),
}

const SHARE: Kind = Kind::Number { range: (Included(0.0), Excluded(1.0)), or: None };

impl Sparsity {
    /// A share of units, as it is typed.
    fn of_units(text: &str) -> Result<Sparsity> {
        let share = text.parse().ok().filter(|share| (0.0..1.0).contains(share));
        share
            .map(Sparsity::Node)
            .ok_or_else(|| Error::input("sparsity", format!("`{text}`"), "use a number, at least 0 and below 1"))
    }
}

/// What a sub-network is judged by before training; lower is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Choice)]
pub enum Score {
    /// Mean loss on the probe: the paper's.
    Loss,
    /// Share of probe rows that are wrong.
    Error,
    /// Minus the norm of the loss's gradient.
    GradientNorm,
    /// Minus Σ |w ∂L/∂w|.
    Snip,
}

/// Random search over which hidden units to keep.
///
/// ```
/// use quadrat_core::{Seed, Silent};
/// use quadrat_nn::{Mlp, Samples, initialise};
/// use quadrat_regularize::{RandomSparseSearch, Sparsity};
/// let inputs = ndarray::Array2::from_shape_fn((40, 2), |(i, j)| ((i * (j + 1)) % 7) as f32);
/// let probe = Samples::classes(inputs, (0..40).map(|i| (i % 7 > 3) as u32).collect(), 2)?;
/// let parent = Mlp::new(2, &[32, 32], 2);
/// let parameters = initialise(&parent, Seed(1))?;
/// let search = RandomSparseSearch { sparsity: Sparsity::Node(0.75), trials: 20, ..RandomSparseSearch::default() };
/// let found = search.run(&parent, &parameters, &probe, Seed(2), &Silent)?;
/// assert_eq!(found.network.hidden, [8, 8]);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Settings)]
pub struct RandomSparseSearch {
    /// Share of each hidden layer's units that is removed.
    #[param(default = Sparsity::Node(0.75), parse = Sparsity::of_units, kind = SHARE, text = "0.75")]
    pub sparsity: Sparsity,
    /// How many sub-networks are drawn.
    #[param(default = 100, from = 1)]
    pub trials: usize,
    /// What they are judged by.
    #[param(default = Score::Loss)]
    pub score: Score,
    /// Multiply what a kept unit receives by √(units before / units kept), which restores the activations' size.
    #[param(default = false)]
    pub rescale: bool,
}

/// The units that each hidden layer keeps, ascending.
pub type Kept = Vec<Vec<usize>>;

/// A sub-network, ready to be trained, and how it was found.
#[derive(Debug, Clone)]
pub struct Found {
    /// The smaller network.
    pub network: Mlp,
    /// Its initial parameters, taken from the parent's.
    pub parameters: Parameters,
    /// The units it keeps.
    pub kept: Kept,
    /// All scores.
    pub report: SearchReport,
}

impl Method for RandomSparseSearch {
    const CARD: Card = Card {
        slug: "random-sparse-search",
        aliases: &["sparse-search"],
        title: "Random sparse architecture search",
        paper: "Farahani, 2024, arXiv 2403.08265",
        area: Area::Regularize,
        verbs: &["train"],
        summary: "Draws sub-networks of an overparameterised network, keeps the one with the best score before \
                  training, and removes the other units: the baseline for sparse architecture search.",
        useful_when: "does my pruning or architecture search beat random search; shrink a network by removing whole \
                      units; a faster smaller network",
        cost: "trials forward passes of the small network over the probe",
        params: Self::PARAMS,
    };
}

impl RandomSparseSearch {
    /// Draw, score, and return the best sub-network. Trial i draws from a stream of its own; ties go to the first.
    ///
    /// # Errors
    /// A sparsity outside [0, 1), no hidden layer, no trials, a probe that does not fit, no finite score, cancelled.
    pub fn run(
        &self,
        parent: &Mlp,
        parameters: &Parameters,
        probe: &Samples,
        seed: Seed,
        progress: &dyn Progress,
    ) -> Result<Found> {
        let widths = self.widths(parent)?;
        let draw = |rng: &mut Rng| draw(parent, &widths, rng);
        let score = |kept: &Kept| {
            let (network, parameters) = subnetwork(parent, parameters, kept, self.rescale)?;
            self.judge(&network, &parameters, probe)
        };
        let (kept, report) = random_search(self.trials, seed, draw, score, progress)?;
        let (network, parameters) = subnetwork(parent, parameters, &kept, self.rescale)?;
        Ok(Found { network, parameters, kept, report })
    }

    /// One random sub-network of the same size: the control of an experiment.
    ///
    /// # Errors
    /// As [`RandomSparseSearch::run`].
    pub fn control(&self, parent: &Mlp, parameters: &Parameters, seed: Seed) -> Result<(Mlp, Parameters, Kept)> {
        let kept = draw(parent, &self.widths(parent)?, &mut seed.stream("control").rng(0));
        let (network, parameters) = subnetwork(parent, parameters, &kept, self.rescale)?;
        Ok((network, parameters, kept))
    }

    /// How many units each hidden layer keeps.
    ///
    /// # Errors
    /// A sparsity outside [0, 1), no hidden layer, or a share of weights that even one unit a layer does not reach.
    pub fn widths(&self, parent: &Mlp) -> Result<Vec<usize>> {
        let (Sparsity::Node(sparsity) | Sparsity::Weight(sparsity)) = self.sparsity;
        if !(0.0..1.0).contains(&sparsity) {
            return Err(Error::input("sparsity", sparsity, "0 to below 1"));
        }
        if parent.hidden.is_empty() {
            return Err(Error::input("network", "no hidden layer", "units are removed from hidden layers"));
        }
        let keep = |share: f64| -> Vec<usize> {
            parent.hidden.iter().map(|&h| ((share * h as f64).round() as usize).clamp(1, h)).collect()
        };
        if let Sparsity::Node(removed) = self.sparsity {
            return Ok(keep(1.0 - removed));
        }
        let all = weights(parent, &parent.hidden) as f64;
        let removed = |share: f64| 1.0 - weights(parent, &keep(share)) as f64 / all;
        if removed(0.0) < sparsity {
            let want = format!("at most {:.4} with one unit a layer", removed(0.0));
            return Err(Error::input("sparsity of weights", sparsity, want));
        }
        let (mut low, mut high) = (0.0, 1.0);
        for _ in 0..60 {
            let middle = 0.5 * (low + high);
            if removed(middle) >= sparsity { low = middle } else { high = middle }
        }
        Ok(keep(low))
    }

    fn judge(&self, network: &Mlp, parameters: &Parameters, probe: &Samples) -> Result<f64> {
        let loss = if probe.labels().is_some() { Loss::CrossEntropy } else { Loss::SquaredError };
        if matches!(self.score, Score::Loss | Score::Error) {
            let outputs = evaluate(network, parameters, probe.inputs.view() as ArrayView2<f32>)?;
            return Ok(match (self.score, probe.labels()) {
                (Score::Error, Some(labels)) => 1.0 - accuracy(&outputs, labels),
                _ => mean_loss(loss, &outputs, probe),
            });
        }
        let rows: Vec<u32> = (0..probe.len() as u32).collect();
        let batch = probe.batch(quadrat_nn::At { epoch: 0, step: 0 }, &rows);
        let (_, gradients) = gradients(network, parameters, loss, &batch, Seed(0))?;
        let sum: f64 = parameters
            .iter()
            .zip(&gradients)
            .map(|(parameter, g)| match self.score {
                Score::Snip => parameter.values().iter().zip(g).map(|(w, g)| f64::from((w * g).abs())).sum::<f64>(),
                _ => g.iter().map(|g| f64::from(g * g)).sum(),
            })
            .sum();
        Ok(if self.score == Score::Snip { -sum } else { -sum.sqrt() })
    }
}

/// Weights (kernel entries) of a network of the parent's kind with these hidden widths.
pub fn weights(parent: &Mlp, hidden: &[usize]) -> usize {
    let widths: Vec<usize> =
        [parent.inputs].into_iter().chain(hidden.iter().copied()).chain([parent.outputs]).collect();
    widths.windows(2).map(|pair| pair[0] * pair[1]).sum()
}

fn draw(parent: &Mlp, widths: &[usize], rng: &mut Rng) -> Kept {
    let layer = |(&all, &keep): (&usize, &usize)| {
        let mut units = rng.sample(all, keep);
        units.sort_unstable();
        units
    };
    parent.hidden.iter().zip(widths).map(layer).collect()
}

/// The network that keeps these hidden units of the parent, and the parent's parameters for them.
///
/// # Errors
/// Units that the parent does not have, or parameters that are not the parent's.
pub fn subnetwork(parent: &Mlp, parameters: &Parameters, kept: &Kept, rescale: bool) -> Result<(Mlp, Parameters)> {
    if kept.len() != parent.hidden.len() || kept.iter().zip(&parent.hidden).any(|(k, &h)| k.iter().any(|&u| u >= h)) {
        return Err(Error::input(
            "units",
            "others than the network's",
            "one list a hidden layer, numbers below its width",
        ));
    }
    let network = Mlp { hidden: kept.iter().map(Vec::len).collect(), ..parent.clone() };
    let mut smaller = Parameters::default();
    let all = |n: usize| (0..n).collect::<Vec<_>>();
    for i in 0..=kept.len() {
        let (kernel, bias) = (format!("fc{}.weight", i + 1), format!("fc{}.bias", i + 1));
        let before = if i == 0 { all(parent.inputs) } else { kept[i - 1].clone() };
        let after = kept.get(i).cloned().unwrap_or_else(|| all(parent.outputs));
        let was = if i == 0 { parent.inputs } else { parent.hidden[i - 1] };
        let scale = if rescale { (was as f32 / before.len() as f32).sqrt() } else { 1.0 };
        let w = parameters.get(&kernel)?.values();
        let b = parameters.get(&bias)?.values();
        let inherited = after.iter().flat_map(|&o| before.iter().map(move |&j| (o, j)));
        let inherited = inherited.map(|(o, j)| scale * w[o * was + j]).collect();
        smaller.add_values(kernel, vec![after.len(), before.len()], quadrat_nn::Role::Weight, inherited)?;
        smaller.add_values(bias, vec![after.len()], quadrat_nn::Role::Bias, after.iter().map(|&o| b[o]).collect())?;
    }
    debug_assert_eq!(network.parameters().len(), smaller.len());
    Ok((network, smaller))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::Array2;
    use quadrat_core::Silent;
    use quadrat_nn::initialise;

    fn probe() -> Samples {
        let mut rng = Seed(2).rng(0);
        let inputs = Array2::from_shape_fn((64, 6), |_| rng.normal() as f32);
        Samples::classes(inputs, (0..64).map(|i| i % 3).collect(), 3).unwrap()
    }

    #[test]
    fn the_search_lowers_the_score_and_does_not_depend_on_threads() {
        let parent = Mlp::new(6, &[40, 40], 3);
        let parameters = initialise(&parent, Seed(1)).unwrap();
        for score in [Score::Loss, Score::Error, Score::GradientNorm, Score::Snip] {
            let search = RandomSparseSearch { trials: 30, score, ..RandomSparseSearch::default() };
            let run = |threads| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                pool.install(|| search.run(&parent, &parameters, &probe(), Seed(4), &Silent).unwrap())
            };
            let (one, two) = (run(1), run(2));
            assert_eq!((&one.kept, &one.report), (&two.kept, &two.report));
            let best = one.report.scores[one.report.best];
            assert!(one.report.scores.iter().all(|score| *score >= best));
            let fewer = RandomSparseSearch { trials: 10, ..search.clone() };
            let fewer = fewer.run(&parent, &parameters, &probe(), Seed(4), &Silent).unwrap().report;
            assert_eq!(fewer.scores, one.report.scores[..10]);
        }
    }

    #[test]
    fn a_constant_score_gives_the_first_draw() {
        let (kept, report) = crate::random_search(20, Seed(3), |rng| rng.below(1000), |_| Ok(1.0), &Silent).unwrap();
        assert_eq!((report.best, kept), (0, Seed(3).stream("trial").rng(0).below(1000)));
        assert!(crate::random_search(3, Seed(3), |_| (), |()| Ok(f64::NAN), &Silent).is_err());
        let (_, report) =
            crate::random_search(9, Seed(3), |rng| rng.below(3), |k| Ok(if *k == 0 { f64::NAN } else { 1.0 }), &Silent)
                .unwrap();
        assert!(report.scores[report.best].is_finite() && report.failed() < 9);
    }

    /// Kept units are uniform over each layer: chi-square with a false-alarm rate of 1e-6.
    #[test]
    fn units_are_kept_uniformly() {
        let parent = Mlp::new(4, &[20], 2);
        let mut counts = [0.0f64; 20];
        for i in 0..2_000 {
            let kept = draw(&parent, &[5], &mut Seed(7).rng(i));
            assert!(kept[0].windows(2).all(|pair| pair[0] < pair[1]) && kept[0].len() == 5);
            kept[0].iter().for_each(|u| counts[*u] += 1.0);
        }
        let statistic: f64 = counts.iter().map(|c| (c - 500.0).powi(2) / (500.0 * 0.75)).sum::<f64>() * 19.0 / 20.0;
        assert!(quadrat_core::stats::chi_square_tail(statistic, 19.0) > 1e-6, "{statistic}");
    }

    #[test]
    fn sparsities_are_met_or_refused() {
        let parent = Mlp::new(784, &[512, 512], 10);
        let widths = |sparsity| RandomSparseSearch { sparsity, ..RandomSparseSearch::default() }.widths(&parent);
        assert_eq!(widths(Sparsity::Node(0.9)).unwrap(), [51, 51]);
        assert_eq!(widths(Sparsity::Node(0.0)).unwrap(), [512, 512]);
        let kept = widths(Sparsity::Weight(0.9)).unwrap();
        let share = weights(&parent, &kept) as f64 / weights(&parent, &[512, 512]) as f64;
        assert!((0.095..=0.1).contains(&share), "{kept:?} {share}");
        for sparsity in [Sparsity::Node(1.0), Sparsity::Node(-0.1), Sparsity::Node(f64::NAN), Sparsity::Weight(0.99999)]
        {
            assert!(widths(sparsity).is_err(), "{sparsity:?}");
        }
        let linear = Mlp::new(4, &[], 2);
        assert!(RandomSparseSearch::default().widths(&linear).is_err());
        let parameters = initialise(&parent, Seed(1)).unwrap();
        assert!(subnetwork(&parent, &parameters, &vec![vec![0], vec![512]], false).is_err());
        assert!(subnetwork(&parent, &parameters, &vec![vec![0]], false).is_err());
    }

    #[test]
    fn no_trials_and_a_probe_of_another_width_are_refused() {
        let parent = Mlp::new(6, &[8], 3);
        let parameters = initialise(&parent, Seed(1)).unwrap();
        let none = RandomSparseSearch { trials: 0, ..RandomSparseSearch::default() };
        assert!(none.run(&parent, &parameters, &probe(), Seed(1), &Silent).is_err());
        let other = Mlp::new(5, &[8], 3);
        let parameters = initialise(&other, Seed(1)).unwrap();
        assert!(RandomSparseSearch::default().run(&other, &parameters, &probe(), Seed(1), &Silent).is_err());
    }
}
