//! What must hold exactly.

use ndarray::{Array1, Array2};
use quadrat_core::{Evidence, Result, Seed, Silent};
use quadrat_nn::{Mlp, Samples, Trainer, mean_loss, predict};
use quadrat_numeric::linalg;
use quadrat_regularize::{SelfTuningNetwork, Validation, Variant};

/// Adds them.
pub(super) fn add(evidence: &mut Evidence, seed: Seed) -> Result<()> {
    // Ridge: w*(lambda) is w of least squares, gated along each axis by a sigmoid of an affine function of ln lambda.
    let mut rng = seed.rng(0);
    let x = Array2::from_shape_simple_fn((30, 4), || rng.normal());
    let y = Array1::from_shape_simple_fn(30, || rng.normal());
    let (squares, axes) = linalg::symmetric_eigen(x.t().dot(&x).view())?;
    let turned = axes.t().dot(&x.t().dot(&y));
    let mut apart = 0.0f64;
    for log_decay in [-6.0, -1.0, 0.0, 2.0, 5.0f64] {
        for (d, c) in squares.iter().zip(&turned) {
            let gate = 1.0 / (1.0 + (log_decay - d.ln()).exp());
            apart = apart.max((gate * c / d - c / (d + log_decay.exp())).abs());
        }
    }
    evidence.identity("a ridge's best response is gated by sigmoids", apart, 0.0, 1e-12);

    let inputs = Array2::from_shape_fn((60, 3), |_| rng.normal() as f32);
    let samples = Samples::classes(inputs, (0..60).map(|i| (i % 3) as u32).collect(), 3)?;
    let rows: Vec<u32> = (0..60).collect();
    let (train, validation) = (samples.select(&rows[..40]), samples.select(&rows[40..]));
    let network = Mlp::new(3, &[16], 3);
    let trainer = Trainer { epochs: 4, batch: 8, rate: 0.01, seed, ..Trainer::default() };
    for variant in [Variant::Plain, Variant::Centred] {
        let held = Validation::Rows(validation.clone());
        let mut method = SelfTuningNetwork { variant, validation: held, ..SelfTuningNetwork::default() };
        let fit = trainer.fit(&network, &train, None, &mut [&mut method], &Silent)?;
        let scores = predict(&network, &fit.parameters, validation.inputs.view(), &[])?;
        let folded = mean_loss(trainer.loss, &scores, &validation);
        let gated = method.tuned.best().map_or(f64::NAN, |best| best.loss);
        evidence.identity(&format!("{variant:?}: folded weights have the gated loss"), folded, gated, 1e-5);
    }
    Ok(())
}
