//! Does a comparison of losses keep a rewriter from getting worse by more feedback, and is that more than ignoring it?

use super::senses::{Senses, Split};
use crate::tune::tune;
use crate::{Repetitions, Trial};
use ndarray::{Array2, ArrayView1, ArrayView2, Axis};
use quadrat_core::{By, Evidence, Lists, Relation, Result, Seed, Silent, checkpoint, stats};
use quadrat_retrieval::dense::{Found, normalise, search};
use quadrat_retrieval::rewrite::{LolPrf, Rewriter, comparative_hinge};
use quadrat_retrieval::training::{self, DualEncoder, Negatives, RetrieverTraining, Star, quality};

/// The size of the experiment.
struct Plan {
    /// Of the built-in senses one of so many.
    step: usize,
    dims: usize,
    /// Steps that train the encoder.
    steps: usize,
    most: usize,
}

/// Share of the queries that only measure.
const TEST: f64 = 0.1;
/// Documents that a revision sees in training at most, and beyond that.
const K: usize = 5;
const BEYOND: usize = 10;

const RISE: &str = "rise of the loss";
const DRIFT: &str = "share that gets worse";
const MOVED: &str = "distance moved";
const LOL: &str = "lol";
const PLAIN: &str = "lambda 0";
const SHRUNK: &str = "lambda 0, moved as far as lol";
const ROCCHIO: &str = "rocchio";
const NONE: &str = "no feedback";

/// Runs the experiment.
pub fn run(trial: &Trial) -> Result<Evidence> {
    let plan = trial.at(
        Plan { step: 20, dims: 16, steps: 20, most: 2 },
        Plan { step: 3, dims: 64, steps: 200, most: 20 },
        Plan { step: 1, dims: 128, steps: 400, most: 30 },
    );
    let mut evidence = plan.evidence();
    let senses = Senses::new(plan.step)?;
    let tuning = plan.task(&senses.split(TEST, trial.seed.stream("tuning"))?, trial.seed.stream("tuning"))?;
    let loss = |rewriter: &Rewriter| {
        checkpoint(trial.progress)?;
        Ok(stats::mean(&tuning.losses(rewriter, K).column(K).to_vec()))
    };
    let grid = [1e-3, 3e-3, 1e-2];
    let beta = tune(&mut evidence, (ROCCHIO, "beta"), &[0.1, 0.3, 1.0], |beta| loss(&plan.rocchio(beta)))?;
    let mut rate = |arm, method: LolPrf| {
        tune(&mut evidence, (arm, "rate"), &grid, |rate| loss(&tuning.learn(&LolPrf { rate, ..method }, trial.seed)?))
    };
    let rates = [rate(PLAIN, method(0.0))?, rate(LOL, method(1.0))?];
    let one = |seed| plan.repetition(&senses, beta, rates, seed, trial);
    trial.repeat(&mut evidence, Repetitions { part: "lol-prf", pilot: 4, most: plan.most }, one)?;
    identities(&mut evidence, trial)?;
    Ok(evidence)
}

fn method(lambda: f64) -> LolPrf {
    LolPrf { documents: K, lambda, ..LolPrf::default() }
}

fn mrr(k: usize) -> String {
    format!("mrr@10/k={k}")
}

impl Plan {
    /// What the paper says, what is done here, and what is expected: written down before anything is measured.
    fn evidence(&self) -> Evidence {
        let mut evidence = Evidence::new(
            "Punished for losses that grow with the feedback, a rewriter of queries is better and safer on MS MARCO, TREC's deep-learning \
             tracks and DL-Hard: ideally, the more feedback, the better.",
            format!(
                "`senses`, one of each {}: sentences ask for the sense of a word that they use. Vectors of {} values come from word \
                 vectors trained for {} steps on 45% of the queries, with length 1. A rewriter of the form of Rocchio's rule learns from \
                 another 45% with at most {K} documents of feedback; the rest, drawn anew in each repetition, measures: by how much the loss \
                 rises when one document more is given, on average over all sizes up to {K}, falls counted as 0. A rewriter \
                 that ignores its feedback never gets worse: hence a rival whose steps are shortened until it moves as far as LoL's.",
                self.step, self.dims, self.steps,
            ),
        );
        let says = "with the comparison the loss rises less by more feedback";
        evidence.expect(says, RISE, LOL, Some(PLAIN), Relation::Below(1.0)).by(By::Ratio).matters(1.03);
        let says = "and less than where the plain rewriter's steps are as short";
        evidence.expect(says, RISE, LOL, Some(SHRUNK), Relation::Below(1.0)).by(By::Ratio).matters(1.03);
        let says = "the loss of the plain rewriter with five documents is below that without feedback";
        evidence.gate(says, "loss/k=5", PLAIN, Some(NONE), Relation::Below(0.0));
        for (says, metric, rival, relation) in [
            ("with five documents it ranks better than the plain rewriter", mrr(K), PLAIN, Relation::Above(0.0)),
            ("or no worse by more than half a point", mrr(K), PLAIN, Relation::Above(-0.005)),
            ("with ten, more than it was trained for, as well", mrr(BEYOND), PLAIN, Relation::Above(-0.005)),
            ("better than without feedback", mrr(K), NONE, Relation::Above(0.0)),
            ("better than Rocchio's rule", mrr(K), ROCCHIO, Relation::Above(0.0)),
            ("fewer queries get worse by more feedback", DRIFT.to_owned(), PLAIN, Relation::Below(0.0)),
            ("it moves the query less", MOVED.to_owned(), PLAIN, Relation::Below(0.0)),
            ("its loss is no higher", "loss/k=5".to_owned(), PLAIN, Relation::Below(0.01)),
        ] {
            evidence.report(says, &metric, LOL, Some(rival), relation);
        }
        evidence
            .report("twice the weight, a smaller rise", RISE, "lambda 2", Some(LOL), Relation::Below(1.0))
            .by(By::Ratio);
        evidence
            .report("taking one side for given does as much", RISE, "detached", Some(LOL), Relation::Within(1.05))
            .by(By::Ratio);
        evidence.expectations.iter_mut().for_each(|e| e.overlap = TEST / (1.0 - TEST));
        evidence.notes = vec![
            "The rewriter is ours and small, the paper's a transformer that reads the texts. Rates are tuned for the plain rewriter and for \
             LoL, on a split of their own by the loss with five documents; the other arms of LoL have LoL's. All arms see the same \
             feedback in the same order."
                .into(),
            "Changed after a trial at quick scale: encoder and rewriter had learnt from the same queries, for which the encoder found what \
             is relevant, so that the plain rewriter did worse on others than no feedback."
                .into(),
        ];
        evidence
    }

    fn rocchio(&self, beta: f64) -> Rewriter {
        Rewriter::rocchio(self.dims, K, beta as f32)
    }

    /// Half of the queries train the encoder, the other half the rewriter: for queries that it was trained on the encoder finds what
    /// is relevant, and a rewriter would learn to trust whatever it is given.
    fn task(&self, split: &Split, seed: Seed) -> Result<Task> {
        let [first, second] = split.train.halves();
        let mut encoder = DualEncoder::start(&split.documents, &first.bags, self.dims, 2.0, seed.stream("encoder"))?;
        let star = Star { negatives: Negatives::Random, warm_up: 0, steps: self.steps, rate: 0.1, ..Star::default() };
        let pairs = training::Task { documents: &split.documents, queries: &first.bags, relevant: &first.relevant };
        star.train(&mut encoder, &pairs, seed.stream("encoder"), &Silent)?;
        let unit = |mut vectors: Array2<f32>| {
            normalise(vectors.view_mut());
            vectors
        };
        let documents = unit(encoder.documents(&split.documents));
        let (train, test) = (unit(encoder.queries(&second.bags)), unit(encoder.queries(&split.test.bags)));
        let first = search(documents.view(), test.view(), BEYOND, None, &Silent)?;
        let relevant = [second.relevant, split.test.relevant.clone()];
        Ok(Task { documents, train, test, relevant, first })
    }

    fn repetition(
        &self,
        senses: &Senses,
        beta: f64,
        [plain, lol]: [f64; 2],
        seed: Seed,
        trial: &Trial,
    ) -> Result<Vec<(&'static str, String, f64)>> {
        let task = self.task(&senses.split(TEST, seed)?, seed)?;
        let mut found = Vec::new();
        let mut record = |arm, rewriter: &Rewriter| {
            checkpoint(trial.progress)?;
            found.extend(task.figures(rewriter)?.into_iter().map(|(metric, value)| (arm, metric, value)));
            Ok::<(), quadrat_core::Error>(())
        };
        record(NONE, &self.rocchio(0.0))?;
        record(ROCCHIO, &self.rocchio(beta))?;
        let untied = task.learn(&LolPrf { rate: plain, ..method(0.0) }, seed)?;
        let tied = task.learn(&LolPrf { rate: lol, ..method(1.0) }, seed)?;
        record(PLAIN, &untied)?;
        record(LOL, &tied)?;
        record(SHRUNK, &task.shrunk(&untied, task.moved(&tied)))?;
        for (arm, method) in [
            ("lambda 0.5", method(0.5)),
            ("lambda 2", method(2.0)),
            ("two compared", LolPrf { compare: 2, ..method(1.0) }),
            ("detached", LolPrf { detach: true, ..method(1.0) }),
        ] {
            record(arm, &task.learn(&LolPrf { rate: lol, ..method }, seed)?)?;
        }
        Ok(found)
    }
}

/// Vectors of length 1, what belongs together, and what the test's queries find.
struct Task {
    documents: Array2<f32>,
    train: Array2<f32>,
    test: Array2<f32>,
    relevant: [Lists; 2],
    first: Found,
}

impl Task {
    fn learn(&self, method: &LolPrf, seed: Seed) -> Result<Rewriter> {
        let [relevant, _] = &self.relevant;
        let learnt =
            method.train(self.documents.view(), self.train.view(), relevant, seed.stream("rewriter"), &Silent)?;
        Ok(learnt.rewriter)
    }

    /// The test's queries, each with its first `k` documents.
    fn revised(&self, rewriter: &Rewriter, k: usize) -> Array2<f32> {
        let mut revised = self.test.clone();
        for (query, mut row) in revised.outer_iter_mut().enumerate() {
            let rows = self.first.of(query).0.iter().take(k);
            let documents: Vec<ArrayView1<f32>> = rows.map(|row| self.documents.row(*row as usize)).collect();
            let new = rewriter.revise(row.view(), &documents);
            row.assign(&new);
        }
        revised
    }

    /// Queries x (`most` + 1): the cross-entropy of all documents with 0, 1, .. documents of feedback.
    fn losses(&self, rewriter: &Rewriter, most: usize) -> Array2<f64> {
        let mut losses = Array2::zeros((self.test.nrows(), most + 1));
        let temperature = LolPrf::default().temperature;
        for (k, mut losses) in losses.axis_iter_mut(Axis(1)).enumerate() {
            let revised = self.revised(rewriter, k);
            // In blocks, so that the scores stay small.
            for (at, block) in revised.axis_chunks_iter(Axis(0), 256).enumerate() {
                let scores = block.dot(&self.documents.t());
                for (row, scores) in scores.outer_iter().enumerate() {
                    let query = 256 * at + row;
                    let scaled: Vec<f64> = scores.iter().map(|score| f64::from(*score) / temperature).collect();
                    let most = scaled.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                    let sum: f64 = scaled.iter().map(|score| (score - most).exp()).sum();
                    let own =
                        self.relevant[1][query].iter().map(|row| scaled[*row as usize]).fold(f64::INFINITY, f64::min);
                    losses[query] = most + sum.ln() - own;
                }
            }
        }
        losses
    }

    /// How far queries move with all documents, on average.
    fn moved(&self, rewriter: &Rewriter) -> f64 {
        let gaps = &self.revised(rewriter, K) - &self.test;
        let norms: Vec<f64> = gaps.outer_iter().map(|gap| f64::from(gap.dot(&gap)).sqrt()).collect();
        stats::mean(&norms)
    }

    /// A rewriter whose documents' share is made smaller, or larger, until it moves so far.
    fn shrunk(&self, rewriter: &Rewriter, moved: f64) -> Rewriter {
        let of = |factor: f32| Rewriter { transform: &rewriter.transform * factor, ..rewriter.clone() };
        let (mut low, mut high) = (0.0, 4.0);
        for _ in 0..20 {
            let middle = 0.5 * (low + high);
            if self.moved(&of(middle)) < moved { low = middle } else { high = middle }
        }
        of(0.5 * (low + high))
    }

    fn figures(&self, rewriter: &Rewriter) -> Result<Vec<(String, f64)>> {
        let losses = self.losses(rewriter, K);
        let rises: Vec<f64> =
            losses.rows().into_iter().flat_map(|row| (0..K).map(move |k| row[k + 1] - row[k])).collect();
        let of = |rise: fn(&f64) -> f64| stats::mean(&rises.iter().map(rise).collect::<Vec<f64>>());
        let mut figures = vec![
            (RISE.to_owned(), of(|rise| rise.max(0.0))),
            (DRIFT.to_owned(), of(|rise| f64::from(u8::from(*rise > 0.0)))),
            (MOVED.to_owned(), self.moved(rewriter)),
            ("loss/k=5".to_owned(), stats::mean(&losses.column(K).to_vec())),
        ];
        for k in [0, 1, 3, K, BEYOND] {
            let revised = self.revised(rewriter, k);
            let found = quality(self.documents.view(), revised.view(), &self.relevant[1], &Silent)?;
            figures.push((mrr(k), found.mrr_at_10));
        }
        Ok(figures)
    }
}

/// What must hold whatever the data.
fn identities(evidence: &mut Evidence, trial: &Trial) -> Result<()> {
    let mut rng = trial.seed.stream("identities").rng(0);
    let losses = Array2::from_shape_simple_fn((50, 2), || rng.normal());
    let found = comparative_hinge(losses.view(), false)?;
    let worse: Vec<f64> = losses.outer_iter().map(|row| (row[0] - row[1]).max(0.0)).collect();
    evidence.identity(
        "the comparison of two revisions is the mean of what more feedback costs",
        found.value,
        stats::mean(&worse),
        1e-12,
    );
    let share = worse.iter().filter(|rise| **rise > 0.0).count() as f64 / 50.0;
    let name = "its derivatives by the losses with more feedback sum to the share of those that cost";
    evidence.identity(name, found.slope.column(0).sum(), share, 1e-12);
    let mut sorted = losses;
    sorted.rows_mut().into_iter().for_each(|mut row| {
        if row[0] > row[1] {
            row.swap(0, 1);
        }
    });
    evidence.identity(
        "it is 0 where more feedback is never worse",
        comparative_hinge(sorted.view(), false)?.value,
        0.0,
        0.0,
    );
    let vectors = Array2::from_shape_simple_fn((4, 8), || rng.normal() as f32);
    let rewriter = Rewriter { attention: Array2::from_diag_elem(8, 0.3), ..Rewriter::rocchio(8, 3, 0.7) };
    let rows: Vec<ArrayView1<f32>> = vectors.outer_iter().skip(1).collect();
    let gap =
        |a: ArrayView1<f32>, b: ArrayView2<f32>| (&a - &b.row(0)).iter().fold(0.0, |most: f32, d| most.max(d.abs()));
    let none = rewriter.revise(vectors.row(0), &[]);
    evidence.identity(
        "without documents the query is what it was: largest difference",
        gap(none.view(), vectors.view()).into(),
        0.0,
        0.0,
    );
    let length = |v: ArrayView1<f32>| f64::from(v.dot(&v)).sqrt();
    let new = rewriter.revise(vectors.row(0), &rows);
    evidence.identity("a new query is as long as the old one", length(new.view()), length(vectors.row(0)), 1e-5);
    Ok(())
}
