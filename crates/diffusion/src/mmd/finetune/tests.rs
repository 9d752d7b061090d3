use super::*;
use crate::mmd::{Fourier, Identity, features_fn};
use crate::{Corrector, Denoising, Form, Grid, Noising, Parametrisation, Relaxation, Solver, Step, integrate};
use ndarray::array;
use quadrat_core::Silent;
use quadrat_nn::UNet;
use quadrat_numeric::transport::sliced_wasserstein1;

/// Two clusters.
fn rows(n: usize, seed: u64) -> Array2<f64> {
    let mut rng = Seed(seed).rng(0);
    Array2::from_shape_fn((n, 2), |(i, j)| if (i + j) % 2 == 0 { 1.0 } else { -1.0 } + 0.1 * rng.normal())
}

fn trained(epochs: usize) -> NetworkDenoiser {
    let mut network = NetworkDenoiser::mlp(2, &[32, 32], Seed(1)).unwrap();
    let course = Denoising { epochs, rate: 3e-3, ..Denoising::default() };
    course.fit(&mut network, Noising::of(rows(500, 1).view()), None, Seed(1), &Silent).unwrap();
    network
}

fn ddim(calls: usize) -> Plan {
    Solver::Ddim.plan(crate::Schedule::linear(), &Grid::LogSnr, calls).unwrap()
}

/// The sampler on tensors ends where [`integrate`] does, to single precision, for every kind of step and first answer, and for images.
#[test]
fn the_unrolled_sampler_is_the_sampler() {
    let schedules = [crate::Schedule::linear(), crate::Schedule::edm(), crate::Schedule::Flow];
    let mlp = NetworkDenoiser::mlp(3, &[16], Seed(1)).unwrap();
    let unet = NetworkDenoiser::unet(UNet::new([1, 4, 4], 16), Seed(1)).unwrap();
    let networks = [mlp.clone(), mlp.clone().with(Parametrisation::Noise), mlp.with(Parametrisation::Velocity), unet];
    for (network, schedule) in networks.iter().zip(schedules.iter().cycle()) {
        let mut plans: Vec<Plan> = [Solver::Ddim, Solver::Heun, Solver::Dpmpp2m, Solver::Unipc, Solver::Dpm2s]
            .iter()
            .map(|solver| solver.plan(schedule.clone(), &Grid::LogSnr, 5).unwrap())
            .collect();
        plans[1].first = crate::First::Noise;
        plans[2].first = crate::First::Mean(vec![0.5; network.purpose().dims]);
        let implicit = Step { corrector: Corrector::Implicit, ..Step::multistep(Form::Data, 2, Relaxation::Bh2) };
        let mut last = plans[3].clone();
        last.steps[1] = implicit;
        plans.push(last);
        for plan in plans {
            let start = noise(&plan, 7, network.purpose().dims, Seed(2));
            let wanted = integrate(&plan, network, start.clone(), Seed(2), &Silent).unwrap();
            let sampler = Unrolled::new(network, &plan).unwrap();
            let found = predict(&sampler, network.parameters(), start.mapv(|v| v as f32).view(), &[]).unwrap();
            let scale = wanted.iter().fold(1.0f64, |m, v| m.max(v.abs()));
            for (found, wanted) in found.iter().zip(&wanted) {
                assert!((f64::from(*found) - wanted).abs() < 2e-4 * scale, "{found} for {wanted}, {plan:?}");
            }
        }
    }
}

/// One plain step along the gradient, with a rate of 1: the parameters' difference is the gradient of the discrepancy through all steps.
/// Along it the discrepancy changes by its squared length, to the percent or so that single precision leaves of differences.
#[test]
fn the_gradient_goes_through_all_steps() {
    let (network, data) = (trained(3), rows(64, 3));
    let fourier = Fourier::new(2, 20, 0.7, Seed(4)).unwrap();
    let features: [&dyn Features; 2] = [&Identity, &fourier];
    for (features, solver) in features.into_iter().zip([Solver::Ddim, Solver::Dpmpp2m]) {
        let plan = solver.plan(crate::Schedule::linear(), &Grid::LogSnr, 3).unwrap();
        let sampler = Unrolled::new(&network, &plan).unwrap();
        let source = Noised { rows: &data, plan: &plan, batch: 64, every: 1, seed: Seed(5) };
        let kernel = Kernel::rbf(features.of(data.view()).unwrap().view()).unwrap();
        let gradient = |pieces: usize| -> Vec<Vec<f32>> {
            let mut matching = Matching { features, kernel: kernel.clone() };
            let optimizer = Optimizer::Sgd { momentum: 0.0, nesterov: false, weight_decay: 0.0 };
            let tuner = MmdFinetune { iterations: 1, every: 1, rate: 1.0, ..MmdFinetune::default() };
            let trainer = Trainer { optimizer, clip: None, pieces, ..tuner.trainer(&sampler, &source) };
            let methods: &mut [&mut dyn TrainMethod] = &mut [&mut matching];
            let before = network.parameters().clone();
            let fit = trainer.fit_from(&sampler, before.clone(), &source, None, methods, &Silent).unwrap();
            let each = before.iter().zip(fit.parameters.iter());
            each.map(|(a, b)| a.values().iter().zip(b.values()).map(|(a, b)| a - b).collect()).collect()
        };
        let (found, in_pieces) = (gradient(1), gradient(4));
        let square = found.iter().flatten().map(|g| f64::from(*g).powi(2)).sum::<f64>();
        // Pieces of rows are the same gradient but for rounding.
        let off = found.iter().flatten().zip(in_pieces.iter().flatten()).map(|(a, b)| f64::from(a - b).powi(2));
        assert!(off.sum::<f64>() < 1e-8 * square.max(1e-6));
        let batch = source.batch(At { epoch: 0, step: 0 }, &(0..64).collect::<Vec<u32>>()).unwrap();
        let value = |by: f64| {
            let mut parameters = network.parameters().clone();
            for (parameter, gradient) in parameters.iter_mut().zip(&found) {
                parameter.update(|v| v.iter_mut().zip(gradient).for_each(|(v, g)| *v += by as f32 * g));
            }
            let samples = predict(&sampler, &parameters, batch.inputs.view(), &[]).unwrap().mapv(f64::from);
            let [x, y] = [samples, batch.targets.mapv(f64::from)].map(|rows| features.of(rows.view()).unwrap());
            mmd2(x.view(), y.view(), &kernel).unwrap().0
        };
        let step = 3e-3 / square.sqrt();
        let difference = (value(step) - value(-step)) / (2.0 * step);
        assert!((difference / square - 1.0).abs() < 0.02, "{difference} for {square}");
    }
}

/// A sampler of two steps blurs two clusters; finetuning brings it nearer to the data, in a distance that is not trained.
#[test]
fn few_steps_come_nearer_to_the_data() {
    let (network, plan, data) = (trained(60), ddim(2), rows(500, 6));
    let fresh = rows(1000, 7);
    let distance = |network: &NetworkDenoiser| {
        let samples = integrate(&plan, network, noise(&plan, 1000, 2, Seed(8)), Seed(8), &Silent).unwrap();
        sliced_wasserstein1(samples.view(), fresh.view(), 50, Seed(9)).unwrap()
    };
    let before = distance(&network);
    for kernel in [KernelKind::Rbf, KernelKind::Energy] {
        let tuner = MmdFinetune { kernel, rate: 1e-3, iterations: 75, batch: 64, ..MmdFinetune::default() };
        let found = tuner.fit(&network, &plan, &Identity, data.view(), Seed(10), &Silent).unwrap();
        let after = distance(&found.denoiser);
        assert!(after < 0.7 * before, "{kernel:?}: from {before} to {after}");
        assert!(found.best > 0 && found.drift > 0.0 && found.losses.len() + 1 == found.looks.len());
        assert!(found.looks.iter().all(|look| *look >= found.looks[found.best]));
        assert_eq!(found.plan, plan);
    }
}

/// A rate that destroys the network: what comes back is the network as it was, and the run ends early.
#[test]
fn the_best_look_is_kept() {
    let network = trained(10);
    let tuner = MmdFinetune { rate: 3.0, iterations: 100, every: 1, patience: 3, ..MmdFinetune::default() };
    let found = tuner.fit(&network, &ddim(3), &Identity, rows(300, 2).view(), Seed(1), &Silent).unwrap();
    assert_eq!((found.best, found.looks.len(), found.drift), (0, 4, 0.0));
    let same = found.denoiser.parameters().iter().zip(network.parameters().iter());
    assert!(same.into_iter().all(|(a, b)| a.values() == b.values()));
}

#[test]
fn threads_change_no_bit() {
    let (network, data) = (trained(2), rows(200, 2));
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let tuner = MmdFinetune { iterations: 6, every: 3, rate: 1e-3, ..MmdFinetune::default() };
        let found = pool.install(|| tuner.fit(&network, &ddim(3), &Identity, data.view(), Seed(1), &Silent)).unwrap();
        (found.looks.clone(), found.losses, found.drift)
    };
    assert_eq!(run(1), run(2));
}

#[test]
fn what_cannot_be_finetuned_is_refused() {
    let (network, data, plan) = (trained(1), rows(100, 2), ddim(3));
    let tuner = MmdFinetune { iterations: 2, every: 1, ..MmdFinetune::default() };
    let fit = |tuner: &MmdFinetune, plan: &Plan, features: &dyn Features, data: &Array2<f64>| {
        tuner.fit(&network, plan, features, data.view(), Seed(1), &Silent).map(|_| ()).map_err(|e| e.to_string())
    };
    fit(&tuner, &plan, &Identity, &data).unwrap();
    let stochastic = Solver::Ddpm.plan(crate::Schedule::linear(), &Grid::LogSnr, 3).unwrap();
    assert!(fit(&tuner, &stochastic, &Identity, &data).unwrap_err().contains("eta 0"));
    let mean = Plan { first: crate::First::Mean(vec![0.0]), ..plan.clone() };
    assert!(fit(&tuner, &mean, &Identity, &data).is_err());
    let mut wrong = data.clone();
    wrong[[3, 1]] = f64::NAN;
    for (what, data) in [
        ("NaN", wrong),
        ("wide", Array2::zeros((100, 3))),
        ("few", rows(19, 1)),
        ("alike", array![[1.0, 2.0]].broadcast((50, 2)).unwrap().to_owned()),
    ] {
        assert!(fit(&tuner, &plan, &Identity, &data).is_err(), "{what}");
    }
    for tuner in [
        MmdFinetune { batch: 1, ..tuner.clone() },
        MmdFinetune { every: 0, ..tuner.clone() },
        MmdFinetune { iterations: 0, ..tuner.clone() },
        MmdFinetune { rate: f64::NAN, ..tuner.clone() },
        MmdFinetune { clip: 0.0, ..tuner.clone() },
        MmdFinetune { kernel: KernelKind::Poly, degree: 0, ..tuner.clone() },
    ] {
        assert!(fit(&tuner, &plan, &Identity, &data).is_err(), "{tuner:?}");
    }
    let narrow = features_fn(|x| Ok(x.to_owned()), |_, u| Ok(u.slice(ndarray::s![.., ..1]).to_owned()));
    assert!(fit(&tuner, &plan, &narrow, &data).is_err());
    let failing = features_fn(|x| Ok(x.mapv(|_| f64::NAN)), |_, u| Ok(u.to_owned()));
    assert!(fit(&tuner, &plan, &failing, &data).is_err());
    let told = NetworkDenoiser::conditional_mlp(2, &[8], [3, 0], Seed(1)).unwrap();
    assert!(tuner.fit(&told, &plan, &Identity, data.view(), Seed(1), &Silent).is_err());
}
