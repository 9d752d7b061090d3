//! Random sub-samples that tell each other: do they clean camera noise better than their parent AP-BSN?

mod camera;
mod identities;
mod world;

use crate::tune::tune;
use crate::{Figure, Repetitions, Trial};
use ndarray::Array3;
use quadrat_core::{Evidence, Relation, Result, Seed, Within, checkpoint, stats};
use quadrat_inverse::denoise::{
    ApBsn, BlindSpot, Course, Denoiser, NonLocalMeans, Refine, Sdap, Size, Target, Way, noise_deviation,
};
use world::{Noise, World};

/// The size of the experiment.
struct Plan {
    course: Course,
    /// Pixels on a side of a patch.
    patch: usize,
    /// Grey pictures, or in colour.
    grey: bool,
    /// Pixels on a side of what is learnt from, and of what is judged.
    sides: [usize; 2],
    refinements: usize,
    most: usize,
}

/// Patches of a step of SDAP, of each of which it takes one term of its loss, a 25th of the pixels; others take one whole patch.
const PATCHES: usize = 4;

const OURS: &str = "SDAP";
const ONCE: &str = "SDAP without enhancement";
const PARENT: &str = "AP-BSN with R3";
const PARENT_ONCE: &str = "AP-BSN without R3";
const BLIND: &str = "blind spot at stride 1";
const SAME: &str = "sub-samples that tell themselves";
const TAUGHT: &str = "supervised, the same network";
const MEANS: &str = "non-local means";
const NOISY: &str = "noisy";
/// Learning rates to try first, and standard deviations of the noise as multiples of what is estimated.
const RATES: [f64; 3] = [1e-3, 3e-3, 9e-3];
const SIGMAS: [f64; 3] = [1.0, 2.0, 4.0];

/// What rates were chosen.
#[derive(Clone, Copy)]
struct Rates {
    sdap: f64,
    parent: f64,
    means: f64,
}

/// Runs the experiment.
pub fn run(trial: &Trial) -> Result<Evidence> {
    let course = |base, modules, steps| Course {
        base: Some(base),
        modules: Some(modules),
        steps: Some(steps),
        ..Course::of(Size::Tiny)
    };
    let plan = trial.at(
        Plan { course: course(4, 1, 2), patch: 20, grey: true, sides: [40, 24], refinements: 1, most: 2 },
        Plan { course: course(16, 3, 200), patch: 60, grey: true, sides: [256, 96], refinements: 8, most: 4 },
        Plan { course: course(16, 3, 400), patch: 120, grey: false, sides: [256, 128], refinements: 8, most: 4 },
    );
    let mut evidence = plan.evidence();
    let scenes = world::scenes(plan.sides[0])?;
    let rates = plan.tuned(&mut evidence, &scenes, trial)?;
    let one = |seed: Seed| plan.repetition(&scenes, rates, seed, trial);
    trial.repeat(&mut evidence, Repetitions { part: "photographs", pilot: trial.at(0, 2, 3), most: plan.most }, one)?;
    identities::check(&mut evidence, trial.seed.stream("identities"))?;
    Ok(evidence)
}

/// What a figure is called.
fn metric(what: &str, noise: Noise) -> String {
    format!("{what}, {}", noise.name())
}

const HELD_OUT: &str = "PSNR in dB";
const SIMILAR: &str = "SSIM";
const LEARNT: &str = "PSNR in dB of learnt pictures";
const BIAS: &str = "mean error";

impl Plan {
    /// What the paper says, what is done here, and what is expected: written down before anything is measured.
    fn evidence(&self) -> Evidence {
        let sizes = self.course.sizes();
        let mut e = Evidence::new(
            "Denoising of smartphone photographs without clean ones (SIDD validation): 37.30 dB for SDAP with enhancement, 35.76 dB for \
             its parent AP-BSN with R3, of the same network; Noise2Void 27.68 and BM3D 25.65 on the benchmark.",
            format!(
                "Seven built-in photographs, enlarged twice, their middle {} pixels a side, {}; five learnt from and two held out, drawn for \
                 each repetition and judged in their middle {} pixels. Noise by a model of a camera: a lens that spreads light over a pixel, Poisson-Gaussian noise on a \
                 Bayer mosaic, bilinear colours, white balance, gamma 2.2, 8 bits; the truth is what it gives without noise. As a control \
                 white noise of 25 / 255. The published network with base {} and {} modules, {} steps for every arm. A step of SDAP takes \
                 one of the 25 terms of its loss on {PATCHES} patches of {} pixels a side, a step of the others one whole patch, which is six \
                 times as much to compute.",
                self.sides[0],
                if self.grey { "grey" } else { "in colour" },
                self.sides[1],
                sizes.base,
                sizes.modules,
                sizes.steps,
                self.patch,
            ),
        );
        let (camera, white) = (metric(HELD_OUT, Noise::Camera), metric(HELD_OUT, Noise::White));
        let says = "camera noise: SDAP has a higher PSNR on held-out pictures than AP-BSN with R3";
        e.expect(says, &camera, OURS, Some(PARENT), Relation::Above(0.0)).matters(0.5);
        let says = "there is something to learn: the same network, supervised, gains 2 dB on the noisy pictures";
        e.gate(says, &camera, TAUGHT, Some(NOISY), Relation::Above(2.0));
        for (says, metric, arm, rival, relation) in [
            ("camera noise: SDAP gains 1 dB", &camera, OURS, NOISY, Relation::Above(1.0)),
            (
                "camera noise: AP-BSN is better than the blind spot at stride 1",
                &camera,
                PARENT,
                BLIND,
                Relation::Above(0.0),
            ),
            (
                "camera noise: the blind spot at stride 1 gains less than 1 dB: it tells the noise",
                &camera,
                BLIND,
                NOISY,
                Relation::Below(1.0),
            ),
            (
                "camera noise: SDAP without enhancement is better than AP-BSN without R3",
                &camera,
                ONCE,
                PARENT_ONCE,
                Relation::Above(0.0),
            ),
            ("camera noise: enhancement helps", &camera, OURS, ONCE, Relation::Above(0.0)),
            ("camera noise: R3 helps", &camera, PARENT, PARENT_ONCE, Relation::Above(0.0)),
            (
                "camera noise: the next sub-sample is a better target than the same",
                &camera,
                OURS,
                SAME,
                Relation::Above(0.0),
            ),
            ("camera noise: SDAP is better than non-local means", &camera, OURS, MEANS, Relation::Above(0.0)),
            ("camera noise: supervised is better than SDAP", &camera, TAUGHT, OURS, Relation::Above(0.0)),
            ("white noise: the blind spot at stride 1 is better than SDAP", &white, BLIND, OURS, Relation::Above(0.0)),
        ] {
            e.report(says, metric, arm, Some(rival), relation);
        }
        let (similar, learnt) = (metric(SIMILAR, Noise::Camera), metric(LEARNT, Noise::Camera));
        e.report("camera noise: SDAP has the higher SSIM", &similar, OURS, Some(PARENT), Relation::Above(0.0));
        e.report(
            "camera noise: on learnt pictures too SDAP has the higher PSNR",
            &learnt,
            OURS,
            Some(PARENT),
            Relation::Above(0.0),
        );
        let correlation = metric(world::CORRELATION, Noise::Camera);
        e.report("neighbouring pixels share noise of the camera", &correlation, NOISY, None, Relation::Above(0.2));
        e.notes = vec![
            "The learning rates of SDAP and AP-BSN, and the deviation that non-local means are told, are tuned for the PSNR on held-out \
             pictures of two other seeds; the other networks have the rate of SDAP. Rates fall to 0 over the last half of the steps, those of \
             AP-BSN by tenths as published."
                .into(),
            "Before this was written, single runs had shown that a start as PyTorch's needs thousands of steps and was replaced for all arms, \
             and that the small photographs, not enlarged, lose more detail at stride 2 than noise. Few terms of large patches had taught \
             more than all terms of small ones, whose sub-images are smaller than what the network looks at."
                .into(),
            "Not as in the paper: seven small photographs and a camera that is a formula for SIDD and DND, whose pictures are not here; small \
             networks and short training. Stride 5 takes much of what a photograph of 256 pixels shows. The table of the paper has been seen \
             in a later one; its ablations have not been verified."
                .into(),
        ];
        e
    }

    fn at(&self, rate: f64) -> Course {
        Course { rate: Some(rate), batch: Some(1), patch: Some(self.patch), ..self.course }
    }

    fn sdap(&self, rate: f64) -> Sdap {
        let course = Course { batch: Some(PATCHES), ..self.at(rate) };
        Sdap { terms: Some(1), course, ..Sdap::default() }
    }

    fn parent(&self, rate: f64) -> ApBsn {
        let refine = Refine { times: self.refinements, ..Refine::default() };
        ApBsn { refine, course: self.at(rate), ..ApBsn::default() }
    }

    /// Learning rates, by held-out pictures of other seeds: two of them, since a rate at which training fails now and then may pass one.
    fn tuned(&self, evidence: &mut Evidence, scenes: &[Array3<f32>], trial: &Trial) -> Result<Rates> {
        let quiet = Within(trial.progress);
        let worlds = [0, 1].map(|i| {
            let seed = trial.seed.stream("tuning").stream(&i.to_string());
            (World::new(scenes, Noise::Camera, self.grey, self.sides[1], seed), seed.stream("training"))
        });
        let mut best = |arm: &str, what: &str, grid: &[f64], of: &dyn Fn(&World, Seed, f64) -> Result<f64>| {
            trial.progress.begin(&format!("{what} of {arm}"), None);
            tune(evidence, (arm, what), grid, |value| {
                checkpoint(trial.progress)?;
                let each = worlds.iter().map(|(world, seed)| of(world, *seed, value));
                Ok(-stats::mean(&each.collect::<Result<Vec<f64>>>()?))
            })
        };
        Ok(Rates {
            sdap: best(OURS, "rate", &RATES, &|world, seed, rate| {
                world.quality(&self.sdap(rate).fit(world.learnt(), seed, &quiet)?, &quiet)
            })?,
            parent: best(PARENT, "rate", &RATES, &|world, seed, rate| {
                world.quality(&self.parent(rate).fit(world.learnt(), seed, &quiet)?, &quiet)
            })?,
            means: best(MEANS, "deviation", &SIGMAS, &|world, _, times| world.quality(&means(world, times), &quiet))?,
        })
    }

    /// All arms on the same pictures, the same noise and the same patches.
    fn repetition(&self, scenes: &[Array3<f32>], rates: Rates, seed: Seed, trial: &Trial) -> Result<Vec<Figure>> {
        let quiet = Within(trial.progress);
        let mut found = Vec::new();
        let training = seed.stream("training");
        let world = World::new(scenes, Noise::Camera, self.grey, self.sides[1], seed);
        world.noise_told(&mut found, NOISY)?;
        let ours = self.sdap(rates.sdap).fit(world.learnt(), training, &quiet)?;
        let parent = self.parent(rates.parent).fit(world.learnt(), training, &quiet)?;
        let blind = BlindSpot { course: self.at(rates.sdap) }.fit(world.learnt(), training, &quiet)?;
        let same = Sdap { target: Target::Same, ..self.sdap(rates.sdap) }.fit(world.learnt(), training, &quiet)?;
        let taught = world.supervised(&self.at(rates.sdap), training, &quiet)?;
        let once = Way::Parts { stride: 2, enhance: false };
        let mosaic = Way::Mosaic { stride: 2, refine: Refine { times: 0, ..Refine::default() }, seed: 0 };
        let (ours_once, parent_once): (Denoiser, Denoiser) = (ours.asked(once), parent.asked(mosaic));
        for (arm, denoiser) in [
            (OURS, &ours),
            (ONCE, &ours_once),
            (PARENT, &parent),
            (PARENT_ONCE, &parent_once),
            (BLIND, &blind),
            (SAME, &same),
            (TAUGHT, &taught),
        ] {
            checkpoint(trial.progress)?;
            world.told(&mut found, arm, denoiser, &quiet)?;
        }
        world.told(&mut found, MEANS, &means(&world, rates.means), &quiet)?;
        let world = World::new(scenes, Noise::White, self.grey, self.sides[1], seed);
        world.noise_told(&mut found, NOISY)?;
        world.told(&mut found, OURS, &self.sdap(rates.sdap).fit(world.learnt(), training, &quiet)?, &quiet)?;
        let blind = BlindSpot { course: self.at(rates.sdap) }.fit(world.learnt(), training, &quiet)?;
        world.told(&mut found, BLIND, &blind, &quiet)?;
        world.told(&mut found, MEANS, &means(&world, 1.0), &quiet)?;
        Ok(found)
    }
}

/// Non-local means that are told so many times the deviation that is estimated in the first picture.
fn means(world: &World, times: f64) -> NonLocalMeans {
    NonLocalMeans { sigma: Some(times * noise_deviation(world.learnt()[0].view())), ..NonLocalMeans::default() }
}
