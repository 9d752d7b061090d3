//! ROC curves swept over sampling levels.

use crate::{Labelled, RandomUnderSampling, Resampled, Resampler, Smote, Strategy};
use ndarray::Array2;
use quadrat_core::{Error, Progress, Result, Seed, checkpoint};
use quadrat_numeric::learners::Learner;
use quadrat_numeric::metrics::{Split, roc_rates};
use rayon::prelude::*;

/// One curve of a sweep: what happens to the minority.
pub struct Family {
    /// Its name in tables and legends.
    pub name: String,
    /// What over-samples the minority; `None` leaves it as it is.
    pub over: Option<Box<dyn Resampler>>,
}

/// The paper's protocol: each family's over-sampling is combined with under-sampling of the majority at every level,
/// and each combination is a point of the family's ROC curve.
///
/// Both refer to the minority of the raw training rows, so all families share the same majorities: over- and
/// under-sampling start from the same raw rows, then the minority of the one is put together with the majority of the
/// other.
///
/// The default is the paper's grid: under-sampling alone, and SMOTE at 50 to 500%.
///
/// ```
/// use quadrat_core::{Seed, Silent};
/// use quadrat_numeric::{learners::Tree, metrics::stratified_folds};
/// use quadrat_robust::{Labelled, RocSweep, roc_convex_hull};
/// let mut rng = Seed(1).rng(0);
/// let y: Vec<u32> = (0..200).map(|i| u32::from(i % 5 == 0)).collect();
/// let x = ndarray::Array2::from_shape_fn((200, 2), |(i, _)| rng.normal() + f64::from(y[i]));
/// let data = Labelled::new(x, y);
/// let sweep = RocSweep { under_levels: vec![25, 50, 100, 200], ..RocSweep::default() };
/// let folds = stratified_folds(&data.y, 5, Seed(2))?;
/// let curves = sweep.run(&Tree::default(), &data, &folds, Seed(3), &Silent)?;
/// assert_eq!((curves.len(), curves[0].name.as_str(), curves[0].points.len()), (7, "under", 6));
/// let hull = roc_convex_hull(&curves.iter().map(|c| c.rates()).collect::<Vec<_>>())?;
/// assert!(curves.iter().all(|c| hull.area() >= c.area));
/// # Ok::<(), quadrat_core::Error>(())
/// ```
pub struct RocSweep {
    /// The curves.
    pub families: Vec<Family>,
    /// Under-sampling levels: at x per cent the majority loses rows until the raw minority is x% of it.
    pub under_levels: Vec<u32>,
}

impl RocSweep {
    /// The paper's under-sampling levels, in per cent.
    pub const UNDER_LEVELS: [u32; 18] =
        [10, 15, 25, 50, 75, 100, 125, 150, 175, 200, 300, 400, 500, 600, 700, 800, 1000, 2000];
    /// The paper's SMOTE levels, in per cent.
    pub const SMOTE_LEVELS: [u32; 6] = [50, 100, 200, 300, 400, 500];

    /// The family of under-sampling alone, called "under".
    pub fn under_alone() -> Family {
        Family { name: "under".into(), over: None }
    }

    /// The family of SMOTE at `percent`, called "SMOTE 200%" or the like.
    pub fn smote(percent: u32) -> Family {
        let smote = Smote { strategy: Strategy::Percent(percent), ..Smote::default() };
        Family { name: format!("SMOTE {percent}%"), over: Some(Box::new(smote)) }
    }
}

impl Default for RocSweep {
    fn default() -> Self {
        let mut families = vec![Self::under_alone()];
        families.extend(Self::SMOTE_LEVELS.map(Self::smote));
        RocSweep { families, under_levels: Self::UNDER_LEVELS.to_vec() }
    }
}

/// What a point of a swept curve stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setting {
    /// The classifier on raw rows.
    Raw,
    /// The family's over-sampling with under-sampling at this per cent.
    Under(u32),
    /// Calling every row positive: the end of every curve.
    Everything,
}

/// A point of a swept curve: mean rates over the folds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SweepPoint {
    /// What it stands for.
    pub setting: Setting,
    /// Share of negative test rows called positive.
    pub false_positive: f64,
    /// Share of positive test rows called positive.
    pub true_positive: f64,
}

/// A family's curve.
#[derive(Debug, Clone, PartialEq)]
pub struct SweepCurve {
    /// The family's name.
    pub name: String,
    /// The points by rising share of false positives, the raw classifier among them and (1, 1) at the end.
    pub points: Vec<SweepPoint>,
    /// The area under them, by trapezoids from the leftmost point on (the paper adds no point at the origin).
    pub area: f64,
}

impl SweepCurve {
    /// A curve through mean rates that were measured; the end point is added.
    pub fn new(name: impl Into<String>, mut points: Vec<SweepPoint>) -> Self {
        points.push(SweepPoint { setting: Setting::Everything, false_positive: 1.0, true_positive: 1.0 });
        points.sort_by(|a, b| {
            a.false_positive.total_cmp(&b.false_positive).then(a.true_positive.total_cmp(&b.true_positive))
        });
        let trapezoid = |pair: &[SweepPoint]| {
            0.5 * (pair[1].false_positive - pair[0].false_positive) * (pair[1].true_positive + pair[0].true_positive)
        };
        let area = points.windows(2).map(trapezoid).sum();
        SweepCurve { name: name.into(), points, area }
    }

    /// The points as (share of false positives, share of true positives).
    pub fn rates(&self) -> Vec<(f64, f64)> {
        self.points.iter().map(|p| (p.false_positive, p.true_positive)).collect()
    }
}

impl RocSweep {
    /// Sweeps `learner` over all combinations: in each fold the training rows are resampled and the test rows are not.
    /// The class with fewer rows is the positive one (of two equal ones, the second). Returns a curve a family.
    ///
    /// A fold's random numbers depend on the seed and the fold alone, so families meet the same majorities.
    ///
    /// Errors: other than two classes with rows; a fold whose test lacks one of them; those of the resamplers and the
    /// learner.
    ///
    /// Cost: `folds * (1 + families * levels)` fits, shared by the threads.
    pub fn run(
        &self,
        learner: &dyn Learner,
        data: &Labelled,
        folds: &[Split],
        seed: Seed,
        progress: &dyn Progress,
    ) -> Result<Vec<SweepCurve>> {
        data.check()?;
        let positive = positive_class(data)?;
        if folds.is_empty() || self.families.is_empty() {
            let got = format!("{} folds, {} families", folds.len(), self.families.len());
            return Err(Error::input("ROC sweep", got, "there must be at least one of each"));
        }
        let points = self.families.len() * self.under_levels.len();
        progress.begin("ROC sweep", Some((folds.len() * (1 + points)) as u64));
        let measured: Vec<Vec<(f64, f64)>> = folds
            .par_iter()
            .enumerate()
            .map(|(fold, split)| {
                let seed = Seed(seed.stream("ROC sweep").rng(fold as u64).next_u64());
                self.measure_fold(learner, data, positive, split, seed, progress)
            })
            .collect::<Result<_>>()?;
        let mean = |point: usize, setting| SweepPoint {
            setting,
            false_positive: measured.iter().map(|fold| fold[point].0).sum::<f64>() / folds.len() as f64,
            true_positive: measured.iter().map(|fold| fold[point].1).sum::<f64>() / folds.len() as f64,
        };
        let curve = |(family, Family { name, .. }): (usize, &Family)| {
            let first = 1 + family * self.under_levels.len();
            let swept = self.under_levels.iter().enumerate().map(|(i, level)| mean(first + i, Setting::Under(*level)));
            SweepCurve::new(name, std::iter::once(mean(0, Setting::Raw)).chain(swept).collect())
        };
        Ok(self.families.iter().enumerate().map(curve).collect())
    }

    /// Rates on the test rows of a fold: of the raw classifier, then of every family at every level.
    fn measure_fold(
        &self,
        learner: &dyn Learner,
        data: &Labelled,
        positive: u32,
        split: &Split,
        seed: Seed,
        progress: &dyn Progress,
    ) -> Result<Vec<(f64, f64)>> {
        let train = Resampled::of_kept(data, split.train.iter().copied()).table(data);
        let test = Resampled::of_kept(data, split.test.iter().copied()).table(data);
        let truth: Vec<bool> = test.y.iter().map(|class| *class == positive).collect();
        let rates = |table: &Labelled| {
            checkpoint(progress)?;
            let model = learner.fit(table.x.view(), &table.y, data.classes.len(), None, seed.stream("learner"))?;
            progress.advance(1);
            let called: Vec<bool> = model.predict(test.x.view()).iter().map(|class| *class == positive).collect();
            roc_rates(&truth, &called)
        };
        let mut measured = vec![rates(&train)?];
        let majorities: Vec<Labelled> = self
            .under_levels
            .iter()
            .map(|level| {
                let under = RandomUnderSampling { strategy: Strategy::Percent(*level), ..Default::default() };
                Ok(under.resample(&train, seed.stream("under"), progress)?.table(&train))
            })
            .collect::<Result<_>>()?;
        for family in &self.families {
            let minority = match &family.over {
                Some(over) => over.resample(&train, seed.stream("over"), progress)?.table(&train),
                None => train.clone(),
            };
            let points: Vec<(f64, f64)> = majorities
                .par_iter()
                .map(|majority| rates(&put_together(majority, &minority, positive)?))
                .collect::<Result<_>>()?;
            measured.extend(points);
        }
        Ok(measured)
    }
}

/// The negative rows of one table and the positive ones of another.
pub(super) fn put_together(majority: &Labelled, minority: &Labelled, positive: u32) -> Result<Labelled> {
    let negatives = (0..majority.y.len()).filter(|row| majority.y[*row] != positive);
    let positives = (0..minority.y.len()).filter(|row| minority.y[*row] == positive);
    let rows = || negatives.clone().map(|row| (majority, row)).chain(positives.clone().map(|row| (minority, row)));
    let y: Vec<u32> = rows().map(|(table, row)| table.y[row]).collect();
    let values: Vec<f64> = rows().flat_map(|(table, row)| table.x.row(row).to_vec()).collect();
    let x = Array2::from_shape_vec((y.len(), majority.x.ncols()), values)
        .map_err(|e| Error::numeric("ROC sweep", e.to_string()))?;
    let Labelled { classes, columns, categorical, .. } = majority;
    Ok(Labelled { x, y, classes: classes.clone(), columns: columns.clone(), categorical: categorical.clone() })
}

/// The class with fewer rows, of two that have any; of two equal ones the second.
fn positive_class(data: &Labelled) -> Result<u32> {
    let present: Vec<(u32, usize)> = (0..).zip(data.counts()).filter(|(_, rows)| *rows > 0).collect();
    match present[..] {
        [first, second] => Ok(if first.1 < second.1 { first.0 } else { second.0 }),
        _ => {
            let want = "a ROC curve needs 2: put the others together";
            Err(Error::input("labels", format!("{} classes with rows", present.len()), want))
        }
    }
}
