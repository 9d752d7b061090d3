//! RandAugment: strong changes of images, drawn anew at each visit.

use crate::Augment;
use crate::augment::{each_image, image_shape};
use quadrat_core::{Area, Card, Error, Method, Result, Seed, Settings};
use quadrat_nn::{Batch, Parameters, Run, TrainMethod};
use quadrat_numeric::rand_augment::rand_augment;

/// RandAugment and cut-out on rows that are images (channels x height x width) of numbers from 0 to 1.
#[derive(Debug, Clone, PartialEq, Settings)]
pub struct RandAugment {
    /// Operations one after the other, drawn from fourteen.
    #[param(default = 2)]
    pub operations: usize,
    /// Side of the grey square at most, as a share of the width; 0 for none.
    #[param(default = 0.5, from = 0, to = 1)]
    pub cut_out: f32,
    /// CHANNELSxHEIGHTxWIDTH; without it one channel or three of a square.
    #[param(none = "auto", parse = Augment::parse_shape)]
    pub shape: Option<[usize; 3]>,
    /// What is drawn from: a run sets it.
    pub seed: Seed,
}

impl Method for RandAugment {
    const CARD: Card = Card {
        slug: "rand-augment",
        aliases: &["randaugment"],
        title: "RandAugment",
        paper: "Cubuk, Zoph, Shlens and Le, NeurIPS 2020, arXiv 1909.13719; Sohn et al., NeurIPS 2020, arXiv 2001.07685 (ranges)",
        area: Area::Regularize,
        verbs: &["train"],
        summary: "Changes each image by a few of fourteen operations and covers a part of it, anew whenever it is visited.",
        useful_when: "too few images; shifts and mirror images are not enough; strong augmentation of pictures",
        cost: "about ten nanoseconds a pixel, operation and visit",
        params: Self::PARAMS,
    };
}

impl TrainMethod for RandAugment {
    fn name(&self) -> &str {
        "rand-augment"
    }

    fn settings(&self) -> String {
        format!("operations={} cut-out={} shape={:?}", self.operations, self.cut_out, self.shape)
    }

    fn begin(&mut self, run: &Run<'_>, _: &mut Parameters) -> Result<()> {
        run.takes_numbers("rand-augment")?;
        if !(0.0..=1.0).contains(&self.cut_out) {
            return Err(Error::input("cut-out", self.cut_out, "0 to 1"));
        }
        self.shape = Some(image_shape(self.shape, run.network.inputs())?);
        self.seed = run.seed;
        Ok(())
    }

    fn prepare(&mut self, batch: &mut Batch) -> Result<()> {
        let shape = image_shape(self.shape, batch.inputs.ncols())?;
        let (seed, mut scratch) = (self.seed.stream(&batch.at.step.to_string()), Vec::new());
        each_image(batch, |row, image| {
            rand_augment(image, shape, self.operations, self.cut_out, &mut seed.rng(row as u64), &mut scratch);
        })
    }
}
