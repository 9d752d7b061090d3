//! What the method's equations say of any data: drawn anew from the seed.

use quadrat_core::{Evidence, Result, Seed};
use quadrat_robust::detection::{
    Assignment, Dense, DenseCrossEntropy, DenseLoss, Focal, Ghm, LossParts, Regression, SamplingFree, estimate_prior,
};

const CLASSES: usize = 6;
const PLACES: usize = 400;
const IMAGES: usize = 3;

/// Adds them.
pub(super) fn add(evidence: &mut Evidence, seed: Seed) -> Result<()> {
    let mut rng = seed.rng(0);
    let assignments: Vec<Assignment> = (0..IMAGES)
        .map(|_| {
            let label = |_| match rng.below(20) {
                0 => 1 + rng.below(CLASSES) as i32,
                1 => -1,
                _ => 0,
            };
            let labels: Vec<i32> = (0..PLACES).map(label).collect();
            let targets = (0..PLACES).map(|_| std::array::from_fn(|_| rng.normal() as f32)).collect();
            Assignment { labels, targets, ..Assignment::default() }
        })
        .collect();
    let z: Vec<f32> = (0..IMAGES * PLACES * (CLASSES + 4)).map(|_| 2.0 * rng.normal() as f32).collect();
    let scale = 0.5 + rng.uniform();
    let (guided, guided_slope) = run(&SamplingFree { scale, ..SamplingFree::default() }, &z, &assignments)?;
    let (plain, slope) = run(&DenseCrossEntropy::default(), &z, &assignments)?;
    let value = guided.weight * guided.classes;
    evidence.identity("value of the guided classes' loss: s times the boxes' loss", value, scale * guided.boxes, 1e-9);
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
    let cosine = dot(&guided_slope, &slope) / (dot(&guided_slope, &guided_slope) * dot(&slope, &slope)).sqrt();
    evidence.identity("cosine between the guided and the plain gradient", cosine, 1.0, 1e-6);
    let prior = estimate_prior(&assignments, CLASSES)?;
    let loss = |p: f64| -(prior.foreground * p.ln() + (CLASSES as f64 - prior.foreground) * (1.0 - p).ln());
    let (pi, step) = (prior.each(), 1e-6 * prior.each());
    let first = (loss(pi + step) - loss(pi - step)) / (2.0 * step);
    evidence.identity("slope of the first loss at pi = f / C", first, 0.0, 1e-3);
    let bias = -((1.0 - pi) / pi).ln() as f32;
    let begin: Vec<f32> = z.iter().map(|v| bias + 0.001 * v).collect();
    let (parts, _) = run(&SamplingFree::default(), &begin, &assignments)?;
    let labels = || assignments.iter().flat_map(|a| &a.labels);
    let places = labels().filter(|label| **label >= 0).count() as f64;
    let found = labels().filter(|label| **label > 0).count() as f64;
    let each = parts.classes * (found + IMAGES as f64) / places;
    evidence.identity("first loss of a place over its entropy", each / loss(pi), 1.0, 0.01);
    let half = Focal { gamma: 0.0, alpha: 0.5, ..Focal::default() };
    let sum = plain.classes * (found + IMAGES as f64);
    let ratio = run(&half, &z, &assignments)?.0.classes * found / sum;
    evidence.identity("focal loss with gamma 0 and alpha 0.5, over cross-entropy", ratio, 0.5, 1e-6);
    let one = Ghm { bins: 1, momentum: 0.0, ..Ghm::default() };
    let ratio = run(&one, &z, &assignments)?.0.classes * places * CLASSES as f64 / sum;
    evidence.identity("gradient harmonising with one bin, over cross-entropy", ratio, 1.0, 1e-6);
    Ok(())
}

/// A batch's losses, and the gradient at its logits.
fn run(loss: &dyn DenseLoss, outputs: &[f32], assignments: &[Assignment]) -> Result<(LossParts, Vec<f32>)> {
    let each: Vec<&Assignment> = assignments.iter().collect();
    let batch = Dense::new(outputs, &each, CLASSES, Regression::SmoothL1 { beta: 0.11 }, Seed(0))?;
    let mut gradient = vec![0.0; outputs.len()];
    let parts = loss.forward_backward(&batch, &mut Vec::new(), &mut gradient)?;
    let width = PLACES * (CLASSES + 4);
    let logits = gradient.chunks_exact(width).flat_map(|image| image[..PLACES * CLASSES].to_vec()).collect();
    Ok((parts, logits))
}
