//! Which samples of k-space are taken: masks of a Cartesian grid, and spokes.
//!
//! Frequency 0 is at index N/2 of each axis. The last axis is the one whose lines are left out (phase), as in fastMRI's files. A fully
//! sampled middle keeps an image's contrast; further out samples are drawn with a probability that falls as (1 - |k| / k_max)^p, where p
//! is what makes the number of samples exact.

use ndarray::Array2;
use quadrat_core::{Error, Result, Seed};

/// The golden angle of spokes in degrees: 180 divided by the golden ratio.
pub const GOLDEN_ANGLE: f64 = 111.246_117_974_981_07;

/// Which samples of a grid are taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    shape: Vec<usize>,
    kept: Vec<bool>,
}

impl Pattern {
    /// The samples where `kept` is true, the slowest axis first.
    ///
    /// # Errors
    /// Another number of places than the shape has, none kept.
    pub fn new(shape: &[usize], kept: Vec<bool>) -> Result<Self> {
        crate::encoding::check_shape(shape)?;
        let places: usize = shape.iter().product();
        if kept.len() != places {
            return Err(Error::input(
                "mask",
                format!("{} places", kept.len()),
                format!("{places}, for shape {shape:?}"),
            ));
        }
        if !kept.contains(&true) {
            return Err(Error::input("mask", "no sample taken", "at least one place that is not 0"));
        }
        Ok(Pattern { shape: shape.to_vec(), kept })
    }

    /// Whole lines: those of the last axis where `lines` is true, on all other axes.
    ///
    /// # Errors
    /// Another number of lines than the last axis has, none kept.
    pub fn lines(shape: &[usize], lines: &[bool]) -> Result<Self> {
        if shape.last() != Some(&lines.len()) {
            let want = format!("as many as the last axis of shape {shape:?} is long");
            return Err(Error::input("mask of lines", format!("{} lines", lines.len()), want));
        }
        let places: usize = shape.iter().product();
        Pattern::new(shape, lines.iter().copied().cycle().take(places).collect())
    }

    /// Sides of the grid, the slowest axis first.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Whether each place is taken, the slowest axis first.
    pub fn kept(&self) -> &[bool] {
        &self.kept
    }

    /// How many samples are taken.
    pub fn count(&self) -> usize {
        self.kept.iter().filter(|kept| **kept).count()
    }

    /// Places divided by samples.
    pub fn acceleration(&self) -> f64 {
        self.kept.len() as f64 / self.count() as f64
    }

    /// Whether frequency 0 and its neighbours along each axis are taken; without them an image lacks its contrast.
    pub fn has_centre(&self) -> bool {
        let strides = strides(&self.shape);
        let centre: usize = self.shape.iter().zip(&strides).map(|(side, stride)| side / 2 * stride).sum();
        let near = self.shape.iter().zip(&strides).filter(|(side, _)| **side > 2);
        self.kept[centre]
            && near.into_iter().all(|(_, stride)| self.kept[centre - stride] && self.kept[centre + stride])
    }
}

/// How far apart neighbours of each axis are, the slowest axis first.
pub(crate) fn strides(shape: &[usize]) -> Vec<usize> {
    (0..shape.len()).map(|axis| shape[axis + 1..].iter().product()).collect()
}

/// The share of places in the fully sampled middle that reconstructions usually want: 8%, and at most half of what is sampled.
pub fn usual_centre(fraction: f64) -> f64 {
    (fraction / 2.0).min(0.08)
}

/// Lines of the last axis with variable density: round(`fraction` · lines) of them, of which the middle round(`centre` · lines), at least
/// one, are all taken.
///
/// # Errors
/// Shares outside (0, 1], a middle that is larger than the whole.
///
/// ```
/// use quadrat_core::Seed;
/// use quadrat_inverse::masks::{usual_centre, varden1d};
/// let mask = varden1d([256, 256], 0.1, usual_centre(0.1), Seed(7))?;
/// assert_eq!(mask.count(), 26 * 256);
/// assert!(mask.has_centre());
/// # Ok::<(), quadrat_core::Error>(())
/// ```
pub fn varden1d(shape: [usize; 2], fraction: f64, centre: f64, seed: Seed) -> Result<Pattern> {
    let lines = shape[1];
    let half = lines / 2;
    let far = |line: usize| line.abs_diff(half) as f64 / (lines as f64 / 2.0);
    Pattern::lines(&shape, &drawn(lines, far, fraction, centre, seed)?)
}

/// Points with variable density: round(`fraction` · points) of them, of which the round(`centre` · points), at least one, in the middle
/// ellipse are all taken.
///
/// # Errors
/// Shares outside (0, 1], a middle that is larger than the whole.
pub fn varden2d(shape: [usize; 2], fraction: f64, centre: f64, seed: Seed) -> Result<Pattern> {
    let [height, width] = shape;
    let far = |place: usize| {
        let at = |index: usize, side: usize| (index as f64 - (side / 2) as f64) / (side as f64 / 2.0);
        at(place / width.max(1), height).hypot(at(place % width.max(1), width)) / 2f64.sqrt()
    };
    Pattern::new(&shape, drawn(height * width, far, fraction, centre, seed)?)
}

/// Every `step`-th line of the last axis, such that frequency 0 is one of them, and the middle `centre` lines.
///
/// # Errors
/// A step of 0, more lines in the middle than there are.
pub fn uniform(shape: [usize; 2], step: usize, centre: usize) -> Result<Pattern> {
    let lines = shape[1];
    if step == 0 || centre > lines {
        let got = format!("every {step}th line and {centre} in the middle");
        return Err(Error::input("uniform mask", got, format!("a step of at least 1, at most {lines} in the middle")));
    }
    let first = lines / 2 - centre / 2;
    let kept = |line: usize| line.abs_diff(lines / 2).is_multiple_of(step) || (first..first + centre).contains(&line);
    Pattern::lines(&shape, &(0..lines).map(kept).collect::<Vec<bool>>())
}

/// A middle and places further out, the exact number in all.
///
/// Place i is taken if a uniform number u < (1 - far)^p, so while p < ln u / ln(1 - far): those with the largest such bounds are taken,
/// and p is the bound of the last of them.
fn drawn(places: usize, far: impl Fn(usize) -> f64, fraction: f64, centre: f64, seed: Seed) -> Result<Vec<bool>> {
    for (what, share) in [("fraction of samples", fraction), ("centre", centre)] {
        if !(share > 0.0 && share <= 1.0) {
            return Err(Error::input(what, share, "a share above 0 and at most 1, such as 0.1"));
        }
    }
    let number = |share: f64| ((share * places as f64).round() as usize).max(1).min(places);
    let (count, middle) = (number(fraction), number(centre));
    if middle > count {
        let got = format!("{middle} of {places} where {count} are sampled in all");
        return Err(Error::input("centre", got, format!("a share of at most {fraction}")));
    }
    let mut rng = seed.stream("mask").rng(0);
    let mut order: Vec<usize> = (0..places).collect();
    order.sort_by(|a, b| far(*a).total_cmp(&far(*b)).then(a.cmp(b)));
    // 1 - uniform is never 0.
    let bound: Vec<f64> = (0..places).map(|i| (1.0 - rng.uniform()).ln() / (1.0 - far(i).min(1.0)).ln()).collect();
    order[middle..].sort_by(|a, b| bound[*b].total_cmp(&bound[*a]).then(a.cmp(b)));
    let mut kept = vec![false; places];
    order[..count].iter().for_each(|place| kept[*place] = true);
    Ok(kept)
}

/// Points on spokes through the middle, each turned by the golden angle against the one before: spokes x 2 N points x 2 coordinates in
/// cycles per field of view (first axis first, -N/2 to N/2), twice as dense along a spoke as the grid, with N the longer side. The first
/// spoke lies on the last axis.
///
/// # Errors
/// No spoke, a side of 0.
pub fn radial_golden(shape: [usize; 2], spokes: usize) -> Result<Array2<f64>> {
    crate::encoding::check_shape(&shape)?;
    if spokes == 0 {
        return Err(Error::input("spokes", 0, "at least 1"));
    }
    let points = 2 * shape[0].max(shape[1]);
    Ok(Array2::from_shape_fn((spokes * points, 2), |(place, axis)| {
        let radius = (place % points) as f64 / points as f64 - 0.5;
        let (sine, cosine) = ((place / points) as f64 * GOLDEN_ANGLE).to_radians().sin_cos();
        radius * shape[axis] as f64 * if axis == 0 { sine } else { cosine }
    }))
}

#[cfg(test)]
mod tests;
