//! MGUR: contrastive training from blurred targets to sharp ones.
//!
//! Chen, Zheng, Ji, Qu, Chua, "Composed Image Retrieval with Text Feedback via Multi-grained Uncertainty Regularization", ICLR 2024,
//! arXiv 2211.07394, and its authors' program. An early, vague sentence fits many pictures, yet InfoNCE pushes all but one away. Here
//! the target's vector is blurred: f^ = A g + B, where g is the vector with its own mean and deviation taken out, A ~ N(1, s) and
//! B ~ N(m, s) for every value anew, with m and s mean and deviation of the vector. How much the batch is spread, sigma, weighs the
//! loss of the blurred targets,
//!
//! L_u = 1/2 (e^-sigma InfoNCE(q, f^) + sigma),
//!
//! and training goes from coarse to fine: gamma L_u + (1 - gamma) InfoNCE(q, f), with gamma = e^(-g0 epoch / epochs).
//!
//! The paper motivates L_u by a Gaussian likelihood with sigma^2; what stands here is what the authors' program computes and their results
//! are of. What follows from it is worth knowing: with 512 values and length 4, sigma is about 1.03 whatever the picture, so the weight is
//! nearly constant; and f^ is about 23 long where f is 4, so that the logits of the blurred targets are almost six times sharper.
//!
//! Chosen here, as incidental in the paper: the composer and the encoders (one layer over features that are given), and Adam in place of
//! a schedule for SGD.

mod blur;

use super::{ComposedEncoder, ComposedTraining, Composer, ModalityDropout, Passes, Task, fit};
use crate::losses::in_batch;
use blur::{Blurred, times};
use ndarray::{Array2, ArrayView2};
use quadrat_core::{Area, Card, Error, Method, Progress, Result, Seed, Settings};
use quadrat_numeric::normals;
use quadrat_numeric::points::filled;

/// MGUR: parameters.
#[derive(Debug, Clone, Copy, PartialEq, Settings)]
pub struct MultiGrainedUncertainty {
    /// How reference and sentence meet.
    #[param(default = Composer::GatedResidual)]
    pub composer: Composer,
    /// Length of the vectors in the loss: logits are its square times the cosine.
    #[param(default = 4.0, above = 0)]
    pub norm_scale: f64,
    /// The blur and its weight.
    #[param(flatten)]
    pub uncertainty: Uncertainty,
    /// How long and how fast.
    #[param(flatten)]
    pub passes: Passes,
}

/// The regulariser alone: of any pairs of vectors, whatever made them.
#[derive(Debug, Clone, Copy, PartialEq, Settings)]
pub struct Uncertainty {
    /// What A is multiplied with, its mean included.
    #[param(default = 1.0, from = 0)]
    pub alpha_scale: f64,
    /// What B is multiplied with, its mean included.
    #[param(default = 1.0, from = 0)]
    pub beta_scale: f64,
    /// The share of the blurred targets.
    #[param(flatten)]
    pub schedule: Schedule,
}

/// How much the loss of the blurred targets weighs.
#[derive(Debug, Clone, Copy, PartialEq, Settings)]
#[param(name = "schedule", default = CoarseToFine)]
pub enum Schedule {
    /// e^(-gamma0 epoch / epochs), from 1 on.
    CoarseToFine {
        /// How fast it falls.
        #[param(default = 1.0, from = 0)]
        gamma0: f64,
    },
    /// The same in all epochs.
    Fixed {
        /// The share; 1 leaves nothing of the sharp targets.
        #[param(default = 0.5, from = 0, to = 1)]
        gamma: f64,
    },
}

impl Schedule {
    /// The share in an `epoch`, from 0, of so many; beyond the last it stays.
    pub fn gamma(self, epoch: usize, epochs: usize) -> f64 {
        match self {
            Schedule::CoarseToFine { gamma0 } => (-gamma0 * epoch.min(epochs) as f64 / epochs.max(1) as f64).exp(),
            Schedule::Fixed { gamma } => gamma,
        }
    }
}

impl Method for MultiGrainedUncertainty {
    const CARD: Card = Card {
        slug: "multi-grained-uncertainty",
        aliases: &["mgur"],
        title: "MGUR: multi-grained uncertainty regularisation",
        paper: "Chen, Zheng, Ji, Qu, Chua, Composed Image Retrieval with Text Feedback via Multi-grained Uncertainty Regularization, \
                ICLR 2024, arXiv 2211.07394",
        area: Area::Retrieval,
        verbs: &["retrieve train"],
        summary: "Trains an encoder of a reference and words about it with InfoNCE on blurred targets first and sharp ones later, so that \
                  targets which a vague sentence fits as well are not pushed away.",
        useful_when: "composed image retrieval, search with a picture and text feedback, vague queries, many right answers of which one is \
                      labelled, better recall at large k",
        cost: "time O(batch x (features x dims + dims^2) + batch^2 x dims) a step; memory O(features x dims + batch x dims)",
        params: Self::PARAMS,
    };
}

impl ComposedTraining for MultiGrainedUncertainty {
    fn card(&self) -> &'static Card {
        &Self::CARD
    }

    fn composer(&self) -> Composer {
        self.composer
    }

    fn train(
        &self,
        encoder: &mut ComposedEncoder,
        task: &Task,
        seed: Seed,
        progress: &dyn Progress,
    ) -> Result<Vec<f64>> {
        let whole = (self.passes, ModalityDropout::new(0.0)?);
        let scale = self.norm_scale as f32;
        fit(encoder, task, whole, seed, progress, &mut |batch| {
            let (queries, targets) = (&batch.queries * scale, &batch.targets * scale);
            let gamma = self.uncertainty.schedule.gamma(batch.epoch, self.passes.epochs);
            let noise = Noise::draw(batch.rows, targets.ncols(), batch.seed);
            let found = self.uncertainty.loss(queries.view(), targets.view(), gamma, &noise)?;
            Ok((found.value, [found.to_queries * scale, found.to_targets * scale]))
        })
    }
}

/// The loss of a batch, and its derivatives.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// gamma L_u + (1 - gamma) InfoNCE.
    pub value: f64,
    /// Its derivatives by the queries.
    pub to_queries: Array2<f32>,
    /// Its derivatives by the targets.
    pub to_targets: Array2<f32>,
    /// What it is made of.
    pub parts: Parts,
}

/// What the loss is made of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Parts {
    /// L_u, of the blurred targets.
    pub coarse: f64,
    /// InfoNCE of the targets themselves.
    pub fine: f64,
    /// The deviation of all values of the blurred targets.
    pub sigma: f64,
    /// The share of L_u.
    pub gamma: f64,
}

/// Standard normal numbers for A and B, of the targets' shape.
#[derive(Debug, Clone, PartialEq)]
pub struct Noise {
    /// For A.
    pub factors: Array2<f32>,
    /// For B.
    pub terms: Array2<f32>,
}

impl Noise {
    /// For rows with these numbers: each draws from a stream of its own, so that their order in the batch changes nothing.
    pub fn draw(rows: &[u32], dims: usize, seed: Seed) -> Noise {
        let of = |name: &str| {
            let seed = seed.stream(name);
            filled((rows.len(), dims), |at, row: &mut [f32]| normals::fill(&mut seed.rng(u64::from(rows[at])), row))
        };
        Noise { factors: of("factors"), terms: of("terms") }
    }
}

impl Uncertainty {
    /// The loss of queries and their targets, batch x dims each, with `gamma` of [`Schedule::gamma`]. A and B are constants to the
    /// derivative: it reaches the targets through g, and in sigma.
    ///
    /// Cost: O(batch^2 x dims), in parallel; the bits do not depend on the threads.
    ///
    /// # Errors
    /// Fewer than two rows or two columns; queries, targets and noise of different shapes; scores that are not finite; a share outside
    /// 0 to 1.
    pub fn loss(
        &self,
        queries: ArrayView2<f32>,
        targets: ArrayView2<f32>,
        gamma: f64,
        noise: &Noise,
    ) -> Result<Outcome> {
        check(queries, targets, gamma, noise)?;
        let blurred = Blurred::of(self, targets, noise)?;
        let coarse = in_batch(times(queries, blurred.rows.t()).view(), 1.0)?;
        let fine = in_batch(times(queries, targets.t()).view(), 1.0)?;
        let weight = (-blurred.sigma).exp();
        let l_u = 0.5 * (weight * coarse.value + blurred.sigma);

        let (by_coarse, by_fine) = (coarse.slope * (0.5 * gamma * weight) as f32, fine.slope * (1.0 - gamma) as f32);
        let to_queries = times(by_coarse.view(), blurred.rows.view()) + times(by_fine.view(), targets);
        let mut to_targets = times(by_coarse.t(), queries);
        let by_sigma = 0.5 * gamma * (1.0 - weight * coarse.value);
        blurred.back(by_sigma, &mut to_targets);
        to_targets += &times(by_fine.t(), queries);
        let parts = Parts { coarse: l_u, fine: fine.value, sigma: blurred.sigma, gamma };
        Ok(Outcome { value: gamma * l_u + (1.0 - gamma) * fine.value, to_queries, to_targets, parts })
    }
}

fn check(queries: ArrayView2<f32>, targets: ArrayView2<f32>, gamma: f64, noise: &Noise) -> Result<()> {
    let (n, d) = targets.dim();
    if n < 2 {
        return Err(Error::input("rows of the batch", n, "InfoNCE needs at least two pairs"));
    }
    if d < 2 {
        return Err(Error::input("values of a vector", d, "a deviation needs at least 2"));
    }
    for (what, dim) in [("queries", queries.dim()), ("factors", noise.factors.dim()), ("terms", noise.terms.dim())] {
        if dim != (n, d) {
            return Err(Error::input(what, format!("{} x {}", dim.0, dim.1), format!("the targets are {n} x {d}")));
        }
    }
    match (0.0..=1.0).contains(&gamma) {
        true => Ok(()),
        false => Err(Error::input("gamma", gamma, "a share is from 0 to 1")),
    }
}

/// Blurred targets alone.
#[cfg(test)]
pub(super) fn blurred(of: &Uncertainty, targets: ArrayView2<f32>, noise: &Noise) -> Array2<f32> {
    Blurred::of(of, targets, noise).map(|blurred| blurred.rows).unwrap_or_default()
}
