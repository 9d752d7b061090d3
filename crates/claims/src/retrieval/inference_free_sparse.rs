//! Documents that learn their words' weights: at the same serving cost, do fixed idf weights of a query's words rank better than none?

mod data;
mod identities;

use crate::figures::point;
use crate::tune::tune;
use crate::{Repetitions, Trial};
use data::{Curve, Data};
use identities::identities;
use quadrat_core::{Evidence, Plot, Relation, Result, Seed, Series, checkpoint, stats};
use quadrat_data::builtin;
use quadrat_retrieval::Asked;
use quadrat_retrieval::training::{InferenceFreeSparse, Sparsifier, Target, Teachers};

/// The size of the experiment.
struct Plan {
    documents: usize,
    steps: usize,
    most: usize,
}

/// Rank of the expansion, and of the dense teacher.
const RANK: usize = 16;
const DENSE: usize = 256;
/// Documents of the whole set.
const ALL: f64 = 10117.0;

const OURS: &str = "idf-aware";
const PLAIN: &str = "idf = 1";
const LABELS: &str = "infonce";
const PLAIN_LABELS: &str = "infonce, idf = 1";

/// How an arm differs from ours, and the weights of its penalty: five for the two that decide, three for the others.
struct Arm {
    name: &'static str,
    change: fn(&mut InferenceFreeSparse),
    lambdas: &'static [f64],
    /// The arm whose tuned rate it has.
    rate_of: &'static str,
}

const LAMBDAS: [f64; 5] = [1.0, 2.2, 5.0, 11.0, 25.0];
const FEW: [f64; 3] = [1.0, 5.0, 25.0];

const ARMS: [Arm; 8] = [
    arm(OURS, |_| (), &LAMBDAS, OURS),
    arm(PLAIN, |method| method.query_weights = Asked::One, &[0.1, 0.22, 0.5, 1.1, 2.5], PLAIN),
    arm("dense teacher", |method| teach(method, Teachers::Dense, Some(30.0)), &FEW, OURS),
    arm("sparse teacher", |method| teach(method, Teachers::Sparse, Some(30.0)), &FEW, OURS),
    arm("raw teachers", |method| teach(method, Teachers::Both, None), &FEW, OURS),
    arm(LABELS, |method| method.target = Target::InfoNce, &FEW, LABELS),
    arm(
        PLAIN_LABELS,
        |method| {
            method.target = Target::InfoNce;
            method.query_weights = Asked::One;
        },
        &[0.1, 0.5, 2.5],
        PLAIN_LABELS,
    ),
    arm("l1", |method| method.penalty = Sparsifier::L1, &[0.03, 0.1, 0.3], "l1"),
];

const fn arm(
    name: &'static str,
    change: fn(&mut InferenceFreeSparse),
    lambdas: &'static [f64],
    rate_of: &'static str,
) -> Arm {
    Arm { name, change, lambdas, rate_of }
}

fn teach(method: &mut InferenceFreeSparse, teachers: Teachers, scale: Option<f64>) {
    method.target = Target::Distil { teachers, scale };
}

/// Runs the experiment.
pub fn run(trial: &Trial) -> Result<Evidence> {
    let plan = trial.at(
        Plan { documents: 200, steps: 20, most: 2 },
        Plan { documents: 800, steps: 250, most: 8 },
        Plan { documents: 1500, steps: 300, most: 20 },
    );
    let mut evidence = plan.evidence();
    let pairs = senses()?;
    let own = Data::draw(&pairs, plan.documents, trial.seed.stream("tuning"))?;
    let mut rates: Vec<(&str, f64)> = Vec::new();
    for arm in ARMS.iter().filter(|arm| arm.name == arm.rate_of) {
        let rate = tune(&mut evidence, (arm.name, "rate"), &[2e-4, 5e-4, 1.25e-3], |rate| {
            checkpoint(trial.progress)?;
            let last = arm.lambdas.len() - 1;
            let curve =
                own.curve(plan.steps, arm, &[arm.lambdas[0], arm.lambdas[last / 2], arm.lambdas[last]], rate)?;
            Ok(1.0 - own.mean(&curve, own.range(&[])))
        })?;
        rates.push((arm.name, rate));
    }
    let one = |seed| plan.repetition(&pairs, &rates, seed, trial);
    trial.repeat(&mut evidence, Repetitions { part: "senses", pilot: 3, most: plan.most }, one)?;
    evidence.plots = vec![plot(&evidence)];
    identities(&mut evidence, trial)?;
    Ok(evidence)
}

/// Definitions, and a sentence for each.
fn senses() -> Result<Vec<(String, String)>> {
    let table = builtin::find("senses")?.table(&[])?;
    Ok(table.strings("text")?.into_iter().zip(table.strings("query")?).collect())
}

/// The metric of two arms at equal cost.
fn against(rival: &str) -> String {
    format!("ndcg@10 at equal FLOPS/{rival}")
}

fn place(at: usize, what: &str) -> String {
    format!("{what}/lambda {}", at + 1)
}

impl Plan {
    /// What the paper says, what is done here, and what is expected: written down before anything is measured.
    fn evidence(&self) -> Evidence {
        let mut evidence = Evidence::new(
            "Fixed idf weights of a query's words while documents are trained, and distillation from a dense and a sparse teacher \
             whose scores are brought to one range, give 3.3 points of NDCG@10 on BEIR over the best earlier inference-free model; \
             without either the ablations lose.",
            format!(
                "`senses`: {} definitions drawn anew in each repetition, each with an example sentence as its query; half of the queries \
                 teach, the other half measure, both among all definitions. The student is a bag-of-words encoder that starts at BM25 \
                 (a gate for each word, and an expansion of rank {RANK}), trained {} steps of 32 queries with a hard candidate each. \
                 Teachers: BM25, and latent semantic analysis with {DENSE} dimensions. Every arm is trained with several weights of its penalty, \
                 which gives a curve of NDCG@10 over FLOPS (postings that a query meets for each document), counted on the test queries. \
                 Two arms are compared by the mean of their curves over what range of FLOPS both have, between a tenth of \
                 BM25's and BM25's own: equal serving cost, not equal penalty.",
                self.documents, self.steps
            ),
        );
        let says = "idf-aware training ranks better than training with idf = 1 (SPLADE-doc)";
        evidence.expect(says, &against(PLAIN), OURS, Some(PLAIN), Relation::Above(0.0)).matters(0.01);
        for (says, rival, relation) in [
            ("both normalised teachers are better than the dense one alone", "dense teacher", Relation::Above(0.0)),
            ("and than the sparse one alone", "sparse teacher", Relation::Above(0.0)),
            ("and than the mean of their raw scores", "raw teachers", Relation::Above(0.0)),
            ("distillation is better than InfoNCE", LABELS, Relation::Above(0.0)),
            ("FLOPS is better than L1", "l1", Relation::Above(0.0)),
            ("better than BM25 at BM25's own cost", "bm25", Relation::Above(0.0)),
        ] {
            evidence.report(says, &against(rival), OURS, Some(rival), relation);
        }
        let says = "with InfoNCE, idf-aware training is better than training with idf = 1";
        evidence.report(says, &against(PLAIN_LABELS), LABELS, Some(PLAIN_LABELS), Relation::Above(0.0));
        // Two draws share some definitions.
        let share = self.documents as f64 / ALL;
        evidence.expectations.iter_mut().for_each(|e| e.overlap = share / (1.0 - share));
        evidence.notes = vec![
            "Not as in the paper: the student (a transformer there), the size of the collection, and the dense teacher, which here is \
             far weaker than BM25: example sentences share few words with definitions, and none of the collection's own statistics \
             makes up for that. What is asked of the ensemble is reported and does not decide."
                .into(),
            "Both arms that decide start at BM25, so that with idf = 1 documents carry idf from the start and need not learn it, as \
             SPLADE-doc must: what is compared is the penalty, of the weights with idf or without."
                .into(),
            "The rate is tuned on a draw of its own for each kind of loss, penalty and query weights; arms that differ in the teachers alone \
             share ours. FLOPS counts weights that are at least half a step of 255 in an index, so that it is what a search meets."
                .into(),
            "Fixed on seeds of 100 and above: Adam with one second moment for all words. With one for each word, both arms lost \
             rare words first, whatever the penalty, and no weight of it could be compared."
                .into(),
        ];
        evidence
    }

    fn repetition(
        &self,
        pairs: &[(String, String)],
        rates: &[(&str, f64)],
        seed: Seed,
        trial: &Trial,
    ) -> Result<Vec<(&'static str, String, f64)>> {
        let data = Data::draw(pairs, self.documents, seed)?;
        let mut found = Vec::new();
        let mut curves: Vec<(&str, Curve)> = Vec::new();
        for arm in &ARMS {
            checkpoint(trial.progress)?;
            let rate = rates.iter().find(|(name, _)| *name == arm.rate_of).map_or(f64::NAN, |(_, rate)| *rate);
            let curve = data.curve(self.steps, arm, arm.lambdas, rate)?;
            for (at, (flops, ndcg)) in curve.iter().enumerate() {
                found.push((arm.name, place(at, "flops"), *flops));
                found.push((arm.name, place(at, "ndcg@10"), *ndcg));
            }
            curves.push((arm.name, curve));
        }
        curves.push(("bm25", vec![data.bm25]));
        let of = |name: &str| curves.iter().find(|(arm, _)| *arm == name).map(|(_, curve)| curve);
        for (rival, curve) in &curves {
            let beside = if *rival == PLAIN_LABELS { LABELS } else { OURS };
            if let Some(own) = of(beside).filter(|_| *rival != OURS) {
                let range = data.range(&[own, curve]);
                found.push((beside, against(rival), data.mean(own, range)));
                found.push((*rival, against(rival), data.mean(curve, range)));
            }
        }
        found.push(("bm25", "flops".to_owned(), data.bm25.0));
        found.push(("bm25", "ndcg@10".to_owned(), data.bm25.1));
        Ok(found)
    }
}

fn plot(evidence: &Evidence) -> Plot {
    let mean = |arm: &str, metric: &str| {
        stats::mean(&evidence.values(arm, metric).into_iter().map(|(_, value)| value).collect::<Vec<f64>>())
    };
    let series = |arm: &Arm| {
        let points = (0..arm.lambdas.len())
            .map(|at| point(evidence, arm.name, &place(at, "ndcg@10"), mean(arm.name, &place(at, "flops")), 0.0));
        Series { name: arm.name.to_owned(), points: points.collect() }
    };
    let mut series: Vec<Series> = ARMS.iter().map(series).collect();
    series.push(Series {
        name: "bm25".to_owned(),
        points: vec![point(evidence, "bm25", "ndcg@10", mean("bm25", "flops"), 0.0)],
    });
    Plot {
        title: "NDCG@10 by serving cost".into(),
        x: "FLOPS: postings that a query meets for each document".into(),
        y: "NDCG@10".into(),
        log_x: true,
        log_y: false,
        series,
    }
}
