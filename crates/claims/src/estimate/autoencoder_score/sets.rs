//! Rows to learn from.

use ndarray::{Array1, Array2, ArrayView2, Axis};
use quadrat_core::{Result, Rng, Seed};
use quadrat_data::builtin;
use quadrat_numeric::linalg::Pca;

/// A law on the plane or in ten dimensions.
#[derive(Clone, Copy, PartialEq)]
pub enum Law {
    Spiral,
    Moons,
    /// A curved sheet in ten dimensions.
    Sheet,
}

impl Law {
    pub fn name(self) -> &'static str {
        match self {
            Law::Spiral => "spiral",
            Law::Moons => "two moons",
            Law::Sheet => "sheet in 10 dimensions",
        }
    }

    /// Independent rows.
    pub fn sample(self, n: usize, seed: Seed) -> Array2<f64> {
        let mut rng = seed.rng(0);
        let rows: Vec<Vec<f64>> = (0..n).map(|_| self.row(&mut rng)).collect();
        let d = rows.first().map_or(0, Vec::len);
        Array2::from_shape_fn((n, d), |(i, j)| rows[i][j])
    }

    fn row(self, rng: &mut Rng) -> Vec<f64> {
        match self {
            Law::Spiral => {
                let turn = 1.5 * std::f64::consts::PI * (1.0 + 2.0 * rng.uniform().sqrt());
                let radius = turn / 10.0;
                vec![radius * turn.cos() + 0.05 * rng.normal(), radius * turn.sin() + 0.05 * rng.normal()]
            }
            Law::Moons => {
                let (angle, upper) = (std::f64::consts::PI * rng.uniform(), rng.uniform() < 0.5);
                let (x, y) = if upper { (angle.cos(), angle.sin()) } else { (1.0 - angle.cos(), 0.5 - angle.sin()) };
                vec![x + 0.1 * rng.normal(), y + 0.1 * rng.normal()]
            }
            Law::Sheet => {
                let (u, v) = (2.0 * rng.uniform() - 1.0, 2.0 * rng.uniform() - 1.0);
                let place = |j: usize| {
                    let j = j as f64;
                    ((1.0 + 0.3 * j) * u + 0.7 * j).sin() + ((1.3 - 0.1 * j) * v + 1.1 * j).cos()
                };
                (0..10).map(|j| place(j) + 0.1 * rng.normal()).collect()
            }
        }
    }
}

/// Columns brought to mean 0 and standard deviation 1 by the first table's measures.
pub fn standardised<const N: usize>(tables: [Array2<f64>; N]) -> [Array2<f64>; N] {
    let n = tables[0].nrows() as f64;
    let mean = tables[0].sum_axis(Axis(0)) / n;
    let deviation: Array1<f64> =
        (&tables[0] - &mean).mapv(|v| v * v).sum_axis(Axis(0)).mapv(|v| (v / n).sqrt().max(1e-12));
    tables.map(|table| (table - &mean) / &deviation)
}

/// Real rows, whitened: digits on ten principal components, iris and wine on four.
pub fn whitened(name: &str) -> Result<Array2<f64>> {
    let (x, _, _) = builtin::labelled(name)?;
    let [x] = if name == "digits" { [x] } else { standardised([x]) };
    let dims = if name == "digits" { 10 } else { 4 };
    let rows: ArrayView2<f64> = x.view();
    let [x] = standardised([Pca::fit(rows, dims)?.transform(rows)?]);
    Ok(x)
}
