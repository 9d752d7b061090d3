//! Random search for a sparse network before training: does it find better networks than drawing one?

use crate::networks::Pool;
use crate::networks::accuracy;
use crate::tune::tune;
use crate::{Figure, Repetitions, Trial};
use quadrat_core::{By, Evidence, Relation, Result, Seed, Silent, stats};
use quadrat_nn::{Mlp, Optimizer, Parameters, Samples, Schedule, Trainer, evaluate, initialise, mean_loss};
use quadrat_regularize::{RandomSparseSearch, Sparsity, subnetwork, weights};

/// The size of the experiment.
struct Plan {
    sets: &'static [&'static str],
    train: usize,
    hidden: usize,
    epochs: usize,
    trials: usize,
    most: usize,
    /// Repetitions and networks of the rank correlation that is reported.
    ranks: (usize, usize),
}

const PARENT: &str = "parent";
const SEARCHED: &str = "searched";
const RANDOM: &str = "random";
const SPARSITIES: [f64; 5] = [0.5, 0.75, 0.9, 0.95, 0.98];
/// The sparsity at which a network still has to be worth something.
const HIGH: f64 = 0.9;
const TEST: usize = 2_000;
/// Training rows that score untrained networks.
const PROBE: usize = 512;
const BATCH: usize = 32;
const RANKS: &str = "rank correlation";

/// Runs the experiment.
pub fn run(trial: &Trial) -> Result<Evidence> {
    let both: &[&str] = &["mnist", "fashion-mnist"];
    let plan = trial.at(
        Plan { sets: &["mnist"], train: 200, hidden: 64, epochs: 1, trials: 5, most: 2, ranks: (1, 3) },
        Plan { sets: &["mnist"], train: 1_000, hidden: 512, epochs: 10, trials: 50, most: 16, ranks: (2, 20) },
        Plan { sets: both, train: 1_000, hidden: 512, epochs: 10, trials: 100, most: 32, ranks: (8, 40) },
    );
    let mut evidence = plan.evidence();
    let pools = plan.sets.iter().map(|set| Pool::read(set)).collect::<Result<Vec<_>>>()?;
    let tuning = trial.seed.stream("tuning");
    let mut rates = [0.0; 3];
    for (best, arm) in rates.iter_mut().zip([PARENT, SEARCHED, RANDOM]) {
        *best = tune(&mut evidence, (arm, "rate"), &[0.02, 0.05, 0.125], |rate| {
            let right: Vec<f64> = plan.arm(&pools, arm, rate, tuning)?.into_iter().map(|f| f.right).collect();
            Ok(1.0 - stats::mean(&right))
        })?;
    }
    let how = Repetitions { part: "search", pilot: 5, most: plan.most };
    trial.repeat(&mut evidence, how, |seed| plan.repetition(&pools, rates, seed))?;
    let how = Repetitions { part: "ranks", pilot: 0, most: plan.ranks.0 };
    trial.repeat(&mut evidence, how, |seed| plan.rank_correlation(&pools[0], rates[2], seed))?;
    identities(&mut evidence, trial.seed.stream("identities"))?;
    Ok(evidence)
}

/// A set and an untrained parent.
struct Task {
    train: Samples,
    test: Samples,
    probe: Samples,
    parent: Mlp,
    start: Parameters,
}

/// What became of a network.
struct Fitted {
    set: &'static str,
    sparsity: f64,
    /// Loss on the probe before training.
    first: f64,
    /// Share of test rows that are right after it.
    right: f64,
    /// Mean test loss over the epochs: how fast it learnt.
    along: f64,
}

impl Plan {
    /// What the paper says, what is done here, and what is expected: written down before anything is measured.
    fn evidence(&self) -> Evidence {
        let Plan { train, hidden, epochs, trials, .. } = self;
        let mut e = Evidence::new(
            "Much of the performance survives high sparsity; networks that random search finds before training neither \
             perform better nor converge faster than random ones of equal sparsity.",
            format!(
                "{} at 14 x 14 pixels, {train} training and {TEST} test rows, drawn anew in each repetition with a new \
                 parent 196-{hidden}-{hidden}-10 of rectified units. Sub-networks lack {:?} of each hidden layer's \
                 units and have the parent's initial weights. The searched one has the lowest loss of {trials} on {PROBE} \
                 training rows; the random one is one more draw. All train alike: {epochs} epochs of gradient descent \
                 with Nesterov momentum 0.9 along a cosine, batches of {BATCH}, the rate tuned for each arm. A \
                 repetition's figures are means over sets and sparsities (of losses, geometric ones).",
                self.sets.join(" and "),
                SPARSITIES,
            ),
        );
        let says = "the searched network is less than half a point more accurate than a random one";
        e.expect(says, "accuracy", SEARCHED, Some(RANDOM), Relation::Below(0.005)).matters(0.005);
        let says = "its mean test loss over the epochs is less than 5% lower: it learns no faster";
        e.expect(says, "loss over epochs", SEARCHED, Some(RANDOM), Relation::Above(0.95)).by(By::Ratio).matters(1.04);
        let says = "without nine tenths of the units a random network keeps 95% of the parent's accuracy";
        let high = format!("accuracy/{HIGH}");
        e.expect(says, &high, RANDOM, Some(PARENT), Relation::Above(0.95)).by(By::Ratio).matters(1.02);
        let says = "the parent learns: four fifths of the test rows are right";
        e.gate(says, &high, PARENT, None, Relation::Above(0.8)).matters(0.02);
        let says = "the search does its job: a lower loss before training";
        e.gate(says, "first loss", SEARCHED, Some(RANDOM), Relation::Below(1.0)).by(By::Ratio).matters(1.005);
        for set in self.sets {
            for s in SPARSITIES {
                let at = format!("{set} {s}");
                let says = format!("{at}: less than half a point more accurate");
                let relation = Relation::Below(0.005);
                e.report(&says, &format!("accuracy/{at}"), SEARCHED, Some(RANDOM), relation);
                let (says, metric) = (format!("{at}: learns no faster"), format!("loss over epochs/{at}"));
                e.report(&says, &metric, SEARCHED, Some(RANDOM), Relation::Above(0.95)).by(By::Ratio);
            }
        }
        let says =
            format!("{}, sparsity 0.95: the loss before training hardly ranks what comes after it", self.sets[0]);
        e.report(&says, RANKS, RANDOM, None, Relation::Within(0.25));
        e.notes = vec![
            "Only the paper's abstract could be read: networks, sets, number of draws and limits are chosen here. A \
             repetition draws rows, parent, sub-networks and order of rows anew: what is estimated is a mean over such \
             draws from these sets. Removing a share of units removes more of the weights: of the 0.9 about 0.98."
                .into(),
            "Changed after the first records: figures are means over sets and sparsities, so that three expectations \
             decide instead of ten that one small difference could upset; \"neither better nor faster\" is one-sided; \
             the rate is tuned; that the search lowers the first loss is a gate. The rescaled network and the one with \
             fresh weights are gone: they say nothing of the search."
                .into(),
        ];
        e
    }

    fn task(&self, pool: &Pool, seed: Seed) -> Result<Task> {
        let (train, test) = pool.draw(self.train, TEST, seed)?;
        let probe = train.select(&(0..PROBE.min(train.len()) as u32).collect::<Vec<_>>());
        let parent = Mlp::new(train.inputs.ncols(), &[self.hidden; 2], train.outputs());
        let start = initialise(&parent, seed.stream("parameters"))?;
        Ok(Task { train, test, probe, parent, start })
    }

    /// An untrained network of an arm.
    fn network(&self, arm: &str, task: &Task, sparsity: f64, seed: Seed) -> Result<(Mlp, Parameters)> {
        let sparsity = Sparsity::Node(sparsity);
        let search = RandomSparseSearch { sparsity, trials: self.trials, ..RandomSparseSearch::default() };
        let Task { parent, start, probe, .. } = task;
        if arm == SEARCHED {
            let found = search.run(parent, start, probe, seed.stream("search"), &Silent)?;
            return Ok((found.network, found.parameters));
        }
        let (network, parameters, _) = search.control(parent, start, seed)?;
        Ok((network, parameters))
    }

    /// Loss before training, accuracy after it, mean test loss between; the same order of rows for all arms.
    fn fit(&self, task: &Task, network: &Mlp, start: Parameters, rate: f64, seed: Seed) -> Result<[f64; 3]> {
        let (schedule, optimizer) = (Schedule::Cosine, Optimizer::sgd(0.0));
        let trainer = Trainer {
            epochs: self.epochs,
            batch: BATCH,
            rate,
            schedule,
            optimizer,
            pieces: 1,
            seed,
            ..Trainer::default()
        };
        let outputs = evaluate(network, &start, task.probe.inputs.view())?;
        let first = mean_loss(trainer.loss, &outputs, &task.probe);
        let fit = trainer.fit_from(network, start, &task.train, Some(&task.test), &mut [], &Silent)?;
        let losses: Vec<f64> = fit.curve.iter().filter_map(|epoch| epoch.validation_loss).collect();
        Ok([first, accuracy(network, &fit.parameters, &task.test)?, stats::mean(&losses)])
    }

    /// Trains an arm on all sets at all sparsities; the parent has one.
    fn arm(&self, pools: &[Pool], arm: &str, rate: f64, seed: Seed) -> Result<Vec<Fitted>> {
        let sparsities: &[f64] = if arm == PARENT { &[0.0] } else { &SPARSITIES };
        let mut all = Vec::new();
        for (&set, pool) in self.sets.iter().zip(pools) {
            let seed = seed.stream(set);
            let task = self.task(pool, seed)?;
            for &sparsity in sparsities {
                let (network, start) = self.network(arm, &task, sparsity, seed.stream(&sparsity.to_string()))?;
                let [first, right, along] = self.fit(&task, &network, start, rate, seed)?;
                all.push(Fitted { set, sparsity, first, right, along });
            }
        }
        Ok(all)
    }

    fn repetition(&self, pools: &[Pool], rates: [f64; 3], seed: Seed) -> Result<Vec<Figure>> {
        let mut figures: Vec<Figure> = Vec::new();
        for (arm, rate) in [PARENT, SEARCHED, RANDOM].into_iter().zip(rates) {
            let all = self.arm(pools, arm, rate, seed)?;
            let mut record = |metric: String, value: f64| figures.push((arm.to_owned(), metric, value));
            for f in &all {
                let at = format!("{} {}", f.set, f.sparsity);
                record(format!("accuracy/{at}"), f.right);
                record(format!("loss over epochs/{at}"), f.along);
            }
            let mean = |of: &dyn Fn(&Fitted) -> f64| stats::mean(&all.iter().map(of).collect::<Vec<_>>());
            record("accuracy".into(), mean(&|f| f.right));
            record("loss over epochs".into(), mean(&|f| f.along.ln()).exp());
            record("first loss".into(), mean(&|f| f.first.ln()).exp());
            let high = all.iter().filter(|f| arm == PARENT || f.sparsity == HIGH);
            record(format!("accuracy/{HIGH}"), stats::mean(&high.map(|f| f.right).collect::<Vec<_>>()));
        }
        Ok(figures)
    }

    /// Rank correlation of the loss before training with the accuracy after it, over random networks of one parent.
    fn rank_correlation(&self, pool: &Pool, rate: f64, seed: Seed) -> Result<Vec<Figure>> {
        let task = self.task(pool, seed)?;
        let (mut before, mut after) = (Vec::new(), Vec::new());
        for i in 0..self.ranks.1 {
            let (network, start) = self.network(RANDOM, &task, 0.95, seed.stream(&i.to_string()))?;
            let [first, right, _] = self.fit(&task, &network, start, rate, seed)?;
            before.push(first);
            after.push(right);
        }
        Ok(vec![(RANDOM.into(), RANKS.into(), crate::estimate::rank_correlation(&before, &after))])
    }
}

/// Removing units computes what masking them does.
fn identities(evidence: &mut Evidence, seed: Seed) -> Result<()> {
    let parent = Mlp::new(6, &[10, 8], 3);
    let parameters = initialise(&parent, seed.stream("parameters"))?;
    let mut rng = seed.rng(0);
    let mut keep = |of: usize, units: usize| {
        let mut kept = rng.sample(of, units);
        kept.sort_unstable();
        kept
    };
    let kept = vec![keep(10, 3), keep(8, 4)];
    let (network, small) = subnetwork(&parent, &parameters, &kept, false)?;
    let mut masked = parameters.clone();
    for (layer, kept) in kept.iter().enumerate() {
        let (name, bias) = (format!("fc{}.weight", layer + 1), format!("fc{}.bias", layer + 1));
        let columns = masked.get(&name)?.shape[1];
        let dead = |unit: usize| !kept.contains(&unit);
        masked.get_mut(&name)?.update(|w| {
            w.iter_mut().enumerate().filter(|(i, _)| dead(i / columns)).for_each(|(_, w)| *w = 0.0);
        });
        masked.get_mut(&bias)?.update(|b| {
            b.iter_mut().enumerate().filter(|(i, _)| dead(*i)).for_each(|(_, b)| *b = 0.0);
        });
    }
    let inputs = ndarray::Array2::from_shape_fn((20, 6), |_| rng.normal() as f32);
    let samples = Samples::classes(inputs, (0..20).map(|i| i % 3).collect(), 3)?;
    let a = quadrat_nn::evaluate(&network, &small, samples.inputs.view())?;
    let b = quadrat_nn::evaluate(&parent, &masked, samples.inputs.view())?;
    let apart = a.iter().zip(&b).map(|(a, b)| f64::from((a - b).abs())).fold(0.0, f64::max);
    evidence.identity("removed and masked units give the same outputs", apart, 0.0, 1e-5);
    evidence.identity(
        "weights of 784-51-51-10",
        weights(&Mlp::new(784, &[512, 512], 10), &[51, 51]) as f64,
        43_095.0,
        0.0,
    );
    Ok(())
}
