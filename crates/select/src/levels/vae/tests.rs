use super::*;
use crate::levels::{Family, draw_levels};
use ndarray::array;
use quadrat_core::Silent;

fn some_levels(side: usize, count: usize) -> Vec<Grid> {
    draw_levels(&[Family::Rooms, Family::Caves], side, count, &mut Seed(11).rng(0)).unwrap()
}

#[test]
fn interpolation_turns_evenly() {
    let close = |found: Array1<f64>, expected: [f64; 3]| {
        assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{found}");
    };
    let (x, y) = (array![1.0, 0.0, 0.0], array![0.0, 2.0, 0.0]);
    close(slerp(x.view(), y.view(), 0.25), [0.923880, 0.765367, 0.0]);
    close(slerp(x.view(), y.view(), 0.0), [1.0, 0.0, 0.0]);
    close(slerp(x.view(), y.view(), 1.0), [0.0, 2.0, 0.0]);
    // Nearly aligned, opposite, or nothing: a straight line.
    close(slerp(x.view(), array![3.0, 0.1, 0.0].view(), 0.5), [2.0, 0.05, 0.0]);
    close(slerp(x.view(), array![-1.0, 0.0, 0.0].view(), 0.25), [0.5, 0.0, 0.0]);
    close(slerp(x.view(), array![0.0, 0.0, 0.0].view(), 0.5), [0.5, 0.0, 0.0]);
}

/// All derivatives of the loss, the parts by goal and start under their masks among them, agree with differences.
#[test]
fn derivatives_agree_with_differences() {
    let settings = VaeTrainer { latent: 3, hidden: 4, ..VaeTrainer::default() };
    let mut rng = Seed(1).rng(0);
    let vae = Vae::<f64>::random([5, 5], &settings, &mut rng);
    let levels = some_levels(5, 3);
    let levels: Vec<&Grid> = levels.iter().collect();
    let noise = Array2::from_shape_simple_fn((3, 3), || rng.normal());
    let zeros = || [vae.encoder.zeros(), vae.decoder.zeros()];
    let mut slopes = zeros();
    vae.loss(&levels, &noise, &mut slopes);
    let h = 1e-5;
    for part in [0, 1] {
        for at in [0, 1] {
            for place in ndarray::indices(slopes[part].layers[at].0.dim()).into_iter().step_by(7) {
                let moved = |by: f64| {
                    let mut other = vae.clone();
                    let layers = if part == 0 { &mut other.encoder } else { &mut other.decoder };
                    layers.layers[at].0[place] += by;
                    other.loss(&levels, &noise, &mut zeros())
                };
                let expected = (moved(h) - moved(-h)) / (2.0 * h);
                let found = slopes[part].layers[at].0[place];
                assert!((found - expected).abs() < 1e-8, "{part} {at} {place:?}: {found} {expected}");
            }
        }
    }
}

/// Of two laws of codes alone (a decoder of zeros), the loss differs by their KL, which is the mean over draws of
/// log q(z) - log p(z): within five standard errors of 40,000 draws, one alarm in a million.
#[test]
fn the_penalty_is_the_divergence() {
    let settings = VaeTrainer { latent: 2, hidden: 3, ..VaeTrainer::default() };
    let mut vae = Vae::<f64>::random([5, 5], &settings, &mut Seed(2).rng(0));
    vae.decoder = vae.decoder.zeros();
    let levels = some_levels(5, 1);
    let level = [&levels[0]];
    let mut with = |mean: [f64; 2], log: [f64; 2]| {
        vae.encoder = vae.encoder.zeros();
        vae.encoder.layers[1].1 = array![mean[0], mean[1], log[0], log[1]];
        let mut slopes = [vae.encoder.zeros(), vae.decoder.zeros()];
        vae.loss(&level, &Array2::zeros((1, 2)), &mut slopes)
    };
    let (mean, log) = ([0.7, -1.2], [-0.8, 0.3]);
    let penalty = (with(mean, log) - with([0.0; 2], [0.0; 2])) / KL;
    let mut rng = Seed(3).rng(0);
    let draws: Vec<f64> = (0..40_000)
        .map(|_| {
            (0..2)
                .map(|k| {
                    let e = rng.normal();
                    let z = mean[k] + (0.5 * log[k]).exp() * e;
                    0.5 * (z * z - e * e - log[k])
                })
                .sum()
        })
        .collect();
    let average = quadrat_core::stats::mean(&draws);
    let spread = (draws.iter().map(|d| (d - average).powi(2)).sum::<f64>() / 40_000.0 / 40_000.0).sqrt();
    assert!((penalty - average).abs() < 5.0 * spread, "{penalty} {average} {spread}");
}

/// Whatever the code, a level has one start and one goal on ground, apart from each other.
#[test]
fn decoded_levels_satisfy_the_masks() {
    let settings = VaeTrainer { latent: 4, hidden: 8, ..VaeTrainer::default() };
    for seed in 0..20 {
        let mut rng = Seed(seed).rng(0);
        let mut vae = Vae::<f64>::random([6, 4], &settings, &mut rng);
        if seed == 0 {
            // All walls.
            vae.decoder = vae.decoder.zeros();
            vae.decoder.layers[1].1.slice_mut(s![24..48]).fill(9.0);
        }
        let codes = Array2::from_shape_simple_fn((30, 4), || 5.0 * rng.normal());
        for level in vae.decode(codes.view(), &mut rng).unwrap() {
            assert!(level.start() != level.goal());
            assert!(level.tiles()[level.start()] == Tile::Empty && level.tiles()[level.goal()] == Tile::Empty);
            assert_eq!(Grid::parse(&level.to_string()).unwrap(), level);
        }
        assert!(vae.decode(Array2::zeros((1, 3)).view(), &mut rng).is_err());
    }
}

/// Fitted to a few levels it gives them back, and between two it makes levels of their walls.
#[test]
fn levels_come_back_and_new_ones_are_like_them() {
    let levels = some_levels(6, 6);
    let settings =
        VaeTrainer { latent: 16, hidden: 64, vae_steps: 600, batch: 12, vae_rate: 3e-3, ..VaeTrainer::default() };
    let fit = || settings.fit(&levels, Seed(4), &Silent).unwrap();
    let vae = fit();
    let refs: Vec<&Grid> = levels.iter().collect();
    let (means, _) = vae.encode(&refs);
    let back = vae.decode(means.view(), &mut Seed(5).rng(0)).unwrap();
    let cells: usize =
        back.iter().zip(&levels).map(|(a, b)| a.tiles().iter().zip(b.tiles()).filter(|(a, b)| a == b).count()).sum();
    assert!(cells * 100 > 90 * 6 * 36, "{cells} of {}", 6 * 36);
    let new = vae.generate(&levels, 50, &mut Seed(6).rng(0)).unwrap();
    assert_eq!(new.len(), 50);
    let wall = |levels: &[Grid]| {
        let count: usize = levels.iter().map(|l| l.tiles().iter().filter(|t| **t == Tile::Wall).count()).sum();
        count as f64 / (36 * levels.len()) as f64
    };
    assert!((wall(&new) - wall(&levels)).abs() < 0.12, "{} {}", wall(&new), wall(&levels));
    let pools = [1, 2].map(|threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap());
    assert!(pools.iter().all(|pool| pool.install(fit) == vae));
}

#[test]
fn what_cannot_be_fitted_is_told() {
    let levels = some_levels(5, 2);
    let trainer = VaeTrainer { latent: 2, hidden: 2, vae_steps: 1, ..VaeTrainer::default() };
    assert!(trainer.fit(&[], Seed(0), &Silent).is_err());
    let mixed = [levels[0].clone(), some_levels(6, 1).remove(0)];
    assert!(trainer.fit(&mixed, Seed(0), &Silent).unwrap_err().to_string().contains("use one size"));
    for wrong in
        [VaeTrainer { latent: 0, ..trainer }, VaeTrainer { points: 1, ..trainer }, VaeTrainer { batch: 0, ..trainer }]
    {
        assert!(wrong.fit(&levels, Seed(0), &Silent).is_err());
    }
    let vae = trainer.fit(&levels, Seed(0), &Silent).unwrap();
    let other = some_levels(6, 2);
    assert!(vae.generate(&other, 1, &mut Seed(0).rng(0)).unwrap_err().to_string().contains("5 x 5"));
    assert_eq!(vae.generate(&levels[..1], 3, &mut Seed(0).rng(0)).unwrap().len(), 3);
}
