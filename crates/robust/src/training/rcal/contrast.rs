//! Momentum contrast: a network's hidden layers learn to know two views of a row as one.
//!
//! He, Fan, Wu, Xie, Girshick: "Momentum Contrast for Unsupervised Visual Representation Learning", CVPR 2020 (arXiv 1911.05722).
//! Two layers behind the features project them to the unit sphere. A query q is a view of a row by the network, its key k⁺ another
//! view by a moving average of the network; the keys of earlier batches wait in a queue. The loss is
//!
//! > −ln exp(q·k⁺/τ) / (exp(q·k⁺/τ) + Σ exp(q·k/τ)) over the queue's k.
//!
//! The queue is empty at first and fills up. The projection is thrown away.

use crate::training::few::Views;
use ndarray::{Array2, s};
use quadrat_core::{Error, Progress, Result, Rng};
use quadrat_nn::{
    At, Batch, Forward, Inputs, Loss, Network, Parameters, Piece, Run, Spec, Tensor, TrainMethod, Trainer, TwoViews,
    evaluate, ops, tensor_of,
};
use quadrat_numeric::matrix;

const TAU: f32 = 0.2;
const MOMENTUM: f32 = 0.99;
const QUEUE: usize = 4096;
const WIDTH: usize = 64;
const BATCH: usize = 128;
const RATE: f64 = 1e-3;
const HIDDEN: &str = "contrast.hidden";
const OUT: &str = "contrast.out";

/// Train `parameters` for so many epochs of contrast; the layer called `head` stays as it was.
pub(super) fn contrast(
    run: &Run<'_>,
    head: &str,
    epochs: usize,
    views: &Views,
    parameters: &mut Parameters,
    progress: &dyn Progress,
) -> Result<()> {
    if epochs == 0 {
        return Ok(());
    }
    let seed = run.seed.stream("contrast");
    let samples = run.samples("contrast")?;
    let none = || Error::input("contrast", "a network without features", "one whose last layer is linear");
    let width = run.probe(parameters, |forward| forward.tapped("features").map(|f| f.dims()[1]))?.ok_or_else(none)?;
    let network = Projected(run.network);
    let mut query = parameters.clone();
    let gain = 2.0_f32.sqrt();
    for spec in [Spec::linear(HIDDEN, width, width, gain), Spec::linear(OUT, width, WIDTH, 1.0)].into_iter().flatten() {
        query.add(spec, seed)?;
    }
    let view = |row: &mut [f32], rng: &mut Rng| views.strong(row, rng, &mut Vec::new());
    let twice = TwoViews { source: samples, view: &view, seed };
    let queue = QUEUE.min(samples.len() / 2);
    let mut method =
        Contrast { network: &network, average: query.clone(), queue: Vec::new(), longest: queue, keys: Vec::new() };
    let trainer = Trainer { epochs, batch: BATCH, rate: RATE, loss: Loss::Nothing, seed, ..Trainer::default() };
    let fit = trainer.fit_from(&network, query, &twice, None, &mut [&mut method], progress)?;
    for parameter in parameters.iter_mut().filter(|parameter| !parameter.name.starts_with(head)) {
        parameter.set(&fit.parameters.get(&parameter.name)?.values())?;
    }
    Ok(())
}

/// A network whose outputs are projections of its features.
struct Projected<'a>(&'a dyn Network);

impl Network for Projected<'_> {
    fn inputs(&self) -> usize {
        self.0.inputs()
    }

    fn outputs(&self) -> usize {
        WIDTH
    }

    fn image(&self) -> Option<[usize; 3]> {
        self.0.image()
    }

    fn grain(&self) -> usize {
        self.0.grain()
    }

    fn parameters(&self) -> Vec<Spec> {
        self.0.parameters()
    }

    fn forward(&self, forward: &mut Forward, inputs: &Inputs) -> Result<Tensor<2>> {
        self.0.forward(forward, inputs)?;
        let none = || Error::input("contrast", "a network without features", "one whose last layer is linear");
        let features = forward.tapped("features").ok_or_else(none)?;
        let hidden = forward.linear(HIDDEN, features)?.clamp_min(0.0);
        forward.linear(OUT, hidden)
    }
}

/// The contrast as a training method.
struct Contrast<'a> {
    network: &'a dyn Network,
    /// The network that makes keys.
    average: Parameters,
    /// Keys of earlier batches, flat, the latest last, at most so many.
    queue: Vec<f32>,
    longest: usize,
    /// Keys of this batch, flat.
    keys: Vec<f32>,
}

impl TrainMethod for Contrast<'_> {
    fn name(&self) -> &str {
        "contrast"
    }

    fn replaces_loss(&self) -> bool {
        true
    }

    /// The second views become keys, the first ones stay as queries.
    fn prepare(&mut self, batch: &mut Batch) -> Result<()> {
        let n = batch.rows.len() / 2;
        let second = batch.inputs.slice(s![n.., ..]).to_owned();
        let keys: Array2<f32> = evaluate(self.network, &self.average, second.view())?;
        self.keys = keys.iter().copied().collect();
        self.keys.chunks_exact_mut(WIDTH).for_each(|key| {
            let length = length(key);
            key.iter_mut().for_each(|v| *v /= length);
        });
        batch.rows.truncate(n);
        batch.inputs = batch.inputs.slice(s![..n, ..]).to_owned();
        batch.targets = batch.targets.slice(s![..n, ..]).to_owned();
        Ok(())
    }

    fn row_losses(&self, piece: &Piece, outputs: &Tensor<2>) -> Result<Tensor<1>> {
        let own = piece.rows.start * WIDTH..piece.rows.end * WIDTH;
        Ok(piece.weigh(info_nce(outputs.clone(), &self.keys[own], &self.queue)?))
    }

    fn after_step(&mut self, _: At, parameters: &mut Parameters) -> Result<()> {
        for (average, now) in self.average.iter_mut().zip(parameters.iter()) {
            let now = now.values();
            average.update(|values| {
                values.iter_mut().zip(now).for_each(|(a, v)| *a = MOMENTUM * *a + (1.0 - MOMENTUM) * v);
            });
        }
        self.queue.append(&mut self.keys);
        let over = self.queue.len().saturating_sub(self.longest * WIDTH);
        self.queue.drain(..over);
        Ok(())
    }
}

fn length(v: &[f32]) -> f32 {
    v.iter().map(|v| v * v).sum::<f32>().sqrt().max(f32::MIN_POSITIVE)
}

/// The loss of each projection, not yet on the sphere, with its own key and those of the queue.
pub(super) fn info_nce(outputs: Tensor<2>, own: &[f32], queue: &[f32]) -> Result<Tensor<1>> {
    let (rows, tracked) = (outputs.dims()[0], outputs.is_autodiff());
    let keys = |flat: &[f32]| -> Result<Tensor<2>> {
        Ok(tensor_of(matrix((flat.len() / WIDTH, WIDTH), flat.to_vec())?.view(), tracked))
    };
    // A projection may be all zeros, where a length has no gradient.
    let length = (outputs.clone().powi_scalar(2).sum_dim(1) + 1e-12).sqrt();
    let q = outputs / length / TAU;
    let mut similar = (q.clone() * keys(own)?).sum_dim(1);
    if !queue.is_empty() {
        similar = Tensor::cat(vec![similar, q.matmul(keys(queue)?.transpose())], 1);
    }
    Ok(ops::token_cross_entropy(similar, vec![0; rows]))
}
