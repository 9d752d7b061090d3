//! How well a selection covers its pool: the figures that reports and claims compare.

use crate::rows::Rows;
use quadrat_core::{Error, Lists, Progress, Result};
use quadrat_numeric::neighbours::nearest_f32;
use quadrat_numeric::{Metric, Points};
use std::collections::HashSet;

/// Euclidean distances from the rows of a pool to the nearest chosen row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reach {
    /// Their mean.
    pub mean: f64,
    /// The largest: how far the worst-covered row is.
    pub max: f64,
}

/// How far the rows of `points` are from the nearest of the `chosen` rows. O(rows x chosen x columns).
///
/// ```
/// use ndarray::array;
/// use quadrat_core::Silent;
/// use quadrat_numeric::Points;
/// let points = Points::F64(array![[0.0], [1.0], [5.0]]);
/// let reach = quadrat_select::coverage::reach(&points, &[0], &Silent)?;
/// assert_eq!((reach.mean, reach.max), (2.0, 5.0));
/// # Ok::<(), quadrat_core::Error>(())
/// ```
///
/// # Errors
/// No chosen row, a chosen row past the end, values that are not finite, `Cancelled`.
pub fn reach(points: &Points, chosen: &[usize], progress: &dyn Progress) -> Result<Reach> {
    check(chosen, points.rows())?;
    points.check_finite("points")?;
    let rows = Rows::centred(points)?;
    let view = rows.view()?;
    let base = view.select(ndarray::Axis(0), chosen);
    let near = nearest_f32(base.view(), view, None, 1, Metric::Euclidean, progress)?;
    let distances = near.squared.iter().map(|squared| squared.sqrt());
    Ok(Reach { mean: distances.clone().sum::<f64>() / points.rows() as f64, max: distances.fold(0.0, f64::max) })
}

/// The share of the labels that occur in the pool which occur in the chosen rows too; 1 if there are none.
///
/// ```
/// let labels = [vec![0, 7], vec![7], vec![3, 4]].into_iter().collect();
/// assert_eq!(quadrat_select::coverage::label_share(&labels, &[0])?, 0.5);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
///
/// # Errors
/// No chosen row, or one past the end.
pub fn label_share(labels: &Lists, chosen: &[usize]) -> Result<f64> {
    check(chosen, labels.len())?;
    let all: HashSet<u32> = labels.items().iter().copied().collect();
    let covered: HashSet<u32> = chosen.iter().flat_map(|row| &labels[*row]).copied().collect();
    Ok(if all.is_empty() { 1.0 } else { covered.len() as f64 / all.len() as f64 })
}

fn check(chosen: &[usize], rows: usize) -> Result<()> {
    match chosen.iter().max() {
        None => Err(Error::input("chosen rows", "none", "choose at least one")),
        Some(row) if *row >= rows => Err(Error::input("chosen row", row, format!("rows are below {rows}"))),
        Some(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;
    use quadrat_core::Silent;

    #[test]
    fn odd_input_has_defined_answers() {
        let points = Points::F64(array![[0.0], [1.0]]);
        assert_eq!(reach(&points, &[0, 1, 1], &Silent).unwrap(), Reach { mean: 0.0, max: 0.0 });
        assert!(reach(&points, &[], &Silent).is_err());
        assert!(reach(&points, &[2], &Silent).is_err());
        assert!(reach(&Points::F64(array![[f64::NAN]]), &[0], &Silent).is_err());
        let none: Lists = [vec![], vec![]].into_iter().collect();
        assert_eq!(label_share(&none, &[1]).unwrap(), 1.0);
        assert!(label_share(&none, &[2]).is_err());
    }
}
