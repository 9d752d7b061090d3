//! A denoiser finetuned for one sampler of few steps.
//!
//! Aiello, Valsesia, Magli, "Fast Inference in Denoising Diffusion Models via MMD Finetuning", IEEE Access 2024 (arXiv 2301.07969):
//! all k steps of a deterministic sampler are run with gradients, the samples are compared with data by the maximum mean discrepancy of
//! some features, and the network's weights follow its gradient. Steps need not be exact any more: only where they end counts. The
//! weights are then good for that plan and no other.
//!
//! The authors keep the memory of k networks' activations small by computing steps twice. Here a batch is cut into pieces of rows
//! instead: all samples first, without a graph, the discrepancy's gradient at them, and each piece once more with its own graph.

use super::unrolled::Unrolled;
use super::{Features, Kernel, mmd2};
use crate::{NetworkDenoiser, Plan, noise};
use ndarray::{Array2, ArrayView2, Axis};
use quadrat_core::{Area, Card, Choice, Error, Method, Progress, Result, Seed, Settings, checkpoint};
use quadrat_nn::{
    At, Batch, BatchLoss, Loss, Optimizer, Parameters, Schedule, Source, Tensor, TrainMethod, Trainer, Training, ops,
    pieces_that_pay, predict,
};
use quadrat_numeric::check_finite;

/// Which kernel features are compared by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Choice)]
pub enum KernelKind {
    /// A bank of four widths about the median distance of the data's features.
    Rbf,
    /// (⟨u, v⟩ / columns + 1)^degree.
    Poly,
    /// The distance itself: energy distance.
    Energy,
    /// The inner product: means alone are compared.
    Linear,
}

/// Finetuning by the maximum mean discrepancy.
#[derive(Debug, Clone, PartialEq, Settings)]
pub struct MmdFinetune {
    /// Steps of training, at most; rounded up to whole looks.
    #[param(default = 500, from = 1)]
    pub iterations: usize,
    /// Samples that are compared with as many rows at a step: with few, modes are lost.
    #[param(default = 128, from = 2)]
    pub batch: usize,
    /// Learning rate of Adam: far below that of the first training.
    #[param(default = 2.5e-5, above = 0)]
    pub rate: f64,
    /// The longest gradient that is not shortened.
    #[param(default = 0.5, above = 0)]
    pub clip: f64,
    /// What features are compared by.
    #[param(default = KernelKind::Rbf)]
    pub kernel: KernelKind,
    /// Degree of the polynomial.
    #[param(default = 3, from = 1, to = 20, only = ("kernel", &["poly"]))]
    pub degree: usize,
    /// Steps between two looks at rows held back.
    #[param(default = 25, from = 1)]
    pub every: usize,
    /// Looks without a better one after which it ends.
    #[param(default = 8, from = 1)]
    pub patience: usize,
}

impl Method for MmdFinetune {
    const CARD: Card = Card {
        slug: "mmd-finetuning",
        aliases: &["mmd", "mmd-ddm"],
        title: "MMD finetuning: a diffusion model for few steps",
        paper: "Aiello, Valsesia, Magli: Fast Inference in Denoising Diffusion Models via MMD Finetuning. IEEE Access 2024, arXiv \
                2301.07969",
        area: Area::Diffusion,
        verbs: &["diffuse"],
        summary: "Trains a diffusion network on so that one sampler of few steps, run from end to end, matches the data in the kernel mean \
                  of some features.",
        useful_when: "fast sampling, only 3 to 15 network calls at run time, distil or finetune a trained diffusion model for few steps, \
                      accelerate DDIM, speed up a denoiser",
        cost: "iterations x steps of the plan x batch x about four passes of the network; memory for the activations of all steps of a piece \
               of the batch",
        params: Self::PARAMS,
    };
}

/// A finetuned denoiser, and how it went.
#[derive(Debug, Clone)]
pub struct Finetuned {
    /// The denoiser of the best look, which may be the first, before any step.
    pub denoiser: NetworkDenoiser,
    /// The plan that it is good for, and no other: keep it with the weights.
    pub plan: Plan,
    /// Mean MMD² of the steps before each look, from the second on.
    pub losses: Vec<f64>,
    /// What each look found: the energy distance between samples and rows held back, with the energy kernel the MMD² of the bank of widths
    /// instead, so that what stops is never what is trained.
    pub looks: Vec<f64>,
    /// The look that was best, from 0.
    pub best: usize,
    /// Root mean square of how far samples moved, from the same noise.
    pub drift: f64,
}

/// Of the rows, one in so many is held back, up to the most.
const HELD_ONE_IN: usize = 5;
const HELD_MOST: usize = 2000;

impl MmdFinetune {
    /// Finetunes a denoiser for a plan. A fifth of the `rows` (at most 2,000, drawn by `seed.stream("held")`) is held back to tell the
    /// best look; a batch is at most all others. Noise of step s is that of `seed.stream("noise").stream(s)`.
    ///
    /// # Errors
    /// A plan that cannot be run or draws noise; a network that takes classes or a condition; rows of another width, fewer than 20, or not
    /// finite; settings out of their ranges; features of no use; samples or a loss that is not finite (lower the rate); cancelled.
    pub fn fit(
        &self,
        denoiser: &NetworkDenoiser,
        plan: &Plan,
        features: &dyn Features,
        rows: ArrayView2<f64>,
        seed: Seed,
        progress: &dyn Progress,
    ) -> Result<Finetuned> {
        for (what, got, least) in
            [("batch", self.batch, 2), ("iterations", self.iterations, 1), ("every", self.every, 1)]
        {
            if got < least {
                return Err(Error::input(what, got, format!("at least {least}")));
            }
        }
        let unrolled = Unrolled::new(denoiser, plan)?;
        crate::denoiser::check_dims(denoiser.purpose().dims, rows)?;
        check_finite("rows", rows)?;
        if rows.nrows() < 20 {
            return Err(Error::input("rows", rows.nrows(), "at least 20, a fifth of which is held back"));
        }
        let mut order: Vec<usize> = (0..rows.nrows()).collect();
        seed.stream("held").rng(0).shuffle(&mut order);
        let (held, rest) = order.split_at((rows.nrows() / HELD_ONE_IN).min(HELD_MOST));
        let [held, rows] = [held, rest].map(|some| rows.select(Axis(0), some));
        let judge = Judge::new(self.kernel, held, plan, seed.stream("looks"))?;
        let data = Noised { rows: &rows, plan, batch: self.batch.min(rows.nrows()), every: self.every, seed };
        let mut matching = Matching { features, kernel: self.kernel_of(&features.of(rows.view())?)? };
        let trainer = self.trainer(&unrolled, &data);
        let methods: &mut [&mut dyn TrainMethod] = &mut [&mut matching];
        let parameters = denoiser.parameters().clone();
        let mut training = Training::begin(&trainer, &unrolled, parameters.clone(), &data, methods)?;
        let (first, look) = judge.look(&unrolled, &parameters)?;
        let (mut best, mut looks) = ((0, look, parameters), vec![look]);
        progress.begin("finetuning", Some((trainer.epochs * self.every) as u64));
        while !training.is_done() && looks.len() <= best.0 + self.patience {
            checkpoint(progress)?;
            training.epoch(None, progress)?;
            let (_, look) = judge.look(&unrolled, training.parameters())?;
            if look < best.1 {
                best = (looks.len(), look, training.parameters().clone());
            }
            looks.push(look);
        }
        let losses = training.curve().iter().map(|epoch| epoch.train_loss).collect();
        let (at, _, parameters) = best;
        let moved = &judge.look(&unrolled, &parameters)?.0 - &first;
        let drift = (moved.iter().map(|v| v * v).sum::<f64>() / moved.nrows() as f64).sqrt();
        let denoiser = denoiser.with_parameters(parameters);
        Ok(Finetuned { denoiser, plan: plan.clone(), losses, looks, best: at, drift })
    }

    /// The kernel for features of the data.
    fn kernel_of(&self, features: &Array2<f64>) -> Result<Kernel> {
        match self.kernel {
            KernelKind::Rbf => Kernel::rbf(features.view()),
            KernelKind::Poly => Ok(Kernel::poly(self.degree as u32, features.ncols())),
            KernelKind::Energy => Ok(Kernel::Energy),
            KernelKind::Linear => Ok(Kernel::linear(features.ncols())),
        }
    }

    fn trainer(&self, sampler: &Unrolled, data: &Noised) -> Trainer {
        Trainer {
            epochs: self.iterations.div_ceil(self.every),
            batch: data.batch,
            rate: self.rate,
            schedule: Schedule::Constant,
            optimizer: Optimizer::adamw(0.0),
            loss: Loss::Nothing,
            clip: Some(self.clip as f32),
            pieces: pieces_that_pay(sampler, data.batch),
            seed: data.seed,
            ..Trainer::default()
        }
    }
}

/// Batches: noise to start from, and as many rows of the data. An epoch is the steps from one look to the next.
struct Noised<'a> {
    rows: &'a Array2<f64>,
    plan: &'a Plan,
    batch: usize,
    every: usize,
    seed: Seed,
}

impl Source for Noised<'_> {
    fn len(&self) -> usize {
        self.batch * self.every
    }

    fn outputs(&self) -> usize {
        self.rows.ncols()
    }

    /// Row numbers only say how many rows there are: what they are depends on the step alone.
    fn batch(&self, at: At, rows: &[u32]) -> Result<Batch> {
        let (n, step) = (rows.len(), at.step.to_string());
        let start = noise(self.plan, n, self.rows.ncols(), self.seed.stream("noise").stream(&step));
        let drawn = self.seed.stream("data").rng(at.step as u64).sample(self.rows.nrows(), n);
        let single = |rows: Array2<f64>| rows.mapv(|v| v as f32);
        Ok(Batch::new(at, rows, single(start), single(self.rows.select(Axis(0), &drawn))))
    }

    fn told(&self) -> String {
        format!("noise for {} rows of {} numbers", self.rows.nrows(), self.rows.ncols())
    }
}

/// The discrepancy between a batch's samples and its rows.
struct Matching<'a> {
    features: &'a dyn Features,
    kernel: Kernel,
}

impl TrainMethod for Matching<'_> {
    fn name(&self) -> &str {
        MmdFinetune::CARD.slug
    }

    fn batch_loss(&self) -> Option<&dyn BatchLoss> {
        Some(self)
    }
}

impl BatchLoss for Matching<'_> {
    fn of(&self, batch: &Batch, samples: Tensor<2>) -> Result<Tensor<1>> {
        let ([n, width], why) = (samples.dims(), "samples are no numbers");
        let values = samples.clone().inner().into_data().try_into_vec::<f32>();
        let values = values.map_err(|_| Error::numeric("finetuning", why))?.into_iter().map(f64::from).collect();
        let x = Array2::from_shape_vec((n, width), values).map_err(|e| Error::numeric("finetuning", e.to_string()))?;
        if x.iter().any(|v| !v.is_finite()) {
            let why = format!("samples at step {} are not finite: lower the rate", batch.at.step);
            return Err(Error::numeric("finetuning", why));
        }
        let y = batch.targets.mapv(f64::from);
        let (value, at_features) =
            mmd2(self.features.of(x.view())?.view(), self.features.of(y.view())?.view(), &self.kernel)?;
        let gradient = self.features.pull_back(x.view(), at_features.view())?;
        if gradient.dim() != x.dim() || gradient.iter().any(|v| !v.is_finite()) {
            return Err(Error::input(
                "features",
                "a gradient of another shape or not finite",
                "finite numbers, a row for each sample",
            ));
        }
        // Each row has an equal share of the value, and its own gradient.
        let losses = ops::row_losses(samples, |row, _, slope| {
            slope.iter_mut().zip(gradient.row(row)).for_each(|(slope, v)| *slope = *v as f32);
            (value / n as f64) as f32
        });
        Ok(losses.sum())
    }
}

/// Looks at rows held back, always from the same noise.
struct Judge {
    held: Array2<f64>,
    start: Array2<f32>,
    kernel: Kernel,
}

impl Judge {
    fn new(trained: KernelKind, held: Array2<f64>, plan: &Plan, seed: Seed) -> Result<Self> {
        let kernel = match trained {
            KernelKind::Energy => Kernel::rbf(held.view())?,
            _ => Kernel::Energy,
        };
        let start = noise(plan, held.nrows(), held.ncols(), seed).mapv(|v| v as f32);
        Ok(Judge { held, start, kernel })
    }

    /// The samples, and how far they are from the rows.
    fn look(&self, sampler: &Unrolled, parameters: &Parameters) -> Result<(Array2<f64>, f64)> {
        let samples = predict(sampler, parameters, self.start.view(), &[])?.mapv(f64::from);
        let (value, _) = mmd2(samples.view(), self.held.view(), &self.kernel)?;
        Ok((samples, value))
    }
}

#[cfg(test)]
mod tests;
