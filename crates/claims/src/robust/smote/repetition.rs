//! One table, cross-validated again and again.

use super::{MEAN_OF_OTHERS, OTHERS_LEVEL, Plan, RIVALS, Table};
use ndarray::{Array2, Axis};
use quadrat_core::{Evidence, Plot, Result, Seed, Series, stats};
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

/// What one repetition measured on a table.
pub(super) struct Repetition {
    pub curves: Vec<SweepCurve>,
    pub ranks: Vec<(&'static str, f64)>,
}

impl Repetition {
    pub fn record(&self, evidence: &mut Evidence, table: &str, repeat: u64) -> Result<()> {
        for curve in &self.curves {
            evidence.measure(&curve.name, &format!("auc/{table}"), repeat, curve.area);
        }
        for (arm, area) in &self.ranks {
            evidence.measure(arm, &format!("rank auc/{table}"), repeat, *area);
        }
        // The paper's hull: under-sampling alone and SMOTE at all levels.
        let curves: Vec<&SweepCurve> = self.curves.iter().filter(|c| c.name == "under" || is_smote(c)).collect();
        let hull = roc_convex_hull(&curves.iter().map(|c| c.rates()).collect::<Vec<_>>())?;
        let owners: Vec<usize> = hull.vertices.iter().filter_map(|v| v.owner.map(|(curve, _)| curve)).collect();
        let owned = owners.iter().filter(|curve| is_smote(curves[**curve])).count();
        evidence.measure("SMOTE", &format!("share of hull/{table}"), repeat, owned as f64 / owners.len() as f64);
        if repeat == 0 {
            let excess = curves.iter().map(|c| (c.area - hull.area()).max(0.0)).fold(0.0, f64::max);
            evidence.identity(&format!("{table}: no curve has more area than the hull"), excess, 0.0, 0.0);
            // Points a hair below the hull's own corners.
            let below = hull.vertices.iter().map(|v| (v.false_positive, v.true_positive * (1.0 - 1e-9))).collect();
            let again = roc_convex_hull(&curves.iter().map(|c| c.rates()).chain([below]).collect::<Vec<_>>())?;
            evidence.identity(
                &format!("{table}: points inside the hull leave its area as it is"),
                again.area(),
                hull.area(),
                0.0,
            );
        }
        Ok(())
    }
}

pub(super) fn is_smote(curve: &SweepCurve) -> bool {
    curve.name.starts_with("SMOTE")
}

/// Mean areas over the other tables, once an arm and repetition.
pub(super) fn average(evidence: &mut Evidence, others: &[&str]) {
    if others.is_empty() {
        return;
    }
    let smote = format!("SMOTE {OTHERS_LEVEL}%");
    for arm in RIVALS.iter().map(|(arm, _)| *arm).chain([smote.as_str()]) {
        let tables: Vec<Vec<(u64, f64)>> =
            others.iter().map(|name| evidence.values(arm, &format!("auc/{name}"))).collect();
        for repeat in 0..tables[0].len() {
            let areas: Vec<f64> = tables.iter().map(|table| table[repeat].1).collect();
            evidence.measure(arm, MEAN_OF_OTHERS, tables[0][repeat].0, stats::mean(&areas));
        }
    }
}

/// All SMOTE levels beside under-sampling, as a note and as a picture: how the paper's best level fares, and how many
/// levels win. Nothing is judged by it, since the best of several is chosen by its own test.
pub(super) fn compare_levels(evidence: &mut Evidence, plan: &Plan, paper: &[Table]) {
    let mut series = Vec::new();
    let (mut above, mut all) = (0, 0);
    for table in paper {
        let metric = format!("auc/{}", table.name);
        let under = evidence.values("under", &metric);
        let mut points = Vec::new();
        let mut words = Vec::new();
        for level in &plan.smote {
            let smote = evidence.values(&format!("SMOTE {level}%"), &metric);
            let gains: Vec<f64> = smote.iter().zip(&under).map(|((_, s), (_, u))| 100.0 * (s - u)).collect();
            let gain = stats::t_interval(&gains, 0.95, plan.overlap());
            let (low, high) = if gain.se.is_finite() { (gain.low, gain.high) } else { (gain.mean, gain.mean) };
            points.push([f64::from(*level), gain.mean, low, high]);
            words.push(format!("{level}% {:+.2}", gain.mean));
            above += usize::from(gain.mean > 0.0);
            all += 1;
        }
        let mean = stats::mean(&under.iter().map(|(_, area)| *area).collect::<Vec<_>>());
        evidence.notes.push(format!(
            "{}: under-sampling alone {mean:.4}; SMOTE's gain in points of area: {}.",
            table.name,
            words.join(", ")
        ));
        series.push(Series { name: table.name.into(), points });
    }
    evidence.notes.push(format!("SMOTE's mean area is above that of under-sampling alone at {above} of {all} levels."));
    evidence.plots.push(Plot {
        title: "Area gained over under-sampling alone (mean, 95% interval)".into(),
        x: "SMOTE level (%)".into(),
        y: "gain (points of area)".into(),
        log_x: false,
        log_y: false,
        series,
    });
}
