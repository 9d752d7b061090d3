//! "Junk filter": does reweighting clusters by what a judge says of the rows drawn so far keep junk out, and does the
//! model trained on the choice gain from it?

use crate::figures::point;
use crate::{Repetitions, Trial};
use ndarray::{Array2, Axis, s};
use quadrat_core::{Evidence, Plot, Relation, Result, Rng, Seed, Series, Silent, stats};
use quadrat_data::builtin;
use quadrat_numeric::Points;
use quadrat_numeric::learners::{Classifier, Learner, Mlp, Softmax};
use quadrat_numeric::linalg::Pca;
use quadrat_select::{
    Allocation, AskTell, ClusterSelector, Clusters, IterativeRefine, KCenter, Partition, Pool, Random, Selector,
    TopScore, Update, Within,
};

const ROUNDS: usize = 3;
const CLASSES: usize = 10;
/// Share of the regions whose labels become random, and of rows whose pixels are shuffled.
const JUNK_REGIONS: f64 = 0.3;
const OUTLIERS: f64 = 0.05;

/// The size of the experiment.
struct Plan {
    data: &'static str,
    most: usize,
    trusted: usize,
    pool: usize,
    /// Regions of the damage, clusters of the methods, rows to choose.
    regions: usize,
    clusters: usize,
    budget: usize,
}

/// Passes of the model that the choice is for, and of the one that is trained in a round to be judged.
const EPOCHS: usize = 40;
const JUDGED_EPOCHS: usize = 5;
/// Test rows.
const MOST_TEST: usize = 2000;

/// Runs the experiment.
pub fn run(trial: &Trial) -> Result<Evidence> {
    let digits =
        |budget| Plan { data: "digits", most: 60, trusted: 100, pool: 1200, regions: 20, clusters: 24, budget };
    let mnist = Plan { data: "mnist", most: 24, trusted: 300, pool: 4000, regions: 40, clusters: 64, budget: 300 };
    let plan = trial.at(digits(60), digits(150), mnist);
    let mut evidence = plan.evidence();
    let (x, y, _) = builtin::labelled(plan.data)?;
    let one = |seed| plan.repetition(&x, &y, seed);
    trial.repeat(&mut evidence, Repetitions { part: "junk-filter", pilot: 6, most: plan.most }, one)?;
    evidence.plots = vec![junk_plot(&evidence), accuracy_plot(&evidence)];
    identities(&mut evidence, trial)?;
    Ok(evidence)
}

/// Every arm and what it is, the method first.
const ARMS: [(&str, &str); 7] = [
    ("iterative", "iterative kMQ with the judge's reward differences"),
    ("random", "uniform"),
    ("shuffled scores", "iterative kMQ whose scores are shuffled before they are told"),
    ("equal per cluster", "the same number of rows of every cluster"),
    ("kMQ by quality", "clusters by size, rows inside by exp(R(x, given class))"),
    ("k-center", "greedy k-center on the same embedding"),
    ("top quality", "the rows with the largest R(x, given class)"),
];

impl Plan {
    /// What the paper says, what is done here, and what is expected: written down before anything is measured.
    fn evidence(&self) -> Evidence {
        let mut evidence = Evidence::new(
            "Choosing 10,000 instructions by iterative cluster refinement is 7% better than choosing at random and 3.8% \
             better than the best competing sampler, on average over reasoning, knowledge, code and mathematics.",
            format!(
                "{} of `{}` are the pool. All labels in {} of {} regions (a clustering of their own) become random, and \
                 5% of the images get shuffled pixels. Each arm chooses {} rows; a network with one hidden layer of 64 \
                 learns from them ({EPOCHS} epochs) and is tested on clean rows. In {ROUNDS} rounds, over {} clusters, a \
                 network trained {JUDGED_EPOCHS} epochs answers the rows drawn so far, and how much the judge (softmax \
                 regression on {} trusted rows outside the pool) prefers their labels to its answers, in standard \
                 deviations, is their score. All arms share splits, damage and seeds.",
                self.pool,
                self.data,
                self.junk_regions(),
                self.regions,
                self.budget,
                self.clusters,
                self.trusted,
            ),
        );
        let accuracy = "accuracy";
        evidence
            .expect("a better model than from random rows", accuracy, "iterative", Some("random"), Relation::Above(0.0))
            .matters(0.02);
        evidence.report(
            "a better model than from equal shares of all clusters",
            accuracy,
            "iterative",
            Some("equal per cluster"),
            Relation::Above(0.0),
        );
        evidence.report(
            "junk falls below 15% of what the last round draws (about a third of the pool is junk)",
            &junk_metric(ROUNDS),
            "iterative",
            None,
            Relation::Below(0.15),
        );
        evidence.report(
            "by two points at least than from random rows",
            accuracy,
            "iterative",
            Some("random"),
            Relation::Above(0.02),
        );
        evidence.report(
            "with shuffled scores the gain is gone: as good as random within two points",
            accuracy,
            "shuffled scores",
            Some("random"),
            Relation::Within(0.02),
        );
        for (rival, says) in [
            ("kMQ by quality", "better than static kMQ with the same judge, the strongest rival"),
            ("k-center", "better than greedy k-center"),
            ("top quality", "better than the rows the judge likes best"),
        ] {
            evidence.report(says, accuracy, "iterative", Some(rival), Relation::Above(0.0));
        }
        evidence.notes = vec![
            "No arm was tuned: all have the official code's settings (three rounds, softmax of mean scores at temperature \
             1) and the same clustering where they cluster."
                .into(),
            "Junk is every row of a damaged region, also where the random label happens to be right, and every shuffled \
             image. Judge's log-probabilities are floored at 1e-6."
                .into(),
            "Classification of small images stands in for fine-tuning a language model; a judge trained on a few trusted \
             rows stands in for the reward model."
                .into(),
            "The model answers on rows it was trained on. Where it has memorised a row its own answer is the given one and \
             the reward difference is 0, junk or not. So since the first records the model of a round is trained briefly, as \
             in the paper (3 epochs), and scores are told in standard deviations, without which a softmax at temperature 1 \
             means little; both were fixed beforehand."
                .into(),
            format!("Arms: {}.", ARMS.map(|(arm, what)| format!("{arm}: {what}")).join("; ")),
        ];
        evidence
    }

    fn junk_regions(&self) -> usize {
        (JUNK_REGIONS * self.regions as f64).round() as usize
    }

    fn partition(&self, clusters: usize) -> Partition {
        Partition { clusters: Clusters::Fixed(clusters), ..Partition::default() }
    }

    /// One repetition: every arm's figures.
    fn repetition(&self, x: &Array2<f64>, y: &[u32], seed: Seed) -> Result<Vec<(&'static str, String, f64)>> {
        let bench = self.damage(x, y, seed)?;
        let mut figures = Vec::new();
        let mut record = |arm: &'static str, rows: &[usize]| -> Result<()> {
            let model = bench.train(rows, EPOCHS, seed.stream("final"))?;
            figures.push((arm, "accuracy".to_owned(), bench.accuracy(model.as_ref())));
            for round in 1..=ROUNDS {
                figures.push((arm, junk_metric(round), bench.junk_share(part(rows, round))));
            }
            figures.push((arm, "junk share".to_owned(), bench.junk_share(rows)));
            Ok(())
        };
        let pool = Pool::of_points(Points::F64(bench.x.clone()));
        let judged = pool.clone().with_scores(bench.reward.clone());
        let partition = self.partition(self.clusters);
        let choose = |method: &dyn Selector, pool: &Pool| method.select(pool, self.budget, seed, &Silent);

        record("iterative", &self.iterative(&bench, false, seed)?)?;
        record("shuffled scores", &self.iterative(&bench, true, seed)?)?;
        record("random", &choose(&Random, &pool)?.indices)?;
        let equal = ClusterSelector { partition, allocation: Allocation::Equal, within: Within::Uniform };
        record("equal per cluster", &mixed(choose(&equal, &pool)?.indices, seed))?;
        let by_quality = ClusterSelector {
            partition,
            allocation: Allocation::Proportional,
            within: Within::Softmax { temperature: 1.0 },
        };
        record("kMQ by quality", &mixed(choose(&by_quality, &judged)?.indices, seed))?;
        record("k-center", &choose(&KCenter, &pool)?.indices)?;
        record("top quality", &choose(&TopScore, &judged)?.indices)?;
        Ok(figures)
    }

    /// The method: ask, train, tell the reward differences, `ROUNDS` times.
    fn iterative(&self, bench: &Bench, shuffled: bool, seed: Seed) -> Result<Vec<usize>> {
        let found = self.partition(self.clusters).fit(bench.x.mapv(|v| v as f32).view(), seed, &Silent)?;
        let mut refine = IterativeRefine::new(found.assignment, self.clusters, Update::default(), seed)?;
        for round in 1..=ROUNDS {
            refine.ask(part_size(self.budget, round))?;
            let rows = refine.drawn();
            let model = bench.train(&rows, JUDGED_EPOCHS, seed.stream("round"))?;
            let own = model.predict(bench.x.select(Axis(0), &rows).view());
            let reward = |row: usize, class: u32| bench.log_judge[[row, class as usize]];
            let mut scores: Vec<f64> =
                rows.iter().zip(own).map(|(&row, own)| reward(row, bench.y[row]) - reward(row, own)).collect();
            let (mean, deviation) = (stats::mean(&scores), stats::standard_deviation(&scores).max(1e-9));
            scores.iter_mut().for_each(|score| *score = (*score - mean) / deviation);
            if shuffled {
                seed.stream("shuffled").rng(round as u64).shuffle(&mut scores);
            }
            refine.tell(&rows, &scores)?;
        }
        Ok(refine.drawn())
    }

    /// Splits the rows, damages the pool, asks the judge.
    fn damage(&self, x: &Array2<f64>, y: &[u32], seed: Seed) -> Result<Bench> {
        let (mut pool, trusted, test) = self.split(x.nrows(), seed);
        seed.stream("order").rng(0).shuffle(&mut pool);
        let take = |rows: &[usize]| (x.select(Axis(0), rows), rows.iter().map(|i| y[*i]).collect::<Vec<u32>>());
        let ((mut images, mut labels), (judge_x, judge_y), (test_x, test_y)) =
            (take(&pool), take(&trusted), take(&test));

        // The embedding: principal components of the pool before its damage, where there are more than 64 pixels.
        let pca = (images.ncols() > 64).then(|| Pca::fit(images.view(), 64)).transpose()?;
        let embedded = |images: &Array2<f64>| match &pca {
            Some(pca) => pca.transform(images.view()),
            None => Ok(images.clone()),
        };
        let mut rng = seed.stream("damage").rng(0);
        let regions = self.partition(self.regions);
        let regions = regions.fit(embedded(&images)?.mapv(|v| v as f32).view(), seed.stream("regions"), &Silent)?;
        let bad: Vec<usize> = rng.sample(self.regions, self.junk_regions());
        let mut junk: Vec<bool> = regions.assignment.iter().map(|region| bad.contains(&(*region as usize))).collect();
        for (label, junk) in labels.iter_mut().zip(&junk) {
            if *junk {
                *label = rng.below(CLASSES) as u32;
            }
        }
        for row in rng.sample(self.pool, (OUTLIERS * self.pool as f64).round() as usize) {
            shuffle_pixels(&mut images, row, &mut rng);
            junk[row] = true;
        }

        let (x, judge_x, test_x) = (embedded(&images)?, embedded(&judge_x)?, embedded(&test_x)?);
        let judge = Softmax::default().fit(judge_x.view(), &judge_y, CLASSES, None, seed)?;
        let log_judge = judge.probabilities(x.view()).mapv(|p| p.max(1e-6).ln());
        let reward = labels.iter().enumerate().map(|(row, label)| log_judge[[row, *label as usize]]).collect();
        Ok(Bench { x, y: labels, junk, log_judge, reward, test_x, test_y })
    }

    /// Pool, trusted and test rows.
    fn split(&self, n: usize, seed: Seed) -> (Vec<usize>, Vec<usize>, Vec<usize>) {
        let order = seed.stream("split").rng(0).sample(n, n);
        let (pool, rest) = order.split_at(self.pool);
        let (trusted, left) = rest.split_at(self.trusted);
        (pool.to_vec(), trusted.to_vec(), left[..left.len().min(MOST_TEST)].to_vec())
    }
}

/// A damaged pool with its judge and its test.
struct Bench {
    x: Array2<f64>,
    y: Vec<u32>,
    junk: Vec<bool>,
    /// ln p of the judge: rows x classes.
    log_judge: Array2<f64>,
    /// R(x, given class).
    reward: Vec<f64>,
    test_x: Array2<f64>,
    test_y: Vec<u32>,
}

impl Bench {
    fn train(&self, rows: &[usize], epochs: usize, seed: Seed) -> Result<Box<dyn Classifier>> {
        let labels: Vec<u32> = rows.iter().map(|row| self.y[*row]).collect();
        let mlp = Mlp { hidden: 64, epochs, batch: 64, learning_rate: 1e-3, ..Mlp::default() };
        mlp.fit(self.x.select(Axis(0), rows).view(), &labels, CLASSES, None, seed)
    }

    fn accuracy(&self, model: &dyn Classifier) -> f64 {
        let right = model.predict(self.test_x.view()).iter().zip(&self.test_y).filter(|(a, b)| a == b).count();
        right as f64 / self.test_y.len() as f64
    }

    fn junk_share(&self, rows: &[usize]) -> f64 {
        rows.iter().filter(|row| self.junk[**row]).count() as f64 / rows.len() as f64
    }
}

fn junk_metric(round: usize) -> String {
    format!("junk share/round {round}")
}

/// Rows of a round: a third each, the last takes the rest.
fn part_size(budget: usize, round: usize) -> usize {
    if round < ROUNDS { budget / ROUNDS } else { budget - (ROUNDS - 1) * (budget / ROUNDS) }
}

fn part(rows: &[usize], round: usize) -> &[usize] {
    let start = (round - 1) * (rows.len() / ROUNDS);
    &rows[start..start + part_size(rows.len(), round)]
}

/// Methods without rounds return rows cluster by cluster; their "rounds" are thirds of a random order.
fn mixed(mut rows: Vec<usize>, seed: Seed) -> Vec<usize> {
    seed.stream("mixed").rng(0).shuffle(&mut rows);
    rows
}

fn shuffle_pixels(images: &mut Array2<f64>, row: usize, rng: &mut Rng) {
    let mut pixels = images.row(row).to_vec();
    rng.shuffle(&mut pixels);
    images.slice_mut(s![row, ..]).iter_mut().zip(pixels).for_each(|(to, pixel)| *to = pixel);
}

fn junk_plot(evidence: &Evidence) -> Plot {
    let series = ["iterative", "shuffled scores", "random"].map(|arm| Series {
        name: arm.into(),
        points: (1..=ROUNDS).map(|round| point(evidence, arm, &junk_metric(round), round as f64, 0.0)).collect(),
    });
    Plot {
        title: "Junk among the rows of each round".into(),
        x: "round".into(),
        y: "share of junk (mean and 95% interval)".into(),
        log_x: false,
        log_y: false,
        series: series.into(),
    }
}

fn accuracy_plot(evidence: &Evidence) -> Plot {
    let series = ARMS.map(|(arm, _)| {
        let [_, junk, ..] = point(evidence, arm, "junk share", 0.0, 0.0);
        Series { name: arm.into(), points: vec![point(evidence, arm, "accuracy", junk, 0.0)] }
    });
    Plot {
        title: "Junk chosen and accuracy reached".into(),
        x: "share of junk among all chosen rows".into(),
        y: "test accuracy (mean and 95% interval)".into(),
        log_x: false,
        log_y: false,
        series: series.into(),
    }
}

/// Identities of the weights' update, on a run of its own.
fn identities(evidence: &mut Evidence, trial: &Trial) -> Result<()> {
    let assignment: Vec<u32> = (0..120).map(|row| row % 8).collect();
    let mut refine = IterativeRefine::new(assignment, 8, Update::default(), trial.seed.stream("identities"))?;
    let rows = refine.ask(60)?;
    refine.tell(&rows, &[0.3; 60])?;
    let off = refine.weights().iter().map(|w| (w - 0.125).abs()).fold(0.0, f64::max);
    evidence.identity("equal scores leave all weights at 1/K", off, 0.0, 1e-15);
    let scores: Vec<f64> = rows.iter().map(|row| (row % 8) as f64 / 3.0).collect();
    refine.tell(&rows, &scores)?;
    let before = refine.weights().to_vec();
    refine.tell(&rows, &scores.iter().map(|s| s + 5.0).collect::<Vec<_>>())?;
    let off = refine.weights().iter().zip(&before).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    evidence.identity("a constant added to all scores changes no weight", off, 0.0, 1e-12);
    refine.ask(60)?;
    let mut drawn = refine.drawn();
    drawn.sort_unstable();
    drawn.dedup();
    evidence.identity("no row is drawn twice", drawn.len() as f64, 120.0, 0.0);
    Ok(())
}
