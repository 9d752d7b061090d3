//! An encoder as named matrices, for files.

use super::{ComposedEncoder, Shape};
use ndarray::{Array2, Axis, s};
use quadrat_core::{Error, Result, Seed};

impl ComposedEncoder {
    /// All weights as named matrices: those of a layer, inputs x outputs, with its biases as one more row.
    pub fn matrices(&self) -> Vec<(String, Array2<f32>)> {
        let mut copy = self.clone();
        let mut all = vec![("weights".to_owned(), self.composition.weights.clone().insert_axis(Axis(0)))];
        if !self.words.is_empty() {
            all.push(("words".to_owned(), self.words.clone()));
        }
        for (name, net) in copy.nets() {
            for (at, (weights, biases)) in net.layers.iter().enumerate() {
                let mut matrix = Array2::zeros((weights.nrows() + 1, weights.ncols()));
                matrix.slice_mut(s![..weights.nrows(), ..]).assign(weights);
                matrix.row_mut(weights.nrows()).assign(biases);
                all.push((format!("{name}-{at}"), matrix));
            }
        }
        all
    }

    /// An encoder with the weights of [`matrices`](Self::matrices); `read` gets each by its name and number of rows.
    ///
    /// # Errors
    /// As [`of`](Self::of); what `read` says; a matrix of another shape.
    pub fn from_matrices(shape: Shape, read: &dyn Fn(&str, usize) -> Result<Array2<f32>>) -> Result<ComposedEncoder> {
        let mut encoder = ComposedEncoder::of(shape, Seed(0))?;
        let fit = |name: &str, (rows, columns): (usize, usize)| {
            let found = read(name, rows)?;
            match found.dim() == (rows, columns) {
                true => Ok(found),
                false => {
                    let got = format!("{} x {}", found.nrows(), found.ncols());
                    Err(Error::input(
                        format!("weights `{name}`"),
                        got,
                        format!("this encoder needs {rows} x {columns}"),
                    ))
                }
            }
        };
        encoder.composition.weights = fit("weights", (1, 2))?.row(0).to_owned();
        if !encoder.words.is_empty() {
            encoder.words = fit("words", encoder.words.dim())?;
        }
        for (name, net) in encoder.nets() {
            for (at, (weights, biases)) in net.layers.iter_mut().enumerate() {
                let inputs = weights.nrows();
                let matrix = fit(&format!("{name}-{at}"), (inputs + 1, weights.ncols()))?;
                weights.assign(&matrix.slice(s![..inputs, ..]));
                biases.assign(&matrix.row(inputs));
            }
        }
        Ok(encoder)
    }
}
