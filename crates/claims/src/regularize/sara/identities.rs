//! What must hold exactly.

use super::PIXELS;
use super::diffusion::{Noising, rows_of};
use super::judge::frechet;
use ndarray::{Array2, s};
use quadrat_core::{Evidence, Result, Seed, Silent};
use quadrat_nn::{At, Mlp, Parameters, Samples, TrainMethod, Trainer};
use quadrat_regularize::{Sara, nuclear_subgradient};

pub(super) fn add(evidence: &mut Evidence, seed: Seed) -> Result<()> {
    let network = Mlp::new(70, &[80, 70], 4);
    let mut rng = seed.rng(0);
    let inputs = Array2::from_shape_fn((40, 70), |_| rng.normal() as f32);
    let data = Samples::classes(inputs.clone(), (0..40).map(|i| i % 4).collect(), 4)?;
    let base = quadrat_nn::initialise(&network, seed)?;
    let trainer = Trainer { epochs: 6, batch: 20, rate: 5e-3, seed, ..Trainer::default() };
    let fit = |sara: &mut Sara| trainer.fit_from(&network, base.clone(), &data, None, &mut [sara], &Silent);
    let mut sara = Sara::default();
    let tuned = fit(&mut sara)?.parameters;
    let none = || quadrat_core::Error::numeric("sara", "it left no delta");
    let delta = sara.delta(&tuned)?.ok_or_else(none)?;
    let changed = |a: &Parameters, b: &Parameters| -> usize {
        let apart = |(a, b): (&quadrat_nn::Parameter, &quadrat_nn::Parameter)| {
            a.values().iter().zip(b.values()).filter(|(a, b)| a.to_bits() != b.to_bits()).count()
        };
        a.iter().zip(b.iter()).map(apart).sum()
    };
    let mut copy = base.clone();
    delta.apply(&mut copy)?;
    evidence.identity("weights that differ after applying the delta", changed(&copy, &tuned) as f64, 0.0, 0.0);
    let beyond = changed(&base, &tuned).saturating_sub(delta.len()) as f64;
    evidence.identity("weights changed beyond those selected", beyond, 0.0, 0.0);
    delta.remove(&mut copy)?;
    evidence.identity("weights that differ after removing it", changed(&copy, &base) as f64, 0.0, 0.0);
    let memory = sara.memory(&base);
    evidence.identity("bytes of gradients and moments", memory.bytes as f64, 12.0 * delta.len() as f64, 0.0);
    let moves = |lambda: f32| -> Result<f64> {
        let other = fit(&mut Sara { lambda, ..Sara::default() })?.parameters;
        Ok(f64::from(u8::from(changed(&other, &tuned) > 0)))
    };
    evidence.identity("lambda reaches what is trained", moves(0.1)?, 1.0, 0.0);
    evidence.identity("the same lambda gives the same", moves(Sara::default().lambda)?, 0.0, 0.0);

    let pattern = quadrat_nn::ops::Pattern::from_mask(&[true; 4], 2, 2)?;
    // (3, 0; 4, 5) has singular values 3 sqrt(5) and sqrt(5); its polar factor is (2, -1; 1, 2) / sqrt(5).
    let polar = nuclear_subgradient(&[3.0, 0.0, 4.0, 5.0], &pattern)?;
    for (i, golden) in [2.0, -1.0, 1.0, 2.0].into_iter().enumerate() {
        let name = format!("entry {} of the nuclear norm's gradient", i + 1);
        evidence.identity(&name, f64::from(polar[i]), golden / 5f64.sqrt(), 1e-6);
    }
    let points = inputs.slice(s![.., ..3]).mapv(f64::from);
    let shifted = &points + 2.0;
    evidence.identity("Frechet distance of a set to itself", frechet(&points, &points)?, 0.0, 1e-9);
    evidence.identity("of a set to itself shifted by 2 in 3 axes", frechet(&points, &shifted)?, 12.0, 1e-9);
    let batch = rows_of(&Array2::from_elem((200, PIXELS), 0.5), &[3; 200])?;
    let mut batch = batch.batch(At { epoch: 0, step: 7 }, &(0..200).collect::<Vec<_>>());
    Noising { seed }.prepare(&mut batch)?;
    let (x, e) = (batch.inputs.slice(s![.., ..PIXELS]), &batch.targets);
    // Grey is 0: what is left is noise alone, shorter than itself.
    let longer = x.iter().zip(e).filter(|(x, e)| x.abs() > e.abs()).count();
    evidence.identity("noised grey pixels beyond their noise", longer as f64, 0.0, 0.0);
    Ok(())
}
