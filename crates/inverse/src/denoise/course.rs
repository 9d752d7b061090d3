//! How a blind-spot network is trained on noisy pictures: patches drawn from them, each made into pairs of an input and a target.

use super::dbsn::Dbsn;
use super::pictures;
use ndarray::{Array2, Array3, ArrayView3, Axis, s};
use quadrat_core::{Choice, Error, Progress, Result, Rng, Seed, Settings};
use quadrat_nn::{At, Batch, Loss, Optimizer, Parameters, Piece, Schedule, Source, Tensor, TrainMethod, Trainer};
use rayon::prelude::*;

/// The size of the network and of its training. What is not given is as `size` says.
#[derive(Debug, Clone, Copy, PartialEq, Settings)]
pub struct Course {
    /// How large all is.
    #[param(default = Size::Small)]
    pub size: Size,
    /// Channels within the network, an even number.
    #[param(none = "as the size", from = 2)]
    pub base: Option<usize>,
    /// Residual modules of each of its two branches.
    #[param(none = "as the size", from = 1)]
    pub modules: Option<usize>,
    /// Side of the patches that are drawn, which the stride divides.
    #[param(none = "as the size", from = 1, unit = "pixels")]
    pub patch: Option<usize>,
    /// Patches of a step.
    #[param(none = "as the size", from = 1)]
    pub batch: Option<usize>,
    /// Steps.
    #[param(none = "as the size", from = 1)]
    pub steps: Option<usize>,
    /// The learning rate of Adam.
    #[param(none = "as the size", above = 0)]
    pub rate: Option<f64>,
}

/// A size of network and training.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Choice)]
pub enum Size {
    /// Base 16, 3 modules, 4 patches of 80, 1,000 steps: half a minute.
    Tiny,
    /// Base 32, 4 modules, 4 patches of 160, 1,500 steps: minutes.
    Small,
    /// Base 128, 9 modules, 16 patches of 160, 80,000 steps, as published: weeks of a processor.
    Official,
}

/// The numbers of a [`Course`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sizes {
    /// Channels within the network.
    pub base: usize,
    /// Residual modules of each branch.
    pub modules: usize,
    /// Side of a patch.
    pub patch: usize,
    /// Patches of a step.
    pub batch: usize,
    /// Steps.
    pub steps: usize,
    /// Learning rate.
    pub rate: f64,
}

impl Course {
    /// All as a size says.
    pub fn of(size: Size) -> Self {
        Course { size, ..Course::default() }
    }

    /// The numbers in force.
    pub fn sizes(&self) -> Sizes {
        let (base, modules, patch, batch, steps, rate) = match self.size {
            Size::Tiny => (16, 3, 80, 4, 1000, 3e-3),
            Size::Small => (32, 4, 160, 4, 1500, 3e-3),
            Size::Official => (128, 9, 160, 16, 80_000, 1e-4),
        };
        Sizes {
            base: self.base.unwrap_or(base),
            modules: self.modules.unwrap_or(modules),
            patch: self.patch.unwrap_or(patch),
            batch: self.batch.unwrap_or(batch),
            steps: self.steps.unwrap_or(steps),
            rate: self.rate.unwrap_or(rate),
        }
    }

    /// Constant where all is as published; a short training ends with half of it falling to 0, or its last steps would decide.
    pub fn schedule(&self) -> Schedule {
        if self.size == Size::Official { Schedule::Constant } else { Schedule::Late { share: 0.5 } }
    }

    /// A network trained on patches of these pictures, whose sides `stride` divides. Patch i of the run, its picture, place, turn
    /// and what `pairs` draws, come from `seed.stream("patches").rng(i)`.
    ///
    /// # Errors
    /// No picture; pictures with pixels that are no numbers from 0 to 1, with different channels or smaller than a patch; a patch
    /// that the stride does not divide; an odd base; a loss that is not finite; cancelled.
    pub fn learn(
        &self,
        images: &[Array3<f32>],
        learning: &Learning,
        seed: Seed,
        progress: &dyn Progress,
    ) -> Result<(Dbsn, Parameters)> {
        let sizes = self.sizes();
        check_images(images)?;
        check_patch(images, sizes.patch, learning.stride)?;
        let source = Patches { images, side: sizes.patch, count: sizes.steps * sizes.batch, learning, seed };
        let first = source.pairs(0)?;
        let Some([input, _]) = first.first() else { return Err(Error::input("pairs", "none", "at least one a patch")) };
        let (channels, height, width) = input.dim();
        let net = Dbsn { channels, base: sizes.base, modules: sizes.modules };
        net.check()?;
        let framed = net.on([height, width]);
        let mut loss = Absolute { counted: learning.counted.clone() };
        let trainer = Trainer {
            epochs: 1,
            batch: sizes.batch,
            rate: sizes.rate,
            schedule: learning.schedule.clone(),
            optimizer: Optimizer::adamw(0.0),
            loss: Loss::AbsoluteError,
            // Each piece has a gradient of its own in memory.
            pieces: quadrat_nn::pieces_that_pay(&framed, sizes.batch * first.len()).min(8),
            seed,
            ..Trainer::default()
        };
        let fresh = net.fresh(seed.stream("parameters"))?;
        let fit = trainer.fit_from(&framed, fresh, &source, None, &mut [&mut loss], progress)?;
        let mut parameters = fit.parameters;
        net.mask(&mut parameters)?;
        Ok((net, parameters))
    }
}

/// Makes a patch into pairs of what the network sees and what it is to say, of one size and as many of every patch.
pub type Pairs<'a> = dyn Fn(ArrayView3<f32>, &mut Rng) -> Result<Vec<[Array3<f32>; 2]>> + Sync + 'a;

/// What is learnt of a patch.
pub struct Learning<'a> {
    /// Divides the side of a patch.
    pub stride: usize,
    /// The pairs.
    pub pairs: &'a Pairs<'a>,
    /// Which numbers of a target count; all if empty.
    pub counted: Vec<bool>,
    /// The learning rate over the run.
    pub schedule: Schedule,
}

/// That there are pictures, with as many channels each.
fn check_images(images: &[Array3<f32>]) -> Result<()> {
    let Some(first) = images.first() else { return Err(Error::input("pictures", 0, "at least one to learn from")) };
    for (i, image) in images.iter().enumerate() {
        pictures::check(&format!("picture {i}"), image.view())?;
        if image.dim().0 != first.dim().0 {
            let want = format!("{}, as the first picture: grey and colour apart", first.dim().0);
            return Err(Error::input(format!("channels of picture {i}"), image.dim().0, want));
        }
    }
    Ok(())
}

fn check_patch(images: &[Array3<f32>], patch: usize, stride: usize) -> Result<()> {
    if patch == 0 || !patch.is_multiple_of(stride) {
        let near = (patch.saturating_add(stride / 2) / stride).max(1) * stride;
        return Err(Error::input("patch", patch, format!("a multiple of the stride {stride}: the nearest is {near}")));
    }
    let small =
        images.iter().map(|image| (image.dim().1, image.dim().2)).enumerate().find(|(_, (h, w))| h.min(w) < &patch);
    if let Some((i, (h, w))) = small {
        let most = h.min(w) / stride * stride;
        let want = match most {
            0 => format!("at least {patch} x {patch}, a patch"),
            most => format!("at least {patch} x {patch}, a patch; patch={most} would fit"),
        };
        return Err(Error::input(format!("picture {i}"), format!("{h} x {w} pixels"), want));
    }
    Ok(())
}

/// Patches of pictures: of a picture, a place and one of eight turns and mirrorings, all drawn.
struct Patches<'a> {
    images: &'a [Array3<f32>],
    side: usize,
    count: usize,
    learning: &'a Learning<'a>,
    seed: Seed,
}

impl Patches<'_> {
    /// The pairs of patch `i` of the run. Turns by quarters and mirrorings mix no pixels, so that no noise is shared anew.
    fn pairs(&self, i: u32) -> Result<Vec<[Array3<f32>; 2]>> {
        let (mut rng, side) = (self.seed.stream("patches").rng(u64::from(i)), self.side);
        let image = &self.images[rng.below(self.images.len())];
        let (top, left) = (rng.below(image.dim().1 - side + 1), rng.below(image.dim().2 - side + 1));
        let mut patch = image.slice(s![.., top..top + side, left..left + side]);
        let turn = rng.below(8);
        if turn & 1 == 1 {
            patch.invert_axis(Axis(1));
        }
        if turn & 2 == 2 {
            patch.invert_axis(Axis(2));
        }
        if turn & 4 == 4 {
            patch.swap_axes(1, 2);
        }
        (self.learning.pairs)(patch, &mut rng)
    }
}

impl Source for Patches<'_> {
    fn len(&self) -> usize {
        self.count
    }

    fn outputs(&self) -> usize {
        let pairs = self.pairs(0).unwrap_or_default();
        pairs.first().map_or(0, |[_, target]| target.len())
    }

    fn batch(&self, at: At, rows: &[u32]) -> Result<Batch> {
        let patches: Vec<Result<Vec<[Array3<f32>; 2]>>> = rows.par_iter().map(|row| self.pairs(*row)).collect();
        let patches = patches.into_iter().collect::<Result<Vec<_>>>()?;
        let each = patches.first().map_or(0, Vec::len);
        let width = patches.iter().flatten().next().map_or(0, |[_, target]| target.len());
        let wrong = |e: ndarray::ShapeError| Error::numeric("patches", e.to_string());
        // The first pair of every patch, then the second of every one, and so on.
        let part = |which: usize| {
            let of_pair = |j: usize| patches.iter().flat_map(move |pairs| pairs[j][which].iter().copied());
            let values: Vec<f32> = (0..each).flat_map(of_pair).collect();
            Array2::from_shape_vec((each * rows.len(), width), values).map_err(wrong)
        };
        Ok(Batch::new(at, &rows.repeat(each), part(0)?, part(1)?))
    }

    fn told(&self) -> String {
        format!("{} patches of {} pixels, seed {}", self.count, self.side, self.seed.0)
    }
}

/// The mean absolute difference of the numbers that count, summed in double precision.
struct Absolute {
    counted: Vec<bool>,
}

impl TrainMethod for Absolute {
    fn name(&self) -> &str {
        "absolute"
    }

    fn replaces_loss(&self) -> bool {
        true
    }

    fn row_losses(&self, piece: &Piece, outputs: &Tensor<2>) -> Result<Tensor<1>> {
        let count =
            if self.counted.is_empty() { outputs.dims()[1] } else { self.counted.iter().filter(|c| **c).count() };
        let share = 1.0 / count.max(1) as f32;
        Ok(piece.losses(outputs, |row, said, gradient| {
            let wanted = piece.batch.targets.row(row);
            let mut sum = 0.0;
            for (i, ((said, wanted), gradient)) in said.iter().zip(wanted).zip(gradient).enumerate() {
                let counts = self.counted.get(i).copied().unwrap_or(true);
                let over = if counts { said - wanted } else { 0.0 };
                sum += f64::from(over.abs());
                *gradient = if over == 0.0 { 0.0 } else { share.copysign(over) };
            }
            (sum * f64::from(share)) as f32
        }))
    }
}
