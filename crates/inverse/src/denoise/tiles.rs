//! A network on a picture of any size, piece by piece.
//!
//! Every output depends on inputs within the network's reach alone. A tile that takes in so many pixels more on each side than it
//! answers for gives what the whole picture would give; at the border of the picture both have the zeros of the convolutions.

use super::dbsn::Dbsn;
use ndarray::{Array2, Array3, ArrayView3, s};
use quadrat_core::{Error, Progress, Result, checkpoint};
use quadrat_nn::{Parameters, evaluate};
use rayon::prelude::*;

/// Numbers in a layer's output for one tile, at most, unless its side would fall below [`LEAST`].
const LAYER: usize = 1 << 24;
/// Pixels on a side of a tile, at least.
const LEAST: usize = 64;

/// What the network answers for each of these pictures (channels x height x width), tiles side by side.
///
/// Cost: [`Dbsn::work`] multiplications a pixel, and what tiles share; memory for some layers of a tile a thread.
///
/// # Errors
/// A picture with other channels than the network's; cancelled.
pub(super) fn answers(
    net: &Dbsn,
    parameters: &Parameters,
    images: &[Array3<f32>],
    progress: &dyn Progress,
) -> Result<Vec<Array3<f32>>> {
    let side = (LAYER / net.base).isqrt().saturating_sub(2 * net.reach()).max(LEAST);
    tiled(net, parameters, images, side, progress)
}

/// The same with tiles of at most this side.
pub(super) fn tiled(
    net: &Dbsn,
    parameters: &Parameters,
    images: &[Array3<f32>],
    side: usize,
    progress: &dyn Progress,
) -> Result<Vec<Array3<f32>>> {
    let mut tiles = Vec::new();
    for (i, image) in images.iter().enumerate() {
        let (channels, height, width) = image.dim();
        if channels != net.channels {
            let want = format!("{}, as the network has", net.channels);
            return Err(Error::input("channels of the picture", channels, want));
        }
        for rows in parts(height, side) {
            tiles.extend(parts(width, side).into_iter().map(|columns| (i, rows, columns)));
        }
    }
    progress.begin("denoising", Some(tiles.len() as u64));
    let answered = tiles.par_iter().map(|(i, rows, columns)| {
        checkpoint(progress)?;
        let answer = tile(net, parameters, images[*i].view(), *rows, *columns)?;
        progress.advance(1);
        Ok(answer)
    });
    let answered: Vec<Result<Array3<f32>>> = answered.collect();
    let mut out: Vec<Array3<f32>> = images.iter().map(|image| Array3::zeros(image.raw_dim())).collect();
    for ((i, rows, columns), answer) in tiles.iter().zip(answered) {
        out[*i].slice_mut(s![.., rows[0]..rows[1], columns[0]..columns[1]]).assign(&answer?);
    }
    Ok(out)
}

/// A side in parts of nearly equal length.
fn parts(length: usize, most: usize) -> Vec<[usize; 2]> {
    let n = length.div_ceil(most).max(1);
    (0..n).map(|i| [i * length / n, (i + 1) * length / n]).collect()
}

/// The answer for some rows and columns of a picture.
fn tile(
    net: &Dbsn,
    parameters: &Parameters,
    image: ArrayView3<f32>,
    rows: [usize; 2],
    columns: [usize; 2],
) -> Result<Array3<f32>> {
    let (channels, height, width) = image.dim();
    let wider = |[from, to]: [usize; 2], end: usize| [from.saturating_sub(net.reach()), (to + net.reach()).min(end)];
    let ([top, bottom], [left, right]) = (wider(rows, height), wider(columns, width));
    let size = [bottom - top, right - left];
    let wrong = |e: ndarray::ShapeError| Error::numeric("tile", e.to_string());
    let seen: Vec<f32> = image.slice(s![.., top..bottom, left..right]).iter().copied().collect();
    let seen = Array2::from_shape_vec((1, channels * size[0] * size[1]), seen).map_err(wrong)?;
    let answer = evaluate(&net.on(size), parameters, seen.view())?;
    let answer = answer.into_shape_with_order((channels, size[0], size[1])).map_err(wrong)?;
    let (top, left) = (rows[0] - top, columns[0] - left);
    let own = s![.., top..top + rows[1] - rows[0], left..left + columns[1] - columns[0]];
    Ok(answer.slice(own).to_owned())
}
