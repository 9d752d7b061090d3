//! How alike rows are: kept for each row's nearest rows, or, when as many neighbours as rows are asked for, for all pairs.

use crate::rows::Rows;
use ndarray::{Array2, s};
use quadrat_core::{Error, Progress, Result, Settings, checkpoint, stats};
use quadrat_numeric::neighbours::nearest_f32;
use quadrat_numeric::{Csr, Metric, Points};
use rayon::prelude::*;

/// What makes rows similar. A similarity lies between 0 and 1; a row and itself have 1.
#[derive(Debug, Clone, Copy, PartialEq, Settings)]
#[param(name = "similarity", default = Rbf)]
pub enum Similarity {
    /// exp(-distance^2 / bandwidth^2), Euclidean.
    Rbf {
        /// Distance at which the similarity has fallen to 1/e; auto is the median distance of rows to the farthest of
        /// their neighbours that are kept.
        #[param(none = "auto", above = 0)]
        bandwidth: Option<f64>,
    },
    /// The cosine of the angle between the rows, and 0 where it is negative.
    Cosine,
}

impl Similarity {
    fn rows(self, points: &Points) -> Result<(Rows<'_>, Metric)> {
        Ok(match self {
            Similarity::Rbf { .. } => (Rows::centred(points)?, Metric::Euclidean),
            Similarity::Cosine => (Rows::unit(points)?, Metric::Cosine),
        })
    }

    /// The similarity at a squared distance, or at 1 - cos; `auto` is the square of the bandwidth if none is given.
    fn at(self, distance: f64, auto: f64) -> f32 {
        match self {
            Similarity::Cosine => (1.0 - distance).clamp(0.0, 1.0) as f32,
            // Rows that coincide are alike at any bandwidth, also at the 0 of a pool of equal rows.
            Similarity::Rbf { .. } if distance == 0.0 => 1.0,
            Similarity::Rbf { bandwidth } => (-distance / bandwidth.map_or(auto, |h| h * h)).exp() as f32,
        }
    }

    /// The similarities of all pairs, row-major: 4 x rows^2 bytes. Distances come from a matrix product, a block of rows
    /// at a time.
    pub(crate) fn of_all(self, points: &Points, progress: &dyn Progress) -> Result<Vec<f32>> {
        let (rows, metric) = self.rows(points)?;
        let n = rows.len();
        let mut x: Array2<f64> = rows.view()?.mapv(f64::from);
        if metric == Metric::Euclidean {
            // From the centre, so that the squares do not cancel.
            x -= &rows.mean()?.mapv(f64::from);
        }
        let squares: Vec<f64> = x.rows().into_iter().map(|row| row.dot(&row)).collect();
        const BLOCK: usize = 64;
        progress.begin("similarities of all pairs", Some(n as u64));
        let mut pairs = vec![0.0_f32; n * n];
        pairs.par_chunks_mut(BLOCK * n).enumerate().try_for_each(|(block, pairs)| {
            checkpoint(progress)?;
            let first = block * BLOCK;
            let part = x.slice(s![first..first + pairs.len() / n, ..]);
            let products: Array2<f64> = part.dot(&x.t());
            for ((i, pairs), products) in (first..).zip(pairs.chunks_mut(n)).zip(products.rows()) {
                for ((j, pair), product) in pairs.iter_mut().enumerate().zip(products) {
                    *pair = match metric {
                        _ if i == j => 0.0,
                        Metric::Cosine => 1.0 - product,
                        Metric::Euclidean => (squares[i] + squares[j] - 2.0 * product).max(0.0),
                    } as f32;
                }
            }
            progress.advance((pairs.len() / n) as u64);
            Ok::<(), Error>(())
        })?;
        let largest = |row: &[f32]| f64::from(row.iter().copied().fold(0.0, f32::max));
        let auto = stats::median(&pairs.chunks(n).map(largest).collect::<Vec<_>>());
        pairs.par_iter_mut().for_each(|pair| *pair = self.at(f64::from(*pair), auto));
        Ok(pairs)
    }

    /// The similarities of each row (a row of the result) to itself and its `k` nearest rows, all when there are fewer.
    pub(crate) fn to_nearest(self, points: &Points, k: usize, progress: &dyn Progress) -> Result<Csr> {
        let (rows, metric) = self.rows(points)?;
        let n = rows.len();
        let k = k.min(n - 1);
        let mut similarities = Csr::new(n);
        if k == 0 {
            (0..n).for_each(|i| similarities.push_row([(i as u32, 1.0)]));
            return Ok(similarities);
        }
        let own: Vec<usize> = (0..n).collect();
        let near = nearest_f32(rows.view()?, rows.view()?, Some(&own), k, metric, progress)?;
        let auto = stats::median(&(0..n).map(|i| near.squared[(i + 1) * k - 1]).collect::<Vec<_>>());
        for i in 0..n {
            let (index, squared) = near.of(i);
            let mut row: Vec<(u32, f32)> = index.iter().zip(squared).map(|(j, d)| (*j, self.at(*d, auto))).collect();
            row.push((i as u32, 1.0));
            row.sort_unstable_by_key(|(j, _)| *j);
            similarities.push_row(row);
        }
        Ok(similarities)
    }
}

/// Columns become rows.
pub(crate) fn transposed(a: &Csr) -> Csr {
    let mut indptr = vec![0; a.cols + 1];
    a.indices.iter().for_each(|j| indptr[*j as usize + 1] += 1);
    (0..a.cols).for_each(|j| indptr[j + 1] += indptr[j]);
    let mut next = indptr.clone();
    let (mut indices, mut values) = (vec![0; a.indices.len()], vec![0.0; a.values.len()]);
    for i in 0..a.rows() {
        let (columns, entries) = a.row(i);
        for (&j, &v) in columns.iter().zip(entries) {
            let place = &mut next[j as usize];
            (indices[*place], values[*place]) = (i as u32, v);
            *place += 1;
        }
    }
    Csr { indptr, indices, values, cols: a.rows() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;
    use quadrat_core::Silent;

    #[test]
    fn similarities_by_hand() {
        let points = Points::F32(array![[0.0], [1.0], [3.0]]);
        let s = Similarity::Rbf { bandwidth: Some(1.0) }.to_nearest(&points, 1, &Silent).unwrap();
        let e = |d: f64| (-d * d).exp() as f32;
        assert_eq!(s.row(0), (&[0, 1][..], &[1.0, e(1.0)][..]));
        assert_eq!(s.row(2), (&[1, 2][..], &[e(2.0), 1.0][..]));
        let auto = Similarity::default().to_nearest(&points, 1, &Silent).unwrap();
        assert_eq!(auto.row(0).1[1], e(1.0), "median of the squares 1, 1, 4");
        let back = transposed(&s);
        assert_eq!(back.row(1), (&[0, 1, 2][..], &[e(1.0), 1.0, e(2.0)][..]));
        assert_eq!(transposed(&back), s);
    }

    #[test]
    fn all_pairs_are_the_nearest_rows_for_as_many_neighbours_as_rows() {
        let mut rng = quadrat_core::Seed(2).rng(0);
        let points = Points::F64(Array2::from_shape_simple_fn((150, 3), || (rng.below(9) as f64 - 4.0) * 0.7 + 1e3));
        for similarity in [Similarity::default(), Similarity::Rbf { bandwidth: Some(2.0) }, Similarity::Cosine] {
            let all = similarity.of_all(&points, &Silent).unwrap();
            let nearest = similarity.to_nearest(&points, 149, &Silent).unwrap();
            for i in 0..150 {
                for (a, b) in all[150 * i..].iter().zip(nearest.row(i).1) {
                    // A few roundings in single precision (6e-8), before and after the exponential.
                    assert!((a - b).abs() < 1e-6, "{similarity:?} row {i}: {a} {b}");
                }
                assert_eq!(all[151 * i], 1.0);
            }
        }
        let same = Points::F64(array![[7.0], [7.0]]);
        assert_eq!(Similarity::default().of_all(&same, &Silent).unwrap(), [1.0; 4]);
    }

    #[test]
    fn rows_without_direction_or_distance() {
        let points = Points::F64(array![[0.0, 0.0], [1.0, 0.0], [-1.0, 0.0], [2.0, 0.0]]);
        let s = Similarity::Cosine.to_nearest(&points, 9, &Silent).unwrap();
        assert_eq!(s.row(1), (&[0, 1, 2, 3][..], &[0.0, 1.0, 0.0, 1.0][..]));
        let same = Points::F64(array![[7.0], [7.0]]);
        assert_eq!(Similarity::default().to_nearest(&same, 1, &Silent).unwrap().row(0).1, [1.0, 1.0]);
        let one = Points::F64(array![[7.0]]);
        assert_eq!(Similarity::default().to_nearest(&one, 5, &Silent).unwrap().row(0).1, [1.0]);
    }
}
