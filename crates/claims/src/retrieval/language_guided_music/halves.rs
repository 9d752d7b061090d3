//! Halves of handwritten digits, a tagger that errs, and sentences about them.

use super::Plan;
use ndarray::{Array2, ArrayView1, Axis, s};
use quadrat_core::{Result, Rng, Seed, stats};
use quadrat_data::builtin;
use quadrat_numeric::learners::{Classifier, Learner, Softmax};
use quadrat_numeric::linalg::Pca;
use quadrat_retrieval::composed::describe::{DescriptionSynth, Example, TagSet};

const DIGITS: [&str; 10] = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];
const SLANTS: [&str; 3] = ["leaning left", "upright", "leaning right"];
const STROKES: [&str; 3] = ["thin", "medium", "thick"];
/// What people may say in place of a tag.
const SLANTS_SAID: [[&str; 3]; 3] = [
    ["leaning left", "tilted to the left", "slanting left"],
    ["upright", "straight", "not slanted"],
    ["leaning right", "tilted to the right", "slanting right"],
];
const STROKES_SAID: [[&str; 3]; 3] =
    [["thin", "skinny", "fine"], ["medium", "ordinary", "average"], ["thick", "bold", "heavy"]];

const SIDE: usize = 28;
/// Numbers that stand for a half.
pub const COMPONENTS: usize = 48;
/// A tag is given where it is at least so probable.
const SURE: f64 = 0.5;

/// Upper halves with sentences, and lower ones that belong to them.
pub struct Halves {
    pub upper: Array2<f32>,
    pub lower: Array2<f32>,
    /// What is said of each lower half: by the tagger, or the truth.
    tags: Vec<TagSet>,
    /// Digit, slant and stroke as they are.
    truth: Vec<[usize; 3]>,
}

/// Digits, as they are and as numbers of each half.
pub struct Digits {
    pixels: Array2<f64>,
    classes: Vec<u32>,
}

impl Digits {
    pub fn load() -> Result<Digits> {
        let (pixels, classes, _) = builtin::labelled("mnist")?;
        Ok(Digits { pixels, classes })
    }

    /// Rows to learn from and to measure; the tagger learns from others.
    pub fn split(&self, plan: &Plan, seed: Seed) -> Result<[Halves; 2]> {
        let rows = seed.stream("rows").rng(0).sample(self.classes.len(), plan.taught + plan.train + plan.test);
        let (taught, rest) = rows.split_at(plan.taught);
        let (train, test) = rest.split_at(plan.train);
        let half = |rows: &[usize], lower: bool| {
            let from = if lower { SIDE * SIDE / 2 } else { 0 };
            self.pixels.select(Axis(0), rows).slice_move(s![.., from..from + SIDE * SIDE / 2]) / 255.0
        };
        let upper = Pca::fit(half(train, false).view(), COMPONENTS)?;
        let lower = Pca::fit(half(taught, true).view(), COMPONENTS)?;
        let seen = |rows: &[usize]| -> Result<[Array2<f64>; 2]> {
            Ok([upper.transform(half(rows, false).view())?, lower.transform(half(rows, true).view())?])
        };
        // Slants and strokes in thirds.
        let measures = |rows: &[usize]| -> Vec<[f64; 2]> { half(rows, true).outer_iter().map(measures).collect() };
        let known = measures(taught);
        let ends = [0, 1].map(|what| {
            let values: Vec<f64> = known.iter().map(|of| of[what]).collect();
            [1.0, 2.0].map(|third| stats::quantile(&values, third / 3.0))
        });
        let truth = |rows: &[usize]| -> Vec<[usize; 3]> {
            let third = |what: usize, value: f64| ends[what].iter().filter(|end| value > **end).count();
            let of = |(row, [slant, stroke]): (&usize, [f64; 2])| {
                [self.classes[*row] as usize, third(0, slant), third(1, stroke)]
            };
            rows.iter().zip(measures(rows)).map(of).collect()
        };
        let [_, x] = seen(taught)?;
        let learnt = truth(taught);
        let learn = |what: usize, classes: usize| {
            let y: Vec<u32> = learnt.iter().map(|truth| truth[what] as u32).collect();
            Softmax { iterations: 60, ..Softmax::default() }.fit(x.view(), &y, classes, None, seed)
        };
        let tagger = [learn(0, 10)?, learn(1, 3)?, learn(2, 3)?];
        let halves = |rows: &[usize]| -> Result<Halves> {
            let [upper, lower] = seen(rows)?;
            let tags = tag(&tagger, &lower);
            Ok(Halves { upper: upper.mapv(|v| v as f32), lower: lower.mapv(|v| v as f32), tags, truth: truth(rows) })
        };
        Ok([halves(train)?, halves(test)?])
    }
}

/// Slant (larger: further to the right at the top) and ink of a half.
fn measures(half: ArrayView1<f64>) -> [f64; 2] {
    let ink = half.sum().max(1e-9);
    let place = |at: usize| [(at % SIDE) as f64, (at / SIDE) as f64];
    let mean = |axis: usize| half.iter().enumerate().map(|(at, v)| v * place(at)[axis]).sum::<f64>() / ink;
    let (x, y) = (mean(0), mean(1));
    let moment = |of: &dyn Fn([f64; 2]) -> f64| half.iter().enumerate().map(|(at, v)| v * of(place(at))).sum::<f64>();
    let (across, down) = (moment(&|[a, b]| (a - x) * (b - y)), moment(&|[_, b]| (b - y).powi(2)));
    [-across / down.max(1e-9), ink]
}

fn tag(tagger: &[Box<dyn Classifier>; 3], lower: &Array2<f64>) -> Vec<TagSet> {
    let said = tagger.each_ref().map(|of| of.probabilities(lower.view()));
    let categories: [(&str, &[&str]); 3] = [("digit", &DIGITS), ("slant", &SLANTS), ("stroke", &STROKES)];
    let of_row = |row: usize| {
        let sure = categories.iter().zip(&said).map(|((category, names), said)| {
            let tags = names.iter().zip(said.row(row)).filter(|(_, p)| **p >= SURE).map(|(name, _)| (*name).to_owned());
            ((*category).to_owned(), tags.collect())
        });
        TagSet::new(sure.collect::<Vec<_>>())
    };
    (0..lower.nrows()).map(of_row).collect()
}

impl Halves {
    /// The share of tags that are right, of those of digits.
    pub fn right(&self) -> f64 {
        let named: Vec<bool> = self
            .tags
            .iter()
            .zip(&self.truth)
            .filter_map(|(tags, truth)| Some(tags.of("digit").first()? == DIGITS[truth[0]]))
            .collect();
        named.iter().filter(|right| **right).count() as f64 / named.len() as f64
    }

    /// Sentences from the tagger's tags.
    pub fn described(&self, way: &dyn DescriptionSynth, seed: Seed) -> Result<Vec<String>> {
        let sentence = |(tags, row): (&TagSet, u64)| way.describe(tags, Seed(seed.rng(row).next_u64()));
        self.tags.iter().zip(0..).map(sentence).collect()
    }

    /// What people say of the halves as they are, in their own words.
    pub fn said(&self, rng: &mut Rng) -> Vec<String> {
        self.truth.iter().map(|truth| said(*truth, rng)).collect()
    }
}

fn said([digit, slant, stroke]: [usize; 3], rng: &mut Rng) -> String {
    let digit = DIGITS[digit];
    let mut parts = Vec::new();
    if rng.uniform() < 0.7 {
        parts.push(SLANTS_SAID[slant][rng.below(3)].to_owned());
    }
    if rng.uniform() < 0.7 {
        let ink = STROKES_SAID[stroke][rng.below(3)];
        parts
            .push([format!("with a {ink} pen"), format!("{ink} lines"), format!("rather {ink}")][rng.below(3)].clone());
    }
    if parts.is_empty() || rng.uniform() < 0.8 {
        parts.push(
            [format!("some {digit}"), format!("I want the number {digit}"), format!("{digit} please")][rng.below(3)]
                .clone(),
        );
    }
    rng.shuffle(&mut parts);
    parts.join(", ")
}

/// Sentences that were written by hand.
pub fn examples() -> Vec<Example> {
    let example = |digit: &str, slant: &str, stroke: &str, text: &str| {
        let tags = [("digit", digit), ("slant", slant), ("stroke", stroke)];
        let tags = tags.map(|(category, tag)| (category.to_owned(), vec![tag.to_owned()]));
        Example { tags: TagSet::new(tags), text: text.to_owned() }
    };
    vec![
        example("three", "upright", "thick", "A thick three, upright and proud."),
        example("seven", "leaning right", "thin", "I am looking for a seven, leaning right, drawn with thin lines."),
        example("zero", "upright", "medium", "Give me an upright zero with medium lines."),
        example("one", "leaning left", "thin", "The number one, leaning left, in thin ink."),
        example("eight", "leaning right", "thick", "Some thick eight please, leaning right."),
        example("two", "upright", "thin", "A two that stands upright, written with a thin pen."),
        example("five", "leaning left", "thick", "It should be a five, leaning left, rather thick."),
        example("nine", "leaning right", "medium", "The lower part of a nine, leaning right, of medium weight."),
        example("four", "upright", "thick", "I want the number four, upright, with thick lines."),
        example("six", "leaning left", "medium", "A six, leaning left, with a medium pen."),
        example("three", "leaning right", "thin", "Something like a thin three, leaning right."),
        example("zero", "leaning right", "thick", "A bold one: a zero, leaning right, very thick."),
    ]
}
