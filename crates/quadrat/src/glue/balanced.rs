//! Training rows with their classes balanced, by any resampler.

use crate::nn::Samples;
use crate::robust::{Labelled, Origin, Resampler};
use crate::{Error, Progress, Result, Seed};
use ndarray::{Array2, ArrayView2, Axis, concatenate};
use std::ops::Range;

/// The rows that a resampler makes of training rows, as a network takes them.
///
/// `blocks` says which inputs a column became and whether they stand for categories
/// ([`Encoder::blocks`](crate::Encoder::blocks)): the resampler sees numbers on the network's scale, on which no column
/// outweighs another, and one nominal column for each block of categories. A synthetic row weighs what its base row does.
///
/// # Errors
/// Rows without classes, the resampler's own.
pub fn balanced(
    samples: &Samples,
    blocks: &[(&str, Range<usize>, bool)],
    resampler: &dyn Resampler,
    seed: Seed,
    progress: &dyn Progress,
) -> Result<Samples> {
    let none = || Error::input("balance", "no classes", "only classes can be balanced");
    let y = samples.labels().ok_or_else(none)?.to_vec();
    let data = Labelled {
        x: together(samples.inputs.view(), blocks),
        y,
        classes: (0..samples.outputs()).map(|class| class.to_string()).collect(),
        columns: blocks.iter().map(|(name, ..)| (*name).to_owned()).collect(),
        categorical: (0..blocks.len()).filter(|c| blocks[*c].2).collect(),
    };
    let made = resampler.resample(&data, seed, progress)?;
    let source = |origin: &Origin| match *origin {
        Origin::Kept(row) => row,
        Origin::Synthetic { base, .. } => base,
        Origin::Drawn { near } => near,
    };
    let kept: Vec<usize> =
        made.origin.iter().filter_map(|o| if let Origin::Kept(row) = o { Some(*row) } else { None }).collect();
    let kept = samples.inputs.select(Axis(0), &kept);
    let new = apart(made.synthetic.view(), blocks, samples.inputs.ncols());
    let inputs = concatenate(Axis(0), &[kept.view(), new.view()]);
    let inputs = inputs.map_err(|e| Error::numeric("balance", e.to_string()))?;
    let weights: Option<Vec<f64>> =
        samples.weights.as_ref().map(|w| made.origin.iter().map(|o| f64::from(w[source(o)])).collect());
    let balanced = Samples::classes(inputs, made.y, samples.outputs())?;
    match weights {
        Some(weights) => balanced.weighed(&weights),
        None => Ok(balanced),
    }
}

/// One number a column: the input itself, or which input of a block of categories is set (after the last, if none is).
fn together(inputs: ArrayView2<f32>, blocks: &[(&str, Range<usize>, bool)]) -> Array2<f64> {
    let mut x = Array2::zeros((inputs.nrows(), blocks.len()));
    for (mut to, from) in x.outer_iter_mut().zip(inputs.outer_iter()) {
        for (to, (_, at, nominal)) in to.iter_mut().zip(blocks) {
            *to = match nominal {
                false => f64::from(from[at.start]),
                true => at.clone().position(|i| from[i] != 0.0).unwrap_or(at.len()) as f64,
            };
        }
    }
    x
}

/// The inputs that such numbers stand for.
fn apart(x: ArrayView2<f64>, blocks: &[(&str, Range<usize>, bool)], inputs: usize) -> Array2<f32> {
    let mut rows = Array2::zeros((x.nrows(), inputs));
    for (mut to, from) in rows.outer_iter_mut().zip(x.outer_iter()) {
        for (value, (_, at, nominal)) in from.iter().zip(blocks) {
            match nominal {
                false => to[at.start] = *value as f32,
                true if (*value as usize) < at.len() => to[at.start + *value as usize] = 1.0,
                true => {}
            }
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Params, Silent};

    #[test]
    fn rare_rows_are_added_and_categories_stay_whole() {
        let rows = 60;
        let inputs = Array2::from_shape_fn((rows, 4), |(i, j)| match j {
            0 => i as f32 / 10.0,
            _ => f32::from(u8::from(i % 3 == j - 1)),
        });
        let labels: Vec<u32> = (0..rows).map(|i| u32::from(i % 6 == 0)).collect();
        let weights: Vec<f64> = (0..rows).map(|i| 1.0 + i as f64).collect();
        let samples = Samples::classes(inputs, labels, 2).unwrap().weighed(&weights).unwrap();
        let blocks = [("size", 0..1, false), ("colour", 1..4, true)];
        let of = |name: &str| {
            let resampler = crate::robust::build(name, &Params::none()).unwrap();
            balanced(&samples, &blocks, resampler.as_ref(), Seed(1), &Silent)
        };
        let made = of("smote-nc").unwrap();
        assert_eq!(made.len(), 100);
        assert_eq!(made.labels().unwrap().iter().filter(|c| **c == 1).count(), 50);
        assert!(made.inputs.outer_iter().all(|row| row.iter().skip(1).sum::<f32>() == 1.0));
        assert_eq!(made.inputs.slice(ndarray::s![..60, ..]), samples.inputs, "kept rows to the bit");
        assert!((made.weights.unwrap().iter().sum::<f32>() - 100.0).abs() < 1e-2);
        assert!(of("smote").unwrap_err().to_string().contains("smote-nc"));
        assert_eq!(of("random-under-sampling").unwrap().len(), 20);
    }
}
