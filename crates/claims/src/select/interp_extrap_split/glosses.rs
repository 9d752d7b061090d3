//! Topics of glosses, called by a vector and by matching words.

use super::{DROP, FAR, LEAST, MATCH, NEAR, PLACEBO, TOPICS, VECTOR, folds};
use crate::Figure;
use ndarray::{Array2, Axis};
use quadrat_core::{Error, Progress, Result, Seed, Silent, checkpoint, stats};
use quadrat_data::text::Lsa;
use quadrat_data::{Missing, builtin};
use quadrat_numeric::learners::{Learner, Softmax};
use quadrat_numeric::{Metric, TextEncoder, linalg};
use std::collections::{BTreeSet, HashMap};

/// Glosses of the larger topics.
pub(super) struct Glosses {
    /// LSA coordinates, by which folds are cut.
    similar: Array2<f32>,
    words: Vec<Vec<String>>,
    /// Of each word, by its rarity; a gloss has length 1.
    weights: Vec<Vec<f64>>,
    y: Vec<u32>,
    topics: usize,
}

impl Glosses {
    pub fn new() -> Result<Self> {
        let table = builtin::find("glosses")?.table(&[])?;
        let (texts, labels) = (table.strings("text")?, table.categories("label", Missing::Error)?);
        let mut counts = vec![0_usize; labels.names.len()];
        labels.codes.iter().for_each(|code| counts[*code as usize] += 1);
        let large: Vec<usize> = (0..counts.len()).filter(|topic| counts[*topic] >= TOPICS).collect();
        let (mut kept, mut y) = (Vec::new(), Vec::new());
        for (text, code) in texts.iter().zip(&labels.codes) {
            if let Some(topic) = large.iter().position(|topic| *topic == *code as usize) {
                kept.push(text.clone());
                y.push(topic as u32);
            }
        }
        // The directions belong to the data: fixed, as an encoder would be.
        let similar = Lsa::default().encode(&kept, Seed(0), &Silent)?.rows;
        let split = |text: &String| {
            let words = text.split(|c: char| !c.is_alphanumeric()).filter(|w| w.len() > 1).map(str::to_lowercase);
            words.collect::<BTreeSet<_>>().into_iter().collect()
        };
        let words: Vec<Vec<String>> = kept.iter().map(split).collect();
        let mut used: HashMap<&str, f64> = HashMap::new();
        words.iter().flatten().for_each(|word| *used.entry(word).or_default() += 1.0);
        let all = words.len() as f64;
        let weigh = |words: &Vec<String>| -> Vec<f64> {
            let rarity: Vec<f64> = words.iter().map(|word| 1.0 + (all / used[word.as_str()]).ln()).collect();
            let length = rarity.iter().map(|v| v * v).sum::<f64>().sqrt().max(f64::MIN_POSITIVE);
            rarity.into_iter().map(|v| v / length).collect()
        };
        let weights = words.iter().map(weigh).collect();
        Ok(Glosses { similar, weights, words, y, topics: large.len() })
    }

    /// Random glosses that have a direction: one without cannot be cut by angle.
    fn draw(&self, texts: usize, seed: Seed) -> Vec<usize> {
        let usable: Vec<usize> = (0..self.y.len()).filter(|i| self.similar.row(*i).iter().any(|v| *v != 0.0)).collect();
        seed.stream("rows").rng(0).sample(usable.len(), texts).into_iter().map(|i| usable[i]).collect()
    }

    /// The share of wrong calls in a random fifth: what the penalty of an arm is tuned by.
    pub fn loss(&self, arm: &str, l2: f64, texts: usize, seed: Seed) -> Result<f64> {
        let rows = self.draw(texts, seed);
        let (test, train) = rows.split_at(texts / 5);
        let [called, _] = self.call(arm, l2, train, [test, test], seed)?;
        let wrong = test.iter().zip(&called).filter(|(row, call)| self.y[**row] != **call).count();
        Ok(wrong as f64 / test.len() as f64)
    }

    fn call(&self, arm: &str, l2: f64, train: &[usize], tests: [&[usize]; 2], seed: Seed) -> Result<[Vec<u32>; 2]> {
        if arm == VECTOR { self.by_vector(l2, train, tests) } else { self.by_match(l2, train, tests, seed) }
    }

    pub fn repetition(
        &self,
        texts: usize,
        penalties: [f64; 2],
        seed: Seed,
        progress: &dyn Progress,
    ) -> Result<Vec<Figure>> {
        let rows = self.draw(texts, seed);
        let mut rng = seed.stream("placebo").rng(0);
        let nothing = Array2::from_shape_simple_fn((texts, 16), || rng.normal() as f32);
        let cuts = [
            folds(self.similar.select(Axis(0), &rows).view(), Metric::Cosine, seed, progress)?,
            folds(nothing.view(), Metric::Cosine, seed, progress)?,
        ];
        let mut found = Vec::new();
        let mut lost_by_placebo = Vec::new();
        for (cut, splits) in cuts.iter().enumerate() {
            for (arm, l2) in [VECTOR, MATCH].into_iter().zip(penalties) {
                let mut sides: [Vec<f64>; 2] = Default::default();
                for split in splits {
                    checkpoint(progress)?;
                    let of = |part: &[usize]| -> Vec<usize> { part.iter().map(|i| rows[*i]).collect() };
                    let [train, near, far] = [of(&split.train), of(&split.interpolation), of(&split.extrapolation)];
                    let called = self.call(arm, l2, &train, [&near, &far], seed)?;
                    if let Some(both) = self.balanced([&near, &far], &called) {
                        sides.iter_mut().zip(both).for_each(|(side, v)| side.push(v));
                    }
                }
                let [near, far] = sides.map(|side| stats::mean(&side));
                if cut == 1 {
                    lost_by_placebo.push(near - far);
                    continue;
                }
                let figures = [(NEAR, near), (FAR, far), (DROP, near - far)];
                found.extend(figures.map(|(metric, value)| (arm.to_owned(), metric.to_owned(), value)));
            }
        }
        found.push(("both".to_owned(), PLACEBO.to_owned(), stats::mean(&lost_by_placebo)));
        Ok(found)
    }

    /// Ridge regression of the topics on the glosses' vectors, all topics with the same weight: a vector for each topic, by
    /// which a gloss's is multiplied.
    fn by_vector(&self, l2: f64, train: &[usize], tests: [&[usize]; 2]) -> Result<[Vec<u32>; 2]> {
        let mut counts = vec![0.0_f64; self.topics];
        train.iter().for_each(|row| counts[self.y[*row] as usize] += 1.0);
        let mut products = self.products(train, train);
        let mut wanted = Array2::zeros((train.len(), self.topics));
        for (at, row) in train.iter().enumerate() {
            let topic = self.y[*row] as usize;
            products[[at, at]] += l2 * counts[topic] * self.topics as f64 / train.len() as f64;
            wanted[[at, topic]] = 1.0;
        }
        let shares = linalg::solve(products.view(), wanted.view())?;
        Ok(tests.map(|rows| {
            let scores = self.products(rows, train).dot(&shares);
            scores.outer_iter().map(|scores| largest(&scores.to_vec())).collect()
        }))
    }

    /// Inner products of the vectors of glosses.
    fn products(&self, rows: &[usize], with: &[usize]) -> Array2<f64> {
        let mut places: HashMap<&str, Vec<(usize, f64)>> = HashMap::new();
        for (at, row) in with.iter().enumerate() {
            for (word, weight) in self.words[*row].iter().zip(&self.weights[*row]) {
                places.entry(word).or_default().push((at, *weight));
            }
        }
        let mut products = Array2::zeros((rows.len(), with.len()));
        for (i, row) in rows.iter().enumerate() {
            for (word, weight) in self.words[*row].iter().zip(&self.weights[*row]) {
                for (at, other) in places.get(word.as_str()).map_or(&[][..], Vec::as_slice) {
                    products[[i, *at]] += weight * other;
                }
            }
        }
        products
    }

    fn by_match(&self, l2: f64, train: &[usize], tests: [&[usize]; 2], seed: Seed) -> Result<[Vec<u32>; 2]> {
        let index = Index::new(self, train);
        // A training gloss must not meet itself.
        let (mut pairs, mut right) = (Vec::new(), Vec::new());
        for (at, row) in train.iter().enumerate() {
            for (topic, features) in index.features(&self.words[*row], Some(at)).into_iter().enumerate() {
                pairs.extend(features);
                right.push(u32::from(self.y[*row] as usize == topic));
            }
        }
        let table = |values: Vec<f64>| {
            Array2::from_shape_vec((values.len() / 4, 4), values).map_err(|e| Error::numeric("features", e.to_string()))
        };
        let model = Softmax { l2, ..Softmax::default() }.fit(table(pairs)?.view(), &right, 2, None, seed)?;
        let call = |rows: &[usize]| -> Result<Vec<u32>> {
            let features = rows.iter().flat_map(|row| index.features(&self.words[*row], None)).flatten().collect();
            let p = model.probabilities(table(features)?.view()).column(1).to_vec();
            Ok(p.chunks(self.topics).map(largest).collect())
        };
        Ok([call(tests[0])?, call(tests[1])?])
    }

    /// Mean shares of right calls over the topics that both tests have enough rows of.
    fn balanced(&self, tests: [&[usize]; 2], called: &[Vec<u32>; 2]) -> Option<[f64; 2]> {
        let mut recalls: [Vec<f64>; 2] = Default::default();
        for topic in 0..self.topics as u32 {
            let hits = [0, 1].map(|side: usize| -> Vec<f64> {
                let pairs = tests[side].iter().zip(&called[side]).filter(|(row, _)| self.y[**row] == topic);
                pairs.map(|(_, call)| f64::from(u8::from(*call == topic))).collect()
            });
            if hits.iter().all(|hits| hits.len() >= LEAST) {
                recalls.iter_mut().zip(&hits).for_each(|(all, hits)| all.push(stats::mean(hits)));
            }
        }
        (!recalls[0].is_empty()).then(|| recalls.map(|r| stats::mean(&r)))
    }
}

/// The place of the largest, the first of those that tie.
fn largest(values: &[f64]) -> u32 {
    (0..values.len()).max_by(|a, b| values[*a].total_cmp(&values[*b]).then(b.cmp(a))).unwrap_or(0) as u32
}

/// Where words stand in training glosses.
struct Index<'a> {
    glosses: &'a Glosses,
    train: &'a [usize],
    /// Training glosses, by their place in `train`, that have a word.
    places: HashMap<&'a str, Vec<usize>>,
    /// Training glosses of each topic, and words in them.
    sizes: Vec<f64>,
    lengths: Vec<f64>,
}

impl<'a> Index<'a> {
    fn new(glosses: &'a Glosses, train: &'a [usize]) -> Self {
        let mut places: HashMap<&str, Vec<usize>> = HashMap::new();
        let (mut sizes, mut lengths) = (vec![0.0; glosses.topics], vec![0.0; glosses.topics]);
        for (at, row) in train.iter().enumerate() {
            glosses.words[*row].iter().for_each(|word| places.entry(word).or_default().push(at));
            sizes[glosses.y[*row] as usize] += 1.0;
            lengths[glosses.y[*row] as usize] += glosses.words[*row].len() as f64;
        }
        Index { glosses, train, places, sizes, lengths }
    }

    /// Of each topic: BM25 (k1 0.9, b 0.4) with its nearest gloss, the mean of its five nearest, the share of the query's
    /// words that it knows by their rarity, and the mean logarithm of their chances in it. `without` is left out.
    fn features(&self, words: &[String], without: Option<usize>) -> Vec<[f64; 4]> {
        let topics = self.glosses.topics;
        let n = self.train.len() as f64;
        let mean_length = self.lengths.iter().sum::<f64>() / n;
        let topic_of = |at: usize| self.glosses.y[self.train[at]] as usize;
        let mut scores: HashMap<usize, f64> = HashMap::new();
        let (mut known, mut chances, mut all) = (vec![0.0; topics], vec![0.0; topics], 0.0);
        for word in words {
            let places = self.places.get(word.as_str()).map_or(&[][..], Vec::as_slice);
            let others = || places.iter().filter(|at| Some(**at) != without);
            let count = others().count() as f64;
            let rarity = (1.0 + (n - count + 0.5) / (count + 0.5)).ln();
            let mut in_topic = vec![0.0; topics];
            for at in others() {
                let length = self.glosses.words[self.train[*at]].len() as f64;
                *scores.entry(*at).or_default() += rarity * 1.9 / (1.0 + 0.9 * (0.6 + 0.4 * length / mean_length));
                in_topic[topic_of(*at)] += 1.0;
            }
            all += rarity;
            for topic in 0..topics {
                known[topic] += if in_topic[topic] > 0.0 { rarity } else { 0.0 };
                chances[topic] += ((in_topic[topic] + 0.1) / (self.sizes[topic] + 1.0)).ln() / words.len() as f64;
            }
        }
        let mut by_topic: Vec<Vec<f64>> = vec![Vec::new(); topics];
        let mut ranked: Vec<(usize, f64)> = scores.into_iter().collect();
        ranked.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        for (at, score) in ranked {
            let list = &mut by_topic[topic_of(at)];
            if list.len() < 5 {
                list.push(score);
            }
        }
        let features = |topic: usize| {
            let list = &by_topic[topic];
            let [first, mean] = [list.first().copied().unwrap_or(0.0), list.iter().sum::<f64>() / 5.0];
            [first, mean, known[topic] / all.max(f64::MIN_POSITIVE), chances[topic]]
        };
        (0..topics).map(features).collect()
    }
}
