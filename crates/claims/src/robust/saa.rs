//! Sample adaptive augmentation: do harder views of the rows that are recognised already help?

use super::few::{Arm, Plan};
use crate::Trial;
use quadrat_core::{Evidence, Relation, Result};
use quadrat_robust::training::{FixMatch, FlexMatch, SampleAdaptive};

const OURS: &str = "fixmatch and saa";
const BASE: &str = "fixmatch";
const LABELS_ALONE: &str = "labels alone";
const ARMS: [Arm; 5] = [
    (OURS, || vec![Box::new(FixMatch::default()), Box::new(SampleAdaptive::default())]),
    (BASE, || vec![Box::new(FixMatch::default())]),
    (LABELS_ALONE, Vec::new),
    ("flexmatch and saa", || vec![Box::new(FlexMatch::default()), Box::new(SampleAdaptive::default())]),
    ("flexmatch", || vec![Box::new(FlexMatch::default())]),
];

/// Runs the experiment.
pub fn run(trial: &Trial) -> Result<Evidence> {
    let plan = trial.at(
        Plan { steps: 16, arms: &ARMS, most: 2 },
        Plan { steps: 400, arms: &ARMS[..3], most: 6 },
        Plan { steps: 600, arms: &ARMS, most: 20 },
    );
    let mut e = Evidence::new(
        "CIFAR-10 with 40 labels: FixMatch 92.5% to 94.8%, FlexMatch 95.0% to 95.3%, after a million steps.",
        plan.told(),
    );
    let says = "more accurate than FixMatch alone";
    e.expect(says, "accuracy", OURS, Some(BASE), Relation::Above(0.0)).matters(0.005);
    let says = "the unlabelled rows help at all: FixMatch is five points better than the labels alone";
    e.gate(says, "accuracy", BASE, Some(LABELS_ALONE), Relation::Above(0.05)).matters(0.05);
    let says = "at the end more than a tenth of the unlabelled rows are naive";
    e.report(says, "share of the unlabelled rows that are naive", OURS, None, Relation::Above(0.1));
    if plan.arms.len() > 3 {
        let says = "FlexMatch: more accurate than alone";
        e.report(says, "accuracy", "flexmatch and saa", Some("flexmatch"), Relation::Above(0.0));
    }
    plan.repeat(trial, &mut e)?;
    Ok(e)
}
