//! How alike rows are, kept for each row's nearest rows only: never n x n.

use crate::rows::Rows;
use quadrat_core::{Param, Params, Progress, Result};
use quadrat_numeric::neighbours::nearest_f32;
use quadrat_numeric::{Csr, Metric, Points};
use std::ops::Bound;

/// A similarity between 0 and 1; 1 for a row and itself.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Similarity {
    /// exp(-distance^2 / bandwidth^2), Euclidean.
    Rbf {
        /// Distance at which the similarity has fallen to 1/e; `None`: the root mean square distance of rows to the
        /// farthest of their neighbours that are kept.
        bandwidth: Option<f64>,
    },
    /// The cosine of the angle between the rows, and 0 where it is negative.
    Cosine,
}

impl Default for Similarity {
    fn default() -> Self {
        Similarity::Rbf { bandwidth: None }
    }
}

/// Parameters of the methods that use it, for their cards.
pub(crate) const PARAMS: [Param; 3] = [
    Param {
        name: "neighbours",
        default: "50",
        help: "how many nearest rows each row can be represented by, at least 1; more is slower and closer to all pairs",
    },
    Param { name: "similarity", default: "rbf", help: "`rbf` (Euclidean distance) or `cosine`" },
    Param {
        name: "bandwidth",
        default: "auto",
        help: "of `rbf`: the distance at which similarity falls to 1/e, above 0; auto: from the neighbours' distances",
    },
];

impl Similarity {
    /// From parameters as typed.
    pub(crate) fn from_params(params: &Params) -> Result<Self> {
        let bandwidth = params.get_auto_f64("bandwidth", None, (Bound::Excluded(0.0), Bound::Unbounded))?;
        let rbf = Similarity::Rbf { bandwidth };
        params.get_choice("similarity", rbf, &[("rbf", rbf), ("cosine", Similarity::Cosine)])
    }

    /// The similarities of each row (a row of the result) to itself and its `k` nearest rows, all when there are fewer.
    pub(crate) fn to_nearest(self, points: &Points, k: usize, progress: &dyn Progress) -> Result<Csr> {
        let (rows, metric) = match self {
            Similarity::Rbf { .. } => (Rows::centred(points)?, Metric::Euclidean),
            Similarity::Cosine => (Rows::unit(points)?, Metric::Cosine),
        };
        let n = rows.len();
        let k = k.min(n - 1);
        let mut similarities = Csr::new(n);
        if k == 0 {
            (0..n).for_each(|i| similarities.push_row([(i as u32, 1.0)]));
            return Ok(similarities);
        }
        let own: Vec<usize> = (0..n).collect();
        let near = nearest_f32(rows.view(), rows.view(), Some(&own), k, metric, progress)?;
        let squared_bandwidth = match self {
            Similarity::Rbf { bandwidth: Some(h) } => h * h,
            _ => (0..n).map(|i| near.squared[(i + 1) * k - 1] / n as f64).sum(),
        };
        let similarity = |distance: f64| match self {
            Similarity::Cosine => (1.0 - distance).clamp(0.0, 1.0) as f32,
            // Rows that coincide are alike at any bandwidth, also at the 0 of a pool of equal rows.
            Similarity::Rbf { .. } if distance == 0.0 => 1.0,
            Similarity::Rbf { .. } => (-distance / squared_bandwidth).exp() as f32,
        };
        for i in 0..n {
            let (index, squared) = near.of(i);
            let mut row: Vec<(u32, f32)> = index.iter().zip(squared).map(|(j, d)| (*j, similarity(*d))).collect();
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
        assert_eq!(auto.row(0).1[1], (-1.0_f64 / 2.0).exp() as f32, "mean of the squares 1, 1, 4 is 2");
        let back = transposed(&s);
        assert_eq!(back.row(1), (&[0, 1, 2][..], &[e(1.0), 1.0, e(2.0)][..]));
        assert_eq!(transposed(&back), s);
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
