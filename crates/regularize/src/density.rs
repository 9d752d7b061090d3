//! How many weights each layer keeps, and which: shared by everything that prunes.

use quadrat_core::{Choice, Error, Result, Rng};
use quadrat_nn::{Parameters, Role};

/// A kernel that can be pruned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// The parameter's name.
    pub name: String,
    /// Its shape, outputs first.
    pub shape: Vec<usize>,
}

impl Layer {
    /// How many entries it has.
    pub fn entries(&self) -> usize {
        self.shape.iter().product()
    }
}

/// The prunable kernels of a network (role `Weight`: linear layers and convolutions, no biases, no normalisations), in
/// order: the first is the first layer, the last the outputs'.
pub fn layers(parameters: &Parameters) -> Vec<Layer> {
    let kernels = parameters.iter().filter(|p| p.role == Role::Weight);
    kernels.map(|p| Layer { name: p.name.clone(), shape: p.shape.clone() }).collect()
}

/// A rule that spreads an overall density over layers.
#[derive(Debug, Clone, Copy, PartialEq, Choice)]
pub enum Rule {
    /// The same density everywhere.
    Uniform,
    /// First layer dense, last layer at least 0.2, the others share what is left.
    UniformPlus,
    /// Erdős–Rényi: density ∝ (out + in) / (out · in).
    Er,
    /// Erdős–Rényi with kernels: density ∝ (sum of all axes) / (product of all axes). The default.
    Erk,
    /// ERK with a dense last layer.
    ErkPlus,
    /// The layers' shares of the weights with the largest |w ∂L/∂w| on one batch (SNIP); needs gradients.
    Snip,
    /// The layers' shares of the weights with the smallest −w (H ∂L/∂w) (GraSP); needs gradients.
    Grasp,
}

/// Densities of the layers (0 to 1, same order) such that the number of entries kept is `density` of all, for rules that
/// need shapes only.
///
/// # Errors
/// A density outside (0, 1], no layers, or less than the layers that stay dense already need.
///
/// ```
/// use quadrat_regularize::{Layer, Rule, densities};
/// let layer = |name: &str, shape: &[usize]| Layer { name: name.into(), shape: shape.into() };
/// let layers = [layer("fc1", &[300, 784]), layer("fc2", &[100, 300]), layer("fc3", &[10, 100])];
/// let kept = densities(&layers, Rule::Erk, 0.2)?;
/// assert!((kept[0] - 0.162241).abs() < 1e-6 && kept[2] == 1.0);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
pub fn densities(layers: &[Layer], rule: Rule, density: f64) -> Result<Vec<f64>> {
    check(layers, density)?;
    let n: Vec<f64> = layers.iter().map(|layer| layer.entries() as f64).collect();
    let budget = density * n.iter().sum::<f64>();
    let last = layers.len() - 1;
    let ratio = |axes: &[usize]| axes.iter().sum::<usize>() as f64 / axes.iter().product::<usize>() as f64;
    let ratios = |axes: fn(&[usize]) -> &[usize]| layers.iter().map(|l| ratio(axes(&l.shape))).collect::<Vec<_>>();
    match rule {
        Rule::Uniform => Ok(vec![density; layers.len()]),
        Rule::UniformPlus => uniform_plus(layers, &n, density, budget),
        Rule::Er => proportional(layers, &n, &ratios(|shape| &shape[..shape.len().min(2)]), budget, &[]),
        Rule::Erk => proportional(layers, &n, &ratios(|shape| shape), budget, &[]),
        Rule::ErkPlus => proportional(layers, &n, &ratios(|shape| shape), budget, &[last]),
        Rule::Snip | Rule::Grasp => {
            Err(Error::input("rule", rule.name(), "this rule needs gradients: use it through `RandomPruning`"))
        }
    }
}

/// That there are layers and the density is one.
pub(crate) fn check(layers: &[Layer], density: f64) -> Result<()> {
    if layers.is_empty() {
        return Err(Error::input("layers", "none", "a network with at least one linear or convolution layer"));
    }
    if let Some(layer) = layers.iter().find(|layer| layer.entries() == 0) {
        return Err(Error::input(&layer.name, format!("shape {:?}", layer.shape), "every size at least 1"));
    }
    if !(density > 0.0 && density <= 1.0) {
        return Err(Error::input("density", density, "above 0 and at most 1"));
    }
    Ok(())
}

/// First layer dense, last at 0.2 if the density is below that, the others alike, so that the budget is met. (The
/// authors' program divides by all weights instead, and misses it.)
fn uniform_plus(layers: &[Layer], n: &[f64], density: f64, budget: f64) -> Result<Vec<f64>> {
    let last = n.len() - 1;
    let pinned: Vec<Option<f64>> = (0..n.len())
        .map(|i| match i {
            0 => Some(1.0),
            i if i == last && density < 0.2 => Some(0.2),
            _ => None,
        })
        .collect();
    let fixed: f64 = pinned.iter().zip(n).filter_map(|(p, n)| p.map(|p| p * n)).sum();
    let free: f64 = pinned.iter().zip(n).filter(|(p, _)| p.is_none()).map(|(_, n)| n).sum();
    if fixed > budget || free == 0.0 {
        return Err(too_little(layers, fixed, budget));
    }
    let share = (budget - fixed) / free;
    Ok(pinned.into_iter().map(|p| p.unwrap_or(share)).collect())
}

/// Densities ε rₗ, at most 1, that meet the budget; layers in `dense` are whole. Each round solves for ε and makes
/// whole the layers that would go beyond it.
fn proportional(layers: &[Layer], n: &[f64], r: &[f64], budget: f64, dense: &[usize]) -> Result<Vec<f64>> {
    let mut whole: Vec<bool> = (0..n.len()).map(|i| dense.contains(&i)).collect();
    loop {
        let fixed: f64 = n.iter().zip(&whole).filter(|(_, whole)| **whole).map(|(n, _)| n).sum();
        let weighted: f64 = (0..n.len()).filter(|&i| !whole[i]).map(|i| r[i] * n[i]).sum();
        if fixed > budget * (1.0 + 1e-12) {
            return Err(too_little(layers, fixed, budget));
        }
        let epsilon = if weighted > 0.0 { (budget - fixed) / weighted } else { 0.0 };
        let top = (0..n.len()).filter(|&i| !whole[i]).map(|i| r[i]).fold(0.0, f64::max);
        if epsilon * top <= 1.0 {
            return Ok((0..n.len()).map(|i| if whole[i] { 1.0 } else { epsilon * r[i] }).collect());
        }
        (0..n.len()).filter(|&i| r[i] == top).for_each(|i| whole[i] = true);
    }
}

fn too_little(layers: &[Layer], fixed: f64, budget: f64) -> Error {
    let all: usize = layers.iter().map(Layer::entries).sum();
    let got = format!("{:.4} of {all} weights", budget / all as f64);
    let want =
        format!("the layers that this rule keeps dense need {:.4} already: use uniform or erk", fixed / all as f64);
    Error::input("density", got, want)
}

/// How positions are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Choice)]
pub enum Draw {
    /// Exactly as many as the densities say, the total rounded to the nearest whole number. The default.
    Exact,
    /// Each position by itself; the number kept is random.
    Bernoulli,
}

/// How many entries each layer keeps: whole numbers whose sum is the sum of dₗ nₗ rounded, by largest remainders.
pub fn counts(layers: &[Layer], densities: &[f64]) -> Vec<usize> {
    let wanted: Vec<f64> = layers.iter().zip(densities).map(|(layer, d)| d * layer.entries() as f64).collect();
    let mut kept: Vec<usize> = wanted.iter().map(|w| (w + 1e-9).floor() as usize).collect();
    let total = wanted.iter().sum::<f64>().round() as usize;
    let mut by_remainder: Vec<usize> = (0..kept.len()).collect();
    by_remainder.sort_by(|&a, &b| (wanted[b] - kept[b] as f64).total_cmp(&(wanted[a] - kept[a] as f64)));
    for &i in by_remainder.iter().cycle().take(kept.len() * 2) {
        if kept.iter().sum::<usize>() >= total {
            break;
        }
        if kept[i] < layers[i].entries() {
            kept[i] += 1;
        }
    }
    kept
}

/// A mask of `n` positions, `kept` of them alive, chosen uniformly.
pub fn random_mask(n: usize, kept: usize, rng: &mut Rng) -> Vec<bool> {
    let mut mask = vec![false; n];
    rng.sample(n, kept).into_iter().for_each(|i| mask[i] = true);
    mask
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use quadrat_core::Seed;

    fn layer(shape: &[usize]) -> Layer {
        Layer { name: format!("{shape:?}"), shape: shape.to_vec() }
    }

    #[test]
    fn golden_densities() {
        let mlp = [layer(&[300, 784]), layer(&[100, 300]), layer(&[10, 100])];
        let cnn = [layer(&[16, 1, 3, 3]), layer(&[32, 16, 3, 3]), layer(&[128, 1568]), layer(&[10, 128])];
        for (layers, rule, density, golden) in [
            (&mlp[..], Rule::Erk, 0.2, &[0.162241, 0.469362, 1.0][..]),
            (&mlp, Rule::Erk, 0.1, &[0.079568, 0.230189, 1.0]),
            (&mlp, Rule::Er, 0.05, &[0.038484, 0.111334, 0.918507]),
            (&mlp, Rule::Erk, 0.02, &[0.015394, 0.044534, 0.367403]),
            (&cnn, Rule::Erk, 0.1, &[1.0, 0.128904, 0.092951, 1.0]),
            (&cnn, Rule::Er, 0.1, &[1.0, 0.849360, 0.076558, 0.976764]),
        ] {
            let found = densities(layers, rule, density).unwrap();
            for (a, b) in found.iter().zip(golden) {
                assert!((a - b).abs() < 1e-6, "{rule:?} at {density}: {found:?}");
            }
        }
    }

    #[test]
    fn what_cannot_be_met_is_said() {
        let mlp = [layer(&[300, 784]), layer(&[100, 300]), layer(&[10, 100])];
        let error = densities(&mlp, Rule::UniformPlus, 0.05).unwrap_err().to_string();
        assert!(error.contains("uniform or erk"), "{error}");
        for density in [0.0, -0.1, 1.1, f64::NAN] {
            assert!(densities(&mlp, Rule::Erk, density).is_err());
        }
        assert!(densities(&[], Rule::Erk, 0.5).is_err());
        assert!(densities(&[layer(&[0, 3])], Rule::Erk, 0.5).is_err());
        assert!(densities(&mlp, Rule::Snip, 0.5).is_err());
    }

    /// Each position is alive with the same probability: a chi-square test with a false-alarm rate of 1e-6.
    #[test]
    fn positions_are_uniform() {
        let (n, kept, draws) = (40, 10, 4_000);
        let mut counts = vec![0.0f64; n];
        for i in 0..draws {
            let mask = random_mask(n, kept, &mut Seed(5).rng(i));
            assert_eq!(mask.iter().filter(|alive| **alive).count(), kept);
            mask.iter().zip(&mut counts).for_each(|(alive, count)| *count += f64::from(u8::from(*alive)));
        }
        let share = kept as f64 / n as f64;
        let expected = draws as f64 * share;
        let statistic: f64 = counts.iter().map(|c| (c - expected).powi(2) / (expected * (1.0 - share))).sum();
        // Positions of one draw exclude each other, which leaves n - 1 degrees of freedom and a factor (n - 1) / n.
        let statistic = statistic * (n - 1) as f64 / n as f64;
        assert!(quadrat_core::stats::chi_square_tail(statistic, (n - 1) as f64) > 1e-6, "{statistic}");
    }

    proptest! {
        #[test]
        fn every_rule_meets_its_budget(
            shapes in prop::collection::vec((1usize..40, 1usize..40), 2..6), density in 0.01f64..1.0
        ) {
            let layers: Vec<Layer> = shapes.iter().map(|(a, b)| layer(&[*a, *b])).collect();
            let all: f64 = layers.iter().map(|l| l.entries() as f64).sum();
            for rule in [Rule::Uniform, Rule::UniformPlus, Rule::Er, Rule::Erk, Rule::ErkPlus] {
                let Ok(found) = densities(&layers, rule, density) else { continue };
                let kept: f64 = layers.iter().zip(&found).map(|(l, d)| d * l.entries() as f64).sum();
                prop_assert!((kept / all - density).abs() < 1e-9, "{rule:?}: {found:?}");
                prop_assert!(found.iter().all(|d| (0.0..=1.0 + 1e-12).contains(d)));
                let counts = counts(&layers, &found);
                prop_assert_eq!(counts.iter().sum::<usize>(), kept.round() as usize);
            }
        }
    }
}
