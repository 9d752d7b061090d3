//! Fine-tuning the smallest weights of a diffusion model: is more kept for as much of a new style?

mod arms;
mod diffusion;
mod identities;
mod judge;

use crate::figures::point;
use crate::networks::images;
use crate::{Figure, Repetitions, Trial};
use arms::{Arm, SHARE, Style};
use diffusion::{STEPS, sample};
use judge::{Judge, Setting};
use quadrat_core::{By, Evidence, Plot, Relation, Result, Seed, Series, stats};
use quadrat_nn::{Parameters, Role, Samples};
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
const KEPT: &str = "accuracy of other classes at equal style";
const REACHED: &str = "comes so near to the style";
const TO_PLAIN: &str = "distance to plain";
const RECOGNISED: &str = "accuracy";

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
/// Every arm is fine-tuned at each of these.
const RATES: [f64; 8] = [5e-6, 1e-5, 2e-5, 4e-5, 8e-5, 1.6e-4, 3.2e-4, 6.4e-4];
/// Arms are compared where they have closed this share of the distance to the style: on pilot seeds all came so near.
const CLOSED: f64 = 0.4;
/// Shares of the smallest weights that are zeroed, and by what factor the distance may move.
const ZEROED: [(f64, f64); 2] = [(0.1, 1.03), (0.2, 1.1)];

/// Runs the experiment.
pub fn run(trial: &Trial) -> Result<Evidence> {
    const ARMS: &[Arm] = &[Arm::Sara, Arm::Lora, Arm::Full, Arm::Random];
    const STYLES: &[Style] = &[Style::Inverted, Style::Thick];
    let full = Plan {
        train: 1_200,
        epochs: 800,
        reference: 390,
        samples: 500,
        steps: 200,
        styles: STYLES,
        arms: ARMS,
        most: 16,
    };
    let plan = trial.at(
        Plan { train: 200, epochs: 3, reference: 200, samples: 40, steps: 4, most: 2, ..full },
        Plan { arms: &ARMS[..3], most: 6, ..full },
        full,
    );
    let digits = images("digits", SIDE)?;
    let mut evidence = plan.evidence();
    let how = Repetitions { part: "styles", pilot: 5, most: plan.most };
    trial.repeat(&mut evidence, how, |seed| plan.repetition(&digits, seed))?;
    evidence.plots = plan.styles.iter().map(|style| plan.plot(*style, &evidence)).collect();
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
                 styled digits. In each repetition every arm is fine-tuned at each rate of {RATES:?}; arms are compared by how \
                 many samples of the odd classes are still what was asked for where {:.0}% of the distance to the style is \
                 closed, mean of the styles.",
                self.train,
                self.epochs,
                self.steps,
                styles.join(", "),
                self.samples,
                100.0 * CLOSED
            ),
        );
        let ours = Arm::Sara.name();
        let says = "as near to the style, sara keeps more of the other classes than LoRA with as many trained values";
        e.expect(says, KEPT, ours, Some(Arm::Lora.name()), Relation::Above(0.0)).matters(0.03);
        let says = "what the model samples before is what was asked for";
        e.gate(says, RECOGNISED, NONE, None, Relation::Above(0.9)).matters(0.02);
        let says = "the judge knows plain and styled digits that it has not seen";
        e.gate(says, RECOGNISED, "judge", None, Relation::Above(0.9)).matters(0.02);
        for rival in self.arms.iter().filter(|arm| ![Arm::Sara, Arm::Lora].contains(arm)) {
            let says = format!("as near to the style, it keeps more of them than {}", rival.name());
            e.report(&says, KEPT, ours, Some(rival.name()), Relation::Above(0.0));
        }
        for arm in self.arms {
            let says = format!("{} comes so near to the style at some rate", arm.name());
            e.report(&says, REACHED, arm.name(), None, Relation::Above(0.9));
        }
        for (share, limit) in ZEROED {
            let says = format!("zeroing the smallest {share} moves the distance to plain digits by less than {limit}");
            e.report(&says, TO_PLAIN, &zeroed(share), Some(NONE), Relation::Within(limit)).by(By::Ratio);
        }
        e.notes = vec![
            "Between rates an arm is taken to go straight from the one to the next, the model before fine-tuning first; where \
             several places are as near to the style, the one that keeps most counts, and an arm that never comes so near \
             has kept nothing. Rates are a factor of two apart: at wider steps the lines cut the corner that LoRA takes. \
             AdamW, decay 0.01, constant rate. Styles are judged by images that were not trained on. \
             Repetitions draw images, train a model and a judge of their own and fine-tune the model; one set of \
             sampling noise for all arms of a repetition."
                .into(),
            "Changed after the first records: the model's samples had not been recognisable (a fifth of ten classes), so \
             nothing could be judged: small images, a longer training and a gate now. A joint score of style and classes, at \
             a rate tuned on one model, rose or fell with that rate alone; what is kept at equal style, over all rates, does \
             not."
                .into(),
        ];
        e
    }

    fn repetition(&self, digits: &Samples, seed: Seed) -> Result<Vec<Figure>> {
        let setting = Setting::new(self, digits, seed)?;
        let judge = Judge::new(&setting, self.styles)?;
        let mut found = self.standing(&setting, &judge)?;
        let mut record = |arm: &str, metric: String, value: f64| found.push((arm.to_owned(), metric, value));
        let before = self.styles.iter().map(|style| judge.figures(self, &setting, &setting.base, *style));
        let before = before.collect::<Result<Vec<_>>>()?;
        for arm in self.arms {
            let (mut kept, mut reached) = (Vec::new(), true);
            for (style, none) in self.styles.iter().zip(&before) {
                let mut path = vec![(0.0, none.kept)];
                for rate in RATES {
                    let tuned = setting.tune(self.steps, *arm, *style, rate)?;
                    let now = judge.figures(self, &setting, &tuned, *style)?;
                    let closed = 1.0 - now.style / none.style;
                    path.push((closed, now.kept));
                    record(arm.name(), at_rate("share closed", *style, rate), closed);
                    record(arm.name(), at_rate("accuracy of other classes", *style, rate), now.kept);
                }
                reached &= path.iter().any(|(closed, _)| *closed >= CLOSED);
                kept.push(kept_at(CLOSED, &path));
            }
            record(arm.name(), KEPT.to_owned(), stats::mean(&kept));
            record(arm.name(), REACHED.to_owned(), f64::from(u8::from(reached)));
        }
        Ok(found)
    }

    /// What the comparison stands on: the judge, the model before, and what weights are worth that do nothing.
    fn standing(&self, setting: &Setting, judge: &Judge) -> Result<Vec<Figure>> {
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

    fn plot(&self, style: Style, evidence: &Evidence) -> Plot {
        let mean = |arm: &str, metric: &str| {
            stats::mean(&evidence.values(arm, metric).into_iter().map(|(_, value)| value).collect::<Vec<_>>())
        };
        let series = self.arms.iter().map(|arm| {
            let at = |rate| {
                let closed = mean(arm.name(), &at_rate("share closed", style, rate));
                point(evidence, arm.name(), &at_rate("accuracy of other classes", style, rate), closed, 0.0)
            };
            Series { name: arm.name().to_owned(), points: RATES.map(at).to_vec() }
        });
        Plot {
            title: format!("Learning the style against keeping the other classes, {}", style.name()),
            x: "share of the distance to the style that is closed".into(),
            y: "samples of other classes that are what was asked for".into(),
            log_x: false,
            log_y: false,
            series: series.collect(),
        }
    }
}

fn at_rate(figure: &str, style: Style, rate: f64) -> String {
    format!("{figure}, {} at {rate:e}", style.name())
}

fn zeroed(share: f64) -> String {
    format!("smallest {:.0}% zero", 100.0 * share)
}

/// The most that is kept on a path of straight lines where it has come so near, given as (share closed, share kept).
fn kept_at(near: f64, path: &[(f64, f64)]) -> f64 {
    let crossings = path.windows(2).filter(|ends| (ends[0].0 < near) != (ends[1].0 < near)).map(|ends| {
        let [(from, a), (to, b)] = [ends[0], ends[1]];
        a + (near - from) / (to - from) * (b - a)
    });
    let beyond = path.iter().filter(|(closed, _)| *closed >= near).map(|(_, kept)| *kept);
    crossings.chain(beyond).fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::kept_at;

    #[test]
    fn what_is_kept_is_read_off_the_path() {
        let path = [(0.0, 1.0), (0.5, 0.8), (0.9, 0.4), (0.6, 0.2)];
        for (near, kept) in [(0.25, 0.9), (0.5, 0.8), (0.7, 0.6), (0.95, 0.0)] {
            assert!((kept_at(near, &path) - kept).abs() < 1e-12, "{near}");
        }
    }
}
