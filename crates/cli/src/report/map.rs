//! The pool in two dimensions: its first two principal components.

use super::Block;
use super::svg::{Layer, scatter};
use ndarray::{Array1, Array2, ArrayView1, Axis, concatenate};
use quadrat::numeric::linalg::truncated_svd;
use quadrat::numeric::{Csr, Points};
use quadrat::robust::{Labelled, Origin, Resampled};
use quadrat::{Result, Seed};

/// More points than these only make the page large.
const BACKGROUND: usize = 2400;
const FOREGROUND: usize = 600;

/// The pool with the chosen rows.
pub fn of_selection(points: &Points, chosen: &[usize], seed: Seed) -> Result<Vec<Block>> {
    let mut rng = seed.stream("map").rng(0);
    let pool = rng.sample(points.rows(), BACKGROUND);
    let shown: Vec<usize> = rng.sample(chosen.len(), FOREGROUND).into_iter().map(|i| chosen[i]).collect();
    let mut rows = points.take(&pool).to_f64().into_owned();
    let frame = Frame::of(&rows, matches!(points, Points::F64(_)));
    rows = concatenate(Axis(0), &[rows.view(), points.take(&shown).to_f64().view()]).unwrap_or(rows);
    let places = flatten(&frame.apply(rows), seed)?;
    let (pool, chosen_places) = places.split_at(pool.len());
    let layers = [layer("pool", pool, 0, 5), layer("chosen", chosen_places, 1, 8)];
    figure(&layers, points.rows(), chosen.len())
}

/// Rows and the ones that were drawn after them.
pub fn of_new(x: &Array2<f64>, new: &Array2<f64>, seed: Seed) -> Result<Vec<Block>> {
    let mut rng = seed.stream("map").rng(0);
    let mut part = |x: &Array2<f64>, most| x.select(Axis(0), &rng.sample(x.nrows(), most));
    let (old_rows, new_rows) = (part(x, BACKGROUND), part(new, FOREGROUND));
    let frame = Frame::of(&old_rows, true);
    let old = old_rows.nrows();
    let rows = concatenate(Axis(0), &[old_rows.view(), new_rows.view()]).unwrap_or(old_rows);
    let places = flatten(&frame.apply(rows), seed)?;
    let (old, drawn) = places.split_at(old);
    figure(&[layer("rows", old, 0, 5), layer("new rows", drawn, 1, 6)], x.nrows(), new.nrows())
}

/// The rows by class, with the synthetic ones.
pub fn of_resampled(data: &Labelled, made: &Resampled, seed: Seed) -> Result<Vec<Block>> {
    let mut rng = seed.stream("map").rng(0);
    let kept = rng.sample(data.x.nrows(), BACKGROUND);
    let new = rng.sample(made.synthetic.nrows(), FOREGROUND);
    let numeric: Vec<usize> = (0..data.x.ncols()).filter(|c| !data.categorical.contains(c)).collect();
    if numeric.is_empty() {
        return Ok(Vec::new());
    }
    let old_rows = data.x.select(Axis(0), &kept).select(Axis(1), &numeric);
    let new_rows = made.synthetic.select(Axis(0), &new).select(Axis(1), &numeric);
    let frame = Frame::of(&old_rows, true);
    let rows = concatenate(Axis(0), &[old_rows.view(), new_rows.view()]).unwrap_or(old_rows);
    let places = flatten(&frame.apply(rows), seed)?;
    let (old, new_places) = places.split_at(kept.len());

    // The largest class is the background; the others get colours as long as there are some.
    let mut order: Vec<usize> = (0..data.classes.len()).collect();
    let counts = data.counts();
    order.sort_by_key(|class| std::cmp::Reverse(counts[*class]));
    let rank = |row: usize| order.iter().position(|class| *class == data.y[row] as usize).unwrap_or(0).min(OTHERS);
    let mut layers: Vec<Layer> = (0..=OTHERS.min(order.len().saturating_sub(1)))
        .map(|place| Layer {
            name: if place == OTHERS && order.len() > OTHERS + 1 {
                "other classes".to_owned()
            } else {
                order.get(place).map_or_else(String::new, |class| data.classes[*class].clone())
            },
            points: kept.iter().zip(old).filter(|(row, _)| rank(**row) == place).map(|(_, at)| *at).collect(),
            colour: if place == 0 { 0 } else { place + 1 },
            radius: if place == 0 { 6 } else { 7 },
        })
        .collect();
    // Few rows among many new ones stay visible on top of them.
    if !new_places.is_empty() {
        layers.insert(1.min(layers.len()), layer("synthetic", new_places, 1, 6));
    }
    let synthetic = made.origin.iter().filter(|o| !matches!(o, Origin::Kept(_))).count();
    figure(&layers, data.x.nrows(), synthetic)
}

/// Classes with a colour of their own besides the largest one.
const OTHERS: usize = 5;

fn layer(name: &str, points: &[[f64; 2]], colour: usize, radius: u32) -> Layer {
    Layer { name: name.to_owned(), points: points.to_vec(), colour, radius }
}

fn figure(layers: &[Layer], rows: usize, chosen: usize) -> Result<Vec<Block>> {
    let mut caption = "First two principal components of the features.".to_owned();
    if rows > BACKGROUND || chosen > FOREGROUND {
        caption.push_str(" A random part of the points is drawn.");
    }
    Ok(vec![Block::Figure { drawing: scatter(layers)?, caption }])
}

/// How rows are centred, and scaled where columns have units of their own.
pub struct Frame {
    mean: Array1<f64>,
    scale: Array1<f64>,
}

impl Frame {
    /// From the rows of a sample. Constant columns keep their scale.
    pub fn of(x: &Array2<f64>, scaled: bool) -> Self {
        let n = x.nrows().max(1) as f64;
        let mean = x.sum_axis(Axis(0)) / n;
        let deviation = (x - &mean).mapv_into(|v| v * v).sum_axis(Axis(0)).mapv_into(|v| (v / n).sqrt());
        let scale = deviation.mapv_into(|d| if scaled && d > 0.0 { 1.0 / d } else { 1.0 });
        Frame { mean, scale }
    }

    /// The rows in this frame.
    pub fn apply(&self, mut rows: Array2<f64>) -> Array2<f64> {
        rows -= &self.mean;
        rows *= &self.scale;
        rows
    }
}

/// Coordinates of centred rows along the two directions of largest variance.
fn flatten(rows: &Array2<f64>, seed: Seed) -> Result<Vec<[f64; 2]>> {
    let mut centred = Csr::new(rows.ncols());
    for row in rows.rows() {
        centred.push_row(row.iter().enumerate().map(|(c, v)| (c as u32, *v as f32)));
    }
    let found = truncated_svd(&centred, rows.ncols().min(2), seed.stream("map"))?.coordinates;
    let place = |row: ArrayView1<f32>| [f64::from(row[0]), row.get(1).map_or(0.0, |v| f64::from(*v))];
    Ok(found.rows().into_iter().map(place).collect())
}
