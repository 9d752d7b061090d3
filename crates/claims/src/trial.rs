//! What a claim's program is given, and how it repeats.

use crate::Checkpoint;
use quadrat_core::{Evidence, Plan, Progress, Result, Seed, checkpoint};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// How large a claim is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scale {
    /// Seconds: proves that the program works, gives no verdict.
    Smoke,
    /// At most two minutes on two cores.
    Quick,
    /// At most fifteen minutes on two cores.
    Full,
    /// As full, but with time for twenty times the repetitions: hours on two cores.
    Overnight,
}

impl std::fmt::Display for Scale {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Scale::Smoke => "smoke",
            Scale::Quick => "quick",
            Scale::Full => "full",
            Scale::Overnight => "overnight",
        })
    }
}

/// How many times as many repetitions as at full scale there may be overnight.
const OVERNIGHT: usize = 20;
/// Repetitions at smoke scale, without a pilot.
const SMOKE: usize = 2;

/// What a claim's program is given.
#[derive(Clone, Copy)]
pub struct Trial<'a> {
    /// All randomness comes from here, that of identities included.
    pub seed: Seed,
    /// How large to run.
    pub scale: Scale,
    /// Where to report.
    pub progress: &'a dyn Progress,
    /// Where finished repetitions are kept.
    pub checkpoint: Option<&'a Checkpoint>,
    /// A folder of data that may not be passed on, for claims that need some ([`NEED_DATA`](crate::NEED_DATA)).
    pub data: Option<&'a Path>,
}

/// Passes the user's cancelling on, and nothing back: progress is counted in repetitions.
pub(crate) struct Quiet<'a>(pub(crate) &'a dyn Progress);

impl Progress for Quiet<'_> {
    fn cancelled(&self) -> bool {
        self.0.cancelled()
    }
}

/// A figure of one repetition: arm, metric and value.
pub type Figure = (String, String, f64);

/// How often a part of an experiment is repeated.
#[derive(Debug, Clone, Copy)]
pub struct Repetitions<'a> {
    /// The part, which names its random stream.
    pub part: &'a str,
    /// Repetitions of the pilot.
    pub pilot: usize,
    /// The most that there is time for at this scale.
    pub most: usize,
}

impl Trial<'_> {
    /// The value for this scale; overnight it is that of full scale, and only repetitions are more.
    pub fn at<T>(&self, smoke: T, quick: T, full: T) -> T {
        match self.scale {
            Scale::Smoke => smoke,
            Scale::Quick => quick,
            Scale::Full | Scale::Overnight => full,
        }
    }

    /// Plans how often `one` is repeated for the expectations of `evidence`, which must have been said before, repeats it so
    /// often, and puts the figures on record.
    ///
    /// A pilot on seeds of its own tells how much the figures vary; the number that follows ([`Evidence::plan`]) is fixed
    /// before the first repetition, and nothing is looked at before the last. Repetitions run side by side and depend on
    /// nothing but their number. With a checkpoint each is kept as it ends, and what is kept is not run again.
    ///
    /// # Errors
    /// What `one` says; a checkpoint of another experiment.
    pub fn repeat<A: Into<String>>(
        &self,
        evidence: &mut Evidence,
        Repetitions { part, pilot, most }: Repetitions<'_>,
        one: impl Fn(Seed) -> Result<Vec<(A, String, f64)>> + Sync,
    ) -> Result<()> {
        if let Some(kept) = self.checkpoint {
            kept.open(part, evidence)?;
        }
        let seed = self.seed.stream(part);
        let run = |stage: &str, seed: Seed, count: usize| -> Result<Vec<Vec<Figure>>> {
            self.progress.begin(&format!("{part}, {stage}"), Some(count as u64));
            let repetition = |i: usize| {
                checkpoint(self.progress)?;
                let known = self.checkpoint.and_then(|kept| kept.find(part, stage, i));
                let figures = match known {
                    Some(figures) => figures,
                    None => {
                        let figures = one(seed.stream(&i.to_string()))?;
                        let figures: Vec<Figure> = figures.into_iter().map(|(arm, m, v)| (arm.into(), m, v)).collect();
                        self.checkpoint.map_or(Ok(()), |kept| kept.keep(part, stage, i, &figures))?;
                        figures
                    }
                };
                self.progress.advance(1);
                Ok(figures)
            };
            (0..count).into_par_iter().map(repetition).collect()
        };
        let repetitions = if self.scale == Scale::Smoke {
            SMOKE
        } else {
            let most = if self.scale == Scale::Overnight { OVERNIGHT * most } else { most };
            let mut found = Evidence::default();
            add(&mut found, &run("pilot", seed.stream("pilot"), pilot)?);
            let plan = evidence.plan(part, &found, pilot, most);
            self.progress.note(&said(&plan));
            if let Some(kept) = self.checkpoint {
                kept.plan(&plan)?;
            }
            let repetitions = plan.repetitions;
            evidence.plans.push(plan);
            repetitions
        };
        add(evidence, &run("repetitions", seed, repetitions)?);
        Ok(())
    }
}

fn add(evidence: &mut Evidence, outcomes: &[Vec<Figure>]) {
    for (repetition, figures) in (0..).zip(outcomes) {
        for (arm, metric, value) in figures {
            evidence.measure(arm, metric, repetition, *value);
        }
    }
}

/// A plan in a few words.
fn said(plan: &Plan) -> String {
    let least = plan.needs.iter().map(|n| n.power).fold(f64::INFINITY, f64::min);
    if least.is_finite() {
        format!("{} repetitions planned, power {least:.2}", plan.repetitions)
    } else {
        format!("{} repetitions", plan.repetitions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quadrat_core::{Error, Relation, Silent, Verdict};
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// A claim about a mean of 1 with deviation 1.
    fn claim(trial: &Trial, calls: &AtomicUsize, stop_at: usize) -> Result<Evidence> {
        let mut evidence = Evidence::new("It is above 0.", "Normal figures.");
        evidence.expect("above 0", "figure", "ours", None, Relation::Above(0.0)).matters(0.7);
        trial.repeat(&mut evidence, Repetitions { part: "normal", pilot: 8, most: 100 }, |seed| {
            if calls.fetch_add(1, Ordering::Relaxed) >= stop_at {
                return Err(Error::Cancelled);
            }
            Ok(vec![("ours", "figure".to_owned(), 1.0 + seed.rng(0).normal())])
        })?;
        Ok(evidence)
    }

    fn trial(scale: Scale, checkpoint: Option<&Checkpoint>) -> Trial<'_> {
        Trial { seed: Seed(1), scale, progress: &Silent, checkpoint, data: None }
    }

    #[test]
    fn a_pilot_fixes_the_number_beforehand() {
        let calls = AtomicUsize::new(0);
        let evidence = claim(&trial(Scale::Quick, None), &calls, usize::MAX).unwrap();
        let plan = &evidence.plans[0];
        assert!(plan.repetitions > 8 && plan.repetitions < 100 && plan.needs[0].power >= 0.9, "{plan:?}");
        assert_eq!(evidence.rows.len(), plan.repetitions, "the pilot's figures are not among them");
        assert_eq!(calls.into_inner(), 8 + plan.repetitions);
        assert_eq!(evidence.judge().0, Verdict::Holds);
        let smoke = claim(&trial(Scale::Smoke, None), &AtomicUsize::new(0), usize::MAX).unwrap();
        assert_eq!((smoke.rows.len(), smoke.plans.len()), (2, 0));
    }

    #[test]
    fn a_run_that_was_stopped_goes_on_to_the_same_figures() {
        let folder = std::env::temp_dir().join(format!("quadrat-trial-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("run.jsonl");
        let whole = claim(&trial(Scale::Overnight, None), &AtomicUsize::new(0), usize::MAX).unwrap();
        let open = || Checkpoint::new(&path, "normal", Scale::Overnight, 1).unwrap();
        let stopped = claim(&trial(Scale::Overnight, Some(&open())), &AtomicUsize::new(0), 12);
        assert!(matches!(stopped, Err(Error::Cancelled)));
        // A kill in the middle of a line.
        let mut text = std::fs::read_to_string(&path).unwrap();
        text.push_str(r#"{"part":"normal","stage":"rep"#);
        std::fs::write(&path, text).unwrap();
        let calls = AtomicUsize::new(0);
        let resumed = claim(&trial(Scale::Overnight, Some(&open())), &calls, usize::MAX).unwrap();
        assert_eq!(resumed, whole);
        assert!(calls.into_inner() <= 8 + whole.rows.len() - 12, "what was kept is not run again");
        let again = AtomicUsize::new(0);
        assert_eq!(claim(&trial(Scale::Overnight, Some(&open())), &again, 0).unwrap(), whole);

        let other = Checkpoint::new(&path, "normal", Scale::Overnight, 2).unwrap_err().to_string();
        assert!(other.contains("run.jsonl") && other.contains("another run"), "{other}");
        let mut changed = Evidence::new("It is above 0.", "Other figures.");
        let one = |_: Seed| Ok(Vec::<Figure>::new());
        let how = Repetitions { part: "normal", pilot: 1, most: 1 };
        let wrong = trial(Scale::Overnight, Some(&open())).repeat(&mut changed, how, one).unwrap_err().to_string();
        assert!(wrong.contains("another run"), "{wrong}");
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
