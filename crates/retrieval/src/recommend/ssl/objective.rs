//! The losses, and how they change with the vectors.

use super::super::Interactions;
use crate::losses::{Label, Loss, info_nce};
use ndarray::{Array2, Axis};
use quadrat_core::Result;
use std::collections::HashMap;

/// A loss, and its derivatives by the vectors of either side.
pub struct Contrast {
    pub value: f64,
    pub left: Array2<f32>,
    pub right: Array2<f32>,
}

/// The softmax over a batch: each row of `left` is to find its own row of `right` among those that `labels` make its negatives.
/// With the `shares` of the log that the right-hand items have, t ln(share) is taken off their scores (Yi et al. 2019).
pub fn contrast(
    left: &Array2<f32>,
    right: &Array2<f32>,
    labels: &Array2<Label>,
    temperature: f64,
    shares: Option<Vec<f64>>,
) -> Result<Contrast> {
    let mut scores = left.dot(&right.t());
    for (share, mut column) in shares.iter().flatten().zip(scores.axis_iter_mut(Axis(1))) {
        let off = (temperature * share.ln()) as f32;
        column.mapv_inplace(|score| score - off);
    }
    let Loss { value, slope } = info_nce(scores.view(), labels.view(), temperature)?;
    Ok(Contrast { value, left: slope.dot(right), right: slope.t().dot(left) })
}

/// Each pair's own item is relevant, and other items of the batch are negatives unless the user likes them, too.
pub fn accidental_hits(log: &Interactions, users: &[u32], items: &[u32]) -> Array2<Label> {
    let mut places: HashMap<u32, Vec<usize>> = HashMap::new();
    items.iter().enumerate().for_each(|(place, item)| places.entry(*item).or_default().push(place));
    let mut labels = Array2::from_elem((users.len(), items.len()), Label::Negative);
    for (row, user) in users.iter().enumerate() {
        for item in &log.by_user()[*user as usize] {
            places.get(item).into_iter().flatten().for_each(|place| labels[[row, *place]] = Label::Absent);
        }
        labels[[row, row]] = Label::Relevant;
    }
    labels
}

/// Each row's other view is relevant, and those of other items are negatives.
pub fn others(items: &[u32]) -> Array2<Label> {
    Array2::from_shape_fn((items.len(), items.len()), |(i, j)| match (i == j, items[i] == items[j]) {
        (true, _) => Label::Relevant,
        (_, true) => Label::Absent,
        _ => Label::Negative,
    })
}

/// The sum over pairs i != j of (z_i . z_j)^2 divided by their number of rows (Zhang et al. 2017), and its derivatives.
pub fn spread_out(vectors: &Array2<f32>) -> (f64, Array2<f32>) {
    let mut products = vectors.dot(&vectors.t());
    products.diag_mut().fill(0.0);
    let n = vectors.nrows() as f64;
    let value = products.iter().map(|p| f64::from(*p).powi(2)).sum::<f64>() / n;
    (value, products.dot(vectors) * (4.0 / n) as f32)
}
