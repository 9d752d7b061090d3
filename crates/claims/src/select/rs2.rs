//! Fresh random subsets against subsets chosen once: at the same number of steps, does the freshness beat the choice?

use crate::figures::point;
use crate::tune::tune;
use crate::{Repetitions, Trial};
use ndarray::{Array2, Axis};
use quadrat_core::{By, Evidence, Plot, Relation, Result, Seed, Series, Silent, checkpoint};
use quadrat_data::builtin;
use quadrat_numeric::Points;
use quadrat_numeric::learners::{Learner, Mlp, Standard};
use quadrat_numeric::linalg::Pca;
use quadrat_numeric::metrics::accuracy;
use quadrat_select::{AskTell, FacilityLocation, Herding, KCenter, Pool, Random, RoundDraw, Rounds, Selector};
use std::collections::HashSet;
use std::time::Instant;

/// The size of the experiment.
struct Plan {
    data: &'static str,
    most: usize,
    /// Share of the rows that only measure.
    test: f64,
    /// Share of the rows in a round: the one that decides, and others that are reported.
    ratio: f64,
    others: &'static [f64],
    /// Numbers of rounds, ascending, each trained on its own with the schedule that it allows.
    rounds: &'static [usize],
}

/// Networks' inputs: principal components of the pool, each with deviation 1.
const COMPONENTS: usize = 50;
/// Epochs of the proxy network that scores rows for two of the rivals.
const PROXY: usize = 5;
const BATCH: usize = 32;

/// Subsets that are chosen once, by who chooses.
const STATIC: [&str; 6] = ["static random", "k-center", "herding", "facility location", "el2n", "margin"];
/// In each repetition the one of them that does best in its test.
const BEST: &str = "best static subset";
/// The arm that trains for whole epochs, as many as the rounds' steps allow.
const SHORT: &str = "whole epochs";
const WITH: &str = "rs2 with replacement";
const STRATIFIED: &str = "rs2 stratified";

/// Runs the experiment.
pub fn run(trial: &Trial) -> Result<Evidence> {
    let digits = |rounds| Plan { data: "digits", most: 20, test: 0.3, ratio: 0.1, others: &[], rounds };
    let mnist = Plan {
        data: "mnist",
        most: 12,
        test: 1.0 / 6.0,
        ratio: 0.1,
        others: &[0.01, 0.03],
        rounds: &[3, 6, 12, 25, 50, 100],
    };
    let plan = trial.at(digits(&[3, 12]), digits(&[3, 6, 12, 25, 50, 100]), mnist);
    let mut evidence = plan.evidence();
    let (x, y, classes) = builtin::labelled(plan.data)?;
    let table = (&x, &y[..], classes.len());
    let tuning = trial.seed.stream("tuning");
    let data = plan.split(table, tuning)?;
    let (n, m) = (data.y.len(), (plan.ratio * data.y.len() as f64).round() as usize);
    let chosen = tuning.stream("chosen").rng(0).sample(n, m);
    let grid = [3e-3, 1e-2, 3e-2];
    let fresh = tune(&mut evidence, ("rs2", "rate"), &grid, |rate| {
        let mut rounds = Rounds::new(n, RoundDraw::WithoutReplacement, None, tuning)?;
        Ok(1.0 - data.fit(&network(plan.most_rounds(), rate), &mut |_| rounds.ask(m), tuning)?)
    })?;
    let fixed = tune(&mut evidence, ("static random", "rate"), &grid, |rate| {
        let mut round = |epoch| Ok(shuffled(&chosen, tuning, epoch));
        Ok(1.0 - data.fit(&network(plan.most_rounds(), rate), &mut round, tuning)?)
    })?;
    let one = |seed| plan.repetition(table, [fresh, fixed], seed, trial);
    trial.repeat(&mut evidence, Repetitions { part: "rs2", pilot: 4, most: plan.most }, one)?;
    evidence.plots = vec![plan.plot(&evidence)];
    identities(&mut evidence, trial)?;
    Ok(evidence)
}

fn metric(ratio: f64) -> String {
    format!("accuracy/r={}%", 100.0 * ratio)
}

impl Plan {
    /// What the paper says, what is done here, and what is expected: written down before anything is measured.
    fn evidence(&self) -> Evidence {
        let most = self.most_rounds();
        let mut evidence = Evidence::new(
            "Against some thirty methods of pruning and distillation, training on a fresh random tenth of the data or less \
             in every round is up to 29 points more accurate on ImageNet and takes a seventh of the time; drawing without \
             replacement is best at every ratio on CIFAR-10.",
            format!(
                "`{}`, first {COMPONENTS} principal components, standardised; {:.0}% of the rows are the test, split anew \
                 in each repetition. One network (64 hidden units, Adam from a tuned rate to 0 along a cosine over the steps that \
                 are taken, batches of {BATCH}) is trained for {:?} rounds of r n rows each, on a fresh subset in each round \
                 or on one that was chosen once: at random, by k-center, herding, facility location, or by a proxy network \
                 trained {PROXY} epochs on all rows (largest error norm EL2N, smallest margin). The rival is the one of \
                 these six that does best in that repetition's own test.",
                self.data,
                100.0 * self.test,
                self.rounds,
            ),
        );
        let r = 100.0 * self.ratio;
        let at = metric(self.ratio);
        let says = format!("r = {r}%, {most} rounds: three points more accurate than the best of six static subsets");
        evidence.expect(&says, &at, "rs2", Some(BEST), Relation::Above(0.03)).matters(0.02);
        let says = format!("r = {r}%: half the steps of the best static subset, or fewer, until 90% are right");
        evidence.expect(&says, &steps(HIGH), "rs2", Some(BEST), Relation::Below(0.5)).by(By::Ratio).matters(1.25);
        let says = format!("r = {r}%: half the seconds until 90% are right, choice and proxy counted in");
        evidence.report(&says, &seconds(HIGH), "rs2", Some(BEST), Relation::Below(0.5)).by(By::Ratio);
        let says = format!("r = {r}%: half the steps until 80%, which some static subsets reach as well");
        evidence.report(&says, &steps(LOW), "rs2", Some(BEST), Relation::Below(0.5)).by(By::Ratio);
        for ratio in self.others {
            let says = format!("r = {}%: three points more accurate than the best static subset", 100.0 * ratio);
            evidence.report(&says, &metric(*ratio), "rs2", Some(BEST), Relation::Above(0.03));
        }
        for (says, rival, relation) in [
            ("without replacement is better than with", WITH, Relation::Above(0.0)),
            ("as good as stratified rounds, within a point", STRATIFIED, Relation::Within(0.01)),
            ("as good as whole epochs for as many steps, within a point", SHORT, Relation::Within(0.01)),
        ] {
            evidence.report(&format!("r = {r}%: {says}"), &at, "rs2", Some(rival), relation);
        }
        evidence.expectations.iter_mut().for_each(|e| e.overlap = self.test / (1.0 - self.test));
        evidence.notes = vec![
            "All arms share the network and the numbers of rounds. Its rate is tuned for fresh rounds and for a static random \
             subset, on a split of its own; the other arms have that of their kind. RS2 reads all labels in the course of the rounds, a static subset only its \
             own: the comparison is of training cost, not of labels."
                .into(),
            "Until an accuracy: the least number of rounds at which a network trained for so many reaches it, \
             interpolated in logarithms; an arm that never does counts with the largest number, which favours the rivals. \
             90% is more than most static subsets ever reach; 80% came first and did not hold on pilot seeds, since both \
             arms reach it within the fewest rounds tried."
                .into(),
            "Changed after the first records: components on one scale for those who choose as for the network, which had \
             standardised its own; the strongest rival in hindsight in place of eighteen comparisons; and the steps until an \
             accuracy, which is what the paper is about."
                .into(),
        ];
        evidence
    }

    fn most_rounds(&self) -> usize {
        self.rounds.last().copied().unwrap_or(1)
    }

    /// Rows that train and rows that measure, in the components of the former.
    fn split(&self, (x, y, classes): (&Array2<f64>, &[u32], usize), seed: Seed) -> Result<Data> {
        let mut rows: Vec<usize> = (0..y.len()).collect();
        seed.stream("split").rng(0).shuffle(&mut rows);
        let (test, train) = rows.split_at((self.test * y.len() as f64).round() as usize);
        let labels = |rows: &[usize]| -> Vec<u32> { rows.iter().map(|row| y[*row]).collect() };
        let raw = x.select(Axis(0), train);
        let pca = Pca::fit(raw.view(), COMPONENTS)?;
        let (train_x, test_x) = (pca.transform(raw.view())?, pca.transform(x.select(Axis(0), test).view())?);
        let scale = Standard::fit(train_x.view(), &vec![1.0; train_x.nrows()]);
        let (x, test_x) = (scale.apply(train_x.view()), scale.apply(test_x.view()));
        Ok(Data { x, y: labels(train), classes, test_x, test_y: labels(test) })
    }

    fn repetition(
        &self,
        table: (&Array2<f64>, &[u32], usize),
        rates: [f64; 2],
        seed: Seed,
        trial: &Trial,
    ) -> Result<Vec<(&'static str, String, f64)>> {
        let data = self.split(table, seed)?;
        let n = data.y.len();
        let clock = Instant::now();
        let proxy = network(PROXY, rates[1]).fit(data.x.view(), &data.y, data.classes, None, seed.stream("proxy"))?;
        let proxy_scores = ProxyScores::of(&proxy.probabilities(data.x.view()), &data.y);
        let proxy_seconds = clock.elapsed().as_secs_f64();

        let net = seed.stream("network");
        let fresh = |arm: &str, draw, m: usize, rounds: usize| {
            checkpoint(trial.progress)?;
            let mut drawn = Rounds::new(n, draw, Some(&data.y), seed.stream(arm))?;
            data.fit(&network(rounds, rates[0]), &mut |_| drawn.ask(m), net)
        };
        let fixed = |arm: &str, chosen: &[usize], rounds: usize| {
            checkpoint(trial.progress)?;
            let mut round = |epoch| Ok(shuffled(chosen, seed.stream(arm), epoch));
            data.fit(&network(rounds, rates[1]), &mut round, net)
        };

        let mut found = Vec::new();
        let most = self.most_rounds();
        for &ratio in self.others.iter().chain([&self.ratio]) {
            let m = (ratio * n as f64).round() as usize;
            let decides = ratio == self.ratio;
            let rounds = if decides { self.rounds } else { std::slice::from_ref(&self.rounds[self.rounds.len() - 1]) };
            // All figures of an arm that takes so many seconds to choose: the accuracy in the end, steps and seconds until others.
            let mut record =
                |arm: &'static str, choice: f64, train: &dyn Fn(usize) -> Result<f64>| -> Result<Vec<f64>> {
                    let clock = Instant::now();
                    let curve =
                        rounds.iter().map(|rounds| Ok((*rounds, train(*rounds)?))).collect::<Result<Vec<_>>>()?;
                    let a_round = clock.elapsed().as_secs_f64() / rounds.iter().sum::<usize>() as f64;
                    let mut figures = vec![(metric(ratio), curve[curve.len() - 1].1)];
                    if decides {
                        for stated in [LOW, HIGH] {
                            let until = self.until(stated, &curve);
                            figures.push((steps(stated), until * m.div_ceil(BATCH) as f64));
                            figures.push((seconds(stated), choice + until * a_round));
                        }
                        found.extend(curve.iter().map(|(rounds, share)| (arm, after(*rounds), *share)));
                    }
                    found.extend(figures.iter().map(|(metric, value)| (arm, metric.clone(), *value)));
                    Ok(figures.into_iter().map(|(_, value)| value).collect())
                };
            record("rs2", 0.0, &|rounds| fresh("rs2", RoundDraw::WithoutReplacement, m, rounds))?;
            let mut best: Vec<f64> = Vec::new();
            for arm in STATIC {
                let clock = Instant::now();
                let chosen = data.choose(arm, m, &proxy_scores, seed.stream(arm))?;
                let proxy = if ["el2n", "margin"].contains(&arm) { proxy_seconds } else { 0.0 };
                let choice = clock.elapsed().as_secs_f64() + proxy;
                let own = record(arm, choice, &|rounds| fixed(arm, &chosen, rounds))?;
                best = if best.is_empty() { own } else { better(&best, &own) };
            }
            let metrics = [metric(ratio), steps(LOW), seconds(LOW), steps(HIGH), seconds(HIGH)];
            found.extend(metrics.into_iter().zip(best).map(|(metric, value)| (BEST, metric, value)));
            if !decides {
                continue;
            }
            let without = RoundDraw::WithoutReplacement;
            for (arm, share) in [
                (WITH, fresh(WITH, RoundDraw::WithReplacement, m, most)?),
                (STRATIFIED, fresh(STRATIFIED, RoundDraw::Stratified, m, most)?),
                (SHORT, fresh(SHORT, without, n, ((most as f64 * ratio).round() as usize).max(1))?),
            ] {
                found.push((arm, metric(ratio), share));
            }
        }
        Ok(found)
    }

    /// The rounds until the stated accuracy, of accuracies by rounds.
    fn until(&self, stated: f64, curve: &[(usize, f64)]) -> f64 {
        let Some(at) = curve.iter().position(|(_, share)| *share >= stated) else {
            return self.most_rounds() as f64;
        };
        let (rounds, share) = (curve[at].0 as f64, curve[at].1);
        let Some((before, lower)) = at.checked_sub(1).map(|at| (curve[at].0 as f64, curve[at].1)) else {
            return rounds;
        };
        before * (rounds / before).powf((stated - lower) / (share - lower))
    }

    fn plot(&self, evidence: &Evidence) -> Plot {
        let arms = ["rs2", "static random", "herding", "facility location", "k-center", "el2n", "margin"];
        let series = arms.map(|arm| {
            let overlap = self.test / (1.0 - self.test);
            let points =
                self.rounds.iter().map(|rounds| point(evidence, arm, &after(*rounds), *rounds as f64, overlap));
            Series { name: arm.to_owned(), points: points.collect() }
        });
        Plot {
            title: format!("Accuracy by rounds of {}% of {}", 100.0 * self.ratio, self.data),
            x: "rounds".into(),
            y: "test accuracy".into(),
            log_x: true,
            log_y: false,
            series: series.into(),
        }
    }
}

/// The accuracies that are timed; the higher one decides.
const LOW: f64 = 0.8;
const HIGH: f64 = 0.9;

fn steps(stated: f64) -> String {
    format!("steps until {}%", 100.0 * stated)
}

fn seconds(stated: f64) -> String {
    format!("seconds until {}%", 100.0 * stated)
}

/// The larger accuracy, which comes first, and the smaller of all others.
fn better(a: &[f64], b: &[f64]) -> Vec<f64> {
    let of = |(at, (a, b)): (usize, (&f64, &f64))| if at == 0 { a.max(*b) } else { a.min(*b) };
    a.iter().zip(b).enumerate().map(of).collect()
}

fn after(rounds: usize) -> String {
    format!("accuracy after {rounds} rounds")
}

fn network(epochs: usize, rate: f64) -> Mlp {
    Mlp { epochs, batch: BATCH, learning_rate: rate, anneal: true, ..Mlp::default() }
}

/// The chosen rows in the order of an epoch.
fn shuffled(chosen: &[usize], seed: Seed, epoch: usize) -> Vec<usize> {
    let mut rows = chosen.to_vec();
    seed.stream("order").rng(epoch as u64).shuffle(&mut rows);
    rows
}

struct Data {
    x: Array2<f64>,
    y: Vec<u32>,
    classes: usize,
    test_x: Array2<f64>,
    test_y: Vec<u32>,
}

impl Data {
    /// The accuracy of a network that is trained in rounds.
    fn fit(&self, network: &Mlp, round: &mut dyn FnMut(usize) -> Result<Vec<usize>>, seed: Seed) -> Result<f64> {
        let model = network.fit_rounds(self.x.view(), &self.y, self.classes, round, seed)?;
        accuracy(&self.test_y, &model.predict(self.test_x.view()))
    }

    /// The subset that a rival chooses once.
    fn choose(&self, arm: &str, m: usize, proxy: &ProxyScores, seed: Seed) -> Result<Vec<usize>> {
        let pool = Pool::of_points(Points::F64(self.x.clone())).with_classes(self.y.clone());
        let selector: Box<dyn Selector> = match arm {
            "el2n" => return Ok(largest(&proxy.el2n, m)),
            "margin" => return Ok(largest(&proxy.closeness, m)),
            "k-center" => Box::new(KCenter),
            "herding" => Box::new(Herding::default()),
            "facility location" => Box::new(FacilityLocation::default()),
            _ => Box::new(Random),
        };
        Ok(selector.select(&pool, m, seed, &Silent)?.indices)
    }
}

/// How hard a proxy network finds each row.
struct ProxyScores {
    /// Norm of the difference between probabilities and the class (Paul et al. 2021).
    el2n: Vec<f64>,
    /// Minus the difference between the two largest probabilities.
    closeness: Vec<f64>,
}

impl ProxyScores {
    fn of(probabilities: &Array2<f64>, y: &[u32]) -> Self {
        let (mut el2n, mut closeness) = (Vec::with_capacity(y.len()), Vec::with_capacity(y.len()));
        for (p, class) in probabilities.outer_iter().zip(y) {
            let p: Vec<f64> = p.to_vec();
            let square = |(k, p): (usize, &f64)| (p - f64::from(u8::from(k == *class as usize))).powi(2);
            el2n.push(p.iter().enumerate().map(square).sum::<f64>().sqrt());
            let mut sorted = p;
            sorted.sort_by(|a, b| b.total_cmp(a));
            closeness.push(sorted[1] - sorted[0]);
        }
        ProxyScores { el2n, closeness }
    }
}

/// The `m` rows of the largest scores, the first of those that tie.
fn largest(scores: &[f64], m: usize) -> Vec<usize> {
    let mut rows: Vec<usize> = (0..scores.len()).collect();
    rows.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]));
    rows.truncate(m);
    rows
}

/// What must hold whatever the data.
fn identities(evidence: &mut Evidence, trial: &Trial) -> Result<()> {
    let seed = trial.seed.stream("identities");
    let mut rng = seed.rng(0);
    let x = Array2::from_shape_fn((60, 4), |_| rng.normal());
    let y: Vec<u32> = (0..60).map(|i| i % 3).collect();
    let network = |epochs| Mlp { epochs, batch: 5, anneal: true, ..Mlp::default() };
    let mut five = Rounds::new(60, RoundDraw::WithoutReplacement, None, seed.stream("rounds"))?;
    let mut one = five.clone();
    let rounds = network(4).fit_rounds(x.view(), &y, 3, &mut |_| five.ask(15), seed)?.probabilities(x.view());
    let epoch = network(1).fit_rounds(x.view(), &y, 3, &mut |_| one.ask(60), seed)?.probabilities(x.view());
    let gap = (&rounds - &epoch).iter().fold(0.0_f64, |most, d| most.max(d.abs()));
    evidence.identity(
        "four rounds of n/4 rows are one epoch of random reshuffling, schedule included: difference of the networks",
        gap,
        0.0,
        0.0,
    );

    let mut rounds = Rounds::new(100, RoundDraw::WithoutReplacement, None, seed.stream("coverage"))?;
    let mut seen = HashSet::new();
    for round in 1..=12_usize {
        seen.extend(rounds.ask(10)?);
        let name = format!("distinct rows after {round} rounds without replacement, n = 100, m = 10");
        evidence.identity(&name, seen.len() as f64, (10 * round).min(100) as f64, 0.0);
    }
    Ok(())
}
