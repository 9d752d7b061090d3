//! Signals that were never seen: are draws by diffusion with a forward model nearer to the true posterior than the best single answer?

mod arms;
mod world;

use crate::figures::point;
use crate::tune::tune;
use crate::{Figure, Repetitions, Trial};
use arms::{Arms, Course};
use quadrat_core::{By, Evidence, Plot, Relation, Result, Seed, Series, checkpoint, stats};
use quadrat_diffusion::forward_models::{ForwardModel, Projection};
use world::World;

/// The size of the experiment.
struct Plan {
    /// Signals, and units of each of the network's three layers.
    signals: usize,
    width: usize,
    /// Steps of each training.
    steps: usize,
    /// Contexts to be judged by, and draws for each.
    contexts: usize,
    draws: usize,
    calls: usize,
    most: usize,
}

const OURS: &str = "forward model";
const PLAIN: &str = "forward model, no novel view";
const BACK: &str = "diffusion of back-projections";
const ORACLE: &str = "diffusion of true signals";
const REGRESSION: &str = "exact mean";
const LEARNT: &str = "learnt mean";
/// Arms with a learning rate.
const TRAINED: [&str; 4] = [OURS, PLAIN, BACK, ORACLE];
const RATES: [f64; 2] = [1e-3, 3e-3];

/// Runs the experiment.
pub fn run(trial: &Trial) -> Result<Evidence> {
    let plan = trial.at(
        Plan { signals: 100, width: 16, steps: 20, contexts: 2, draws: 30, calls: 4, most: 2 },
        Plan { signals: 2000, width: 96, steps: 800, contexts: 12, draws: 200, calls: 15, most: 6 },
        Plan { signals: 4000, width: 128, steps: 3000, contexts: 20, draws: 300, calls: 20, most: 10 },
    );
    let mut evidence = plan.evidence();
    let worlds = [World::plane()?, World::space()?];
    let mut rates = [0.0; 4];
    for (rate, arm) in rates.iter_mut().zip(TRAINED) {
        trial.progress.begin(&format!("rate of {arm}"), None);
        *rate = tune(&mut evidence, (arm, "rate"), &RATES, |rate| {
            checkpoint(trial.progress)?;
            let seed = trial.seed.stream("tuning").stream(arm);
            Ok(plan.figures(&worlds[0], &[(arm, rate)], seed, trial)?[0].2)
        })?;
    }
    let arms: Vec<(&str, f64)> = TRAINED.into_iter().zip(rates).collect();
    trial.repeat(
        &mut evidence,
        Repetitions { part: "networks", pilot: trial.at(1, 3, 3), most: plan.most },
        |seed| {
            let mut found = plan.figures(&worlds[0], &arms, seed.stream("plane"), trial)?;
            found.extend(plan.figures(&worlds[1], &arms[..2], seed.stream("space"), trial)?);
            Ok(found)
        },
    )?;
    identities(&mut evidence, trial.seed.stream("identities"));
    evidence.plots = vec![plot(&evidence)];
    Ok(evidence)
}

fn metric(what: &str, world: &str) -> String {
    format!("{what}/{world}")
}

const DISTANCE: &str = "energy distance to the posterior";
const MODES: &str = "share of modes hit";
const MISSED: &str = "context missed by";

impl Plan {
    /// What the paper says, what is done here, and what is expected: written down before anything is measured.
    fn evidence(&self) -> Evidence {
        let mut e = Evidence::new(
            "One model draws diverse and sharp 3-D scenes from a single image, taught by images alone, where deterministic predictors blur.",
            format!(
                "Signals are points of four normal laws in the plane, seen only through three random projections each with noise 0.05. {} of \
                 them teach a perceptron of 3 x {} units for {} steps. Given one projection, {} draws for each of {} contexts are compared with \
                 the exact posterior by the energy distance. The rival is the exact posterior mean: of single answers none is nearer in \
                 squares, and no regression on projections can beat it.",
                self.signals, self.width, self.steps, self.draws, self.contexts
            ),
        );
        let plane = metric(DISTANCE, "plane");
        let says = "plane: draws are at most a third as far from the posterior as the exact mean";
        e.expect(says, &plane, OURS, Some(REGRESSION), Relation::Below(1.0 / 3.0)).by(By::Ratio).matters(1.5);
        let says = "plane: diffusion of true signals is as near, so that the course of training allows it";
        e.gate(says, &plane, ORACLE, Some(REGRESSION), Relation::Below(1.0 / 3.0)).by(By::Ratio);
        e.gate("plane: the exact mean is far from the posterior", &plane, REGRESSION, None, Relation::Above(0.05));
        e.report("plane: the model's own mean is as far", &plane, LEARNT, Some(REGRESSION), Relation::Above(0.8))
            .by(By::Ratio);
        for (says, arm, rival, relation) in [
            ("plane: nearer than diffusion of back-projections", OURS, BACK, Relation::Below(1.0)),
            ("plane: farther than diffusion of true signals", OURS, ORACLE, Relation::Above(1.0)),
            ("plane: the novel view changes less than a factor of two", OURS, PLAIN, Relation::Within(2.0)),
        ] {
            e.report(says, &plane, arm, Some(rival), relation).by(By::Ratio);
        }
        let says = "space: the novel view at least halves the distance, as two projections leave a direction untold";
        e.report(says, &metric(DISTANCE, "space"), OURS, Some(PLAIN), Relation::Below(0.5)).by(By::Ratio);
        let says = "space: with it draws are nearer than the exact mean";
        e.report(says, &metric(DISTANCE, "space"), OURS, Some(REGRESSION), Relation::Below(1.0)).by(By::Ratio);
        let says = "plane: 9 of 10 modes of the posterior are hit";
        e.report(says, &metric(MODES, "plane"), OURS, None, Relation::Above(0.9));
        let says = "plane: draws miss the context by no more than three times its noise's mean size";
        e.report(says, &metric(MISSED, "plane"), OURS, None, Relation::Below(0.12));
        e.notes = vec![
            "The drawn projection is at a right angle to the context's. All trained arms have the learning rate that is nearest on a network \
             of another seed. The energy distance is the unbiased one, a mean over contexts."
                .into(),
            "Added after a first quick run, in which draws were at 0.82 of the exact mean's distance and diffusion of true signals, with as \
             short a training, not at a third of it either: the gate that the latter is."
                .into(),
            "Digits behind masks, several contexts and the paper's scenes are not run here.".into(),
        ];
        e
    }

    /// The figures of some arms, and of the means, in a world.
    fn figures(&self, world: &World, arms: &[(&str, f64)], seed: Seed, trial: &Trial) -> Result<Vec<Figure>> {
        let course = Course { signals: self.signals, width: self.width, steps: self.steps, calls: self.calls };
        let mut trained = Arms::new(world, course, seed, trial.progress);
        for (arm, rate) in arms {
            checkpoint(trial.progress)?;
            trained.train(arm, *rate)?;
        }
        let mut all: Vec<(&str, [Vec<f64>; 3])> = Vec::new();
        let names = arms.iter().map(|(arm, _)| *arm).chain([LEARNT, REGRESSION]);
        for arm in names {
            all.push((arm, Default::default()));
        }
        for i in 0..self.contexts {
            let seed = seed.stream("contexts").stream(&i.to_string());
            let context = world.context(seed)?;
            let exact = world.posterior(&context)?;
            let wanted = exact.sample(self.draws, &quadrat_diffusion::Level::CLEAN, seed.stream("posterior"))?;
            for (arm, found) in &mut all {
                let Some(samples) = trained.draw(arm, &context, &exact, self.draws, seed.stream(arm))? else {
                    continue;
                };
                let [distance, modes, missed] = world.compare(&samples, &wanted, &exact, &context)?;
                found[0].push(distance);
                found[1].push(modes);
                found[2].push(missed);
            }
        }
        let mut figures = Vec::new();
        for (arm, found) in all.iter().filter(|(_, found)| !found[0].is_empty()) {
            for (what, values) in [DISTANCE, MODES, MISSED].into_iter().zip(found) {
                figures.push(((*arm).to_owned(), metric(what, world.name), stats::mean(values)));
            }
        }
        Ok(figures)
    }
}

/// What must hold whatever the seed.
fn identities(evidence: &mut Evidence, seed: Seed) {
    let mut rng = seed.rng(0);
    let mut normals = |n: usize| (0..n).map(|_| rng.normal()).collect::<Vec<f64>>();
    let forward = Projection { signal: 3, observed: 2 };
    let (signal, phi, cotangent, step) = (normals(3), normals(6), normals(2), normals(3));
    let value = |by: f64| {
        let moved: Vec<f64> = signal.iter().zip(&step).map(|(s, d)| s + by * d).collect();
        let mut out = [0.0; 2];
        forward.apply(&moved, &phi, &mut out);
        out.iter().zip(&cotangent).map(|(o, u)| o * u).sum::<f64>()
    };
    let mut gradient = [0.0; 3];
    forward.pull_back(&signal, &phi, &cotangent, &mut gradient);
    let along: f64 = gradient.iter().zip(&step).map(|(g, d)| g * d).sum();
    let difference = (value(1e-4) - value(-1e-4)) / 2e-4;
    evidence.identity("gradient through a projection and central differences", along, difference, 1e-9);
}

fn plot(evidence: &Evidence) -> Plot {
    let series = [ORACLE, OURS, PLAIN, BACK, LEARNT, REGRESSION].iter().enumerate().map(|(at, arm)| {
        let points = vec![point(evidence, arm, &metric(DISTANCE, "plane"), at as f64 + 1.0, 0.0)];
        Series { name: (*arm).into(), points }
    });
    Plot {
        title: "Points in the plane, one projection seen".into(),
        x: "arm".into(),
        y: "energy distance to the posterior".into(),
        log_x: false,
        log_y: false,
        series: series.collect(),
    }
}
