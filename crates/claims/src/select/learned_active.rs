//! A policy learnt against an adversary, against search rules: is it as good at every level of hardness as the policy made
//! for that level, and better than rules whose noise is mis-set?

use crate::Trial;
use ndarray::Array2;
use quadrat_core::{Error, Evidence, Plot, Progress, Relation, Result, Seed, Series, Silent, checkpoint, stats};
use quadrat_data::{Missing, builtin};
use quadrat_select::{
    AnswerTable, Classical, QueryPolicy, QueryProblem, QueryRule, Trained, Trainer, mean_losses, play, worst_loss,
};
use std::collections::BTreeMap;

/// The size of the experiment.
struct Plan {
    repeats: u64,
    /// Points and questions of the thresholds.
    points: usize,
    threshold_questions: usize,
    flips: &'static [f64],
    trainer: Trainer,
    /// Games at a parameter whose worst case is measured.
    games: usize,
    /// Animals of the zoo, and questions.
    animals: usize,
    zoo_questions: usize,
    zoo_trainer: Trainer,
    /// Games at each animal and flip rate.
    zoo_games: usize,
}

const LEARNED: &str = "learned";
const SPECIALIST: &str = "best policy for the level";
const TRUE_RATE: &str = "information gain, true flip rate";
const UNKNOWN: &str = "information gain, flip rate unknown";
const SURE: &str = "binary search, flips 2%";
const SOFT: &str = "soft binary search, flips 35%";
const FIXED: &str = "fixed design";
const RANDOM: &str = "random";

/// The rates of the zoo in training and in measuring.
const ZOO_FLIPS: [f64; 3] = [0.0, 0.1, 0.2];
const ZOO_MEASURED: [f64; 5] = [0.0, 0.05, 0.1, 0.15, 0.2];

/// Runs the experiment.
pub fn run(trial: &Trial) -> Result<Evidence> {
    let trainer = |steps, batch, games| Trainer { steps, batch, games, ..Trainer::default() };
    let plan = trial.at(
        Plan {
            repeats: 2,
            points: 3,
            threshold_questions: 2,
            flips: &[0.0, 0.2],
            trainer: trainer(10, 64, 40),
            games: 40,
            animals: 10,
            zoo_questions: 4,
            zoo_trainer: trainer(5, 64, 20),
            zoo_games: 20,
        },
        Plan {
            repeats: 3,
            points: 7,
            threshold_questions: 4,
            flips: &[0.0, 0.1, 0.2],
            trainer: trainer(150, 256, 1000),
            games: 3000,
            animals: 24,
            zoo_questions: 6,
            zoo_trainer: trainer(120, 256, 200),
            zoo_games: 300,
        },
        Plan {
            repeats: 5,
            points: 15,
            threshold_questions: 8,
            flips: &[0.0, 0.1, 0.2, 0.3],
            trainer: trainer(300, 512, 2000),
            games: 6000,
            animals: 101,
            zoo_questions: 12,
            zoo_trainer: Trainer { levels: vec![12.0, 24.0], ..trainer(200, 384, 300) },
            zoo_games: 400,
        },
    );
    let mut evidence = plan.evidence();
    trial.progress.begin("repetitions", Some(2 * plan.repeats));
    for repeat in 0..plan.repeats {
        let seed = trial.seed.stream("learned-active").stream(&repeat.to_string());
        plan.thresholds(&mut evidence, repeat, seed.stream("thresholds"), trial.progress)?;
        trial.progress.advance(1);
        plan.zoo(&mut evidence, repeat, seed.stream("zoo"), trial.progress)?;
        trial.progress.advance(1);
    }
    plan.expect(&mut evidence);
    evidence.plots = vec![plot(&evidence)];
    identities(&mut evidence)?;
    Ok(evidence)
}

fn at_level(r: f64) -> String {
    format!("worst loss, thresholds/C<={r:.2}")
}

/// Trains without a progress bar of its own, but stops when the claim is stopped.
fn train(
    trainer: &Trainer,
    table: &AnswerTable,
    questions: usize,
    seed: Seed,
    progress: &dyn Progress,
) -> Result<Trained> {
    checkpoint(progress)?;
    struct Stop<'a>(&'a dyn Progress);
    impl Progress for Stop<'_> {
        fn cancelled(&self) -> bool {
            self.0.cancelled()
        }
    }
    trainer.train(table, questions, seed.stream("train"), &Stop(progress))
}

/// Information gain with a belief that assumes other flip rates than the game's.
fn assuming(yes: &Array2<f64>, flips: &[f64], rule: QueryRule) -> Result<Classical> {
    Classical::new(&AnswerTable::new(yes.view(), flips)?, rule)
}

/// The rules whose belief does not know the flip rate of the game.
fn rules(table: &AnswerTable, yes: &Array2<f64>, flips: &[f64]) -> Result<Vec<(&'static str, Classical)>> {
    Ok(vec![
        (UNKNOWN, assuming(yes, flips, QueryRule::InformationGain)?),
        (SURE, assuming(yes, &[0.02], QueryRule::Uncertainty)?),
        (SOFT, assuming(yes, &[0.35], QueryRule::Uncertainty)?),
        (FIXED, assuming(yes, flips, QueryRule::Design(table.design()))?),
        (RANDOM, assuming(yes, flips, QueryRule::Uniform)?),
    ])
}

impl Plan {
    fn evidence(&self) -> Evidence {
        let mut evidence = Evidence {
            paper: "With a few dozen questions one learned policy matches, at every level of hardness, the best policy made \
                    for that level, and beats algorithms from theory and heuristics: on synthetic bandits and thresholds, a \
                    noisy game of twenty questions, and the recommendation of jokes."
                .into(),
            experiment: format!(
                "(a) {} thresholds on a line, {} questions, replies flipped at an unknown rate of {:?}: worst-case loss (wrong \
                 threshold) over all parameters of complexity at most r, at each level r. (b) `zoo`: {} animals (those with \
                 the same row merged), 15 yes-no properties and six questions about legs, {} questions, replies flipped at an \
                 unknown rate of 0 to 20%: accuracy of the worst animal and rate, and the mean.",
                self.points + 1,
                self.threshold_questions,
                self.flips,
                self.animals,
                self.zoo_questions,
            ),
            ..Evidence::default()
        };
        evidence.notes.push(format!(
            "One setting of the trainer, the library's defaults save for the sizes: {} and {} policy steps of {} and {} \
             games at each level; it was chosen on the game of three thresholds in the tests, whose value is known. The \
             rules have no settings but the flip rates they assume, which are in their names; `{UNKNOWN}` knows the same \
             rates as the learned policy, with a flat prior. `{TRUE_RATE}` is told the rate of each game: it is not a rival \
             but a bound of sorts.",
            self.trainer.steps, self.zoo_trainer.steps, self.trainer.batch, self.zoo_trainer.batch
        ));
        evidence.notes.push(
            "Worst cases are searched over all parameters with an eighth of the games and measured again with fresh games at \
             the six that looked worst. l* of a level is the least worst case, over that level, of any policy trained on \
             the way; that comparison is reported from the trainer's own measurements with its own games. Left out: the \
             recommendation of films (c), whose data the program does not carry."
                .into(),
        );
        evidence.notes.push(
            "A first run at quick scale did not hold, and nothing was changed after it. There, with four questions on eight \
             thresholds, the rule that assumes 2% and the one that does not know the rate played alike at the hardest level \
             and were 3 points better than the learned policy in the worst case, which in turn was 13 points better than the \
             latter one level below; the worst animal was not found more often either. Our explanation, not tested: the \
             adversary's softmax looks at many parameters at once, so that a mean near the worst case is what falls, the \
             policy stays random where a rule is sure, and a few hundred steps end before either has gone."
                .into(),
        );
        evidence
    }

    /// Said before anything was measured; the levels follow from the problem.
    fn expect(&self, evidence: &mut Evidence) {
        let mut levels: Vec<String> =
            evidence.rows.iter().map(|row| row.metric.clone()).filter(|m| m.starts_with("worst loss, thr")).collect();
        levels.sort_by_key(|metric| (metric.len(), metric.clone()));
        levels.dedup();
        for metric in &levels {
            let says = "the learned policy is within 0.03 of the best policy for the level";
            evidence.expect(says, metric, LEARNED, Some(SPECIALIST), Relation::Below(0.03));
            let says = "the learned policy is no worse than information gain with an unknown rate";
            evidence.report(says, metric, LEARNED, Some(UNKNOWN), Relation::Below(0.01));
        }
        if let Some(hardest) = levels.last() {
            for rival in [SURE, FIXED, RANDOM] {
                let says = format!("at the hardest level the learned policy is better than {rival}");
                evidence.expect(&says, hardest, LEARNED, Some(rival), Relation::Below(0.0));
            }
            for rival in [SOFT, TRUE_RATE] {
                let says = format!("at the hardest level the learned policy is better than {rival}");
                evidence.report(&says, hardest, LEARNED, Some(rival), Relation::Below(0.0));
            }
        }
        let says = "the worst animal is found 5 points more often than by binary search with a mis-set rate";
        evidence.expect(says, WORST, LEARNED, Some(SURE), Relation::Above(0.05));
        let says = "the mean is within 2 points of the rule that is told the rate";
        evidence.expect(says, MEAN, LEARNED, Some(TRUE_RATE), Relation::Above(-0.02));
        let says = "the worst animal is found more often than by information gain with an unknown rate";
        evidence.report(says, WORST, LEARNED, Some(UNKNOWN), Relation::Above(0.0));
        let says = "the kind of animal is right at least as often as by the rule that is told the rate, to 2 points";
        evidence.report(says, KIND, LEARNED, Some(TRUE_RATE), Relation::Above(-0.02));
    }

    fn thresholds(&self, evidence: &mut Evidence, repeat: u64, seed: Seed, progress: &dyn Progress) -> Result<()> {
        let n = self.points;
        let yes = Array2::from_shape_fn((n + 1, n), |(h, x)| f64::from(u8::from(x >= h)));
        let table = AnswerTable::thresholds(n, self.flips)?;
        let questions = self.threshold_questions;
        let trained = train(&self.trainer, &table, questions, seed, progress)?;
        let truths: Vec<Classical> =
            self.flips.iter().map(|e| assuming(&yes, &[*e], QueryRule::InformationGain)).collect::<Result<_>>()?;
        let rules = rules(&table, &yes, self.flips)?;
        let parameters = all_parameters(&table)?;
        for (k, level) in trained.levels.iter().enumerate() {
            let metric = at_level(level.complexity);
            let inside: Vec<Vec<f64>> =
                parameters.iter().filter(|theta| table.complexity(theta) <= 1.02 * level.complexity).cloned().collect();
            let seed = seed.stream("measure").stream(&k.to_string());
            let worst = |policy: &dyn QueryPolicy, thetas: &[Vec<f64>]| {
                worst_loss(&table, policy, thetas, questions, self.games, seed, progress)
            };
            evidence.measure(LEARNED, &metric, repeat, worst(&trained.policy, &inside)?);
            evidence.measure(SPECIALIST, &metric, repeat, level.best);
            for (arm, rule) in &rules {
                evidence.measure(arm, &metric, repeat, worst(rule, &inside)?);
            }
            let mut told = 0.0_f64;
            for (flip, rule) in self.flips.iter().zip(&truths) {
                let thetas: Vec<Vec<f64>> = inside.iter().filter(|theta| theta[1] == *flip).cloned().collect();
                if !thetas.is_empty() {
                    told = told.max(worst(rule, &thetas)?);
                }
            }
            evidence.measure(TRUE_RATE, &metric, repeat, told);
        }
        Ok(())
    }

    fn zoo(&self, evidence: &mut Evidence, repeat: u64, seed: Seed, progress: &dyn Progress) -> Result<()> {
        let (yes, kinds) = zoo(self.animals)?;
        let questions = self.zoo_questions;
        let table = AnswerTable::new(yes.view(), &ZOO_FLIPS)?;
        let trained = train(&self.zoo_trainer, &table, questions, seed, progress)?;
        let measured = AnswerTable::new(yes.view(), &ZOO_MEASURED)?;
        let mut measure = |arm: &str, policy: &dyn Fn(f64) -> Result<Box<dyn QueryPolicy>>| -> Result<()> {
            let (mut mean, mut worst, mut kind) = (Vec::new(), 0.0_f64, Vec::new());
            for flip in ZOO_MEASURED {
                let (policy, seed) = (policy(flip)?, seed.stream(&format!("flips {flip}")));
                let thetas: Vec<Vec<f64>> = (0..yes.nrows()).map(|h| vec![h as f64, flip]).collect();
                let games = self.zoo_games;
                let losses = mean_losses(&measured, &*policy, &thetas, questions, games, seed, progress)?;
                mean.push(1.0 - stats::mean(&losses));
                let games = 4 * games;
                worst = worst.max(worst_loss(&measured, &*policy, &thetas, questions, games, seed, progress)?);
                for (h, theta) in thetas.iter().enumerate() {
                    let seed = seed.stream("kinds").stream(&h.to_string());
                    let given = play(&measured, &*policy, theta, questions, games.div_ceil(32), seed)?;
                    kind.extend(given.iter().map(|z| f64::from(u8::from(kinds[*z] == kinds[h]))));
                }
            }
            evidence.measure(arm, MEAN, repeat, stats::mean(&mean));
            evidence.measure(arm, WORST, repeat, 1.0 - worst);
            evidence.measure(arm, KIND, repeat, stats::mean(&kind));
            Ok(())
        };
        measure(LEARNED, &|_| Ok(Box::new(trained.policy.clone())))?;
        let told = |flip: f64| -> Result<Box<dyn QueryPolicy>> {
            Ok(Box::new(assuming(&yes, &[flip], QueryRule::InformationGain)?))
        };
        measure(TRUE_RATE, &told)?;
        for (arm, rule) in rules(&table, &yes, &ZOO_FLIPS)? {
            measure(arm, &|_| Ok(Box::new(rule.clone())))?;
        }
        Ok(())
    }
}

const MEAN: &str = "mean accuracy, zoo";
const WORST: &str = "accuracy at the worst animal and flip rate, zoo";
const KIND: &str = "mean accuracy of the kind, zoo";

/// The first `animals` rows as yes and no, and their kinds; rows that are the same count once.
fn zoo(animals: usize) -> Result<(Array2<f64>, Vec<u32>)> {
    let (x, kinds, _) = builtin::labelled("zoo")?;
    let names = builtin::find("zoo")?.table(&[])?;
    let legs = names.categories("legs", Missing::Error)?;
    let columns: Vec<String> =
        names.column_names().into_iter().filter(|c| !["animal", "class"].contains(c)).map(str::to_owned).collect();
    let mut rows: BTreeMap<Vec<u8>, u32> = BTreeMap::new();
    for (row, kind) in x.outer_iter().zip(&kinds).take(animals) {
        let mut yes = Vec::new();
        for (column, value) in columns.iter().zip(row) {
            if column == "legs" {
                yes.extend(legs.names.iter().map(|name| u8::from(name.parse::<f64>() == Ok(*value))));
            } else {
                yes.push(u8::from(*value == 1.0));
            }
        }
        rows.entry(yes).or_insert(*kind);
    }
    let n = rows.keys().next().map_or(0, Vec::len);
    let flat: Vec<f64> = rows.keys().flatten().map(|v| f64::from(*v)).collect();
    let table = Array2::from_shape_vec((rows.len(), n), flat)
        .map_err(|e| quadrat_core::Error::numeric("answer table", e.to_string()))?;
    Ok((table, rows.into_values().collect()))
}

/// Worst-case loss of every arm at every level.
fn plot(evidence: &Evidence) -> Plot {
    let level = |metric: &str| metric.strip_prefix("worst loss, thresholds/C<=").and_then(|r| r.parse::<f64>().ok());
    let mut metrics: Vec<(f64, String)> =
        evidence.rows.iter().filter_map(|row| Some((level(&row.metric)?, row.metric.clone()))).collect();
    metrics.sort_by(|a, b| a.0.total_cmp(&b.0));
    metrics.dedup();
    let series = [LEARNED, SPECIALIST, TRUE_RATE, UNKNOWN, SURE, SOFT].map(|arm| Series {
        name: arm.to_owned(),
        points: metrics
            .iter()
            .map(|(r, metric)| {
                let values: Vec<f64> = evidence.values(arm, metric).into_iter().map(|(_, value)| value).collect();
                let interval = stats::t_interval(&values, 0.95, 0.0);
                [*r, interval.mean, interval.low, interval.high]
            })
            .collect(),
    });
    Plot {
        title: "Worst-case loss by hardness, thresholds".into(),
        x: "largest complexity r".into(),
        y: "worst-case loss".into(),
        log_x: true,
        log_y: false,
        series: series.into(),
    }
}

/// What must hold whatever the run.
fn identities(evidence: &mut Evidence) -> Result<()> {
    let table = AnswerTable::thresholds(5, &[0.0, 0.25])?;
    let ratio = table.complexity(&[2.0, 0.25]) / table.complexity(&[2.0, 0.0]);
    evidence.identity("complexity at flips of 25% over that without flips", ratio, 4.0, 1e-9);
    let rule = Classical::new(&AnswerTable::thresholds(7, &[0.0])?, QueryRule::InformationGain)?;
    let sure = AnswerTable::thresholds(7, &[0.0])?;
    let losses = mean_losses(&sure, &rule, &all_parameters(&sure)?, 3, 20, Seed(1), &Silent)?;
    evidence.identity("loss of three sure questions on eight thresholds", losses.iter().sum(), 0.0, 0.0);
    Ok(())
}

fn all_parameters(table: &AnswerTable) -> Result<Vec<Vec<f64>>> {
    table.parameters().ok_or_else(|| Error::input("table", "endless parameters", "a table has a finite number"))
}
