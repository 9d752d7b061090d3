//! Methods for wrong and rare labels; peer: `bench/labels.py`.

use crate::{Figures, Settings, Workload, measure};
use ndarray::Array2;
use quadrat_core::{Result, Seed, Silent};
use quadrat_nn::{Forward, Inputs, Loss, Network, Optimizer, Samples, Spec, Tensor, Trainer, Training, initialise};
use quadrat_numeric::calibration::probabilities;
use quadrat_numeric::rand_augment::rand_augment;
use quadrat_robust::training::{BatchFormer, Elr, shrink};
use rayon::prelude::*;
use serde_json::json;
use std::time::Instant;

/// The workloads of wrong and rare labels.
pub fn workloads() -> Vec<Workload> {
    vec![("elr", elr), ("batchformer", batchformer), ("shrink", shrunk), ("rand-augment", augmented)]
}

/// `rows=N classes=N steps=N`: loss and gradient of early-learning regularisation over one batch of all rows, again and again.
fn elr(settings: &Settings) -> Result<Figures> {
    let (rows, classes) = (settings.number("rows", 4096)?, settings.number("classes", 1000)?);
    let steps = settings.number("steps", 20)?;
    let mut rng = Seed(1).rng(0);
    let scores = Array2::from_shape_simple_fn((rows, classes), || 3.0 * rng.normal() as f32);
    let mut method = Elr::default().over((0..rows).map(|row| (row % classes) as u32).collect(), classes)?;
    let order: Vec<u32> = (0..rows as u32).collect();
    timed(steps, || Ok(method.step(&order, scores.view())?.0))
}

/// The layer as a network of its own.
struct Layer(usize);

impl Network for Layer {
    fn inputs(&self) -> usize {
        self.0
    }
    fn outputs(&self) -> usize {
        self.0
    }
    fn parameters(&self) -> Vec<Spec> {
        BatchFormer::specs(self.0)
    }
    fn forward(&self, forward: &mut Forward, inputs: &Inputs) -> Result<Tensor<2>> {
        BatchFormer::default().layer(forward, inputs.numbers())
    }
}

/// `rows=N width=N steps=N`: a training step of the layer alone, the rows in one pass.
fn batchformer(settings: &Settings) -> Result<Figures> {
    let (rows, width) = (settings.number("rows", 128)?, settings.number("width", 64)?);
    let steps = settings.number("steps", 20)?;
    let mut rng = Seed(1).rng(0);
    let mut noise = || Array2::from_shape_simple_fn((rows, width), || rng.normal() as f32);
    let samples = Samples::values(noise(), noise())?;
    let (network, loss, optimizer) = (Layer(width), Loss::SquaredError, Optimizer::sgd(0.0));
    let trainer =
        Trainer { epochs: steps + 3, batch: rows, pieces: 1, rate: 1e-3, loss, optimizer, ..Trainer::default() };
    let mut training = Training::begin(&trainer, &network, initialise(&network, Seed(1))?, &samples, &mut [])?;
    timed(steps, || {
        training.epoch(None, &Silent)?;
        Ok(training.curve().last().map_or(f64::NAN, |epoch| epoch.train_loss))
    })
}

/// `rows=N classes=N steps=N`: for every row which rivals are taken away, the loss among the classes kept, and its gradient.
fn shrunk(settings: &Settings) -> Result<Figures> {
    let (rows, classes) = (settings.number("rows", 448)?, settings.number("classes", 1000)?);
    let steps = settings.number("steps", 20)?;
    let mut rng = Seed(1).rng(0);
    let mut noise = |scale: f32| Array2::from_shape_simple_fn((rows, classes), || scale * rng.normal() as f32);
    let (p, scores) = (probabilities(noise(2.0).view(), 1.0), noise(1.0));
    let scores: Vec<f32> = scores.into_iter().collect();
    timed(steps, || {
        let mut gradient = vec![0.0; rows * classes];
        let each = gradient.par_chunks_mut(classes).zip(scores.par_chunks(classes)).enumerate();
        let losses = each.map(|(row, (gradient, scores))| {
            let shrunk = shrink(p.row(row), 0.95);
            shrunk.map_or(f64::NAN, |shrunk| f64::from(shrunk.loss(scores, 1.0, gradient)))
        });
        Ok(losses.collect::<Vec<_>>().iter().sum::<f64>() / rows as f64)
    })
}

/// `images=N steps=N`: strong views of colour images of 32 x 32 pixels, three operations and a covered part, on one thread.
fn augmented(settings: &Settings) -> Result<Figures> {
    let (images, steps) = (settings.number("images", 1000)?, settings.number("steps", 5)?);
    let mut rng = Seed(1).rng(0);
    let plain: Vec<f32> = (0..images * 3072).map(|_| rng.uniform() as f32).collect();
    let mut scratch = Vec::new();
    timed(steps, || {
        let mut views = plain.clone();
        for image in views.chunks_exact_mut(3072) {
            rand_augment(image, [3, 32, 32], 3, 0.5, &mut rng, &mut scratch);
        }
        Ok(f64::from(views[0]))
    })
}

/// Steps after three unmeasured ones; the quickest too, since on a busy machine the others wait for the processor.
fn timed(steps: usize, mut step: impl FnMut() -> Result<f64>) -> Result<Figures> {
    let (mut best, mut last) = (f64::INFINITY, 0.0);
    for _ in 0..3 {
        step()?;
    }
    let ((), mut figures) = measure(|| {
        for _ in 0..steps {
            let start = Instant::now();
            last = step()?;
            best = best.min(start.elapsed().as_secs_f64());
        }
        Ok(())
    })?;
    figures.insert("best_seconds".into(), json!(best));
    figures.insert("steps".into(), json!(steps));
    figures.insert("loss".into(), json!(last));
    Ok(figures)
}
