//! How near the chosen rows come to the pool's rows, beside random choices of the same size.

use super::{Block, map::Frame, svg::curves};
use ndarray::{Array2, Axis, s};
use quadrat::numeric::{Points, neighbours};
use quadrat::{Plot, Progress, Result, Seed, Series};

/// Random choices to compare with.
const DRAWS: u64 = 5;
/// Sizes at which the curve is measured.
const SIZES: usize = 10;

/// Mean distance from rows of the pool to the nearest chosen row, as the choice grows.
pub fn of(points: &Points, chosen: &[usize], seed: Seed, progress: &dyn Progress) -> Result<Vec<Block>> {
    let (n, b, d) = (points.rows(), chosen.len(), points.cols());
    if b < 2 || d == 0 {
        return Ok(Vec::new());
    }
    // As many rows as some seconds allow for, but enough for a steady mean.
    let measured = (3e9 / (b * d) as f64).clamp(200.0, 2000.0) as usize;
    let mut rng = seed.stream("coverage").rng(0);
    let sample = points.take(&rng.sample(n, measured)).to_f64().into_owned();
    let frame = Frame::of(&sample, matches!(points, Points::F64(_)));
    let sample = frame.apply(sample);
    let sizes = sizes(b);

    let mut own = chosen.to_vec();
    // Rows in the file's order were not chosen one after the other: the growing choice is a random part of them.
    if own.is_sorted() {
        rng.shuffle(&mut own);
    }
    let own = curve(points, &own, &frame, &sample, &sizes, progress)?;
    let draws: Vec<Vec<f64>> = (1..=DRAWS)
        .map(|draw| {
            let random = seed.stream("coverage").rng(draw).sample(n, b);
            curve(points, &random, &frame, &sample, &sizes, progress)
        })
        .collect::<Result<_>>()?;
    let band = |at: usize| {
        let values: Vec<f64> = draws.iter().map(|draw| draw[at]).collect();
        let (low, high) = values.iter().fold((f64::INFINITY, 0.0_f64), |(l, h), v| (l.min(*v), h.max(*v)));
        [sizes[at] as f64, quadrat::stats::mean(&values), low, high]
    };
    let plot = Plot {
        title: String::new(),
        x: "rows chosen".to_owned(),
        y: "mean distance".to_owned(),
        log_x: b >= 100,
        log_y: false,
        series: vec![
            Series {
                name: "this selection".to_owned(),
                points: sizes.iter().zip(own).map(|(size, y)| [*size as f64, y, y, y]).collect(),
            },
            Series { name: "random rows".to_owned(), points: (0..sizes.len()).map(band).collect() },
        ],
    };
    let caption = format!(
        "Mean distance from {} rows of the pool to the nearest chosen row; lower covers better. The band spans {DRAWS} \
         random choices.",
        crate::output::count(sample.nrows())
    );
    Ok(vec![Block::Figure { drawing: curves(&plot)?, caption }])
}

/// Up to [`SIZES`] sizes in equal ratios, from a fiftieth of `b` to `b`.
fn sizes(b: usize) -> Vec<usize> {
    let size = |step: usize| (b as f64 * 50f64.powf(step as f64 / (SIZES - 1) as f64 - 1.0)).round().max(1.0) as usize;
    let mut sizes: Vec<usize> = (0..SIZES).map(size).collect();
    sizes.dedup();
    sizes
}

/// The mean distance at each size: rows are added, and each row of the sample keeps its nearest.
fn curve(
    points: &Points,
    order: &[usize],
    frame: &Frame,
    sample: &Array2<f64>,
    sizes: &[usize],
    progress: &dyn Progress,
) -> Result<Vec<f64>> {
    let chosen = frame.apply(points.take(order).to_f64().into_owned());
    let mut nearest = vec![f64::INFINITY; sample.nrows()];
    let mut done = 0;
    let mut means = Vec::with_capacity(sizes.len());
    for &size in sizes {
        let added = chosen.slice(s![done..size, ..]);
        let found = neighbours::nearest(added, sample.view(), None, 1, progress)?;
        nearest.iter_mut().zip(found.squared).for_each(|(least, squared)| *least = least.min(squared));
        means.push(nearest.iter().map(|squared| squared.sqrt()).sum::<f64>() / sample.len_of(Axis(0)) as f64);
        done = size;
    }
    Ok(means)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;
    use quadrat::Silent;

    #[test]
    fn sizes_grow_to_the_budget() {
        assert_eq!(sizes(2), [1, 2]);
        let many = sizes(5000);
        assert_eq!((many[0], many[SIZES - 1], many.len()), (100, 5000, SIZES));
    }

    #[test]
    fn the_curve_is_the_distance_to_the_nearest() {
        let points = Points::F64(array![[0.0], [2.0], [6.0]]);
        let sample = array![[0.0], [2.0], [6.0]];
        let frame = Frame::of(&array![[0.0], [0.0]], false);
        let means = curve(&points, &[0, 2], &frame, &sample, &[1, 2], &Silent).unwrap();
        assert_eq!(means, [8.0 / 3.0, 2.0 / 3.0]);
    }
}
