//! The course of a training.

use super::model::{Architecture, Model, filled, input};
use super::{Acquisition, Consistency, vary};
use ndarray::{Array2, Axis};
use quadrat_core::{Error, Progress, Result, Seed};
use quadrat_nn::{
    At, Batch, Epoch, Loss, Optimizer, Piece, Schedule, Source, Tensor, TrainMethod, Trainer, Training, initialise,
    pieces_that_pay,
};
use rayon::prelude::*;
use std::path::Path;

/// How a network is trained: Adam on the mean absolute difference of images.
#[derive(Debug, Clone, PartialEq)]
pub struct Course {
    /// How often all slices are visited.
    pub epochs: usize,
    /// Slices in a step.
    pub batch: usize,
    /// The first learning rate.
    pub rate: f64,
    /// How it changes.
    pub schedule: Schedule,
    /// Whether slices are changed by [`vary`](super::vary), anew in every epoch.
    pub vary: bool,
}

impl Course {
    /// Trains, as [`ReconResNet::fit`](super::ReconResNet::fit) says.
    ///
    /// Cost: about three forward passes a slice and epoch; memory for the parameters five times, and the activations of one batch.
    ///
    /// # Errors
    /// As there.
    pub fn train(
        &self,
        architecture: Architecture,
        slices: &[Array2<f32>],
        acquisitions: &[&dyn Acquisition],
        checkpoint: Option<&Path>,
        seed: Seed,
        progress: &dyn Progress,
    ) -> Result<(Model, Vec<Epoch>)> {
        let shape = architecture.sides(check(slices, acquisitions)?);
        let network = architecture.at(shape)?;
        let seen = Seen { slices, acquisitions, shape, vary: self.vary, seed: seed.stream("slices") };
        let trainer = Trainer {
            epochs: self.epochs,
            batch: self.batch,
            rate: self.rate,
            schedule: self.schedule.clone(),
            optimizer: Optimizer::adamw(0.0),
            loss: Loss::Nothing,
            pieces: pieces_that_pay(&*network, self.batch),
            seed,
            ..Trainer::default()
        };
        let parameters = initialise(&*network, seed.stream("parameters"))?;
        let mut difference = Difference;
        let mut methods: [&mut dyn TrainMethod; 1] = [&mut difference];
        let mut training = Training::begin(&trainer, &*network, parameters, &seen, &mut methods)?;
        if let Some(path) = checkpoint.filter(|path| path.exists()) {
            training.restore(path)?;
        }
        let steps = slices.len().div_ceil(self.batch);
        progress.begin("training", Some((self.epochs * steps) as u64));
        progress.advance((training.epochs_done() * steps) as u64);
        while !training.is_done() {
            training.epoch(None, progress)?;
            if let Some(path) = checkpoint {
                training.save(path)?;
            }
        }
        let fit = training.finish()?;
        Ok((Model { architecture, parameters: fit.parameters, consistency: Consistency::default() }, fit.curve))
    }
}

/// That slices are such, and of the acquisitions' shape.
fn check(slices: &[Array2<f32>], acquisitions: &[&dyn Acquisition]) -> Result<[usize; 2]> {
    let (Some(first), false) = (slices.first(), acquisitions.is_empty()) else {
        let got = format!("{} slices and {} acquisitions", slices.len(), acquisitions.len());
        return Err(Error::input("training", got, "at least one of each"));
    };
    let shape = [first.nrows(), first.ncols()];
    for (i, slice) in slices.iter().enumerate() {
        if slice.dim() != first.dim() {
            let got = format!("{:?} where the first has {:?}", slice.dim(), first.dim());
            return Err(Error::input(format!("slice {i}"), got, "slices of one size"));
        }
        if let Some(v) = slice.iter().find(|v| !(0.0..=1.0).contains(*v)) {
            return Err(Error::input(format!("slice {i}"), v, "numbers from 0 to 1: divide by the volume's maximum"));
        }
    }
    if let Some(other) = acquisitions.iter().find(|acquisition| acquisition.shape() != shape) {
        let want = format!("acquisitions of images of the slices' size, {shape:?}");
        return Err(Error::input("acquisition", format!("of images of size {:?}", other.shape()), want));
    }
    if slices.iter().all(|slice| slice.iter().all(|v| *v == 0.0)) {
        return Err(Error::input("slices", "0 everywhere", "images"));
    }
    Ok(shape)
}

/// Slices as they are seen in training.
struct Seen<'a> {
    slices: &'a [Array2<f32>],
    acquisitions: &'a [&'a dyn Acquisition],
    /// The sides that the network takes.
    shape: [usize; 2],
    vary: bool,
    seed: Seed,
}

impl Seen<'_> {
    /// What a slice gives without a model, and what it should be.
    fn pair(&self, epoch: usize, row: u32) -> Result<[Array2<f32>; 2]> {
        let mut rng = self.seed.stream(&epoch.to_string()).rng(u64::from(row));
        let slice = &self.slices[row as usize];
        let slice = if self.vary { vary(slice, &mut rng) } else { slice.clone() };
        let acquisition = self.acquisitions[rng.below(self.acquisitions.len())];
        let start = acquisition.start(&acquisition.measure(slice.view())?)?;
        // A slice that turned out empty is 0 and stays so.
        let start = input(&start).unwrap_or(start);
        Ok([start, slice].map(|image| filled(&image, self.shape)))
    }
}

impl Source for Seen<'_> {
    fn len(&self) -> usize {
        self.slices.len()
    }

    fn outputs(&self) -> usize {
        self.shape[0] * self.shape[1]
    }

    /// A slice's chance in an epoch comes from a stream of its own, whatever the batches.
    fn batch(&self, at: At, rows: &[u32]) -> Result<Batch> {
        let pairs: Vec<[Array2<f32>; 2]> =
            rows.par_iter().map(|row| self.pair(at.epoch, *row)).collect::<Result<_>>()?;
        let mut flat: [Array2<f32>; 2] = std::array::from_fn(|_| Array2::zeros((rows.len(), self.outputs())));
        for (i, pair) in pairs.iter().enumerate() {
            for (to, image) in flat.iter_mut().zip(pair) {
                to.index_axis_mut(Axis(0), i).iter_mut().zip(image).for_each(|(to, v)| *to = *v);
            }
        }
        let [inputs, targets] = flat;
        Ok(Batch::new(at, rows, inputs, targets))
    }

    /// What the first slice looks like to each acquisition tells these apart.
    fn told(&self) -> String {
        let sum = |images: &mut dyn Iterator<Item = f32>| {
            images.fold(0_u64, |sum, v| sum.rotate_left(5).wrapping_mul(0x100_0000_01b3) ^ u64::from(v.to_bits()))
        };
        let slices = sum(&mut self.slices.iter().flatten().copied());
        let seen = self.acquisitions.iter().map(|acquisition| {
            let start = self.slices.first().map(|slice| acquisition.start(&acquisition.measure(slice.view())?));
            Ok(start.transpose()?.map_or(0, |start| sum(&mut start.iter().copied())))
        });
        let seen: Vec<u64> = seen.collect::<Result<_>>().unwrap_or_default();
        let (n, varied) = (self.slices.len(), if self.vary { "varied " } else { "" });
        format!("{n} {varied}slices with the sum {slices:x}, measured as {seen:x?}")
    }
}

/// The mean absolute difference of two images, in double precision.
struct Difference;

impl TrainMethod for Difference {
    fn name(&self) -> &str {
        "absolute-difference"
    }

    fn replaces_loss(&self) -> bool {
        true
    }

    fn row_losses(&self, piece: &Piece, outputs: &Tensor<2>) -> Result<Tensor<1>> {
        let targets = &piece.batch.targets;
        Ok(piece.losses(outputs, |row, image, gradient| {
            let each = 1.0 / image.len().max(1) as f32;
            let mut total = 0.0;
            for ((v, target), slope) in image.iter().zip(targets.row(row)).zip(gradient) {
                let apart = v - target;
                total += f64::from(apart.abs());
                *slope = if apart == 0.0 { 0.0 } else { each.copysign(apart) };
            }
            total as f32 * each
        }))
    }
}
