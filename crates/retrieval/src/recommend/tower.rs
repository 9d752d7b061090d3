//! A tower: from the features of rows to vectors of length 1, and back with derivatives.

use super::Features;
use super::masking::View;
use ndarray::{Array2, Axis, Zip, s};
use quadrat_core::{Error, Result, Rng};
use quadrat_numeric::layers::{Activation, Layers, Start, descend};

/// The deviation of embeddings at the start.
const SPREAD: f64 = 0.1;

/// A vector for each value of each field, and the layers that read one of each field, beside the dense numbers. Derivatives and
/// Adam's moments have the same shapes.
#[derive(Debug, Clone, PartialEq)]
pub struct Tower {
    /// Values + 1 x dims for each field. The first row is the field's default: what stands for it where it is hidden or missing.
    pub tables: Vec<Array2<f32>>,
    pub layers: Layers<f32>,
}

/// What the tower made of a batch, and what [`Tower::backward`] needs.
pub struct Pass {
    view: View,
    values: Vec<Array2<f32>>,
    lengths: Vec<f32>,
    /// Rows x width, each of length 1.
    pub vectors: Array2<f32>,
}

impl Tower {
    /// Embeddings are normal, defaults 0.
    pub fn random(features: &Features, dims: usize, hidden: usize, width: usize, rng: &mut Rng) -> Tower {
        let tables: Vec<Array2<f32>> = features
            .fields()
            .iter()
            .map(|field| {
                let mut table = Array2::from_shape_simple_fn((field.size + 1, dims), || (SPREAD * rng.normal()) as f32);
                table.row_mut(0).fill(0.0);
                table
            })
            .collect();
        let inputs = tables.len() * dims + features.dense().map_or(0, Array2::ncols);
        let layers = Layers::random(&[inputs, hidden, width], Activation::Relu, Start::Uniform, rng);
        Tower { tables, layers }
    }

    /// The same shapes, all zeros.
    pub fn zeros(&self) -> Tower {
        let tables = self.tables.iter().map(|table| Array2::zeros(table.raw_dim())).collect();
        Tower { tables, layers: self.layers.zeros() }
    }

    /// Vectors of what `view` shows, a field as the mean over its values; `dense` are the rows' numbers (missing: 0 each).
    pub fn forward(&self, view: View, dense: Option<Array2<f32>>) -> Pass {
        let rows = view.first().map_or(0, |lists| lists.len());
        let dims = self.tables.first().map_or(0, |table| table.ncols());
        let inputs = self.layers.layers.first().map_or(0, |(weights, _)| weights.nrows());
        let mut x = Array2::zeros((rows, inputs));
        for (at, (table, lists)) in self.tables.iter().zip(&view).enumerate() {
            for (values, mut to) in lists.iter().zip(x.slice_mut(s![.., at * dims..(at + 1) * dims]).outer_iter_mut()) {
                for_values(values, |value, share| add(to.as_slice_mut(), table.row(value).as_slice(), share));
            }
        }
        if let Some(dense) = dense {
            x.slice_mut(s![.., self.tables.len() * dims..]).assign(&dense);
        }
        let (values, mut vectors) = self.layers.forward_apart(x);
        let length =
            |row: ndarray::ArrayView1<f32>| row.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt() as f32;
        let lengths: Vec<f32> = vectors.outer_iter().map(length).collect();
        for (mut row, length) in vectors.outer_iter_mut().zip(&lengths).filter(|(_, length)| **length > 0.0) {
            row.mapv_inplace(|v| v / length);
        }
        Pass { view, values, lengths, vectors }
    }

    /// Adds to `slope` the derivatives of a loss, from those by the vectors of a pass.
    pub fn backward(&self, pass: &Pass, mut by_vectors: Array2<f32>, slope: &mut Tower) {
        // u = z / |z|: du/dz takes away what lies along u and divides by the length; a z of zeros has no direction.
        let rows = by_vectors.outer_iter_mut().zip(pass.vectors.outer_iter()).zip(&pass.lengths);
        for ((mut by, vector), length) in rows {
            let along = by.dot(&vector);
            let factor = if *length > 0.0 { 1.0 / length } else { 0.0 };
            Zip::from(&mut by).and(&vector).for_each(|by, v| *by = factor * (*by - along * v));
        }
        let by_inputs = self.layers.backward_to_inputs(&pass.values, by_vectors, &mut slope.layers);
        for (at, (table, lists)) in slope.tables.iter_mut().zip(&pass.view).enumerate() {
            let dims = table.ncols();
            for (values, by) in lists.iter().zip(by_inputs.slice(s![.., at * dims..(at + 1) * dims]).outer_iter()) {
                for_values(values, |value, share| add(table.row_mut(value).as_slice_mut(), by.as_slice(), share));
            }
        }
    }

    /// Adds another tower's values, and makes them 0.
    pub fn take(&mut self, other: &mut Tower) {
        let tables = self.tables.iter_mut().zip(&mut other.tables);
        let layers = self.layers.layers.iter_mut().zip(&mut other.layers.layers);
        tables.for_each(|(to, from)| take(to, from));
        layers.for_each(|(to, from)| {
            take(&mut to.0, &mut from.0);
            take(&mut to.1, &mut from.1);
        });
    }

    /// The vectors of all rows as they are, nothing hidden.
    ///
    /// # Errors
    /// Numbers beyond single precision.
    pub fn vectors(&self, features: &Features) -> Result<Array2<f32>> {
        let rows: Vec<u32> = (0..features.rows() as u32).collect();
        let mut all = Array2::zeros((0, self.layers.layers.last().map_or(0, |(weights, _)| weights.ncols())));
        for rows in rows.chunks(4096) {
            let view = features
                .fields()
                .iter()
                .map(|f| rows.iter().map(|row| f.values[*row as usize].iter().copied()).collect());
            let pass = self.forward(view.collect(), dense(features, rows));
            all.append(Axis(0), pass.vectors.view()).map_err(|e| Error::numeric("vectors", e.to_string()))?;
        }
        match all.iter().all(|v: &f32| v.is_finite()) {
            true => Ok(all),
            false => Err(Error::numeric("training", "numbers grew beyond single precision: use a lower rate")),
        }
    }
}

/// Each value of a field with its share of the field; the default, all of it, where there is no value.
fn for_values(values: &[u32], mut each: impl FnMut(usize, f32)) {
    match values {
        [] => each(0, 1.0),
        values => values.iter().for_each(|value| each(*value as usize, 1.0 / values.len() as f32)),
    }
}

/// Adds `share` times a row; rows of a matrix in standard layout are slices.
fn add(to: Option<&mut [f32]>, from: Option<&[f32]>, share: f32) {
    if let (Some(to), Some(from)) = (to, from) {
        to.iter_mut().zip(from).for_each(|(to, from)| *to += share * from);
    }
}

fn take<D: ndarray::Dimension>(to: &mut ndarray::Array<f32, D>, from: &mut ndarray::Array<f32, D>) {
    Zip::from(to).and(from).for_each(|to, from| {
        *to += *from;
        *from = 0.0;
    });
}

/// The dense numbers of some rows.
pub fn dense(features: &Features, rows: &[u32]) -> Option<Array2<f32>> {
    let rows: Vec<usize> = rows.iter().map(|row| *row as usize).collect();
    features.dense().map(|dense| dense.select(Axis(0), &rows))
}

/// A tower that Adam trains.
pub struct Learner {
    pub tower: Tower,
    pub slope: Tower,
    first: Tower,
    second: Tower,
    steps: i32,
}

impl Learner {
    pub fn new(tower: Tower) -> Learner {
        let zeros = tower.zeros();
        Learner { slope: zeros.clone(), first: zeros.clone(), second: zeros, tower, steps: 0 }
    }

    /// One step down the slope, which is 0 afterwards.
    pub fn step(&mut self, rate: f64) {
        self.steps += 1;
        let Learner { tower, slope, first, second, steps } = self;
        let moments = first.tables.iter_mut().zip(&mut second.tables);
        for ((w, g), (m, v)) in tower.tables.iter_mut().zip(&mut slope.tables).zip(moments) {
            descend(w, g, m, v, rate, *steps);
        }
        let moments = first.layers.layers.iter_mut().zip(&mut second.layers.layers);
        for ((w, g), (m, v)) in tower.layers.layers.iter_mut().zip(&mut slope.layers.layers).zip(moments) {
            descend(&mut w.0, &mut g.0, &mut m.0, &mut v.0, rate, *steps);
            descend(&mut w.1, &mut g.1, &mut m.1, &mut v.1, rate, *steps);
        }
    }
}
