//! Photographs with noise, some to learn from and some held out.

use super::camera::{Camera, correlation, grey};
use super::{BIAS, HELD_OUT, LEARNT, SIMILAR, metric};
use crate::Figure;
use ndarray::{Array3, ArrayView3, Axis, concatenate, s};
use quadrat_core::{Error, Progress, Result, Rng, Seed};
use quadrat_data::{builtin, images};
use quadrat_inverse::denoise::{Course, Denoiser, ImageRestorer, Learning, Way};
use quadrat_numeric::image_quality::{Window, psnr, ssim};

/// Pictures that are learnt from; the others are held out.
const LEARNT_FROM: usize = 5;
/// The camera: shot noise of 2% of the light at full light, read noise of 1.5%.
const CAMERA: Camera = Camera { gain: 0.02, read: 0.015 };
/// The deviation of white noise.
const WHITE: f64 = 25.0 / 255.0;
/// A figure of the noise.
pub(super) const CORRELATION: &str = "correlation of the noise, 1 pixel away";

/// A kind of noise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Noise {
    Camera,
    White,
}

impl Noise {
    pub fn name(self) -> &'static str {
        match self {
            Noise::Camera => "camera noise",
            Noise::White => "white noise",
        }
    }
}

/// The photographs in three colours, enlarged twice, their middle of so many pixels a side: a camera has more pixels than its lens
/// shows detail, these small photographs have fewer.
pub(super) fn scenes(side: usize) -> Result<Vec<Array3<f32>>> {
    let scene = |photograph: &builtin::Photograph| {
        let pixels = photograph.pixels()?;
        let (_, h, w) = pixels.dim();
        let pixels = middle(images::resize(pixels, (2 * h, 2 * w)).view(), side);
        let wrong = |e: ndarray::ShapeError| Error::numeric("photographs", e.to_string());
        if pixels.dim().0 == 3 { Ok(pixels) } else { concatenate(Axis(0), &[pixels.view(); 3]).map_err(wrong) }
    };
    builtin::photographs().iter().map(scene).collect()
}

/// The middle of a picture.
fn middle(image: ArrayView3<f32>, side: usize) -> Array3<f32> {
    let (_, h, w) = image.dim();
    let (top, left) = ((h - side) / 2, (w - side) / 2);
    image.slice(s![.., top..top + side, left..left + side]).to_owned()
}

/// Pictures of one repetition.
pub(super) struct World {
    noise: Noise,
    truth: Vec<Array3<f32>>,
    noisy: Vec<Array3<f32>>,
    /// Pixels on a side of what is judged.
    judged: usize,
}

impl World {
    /// Which photographs are learnt from, and their noise, is drawn.
    pub fn new(scenes: &[Array3<f32>], noise: Noise, in_grey: bool, judged: usize, seed: Seed) -> Self {
        let order = seed.stream("pictures").rng(0).sample(scenes.len(), scenes.len());
        let shot = |i: usize| {
            let mut rng = seed.stream(noise.name()).rng(i as u64);
            match noise {
                Noise::Camera => {
                    let (truth, noisy) = CAMERA.shoot(scenes[i].view(), &mut rng);
                    if in_grey { (grey(truth.view()), grey(noisy.view())) } else { (truth, noisy) }
                }
                Noise::White => {
                    let truth = if in_grey { grey(scenes[i].view()) } else { scenes[i].clone() };
                    let noisy = truth.mapv(|v| (v + (WHITE * rng.normal()) as f32).clamp(0.0, 1.0));
                    (truth, noisy)
                }
            }
        };
        let (truth, noisy) = order.into_iter().map(shot).unzip();
        World { noise, truth, noisy, judged }
    }

    /// What is learnt from.
    pub fn learnt(&self) -> &[Array3<f32>] {
        &self.noisy[..LEARNT_FROM]
    }

    /// The network with clean pictures as targets, as they are.
    pub fn supervised(&self, course: &Course, seed: Seed, progress: &dyn Progress) -> Result<Denoiser> {
        let wrong = |e: ndarray::ShapeError| Error::numeric("pictures", e.to_string());
        let both = self.noisy.iter().zip(&self.truth).take(LEARNT_FROM);
        let both = both.map(|(noisy, truth)| concatenate(Axis(0), &[noisy.view(), truth.view()]).map_err(wrong));
        let both = both.collect::<Result<Vec<_>>>()?;
        let channels = self.truth[0].dim().0;
        let pairs = |patch: ArrayView3<f32>, _: &mut Rng| {
            Ok(vec![[s![..channels, .., ..], s![channels.., .., ..]].map(|part| patch.slice(part).to_owned())])
        };
        let learning = Learning { stride: 1, pairs: &pairs, counted: Vec::new(), schedule: course.schedule() };
        let (net, parameters) = course.learn(&both, &learning, seed, progress)?;
        Denoiser::new(net, parameters, Way::Whole)
    }

    /// Truth and noisy picture of the middle of some pictures.
    fn judged(&self, from: usize, count: usize) -> impl Iterator<Item = (Array3<f32>, Array3<f32>)> {
        let (both, side) = (self.truth.iter().zip(&self.noisy), self.judged);
        let some = both.skip(from).take(count);
        some.map(move |(truth, noisy)| (middle(truth.view(), side), middle(noisy.view(), side)))
    }

    /// Mean PSNR of the held-out pictures.
    pub fn quality(&self, restorer: &dyn ImageRestorer, progress: &dyn Progress) -> Result<f64> {
        let (mut sum, mut count) = (0.0, 0.0);
        for (truth, noisy) in self.judged(LEARNT_FROM, usize::MAX) {
            sum += ratio(&truth, &restorer.restore(noisy.view(), progress)?)?;
            count += 1.0;
        }
        Ok(sum / count)
    }

    /// The figures of an arm: of held-out pictures, and of as many learnt ones.
    pub fn told(
        &self,
        found: &mut Vec<Figure>,
        arm: &str,
        restorer: &dyn ImageRestorer,
        progress: &dyn Progress,
    ) -> Result<()> {
        let restored = |(truth, noisy): (Array3<f32>, Array3<f32>)| {
            Ok::<Pair, Error>((truth, restorer.restore(noisy.view(), progress)?))
        };
        let held_out: Vec<Pair> = self.judged(LEARNT_FROM, usize::MAX).map(restored).collect::<Result<_>>()?;
        let learnt: Vec<Pair> = self.judged(0, held_out.len()).map(restored).collect::<Result<_>>()?;
        self.figures(found, arm, &held_out, &learnt)
    }

    /// The figures of the noisy pictures, and of the noise.
    pub fn noise_told(&self, found: &mut Vec<Figure>, arm: &str) -> Result<()> {
        let held_out: Vec<Pair> = self.judged(LEARNT_FROM, usize::MAX).collect();
        let learnt: Vec<Pair> = self.judged(0, held_out.len()).collect();
        self.figures(found, arm, &held_out, &learnt)?;
        for lag in 1..=4 {
            let each =
                self.truth.iter().zip(&self.noisy).map(|(truth, noisy)| correlation((noisy - truth).view(), lag));
            let value = each.sum::<f64>() / self.truth.len() as f64;
            let name = CORRELATION.replace('1', &lag.to_string());
            found.push((arm.to_owned(), metric(&name, self.noise), value));
        }
        Ok(())
    }

    fn figures(&self, found: &mut Vec<Figure>, arm: &str, held_out: &[Pair], learnt: &[Pair]) -> Result<()> {
        let mean = |pairs: &[Pair], of: fn(&Array3<f32>, &Array3<f32>) -> Result<f64>| {
            let each = pairs.iter().map(|(truth, restored)| of(truth, restored)).collect::<Result<Vec<f64>>>()?;
            Ok::<f64, Error>(each.iter().sum::<f64>() / each.len() as f64)
        };
        for (what, value) in [
            (HELD_OUT, mean(held_out, ratio)?),
            (SIMILAR, mean(held_out, similarity)?),
            (BIAS, mean(held_out, bias)?),
            (LEARNT, mean(learnt, ratio)?),
        ] {
            found.push((arm.to_owned(), metric(what, self.noise), value));
        }
        Ok(())
    }
}

/// The truth, and what is to be near it.
type Pair = (Array3<f32>, Array3<f32>);

/// Channel by channel, as rows below each other.
fn ratio(truth: &Array3<f32>, restored: &Array3<f32>) -> Result<f64> {
    let (c, h, w) = truth.dim();
    let rows = |image: &Array3<f32>| quadrat_numeric::matrix((c * h, w), image.iter().map(|v| f64::from(*v)).collect());
    psnr(rows(truth)?.view(), rows(restored)?.view(), 1.0)
}

fn similarity(truth: &Array3<f32>, restored: &Array3<f32>) -> Result<f64> {
    let channels = truth.outer_iter().zip(restored.outer_iter());
    let each = channels.map(|(a, b)| ssim(a.mapv(f64::from).view(), b.mapv(f64::from).view(), 1.0, Window::Gaussian));
    let each = each.collect::<Result<Vec<f64>>>()?;
    Ok(each.iter().sum::<f64>() / each.len() as f64)
}

fn bias(truth: &Array3<f32>, restored: &Array3<f32>) -> Result<f64> {
    Ok(truth.iter().zip(restored).map(|(a, b)| f64::from(b - a)).sum::<f64>() / truth.len() as f64)
}
