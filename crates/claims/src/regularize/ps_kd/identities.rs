//! What must hold exactly.

use ndarray::{Array2, array};
use quadrat_core::{Evidence, Result, Seed, Silent};
use quadrat_nn::{At, Loss, Mlp, Samples, Trainer, gradients, initialise, mean_loss};
use quadrat_regularize::PsKd;

/// What must hold exactly.
pub(super) fn add(evidence: &mut Evidence, seed: Seed) -> Result<()> {
    let mut rng = seed.rng(0);
    let inputs = Array2::from_shape_fn((60, 3), |_| rng.normal() as f32);
    let samples = Samples::classes(inputs, (0..60).map(|i| (i % 3) as u32).collect(), 3)?;
    let network = Mlp::new(3, &[16], 3);
    let trainer = Trainer { epochs: 3, batch: 16, seed, ..Trainer::default() };
    let plain = trainer.fit(&network, &samples, None, &mut [], &Silent)?;
    let mut nothing = PsKd { alpha: 0.0, ..PsKd::default() };
    let same = trainer.fit(&network, &samples, None, &mut [&mut nothing], &Silent)?;
    let equal = f64::from(u8::from(plain.parameters.fingerprint() == same.parameters.fingerprint()));
    evidence.identity("alpha 0 is cross-entropy, bit for bit", equal, 1.0, 0.0);
    let first = Trainer { epochs: 1, ..trainer.clone() };
    let (a, b) = (
        first.fit(&network, &samples, None, &mut [], &Silent)?,
        first.fit(&network, &samples, None, &mut [&mut PsKd::default()], &Silent)?,
    );
    let equal = f64::from(u8::from(a.parameters.fingerprint() == b.parameters.fingerprint()));
    evidence.identity("the first epoch is cross-entropy, bit for bit", equal, 1.0, 0.0);

    // p = (.5, .3, .2), Q = (.7, .2, .1), class 0, alpha .4: s = (.88, .08, .04), loss .770665, ratio .76.
    let scores = array![[0.5f32.ln(), 0.3f32.ln(), 0.2f32.ln()]];
    let target = array![[0.88f32, 0.08, 0.04]];
    let one = Samples::values(scores.clone(), target.clone())?;
    evidence.identity("loss of the worked example", mean_loss(Loss::CrossEntropy, &scores, &one), 0.770_665, 1e-6);
    let loss = |k: usize, step: f32| -> Result<f64> {
        let mut moved = scores.clone();
        moved[[0, k]] += step;
        Ok(mean_loss(Loss::CrossEntropy, &moved, &Samples::values(moved.clone(), target.clone())?))
    };
    let mut pull = 0.0;
    for k in 0..3 {
        pull += ((loss(k, 0.05)? - loss(k, -0.05)?) / 0.1).abs();
    }
    evidence.identity("its gradient against cross-entropy's", pull / (2.0 * 0.5), 1.0 - 0.4 * 0.3 / 0.5, 1e-3);

    let batch = samples.batch(At { epoch: 0, step: 0 }, &[0, 1, 2, 3]);
    let parameters = initialise(&network, seed)?;
    let (_, gradient) = gradients(&network, &parameters, Loss::CrossEntropy, &batch, seed)?;
    let place = parameters.position("fc2.bias")?;
    let moved = |step: f32| -> Result<f64> {
        let mut moved = parameters.clone();
        moved.get_mut("fc2.bias")?.update(|b| b[0] += step);
        Ok(gradients(&network, &moved, Loss::CrossEntropy, &batch, seed)?.0)
    };
    let difference = (moved(1e-2)? - moved(-1e-2)?) / 2e-2;
    evidence.identity("gradient against finite differences", f64::from(gradient[place][0]), difference, 1e-4);
    Ok(())
}
