//! What the claims about few labels share: digits of which forty have a label, and a training with the others beside them.

use crate::networks::{accuracy, resized, split};
use crate::trial::Quiet;
use crate::{Figure, Repetitions, Trial};
use quadrat_core::{Evidence, Result, Rng, Seed};
use quadrat_nn::{Beside, ConvNet, Samples, TrainMethod, Trainer, TwoViews};

const SIDE: usize = 14;
const CLASSES: usize = 10;
/// Labels of each class, and rows without.
const LABELS: usize = 4;
const POOL: usize = 2_000;
const TEST: usize = 1_500;
/// Labelled rows in a step, and unlabelled ones beside each.
const BATCH: usize = 20;
const RATIO: usize = 7;

/// The methods of an arm, by name.
pub(super) type Arm = (&'static str, fn() -> Vec<Box<dyn TrainMethod>>);

/// How long an arm trains.
pub(super) struct Plan {
    pub steps: usize,
    pub arms: &'static [Arm],
    pub most: usize,
}

impl Plan {
    /// In words.
    pub fn told(&self) -> String {
        format!(
            "MNIST of {SIDE} x {SIDE} pixels: {LABELS} labels a class, {POOL} rows without, {TEST} other test rows, all drawn anew in \
             each repetition and the same for all arms. Convolutions of 8 and 16 channels and 64 units, {} steps of {BATCH} \
             labelled rows and {RATIO} unlabelled ones beside each, Adam from 0.003 along a cosine, moving average of weights \
             0.99. Weak views are shifted by a pixel; strong ones are changed by two operations of RandAugment, covered in part \
             and shifted. Nothing is tuned: all arms have the same rate and the papers' own settings.",
            self.steps
        )
    }

    /// Repeats all arms, and puts accuracy and what the methods found on record.
    pub fn repeat(&self, trial: &Trial, evidence: &mut Evidence) -> Result<()> {
        trial.repeat(evidence, Repetitions { part: "forty labels", pilot: 4, most: self.most }, |seed| {
            let draw = Draw::new(seed)?;
            let arms: Result<Vec<Vec<Figure>>> =
                self.arms.iter().map(|arm| self.fit(*arm, &draw, seed, trial)).collect();
            Ok(arms?.concat())
        })
    }

    fn fit(&self, (name, methods): Arm, draw: &Draw, seed: Seed, trial: &Trial) -> Result<Vec<Figure>> {
        let network = ConvNet { filters: vec![8, 16], hidden: 64, ..ConvNet::new([1, SIDE, SIDE], CLASSES) };
        let mut methods = methods();
        let (own, unchanged) = (seed.stream("unlabelled"), |_: &mut [f32], _: &mut Rng| {});
        let twice = TwoViews { source: &draw.pool, view: &unchanged, seed: own };
        // An epoch is an eighth of the run: what is decided epoch by epoch is decided so often.
        let times = (self.steps * BATCH).div_ceil(8 * draw.labelled.len()).max(1);
        let again: Vec<u32> = (0..times).flat_map(|_| 0..draw.labelled.len() as u32).collect();
        let labelled = draw.labelled.select(&again);
        let both = Beside { labelled: &labelled, unlabelled: &twice, ratio: RATIO, seed: own };
        let trainer = Trainer {
            epochs: self.steps.div_ceil(labelled.len().div_ceil(BATCH)),
            batch: BATCH,
            rate: 3e-3,
            average: Some(0.99),
            seed,
            ..Trainer::default()
        };
        let mut hooks: Vec<&mut dyn TrainMethod> = methods.iter_mut().map(|method| &mut **method as _).collect();
        let source: &dyn quadrat_nn::Source = if hooks.is_empty() { &labelled } else { &both };
        let fit = trainer.fit(&network, source, None, &mut hooks, &Quiet(trial.progress))?;
        let mut figures =
            vec![(name.to_owned(), "accuracy".to_owned(), accuracy(&network, &fit.parameters, &draw.test)?)];
        for (what, value) in methods.iter().flat_map(|method| method.found()) {
            let what = what.split_once(": ").map_or(what.clone(), |(_, what)| what.to_owned());
            figures.push((name.to_owned(), what, value));
        }
        Ok(figures)
    }
}

/// One draw of rows.
struct Draw {
    labelled: Samples,
    pool: Samples,
    test: Samples,
}

impl Draw {
    fn new(seed: Seed) -> Result<Self> {
        let (rows, test) = split("mnist", POOL + 400, TEST, seed)?;
        let small =
            |samples: Samples| -> Result<Samples> { Ok(samples.with_inputs(resized(&samples.inputs, 28, SIDE)?)) };
        let (rows, test) = (small(rows)?, small(test)?);
        let mut left = [LABELS; CLASSES];
        let (mut labelled, mut pool) = (Vec::new(), Vec::new());
        for (row, label) in (0..).zip(rows.labels().unwrap_or_default()) {
            let left = &mut left[*label as usize];
            if *left > 0 {
                *left -= 1;
                labelled.push(row);
            } else if pool.len() < POOL {
                pool.push(row);
            }
        }
        Ok(Draw { labelled: rows.select(&labelled), pool: rows.select(&pool), test })
    }
}
