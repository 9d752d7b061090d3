//! What samples are outside of the model: columns of a table, or images.

use ndarray::{Array1, Array2, Axis};
use quadrat::data::{Table, Values, images, write_arrays, write_made};
use quadrat::{Error, Result, write_atomic_bytes, write_atomic_folder};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The form of samples; kept with a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// Columns of numbers, each with mean 0 and standard deviation 1 to the model.
    Table(Vec<Column>),
    /// Images, from -1 (black) to 1 to the model.
    Images {
        /// Channels, height, width.
        shape: [usize; 3],
    },
}

/// A column of numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Column {
    pub name: String,
    pub mean: f64,
    pub deviation: f64,
    /// Whether its numbers are whole.
    pub whole: bool,
}

/// A column beside the samples.
pub type Added<'a> = Option<(&'a str, &'a [f64])>;

impl Form {
    /// Samples on the scale of the model.
    pub fn scaled(&self, mut x: Array2<f64>) -> Array2<f64> {
        match self {
            Form::Table(columns) => {
                for (mut values, column) in x.columns_mut().into_iter().zip(columns) {
                    let scale = if column.deviation > 0.0 { column.deviation } else { 1.0 };
                    values.mapv_inplace(|v| (v - column.mean) / scale);
                }
            }
            Form::Images { .. } => x.mapv_inplace(|v| 2.0 * v - 1.0),
        }
        x
    }

    /// Samples on the scale of the file; pixels from 0 to 1.
    pub fn unscaled(&self, x: &Array2<f64>) -> Array2<f64> {
        match self {
            // Of a constant column, whose deviation is 0, this gives the constant.
            Form::Table(columns) => {
                let [mean, deviation]: [Array1<f64>; 2] =
                    [columns.iter().map(|c| c.mean).collect(), columns.iter().map(|c| c.deviation).collect()];
                x * &deviation + &mean
            }
            Form::Images { .. } => x.mapv(|v| (0.5 * v + 0.5).clamp(0.0, 1.0)),
        }
    }

    /// The form without these columns, and that of them, with the columns' places.
    #[cfg(feature = "networks")]
    pub fn without(&self, names: &[String]) -> Result<[(Form, Vec<usize>); 2]> {
        let Form::Table(columns) = self else {
            return Err(Error::input("--conditions", "images", "columns of a table"));
        };
        let place = |name: &String| match columns.iter().position(|column| column.name == *name) {
            Some(place) => Ok(place),
            None => Err(Error::input(
                "--conditions",
                format!("`{name}`"),
                format!("numeric columns: {}", self.names().join(", ")),
            )),
        };
        let told: Vec<usize> = names.iter().map(place).collect::<Result<_>>()?;
        let drawn: Vec<usize> = (0..columns.len()).filter(|j| !told.contains(j)).collect();
        if drawn.is_empty() {
            return Err(Error::input("--conditions", "all columns", "some, so that there are others to draw"));
        }
        Ok([drawn, told].map(|places| (Form::Table(places.iter().map(|j| columns[*j].clone()).collect()), places)))
    }

    /// The names of the numbers in a sample.
    pub fn names(&self) -> Vec<String> {
        match self {
            Form::Table(columns) => columns.iter().map(|column| column.name.clone()).collect(),
            Form::Images { shape } => (0..shape.iter().product()).map(|i| format!("pixel {i}")).collect(),
        }
    }

    /// Writes samples: columns in the format of the file's ending, as `like` has them if there is one; images as a folder of PNG files,
    /// or an .npz file with the arrays `images` and what is added.
    pub fn write(&self, rows: &Array2<f64>, added: Added, like: Option<&Table>, out: &Path) -> Result<()> {
        match self {
            Form::Table(columns) => {
                let own;
                let like = match like {
                    Some(table) => table,
                    None => {
                        own = like_columns(columns)?;
                        &own
                    }
                };
                let values = columns.iter().zip(rows.columns());
                let values = values.map(|(column, values)| (column.name.clone(), Values::Float(values.to_vec())));
                let added = added.into_iter().map(|(name, values)| (name.to_owned(), Values::Float(values.to_vec())));
                write_made(like, &values.collect::<Vec<_>>(), &added.collect::<Vec<_>>(), out)
            }
            Form::Images { shape } => write_images(rows, *shape, added, out),
        }
    }
}

/// A table of such columns, whose row says which of them are whole.
fn like_columns(columns: &[Column]) -> Result<Table> {
    let names: Vec<String> = columns.iter().map(|c| format!("\"{}\"", c.name.replace('"', "\"\""))).collect();
    let row: Vec<&str> = columns.iter().map(|c| if c.whole { "1" } else { "0.5" }).collect();
    Table::from_bytes("model.csv", format!("{}\n{}\n", names.join(","), row.join(",")).into_bytes(), &[])
}

/// That images can be written there, before they are drawn.
pub fn check_images(out: &Path) -> Result<()> {
    match is_archive(out) {
        true => crate::output::check_place(out),
        false => quadrat::check_vacant(out),
    }
}

fn is_archive(out: &Path) -> bool {
    out.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("npz"))
}

fn write_images(rows: &Array2<f64>, [channels, height, width]: [usize; 3], added: Added, out: &Path) -> Result<()> {
    let n = rows.nrows();
    let wrong = |e: ndarray::ShapeError| Error::numeric("images", e.to_string());
    let pixels = rows.view().into_shape_with_order((n, channels, height, width)).map_err(wrong)?;
    if is_archive(out) {
        let mut arrays = vec![("images", pixels.view().into_dyn())];
        if let Some((name, values)) = added {
            arrays.push((name, ndarray::ArrayView1::from(values).into_dyn()));
        }
        return write_arrays(out, &arrays);
    }
    let digits = n.to_string().len();
    write_atomic_folder(out, |folder| {
        for (i, image) in pixels.axis_iter(Axis(0)).enumerate() {
            let png = images::encode(image.mapv(|v| v as f32).view())?;
            write_atomic_bytes(&folder.join(format!("{:0digits$}.png", i + 1)), &png)?;
        }
        if let Some((name, values)) = added {
            let lines: String = (1..).zip(values).map(|(i, v)| format!("{i:0digits$}.png,{v}\n")).collect();
            write_atomic_bytes(&folder.join(format!("{name}.csv")), format!("file,{name}\n{lines}").as_bytes())?;
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn samples_go_to_the_model_and_back() {
        let column = |name: &str, mean, deviation, whole| Column { name: name.into(), mean, deviation, whole };
        let form = Form::Table(vec![column("a,\"b\"", 3.0, 2.0, true), column("c", 5.0, 0.0, false)]);
        let x = array![[1.0, 5.0], [5.0, 5.0]];
        let scaled = form.scaled(x.clone());
        assert_eq!((scaled.row(0).to_vec(), form.unscaled(&scaled)), (vec![-1.0, 0.0], x));
        assert_eq!(like_columns(&[column("a,\"b\"", 0.0, 1.0, true)]).unwrap().columns()[0].name, "a,\"b\"");
        let images = Form::Images { shape: [1, 1, 2] };
        assert_eq!(images.unscaled(&images.scaled(array![[0.25, 1.0]])), array![[0.25, 1.0]]);
        assert_eq!(images.unscaled(&array![[3.0, -3.0]]), array![[1.0, 0.0]]);
    }
}
