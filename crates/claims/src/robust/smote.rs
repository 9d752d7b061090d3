//! SMOTE with under-sampling against under-sampling alone, by the area under swept ROC curves of a C4.5 tree.

mod checks;
mod repetition;

use crate::trial::Quiet;
use crate::{Figure, Repetitions, Trial};
use checks::check_synthetic_rows;
use ndarray::Axis;
use quadrat_core::{By, Evidence, Plot, Progress, Relation, Result, Seed, Series, stats};
use quadrat_data::{Missing, builtin};
use quadrat_numeric::learners::{Learner, Softmax, Tree};
use quadrat_numeric::metrics::{Split, stratified_folds};
use quadrat_robust::{
    Family, Labelled, Pipeline, RandomOverSampling, RocSweep, Setting, Smote, Strategy, SweepCurve, SweepPoint,
};
use rayon::prelude::*;
use repetition::{Part, figures, mean_over_folds, point, rank_area};

/// A table, the class taken as positive and the SMOTE level compared on it: fixed beforehand, so that nothing is chosen
/// by the test it is judged by.
struct Table {
    name: &'static str,
    positive: &'static str,
    level: u32,
}

const fn table(name: &'static str, positive: &'static str, level: u32) -> Table {
    Table { name, positive, level }
}

/// The paper's tables that can be had, each with the level that had the paper's largest area, and other imbalanced tables
/// at the level that was the paper's best on two of these three. Where there are more than two classes the smallest is the
/// positive one.
const TABLES: [Table; 19] = [
    table("pima", "positive", 100),
    table("glass0", "positive", 200),
    table("ecoli1", "positive", 200),
    table("yeast4", "positive", 200),
    table("wine", "cultivar_3", 200),
    table("german", "bad", 200),
    table("phoneme", "oral", 200),
    table("satimage", "damp_grey_soil", 200),
    table("yeast1", "positive", 200),
    table("yeast3", "positive", 200),
    table("yeast6", "positive", 200),
    table("ecoli2", "positive", 200),
    table("glass1", "positive", 200),
    table("abalone9-18", "positive", 200),
    table("page-blocks", "positive", 200),
    table("breast_cancer", "malignant", 200),
    table("spambase", "spam", 200),
    table("magic", "hadron", 200),
    table("letter", "H", 200),
];
/// Rows of larger tables that take part, drawn anew for each repetition.
const ROWS: usize = 3000;
const HULL: &str = "share of hull";
const RANKS: &str = "rank auc";
/// The arm at a table's level.
const SMOTE: &str = "SMOTE";
/// Areas with the tables as repetitions, in the order of their list.
const AREA: &str = "area by table";

/// What SMOTE is compared with on equal terms: each arm has the same number of settings.
const RIVALS: [(&str, &str); 5] = [
    ("under", "under-sampling alone"),
    ("repetition", "repeating minority rows as often, with the same under-sampling"),
    ("class weights", "giving the majority less weight instead of dropping rows"),
    ("threshold", "moving the threshold on the raw tree's leaf shares"),
    ("threshold, unpruned", "moving the threshold on the smoothed leaf shares of an unpruned tree"),
];

/// Runs the experiment.
pub fn run(trial: &Trial) -> Result<Evidence> {
    let under = trial.at(vec![25, 50, 100, 200], RocSweep::UNDER_LEVELS.to_vec(), RocSweep::UNDER_LEVELS.to_vec());
    let (tables, repeats) = trial.at((&TABLES[..1], 1), (&TABLES[..6], 2), (&TABLES[..], 3));
    let plan = Plan { folds: trial.at(3, 10, 10), times: trial.at(1, 4, 4), under, tables };
    let mut evidence = plan.evidence(repeats);
    let data = tables.iter().map(|table| load(table.name, table.positive)).collect::<Result<Vec<_>>>()?;
    let one = |seed: Seed| {
        let table =
            |(table, data): (&Table, &Labelled)| plan.figures(table, data, seed.stream(table.name), trial.progress);
        let found = tables.par_iter().zip(&data).map(table).collect::<Result<Vec<_>>>()?;
        Ok(found.concat())
    };
    trial.repeat(&mut evidence, Repetitions { part: "cross-validation", pilot: 0, most: repeats }, one)?;
    plan.by_table(&mut evidence);
    evidence.plots = vec![plan.gains(&evidence)];
    check_synthetic_rows(&mut evidence, trial)?;
    Ok(evidence)
}

/// The size of the experiment.
struct Plan {
    folds: usize,
    /// The most cross-validations of a table in a repetition.
    times: usize,
    under: Vec<u32>,
    tables: &'static [Table],
}

fn area(table: &str) -> String {
    format!("area/{table}")
}

impl Plan {
    /// What the paper says, what is done here, and what is expected: written down before anything is measured.
    fn evidence(&self, repeats: usize) -> Evidence {
        let mut evidence = Evidence::new(
            "With a C4.5 tree on eight tables, SMOTE with under-sampling has a larger area under its ROC curve than \
             under-sampling alone; in 44 of 48 comparisons a SMOTE classifier is the best. Areas of under-sampling and of \
             the best SMOTE level: pima 0.7242 and 0.7307 (100%), phoneme 0.8622 and 0.8661 (200%), satimage 0.8900 and \
             0.8979 (200%).",
            format!(
                "The paper's protocol with a C4.5 tree (gain ratio, pessimistic pruning) on {} tables: {}-fold \
                 cross-validation; each training part gets SMOTE at a level and its majority is under-sampled at {} levels; \
                 mean rates over the folds make a ROC curve from the raw classifier to (1, 1), whose area is taken by \
                 trapezoids. The repetitions that decide are the tables: of each the mean over {repeats} cross-validations \
                 with new folds, of small tables up to {} times as many.",
                self.tables.len(),
                self.folds,
                self.under.len(),
                self.times,
            ),
        );
        for (rival, words) in RIVALS {
            let says = format!("SMOTE and under-sampling, on average over tables: a larger area than {words}");
            let _ = match rival {
                "under" => evidence.expect(&says, AREA, SMOTE, Some(rival), Relation::Above(0.0)).matters(0.005),
                _ => evidence.report(&says, AREA, SMOTE, Some(rival), Relation::Above(0.0)),
            };
        }
        let says = "the same of the median over tables";
        evidence.report(says, AREA, SMOTE, Some("under"), Relation::Above(0.0)).by(By::Median);
        let says = "SMOTE leaves the ranking of logistic regression as it is, within half a point";
        evidence.report(says, RANKS, "logistic, SMOTE", Some("logistic"), Relation::Within(0.005));
        let says = "more than half of the corners of the two curves' hull are SMOTE's";
        evidence.report(says, HULL, SMOTE, None, Relation::Above(0.5));
        let says = "pima, where the sheet expects nothing: not worse than under-sampling alone by more than a point";
        let pima = evidence.report(says, &area("pima"), SMOTE, Some("under"), Relation::Above(-0.01));
        pima.overlap = self.folds as f64 / (self.folds as f64 - 1.0);
        evidence.notes = vec![
            "The SMOTE level of each table was fixed beforehand: the paper's best on its tables, 200% on others. Numeric \
             columns only, in the tables' own units, as in the paper; of larger tables 3000 rows, drawn for each \
             cross-validation."
                .into(),
            "Every arm starts from the same raw C4.5 tree and has as many settings as there are under-sampling levels: class \
             weights give the majority the share that under-sampling would leave of it, thresholds are where that share \
             would put them."
                .into(),
            "Changed after the first records, in which repeated cross-validations of one table were the repetitions: they \
             share all their rows, so that even a clear gain stayed undecided, and say nothing of other tables. Tables are \
             what the claim is about; six were added to the thirteen, unseen, and levels other than the fixed one were left \
             out. A first record of this design, with three cross-validations of every table, was inconclusive (0.31 points, \
             -0.05 to 0.67); small tables, which vary most from one to the next, have had more since. Seed 0 was seen before \
             that change: the record at full scale is of seed 1, with two more beside it."
                .into(),
        ];
        evidence
    }

    /// All arms on a table, once.
    fn figures(&self, table: &Table, data: &Labelled, seed: Seed, progress: &dyn Progress) -> Result<Vec<Figure>> {
        // Small tables vary more from cross-validation to cross-validation, and take less time.
        let times = (ROWS / data.y.len()).clamp(1, self.times);
        let mut runs = Vec::with_capacity(times);
        for time in 0..times {
            let seed = seed.stream(&time.to_string());
            let thinned = thinned(data, seed)?;
            let splits = stratified_folds(&thinned.y, self.folds, seed)?;
            runs.push(self.repetition(table, &thinned, &splits, seed, progress)?);
        }
        let mean = |at: usize| stats::mean(&runs.iter().map(|run| run[at].2).collect::<Vec<_>>());
        let means = runs[0].iter().enumerate().map(|(at, (arm, metric, _))| (arm.clone(), metric.clone(), mean(at)));
        Ok(means.collect())
    }

    fn repetition(
        &self,
        table: &Table,
        data: &Labelled,
        splits: &[Split],
        seed: Seed,
        progress: &dyn Progress,
    ) -> Result<Vec<Figure>> {
        let repetition = RandomOverSampling { strategy: Strategy::Percent(table.level), ..Default::default() };
        let smote = Family { name: SMOTE.into(), ..RocSweep::smote(table.level) };
        let repeated = Family { name: "repetition".into(), over: Some(Box::new(repetition)) };
        let sweep =
            RocSweep { families: vec![RocSweep::under_alone(), smote, repeated], under_levels: self.under.clone() };
        let tree = Tree::default();
        let unpruned = Tree { confidence: None, laplace: true, ..tree };
        let mut curves = sweep.run(&tree, data, splits, seed, &Quiet(progress))?;
        let raw: Vec<SweepPoint> = curves[0].points.iter().filter(|p| p.setting == Setting::Raw).copied().collect();
        for (name, points) in [
            ("class weights", self.weighted(&tree, data, splits, seed)?),
            ("threshold", self.moved_threshold(&tree, data, splits, seed)?),
            ("threshold, unpruned", self.moved_threshold(&unpruned, data, splits, seed)?),
        ] {
            curves.push(SweepCurve::new(name, [raw.clone(), points].concat()));
        }
        let balanced = Pipeline::new(Box::new(Smote::default()), Box::new(Softmax::default()));
        let mut found = figures(&curves, table.name)?;
        for (arm, learner) in [("logistic", &Softmax::default() as &dyn Learner), ("logistic, SMOTE", &balanced)] {
            found.push((arm.to_owned(), format!("{RANKS}/{}", table.name), rank_area(learner, data, splits, seed)?));
        }
        Ok(found)
    }

    /// The mean of each table over its cross-validations, as one repetition.
    fn by_table(&self, evidence: &mut Evidence) {
        let mut arms: Vec<(String, &str, &str)> =
            RIVALS.iter().map(|(arm, _)| ((*arm).to_owned(), "area", AREA)).collect();
        arms.extend([(SMOTE.to_owned(), "area", AREA), (SMOTE.to_owned(), HULL, HULL)]);
        arms.extend(["logistic", "logistic, SMOTE"].map(|arm| (arm.to_owned(), RANKS, RANKS)));
        for (at, table) in (0..).zip(self.tables) {
            for (arm, of, metric) in &arms {
                let values: Vec<f64> =
                    evidence.values(arm, &format!("{of}/{}", table.name)).into_iter().map(|(_, v)| v).collect();
                evidence.measure(arm, metric, at, stats::mean(&values));
            }
        }
    }

    /// Each table's gain over each rival.
    fn gains(&self, evidence: &Evidence) -> Plot {
        let smote = evidence.values(SMOTE, AREA);
        let series = RIVALS.map(|(rival, _)| {
            let gains = smote.iter().zip(evidence.values(rival, AREA)).map(|((at, s), (_, r))| {
                let gain = 100.0 * (s - r);
                [*at as f64, gain, gain, gain]
            });
            Series { name: rival.into(), points: gains.collect() }
        });
        let names: Vec<&str> = self.tables.iter().map(|table| table.name).collect();
        Plot {
            title: "Area that SMOTE gains on each table".into(),
            x: format!("table, from 0: {}", names.join(", ")),
            y: "gain (points of area)".into(),
            log_x: false,
            log_y: false,
            series: series.into(),
        }
    }

    /// The tree at other shares of the classes by weights: the majority counts as much as under-sampling would leave.
    fn weighted(&self, tree: &Tree, data: &Labelled, splits: &[Split], seed: Seed) -> Result<Vec<SweepPoint>> {
        mean_over_folds(splits, |split| {
            let (train, test) = (Part::new(data, &split.train), Part::new(data, &split.test));
            self.majority_shares(&train)
                .map(|(setting, share)| {
                    let weights: Vec<f64> = train.positive.iter().map(|p| if *p { 1.0 } else { share }).collect();
                    let model = tree.fit(train.x.view(), &train.y, 2, Some(&weights), seed)?;
                    let called: Vec<bool> = model.predict(test.x.view()).iter().map(|class| *class == 1).collect();
                    point(setting, &test.positive, &called)
                })
                .collect()
        })
    }

    /// One tree on raw rows, called positive from ever lower probabilities on: where a share s of the majority would be
    /// left, the odds of even chances become s.
    fn moved_threshold(&self, tree: &Tree, data: &Labelled, splits: &[Split], seed: Seed) -> Result<Vec<SweepPoint>> {
        mean_over_folds(splits, |split| {
            let (train, test) = (Part::new(data, &split.train), Part::new(data, &split.test));
            let p = tree.fit(train.x.view(), &train.y, 2, None, seed)?.probabilities(test.x.view());
            self.majority_shares(&train)
                .map(|(setting, share)| {
                    let called: Vec<bool> = p.column(1).iter().map(|p| *p > share / (1.0 + share)).collect();
                    point(setting, &test.positive, &called)
                })
                .collect()
        })
    }

    /// What each under-sampling level leaves of the majority.
    fn majority_shares(&self, train: &Part) -> impl Iterator<Item = (Setting, f64)> {
        let positives = train.positive.iter().filter(|p| **p).count() as f64;
        let odds = positives / (train.positive.len() as f64 - positives);
        self.under.iter().map(move |level| (Setting::Under(*level), (100.0 * odds / f64::from(*level)).min(1.0)))
    }
}

/// A built-in set's numeric columns, with the class called `positive` as class 1 and all others as class 0.
fn load(name: &str, positive: &str) -> Result<Labelled> {
    let set = builtin::find(name)?;
    let table = set.table(&[])?;
    let mut columns = table.numeric_columns();
    columns.retain(|column| *column != set.target);
    let classes = table.categories(set.target, Missing::Error)?;
    let y = classes.codes.iter().map(|code| u32::from(classes.names[*code as usize] == positive)).collect();
    Ok(Labelled::new(table.numeric(&columns, Missing::Error)?, y))
}

/// At most [`ROWS`] rows, with the classes' shares.
fn thinned(data: &Labelled, seed: Seed) -> Result<Labelled> {
    let folds = data.y.len().div_ceil(ROWS);
    if folds < 2 {
        return Ok(data.clone());
    }
    // The first test part of so many.
    let rows = &stratified_folds(&data.y, folds, seed.stream("thinned"))?[0].test;
    Ok(Labelled::new(data.x.select(Axis(0), rows), rows.iter().map(|row| data.y[*row]).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Scale;
    use quadrat_core::Silent;

    #[test]
    fn a_small_run_works_and_its_identities_hold() {
        let run = || {
            run(&Trial { seed: Seed(1), scale: Scale::Smoke, progress: &Silent, checkpoint: None, data: None }).unwrap()
        };
        let evidence = run();
        assert!(evidence.exact.iter().all(|e| e.holds()), "{:?}", evidence.exact);
        assert!(evidence.rows.iter().all(|row| (0.0..=1.0).contains(&row.value)));
        for expectation in &evidence.expectations {
            for arm in std::iter::once(&expectation.arm).chain(&expectation.against) {
                assert!(!evidence.values(arm, &expectation.metric).is_empty(), "{arm} {}", expectation.metric);
            }
        }
        assert_eq!(evidence.plots.len(), 1);
        assert_eq!(evidence, run(), "the same seed gives the same figures");
    }

    #[test]
    fn tables_have_the_papers_sizes() {
        let paper = [&TABLES[6], &TABLES[7], &TABLES[0]];
        for (table, counts) in paper.into_iter().zip([[3818, 1586], [5809, 626], [500, 268]]) {
            assert_eq!(load(table.name, table.positive).unwrap().counts(), counts, "{}", table.name);
        }
    }
}
