//! Columns on one scale while neighbours are looked for.

use crate::{Labelled, Origin, Reads, Resampled, Resampler};
use quadrat_core::stats::{mean, quantile, standard_deviation};
use quadrat_core::{Card, Progress, Result, Seed};

/// How numeric columns are scaled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scale {
    /// As they are: the column of the largest range decides who is a neighbour.
    #[default]
    None,
    /// Mean 0 and standard deviation 1.
    Standard,
    /// Median 0 and distance 1 between the quartiles: a few far values do not set the scale.
    Robust,
}

/// A resampler that sees the numeric columns on one scale; its new rows are on the columns' own.
///
/// Centre and scale of a column are those of all rows. A column that does not vary keeps its scale; one whose quartiles
/// coincide is divided by its standard deviation. Nominal columns stay as they are.
///
/// Errors: the resampler's own. Cost: a copy of the table.
///
/// ```
/// use quadrat_core::{Seed, Silent};
/// use quadrat_robust::{Labelled, Resampler, Scale, Scaled, Smote};
/// let x = ndarray::Array2::from_shape_fn((40, 2), |(i, j)| (i * i % (7 + j)) as f64 * [1.0, 1e6][j]);
/// let data = Labelled::new(x, (0..40).map(|i| u32::from(i < 8)).collect());
/// let method = Scaled { resampler: Box::new(Smote::default()), scale: Scale::Standard };
/// assert_eq!(method.resample(&data, Seed(0), &Silent)?.table(&data).counts(), [32, 32]);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
pub struct Scaled {
    /// What resamples.
    pub resampler: Box<dyn Resampler>,
    /// On which scale.
    pub scale: Scale,
}

impl Resampler for Scaled {
    fn card(&self) -> &'static Card {
        self.resampler.card()
    }

    fn reads(&self) -> Reads {
        self.resampler.reads()
    }

    fn resample(&self, data: &Labelled, seed: Seed, progress: &dyn Progress) -> Result<Resampled> {
        data.check()?;
        if self.scale == Scale::None {
            return self.resampler.resample(data, seed, progress);
        }
        let mut scaled = data.clone();
        let mut units = vec![(0.0, 1.0); data.x.ncols()];
        for (c, mut column) in scaled.x.columns_mut().into_iter().enumerate() {
            if !data.categorical.contains(&c) {
                let (centre, unit) = unit(&column.to_vec(), self.scale);
                column.mapv_inplace(|v| (v - centre) / unit);
                units[c] = (centre, unit);
            }
        }
        let mut made = self.resampler.resample(&scaled, seed, progress)?;
        let parents = made.origin.iter().filter_map(|origin| match origin {
            Origin::Synthetic { base, neighbour, .. } => Some(Some((*base, *neighbour))),
            Origin::Drawn { .. } => Some(None),
            Origin::Kept(_) => None,
        });
        for (mut row, parents) in made.synthetic.rows_mut().into_iter().zip(parents) {
            for (c, value) in row.iter_mut().enumerate().filter(|(c, _)| !data.categorical.contains(c)) {
                let (centre, unit) = units[c];
                let back = *value * unit + centre;
                let Some((base, neighbour)) = parents else {
                    *value = back;
                    continue;
                };
                // Going there and back rounds: what lies between two values must not come out beyond them.
                let (a, b) = (data.x[[base, c]], data.x[[neighbour, c]]);
                let (low, high) = (a.min(b), a.max(b));
                let digits = 1e-9 * (unit + centre.abs());
                *value = if back > low - digits && back < high + digits { back.clamp(low, high) } else { back };
            }
        }
        Ok(made)
    }
}

/// Centre and unit of a column.
fn unit(values: &[f64], scale: Scale) -> (f64, f64) {
    let spread = standard_deviation(values);
    let (centre, unit) = match scale {
        Scale::None => return (0.0, 1.0),
        Scale::Standard => (mean(values), spread),
        Scale::Robust => {
            let quartiles = quantile(values, 0.75) - quantile(values, 0.25);
            (quantile(values, 0.5), if quartiles > 0.0 { quartiles } else { spread })
        }
    };
    // Relative to the centre: rounding leaves a residue in a constant column of large numbers.
    if unit.is_finite() && unit > 1e-12 * centre.abs() { (centre, unit) } else { (centre, 1.0) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Smote, SmoteNc};
    use ndarray::{Array2, Axis};
    use quadrat_core::Silent;

    /// Two measures of 60 rows, the second in units of a million, and a column that never changes.
    fn table(unit: f64) -> Labelled {
        let mut rng = Seed(5).rng(0);
        let x = Array2::from_shape_fn((60, 3), |(_, j)| [rng.normal(), unit * rng.normal() + 3.0 * unit, 7.5][j]);
        Labelled::new(x, (0..60).map(|i| u32::from(i >= 45)).collect())
    }

    #[test]
    fn units_of_a_column_do_not_matter_and_values_stay_between_their_parents() {
        for scale in [Scale::Standard, Scale::Robust] {
            let method = Scaled { resampler: Box::new(Smote::default()), scale };
            let run = |unit| method.resample(&table(unit), Seed(3), &Silent).unwrap();
            // Powers of two: scaled values are the same to the bit.
            let (one, large) = (run(1.0), run(2.0_f64.powi(20)));
            assert_eq!(one.origin, large.origin, "{scale:?}");
            let data = table(1.0);
            let made = one.origin.iter().filter_map(|o| match o {
                Origin::Synthetic { base, neighbour, gap } => Some((*base, *neighbour, *gap)),
                _ => None,
            });
            for (row, (base, neighbour, gap)) in one.synthetic.rows().into_iter().zip(made) {
                assert_eq!(row[2], 7.5);
                for c in 0..3 {
                    let (a, b) = (data.x[[base, c]], data.x[[neighbour, c]]);
                    assert!(row[c] >= a.min(b) && row[c] <= a.max(b));
                    assert!((row[c] - (a + gap * (b - a))).abs() < 1e-12);
                }
            }
        }
        let plain = Smote::default().resample(&table(1.0), Seed(3), &Silent).unwrap();
        let none = Scaled { resampler: Box::new(Smote::default()), scale: Scale::None };
        assert_eq!(none.resample(&table(1.0), Seed(3), &Silent).unwrap(), plain);
    }

    #[test]
    fn far_values_do_not_set_a_robust_scale_and_categories_have_none() {
        let mut values: Vec<f64> = (0..99).map(f64::from).collect();
        values.push(1e9);
        assert!(unit(&values, Scale::Robust).1 < 60.0 && unit(&values, Scale::Standard).1 > 1e7);
        assert_eq!(unit(&[4.0; 9], Scale::Standard), (4.0, 1.0));
        let mostly = [[0.0; 30].as_slice(), &[8.0]].concat();
        assert!(unit(&mostly, Scale::Robust).1 > 1.0, "quartiles that coincide leave the deviation");
        let mut data = table(1.0);
        data.x.column_mut(2).iter_mut().enumerate().for_each(|(i, v)| *v = (i % 3) as f64);
        let data = data.with_categorical(vec![2]);
        let method = Scaled { resampler: Box::new(SmoteNc::default()), scale: Scale::Standard };
        let made = method.resample(&data, Seed(1), &Silent).unwrap();
        assert!(made.synthetic.index_axis(Axis(1), 2).iter().all(|v| [0.0, 1.0, 2.0].contains(v)));
    }
}
