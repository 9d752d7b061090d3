//! Real images under eight corruptions: each corruption and digit is a task, one digit against the rest.

use crate::{Repetitions, Trial};
use ndarray::{Array2, ArrayView1, Axis, concatenate, s};
use quadrat_core::{Error, Evidence, Relation, Result, Rng, Seed, Silent};
use quadrat_data::builtin;
use quadrat_numeric::linalg::Pca;
use quadrat_numeric::metrics::auc;
use quadrat_select::{LinearMtl, Relevance, Representation, Rule, Task, TaskAllocator};
use rayon::prelude::*;

const CORRUPTIONS: [&str; 8] = ["shot noise", "blur", "rotate", "translate", "invert", "occlude", "stripe", "scale"];
const DIGITS: usize = 10;
const TASKS: usize = CORRUPTIONS.len() * DIGITS;
const TARGET_ROWS: usize = 60;
const RANK: usize = 10;
/// The most sources, where few may be used.
const FEW: usize = 8;

pub(super) struct Plan {
    data: &'static str,
    side: usize,
    /// Images that labels can be bought of, and images that measure.
    pool: usize,
    test: std::ops::Range<usize>,
    components: usize,
    budget: usize,
    /// Targets drawn at random.
    targets: usize,
}

impl Plan {
    pub fn of(trial: &Trial) -> Self {
        let digits =
            Plan { data: "digits", side: 8, pool: 1200, test: 1200..1797, components: 32, budget: 2000, targets: 2 };
        let mnist = |targets| Plan {
            data: "mnist",
            side: 28,
            pool: 5000,
            test: 10_000..12_000,
            components: 64,
            budget: 8000,
            targets,
        };
        trial.at(digits, mnist(4), mnist(12))
    }

    pub fn describe(&self) -> String {
        format!(
            "B: `{}` under {} corruptions ({}) times {DIGITS} digits against the rest: {TASKS} tasks on {} principal \
             components, labels -1 and 1. A repetition draws one of them as the target, with {TARGET_ROWS} labels, all others \
             are sources; {} labels are bought, a quarter of them from all sources alike, then a linear representation of \
             {RANK} dimensions is fitted to all of them and the target's head on it (the sheet's convolutional form is not \
             run). AUC on {} images of the target's corruption.",
            self.data,
            CORRUPTIONS.len(),
            CORRUPTIONS.join(", "),
            self.components,
            self.budget,
            self.test.len(),
        )
    }

    /// Said before anything is measured.
    pub fn expect(&self, evidence: &mut Evidence) {
        for (says, metric, arm, rival, relation) in [
            ("corrupted images: better than by the l2 rule", "auc", "l1", "l2", Relation::Above(0.0)),
            ("corrupted images: better than from all sources alike", "auc", "l1", "uniform", Relation::Above(0.0)),
            (
                "at most 8 sources: better than the l2 rule's 8",
                "auc",
                "l1, 8 sources",
                "l2, 8 sources",
                Relation::Above(0.0),
            ),
            (
                "at most 8 sources: better than 8 at random",
                "auc",
                "l1, 8 sources",
                "random 8 sources",
                Relation::Above(0.0),
            ),
            ("a lower squared error than by the l2 rule", "squared error", "l1", "l2", Relation::Below(0.0)),
        ] {
            evidence.report(says, metric, arm, Some(rival), relation);
        }
        evidence.notes.push(
            "B is reported and does not decide: targets differ so much that a point of AUC would take some 700 of them. In the \
             first records, with 4,000 labels and all 80 targets, l1 was 2.4 points behind l2 (-3.9 to -0.9). Our best \
             explanation: a quarter of that budget is 12 labels a source, one of them positive, for heads of 10 dimensions. \
             The heads are mostly noise, l1 bets on the few sources that noise favours, l2 spreads. A showed the same with 10 \
             first rows a source. So the paper's result on corrupted MNIST was not repeated here."
                .into(),
        );
    }

    pub fn run(&self, trial: &Trial, evidence: &mut Evidence) -> Result<()> {
        let images = self.images(trial.seed.stream("corrupted"))?;
        let targets = Repetitions { part: "corrupted images", pilot: 0, most: self.targets };
        trial.repeat(evidence, targets, |seed| {
            Shop { plan: self, images: &images, target: seed.stream("target").rng(0).below(TASKS), seed }.arms()
        })
    }

    /// Components of all images under all corruptions, and the digits.
    fn images(&self, seed: Seed) -> Result<Images> {
        let (raw, classes, _) = builtin::labelled(self.data)?;
        let rows: Vec<usize> = (0..self.pool).chain(self.test.clone()).collect();
        let top = raw.iter().fold(0.0, |most: f64, v| most.max(*v));
        let clean = raw.select(Axis(0), &rows) / top;
        let corrupted = |(c, name): (usize, &&str)| {
            let seed = seed.stream(name);
            let mut images = Array2::zeros(clean.dim());
            for (row, (from, mut to)) in clean.outer_iter().zip(images.outer_iter_mut()).enumerate() {
                let pixels = corrupt(c, from, self.side, &mut seed.rng(row as u64));
                to.iter_mut().zip(pixels).for_each(|(to, pixel)| *to = pixel);
            }
            images
        };
        // The components are learnt from unlabelled images of the pool, a few of every corruption.
        let few: Vec<Array2<f64>> = (0..CORRUPTIONS.len())
            .map(|c| {
                let share = self.pool / CORRUPTIONS.len() / 2;
                let mut images = clean.slice(s![c * share..(c + 1) * share, ..]).to_owned();
                for (row, mut image) in images.outer_iter_mut().enumerate() {
                    let mut rng = seed.stream("components").stream(CORRUPTIONS[c]).rng(row as u64);
                    let pixels = corrupt(c, image.view(), self.side, &mut rng);
                    image.iter_mut().zip(pixels).for_each(|(to, pixel)| *to = pixel);
                }
                images
            })
            .collect();
        let views: Vec<_> = few.iter().map(|images| images.view()).collect();
        let few = concatenate(Axis(0), &views).map_err(|e| Error::numeric("images", e.to_string()))?;
        let pca = Pca::fit(few.view(), self.components)?;
        let components = |case| pca.transform(corrupted(case).view());
        let components = CORRUPTIONS.par_iter().enumerate().map(components).collect::<Result<Vec<_>>>()?;
        Ok(Images { components, digits: rows.iter().map(|row| classes[*row] as usize).collect() })
    }
}

/// A pixel between pixels; 0 outside.
fn pixel(image: ArrayView1<f64>, side: usize, y: f64, x: f64) -> f64 {
    let (y0, x0) = (y.floor(), x.floor());
    let mut sum = 0.0;
    for (dy, dx) in [(0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (1.0, 1.0)] {
        let (row, column) = (y0 + dy, x0 + dx);
        if (0.0..side as f64).contains(&row) && (0.0..side as f64).contains(&column) {
            let weight = (1.0 - (y - row).abs()) * (1.0 - (x - column).abs());
            sum += weight * image[row as usize * side + column as usize];
        }
    }
    sum
}

/// The image (values 0 to 1) under corruption number `c`.
fn corrupt(c: usize, image: ArrayView1<f64>, side: usize, rng: &mut Rng) -> Vec<f64> {
    let (middle, size) = ((side - 1) as f64 / 2.0, side as f64);
    let corner = (rng.below(side - side / 3), rng.below(side - side / 3));
    let (sin, cos) = (std::f64::consts::PI / 6.0).sin_cos();
    let at = |i: usize| {
        let (row, column) = (i / side, i % side);
        let (y, x) = (row as f64 - middle, column as f64 - middle);
        match c {
            1 => {
                let reach = (side / 14).max(1) as i64;
                let steps = || -reach..=reach;
                let near =
                    steps().flat_map(|dy| steps().map(move |dx| (row as f64 + dy as f64, column as f64 + dx as f64)));
                near.map(|(y, x)| pixel(image, side, y, x)).sum::<f64>() / ((2 * reach + 1) * (2 * reach + 1)) as f64
            }
            2 => pixel(image, side, middle + cos * y + sin * x, middle - sin * y + cos * x),
            3 => pixel(image, side, row as f64 - size / 7.0, column as f64 - size / 7.0),
            4 => 1.0 - image[i],
            5 if (corner.0..corner.0 + side / 3).contains(&row)
                && (corner.1..corner.1 + side / 3).contains(&column) =>
            {
                0.0
            }
            6 if column % 4 == 1 => 1.0,
            7 => pixel(image, side, middle + 1.5 * y, middle + 1.5 * x),
            _ => image[i],
        }
    };
    let mut pixels: Vec<f64> = (0..image.len()).map(at).collect();
    if c == 0 {
        // The variance of a count grows with it.
        pixels.iter_mut().for_each(|v| *v = (*v + 0.5 * (*v + 0.05).sqrt() * rng.normal()).clamp(0.0, 1.0));
    }
    pixels
}

struct Images {
    /// One matrix a corruption; the images that measure come after the pool.
    components: Vec<Array2<f64>>,
    digits: Vec<usize>,
}

impl Images {
    fn task(&self, task: usize, rows: &[usize]) -> Task {
        let digit = task % DIGITS;
        let label = |row: &usize| if self.digits[*row] == digit { 1.0 } else { -1.0 };
        Task { x: self.components[task / DIGITS].select(Axis(0), rows), y: rows.iter().map(label).collect() }
    }
}

/// A target and where to buy for it.
struct Shop<'a> {
    plan: &'a Plan,
    images: &'a Images,
    target: usize,
    seed: Seed,
}

impl Shop<'_> {
    fn arms(&self) -> Result<Vec<(&'static str, String, f64)>> {
        let mtl = LinearMtl { rank: RANK, ..LinearMtl::default() };
        let sources: Vec<usize> = (0..TASKS).filter(|task| *task != self.target).collect();
        let m = sources.len();
        let orders: Vec<Vec<usize>> = (0..TASKS)
            .map(|task| self.seed.stream("labels").rng(task as u64).sample(self.plan.pool, self.plan.pool))
            .collect();
        let target = self.images.task(self.target, &orders[self.target][..TARGET_ROWS]);
        let first = self.plan.budget / 4 / m;
        let buy = |rows: &[usize]| -> Result<Representation> {
            let part = |(source, n): (&usize, &usize)| {
                self.images.task(*source, &orders[*source][..(first + n).min(self.plan.pool)])
            };
            let tasks: Vec<Task> = sources.iter().zip(rows).map(part).collect();
            mtl.fit(&tasks, &Silent)
        };
        let estimate = buy(&vec![0; m])?;
        let head = estimate.head(&target)?.w;
        let left = self.plan.budget - first * m;
        let by = |rule, max_tasks| -> Result<Vec<usize>> {
            let allocator = TaskAllocator { rule, max_tasks, ..TaskAllocator::default() };
            allocator.allocate(&allocator.relevance(estimate.heads.view(), &head)?, left)
        };
        let among = |chosen: Vec<usize>| {
            let mut nu = vec![0.0; m];
            chosen.iter().for_each(|source| nu[*source] = 1.0);
            let given = Relevance { nu, support: chosen, residual: f64::NAN, lambda: None, nothing_found: false };
            TaskAllocator::default().allocate(&given, left)
        };
        let random = self.seed.stream("random sources").rng(self.target as u64).sample(m, FEW);
        let test: Vec<usize> = (self.plan.pool..self.images.digits.len()).collect();
        let test = self.images.task(self.target, &test);
        let positive: Vec<bool> = test.y.iter().map(|y| *y > 0.0).collect();
        let arms = [
            ("uniform", by(Rule::Uniform, None)?),
            ("l2", by(Rule::L2, None)?),
            ("l1", by(Rule::L1, None)?),
            ("l2, 8 sources", by(Rule::L2, Some(FEW))?),
            ("l1, 8 sources", by(Rule::L1, Some(FEW))?),
            ("random 8 sources", among(random)?),
        ];
        let mut found = Vec::new();
        for (arm, rows) in arms {
            let predicted = buy(&rows)?.head(&target)?.predict(test.x.view())?;
            let squares = predicted.iter().zip(&test.y).map(|(p, y)| (p - y).powi(2));
            found.push((arm, "auc".to_owned(), auc(&positive, &predicted)?));
            found.push((arm, "squared error".to_owned(), squares.sum::<f64>() / test.y.len() as f64));
            found.push((arm, "sources in use".to_owned(), rows.iter().filter(|rows| **rows > 0).count() as f64));
        }
        Ok(found)
    }
}
