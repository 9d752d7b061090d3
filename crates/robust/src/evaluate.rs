//! What goes with resampling when it is judged: ROC curves swept over sampling levels, their area, the convex hull that
//! says which settings can be best, and the correction of probabilities for the shares of the classes.
//!
//! Source: Chawla and others, JAIR 16 (2002), sections 3 and 5; the hull and iso-performance lines after Provost and
//! Fawcett, Machine Learning 42 (2001). Rates are shares (0 to 1) where the paper has per cent.

use crate::labelled::source;
use crate::{Labelled, RandomUnderSampling, Resampled, Resampler, Smote, Strategy};
use ndarray::{Array2, ArrayView2, Axis};
use quadrat_core::{Error, Progress, Result, Seed, Silent, checkpoint};
use quadrat_numeric::learners::{Classifier, Learner};
use quadrat_numeric::metrics::{Split, roc_rates};
use rayon::prelude::*;

/// A learner that resamples the rows it is given before it learns from them: whatever is predicted, also in
/// cross-validation, is never resampled, so no test row leaks into training.
///
/// Weights follow their rows; a synthetic row has its base's.
///
/// ```
/// use quadrat_core::Seed;
/// use quadrat_numeric::learners::{Classifier, Learner, Tree};
/// use quadrat_robust::{Pipeline, RandomOverSampling};
/// let pipeline = Pipeline::new(Box::new(RandomOverSampling::default()), Box::new(Tree::cart()));
/// let x = ndarray::array![[0.0], [1.0], [2.0], [3.0], [9.0]];
/// let model = pipeline.fit(x.view(), &[0, 0, 0, 0, 1], 2, None, Seed(1))?;
/// assert_eq!(model.predict(x.view()), [0, 0, 0, 0, 1]);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
pub struct Pipeline {
    /// What happens to the training rows.
    pub resampler: Box<dyn Resampler>,
    /// What learns from the result.
    pub learner: Box<dyn Learner>,
    /// Which columns are nominal, ascending, for resamplers that ask.
    pub categorical: Vec<usize>,
}

impl Pipeline {
    /// A pipeline for numeric columns.
    pub fn new(resampler: Box<dyn Resampler>, learner: Box<dyn Learner>) -> Self {
        Pipeline { resampler, learner, categorical: Vec::new() }
    }
}

impl Learner for Pipeline {
    fn name(&self) -> &'static str {
        self.resampler.card().slug
    }

    fn fit(
        &self,
        x: ArrayView2<f64>,
        y: &[u32],
        classes: usize,
        weights: Option<&[f64]>,
        seed: Seed,
    ) -> Result<Box<dyn Classifier>> {
        if let Some(weights) = weights.filter(|w| w.len() != y.len()) {
            return Err(Error::input("row weights", weights.len(), format!("there are {} rows", y.len())));
        }
        let data = Labelled {
            x: x.to_owned(),
            y: y.to_vec(),
            classes: (0..classes).map(|class| class.to_string()).collect(),
            columns: Vec::new(),
            categorical: self.categorical.clone(),
        };
        let resampled = self.resampler.resample(&data, seed.stream("pipeline resampling"), &Silent)?;
        let table = resampled.table(&data);
        let weights: Option<Vec<f64>> = weights.map(|w| resampled.origin.iter().map(|o| w[source(o)]).collect());
        self.learner.fit(table.x.view(), &table.y, classes, weights.as_deref(), seed.stream("pipeline learning"))
    }
}

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
fn put_together(majority: &Labelled, minority: &Labelled, positive: u32) -> Result<Labelled> {
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

/// A corner of a convex hull of ROC points.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Vertex {
    /// Share of false positives.
    pub false_positive: f64,
    /// Share of true positives.
    pub true_positive: f64,
    /// Whose point it is: the curve and the point in it. `None` for calling nothing, (0, 0), or everything, (1, 1),
    /// positive.
    pub owner: Option<(usize, usize)>,
}

/// The upper convex hull of ROC points: only classifiers on it can be best for any shares of the classes and any costs.
#[derive(Debug, Clone, PartialEq)]
pub struct Hull {
    /// Its corners from (0, 0) to (1, 1).
    pub vertices: Vec<Vertex>,
}

/// The upper hull of the points (share of false positives, share of true positives) of some curves, from (0, 0) to
/// (1, 1). Points inside it or on its edges are left out; of equal points the first curve's stays.
///
/// Errors: a share outside 0 to 1. Cost: O(n log n).
///
/// ```
/// use quadrat_robust::{iso_performance_slope, roc_convex_hull};
/// let hull = roc_convex_hull(&[vec![(0.1, 0.6), (0.5, 0.6)], vec![(0.4, 0.9)]])?;
/// let owners: Vec<_> = hull.vertices.iter().map(|v| v.owner).collect();
/// assert_eq!(owners, [None, Some((0, 0)), Some((1, 0)), None]);
/// // Positives are a fifth of the rows and missing one costs four times a false alarm: equal weight, slope 1.
/// let best = hull.best_at(iso_performance_slope(0.2, 1.0, 4.0)?);
/// assert_eq!((best.false_positive, best.true_positive), (0.1, 0.6));
/// # Ok::<(), quadrat_core::Error>(())
/// ```
pub fn roc_convex_hull(curves: &[Vec<(f64, f64)>]) -> Result<Hull> {
    let end = |at| Vertex { false_positive: at, true_positive: at, owner: None };
    let mut points = Vec::new();
    for (curve, rates) in curves.iter().enumerate() {
        for (point, &(false_positive, true_positive)) in rates.iter().enumerate() {
            for rate in [false_positive, true_positive] {
                if !(0.0..=1.0).contains(&rate) {
                    let what = format!("ROC point {point} of curve {curve}");
                    return Err(Error::input(what, rate, "rates are shares from 0 to 1"));
                }
            }
            if (false_positive, true_positive) != (1.0, 1.0) {
                points.push(Vertex { false_positive, true_positive, owner: Some((curve, point)) });
            }
        }
    }
    // Andrew's monotone chain from the left. A point no higher than the chain's end cannot be a corner.
    points.sort_by(|a, b| {
        a.false_positive.total_cmp(&b.false_positive).then(b.true_positive.total_cmp(&a.true_positive))
    });
    let mut vertices = vec![end(0.0)];
    for point in points.into_iter().chain([end(1.0)]) {
        if point.owner.is_some() && point.true_positive <= vertices[vertices.len() - 1].true_positive {
            continue;
        }
        while vertices.len() > 1 && !turns_right(&vertices[vertices.len() - 2], &vertices[vertices.len() - 1], &point) {
            vertices.pop();
        }
        vertices.push(point);
    }
    Ok(Hull { vertices })
}

/// Whether the way from `a` over `b` to `c` bends downwards at `b`.
fn turns_right(a: &Vertex, b: &Vertex, c: &Vertex) -> bool {
    let (bx, by) = (b.false_positive - a.false_positive, b.true_positive - a.true_positive);
    let (cx, cy) = (c.false_positive - a.false_positive, c.true_positive - a.true_positive);
    bx * cy < by * cx
}

impl Hull {
    /// The area under it.
    pub fn area(&self) -> f64 {
        let trapezoid = |pair: &[Vertex]| {
            0.5 * (pair[1].false_positive - pair[0].false_positive) * (pair[1].true_positive + pair[0].true_positive)
        };
        self.vertices.windows(2).map(trapezoid).sum()
    }

    /// The corner that a line of this slope touches from above, the best classifier under the conditions the slope stands
    /// for ([`iso_performance_slope`]); of two ends of an edge with this slope, the one with fewer false positives.
    pub fn best_at(&self, slope: f64) -> Vertex {
        let height = |v: &Vertex| v.true_positive - slope * v.false_positive;
        let mut best = self.vertices[0];
        for vertex in &self.vertices {
            if height(vertex) > height(&best) {
                best = *vertex;
            }
        }
        best
    }
}

/// The slope of lines of equal expected cost in ROC space: (share of negatives * cost of a false positive) / (share of
/// positives * cost of a false negative).
///
/// Errors: a share outside (0, 1); a cost that is not finite and above 0.
pub fn iso_performance_slope(positive_share: f64, false_positive_cost: f64, false_negative_cost: f64) -> Result<f64> {
    if !(positive_share > 0.0 && positive_share < 1.0) {
        return Err(Error::input("share of positives", positive_share, "it must lie between 0 and 1"));
    }
    for cost in [false_positive_cost, false_negative_cost] {
        if !(cost > 0.0 && cost.is_finite()) {
            return Err(Error::input("cost", cost, "costs must be finite and above 0"));
        }
    }
    Ok((1.0 - positive_share) * false_positive_cost / (positive_share * false_negative_cost))
}

/// Probabilities (one column a class) of a classifier that learnt with classes in the shares `trained`, for rows whose
/// classes come in the shares `actual`: p' proportional to p * actual / trained.
///
/// With two classes this is p' = p b / (p b + 1 - p), where b is the actual odds of the class over those it was trained
/// with. Rows without probability for any class that actually occurs become NaN.
///
/// Errors: lengths that differ; a share that is not finite and above 0 (`actual` may be 0 for some classes).
///
/// ```
/// use ndarray::array;
/// // Trained on a balanced table; in the field one row in eleven is positive.
/// let p = quadrat_robust::correct_priors(array![[0.5, 0.5]].view(), &[0.5, 0.5], &[10.0 / 11.0, 1.0 / 11.0])?;
/// assert!((p[[0, 1]] - 1.0 / 11.0).abs() < 1e-12);
/// # Ok::<(), quadrat_core::Error>(())
/// ```
pub fn correct_priors(probabilities: ArrayView2<f64>, trained: &[f64], actual: &[f64]) -> Result<Array2<f64>> {
    let classes = probabilities.ncols();
    for (what, shares, least) in [("trained shares", trained, f64::MIN_POSITIVE), ("actual shares", actual, 0.0)] {
        if shares.len() != classes {
            return Err(Error::input(what, shares.len(), format!("give one for each of the {classes} classes")));
        }
        if let Some(bad) = shares.iter().find(|s| !(**s >= least && s.is_finite())) {
            return Err(Error::input(what, bad, "shares must be finite and above 0"));
        }
    }
    let mut corrected = probabilities.to_owned();
    for mut row in corrected.axis_iter_mut(Axis(0)) {
        for ((p, trained), actual) in row.iter_mut().zip(trained).zip(actual) {
            *p *= actual / trained;
        }
        let total = row.sum();
        row /= total;
    }
    Ok(corrected)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{RandomOverSampling, Strategy};
    use ndarray::array;
    use proptest::prelude::*;
    use quadrat_numeric::learners::{Softmax, Tree};
    use quadrat_numeric::metrics::stratified_folds;

    fn overlapping(rows: usize, seed: u64) -> Labelled {
        let mut rng = Seed(seed).rng(0);
        let y: Vec<u32> = (0..rows).map(|i| u32::from(i % 6 == 0)).collect();
        let x = Array2::from_shape_fn((rows, 3), |(i, _)| rng.normal() + 0.8 * f64::from(y[i]));
        Labelled::new(x, y)
    }

    fn point(false_positive: f64, true_positive: f64) -> SweepPoint {
        SweepPoint { setting: Setting::Raw, false_positive, true_positive }
    }

    #[test]
    fn area_starts_at_the_leftmost_point_and_ends_at_one() {
        let curve = SweepCurve::new("x", vec![point(0.5, 0.9), point(0.1, 0.5)]);
        assert!((curve.area - (0.4 * 0.7 + 0.5 * 0.95)).abs() < 1e-15);
        assert_eq!(curve.rates(), [(0.1, 0.5), (0.5, 0.9), (1.0, 1.0)]);
        // A measured (1, 1) adds nothing to the area.
        let again = SweepCurve::new("x", vec![point(0.5, 0.9), point(1.0, 1.0), point(0.1, 0.5)]);
        assert_eq!(again.area, curve.area);
    }

    #[test]
    fn sweeping_trades_false_alarms_for_hits_and_is_reproducible() {
        let data = overlapping(240, 1);
        let folds = stratified_folds(&data.y, 4, Seed(2)).unwrap();
        let sweep = RocSweep {
            families: vec![RocSweep::under_alone(), RocSweep::smote(200)],
            under_levels: vec![20, 100, 500],
        };
        let run = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| sweep.run(&Tree::default(), &data, &folds, Seed(5), &Silent).unwrap())
        };
        let curves = run(1);
        assert_eq!(curves, run(3), "threads");
        for curve in &curves {
            let at = |level| curve.points.iter().find(|p| p.setting == Setting::Under(level)).unwrap();
            assert!(at(500).true_positive > at(20).true_positive, "{curve:?}");
            assert!(at(500).false_positive > at(20).false_positive, "{curve:?}");
            assert_eq!(curve.points.last().unwrap().setting, Setting::Everything);
        }
        let raw = |c: &SweepCurve| *c.points.iter().find(|p| p.setting == Setting::Raw).unwrap();
        assert_eq!(raw(&curves[0]), raw(&curves[1]));
    }

    #[test]
    fn families_share_the_majorities() {
        let data = overlapping(60, 3);
        let under = RandomUnderSampling { strategy: Strategy::Percent(200), ..Default::default() };
        let over = RandomOverSampling { strategy: Strategy::Percent(300), ..Default::default() };
        let thinned = under.resample(&data, Seed(0), &Silent).unwrap().table(&data);
        let grown = over.resample(&data, Seed(0), &Silent).unwrap().table(&data);
        let both = put_together(&thinned, &grown, 1).unwrap();
        assert_eq!(both.counts(), [5, 40]);
        let negatives = thinned.rows_of(0).into_iter().map(|row| thinned.x.row(row).to_vec());
        assert!(negatives.eq(both.rows_of(0).into_iter().map(|row| both.x.row(row).to_vec())));
    }

    #[test]
    fn a_learner_sees_training_rows_only() {
        // A test row copied into training would be found again by the purest tree: on labels that are noise, the rates
        // of an honest protocol stay at chance. 400 rows in 4 folds; five standard errors.
        let mut rng = Seed(4).rng(0);
        let x = Array2::from_shape_fn((400, 2), |_| rng.uniform());
        let data = Labelled::new(x, (0..400).map(|i| u32::from(i % 2 == 0)).collect());
        let folds = stratified_folds(&data.y, 4, Seed(1)).unwrap();
        let families = vec![RocSweep::smote(300)];
        let sweep = RocSweep { families, under_levels: vec![100] };
        let curves = sweep.run(&Tree::cart(), &data, &folds, Seed(1), &Silent).unwrap();
        for p in curves[0].points.iter().filter(|p| p.setting != Setting::Everything) {
            let spread = 5.0 * (2.0 * 0.25 / 200.0_f64).sqrt();
            assert!((p.true_positive - p.false_positive).abs() < spread, "{p:?}");
        }
    }

    #[test]
    fn bad_sweeps_are_errors() {
        let data = overlapping(60, 1);
        let folds = stratified_folds(&data.y, 3, Seed(0)).unwrap();
        let run = |sweep: RocSweep, data: &Labelled, folds: &[Split]| {
            sweep.run(&Tree::default(), data, folds, Seed(0), &Silent).unwrap_err().to_string()
        };
        let mut three = data.clone();
        three.y[0] = 2;
        three.classes.push("2".into());
        let one_sided = vec![Split { train: (0..50).collect(), test: vec![1, 2] }];
        let too_much = RocSweep { under_levels: vec![5000], ..RocSweep::default() };
        let none = RocSweep { families: Vec::new(), ..RocSweep::default() };
        for (error, start) in [
            (run(RocSweep::default(), &three, &folds), "labels: got 3 classes with rows;"),
            (run(RocSweep::default(), &data, &[]), "ROC sweep: got 0 folds,"),
            (run(none, &data, &folds), "ROC sweep: got 3 folds, 0 families"),
            (run(RocSweep::default(), &data, &one_sided), "ROC curve: got 0 positive of 2 rows"),
            (run(too_much, &data, &folds), "percent: got 5000;"),
        ] {
            assert!(error.starts_with(start), "{error}");
        }
    }

    #[test]
    fn a_pipeline_resamples_and_keeps_weights_with_their_rows() {
        let data = overlapping(120, 6);
        let smote = || Box::new(Smote::default());
        let (x, y) = (data.x.view(), &data.y);
        let plain = Softmax::default().fit(x, y, 2, None, Seed(0)).unwrap();
        let pipeline = Pipeline::new(smote(), Box::new(Softmax::default()));
        let balanced = pipeline.fit(x, y, 2, None, Seed(0)).unwrap();
        let positives = |model: &dyn Classifier| model.predict(x).iter().filter(|c| **c == 1).count();
        assert!(positives(&*balanced) > 2 * positives(&*plain));
        // Weights that silence the majority silence its copies: every answer is the minority.
        let weights: Vec<f64> = y.iter().map(|c| f64::from(*c)).collect();
        let model = pipeline.fit(x, y, 2, Some(&weights), Seed(0)).unwrap();
        assert_eq!(positives(&*model), 120);
        assert!(pipeline.fit(x, y, 2, Some(&[1.0]), Seed(0)).is_err());
        assert!(pipeline.fit(x, &y[..5], 2, None, Seed(0)).is_err());
        assert_eq!(pipeline.name(), "smote");
    }

    #[test]
    fn hulls_of_special_points() {
        let corners = |points: Vec<(f64, f64)>| {
            let hull = roc_convex_hull(&[points]).unwrap();
            hull.vertices.iter().map(|v| (v.false_positive, v.true_positive)).collect::<Vec<_>>()
        };
        assert_eq!(corners(vec![]), [(0.0, 0.0), (1.0, 1.0)]);
        assert_eq!(corners(vec![(0.5, 0.2), (0.5, 0.5)]), [(0.0, 0.0), (1.0, 1.0)], "below or on the diagonal");
        assert_eq!(corners(vec![(0.0, 1.0)]), [(0.0, 0.0), (0.0, 1.0), (1.0, 1.0)], "the perfect classifier");
        assert_eq!(
            corners(vec![(0.0, 0.3), (0.0, 0.5), (0.2, 0.5)]),
            [(0.0, 0.0), (0.0, 0.5), (1.0, 1.0)],
            "of points above each other, the highest"
        );
        for bad in [(1.2, 0.5), (0.5, f64::NAN), (-0.1, 0.5)] {
            assert!(roc_convex_hull(&[vec![bad]]).is_err());
        }
        // Of equal points the first curve's stays.
        let hull = roc_convex_hull(&[vec![(0.2, 0.7)], vec![(0.2, 0.7)]]).unwrap();
        assert_eq!(hull.vertices[1].owner, Some((0, 0)));
        assert_eq!(hull.best_at(1e9).true_positive, 0.0);
        assert_eq!(hull.best_at(0.0).true_positive, 1.0);
        for (share, a, b) in [(0.0, 1.0, 1.0), (1.0, 1.0, 1.0), (0.5, 0.0, 1.0), (0.5, 1.0, f64::NAN)] {
            assert!(iso_performance_slope(share, a, b).is_err());
        }
    }

    proptest! {
        /// The hull lies above every point, its area above every curve's, and points inside it change nothing.
        #[test]
        fn the_hull_covers(points in prop::collection::vec((0.0..=1.0_f64, 0.0..=1.0_f64), 1..20), weight in 0.0..1.0_f64) {
            let hull = roc_convex_hull(std::slice::from_ref(&points)).unwrap();
            for &(fp, tp) in &points {
                let pair = hull.vertices.windows(2).find(|w| w[1].false_positive >= fp).unwrap();
                let run = pair[1].false_positive - pair[0].false_positive;
                let share = if run > 0.0 { (fp - pair[0].false_positive) / run } else { 1.0 };
                let above = pair[0].true_positive + share * (pair[1].true_positive - pair[0].true_positive);
                prop_assert!(tp <= above + 1e-12, "{tp} {above}");
            }
            let curve = SweepCurve::new("", points.iter().map(|(fp, tp)| point(*fp, *tp)).collect());
            prop_assert!(hull.area() >= curve.area - 1e-12);
            let inside = (weight * points[0].0 + (1.0 - weight), weight * points[0].1 * 0.99);
            let with = roc_convex_hull(&[points.clone(), vec![inside]]).unwrap();
            prop_assert_eq!(hull.vertices, with.vertices);
        }

        /// Correcting there and back is no change, and two classes follow the sheet's formula.
        #[test]
        fn priors_are_corrected(p in 0.01..0.99_f64, trained in 0.05..0.95_f64, actual in 0.05..0.95_f64) {
            let (t, a) = ([1.0 - trained, trained], [1.0 - actual, actual]);
            let once = correct_priors(array![[1.0 - p, p]].view(), &t, &a).unwrap();
            let b = (actual / (1.0 - actual)) / (trained / (1.0 - trained));
            prop_assert!((once[[0, 1]] - p * b / (p * b + 1.0 - p)).abs() < 1e-12);
            let back = correct_priors(once.view(), &a, &t).unwrap();
            prop_assert!((back[[0, 1]] - p).abs() < 1e-12);
        }
    }

    #[test]
    fn shares_that_cannot_be_are_refused() {
        let p = array![[0.5, 0.5]];
        assert!(correct_priors(p.view(), &[0.5], &[0.5, 0.5]).is_err());
        assert!(correct_priors(p.view(), &[0.5, 0.0], &[0.5, 0.5]).is_err());
        assert!(correct_priors(p.view(), &[0.5, 0.5], &[f64::NAN, 0.5]).is_err());
        assert_eq!(correct_priors(p.view(), &[0.5, 0.5], &[0.0, 1.0]).unwrap(), array![[0.0, 1.0]]);
    }
}
