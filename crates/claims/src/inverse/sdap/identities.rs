//! What must hold whatever the seed.

use ndarray::{Array2, Array3};
use quadrat_core::{Evidence, Result, Seed};
use quadrat_inverse::denoise::{Dbsn, PixelShuffle, RandomSubSamples, Resampler2d};
use quadrat_nn::pull_back;

/// Adds the identities.
pub(super) fn check(evidence: &mut Evidence, seed: Seed) -> Result<()> {
    let name = "gradient of an output at its own pixel, random weights: largest";
    evidence.identity(name, blindness(seed.stream("blind"))?, 0.0, 0.0);
    let mut rng = seed.stream("samples").rng(0);
    let image = Array3::from_shape_fn((3, 40, 60), |_| rng.uniform() as f32);
    let kinds: [(&str, &dyn Resampler2d); 2] =
        [("pixel shuffle", &PixelShuffle { factor: 4 }), ("random sub-samples", &RandomSubSamples { stride: 5 })];
    for (name, kind) in kinds {
        let places = kind.places([40, 60], &mut rng)?;
        let merged = places.merge(&places.split(image.view()))?;
        let apart = merged.iter().zip(&image).map(|(a, b)| f64::from((a - b).abs())).fold(0.0, f64::max);
        evidence.identity(&format!("{name} merged again: largest difference"), apart, 0.0, 0.0);
        let mut all: Vec<u32> = places.all().iter().copied().collect();
        all.sort_unstable();
        all.dedup();
        evidence.identity(&format!("{name}: pixels that are in one sub-image"), all.len() as f64, 2400.0, 0.0);
    }
    Ok(())
}

/// The largest gradient of an output at its own pixel, in all channels.
fn blindness(seed: Seed) -> Result<f64> {
    let (net, side) = (Dbsn { channels: 3, base: 8, modules: 2 }, 12);
    let parameters = net.fresh(seed)?;
    let mut rng = seed.rng(0);
    let row = Array2::from_shape_fn((1, 3 * side * side), |_| rng.uniform() as f32);
    let mut largest = 0.0_f64;
    for _ in 0..8 {
        let (channel, place) = (rng.below(3), rng.below(side * side));
        let mut one = |y: &Array2<f32>| {
            let mut one = Array2::zeros(y.raw_dim());
            one[[0, channel * side * side + place]] = 1.0;
            Ok(one)
        };
        let (_, gradient) = pull_back(&net.on([side, side]), &parameters, row.view(), &mut one)?;
        let own = (0..3).map(|c| f64::from(gradient[[0, c * side * side + place]].abs()));
        largest = own.fold(largest, f64::max);
    }
    Ok(largest)
}
