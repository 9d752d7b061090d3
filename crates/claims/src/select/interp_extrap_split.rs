//! Splits by similarity: do models that see a query as one vector lose more far from their training queries than models
//! that match words?

mod glosses;

use crate::figures::point;
use crate::tune::tune;
use crate::{Figure, Repetitions, Trial};
use glosses::Glosses;
use ndarray::{Array2, Axis};
use quadrat_core::{Evidence, Plot, Progress, Relation, Result, Seed, Series, checkpoint, stats};
use quadrat_data::builtin;
use quadrat_numeric::learners::{Forest, KNearest, Learner, Mlp, Softmax, Standard};
use quadrat_numeric::{Metric, metrics};
use quadrat_select::{Buckets, ReSTTest, ReSTrain, SimilarityKFold, Sizes, Split, nn_similarity};
use std::collections::BTreeSet;

const FOLDS: usize = 5;
/// A class counts in a fold where both its tests have so many rows of it.
const LEAST: usize = 5;
/// Test rows over training rows of a fold.
const OVERLAP: f64 = 1.0 / 3.0;

const VECTOR: &str = "representation";
const MATCH: &str = "interaction";
const NEAR: &str = "balanced accuracy, interpolation";
const FAR: &str = "balanced accuracy, extrapolation";
const DROP: &str = "balanced accuracy lost by extrapolation";

/// The size of the experiment.
struct Plan {
    /// Glosses of a repetition, of those of the larger topics.
    texts: usize,
    most: usize,
    /// Rows and repetitions on `letter`.
    rows: usize,
    letters: usize,
}

/// Runs the experiment.
pub fn run(trial: &Trial) -> Result<Evidence> {
    let plan = trial.at(
        Plan { texts: 300, most: 2, rows: 100, letters: 2 },
        Plan { texts: 1500, most: 12, rows: 500, letters: 2 },
        Plan { texts: 3000, most: 20, rows: 800, letters: 4 },
    );
    let mut evidence = plan.evidence();
    let glosses = Glosses::new()?;
    let texts = Repetitions { part: "glosses", pilot: 4, most: plan.most };
    let mut tuned = |arm| {
        let seed = trial.seed.stream("tuning");
        tune(&mut evidence, (arm, "penalty"), &[0.1, 0.5, 2.5], |l2| glosses.loss(arm, l2, plan.texts, seed))
    };
    let penalties = [tuned(VECTOR)?, tuned(MATCH)?];
    trial.repeat(&mut evidence, texts, |seed| glosses.repetition(plan.texts, penalties, seed, trial.progress))?;
    let (x, y, classes) = builtin::labelled("letter")?;
    let letters = Repetitions { part: "letter", pilot: 0, most: plan.letters };
    trial.repeat(&mut evidence, letters, |seed| {
        let rows = seed.stream("rows").rng(0).sample(y.len(), plan.rows);
        let part = x.select(Axis(0), &rows);
        let part = Standard::fit(part.view(), &vec![1.0; rows.len()]).apply(part.view());
        let y: Vec<u32> = rows.iter().map(|row| y[*row]).collect();
        letter(&part, &y, classes.len(), seed, trial.progress)
    })?;
    evidence.plots = vec![plot(&evidence)];
    identities(trial, &mut evidence)?;
    Ok(evidence)
}

impl Plan {
    /// What the paper says, what is done here, and what is expected: written down before anything is measured.
    fn evidence(&self) -> Evidence {
        let mut evidence = Evidence::new(
            "Benchmarks are dominated by interpolation: test queries mostly repeat training queries. Models that see a query \
             as one vector match those that let query and document interact word by word in interpolation, and fall behind \
             in extrapolation.",
            format!(
                "A query is a gloss of `glosses`, what is wanted is its topic ({TOPICS} or more glosses). Of {} glosses, drawn \
                 for each repetition, five folds are cut by similarity (balanced k-means of LSA directions, which no model \
                 sees): 60% training, 20% each for the test inside the other buckets and the one in a bucket of its own. \
                 Representation: the gloss's words, weighted by rarity, are one vector, multiplied with a learned vector for each \
                 topic (ridge regression). Interaction: each word of the gloss meets the training \
                 glosses of each topic (BM25 with the nearest and the five nearest, share of words known, naive Bayes), and \
                 logistic regression weighs the four. Accuracy is the mean over topics with {LEAST} rows in both tests of a \
                 fold, so that both tests are of the same topics with the same weights. The placebo cuts by random normal \
                 vectors. And on {} rows of `letter` the accuracy of four learners in random and in similarity folds.",
                self.texts, self.rows
            ),
        );
        for arm in [VECTOR, MATCH] {
            let says = format!("{arm} finds the topic of a fifth of the glosses inside (chance: about a fifteenth)");
            evidence.gate(&says, NEAR, arm, None, Relation::Above(0.2)).matters(0.1);
        }
        let says = "inside, the two are alike, within 10 points";
        evidence.gate(says, NEAR, VECTOR, Some(MATCH), Relation::Within(0.1));
        evidence.gate("the placebo loses nothing, within 3 points", PLACEBO, "both", None, Relation::Within(0.03));
        evidence
            .expect(
                "representation loses more by extrapolation than interaction",
                DROP,
                VECTOR,
                Some(MATCH),
                Relation::Above(0.0),
            )
            .matters(0.05);
        evidence.report("outside, interaction is better", FAR, MATCH, Some(VECTOR), Relation::Above(0.0));
        for arm in [VECTOR, MATCH] {
            let says = format!("{arm} loses five points or more by extrapolation");
            evidence.report(&says, DROP, arm, None, Relation::Above(0.05));
        }
        for (says, against) in [
            ("letter: four learners lose five points or more by extrapolation, on average", "extrapolation"),
            ("letter: random folds are five points or more above extrapolation", "extrapolation"),
        ] {
            let arm = if says.contains("random") { "random folds" } else { "interpolation" };
            evidence.report(says, "accuracy/letter", arm, Some(against), Relation::Above(0.05));
        }
        for expectation in evidence.expectations.iter_mut().filter(|e| !e.metric.ends_with("letter")) {
            expectation.overlap = OVERLAP;
        }
        evidence.notes = vec![
            "Repetitions draw from the same glosses, so intervals are widened by the ratio of test to training rows. Both \
             penalties were tuned on random folds."
                .into(),
            "Changed after the first records, which had only the gap of learners on letter and mnist and left the paper's own \
             comparison out. Word vectors learned from pairs of texts had failed there for want of data (MRR@10 of 0.02 to \
             0.04 where BM25 had 0.07). Naming the topic of a gloss is a task that both kinds of model can learn from a few \
             thousand texts; documents are topics."
                .into(),
        ];
        evidence
    }
}

const PLACEBO: &str = "accuracy lost by the placebo";
/// Glosses that a topic must have to take part.
const TOPICS: usize = 150;

fn folds(x: ndarray::ArrayView2<f32>, metric: Metric, seed: Seed, progress: &dyn Progress) -> Result<Vec<Split>> {
    let buckets = Buckets { k: FOLDS, metric, balanced: true, ..Buckets::default() };
    SimilarityKFold { buckets, purge: None }.split(x, seed, progress)
}

/// Accuracy of four learners, in random and in similarity folds.
fn letter(x: &Array2<f64>, y: &[u32], classes: usize, seed: Seed, progress: &dyn Progress) -> Result<Vec<Figure>> {
    let learners: [Box<dyn Learner>; 4] = [
        Box::new(KNearest::default()),
        Box::new(Softmax::default()),
        Box::new(Mlp { epochs: 40, learning_rate: 3e-3, ..Mlp::default() }),
        Box::new(Forest::default()),
    ];
    let mut order: Vec<usize> = (0..y.len()).collect();
    seed.stream("random folds").rng(0).shuffle(&mut order);
    let mut found = Vec::new();
    let mut sides: [Vec<f64>; 3] = Default::default();
    for split in folds(x.mapv(|v| v as f32).view(), Metric::Euclidean, seed, progress)? {
        let size = split.extrapolation.len();
        order.rotate_left(size);
        for learner in &learners {
            checkpoint(progress)?;
            let mut score = |train: &[usize], tests: &[(usize, &[usize])]| -> Result<()> {
                let of = |rows: &[usize]| -> Vec<u32> { rows.iter().map(|row| y[*row]).collect() };
                let model = learner.fit(x.select(Axis(0), train).view(), &of(train), classes, None, seed)?;
                for (side, test) in tests {
                    sides[*side].push(metrics::accuracy(&of(test), &model.predict(x.select(Axis(0), test).view()))?);
                }
                Ok(())
            };
            score(&split.train, &[(0, &split.interpolation), (1, &split.extrapolation)])?;
            // The sizes of a similarity fold: a fifth of the rows measures, another is left out.
            score(&order[2 * size..], &[(2, &order[..size])])?;
        }
    }
    for (arm, side) in ["interpolation", "extrapolation", "random folds"].into_iter().zip(&sides) {
        found.push((arm.to_owned(), "accuracy/letter".to_owned(), stats::mean(side)));
    }
    Ok(found)
}

fn plot(evidence: &Evidence) -> Plot {
    let series = [VECTOR, MATCH].map(|arm| {
        let sides = [NEAR, FAR];
        let points = sides.into_iter().enumerate();
        let points = points.map(|(side, metric)| point(evidence, arm, metric, side as f64, OVERLAP));
        Series { name: arm.into(), points: points.collect() }
    });
    Plot {
        title: "The topic of a gloss, near the training glosses and far from them".into(),
        x: "0: interpolation, 1: extrapolation".into(),
        y: "balanced accuracy".into(),
        log_x: false,
        log_y: false,
        series: series.into(),
    }
}

/// What must hold exactly, counted on a block of letter: everything counted is a violation.
fn identities(trial: &Trial, evidence: &mut Evidence) -> Result<()> {
    let rows = trial.at(600, 2000, 2000);
    let (x, ..) = builtin::labelled("letter")?;
    let chosen = trial.seed.stream("identities").rng(0).sample(x.nrows(), rows);
    let x = x.select(Axis(0), &chosen);
    let x = Standard::fit(x.view(), &vec![1.0; rows]).apply(x.view()).mapv(|v| v as f32);
    let (train, test) = x.view().split_at(Axis(0), rows - rows / 5);
    let buckets = Buckets { k: FOLDS, ..Buckets::default() };
    let splits = ReSTTest { buckets, purge: None }.split(train, test, trial.seed, trial.progress)?;
    let mut tested: Vec<usize> = splits.iter().flat_map(|split| split.extrapolation.clone()).collect();
    tested.sort_unstable();
    let misplaced = tested != (0..test.nrows()).collect::<Vec<_>>();
    evidence.identity("extrapolation tests partition the test rows", f64::from(u8::from(misplaced)), 0.0, 0.0);
    let folds_of = |row: usize| splits.iter().filter(|split| split.train.binary_search(&row).is_ok()).count();
    let wrong = (0..train.nrows()).filter(|row| folds_of(*row) != FOLDS - 1).count();
    evidence.identity("training rows left out of other than one fold", wrong as f64, 0.0, 0.0);

    // Mann and Whitney's test that extrapolation tests are farther from the training rows, fold by fold.
    let mut near_ones = 0;
    for split in folds(x.view(), Metric::Euclidean, trial.seed, trial.progress)? {
        let near = |test: &[usize]| {
            let rows = |rows: &[usize]| x.select(Axis(0), rows);
            nn_similarity(rows(&split.train).view(), rows(test).view(), Metric::Euclidean, trial.progress)
        };
        let (outside, inside) = (near(&split.interpolation)?, near(&split.extrapolation)?);
        let positive: Vec<bool> = (0..outside.len() + inside.len()).map(|i| i < outside.len()).collect();
        let (a, b) = (outside.len() as f64, inside.len() as f64);
        let area = metrics::auc(&positive, &[outside, inside].concat())?;
        let z = (area - 0.5) * (12.0 * a * b / (a + b + 1.0)).sqrt();
        near_ones += usize::from(z <= 0.0 || stats::chi_square_tail(z * z, 1.0) >= 1e-6);
    }
    evidence.identity("folds whose extrapolation test is not farther (p < 1e-6)", near_ones as f64, 0.0, 0.0);

    let test = test.slice(ndarray::s![..20, ..]);
    let numbers = [1, 3, 9];
    let method = ReSTrain { sizes: Sizes::PerQuery(numbers.to_vec()), ..ReSTrain::default() };
    let made = method.split(train, test, trial.seed, trial.progress)?;
    let (mut shared, mut unnested, mut unlike) = (0, 0, 0);
    for (at, (sets, n)) in made.sets.iter().zip(numbers).enumerate() {
        let [near, far] = [&sets.interpolation, &sets.extrapolation].map(|rows| rows.iter().collect::<BTreeSet<_>>());
        shared += near.intersection(&far).count();
        for larger in &made.sets[at..] {
            unnested += near.iter().filter(|row| !larger.interpolation.contains(row)).count();
            unnested += far.iter().filter(|row| !larger.extrapolation.contains(row)).count();
        }
        // The double loop over all pairs.
        let mut union = BTreeSet::new();
        for query in test.outer_iter() {
            let cosine = |row: usize| {
                let pairs = || query.iter().zip(train.row(row)).map(|(a, b)| (f64::from(*a), f64::from(*b)));
                let (dot, length) = pairs().fold((0.0, 0.0), |(dot, length), (a, b)| (dot + a * b, length + b * b));
                dot / length.sqrt()
            };
            let mut order: Vec<(f64, usize)> = (0..train.nrows()).map(|row| (-cosine(row), row)).collect();
            order.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            union.extend(order[..n].iter().map(|(_, row)| *row));
        }
        unlike += usize::from(union != sets.interpolation.iter().copied().collect());
    }
    evidence.identity("rows on both sides", shared as f64, 0.0, 0.0);
    evidence.identity("rows of a smaller set that a larger one lacks", unnested as f64, 0.0, 0.0);
    evidence.identity(
        "sizes at which the union of the nearest differs from the double loop's",
        unlike as f64,
        0.0,
        0.0,
    );
    Ok(())
}
