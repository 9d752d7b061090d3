//! What a detector finds in images.

use super::grid;
use crate::detection::{Bounds, Grid, area, suppress};
use ndarray::{ArrayView1, ArrayView2, Axis};
use quadrat_core::Result;
use quadrat_nn::{Detector, Parameters, predict};
use rayon::prelude::*;

/// What a detector says is there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Found {
    /// Where, in pixels, within the image.
    pub bounds: Bounds,
    /// Its class, from 0.
    pub class: u32,
    /// How sure that is, 0 to 1.
    pub score: f32,
}

/// Places of an image that are looked at, and detections that are kept.
const LOOKED_AT: usize = 1000;
const KEPT: usize = 100;
/// Overlap above which the lower scored of two detections of a class goes, as in the authors' program.
const SAME: f32 = 0.55;
/// Images whose outputs are in memory at a time.
const AT_ONCE: usize = 64;

/// What is found in each image (a row of `pixels`), the surest first: at most 100 detections with a score of at least `least`, of
/// each class without those that overlap a surer one by more than 0.55.
///
/// # Errors
/// Images that the network does not take.
pub fn detect(
    network: &Detector,
    parameters: &Parameters,
    pixels: ArrayView2<f32>,
    least: f64,
) -> Result<Vec<Vec<Found>>> {
    let grid = grid(network);
    let mut found = Vec::with_capacity(pixels.nrows());
    for images in pixels.axis_chunks_iter(Axis(0), AT_ONCE) {
        let outputs = predict(network, parameters, images, &[])?;
        let rows: Vec<ArrayView1<f32>> = outputs.outer_iter().collect();
        found.par_extend(rows.into_par_iter().map(|row| found_in(network, &grid, row, least as f32)));
    }
    Ok(found)
}

/// What an image's outputs say.
fn found_in(network: &Detector, grid: &Grid, outputs: ArrayView1<f32>, least: f32) -> Vec<Found> {
    let (classes, places) = (network.classes, grid.places());
    let [_, height, width] = network.shape.map(|side| side as f32);
    let likely = outputs.iter().take(places * classes).map(|z| 1.0 / (1.0 + (-z).exp())).enumerate();
    let mut likely: Vec<(usize, f32)> = likely.filter(|(_, p)| *p >= least).collect();
    likely.sort_by(|a, b| b.1.total_cmp(&a.1));
    likely.truncate(LOOKED_AT);
    let found = |(at, score): (usize, f32)| {
        let (place, class) = (at / classes, (at % classes) as u32);
        let numbers = std::array::from_fn(|i| outputs[places * classes + 4 * place + i]);
        let [left, top, right, bottom] = grid.bounds(place, numbers);
        let inside = |v: f32, side: f32| v.clamp(0.0, side);
        let bounds = [inside(left, width), inside(top, height), inside(right, width), inside(bottom, height)];
        Found { bounds, class, score }
    };
    let all: Vec<Found> = likely.into_iter().map(found).filter(|f| area(f.bounds) > 0.0).collect();
    let mut kept = Vec::new();
    for class in 0..classes as u32 {
        let own: Vec<Found> = all.iter().filter(|f| f.class == class).copied().collect();
        let (bounds, scores): (Vec<Bounds>, Vec<f32>) = own.iter().map(|f| (f.bounds, f.score)).unzip();
        kept.extend(suppress(&bounds, &scores, SAME).into_iter().map(|i| own[i]));
    }
    kept.sort_by(|a, b| b.score.total_cmp(&a.score));
    kept.truncate(KEPT);
    kept
}
