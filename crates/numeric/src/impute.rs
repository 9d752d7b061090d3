//! Missing values of a table of numbers, filled in. NaN is missing.
//!
//! Medians and means column by column, and the mean of the nearest rows that have the value (Troyanskaya et al., 2001),
//! with the distance that scikit-learn calls `nan_euclidean`: over the columns that both rows have, scaled up to all of
//! them. What is learnt from some rows fills others, so that rows kept for a test teach nothing.

use ndarray::{Array2, ArrayView2, ArrayViewMut1, Axis};
use quadrat_core::{Progress, Result, checkpoint};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// What takes the place of a missing value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fill {
    /// The median of the column's values.
    #[default]
    Median,
    /// Their mean.
    Mean,
    /// The mean of the column's values in the [`NEIGHBOURS`] nearest rows that have one.
    Nearest,
}

/// Rows whose values are averaged by [`Fill::Nearest`].
pub const NEIGHBOURS: usize = 5;

/// Rows that [`Imputer::fit`] keeps at most for [`Fill::Nearest`]: more make it slower and larger, hardly better.
pub const MOST_DONORS: usize = 10_000;

/// What fills the gaps of rows, learnt from some of them. It can be kept: formats without NaN hold gaps as nulls.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Imputer {
    /// Median or mean of each column ([`Fill::Nearest`]: the mean, for rows without a neighbour); NaN for a column
    /// without a value.
    #[serde(with = "row")]
    pub values: Vec<f64>,
    /// Standard deviation of each column, by which differences are divided; 1 for a constant one. Empty unless the
    /// neighbours count.
    pub spreads: Vec<f64>,
    /// Rows that neighbours are sought among, gaps and all.
    #[serde(with = "rows")]
    pub donors: Array2<f64>,
}

impl Imputer {
    /// Learns from rows. For neighbours it keeps them, or [`MOST_DONORS`] of them evenly spaced.
    pub fn fit(x: ArrayView2<f64>, fill: Fill) -> Imputer {
        let columns: Vec<ndarray::ArrayView1<f64>> = x.columns().into_iter().collect();
        let present = |c: &ndarray::ArrayView1<f64>| c.iter().copied().filter(|v| !v.is_nan()).collect::<Vec<f64>>();
        let learnt: Vec<(f64, f64)> = columns
            .par_iter()
            .map(|column| {
                let values = present(column);
                match fill {
                    Fill::Median => (median(values), 1.0),
                    Fill::Mean | Fill::Nearest => {
                        let mean = mean(&values);
                        let squares = values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>();
                        let spread = (squares / values.len().max(1) as f64).sqrt();
                        (mean, if spread > 0.0 { spread } else { 1.0 })
                    }
                }
            })
            .collect();
        let (values, spreads) = learnt.into_iter().unzip();
        if fill != Fill::Nearest {
            return Imputer { values, spreads: Vec::new(), donors: Array2::zeros((0, x.ncols())) };
        }
        Imputer { values, spreads, donors: spaced(x, MOST_DONORS) }
    }

    /// With at most so many donors, evenly spaced among those it has: for one that is to be kept small.
    pub fn with_donors(mut self, most: usize) -> Imputer {
        if self.donors.nrows() > most {
            self.donors = spaced(self.donors.view(), most);
        }
        self
    }

    /// Fills the gaps of rows with the same columns.
    ///
    /// # Errors
    /// [`quadrat_core::Error::Cancelled`].
    pub fn fill(&self, x: &mut Array2<f64>, progress: &dyn Progress) -> Result<()> {
        let fill = |mut row: ArrayViewMut1<f64>| -> Result<()> {
            let gaps: Vec<usize> = (0..row.len()).filter(|c| row[*c].is_nan()).collect();
            if gaps.is_empty() {
                return Ok(());
            }
            let near = if self.donors.nrows() > 0 {
                checkpoint(progress)?;
                self.by_distance(&row)
            } else {
                Vec::new()
            };
            for c in gaps {
                let donated = near.iter().map(|(_, donor)| self.donors[[*donor, c]]).filter(|v| !v.is_nan());
                let donated: Vec<f64> = donated.take(NEIGHBOURS).collect();
                row[c] = if donated.is_empty() { self.values[c] } else { mean(&donated) };
            }
            Ok(())
        };
        x.axis_iter_mut(Axis(0)).collect::<Vec<_>>().into_par_iter().map(fill).collect::<Result<Vec<()>>>().map(drop)
    }

    /// The donors that share a column with the row, the nearest first; of equally near ones the first.
    fn by_distance(&self, row: &ArrayViewMut1<f64>) -> Vec<(f64, usize)> {
        let mut near = Vec::with_capacity(self.donors.nrows());
        for (at, donor) in self.donors.outer_iter().enumerate() {
            let (mut squares, mut shared) = (0.0, 0usize);
            for ((a, b), spread) in row.iter().zip(donor).zip(&self.spreads) {
                let difference = (a - b) / spread;
                if !difference.is_nan() {
                    squares += difference * difference;
                    shared += 1;
                }
            }
            if shared > 0 {
                near.push((squares / shared as f64, at));
            }
        }
        near.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        near
    }
}

/// At most so many rows, evenly spaced.
fn spaced(x: ArrayView2<f64>, most: usize) -> Array2<f64> {
    let n = x.nrows();
    let kept = n.min(most);
    let rows: Vec<usize> = (0..kept).map(|i| i * n / kept.max(1)).collect();
    x.select(Axis(0), &rows)
}

/// Numbers of which NaN is told as none.
mod row {
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(values: &[f64], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(values.iter().map(|v| (!v.is_nan()).then_some(*v)))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<f64>, D::Error> {
        Ok(Vec::<Option<f64>>::deserialize(from)?.into_iter().map(|v| v.unwrap_or(f64::NAN)).collect())
    }
}

/// Rows of such numbers.
mod rows {
    use ndarray::Array2;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(rows: &Array2<f64>, to: S) -> Result<S::Ok, S::Error> {
        let row = |row: ndarray::ArrayView1<f64>| row.iter().map(|v| (!v.is_nan()).then_some(*v)).collect::<Vec<_>>();
        to.collect_seq(rows.outer_iter().map(row))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Array2<f64>, D::Error> {
        let rows = Vec::<Vec<Option<f64>>>::deserialize(from)?;
        let shape = (rows.len(), rows.first().map_or(0, Vec::len));
        let values = rows.into_iter().flatten().map(|v| v.unwrap_or(f64::NAN)).collect();
        Array2::from_shape_vec(shape, values).map_err(D::Error::custom)
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// NaN for no values; of an even number the mean of the middle two.
fn median(mut values: Vec<f64>) -> f64 {
    let n = values.len();
    if n == 0 {
        return f64::NAN;
    }
    let (below, &mut upper, _) = values.select_nth_unstable_by(n / 2, f64::total_cmp);
    if n % 2 == 1 {
        return upper;
    }
    let lower = below.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    // The half of each: the sum of two large numbers would overflow.
    0.5 * lower + 0.5 * upper
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;
    use proptest::prelude::*;
    use quadrat_core::Silent;

    const N: f64 = f64::NAN;

    fn rows() -> Array2<f64> {
        array![
            [1.0, 10.0, N],
            [2.0, N, 300.0],
            [N, 14.0, 500.0],
            [4.0, 18.0, 400.0],
            [5.0, 11.0, N],
            [6.0, 30.0, 150.0],
            [8.0, N, N],
            [3.0, 12.0, 250.0]
        ]
    }

    fn close(a: &Array2<f64>, b: &Array2<f64>) {
        assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-9), "{a}\n{b}");
    }

    /// Values of scikit-learn 1.9.1 on these rows: `SimpleImputer(strategy=...)`, and
    /// `make_pipeline(StandardScaler(), KNNImputer(n_neighbors=5))` with the scaler's inverse behind it.
    #[test]
    fn gaps_are_filled_as_scikit_learn_fills_them() {
        assert_eq!(Imputer::fit(rows().view(), Fill::Median).values, [4.0, 13.0, 300.0]);
        let means = Imputer::fit(rows().view(), Fill::Mean).values;
        assert!(means.iter().zip([29.0 / 7.0, 95.0 / 6.0, 320.0]).all(|(a, b)| (a - b).abs() < 1e-12));
        let nearest = Imputer::fit(rows().view(), Fill::Nearest);
        let mut own = rows();
        nearest.fill(&mut own, &Silent).unwrap();
        let expected = array![
            [1.0, 10.0, 320.0],
            [2.0, 16.2, 300.0],
            [3.0, 14.0, 500.0],
            [4.0, 18.0, 400.0],
            [5.0, 11.0, 320.0],
            [6.0, 30.0, 150.0],
            [8.0, 16.2, 275.0],
            [3.0, 12.0, 250.0]
        ];
        close(&own, &expected);
        let mut new = array![[N, 13.0, N], [7.0, N, 320.0], [N, N, N]];
        nearest.fill(&mut new, &Silent).unwrap();
        close(&new, &array![[3.8, 13.0, 325.0], [7.0, 17.0, 320.0], [29.0 / 7.0, 95.0 / 6.0, 320.0]]);
    }

    #[test]
    fn what_was_learnt_can_be_kept() {
        for fill in [Fill::Median, Fill::Mean, Fill::Nearest] {
            let fitted = Imputer::fit(rows().view(), fill);
            let kept: Imputer = serde_json::from_str(&serde_json::to_string(&fitted).unwrap()).unwrap();
            let [mut own, mut again] = [rows(), rows()];
            fitted.fill(&mut own, &Silent).unwrap();
            kept.fill(&mut again, &Silent).unwrap();
            assert_eq!(own, again, "{fill:?}");
        }
        let few = Imputer::fit(rows().view(), Fill::Nearest).with_donors(3);
        assert_eq!((few.donors.nrows(), few.donors[[1, 1]]), (3, 14.0));
        assert!(
            serde_json::from_str::<Imputer>("{\"values\": [1], \"spreads\": [], \"donors\": [[1], [1, 2]]}").is_err()
        );
    }

    #[test]
    fn medians_of_even_and_large_numbers() {
        for (values, expected) in [
            (vec![3.0, 1.0], 2.0),
            (vec![5.0], 5.0),
            (vec![1.0, 9.0, 2.0, 3.0], 2.5),
            (vec![f64::MAX, f64::MAX], f64::MAX),
        ] {
            assert_eq!(median(values), expected);
        }
        assert!(median(Vec::new()).is_nan());
    }

    proptest! {
        #[test]
        fn values_that_are_there_stay_and_no_gap_is_left(
            cells in proptest::collection::vec(proptest::option::of(-1e3..1e3f64), 60),
            fill in prop_oneof![Just(Fill::Median), Just(Fill::Mean), Just(Fill::Nearest)],
        ) {
            let mut x = Array2::from_shape_fn((20, 3), |(i, j)| cells[3 * i + j].unwrap_or(N));
            x.row_mut(0).fill(1.0);
            let before = x.clone();
            Imputer::fit(x.view(), fill).fill(&mut x, &Silent).unwrap();
            for (after, before) in x.iter().zip(&before) {
                prop_assert!(after.is_finite() && (before.is_nan() || after == before));
            }
        }
    }
}
