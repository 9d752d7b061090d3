//! Every loss trains both kinds of detectors, and they find what is there.

use super::super::{Matcher, Object, build, cards, estimate_prior};
use super::*;
use quadrat_core::{Params, Silent};
use quadrat_nn::{Optimizer, Trainer, Training};

/// Dark images with a bright or a striped rectangle.
fn scenes(n: usize) -> (Array2<f32>, Vec<Vec<Object>>) {
    let mut pixels = Array2::zeros((n, 32 * 32));
    let mut objects = Vec::new();
    for (i, mut image) in pixels.outer_iter_mut().enumerate() {
        let mut rng = Seed(7).rng(i as u64);
        let (w, h, class) = (16 + rng.below(5), 16 + rng.below(5), rng.below(2));
        let (x, y) = (rng.below(33 - w), rng.below(33 - h));
        for (row, column) in (y..y + h).flat_map(|row| (x..x + w).map(move |column| (row, column))) {
            image[row * 32 + column] = if class == 1 && column % 2 == 0 { 0.2 } else { 1.0 };
        }
        let bounds = [x, y, x + w, y + h].map(|v| v as f32);
        objects.push(vec![Object { bounds, class: class as u32, crowd: false }]);
    }
    (pixels, objects)
}

fn networks() -> [Detector; 2] {
    [Vec::new(), vec![[18.0, 18.0], [20.0, 16.0]]].map(|anchors| Detector::new([1, 32, 32], anchors, 2))
}

fn trainer(epochs: usize) -> Trainer {
    let (loss, optimizer) = (Loss::Nothing, Optimizer::adamw(1e-4));
    Trainer { epochs, batch: 8, rate: 3e-3, loss, optimizer, clip: Some(10.0), seed: Seed(2), ..Trainer::default() }
}

#[test]
fn every_loss_trains_both_detectors_to_the_same_bits_and_goes_on_where_it_stopped() {
    let (pixels, objects) = scenes(24);
    for network in networks() {
        let assign = |objects: &Vec<Object>| grid(&network).assign(objects, Matcher::RETINANET).unwrap();
        let assignments: Vec<Assignment> = objects.iter().map(assign).collect();
        let prior = estimate_prior(&assignments, 2).unwrap();
        let scenes = Scenes::new(&network, pixels.clone(), &assignments).unwrap();
        for card in cards() {
            let loss = build(card.slug, &Params::none()).unwrap();
            let begin = start(&network, &*loss, &prior, Seed(1)).unwrap();
            let trainer = trainer(2);
            let run = |threads| {
                let mut method = DenseTraining::new(&network, &*loss, &assignments);
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                let fit = pool.install(|| {
                    let begin = begin.clone();
                    trainer.fit_from(&network, begin, &scenes, None, &mut [&mut method], &Silent).unwrap()
                });
                assert!(fit.curve.iter().all(|epoch| epoch.train_loss.is_finite()));
                fit.parameters.fingerprint()
            };
            assert_eq!(run(1), run(2), "{}", card.slug);
            let path = std::env::temp_dir().join(format!("quadrat-dense-{}-{}", card.slug, std::process::id()));
            let mut first = DenseTraining::new(&network, &*loss, &assignments);
            let mut hooks: Vec<&mut dyn TrainMethod> = vec![&mut first];
            let mut training = Training::begin(&trainer, &network, begin.clone(), &scenes, &mut hooks).unwrap();
            training.epoch(None, &Silent).unwrap();
            training.save(&path).unwrap();
            let mut second = DenseTraining::new(&network, &*loss, &assignments);
            let mut hooks: Vec<&mut dyn TrainMethod> = vec![&mut second];
            let mut training = Training::begin(&trainer, &network, begin.clone(), &scenes, &mut hooks).unwrap();
            training.restore(&path).unwrap();
            training.epoch(None, &Silent).unwrap();
            assert_eq!(training.finish().unwrap().parameters.fingerprint(), run(1), "{}", card.slug);
            std::fs::remove_file(path).unwrap();
        }
    }
}

#[test]
fn both_detectors_find_what_is_there() {
    let (pixels, objects) = scenes(160);
    for network in networks() {
        let assign = |objects: &Vec<Object>| grid(&network).assign(objects, Matcher::RETINANET).unwrap();
        let assignments: Vec<Assignment> = objects.iter().map(assign).collect();
        let prior = estimate_prior(&assignments, 2).unwrap();
        let loss = build("sampling-free", &Params::none()).unwrap();
        let scenes = Scenes::new(&network, pixels.clone(), &assignments).unwrap();
        let mut method = DenseTraining::new(&network, &*loss, &assignments);
        let begin = start(&network, &*loss, &prior, Seed(1)).unwrap();
        let fit = trainer(25).fit_from(&network, begin, &scenes, None, &mut [&mut method], &Silent).unwrap();
        let found = detect(&network, &fit.parameters, pixels.view(), prior.foreground).unwrap();
        let right = found.iter().zip(&objects).filter(|(found, objects)| {
            found.first().is_some_and(|f| {
                f.class == objects[0].class && crate::detection::iou(f.bounds, objects[0].bounds) > 0.5
            })
        });
        let right = right.count();
        assert!(right > 140, "{right} of 160");
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let (pixels, _) = scenes(4);
    let [network, _] = networks();
    assert!(Scenes::new(&network, pixels.clone(), &[]).is_err());
    let assignments = vec![grid(&network).assign(&[], Matcher::RETINANET).unwrap(); 4];
    assert!(estimate_prior(&assignments, 2).unwrap_err().to_string().contains("at least one image with an object"));
    let scenes = Scenes::new(&network, pixels, &assignments).unwrap();
    let trainer = Trainer { loss: Loss::SquaredError, ..trainer(1) };
    let begin = initialise(&network, Seed(1)).unwrap();
    assert!(trainer.fit_from(&network, begin, &scenes, None, &mut [], &Silent).is_err());
}
