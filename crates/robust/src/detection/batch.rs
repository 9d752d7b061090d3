//! A batch of images as a loss sees it, in blocks that do not depend on the number of threads.

use super::matching::Assignment;
use super::regression::Regression;
use quadrat_core::{Error, Result, Seed};
use quadrat_numeric::elementary::logistic;
use quadrat_numeric::vectorised;
use rayon::prelude::*;

/// Outputs and what they are to be, of some images with as many places each.
pub struct Dense<'a> {
    outputs: &'a [f32],
    assignments: Vec<&'a Assignment>,
    classes: usize,
    places: usize,
    regression: Regression,
    seed: Seed,
    foreground: usize,
    labelled: usize,
}

/// A batch's losses.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LossParts {
    /// The classes' loss, unweighted.
    pub classes: f64,
    /// The boxes' loss.
    pub boxes: f64,
    /// What the classes' loss is multiplied by.
    pub weight: f64,
}

impl LossParts {
    /// What training makes small.
    pub fn total(&self) -> f64 {
        self.boxes + self.weight * self.classes
    }
}

/// Some places of one image.
pub(super) struct Block<'b> {
    /// The first of them, among the places of the whole batch.
    pub first: usize,
    pub labels: &'b [i32],
    /// Places x classes.
    pub logits: &'b [f32],
    pub gradient: &'b mut [f32],
}

/// Places in a block.
const BLOCK: usize = 1024;

impl<'a> Dense<'a> {
    /// `outputs` holds the images one after the other: first the logits of all places (places x classes), then their boxes' four
    /// numbers (places x 4). `seed` is for losses that draw, another one each step.
    ///
    /// # Errors
    /// No class, no images; images with different numbers of places; other sizes than these; labels that are no class; no place with a
    /// label.
    pub fn new(
        outputs: &'a [f32],
        assignments: &[&'a Assignment],
        classes: usize,
        regression: Regression,
        seed: Seed,
    ) -> Result<Self> {
        if classes == 0 {
            return Err(Error::input("classes", 0, "at least 1"));
        }
        let places = assignments.first().map_or(0, |first| first.labels.len());
        let (mut foreground, mut labelled) = (0, 0);
        for (image, assignment) in assignments.iter().enumerate() {
            let got = (assignment.labels.len(), assignment.targets.len());
            if got != (places, places) {
                let got = format!("{} labels and {} boxes", got.0, got.1);
                return Err(Error::input(
                    format!("image {image}"),
                    got,
                    format!("{places} places, as the first image"),
                ));
            }
            if let Some(place) = assignment.labels.iter().position(|label| !(-1..=classes as i32).contains(label)) {
                let got = format!("label {} at place {place}", assignment.labels[place]);
                let want = format!("-1 (ignored), 0 (background) or a class, 1 to {classes}");
                return Err(Error::input(format!("image {image}"), got, want));
            }
            foreground += assignment.labels.iter().filter(|label| **label > 0).count();
            labelled += assignment.labels.iter().filter(|label| **label >= 0).count();
        }
        if outputs.len() != assignments.len() * places * (classes + 4) {
            let want = format!("{} images x {places} places x ({classes} classes + 4)", assignments.len());
            return Err(Error::input("outputs", format!("{} numbers", outputs.len()), want));
        }
        if labelled == 0 {
            return Err(Error::input("labels", "no place that is not ignored", "foreground or background somewhere"));
        }
        let assignments = assignments.to_vec();
        Ok(Dense { outputs, assignments, classes, places, regression, seed, foreground, labelled })
    }

    /// All outputs.
    pub fn outputs(&self) -> &'a [f32] {
        self.outputs
    }

    /// Images.
    pub fn images(&self) -> usize {
        self.assignments.len()
    }

    /// Places of the foreground in all images.
    pub fn foreground(&self) -> usize {
        self.foreground
    }

    /// Places that are not ignored, in all images.
    pub fn labelled(&self) -> usize {
        self.labelled
    }

    /// Classes.
    pub fn class_count(&self) -> usize {
        self.classes
    }

    /// Labels of an image's places.
    pub(super) fn labels(&self, image: usize) -> &'a [i32] {
        &self.assignments[image].labels
    }

    /// The stream of an image, for losses that draw.
    pub(super) fn rng(&self, image: usize) -> quadrat_core::Rng {
        self.seed.rng(image as u64)
    }

    fn width(&self) -> usize {
        self.places * (self.classes + 4)
    }

    pub(super) fn check_finite(&self) -> Result<()> {
        let wrong = |row: &[f32]| row.iter().any(|v| !v.is_finite());
        let found = self.outputs.par_chunks_exact(self.width()).position_first(wrong);
        found.map_or(Ok(()), |image| {
            let why = "outputs that are not finite: lower the learning rate or clip gradients";
            Err(Error::numeric(format!("image {image} of the batch"), why))
        })
    }

    /// What `work` says of each block, in their order.
    pub(super) fn each_block<T: Send>(&self, gradient: &mut [f32], work: impl Fn(Block) -> T + Sync) -> Vec<T> {
        let (width, logits) = (self.width(), self.places * self.classes);
        let images = self.outputs.chunks_exact(width).zip(gradient.chunks_exact_mut(width)).zip(&self.assignments);
        let mut blocks = Vec::new();
        for (image, ((outputs, gradient), assignment)) in images.enumerate() {
            let parts = outputs[..logits].chunks(BLOCK * self.classes);
            let parts = parts.zip(gradient[..logits].chunks_mut(BLOCK * self.classes));
            for (i, ((logits, gradient), labels)) in parts.zip(assignment.labels.chunks(BLOCK)).enumerate() {
                blocks.push(Block { first: image * self.places + i * BLOCK, labels, logits, gradient });
            }
        }
        blocks.into_par_iter().map(&work).collect()
    }

    /// A loss that is a sum over the logits of all places that are not ignored: `background` is value and slope at a logit that
    /// should say no, `object` at one that should say yes.
    pub(super) fn sum(
        &self,
        gradient: &mut [f32],
        background: impl Fn(f32) -> (f32, f32) + Sync,
        object: impl Fn(f32) -> (f32, f32) + Sync,
    ) -> f64 {
        let of_block = |mut block: Block| {
            let mut total = 0.0;
            block.runs(self.classes, |logits, slopes, labels| {
                total += sweep(logits, slopes, &background);
                total += corrected(self.classes, logits, slopes, labels, &background, &object);
            });
            total
        };
        self.each_block(gradient, of_block).into_iter().sum()
    }

    /// The boxes' loss over the foreground; its gradient is written over the boxes' part of `gradient`.
    pub(super) fn boxes(&self, gradient: &mut [f32]) -> f64 {
        let (width, logits) = (self.width(), self.places * self.classes);
        let share = self.regression.share(self.foreground);
        let images = self.outputs.par_chunks_exact(width).zip(gradient.par_chunks_exact_mut(width));
        let of_image = |((outputs, gradient), assignment): ((&[f32], &mut [f32]), &&Assignment)| {
            let (codes, slopes) = (&outputs[logits..], &mut gradient[logits..]);
            slopes.fill(0.0);
            let places = codes.as_chunks::<4>().0.iter().zip(slopes.as_chunks_mut::<4>().0);
            let learnt = places.zip(&assignment.labels).zip(&assignment.targets).filter(|((_, label), _)| **label > 0);
            learnt.map(|(((code, slopes), _), target)| self.regression.of(*code, *target, share, slopes)).sum::<f64>()
        };
        images.zip(&self.assignments).map(of_image).collect::<Vec<f64>>().into_iter().sum()
    }
}

impl Block<'_> {
    /// `work` on the longest runs of places that are not ignored: logits, their slopes, labels. The slopes of ignored ones become 0.
    pub fn runs(&mut self, classes: usize, mut work: impl FnMut(&[f32], &mut [f32], &[i32])) {
        let mut first = 0;
        while first < self.labels.len() {
            let ignored = self.labels[first] < 0;
            let length = self.labels[first..].iter().take_while(|label| (**label < 0) == ignored).count();
            let (places, numbers) = (first..first + length, first * classes..(first + length) * classes);
            if ignored {
                self.gradient[numbers].fill(0.0);
            } else {
                work(&self.logits[numbers.clone()], &mut self.gradient[numbers], &self.labels[places]);
            }
            first += length;
        }
    }
}

/// The sum of a loss over logits, and its slopes: sixteen running sums over a thousand logits, so that it vectorises and loses
/// no digits.
pub(super) fn sweep(logits: &[f32], slopes: &mut [f32], of: impl Fn(f32) -> (f32, f32)) -> f64 {
    vectorised(
        #[inline(always)]
        || {
            let mut total = 0.0;
            for (z, d) in logits.chunks(1024).zip(slopes.chunks_mut(1024)) {
                let mut sums = [0.0_f32; 16];
                let ((z, z_rest), (d, d_rest)) = (z.as_chunks::<16>(), d.as_chunks_mut::<16>());
                for (z, d) in z.iter().zip(d) {
                    for lane in 0..16 {
                        let (loss, slope) = of(z[lane]);
                        sums[lane] += loss;
                        d[lane] = slope;
                    }
                }
                for ((z, d), sum) in z_rest.iter().zip(d_rest).zip(&mut sums) {
                    let (loss, slope) = of(*z);
                    *sum += loss;
                    *d = slope;
                }
                total += sums.iter().map(|v| f64::from(*v)).sum::<f64>();
            }
            total
        },
    )
}

/// What the objects among swept places cost more than the background that they were taken for; their slopes are put right.
pub(super) fn corrected(
    classes: usize,
    logits: &[f32],
    slopes: &mut [f32],
    labels: &[i32],
    background: impl Fn(f32) -> (f32, f32),
    object: impl Fn(f32) -> (f32, f32),
) -> f64 {
    let mut more = 0.0;
    for (place, label) in labels.iter().enumerate().filter(|(_, label)| **label > 0) {
        let at = place * classes + *label as usize - 1;
        let (loss, slope) = object(logits[at]);
        more += f64::from(loss) - f64::from(background(logits[at]).0);
        slopes[at] = slope;
    }
    more
}

/// Cross-entropy of a logit that should say no, times `scale`, and its slope.
#[inline(always)]
pub(super) fn no(z: f32, scale: f32) -> (f32, f32) {
    let (p, softplus) = logistic(z);
    (scale * softplus, scale * p)
}

/// The same of one that should say yes: the mirror image.
#[inline(always)]
pub(super) fn yes(z: f32, scale: f32) -> (f32, f32) {
    let (loss, slope) = no(-z, scale);
    (loss, -slope)
}
