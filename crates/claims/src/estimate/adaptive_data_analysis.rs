//! Asked again and again, does the hold-out set still tell the truth? Feature selection on pure noise, two attacks, and
//! questions without end over a finite domain, each with the mechanisms and with plain means.

mod finite_domain;
mod forward_selection;
mod freedman;
mod votes;

use crate::Trial;
use finite_domain::finite_domain;
use forward_selection::forward_selection;
use freedman::freedman;
use quadrat_core::{Error, Evidence, Plot, Relation, Result, Seed, Series, checkpoint, stats};
use quadrat_data::builtin;
use quadrat_estimate::adaptive_data_analysis::{Ladder, Noise, Split, Thresholdout};
use quadrat_estimate::adaptive_data_analysis::{Query, QueryMechanism};
use rayon::prelude::*;
use votes::{coverage, formula, insiders, leaderboard, vote_everywhere};

/// The size of the experiments.
struct Sizes {
    /// (rows and variables, repetitions) of Freedman's paradox.
    freedman: Vec<(usize, u64)>,
    /// Votes of the voting attack, and its repetitions.
    votes: Vec<usize>,
    vote_repeats: u64,
    /// Submissions of the attack on a leaderboard, and its repetitions.
    submissions: usize,
    board_repeats: u64,
    /// Questions over the finite domain, and repetitions.
    questions: Vec<usize>,
    domain_repeats: u64,
    /// Attacks against a certified interval.
    runs: u64,
    /// Splits of the real data, and noise columns beside it.
    splits: u64,
    noise_columns: usize,
}

/// Variables that the classifier of Freedman's paradox combines.
const CHOSEN: usize = 100;
/// Variables that know the label, where any do, and how much: in units of 1/sqrt(n).
const TRUE_VARIABLES: (usize, f64) = (20, 6.0);
/// Rows of the voting attack.
const VOTERS: usize = 1000;
/// Rows of the attack on a leaderboard.
const BOARD: usize = 4000;
/// Bits of a row of the finite domain, and rows.
const DOMAIN: (usize, usize) = (10, 2000);
/// Certified coverage: rows, votes, failure probability.
const COVERAGE: (usize, usize, f64) = (8000, 40, 0.05);
/// Steps of forward selection.
const STEPS: usize = 10;

/// A figure: arm, metric, value.
type Found = Vec<(String, String, f64)>;

/// Runs the experiments.
pub fn run(trial: &Trial) -> Result<Evidence> {
    let sizes = trial.at(
        Sizes {
            freedman: vec![(300, 2)],
            votes: vec![101],
            vote_repeats: 2,
            submissions: 50,
            board_repeats: 2,
            questions: vec![100, 400],
            domain_repeats: 2,
            runs: 4,
            splits: 2,
            noise_columns: 50,
        },
        Sizes {
            freedman: vec![(2000, 20)],
            votes: vec![101, 301, 501, 1001, 2001],
            vote_repeats: 40,
            submissions: 400,
            board_repeats: 100,
            questions: vec![500, 5000],
            domain_repeats: 10,
            runs: 200,
            splits: 10,
            noise_columns: 2000,
        },
        Sizes {
            freedman: vec![(2000, 100), (10_000, 10)],
            votes: vec![101, 301, 501, 1001, 2001],
            vote_repeats: 100,
            submissions: 400,
            board_repeats: 100,
            questions: vec![500, 5000, 50_000],
            domain_repeats: 40,
            runs: 1000,
            splits: 20,
            noise_columns: 2000,
        },
    );
    let mut evidence = expected(&sizes);
    let seed = trial.seed.stream("adaptive data analysis");
    let nth = |name: &str, i: u64| seed.stream(name).stream(&i.to_string());
    for &(n, repeats) in &sizes.freedman {
        repeat(trial, &mut evidence, "Freedman's paradox", repeats, |i| {
            let seed = nth(&format!("freedman {n}"), i);
            Ok([freedman(n, false, seed.stream("none"))?, freedman(n, true, seed.stream("some"))?].concat())
        })?;
    }
    repeat(trial, &mut evidence, "voting attack", sizes.vote_repeats, |i| {
        vote_everywhere(&sizes.votes, nth("vote", i))
    })?;
    repeat(trial, &mut evidence, "leaderboard attack", sizes.board_repeats, |i| {
        leaderboard(sizes.submissions, nth("board", i))
    })?;
    repeat(trial, &mut evidence, "finite domain", sizes.domain_repeats, |i| {
        finite_domain(&sizes.questions, nth("domain", i), trial)
    })?;
    repeat(trial, &mut evidence, "coverage", sizes.runs, |i| coverage(nth("coverage", i)))?;
    let (x, classes, _) = builtin::labelled("breast_cancer")?;
    repeat(trial, &mut evidence, "forward selection", sizes.splits, |i| {
        forward_selection(&x, &classes, sizes.noise_columns, nth("real", i))
    })?;
    identities(&mut evidence)?;
    evidence.plots = vec![budget_curve(&evidence, &sizes), domain_curve(&evidence, &sizes)];
    let passes = crossings(&evidence, &sizes);
    evidence.notes.push(passes);
    Ok(evidence)
}

/// Runs independent repetitions in parallel and enters their figures in order.
fn repeat(
    trial: &Trial,
    evidence: &mut Evidence,
    what: &str,
    repeats: u64,
    one: impl Fn(u64) -> Result<Found> + Sync,
) -> Result<()> {
    trial.progress.begin(what, Some(repeats));
    let outcome = |i: u64| {
        checkpoint(trial.progress)?;
        let found = one(i);
        trial.progress.advance(1);
        found
    };
    for (i, found) in (0..).zip((0..repeats).into_par_iter().map(outcome).collect::<Result<Vec<_>>>()?) {
        found.iter().for_each(|(arm, metric, value)| evidence.measure(arm, metric, i, *value));
    }
    Ok(())
}

/// What the papers say, what is done here, and what is expected: written down before anything is measured.
fn expected(sizes: &Sizes) -> Evidence {
    let mut e = Evidence {
        paper:
            "With coordinated noise the number of valid adaptive answers is exponential in the number of rows, against \
                linear for plain means (STOC 2015). Where variables are selected on a hold-out set of pure noise, its \
                estimate rises far above the truth; Thresholdout's stays at it, and it finds true variables as well \
                (Science 2015). Probing does not move the Ladder (ICML 2015)."
                .into(),
        experiment: format!(
            "A: n rows, n normal variables, random labels; the {CHOSEN} variables of largest training correlation among \
             those where training and hold-out answers pass 1/sqrt(n) with one sign vote; with and without {} true \
             variables of bias {}/sqrt(n). B: votes of random features by the sign of their answers on {VOTERS} rows; \
             against Thresholdout by an analyst who knows the training labels, sets training means at the threshold or 1.5 \
             or 3 deviations of the noise below it, and reads from which rows answer where the hold-out means lie. \
             Leaderboard: {} random submissions on {BOARD} rows, then the majority of those that looked better than \
             chance (for the Ladder: that moved it). C: forward selection of {STEPS} variables on breast_cancer with {} \
             columns of noise, thirds for training, hold-out, fresh. D: random questions over 2^{} combinations of bits \
             and {} rows, then the question that their answers' errors vote for. Coverage: {} attacks against a certified \
             interval.",
            TRUE_VARIABLES.0, TRUE_VARIABLES.1, sizes.submissions, sizes.noise_columns, DOMAIN.0, DOMAIN.1, sizes.runs
        ),
        ..Evidence::default()
    };
    for (n, _) in &sizes.freedman {
        let at = |what: &str, signal: &str| format!("A {what}/n={n} {signal}");
        let (none, some) = ("no signal", "signal");
        let (mut decides, mut shows) = (Vec::new(), Vec::new());
        let theory = "no signal: the plain estimate is what theory says, Phi(1.525 sqrt(k/n))";
        decides.push((theory, at("hold-out minus theory", none), "naive", None, Relation::Within(0.01)));
        if *n < 10_000 {
            let high = "no signal: the plain hold-out set is 0.10 too high or more (about 0.13)";
            decides.push((high, at("gap", none), "naive", None, Relation::Above(0.10)));
            let right = "no signal: Thresholdout is less than 0.04 too high (about 0.02)";
            decides.push((right, at("gap", none), "thresholdout", None, Relation::Below(0.04)));
            let better = "no signal: Thresholdout's gap is smaller by 0.08 or more";
            decides.push((better, at("gap", none), "thresholdout", Some("naive"), Relation::Below(-0.08)));
            let high = "signal: the plain hold-out set is 0.05 too high or more (about 0.10)";
            decides.push((high, at("gap", some), "naive", None, Relation::Above(0.05)));
            let noisy = "no signal: noise addition at the planned scale is right on average, to 0.1";
            shows.push((noisy, at("gap", none), "gaussian planned", None, Relation::Within(0.1)));
        } else {
            let better = "no signal: Thresholdout's gap is smaller";
            decides.push((better, at("gap", none), "thresholdout", Some("naive"), Relation::Below(0.0)));
        }
        let as_good = "signal: Thresholdout's classifier is as good on fresh rows, to 0.02";
        decides.push((as_good, at("fresh", some), "thresholdout", Some("naive"), Relation::Within(0.02)));
        for (says, metric, arm, against, relation) in decides {
            e.expect(says, &metric, arm, against, relation);
        }
        for (says, metric, arm, against, relation) in shows {
            e.report(says, &metric, arm, against, relation);
        }
    }
    if let Some(k) = sizes.votes.last() {
        for arm in ["naive", "gaussian 0.01", "gaussian 0.02", "gaussian 0.03", "gaussian 0.05"] {
            e.expect(
                &format!("{k} votes on {arm} gain what the formula says, to 0.01"),
                &format!("B gain minus formula/k={k}"),
                arm,
                None,
                Relation::Within(0.01),
            );
        }
        for (arm, budget, _) in insiders() {
            let metric = format!("B error/k={k}");
            let _ = match budget {
                Some(budget) => e.expect(
                    &format!("whoever knows the training labels gains less than 0.1 from a budget of {budget}"),
                    &metric,
                    &arm,
                    None,
                    Relation::Below(0.1),
                ),
                None => e.expect(
                    &format!("and more than 0.15 from {k} questions without one: it is the budget that protects"),
                    &metric,
                    &arm,
                    None,
                    Relation::Above(0.15),
                ),
            };
        }
        e.expect(
            &format!("plain means are more than 0.3 off after {k} votes"),
            &format!("B error/k={k}"),
            "naive",
            None,
            Relation::Above(0.3),
        );
    }
    e.expect("the plain board falls for the attack by 0.05", "leaderboard error", "naive", None, Relation::Above(0.05));
    e.expect("the Ladder by less than 0.03", "leaderboard error", "ladder", None, Relation::Below(0.03));
    e.expect(
        "and by 0.03 less than the plain board",
        "leaderboard error",
        "ladder",
        Some("naive"),
        Relation::Below(-0.03),
    );
    if let (Some(first), Some(last)) = (sizes.questions.first(), sizes.questions.last()) {
        let metric = format!("D largest error/k={last}");
        e.expect(
            &format!("PMW's largest error grows by less than 0.1 from {first} to {last} questions"),
            "D growth of the largest error",
            "pmw",
            None,
            Relation::Below(0.1),
        );
        e.expect("and is below that of plain means in the end", &metric, "pmw", Some("naive"), Relation::Below(0.0));
        e.expect(
            "and below that of planned Gaussian noise",
            &metric,
            "pmw",
            Some("gaussian planned"),
            Relation::Below(0.0),
        );
        e.report(
            "PMW updates fewer than 200 times",
            &format!("D updates/k={last}"),
            "pmw",
            None,
            Relation::Below(200.0),
        );
    }
    for arm in ["gaussian planned", "ladder planned"] {
        e.expect(
            &format!("{arm}: the certified interval covers 95% of the attacks or more"),
            "covered",
            arm,
            None,
            Relation::Above(1.0 - COVERAGE.2 - 1e-9),
        );
    }
    e.report("C: plain means claim too much", "C claim minus fresh", "naive", None, Relation::Above(0.0));
    for arm in ["thresholdout", "ladder"] {
        let says = format!("C: {arm} claims less too much");
        e.report(&says, "C claim minus fresh", arm, Some("naive"), Relation::Below(0.0));
    }
    e.notes.push(
        "Thresholdout and PMW run with their experimental constants (T = 4/sqrt(n), noise 1/sqrt(n)), which are not \
         certified; at these sizes the theory's constants are vacuous. Splitting takes part where there is at least one \
         row a question. Nothing is tuned for any arm. With 190 hold-out rows (experiment C) T is 0.29: there \
         Thresholdout can only notice gross overfitting, so C is reported and does not decide."
            .into(),
    );
    e.notes.push(
        "Changed after a first run at full scale: D had 10 repetitions, which left PMW's growth open (0.050, from -0.004 \
         to 0.103); it has 40 now, the first ten among them. And the margins of n = 2,000 had been put to n = 10,000 as \
         well, where theory itself says a gap of 0.061 (measured: 0.059); there only theory, the comparison and the fresh \
         accuracy are asked now. Later: Thresholdout had stood against votes of features that are random on the training \
         rows too, an attack without power over it; now the analyst knows the training labels, and the budget is on."
            .into(),
    );
    e
}

/// What must hold whatever the data.
fn identities(evidence: &mut Evidence) -> Result<()> {
    for (s, accuracy) in [(0.0, 0.870), (0.01, 0.830), (0.02, 0.758), (0.03, 0.701), (0.05, 0.633)] {
        let name = format!("voting formula, n = 1000, k = 2000, s = {s}");
        evidence.identity(&name, formula(2000, 1000, s), accuracy, 5e-4);
    }
    let truth = [1.0, 0.0, 1.0, 1.0, 1.0, 0.0];
    let mut ladder = Ladder::auto(6, true)?;
    for (prediction, shown) in [
        ([0.0; 6], 2.0 / 3.0),
        ([1.0, 0.0, 0.0, 0.0, 0.0, 0.0], 2.0 / 3.0),
        ([1.0, 0.0, 1.0, 0.0, 0.0, 0.0], 1.0 / 3.0),
    ] {
        let losses: Vec<f64> = truth.iter().zip(prediction).map(|(t, p)| f64::from(*t != p)).collect();
        let value = ladder.answer(&losses, &mut Seed(0).rng(0))?.value;
        evidence.identity("the Ladder's board in its authors' example", value, shown, 1e-12);
    }
    let half: Vec<f64> = (0..400).map(|row| (f64::from(row) * 0.37).fract()).collect();
    let mut mechanism = Thresholdout::custom(400, 400, Noise::Gaussian, 0.11, 0.01, None)?;
    let both = [half.clone(), half.clone()].concat();
    for i in 0..100 {
        let value = mechanism.answer(&both, &mut Seed(1).rng(i))?.value;
        if value.to_bits() != half.mean(0..400)?.to_bits() || i == 99 {
            let name = "equal parts, T = 11 sigma: Thresholdout gives the training answer bit for bit";
            evidence.identity(name, value, half.mean(0..400)?, 0.0);
        }
    }
    let mut spent = Split::new(60, 2, 0.05)?;
    let query = vec![1.0; 60];
    let refused = (0..3).map(|i| spent.answer(&query, &mut Seed(2).rng(i)));
    let refused = refused.filter(|answer| matches!(answer, Err(Error::Exhausted { .. }))).count();
    evidence.identity("a budget of 2 refuses the third question", refused as f64, 1.0, 0.0);
    Ok(())
}

fn mean_of(evidence: &Evidence, arm: &str, metric: &str) -> Option<stats::Interval> {
    let values: Vec<f64> = evidence.values(arm, metric).into_iter().map(|(_, value)| value).collect();
    (!values.is_empty()).then(|| stats::t_interval(&values, 0.95, 0.0))
}

/// The arms of the voting attack.
fn vote_arms() -> Vec<String> {
    let plain =
        ["naive", "gaussian 0.01", "gaussian 0.02", "gaussian 0.03", "gaussian 0.05", "gaussian planned", "split"];
    plain.into_iter().map(str::to_owned).chain(insiders().into_iter().map(|(arm, ..)| arm)).collect()
}

fn budget_curve(evidence: &Evidence, sizes: &Sizes) -> Plot {
    let point = |arm: &str, k: usize| {
        let found = mean_of(evidence, arm, &format!("B error/k={k}"))?;
        Some([k as f64, found.mean, found.low, found.high])
    };
    let series = vote_arms().into_iter().map(|arm| {
        let points = sizes.votes.iter().filter_map(|k| point(&arm, *k)).collect();
        Series { name: arm, points }
    });
    Plot {
        title: format!("How far the answer to a vote is off, {VOTERS} rows"),
        x: "votes".into(),
        y: "answer minus the truth".into(),
        log_x: true,
        log_y: false,
        series: series.collect(),
    }
}

fn domain_curve(evidence: &Evidence, sizes: &Sizes) -> Plot {
    let point = |arm: &str, k: usize| {
        let found = mean_of(evidence, arm, &format!("D largest error/k={k}"))?;
        Some([k as f64, found.mean, found.low, found.high])
    };
    let series = ["naive", "gaussian planned", "pmw"].map(|arm| Series {
        name: arm.to_owned(),
        points: sizes.questions.iter().filter_map(|k| point(arm, *k)).collect(),
    });
    Plot {
        title: format!("Largest error over a domain of 2^{}, {} rows", DOMAIN.0, DOMAIN.1),
        x: "questions".into(),
        y: "largest error".into(),
        log_x: true,
        log_y: false,
        series: series.into(),
    }
}

/// Where the vote's answer is off by more than 0.1 on average.
fn crossings(evidence: &Evidence, sizes: &Sizes) -> String {
    let of_arm = |arm: &String| {
        let off = |k: &&usize| mean_of(evidence, arm, &format!("B error/k={k}")).is_some_and(|e| e.mean.abs() > 0.1);
        match sizes.votes.iter().find(off) {
            Some(k) => format!("{arm} by {k} votes"),
            None => format!("{arm} never"),
        }
    };
    let list: Vec<String> = vote_arms().iter().map(of_arm).collect();
    format!("Voting attack: the mean answer is more than 0.1 off for the first time: {}.", list.join(", "))
}
