//! Fine-tuning the smallest weights of a diffusion model: is a style learnt while the rest is kept?

mod arms;
mod diffusion;
mod identities;
mod judge;

use super::images;
use crate::tune::tune;
use crate::{Repetitions, Trial};
use arms::{Arm, SHARE, Style};
use diffusion::{Noising, STEPS, denoiser, rows_of, sample};
use judge::{Figures, Judge, Setting};
use quadrat_core::{By, Evidence, Plot, Relation, Result, Series, Silent, stats};
use quadrat_nn::{Loss, Optimizer, Parameters, Role, Schedule, TrainMethod, Trainer};
use quadrat_regularize::classes_of;

/// The size of the experiment.
struct Plan {
    /// Images that the model learns first, and for how long.
    train: usize,
    epochs: usize,
    /// Images that the judge compares with.
    reference: usize,
    /// Images sampled, a tenth of each class.
    samples: usize,
    /// Steps of fine-tuning.
    steps: usize,
    styles: &'static [Style],
    arms: &'static [Arm],
    most: usize,
}

const NONE: &str = "none";

/// Pixels of a side.
const SIDE: usize = 8;
const PIXELS: usize = SIDE * SIDE;
const CLASSES: usize = 10;
/// Sines and cosines that tell the time.
const TIMES: usize = 16;
const INPUTS: usize = PIXELS + CLASSES + TIMES;
const WIDTH: usize = 128;
/// Images of the style, of the even classes only.
const STYLED: usize = 50;

const TO_STYLE: &str = "distance to the style";
const KEPT: &str = "accuracy of other classes";
const JOINT: &str = "joint score";
const TO_PLAIN: &str = "distance to plain";
const RECOGNISED: &str = "accuracy";

/// Runs the experiment.
pub fn run(trial: &Trial) -> Result<Evidence> {
    const ALL: &[Arm] = &[Arm::Sara, Arm::Lora, Arm::Full, Arm::Random];
    const BOTH: &[Style] = &[Style::Inverted, Style::Thick];
    let full =
        Plan { train: 1_200, epochs: 800, reference: 390, samples: 500, steps: 400, styles: BOTH, arms: ALL, most: 20 };
    let plan = trial.at(
        Plan { train: 200, epochs: 3, reference: 200, samples: 40, steps: 4, most: 2, ..full },
        Plan { arms: &ALL[..3], most: 6, ..full },
        full,
    );
    let digits = images("digits", SIDE)?;
    let mut evidence = plan.evidence();
    let apart = Setting::new(&plan, &digits, trial.seed.stream("tuning"))?;
    let judge = Judge::new(&apart, plan.styles)?;
    let rates = plan.tuned(&apart, &judge, &mut evidence)?;
    let one = |seed| plan.repetition(&Setting::new(&plan, &digits, seed)?, &judge, &rates);
    trial.repeat(&mut evidence, Repetitions { part: "styles", pilot: 5, most: plan.most }, one)?;
    evidence.plots = vec![plan.plot(&evidence)];
    identities::add(&mut evidence, trial.seed.stream("identities"))?;
    Ok(evidence)
}

impl Plan {
    /// What the paper says, what is done here, and what is expected: written down before anything is measured.
    fn evidence(&self) -> Evidence {
        let styles: Vec<&str> = self.styles.iter().map(|style| style.name()).collect();
        let mut e = Evidence::new(
            "The smallest tenth to fifth of a diffusion model's weights can be zeroed without harm. Training only them \
             learns a style and keeps what was known better than LoRA, other adapters and full tuning at as many trained \
             values.",
            format!(
                "A denoiser of scikit-learn's digits by class, 8 x 8 pixels: {INPUTS} inputs (pixels, class, time), 3 x \
                 {WIDTH} units, noise predicted, {STEPS} steps; {} images, {} epochs. Then {} steps on {STYLED} images of \
                 the even classes in another style ({}), all at once. Sparse arms train {SHARE} of the kernels' entries, \
                 LoRA as many values. {} samples; distances are Fréchet's in the 64 units of a classifier of plain and \
                 styled digits. Joint score: the share of the distance to the style that was closed, plus the share of the \
                 accuracy on the odd classes that was kept; mean of the styles.",
                self.train,
                self.epochs,
                self.steps,
                styles.join(", "),
                self.samples
            ),
        );
        let (ours, lora, all) = (Arm::Sara.name(), Arm::Lora.name(), Arm::Full.name());
        let says = "style and other classes together: sara is better than LoRA with as many trained values";
        e.expect(says, JOINT, ours, Some(lora), Relation::Above(0.0)).matters(0.1);
        let says = "style and other classes together: sara is better than training all weights";
        e.expect(says, JOINT, ours, Some(all), Relation::Above(0.0)).matters(0.05);
        e.gate("what the model samples before is what was asked for", RECOGNISED, NONE, None, Relation::Above(0.9));
        e.gate(
            "the judge knows plain and styled digits that it has not seen",
            RECOGNISED,
            "judge",
            None,
            Relation::Above(0.9),
        );
        let says = "sara closes half of the distance to the style";
        e.report(says, TO_STYLE, ours, Some(NONE), Relation::Below(0.5)).by(By::Ratio);
        for rival in self.arms.iter().map(|arm| arm.name()).filter(|name| *name != ours) {
            let says = format!("sara is as near to the style as {rival}, to a tenth");
            e.report(&says, TO_STYLE, ours, Some(rival), Relation::Below(1.1)).by(By::Ratio);
            let says = format!("sara keeps the other classes better than {rival}");
            e.report(&says, KEPT, ours, Some(rival), Relation::Above(0.0));
        }
        let says = "the smallest weights have the better joint score than random ones";
        if self.arms.contains(&Arm::Random) {
            e.report(says, JOINT, ours, Some(Arm::Random.name()), Relation::Above(0.0));
        }
        for (share, limit) in ZEROED {
            let says = format!("zeroing the smallest {share} moves the distance to plain digits by less than {limit}");
            e.report(&says, TO_PLAIN, &zeroed(share), Some(NONE), Relation::Within(limit)).by(By::Ratio);
        }
        e.notes = vec![
            "Each arm's learning rate has the best joint score on a model apart, by one grid. AdamW, decay 0.01, constant \
             rate. Styles are judged by images that were not trained on. Repetitions draw images, train a model of their own \
             and fine-tune it; the judge is one for all. One set of sampling noise for all arms of a repetition."
                .into(),
            "Changed after the first records: the model's samples had not been recognisable (a fifth of ten classes), so \
             nothing could be judged; small images, a longer training and a gate now. What was a conjunction of nine \
             expectations, one of them on each of style and classes alone, is the joint score against the two rivals."
                .into(),
        ];
        e
    }

    /// The model after fine-tuning.
    fn tune(&self, setting: &Setting, arm: Arm, style: Style, rate: f64) -> Result<Parameters> {
        let data = rows_of(&style.of(&setting.styled.inputs), classes_of(&setting.styled)?)?;
        let trainer = Trainer {
            epochs: self.steps,
            batch: STYLED,
            rate,
            schedule: Schedule::Constant,
            optimizer: Optimizer::adamw(0.01),
            loss: Loss::SquaredError,
            pieces: 1,
            seed: setting.seed.stream("fine-tuning").stream(style.name()),
            ..Trainer::default()
        };
        let (mut noising, mut own) = (Noising { seed: setting.seed }, arm.method(&setting.base));
        let mut methods: Vec<&mut dyn TrainMethod> = vec![&mut noising];
        if let Some(own) = &mut own {
            methods.push(&mut **own);
        }
        Ok(trainer.fit_from(&denoiser(), setting.base.clone(), &data, None, &mut methods, &Silent)?.parameters)
    }

    /// What the judge says of the model before fine-tuning, style by style.
    fn before(&self, setting: &Setting, judge: &Judge) -> Result<Vec<Figures>> {
        self.styles.iter().map(|style| judge.figures(self, setting, &setting.base, *style)).collect()
    }

    /// What it says of an arm, and the joint score.
    fn after(
        &self,
        (setting, judge): (&Setting, &Judge),
        before: &[Figures],
        arm: Arm,
        rate: f64,
    ) -> Result<(Vec<Figures>, f64)> {
        let tuned = self
            .styles
            .iter()
            .map(|style| judge.figures(self, setting, &self.tune(setting, arm, *style, rate)?, *style));
        let tuned = tuned.collect::<Result<Vec<_>>>()?;
        let joint = stats::mean(&tuned.iter().zip(before).map(|(now, none)| now.joint(none)).collect::<Vec<_>>());
        Ok((tuned, joint))
    }

    /// Each arm's learning rate, on a setting apart.
    fn tuned(&self, apart: &Setting, judge: &Judge, evidence: &mut Evidence) -> Result<Vec<f64>> {
        let before = self.before(apart, judge)?;
        let best = |arm: &Arm| {
            let loss = |rate| self.after((apart, judge), &before, *arm, rate).map(|(_, joint)| -joint);
            tune(evidence, (arm.name(), "rate"), &[3e-4, 1e-3, 3e-3, 1e-2], loss)
        };
        self.arms.iter().map(best).collect()
    }

    fn repetition(&self, setting: &Setting, judge: &Judge, rates: &[f64]) -> Result<Vec<(String, String, f64)>> {
        let mut found = self.standing(setting, judge)?;
        let before = self.before(setting, judge)?;
        let mut told = |arm: &str, figures: &[Figures]| {
            let mean = |of: fn(&Figures) -> f64| stats::mean(&figures.iter().map(of).collect::<Vec<_>>());
            // Distances of different styles have different scales.
            let nearness = mean(|f| f.style.ln()).exp();
            found.push((arm.to_owned(), TO_STYLE.to_owned(), nearness));
            found.push((arm.to_owned(), KEPT.to_owned(), mean(|f| f.kept)));
            found.push((arm.to_owned(), "distance of other classes to plain".to_owned(), mean(|f| f.others)));
        };
        told(NONE, &before);
        let mut joints = Vec::new();
        for (arm, rate) in self.arms.iter().zip(rates) {
            let (figures, joint) = self.after((setting, judge), &before, *arm, *rate)?;
            told(arm.name(), &figures);
            joints.push((arm.name().to_owned(), JOINT.to_owned(), joint));
        }
        found.extend(joints);
        Ok(found)
    }

    /// What the comparison stands on: the judge, the model before, and what weights are worth that do nothing.
    fn standing(&self, setting: &Setting, judge: &Judge) -> Result<Vec<(String, String, f64)>> {
        let (plain, labels) = (&setting.reference.inputs, classes_of(&setting.reference)?);
        let mut known = vec![judge.accuracy(plain, labels)?];
        for style in self.styles {
            known.push(judge.accuracy(&style.of(plain), labels)?);
        }
        let mut found = vec![("judge".to_owned(), RECOGNISED.to_owned(), stats::mean(&known))];
        let mut drawn = |arm: String, model: &Parameters| -> Result<()> {
            let (images, asked) = sample(model, self.samples, setting.seed.stream("samples"))?;
            found.push((arm.clone(), RECOGNISED.to_owned(), judge.accuracy(&images, &asked)?));
            found.push((arm, TO_PLAIN.to_owned(), judge.distance(&images, plain)?));
            Ok(())
        };
        drawn(NONE.to_owned(), &setting.base)?;
        let kernels = setting.base.iter().filter(|p| p.role == Role::Weight);
        let mut sizes: Vec<f32> = kernels.flat_map(|p| p.values()).map(f32::abs).collect();
        sizes.sort_unstable_by(f32::total_cmp);
        for (share, _) in ZEROED {
            let threshold = sizes[(share * sizes.len() as f64) as usize];
            let mut cut = setting.base.clone();
            for kernel in cut.iter_mut().filter(|p| p.role == Role::Weight) {
                kernel.update(|w| w.iter_mut().filter(|w| w.abs() < threshold).for_each(|w| *w = 0.0));
            }
            drawn(zeroed(share), &cut)?;
        }
        Ok(found)
    }

    fn plot(&self, evidence: &Evidence) -> Plot {
        let mean = |arm: &str, metric: &str| {
            stats::mean(&evidence.values(arm, metric).into_iter().map(|(_, value)| value).collect::<Vec<_>>())
        };
        let names = std::iter::once(NONE).chain(self.arms.iter().map(|arm| arm.name()));
        let series = names.map(|arm| {
            let (x, y) = (mean(arm, TO_STYLE), mean(arm, KEPT));
            Series { name: arm.to_owned(), points: vec![[x, y, y, y]] }
        });
        Plot {
            title: "Learning the style against keeping the other classes".into(),
            x: "Fréchet distance to the style".into(),
            y: "samples of other classes that are what was asked for".into(),
            log_x: true,
            log_y: false,
            series: series.collect(),
        }
    }
}

/// Shares of the smallest weights that are zeroed, and by what factor the distance may move.
const ZEROED: [(f64, f64); 2] = [(0.1, 1.03), (0.2, 1.1)];

fn zeroed(share: f64) -> String {
    format!("smallest {:.0}% zero", 100.0 * share)
}
