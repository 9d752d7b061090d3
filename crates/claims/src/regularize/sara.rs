//! Fine-tuning the smallest weights of a diffusion model: is a style learnt while the rest is kept?

mod diffusion;
mod judge;

use crate::Trial;
use crate::networks::resized;
use diffusion::{Noising, STEPS, denoiser, rows_of, sample};
use judge::{Judge, Setting, frechet};
use ndarray::{Array2, s};
use quadrat_core::{Evidence, Plot, Relation, Result, Seed, Series, Silent, checkpoint, stats};
use quadrat_nn::{At, Loss, Mlp, Optimizer, Parameters, Role, Samples, Schedule, TrainMethod, Trainer};
use quadrat_regularize::{Lora, Pick, Sara, Select, classes_of, nuclear_subgradient};

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
    rates: &'static [f64],
    repeats: u64,
}

/// What the model is to learn.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Style {
    Inverted,
    Thick,
}

/// A way to fine-tune.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Arm {
    Sara,
    NoNuclear,
    NoProgressive,
    Random,
    Largest,
    Lora,
    Full,
}

const NONE: &str = "none";

/// Pixels of a side.
const SIDE: usize = 14;
const PIXELS: usize = SIDE * SIDE;
const CLASSES: usize = 10;
/// Sines and cosines that tell the time.
const TIMES: usize = 16;
const INPUTS: usize = PIXELS + CLASSES + TIMES;
const WIDTH: usize = 256;
/// Share of the kernels' entries that is trained.
const SHARE: f64 = 0.1;
/// Images of the style, of the even classes only.
const STYLED: usize = 50;

/// Runs the experiment.
pub fn run(trial: &Trial) -> Result<Evidence> {
    const ALL: [Arm; 7] =
        [Arm::Sara, Arm::NoNuclear, Arm::NoProgressive, Arm::Random, Arm::Largest, Arm::Lora, Arm::Full];
    let plan = trial.at(
        Plan {
            train: 256,
            epochs: 2,
            reference: 200,
            samples: 40,
            steps: 4,
            styles: &[Style::Inverted],
            arms: &ALL,
            rates: &[1e-3],
            repeats: 1,
        },
        Plan {
            train: 3_000,
            epochs: 30,
            reference: 1_000,
            samples: 500,
            steps: 200,
            styles: &[Style::Inverted],
            arms: &[Arm::Sara, Arm::Random, Arm::Lora, Arm::Full],
            rates: &[5e-4, 3e-3, 2e-2],
            repeats: 2,
        },
        Plan {
            train: 4_000,
            epochs: 30,
            reference: 1_000,
            samples: 500,
            steps: 300,
            styles: &[Style::Inverted, Style::Thick],
            arms: &ALL,
            rates: &[3e-4, 1e-3, 3e-3, 1e-2, 3e-2],
            repeats: 4,
        },
    );
    let mut evidence = plan.expectations();
    let fits = plan.arms.len() as u64 * (plan.rates.len() as u64 + plan.repeats * plan.styles.len() as u64);
    trial.progress.begin("fine-tunings", Some(fits));
    let seed = trial.seed.stream("sara");
    let apart = Setting::new(&plan, seed.stream("tuning"))?;
    let judge = Judge::new(&plan, &apart)?;
    let rates = plan.tuned(&apart, &judge, trial, &mut evidence)?;
    for repeat in 0..plan.repeats {
        let setting = Setting::new(&plan, seed.stream(&repeat.to_string()))?;
        plan.zeroing(&setting, &judge, repeat, &mut evidence)?;
        for &style in plan.styles {
            let none = judge.figures(&plan, &setting, &setting.base, style)?;
            none.record(&none, NONE, style, repeat, &mut evidence);
            for (&arm, &rate) in plan.arms.iter().zip(&rates) {
                checkpoint(trial.progress)?;
                let tuned = plan.tune(&setting, arm, style, rate)?;
                let figures = judge.figures(&plan, &setting, &tuned, style)?;
                figures.record(&none, arm.name(), style, repeat, &mut evidence);
                trial.progress.advance(1);
            }
        }
    }
    evidence.plots = plan.styles.iter().map(|style| plan.plot(*style, &evidence)).collect();
    identities(&mut evidence)?;
    Ok(evidence)
}

impl Style {
    fn name(self) -> &'static str {
        match self {
            Style::Inverted => "inverted",
            Style::Thick => "thick",
        }
    }

    /// Images of 28 x 28 pixels in this style.
    fn of(self, images: &Array2<f32>) -> Array2<f32> {
        const LARGE: usize = 2 * SIDE;
        match self {
            Style::Inverted => images.mapv(|v| 1.0 - v),
            Style::Thick => Array2::from_shape_fn(images.dim(), |(row, i)| {
                let (y, x) = (i / LARGE, i % LARGE);
                let near = |at: usize| at.saturating_sub(1)..(at + 2).min(LARGE);
                let around = near(y).flat_map(|y| near(x).map(move |x| y * LARGE + x));
                around.fold(0.0, |top, i| images[[row, i]].max(top))
            }),
        }
    }
}

impl Arm {
    fn name(self) -> &'static str {
        match self {
            Arm::Sara => "sara",
            Arm::NoNuclear => "sara, no nuclear norm",
            Arm::NoProgressive => "sara, one selection",
            Arm::Random => "random weights",
            Arm::Largest => "largest weights",
            Arm::Lora => "lora",
            Arm::Full => "all weights",
        }
    }

    /// The hook, if it takes one; all that are not full train as many values.
    fn method(self, parameters: &Parameters) -> Option<Box<dyn TrainMethod>> {
        let sara = Sara { select: Select::Fraction(SHARE), ..Sara::default() };
        Some(match self {
            Arm::Sara => Box::new(sara),
            Arm::NoNuclear => Box::new(Sara { lambda: 0.0, ..sara }),
            Arm::NoProgressive => Box::new(Sara { progressive: None, ..sara }),
            Arm::Random => Box::new(Sara { pick: Pick::Random, ..sara }),
            Arm::Largest => Box::new(Sara { pick: Pick::Largest, ..sara }),
            Arm::Lora => Box::new(lora(parameters)),
            Arm::Full => return None,
        })
    }
}

/// LoRA of the rank that trains most nearly as many values as the sparse arms.
fn lora(parameters: &Parameters) -> Lora {
    let entries: usize = parameters.iter().filter(|p| p.role == Role::Weight).map(|p| p.len()).sum();
    let one = Lora { rank: 1, ..Lora::default() }.trained(parameters);
    let rank = ((SHARE * entries as f64 / one as f64).round() as usize).max(1);
    Lora { rank, alpha: rank as f32, ..Lora::default() }
}

impl Plan {
    fn expectations(&self) -> Evidence {
        let mut evidence = Evidence {
            paper:
                "The smallest tenth to fifth of a diffusion model's weights can be zeroed without harm. Training only \
                    them learns a style and keeps what was known better than LoRA, other adapters and full tuning at \
                    as many trained values."
                    .into(),
            experiment: format!(
                "A denoiser of digits by class, 14 x 14 pixels: 222 inputs (pixels, class, time), 3 x {WIDTH} units, \
                 noise predicted, {STEPS} steps; {} images, {} epochs. Then {} steps on {STYLED} images of the even \
                 classes in another style ({}), all at once. Sparse arms train a tenth of the kernels' entries, LoRA \
                 as many values. {} samples; distances in the 64 units of a classifier of plain and styled digits.",
                self.train,
                self.epochs,
                self.steps,
                self.styles.iter().map(|s| s.name()).collect::<Vec<_>>().join(", "),
                self.samples
            ),
            ..Evidence::default()
        };
        let (ours, full, random, low_rank) = (Arm::Sara.name(), Arm::Full.name(), Arm::Random.name(), Arm::Lora.name());
        let change = "relative change of the distance to plain";
        let says = "zeroing the smallest tenth of the weights moves the distance by less than 3%";
        evidence.expect(says, change, "smallest 10% zero", None, Relation::Within(0.03));
        let says = "zeroing the smallest fifth moves it by less than 10%";
        evidence.report(says, change, "smallest 20% zero", None, Relation::Within(0.1));
        let says = "zeroing the largest tenth at least doubles it";
        evidence.report(says, change, "largest 10% zero", None, Relation::Above(1.0));
        for style in self.styles.iter().map(|s| s.name()) {
            let metric = |name: &str| format!("{name}/{style}");
            let says = format!("{style}: sara comes nearer to the style than no fine-tuning");
            evidence.expect(&says, &metric("distance to the style"), ours, Some(NONE), Relation::Below(0.0));
            let says = format!("{style}: sara keeps the classes better than full tuning");
            evidence.expect(&says, &metric("accuracy"), ours, Some(full), Relation::Above(0.0));
            let says = format!("{style}: sara's joint score is at most 0.05 below LoRA's");
            evidence.expect(&says, &metric("joint score"), ours, Some(low_rank), Relation::Above(-0.05));
            let says = format!("{style}: the smallest weights keep the classes better than random ones");
            evidence.expect(&says, &metric("accuracy"), ours, Some(random), Relation::Above(0.0));
            let rivals = self.arms.iter().map(|arm| arm.name()).filter(|name| *name != ours);
            for rival in rivals {
                for (figure, relation) in [
                    ("joint score", Relation::Above(0.0)),
                    ("distance to the style", Relation::Below(0.0)),
                    ("accuracy of other classes", Relation::Above(0.0)),
                    ("distance of other classes to plain", Relation::Below(0.0)),
                ] {
                    let better = format!("{style}: sara has the better {figure} than {rival}");
                    evidence.report(&better, &metric(figure), ours, Some(rival), relation);
                }
            }
        }
        evidence.notes.push(format!(
            "Every arm's learning rate is the one of {:?} with the best joint score (share of the distance closed plus \
             share of the accuracy kept) on a repetition apart, first style. AdamW, decay 0.01, constant rate. Styles \
             are judged by images that were not trained on. One set of sampling noise for all arms of a repetition.",
            self.rates
        ));
        evidence
    }

    /// The model after fine-tuning.
    fn tune(&self, setting: &Setting, arm: Arm, style: Style, rate: f64) -> Result<Parameters> {
        let images = resized(&style.of(&setting.styled.inputs), 2 * SIDE, SIDE)?;
        let data = rows_of(&images, classes_of(&setting.styled)?)?;
        let trainer = Trainer {
            epochs: self.steps,
            batch: STYLED,
            rate,
            schedule: Schedule::Constant,
            optimizer: Optimizer::adamw(0.01),
            loss: Loss::SquaredError,
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

    /// The best learning rate of each arm on a setting apart.
    fn tuned(&self, apart: &Setting, judge: &Judge, trial: &Trial, evidence: &mut Evidence) -> Result<Vec<f64>> {
        let style = self.styles[0];
        let none = judge.figures(self, apart, &apart.base, style)?;
        let (mut best, mut told) = (Vec::new(), Vec::new());
        for &arm in self.arms {
            let mut scores = Vec::new();
            for &rate in self.rates {
                checkpoint(trial.progress)?;
                let tuned = self.tune(apart, arm, style, rate)?;
                scores.push(judge.figures(self, apart, &tuned, style)?.joint(&none));
                trial.progress.advance(1);
            }
            let top = (0..scores.len()).fold(0, |top, i| if scores[i] > scores[top] { i } else { top });
            let scores: Vec<String> = scores.iter().map(|score| format!("{score:.3}")).collect();
            told.push(format!("{} {:e} ({})", arm.name(), self.rates[top], scores.join(", ")));
            best.push(self.rates[top]);
        }
        evidence.notes.push(format!("Rates found (joint score at each of the grid): {}.", told.join("; ")));
        Ok(best)
    }

    /// What weights that do nothing are worth: the model with some of them zero.
    fn zeroing(&self, setting: &Setting, judge: &Judge, repeat: u64, evidence: &mut Evidence) -> Result<()> {
        let plain = resized(&setting.reference.inputs, 2 * SIDE, SIDE)?;
        let distance = |parameters: &Parameters| {
            let (images, _) = sample(parameters, self.samples, setting.seed.stream("samples"))?;
            judge.distance(&images, &plain)
        };
        let kernels = setting.base.iter().filter(|p| p.role == Role::Weight);
        let mut sizes: Vec<f32> = kernels.flat_map(|p| p.values()).map(f32::abs).collect();
        sizes.sort_unstable_by(f32::total_cmp);
        let at = |share: f64| sizes[((share * sizes.len() as f64) as usize).min(sizes.len() - 1)];
        let whole = distance(&setting.base)?;
        let arms: [(&str, f32, f32); 3] = [
            ("smallest 10% zero", 0.0, at(0.1)),
            ("smallest 20% zero", 0.0, at(0.2)),
            ("largest 10% zero", at(0.9), f32::INFINITY),
        ];
        evidence.measure(NONE, "distance to plain", repeat, whole);
        for (arm, low, high) in arms {
            let mut cut = setting.base.clone();
            for kernel in cut.iter_mut().filter(|p| p.role == Role::Weight) {
                kernel.update(|w| {
                    w.iter_mut().filter(|w| (low..high).contains(&w.abs())).for_each(|w| *w = 0.0);
                });
            }
            evidence.measure(arm, "relative change of the distance to plain", repeat, distance(&cut)? / whole - 1.0);
        }
        Ok(())
    }

    fn plot(&self, style: Style, evidence: &Evidence) -> Plot {
        let mean = |arm: &str, metric: &str| {
            let values = evidence.values(arm, &format!("{metric}/{}", style.name()));
            stats::mean(&values.into_iter().map(|(_, v)| v).collect::<Vec<_>>())
        };
        let names = std::iter::once(NONE).chain(self.arms.iter().map(|arm| arm.name()));
        let series = names.map(|arm| {
            let (x, y) = (mean(arm, "distance to the style"), mean(arm, "accuracy"));
            Series { name: arm.to_owned(), points: vec![[x, y, y, y]] }
        });
        Plot {
            title: format!("Learning the style against keeping the classes, {}", style.name()),
            x: "Fréchet distance to the style".into(),
            y: "samples that are what was asked for".into(),
            log_x: true,
            log_y: false,
            series: series.collect(),
        }
    }
}

/// What must hold exactly.
fn identities(evidence: &mut Evidence) -> Result<()> {
    let network = Mlp::new(70, &[80, 70], 4);
    let mut rng = Seed(2).rng(0);
    let inputs = Array2::from_shape_fn((40, 70), |_| rng.normal() as f32);
    let data = Samples::classes(inputs.clone(), (0..40).map(|i| i % 4).collect(), 4)?;
    let base = quadrat_nn::initialise(&network, Seed(1))?;
    let trainer = Trainer { epochs: 6, batch: 20, rate: 5e-3, seed: Seed(5), ..Trainer::default() };
    let fit = |sara: &mut Sara| trainer.fit_from(&network, base.clone(), &data, None, &mut [sara], &Silent);
    let mut sara = Sara::default();
    let tuned = fit(&mut sara)?.parameters;
    let none = || quadrat_core::Error::numeric("sara", "it left no delta");
    let delta = sara.delta(&tuned)?.ok_or_else(none)?;
    let changed = |a: &Parameters, b: &Parameters| -> usize {
        let apart = |(a, b): (&quadrat_nn::Parameter, &quadrat_nn::Parameter)| {
            a.values().iter().zip(b.values()).filter(|(a, b)| a.to_bits() != b.to_bits()).count()
        };
        a.iter().zip(b.iter()).map(apart).sum()
    };
    let mut copy = base.clone();
    delta.apply(&mut copy)?;
    evidence.identity("weights that differ after applying the delta", changed(&copy, &tuned) as f64, 0.0, 0.0);
    let beyond = changed(&base, &tuned).saturating_sub(delta.len()) as f64;
    evidence.identity("weights changed beyond those selected", beyond, 0.0, 0.0);
    delta.remove(&mut copy)?;
    evidence.identity("weights that differ after removing it", changed(&copy, &base) as f64, 0.0, 0.0);
    let memory = sara.memory(&base);
    evidence.identity("bytes of gradients and moments", memory.bytes as f64, 12.0 * delta.len() as f64, 0.0);
    let moves = |lambda: f32| -> Result<f64> {
        let other = fit(&mut Sara { lambda, ..Sara::default() })?.parameters;
        Ok(f64::from(u8::from(changed(&other, &tuned) > 0)))
    };
    evidence.identity("lambda reaches what is trained", moves(0.1)?, 1.0, 0.0);
    evidence.identity("the same lambda gives the same", moves(Sara::default().lambda)?, 0.0, 0.0);

    let pattern = quadrat_nn::ops::Pattern::from_mask(&[true; 4], 2, 2)?;
    // (3, 0; 4, 5) has singular values 3 sqrt(5) and sqrt(5); its polar factor is (2, -1; 1, 2) / sqrt(5).
    let polar = nuclear_subgradient(&[3.0, 0.0, 4.0, 5.0], &pattern)?;
    for (i, golden) in [2.0, -1.0, 1.0, 2.0].into_iter().enumerate() {
        let name = format!("entry {} of the nuclear norm's gradient", i + 1);
        evidence.identity(&name, f64::from(polar[i]), golden / 5f64.sqrt(), 1e-6);
    }
    let points = inputs.slice(s![.., ..3]).mapv(f64::from);
    let shifted = &points + 2.0;
    evidence.identity("Frechet distance of a set to itself", frechet(&points, &points)?, 0.0, 1e-9);
    evidence.identity("of a set to itself shifted by 2 in 3 axes", frechet(&points, &shifted)?, 12.0, 1e-9);
    let batch = rows_of(&Array2::from_elem((200, PIXELS), 0.5), &[3; 200])?;
    let mut batch = batch.batch(At { epoch: 0, step: 7 }, &(0..200).collect::<Vec<_>>());
    Noising { seed: Seed(9) }.prepare(&mut batch)?;
    let (x, e) = (batch.inputs.slice(s![.., ..PIXELS]), &batch.targets);
    // Grey is 0: what is left is noise alone, shorter than itself.
    let longer = x.iter().zip(e).filter(|(x, e)| x.abs() > e.abs()).count();
    evidence.identity("noised grey pixels beyond their noise", longer as f64, 0.0, 0.0);
    Ok(())
}
