//! One table, cross-validated once.

use super::{HULL, SMOTE, area};
use crate::Figure;
use ndarray::{Array2, Axis};
use quadrat_core::{Result, Seed, stats};
use quadrat_numeric::learners::Learner;
use quadrat_numeric::metrics::{Split, auc, roc_rates};
use quadrat_robust::{Labelled, Setting, SweepCurve, SweepPoint, roc_convex_hull};
use rayon::prelude::*;

/// Some rows of a table.
pub(super) struct Part {
    pub x: Array2<f64>,
    pub y: Vec<u32>,
    pub positive: Vec<bool>,
}

impl Part {
    pub fn new(data: &Labelled, rows: &[usize]) -> Part {
        let y: Vec<u32> = rows.iter().map(|row| data.y[*row]).collect();
        Part { x: data.x.select(Axis(0), rows), positive: y.iter().map(|class| *class == 1).collect(), y }
    }
}

pub(super) fn point(setting: Setting, positive: &[bool], called: &[bool]) -> Result<SweepPoint> {
    let (false_positive, true_positive) = roc_rates(positive, called)?;
    Ok(SweepPoint { setting, false_positive, true_positive })
}

/// Means over the folds of the points that `measure` gives for each of them.
pub(super) fn mean_over_folds(
    splits: &[Split],
    measure: impl Fn(&Split) -> Result<Vec<SweepPoint>> + Sync + Send,
) -> Result<Vec<SweepPoint>> {
    Ok(mean_points(&splits.par_iter().map(measure).collect::<Result<Vec<_>>>()?))
}

/// Means of points that stand for the same settings in the same order.
pub(super) fn mean_points(lists: &[Vec<SweepPoint>]) -> Vec<SweepPoint> {
    let mean =
        |i: usize, rate: fn(&SweepPoint) -> f64| stats::mean(&lists.iter().map(|l| rate(&l[i])).collect::<Vec<_>>());
    let settings = lists.first().map_or(&[][..], Vec::as_slice).iter().map(|p| p.setting);
    settings
        .enumerate()
        .map(|(i, setting)| SweepPoint {
            setting,
            false_positive: mean(i, |p| p.false_positive),
            true_positive: mean(i, |p| p.true_positive),
        })
        .collect()
}

/// Mean over the folds of the area under the ordinary ROC curve of a learner's probabilities.
pub(super) fn rank_area(learner: &dyn Learner, data: &Labelled, splits: &[Split], seed: Seed) -> Result<f64> {
    let areas: Vec<f64> = splits
        .par_iter()
        .map(|split| {
            let (train, test) = (Part::new(data, &split.train), Part::new(data, &split.test));
            let p = learner.fit(train.x.view(), &train.y, 2, None, seed)?.probabilities(test.x.view());
            auc(&test.positive, &p.column(1).to_vec())
        })
        .collect::<Result<_>>()?;
    Ok(stats::mean(&areas))
}

/// The curves' areas, and whose the corners of the paper's hull are: that of under-sampling alone and SMOTE.
pub(super) fn figures(curves: &[SweepCurve], table: &str) -> Result<Vec<Figure>> {
    let mut found: Vec<Figure> = curves.iter().map(|curve| (curve.name.clone(), area(table), curve.area)).collect();
    let two: Vec<&SweepCurve> = curves.iter().filter(|c| ["under", SMOTE].contains(&c.name.as_str())).collect();
    let hull = roc_convex_hull(&two.iter().map(|c| c.rates()).collect::<Vec<_>>())?;
    let owners: Vec<usize> = hull.vertices.iter().filter_map(|v| v.owner.map(|(curve, _)| curve)).collect();
    let owned = owners.iter().filter(|curve| two[**curve].name == SMOTE).count();
    found.push((SMOTE.to_owned(), format!("{HULL}/{table}"), owned as f64 / owners.len() as f64));
    Ok(found)
}
