//! Strengths that can be tuned, their ranges, and how they act on a batch.

use crate::augment::{Augment, each_image, image_shape};
use quadrat_core::{Error, Result, Rng};
use quadrat_nn::{Batch, Run};
use quadrat_numeric::rand_augment::move_plane;
use std::fmt;

/// A way to regularise whose strength is a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Strength {
    /// Dropout rate at a site of the network (`input`, `fc1`, …); `*` stands for every site it has.
    Dropout(String),
    /// Standard deviation of normal noise added to the inputs.
    InputNoise,
    /// ε: share of every target that goes to all classes alike.
    LabelSmoothing,
    /// λ of a penalty λ/2 ‖W‖² on the kernels.
    WeightDecay,
    /// Most that an image moves in each direction, as a share of that side; in whole pixels, what becomes free is 0. Of
    /// this shape; without one, images have one channel or three of a square.
    Shift(Option<[usize; 3]>),
    /// Side of a square of an image that is set to 0 around any of its pixels, as a share of the shorter side (cutout).
    Cutout(Option<[usize; 3]>),
}

impl fmt::Display for Strength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Strength::Dropout(site) => write!(f, "dropout {site}"),
            Strength::InputNoise => f.write_str("input noise"),
            Strength::LabelSmoothing => f.write_str("label smoothing"),
            Strength::WeightDecay => f.write_str("weight decay"),
            Strength::Shift(_) => f.write_str("shift"),
            Strength::Cutout(_) => f.write_str("cutout"),
        }
    }
}

impl Strength {
    /// Whether all rows of a batch share one value.
    pub fn is_per_batch(&self) -> bool {
        *self == Strength::WeightDecay
    }

    /// Check that a run can have it; `sites` are where its network drops out.
    ///
    /// # Errors
    /// A site that the network does not have, label smoothing without classes, noise on tokens, rows that are no images.
    pub(super) fn check(&self, run: &Run<'_>, sites: &[String]) -> Result<()> {
        match self {
            Strength::Dropout(site) if !sites.contains(site) => {
                let want = format!("the network drops out at: {}", sites.join(", "));
                Err(Error::input("dropout", format!("site `{site}`"), want))
            }
            Strength::LabelSmoothing => run.needs_classes("label smoothing"),
            Strength::InputNoise => run.takes_numbers("input noise"),
            Strength::Shift(shape) | Strength::Cutout(shape) => {
                run.takes_numbers(&self.to_string())?;
                image_shape(*shape, run.network.inputs()).map(|_| ())
            }
            _ => Ok(()),
        }
    }

    /// Change a batch as this strength says, with `values[i]` for row i. A weight decay changes no batch.
    ///
    /// # Errors
    /// Rows that are no images, which [`Strength::check`] refuses before.
    pub(crate) fn apply(&self, batch: &mut Batch, values: &[f32], rng: &mut Rng) -> Result<()> {
        match self {
            Strength::Dropout(site) => {
                batch.tuning.get_or_insert_default().dropout.push((site.clone(), values.to_vec()));
            }
            Strength::InputNoise => {
                for (mut row, value) in batch.inputs.outer_iter_mut().zip(values) {
                    row.mapv_inplace(|x| x + value * rng.normal() as f32);
                }
            }
            Strength::LabelSmoothing => {
                let share = 1.0 / batch.targets.ncols() as f32;
                for (mut row, value) in batch.targets.outer_iter_mut().zip(values) {
                    row.mapv_inplace(|s| (1.0 - value) * s + value * share);
                }
            }
            Strength::WeightDecay => {}
            Strength::Shift(shape) => {
                let [_, h, w] = image_shape(*shape, batch.inputs.ncols())?;
                let mut old = Vec::new();
                each_image(batch, |row, image| {
                    let most = f64::from(values[row].min(1.0));
                    let mut pixels = |side: usize| (most * side as f64 * (2.0 * rng.uniform() - 1.0)).round() as isize;
                    let by = [pixels(h), pixels(w)];
                    if by != [0, 0] {
                        image.chunks_mut(h * w).for_each(|plane| move_plane(plane, [h, w], by, false, &mut old));
                    }
                })?;
            }
            Strength::Cutout(shape) => {
                let [_, h, w] = image_shape(*shape, batch.inputs.ncols())?;
                each_image(batch, |row, image| {
                    let side = (values[row] * h.min(w) as f32).round() as usize;
                    let (y, x) = (rng.below(h), rng.below(w));
                    // From half a side before the pixel on, as far as the image goes.
                    let within =
                        |at: usize, size: usize| (at.saturating_sub(side / 2), (at + side.div_ceil(2)).min(size));
                    let ((top, bottom), (left, right)) = (within(y, h), within(x, w));
                    for plane in image.chunks_mut(h * w) {
                        plane[top * w..bottom * w].chunks_mut(w).for_each(|line| line[left..right].fill(0.0));
                    }
                })?;
            }
        }
        Ok(())
    }
}

/// Hyperparameters with `*` replaced by those of the network's dropout sites that are not named.
///
/// # Errors
/// None, or one twice.
pub(super) fn expand(given: &[Hyper], sites: &[String]) -> Result<Vec<Hyper>> {
    let named = |strength: &Strength| given.iter().any(|hyper| hyper.strength == *strength);
    let mut all = Vec::new();
    for hyper in given {
        hyper.check()?;
        if hyper.strength == Strength::Dropout("*".to_owned()) {
            let each = sites.iter().map(|site| Strength::Dropout(site.clone())).filter(|one| !named(one));
            all.extend(each.map(|strength| Hyper { strength, ..hyper.clone() }));
        } else {
            all.push(hyper.clone());
        }
    }
    if all.is_empty() {
        let want = "name at least one that this run can have: a dropout site, input noise, label smoothing, weight \
                    decay, shift or cutout of images";
        return Err(Error::input("hyperparameters", "none", want));
    }
    let same = |a: &Hyper, b: &Hyper| a.strength.to_string() == b.strength.to_string();
    match (1..all.len()).find(|&i| all[..i].iter().any(|earlier| same(earlier, &all[i]))) {
        Some(i) => Err(Error::input("hyperparameters", format!("{} twice", all[i].strength), "each at most once")),
        None => Ok(all),
    }
}

/// A strength to be tuned.
#[derive(Debug, Clone, PartialEq)]
pub struct Hyper {
    /// What is tuned.
    pub strength: Strength,
    /// Where it starts, inside the range.
    pub value: f64,
    /// Between what it stays, ends excluded; the upper end may be infinite.
    pub range: (f64, f64),
    /// Standard deviation of the perturbation of its free coordinate at the start.
    pub scale: f64,
}

impl Hyper {
    /// Dropout at a site (`*`: at every site) between 0 and 0.9, from 0.05.
    pub fn dropout(site: &str) -> Self {
        Hyper { strength: Strength::Dropout(site.to_owned()), value: 0.05, range: (0.0, 0.9), scale: 0.5 }
    }

    /// Input noise above 0, from 0.05.
    pub fn input_noise() -> Self {
        Hyper { strength: Strength::InputNoise, value: 0.05, range: (0.0, f64::INFINITY), scale: 0.5 }
    }

    /// Label smoothing between 0 and 0.9, from 0.02.
    pub fn label_smoothing() -> Self {
        Hyper { strength: Strength::LabelSmoothing, value: 0.02, range: (0.0, 0.9), scale: 0.5 }
    }

    /// Weight decay above 0, from 1e-4.
    pub fn weight_decay() -> Self {
        Hyper { strength: Strength::WeightDecay, value: 1e-4, range: (0.0, f64::INFINITY), scale: 0.5 }
    }

    /// Shifts of images by at most half a side, from 0.03.
    pub fn shift() -> Self {
        Hyper { strength: Strength::Shift(None), value: 0.03, range: (0.0, 0.5), scale: 0.5 }
    }

    /// Cutout of squares between none and 0.9 of the shorter side, from 0.1.
    pub fn cutout() -> Self {
        Hyper { strength: Strength::Cutout(None), value: 0.1, range: (0.0, 0.9), scale: 0.5 }
    }

    /// From text: `dropout`, `dropout:SITE`, `noise`, `smoothing`, `decay`, `shift` or `cutout` (images that are not
    /// square: `shift:CHANNELSxHEIGHTxWIDTH`), with `=VALUE` to start elsewhere.
    ///
    /// # Errors
    /// Something else.
    pub fn parse(text: &str) -> Result<Self> {
        let (name, value) = text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value)));
        let unknown = || {
            let want = "dropout, dropout:SITE, noise, smoothing, decay, shift, shift:SHAPE, cutout or cutout:SHAPE, each \
                        with =VALUE to start elsewhere";
            Error::input("tune", format!("`{text}`"), want)
        };
        let (name, detail) = name.split_once(':').map_or((name, None), |(name, detail)| (name, Some(detail.trim())));
        let shape = || detail.map(Augment::parse_shape).transpose();
        let hyper = match (name.trim(), detail) {
            ("dropout", site) => Hyper::dropout(site.unwrap_or("*")),
            ("noise", None) => Hyper::input_noise(),
            ("smoothing", None) => Hyper::label_smoothing(),
            ("decay", None) => Hyper::weight_decay(),
            ("shift", _) => Hyper { strength: Strength::Shift(shape()?), ..Hyper::shift() },
            ("cutout", _) => Hyper { strength: Strength::Cutout(shape()?), ..Hyper::cutout() },
            _ => return Err(unknown()),
        };
        let value = match value {
            Some(value) => value.trim().parse().map_err(|_| unknown())?,
            None => hyper.value,
        };
        let hyper = Hyper { value, ..hyper };
        hyper.check()?;
        Ok(hyper)
    }

    /// Several, joined by `+`.
    ///
    /// # Errors
    /// As [`Hyper::parse`].
    pub fn parse_all(text: &str) -> Result<Vec<Self>> {
        text.split('+').map(Hyper::parse).collect()
    }

    /// Check start, range and scale.
    ///
    /// # Errors
    /// A range that is none or begins below 0 (above 1 but for noise and decay), a start outside or at its end, a scale
    /// that is not positive.
    pub fn check(&self) -> Result<()> {
        let (low, high) = self.range;
        let most = match self.strength {
            Strength::Dropout(_) | Strength::LabelSmoothing | Strength::Shift(_) | Strength::Cutout(_) => 1.0,
            Strength::InputNoise | Strength::WeightDecay => f64::INFINITY,
        };
        if !(0.0 <= low && low < high && high <= most && low.is_finite()) {
            let want = format!("a lower end of 0 or more and an upper end above it, at most {most}");
            return Err(Error::input(format!("range of {}", self.strength), format!("({low}, {high})"), want));
        }
        if self.value == low || self.value == high {
            let got = format!("{}, the end of ({low}, {high})", self.value);
            let inside = if high.is_finite() { low + 0.05 * (high - low) } else { low + 0.05 };
            return Err(Error::input(
                self.strength.to_string(),
                got,
                format!("start inside, at {inside:.3} for example"),
            ));
        }
        if !(low < self.value && self.value < high) {
            let want = format!("start between {low} and {high}");
            return Err(Error::input(self.strength.to_string(), self.value, want));
        }
        if !(self.scale.is_finite() && self.scale > 0.0) {
            let what = format!("scale of {}", self.strength);
            return Err(Error::input(what, self.scale, "a positive number, 0.5 for example"));
        }
        Ok(())
    }

    /// The value at a free coordinate: low + (high − low) σ(u), or low + softplus(u) without an upper end.
    pub fn at(&self, u: f64) -> f64 {
        let (low, high) = self.range;
        if high.is_finite() { low + (high - low) / (1.0 + (-u).exp()) } else { low + softplus(u) }
    }

    /// The free coordinate of a value inside the range.
    pub fn free(&self, value: f64) -> f64 {
        let (low, high) = self.range;
        if high.is_finite() { ((value - low) / (high - value)).ln() } else { softplus_inverse(value - low) }
    }
}

/// ln(1 + eˣ).
pub(super) fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// The x whose softplus is y > 0; exp(y) is never formed, it overflows.
pub(super) fn softplus_inverse(y: f64) -> f64 {
    y + (-(-y).exp_m1()).ln()
}
