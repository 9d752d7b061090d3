//! The built-in brains, and how far an image is from the true one.

use ndarray::{Array2, Zip, s};
use quadrat_core::{Result, stats};
use quadrat_data::builtin;
use quadrat_numeric::image_quality::{Unit, Window, nrmse, ssim_map};

/// Pixels of a slice's side: means of 2 x 2 of the built-in ones.
pub(super) const SIDE: usize = 64;
/// Pixels at each border without a whole window of the SSIM.
const BORDER: usize = 5;
/// Below this a pixel is air.
const AIR: f32 = 0.05;

pub(super) const SSIM: &str = "SSIM in the brain";
pub(super) const WHOLE: &str = "SSIM in the picture";
pub(super) const NRMSE: &str = "NRMSE";

/// A true slice.
pub(super) struct Slice {
    pub image: Array2<f32>,
    /// Where the brain is, with two pixels around it.
    pub brain: Array2<bool>,
}

/// Slices of disjoint subjects, but for validation and test.
pub(super) struct Brains {
    pub train: Vec<Array2<f32>>,
    pub validation: Vec<Slice>,
    pub test: Vec<Slice>,
    pub far: Vec<Slice>,
}

impl Brains {
    /// So many slices of validation, test and far test, evenly out of all.
    pub fn new([validation, test, far]: [usize; 3]) -> Result<Self> {
        let some = |name: &str, count: usize| -> Result<Vec<Slice>> {
            let all = small(name)?;
            Ok((0..count).map(|i| Slice::new(all[i * all.len() / count].clone())).collect())
        };
        Ok(Brains {
            train: small("mni152")?,
            validation: some("colin27", validation)?,
            test: some("colin27-fine", test)?,
            far: some("macaque", far)?,
        })
    }
}

fn small(name: &str) -> Result<Vec<Array2<f32>>> {
    let brains = builtin::brains().iter().filter(|brain| brain.name == name);
    let mut found = Vec::new();
    for brain in brains {
        for (_, slice) in brain.slices()? {
            let pixel = |(i, j): (usize, usize)| slice.slice(s![2 * i..2 * i + 2, 2 * j..2 * j + 2]).sum() / 4.0;
            found.push(Array2::from_shape_fn((SIDE, SIDE), pixel));
        }
    }
    Ok(found)
}

impl Slice {
    fn new(image: Array2<f32>) -> Self {
        let near = |i: usize| i.saturating_sub(2)..(i + 3).min(SIDE);
        let brain =
            Array2::from_shape_fn(image.dim(), |(i, j)| image.slice(s![near(i), near(j)]).iter().any(|v| *v > AIR));
        Slice { image, brain }
    }

    /// What an image of it is worth.
    pub fn figures(&self, image: &Array2<f32>) -> Result<[(&'static str, f64); 3]> {
        let [truth, image] = [&self.image, image].map(|image| image.mapv(f64::from));
        let map = ssim_map(truth.view(), image.view(), 1.0, Window::Gaussian)?;
        let inner = self.brain.slice(s![BORDER..SIDE - BORDER, BORDER..SIDE - BORDER]);
        let (mut within, mut count) = (0.0, 0.0);
        Zip::from(&map).and(&inner).for_each(|v, brain| {
            if *brain {
                within += v;
                count += 1.0;
            }
        });
        let whole = map.sum() / map.len() as f64;
        Ok([(SSIM, within / count), (WHOLE, whole), (NRMSE, nrmse(truth.view(), image.view(), Unit::Norm)?)])
    }
}

/// The mean of each figure over slices, each with its number.
pub(super) fn means<const N: usize>(
    slices: &[Slice],
    of: impl Fn(usize, &Slice) -> Result<[(&'static str, f64); N]>,
) -> Result<Vec<(&'static str, f64)>> {
    let all = slices.iter().enumerate().map(|(i, slice)| of(i, slice)).collect::<Result<Vec<_>>>()?;
    let mean = |k: usize| {
        let values: Vec<f64> = all.iter().map(|figures| figures[k].1).collect();
        all.first().map(|figures| (figures[k].0, stats::mean(&values)))
    };
    Ok((0..N).filter_map(mean).collect())
}
