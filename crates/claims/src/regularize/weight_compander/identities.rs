//! The function's golden values, and what a small step on free variables does to weights.

use ndarray::Array2;
use quadrat_core::{Evidence, Result, Seed, Silent};
use quadrat_nn::{At, Mlp, Optimizer, Samples, Schedule, Trainer, gradients, initialise};
use quadrat_regularize::{Compander, WeightCompander};

/// Adds them.
pub(super) fn add(evidence: &mut Evidence, seed: Seed) -> Result<()> {
    let mut rng = seed.rng(0);
    for (v, w) in [(0.0, 0.0), (0.1, 0.197_395_6), (0.5, std::f64::consts::FRAC_PI_4), (2.0, 1.325_817_7)] {
        let found = Compander::Arctan.weight(v, 1.0, 0.5);
        evidence.identity(&format!("arctan compander of {v} (a 1, b 0.5)"), f64::from(found), w, 1e-6);
        let back = Compander::Arctan.free(found, 1.0, 0.5);
        evidence.identity(&format!("its inverse at {v}"), f64::from(back), f64::from(v), 1e-5);
    }
    // One plain step of size eta on the free variables moves w by -eta (a/b)^2 cos^4(w/a) dL/dw, to first order.
    let inputs = Array2::from_shape_fn((6, 5), |_| rng.normal() as f32);
    let samples = Samples::classes(inputs, vec![0, 1, 0, 1, 1, 0], 2)?;
    let (network, eta) = (Mlp::new(5, &[8], 2), 1e-3);
    let start = initialise(&network, seed)?;
    let mut method = WeightCompander { expansion: 1.5, ..WeightCompander::default() };
    let optimizer = Optimizer::Sgd { momentum: 0.0, nesterov: false, weight_decay: 0.0 };
    let trainer = Trainer { epochs: 1, rate: eta, schedule: Schedule::Constant, optimizer, ..Trainer::default() };
    let fit = trainer.fit_from(&network, start.clone(), &samples, None, &mut [&mut method], &Silent)?;
    let batch = samples.batch(At { epoch: 0, step: 0 }, &[0, 1, 2, 3, 4, 5]);
    let (_, slopes) = gradients(&network, &start, trainer.loss, &batch, seed)?;
    let (mut apart, mut all) = (0.0, 0.0);
    for (name, a, b) in &method.layers {
        let (before, after) = (start.get(name)?.values(), fit.parameters.get(name)?.values());
        for ((w, moved), g) in before.iter().zip(after).zip(&slopes[start.position(name)?]) {
            let predicted = -eta * f64::from((a / b).powi(2) * (w / a).cos().powi(4) * g);
            apart += (f64::from(moved - w) - predicted).powi(2);
            all += predicted * predicted;
        }
    }
    evidence.identity("a step on free variables, relative distance to theory", (apart / all).sqrt(), 0.0, 1e-2);
    // The network starts as it would without the compander.
    let samples = Samples::classes(Array2::from_elem((4, 5), 0.3), vec![0, 1, 0, 1], 2)?;
    let network = Mlp::new(5, &[8], 2);
    let start = initialise(&network, seed)?;
    let trainer = Trainer { epochs: 1, rate: 1e-12, seed, ..Trainer::default() };
    let fit =
        trainer.fit_from(&network, start.clone(), &samples, None, &mut [&mut WeightCompander::default()], &Silent)?;
    let pairs = start.iter().zip(fit.parameters.iter()).flat_map(|(a, b)| a.values().into_iter().zip(b.values()));
    let apart = pairs.map(|(a, b)| f64::from((a - b).abs())).fold(0.0, f64::max);
    evidence.identity("the network starts as without the compander", apart, 0.0, 1e-6);
    Ok(())
}
