//! Combinations of diffusion models: do weights and resampling mend what added scores get wrong, at equal calls?

mod cases;

use crate::figures::point;
use crate::tune::tune;
use crate::{Figure, Repetitions, Trial};
use cases::{Case, Digits};
use quadrat_core::{By, Evidence, Plot, Relation, Result, Seed, Series, Silent, checkpoint, stats};
use quadrat_diffusion::{FeynmanKac, Grid, Target};

/// The size of the experiment.
struct Plan {
    /// Particles, and steps.
    particles: usize,
    steps: usize,
    /// Runs behind each value that is tried.
    tuning: u64,
    most: usize,
    /// Particles of the digits' product.
    digits: usize,
    /// Numbers of particles along which errors are drawn.
    along: Vec<usize>,
}

/// The noise of each arm, as tuned.
struct Noises {
    corrected: f64,
    every: f64,
    weighed: f64,
    added: f64,
}

const CORRECTED: &str = "fkc";
const EVERY: &str = "fkc, every step";
const WEIGHED: &str = "weights without resampling";
const ADDED: &str = "added scores";
const EXACT: &str = "exact draws";
/// The paper's two forms: target score, and tempered noise (z = 1/b).
const PAPER: [(&str, &str, f64); 2] = [
    ("fkc, target score", "added scores, target score", 1.0),
    ("fkc, tempered noise", "added scores, tempered noise", 1.0 / 3.0),
];
/// Values of the noise z that each arm is tuned over.
const TRIED: [f64; 5] = [1.0, 2.0, 4.0, 8.0, 16.0];
/// Share of the particles below which the effective sample size is when they are resampled.
const SHARE: f64 = 0.5;

/// Runs the experiment.
pub fn run(trial: &Trial) -> Result<Evidence> {
    let plan = trial.at(
        Plan { particles: 128, steps: 20, tuning: 1, most: 2, digits: 16, along: vec![64, 128] },
        Plan { particles: 1024, steps: 100, tuning: 16, most: 50, digits: 128, along: vec![256, 1024, 4096] },
        Plan { particles: 2048, steps: 200, tuning: 32, most: 120, digits: 512, along: vec![512, 2048, 8192] },
    );
    let mut evidence = plan.evidence();
    let cases = [Case::annealed()?, Case::guided()?, Case::product()?, Case::even()?];
    let noises = plan.tune(&mut evidence, &cases[0], trial)?;
    let digits = Digits::new()?;
    trial.repeat(&mut evidence, Repetitions { part: "combinations", pilot: 8, most: plan.most }, |seed| {
        let mut found = Vec::new();
        for case in &cases {
            checkpoint(trial.progress)?;
            found.extend(plan.arms(case, &noises, seed.stream(case.name))?);
        }
        for case in [&cases[0], &cases[3]] {
            found.extend(plan.papers(case, seed.stream("paper").stream(case.name))?);
        }
        for particles in &plan.along {
            for (arm, noise, threshold) in [(CORRECTED, noises.corrected, SHARE), (ADDED, noises.added, 0.0)] {
                let more = FeynmanKac { particles: *particles, ..plan.method(noise, threshold) };
                let [masses, _] = cases[0].errors(&more, arm == ADDED, seed.stream(&format!("{arm} {particles}")))?;
                found.push((arm.to_owned(), masses_at(*particles), masses));
            }
        }
        Ok(found)
    })?;
    trial.repeat(&mut evidence, Repetitions { part: "digits", pilot: 0, most: trial.at(1, 6, 12) }, |seed| {
        let method = |threshold| FeynmanKac { particles: plan.digits, ..plan.method(noises.corrected, threshold) };
        digits.figures([(CORRECTED, method(SHARE)), (ADDED, method(0.0))], EXACT, seed)
    })?;
    identities(&mut evidence, &cases[0], trial.seed.stream("identities"))?;
    evidence.plots = vec![plan.plot(&evidence)];
    Ok(evidence)
}

fn masses(case: &str) -> String {
    format!("distance of mode masses/{case}")
}

fn masses_at(particles: usize) -> String {
    format!("distance of mode masses/annealed, {particles} particles")
}

fn sliced(case: &str) -> String {
    format!("sliced Wasserstein distance/{case}")
}

impl Plan {
    /// What the paper says, what is done here, and what is expected: written down before anything is measured.
    fn evidence(&self) -> Evidence {
        let mut e = Evidence::new(
            "With the same stochastic equation, weights and resampling make samples of an annealed law more faithful: for 13 Lennard-Jones \
             particles at temperature 1.5 the distance between energies falls from 2.15 to 0.77 with tempered noise and from 5.34 to 3.37 \
             with the target's score (3 seeds); guidance and products gain too.",
            format!(
                "Mixtures of normal laws in the plane, whose noised scores are exact, so that nothing but the sampler errs: the third power \
                 of three modes, guidance of scale 2, a product of two, and the square of three modes that are nearly alike. {} particles, \
                 {} steps, noise from 20 to 0.02. Counted is the total variation between the masses of modes and those of the stated law on a \
                 fine grid. The noise z of every arm is tuned on the annealed law by other seeds.",
                self.particles, self.steps
            ),
        );
        let annealed = masses("annealed");
        let says = "annealed: weights at most halve the error of added scores";
        e.expect(says, &annealed, CORRECTED, Some(ADDED), Relation::Below(0.5)).by(By::Ratio).matters(2.0);
        e.gate("added scores err more than as many exact draws", &annealed, ADDED, Some(EXACT), Relation::Above(0.0));
        for (says, metric, arm, rival, relation) in [
            ("so in sliced Wasserstein distance", sliced("annealed"), CORRECTED, ADDED, Relation::Below(1.0)),
            ("guidance: weights err less", masses("guided"), CORRECTED, ADDED, Relation::Below(1.0)),
            ("product: weights err less", masses("product"), CORRECTED, ADDED, Relation::Below(1.0)),
            ("modes nearly alike: weights err more", masses("even"), CORRECTED, ADDED, Relation::Above(1.0)),
            ("so with the paper's target score", masses("even"), PAPER[0].0, PAPER[0].1, Relation::Above(1.0)),
            (
                "resampling by need errs less than at every step",
                annealed.clone(),
                CORRECTED,
                EVERY,
                Relation::Below(1.0),
            ),
            ("and less than never", annealed.clone(), CORRECTED, WEIGHED, Relation::Below(1.0)),
            (
                "the paper's target score: weights err less",
                annealed.clone(),
                PAPER[0].0,
                PAPER[0].1,
                Relation::Below(1.0),
            ),
            (
                "the paper's tempered noise: weights err less",
                annealed.clone(),
                PAPER[1].0,
                PAPER[1].1,
                Relation::Below(1.0),
            ),
            (
                "tuned noise errs at most half as much as target score",
                annealed.clone(),
                CORRECTED,
                PAPER[0].0,
                Relation::Below(0.5),
            ),
            ("as many exact draws err less", annealed, EXACT, CORRECTED, Relation::Below(1.0)),
            (
                "digits, 3 and 8: weights bring the energy nearer",
                cases::ENERGY.to_owned(),
                CORRECTED,
                ADDED,
                Relation::Below(1.0),
            ),
        ] {
            e.report(says, &metric, arm, Some(rival), relation).by(By::Ratio);
        }
        e.notes = vec![
            "Added scores with much noise are annealed Langevin correctors: z/2 of the score and √z of the noise are a Langevin step. The \
             tuning may take as much of it as it likes."
                .into(),
            "All arms use the second-order step of this library; the paper's is Euler's. The paper's arms resample at every step, as it \
             does. Lennard-Jones systems and image models need networks and are not run; birth and death in place of resampling is not \
             implemented."
                .into(),
            "That weights err more where modes are nearly alike, since added scores are nearly right there, was seen with the paper's noise \
             before; a first quick run showed that it is not so with tuned noise, for the modes' masses. It stays as it was said. That run \
             also asked to see a factor of 1.3 beyond the limit, which takes hundreds of repetitions of so skewed a figure; it is 2 since."
                .into(),
            "Digits have 64 dimensions, and weights vary with each of them: particles are few for that."
                .into(),
        ];
        e
    }

    fn method(&self, noise: f64, threshold: f64) -> FeynmanKac {
        FeynmanKac { particles: self.particles, steps: self.steps, noise, threshold, ..FeynmanKac::default() }
    }

    /// The noise of every arm, on the annealed law.
    fn tune(&self, evidence: &mut Evidence, case: &Case, trial: &Trial) -> Result<Noises> {
        let mut noise = |arm: &str, threshold: f64| {
            let seed = trial.seed.stream("tuning").stream(arm);
            trial.progress.begin(&format!("noise of {arm}"), None);
            tune(evidence, (arm, "noise"), &TRIED, |noise| {
                let one = |run: u64| -> Result<f64> {
                    let method = self.method(noise, threshold);
                    Ok(case.errors(&method, arm == ADDED, seed.stream(&run.to_string()))?[0].ln())
                };
                checkpoint(trial.progress)?;
                Ok(stats::mean(&(0..self.tuning).map(one).collect::<Result<Vec<f64>>>()?))
            })
        };
        Ok(Noises {
            corrected: noise(CORRECTED, SHARE)?,
            every: noise(EVERY, 1.0)?,
            weighed: noise(WEIGHED, 0.0)?,
            added: noise(ADDED, 0.0)?,
        })
    }

    fn arms(&self, case: &Case, noises: &Noises, seed: Seed) -> Result<Vec<Figure>> {
        let mut found = Vec::new();
        for (arm, noise, threshold) in [
            (CORRECTED, noises.corrected, SHARE),
            (EVERY, noises.every, 1.0),
            (WEIGHED, noises.weighed, 0.0),
            (ADDED, noises.added, 0.0),
        ] {
            let errors = case.errors(&self.method(noise, threshold), arm == ADDED, seed.stream(arm))?;
            found.extend(
                [masses(case.name), sliced(case.name)].into_iter().zip(errors).map(|(m, v)| (arm.to_owned(), m, v)),
            );
        }
        let exact = case.draw(self.particles, seed.stream(EXACT))?;
        let shares = vec![1.0 / self.particles as f64; self.particles];
        found.push((EXACT.to_owned(), masses(case.name), case.off(exact.view(), &shares)));
        Ok(found)
    }

    fn papers(&self, case: &Case, seed: Seed) -> Result<Vec<Figure>> {
        let mut found = Vec::new();
        for (with, without, noise) in PAPER {
            for (arm, threshold) in [(with, 1.0), (without, 0.0)] {
                let [error, _] = case.errors(&self.method(noise, threshold), arm == without, seed.stream(arm))?;
                found.push((arm.to_owned(), masses(case.name), error));
            }
        }
        Ok(found)
    }

    fn plot(&self, evidence: &Evidence) -> Plot {
        let series = |arm: &str| {
            let points = self.along.iter().map(|k| point(evidence, arm, &masses_at(*k), *k as f64, 0.0));
            Series { name: arm.to_owned(), points: points.collect() }
        };
        Plot {
            title: "The third power of a mixture".into(),
            x: "particles".into(),
            y: "distance of mode masses".into(),
            log_x: true,
            log_y: true,
            series: vec![series(CORRECTED), series(ADDED)],
        }
    }
}

/// What must hold whatever the seed.
fn identities(evidence: &mut Evidence, case: &Case, seed: Seed) -> Result<()> {
    let schedule = cases::schedule();
    let method = FeynmanKac { particles: 512, steps: 50, ..FeynmanKac::default() };
    let plain = method.run(&Target::annealing(case.model(), 1.0), &schedule, &Grid::Karras, seed, &Silent)?;
    let largest = plain.log_weights.iter().fold(0.0f64, |m, w| m.max(w.abs()));
    evidence.identity("one model as it is: the largest |ln w|", largest, 0.0, 1e-9);
    evidence.identity("one model as it is: ln Z", plain.log_z, 0.0, 1e-9);
    let many = FeynmanKac { particles: 2048, islands: 8, steps: 200, ..FeynmanKac::default() };
    let found = case.run(&many, seed)?;
    evidence.identity("third power: ln Z by particles and by a grid", found.log_z, case.log_z, 0.15);
    // Normal law of variance s², b-th power: Z = (2π s²)^(1-b)/2 b^-1/2, with the last noise in s².
    let variance: f64 = 0.7;
    let normal = Case::normal(variance)?;
    let mild = FeynmanKac { particles: 4096, steps: 200, threshold: 0.0, ..FeynmanKac::default() };
    let found = mild.run(&Target::annealing(&normal, 1.1), &schedule, &Grid::Karras, seed, &Silent)?;
    let least = schedule.times()[0];
    let exact = -0.05 * (std::f64::consts::TAU * (variance + least * least)).ln() - 0.5 * 1.1f64.ln();
    evidence.identity("a normal law to the power 1.1: ln Z", found.log_z, exact, 0.03);
    Ok(())
}
