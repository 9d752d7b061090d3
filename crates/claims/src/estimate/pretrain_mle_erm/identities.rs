//! What must hold whatever the data.

use ndarray::{Array2, Axis};
use quadrat_core::{Evidence, Result, Seed, Silent};
use quadrat_estimate::pretrain_mle_erm::{FactorAnalysis, FactorModel, GaussianMixture, Head, Latent, Ppca, Target};
use quadrat_numeric::linalg::symmetric_eigen;

/// Adds the sheet's exact checks.
pub fn add(evidence: &mut Evidence, seed: Seed) -> Result<()> {
    let mut rng = seed.rng(0);
    let b = Array2::from_shape_simple_fn((12, 3), || rng.normal());
    let z = Array2::from_shape_simple_fn((400, 3), || rng.normal());
    let x = z.dot(&b.t()) + Array2::from_shape_simple_fn((400, 12), || rng.normal());
    let y = Target::Numbers(z.sum_axis(Axis(1)).to_vec());

    // The closed form is a stationary point of the likelihood.
    let model = Ppca { rank: 3 }.model(x.view())?;
    let h = 1e-5;
    let mut steepest = 0.0_f64;
    for place in ndarray::indices(model.loadings.dim()) {
        let moved = |by: f64| {
            let mut other = model.clone();
            other.loadings[place] += by;
            other.log_likelihood(x.view())
        };
        steepest = steepest.max(((moved(h)? - moved(-h)?) / (2.0 * h)).abs());
    }
    evidence.identity("largest derivative of the PPCA likelihood at the closed form", steepest, 0.0, 1e-6);

    // EM never lowers the likelihood.
    let lowest = |path: &[f64]| path.windows(2).map(|pair| pair[1] - pair[0]).fold(0.0, f64::min);
    let analysis = FactorAnalysis::new(3).fit(x.view(), &Silent)?;
    evidence.identity("largest fall of the factor analysis likelihood", lowest(&analysis.path), 0.0, 1e-10);
    let mixture = GaussianMixture::new(4).fit(x.view(), seed, &Silent)?;
    evidence.identity("largest fall of the mixture likelihood", lowest(&mixture.path), 0.0, 1e-10);

    // Rotating the loadings changes no prediction.
    let symmetric = Array2::from_shape_fn((3, 3), |(i, j)| ((i * j) as f64 + 1.0).sin());
    let turned = FactorModel { loadings: model.loadings.dot(&symmetric_eigen(symmetric.view())?.1), ..model.clone() };
    let predict = |model: &FactorModel| -> Result<Target> {
        let z = model.transform(x.view())?;
        Head::Ols.fit(z.view(), &y)?.predict(z.view())
    };
    let apart = predict(&model)?.loss(&predict(&turned)?)?.sqrt();
    evidence.identity("root mean square change of predictions by a rotation of the loadings", apart, 0.0, 1e-10);
    Ok(())
}
